//! A channel on a platform, with somebody who writes to it.

use std::sync::Arc;

use chaos_relay::domain::channel::{Channel, ChannelKind, PlatformSettings};
use chaos_relay::domain::connection::{Connection, Pending, TelegramBot};
use chaos_relay::domain::conversation::{ConversationKey, Destination, Origin};
use chaos_relay::domain::digest::Digest;
use chaos_relay::domain::ids::{ChannelId, MessageId, UserId};
use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::store::{
    ChannelRecord, Delivery, DeliveryRequest, DueChannel, Ingest, IngestOutcome, PutChannel, ReplyOutcome, ReplyRecord,
    SessionRecord, Settlement, Store, Taken,
};
use serde_json::json;

use super::{gate, ingest, message, new_session};
use crate::support::eventually;

/// Longer than any test takes, in milliseconds.
pub const LONG: u64 = 60_000;
/// What tests wait for, in milliseconds; long enough for a few calls on a slow machine.
pub const SHORT: u64 = 1_000;

/// A Telegram channel of a session of its own.
pub struct Bot {
    pub store: Arc<dyn Store>,
    pub session: SessionRecord,
    pub id: ChannelId,
}

impl Bot {
    pub async fn new(store: &Arc<dyn Store>) -> Self {
        let session = store.create_session(&new_session(&UserId::random())).await.unwrap();
        Self::of(store, &session).await
    }

    /// Another channel of this session.
    pub async fn of(store: &Arc<dyn Store>, session: &SessionRecord) -> Self {
        let bot = Self { store: store.clone(), session: session.clone(), id: ChannelId::random() };
        bot.put(&bot.channel()).await;
        bot
    }

    pub fn channel(&self) -> Channel {
        let telegram = TelegramBot {
            bot_id: self.id.to_string(),
            bot_username: "a_bot".to_owned(),
            reads_all_group_messages: false,
        };
        let settings = PlatformSettings { name: None, agent_id: String::new() };
        let pending = Pending { digest: Digest::of(b"code"), issued: Timestamp::from_millis(1) };
        let (id, kind) = (self.id.clone(), ChannelKind::Telegram);
        let sealed = Some("sealed".to_owned());
        Channel::on_platform(id, kind, settings, Connection::Telegram(telegram), sealed, pending)
    }

    pub async fn put(&self, channel: &Channel) {
        let record = ChannelRecord { channel: channel.clone(), secret: Some(Digest::of(b"secret")), revision: 0 };
        assert_eq!(self.store.put_channel(&self.session.user, &record).await.unwrap(), PutChannel::Stored);
    }

    pub async fn record(&self) -> ChannelRecord {
        self.store.read_channel(&self.session.user, &self.id).await.unwrap().unwrap()
    }

    /// Ingests a message of an origin; gives its id with the outcome.
    pub async fn ingest(&self, origin: &Origin, change: impl FnOnce(&mut Ingest<'_>)) -> (MessageId, IngestOutcome) {
        let record = message(&self.session.user, &self.id, "hello");
        let mut ingest = Ingest {
            kind: ChannelKind::Telegram,
            origin: Some(origin),
            ..ingest(&self.session.user, &self.id, &record)
        };
        change(&mut ingest);
        let outcome = self.store.append_message(&ingest).await.unwrap();
        (record.id, outcome)
    }

    async fn hears_origin(&self, origin: &Origin) -> (MessageId, Timestamp) {
        match self.ingest(origin, |_| {}).await {
            (id, IngestOutcome::Accepted(at, _)) => (id, at),
            (_, other) => panic!("{other:?}"),
        }
    }

    /// A message in a chat, as `chat` or `chat/thread`.
    pub async fn hears(&self, place: &str) -> (MessageId, Timestamp) {
        self.hears_origin(&origin(place)).await
    }

    /// A message there for whose answer the platform waits.
    pub async fn is_asked(&self, place: &str) -> (MessageId, Timestamp) {
        self.hears_origin(&Origin { is_question: true, ..origin(place) }).await
    }

    /// Where a reply would go.
    pub async fn finds(&self, destination: Option<Destination>) -> Option<ConversationKey> {
        self.store.find_conversation(&self.session.user, &self.id, destination.as_ref()).await.unwrap()
    }

    pub async fn knows(&self, place: &str) -> bool {
        self.finds(Some(exactly(place))).await.is_some()
    }

    pub async fn reply_with(
        &self,
        content: &str,
        change: impl FnOnce(&mut DeliveryRequest<'_>),
    ) -> (MessageId, ReplyOutcome) {
        let mut delivery = DeliveryRequest { kind: ChannelKind::Telegram, destination: None, reply_to: None, content };
        change(&mut delivery);
        self.reply_as(ReplyRecord {
            channel: &self.id,
            kind: None,
            record: &message(&self.session.user, &self.id, content),
            delivery: Some(delivery),
        })
        .await
    }

    pub async fn reply_as(&self, reply: ReplyRecord<'_>) -> (MessageId, ReplyOutcome) {
        let answer = self.store.append_reply(&gate(&self.session), &reply).await.unwrap();
        (reply.record.id, answer.unwrap().value)
    }

    /// A reply that is queued in this place.
    pub async fn replies(&self, place: &str, content: &str) -> MessageId {
        let (id, outcome) = self.reply_with(content, |delivery| delivery.destination = Some(exactly(place))).await;
        assert!(matches!(outcome, ReplyOutcome::Stored(_)), "{outcome:?}");
        id
    }

    /// A claim of this channel. Taking asks for none, so that tests need not either.
    pub fn due(&self) -> DueChannel {
        let (user, channel) = (self.session.user, self.id.clone());
        DueChannel { kind: ChannelKind::Telegram, user, channel, claim: 0 }
    }

    pub async fn take(&self, lease: u64) -> Taken {
        self.store.take_delivery(&self.due(), lease).await.unwrap()
    }

    /// What is due now, under a lease that lasts.
    pub async fn takes(&self) -> Delivery {
        match self.take(LONG).await {
            Taken::Delivery(delivery) => *delivery,
            other => panic!("{other:?}"),
        }
    }

    /// How long there is nothing to do.
    pub async fn waits(&self) -> u64 {
        match self.take(LONG).await {
            Taken::Wait(wait) => wait,
            other => panic!("{other:?}"),
        }
    }

    /// What is taken as soon as something can be.
    pub async fn takes_later(&self) -> Delivery {
        eventually("a reply is due", || async {
            match self.take(LONG).await {
                Taken::Delivery(delivery) => Some(*delivery),
                Taken::Wait(_) => None,
                Taken::Nothing => panic!("nothing waits"),
            }
        })
        .await
    }

    pub async fn settle(&self, delivery: &Delivery, settlement: Settlement) -> bool {
        self.store.settle_delivery(delivery, &settlement, None).await.unwrap()
    }

    pub async fn delivers(&self, delivery: &Delivery) {
        assert!(self.settle(delivery, Settlement::Delivered { pause: 0 }).await);
    }

    /// Status, tries and error of a reply.
    pub async fn status(&self, reply: &MessageId) -> Option<(String, u32, Option<String>)> {
        let status = self.store.reply_status(&gate(&self.session), reply).await.unwrap().unwrap().value?;
        assert_eq!(status.channel, self.id.as_str());
        Some((status.status, status.attempts, status.error))
    }

    pub async fn has_status(&self, reply: &MessageId, status: &str, attempts: u32, error: Option<&str>) {
        let expected = (status.to_owned(), attempts, error.map(str::to_owned));
        assert_eq!(self.status(reply).await, Some(expected));
    }

    pub async fn is_deleted(&self) {
        assert!(self.store.delete_channel(&self.session.user, &self.id).await.unwrap());
    }
}

pub fn retry(wait: u64, progress: &str) -> Settlement {
    Settlement::Retry { wait, error: "try later".to_owned(), progress: progress.to_owned() }
}

pub fn delivered(pause: u64) -> Settlement {
    Settlement::Delivered { pause }
}

pub fn failed(error: &str) -> Settlement {
    Settlement::Failed { error: error.to_owned() }
}

/// `chat` or `chat/thread`.
pub fn place(text: &str) -> ConversationKey {
    match text.split_once('/') {
        Some((chat, thread)) => ConversationKey::new(chat, Some(thread)),
        None => ConversationKey::new(text, None),
    }
}

pub fn exactly(text: &str) -> Destination {
    Destination::Exactly(place(text))
}

pub fn origin(text: &str) -> Origin {
    Origin { conversation: place(text), details: json!({"said": text}), is_question: false }
}
