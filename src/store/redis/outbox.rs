//! The outbox on Redis.
//!
//! The list of what is due lies in another slot than the replies, so the two cannot change in one step on a
//! Cluster. A channel is listed before its reply is stored, for a few seconds later, and again afterwards for
//! at once: whatever breaks off in between, the list names every channel that has something due. So it is with the
//! lists of replies that are not delivered (`listing.rs`).

use async_trait::async_trait;
use redis::Value;
use uuid::Uuid;

use super::RedisStore;
use super::answer::Answer;
use super::channels::read_record;
use super::script;
use crate::domain::channel::ChannelKind;
use crate::domain::conversation::{ConversationKey, Destination};
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::timestamp::Timestamp;
use crate::store::operator::DeliveryState;
use crate::store::{
    CONVERSATION_LIFE_MS, DEAD_LETTER_LIFE_MS, Delivery, DueChannel, KEEP_MS, OutboxStore, Settlement, StoreError,
    Taken,
};

/// How long a reply that is not delivered is kept, in milliseconds: an hour longer than it is tried.
pub(super) const QUEUED_LIFE_MS: u64 = KEEP_MS + 60 * 60 * 1000;
/// How long the list of what is due outlives its last entry, in milliseconds: longer than any reply.
const DUE_LIFE_MS: u64 = 2 * KEEP_MS;

/// A channel as the lists of the outbox name it.
pub(super) fn write_place(user: &UserId, channel: &ChannelId) -> String {
    format!("{user} {channel}")
}

/// Reads it.
pub(super) fn read_place(place: &str) -> Option<(UserId, ChannelId)> {
    let (user, channel) = place.split_once(' ')?;
    Some((user.parse().ok()?, channel.parse().ok()?))
}

/// A destination as the scripts read it.
pub(super) fn destination_arguments(destination: Option<&Destination>) -> (&'static str, String) {
    match destination {
        Some(Destination::Exactly(conversation)) => ("exact", conversation.to_text()),
        Some(Destination::Chat(chat)) => ("chat", ConversationKey::new(chat, None).chat),
        None => ("any", String::new()),
    }
}

impl RedisStore {
    /// Lists a channel as having something due so many milliseconds from now, and a reply that is about to be stored
    /// as pending. What is ahead is the promise; that it is due at once only makes it sooner, and is not waited for.
    pub(super) async fn announce_due(
        &self,
        kind: ChannelKind,
        user: &UserId,
        channel: &ChannelId,
        ahead: u64,
        reply: Option<&MessageId>,
    ) -> Result<(), StoreError> {
        let mut call = self.lists_call(&script::ANNOUNCE_DUE, kind, &[self.keys.due(kind)]);
        call.arg(write_place(user, channel))
            .arg(ahead)
            .arg(DUE_LIFE_MS)
            .arg(reply.map(MessageId::to_string).unwrap_or_default());
        let announced = match ahead {
            0 => self.link.script(&script::ANNOUNCE_DUE, &call).await,
            _ => self.writes.script(&script::ANNOUNCE_DUE, &call).await,
        };
        announced.map(drop)
    }
}

fn read_taken(answer: &mut Answer, user: UserId, lease: String) -> Result<Taken, StoreError> {
    let word = answer.text()?;
    match word.as_str() {
        "nothing" => return Ok(Taken::Nothing),
        "wait" => return Ok(Taken::Wait(answer.number()?)),
        "take" => {}
        other => return Err(StoreError::Corrupt(format!("a taking answered {other:?}"))),
    }
    let now = Timestamp::from_millis(answer.number()?);
    let response: MessageId =
        answer.text()?.parse().map_err(|_| StoreError::Corrupt("the id of a reply".to_owned()))?;
    let mut reply = answer.list()?;
    let content = reply.text()?;
    let conversation = ConversationKey::from_text(&reply.text()?)
        .ok_or_else(|| StoreError::Corrupt("the conversation of a reply".to_owned()))?;
    let details = reply.text()?;
    let mut is_set = || Ok::<_, StoreError>(reply.optional_text()?.is_some_and(|flag| flag == "1"));
    let (is_reply_to, completes_question) = (is_set()?, is_set()?);
    let asked_at = Timestamp::from_millis(reply.number()?);
    let progress = reply.optional_text()?.unwrap_or_default();
    let attempts = u32::try_from(reply.number()?).unwrap_or(u32::MAX);
    let accepted = Timestamp::from_millis(reply.number()?);
    let earlier = reply.optional_text()?.and_then(|earlier| earlier.parse().ok());
    let trace = reply.optional_text()?.and_then(|trace| trace.parse().ok());
    let record = read_record(answer.next().unwrap_or(Value::Nil))?;
    Ok(Taken::Delivery(Box::new(Delivery {
        user,
        response,
        lease,
        conversation,
        details,
        is_reply_to,
        completes_question,
        asked_at,
        content,
        progress,
        attempts,
        earlier_attempts: earlier.unwrap_or(0),
        accepted,
        now,
        record,
        trace,
    })))
}

#[async_trait]
impl OutboxStore for RedisStore {
    async fn find_conversation(
        &self,
        user: &UserId,
        channel: &ChannelId,
        destination: Option<&Destination>,
    ) -> Result<Option<ConversationKey>, StoreError> {
        let (mode, wanted) = destination_arguments(destination);
        let mut call = script::FIND_CONVERSATION.call(&[self.keys.conversations(user, channel)]);
        call.arg(mode).arg(wanted).arg(CONVERSATION_LIFE_MS);
        match self.link.script(&script::FIND_CONVERSATION, &call).await? {
            Value::BulkString(text) => Ok(std::str::from_utf8(&text).ok().and_then(ConversationKey::from_text)),
            _ => Ok(None),
        }
    }

    async fn claim_due(&self, kind: ChannelKind, lease: u64, count: usize) -> Result<Vec<DueChannel>, StoreError> {
        let mut call = script::CLAIM_DUE.call(&[self.keys.due(kind)]);
        call.arg(lease).arg(count);
        let mut answer = Answer::new(self.link.script(&script::CLAIM_DUE, &call).await?)?;
        let claim = answer.number()?;
        let mut due = Vec::new();
        while let Some(member) = answer.optional_text()? {
            match read_place(&member) {
                Some((user, channel)) => due.push(DueChannel { kind, user, channel, claim }),
                None => return Err(StoreError::Corrupt("the list of what is due".to_owned())),
            }
        }
        Ok(due)
    }

    async fn take_delivery(&self, due: &DueChannel, lease: u64) -> Result<Taken, StoreError> {
        let (user, channel) = (&due.user, &due.channel);
        let keys = [self.keys.channel(user, channel), self.keys.queues(user, channel)];
        let name = Uuid::new_v4().as_simple().to_string();
        let mut call = script::TAKE_DELIVERY.call(&keys);
        call.arg(self.keys.queue_stem(user, channel)).arg(self.keys.reply_stem(user)).arg(lease).arg(&name);
        let mut answer = Answer::new(self.link.script(&script::TAKE_DELIVERY, &call).await?)?;
        read_taken(&mut answer, *user, name)
    }

    async fn settle_delivery(
        &self,
        delivery: &Delivery,
        settlement: &Settlement,
        frame: Option<&str>,
    ) -> Result<bool, StoreError> {
        let (user, channel) = (&delivery.user, &delivery.record.channel);
        let keys =
            [self.keys.queues(user, &channel.id), self.keys.reply(user, &delivery.response), self.keys.wake(user)];
        let (what, time, error, progress, life) = match settlement {
            Settlement::Part { progress, lease } => ("part", *lease, "", progress.as_str(), 0),
            Settlement::Postponed { wait } => ("postponed", *wait, "", "", 0),
            Settlement::Delivered { pause } => ("delivered", *pause, "", "", KEEP_MS),
            Settlement::Retry { wait, error, progress } => ("retrying", *wait, error.as_str(), progress.as_str(), 0),
            Settlement::Failed { error } => {
                // The list may name a reply that did not fail, and never misses one that did.
                self.list_as(delivery, DeliveryState::Failed, 0).await?;
                ("failed", 0, error.as_str(), "", DEAD_LETTER_LIFE_MS)
            }
        };
        let mut call = script::SETTLE_DELIVERY.call(&keys);
        call.arg(&delivery.lease)
            .arg(delivery.response.to_string())
            .arg(delivery.conversation.to_text())
            .arg(self.keys.queue_stem(user, &channel.id))
            .arg(what)
            .arg(time)
            .arg(error)
            .arg(progress)
            .arg(life)
            .arg(frame.unwrap_or_default());
        let is_noted = self.link.script(&script::SETTLE_DELIVERY, &call).await? == Value::Int(1);
        self.list_settled(delivery, settlement, is_noted).await;
        Ok(is_noted)
    }

    async fn release_due(&self, due: &DueChannel, wait: Option<u64>) -> Result<(), StoreError> {
        let mut call = script::RELEASE_DUE.call(&[self.keys.due(due.kind)]);
        call.arg(write_place(&due.user, &due.channel)).arg(due.claim);
        match wait {
            Some(wait) => call.arg(wait),
            None => call.arg(""),
        };
        self.link.script(&script::RELEASE_DUE, &call).await.map(drop)
    }
}
