//! What the relay does, a verb a file. Transport knows these and nothing below them.

pub mod authenticate;
pub mod channels;
pub mod error;
pub mod ingest;
pub mod poll;
pub mod register;
pub mod reply;
pub mod responses;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::config::{Config, Limits};
use crate::domain::ids::{ChannelId, UserId};
use crate::domain::public_key::Jwk;
use crate::domain::sealing::KeyRing;
use crate::hub::Hub;
use crate::shutdown::Shutdown;
use crate::store::Store;

use authenticate::SessionCache;

/// Channels whose owner a replica remembers. An entry takes about 100 bytes.
const OWNERS_CACHED: usize = 50_000;

/// What all workers of a replica share.
pub struct Shared {
    /// Seals and opens secrets.
    pub keys: KeyRing,
    /// Rate limits.
    pub limits: Limits,
    /// WebSockets per session, over all replicas.
    pub sockets_per_session: usize,
    /// Whether `GET /responses` needs the channel's token.
    pub responses_require_token: bool,
    /// Who listens here.
    pub hub: Arc<Hub>,
    /// When to take leave.
    pub shutdown: Shutdown,
    /// Whether the store answered when it was last asked.
    pub store_health: StoreHealth,
    /// This replica, new with each start.
    pub replica: Uuid,
    started: Instant,
    sessions: SessionCache,
    owners: Cache<ChannelId, UserId>,
    /// The deployment's own key, sealed as the store has it, and its public half.
    public_key: Mutex<Option<(String, Jwk)>>,
}

impl Shared {
    /// Starts with empty caches and the clock at zero.
    pub fn new(config: &Config, keys: KeyRing, hub: Arc<Hub>) -> Self {
        Self {
            keys,
            limits: config.limits,
            sockets_per_session: config.sockets_per_session,
            responses_require_token: config.responses_require_token,
            hub,
            shutdown: Shutdown::default(),
            store_health: StoreHealth::default(),
            replica: Uuid::new_v4(),
            started: Instant::now(),
            sessions: SessionCache::default(),
            owners: Cache::new(OWNERS_CACHED),
            public_key: Mutex::default(),
        }
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Whether the store answered when it was last asked. Written by the worker that asks, read by health answers.
#[derive(Debug, Default)]
pub struct StoreHealth(AtomicBool);

impl StoreHealth {
    /// Notes what was found; says whether it is news.
    pub fn set(&self, is_reachable: bool) -> bool {
        self.0.swap(is_reachable, Ordering::Relaxed) != is_reachable
    }

    /// What was last found.
    pub fn is_reachable(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The relay as one worker thread sees it: what all share, and this thread's handle of the store.
#[derive(Clone)]
pub struct Relay {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// This worker's handle of the store.
    pub store: Arc<dyn Store>,
}

impl Relay {
    /// Whose channel it is, from memory if possible. See [`Relay::forget_owner`].
    async fn channel_owner(&self, channel: &ChannelId) -> Result<Option<UserId>, error::Error> {
        if let Some(owner) = self.shared.owners.get(channel) {
            return Ok(Some(owner));
        }
        let owner = self.store.channel_owner(channel).await?;
        if let Some(owner) = owner {
            self.shared.owners.insert(channel.clone(), owner);
        }
        Ok(owner)
    }

    /// Forgets an owner who turned out not to have the channel; says whether it was remembered, in which
    /// case somebody else may have it now.
    fn forget_owner(&self, channel: &ChannelId) -> bool {
        self.shared.owners.remove(channel).is_some()
    }
}
