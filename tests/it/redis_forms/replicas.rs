//! Writes that wait until replicas of Redis have them.

use std::time::Instant;

use reqwest::Method;
use serde_json::json;

use crate::support::client::{Client, contents, expect};
use crate::support::eventually;
use crate::support::redis::RedisServer;
use crate::support::relay::Setup;
use crate::support::traffic::assert_refused;

const IN_MEMORY: [&str; 4] = ["--save", "", "--appendonly", "no"];

fn replica_of(master: &RedisServer) -> RedisServer {
    let port = master.port().to_string();
    let arguments = ["--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", &port];
    RedisServer::with_arguments(&[&IN_MEMORY[..], &arguments].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_on_the_replica_and_without_one_nothing_is() {
    let master = RedisServer::with_arguments(&IN_MEMORY);
    let follower = replica_of(&master);
    master.is_followed_by(1).await;
    let relay = Setup::on_server(&master).with("CHAOS_REDIS_WAIT_REPLICAS", "1").start().await;
    let client = Client::register_signed(&relay).await;
    let webhook = client.make_webhook(&relay, json!({})).await;
    let mut socket = client.open(&relay, "").await;
    let posts = (0..64).map(|n| {
        let (webhook, relay) = (&webhook, &relay);
        async move { webhook.deliver(relay, &format!("{n}")).await }
    });
    futures_util::future::join_all(posts).await;
    let key = format!("chaos:{{{}}}:messages", client.user_id);
    assert_eq!(follower.cli(&["XLEN", &key]), "64");
    for _ in 0..64 {
        socket.message().await;
    }

    // A replica of Redis that hangs is as good as none. What only reads goes on.
    follower.pause();
    let began = Instant::now();
    assert_refused(webhook.post(&relay, "not kept").await.unwrap(), began).await;
    let reply = json!({"channelId": webhook.id, "content": "not kept"});
    let register = reqwest::Client::new().post(format!("{}/auth/register", relay.url())).send();
    assert_refused(client.post(&relay, "/reply", &reply).await, Instant::now()).await;
    assert_refused(client.post(&relay, "/channels", &json!({})).await, Instant::now()).await;
    let path = format!("/channels/{}", webhook.id);
    let renamed = json!({"name": "not kept"});
    assert_refused(client.send(&relay, Method::PATCH, &path, &renamed).await, Instant::now()).await;
    assert_refused(register.await.unwrap(), Instant::now()).await;
    expect(client.get(&relay, "/channels").await, 200).await;
    assert!(relay.is_ready().await);

    follower.resume();
    eventually("posts are accepted again", || async {
        (webhook.post(&relay, "kept").await.unwrap().status() == 200).then_some(())
    })
    .await;
    assert!(contents(&client.poll_all(&relay).await).contains(&"kept"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_of_what_was_refused_is_acknowledged_only_when_the_first_is_safe() {
    let master = RedisServer::with_arguments(&IN_MEMORY);
    let mut follower = replica_of(&master);
    master.is_followed_by(1).await;
    let relay = Setup::on_server(&master).with("CHAOS_REDIS_WAIT_REPLICAS", "1").start().await;
    let client = Client::register(&relay).await;
    let webhook = client.make_webhook(&relay, json!({})).await;
    let post = || {
        let post = reqwest::Client::new().post(format!("{}{}", relay.url(), webhook.path()));
        post.header("Idempotency-Key", "once").body("once").send()
    };
    follower.kill();
    master.is_followed_by(0).await;
    for _ in 0..2 {
        assert_refused(post().await.unwrap(), Instant::now()).await;
    }
    let _follower = replica_of(&master);
    master.is_followed_by(1).await;
    let answer = eventually("the repeat is acknowledged", || async {
        let answer = post().await.unwrap();
        (answer.status() == 200).then_some(answer)
    })
    .await;
    assert_eq!(expect(answer, 200).await["duplicate"], true);
    assert_eq!(contents(&client.poll_all(&relay).await), ["once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_redis_forgot_are_given_to_it_again() {
    let master = RedisServer::with_arguments(&IN_MEMORY);
    let _follower = replica_of(&master);
    master.is_followed_by(1).await;
    let relay = Setup::on_server(&master).with("CHAOS_REDIS_WAIT_REPLICAS", "1").start().await;
    let client = Client::register(&relay).await;
    let webhook = client.make_webhook(&relay, json!({})).await;
    for text in ["first", "second"] {
        assert_eq!(master.cli(&["SCRIPT", "FLUSH"]), "OK");
        webhook.deliver(&relay, text).await;
    }
    assert_eq!(contents(&client.poll_all(&relay).await), ["first", "second"]);
}
