//! Whom the relay believes when Sentinels, or those whom they name, disagree.

use serde_json::json;

use crate::support::client::{Client, Webhook};
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::relay::{Replica, Setup};
use crate::support::sentinel_stand_in::SentinelStandIn;
use crate::support::traffic::{Listener, RECOVERED_WITHIN};
use crate::support::{eventually, eventually_within};

/// Two servers, the second a replica of the first that has all of it.
async fn pair() -> [RedisServer; 2] {
    let old = RedisServer::start();
    let port = old.port().to_string();
    let in_memory = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"];
    let new = RedisServer::with_arguments(&[&in_memory[..], &["--replicaof", "127.0.0.1", &port]].concat());
    old.is_followed_by(1).await;
    [old, new]
}

/// Makes a replica that has everything a master of its own; the old one is not told.
async fn promote(new: &RedisServer, old: &RedisServer) {
    old.is_followed_by(1).await;
    assert_eq!(new.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
}

/// A replica of the relay, and a user with a socket.
async fn start(sentinels: &[&SentinelStandIn]) -> (Replica, Webhook, Listener) {
    let hosts: Vec<_> = sentinels.iter().map(|sentinel| sentinel.host()).collect();
    start_on(&format!("redis+sentinel://{}/any", hosts.join(","))).await
}

async fn start_on(url: &str) -> (Replica, Webhook, Listener) {
    let replica = Setup::on(url, "chaos:").start().await;
    let client = Client::register(&replica).await;
    let webhook = client.make_webhook(&replica, json!({})).await;
    let listener = Listener::on(client.open(&replica, "").await);
    webhook.deliver(&replica, "before").await;
    listener.hears(RECOVERED_WITHIN, "before").await;
    (replica, webhook, listener)
}

/// Whether a server was given a message with this text.
fn has(server: &RedisServer, text: &str) -> bool {
    let keys = server.cli(&["--scan", "--pattern", "chaos:*:messages"]);
    keys.lines().any(|key| server.cli(&["XRANGE", key, "-", "+"]).contains(text))
}

/// A message reaches this server and the socket, both through connections to it.
async fn goes_to(server: &RedisServer, replica: &Replica, webhook: &Webhook, listener: &Listener, text: &str) {
    is_given(server, replica, webhook, listener, text).await;
    eventually_within(RECOVERED_WITHIN, "the socket's user is watched there", || async {
        (!server.cli(&["PUBSUB", "SHARDCHANNELS", "*:wake"]).is_empty()).then_some(())
    })
    .await;
    eventually_within(RECOVERED_WITHIN, "the replica is ready", || async { replica.is_ready().await.then_some(()) })
        .await;
}

/// A message reaches this server, and the socket.
async fn is_given(server: &RedisServer, replica: &Replica, webhook: &Webhook, listener: &Listener, text: &str) {
    eventually_within(RECOVERED_WITHIN, "a message reaches the new master", || async {
        let is_accepted = webhook.post(replica, text).await.unwrap().status() == 200;
        (is_accepted && has(server, text)).then_some(())
    })
    .await;
    listener.hears(RECOVERED_WITHIN, text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demoted_master_is_left_though_it_keeps_its_connections() {
    let [old, new] = pair().await;
    let sentinel = SentinelStandIn::naming(old.port(), 1).await;
    let (replica, webhook, listener) = start(&[&sentinel]).await;
    promote(&new, &old).await;
    assert_eq!(old.cli(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]), "OK");
    // Until a Sentinel names another there is none, and the replica says so.
    eventually("the replica is not ready", || async { (!replica.is_ready().await).then_some(()) }).await;
    sentinel.names(new.port(), 2);
    goes_to(&new, &replica, &webhook, &listener, "after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_does_not_know_that_it_was_replaced_is_left() {
    let [old, new] = pair().await;
    let sentinels = [SentinelStandIn::naming(old.port(), 1).await, SentinelStandIn::naming(old.port(), 1).await];
    let (replica, webhook, listener) = start(&[&sentinels[0], &sentinels[1]]).await;
    promote(&new, &old).await;
    // One Sentinel was cut off together with the old master, and both go on as if nothing had happened.
    sentinels[1].names(new.port(), 2);
    goes_to(&new, &replica, &webhook, &listener, "after").await;
    webhook.deliver(&replica, "from now on").await;
    listener.hears(RECOVERED_WITHIN, "from now on").await;
    assert!(has(&new, "from now on") && !has(&old, "from now on"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_that_are_silent_or_gone_disturb_nobody_as_long_as_the_master_serves() {
    let [old, new] = pair().await;
    let sentinels = [SentinelStandIn::naming(old.port(), 1).await, SentinelStandIn::naming(old.port(), 1).await];
    let (replica, webhook, listener) = start(&[&sentinels[0], &sentinels[1]]).await;
    // One is silent, the other knows: it is asked all the same.
    sentinels[0].falls_silent();
    promote(&new, &old).await;
    sentinels[1].names(new.port(), 2);
    goes_to(&new, &replica, &webhook, &listener, "by the one that speaks").await;
    // None knows any more.
    sentinels[1].falls_silent();
    for n in 0..20 {
        let text = format!("without Sentinels {n}");
        webhook.deliver(&replica, &text).await;
        listener.hears(RECOVERED_WITHIN, &text).await;
        assert!(replica.is_ready().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_one_address_that_leads_to_the_new_master_the_old_one_is_left() {
    let [old, new] = pair().await;
    let proxy = Proxy::to(old.port()).await;
    let (replica, webhook, listener) = start_on(&proxy.url()).await;
    promote(&new, &old).await;
    assert_eq!(old.cli(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]), "OK");
    proxy.leads_to(new.port());
    is_given(&new, &replica, &webhook, &listener, "after").await;
}
