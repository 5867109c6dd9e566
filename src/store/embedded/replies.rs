//! Replies: stored among the responses, and queued when the channel is one of a platform.

use super::conversations::Heard;
use super::keys::Owned;
use super::listing::Listing;
use super::queues::{Parcel, QUEUED_LIFE_MS};
use super::tables::{Tx, View};
use super::values::{StoredChannel, StoredReply};
use super::{Fault, conversations, listing, outbox, queues, streams};
use crate::domain::channel::{Channel, ChannelKind};
use crate::domain::conversation::{ConversationKey, Destination};
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::message::{NewRecord, StoredRecord};
use crate::domain::timestamp::Timestamp;
use crate::store::operator::DeliveryState;
use crate::store::{AcceptedReply, DeliveryRequest, KEEP_MS, MAX_QUEUED, ReplyOutcome, ReplyRecord, ReplyStatus};

/// A [`ReplyRecord`] that the writer's thread can keep.
pub(super) struct OwnedReply {
    channel: ChannelId,
    kind: Option<String>,
    record: NewRecord,
    delivery: Option<OwnedDelivery>,
}

struct OwnedDelivery {
    kind: ChannelKind,
    destination: Option<Destination>,
    reply_to: Option<MessageId>,
    content: String,
}

impl From<&ReplyRecord<'_>> for OwnedReply {
    fn from(reply: &ReplyRecord<'_>) -> Self {
        Self {
            channel: reply.channel.clone(),
            kind: reply.kind.map(str::to_owned),
            record: reply.record.clone(),
            delivery: reply.delivery.as_ref().map(OwnedDelivery::from),
        }
    }
}

impl From<&DeliveryRequest<'_>> for OwnedDelivery {
    fn from(request: &DeliveryRequest<'_>) -> Self {
        Self {
            kind: request.kind,
            destination: request.destination.clone(),
            reply_to: request.reply_to,
            content: request.content.to_owned(),
        }
    }
}

/// The reply with this key, unless it expired.
pub(super) fn live(view: &dyn View, key: &[u8]) -> Result<Option<StoredReply>, Fault> {
    let reply = view.get(key)?.map(|value| StoredReply::read(value.value())).transpose()?;
    Ok(reply.filter(|reply| reply.expires > view.now()))
}

/// Stores a reply behind the gate.
pub(super) fn append(tx: &mut Tx<'_>, owned: Owned, user: &UserId, reply: &OwnedReply) -> Result<ReplyOutcome, Fault> {
    let id = &reply.channel;
    let (channel, joined) = {
        let Some(value) = tx.get(&owned.channel(id))? else { return Ok(ReplyOutcome::NoChannel) };
        let channel = StoredChannel::read(value.value())?;
        if reply.kind.as_deref().is_some_and(|kind| kind != channel.kind.as_str()) {
            return Ok(ReplyOutcome::WrongKind(channel.kind));
        }
        (channel.channel()?, StoredRecord::join(&reply.record, channel.kind, channel.response))
    };
    if channel.kind == ChannelKind::Webhook {
        let at = store(tx, owned, reply, &joined, "stored", KEEP_MS)?;
        return Ok(ReplyOutcome::Stored(AcceptedReply { channel, at }));
    }
    let Some(delivery) = reply.delivery.as_ref().filter(|delivery| delivery.kind == channel.kind) else {
        return Ok(ReplyOutcome::NeedsDelivery(channel.kind));
    };
    if !channel.enabled {
        return Ok(ReplyOutcome::Disabled(channel));
    }
    queue(tx, owned, user, reply, delivery, channel, &joined)
}

/// Stores a reply among the responses, and what is known of it; gives its instant.
fn store(
    tx: &mut Tx<'_>,
    owned: Owned,
    reply: &OwnedReply,
    joined: &str,
    status: &str,
    life: u64,
) -> Result<Timestamp, Fault> {
    let (at, _) = streams::append(tx, &owned.responses(&reply.channel), joined)?;
    let status =
        ReplyStatus { channel: reply.channel.to_string(), status: status.to_owned(), attempts: 0, error: None };
    let (key, expires) = (owned.reply(&reply.record.id), tx.now.saturating_add(life));
    tx.put(&key, &StoredReply { expires, status, progress: String::new(), earlier_attempts: 0 }.write())?;
    tx.schedule(expires, &key)?;
    Ok(at)
}

/// Stores a reply and queues it in the conversation that it is meant for.
fn queue(
    tx: &mut Tx<'_>,
    owned: Owned,
    user: &UserId,
    reply: &OwnedReply,
    delivery: &OwnedDelivery,
    channel: Channel,
    joined: &str,
) -> Result<ReplyOutcome, Fault> {
    let id = &reply.channel;
    let asked = match &delivery.reply_to {
        Some(message) => conversations::origin(tx, owned, id, message)?,
        None => None,
    };
    let said_in = asked.as_ref().and_then(|asked| ConversationKey::from_text(&asked.conversation));
    let wanted = delivery.destination.clone().or(said_in.map(Destination::Exactly));
    let Some(conversation) = conversations::find(tx, owned, id, wanted.as_ref())? else {
        return Ok(match wanted {
            Some(_) => ReplyOutcome::UnknownDestination,
            None => ReplyOutcome::NoConversation,
        });
    };
    let queue_key = owned.queue(id, &conversation.conversation);
    let queue = queues::queue(tx, &queue_key)?;
    if queue.as_ref().is_some_and(|queue| queue.replies.len() >= MAX_QUEUED) {
        return Ok(ReplyOutcome::QueueFull);
    }
    let asked = asked.filter(|asked| asked.conversation == conversation.conversation);
    let is_reply_to = asked.is_some();
    let (asked, completes_question) = answered(tx, owned, id, asked, conversation)?;

    let at = store(tx, owned, reply, joined, "pending", QUEUED_LIFE_MS)?;
    let parcel = Parcel {
        accepted: tx.now,
        asked_at: asked.at,
        is_reply_to,
        completes_question,
        conversation: asked.conversation,
        details: asked.details,
        content: delivery.content.clone(),
        trace: reply.record.trace,
    };
    tx.put(&owned.parcel(&reply.record.id), &parcel.write())?;
    queues::push(tx, &queue_key, queue, reply.record.id)?;
    let (session, user_id, state) = (owned.0, *user, DeliveryState::Pending);
    let listing = Listing { kind: channel.kind, state, at: tx.now, session, user: user_id, channel: id.clone() };
    listing::list(tx, &reply.record.id, &listing)?;
    outbox::announce(tx, owned, user, channel.kind, id)?;
    Ok(ReplyOutcome::Stored(AcceptedReply { channel, at }))
}

/// The message that is answered, and whether a question is completed by it: that of the message that was named,
/// else the newest open one of the conversation, whose newest message is answered if there is none.
fn answered(
    tx: &mut Tx<'_>,
    owned: Owned,
    channel: &ChannelId,
    named: Option<Heard>,
    conversation: Heard,
) -> Result<(Heard, bool), Fault> {
    if let Some(named) = named {
        let completes = conversations::take_question(tx, owned, channel, named.at)?;
        return Ok((named, completes));
    }
    match conversations::take_newest_question(tx, owned, channel, &conversation.conversation)? {
        Some(asked) => Ok((asked, true)),
        None => Ok((conversation, false)),
    }
}
