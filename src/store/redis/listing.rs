//! The lists of replies that are not delivered, beside the replies themselves.
//!
//! A reply is listed before it is stored, and before it is noted as failed; it is taken off, or listed as one that is
//! tried again, afterwards. So a list may name a reply that is in another state by now, or gone, and one that is on
//! its way is always in one of them. Whoever reads a list looks at the reply itself and corrects what is wrong.

use redis::Cmd;

use super::RedisStore;
use super::answer::Answer;
use super::outbox::{QUEUED_LIFE_MS, read_place, write_place};
use super::script::{self, Script};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::timestamp::Timestamp;
use crate::store::operator::{DeliveryState, ListCursor, ReplyState};
use crate::store::{DEAD_LETTER_LIFE_MS, Delivery, MAX_DEAD_LETTERS, Settlement, StoreError};

/// How long a list that is written first may differ from the reply, in milliseconds: longer than the call takes that
/// follows, so that nobody takes off the list what is about to be stored.
const SETTLING_MS: u64 = 10_000;
/// Replies that are taken off the lists in one step; the server does nothing else meanwhile.
const UNLISTED_AT_ONCE: usize = 500;

/// A reply as a list names it.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) response: MessageId,
    pub(super) state: DeliveryState,
    /// By what it is sorted there.
    pub(super) at: u64,
    /// Whose it is and on which channel, unless that was lost.
    pub(super) place: Option<(UserId, ChannelId)>,
    /// It was listed so late that the reply itself may be about to follow.
    pub(super) is_settling: bool,
}

/// A part of a list.
pub(super) struct ListedPage {
    pub(super) rows: Vec<Listed>,
    pub(super) next: Option<ListCursor>,
}

/// What the reply's own records say of it.
pub(super) struct Known {
    pub(super) state: ReplyState,
    /// Its channel is there.
    has_channel: bool,
}

impl Known {
    /// The list in which it belongs, and by what it is sorted there if that is known; `None` if it belongs in none.
    pub(super) fn belongs(&self) -> Option<(DeliveryState, Option<u64>)> {
        let listed = DeliveryState::parse(&self.state.status)?;
        if !(self.state.has_content && self.has_channel) {
            return None;
        }
        let at = match listed {
            DeliveryState::Pending => self.state.accepted,
            DeliveryState::Retrying => self.state.next_try,
            DeliveryState::Failed => None,
        };
        Some((listed, at.map(Timestamp::millis)))
    }
}

/// The number by which scripts know a list.
fn number(state: DeliveryState) -> usize {
    match state {
        DeliveryState::Pending => 1,
        DeliveryState::Retrying => 2,
        DeliveryState::Failed => 3,
    }
}

fn corrupt() -> StoreError {
    StoreError::Corrupt("a list of replies".to_owned())
}

/// Reads by what a reply is sorted, and its place.
fn read_listed(now: u64, state: DeliveryState, response: MessageId, answer: &mut Answer) -> Result<Listed, StoreError> {
    let at = answer.number()?;
    let place = answer.optional_text()?.as_deref().and_then(read_place);
    // A list of retries is written last.
    let is_settling = state != DeliveryState::Retrying && at.saturating_add(SETTLING_MS) > now;
    Ok(Listed { response, state, at, place, is_settling })
}

impl RedisStore {
    /// Starts the call of a script on a platform's lists: its first four keys and three arguments.
    pub(super) fn lists_call(&self, script: &Script, kind: ChannelKind, more_keys: &[String]) -> Cmd {
        let mut keys: Vec<_> = DeliveryState::ALL.map(|state| self.keys.listed(kind, state)).into();
        keys.push(self.keys.places(kind));
        keys.extend_from_slice(more_keys);
        let mut call = script.call(&keys);
        call.arg(QUEUED_LIFE_MS).arg(DEAD_LETTER_LIFE_MS).arg(MAX_DEAD_LETTERS);
        call
    }

    /// Lists a reply in this state, by the time so many milliseconds from now.
    pub(super) async fn list(
        &self,
        kind: ChannelKind,
        (user, channel): (&UserId, &ChannelId),
        response: &MessageId,
        state: DeliveryState,
        ahead: u64,
    ) -> Result<(), StoreError> {
        let mut call = self.lists_call(&script::LIST_REPLY, kind, &[]);
        call.arg(response.to_string()).arg(write_place(user, channel)).arg(number(state)).arg(ahead);
        self.link.script(&script::LIST_REPLY, &call).await.map(drop)
    }

    /// The same for a reply that was taken.
    pub(super) async fn list_as(
        &self,
        delivery: &Delivery,
        state: DeliveryState,
        ahead: u64,
    ) -> Result<(), StoreError> {
        let channel = &delivery.record.channel;
        self.list(channel.kind, (&delivery.user, &channel.id), &delivery.response, state, ahead).await
    }

    /// Has the lists follow a settlement, which stands whether they can or not: readers make up for it.
    pub(super) async fn list_settled(&self, delivery: &Delivery, settlement: &Settlement, is_noted: bool) {
        let kind = delivery.record.channel.kind;
        let followed = match settlement {
            Settlement::Delivered { .. } if is_noted => {
                self.unlist(kind, &[delivery.response]).await;
                Ok(())
            }
            Settlement::Retry { wait, .. } if is_noted => self.list_as(delivery, DeliveryState::Retrying, *wait).await,
            // It was listed as failed too early.
            Settlement::Failed { .. } if !is_noted => self.correct_found(kind, &delivery.response).await,
            _ => Ok(()),
        };
        if let Err(error) = followed {
            tracing::debug!(%error, "the list of a reply could not be changed");
        }
    }

    /// Takes replies off whatever list they are in, as far as that can be done: readers do the rest.
    pub(super) async fn unlist(&self, kind: ChannelKind, replies: &[MessageId]) {
        for some in replies.chunks(UNLISTED_AT_ONCE) {
            let mut call = self.lists_call(&script::UNLIST_REPLIES, kind, &[]);
            for reply in some {
                call.arg(reply.to_string());
            }
            if let Err(error) = self.link.script(&script::UNLIST_REPLIES, &call).await {
                tracing::debug!(%error, "replies could not be taken off their list");
                return;
            }
        }
    }

    /// Puts a reply into the list where it belongs, unless it was listed anew since it was found.
    pub(super) async fn correct(
        &self,
        kind: ChannelKind,
        listed: &Listed,
        belongs: Option<(DeliveryState, Option<u64>)>,
    ) -> Result<(), StoreError> {
        let mut call = self.lists_call(&script::CORRECT_LISTING, kind, &[]);
        call.arg(listed.response.to_string()).arg(number(listed.state)).arg(listed.at);
        match belongs {
            Some((state, Some(at))) => call.arg(number(state)).arg(at),
            Some((state, None)) => call.arg(number(state)).arg(""),
            None => call.arg(0).arg(""),
        };
        self.link.script(&script::CORRECT_LISTING, &call).await.map(drop)
    }

    /// Corrects where a reply is listed.
    async fn correct_found(&self, kind: ChannelKind, response: &MessageId) -> Result<(), StoreError> {
        let Some(listed) = self.find_listed(kind, response).await? else { return Ok(()) };
        let belongs = self.known(kind, &listed).await?.and_then(|known| known.belongs());
        if belongs.is_some_and(|(state, _)| state == listed.state) {
            return Ok(());
        }
        self.correct(kind, &listed, belongs).await
    }

    /// What the records of a listed reply say.
    pub(super) async fn known(&self, kind: ChannelKind, listed: &Listed) -> Result<Option<Known>, StoreError> {
        let Some((user, channel)) = &listed.place else { return Ok(None) };
        let keys = [
            self.keys.reply(user, &listed.response),
            self.keys.channel(user, channel),
            self.keys.queues(user, channel),
        ];
        let mut call = script::READ_DELIVERY.call(&keys);
        call.arg(listed.response.to_string()).arg(self.keys.queue_stem(user, channel));
        let mut answer = Answer::new(self.link.script(&script::READ_DELIVERY, &call).await?)?;
        let Some(channel) = answer.optional_text()? else { return Ok(None) };
        let status = answer.text()?;
        let attempts = u32::try_from(answer.number()?).unwrap_or(u32::MAX);
        let error = answer.optional_text()?;
        let mut time = || -> Result<Option<Timestamp>, StoreError> {
            let millis = answer.optional_text()?.and_then(|millis| millis.parse().ok());
            Ok(millis.map(Timestamp::from_millis))
        };
        let (accepted, next_try) = (time()?, time()?);
        let has_content = answer.number()? == 1;
        let state = ReplyState { channel, status, attempts, error, accepted, next_try, has_content };
        Ok(Some(Known { state, has_channel: answer.optional_text()?.as_deref() == Some(kind.as_str()) }))
    }

    /// Where a platform's lists have a reply.
    pub(super) async fn find_listed(
        &self,
        kind: ChannelKind,
        response: &MessageId,
    ) -> Result<Option<Listed>, StoreError> {
        let mut call = self.lists_call(&script::FIND_LISTED, kind, &[]);
        call.arg(response.to_string());
        let mut answer = Answer::new(self.link.script(&script::FIND_LISTED, &call).await?)?;
        if answer.is_empty() {
            return Ok(None);
        }
        let (now, list) = (answer.number()?, answer.number()?);
        let state = DeliveryState::ALL.into_iter().find(|state| number(*state) as u64 == list).ok_or_else(corrupt)?;
        read_listed(now, state, *response, &mut answer).map(Some)
    }

    /// A part of a list, of which only the replies on one channel may be wanted.
    pub(super) async fn read_listed(
        &self,
        kind: ChannelKind,
        state: DeliveryState,
        newest_first: bool,
        after: Option<&ListCursor>,
        count: usize,
        only: Option<(&UserId, &ChannelId)>,
    ) -> Result<ListedPage, StoreError> {
        let mut call = script::READ_LISTED.call(&[self.keys.listed(kind, state), self.keys.places(kind)]);
        call.arg(if newest_first { "1" } else { "" });
        match after {
            Some(after) => call.arg(after.at).arg(&after.entry),
            None => call.arg("").arg(""),
        };
        call.arg(count).arg(only.map(|(user, channel)| write_place(user, channel)).unwrap_or_default());
        let mut answer = Answer::new(self.link.script(&script::READ_LISTED, &call).await?)?;
        let now = answer.number()?;
        let (at, entry) = (answer.optional_text()?, answer.optional_text()?);
        let at = at.map(|at| at.parse().map_err(|_| corrupt())).transpose()?;
        let next = at.zip(entry).map(|(at, entry)| ListCursor { at, entry });
        let mut rows = Vec::new();
        while let Some(response) = answer.optional_text()? {
            let response = response.parse().map_err(|_| corrupt())?;
            rows.push(read_listed(now, state, response, &mut answer)?);
        }
        Ok(ListedPage { rows, next })
    }
}
