//! The master is replaced under traffic: the relay goes on by itself with the new one, and what was
//! acknowledged is there.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::{Client, Webhook};
use crate::support::eventually_within;
use crate::support::relay::{Replica, Setup};
use crate::support::sentinel::SentinelGroup;
use crate::support::traffic::{Listener, Traffic, assert_has_all, assert_in_order};

/// By when everything is well again once there is a new master.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(10);

/// Replicas of the relay on a group, with senders and a socket that never stop.
struct Scene {
    group: SentinelGroup,
    replicas: [Replica; 2],
    client: Client,
    webhook: Webhook,
    traffic: Traffic,
    listener: Listener,
}

impl Scene {
    async fn start(copies: &str) -> Self {
        let group = SentinelGroup::start().await;
        let setup = Setup::on(&group.url(), "chaos:").with("CHAOS_REDIS_WAIT_REPLICAS", copies);
        let replicas: [Replica; 2] = setup.start_many().await;
        let [a, b] = &replicas;
        let client = Client::register_signed(a).await;
        let webhook = client.make_webhook(a, json!({})).await;
        let listener = Listener::on(client.open(b, "").await);
        let traffic = Traffic::start_slowly(&webhook, &[a, b]);
        traffic.acknowledged_more(10).await;
        Self { group, replicas, client, webhook, traffic, listener }
    }

    /// From when there is a new master, everything is well again in time.
    async fn goes_on(&self) {
        let replaced = Instant::now();
        let left = || FOLLOWED_WITHIN.saturating_sub(replaced.elapsed());
        for replica in &self.replicas {
            let text = format!("by {}, to the new master", replica.port());
            eventually_within(left(), "a post is accepted", || async {
                (self.webhook.post(replica, &text).await.ok()?.status() == 200).then_some(())
            })
            .await;
            self.listener.hears(left(), &text).await;
            eventually_within(left(), "the replica is ready", || async { replica.is_ready().await.then_some(()) })
                .await;
        }
        self.traffic.acknowledged_more(5).await;
    }

    /// Everything that was acknowledged is there, and was sent to the socket, which never closed.
    async fn has_lost_nothing(self) {
        let (acknowledged, unanswered) = self.traffic.stop().await;
        assert_eq!(unanswered, 0);
        let messages = self.client.poll_all(&self.replicas[0]).await;
        assert_in_order(&messages);
        assert_has_all(&messages, &acknowledged);
        self.listener.heard_all(&acknowledged).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_by_order_is_followed_and_loses_nothing_that_all_replicas_had() {
    let scene = Scene::start("2").await;
    let old = scene.group.master_port();
    scene.group.fail_over().await;
    scene.group.replaced(old).await;
    scene.group.is_replica(old).await;
    scene.goes_on().await;
    scene.has_lost_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_dies_for_good_is_replaced_and_nothing_acknowledged_is_lost() {
    let mut scene = Scene::start("1").await;
    let old = scene.group.master_port();
    scene.group.server_on(old).kill();
    // Until there is another, it is told that there is none.
    scene.traffic.refused_more(1).await;
    scene.group.replaced(old).await;
    scene.goes_on().await;
    scene.has_lost_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_hangs_is_replaced_and_nothing_changes_when_it_comes_back_as_a_replica() {
    let mut scene = Scene::start("1").await;
    let old = scene.group.master_port();
    scene.group.server_on(old).pause();
    scene.traffic.refused_more(1).await;
    scene.group.replaced(old).await;
    scene.goes_on().await;
    scene.group.server_on(old).resume();
    scene.group.is_replica(old).await;
    scene.goes_on().await;
    scene.has_lost_nothing().await;
}
