//! A Cluster that moves users about while they talk.

use std::time::Duration;

use serde_json::json;

use super::tour;
use crate::support::certificates::Authority;
use crate::support::client::Client;
use crate::support::cluster::RedisCluster;
use crate::support::eventually;
use crate::support::relay::{Replica, Setup};
use crate::support::traffic::{Listener, Traffic, assert_has_all, assert_in_order};

/// How often a user moves to the next master.
const MOVES: usize = 4;
const AT_ONCE: Duration = Duration::from_secs(10);

/// One user is moved from master to master while messages come in.
async fn is_moved_about(cluster: &RedisCluster, setup: &Setup) {
    let [a, b]: [Replica; 2] = setup.start_many().await;
    let client = Client::register_signed(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let listener = Listener::on(client.open(&b, "").await);
    let traffic = Traffic::start_slowly(&webhook, &[&a, &b]);
    for n in 0..MOVES {
        traffic.acknowledged_more(5).await;
        let from = cluster.node_of(&client.user_id);
        let to = cluster.nodes().iter().cycle().skip_while(|node| node.port() != from.port()).nth(1).unwrap();
        cluster.move_slot(cluster.slot_of(&client.user_id), from, to).await;
        let text = format!("after move {n}");
        eventually("a post is accepted", || async {
            (webhook.post(&a, &text).await.unwrap().status() == 200).then_some(())
        })
        .await;
        listener.hears(AT_ONCE, &text).await;
    }
    let (acknowledged, unanswered) = traffic.stop().await;
    assert_eq!(unanswered, 0);
    let messages = client.poll_all(&a).await;
    assert_in_order(&messages);
    assert_has_all(&messages, &acknowledged);
    listener.heard_all(&acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_move_all_the_time_lose_nothing() {
    let cluster = RedisCluster::start().await;
    is_moved_about(&cluster, &Setup::on(&cluster.url(), "chaos:")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_move_all_the_time_lose_nothing_while_writes_wait_for_replicas() {
    let cluster = RedisCluster::with_replicas().await;
    let setup = Setup::on(&cluster.url(), "chaos:").with("CHAOS_REDIS_WAIT_REPLICAS", "1");
    tour(&setup).await;
    is_moved_about(&cluster, &setup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_speaks_tls_with_a_private_authority_and_knows_its_clients() {
    let authority = Authority::new();
    let cluster = RedisCluster::with_tls(&authority).await;
    let setup = Setup::on(&cluster.url().replace("redis+", "rediss+"), "chaos:")
        .with("CHAOS_REDIS_CA", &authority.text("ca.pem"))
        .with("CHAOS_REDIS_CERT", &authority.text("client.pem"))
        .with("CHAOS_REDIS_KEY", &authority.text("client.key"));
    tour(&setup).await;
}
