//! The operator's desk for replies.

use async_trait::async_trait;

use super::keys::Owned;
use super::listing::{self, Listing};
use super::queues::{self, Parcel, QUEUED_LIFE_MS};
use super::tables::{Tx, View};
use super::values::{StoredChannel, StoredReply};
use super::{EmbeddedStore, Fault, gate, outbox, replies};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::reply::delivery_frame;
use crate::domain::timestamp::Timestamp;
use crate::store::operator::{
    DeliveryCounts, DeliveryDeskStore, DeliveryEntry, DeliveryPage, DeliveryQuery, DeliveryState, DropOutcome,
    RedriveOutcome, ReplyState,
};
use crate::store::{KEEP_MS, MAX_QUEUED, StoreError, Wake};

fn parcel(view: &dyn View, owned: Owned, response: &MessageId) -> Result<Option<Parcel>, Fault> {
    view.get(&owned.parcel(response))?.map(|value| Parcel::read(value.value())).transpose()
}

/// How far a reply is whose content is there.
fn state(
    view: &dyn View,
    owned: Owned,
    channel: &ChannelId,
    response: &MessageId,
) -> Result<Option<ReplyState>, Fault> {
    let reply = replies::live(view, &owned.reply(response))?;
    let Some((reply, parcel)) = reply.zip(parcel(view, owned, response)?) else { return Ok(None) };
    let queue = queues::queue(view, &owned.queue(channel, &parcel.conversation))?;
    let first = queue.filter(|queue| queue.replies.first() == Some(response) && !queue.is_held(view.now()));
    Ok(Some(ReplyState {
        channel: reply.status.channel,
        status: reply.status.status,
        attempts: reply.status.attempts,
        error: reply.status.error,
        accepted: Some(Timestamp::from_millis(parcel.accepted)),
        next_try: first.map(|queue| Timestamp::from_millis(queue.due)),
        has_content: true,
    }))
}

/// The entry of a listed reply, unless it expired, or its channel or session is gone.
fn entry(view: &dyn View, response: MessageId, listing: Listing) -> Result<Option<DeliveryEntry>, Fault> {
    let session = gate::live_session(view, &listing.user)?.map(|session| session.number);
    let owned = Owned(listing.session);
    if session != Some(listing.session) || view.get(&owned.channel(&listing.channel))?.is_none() {
        return Ok(None);
    }
    let state = state(view, owned, &listing.channel, &response)?;
    Ok(state.map(|state| DeliveryEntry {
        kind: listing.kind,
        user: listing.user,
        channel: listing.channel,
        response,
        at: Timestamp::from_millis(listing.at),
        state,
    }))
}

/// The same; one that cannot be read does not hide the others.
fn readable_entry(view: &dyn View, response: MessageId, listing: Listing) -> Result<Option<DeliveryEntry>, Fault> {
    match entry(view, response, listing) {
        Err(Fault::Record(what)) => {
            tracing::error!(what, %response, "a reply that is listed cannot be read");
            Ok(None)
        }
        other => other,
    }
}

/// A reply that somebody wants to do something about.
struct Wanted {
    kind: ChannelKind,
    user: UserId,
    channel: ChannelId,
    response: MessageId,
}

impl Wanted {
    fn listing(&self, owned: Owned, state: DeliveryState, at: u64) -> Listing {
        Listing { kind: self.kind, state, at, session: owned.0, user: self.user, channel: self.channel.clone() }
    }

    /// The reply, and the number of the session that owns it.
    fn reply(&self, view: &dyn View) -> Result<Option<(Owned, StoredReply)>, Fault> {
        let Some(session) = gate::live_session(view, &self.user)? else { return Ok(None) };
        let owned = Owned(session.number);
        let reply = replies::live(view, &owned.reply(&self.response))?;
        let reply = reply.filter(|reply| reply.status.channel == self.channel.as_str());
        Ok(reply.map(|reply| (owned, reply)))
    }

    fn takes_replies(&self, view: &dyn View, owned: Owned) -> Result<bool, Fault> {
        let Some(value) = view.get(&owned.channel(&self.channel))? else { return Ok(false) };
        let channel = StoredChannel::read(value.value())?;
        Ok(channel.kind == self.kind && channel.enabled)
    }
}

fn redrive(tx: &mut Tx<'_>, wanted: &Wanted) -> Result<RedriveOutcome, Fault> {
    let Some((owned, mut reply)) = wanted.reply(tx)? else { return Ok(RedriveOutcome::Unknown) };
    let Some(mut parcel) = parcel(tx, owned, &wanted.response)? else { return Ok(RedriveOutcome::NothingToSend) };
    if !wanted.takes_replies(tx, owned)? {
        return Ok(RedriveOutcome::NoChannel);
    }
    let key = owned.queue(&wanted.channel, &parcel.conversation);
    let mut queue = queues::queue(tx, &key)?;
    let waiting = queue.as_ref().map_or(0, |queue| queue.replies.len());
    let position = queue.as_ref().and_then(|queue| queue.position(&wanted.response));
    let outcome = match (position, &mut queue) {
        (Some(0), Some(queue)) if queue.is_held(tx.now) => return Ok(RedriveOutcome::UnderWay),
        (Some(0), Some(queue)) => {
            queue.due = tx.now;
            queue.put(tx, &key)?;
            if let Some(state) = DeliveryState::parse(&reply.status.status) {
                listing::list(tx, &wanted.response, &wanted.listing(owned, state, tx.now))?;
            }
            RedriveOutcome::Hastened
        }
        (Some(_), _) => return Ok(RedriveOutcome::Waits),
        (None, _) if waiting >= MAX_QUEUED => return Ok(RedriveOutcome::QueueFull),
        (None, _) => {
            let reply_key = owned.reply(&wanted.response);
            "pending".clone_into(&mut reply.status.status);
            reply.earlier_attempts = reply.status.attempts;
            reply.expires = tx.now.saturating_add(QUEUED_LIFE_MS);
            tx.put(&reply_key, &reply.write())?;
            tx.schedule(reply.expires, &reply_key)?;
            parcel.accepted = tx.now;
            tx.put(&owned.parcel(&wanted.response), &parcel.write())?;
            queues::push(tx, &key, queue, wanted.response)?;
            listing::list(tx, &wanted.response, &wanted.listing(owned, DeliveryState::Pending, tx.now))?;
            RedriveOutcome::Redriven
        }
    };
    outbox::announce(tx, owned, &wanted.user, wanted.kind, &wanted.channel)?;
    Ok(outcome)
}

fn drop_wanted(tx: &mut Tx<'_>, wanted: &Wanted, error: String) -> Result<DropOutcome, Fault> {
    let Some((owned, mut reply)) = wanted.reply(tx)? else { return Ok(DropOutcome::Unknown) };
    let Some(parcel) = parcel(tx, owned, &wanted.response)? else { return Ok(DropOutcome::NothingToDrop) };
    let key = owned.queue(&wanted.channel, &parcel.conversation);
    if let Some(mut queue) = queues::queue(tx, &key)?
        && let Some(position) = queue.position(&wanted.response)
    {
        if position == 0 {
            if queue.is_held(tx.now) {
                return Ok(DropOutcome::UnderWay);
            }
            queue.lease.clear();
            // The wait for a retry ends with it. A pause that the platform wants holds for what follows too.
            if reply.status.status == "retrying" {
                queue.due = queue.due.min(tx.now);
            }
        }
        queue.drop_at(position, tx, &key)?;
        outbox::announce(tx, owned, &wanted.user, wanted.kind, &wanted.channel)?;
    }
    if reply.status.status != "failed" {
        let attempts = reply.status.attempts;
        let frame = delivery_frame(&wanted.response, &wanted.channel, "failed", attempts, Some(&error));
        tx.wake(&wanted.user, Wake::Delivery(frame));
        "failed".clone_into(&mut reply.status.status);
        reply.status.error = Some(error);
    }
    reply.progress.clear();
    reply.earlier_attempts = 0;
    reply.expires = tx.now.saturating_add(KEEP_MS);
    let reply_key = owned.reply(&wanted.response);
    tx.put(&reply_key, &reply.write())?;
    tx.schedule(reply.expires, &reply_key)?;
    tx.remove(&owned.parcel(&wanted.response))?;
    listing::unlist(tx, &wanted.response)?;
    Ok(DropOutcome::Dropped)
}

#[async_trait]
impl DeliveryDeskStore for EmbeddedStore {
    async fn delivery_counts(&self, kind: ChannelKind) -> Result<DeliveryCounts, StoreError> {
        self.read(move |view| {
            let mut first = view.now();
            for state in [DeliveryState::Pending, DeliveryState::Retrying] {
                let page = listing::page(view, kind, state, false, None, 1)?;
                first = page.rows.first().map_or(first, |(_, listing)| first.min(listing.at));
            }
            Ok(DeliveryCounts {
                pending: listing::count(view, kind, DeliveryState::Pending)?,
                retrying: listing::count(view, kind, DeliveryState::Retrying)?,
                failed: listing::count(view, kind, DeliveryState::Failed)?,
                overdue: view.now() - first,
            })
        })
        .await
    }

    async fn deliveries(&self, query: &DeliveryQuery<'_>) -> Result<DeliveryPage, StoreError> {
        let (state, kind, after, count) = (query.state, query.kind, query.after.cloned(), query.count);
        self.read(move |view| {
            let newest_first = state == DeliveryState::Failed;
            let page = listing::page(view, kind, state, newest_first, after.as_ref(), count)?;
            let mut entries = Vec::new();
            for (response, listing) in page.rows {
                entries.extend(readable_entry(view, response, listing)?);
            }
            Ok(DeliveryPage { entries, next: page.next })
        })
        .await
    }

    async fn find_delivery(&self, response: &MessageId) -> Result<Option<DeliveryEntry>, StoreError> {
        let response = *response;
        self.read(move |view| match listing::find(view, &response)? {
            Some(listing) => entry(view, response, listing),
            None => Ok(None),
        })
        .await
    }

    async fn failed_of_channel(
        &self,
        kind: ChannelKind,
        user: &UserId,
        channel: &ChannelId,
        count: usize,
    ) -> Result<Vec<MessageId>, StoreError> {
        let (user, channel) = (*user, channel.clone());
        self.read(move |view| {
            let Some(session) = gate::live_session(view, &user)? else { return Ok(Vec::new()) };
            let owned = Owned(session.number);
            let mut failed = Vec::new();
            for response in listing::failed(view, kind, owned, &channel)? {
                if failed.len() == count {
                    break;
                }
                if state(view, owned, &channel, &response)?.is_some() {
                    failed.push(response);
                }
            }
            Ok(failed)
        })
        .await
    }

    async fn redrive(
        &self,
        kind: ChannelKind,
        user: &UserId,
        channel: &ChannelId,
        response: &MessageId,
    ) -> Result<RedriveOutcome, StoreError> {
        let wanted = Wanted { kind, user: *user, channel: channel.clone(), response: *response };
        self.writer.run(move |tx| redrive(tx, &wanted)).await
    }

    async fn drop_reply(
        &self,
        kind: ChannelKind,
        user: &UserId,
        channel: &ChannelId,
        response: &MessageId,
        error: &str,
    ) -> Result<DropOutcome, StoreError> {
        let wanted = Wanted { kind, user: *user, channel: channel.clone(), response: *response };
        let error = error.to_owned();
        self.writer.run(move |tx| drop_wanted(tx, &wanted, error)).await
    }
}
