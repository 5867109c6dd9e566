//! Every key the relay writes: its type, what bounds it, and how long it lives.
//!
//! | key | type | bound | life |
//! |---|---|---|---|
//! | `{user}:session` | hash `k` API key digest, `a` sealed API key, `p` public key, `c` created, `n` last used, and two fields (`:used`, `:ends`) for each limit | 11 fields | 90 days after the last use |
//! | `{user}:channels` | set of channel ids | [`MAX_CHANNELS`](crate::store::MAX_CHANNELS) | as the session |
//! | `{user}:channel:<id>` | hash `t` type, `e` enabled, `s` secret digest, `r` routing members, `o` members of responses, `d` the channel, `i` its identity, `v` revision, and two fields each for the limits `in` and `out` | 12 fields | as the session |
//! | `{user}:messages` | stream, entry `<ms>-0`, field `d`, and `t` step of a trace where that is recorded | about 500 | a day and 20 minutes after the last message |
//! | `{user}:last` | string, instant of the last message | – | 48 h after the last message |
//! | `{user}:responses:<id>`, `{user}:responses-last:<id>` | the same for responses | about 100 | the same |
//! | `{user}:reply:<response>` | hash `c` channel, `s` status, `a` attempts, `x` error, and while it is not delivered `k` conversation, `b` content, `o` details of the message that is answered, `m` it was named, `q` a question is completed, `t` when that came, `f` accepted, `p` progress, `w` name of the lease, `r` tries before it was sent again, `y` step of a trace where that is recorded | 15 fields | 24 h; 25 h until it is delivered; 7 days when it failed |
//! | `{user}:conversations:<channel>` | sorted set of conversations by last message | [`MAX_CONVERSATIONS`](crate::store::MAX_CONVERSATIONS) | 30 days after the last message |
//! | `{user}:newest:<channel>` | hash, conversation to its newest message's time and details | the same | the same |
//! | `{user}:origin:<channel>:<message>` | string, time, conversation and details | – | 48 h |
//! | `{user}:questions:<channel>` | sorted set of open questions by time | [`MAX_QUESTIONS`](crate::store::MAX_QUESTIONS) | 15 min after the last |
//! | `{user}:queues:<channel>` | sorted set of digests of conversations by the time at which their first reply is due | conversations | 25 h after the last reply |
//! | `{user}:queue:<channel>:<digest>` | list of replies in order | [`MAX_QUEUED`](crate::store::MAX_QUEUED) | 25 h after the last reply |
//! | `{user}:nonce:<nonce>` | string | – | 20 min |
//! | `{user}:once:<channel>:<digest>` | string, message id | – | 24 h |
//! | `{user}:sockets` | sorted set of places (`<microseconds>-<socket>-<replica>`, at most 64 bytes, which keeps it compact) by end of lease | sockets of one session | 60 s after the last renewal |
//! | `{user}:wake` | sharded pub/sub channel | – | a subscription lives from a user's first to its last local listener |
//! | `{random}:echo` | sharded pub/sub channel | one for each replica | a subscription lives as long as the replica |
//! | `apikey:<digest>`, `channel:<id>` | string, user id | – | 92 days after the session's last use; a claim that is not settled 60 s |
//! | `identity:<name>` | string, user and channel | – | 92 days after the session's last use |
//! | `{outbox:<type>}:due` | sorted set of `<user> <channel>` by the time at which something is due, half a millisecond later while it is claimed | channels with replies under way | 2 days after the last |
//! | `{outbox:<type>}:pending`, `{outbox:<type>}:retrying` | sorted sets of replies by when they were accepted, or are tried next | replies under way; what is older than 25 h goes with the next | 50 h after the last |
//! | `{outbox:<type>}:failed` | sorted set of replies by when they failed | [`MAX_DEAD_LETTERS`](crate::store::MAX_DEAD_LETTERS) | 7 days after the last |
//! | `{outbox:<type>}:places` | hash, reply to `<user> <channel>` | replies in these three | 7 days after the last |
//! | `{directory}:seen`, `{directory}:created` | sorted sets of users by the last use or the creation of their session | sessions; those unused for 90 days leave with the next writings | 92 days after the last writing |
//! | `{directory}:names` | sorted set of `<name>\0<user>` in lexical order: what a session is found by | 1 for each session, up to 6 for each channel | the same |
//! | `{directory}:of:<user>` | hash, channel id (empty for the user's own) to its names as listed, one a line | channels of the user | 92 days after the session's last use; goes with the session |
//! | `limit:<counter>` | counter | – | the limit's window |
//! | `deployment-key` | string | one | for ever |
//! | `probe:<random>` | string | – | 10 s |
//! | `{deployment}:format` | string, number of the [`FORMAT`](crate::store::FORMAT) of the records | one | for ever |
//! | `{deployment}:replicas` | sorted set of replicas by their last heartbeat | replicas alive | 15 s after the last heartbeat of any |
//! | `{deployment}:replica-info` | hash, replica to what it says of itself | the same | the same |
//! | `{deployment}:minute:<number>` | hash, counter to count, of one minute since the epoch | 7 fields | 65 min after its last count |
//! | `{deployment}:recent` | sorted set of pointers to messages and replies by their instant | [`MAX_RECENT`](crate::store::operator::MAX_RECENT) | a day after the last |
//! | `{deployment}:admins` | sorted set of digests of operators' logins by their end | [`MAX_ADMIN_SESSIONS`](crate::store::operator::MAX_ADMIN_SESSIONS) | 24 h after the last login |
//! | `{deployment}:audit` | stream, entry `<ms>-0`, fields `ip`, `action`, `subject`, `outcome` | [`MAX_AUDIT`](crate::store::operator::MAX_AUDIT) | 90 days after the last entry |
//!
//! All begin with the prefix. The braces are the hash tag that puts everything of one user into one
//! slot of a Cluster, where a script can act on it atomically. So do those around what is not a user's own.

use crate::domain::channel::ChannelKind;
use crate::domain::digest::Digest;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::store::operator::DeliveryState;

/// What a key of a user takes beside the prefix and the first word, in bytes: the user's id and a channel's.
const ROOM: usize = 112;

/// A key that begins with `stem`.
fn below(mut stem: String, rest: &str) -> String {
    stem.push_str(rest);
    stem
}

/// Makes keys under one prefix.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// What every key starts with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Pushed together, as are the keys of the hot path: formatting takes several times as long, and each message
    /// names half a dozen.
    fn of_user(&self, user: &UserId, rest: &str) -> String {
        let mut key = String::with_capacity(self.prefix.len() + rest.len() + ROOM);
        key.push_str(&self.prefix);
        key.push('{');
        user.push_to(&mut key);
        key.push_str("}:");
        key.push_str(rest);
        key
    }

    pub(super) fn session(&self, user: &UserId) -> String {
        self.of_user(user, "session")
    }

    pub(super) fn channels(&self, user: &UserId) -> String {
        self.of_user(user, "channels")
    }

    /// Start of the keys of a user's channels; the id follows.
    pub(super) fn channel_stem(&self, user: &UserId) -> String {
        self.of_user(user, "channel:")
    }

    pub(super) fn channel(&self, user: &UserId, channel: &ChannelId) -> String {
        below(self.channel_stem(user), channel.as_str())
    }

    pub(super) fn messages(&self, user: &UserId) -> String {
        self.of_user(user, "messages")
    }

    pub(super) fn last(&self, user: &UserId) -> String {
        self.of_user(user, "last")
    }

    /// Start of the keys of responses; the channel's id follows.
    pub(super) fn responses_stem(&self, user: &UserId) -> String {
        self.of_user(user, "responses:")
    }

    pub(super) fn responses(&self, user: &UserId, channel: &ChannelId) -> String {
        below(self.responses_stem(user), channel.as_str())
    }

    /// Start of the keys of the last instants of responses; the channel's id follows.
    pub(super) fn responses_last_stem(&self, user: &UserId) -> String {
        self.of_user(user, "responses-last:")
    }

    pub(super) fn responses_last(&self, user: &UserId, channel: &ChannelId) -> String {
        below(self.responses_last_stem(user), channel.as_str())
    }

    pub(super) fn reply(&self, user: &UserId, response: &MessageId) -> String {
        self.of_user(user, &format!("reply:{response}"))
    }

    /// Start of the keys of a user's replies; the id follows.
    pub(super) fn reply_stem(&self, user: &UserId) -> String {
        self.of_user(user, "reply:")
    }

    pub(super) fn conversations(&self, user: &UserId, channel: &ChannelId) -> String {
        below(self.of_user(user, "conversations:"), channel.as_str())
    }

    pub(super) fn newest(&self, user: &UserId, channel: &ChannelId) -> String {
        below(self.of_user(user, "newest:"), channel.as_str())
    }

    /// Start of the keys of messages that can be answered; the id follows.
    pub(super) fn origin_stem(&self, user: &UserId, channel: &ChannelId) -> String {
        self.of_user(user, &format!("origin:{channel}:"))
    }

    pub(super) fn questions(&self, user: &UserId, channel: &ChannelId) -> String {
        below(self.of_user(user, "questions:"), channel.as_str())
    }

    /// Start of the keys of lists of queues; the channel's id follows.
    pub(super) fn queues_stem(&self, user: &UserId) -> String {
        self.of_user(user, "queues:")
    }

    pub(super) fn queues(&self, user: &UserId, channel: &ChannelId) -> String {
        below(self.queues_stem(user), channel.as_str())
    }

    /// Start of the keys of all queues of a user; the channel's id and the digest of the conversation follow.
    pub(super) fn queue_stems(&self, user: &UserId) -> String {
        self.of_user(user, "queue:")
    }

    /// Start of the keys of a channel's queues; the digest of the conversation follows.
    pub(super) fn queue_stem(&self, user: &UserId, channel: &ChannelId) -> String {
        format!("{}{channel}:", self.queue_stems(user))
    }

    pub(super) fn identity(&self, identity: &str) -> String {
        format!("{}identity:{identity}", self.prefix)
    }

    /// What one platform's outbox has beside the replies, in a slot of its own.
    fn of_outbox(&self, kind: ChannelKind, rest: &str) -> String {
        format!("{}{{outbox:{kind}}}:{rest}", self.prefix)
    }

    pub(super) fn due(&self, kind: ChannelKind) -> String {
        self.of_outbox(kind, "due")
    }

    /// Replies of a platform that are in this state.
    pub(super) fn listed(&self, kind: ChannelKind, state: DeliveryState) -> String {
        self.of_outbox(kind, state.as_str())
    }

    /// Where the replies in these lists are.
    pub(super) fn places(&self, kind: ChannelKind) -> String {
        self.of_outbox(kind, "places")
    }

    pub(super) fn nonce(&self, user: &UserId, nonce: &str) -> String {
        below(self.of_user(user, "nonce:"), nonce)
    }

    pub(super) fn once(&self, user: &UserId, channel: &ChannelId, key: &Digest) -> String {
        self.of_user(user, &format!("once:{channel}:{}", key.to_hex()))
    }

    /// Users by the last use of their sessions.
    pub(super) fn directory_seen(&self) -> String {
        format!("{}{{directory}}:seen", self.prefix)
    }

    /// Users by the creation of their sessions.
    pub(super) fn directory_created(&self) -> String {
        format!("{}{{directory}}:created", self.prefix)
    }

    /// The names by which sessions are found.
    pub(super) fn directory_names(&self) -> String {
        format!("{}{{directory}}:names", self.prefix)
    }

    /// Start of the keys of what is listed of a user; the user's id follows.
    pub(super) fn directory_stem(&self) -> String {
        format!("{}{{directory}}:of:", self.prefix)
    }

    /// What is listed of a user.
    pub(super) fn directory_of(&self, user: &UserId) -> String {
        format!("{}{user}", self.directory_stem())
    }

    pub(super) fn sockets(&self, user: &UserId) -> String {
        self.of_user(user, "sockets")
    }

    pub(super) fn wake(&self, user: &UserId) -> String {
        self.of_user(user, "wake")
    }

    /// The channel on which a replica listens for its own voice.
    pub(super) fn echo(&self, own: &UserId) -> String {
        self.of_user(own, "echo")
    }

    /// Whose wake channel this is; `None` for any other name.
    pub(super) fn user_of_wake(&self, channel: &[u8]) -> Option<UserId> {
        let channel = std::str::from_utf8(channel).ok()?;
        let rest = channel.strip_prefix(&self.prefix)?.strip_prefix('{')?;
        rest.strip_suffix("}:wake")?.parse().ok()
    }

    pub(super) fn api_key(&self, digest: &Digest) -> String {
        format!("{}apikey:{}", self.prefix, digest.to_hex())
    }

    pub(super) fn channel_pointer(&self, channel: &ChannelId) -> String {
        format!("{}channel:{channel}", self.prefix)
    }

    pub(super) fn limit(&self, counter: &str) -> String {
        format!("{}limit:{counter}", self.prefix)
    }

    pub(super) fn deployment_key(&self) -> String {
        format!("{}deployment-key", self.prefix)
    }

    pub(super) fn probe(&self) -> String {
        format!("{}probe:{}", self.prefix, MessageId::random())
    }

    /// A key of the whole deployment. All of them share a slot, which is no user's.
    fn of_deployment(&self, rest: &str) -> String {
        format!("{}{{deployment}}:{rest}", self.prefix)
    }

    pub(super) fn format(&self) -> String {
        self.of_deployment("format")
    }

    pub(super) fn replicas(&self) -> String {
        self.of_deployment("replicas")
    }

    pub(super) fn replica_info(&self) -> String {
        self.of_deployment("replica-info")
    }

    /// Start of the keys of minutes; the number of the minute follows.
    pub(super) fn minute_stem(&self) -> String {
        self.of_deployment("minute:")
    }

    pub(super) fn admins(&self) -> String {
        self.of_deployment("admins")
    }

    pub(super) fn audit(&self) -> String {
        self.of_deployment("audit")
    }

    pub(super) fn recent(&self) -> String {
        self.of_deployment("recent")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_channel_names_its_user() {
        let (keys, user) = (Keys::new("p:"), UserId::random());
        assert_eq!(keys.user_of_wake(keys.wake(&user).as_bytes()), Some(user));
        assert_eq!(keys.user_of_wake(keys.session(&user).as_bytes()), None);
        assert_eq!(Keys::new("q:").user_of_wake(keys.wake(&user).as_bytes()), None);
    }
}
