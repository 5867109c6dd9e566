//! Replies on their way, and those that failed, for the whole deployment.
//!
//! Beside the records of their users, replies that are not delivered are listed by state: those that wait for their
//! first try, those that are tried again, and those that failed for good. A reply is listed before it is stored.

use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::timestamp::Timestamp;
use crate::store::StoreError;

use super::{ListCursor, ReplyState};

/// A list of replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Not tried yet. Sorted by when it was accepted.
    Pending,
    /// Tried, and to be tried again. Sorted by the next try.
    Retrying,
    /// Failed for good, within [`crate::store::DEAD_LETTER_LIFE_MS`]. Sorted by when that was.
    Failed,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Retrying, Self::Failed];

    /// The word that replies have as status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Retrying => "retrying",
            Self::Failed => "failed",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// How many replies are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Waiting for their first try.
    pub pending: u64,
    /// Tried, and to be tried again.
    pub retrying: u64,
    /// Failed for good; at most [`crate::store::MAX_DEAD_LETTERS`] for each platform.
    pub failed: u64,
    /// For how long the reply that waits longest has been due, in milliseconds; 0 when none is due.
    pub overdue: u64,
}

impl DeliveryCounts {
    /// These and those of another platform.
    pub fn and(self, other: Self) -> Self {
        Self {
            pending: self.pending + other.pending,
            retrying: self.retrying + other.retrying,
            failed: self.failed + other.failed,
            overdue: self.overdue.max(other.overdue),
        }
    }
}

/// Which replies to list.
#[derive(Debug, Clone)]
pub struct DeliveryQuery<'a> {
    /// In which state.
    pub state: DeliveryState,
    /// On their way to which platform.
    pub kind: ChannelKind,
    /// The end of the page before; its entry is a response's id.
    pub after: Option<&'a ListCursor>,
    /// At most so many; at least 1.
    pub count: usize,
}

/// A reply that is not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryEntry {
    /// Where it goes.
    pub kind: ChannelKind,
    /// Whose it is.
    pub user: UserId,
    /// On which channel.
    pub channel: ChannelId,
    /// The reply.
    pub response: MessageId,
    /// By what the list is sorted; see [`DeliveryState`].
    pub at: Timestamp,
    /// How far it is. Its own records say that, whatever list it was found in.
    pub state: ReplyState,
}

/// A page of replies: the failed newest first, the others with the one that is due or was accepted first at the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPage {
    /// The replies. There may be fewer than were asked for though more follow.
    pub entries: Vec<DeliveryEntry>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<ListCursor>,
}

/// What became of the wish to send a reply (again).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedriveOutcome {
    /// It had failed and is pending again, after what waits in its conversation, for another
    /// [`crate::store::KEEP_MS`]. Parts that arrived are not sent again.
    Redriven,
    /// It waits for its next try, which is due now.
    Hastened,
    /// It is being sent at this moment.
    UnderWay,
    /// It waits behind another reply of its conversation.
    Waits,
    /// There is nothing to send: it was delivered, or only ever stored, or its content is gone.
    NothingToSend,
    /// Its channel is gone or disabled.
    NoChannel,
    /// [`crate::store::MAX_QUEUED`] replies wait in its conversation.
    QueueFull,
    /// No such reply.
    Unknown,
}

/// What became of the wish to drop a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropOutcome {
    /// It is failed, its content is gone, and it is listed no more. What waited behind it goes on.
    Dropped,
    /// It is being sent at this moment.
    UnderWay,
    /// There is nothing to drop: it was delivered, or only ever stored, or was dropped before.
    NothingToDrop,
    /// No such reply.
    Unknown,
}

/// The operator's desk for replies. Their states are changed by [`crate::store::OutboxStore`] and
/// [`crate::store::MessageStore::append_reply`], which keep these lists.
#[async_trait::async_trait]
pub trait DeliveryDeskStore: Send + Sync {
    /// How many replies to this platform are in which state. A few may be counted that are done already.
    async fn delivery_counts(&self, kind: ChannelKind) -> Result<DeliveryCounts, StoreError>;

    /// A page of replies. Drops from the list what it finds to be in no such state.
    async fn deliveries(&self, query: &DeliveryQuery<'_>) -> Result<DeliveryPage, StoreError>;

    /// A reply that is listed in any state.
    async fn find_delivery(&self, response: &MessageId) -> Result<Option<DeliveryEntry>, StoreError>;

    /// The failed replies of one channel, at most `count`, the oldest first. Looks through the whole list of its
    /// platform: for what somebody asked for, not for a page that is looked at again and again.
    async fn failed_of_channel(
        &self,
        kind: ChannelKind,
        user: &UserId,
        channel: &ChannelId,
        count: usize,
    ) -> Result<Vec<MessageId>, StoreError>;

    /// Sends a reply (again). Its tries go on being counted, and the waits between them begin anew. The caller tells
    /// its own workers that something is due.
    async fn redrive(
        &self,
        kind: ChannelKind,
        user: &UserId,
        channel: &ChannelId,
        response: &MessageId,
    ) -> Result<RedriveOutcome, StoreError>;

    /// Drops a reply: it fails for good with `error` as its reason, of which the user's sockets are told. One that
    /// failed before keeps its reason.
    async fn drop_reply(
        &self,
        kind: ChannelKind,
        user: &UserId,
        channel: &ChannelId,
        response: &MessageId,
        error: &str,
    ) -> Result<DropOutcome, StoreError>;
}
