//! Histories: messages and responses of a session, merged.

use async_trait::async_trait;

use super::keys::{self, Owned, Stream};
use super::queues::{self, Parcel};
use super::tables::View;
use super::{EmbeddedStore, Fault, gate, replies, streams};
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::timestamp::Timestamp;
use crate::store::StoreError;
use crate::store::operator::{
    Direction, HistoryCursor, HistoryEntry, HistoryPage, HistoryQuery, HistoryStore, RecentPointer, ReplyState,
};

/// The most entries that one call looks at. A filter may want few of them.
const MAX_LOOKED_AT: usize = 500;

/// A [`HistoryQuery`] that a reading thread can keep.
struct OwnedQuery {
    before: Option<HistoryCursor>,
    direction: Option<Direction>,
    channel: Option<ChannelId>,
    count: usize,
}

/// A stream that is read backwards, and the channel whose responses it has; none for messages.
struct Source<'v> {
    entries: streams::Newest<'v>,
    /// The instant of the entry it has come to, in milliseconds.
    at: u64,
    entry: String,
    channel: Option<ChannelId>,
}

impl Source<'_> {
    /// Sorts as [`HistoryCursor`] says: messages before responses, these by channel.
    fn place(&self) -> (u64, Option<&str>) {
        (self.at, self.channel.as_ref().map(ChannelId::as_str))
    }

    /// Goes to the next older entry; says whether there is one.
    fn advance(&mut self) -> Result<bool, Fault> {
        let Some((at, entry)) = self.entries.next()? else { return Ok(false) };
        (self.at, self.entry) = (at, entry);
        Ok(true)
    }
}

/// Whether a message belongs to this channel: its record begins with two ids, behind which the channel's stands.
fn is_of(record: &str, channel: &ChannelId) -> bool {
    const BEHIND_THE_IDS: usize = 90;
    let rest = record.get(BEHIND_THE_IDS..).and_then(|rest| rest.strip_prefix(r#"","channelId":""#));
    rest.and_then(|rest| rest.strip_prefix(channel.as_str())).is_some_and(|rest| rest.starts_with(r#"","from":"#))
}

/// Opens a stream at its newest entry before the cursor, if it has any.
fn open<'v>(
    view: &'v dyn View,
    stream: Stream,
    channel: Option<ChannelId>,
    before: Option<&HistoryCursor>,
) -> Result<Option<Source<'v>>, Fault> {
    let upto = before.map(|before| {
        // At the cursor's own instant only what sorts before its entry is older.
        let name = before.response_on.as_ref().map(ChannelId::as_str);
        let is_older = channel.as_ref().map(ChannelId::as_str) < name;
        before.at.millis().saturating_add(is_older.into())
    });
    let entries = streams::newest(view, stream, upto)?;
    let mut source = Source { entries, at: 0, entry: String::new(), channel };
    Ok(source.advance()?.then_some(source))
}

fn page(view: &dyn View, owned: Owned, query: &OwnedQuery) -> Result<HistoryPage, Fault> {
    let mut sources = Vec::new();
    if query.direction != Some(Direction::Out) {
        sources.extend(open(view, owned.messages(), None, query.before.as_ref())?);
    }
    if query.direction != Some(Direction::In) {
        let prefix = owned.channels();
        let mut channels = Vec::from_iter(query.channel.clone());
        if channels.is_empty() {
            for entry in view.range(&prefix, &keys::end_of(&prefix))? {
                channels.extend(keys::owned_channel(entry?.0.value()));
            }
        }
        for channel in channels {
            sources.extend(open(view, owned.responses(&channel), Some(channel), query.before.as_ref())?);
        }
    }
    sources.sort_unstable_by(|one, other| one.place().cmp(&other.place()));
    let mut page = HistoryPage { entries: Vec::new(), next: None };
    let (mut last, mut looked_at) = (None, 0);
    // The newest of all is that of the last source.
    while let Some(mut source) = sources.pop() {
        if page.entries.len() == query.count || looked_at == MAX_LOOKED_AT {
            page.next = last;
            break;
        }
        looked_at += 1;
        let at = Timestamp::from_millis(source.at);
        let direction = if source.channel.is_some() { Direction::Out } else { Direction::In };
        let is_wanted = match &query.channel {
            Some(channel) if direction == Direction::In => is_of(&source.entry, channel),
            _ => true,
        };
        last = Some(HistoryCursor { at, response_on: source.channel.clone() });
        if is_wanted {
            let record = streams::record(at, std::mem::take(&mut source.entry))?;
            page.entries.push(HistoryEntry { direction, record });
        }
        if source.advance()? {
            let place = sources.partition_point(|other| other.place() < source.place());
            sources.insert(place, source);
        }
    }
    Ok(page)
}

fn state(view: &dyn View, owned: Owned, response: &MessageId) -> Result<Option<ReplyState>, Fault> {
    let Some(reply) = replies::live(view, &owned.reply(response))? else { return Ok(None) };
    let parcel = view.get(&owned.parcel(response))?.map(|value| Parcel::read(value.value())).transpose()?;
    let mut next_try = None;
    if let Some(parcel) = &parcel
        && let Ok(channel) = reply.status.channel.parse()
        && let Some(queue) = queues::queue(view, &owned.queue(&channel, &parcel.conversation))?
        && queue.replies.first() == Some(response)
    {
        next_try = Some(Timestamp::from_millis(queue.due));
    }
    Ok(Some(ReplyState {
        channel: reply.status.channel,
        status: reply.status.status,
        attempts: reply.status.attempts,
        error: reply.status.error,
        accepted: parcel.as_ref().map(|parcel| Timestamp::from_millis(parcel.accepted)),
        next_try,
        has_content: parcel.is_some(),
    }))
}

fn entry(view: &dyn View, wanted: &RecentPointer) -> Result<Option<HistoryEntry>, Fault> {
    let Some(session) = gate::live_session(view, &wanted.user)? else { return Ok(None) };
    let owned = Owned(session.number);
    let stream = match wanted.direction {
        Direction::In => owned.messages(),
        Direction::Out => owned.responses(&wanted.channel),
    };
    let record = streams::entry(view, &stream, wanted.at)?;
    Ok(record.map(|record| HistoryEntry { direction: wanted.direction, record }))
}

#[async_trait]
impl HistoryStore for EmbeddedStore {
    async fn history(&self, user: &UserId, query: &HistoryQuery<'_>) -> Result<Option<HistoryPage>, StoreError> {
        let user = *user;
        let query = OwnedQuery {
            before: query.before.cloned(),
            direction: query.direction,
            channel: query.channel.cloned(),
            count: query.count,
        };
        self.read(move |view| match gate::live_session(view, &user)? {
            Some(session) => page(view, Owned(session.number), &query).map(Some),
            None => Ok(None),
        })
        .await
    }

    async fn reply_states(
        &self,
        user: &UserId,
        responses: &[MessageId],
    ) -> Result<Vec<Option<ReplyState>>, StoreError> {
        let (user, responses) = (*user, responses.to_vec());
        self.read(move |view| {
            let session = gate::live_session(view, &user)?;
            let state = |response| match &session {
                Some(session) => state(view, Owned(session.number), response),
                None => Ok(None),
            };
            responses.iter().map(state).collect()
        })
        .await
    }

    async fn entries(&self, wanted: &[RecentPointer]) -> Result<Vec<Option<HistoryEntry>>, StoreError> {
        let wanted = wanted.to_vec();
        self.read(move |view| wanted.iter().map(|wanted| entry(view, wanted)).collect()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::testing::{Client, Lab, json_of};
    use crate::store::{KEEP_MS, MessageStore as _, Since};

    async fn page(lab: &Lab, client: &Client, before: Option<&HistoryCursor>, count: usize) -> HistoryPage {
        let query = HistoryQuery { before, direction: None, channel: None, count };
        lab.store.history(&client.user, &query).await.unwrap().unwrap()
    }

    /// The channels of the entries; a message has none.
    fn channels(page: &HistoryPage) -> Vec<String> {
        let channel = |entry: &HistoryEntry| match entry.direction {
            Direction::In => String::new(),
            Direction::Out => json_of(&entry.record)["channelId"].as_str().unwrap().to_owned(),
        };
        page.entries.iter().map(channel).collect()
    }

    #[tokio::test]
    async fn entries_of_one_instant_have_an_order_in_which_every_place_is_found() {
        let lab = Lab::new();
        let client = lab.channel("B").await;
        for id in ["a", "a-", "a_1", "b"] {
            lab.put(&client, id).await;
        }
        // The clock stands still, so that the first entry of each stream has the same instant.
        for id in ["b", "a", "B", "a_1", "a-"] {
            lab.reply(&client, id, None).await;
        }
        lab.accepted(&client, "b").await;
        let expected = ["b", "a_1", "a-", "a", "B", ""];
        let all = page(&lab, &client, None, 100).await;
        assert_eq!((channels(&all), &all.next), (expected.map(str::to_owned).to_vec(), &None));
        assert!(all.entries.iter().all(|entry| entry.record.at == all.entries[0].record.at));
        let mut before = None;
        for (n, name) in expected.iter().enumerate() {
            let one = page(&lab, &client, before.as_ref(), 1).await;
            assert_eq!(channels(&one), [*name]);
            assert_eq!(one.next.is_some(), n + 1 < expected.len());
            before = one.next;
        }
    }

    #[tokio::test]
    async fn what_expired_is_not_shown_though_nobody_swept() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        let at = lab.accepted(&client, "c").await;
        lab.reply(&client, "c", None).await;
        lab.advance(KEEP_MS - 1);
        let pointer = |direction| RecentPointer { direction, user: client.user, channel: "c".parse().unwrap(), at };
        let pointers = [pointer(Direction::In), pointer(Direction::Out)];
        assert_eq!(page(&lab, &client, None, 10).await.entries.len(), 2);
        assert!(lab.store.entries(&pointers).await.unwrap().iter().all(Option::is_some));
        lab.advance(1);
        assert_eq!(page(&lab, &client, None, 10).await, HistoryPage { entries: Vec::new(), next: None });
        assert_eq!(lab.store.entries(&pointers).await.unwrap(), [None, None]);
        assert_eq!(lab.store.read_messages(&client.user, Since::Last(KEEP_MS), 10).await.unwrap().records, []);
    }
}
