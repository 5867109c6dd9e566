//! Wakes: what a store tells of users who are watched, as it happens.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::ids::UserId;
use crate::domain::message::StoredRecord;
use crate::domain::timestamp::Timestamp;

/// What the store tells of a user who is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// A message was stored; `before` is the instant of the one before it (or the epoch), so that a
    /// reader knows whether it misses any.
    Message {
        /// Instant of the message before.
        before: Timestamp,
        /// The message.
        record: StoredRecord,
    },
    /// What became of a reply, as the JSON of a frame. Not stored: sockets that are open get it.
    Delivery(String),
    /// Wakes may have been lost: read again.
    Resync,
    /// This socket's place was given to a newer one.
    Evicted(String),
    /// The session is gone.
    SessionGone,
    /// The operator closes the user's sockets; their clients may come back at once.
    Disconnected,
    /// The user is not watched any more, though nobody ended it: watch again.
    WatchLost,
}

/// Receives wakes, in order for each user. Called from the store's own task: it must not block.
pub type WakeSink = Arc<dyn Fn(&UserId, Arc<Wake>) + Send + Sync>;

/// Watches users for one sink. What it watches ends with it, and is no concern of other watchers of the same store.
#[async_trait]
pub trait Watcher: Send + Sync {
    /// Starts to tell the sink of this user. When it returns, all that is stored from now on is told.
    async fn watch(&self, user: &UserId) -> Result<(), StoreError>;

    /// Stops it.
    async fn unwatch(&self, user: &UserId) -> Result<(), StoreError>;

    /// Has the store say something to this watcher alone. Gives how long it took to be heard; `None` if it was not
    /// heard, so that wakes do not come either.
    async fn echo(&self) -> Result<Option<Duration>, StoreError>;
}
