//! Looking at the store's own keys, without harm to a store that is busy and without showing a secret.

use crate::store::StoreError;

/// A kind of key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyKind {
    /// Its name on the pages and in their URLs, such as `messages`; unique.
    pub name: &'static str,
    /// How its keys look, for people, such as `{user}:messages`.
    pub pattern: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// What bounds it and how long it lives, in a few words.
    pub life: &'static str,
    /// How many there are, about: what a sample says of the whole.
    pub about: u64,
}

/// The kinds of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyKinds {
    /// Every kind, also those of which there is none.
    pub kinds: Vec<KeyKind>,
    /// Keys there are in all, others' included if the store is shared.
    pub total: u64,
    /// How many of them were looked at; if that is all, the numbers are exact.
    pub sampled: u64,
    /// Bytes the store takes in all, in memory or in its file, where it says so.
    pub bytes: Option<u64>,
}

/// What is known about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The whole key, as text; parts that are secret or derived from one are masked.
    pub shown: String,
    /// Names the key to [`KeyBrowserStore::key`]. Empty if the key cannot be opened, since its name is a secret.
    pub id: String,
    /// Its type, such as `hash`.
    pub form: String,
    /// How long it still lives, in milliseconds; `None` if it does not expire by itself.
    pub ttl: Option<u64>,
    /// Bytes it takes, about.
    pub bytes: u64,
}

/// Some keys of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys, in no particular order. There may be none though more follow.
    pub keys: Vec<KeyInfo>,
    /// Where to go on; `None` when all was seen.
    pub next: Option<String>,
}

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyField {
    /// Its name, number or score; may be empty.
    pub name: String,
    /// The beginning of its value; masked if it is a secret.
    pub value: String,
    /// Bytes of the whole value.
    pub bytes: u64,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyView {
    /// The kind's name.
    pub kind: &'static str,
    /// The key.
    pub info: KeyInfo,
    /// The first parts of its value; at most a hundred.
    pub fields: Vec<KeyField>,
    /// How many parts there are in all.
    pub len: u64,
}

/// The store's own keys, to be looked at.
#[async_trait::async_trait]
pub trait KeyBrowserStore: Send + Sync {
    /// The kinds of keys with their numbers, from a sample of at most some thousand keys.
    async fn key_kinds(&self) -> Result<KeyKinds, StoreError>;

    /// Looks at a bounded number of keys from `from` on (the beginning without it) and gives those of this kind, at
    /// most about a hundred. `None` for an unknown kind or a place that cannot be one.
    async fn keys(&self, kind: &str, from: Option<&str>) -> Result<Option<KeyPage>, StoreError>;

    /// One of the relay's keys; `None` if it is gone or none of its own.
    async fn key(&self, id: &str) -> Result<Option<KeyView>, StoreError>;
}
