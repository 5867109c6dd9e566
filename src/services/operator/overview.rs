//! The state of the whole deployment.

use std::time::{Duration, Instant};

use crate::services::Relay;
use crate::services::error::Error;
use crate::store::operator::{DeliveryCounts, HistoryEntry, Pulse, RecentPointer};

/// What an operator sees first.
pub struct Overview {
    /// Replicas, minutes, what came last, and how many sessions there are.
    pub pulse: Pulse,
    /// Replies that are not delivered.
    pub deliveries: DeliveryCounts,
    /// What came last and is still there, newest first.
    pub recent: Vec<Recent>,
    /// `redis` or `embedded`.
    pub store: &'static str,
    /// How long the store took for all this.
    pub store_time: Duration,
    /// Open WebSockets of all replicas.
    pub sockets: u64,
    /// The replica that answers, as [`crate::store::operator::ReplicaInfo::id`].
    pub replica: String,
    /// Time since its start.
    pub uptime: Duration,
}

/// A message or a reply that came lately.
pub struct Recent {
    /// Whose it is, and where.
    pub pointer: RecentPointer,
    /// What it says.
    pub entry: HistoryEntry,
}

impl Relay {
    /// Reads the state of the deployment.
    pub async fn overview(&self) -> Result<Overview, Error> {
        let asked = Instant::now();
        let pulse = async { self.store.pulse().await.map_err(Error::from) };
        let (pulse, deliveries) = tokio::try_join!(pulse, self.delivery_counts())?;
        let entries = self.store.entries(&pulse.recent).await?;
        let store_time = asked.elapsed();
        let recent = pulse.recent.iter().cloned().zip(entries);
        let recent = recent.filter_map(|(pointer, entry)| Some(Recent { pointer, entry: entry? })).collect();
        let replica = self.shared.replica_name().to_string();
        // Of itself a replica knows better than its last heartbeat.
        let others = pulse.replicas.iter().filter(|status| status.info.id != replica);
        let sockets = others.map(|status| status.info.sockets).sum::<u64>() + self.shared.hubs.sockets() as u64;
        let (store, uptime) = (self.store.kind(), self.shared.uptime());
        Ok(Overview { pulse, deliveries, recent, store, store_time, sockets, replica, uptime })
    }
}
