//! Rate limits: the last request that is allowed, the first that is not, and who is counted for what.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::client::{Client, Webhook, expect};
use crate::support::relay::{Replica, Setup};

/// A number in a header.
fn number(answer: &Response, name: &str) -> u64 {
    let value = answer.headers().get(name).unwrap_or_else(|| panic!("{name} in {:?}", answer.headers()));
    value.to_str().unwrap().parse().unwrap()
}

/// Makes sure that an answer is the refusal of a limit; gives the seconds after which to come again.
async fn refused(answer: Response, count: u64, window: u64) -> u64 {
    assert_eq!(answer.status(), 429);
    assert_eq!((number(&answer, "RateLimit-Limit"), number(&answer, "RateLimit-Remaining")), (count, 0));
    let (reset, retry) = (number(&answer, "RateLimit-Reset"), number(&answer, "Retry-After"));
    assert!((1..=window).contains(&reset) && reset == retry, "reset {reset}, retry {retry}");
    let body = expect(answer, 429).await;
    assert_eq!(body["code"], "rate_limited");
    assert!(body["error"].as_str().unwrap().contains("too many requests"), "{body}");
    retry
}

/// Makes sure that an answer is no refusal and says that so many more are allowed.
fn passed(answer: &Response, count: u64, remaining: u64, window: u64) {
    assert!(answer.status().is_success(), "{}", answer.status());
    assert_eq!((number(answer, "RateLimit-Limit"), number(answer, "RateLimit-Remaining")), (count, remaining));
    assert!((1..=window).contains(&number(answer, "RateLimit-Reset")), "{:?}", answer.headers());
}

/// Makes sure that exactly `count` requests pass and the following do not, counted over both replicas.
async fn exactly(replicas: &[Replica; 2], count: u64, window: u64, ask: impl AsyncFn(&Replica) -> Response) {
    let mut turn = replicas.iter().cycle();
    for n in 1..=count {
        passed(&ask(turn.next().unwrap()).await, count, count - n, window);
    }
    for _ in 0..2 {
        refused(ask(turn.next().unwrap()).await, count, window).await;
    }
}

async fn two(name: &str, limit: &str) -> [Replica; 2] {
    Setup::on_redis().with(name, limit).start_many().await
}

async fn register(replica: &Replica, forwarded: Option<&str>) -> Response {
    let mut request = reqwest::Client::new().post(format!("{}/auth/register", replica.url()));
    if let Some(forwarded) = forwarded {
        request = request.header("X-Forwarded-For", forwarded);
    }
    request.send().await.unwrap()
}

async fn reply(client: &Client, replica: &Replica, channel: &str) -> Response {
    client.post(replica, "/reply", &json!({"channelId": channel, "content": "x"})).await
}

async fn responses(replica: &Replica, channel: &str) -> Response {
    reqwest::get(format!("{}/responses/{channel}", replica.url())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_are_counted_by_client_address() {
    let replicas = two("CHAOS_RATE_REGISTER", "3/1h").await;
    exactly(&replicas, 3, 3600, async |replica| register(replica, None).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_counted_by_channel() {
    let replicas = two("CHAOS_RATE_WEBHOOK", "4/1m").await;
    let client = Client::register(&replicas[0]).await;
    let full = client.make_webhook(&replicas[0], json!({})).await;
    let other = client.make_webhook(&replicas[0], json!({})).await;
    exactly(&replicas, 4, 60, async |replica| full.post(replica, "x").await.unwrap()).await;
    passed(&other.post(&replicas[0], "x").await.unwrap(), 4, 3, 60);
    assert_eq!(client.poll_all(&replicas[1]).await.len(), 5, "what was refused is not stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_are_counted_by_session() {
    let replicas = two("CHAOS_RATE_MESSAGES", "3/1m").await;
    let client = Client::register_signed(&replicas[0]).await;
    exactly(&replicas, 3, 60, async |replica| client.get(replica, "/messages").await).await;
    let other = Client::register(&replicas[0]).await;
    passed(&other.get(&replicas[0], "/messages").await, 3, 2, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_of_responses_are_counted_by_channel() {
    let replicas = two("CHAOS_RATE_RESPONSES", "3/1m").await;
    let client = Client::register(&replicas[0]).await;
    let full = client.make_webhook(&replicas[0], json!({})).await;
    let other = client.make_webhook(&replicas[0], json!({})).await;
    exactly(&replicas, 3, 60, async |replica| responses(replica, &full.id).await).await;
    passed(&responses(&replicas[1], &other.id).await, 3, 2, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_are_counted_by_session_whatever_their_channel() {
    let replicas = two("CHAOS_RATE_REPLY", "4/1m").await;
    let client = Client::register(&replicas[0]).await;
    let channels =
        [client.make_webhook(&replicas[0], json!({})).await, client.make_webhook(&replicas[0], json!({})).await];
    let turn = std::sync::Mutex::new(channels.iter().cycle());
    exactly(&replicas, 4, 60, async |replica| {
        let channel = turn.lock().unwrap().next().unwrap();
        reply(&client, replica, &channel.id).await
    })
    .await;
    let other = Client::register(&replicas[0]).await;
    let webhook = other.make_webhook(&replicas[0], json!({})).await;
    passed(&reply(&other, &replicas[1], &webhook.id).await, 4, 3, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_over_sockets_and_http_share_one_limit() {
    let replicas = two("CHAOS_RATE_REPLY", "4/1m").await;
    let client = Client::register(&replicas[0]).await;
    let webhook = client.make_webhook(&replicas[0], json!({})).await;
    let mut sockets = [client.open(&replicas[0], "").await, client.open(&replicas[1], "").await];
    let frame = json!({"type": "reply", "channelId": webhook.id, "content": "x", "requestId": "r"});
    passed(&reply(&client, &replicas[0], &webhook.id).await, 4, 3, 60);
    for socket in &mut sockets {
        socket.send(&frame).await;
        socket.expect("reply_ack").await;
    }
    passed(&reply(&client, &replicas[1], &webhook.id).await, 4, 0, 60);
    for socket in &mut sockets {
        socket.send(&frame).await;
        let error = socket.expect("error").await;
        assert_eq!((&error["code"], &error["requestId"]), (&json!("rate_limited"), &json!("r")), "{error}");
        socket.nothing_more().await;
    }
    refused(reply(&client, &replicas[0], &webhook.id).await, 4, 60).await;
    let stored = expect(responses(&replicas[0], &webhook.id).await, 200).await;
    assert_eq!(stored["responses"].as_array().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn channel_creations_are_counted_by_session() {
    let replicas = two("CHAOS_RATE_CHANNELS", "3/1h").await;
    let client = Client::register_signed(&replicas[0]).await;
    exactly(&replicas, 3, 3600, async |replica| client.post(replica, "/channels", &json!({"id": "one"})).await).await;
    // Neither looking, changing nor deleting is creating.
    for _ in 0..4 {
        expect(client.get(&replicas[0], "/channels").await, 200).await;
        expect(client.send(&replicas[1], Method::PATCH, "/channels/one", &json!({})).await, 200).await;
    }
    expect(client.send(&replicas[0], Method::DELETE, "/channels/one", &json!({})).await, 200).await;
    let other = Client::register(&replicas[0]).await;
    passed(&other.post(&replicas[1], "/channels", &json!({})).await, 3, 2, 3600);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_at_once_exactly_as_many_pass_as_may() {
    let replicas = two("CHAOS_RATE_WEBHOOK", "10/1m").await;
    let client = Client::register(&replicas[0]).await;
    let webhook = client.make_webhook(&replicas[0], json!({})).await;
    let answers = join_all((0..40).map(|n| webhook.post(&replicas[n % 2], "x"))).await;
    let mut statuses: Vec<u16> = answers.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 10].as_slice(), &[429; 30]].concat());
    assert_eq!(client.poll_all(&replicas[0]).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_ends_when_it_was_announced_to_and_refusals_do_not_make_it_longer() {
    let replicas = two("CHAOS_RATE_WEBHOOK", "3/4s").await;
    let client = Client::register(&replicas[0]).await;
    let webhook = client.make_webhook(&replicas[0], json!({})).await;
    for remaining in [2, 1, 0] {
        passed(&webhook.post(&replicas[0], "x").await.unwrap(), 3, remaining, 4);
    }
    let first = refused(webhook.post(&replicas[1], "x").await.unwrap(), 3, 4).await;
    tokio::time::sleep(Duration::from_secs(first / 2)).await;
    let last = refused(webhook.post(&replicas[1], "x").await.unwrap(), 3, 4).await;
    assert!(last < first, "the refusal in between did not start the window anew");
    tokio::time::sleep(Duration::from_secs(last)).await;
    passed(&webhook.post(&replicas[1], "x").await.unwrap(), 3, 2, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_its_token_or_signature_does_not_count() {
    let setup = Setup::on_redis();
    let names = [
        "CHAOS_RATE_WEBHOOK",
        "CHAOS_RATE_MESSAGES",
        "CHAOS_RATE_RESPONSES",
        "CHAOS_RATE_REPLY",
        "CHAOS_RATE_CHANNELS",
    ];
    let replica = names.into_iter().fold(setup, |setup, name| setup.with(name, "2/1m")).start().await;
    let client = Client::register_signed(&replica).await;
    let webhook = client.make_webhook(&replica, json!({})).await;
    let wrong = Webhook { secret: "wrong".to_owned(), ..webhook.clone() };
    let mut unsigned = Client::register_with(&replica, Some(same_key(&client))).await;
    unsigned.key = None;
    for _ in 0..5 {
        expect(wrong.post(&replica, "x").await.unwrap(), 401).await;
        expect(reqwest::get(format!("{}/responses/{}?token=x", replica.url(), webhook.id)).await.unwrap(), 401).await;
        expect(unsigned.get(&replica, "/messages").await, 401).await;
        expect(reply(&unsigned, &replica, &webhook.id).await, 401).await;
        expect(unsigned.post(&replica, "/channels", &json!({})).await, 401).await;
    }
    // A nonce that was used before is a wrong signature too.
    let used = client.request(&replica, Method::GET, "/messages", b"").build().unwrap();
    let http = reqwest::Client::new();
    passed(&http.execute(used.try_clone().unwrap()).await.unwrap(), 2, 1, 60);
    for _ in 0..3 {
        expect(http.execute(used.try_clone().unwrap()).await.unwrap(), 401).await;
    }
    passed(&client.get(&replica, "/messages").await, 2, 0, 60);
    passed(&webhook.post(&replica, "x").await.unwrap(), 2, 1, 60);
    passed(&responses(&replica, &webhook.id).await, 2, 1, 60);
    passed(&reply(&client, &replica, &webhook.id).await, 2, 1, 60);
    passed(&client.post(&replica, "/channels", &json!({})).await, 2, 0, 60);
}

fn same_key(client: &Client) -> chaos_relay::domain::public_key::KeyPair {
    let bytes = client.key.as_ref().unwrap().to_bytes();
    chaos_relay::domain::public_key::KeyPair::from_bytes(&bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_what_it_says_counts() {
    let setup = Setup::on_redis();
    let names = ["CHAOS_RATE_MESSAGES", "CHAOS_RATE_REPLY", "CHAOS_RATE_CHANNELS", "CHAOS_RATE_WEBHOOK"];
    let replica = names.into_iter().fold(setup, |setup, name| setup.with(name, "3/1m")).start().await;
    let client = Client::register(&replica).await;
    let disabled = client.make_webhook(&replica, json!({"enabled": false})).await;
    for _ in 0..3 {
        expect(client.get(&replica, "/messages?since=x").await, 400).await;
        expect(disabled.post(&replica, "x").await.unwrap(), 403).await;
    }
    for body in [json!({}), json!({"channelId": "not-there", "content": "x"}), json!([])] {
        let status = if body["channelId"].is_null() { 400 } else { 404 };
        expect(client.post(&replica, "/reply", &body).await, status).await;
    }
    for body in [json!({"id": "a b"}), json!([])] {
        expect(client.post(&replica, "/channels", &body).await, 400).await;
    }
    refused(client.get(&replica, "/messages").await, 3, 60).await;
    refused(reply(&client, &replica, &disabled.id).await, 3, 60).await;
    refused(client.post(&replica, "/channels", &json!({})).await, 3, 60).await;
    refused(disabled.post(&replica, "x").await.unwrap(), 3, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_count_even_when_they_are_refused() {
    let replica = Setup::on_redis().with("CHAOS_RATE_REGISTER", "3/1h").start().await;
    let http = reqwest::Client::new();
    let send = |body: &'static str| http.post(format!("{}/auth/register", replica.url())).body(body).send();
    expect(send("nonsense").await.unwrap(), 400).await;
    expect(send(r#"{"publicKey":{"kty":"RSA"}}"#).await.unwrap(), 400).await;
    passed(&send("").await.unwrap(), 3, 0, 3600);
    refused(send("").await.unwrap(), 3, 3600).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_count_though_they_are_stored_once() {
    let replicas = two("CHAOS_RATE_WEBHOOK", "3/1m").await;
    let client = Client::register(&replicas[0]).await;
    let webhook = client.make_webhook(&replicas[0], json!({})).await;
    let http = reqwest::Client::new();
    exactly(&replicas, 3, 60, async |replica| {
        let request =
            http.post(format!("{}{}", replica.url(), webhook.path())).header("Idempotency-Key", "k").body("once");
        request.send().await.unwrap()
    })
    .await;
    assert_eq!(client.poll_all(&replicas[1]).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_settings_the_limits_are_those_of_the_contract() {
    let mut setup = Setup::on_redis();
    for name in ["REGISTER", "WEBHOOK", "MESSAGES", "RESPONSES", "REPLY", "CHANNELS"] {
        setup = setup.without(&format!("CHAOS_RATE_{name}"));
    }
    let replica = setup.start().await;
    passed(&register(&replica, None).await, 5, 4, 3600);
    let client = Client::register(&replica).await;
    let creation = client.post(&replica, "/channels", &json!({})).await;
    passed(&creation, 10, 9, 3600);
    assert!(number(&creation, "RateLimit-Reset") > 60, "an hour, not a minute");
    let channel: Value = expect(creation, 201).await["channel"].clone();
    let secret = channel["metadata"]["webhookSecret"].as_str().unwrap().to_owned();
    let webhook = Webhook { id: channel["id"].as_str().unwrap().to_owned(), secret };
    passed(&webhook.post(&replica, "x").await.unwrap(), 60, 59, 60);
    passed(&client.get(&replica, "/messages").await, 120, 119, 60);
    passed(&responses(&replica, &webhook.id).await, 120, 119, 60);
    passed(&reply(&client, &replica, &webhook.id).await, 30, 29, 60);
    let last = register(&replica, None).await;
    passed(&last, 5, 2, 3600);
    assert!(number(&last, "RateLimit-Reset") > 60, "an hour, not a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_choose_its_address() {
    for proxies in ["", "10.0.0.0/8,192.0.2.7"] {
        let setup = Setup::on_redis().with("CHAOS_RATE_REGISTER", "2/1h").with("CHAOS_TRUSTED_PROXIES", proxies);
        let replica = setup.start().await;
        passed(&register(&replica, Some("198.51.100.1")).await, 2, 1, 3600);
        passed(&register(&replica, Some("198.51.100.2")).await, 2, 0, 3600);
        refused(register(&replica, Some("198.51.100.3")).await, 2, 3600).await;
        refused(register(&replica, None).await, 2, 3600).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_each_client_has_its_own_limit() {
    let setup = Setup::on_redis().with("CHAOS_RATE_REGISTER", "4/1h");
    let replicas: [Replica; 2] = setup.with("CHAOS_TRUSTED_PROXIES", "127.0.0.0/8, 10.0.0.0/8").start_many().await;
    let [a, b] = &replicas;
    // All of one client: what stands left of it in the list is its own invention, what stands right are proxies.
    passed(&register(a, Some("198.51.100.1")).await, 4, 3, 3600);
    passed(&register(b, Some("203.0.113.9, 198.51.100.1")).await, 4, 2, 3600);
    passed(&register(a, Some("nonsense,198.51.100.1 , 10.1.2.3")).await, 4, 1, 3600);
    passed(&register(b, Some("::ffff:198.51.100.1")).await, 4, 0, 3600);
    refused(register(a, Some("127.0.0.1, 198.51.100.1, 10.9.9.9, 127.0.0.1")).await, 4, 3600).await;
    // Others.
    passed(&register(a, Some("203.0.113.9")).await, 4, 3, 3600);
    passed(&register(b, Some("198.51.100.1, 2001:db8::1")).await, 4, 3, 3600);
    // The proxy itself.
    passed(&register(a, None).await, 4, 3, 3600);
    passed(&register(b, Some("198.51.100.1, nonsense")).await, 4, 2, 3600);
}
