//! The metrics: who may read them, and whether they tell the truth.

use std::collections::BTreeSet;

use serde_json::json;

use crate::delivery::fate::becomes;
use crate::delivery::line::Line;
use crate::support::client::Client;
use crate::support::operator::http;
use crate::support::platforms::deployment::Platforms;
use crate::support::relay::{Replica, Setup, data_dir};
use crate::support::{eventually, free_port};

const TOKEN: &str = "a token for the metrics";

async fn read(url: &str) -> String {
    http().get(url).send().await.unwrap().text().await.unwrap()
}

/// The value of a line that starts with this name and these labels.
fn value(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

async fn with_token(replica: &Replica) -> String {
    let answer = http().get(format!("{}/metrics", replica.url())).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["Content-Type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    answer.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_off_unless_they_are_wanted() {
    let replica = Setup::on_redis().start().await;
    assert_eq!(http().get(format!("{}/metrics", replica.url())).send().await.unwrap().status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_relays_own_port_they_need_the_token() {
    let replica = Setup::on_redis().with("CHAOS_METRICS_TOKEN", TOKEN).start().await;
    let url = format!("{}/metrics", replica.url());
    assert_eq!(http().get(&url).send().await.unwrap().status(), 401);
    for wrong in ["", "wrong", &TOKEN[1..]] {
        assert_eq!(http().get(&url).bearer_auth(wrong).send().await.unwrap().status(), 401);
    }
    assert!(with_token(&replica).await.ends_with("# EOF\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_port_of_their_own_they_are_alone_and_watch_a_drain_to_its_end() {
    let port = free_port().to_string();
    let setup = Setup::on_redis().with("CHAOS_METRICS_PORT", &port).with("CHAOS_DRAIN_SECONDS", "3");
    let mut replica = setup.start().await;
    let url = format!("http://127.0.0.1:{port}");
    let text = read(&format!("{url}/metrics")).await;
    assert_eq!(value(&text, "chaos_draining"), Some(0.0));
    for other in ["/health", "/admin", "/"] {
        assert_eq!(http().get(format!("{url}{other}")).send().await.unwrap().status(), 404, "{other}");
    }
    assert_eq!(http().get(format!("{}/metrics", replica.url())).send().await.unwrap().status(), 404);
    let client = Client::register(&replica).await;
    let _socket = client.open(&replica, "").await;
    replica.signal("TERM");
    eventually("the drain is seen", || async {
        (value(&read(&format!("{url}/metrics")).await, "chaos_draining") == Some(1.0)).then_some(())
    })
    .await;
    assert!(replica.ended().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_counted() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis().with("CHAOS_METRICS_TOKEN", TOKEN).with("CHAOS_RATE_MESSAGES", "2/1m");
    let replica = setup.start().await;
    platforms.lead_to(&[&replica]);
    let client = Client::register(&replica).await;
    let hook = client.make_webhook(&replica, json!({})).await;
    hook.deliver(&replica, "before").await;
    let mut socket = client.open(&replica, "").await;
    socket.message().await;
    hook.deliver(&replica, "live").await;
    socket.message().await;
    client.poll(&replica, "").await;
    client.poll(&replica, "").await;
    assert_eq!(client.get(&replica, "/messages").await.status(), 429);
    assert_eq!(http().get(format!("{}/messages", replica.url())).bearer_auth("x").send().await.unwrap().status(), 401);
    let line = Line::open(&platforms, &client, &replica, "telegram", 1).await;
    let reply = line.reply(&client, &replica, 0, "out").await;
    becomes(&client, &replica, &reply, "delivered").await;
    let text = eventually("the delivery is counted", || async {
        let delivered = r#"chaos_delivery_attempts_total{platform="telegram",outcome="delivered"}"#;
        Some(with_token(&replica).await).filter(|text| value(text, delivered) == Some(1.0))
    })
    .await;
    for (name, expected) in [
        (r#"chaos_messages_in_total{type="webhook"}"#, 2.0),
        (r#"chaos_messages_in_total{type="telegram"}"#, 1.0),
        (r#"chaos_messages_sent_total{type="webhook",how="replayed"}"#, 1.0),
        (r#"chaos_messages_sent_total{type="webhook",how="live"}"#, 1.0),
        (r#"chaos_messages_sent_total{type="webhook",how="polled"}"#, 4.0),
        (r#"chaos_http_requests_total{route="/webhook/{channel}",method="POST",status="200"}"#, 2.0),
        (r#"chaos_rate_limited_total{route="/messages"}"#, 1.0),
        (r#"chaos_auth_failures_total{reason="unknown_token"}"#, 1.0),
        (r#"chaos_replies_total{type="telegram"}"#, 1.0),
        ("chaos_sockets", 1.0),
        ("chaos_store_up", 1.0),
        (r#"chaos_outbox_replies{platform="telegram",state="pending"}"#, 0.0),
    ] {
        assert_eq!(value(&text, name), Some(expected), "{name} in\n{text}");
    }
    assert!(value(&text, "process_resident_memory_bytes").unwrap() > 1e6);
    for secret in [&client.api_key, &hook.secret, &hook.id, &client.user_id] {
        assert!(!text.contains(secret.as_str()), "no identity is a label");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_stands_in_the_table_and_the_other_way_round() {
    let dir = data_dir();
    for setup in [Setup::on_redis(), Setup::embedded(dir.path())] {
        let setup = setup.with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
        let replica = setup.with("CHAOS_METRICS_TOKEN", TOKEN).start().await;
        let text = with_token(&replica).await;
        let shown: BTreeSet<String> =
            text.lines().filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned())).collect();
        let table = include_str!("../../deploy/observability/metrics.md").lines();
        let rows = table.filter(|line| line.starts_with("| `")).map(|line| line.split(" | ").next().unwrap());
        let told: BTreeSet<String> = rows
            .flat_map(|names| names.split('`').filter(|name| name.contains('_')))
            .map(|name| name.trim_end_matches("_total").trim_end_matches("_info").to_owned())
            .collect();
        assert_eq!(shown.difference(&told).collect::<Vec<_>>(), [] as [&String; 0], "not in the table");
        // There are none of these before something went wrong.
        let later = ["chaos_auth_failures", "chaos_rate_limited", "chaos_store_errors"];
        let missing: Vec<_> = told.difference(&shown).filter(|name| !later.contains(&name.as_str())).collect();
        assert_eq!(missing, [] as [&String; 0], "only in the table");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_paths_and_methods_make_no_new_metrics() {
    let replica = Setup::on_redis().with("CHAOS_METRICS_TOKEN", TOKEN).start().await;
    for n in 0..20 {
        let method = reqwest::Method::from_bytes(format!("MADE{n}").as_bytes()).unwrap();
        http().request(method, format!("{}/made/up/{n}", replica.url())).send().await.unwrap();
    }
    let text = with_token(&replica).await;
    let counted = text.lines().filter(|line| line.starts_with("chaos_http_requests_total"));
    // It was asked whether it is ready until it was.
    assert_eq!(counted.filter(|line| !line.contains(r#"route="/health/ready""#)).count(), 1, "{text}");
    let made_up = r#"chaos_http_requests_total{route="(none)",method="other",status="404"}"#;
    assert_eq!(value(&text, made_up), Some(20.0));
}
