//! Three replicas behind the balancer that the relay is deployed with: what clients may rely on there.

mod accident;
mod crowd;
mod rolling;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::json;

use crate::support::balancer::Deployment;
use crate::support::client::{Client, expect};
use crate::support::operator::{self, Operator};
use crate::support::relay::{Replica, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_at_any_replica_is_pushed_at_once_and_a_long_poll_lasts_its_25_seconds() {
    let world = Deployment::start(Setup::on_redis()).await;
    let front = &world.front;
    let (client, idle) = (Client::register_signed(front).await, Client::register_signed(front).await);
    let webhook = client.make_webhook(front, json!({})).await;
    let waiting = async {
        let began = Instant::now();
        let page = idle.poll(front, "?wait=25").await;
        assert_eq!(page["messages"], json!([]));
        assert!(began.elapsed() > Duration::from_secs(24), "cut after {:?}", began.elapsed());
    };
    let pushing = async {
        let mut sockets = Vec::new();
        for _ in 0..3 {
            sockets.push(client.open(front, "").await);
        }
        for n in 0..12 {
            let text = format!("message {n}");
            webhook.deliver(front, &text).await;
            for socket in &mut sockets {
                assert_eq!(socket.content().await, text);
            }
        }
        for replica in &world.replicas {
            assert_eq!(replica.health().await["websockets"], 1, "sockets are spread");
        }
        sockets[0].send(&json!({"type": "reply", "channelId": webhook.id, "content": "answer"})).await;
        sockets[0].expect("reply_ack").await;
        let path = format!("{}/responses/{}", front.url(), webhook.id);
        let responses = expect(reqwest::get(path).await.unwrap(), 200).await;
        assert_eq!(responses["responses"][0]["content"], "answer");
    };
    tokio::join!(waiting, pushing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_a_mebibyte_passes_and_a_larger_one_is_refused_by_the_relay() {
    let world = Deployment::start(Setup::on_redis()).await;
    let front = &world.front;
    let client = Client::register(front).await;
    let webhook = client.make_webhook(front, json!({})).await;
    let text = "x".repeat(1024 * 1024);
    webhook.deliver(front, &text).await;
    let message = &client.poll(front, "").await["messages"][0];
    assert_eq!(message["metadata"]["originalContentBytes"], 1024 * 1024);
    let refusal = expect(webhook.post(front, &format!("{text}x")).await.unwrap(), 413).await;
    assert!(refusal["error"].is_string() && refusal["code"].is_string(), "{refusal}");
}

/// Registers from an address of this machine.
async fn register(front: &Replica, from: Ipv4Addr, claim: &str) -> Response {
    let http = reqwest::Client::builder().local_address(Some(from.into())).build().unwrap();
    let request = http.post(format!("{}/auth/register", front.url()));
    request.header("X-Forwarded-For", claim).header("Forwarded", format!("for={claim}")).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_counted_by_the_address_that_the_balancer_sees_whatever_the_client_says() {
    let world = Deployment::start(Setup::on_redis().with("CHAOS_RATE_REGISTER", "3/1h")).await;
    let (ana, ben) = (Ipv4Addr::new(127, 0, 0, 7), Ipv4Addr::new(127, 0, 0, 8));
    for claim in ["192.0.2.1", "192.0.2.2", "127.0.0.8"] {
        assert_eq!(register(&world.front, ana, claim).await.status(), 200);
    }
    assert_eq!(register(&world.front, ana, "192.0.2.3").await.status(), 429);
    for _ in 0..3 {
        assert_eq!(register(&world.front, ben, "127.0.0.7").await.status(), 200);
    }
    assert_eq!(register(&world.front, ben, "192.0.2.3").await.status(), 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_at_one_replica_holds_at_all_and_so_does_its_end() {
    let world = Deployment::start(operator::with_password(Setup::on_redis())).await;
    let operator = Operator::log_in(&world.front).await;
    for replica in &world.replicas {
        assert_eq!(operator.get(replica, "/admin").await.status(), 200);
    }
    // Page and form come from whatever replica.
    assert_eq!(operator.send_form(&world.front, "/admin/logout", &[]).await.status(), 302);
    for replica in &world.replicas {
        assert_eq!(operator.get(replica, "/admin").await.status(), 302);
    }
}
