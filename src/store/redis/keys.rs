//! Every key the relay writes: its type, what bounds it, and how long it lives.
//!
//! | key | type | bound | life |
//! |---|---|---|---|
//! | `{user}:session` | hash `k` API key digest, `a` sealed API key, `p` public key, `c` created, `n` last used, and two fields (`:used`, `:ends`) for each limit | 11 fields | 90 days after the last use |
//! | `{user}:channels` | set of channel ids | [`MAX_CHANNELS`](crate::store::MAX_CHANNELS) | as the session |
//! | `{user}:channel:<id>` | hash `t` type, `e` enabled, `s` secret digest, `r` routing members, `o` members of responses, `d` the channel, `v` revision, and two fields each for the limits `in` and `out` | 11 fields | as the session |
//! | `{user}:messages` | stream, entry `<ms>-0`, field `d` | about 500 | a day and 20 minutes after the last message |
//! | `{user}:last` | string, instant of the last message | – | 48 h after the last message |
//! | `{user}:responses:<id>`, `{user}:responses-last:<id>` | the same for responses | about 100 | the same |
//! | `{user}:reply:<response>` | hash `c` channel, `s` status, `a` attempts, `x` error | 4 fields | 24 h |
//! | `{user}:nonce:<nonce>` | string | – | 20 min |
//! | `{user}:once:<channel>:<digest>` | string, message id | – | 24 h |
//! | `{user}:sockets` | sorted set of places by end of lease | sockets of one session | 60 s after the last renewal |
//! | `{user}:wake` | sharded pub/sub channel | – | a subscription lives from a user's first to its last local listener |
//! | `apikey:<digest>`, `channel:<id>` | string, user id | – | 92 days after the session's last use; a claim that is not settled 60 s |
//! | `limit:<counter>` | counter | – | the limit's window |
//! | `deployment-key` | string | one | for ever |
//! | `probe:<random>` | string | – | 10 s |
//!
//! All begin with the prefix. The braces are the hash tag that puts everything of one user into one
//! slot of a Cluster, where a script can act on it atomically.

use crate::domain::digest::Digest;
use crate::domain::ids::{ChannelId, MessageId, UserId};

/// Makes keys under one prefix.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    fn of_user(&self, user: &UserId, rest: &str) -> String {
        format!("{}{{{user}}}:{rest}", self.prefix)
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
        format!("{}{channel}", self.channel_stem(user))
    }

    pub(super) fn messages(&self, user: &UserId) -> String {
        self.of_user(user, "messages")
    }

    pub(super) fn last(&self, user: &UserId) -> String {
        self.of_user(user, "last")
    }

    pub(super) fn responses(&self, user: &UserId, channel: &ChannelId) -> String {
        self.of_user(user, &format!("responses:{channel}"))
    }

    pub(super) fn responses_last(&self, user: &UserId, channel: &ChannelId) -> String {
        self.of_user(user, &format!("responses-last:{channel}"))
    }

    pub(super) fn reply(&self, user: &UserId, response: &MessageId) -> String {
        self.of_user(user, &format!("reply:{response}"))
    }

    pub(super) fn nonce(&self, user: &UserId, nonce: &str) -> String {
        self.of_user(user, &format!("nonce:{nonce}"))
    }

    pub(super) fn once(&self, user: &UserId, channel: &ChannelId, key: &Digest) -> String {
        self.of_user(user, &format!("once:{channel}:{}", key.to_hex()))
    }

    pub(super) fn sockets(&self, user: &UserId) -> String {
        self.of_user(user, "sockets")
    }

    pub(super) fn wake(&self, user: &UserId) -> String {
        self.of_user(user, "wake")
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
