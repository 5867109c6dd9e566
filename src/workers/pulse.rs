//! Heartbeats: tells the store that this replica is alive, and what was counted on it.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::services::Relay;
use crate::store::StoreError;
use crate::store::operator::{Beat, ReplicaInfo};

/// How often a replica is heard of at least: many heartbeats may get lost before it counts as gone, and each costs
/// the store one call.
const EVERY: Duration = Duration::from_secs(1);
/// How often is looked whether there is news, which is told at once. News waits to be looked for rather than to wake
/// this task, so that counting costs a request nothing but the counting.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long a replica that ends may take to tell what is left and to strike itself off. One that does not come
/// through lapses by itself.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs until the replica stops. Then it tells what is left and strikes the replica off.
pub async fn run(relay: Relay) {
    let mut heart = Heart { relay: relay.clone(), told: None, due: Instant::now() };
    loop {
        heart.turn().await;
        if !relay.shared.shutdown.sleep(LOOK_EVERY).await {
            break;
        }
    }
    if relay.shared.store_health.is_reachable() && timeout(LEAVE_TIMEOUT, heart.stop()).await.is_err() {
        tracing::debug!("taking leave of the store took too long; the replica lapses by itself");
    }
}

struct Heart {
    relay: Relay,
    /// What the store was told last: sockets, and whether the replica drains. `None` when that failed: nothing counts
    /// as news then.
    told: Option<(u64, bool)>,
    /// When it is told again in any case.
    due: Instant,
}

impl Heart {
    async fn turn(&mut self) {
        let info = self.describe();
        let state = (info.sockets, info.is_draining);
        let has_news = self.told.is_some_and(|told| told != state || !self.relay.shared.tally.is_empty());
        if !has_news && Instant::now() < self.due {
            return;
        }
        self.due = Instant::now() + EVERY;
        self.told = None;
        if !self.relay.shared.store_health.is_reachable() {
            return;
        }
        match self.beat(&info).await {
            Ok(()) => self.told = Some(state),
            Err(error) => tracing::debug!(%error, "a heartbeat failed; its counts go with the next"),
        }
    }

    fn describe(&self) -> ReplicaInfo {
        let shared = &self.relay.shared;
        ReplicaInfo {
            id: shared.replica_name().to_string(),
            host: shared.host_name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: u64::try_from(shared.uptime().as_millis()).unwrap_or(u64::MAX),
            sockets: shared.hubs.sockets() as u64,
            is_draining: shared.shutdown.is_draining(),
        }
    }

    async fn beat(&self, info: &ReplicaInfo) -> Result<(), StoreError> {
        let tally = &self.relay.shared.tally;
        let taken = tally.take();
        let beat = Beat { replica: info, counts: taken.counts, recent: &taken.recent };
        let answer = self.relay.store.beat(&beat).await;
        if answer.is_err() {
            tally.give_back(taken);
        }
        answer
    }

    async fn stop(&self) {
        let Relay { shared, store } = &self.relay;
        if !shared.tally.is_empty()
            && let Err(error) = self.beat(&self.describe()).await
        {
            tracing::debug!(%error, "what was counted last is lost");
        }
        if let Err(error) = store.retire(shared.replica_name()).await {
            tracing::debug!(%error, "the replica was not struck off; it lapses by itself");
        }
    }
}
