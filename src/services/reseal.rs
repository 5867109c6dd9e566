//! Sealing anew, under the first of the keys, what older ones sealed.
//!
//! It runs beside replicas that are at work. Each value is replaced only if it still is what was read, so whatever
//! else changes stays changed, and a run that broke off is made good by the next.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::domain::sealing::{KeyRing, Owner, key_id};
use crate::store::{SealedPlace, SealedRecord, Store, StoreError};

/// Values that are under way at a time: enough not to wait for one after the other, and few enough that the store
/// hardly notices.
const AT_ONCE: usize = 4;
/// How often a value is read again when somebody else was faster.
const TRIES: usize = 20;

/// What was found and done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Values that an older key had sealed, which are sealed under the first now (or would be, in a trial).
    pub anew: u64,
    /// Values that were under the first key already.
    pub already: u64,
    /// Values that could not be opened, by their kind.
    pub unopened: BTreeMap<&'static str, u64>,
    /// Values that others changed again and again, so that they were left as they are.
    pub contested: u64,
    /// How many values each key had sealed, by the key's id.
    pub keys: BTreeMap<String, u64>,
}

impl Resealed {
    /// Values that were looked at.
    pub fn total(&self) -> u64 {
        self.anew + self.already + self.contested + self.unopened.values().sum::<u64>()
    }

    /// Whether everything is under the first key now, or would be.
    pub fn is_whole(&self) -> bool {
        self.unopened.is_empty() && self.contested == 0
    }

    fn count(&mut self, value: Value) {
        match value.fate {
            Fate::Anew => self.anew += 1,
            Fate::Already => self.already += 1,
            Fate::Unopened(kind) => *self.unopened.entry(kind).or_default() += 1,
            Fate::Contested => self.contested += 1,
        }
        if let Some(key) = value.key {
            *self.keys.entry(key).or_default() += 1;
        }
    }
}

/// One value, once it was looked at.
struct Value {
    /// The key it was found under, if that can be told.
    key: Option<String>,
    fate: Fate,
}

enum Fate {
    Anew,
    Already,
    Unopened(&'static str),
    Contested,
}

/// Seals everything anew that is not sealed under the first key; a `trial` only looks. `watch` is told now and then
/// how far it is.
///
/// # Errors
///
/// The store is away. What was done by then is done; another run does the rest.
pub async fn reseal(
    store: &dyn Store,
    keys: &KeyRing,
    trial: bool,
    mut watch: impl FnMut(&Resealed),
) -> Result<Resealed, StoreError> {
    let walk = Walk { store, keys, trial };
    let mut done = Resealed::default();
    walk.look_at(&[SealedPlace::DeploymentKey], &mut done).await?;
    let mut from = None;
    loop {
        let page = store.sealed_places(from.as_deref()).await?;
        walk.look_at(&page.places, &mut done).await?;
        watch(&done);
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(done),
        }
    }
}

struct Walk<'a> {
    store: &'a dyn Store,
    keys: &'a KeyRing,
    trial: bool,
}

impl Walk<'_> {
    async fn look_at(&self, places: &[SealedPlace], done: &mut Resealed) -> Result<(), StoreError> {
        let mut values = stream::iter(places).map(|place| self.reseal(place)).buffer_unordered(AT_ONCE);
        while let Some(value) = values.try_next().await? {
            value.into_iter().for_each(|value| done.count(value));
        }
        Ok(())
    }

    /// Seals one value anew if that is needed; `None` if there is none any more.
    async fn reseal(&self, place: &SealedPlace) -> Result<Option<Value>, StoreError> {
        let mut key = None;
        for _ in 0..TRIES {
            let record = match self.store.read_sealed(place).await {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(None),
                Err(StoreError::Corrupt(_)) => {
                    return Ok(Some(Value { key, fate: Fate::Unopened("records that cannot be read") }));
                }
                Err(away) => return Err(away),
            };
            let user = user_of(&record);
            let (kind, owner, sealed) = parts(&record, &user);
            key = key_id(sealed).map(str::to_owned);
            let fate = match self.keys.unseal(owner, sealed) {
                Err(_) => Fate::Unopened(kind),
                Ok(_) if key.as_deref() == Some(self.keys.ids().0) => Fate::Already,
                Ok(_) if self.trial => Fate::Anew,
                Ok(secret) => {
                    let anew = self.keys.seal(owner, &secret);
                    if !self.store.replace_sealed(&record, &anew).await? {
                        continue;
                    }
                    Fate::Anew
                }
            };
            return Ok(Some(Value { key, fate }));
        }
        Ok(Some(Value { key, fate: Fate::Contested }))
    }
}

/// Whose it is, as text; empty for what is the deployment's.
fn user_of(record: &SealedRecord) -> String {
    match record {
        SealedRecord::DeploymentKey(_) => String::new(),
        SealedRecord::ApiKey(user, _) | SealedRecord::Channel(user, _) => user.to_string(),
    }
}

/// What kind of secret it is, what it is sealed for, and the sealed text.
fn parts<'a>(record: &'a SealedRecord, user: &'a str) -> (&'static str, Owner<'a>, &'a str) {
    match record {
        SealedRecord::DeploymentKey(sealed) => ("the deployment's own key", Owner::Deployment, sealed),
        SealedRecord::ApiKey(_, sealed) => ("API keys", Owner::ApiKey(user), sealed),
        SealedRecord::Channel(_, record) => {
            let (id, sealed) = (record.channel.id.as_str(), record.channel.sealed_secret.as_deref());
            let sealed = sealed.unwrap_or_default();
            match &record.channel.connection {
                Some(_) => ("secrets of bots", Owner::Connection(user, id), sealed),
                None => ("webhook secrets", Owner::WebhookSecret(user, id), sealed),
            }
        }
    }
}
