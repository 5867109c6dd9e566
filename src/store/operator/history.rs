//! What was said in a session, newest first, in both directions.

use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::message::StoredRecord;
use crate::domain::timestamp::Timestamp;
use crate::store::StoreError;

/// Which way something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the agent.
    In,
    /// From the agent.
    Out,
}

impl Direction {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "in" => Some(Self::In),
            "out" => Some(Self::Out),
            _ => None,
        }
    }
}

/// A place in a session's history. Entries of one instant are in the order: messages, then responses by channel id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryCursor {
    /// The instant.
    pub at: Timestamp,
    /// The channel whose response it is; `None` for a message.
    pub response_on: Option<ChannelId>,
}

/// Which part of a history to read.
#[derive(Debug, Clone)]
pub struct HistoryQuery<'a> {
    /// Only what is older than this entry.
    pub before: Option<&'a HistoryCursor>,
    /// Only what went this way.
    pub direction: Option<Direction>,
    /// Only what belongs to this channel.
    pub channel: Option<&'a ChannelId>,
    /// At most so many; at least 1.
    pub count: usize,
}

/// Something that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Which way it went.
    pub direction: Direction,
    /// What it says.
    pub record: StoredRecord,
}

/// A page of a history, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// The entries. With a filter there may be fewer than were asked for though more follow.
    pub entries: Vec<HistoryEntry>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<HistoryCursor>,
}

/// How far the delivery of a reply is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyState {
    /// The channel it answered on.
    pub channel: String,
    /// `stored`, `pending`, `retrying`, `delivered` or `failed`.
    pub status: String,
    /// Deliveries that were tried.
    pub attempts: u32,
    /// Why the last one failed.
    pub error: Option<String>,
    /// When it was accepted for delivery, where that is still known.
    pub accepted: Option<Timestamp>,
    /// When it is tried next: known of the first reply of its conversation, the others wait for that.
    pub next_try: Option<Timestamp>,
    /// Whether its content is still there, so that it could be sent (again).
    pub has_content: bool,
}

/// Histories.
#[async_trait::async_trait]
pub trait HistoryStore: Send + Sync {
    /// A page of what was said in a session within [`crate::store::KEEP_MS`]; `None` for a user without one.
    async fn history(&self, user: &UserId, query: &HistoryQuery<'_>) -> Result<Option<HistoryPage>, StoreError>;

    /// How far these replies are, in this order; at most a few hundred. `None` for one that is unknown or forgotten.
    async fn reply_states(&self, user: &UserId, responses: &[MessageId])
    -> Result<Vec<Option<ReplyState>>, StoreError>;

    /// Single entries of histories, in this order: what was said at this instant in this direction (of a response, on
    /// this channel). `None` where there is none (any more). At most a few dozen.
    async fn entries(&self, wanted: &[super::RecentPointer]) -> Result<Vec<Option<HistoryEntry>>, StoreError>;
}
