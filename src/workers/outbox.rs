//! Looks for replies that are due, one task for each platform, so that one that is down holds up no other.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::domain::channel::ChannelKind;
use crate::services::Relay;

/// How often the list of what is due is looked at. A reply that this replica took itself is not waited for.
const EVERY: Duration = Duration::from_secs(1);
/// How long a channel is this replica's alone to look at, in milliseconds. What keeps a reply from being sent twice
/// is the lease of its conversation, so this can be short: a claim whose answer was lost, as in an outage of the
/// store, hides what is due for so long.
const CLAIM_MS: u64 = 3_000;
/// Channels of a platform that are worked on at once. Calls under way are bounded apart from that.
const PARALLEL: usize = 64;

/// Runs until the replica takes leave and what it held is worked off.
pub async fn run(relay: Relay) {
    let mut platforms = JoinSet::new();
    for kind in ChannelKind::PLATFORMS {
        platforms.spawn(run_for(relay.clone(), kind));
    }
    platforms.join_all().await;
}

async fn run_for(relay: Relay, kind: ChannelKind) {
    let mut under_way = JoinSet::new();
    while !relay.shared.shutdown.is_draining() {
        while under_way.try_join_next().is_some() {}
        let room = PARALLEL - under_way.len();
        let mut found = 0;
        if room > 0 && relay.shared.store_health.is_reachable() {
            match relay.store.claim_due(kind, CLAIM_MS, room).await {
                Ok(due) => {
                    found = due.len();
                    for channel in due {
                        let relay = relay.clone();
                        under_way.spawn(async move { relay.work_off(channel).await });
                    }
                }
                Err(error) => tracing::debug!(%error, %kind, "what is due could not be read"),
            }
        }
        if found > 0 && found == room {
            // There may be more; wait for room.
            under_way.join_next().await;
            continue;
        }
        tokio::select! {
            () = relay.shared.outbox.due(kind) => {}
            () = tokio::time::sleep(EVERY) => {}
            () = relay.shared.shutdown.draining() => {}
        }
    }
    under_way.join_all().await;
}
