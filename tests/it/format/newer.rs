//! What a newer relay of the same format adds is passed over.

use std::time::Duration;

use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::store::operator::PulseStore as _;
use chaos_relay::store::redis::{RedisStore, RedisTarget};
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use crate::delivery::fate::{becomes, listen};
use crate::delivery::line::{Fault, Line};
use crate::support::client::{Client, contents, expect};
use crate::support::platforms::deployment::Platforms;
use crate::support::redis::RedisServer;
use crate::support::relay::Setup;

/// A socket that heard nothing reads anyway after 9 seconds at the earliest.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Adds a field to a hash that must be there.
fn add_field(server: &RedisServer, key: &str) {
    assert_eq!(server.cli(&["EXISTS", key]), "1", "{key}");
    assert_eq!(server.cli(&["HSET", key, "zz", "{\"from\":\"a newer relay\"}"]), "1", "{key}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_sessions_channels_and_messages_that_are_not_known_change_nothing() {
    let server = RedisServer::start();
    let replica = Setup::on_server(&server).start().await;
    let client = Client::register_signed(&replica).await;
    let webhook = client.make_webhook(&replica, json!({"name": "before"})).await;
    let user = format!("chaos:{{{}}}", client.user_id);
    let channel = format!("{user}:channel:{}", webhook.id);
    add_field(&server, &format!("{user}:session"));
    add_field(&server, &channel);
    let add_member = "return redis.call('HSET', KEYS[1], 'd', (redis.call('HGET', KEYS[1], 'd'):gsub('^{', '{\"zz\":{\"a\":[1]},')))";
    assert_eq!(server.cli(&["EVAL", add_member, "1", &channel]), "0");
    assert!(server.cli(&["HGET", &channel, "d"]).contains("zz"));

    let mut socket = client.open(&replica, "").await;
    webhook.deliver(&replica, "hello").await;
    assert_eq!(socket.content().await, "hello");
    let path = format!("/channels/{}", webhook.id);
    let changed = expect(client.send(&replica, Method::PATCH, &path, &json!({"name": "after"})).await, 200).await;
    assert_eq!(changed["channel"]["name"], "after");
    assert_eq!(changed["channel"].get("zz"), None);
    let again = expect(client.get(&replica, "/channels").await, 200).await;
    assert_eq!(again["channels"][0]["name"], "after");
    client.reply(&replica, &webhook.id, "answer").await;
    let key = chaos_relay::domain::public_key::KeyPair::from_bytes(&client.key.as_ref().unwrap().to_bytes());
    assert_eq!(Client::register_with(&replica, key).await.api_key, client.api_key);

    // A message with one field more, and a wake that says nothing which is understood.
    let store = "local first = redis.call('XRANGE', KEYS[1], '-', '+')[1]
        local id = redis.call('GET', KEYS[2]) + 1
        redis.call('SET', KEYS[2], id)
        redis.call('XADD', KEYS[1], id .. '-0', 'd', first[2][2], 'zz', 'more')
        return redis.call('SPUBLISH', KEYS[3], '?what is this')";
    let keys = ["messages", "last", "wake"].map(|key| format!("{user}:{key}"));
    assert_eq!(server.cli(&["EVAL", store, "3", &keys[0], &keys[1], &keys[2]]), "1");
    assert_eq!(timeout(AT_ONCE, socket.content()).await.expect("at once"), "hello");
    assert_eq!(contents(&client.poll_all(&replica).await), ["hello", "hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_a_reply_that_are_not_known_do_not_keep_it_from_being_delivered() {
    let server = RedisServer::start();
    let platforms = Platforms::start().await;
    let replica = platforms.known_to(Setup::on_server(&server)).start().await;
    platforms.lead_to(&[&replica]);
    let agent = Client::register(&replica).await;
    let line = Line::open(&platforms, &agent, &replica, "telegram", 1).await;
    line.fault(Fault::TooMany(Duration::from_secs(2)), 1, None);
    let mut socket = listen(&agent, &replica).await;
    let id = line.reply(&agent, &replica, 0, "answer").await;
    assert_eq!(socket.expect("delivery").await["status"], "retrying");
    add_field(&server, &format!("chaos:{{{}}}:reply:{id}", agent.user_id));
    assert_eq!(becomes(&agent, &replica, &id, "delivered").await["attempts"], 2);
    assert_eq!(line.sent(0), ["answer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_replica_says_of_itself_is_shown_as_far_as_it_is_known() {
    let server = RedisServer::start();
    let target = RedisTarget::parse(&server.url()).unwrap();
    let store = RedisStore::new(target, "chaos:");
    let now = Timestamp::now().millis().to_string();
    let newer = json!({"zone": {"a": 1}, "host": "h", "version": "9.0.0", "uptime": 5, "sockets": 6, "draining": false, "format": 1});
    for (id, says) in [("aaaaaaaa", newer.to_string()), ("bbbbbbbb", "something else".to_owned())] {
        server.cli(&["ZADD", "chaos:{deployment}:replicas", &now, id]);
        server.cli(&["HSET", "chaos:{deployment}:replica-info", id, &says]);
    }
    let pulse = store.pulse().await.unwrap();
    let shown: Vec<_> = pulse.replicas.iter().map(|it| (it.info.id.as_str(), it.info.sockets)).collect();
    assert_eq!(shown, [("aaaaaaaa", 6)]);
}
