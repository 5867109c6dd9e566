//! Redeliveries: answered like the first, stored once.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::{Client, Webhook, contents, expect};
use crate::support::relay::{Replica, Setup};

struct World {
    replicas: [Replica; 2],
    client: Client,
    webhook: Webhook,
}

impl World {
    async fn make() -> Self {
        let replicas: [Replica; 2] = Setup::on_redis().start_many().await;
        let client = Client::register(&replicas[0]).await;
        let webhook = client.make_webhook(&replicas[0], json!({})).await;
        Self { replicas, client, webhook }
    }

    async fn contents(&self) -> Vec<Value> {
        self.client.poll_all(&self.replicas[1]).await.into_iter().map(|message| message["content"].clone()).collect()
    }
}

/// Posts a text with these headers; gives the answer, which must be good.
async fn send(replica: &Replica, webhook: &Webhook, headers: &[(&str, &str)], text: &str) -> Value {
    let url = format!("{}{}", replica.url(), webhook.path());
    let request = reqwest::Client::new().post(url).body(text.to_owned());
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    expect(request.send().await.unwrap(), 200).await
}

fn is_repeat(answer: &Value) -> bool {
    match &answer["duplicate"] {
        Value::Null => false,
        Value::Bool(true) => true,
        other => panic!("duplicate is {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_three_headers_marks_a_repeat() {
    let world = World::make().await;
    let [a, b] = &world.replicas;
    for (name, key) in
        [("Idempotency-Key", "1"), ("webhook-id", "2"), ("svix-id", "3"), ("idempotency-key", &"k".repeat(256))]
    {
        let first = send(a, &world.webhook, &[(name, key)], name).await;
        assert!(!is_repeat(&first), "{name}");
        // What counts is the key, not what comes with it.
        let again = send(b, &world.webhook, &[(name, key)], "something else").await;
        assert!(is_repeat(&again), "{name}");
        assert_eq!((&again["ok"], &again["messageId"]), (&json!(true), &first["messageId"]), "{name}");
    }
    assert_eq!(world.contents().await, ["Idempotency-Key", "webhook-id", "svix-id", "idempotency-key"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_the_three_headers_decides() {
    let world = World::make().await;
    let [a, b] = &world.replicas;
    let all = |key, webhook, svix| [("svix-id", svix), ("webhook-id", webhook), ("Idempotency-Key", key)];
    assert!(!is_repeat(&send(a, &world.webhook, &all("k1", "w1", "s1"), "1").await));
    assert!(is_repeat(&send(b, &world.webhook, &all("k1", "w2", "s2"), "2").await));
    assert!(!is_repeat(&send(b, &world.webhook, &all("k2", "w1", "s1"), "3").await));
    let two = |webhook, svix| [("svix-id", svix), ("webhook-id", webhook)];
    assert!(!is_repeat(&send(a, &world.webhook, &two("w3", "s3"), "4").await));
    assert!(is_repeat(&send(b, &world.webhook, &two("w3", "s4"), "5").await));
    assert!(!is_repeat(&send(b, &world.webhook, &two("w4", "s3"), "6").await));
    assert_eq!(world.contents().await, ["1", "3", "4", "6"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_repeats_on_two_replicas_at_once_one_is_stored() {
    let world = World::make().await;
    let mut socket = world.client.open(&world.replicas[1], "").await;
    for round in 0..5 {
        let key = format!("round {round}");
        let header = [("Idempotency-Key", key.as_str())];
        let answers = join_all((0..20).map(|n| send(&world.replicas[n % 2], &world.webhook, &header, &key))).await;
        assert_eq!(answers.iter().filter(|answer| !is_repeat(answer)).count(), 1);
        assert!(answers.iter().all(|answer| answer["messageId"] == answers[0]["messageId"]));
        assert_eq!(socket.message().await["id"], answers[0]["messageId"]);
    }
    socket.nothing_more().await;
    assert_eq!(world.contents().await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_one_channels_own() {
    let world = World::make().await;
    let [a, b] = &world.replicas;
    let header = [("Idempotency-Key", "same")];
    let second = world.client.make_webhook(a, json!({})).await;
    let other = Client::register(a).await;
    let foreign = other.make_webhook(b, json!({})).await;
    for webhook in [&world.webhook, &second, &foreign] {
        assert!(!is_repeat(&send(a, webhook, &header, "x").await));
        assert!(is_repeat(&send(b, webhook, &header, "x").await));
    }
    assert_eq!(world.contents().await.len(), 2);
    assert_eq!(contents(&other.poll_all(b).await), ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_differ_in_case_or_blanks_inside_are_different_and_no_key_is_never_a_repeat() {
    let world = World::make().await;
    let [a, b] = &world.replicas;
    for key in ["key", "KEY", "k ey", "key:", "*", "key\t2", "key*"] {
        assert!(!is_repeat(&send(a, &world.webhook, &[("Idempotency-Key", key)], "x").await), "{key:?}");
    }
    for replica in [a, b, a] {
        assert!(!is_repeat(&send(replica, &world.webhook, &[], "x").await));
    }
    assert_eq!(world.contents().await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_does_not_use_a_key_up() {
    let world = World::make().await;
    let [a, b] = &world.replicas;
    let path = format!("/channels/{}", world.webhook.id);
    let refused = async |webhook: &Webhook, status| {
        let url = format!("{}{}", a.url(), webhook.path());
        let request = reqwest::Client::new().post(url).header("Idempotency-Key", "k").body("x");
        expect(request.send().await.unwrap(), status).await
    };
    refused(&Webhook { secret: "wrong".to_owned(), ..world.webhook.clone() }, 401).await;
    expect(world.client.send(b, Method::PATCH, &path, &json!({"enabled": false})).await, 200).await;
    refused(&world.webhook, 403).await;
    expect(world.client.send(b, Method::PATCH, &path, &json!({"enabled": true})).await, 200).await;
    assert!(!is_repeat(&send(b, &world.webhook, &[("Idempotency-Key", "k")], "x").await));
    assert_eq!(world.contents().await, ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_recognised_after_its_message_was_pushed_out() {
    let world = World::make().await;
    let [a, b] = &world.replicas;
    let header = [("Idempotency-Key", "old")];
    let first = send(a, &world.webhook, &header, "old").await;
    for n in 0..500 {
        world.webhook.deliver(b, &n.to_string()).await;
    }
    let again = send(b, &world.webhook, &header, "old").await;
    assert!(is_repeat(&again));
    assert_eq!(again["messageId"], first["messageId"]);
    let kept = world.contents().await;
    assert_eq!((kept.len(), &kept[0]), (500, &json!("0")));
}
