//! Histories on Redis.

use async_trait::async_trait;
use futures_util::future::try_join_all;
use redis::Value;

use super::RedisStore;
use super::answer::{Answer, stored_record, unexpected};
use super::script;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::message::StoredRecord;
use crate::domain::timestamp::Timestamp;
use crate::store::operator::{
    Direction, HistoryCursor, HistoryEntry, HistoryPage, HistoryQuery, HistoryStore, RecentPointer, ReplyState,
};
use crate::store::{MAX_MESSAGES, MAX_RESPONSES, StoreError};

/// The most entries that one call looks at. A filter may want few of them.
const MAX_LOOKED_AT: usize = 500;

/// The channel that a script names; none for a message.
fn read_channel_name(name: &str) -> Result<Option<ChannelId>, StoreError> {
    if name.is_empty() {
        return Ok(None);
    }
    name.parse().map(Some).map_err(|_| StoreError::Corrupt("the channel of a response".to_owned()))
}

fn read_page(answer: &mut Answer) -> Result<Option<HistoryPage>, StoreError> {
    if answer.text()? == "session" {
        return Ok(None);
    }
    let at = answer.number()?;
    let response_on = read_channel_name(&answer.text()?)?;
    let next = (at > 0).then(|| HistoryCursor { at: Timestamp::from_millis(at), response_on });
    let mut entries = Vec::new();
    while let Some(row) = answer.next() {
        let mut row = Answer::new(row)?;
        let direction = if row.text()?.is_empty() { Direction::In } else { Direction::Out };
        entries.push(HistoryEntry { direction, record: stored_record(&row.text()?, row.text()?)? });
    }
    Ok(Some(HistoryPage { entries, next }))
}

fn read_state(answer: &mut Answer) -> Result<Option<ReplyState>, StoreError> {
    let Some(channel) = answer.optional_text()? else { return Ok(None) };
    let status = answer.text()?;
    let attempts = u32::try_from(answer.number()?).unwrap_or(u32::MAX);
    let error = Some(answer.text()?).filter(|error| !error.is_empty());
    let instant = |text: String| text.parse().ok().map(Timestamp::from_millis);
    let accepted = instant(answer.text()?);
    let has_content = answer.number()? == 1;
    Ok(Some(ReplyState { channel, status, attempts, error, accepted, next_try: instant(answer.text()?), has_content }))
}

impl RedisStore {
    async fn entry(&self, wanted: &RecentPointer) -> Result<Option<HistoryEntry>, StoreError> {
        let user = &wanted.user;
        let stream = match wanted.direction {
            Direction::In => self.keys.messages(user),
            Direction::Out => self.keys.responses(user, &wanted.channel),
        };
        let mut call = script::HISTORY_ENTRY.call(&[self.keys.session(user), stream]);
        call.arg(wanted.at.millis());
        match self.link.script(&script::HISTORY_ENTRY, &call).await? {
            Value::Nil => Ok(None),
            Value::BulkString(record) => {
                let record = String::from_utf8(record).ok().and_then(|record| StoredRecord::new(wanted.at, record));
                let record = record.ok_or_else(|| StoreError::Corrupt("the entry of a stream".to_owned()))?;
                Ok(Some(HistoryEntry { direction: wanted.direction, record }))
            }
            other => Err(unexpected(&other)),
        }
    }
}

#[async_trait]
impl HistoryStore for RedisStore {
    async fn history(&self, user: &UserId, query: &HistoryQuery<'_>) -> Result<Option<HistoryPage>, StoreError> {
        let mut call =
            script::HISTORY.call(&[self.keys.session(user), self.keys.channels(user), self.keys.messages(user)]);
        call.arg(self.keys.responses_stem(user)).arg(self.keys.responses_last_stem(user));
        match query.before {
            Some(before) => {
                call.arg(before.at.millis()).arg(before.response_on.as_ref().map(ChannelId::as_str).unwrap_or_default())
            }
            None => call.arg("").arg(""),
        };
        call.arg(query.direction.map(Direction::as_str).unwrap_or_default())
            .arg(query.channel.map(ChannelId::as_str).unwrap_or_default())
            .arg(query.count)
            .arg(MAX_MESSAGES)
            .arg(MAX_RESPONSES)
            .arg(MAX_LOOKED_AT);
        read_page(&mut Answer::new(self.link.script(&script::HISTORY, &call).await?)?)
    }

    async fn reply_states(
        &self,
        user: &UserId,
        responses: &[MessageId],
    ) -> Result<Vec<Option<ReplyState>>, StoreError> {
        let mut call = script::REPLY_STATES.call(&[self.keys.session(user)]);
        call.arg(self.keys.reply_stem(user)).arg(self.keys.queues_stem(user)).arg(self.keys.queue_stems(user));
        for response in responses {
            call.arg(response.to_string());
        }
        let mut answer = Answer::new(self.link.script(&script::REPLY_STATES, &call).await?)?;
        let mut states = Vec::with_capacity(responses.len());
        while let Some(state) = answer.next() {
            states.push(read_state(&mut Answer::new(state)?)?);
        }
        Ok(states)
    }

    async fn entries(&self, wanted: &[RecentPointer]) -> Result<Vec<Option<HistoryEntry>>, StoreError> {
        try_join_all(wanted.iter().map(|wanted| self.entry(wanted))).await
    }
}
