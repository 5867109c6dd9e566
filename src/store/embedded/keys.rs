//! Keys of the records, and what each record is.
//!
//! | key | record | life |
//! |---|---|---|
//! | `s` user | session | [`SESSION_LIFE_MS`](crate::store::SESSION_LIFE_MS) after its last use |
//! | `k` digest of an API key | the user it belongs to | as the session |
//! | `c` channel id | owner and session number | as the channel |
//! | `g` counter | counter that belongs to no user | its window |
//! | `n` | number of the newest session | for ever |
//! | `p` random | what a probe wrote | 10 s |
//! | `x` | the deployment's sealed private key | for ever |
//! | `d` number … | what the session with this number owns: | at most as the session |
//! | … `c` channel id | channel | as the session |
//! | … `h` stream | last instant and length of a stream | as the session or channel |
//! | … `e` stream NUL instant | entry of a stream | [`KEEP_MS`](crate::store::KEEP_MS) |
//! | … `l` counter | counter | its window |
//! | … `n` nonce | nonce that was used | [`NONCE_LIFE_MS`](crate::domain::signing::NONCE_LIFE_MS) |
//! | … `o` channel id NUL digest | message accepted under an idempotency key | [`IDEMPOTENCY_MS`](crate::store::IDEMPOTENCY_MS) |
//! | … `r` response id | what became of a reply | [`KEEP_MS`](crate::store::KEEP_MS) |
//!
//! A session has a number that is never given again, and what it owns is filed under that number rather
//! than under the user. So a session ends, with all it owns, by the removal of one record: what is left
//! can be reached by nobody and is cleared away bit by bit, even when the user has a new session already.

use crate::domain::digest::Digest;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::store::{MAX_MESSAGES, MAX_RESPONSES};

/// Key of the number of the newest session.
pub(super) const NEWEST_SESSION: &[u8] = b"n";
/// Key of the deployment's sealed private key.
pub(super) const DEPLOYMENT_KEY: &[u8] = b"x";

const SESSION: u8 = b's';
const OWNED: u8 = b'd';
const HEAD: u8 = b'h';
const CHANNEL: u8 = b'c';
/// Length of the keys' part that is common to all a session owns: the tag and the number.
const OWNED_LEN: usize = 9;
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

pub(super) fn api_key(digest: &Digest) -> Vec<u8> {
    key(b'k', &[digest.as_bytes()])
}

pub(super) fn channel_owner(channel: &ChannelId) -> Vec<u8> {
    key(b'c', &[channel.as_str().as_bytes()])
}

pub(super) fn counter(name: &str) -> Vec<u8> {
    key(b'g', &[name.as_bytes()])
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
        self.key(b'r', &[response.to_string().as_bytes()])
    }
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
    /// A record whose value says when it expires.
    Record,
}

impl Expiring {
    pub(super) fn of(key: &[u8]) -> Self {
        match (key.first(), key.get(OWNED_LEN)) {
            (Some(&SESSION), _) => Self::Session,
            (Some(&OWNED), Some(&HEAD)) => Self::Stream,
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
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_after_all_its_keys_and_before_the_next() {
        assert_eq!(end_of(b"a"), b"b");
        assert_eq!(end_of(&[b'd', 0, 0xff]), [b'd', 1]);
        let (one, next) = (Owned(0xff), Owned(0x100));
        assert!(one.nonce("~").as_slice() < end_of(&one.prefix()).as_slice());
        assert_eq!(end_of(&one.prefix()).as_slice(), &next.prefix()[..8]);
        assert!(end_of(&one.prefix()) <= next.prefix());
    }

    #[test]
    fn entries_sort_by_instant_and_streams_do_not_mix() {
        let owned = Owned(1);
        let (short, long) = (owned.responses(&"a".parse().unwrap()), owned.responses(&"aa".parse().unwrap()));
        assert!(short.entry(255) < short.entry(256));
        assert!(short.entry(u64::MAX) < short.end());
        assert_eq!(short.instant(&short.entry(7)), Some(7));
        assert_eq!(short.instant(&long.entry(7)), None);
        assert!(long.entry(0) > short.end() || long.end() <= short.entry(0));
        assert!(owned.messages().end() <= short.entry(0));
    }

    #[test]
    fn a_key_says_what_expires() {
        let (owned, channel) = (Owned(7), "c".parse().unwrap());
        assert_eq!(Expiring::of(&session(&UserId::random())), Expiring::Session);
        assert_eq!(Expiring::of(&owned.prefix()), Expiring::Remains(owned));
        assert_eq!(Expiring::of(&owned.messages().head), Expiring::Stream);
        for record in [owned.nonce("h"), owned.counter("h"), owned.once(&channel, &Digest::of(b"")), counter("h")] {
            assert_eq!(Expiring::of(&record), Expiring::Record);
        }
        let stream = owned.responses(&channel);
        assert_eq!(Stream::of_head(&stream.head).entry(3), stream.entry(3));
        assert_eq!(owned_channel(&owned.channel(&channel)), Some(channel));
        assert_eq!(owned_channel(&owned.nonce("c")), None);
    }
}
