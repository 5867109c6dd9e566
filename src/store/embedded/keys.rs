//! Keys of the records, and what each record is.
//!
//! | key | record | life |
//! |---|---|---|
//! | `s` user | session | [`SESSION_LIFE_MS`](crate::store::SESSION_LIFE_MS) after its last use |
//! | `k` digest of an API key | the user it belongs to | as the session |
//! | `c` channel id | owner and session number | as the channel |
//! | `f` `c` type NUL state | how many replies are listed in this state | while there are any |
//! | `f` `l` type NUL state instant response id | reply that is not delivered, for the operator | as what became of it |
//! | `f` `r` response id | key of the record above | the same |
//! | `g` counter | counter that belongs to no user | its window |
//! | `i` name | channel that has the bot or address of this name | as the channel |
//! | `n` | number of the newest session | for ever |
//! | `oa` digest | login of an operator | [`ADMIN_SESSION_LIFE_MS`](crate::store::operator::ADMIN_SESSION_LIFE_MS) |
//! | `ol` | last instant and length of the audit | [`AUDIT_LIFE_MS`](crate::store::operator::AUDIT_LIFE_MS) after the last entry |
//! | `ol` instant | entry of the audit | as the audit |
//! | `op` | counts of the last minutes, and what came last | a day after the last change |
//! | `p` random | what a probe wrote | 10 s |
//! | `u` number channel id | when something is due in a channel | until nothing is, at most as the channel |
//! | `w` | number of sessions that are listed | while there are any |
//! | `ws` last use, user; `wc` creation, user | place of a session in the directory | as the session |
//! | `wn` name NUL user NUL channel id | name by which a session is found; without an id for the user's own | as the session or channel |
//! | `x` | the deployment's sealed private key | for ever |
//! | `d` number … | what the session with this number owns: | at most as the session |
//! | … `c` channel id | channel | as the session |
//! | … `h` stream | last instant and length of a stream | as the session or channel |
//! | … `e` stream NUL instant | entry of a stream | [`KEEP_MS`](crate::store::KEEP_MS) |
//! | … `l` counter | counter | its window |
//! | … `m` channel id NUL message id | where a message came from | [`ORIGIN_LIFE_MS`](crate::store::ORIGIN_LIFE_MS) |
//! | … `n` nonce | nonce that was used | [`NONCE_LIFE_MS`](crate::domain::signing::NONCE_LIFE_MS) |
//! | … `o` channel id NUL digest | message accepted under an idempotency key | [`IDEMPOTENCY_MS`](crate::store::IDEMPOTENCY_MS) |
//! | … `p` response id | what of a reply is to be delivered | as the reply, until it is delivered |
//! | … `q` channel id NUL instant | open question | [`QUESTION_LIFE_MS`](crate::store::QUESTION_LIFE_MS) |
//! | … `r` response id | what became of a reply | [`KEEP_MS`](crate::store::KEEP_MS), an hour longer until it is delivered, [`DEAD_LETTER_LIFE_MS`](crate::store::DEAD_LETTER_LIFE_MS) when it failed |
//! | … `v` channel id NUL conversation | conversation | [`CONVERSATION_LIFE_MS`](crate::store::CONVERSATION_LIFE_MS) |
//! | … `w` channel id NUL instant | conversation whose newest message came then | as the conversation |
//! | … `y` channel id NUL conversation | replies that wait in a conversation | until there are none, at most as the last of them |
//!
//! A session has a number that is never given again, and what it owns is filed under that number rather
//! than under the user. So a session ends, with all it owns, by the removal of one record: what is left
//! can be reached by nobody and is cleared away bit by bit, even when the user has a new session already.

pub(super) mod directory;

use crate::domain::channel::ChannelKind;
use crate::domain::digest::Digest;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::store::operator::DeliveryState;
use crate::store::{MAX_MESSAGES, MAX_RESPONSES};

/// Key of the number of the newest session.
pub(super) const NEWEST_SESSION: &[u8] = b"n";
/// Key of the deployment's sealed private key.
pub(super) const DEPLOYMENT_KEY: &[u8] = b"x";
/// Start of the keys around replies that are not delivered. Before they were listed by state, it was itself the key
/// of the number of the newest failed reply.
pub(super) const UNDELIVERED: &[u8] = b"f";
/// Start of the keys of operators' logins; the digest follows.
pub(super) const ADMINS: &[u8] = b"oa";
/// Key of the head of the audit, and start of the keys of its entries.
pub(super) const AUDIT: &[u8] = b"ol";
/// Key of the counts of the last minutes.
pub(super) const PULSE: &[u8] = b"op";
/// Start of the keys of sessions.
pub(super) const SESSIONS: &[u8] = &[SESSION];
/// Start of the keys of channels with something due.
pub(super) const DUE: &[u8] = b"u";

const SESSION: u8 = b's';
pub(super) const OWNED: u8 = b'd';
const HEAD: u8 = b'h';
const CHANNEL: u8 = b'c';
const REPLY: u8 = b'r';
const CONVERSATION: u8 = b'v';
const HEARD: u8 = b'w';
const IDENTITY: u8 = b'i';
/// Length of the keys' part that is common to all a session owns: the tag and the number.
pub(super) const OWNED_LEN: usize = 9;
/// Ends names of variable length; no name contains it.
const NUL: &[u8] = b"\0";

fn key(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(tag);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

pub(super) fn session(user: &UserId) -> Vec<u8> {
    key(SESSION, &[user.to_string().as_bytes()])
}

/// The user in the key of a session.
pub(super) fn session_user(key: &[u8]) -> Option<UserId> {
    std::str::from_utf8(key.strip_prefix(SESSIONS)?).ok()?.parse().ok()
}

pub(super) fn api_key(digest: &Digest) -> Vec<u8> {
    key(b'k', &[digest.as_bytes()])
}

pub(super) fn channel_owner(channel: &ChannelId) -> Vec<u8> {
    key(b'c', &[channel.as_str().as_bytes()])
}

pub(super) fn counter(name: &str) -> Vec<u8> {
    key(b'g', &[name.as_bytes()])
}

/// Key of the note which channel has the bot or address of this name.
pub(super) fn identity(name: &str) -> Vec<u8> {
    key(IDENTITY, &[name.as_bytes()])
}

/// The name in the key of such a note.
pub(super) fn identity_of(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.strip_prefix(&[IDENTITY])?).ok()
}

/// Key of one of the places that failed replies had before they were listed by state.
pub(super) fn dead_letter(slot: u64) -> Vec<u8> {
    [UNDELIVERED, &slot.to_be_bytes()].concat()
}

fn undelivered(tag: u8, kind: ChannelKind, state: DeliveryState) -> Vec<u8> {
    let state = match state {
        DeliveryState::Pending => b'p',
        DeliveryState::Retrying => b'r',
        DeliveryState::Failed => b'f',
    };
    [UNDELIVERED, &[tag], kind.as_str().as_bytes(), NUL, &[state]].concat()
}

/// Key of how many replies of a platform are in this state.
pub(super) fn listed_count(kind: ChannelKind, state: DeliveryState) -> Vec<u8> {
    undelivered(b'c', kind, state)
}

/// Start of the keys of a platform's replies in this state.
pub(super) fn listed(kind: ChannelKind, state: DeliveryState) -> Vec<u8> {
    undelivered(b'l', kind, state)
}

/// Key of one of them: sorted by this instant, in milliseconds.
pub(super) fn listed_at(kind: ChannelKind, state: DeliveryState, at: u64, response: &str) -> Vec<u8> {
    [&listed(kind, state)[..], &at.to_be_bytes(), response.as_bytes()].concat()
}

/// Key under which it is noted where a reply is listed.
pub(super) fn listing(response: &MessageId) -> Vec<u8> {
    [UNDELIVERED, b"r", response.to_string().as_bytes()].concat()
}

/// The channel in a key that starts with [`DUE`].
pub(super) fn due_channel(key: &[u8]) -> Option<ChannelId> {
    std::str::from_utf8(key.get(OWNED_LEN..)?).ok()?.parse().ok()
}

/// Key of a login of an operator.
pub(super) fn admin(session: &Digest) -> Vec<u8> {
    [ADMINS, session.as_bytes()].concat()
}

/// Key of the entry of the audit at this instant, in milliseconds.
pub(super) fn audit_entry(at: u64) -> Vec<u8> {
    [AUDIT, &at.to_be_bytes()].concat()
}

/// The instant in the key of an entry of the audit.
pub(super) fn audit_instant(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.strip_prefix(AUDIT)?.try_into().ok()?))
}

/// Key of what one probe writes.
pub(super) fn probe(random: &MessageId) -> Vec<u8> {
    key(b'p', &[random.to_string().as_bytes()])
}

/// The first key after all that start with `prefix`, which is not made of 0xff bytes alone.
pub(super) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while end.last() == Some(&u8::MAX) {
        end.pop();
    }
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// Makes the keys of what the session with this number owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owned(pub(super) u64);

impl Owned {
    fn key(self, tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        key(OWNED, &[&[&self.0.to_be_bytes()[..], &[tag]].concat(), &parts.concat()])
    }

    /// Start of all its keys.
    pub(super) fn prefix(self) -> Vec<u8> {
        key(OWNED, &[&self.0.to_be_bytes()])
    }

    pub(super) fn channel(self, channel: &ChannelId) -> Vec<u8> {
        self.key(CHANNEL, &[channel.as_str().as_bytes()])
    }

    /// Start of the keys of its channels.
    pub(super) fn channels(self) -> Vec<u8> {
        self.key(CHANNEL, &[])
    }

    /// The stream of messages.
    pub(super) fn messages(self) -> Stream {
        Stream::of_head(&self.key(HEAD, &[]))
    }

    /// The stream of a channel's responses.
    pub(super) fn responses(self, channel: &ChannelId) -> Stream {
        Stream::of_head(&self.key(HEAD, &[channel.as_str().as_bytes()]))
    }

    pub(super) fn counter(self, name: &str) -> Vec<u8> {
        self.key(b'l', &[name.as_bytes()])
    }

    pub(super) fn nonce(self, nonce: &str) -> Vec<u8> {
        self.key(b'n', &[nonce.as_bytes()])
    }

    pub(super) fn once(self, channel: &ChannelId, idempotency: &Digest) -> Vec<u8> {
        self.key(b'o', &[channel.as_str().as_bytes(), NUL, idempotency.as_bytes()])
    }

    pub(super) fn reply(self, response: &MessageId) -> Vec<u8> {
        self.key(REPLY, &[response.to_string().as_bytes()])
    }

    /// What of a reply is to be delivered.
    pub(super) fn parcel(self, response: &MessageId) -> Vec<u8> {
        parcel_of(&self.reply(response))
    }

    /// A conversation, by its stored form; with the start of one, the start of the keys of all that begin so.
    pub(super) fn conversation(self, channel: &ChannelId, text: &str) -> Vec<u8> {
        self.key(CONVERSATION, &[channel.as_str().as_bytes(), NUL, text.as_bytes()])
    }

    /// Start of the keys of conversations by the instants of their newest messages.
    pub(super) fn heard(self, channel: &ChannelId) -> Vec<u8> {
        self.key(HEARD, &[channel.as_str().as_bytes(), NUL])
    }

    /// The conversation whose newest message came at this instant, in milliseconds.
    pub(super) fn heard_at(self, channel: &ChannelId, at: u64) -> Vec<u8> {
        [&self.heard(channel)[..], &at.to_be_bytes()].concat()
    }

    /// Where a message came from.
    pub(super) fn origin(self, channel: &ChannelId, message: &MessageId) -> Vec<u8> {
        self.key(b'm', &[channel.as_str().as_bytes(), NUL, message.to_string().as_bytes()])
    }

    /// Start of the keys of a channel's open questions.
    pub(super) fn questions(self, channel: &ChannelId) -> Vec<u8> {
        self.key(b'q', &[channel.as_str().as_bytes(), NUL])
    }

    /// The question that was asked at this instant, in milliseconds.
    pub(super) fn question(self, channel: &ChannelId, at: u64) -> Vec<u8> {
        [&self.questions(channel)[..], &at.to_be_bytes()].concat()
    }

    /// Start of the keys of a channel's queues.
    pub(super) fn queues(self, channel: &ChannelId) -> Vec<u8> {
        self.key(b'y', &[channel.as_str().as_bytes(), NUL])
    }

    /// The replies that wait in a conversation, by its stored form.
    pub(super) fn queue(self, channel: &ChannelId, text: &str) -> Vec<u8> {
        [&self.queues(channel)[..], text.as_bytes()].concat()
    }

    /// When something is due in a channel. The key stands among those of all users.
    pub(super) fn due(self, channel: &ChannelId) -> Vec<u8> {
        [DUE, &self.0.to_be_bytes(), channel.as_str().as_bytes()].concat()
    }
}

/// Key of what is to be delivered, from the key of its reply.
pub(super) fn parcel_of(reply: &[u8]) -> Vec<u8> {
    let (owner, name) = reply.split_at(OWNED_LEN);
    [owner, b"p", name.strip_prefix(&[REPLY]).unwrap_or(name)].concat()
}

/// The session and the channel in a key that starts with [`DUE`].
pub(super) fn due_place(key: &[u8]) -> Option<(Owned, ChannelId)> {
    let number = key.get(1..OWNED_LEN)?.try_into().ok()?;
    Some((Owned(u64::from_be_bytes(number)), due_channel(key)?))
}

/// The reply whose record has this key, if it is the key of one that a session owns.
pub(super) fn owned_reply(key: &[u8]) -> Option<MessageId> {
    let id = key.strip_prefix(&[OWNED]).and(key.get(OWNED_LEN..))?.strip_prefix(&[REPLY])?;
    std::str::from_utf8(id).ok()?.parse().ok()
}

/// Key under which a conversation is found by the instant of its newest message, from its own key.
pub(super) fn heard_of(conversation: &[u8], at: u64) -> Option<Vec<u8>> {
    let (owner, rest) = conversation.split_at_checked(OWNED_LEN)?;
    let rest = rest.strip_prefix(&[CONVERSATION])?;
    let channel = rest.get(..=memchr::memchr(0, rest)?)?;
    Some([owner, &[HEARD], channel, &at.to_be_bytes()].concat())
}

/// Keys of a stream: a head and entries that sort by instant.
pub(super) struct Stream {
    /// Key of the head.
    pub(super) head: Vec<u8>,
    /// How many of its entries are shown, the newest.
    pub(super) cap: usize,
    entries: Vec<u8>,
}

impl Stream {
    /// The stream whose head has this key. Messages have no name; responses have their channel's.
    pub(super) fn of_head(head: &[u8]) -> Self {
        let (owner, name) = head.split_at(OWNED_LEN);
        let name = name.strip_prefix(&[HEAD]).unwrap_or(name);
        let cap = if name.is_empty() { MAX_MESSAGES } else { MAX_RESPONSES };
        Self { head: head.to_vec(), cap, entries: [owner, b"e", name, NUL].concat() }
    }

    /// Key of the entry at this instant, in milliseconds.
    pub(super) fn entry(&self, at: u64) -> Vec<u8> {
        [&self.entries[..], &at.to_be_bytes()].concat()
    }

    /// The first key after its entries.
    pub(super) fn end(&self) -> Vec<u8> {
        end_of(&self.entries)
    }

    /// The instant of the entry with this key.
    pub(super) fn instant(&self, key: &[u8]) -> Option<u64> {
        let at = key.strip_prefix(&self.entries[..])?;
        Some(u64::from_be_bytes(at.try_into().ok()?))
    }
}

/// What the expiry of a key is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expiring {
    /// A session that may have gone unused for too long.
    Session,
    /// All that is left of a session that ended.
    Remains(Owned),
    /// A stream whose oldest entries may be too old.
    Stream,
    /// A conversation that may have been silent for too long.
    Conversation,
    /// What became of a reply, and what of it is to be delivered.
    Reply,
    /// The note which channel has a bot or address.
    Identity,
    /// The audit, to which nothing may have been added for too long.
    Audit,
    /// A record whose value says when it expires.
    Record,
}

impl Expiring {
    pub(super) fn of(key: &[u8]) -> Self {
        match (key.first(), key.get(OWNED_LEN)) {
            (Some(&SESSION), _) => Self::Session,
            (Some(&IDENTITY), _) => Self::Identity,
            _ if key == AUDIT => Self::Audit,
            (Some(&OWNED), Some(&HEAD)) => Self::Stream,
            (Some(&OWNED), Some(&CONVERSATION)) => Self::Conversation,
            (Some(&OWNED), Some(&REPLY)) => Self::Reply,
            (Some(&OWNED), None) => match key.get(1..).map(<[u8; 8]>::try_from) {
                Some(Ok(number)) => Self::Remains(Owned(u64::from_be_bytes(number))),
                _ => Self::Record,
            },
            _ => Self::Record,
        }
    }
}

/// The channel whose record has this key, if it is the key of a channel that a session owns.
pub(super) fn owned_channel(key: &[u8]) -> Option<ChannelId> {
    let id = key.get(OWNED_LEN..)?.strip_prefix(&[CHANNEL])?;
    std::str::from_utf8(id).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
