//! What the replicas tell of themselves: who is alive, what was counted in each minute, what came last.

use crate::domain::ids::{ChannelId, UserId};
use crate::domain::timestamp::Timestamp;
use crate::store::StoreError;

use super::Direction;

/// How long a replica counts as alive after its last heartbeat, in milliseconds.
pub const REPLICA_LIFE_MS: u64 = 15_000;
/// Minutes for which counts are kept: an hour and the minute under way.
pub const MINUTES_KEPT: usize = 61;
/// The newest messages and replies of the deployment that are pointed at.
pub const MAX_RECENT: usize = 30;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Counter {
    /// Messages that were accepted.
    MessagesIn,
    /// Replies that were accepted.
    RepliesOut,
    /// Replies that reached a platform.
    Delivered,
    /// Tries of a delivery that failed and are repeated.
    Retried,
    /// Replies that failed for good.
    Failed,
    /// Requests that were refused by a rate limit.
    RateLimited,
    /// Requests that were refused by authentication.
    Unauthorized,
}

/// Every counter, in the order of [`Counts`].
pub const COUNTERS: [Counter; 7] = [
    Counter::MessagesIn,
    Counter::RepliesOut,
    Counter::Delivered,
    Counter::Retried,
    Counter::Failed,
    Counter::RateLimited,
    Counter::Unauthorized,
];

/// A number for each of [`COUNTERS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; COUNTERS.len()]);

impl Counts {
    /// Takes the numbers in the order of [`COUNTERS`].
    pub fn new(numbers: [u64; COUNTERS.len()]) -> Self {
        Self(numbers)
    }

    /// The number of one counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// Adds to one counter.
    pub fn add(&mut self, counter: Counter, more: u64) {
        self.0[counter as usize] = self.0[counter as usize].saturating_add(more);
    }

    /// Adds all of the other's.
    pub fn add_all(&mut self, other: &Self) {
        for counter in COUNTERS {
            self.add(counter, other.get(counter));
        }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|number| *number == 0)
    }
}

/// What a replica says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaInfo {
    /// Eight hex digits, new with each start.
    pub id: String,
    /// Name of the machine (or pod) it runs on; may be empty.
    pub host: String,
    /// Version of the relay.
    pub version: String,
    /// Time since its start, in milliseconds.
    pub uptime: u64,
    /// WebSockets it holds.
    pub sockets: u64,
    /// It was told to stop.
    pub is_draining: bool,
}

/// A replica that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// What it said of itself last.
    pub info: ReplicaInfo,
    /// When, by the store's clock.
    pub heartbeat: Timestamp,
}

/// Points at a message or a reply that is stored with its user; the content is kept there only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentPointer {
    /// Which way it went.
    pub direction: Direction,
    /// Whose it is.
    pub user: UserId,
    /// Its channel.
    pub channel: ChannelId,
    /// Its instant among the user's messages, or among the channel's responses.
    pub at: Timestamp,
}

/// A heartbeat: what a replica says of itself, and what happened on it since its last one.
#[derive(Debug, Clone)]
pub struct Beat<'a> {
    /// The replica.
    pub replica: &'a ReplicaInfo,
    /// What it counted since its last heartbeat. Added to the minute under way.
    pub counts: Counts,
    /// The newest it stored since its last heartbeat; at most [`MAX_RECENT`].
    pub recent: &'a [RecentPointer],
}

/// What was counted in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Minute {
    /// Start of the minute.
    pub start: Timestamp,
    /// What was counted in the whole deployment.
    pub counts: Counts,
}

/// The state of the deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    /// The store's time.
    pub now: Timestamp,
    /// Replicas that are alive, by id.
    pub replicas: Vec<ReplicaStatus>,
    /// [`MINUTES_KEPT`] minutes, the oldest first; the last is under way. Minutes without any count are there too.
    pub minutes: Vec<Minute>,
    /// At most [`MAX_RECENT`], newest first. What they point at may be gone.
    pub recent: Vec<RecentPointer>,
    /// Sessions there are.
    pub sessions: u64,
}

/// The pulse of the deployment.
#[async_trait::async_trait]
pub trait PulseStore: Send + Sync {
    /// Takes a heartbeat. If its answer is lost, the caller tries again with the same counts, which may then be
    /// counted twice: they are for looking at.
    async fn beat(&self, beat: &Beat<'_>) -> Result<(), StoreError>;

    /// Strikes a replica off that ends.
    async fn retire(&self, replica: &str) -> Result<(), StoreError>;

    /// The state of the deployment.
    async fn pulse(&self) -> Result<Pulse, StoreError>;
}
