//! Where everything that must survive is kept: the contract, and the two stores that honour it.
//!
//! Each method is one atomic step on the records of one user (or on one pointer), so that any replica
//! can die between any two calls. What an HTTP request needs on the hot path is one call. Both stores
//! pass the same contract suite.

mod contract;
pub mod embedded;
mod format;
pub mod operator;
mod outbox;
pub mod redis;
mod sealed;
mod wake;

use std::sync::Arc;
use std::time::Duration;

pub use contract::{
    AcceptedReply, ChannelRecord, ChannelStore, CounterStore, Denied, Gate, Gated, Granted, Holder, Ingest,
    IngestOutcome, LimitUse, MessageStore, NewSession, PutChannel, ReplyOutcome, ReplyRecord, ReplyStatus,
    ResponsesOutcome, ResponsesQuery, Secret, SessionRecord, SessionStore, Since, SocketLease, SocketOutcome,
    SocketStore,
};

pub use format::{FORMAT, FormatError};
pub use outbox::{
    ANNOUNCED_AHEAD_MS, CONVERSATION_LIFE_MS, DEAD_LETTER_LIFE_MS, Delivery, DeliveryRequest, DueChannel,
    MAX_CONVERSATIONS, MAX_DEAD_LETTERS, MAX_QUESTIONS, MAX_QUEUED, ORIGIN_LIFE_MS, OutboxStore, QUESTION_LIFE_MS,
    Settlement, Taken,
};

pub use sealed::{SealedPage, SealedPlace, SealedRecord, SealedStore};

pub use wake::{Wake, WakeSink, Watcher};

/// How long messages, responses and what became of replies are kept, in milliseconds.
pub const KEEP_MS: u64 = 24 * 60 * 60 * 1000;
/// The newest messages kept for a session.
pub const MAX_MESSAGES: usize = 500;
/// The newest responses kept for a channel.
pub const MAX_RESPONSES: usize = 100;
/// How long a session lives after its client last used it, with all it owns, in milliseconds.
pub const SESSION_LIFE_MS: u64 = 90 * 24 * 60 * 60 * 1000;
/// How old a session's last recorded use must be to be recorded again, in milliseconds: what people read as
/// "last seen" is never older than this, and a session that is used all the time costs one small write in so long.
pub const TOUCH_AFTER_MS: u64 = 5 * 60 * 1000;
/// How much of its life a session in use must have lost for it and all it owns to be given a whole one again, in
/// milliseconds. That touches each of its records, so it is done seldom; far below [`SESSION_LIFE_MS`], so that
/// the difference matters to nobody.
pub const RENEW_AFTER_MS: u64 = 6 * 60 * 60 * 1000;
/// How long a socket's place lasts unless it is renewed, in milliseconds: the places of a replica that
/// died are free again after this.
pub const SOCKET_LEASE_MS: u64 = 28 * 1000;
/// How long an idempotency key is remembered, in milliseconds.
pub const IDEMPOTENCY_MS: u64 = KEEP_MS;
/// The most channels one session may have. Creation is limited per hour; this bounds the total.
pub const MAX_CHANNELS: usize = 1000;

/// Why a store could not answer. Refusals are not errors: they are part of each method's answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is away or too slow: nothing is known about the call; try again later.
    #[error("the store cannot be reached: {0}")]
    Away(String),
    /// The store holds something that this relay cannot read. Trying again does not help.
    #[error("the store holds a record that cannot be read: {0}")]
    Corrupt(String),
    /// The store's records are not for this relay. It may be that they will be.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// Is told of each call of the store: which, how long it took, and whether it was answered.
pub type CallObserver = Arc<dyn Fn(&'static str, Duration, bool) + Send + Sync>;

/// Everything the relay needs of its store.
#[async_trait::async_trait]
pub trait Store:
    SessionStore
    + ChannelStore
    + MessageStore
    + OutboxStore
    + SocketStore
    + CounterStore
    + SealedStore
    + operator::DirectoryStore
    + operator::HistoryStore
    + operator::PulseStore
    + operator::DeliveryDeskStore
    + operator::AdminAccessStore
    + operator::KeyBrowserStore
{
    /// The store's name on health answers: `redis` or `embedded`.
    fn kind(&self) -> &'static str;

    /// A handle for one worker thread, which may have a connection of its own. All handles are the same store.
    fn for_worker(&self) -> Arc<dyn Store>;

    /// What tells `sink` of users. Made for one worker thread too, by its own handle: a connection that it needs is
    /// driven by the thread that uses it first.
    fn watcher(&self, sink: WakeSink) -> Box<dyn Watcher>;

    /// Whether the store answers and has records of a format for this relay. A new store is given this relay's format.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Has every call told from now on, by all handles. The first observer stays.
    fn observe(&self, observer: CallObserver);

    /// Writes something, reads it back and compares.
    async fn probe(&self) -> Result<(), StoreError>;

    /// Waits until what was accepted is safe and releases what other processes may want, such as locks.
    async fn close(&self);
}
