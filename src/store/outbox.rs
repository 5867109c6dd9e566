//! The contract of the outbox: replies on their way to a platform, in order for each conversation.
//!
//! A conversation's replies are a queue among the records of their user. Whoever takes the head of a queue
//! holds a lease on the conversation; the lease, the order, the retries and the outcome are all steps on the
//! user's own records. Beside that there is one list of channels by the time at which something is due, which
//! only says where to look: it may name a channel with nothing due, and never misses one that has.

use crate::domain::channel::ChannelKind;
use crate::domain::conversation::{ConversationKey, Destination};
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::timestamp::Timestamp;
use crate::domain::trace::TraceParent;

use super::{ChannelRecord, StoreError};

/// How long a conversation counts as one after its last message, in milliseconds. Part of the wire contract.
pub const CONVERSATION_LIFE_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// The most conversations that are known of a channel; beyond, the one that was silent longest is forgotten.
pub const MAX_CONVERSATIONS: usize = 1000;
/// How long a message can be named by a reply, in milliseconds: longer than the message itself is kept.
pub const ORIGIN_LIFE_MS: u64 = 2 * super::KEEP_MS;
/// How long a platform waits for the answer to a question, in milliseconds. Source: Discord's interaction tokens.
pub const QUESTION_LIFE_MS: u64 = 15 * 60 * 1000;
/// The most open questions that are remembered of a channel.
pub const MAX_QUESTIONS: usize = 100;
/// The most replies that may wait in one conversation.
pub const MAX_QUEUED: usize = 200;
/// How long a reply that failed for good can be sent again, in milliseconds.
pub const DEAD_LETTER_LIFE_MS: u64 = 7 * super::KEEP_MS;
/// The most failed replies of one platform that are listed for the operator.
pub const MAX_DEAD_LETTERS: usize = 10_000;
/// How long the list of what is due names a channel ahead of its reply, in milliseconds. If the replica dies
/// between the two, a worker looks there after this time.
pub const ANNOUNCED_AHEAD_MS: u64 = 5_000;

/// How a reply is to be delivered.
#[derive(Debug, Clone)]
pub struct DeliveryRequest<'a> {
    /// What the caller believes the channel to connect to. If it is wrong, nothing is stored.
    pub kind: ChannelKind,
    /// Where it shall go; `None` goes where the message named by `reply_to` came from, else to the
    /// conversation that was heard of last.
    pub destination: Option<Destination>,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// What is sent.
    pub content: &'a str,
}

/// A channel with something due, claimed from the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueChannel {
    /// What it connects to.
    pub kind: ChannelKind,
    /// Whose it is.
    pub user: UserId,
    /// The channel.
    pub channel: ChannelId,
    /// The time up to which the claim moved it ahead, in milliseconds by the store's clock. It names the claim.
    pub claim: u64,
}

/// A reply that was taken to be delivered, under a lease on its conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Whose reply.
    pub user: UserId,
    /// Id of the response.
    pub response: MessageId,
    /// Names the lease; new for each taking.
    pub lease: String,
    /// Where it goes.
    pub conversation: ConversationKey,
    /// What the adapter noted of the message that is answered, as JSON.
    pub details: String,
    /// Whether the client named that message.
    pub is_reply_to: bool,
    /// Whether this reply completes a question.
    pub completes_question: bool,
    /// When that message came in.
    pub asked_at: Timestamp,
    /// What is sent.
    pub content: String,
    /// How far earlier tries came, as the last of them noted it; empty at first.
    pub progress: String,
    /// Tries so far.
    pub attempts: u32,
    /// Those of them that were before it was sent again. The waits between tries begin anew after them.
    pub earlier_attempts: u32,
    /// When the reply was accepted, or sent again.
    pub accepted: Timestamp,
    /// The store's time at the taking.
    pub now: Timestamp,
    /// The channel as it is now.
    pub record: ChannelRecord,
    /// The step of a trace that accepted the reply, if that is recorded.
    pub trace: Option<TraceParent>,
}

/// What there is to do for a channel.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// This.
    Delivery(Box<Delivery>),
    /// Nothing for so many milliseconds.
    Wait(u64),
    /// Nothing at all.
    Nothing,
}

/// What became of a try, or of a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// A part arrived and another follows: the progress is noted and the lease renewed.
    Part {
        /// How far it came.
        progress: String,
        /// The new length of the lease, in milliseconds.
        lease: u64,
    },
    /// Not tried after all: it stays where it is, and is due again after so many milliseconds.
    Postponed {
        /// How long to wait.
        wait: u64,
    },
    /// It arrived. The conversation's next reply is due after so many milliseconds.
    Delivered {
        /// How long the platform wants to be left alone.
        pause: u64,
    },
    /// It is tried again after so many milliseconds.
    Retry {
        /// How long to wait.
        wait: u64,
        /// Why.
        error: String,
        /// How far it came.
        progress: String,
    },
    /// It will not be tried again, unless somebody asks for it.
    Failed {
        /// Why.
        error: String,
    },
}

/// Replies on their way to a platform. Times are the store's own.
#[async_trait::async_trait]
pub trait OutboxStore: Send + Sync {
    /// Where this would go, among the channel's own conversations; `None` when there is no such conversation.
    async fn find_conversation(
        &self,
        user: &UserId,
        channel: &ChannelId,
        destination: Option<&Destination>,
    ) -> Result<Option<ConversationKey>, StoreError>;

    /// Claims up to `count` channels of this kind that have something due, moving each `lease` milliseconds
    /// ahead in the list, so that another replica looks after it should this one die.
    async fn claim_due(&self, kind: ChannelKind, lease: u64, count: usize) -> Result<Vec<DueChannel>, StoreError>;

    /// Takes the reply that is due next in a conversation that nobody holds, for `lease` milliseconds.
    async fn take_delivery(&self, due: &DueChannel, lease: u64) -> Result<Taken, StoreError>;

    /// Notes what became of it, publishing `frame` (JSON) to the user's sockets in the same step. Unless it is
    /// a part, the conversation is free again. False when the lease was lost: then nothing is noted.
    async fn settle_delivery(
        &self,
        delivery: &Delivery,
        settlement: &Settlement,
        frame: Option<&str>,
    ) -> Result<bool, StoreError>;

    /// Ends a claim: the channel is looked at again after `wait` milliseconds, or leaves the list. If something
    /// became due or somebody else looked in the meantime, the channel stays on the list, and is looked at after
    /// `wait` at the latest: only whoever tried a reply knows how soon it is to be tried again.
    async fn release_due(&self, due: &DueChannel, wait: Option<u64>) -> Result<(), StoreError>;
}
