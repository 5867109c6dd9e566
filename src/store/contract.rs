//! The methods of a store, grouped by what they keep, with their questions and answers.

use std::sync::Arc;

use crate::domain::channel::{Channel, ChannelKind};
use crate::domain::conversation::Origin;
use crate::domain::digest::Digest;
use crate::domain::ids::{ChannelId, MessageId, SocketId, UserId};
use crate::domain::limit::{Limit, LimitStatus};
use crate::domain::message::{NewRecord, Page};
use crate::domain::signing::Nonce;
use crate::domain::timestamp::Timestamp;

use super::StoreError;
use super::outbox::DeliveryRequest;

/// A limit that a call counts against, and the name of its counter within the user's records.
#[derive(Debug, Clone)]
pub struct LimitUse {
    /// Name of the counter.
    pub counter: String,
    /// What it allows.
    pub limit: Limit,
}

/// What an authenticated request must pass, in the same atomic step as its work: the session is there
/// with this API key, the nonce is new (and is claimed), the limit is kept (and the use counted), in this order.
#[derive(Debug, Clone)]
pub struct Gate {
    /// Whose session.
    pub user: UserId,
    /// Digest of the API key that was presented.
    pub api_key: Digest,
    /// The nonce of a signed request whose signature was found right.
    pub nonce: Option<Nonce>,
    /// The limit that applies, if one does.
    pub limit: Option<LimitUse>,
}

/// Why a gate did not open. Nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// No such session, or another API key.
    UnknownSession,
    /// The nonce was used before.
    NonceUsed,
    /// The limit is spent.
    OverLimit(LimitStatus),
}

/// What passed the gate, with what it said on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted<T> {
    /// The answer.
    pub value: T,
    /// Where the limit stands, when one was counted.
    pub limit: Option<LimitStatus>,
    /// The session's last recorded use is older than [`super::TOUCH_AFTER_MS`]; it is recorded now, and
    /// the caller should call [`SessionStore::touch_session`]. True for one caller only.
    pub touch_due: bool,
}

/// The answer of a gated call.
pub type Gated<T> = Result<Granted<T>, Denied>;

/// A session to be made.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The user's id.
    pub user: UserId,
    /// Digest of the API key.
    pub api_key: Digest,
    /// The API key, sealed for this user.
    pub sealed_api_key: String,
    /// The stored form of the public key, when the session has one.
    pub public_key: Option<String>,
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The user's id.
    pub user: UserId,
    /// Digest of the API key.
    pub api_key: Digest,
    /// The API key, sealed for this user.
    pub sealed_api_key: String,
    /// The stored form of the public key.
    pub public_key: Option<String>,
    /// When the session was made.
    pub created: Timestamp,
}

/// Sessions and what authenticates them.
#[async_trait::async_trait]
pub trait SessionStore: Send + Sync {
    /// Makes the session unless the user has one, and gives the one there is now. Its API key can be
    /// looked up afterwards in both cases.
    async fn create_session(&self, new: &NewSession) -> Result<SessionRecord, StoreError>;

    /// The session with this API key.
    async fn find_session(&self, api_key: &Digest) -> Result<Option<SessionRecord>, StoreError>;

    /// Opens the gate and does nothing else.
    async fn authorize(&self, gate: &Gate) -> Result<Gated<()>, StoreError>;

    /// Notes that the session is in use: records a use unless one is younger than [`super::TOUCH_AFTER_MS`], and
    /// gives it and all it owns [`super::SESSION_LIFE_MS`] from now, less [`super::RENEW_AFTER_MS`] at most.
    async fn touch_session(&self, user: &UserId) -> Result<(), StoreError>;

    /// Deletes the session with its channels, messages, responses and places of sockets, wakes its
    /// watchers with [`super::Wake::SessionGone`], and says whether there was one.
    async fn delete_session(&self, user: &UserId) -> Result<bool, StoreError>;

    /// The deployment's sealed private key: `candidate`, unless another replica came first.
    async fn deployment_key(&self, candidate: &str) -> Result<String, StoreError>;
}

/// A channel and the digest of its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelRecord {
    /// The channel.
    pub channel: Channel,
    /// Digest of the secret that opens its ingest endpoint.
    pub secret: Option<Digest>,
    /// Grows with each write; an update names the revision it was made from.
    pub revision: u64,
}

/// A channel and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The user.
    pub user: UserId,
    /// The channel.
    pub channel: ChannelId,
}

/// What became of a channel to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutChannel {
    /// It is stored, in the place of an older one of the same id if the user had it.
    Stored,
    /// The id belongs to another user; nothing changed.
    Taken,
    /// The user has [`super::MAX_CHANNELS`] already; nothing changed.
    TooMany,
    /// The user has no session; nothing changed.
    NoSession,
}

/// Channels, and whose they are.
#[async_trait::async_trait]
pub trait ChannelStore: Send + Sync {
    /// Whose channel it is. The answer holds as long as the channel exists, so it may be cached: every
    /// step that acts on a channel checks again that the user has it.
    async fn channel_owner(&self, channel: &ChannelId) -> Result<Option<UserId>, StoreError>;

    /// Stores a channel, claiming its id for the user. `record.revision` is ignored.
    async fn put_channel(&self, user: &UserId, record: &ChannelRecord) -> Result<PutChannel, StoreError>;

    /// The user's channels, in no particular order.
    async fn channels(&self, gate: &Gate) -> Result<Gated<Vec<ChannelRecord>>, StoreError>;

    /// One of the user's channels.
    async fn channel(&self, gate: &Gate, channel: &ChannelId) -> Result<Gated<Option<ChannelRecord>>, StoreError>;

    /// The same without a gate, for what comes from outside.
    async fn read_channel(&self, user: &UserId, channel: &ChannelId) -> Result<Option<ChannelRecord>, StoreError>;

    /// Notes that this channel has the bot or address of this name ([`Connection::identity`]
    /// (crate::domain::connection::Connection::identity)), and gives who had it before. With `replaces` unset
    /// an earlier holder keeps it. The note lives as long as the channel.
    async fn hold_identity(
        &self,
        identity: &str,
        holder: &Holder,
        replaces: bool,
    ) -> Result<Option<Holder>, StoreError>;

    /// Who has the bot or address of this name. The channel may be gone: whoever asks looks.
    async fn identity_holder(&self, identity: &str) -> Result<Option<Holder>, StoreError>;

    /// Frees the name if this channel still has it.
    async fn drop_identity(&self, identity: &str, holder: &Holder) -> Result<(), StoreError>;

    /// Writes a changed channel if it still is at `record.revision`; says whether it was.
    async fn update_channel(&self, user: &UserId, record: &ChannelRecord) -> Result<bool, StoreError>;

    /// Deletes one of the user's channels with its responses and frees the id; says whether the user had it.
    /// Its replies that were not delivered fail, and its conversations are forgotten.
    async fn delete_channel(&self, user: &UserId, channel: &ChannelId) -> Result<bool, StoreError>;
}

/// What an ingest request has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// The digest of the secret that came along must match.
    Digest(Digest),
    /// None came along.
    Missing,
    /// The caller verified a signature itself.
    Verified,
}

/// A message to be accepted.
#[derive(Debug, Clone)]
pub struct Ingest<'a> {
    /// The channel's owner, as far as is known.
    pub user: UserId,
    /// The channel.
    pub channel: &'a ChannelId,
    /// The type it must have.
    pub kind: ChannelKind,
    /// What the sender showed.
    pub secret: Secret,
    /// The limit of the channel.
    pub limit: Limit,
    /// It was admitted by an earlier call, which counted it against the limit.
    pub is_admitted: bool,
    /// The revision at which the caller looked at the channel, if it did.
    pub revision: Option<u64>,
    /// Where on a platform it was said; the conversation becomes one of the channel's.
    pub origin: Option<&'a Origin>,
    /// It is wanted only if the conversation is one of the channel's already.
    pub only_known: bool,
    /// What makes a repeat recognisable, for [`super::IDEMPOTENCY_MS`].
    pub idempotency: Option<Digest>,
    /// The message; `None` asks only whether one would be admitted, and counts it.
    pub record: Option<&'a NewRecord>,
}

impl<'a> Ingest<'a> {
    /// A question whether a message would be admitted. What makes it one is added by its fields.
    pub fn new(user: UserId, channel: &'a ChannelId, kind: ChannelKind, secret: Secret, limit: Limit) -> Self {
        Self {
            user,
            channel,
            kind,
            secret,
            limit,
            is_admitted: false,
            revision: None,
            origin: None,
            only_known: false,
            idempotency: None,
            record: None,
        }
    }
}

/// What became of it. The checks are made in the order of the variants' documentation numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IngestOutcome {
    /// (1) The user does not have this channel.
    NoChannel,
    /// (2) The channel is of this other type.
    WrongKind(ChannelKind),
    /// (2) The channel was changed since the caller looked at it: look again.
    Changed,
    /// (3) The secret is missing or wrong.
    WrongSecret,
    /// (4) The limit is spent; this try was counted.
    OverLimit(LimitStatus),
    /// (5) The channel is disabled; the try was counted.
    Disabled(LimitStatus),
    /// (6) There was no message to accept, but one may come.
    Admitted(LimitStatus),
    /// (7) The conversation is not one of the channel's, and only then was it wanted.
    NotKnown(LimitStatus),
    /// (8) It was accepted before, as this message.
    Duplicate(MessageId, LimitStatus),
    /// (9) It is stored, after everything this user got before; watchers were woken with it.
    Accepted(Timestamp, LimitStatus),
}

/// From where to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Everything strictly after this instant.
    After(Timestamp),
    /// Everything of the last so many milliseconds, by the store's clock.
    Last(u64),
}

/// A reply to be stored.
#[derive(Debug, Clone)]
pub struct ReplyRecord<'a> {
    /// The channel it answers on.
    pub channel: &'a ChannelId,
    /// The type the client believes the channel has.
    pub kind: Option<&'a str>,
    /// The response.
    pub record: &'a NewRecord,
    /// How to deliver it, if the caller knows that the channel is one of a platform.
    pub delivery: Option<DeliveryRequest<'a>>,
}

/// What became of a reply.
#[derive(Debug, Clone, PartialEq)]
pub enum ReplyOutcome {
    /// The user does not have this channel.
    NoChannel,
    /// The channel is of this other type.
    WrongKind(ChannelKind),
    /// The channel is one of a platform, and nothing was said of the delivery. Nothing was stored.
    NeedsDelivery(ChannelKind),
    /// The channel takes no replies: it is disabled. Nothing was stored.
    Disabled(Channel),
    /// The destination is not one of the channel's conversations. Nothing was stored.
    UnknownDestination,
    /// The channel has no conversation yet. Nothing was stored.
    NoConversation,
    /// [`super::MAX_QUEUED`] replies wait in this conversation. Nothing was stored.
    QueueFull,
    /// It is stored among the responses of its channel, and queued if the channel is one of a platform.
    Stored(AcceptedReply),
}

/// A reply that was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptedReply {
    /// Its channel.
    pub channel: Channel,
    /// Its instant among the channel's responses.
    pub at: Timestamp,
}

/// What is known about a reply that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyStatus {
    /// The channel it answered on.
    pub channel: String,
    /// `stored`, for a channel that is polled; else `pending`, `retrying`, `delivered` or `failed`.
    pub status: String,
    /// Deliveries that were tried.
    pub attempts: u32,
    /// Why the last one failed.
    pub error: Option<String>,
}

/// An external service's question for the responses of a webhook channel.
#[derive(Debug, Clone)]
pub struct ResponsesQuery<'a> {
    /// The channel's owner, as far as is known.
    pub user: UserId,
    /// The channel.
    pub channel: &'a ChannelId,
    /// The secret: a digest must match, [`Secret::Verified`] lets anyone in who knows the id.
    pub secret: Secret,
    /// The limit of the channel.
    pub limit: Limit,
    /// From where to read.
    pub since: Since,
    /// At most so many; at least 1.
    pub count: usize,
}

/// The answer to it, checked in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponsesOutcome {
    /// The user does not have this channel, or it is not a webhook channel.
    NoChannel,
    /// The secret is missing or wrong.
    WrongSecret,
    /// The limit is spent; this try was counted.
    OverLimit(LimitStatus),
    /// The responses.
    Page(Page, LimitStatus),
}

/// Messages, replies and responses.
///
/// Within one session the instants of messages strictly increase, and so do those of the responses
/// within one channel, whatever clocks do. A page shows the newest [`super::MAX_MESSAGES`] messages (or
/// [`super::MAX_RESPONSES`] responses) of the last [`super::KEEP_MS`].
#[async_trait::async_trait]
pub trait MessageStore: Send + Sync {
    /// Accepts a message: when this returns [`IngestOutcome::Accepted`], it is safe.
    async fn append_message(&self, ingest: &Ingest<'_>) -> Result<IngestOutcome, StoreError>;

    /// Reads messages behind the gate.
    async fn poll_messages(&self, gate: &Gate, since: Since, count: usize) -> Result<Gated<Page>, StoreError>;

    /// Reads messages of a user whose gate was opened before. A user without a session has none.
    async fn read_messages(&self, user: &UserId, since: Since, count: usize) -> Result<Page, StoreError>;

    /// Stores a reply behind the gate.
    async fn append_reply(&self, gate: &Gate, reply: &ReplyRecord<'_>) -> Result<Gated<ReplyOutcome>, StoreError>;

    /// What became of one of the user's replies, for [`super::KEEP_MS`].
    async fn reply_status(&self, gate: &Gate, response: &MessageId) -> Result<Gated<Option<ReplyStatus>>, StoreError>;

    /// Reads the responses of a webhook channel.
    async fn read_responses(&self, query: &ResponsesQuery<'_>) -> Result<ResponsesOutcome, StoreError>;
}

/// A socket's claim to one of its session's places.
#[derive(Debug, Clone)]
pub struct SocketLease {
    /// Whose socket.
    pub user: UserId,
    /// Digest of the API key it was opened with.
    pub api_key: Digest,
    /// The socket.
    pub socket: SocketId,
    /// The replica that holds it, as [`super::operator::ReplicaInfo::id`]. One name for all its sockets.
    pub replica: Arc<str>,
    /// The place it was given before; `None` when it opens.
    pub place: Option<String>,
    /// How many places a session has.
    pub cap: usize,
}

/// What became of the claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketOutcome {
    /// The socket has this place for [`super::SOCKET_LEASE_MS`]. Places sort by age: beyond `cap` the
    /// oldest was given up, and its holder woken with [`super::Wake::Evicted`].
    Held {
        /// The place, to be named at the next renewal and by an eviction.
        place: String,
        /// What came after the socket's cursor.
        page: Page,
        /// As in [`Granted`].
        touch_due: bool,
    },
    /// This socket was the oldest beyond the cap.
    Evicted,
    /// The session is gone.
    NoSession,
}

/// Places of sockets.
#[async_trait::async_trait]
pub trait SocketStore: Send + Sync {
    /// Takes or renews a place and reads what came after the cursor. A place that lapsed (while the
    /// store was away) is taken again with its old age.
    async fn hold_socket(&self, lease: &SocketLease, since: Since, count: usize) -> Result<SocketOutcome, StoreError>;

    /// Gives a place back.
    async fn release_socket(&self, user: &UserId, place: &str) -> Result<(), StoreError>;
}

/// Counters that belong to no user.
#[async_trait::async_trait]
pub trait CounterStore: Send + Sync {
    /// Counts one use of `counter`, which starts a window if none runs.
    async fn count_use(&self, counter: &LimitUse) -> Result<LimitStatus, StoreError>;
}
