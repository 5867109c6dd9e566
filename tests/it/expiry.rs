//! Nothing stays in Redis for ever, and nothing grows without a bound.

use serde_json::json;

use std::sync::Arc;

use chaos_relay::store::redis::{RedisStore, RedisTarget};
use chaos_relay::store::{Holder, RENEW_AFTER_MS, SESSION_LIFE_MS, Store};

use crate::store::bot::{Bot, delivered, failed, retry};
use crate::support::client::{Client, expect, signature};
use crate::support::redis::RedisServer;
use crate::support::relay::Setup;

/// The keys that live for ever: there is one of each in a deployment.
const FOR_EVER: [&str; 2] = ["chaos:deployment-key", "chaos:{deployment}:format"];
/// Longest life of any other, in milliseconds: 92 days.
const LONGEST: i64 = 92 * 24 * 60 * 60 * 1000;

#[tokio::test(flavor = "multi_thread")]
async fn every_key_has_an_end() {
    let server = RedisServer::start();
    let relay = Setup::on_server(&server).start().await;
    let client = Client::register_signed(&relay).await;
    let webhook = client.make_webhook(&relay, json!({})).await;
    let mut socket = client.open(&relay, "").await;
    let url = format!("{}{}", relay.url(), webhook.path());
    let posted = reqwest::Client::new().post(url).header("Idempotency-Key", "k").body("x").send().await.unwrap();
    expect(posted, 200).await;
    socket.message().await;
    client.reply(&relay, &webhook.id, "y").await;
    client.poll(&relay, "").await;
    expect(reqwest::get(format!("{}/responses/{}", relay.url(), webhook.id)).await.unwrap(), 200).await;
    reqwest::get(format!("{}/health?deep=1", relay.url())).await.unwrap();
    // A claim for an id that somebody else has must not stay either.
    let other = Client::register(&relay).await;
    expect(other.post(&relay, "/channels", &json!({"id": webhook.id})).await, 409).await;

    let keys = server.cli(&["--scan"]);
    let keys: Vec<_> = keys.lines().collect();
    let lists = ["{directory}:seen", "{directory}:created", "{directory}:names", "{directory}:of:"];
    for kind in
        ["session", "channels", "channel:", "messages", "last", "responses", "nonce", "once", "reply", "sockets"]
            .iter()
            .chain(&lists)
    {
        assert!(keys.iter().any(|key| key.contains(kind)), "no key of {kind} in {keys:?}");
    }
    assert_all_end(&server, &keys);
}

fn assert_all_end(server: &RedisServer, keys: &[&str]) {
    for key in keys.iter().filter(|key| !FOR_EVER.contains(key)) {
        let life: i64 = server.cli(&["PTTL", key]).parse().unwrap();
        assert!((1..=LONGEST).contains(&life), "{key} lives {life} ms");
    }
}

/// The store's own records of platforms, without a platform.
fn store(server: &RedisServer) -> Arc<dyn Store> {
    Arc::new(RedisStore::new(RedisTarget::parse(&server.url()).unwrap(), "chaos:"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_of_a_conversation_has_an_end() {
    const HOUR: i64 = 60 * 60 * 1000;
    let server = RedisServer::start();
    let store = store(&server);
    let bot = Bot::new(&store).await;
    let holder = Holder { user: bot.session.user, channel: bot.id.clone() };
    store.hold_identity("telegram:1", &holder, true).await.unwrap();
    bot.is_asked("a").await;
    bot.is_asked("a").await;
    let [arrived, lost, retried] =
        [bot.replies("a", "1").await, bot.replies("a", "2").await, bot.replies("a", "3").await];
    assert!(bot.settle(&bot.takes().await, delivered(0)).await);
    assert!(bot.settle(&bot.takes().await, failed("x")).await);
    assert!(bot.settle(&bot.takes().await, retry(0, "half")).await);
    let due = store.claim_due(bot.due().kind, 60_000, 1).await.unwrap().remove(0);
    store.release_due(&due, Some(1_000)).await.unwrap();
    let waiting = bot.replies("a", "4").await;
    bot.is_asked("b").await;

    let listed = server.cli(&["--scan"]);
    let keys: Vec<_> = listed.lines().collect();
    let kinds = ["conversations:", "newest:", "origin:", "questions:", "queues:", "queue:", "identity:", "reply:"];
    let lists =
        ["}:due", "}:pending", "}:retrying", "}:failed", "}:places"].map(|list| format!("{{outbox:telegram{list}"));
    let lists = lists.iter().map(String::as_str);
    for kind in kinds.into_iter().chain(["responses:", "responses-last:"]).chain(lists) {
        assert!(keys.iter().any(|key| key.contains(kind)), "no key of {kind} in {keys:?}");
    }
    assert_all_end(&server, &keys);
    for (reply, hours) in [(arrived, 24), (lost, 7 * 24), (retried, 25), (waiting, 25)] {
        let key = format!("chaos:{{{}}}:reply:{reply}", bot.session.user);
        let life: i64 = server.cli(&["PTTL", &key]).parse().unwrap();
        assert!((hours * HOUR - 60_000..=hours * HOUR).contains(&life), "{life} ms of {hours} h");
    }

    // A channel takes its records along. What was answered or said lives its short life out.
    bot.is_deleted().await;
    let listed = server.cli(&["--scan"]);
    let keys: Vec<_> = listed.lines().collect();
    let own: Vec<_> = keys.iter().filter(|key| key.contains(bot.id.as_str())).collect();
    assert!(own.iter().all(|key| key.contains(":origin:")), "{own:?}");
    assert_all_end(&server, &keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_of_a_session_in_use_stays_with_its_channel() {
    let server = RedisServer::start();
    let store = store(&server);
    let bot = Bot::new(&store).await;
    let name = bot.channel().connection.unwrap().identity();
    let holder = Holder { user: bot.session.user, channel: bot.id.clone() };
    store.hold_identity(&name, &holder, false).await.unwrap();
    store.hold_identity("telegram:former", &holder, false).await.unwrap();
    for name in [name.as_str(), "telegram:former"] {
        assert_eq!(server.cli(&["PEXPIRE", &format!("chaos:identity:{name}"), "60000"]), "1");
    }
    // As if it had been given its life some time ago.
    let (session, left) = (format!("chaos:{{{}}}:session", bot.session.user), SESSION_LIFE_MS - RENEW_AFTER_MS);
    assert_eq!(server.cli(&["PEXPIRE", &session, &left.to_string()]), "1");
    store.touch_session(&bot.session.user).await.unwrap();
    let life = |name: &str| server.cli(&["PTTL", &format!("chaos:identity:{name}")]).parse::<i64>().unwrap();
    assert!(life(&name) > 80 * 24 * 60 * 60 * 1000);
    assert!(life("telegram:former") <= 60_000, "a name that it had before runs out");
    assert_eq!(store.hold_identity("telegram:former", &holder, false).await.unwrap(), Some(holder));
    assert!(life("telegram:former") > 80 * 24 * 60 * 60 * 1000, "unless it is held anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_in_use_lives_on_with_all_it_owns() {
    let server = RedisServer::start();
    let relay = Setup::on_server(&server).start().await;
    let client = Client::register_signed(&relay).await;
    let webhook = client.make_webhook(&relay, json!({})).await;
    let session = format!("chaos:{{{}}}:session", client.user_id);
    let keys: Vec<String> = server
        .cli(&["--scan"])
        .lines()
        // What is the whole deployment's has a life of its own.
        .filter(|key| !["nonce", "limit", "{deployment}", "deployment-key"].iter().any(|other| key.contains(other)))
        .map(str::to_owned)
        .collect();
    // As if it had been used last a week ago, and were to end in a minute.
    server.cli(&["HSET", &session, "n", "1"]);
    for key in &keys {
        server.cli(&["PEXPIRE", key, "60000"]);
    }
    client.poll(&relay, "").await;
    crate::support::eventually("everything lives on", || async {
        let lives = keys.iter().map(|key| server.cli(&["PTTL", key]).parse::<i64>().unwrap());
        lives.min().filter(|shortest| *shortest > 80 * 24 * 60 * 60 * 1000)
    })
    .await;
    webhook.deliver(&relay, "still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_is_gone_for_its_sockets_and_requests() {
    let server = RedisServer::start();
    let relay = Setup::on_server(&server).start().await;
    let client = Client::register_signed(&relay).await;
    let mut socket = client.open(&relay, "").await;
    server.cli(&["DEL", &format!("chaos:{{{}}}:session", client.user_id)]);
    // The socket learns it at its next renewal.
    assert_eq!(socket.closed().await, 1008);
    expect(client.get(&relay, "/messages").await, 401).await;
    // The same key registers anew, as the same user.
    let key = client.key.as_ref().unwrap();
    let again = reqwest::Client::new()
        .post(format!("{}/auth/register", relay.url()))
        .json(&json!({"publicKey": key.public().to_jwk()}))
        .send()
        .await
        .unwrap();
    let again = expect(again, 200).await;
    assert_eq!(again["userId"], json!(client.user_id));
    assert_ne!(again["apiKey"], json!(client.api_key));
    crate::support::secrets::note(again["apiKey"].as_str().unwrap());
    let mut request =
        reqwest::Client::new().get(format!("{}/messages", relay.url())).bearer_auth(again["apiKey"].as_str().unwrap());
    for (name, value) in signature(key, "/messages", b"") {
        request = request.header(name, value);
    }
    expect(request.send().await.unwrap(), 200).await;
}
