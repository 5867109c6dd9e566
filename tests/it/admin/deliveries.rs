//! Replies that failed are sent again, or dropped.

use reqwest::Method;
use serde_json::{Value, json};

use crate::delivery::fate::becomes;
use crate::delivery::line::{Fault, Line};
use crate::support::client::{Client, expect};
use crate::support::operator::{Operator, location, with_password};
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::{Misbehaviour, telegram};
use crate::support::relay::{Replica, data_dir};

async fn post(operator: &Operator, replica: &Replica, path: &str, status: u16) -> Value {
    expect(operator.request(replica, Method::POST, path).send().await.unwrap(), status).await
}

/// A reply that Telegram refused for good.
async fn failed(platforms: &Platforms, agent: &Client, replica: &Replica, line: &Line, text: &str) -> String {
    platforms.telegram.misbehave_on("sendMessage", Misbehaviour::Refuse(telegram::Refusal::Blocked));
    let id = line.reply(agent, replica, 0, text).await;
    becomes(agent, replica, &id, "failed").await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_reply_is_sent_again_from_any_replica_and_arrives_once() {
    let platforms = Platforms::start().await;
    let [a, b] = with_password(platforms.on_redis()).start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    let id = failed(&platforms, &agent, &a, &line, "hello again").await;
    let operator = Operator::log_in(&b).await;
    let page = operator.page(&b, "/admin/deliveries?state=failed").await;
    assert!(page.contains(&id) && page.contains("bot was blocked"), "{page}");
    assert_eq!(post(&operator, &b, &format!("/admin/deliveries/{id}/redrive"), 200).await["ok"], true);
    becomes(&agent, &a, &id, "delivered").await;
    assert_eq!(line.sent(0), ["hello again"]);
    let refusal = post(&operator, &a, &format!("/admin/deliveries/{id}/redrive"), 404).await;
    assert_eq!(refusal["code"], "unknown_reply");
    assert!(!operator.page(&a, "/admin/deliveries?state=failed").await.contains(&id));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_sends_again_too_and_a_form_does_it() {
    let (platforms, dir) = (Platforms::start().await, data_dir());
    let a = with_password(platforms.embedded(dir.path())).start().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    let id = failed(&platforms, &agent, &a, &line, "hello again").await;
    let operator = Operator::log_in(&a).await;
    let path = format!("/admin/deliveries/{id}/redrive");
    let answer = operator.send_form(&a, &path, &[("back", "/admin/deliveries?state=failed")]).await;
    let way = "/admin/deliveries?state=failed&notice=redriven";
    assert_eq!((answer.status().as_u16(), location(&answer)), (303, way));
    becomes(&agent, &a, &id, "delivered").await;
    assert_eq!(line.sent(0), ["hello again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_failed_replies_of_a_channel_are_sent_again_in_their_order() {
    let platforms = Platforms::start().await;
    let a = with_password(platforms.on_redis()).start().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        ids.push(failed(&platforms, &agent, &a, &line, text).await);
    }
    let operator = Operator::log_in(&a).await;
    let fields = [("platform", "telegram"), ("user", agent.user_id.as_str()), ("channel", line.id.as_str())];
    let answer = operator.send_form(&a, "/admin/deliveries/redrive", &fields).await;
    let way = "/admin/deliveries?notice=channel-redriven&count=3";
    assert_eq!((answer.status().as_u16(), location(&answer)), (303, way));
    for id in &ids {
        becomes(&agent, &a, id, "delivered").await;
    }
    assert_eq!(line.sent(0), ["one", "two", "three"]);
    for (name, value) in [("platform", "pigeon"), ("platform", "webhook"), ("user", "x"), ("channel", "a/b")] {
        let fields: Vec<_> = fields.iter().map(|field| if field.0 == name { (name, value) } else { *field }).collect();
        let answer = operator.send_form(&a, "/admin/deliveries/redrive", &fields).await;
        assert_eq!(answer.status(), 400, "{name}");
        assert!(answer.text().await.unwrap().contains(name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_dropped_is_not_sent_and_its_follower_goes_on() {
    let platforms = Platforms::start().await;
    let a = with_password(platforms.on_redis()).start().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    line.fault(Fault::Status(502), 3, None);
    let first = line.reply(&agent, &a, 0, "never").await;
    becomes(&agent, &a, &first, "retrying").await;
    let second = line.reply(&agent, &a, 0, "follows").await;
    let operator = Operator::log_in(&a).await;
    let page = operator.page(&a, "/admin/deliveries?state=retrying&platform=telegram").await;
    assert!(page.contains(&first), "{page}");
    crate::support::eventually("it is dropped between two tries", || async {
        let path = format!("/admin/deliveries/{first}/drop");
        let answer = operator.request(&a, Method::POST, &path).send().await.unwrap();
        (answer.status() == 200).then_some(())
    })
    .await;
    let status = becomes(&agent, &a, &first, "failed").await;
    assert_eq!(status["error"], "dropped by the operator");
    becomes(&agent, &a, &second, "delivered").await;
    assert_eq!(line.sent(0), ["follows"]);
    assert_eq!(post(&operator, &a, &format!("/admin/deliveries/{first}/drop"), 404).await["code"], "unknown_reply");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_again_is_refused_with_the_reason() {
    let platforms = Platforms::start().await;
    let a = with_password(platforms.on_redis()).start().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    let id = failed(&platforms, &agent, &a, &line, "hello").await;
    let operator = Operator::log_in(&a).await;
    let path = format!("/admin/deliveries/{id}/redrive");
    let change = |enabled: bool| {
        let path = format!("/channels/{}", line.id);
        let agent = &agent;
        let a = &a;
        async move { expect(agent.send(a, Method::PATCH, &path, &json!({"enabled": enabled})).await, 200).await }
    };
    change(false).await;
    assert_eq!(post(&operator, &a, &path, 409).await["code"], "channel_disabled");
    change(true).await;
    for unknown in ["00000000-0000-4000-8000-000000000000", "nothing", "%F0%9F%A6%80"] {
        assert_eq!(
            post(&operator, &a, &format!("/admin/deliveries/{unknown}/redrive"), 404).await["code"],
            "unknown_reply"
        );
        assert_eq!(
            post(&operator, &a, &format!("/admin/deliveries/{unknown}/drop"), 404).await["code"],
            "unknown_reply"
        );
    }
    let stranger = Operator::holding("chaos_admin=x".to_owned());
    assert_eq!(post(&stranger, &a, &path, 401).await["code"], "not_logged_in");
    post(&operator, &a, &path, 200).await;
    becomes(&agent, &a, &id, "delivered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_filtered_by_state_and_platform() {
    let platforms = Platforms::start().await;
    let a = with_password(platforms.on_redis()).start().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    let id = failed(&platforms, &agent, &a, &line, "hello").await;
    let operator = Operator::log_in(&a).await;
    for (query, is_there) in [
        ("", true),
        ("?state=failed&platform=telegram", true),
        ("?state=failed&platform=slack", false),
        ("?state=retrying", false),
        ("?state=pending", false),
    ] {
        let page = operator.page(&a, &format!("/admin/deliveries{query}")).await;
        assert_eq!(page.contains(&id), is_there, "{query}");
    }
    for query in ["state=lost", "platform=pigeon", "cursor=x"] {
        assert_eq!(operator.get(&a, &format!("/admin/deliveries?{query}")).await.status(), 400, "{query}");
    }
}
