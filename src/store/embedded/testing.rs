//! What the tests of this store share.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::writer::Timing;
use super::{EmbeddedStore, open_with, sweep};
use crate::domain::channel::{ChannelKind, NewChannel};
use crate::domain::connection::{Connection, TelegramBot};
use crate::domain::conversation::{ConversationKey, Origin};
use crate::domain::digest::Digest;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::limit::Limit;
use crate::domain::message::{NewRecord, StoredRecord};
use crate::domain::signing::Nonce;
use crate::domain::timestamp::Timestamp;
use crate::store::{
    ChannelRecord, ChannelStore as _, Delivery, DeliveryRequest, DueChannel, Gate, Ingest, IngestOutcome, LimitUse,
    MessageStore as _, NewSession, OutboxStore as _, PutChannel, ReplyOutcome, ReplyRecord, Secret, SessionStore as _,
    Settlement, Store as _, Taken, Wake, Watcher,
};

/// More than any test uses.
pub(super) const WIDE: Limit = Limit::new(100_000, Duration::from_secs(60));
/// When tests begin, in milliseconds.
pub(super) const START: u64 = 1_768_473_000_000;

/// A directory that is removed when the test ends.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("relay-store-{}", Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A store whose clock stands still until it is set, and what it woke.
pub(super) struct Lab {
    pub(super) store: Arc<EmbeddedStore>,
    /// Tells of users what [`Lab::take_wakes`] gives.
    pub(super) watcher: Box<dyn Watcher>,
    clock: Arc<AtomicU64>,
    wakes: Arc<Mutex<Vec<(UserId, Wake)>>>,
    pub(super) directory: Directory,
}

impl Lab {
    pub(super) fn new() -> Self {
        Self::with_timing(Timing::default())
    }

    pub(super) fn with_timing(timing: Timing) -> Self {
        let (directory, clock) = (Directory::new(), Arc::new(AtomicU64::new(START)));
        Self::open(directory, clock, timing)
    }

    /// The same store after it was dropped and opened again.
    pub(super) fn reopen(self) -> Self {
        let Self { store, watcher, clock, directory, .. } = self;
        drop((watcher, store));
        Self::open(directory, clock, Timing::default())
    }

    fn open(directory: Directory, clock: Arc<AtomicU64>, timing: Timing) -> Self {
        let now = clock.clone();
        // Tests sweep when they want to.
        let timing = Timing { sweep: Duration::from_secs(24 * 60 * 60), ..timing };
        let now = Arc::new(move || now.load(Ordering::SeqCst) * 1000);
        let store = open_with(directory.path(), now, timing).unwrap();
        let wakes: Arc<Mutex<Vec<_>>> = Arc::default();
        let heard = wakes.clone();
        let sink = move |user: &UserId, wake| heard.lock().unwrap().push((*user, Arc::unwrap_or_clone(wake)));
        Self { watcher: store.watcher(Arc::new(sink)), store, clock, wakes, directory }
    }

    pub(super) fn set_clock(&self, millis: u64) {
        self.clock.store(millis, Ordering::SeqCst);
    }

    pub(super) fn advance(&self, millis: u64) {
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    pub(super) fn take_wakes(&self) -> Vec<(UserId, Wake)> {
        std::mem::take(&mut self.wakes.lock().unwrap())
    }

    /// Sweeps until nothing is left to do at this time, and gives the rows that remain.
    pub(super) async fn sweep(&self, budget: usize) -> (u64, u64) {
        let mut before = self.rows().await;
        loop {
            self.store.writer.run(move |tx| sweep::pass(tx, budget)).await.unwrap();
            let after = self.rows().await;
            if after == before {
                return after;
            }
            before = after;
        }
    }

    pub(super) async fn rows(&self) -> (u64, u64) {
        self.store.writer.run(|tx| Ok(tx.rows())).await.unwrap()
    }

    pub(super) async fn session(&self) -> Client {
        let client = Client { user: UserId::random(), api_key: Digest::of(Uuid::new_v4().as_bytes()) };
        self.store.create_session(&client.new_session()).await.unwrap();
        client
    }

    /// A session with a webhook channel.
    pub(super) async fn channel(&self, id: &str) -> Client {
        let client = self.session().await;
        assert_eq!(self.put(&client, id).await, PutChannel::Stored);
        client
    }

    pub(super) async fn put(&self, client: &Client, id: &str) -> PutChannel {
        self.store.put_channel(&client.user, &channel(id)).await.unwrap()
    }

    pub(super) async fn ingest(&self, client: &Client, id: &str) -> IngestOutcome {
        self.ingest_with(client, id, |_| {}).await
    }

    pub(super) async fn ingest_with(
        &self,
        client: &Client,
        id: &str,
        change: impl FnOnce(&mut Ingest<'_>),
    ) -> IngestOutcome {
        let (channel, record) = (id.parse().unwrap(), client.record(id, "hello"));
        let mut ingest = ingest(client, &channel, &record);
        change(&mut ingest);
        self.store.append_message(&ingest).await.unwrap()
    }

    pub(super) async fn accepted(&self, client: &Client, id: &str) -> Timestamp {
        match self.ingest(client, id).await {
            IngestOutcome::Accepted(at, _) => at,
            other => panic!("{other:?}"),
        }
    }

    /// A session with a Telegram channel.
    pub(super) async fn bot(&self, id: &str) -> Client {
        let client = self.session().await;
        self.put_bot(&client, id).await;
        client
    }

    pub(super) async fn put_bot(&self, client: &Client, id: &str) {
        assert_eq!(self.store.put_channel(&client.user, &bot(id)).await.unwrap(), PutChannel::Stored);
    }

    /// A message to the bot, perhaps one for whose answer the platform waits.
    pub(super) async fn hears(&self, client: &Client, id: &str, chat: &str, is_question: bool) -> MessageId {
        let origin = Origin { conversation: ConversationKey::new(chat, None), details: json!({}), is_question };
        let (channel, record) = (id.parse().unwrap(), client.record(id, "hello"));
        let kind = ChannelKind::Telegram;
        let ingest = Ingest { kind, origin: Some(&origin), ..ingest(client, &channel, &record) };
        let outcome = self.store.append_message(&ingest).await.unwrap();
        assert!(matches!(outcome, IngestOutcome::Accepted(..)), "{outcome:?}");
        record.id
    }

    /// A reply of the bot: to this message, else to what it heard last.
    pub(super) async fn replies(
        &self,
        client: &Client,
        id: &str,
        reply_to: Option<MessageId>,
    ) -> (MessageId, ReplyOutcome) {
        let (channel, record) = (id.parse().unwrap(), client.record(id, "answer"));
        let request = DeliveryRequest { kind: ChannelKind::Telegram, destination: None, reply_to, content: "answer" };
        let reply = ReplyRecord { channel: &channel, kind: None, record: &record, delivery: Some(request) };
        let answer = self.store.append_reply(&client.gate(), &reply).await.unwrap();
        (record.id, answer.unwrap().value)
    }

    /// What the bot has to deliver, under a lease of a minute.
    pub(super) async fn take(&self, client: &Client, id: &str) -> Taken {
        let channel = id.parse().unwrap();
        let due = DueChannel { kind: ChannelKind::Telegram, user: client.user, channel, claim: 0 };
        self.store.take_delivery(&due, 60_000).await.unwrap()
    }

    pub(super) async fn taken(&self, client: &Client, id: &str) -> Delivery {
        match self.take(client, id).await {
            Taken::Delivery(delivery) => *delivery,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn settle(&self, delivery: &Delivery, settlement: Settlement) -> bool {
        self.store.settle_delivery(delivery, &settlement, None).await.unwrap()
    }

    pub(super) async fn status(&self, client: &Client, reply: &MessageId) -> Option<String> {
        let status = self.store.reply_status(&client.gate(), reply).await.unwrap().unwrap().value;
        status.map(|status| status.status)
    }

    pub(super) async fn reply(&self, client: &Client, id: &str, kind: Option<&str>) -> (ReplyOutcome, NewRecord) {
        let (channel, record) = (id.parse().unwrap(), client.record(id, "answer"));
        let reply = ReplyRecord { channel: &channel, kind, record: &record, delivery: None };
        let answer = self.store.append_reply(&client.gate(), &reply).await.unwrap();
        (answer.unwrap().value, record)
    }
}

/// Somebody with a session.
#[derive(Clone, Copy)]
pub(super) struct Client {
    pub(super) user: UserId,
    pub(super) api_key: Digest,
}

impl Client {
    pub(super) fn new_session(&self) -> NewSession {
        NewSession {
            user: self.user,
            api_key: self.api_key,
            sealed_api_key: "sealed".to_owned(),
            public_key: Some("key".to_owned()),
        }
    }

    pub(super) fn gate(&self) -> Gate {
        Gate { user: self.user, api_key: self.api_key, nonce: None, limit: None }
    }

    pub(super) fn gate_with_nonce(&self, nonce: &str) -> Gate {
        Gate { nonce: Nonce::parse(nonce), ..self.gate() }
    }

    pub(super) fn gate_with_limit(&self, counter: &str, limit: &str) -> Gate {
        let limit = LimitUse { counter: counter.to_owned(), limit: limit.parse().unwrap() };
        Gate { limit: Some(limit), ..self.gate() }
    }

    pub(super) fn record(&self, channel: &str, content: &str) -> NewRecord {
        NewRecord::new(self.user, &channel.parse().unwrap(), "webhook", content, String::new())
    }
}

fn ingest<'a>(client: &Client, channel: &'a ChannelId, record: &'a NewRecord) -> Ingest<'a> {
    Ingest { record: Some(record), ..Ingest::new(client.user, channel, ChannelKind::Webhook, Secret::Verified, WIDE) }
}

/// A webhook channel whose secret is `secret`.
pub(super) fn channel(id: &str) -> ChannelRecord {
    let id: ChannelId = id.parse().unwrap();
    let new = NewChannel::from_json(json!({"name": "a channel"}).as_object().unwrap()).unwrap();
    ChannelRecord {
        channel: new.into_channel(id, "sealed".to_owned()),
        secret: Some(Digest::of(b"secret")),
        revision: 0,
    }
}

/// A Telegram channel.
fn bot(id: &str) -> ChannelRecord {
    let mut record = channel(id);
    record.channel.kind = ChannelKind::Telegram;
    record.channel.connection = Some(Connection::Telegram(TelegramBot {
        bot_id: id.to_owned(),
        bot_username: "a_bot".to_owned(),
        reads_all_group_messages: false,
    }));
    record
}

/// A stored message or response as its reader sees it.
pub(super) fn json_of(record: &StoredRecord) -> serde_json::Value {
    let mut json = String::new();
    record.write_json(&mut json);
    serde_json::from_str(&json).unwrap()
}
