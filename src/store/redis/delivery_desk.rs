//! The operator's desk for replies on Redis.

use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::RedisStore;
use super::answer::Answer;
use super::listing::Listed;
use super::outbox::QUEUED_LIFE_MS;
use super::script;
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::reply::delivery_frame;
use crate::domain::timestamp::Timestamp;
use crate::store::operator::{
    DeliveryCounts, DeliveryDeskStore, DeliveryEntry, DeliveryPage, DeliveryQuery, DeliveryState, DropOutcome,
    RedriveOutcome,
};
use crate::store::{ANNOUNCED_AHEAD_MS, KEEP_MS, MAX_QUEUED, StoreError};

/// Rows of a list that are looked through in one step for those of a channel.
const SEARCHED_AT_ONCE: usize = 1000;
/// Replies that are looked at at once.
const READ_AT_ONCE: usize = 100;

impl RedisStore {
    /// The entry of a listed reply, in the state that its own records say. A list that says something else is
    /// corrected, unless the reply may be about to follow it.
    async fn delivery_entry(&self, kind: ChannelKind, listed: &Listed) -> Result<Option<DeliveryEntry>, StoreError> {
        let known = self.known(kind, listed).await?;
        let belongs = known.as_ref().and_then(|known| known.belongs());
        let is_right = belongs.is_some_and(|(state, _)| state == listed.state);
        if !is_right && !listed.is_settling {
            self.correct(kind, listed, belongs).await?;
        }
        let (Some(known), Some((_, at)), Some((user, channel))) = (known, belongs, &listed.place) else {
            return Ok(None);
        };
        let at = if is_right { listed.at } else { at.unwrap_or(listed.at) };
        Ok(Some(DeliveryEntry {
            kind,
            user: *user,
            channel: channel.clone(),
            response: listed.response,
            at: Timestamp::from_millis(at),
            state: known.state,
        }))
    }

    /// The channel has something due now, whatever became of what was announced before.
    async fn announce_changed(&self, kind: ChannelKind, user: &UserId, channel: &ChannelId) {
        if let Err(error) = self.announce_due(kind, user, channel, 0, None).await {
            // The list names the channel already, for a few seconds from now.
            tracing::debug!(%error, "a channel could not be announced at once");
        }
    }
}

#[async_trait]
impl DeliveryDeskStore for RedisStore {
    async fn delivery_counts(&self, kind: ChannelKind) -> Result<DeliveryCounts, StoreError> {
        let call = self.lists_call(&script::COUNT_LISTED, kind, &[]);
        let mut answer = Answer::new(self.link.script(&script::COUNT_LISTED, &call).await?)?;
        Ok(DeliveryCounts {
            pending: answer.number()?,
            retrying: answer.number()?,
            failed: answer.number()?,
            overdue: answer.number()?,
        })
    }

    async fn deliveries(&self, query: &DeliveryQuery<'_>) -> Result<DeliveryPage, StoreError> {
        let newest_first = query.state == DeliveryState::Failed;
        let page = self.read_listed(query.kind, query.state, newest_first, query.after, query.count, None).await?;
        let entries = try_join_all(page.rows.iter().map(|listed| self.delivery_entry(query.kind, listed))).await?;
        let is_wanted = |entry: &DeliveryEntry| entry.state.status == query.state.as_str();
        Ok(DeliveryPage { entries: entries.into_iter().flatten().filter(is_wanted).collect(), next: page.next })
    }

    async fn find_delivery(&self, response: &MessageId) -> Result<Option<DeliveryEntry>, StoreError> {
        let found =
            try_join_all(ChannelKind::PLATFORMS.map(async |kind| match self.find_listed(kind, response).await? {
                Some(listed) => self.delivery_entry(kind, &listed).await,
                None => Ok(None),
            }))
            .await?;
        Ok(found.into_iter().flatten().next())
    }

    async fn failed_of_channel(
        &self,
        kind: ChannelKind,
        user: &UserId,
        channel: &ChannelId,
        count: usize,
    ) -> Result<Vec<MessageId>, StoreError> {
        let (state, only) = (DeliveryState::Failed, Some((user, channel)));
        let mut failed = Vec::new();
        let mut after = None;
        loop {
            let page = self.read_listed(kind, state, false, after.as_ref(), SEARCHED_AT_ONCE, only).await?;
            for rows in page.rows.chunks(READ_AT_ONCE) {
                let entries = try_join_all(rows.iter().map(|listed| self.delivery_entry(kind, listed))).await?;
                let still = entries.into_iter().flatten().filter(|entry| entry.state.status == state.as_str());
                failed.extend(still.map(|entry| entry.response));
                if failed.len() >= count {
                    failed.truncate(count);
                    return Ok(failed);
                }
            }
            after = match page.next {
                Some(next) => Some(next),
                None => return Ok(failed),
            };
        }
    }

    async fn redrive(
        &self,
        kind: ChannelKind,
        user: &UserId,
        channel: &ChannelId,
        response: &MessageId,
    ) -> Result<RedriveOutcome, StoreError> {
        // First, so that it is not forgotten should this replica die after the next step. Until it is listed as
        // pending it is in the list where it was, whose readers correct that.
        self.announce_due(kind, user, channel, ANNOUNCED_AHEAD_MS, None).await?;
        let keys = [self.keys.reply(user, response), self.keys.channel(user, channel), self.keys.queues(user, channel)];
        let mut call = script::REDRIVE.call(&keys);
        call.arg(channel.as_str())
            .arg(response.to_string())
            .arg(self.keys.queue_stem(user, channel))
            .arg(kind.as_str())
            .arg(MAX_QUEUED)
            .arg(QUEUED_LIFE_MS);
        let mut answer = Answer::new(self.writes.script(&script::REDRIVE, &call).await?)?;
        let outcome = match answer.text()?.as_str() {
            "redriven" => RedriveOutcome::Redriven,
            "hastened" => RedriveOutcome::Hastened,
            "held" => RedriveOutcome::UnderWay,
            "waits" => RedriveOutcome::Waits,
            "nothing" => RedriveOutcome::NothingToSend,
            "channel" => RedriveOutcome::NoChannel,
            "full" => RedriveOutcome::QueueFull,
            "unknown" => RedriveOutcome::Unknown,
            other => return Err(StoreError::Corrupt(format!("a redrive answered {other:?}"))),
        };
        if let Some(status) = answer.optional_text()? {
            if let Some(state) = DeliveryState::parse(&status)
                && let Err(error) = self.list(kind, (user, channel), response, state, 0).await
            {
                tracing::debug!(%error, "a reply that is sent again could not be listed");
            }
            self.announce_changed(kind, user, channel).await;
        }
        Ok(outcome)
    }

    async fn drop_reply(
        &self,
        kind: ChannelKind,
        user: &UserId,
        channel: &ChannelId,
        response: &MessageId,
        error: &str,
    ) -> Result<DropOutcome, StoreError> {
        // First, so that what waits behind it is not forgotten should this replica die after the next step.
        self.announce_due(kind, user, channel, ANNOUNCED_AHEAD_MS, None).await?;
        let mut call = script::DROP_REPLY.call(&[self.keys.reply(user, response), self.keys.queues(user, channel)]);
        call.arg(channel.as_str())
            .arg(response.to_string())
            .arg(self.keys.queue_stem(user, channel))
            .arg(error)
            .arg(KEEP_MS);
        let mut answer = Answer::new(self.writes.script(&script::DROP_REPLY, &call).await?)?;
        match answer.text()?.as_str() {
            "dropped" => {}
            "held" => return Ok(DropOutcome::UnderWay),
            "nothing" => return Ok(DropOutcome::NothingToDrop),
            "unknown" => return Ok(DropOutcome::Unknown),
            other => return Err(StoreError::Corrupt(format!("a drop answered {other:?}"))),
        }
        let attempts = u32::try_from(answer.number()?).unwrap_or(u32::MAX);
        self.unlist(kind, &[*response]).await;
        if answer.number()? == 1 {
            self.announce_changed(kind, user, channel).await;
            let frame = delivery_frame(response, channel, "failed", attempts, Some(error));
            let mut publish = redis::cmd("SPUBLISH");
            publish.arg(self.keys.wake(user)).arg(format!("d{frame}"));
            if let Err(error) = self.link.command(&publish).await {
                tracing::debug!(%error, "the end of a reply could not be told");
            }
        }
        Ok(DropOutcome::Dropped)
    }
}
