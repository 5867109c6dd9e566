//! Redis with two replicas and three Sentinels, whose master is replaced again and again.

use std::time::Duration;

use super::scene::{Scene, Size};
use super::watch::Fault;
use crate::support::relay::Setup;
use crate::support::sentinel::SentinelGroup;

/// By when everybody is served again once all three servers are there: the old master has to become a replica first.
const WELL_WITHIN: Duration = Duration::from_secs(20);

const ORDERED: Fault = Fault::new("a failover is ordered", WELL_WITHIN).refuses().forgets();
const HANGING: Fault = Fault::new("the master hangs, is replaced and goes on", WELL_WITHIN).refuses().forgets();
const KILLED: Fault = Fault::new("the master is killed, replaced and started again", WELL_WITHIN).refuses().forgets();

/// Each write is acknowledged when both replicas have it, so that nothing acknowledged can be lost; without one of them
/// nothing is acknowledged.
pub async fn everything(size: Size) {
    let mut group = SentinelGroup::start().await;
    let setup = Setup::on(&group.url(), "chaos:").with("CHAOS_REDIS_WAIT_REPLICAS", "2");
    let mut scene = Scene::start("The same with Sentinels, every write on three servers", setup, size).await;
    scene
        .suffers(ORDERED, async |_| {
            let old = group.master_port();
            group.fail_over().await;
            group.replaced(old).await;
            group.is_replica(old).await;
        })
        .await;
    scene
        .suffers(HANGING, async |_| {
            let old = group.master_port();
            group.server_on(old).pause();
            group.replaced(old).await;
            group.server_on(old).resume();
            group.is_replica(old).await;
        })
        .await;
    scene
        .suffers(KILLED, async |_| {
            let old = group.master_port();
            group.server_on(old).kill();
            group.replaced(old).await;
            group.server_on(old).restart();
            group.is_replica(old).await;
        })
        .await;
    scene.ends().await;
}
