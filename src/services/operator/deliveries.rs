//! Replies on their way and those that failed, and what an operator can do for them.

use futures_util::future::try_join_all;

use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::services::Relay;
use crate::services::error::Error;
use crate::store::operator::{
    DeliveryCounts, DeliveryEntry, DeliveryPage, DeliveryQuery, DeliveryState, DropOutcome, ListCursor, RedriveOutcome,
};

use super::access::Operator;

/// Failed replies of a channel that one wish sends again.
const REDRIVEN_AT_ONCE: usize = 200;
/// What the owner of a dropped reply reads as its error.
const DROPPED: &str = "dropped by the operator";

/// Which replies to list.
pub struct DeliveriesQuery<'a> {
    /// In which state.
    pub state: DeliveryState,
    /// On their way to which platform; `None` for all.
    pub kind: Option<ChannelKind>,
    /// The end of the page before.
    pub after: Option<&'a ListCursor>,
    /// At most so many.
    pub count: usize,
}

fn no_reply(response: &str) -> Error {
    let shown: String = response.chars().take(36).collect();
    Error::NotFound { code: "unknown_reply", message: format!("there is no undelivered reply {shown:?}") }
}

fn conflict(code: &'static str, message: &str) -> Error {
    Error::Conflict { code, message: message.to_owned() }
}

fn under_way() -> Error {
    conflict("under_way", "the reply is being sent at this moment: look again in a minute")
}

impl Relay {
    /// How many replies are in which state, over all platforms.
    pub async fn delivery_counts(&self) -> Result<DeliveryCounts, Error> {
        let counts = try_join_all(ChannelKind::PLATFORMS.map(|kind| self.store.delivery_counts(kind))).await?;
        Ok(counts.into_iter().fold(DeliveryCounts::default(), DeliveryCounts::and))
    }

    /// A page of replies, of one platform or of all.
    pub async fn deliveries(&self, query: &DeliveriesQuery<'_>) -> Result<DeliveryPage, Error> {
        let &DeliveriesQuery { state, kind, after, count } = query;
        let all: Vec<_> = ChannelKind::PLATFORMS
            .into_iter()
            .filter(|platform| kind.is_none_or(|kind| kind == *platform))
            .map(|kind| DeliveryQuery { state, kind, after, count })
            .collect();
        let pages = try_join_all(all.iter().map(|query| self.store.deliveries(query))).await?;
        Ok(merge(pages, state, count))
    }

    async fn undelivered(&self, response: &str) -> Result<DeliveryEntry, Error> {
        let id: MessageId = response.parse().map_err(|_| no_reply(response))?;
        self.store.find_delivery(&id).await?.ok_or_else(|| no_reply(response))
    }

    /// Sends a reply again that failed, or that waits for its next try.
    pub async fn redrive(&self, operator: &Operator, response: &str) -> Result<(), Error> {
        let entry = self.undelivered(response).await?;
        let outcome = self.store.redrive(entry.kind, &entry.user, &entry.channel, &entry.response).await?;
        match outcome {
            RedriveOutcome::Redriven | RedriveOutcome::Hastened => {}
            RedriveOutcome::UnderWay => return Err(under_way()),
            RedriveOutcome::Waits => {
                return Err(conflict("waits", "the reply waits for another one of its conversation: send that first"));
            }
            RedriveOutcome::NothingToSend => {
                return Err(conflict("nothing_to_send", "there is nothing to send any more"));
            }
            RedriveOutcome::NoChannel => {
                return Err(conflict("channel_disabled", "the reply's channel is disabled or gone"));
            }
            RedriveOutcome::QueueFull => {
                return Err(conflict("queue_full", "too many replies wait in this conversation already"));
            }
            RedriveOutcome::Unknown => return Err(no_reply(response)),
        }
        self.shared.outbox.announce(entry.kind);
        self.audit(operator, "redrive", response, "sent again").await;
        Ok(())
    }

    /// Sends failed replies of one channel again, the oldest first. Gives how many, and whether that is all.
    pub async fn redrive_channel(
        &self,
        operator: &Operator,
        kind: ChannelKind,
        user: UserId,
        channel: &ChannelId,
    ) -> Result<(usize, bool), Error> {
        let failed = self.store.failed_of_channel(kind, &user, channel, REDRIVEN_AT_ONCE).await?;
        let is_all = failed.len() < REDRIVEN_AT_ONCE;
        let mut redriven = 0;
        // One after the other, since each goes to the end of its conversation.
        for response in failed {
            match self.store.redrive(kind, &user, channel, &response).await? {
                RedriveOutcome::Redriven | RedriveOutcome::Hastened => redriven += 1,
                RedriveOutcome::NoChannel => {
                    return Err(conflict("channel_disabled", "the channel is disabled or gone"));
                }
                _ => {}
            }
        }
        self.shared.outbox.announce(kind);
        self.audit(operator, "redrive channel", channel.as_str(), &format!("{redriven} replies sent again")).await;
        Ok((redriven, is_all))
    }

    /// Gives a reply up for good.
    pub async fn drop_reply(&self, operator: &Operator, response: &str) -> Result<(), Error> {
        let entry = self.undelivered(response).await?;
        let DeliveryEntry { kind, user, channel, response: id, .. } = &entry;
        match self.store.drop_reply(*kind, user, channel, id, DROPPED).await? {
            DropOutcome::Dropped => {}
            DropOutcome::UnderWay => return Err(under_way()),
            DropOutcome::NothingToDrop => return Err(conflict("nothing_to_drop", "there is nothing to drop any more")),
            DropOutcome::Unknown => return Err(no_reply(response)),
        }
        // What waited behind it may go.
        self.shared.outbox.announce(*kind);
        self.audit(operator, "drop", response, "given up").await;
        Ok(())
    }
}

/// Makes one page of those of several platforms, in the order of their state.
fn merge(pages: Vec<DeliveryPage>, state: DeliveryState, count: usize) -> DeliveryPage {
    let more = pages.iter().any(|page| page.next.is_some());
    // Beyond the end of a page that goes on, others of its platform may come before those of the next.
    let ends: Vec<_> = pages.iter().filter_map(|page| page.next.clone()).collect();
    let mut entries: Vec<_> = pages.into_iter().flat_map(|page| page.entries).collect();
    let place = |at: u64, entry: &str| (at, entry.to_owned());
    let newest_first = state == DeliveryState::Failed;
    let key = |entry: &DeliveryEntry| place(entry.at.millis(), &entry.response.to_string());
    entries.sort_by_key(key);
    if newest_first {
        entries.reverse();
    }
    let ends = ends.iter().map(|end| place(end.at, &end.entry));
    let limit = if newest_first { ends.max() } else { ends.min() };
    if let Some(limit) = limit {
        entries.retain(|entry| if newest_first { key(entry) >= limit } else { key(entry) <= limit });
        if entries.is_empty() {
            return DeliveryPage { entries, next: Some(ListCursor { at: limit.0, entry: limit.1 }) };
        }
    }
    let is_cut = entries.len() > count;
    entries.truncate(count);
    let last = entries.last().map(|entry| ListCursor { at: entry.at.millis(), entry: entry.response.to_string() });
    DeliveryPage { entries, next: last.filter(|_| more || is_cut) }
}
