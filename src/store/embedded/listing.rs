//! The lists of replies that are not delivered, for the operator.
//!
//! A reply is listed in the transaction that stores it, moved in those that change its state, and taken off when it is
//! delivered or goes. So the lists are right but for what expired and is not swept yet.

use redb::StorageError;

use super::keys::{self, DUE, Owned, UNDELIVERED};
use super::queues::{self, Parcel, Queue};
use super::shared::Shared;
use super::tables::{Tx, View};
use super::values::{Reader, StoredChannel, Writing};
use super::{Fault, gate, outbox, replies};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::store::operator::{DeliveryState, ListCursor};
use crate::store::{MAX_DEAD_LETTERS, StoreError};

/// Where a reply is listed, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) kind: ChannelKind,
    pub(super) state: DeliveryState,
    /// By what it is sorted, in milliseconds.
    pub(super) at: u64,
    /// Number of the session that owns it.
    pub(super) session: u64,
    pub(super) user: UserId,
    pub(super) channel: ChannelId,
}

impl Listing {
    fn key(&self, response: &MessageId) -> Vec<u8> {
        keys::listed_at(self.kind, self.state, self.at, &response.to_string())
    }

    fn write(&self) -> Vec<u8> {
        Writing::default()
            .text(self.kind.as_str())
            .text(self.state.as_str())
            .number(self.at)
            .number(self.session)
            .text(&self.user.to_string())
            .text(self.channel.as_str())
            .done()
    }

    fn read(value: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new("a list of replies", value);
        Ok(Self {
            kind: ChannelKind::parse(reader.text()?).ok_or(reader.fault())?,
            state: DeliveryState::parse(reader.text()?).ok_or(reader.fault())?,
            at: reader.number()?,
            session: reader.number()?,
            user: reader.user()?,
            channel: reader.parsed()?,
        })
    }
}

/// How many replies of a platform are in this state.
pub(super) fn count(view: &dyn View, kind: ChannelKind, state: DeliveryState) -> Result<u64, Fault> {
    let count = view.get(&keys::listed_count(kind, state))?;
    Ok(count.map(|value| Reader::new("the length of a list", value.value()).number()).transpose()?.unwrap_or(0))
}

fn put_count(tx: &mut Tx<'_>, listing: &Listing, count: u64) -> Result<(), Fault> {
    let key = keys::listed_count(listing.kind, listing.state);
    if count == 0 {
        return tx.remove(&key).map(drop);
    }
    tx.put(&key, &Writing::default().number(count).done())
}

/// Where a reply is listed.
pub(super) fn find(view: &dyn View, response: &MessageId) -> Result<Option<Listing>, Fault> {
    let Some(key) = view.get(&keys::listing(response))? else { return Ok(None) };
    view.get(key.value())?.map(|value| Listing::read(value.value())).transpose()
}

/// Takes a reply off whatever list it is in.
pub(super) fn unlist(tx: &mut Tx<'_>, response: &MessageId) -> Result<(), Fault> {
    let Some(listing) = find(tx, response)? else { return Ok(()) };
    tx.remove(&listing.key(response))?;
    tx.remove(&keys::listing(response))?;
    let left = count(tx, listing.kind, listing.state)?.saturating_sub(1);
    put_count(tx, &listing, left)
}

/// Lists a reply here and nowhere else. Of the failed the oldest makes room.
pub(super) fn list(tx: &mut Tx<'_>, response: &MessageId, listing: &Listing) -> Result<(), Fault> {
    unlist(tx, response)?;
    let key = listing.key(response);
    tx.put(&key, &listing.write())?;
    tx.put(&keys::listing(response), &key)?;
    let listed = count(tx, listing.kind, listing.state)? + 1;
    put_count(tx, listing, listed)?;
    if listing.state == DeliveryState::Failed && listed > MAX_DEAD_LETTERS as u64 {
        let oldest = page(tx, listing.kind, listing.state, false, None, 1)?.rows;
        return oldest.iter().try_for_each(|(response, _)| unlist(tx, response));
    }
    Ok(())
}

/// A part of a list.
pub(super) struct ListedPage {
    pub(super) rows: Vec<(MessageId, Listing)>,
    pub(super) next: Option<ListCursor>,
}

fn read_row(key: &[u8], value: &[u8]) -> Result<(MessageId, Listing), Fault> {
    let listing = Listing::read(value)?;
    let id = key.get(keys::listed_at(listing.kind, listing.state, listing.at, "").len()..);
    let id = id.and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
    Ok((id.ok_or(Fault::Record("a list of replies"))?, listing))
}

/// At most so many replies in this state after that one.
pub(super) fn page(
    view: &dyn View,
    kind: ChannelKind,
    state: DeliveryState,
    newest_first: bool,
    after: Option<&ListCursor>,
    count: usize,
) -> Result<ListedPage, Fault> {
    let prefix = keys::listed(kind, state);
    let end = keys::end_of(&prefix);
    let shown = after.map(|after| keys::listed_at(kind, state, after.at, &after.entry));
    let entries: Box<dyn Iterator<Item = _>> = if newest_first {
        Box::new(view.range(&prefix, shown.as_deref().unwrap_or(&end))?.rev())
    } else {
        let from = shown.map_or(prefix, |shown| [&shown[..], b"\0"].concat());
        Box::new(view.range(&from, &end)?)
    };
    let mut rows = Vec::new();
    let mut next = None;
    for entry in entries {
        if rows.len() == count {
            next = rows
                .last()
                .map(|(id, listing): &(MessageId, Listing)| ListCursor { at: listing.at, entry: id.to_string() });
            break;
        }
        let (key, value) = entry?;
        rows.push(read_row(key.value(), value.value())?);
    }
    Ok(ListedPage { rows, next })
}

/// The failed replies of a channel, the oldest first.
pub(super) fn failed(
    view: &dyn View,
    kind: ChannelKind,
    owned: Owned,
    channel: &ChannelId,
) -> Result<Vec<MessageId>, Fault> {
    let prefix = keys::listed(kind, DeliveryState::Failed);
    let mut found = Vec::new();
    for entry in view.range(&prefix, &keys::end_of(&prefix))? {
        let (key, value) = entry?;
        let (response, listing) = read_row(key.value(), value.value())?;
        if listing.session == owned.0 && listing.channel == *channel {
            found.push(response);
        }
    }
    Ok(found)
}

/// Takes the failed replies of a channel off their list: without it they cannot be sent again.
pub(super) fn unlist_failed(
    tx: &mut Tx<'_>,
    kind: ChannelKind,
    owned: Owned,
    channel: &ChannelId,
) -> Result<(), Fault> {
    let failed = failed(tx, kind, owned, channel)?;
    failed.iter().try_for_each(|response| unlist(tx, response))
}

/// Lists what relays stored that did not list it. Whatever it finds or fails at, the store can be used.
pub(super) fn adopt_all(shared: &Shared) {
    let adopted = shared.transact(|tx| {
        tx.now = shared.now();
        match adopt_queued(tx).and_then(|()| adopt_failed(tx)) {
            Err(Fault::Storage(error)) => Err(error),
            Err(fault) => {
                tracing::error!(error = %StoreError::from(fault), "replies could not be listed");
                Ok(())
            }
            Ok(()) => Ok::<_, StorageError>(()),
        }
    });
    if let Err(error) = adopted {
        tracing::error!(%error, "replies could not be listed");
    }
}

/// Replies that wait, which are found by the list of what is due.
fn adopt_queued(tx: &mut Tx<'_>) -> Result<(), Fault> {
    let mut channels = Vec::new();
    for entry in tx.range(DUE, &keys::end_of(DUE))? {
        let (key, value) = entry?;
        let (kind, user) = outbox::kind_and_user(value.value())?;
        channels.extend(keys::due_place(key.value()).map(|(owned, channel)| (owned, channel, kind, user)));
    }
    for (owned, channel, kind, user) in channels {
        for queue in queues::all(tx, owned, &channel)? {
            for response in &queue.replies {
                if find(tx, response)?.is_some() {
                    continue;
                }
                if let Some((state, at)) = state_in_queue(tx, owned, &queue, response)? {
                    let listing = Listing { kind, state, at, session: owned.0, user, channel: channel.clone() };
                    list(tx, response, &listing)?;
                }
            }
        }
    }
    Ok(())
}

fn state_in_queue(
    view: &dyn View,
    owned: Owned,
    queue: &Queue,
    response: &MessageId,
) -> Result<Option<(DeliveryState, u64)>, Fault> {
    let reply = replies::live(view, &owned.reply(response))?;
    let parcel = view.get(&owned.parcel(response))?.map(|value| Parcel::read(value.value())).transpose()?;
    let (Some(reply), Some(parcel)) = (reply, parcel) else { return Ok(None) };
    Ok(match DeliveryState::parse(&reply.status.status) {
        Some(DeliveryState::Pending) => Some((DeliveryState::Pending, parcel.accepted)),
        Some(DeliveryState::Retrying) => Some((DeliveryState::Retrying, queue.due)),
        _ => None,
    })
}

/// Replies that failed, which had places of their own.
fn adopt_failed(tx: &mut Tx<'_>) -> Result<(), Fault> {
    let end = keys::dead_letter(MAX_DEAD_LETTERS as u64);
    let mut letters = Vec::new();
    for entry in tx.range(UNDELIVERED, &end)? {
        let (key, value) = entry?;
        letters.push((key.value().to_vec(), value.value().to_vec()));
    }
    for (key, value) in letters {
        tx.remove(&key)?;
        // The first of them is the number of the newest.
        if key != UNDELIVERED {
            adopt_letter(tx, &value)?;
        }
    }
    Ok(())
}

fn adopt_letter(tx: &mut Tx<'_>, letter: &[u8]) -> Result<(), Fault> {
    let mut reader = Reader::new("a failed reply", letter);
    reader.number()?;
    let (at, user, response): (_, _, MessageId) = (reader.number()?, reader.user()?, reader.parsed()?);
    let Some(session) = gate::live_session(tx, &user)? else { return Ok(()) };
    let owned = Owned(session.number);
    let reply = replies::live(tx, &owned.reply(&response))?.filter(|reply| reply.status.status == "failed");
    let channel = reply.and_then(|reply| reply.status.channel.parse::<ChannelId>().ok());
    let (Some(channel), true) = (channel, tx.get(&owned.parcel(&response))?.is_some()) else { return Ok(()) };
    let kind = match tx.get(&owned.channel(&channel))? {
        Some(value) => StoredChannel::read(value.value())?.kind,
        None => return Ok(()),
    };
    let listing = Listing { kind, state: DeliveryState::Failed, at, session: owned.0, user, channel };
    list(tx, &response, &listing)
}

#[cfg(test)]
mod tests;
