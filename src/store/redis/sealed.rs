//! What is sealed on Redis.
//!
//! Sessions and channels are found by scans over all keys, a step a call, and not by the directory: that may miss for
//! a while what is there, and what is missed here would be lost with its key.

use async_trait::async_trait;
use redis::{Cmd, Value};

use super::RedisStore;
use super::answer::unexpected;
use super::key_browser::Place;
use super::kinds::Kind;
use super::script;
use crate::domain::ids::UserId;
use crate::store::{ChannelStore as _, SealedPage, SealedPlace, SealedRecord, SealedStore, StoreError};

/// Keys that a step looks at, about: a fraction of a millisecond of the server's time.
const STEP: u64 = 500;
/// Length of a user's id.
const USER_LEN: usize = 36;
/// What is scanned for, one kind after the other.
const KINDS: [&str; 2] = ["session", "channel"];

/// A step of the walk: what it looks for, and where.
fn read_step(from: &str) -> Option<(usize, Place)> {
    let (kind, place) = from.split_once('.')?;
    Some((KINDS.iter().position(|known| *known == kind)?, Place::read(place)?))
}

/// The place that a key is; `None` for one of another kind.
fn place_of(key: &str) -> Option<SealedPlace> {
    let (kind, last) = Kind::of(key)?;
    let user: UserId = key.get(1..=USER_LEN)?.parse().ok()?;
    match kind.name {
        "session" => Some(SealedPlace::ApiKey(user)),
        "channel" => Some(SealedPlace::Channel(user, key[last..].parse().ok()?)),
        _ => None,
    }
}

fn text(value: Value, what: &str) -> Result<Option<String>, StoreError> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => {
            String::from_utf8(bytes).map(Some).map_err(|_| StoreError::Corrupt(what.to_owned()))
        }
        other => Err(unexpected(&other)),
    }
}

impl RedisStore {
    async fn replace(&self, script: &script::Script, call: &Cmd) -> Result<bool, StoreError> {
        Ok(self.link.script(script, call).await? == Value::Int(1))
    }
}

#[async_trait]
impl SealedStore for RedisStore {
    async fn sealed_places(&self, from: Option<&str>) -> Result<SealedPage, StoreError> {
        let primaries = self.link.primaries().await?;
        let node_after =
            |slot: Option<u16>| primaries.iter().copied().find(|next| slot.is_none_or(|slot| *next > slot));
        let first = Place { slot: node_after(None).unwrap_or(0), cursor: 0 };
        let (kind, at) = match from {
            None => (0, first),
            Some(from) => read_step(from).ok_or_else(|| StoreError::Corrupt("a place in a walk".to_owned()))?,
        };
        let prefix = self.keys.prefix();
        let glob = Kind::named(KINDS[kind]).expect("both kinds are in the table").glob(prefix);
        let (cursor, keys) = self.scan(at, Some(&glob), STEP).await?;
        let places = keys.iter().filter_map(|key| place_of(key.strip_prefix(prefix)?)).collect();
        let next = if cursor != 0 {
            Some((kind, Place { cursor, ..at }))
        } else if let Some(slot) = node_after(Some(at.slot)) {
            Some((kind, Place { slot, cursor: 0 }))
        } else {
            (kind + 1 < KINDS.len()).then_some((kind + 1, first))
        };
        Ok(SealedPage { places, next: next.map(|(kind, place)| format!("{}.{}", KINDS[kind], place.write())) })
    }

    async fn read_sealed(&self, place: &SealedPlace) -> Result<Option<SealedRecord>, StoreError> {
        Ok(match place {
            SealedPlace::DeploymentKey => {
                let mut read = redis::cmd("GET");
                read.arg(self.keys.deployment_key());
                text(self.link.command(&read).await?, "the deployment's key")?.map(SealedRecord::DeploymentKey)
            }
            SealedPlace::ApiKey(user) => {
                let mut read = redis::cmd("HGET");
                read.arg(self.keys.session(user)).arg("a");
                text(self.link.command(&read).await?, "a sealed API key")?
                    .map(|sealed| SealedRecord::ApiKey(*user, sealed))
            }
            SealedPlace::Channel(user, id) => self
                .read_channel(user, id)
                .await?
                .filter(|record| record.channel.sealed_secret.is_some())
                .map(|record| SealedRecord::Channel(*user, Box::new(record))),
        })
    }

    async fn replace_sealed(&self, read: &SealedRecord, sealed: &str) -> Result<bool, StoreError> {
        match read {
            SealedRecord::DeploymentKey(before) => {
                let mut call = script::REPLACE_VALUE.call(&[self.keys.deployment_key()]);
                call.arg(before).arg(sealed);
                self.replace(&script::REPLACE_VALUE, &call).await
            }
            SealedRecord::ApiKey(user, before) => {
                let mut call = script::REPLACE_FIELD.call(&[self.keys.session(user)]);
                call.arg("a").arg(before).arg("a").arg(sealed);
                self.replace(&script::REPLACE_FIELD, &call).await
            }
            SealedRecord::Channel(user, record) => {
                let mut channel = record.channel.clone();
                channel.sealed_secret = Some(sealed.to_owned());
                let json = serde_json::to_string(&channel).expect("a channel serialises");
                let mut call = script::REPLACE_FIELD.call(&[self.keys.channel(user, &channel.id)]);
                call.arg("v").arg(record.revision).arg("v").arg(record.revision + 1).arg("d").arg(json);
                self.replace(&script::REPLACE_FIELD, &call).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_names_what_it_looks_for_and_where() {
        assert_eq!(read_step("session.0.17"), Some((0, Place { slot: 0, cursor: 17 })));
        assert_eq!(read_step("channel.5461.0"), Some((1, Place { slot: 5461, cursor: 0 })));
        for odd in ["", "session", "message.0.0", "session.0", "channel.0.x"] {
            assert_eq!(read_step(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_place_is_known_by_its_key() {
        let user = UserId::random();
        assert_eq!(place_of(&format!("{{{user}}}:session")), Some(SealedPlace::ApiKey(user)));
        let channel = SealedPlace::Channel(user, "a-b".parse().unwrap());
        assert_eq!(place_of(&format!("{{{user}}}:channel:a-b")), Some(channel));
        for other in ["sockets", "channels", "messages", "channel:"] {
            assert_eq!(place_of(&format!("{{{user}}}:{other}")), None, "{other}");
        }
        assert_eq!(place_of("channel:a-b"), None);
    }
}
