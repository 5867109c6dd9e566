//! What a store promises, proved on each store.

mod admin_access;
pub mod bot;
mod channels;
mod conversations;
mod desk;
mod directory;
mod due;
mod history;
mod key_browser;
mod listing;
mod messages;
mod outbox;
mod pulse;
mod redrive;
mod sealed;
mod sessions;
mod settlements;
mod sockets;

use std::sync::{Arc, Mutex};

use chaos_relay::domain::channel::{Channel, ChannelUpdate, NewChannel};
use chaos_relay::domain::digest::Digest;
use chaos_relay::domain::ids::{ChannelId, UserId};
use chaos_relay::domain::limit::Limit;
use chaos_relay::domain::message::NewRecord;
use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::store::embedded;
use chaos_relay::store::redis::{RedisStore, RedisTarget};
use chaos_relay::store::{
    ChannelRecord, Gate, Ingest, IngestOutcome, NewSession, PutChannel, Secret, SessionRecord, Store, Wake, Watcher,
};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;

use crate::support::{eventually, redis};

/// Out of the way.
const AMPLE: Limit = Limit::new(1_000_000, Duration::from_secs(60));

/// What a watcher told.
type Wakes = Arc<Mutex<Vec<(UserId, Wake)>>>;

/// A store with nothing in it, and the wakes it sent.
pub struct Bench {
    store: Arc<dyn Store>,
    watcher: Box<dyn Watcher>,
    wakes: Wakes,
    _dir: Option<TempDir>,
    /// What the keys start with, on Redis.
    prefix: String,
}

impl Bench {
    fn redis() -> Self {
        let target = RedisTarget::parse(&redis::shared().url()).unwrap();
        let prefix = redis::fresh_prefix();
        let bench = Self::make(None, Arc::new(RedisStore::new(target, &prefix)));
        Self { prefix, ..bench }
    }

    /// Asks the Redis server behind this store; `{}` stands for the start of its keys.
    fn redis_cli(&self, arguments: &[&str]) -> String {
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.replace("{}", &self.prefix)).collect();
        redis::shared().cli(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn embedded() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = embedded::open(dir.path()).unwrap();
        Self::make(Some(dir), store)
    }

    fn make(dir: Option<TempDir>, store: Arc<dyn Store>) -> Self {
        let (watcher, wakes) = watching(&*store);
        Self { store, watcher, wakes, _dir: dir, prefix: String::new() }
    }

    async fn session(&self) -> SessionRecord {
        self.store.create_session(&new_session(&UserId::random())).await.unwrap()
    }

    /// A session with a webhook channel whose secret is `secret`.
    async fn session_with_channel(&self) -> (SessionRecord, ChannelId) {
        let session = self.session().await;
        let id = ChannelId::random();
        assert_eq!(self.put(&session.user, &id, json!({})).await, PutChannel::Stored);
        (session, id)
    }

    async fn put(&self, user: &UserId, id: &ChannelId, settings: Value) -> PutChannel {
        self.store.put_channel(user, &channel_record(id, settings)).await.unwrap()
    }

    async fn change(&self, session: &SessionRecord, id: &ChannelId, change: Value) {
        let mut record = self.store.channel(&gate(session), id).await.unwrap().unwrap().value.unwrap();
        record.channel.update(ChannelUpdate::from_json(change.as_object().unwrap()).unwrap()).unwrap();
        assert!(self.store.update_channel(&session.user, &record).await.unwrap());
    }

    /// Appends a message that must be accepted.
    async fn append(&self, user: &UserId, channel: &ChannelId, content: &str) -> Timestamp {
        let record = message(user, channel, content);
        match self.store.append_message(&ingest(user, channel, &record)).await.unwrap() {
            IngestOutcome::Accepted(at, _) => at,
            other => panic!("{other:?}"),
        }
    }

    /// The wakes of a user but for resynchronisations, once there are so many.
    async fn heard(&self, user: &UserId, count: usize) -> Vec<Wake> {
        heard(&self.wakes, user, count).await
    }
}

/// A watcher, and what it tells.
fn watching(store: &dyn Store) -> (Box<dyn Watcher>, Wakes) {
    let wakes = Wakes::default();
    let told = wakes.clone();
    let sink = move |user: &UserId, wake| told.lock().unwrap().push((*user, Arc::unwrap_or_clone(wake)));
    (store.watcher(Arc::new(sink)), wakes)
}

/// The wakes of a user but for resynchronisations, once there are so many.
async fn heard(wakes: &Wakes, user: &UserId, count: usize) -> Vec<Wake> {
    eventually("the wakes come", || async {
        let wakes = wakes.lock().unwrap();
        let heard: Vec<_> = wakes
            .iter()
            .filter(|(to, wake)| to == user && *wake != Wake::Resync)
            .map(|(_, wake)| wake.clone())
            .collect();
        (heard.len() >= count).then_some(heard)
    })
    .await
}

fn new_session(user: &UserId) -> NewSession {
    let api_key = Digest::of(user.to_string().as_bytes());
    NewSession { user: *user, api_key, sealed_api_key: format!("sealed {user}"), public_key: None }
}

fn channel_record(id: &ChannelId, settings: Value) -> ChannelRecord {
    let new = NewChannel::from_json(settings.as_object().unwrap()).unwrap();
    let channel: Channel = new.into_channel(id.clone(), "sealed".to_owned());
    ChannelRecord { channel, secret: Some(Digest::of(b"secret")), revision: 0 }
}

fn gate(session: &SessionRecord) -> Gate {
    Gate { user: session.user, api_key: session.api_key, nonce: None, limit: None }
}

fn message(user: &UserId, channel: &ChannelId, content: &str) -> NewRecord {
    NewRecord::new(*user, channel, "webhook", content, String::new())
}

fn ingest<'a>(user: &UserId, channel: &'a ChannelId, record: &'a NewRecord) -> Ingest<'a> {
    Ingest {
        record: Some(record),
        ..Ingest::new(
            *user,
            channel,
            chaos_relay::domain::channel::ChannelKind::Webhook,
            Secret::Digest(Digest::of(b"secret")),
            AMPLE,
        )
    }
}

/// A record as JSON.
fn json_of(record: &chaos_relay::domain::message::StoredRecord) -> Value {
    let mut text = String::new();
    record.write_json(&mut text);
    serde_json::from_str(&text).unwrap()
}

fn contents(page: &chaos_relay::domain::message::Page) -> Vec<String> {
    page.records.iter().map(|record| json_of(record)["content"].as_str().unwrap().to_owned()).collect()
}

/// Makes one test of each promise for each store.
macro_rules! on_both_stores {
    ($($promise:ident),+ $(,)?) => {
        mod on_redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(crate::store::Bench::redis()).await;
            })+
        }
        mod on_the_embedded_store {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(crate::store::Bench::embedded()).await;
            })+
        }
    };
}
use on_both_stores;
