//! Identifiers as they travel on the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::digest::Digest;

/// One registered user. Written as a hyphenated lower-case UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(Uuid);

impl UserId {
    /// A fresh random id, for a session that has no key of its own.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The id that belongs to a public key, the same on every replica and after a loss of data.
    ///
    /// Deriving it makes registration one atomic step on the user's own records: two replicas that
    /// register one key at the same time cannot end up with two users. The id is not a secret.
    pub fn of_key(thumbprint: &Digest) -> Self {
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&thumbprint.as_bytes()[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// A message or a response. Written as a hyphenated lower-case UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(Uuid);

impl MessageId {
    /// A fresh random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

/// One open WebSocket, unique over the whole deployment.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketId(Uuid);

impl SocketId {
    /// A fresh random id.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

macro_rules! uuid_text {
    ($($name:ident),+) => {$(
        impl $name {
            /// Appends the id as text.
            pub fn push_to(&self, text: &mut String) {
                text.push_str(self.0.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()));
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.as_hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    )+};
}

uuid_text!(UserId, MessageId, SocketId);

/// The public name of a channel: 1–64 characters of `A-Za-z0-9_-`, chosen by its owner or by the relay.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChannelId(String);

/// Longest channel id, in characters. Part of the wire contract.
const MAX_CHANNEL_ID: usize = 64;

impl ChannelId {
    /// A fresh id for a channel whose owner chose none.
    pub fn random() -> Self {
        Self(Uuid::new_v4().as_hyphenated().to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that cannot be the id of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a channel id is 1 to 64 characters of A-Z, a-z, 0-9, _ and -")]
pub struct InvalidChannelId;

impl TryFrom<String> for ChannelId {
    type Error = InvalidChannelId;

    fn try_from(text: String) -> Result<Self, InvalidChannelId> {
        let fits = (1..=MAX_CHANNEL_ID).contains(&text.len());
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if fits && text.bytes().all(plain) { Ok(Self(text)) } else { Err(InvalidChannelId) }
    }
}

impl FromStr for ChannelId {
    type Err = InvalidChannelId;

    fn from_str(text: &str) -> Result<Self, InvalidChannelId> {
        Self::try_from(text.to_owned())
    }
}

impl From<ChannelId> for String {
    fn from(id: ChannelId) -> Self {
        id.0
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_id_is_held_to_its_alphabet_and_length() {
        for good in ["a", "A-Z_09", &"x".repeat(64)] {
            assert!(good.parse::<ChannelId>().is_ok(), "{good}");
        }
        for bad in ["", &"x".repeat(65), "a b", "a/b", "ä", "a\0", "a.b"] {
            assert!(bad.parse::<ChannelId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn one_key_always_gives_the_same_user() {
        let thumbprint = Digest::of(b"key");
        assert_eq!(UserId::of_key(&thumbprint), UserId::of_key(&thumbprint));
        assert_ne!(UserId::of_key(&thumbprint), UserId::of_key(&Digest::of(b"other")));
        let text = UserId::of_key(&thumbprint).to_string();
        assert_eq!(text.parse::<UserId>().unwrap().to_string(), text);
    }
}
