//! Readiness that means it: a replica that hears no wakes leaves the balancer.

use serde_json::Value;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::redis::RedisServer;
use crate::support::relay::{Replica, Setup};

async fn readiness(replica: &Replica) -> (u16, Value) {
    let answer = reqwest::get(format!("{}/health/ready", replica.url())).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_kept_from_listening_is_not_ready_until_it_hears_again() {
    let server = RedisServer::start();
    let replica = Setup::on_server(&server).start().await;
    let client = Client::register(&replica).await;
    let hook = client.make_webhook(&replica, serde_json::json!({})).await;
    // Redis answers every call but those that listen.
    server.cli(&["ACL", "SETUSER", "default", "resetchannels"]);
    eventually("the replica is not ready", || async {
        let (status, body) = readiness(&replica).await;
        (status == 503 && body["code"] == "wakes_unavailable").then_some(())
    })
    .await;
    assert_eq!(replica.health().await["kv"], true, "the store itself answers");
    server.cli(&["ACL", "SETUSER", "default", "allchannels"]);
    eventually("the replica is ready again", || async { (readiness(&replica).await.0 == 200).then_some(()) }).await;
    let mut socket = client.open(&replica, "").await;
    hook.deliver(&replica, "heard").await;
    assert_eq!(socket.content().await, "heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_one_user_on_all_threads_of_a_replica_get_each_message_once() {
    let server = RedisServer::start();
    let replica = Setup::on_server(&server).with("WS_MAX_CONN_PER_USER", "1000").start().await;
    let client = Client::register(&replica).await;
    let hook = client.make_webhook(&replica, serde_json::json!({})).await;
    let threads = std::thread::available_parallelism().unwrap().get();
    let listening = server.cli(&["CLIENT", "LIST", "TYPE", "pubsub"]);
    assert_eq!(listening.lines().filter(|line| !line.trim().is_empty()).count(), threads, "{listening}");
    let mut sockets = Vec::new();
    // New connections are dealt to the threads in turn.
    for _ in 0..2 * threads {
        sockets.push(client.open(&replica, "").await);
    }
    assert_eq!(replica.health().await["websockets"], sockets.len());
    for text in ["one", "two"] {
        hook.deliver(&replica, text).await;
        for socket in &mut sockets {
            assert_eq!(socket.content().await, text);
        }
    }
    for socket in &mut sockets {
        socket.nothing_more().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_listeners_are_killed_hears_again_by_itself() {
    let server = RedisServer::start();
    let replica = Setup::on_server(&server).start().await;
    let client = Client::register(&replica).await;
    let hook = client.make_webhook(&replica, serde_json::json!({})).await;
    let mut socket = client.open(&replica, "").await;
    for text in ["one", "two", "three"] {
        server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        hook.deliver(&replica, text).await;
        assert_eq!(socket.content().await, text);
    }
    eventually("the replica is ready", || async { (readiness(&replica).await.0 == 200).then_some(()) }).await;
}
