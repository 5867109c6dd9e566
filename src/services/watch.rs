//! What a replica shows to those who watch it by its metrics.

use std::time::Duration;

use futures_util::future::join_all;

use super::Relay;
use crate::domain::channel::ChannelKind;
use crate::hub::Echo;
use crate::store::operator::DeliveryState;
use crate::telemetry::metrics::{OutboxDepth, Snapshot};

impl Relay {
    /// The metrics as text; `None` where nothing is counted. Without the store, what only the store knows is as it was
    /// when it was last asked.
    pub async fn metrics(&self) -> Option<String> {
        let shared = &self.shared;
        if !shared.metrics.is_counted() {
            return None;
        }
        let store_is_up = shared.store_health.is_reachable();
        let platforms = ChannelKind::PLATFORMS.into_iter().filter(|_| store_is_up);
        let depths = join_all(platforms.map(async |platform| {
            let counts = self.store.delivery_counts(platform).await.ok()?;
            let replies = [
                (DeliveryState::Pending.as_str(), counts.pending),
                (DeliveryState::Retrying.as_str(), counts.retrying),
                (DeliveryState::Failed.as_str(), counts.failed),
            ];
            Some(OutboxDepth { platform, replies, overdue: Duration::from_millis(counts.overdue) })
        }));
        let outbox = depths.await.into_iter().flatten().collect();
        shared.metrics.render(&Snapshot {
            sockets: shared.hubs.sockets() as u64,
            store_is_up,
            is_draining: shared.shutdown.is_draining(),
            pubsub_round_trip: match shared.hubs.echo() {
                Echo::Heard(time) => Some(time),
                Echo::Awaited | Echo::Lost => None,
            },
            outbox,
        })
    }
}
