//! The outbox: the list of channels with something due, and the replies on their way.

use async_trait::async_trait;
use uuid::Uuid;

use super::keys::{self, DUE, Owned};
use super::listing::Listing;
use super::queues::{self, Parcel};
use super::tables::{Tx, View};
use super::values::{Reader, StoredChannel, Writing};
use super::{EmbeddedStore, Fault, conversations, gate, listing, replies};
use crate::domain::channel::ChannelKind;
use crate::domain::conversation::{ConversationKey, Destination};
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::timestamp::Timestamp;
use crate::store::operator::DeliveryState;
use crate::store::{
    DEAD_LETTER_LIFE_MS, Delivery, DueChannel, KEEP_MS, OutboxStore, Settlement, StoreError, Taken, Wake,
};

/// When something is due in a channel.
struct Due {
    /// When to look there, in milliseconds.
    at: u64,
    /// The time is the end of a claim. What becomes due ends it, so that its release does not undo that.
    is_claim: bool,
    kind: ChannelKind,
    user: UserId,
}

impl Due {
    fn write(&self) -> Vec<u8> {
        let due = Writing::default().number(self.at).flag(self.is_claim);
        due.text(self.kind.as_str()).text(&self.user.to_string()).done()
    }

    fn read(value: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new("the list of what is due", value);
        Ok(Self {
            at: reader.number()?,
            is_claim: reader.flag()?,
            kind: ChannelKind::parse(reader.text()?).ok_or(reader.fault())?,
            user: reader.user()?,
        })
    }
}

/// What a channel on the list connects to, and whose it is.
pub(super) fn kind_and_user(value: &[u8]) -> Result<(ChannelKind, UserId), Fault> {
    let due = Due::read(value)?;
    Ok((due.kind, due.user))
}

/// Lists a channel as having something due now.
pub(super) fn announce(
    tx: &mut Tx<'_>,
    owned: Owned,
    user: &UserId,
    kind: ChannelKind,
    channel: &ChannelId,
) -> Result<(), Fault> {
    let key = owned.due(channel);
    let listed = tx.get(&key)?.map(|value| Due::read(value.value())).transpose()?;
    let at = listed.as_ref().map_or(tx.now, |listed| listed.at.min(tx.now));
    if listed.is_some_and(|listed| listed.at == at && listed.kind == kind && !listed.is_claim) {
        return Ok(());
    }
    tx.put(&key, &Due { at, is_claim: false, kind, user: *user }.write())
}

/// What is due of this kind, in no particular order, with its keys.
fn due(view: &dyn View, kind: ChannelKind) -> Result<Vec<(Vec<u8>, Due)>, Fault> {
    let mut found = Vec::new();
    for entry in view.range(DUE, &keys::end_of(DUE))? {
        let (key, value) = entry?;
        let due = Due::read(value.value())?;
        if due.kind == kind && due.at <= view.now() {
            found.push((key.value().to_vec(), due));
        }
    }
    Ok(found)
}

fn claim(tx: &mut Tx<'_>, kind: ChannelKind, lease: u64, count: usize) -> Result<Vec<DueChannel>, Fault> {
    let mut found = due(tx, kind)?;
    found.sort_by_key(|(_, due)| due.at);
    let until = tx.now.saturating_add(lease);
    let mut claimed = Vec::new();
    for (key, due) in found.into_iter().take(count) {
        let channel = keys::due_channel(&key).ok_or(Fault::Record("the list of what is due"))?;
        tx.put(&key, &Due { at: until, is_claim: true, ..due }.write())?;
        claimed.push(DueChannel { kind, user: due.user, channel, claim: until });
    }
    Ok(claimed)
}

fn release(tx: &mut Tx<'_>, claimed: &DueChannel, wait: Option<u64>) -> Result<(), Fault> {
    // What is listed for a session that ended goes with what else it left.
    let Some(session) = gate::live_session(tx, &claimed.user)? else { return Ok(()) };
    let key = Owned(session.number).due(&claimed.channel);
    let listed = tx.get(&key)?.map(|value| Due::read(value.value())).transpose()?;
    let Some(listed) = listed else { return Ok(()) };
    let is_held = listed.is_claim && listed.at == claimed.claim;
    match wait.map(|wait| tx.now.saturating_add(wait)) {
        Some(at) if is_held || at < listed.at => tx.put(&key, &Due { at, is_claim: false, ..listed }.write()),
        None if is_held => tx.remove(&key).map(drop),
        _ => Ok(()),
    }
}

fn take(tx: &mut Tx<'_>, due: &DueChannel, lease: u64) -> Result<Taken, Fault> {
    let Some(session) = gate::live_session(tx, &due.user)? else { return Ok(Taken::Nothing) };
    let owned = Owned(session.number);
    let record = match tx.get(&owned.channel(&due.channel))? {
        Some(value) => StoredChannel::read(value.value())?.record()?,
        None => return Ok(Taken::Nothing),
    };
    loop {
        let Some((key, mut queue)) = queues::first(tx, owned, &due.channel)? else { return Ok(Taken::Nothing) };
        if queue.due > tx.now {
            return Ok(Taken::Wait(queue.due - tx.now));
        }
        let Some(response) = queue.replies.first().copied() else {
            tx.remove(&key)?;
            continue;
        };
        let reply = replies::live(tx, &owned.reply(&response))?;
        let parcel = tx.get(&owned.parcel(&response))?.map(|value| Parcel::read(value.value())).transpose()?;
        let Some((reply, parcel)) = reply.zip(parcel) else {
            // It expired while it waited.
            queue.pop(tx, &key)?;
            continue;
        };
        queue.lease = Uuid::new_v4().as_simple().to_string();
        queue.due = tx.now.saturating_add(lease);
        queue.put(tx, &key)?;
        return Ok(Taken::Delivery(Box::new(Delivery {
            user: due.user,
            response,
            lease: queue.lease,
            conversation: ConversationKey::from_text(&parcel.conversation)
                .ok_or(Fault::Record("the conversation of a reply"))?,
            details: parcel.details,
            is_reply_to: parcel.is_reply_to,
            completes_question: parcel.completes_question,
            asked_at: Timestamp::from_millis(parcel.asked_at),
            content: parcel.content,
            progress: reply.progress,
            attempts: reply.status.attempts,
            earlier_attempts: reply.earlier_attempts,
            accepted: Timestamp::from_millis(parcel.accepted),
            now: Timestamp::from_millis(tx.now),
            record,
            trace: parcel.trace,
        })));
    }
}

/// What a settlement has to name.
struct Claimant {
    kind: ChannelKind,
    user: UserId,
    channel: ChannelId,
    response: MessageId,
    conversation: String,
    lease: String,
}

impl From<&Delivery> for Claimant {
    fn from(delivery: &Delivery) -> Self {
        Self {
            kind: delivery.record.channel.kind,
            user: delivery.user,
            channel: delivery.record.channel.id.clone(),
            response: delivery.response,
            conversation: delivery.conversation.to_text(),
            lease: delivery.lease.clone(),
        }
    }
}

fn settle(tx: &mut Tx<'_>, by: &Claimant, settlement: Settlement, frame: Option<String>) -> Result<bool, Fault> {
    let Some(session) = gate::live_session(tx, &by.user)? else { return Ok(false) };
    let owned = Owned(session.number);
    let (queue_key, reply_key) = (owned.queue(&by.channel, &by.conversation), owned.reply(&by.response));
    let queue = queues::queue(tx, &queue_key)?
        .filter(|queue| queue.lease == by.lease && queue.replies.first() == Some(&by.response));
    let (Some(mut queue), Some(mut reply)) = (queue, replies::live(tx, &reply_key)?) else { return Ok(false) };
    let is_part = matches!(settlement, Settlement::Part { .. });
    let is_over = matches!(settlement, Settlement::Delivered { .. } | Settlement::Failed { .. });
    let is_try = is_over || matches!(settlement, Settlement::Retry { .. });
    reply.status.attempts = reply.status.attempts.saturating_add(is_try.into());
    let mut note = |status: &str, error| {
        status.clone_into(&mut reply.status.status);
        reply.status.error = error;
    };
    let listed = |state, at| {
        let (kind, session, user, channel) = (by.kind, session.number, by.user, by.channel.clone());
        Listing { kind, state, at, session, user, channel }
    };
    let next = match settlement {
        Settlement::Part { progress, lease } => {
            reply.progress = progress;
            lease
        }
        Settlement::Postponed { wait } => wait,
        Settlement::Retry { wait, error, progress } => {
            note("retrying", Some(error));
            reply.progress = progress;
            let at = tx.now.saturating_add(wait);
            listing::list(tx, &by.response, &listed(DeliveryState::Retrying, at))?;
            wait
        }
        Settlement::Delivered { pause } => {
            note("delivered", None);
            reply.progress.clear();
            reply.expires = tx.now.saturating_add(KEEP_MS);
            tx.remove(&owned.parcel(&by.response))?;
            listing::unlist(tx, &by.response)?;
            pause
        }
        Settlement::Failed { error } => {
            note("failed", Some(error));
            reply.expires = tx.now.saturating_add(DEAD_LETTER_LIFE_MS);
            listing::list(tx, &by.response, &listed(DeliveryState::Failed, tx.now))?;
            0
        }
    };
    tx.put(&reply_key, &reply.write())?;
    queue.due = tx.now.saturating_add(next);
    if !is_part {
        queue.lease.clear();
    }
    if is_over {
        queue.pop(tx, &queue_key)?;
    } else {
        queue.put(tx, &queue_key)?;
    }
    if let Some(frame) = frame {
        tx.wake(&by.user, Wake::Delivery(frame));
    }
    Ok(true)
}

#[async_trait]
impl OutboxStore for EmbeddedStore {
    async fn find_conversation(
        &self,
        user: &UserId,
        channel: &ChannelId,
        destination: Option<&Destination>,
    ) -> Result<Option<ConversationKey>, StoreError> {
        let (user, channel, destination) = (*user, channel.clone(), destination.cloned());
        self.read(move |view| {
            let Some(session) = gate::live_session(view, &user)? else { return Ok(None) };
            let found = conversations::find(view, Owned(session.number), &channel, destination.as_ref())?;
            Ok(found.and_then(|found| ConversationKey::from_text(&found.conversation)))
        })
        .await
    }

    async fn claim_due(&self, kind: ChannelKind, lease: u64, count: usize) -> Result<Vec<DueChannel>, StoreError> {
        // Workers ask all the time, and seldom is anything due: the thread that writes is spared that.
        if self.read(move |view| Ok(due(view, kind)?.is_empty())).await? {
            return Ok(Vec::new());
        }
        self.writer.run(move |tx| claim(tx, kind, lease, count)).await
    }

    async fn take_delivery(&self, due: &DueChannel, lease: u64) -> Result<Taken, StoreError> {
        let due = due.clone();
        self.writer.run(move |tx| take(tx, &due, lease)).await
    }

    async fn settle_delivery(
        &self,
        delivery: &Delivery,
        settlement: &Settlement,
        frame: Option<&str>,
    ) -> Result<bool, StoreError> {
        let (by, settlement, frame) = (Claimant::from(delivery), settlement.clone(), frame.map(str::to_owned));
        self.writer.run(move |tx| settle(tx, &by, settlement, frame)).await
    }

    async fn release_due(&self, due: &DueChannel, wait: Option<u64>) -> Result<(), StoreError> {
        let due = due.clone();
        self.writer.run(move |tx| release(tx, &due, wait)).await
    }
}

#[cfg(test)]
mod tests;
