//! Looking at the keys of a Redis that is busy.
//!
//! Whatever is asked, the server does a bounded number of bounded steps: scans of at most [`STEP_MAX`] keys each, which
//! take it a fraction of a millisecond and let others in between, and one small script for each key that is shown.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::future::{try_join_all, try_join3};
use redis::Value;

use super::RedisStore;
use super::answer::{Answer, unexpected};
use super::kinds::{KINDS, Kind, Name};
use super::script;
use crate::domain::ids::UserId;
use crate::store::StoreError;
use crate::store::operator::masking::{LOOKED_AT, MASKED, shown};
use crate::store::operator::{KeyBrowserStore, KeyField, KeyInfo, KeyKind, KeyKinds, KeyPage, KeyView};

/// Keys that are looked at for the numbers of kinds, over all nodes.
const SAMPLE: u64 = 2_000;
/// Keys of a node that are looked at in any case.
const SAMPLE_MIN: u64 = 50;
/// Keys that the first step of a scan looks at, about: no more than are given if all of them are of the kind.
const STEP_MIN: u64 = 100;
/// Keys that the steps look at once a kind turned out to be rare.
const STEP_MAX: u64 = 1_000;
/// Steps of one call.
const STEPS: usize = 6;
/// A kind is rare of which a step found fewer keys.
const FEW: usize = 10;
/// A call that found so many keys ends.
const ENOUGH: usize = 50;
/// Parts of a value that are given.
const PARTS: usize = 100;
/// A key that takes more bytes than this ...
const LARGE: usize = 1024 * 1024;
/// ... shows so many parts only, since the server copies them whole.
const PARTS_OF_LARGE: usize = 10;
/// Slots of every Cluster.
const SLOTS: u16 = 16_384;

/// Where a scan goes on: at this cursor of the node that has this slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) slot: u16,
    pub(super) cursor: u64,
}

impl Place {
    pub(super) fn write(self) -> String {
        format!("{}.{}", self.slot, self.cursor)
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let (slot, cursor) = text.split_once('.')?;
        let place = Self { slot: slot.parse().ok()?, cursor: cursor.parse().ok()? };
        (place.slot < SLOTS).then_some(place)
    }
}

/// What one node's sample says.
struct Sample {
    /// Keys of the node.
    size: u64,
    looked_at: u64,
    /// Of each of [`KINDS`].
    found: Vec<u64>,
    bytes: Option<u64>,
}

/// Digits of an API key's digest that are shown.
const DIGITS_SHOWN: usize = 8;

impl RedisStore {
    /// One step of a scan; gives the cursor of the next and what it found.
    pub(super) async fn scan(
        &self,
        place: Place,
        glob: Option<&str>,
        count: u64,
    ) -> Result<(u64, BTreeSet<String>), StoreError> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(place.cursor);
        if let Some(glob) = glob {
            scan.arg("MATCH").arg(glob);
        }
        scan.arg("COUNT").arg(count);
        let mut answer = Answer::new(self.link.on_node(place.slot, &scan).await?)?;
        let (cursor, mut rows, mut found) = (answer.number()?, answer.list()?, BTreeSet::new());
        while let Some(row) = rows.next() {
            // A name that is no text is none of the relay's.
            if let Value::BulkString(name) = row {
                found.extend(String::from_utf8(name));
            }
        }
        Ok((cursor, found))
    }

    /// The first step of a scan over a whole node is a sample of it without bias: keys lie in the order of a hash.
    async fn sample(&self, slot: u16, count: u64) -> Result<Sample, StoreError> {
        let (size, info) = (redis::cmd("DBSIZE"), redis::cmd("INFO").arg("memory").to_owned());
        let (size, info, (cursor, keys)) = try_join3(
            self.link.on_node(slot, &size),
            self.link.on_node(slot, &info),
            self.scan(Place { slot, cursor: 0 }, None, count),
        )
        .await?;
        let mut found = vec![0; KINDS.len()];
        for key in &keys {
            let kind = key.strip_prefix(self.keys.prefix()).and_then(Kind::of);
            if let Some(n) = kind.and_then(|(kind, _)| KINDS.iter().position(|known| std::ptr::eq(known, kind))) {
                found[n] += 1;
            }
        }
        let looked_at = keys.len() as u64;
        let Value::Int(size) = size else { return Err(unexpected(&size)) };
        let size = if cursor == 0 { looked_at } else { u64::try_from(size).unwrap_or(0).max(looked_at) };
        Ok(Sample { size, looked_at, found, bytes: used_memory(&info) })
    }

    /// Whether this key is there.
    async fn exists(&self, key: String) -> Result<bool, StoreError> {
        let mut exists = redis::cmd("EXISTS");
        exists.arg(key);
        Ok(self.link.command(&exists).await? == Value::Int(1))
    }

    /// What is known of a key, with so many parts of its value; `None` if it is gone.
    async fn view(&self, key: &str, parts: usize) -> Result<Option<KeyView>, StoreError> {
        let Some(bare) = key.strip_prefix(self.keys.prefix()) else { return Ok(None) };
        let Some((kind, last)) = Kind::of(bare) else { return Ok(None) };
        let mut call = script::VIEW_KEY.call(&[key]);
        // Whose an API key is names it.
        let parts = if kind.names == Name::ApiKey { parts.max(1) } else { parts };
        call.arg(parts).arg(LOOKED_AT).arg(LARGE).arg(PARTS_OF_LARGE);
        let mut answer = Answer::new(self.link.script(&script::VIEW_KEY, &call).await?)?;
        let Some(form) = answer.optional_text()? else { return Ok(None) };
        let ttl = match answer.next() {
            Some(Value::Int(ttl)) => u64::try_from(ttl).ok(),
            _ => None,
        };
        let (bytes, mut len, mut fields) = (answer.number()?, 0, Vec::new());
        if parts > 0 {
            len = answer.number()?;
            let mut rows = answer.list()?;
            while let Some(row) = rows.next() {
                fields.push(read_field(kind, row, &mut rows)?);
            }
        }
        let open = &key[..key.len() - bare.len() + last];
        let (hidden, id) = match kind.names {
            Name::Plain => (shown(key.as_bytes(), key.len() as u64), bare.to_owned()),
            Name::ApiKey => {
                let owner = fields.first().map(|field| field.value.as_str()).unwrap_or_default();
                let digits: String = bare[last..].chars().take(DIGITS_SHOWN).collect();
                (format!("{open}{digits}…"), format!("{}{owner}", &bare[..last]))
            }
            Name::Secret => (format!("{open}…"), String::new()),
        };
        let info = KeyInfo { shown: hidden, id, form, ttl, bytes };
        Ok(Some(KeyView { kind: kind.name, info, fields, len }))
    }

    /// What is known of keys, all asked for at once.
    async fn infos(&self, keys: impl IntoIterator<Item = &String>) -> Result<Vec<KeyInfo>, StoreError> {
        let views = try_join_all(keys.into_iter().map(|key| self.view(key, 0))).await?;
        Ok(views.into_iter().flatten().map(|view| view.info).collect())
    }

    /// The key that an id means. An API key's names the user in place of the digest.
    async fn key_of(&self, id: &str) -> Result<Option<String>, StoreError> {
        let Some((kind, last)) = Kind::of(id) else { return Ok(None) };
        let key = match kind.names {
            Name::Plain => id.to_owned(),
            Name::Secret => return Ok(None),
            Name::ApiKey => {
                let Ok(user) = id[last..].parse::<UserId>() else { return Ok(None) };
                let mut read = redis::cmd("HGET");
                read.arg(self.keys.session(&user)).arg("k");
                let Value::BulkString(digest) = self.link.command(&read).await? else { return Ok(None) };
                format!("{}{}", &id[..last], String::from_utf8_lossy(&digest))
            }
        };
        Ok(Some(format!("{}{key}", self.keys.prefix())))
    }
}

/// Reads a part of a value, of which this is the name: the beginning and the length follow.
fn read_field(kind: &Kind, name: Value, rows: &mut Answer) -> Result<KeyField, StoreError> {
    let Value::BulkString(name) = name else { return Err(unexpected(&name)) };
    let value = match rows.next() {
        Some(Value::BulkString(value)) => value,
        other => return Err(unexpected(&other.unwrap_or(Value::Nil))),
    };
    let bytes = rows.number()?;
    let is_masked = kind.masks(&String::from_utf8_lossy(&name));
    Ok(KeyField {
        name: shown(&name, name.len() as u64),
        value: if is_masked { MASKED.to_owned() } else { shown(&value, bytes) },
        bytes,
    })
}

/// The memory that a node takes, if it says so.
fn used_memory(info: &Value) -> Option<u64> {
    let text = match info {
        Value::BulkString(text) => std::str::from_utf8(text).ok()?,
        Value::VerbatimString { text, .. } => text,
        _ => return None,
    };
    text.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok())
}

#[async_trait]
impl KeyBrowserStore for RedisStore {
    async fn key_kinds(&self) -> Result<KeyKinds, StoreError> {
        let primaries = self.link.primaries().await?;
        let count = (SAMPLE / primaries.len().max(1) as u64).max(SAMPLE_MIN);
        let samples = try_join_all(primaries.iter().map(|slot| self.sample(*slot, count)));
        let singles = KINDS.iter().filter(|kind| kind.is_single());
        let singles = singles.map(|kind| self.exists(format!("{}{}", self.keys.prefix(), kind.pattern)));
        let (samples, singles) = tokio::try_join!(samples, try_join_all(singles))?;
        let mut singles = singles.into_iter();
        let kinds = KINDS.iter().enumerate().map(|(n, kind)| KeyKind {
            name: kind.name,
            pattern: kind.pattern,
            what: kind.what,
            life: kind.life,
            about: match kind.is_single() {
                true => singles.next().unwrap_or(false).into(),
                false => samples.iter().map(|node| node.found[n] * node.size / node.looked_at.max(1)).sum(),
            },
        });
        Ok(KeyKinds {
            kinds: kinds.collect(),
            total: samples.iter().map(|node| node.size).sum(),
            sampled: samples.iter().map(|node| node.looked_at).sum(),
            bytes: samples.iter().map(|node| node.bytes).sum(),
        })
    }

    async fn keys(&self, kind: &str, from: Option<&str>) -> Result<Option<KeyPage>, StoreError> {
        let Some(kind) = Kind::named(kind) else { return Ok(None) };
        let start = match from.map(Place::read) {
            Some(None) => return Ok(None),
            Some(place) => place,
            None => None,
        };
        let prefix = self.keys.prefix();
        if kind.is_single() {
            let keys = self.infos([&format!("{prefix}{}", kind.pattern)]).await?;
            return Ok(Some(KeyPage { keys, next: None }));
        }
        let primaries = self.link.primaries().await?;
        let first = primaries.first().map(|slot| Place { slot: *slot, cursor: 0 });
        let (mut place, mut found, mut count) = (start.or(first), BTreeSet::new(), STEP_MIN);
        let glob = kind.glob(prefix);
        for _ in 0..STEPS {
            let Some(at) = place.filter(|_| found.len() < ENOUGH) else { break };
            let (cursor, keys) = self.scan(at, Some(&glob), count).await?;
            if keys.len() < FEW {
                count = STEP_MAX;
            }
            let is_of_kind = |key: &&String| {
                key.strip_prefix(prefix).and_then(Kind::of).is_some_and(|(known, _)| std::ptr::eq(known, kind))
            };
            found.extend(keys.iter().filter(is_of_kind).cloned());
            place = match cursor {
                0 => primaries.iter().find(|slot| **slot > at.slot).map(|slot| Place { slot: *slot, cursor: 0 }),
                cursor => Some(Place { slot: at.slot, cursor }),
            };
        }
        Ok(Some(KeyPage { keys: self.infos(&found).await?, next: place.map(Place::write) }))
    }

    async fn key(&self, id: &str) -> Result<Option<KeyView>, StoreError> {
        match self.key_of(id).await? {
            Some(key) => self.view(&key, PARTS).await,
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_nothing_else_is_one() {
        let place = Place { slot: 16_383, cursor: u64::MAX };
        assert_eq!(Place::read(&place.write()), Some(place));
        for odd in ["", "0", ".", "0.", ".0", "16384.0", "0.-1", "0.1.2", "0.99999999999999999999", "x.0"] {
            assert_eq!(Place::read(odd), None, "{odd}");
        }
    }
}
