//! Messages, replies and responses.

use async_trait::async_trait;

use super::keys::Owned;
use super::replies::OwnedReply;
use super::tables::{Tx, View};
use super::values::{Reader, StoredChannel, Writing};
use super::{EmbeddedStore, Fault, conversations, gate, replies, streams};
use crate::domain::channel::ChannelKind;
use crate::domain::conversation::Origin;
use crate::domain::digest::Digest;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::limit::{Limit, LimitStatus};
use crate::domain::message::{NewRecord, Page, StoredRecord};
use crate::store::{
    Gate, Gated, IDEMPOTENCY_MS, Ingest, IngestOutcome, MessageStore, ReplyOutcome, ReplyRecord, ReplyStatus,
    ResponsesOutcome, ResponsesQuery, Secret, Since, StoreError, Wake,
};

/// An [`Ingest`] that the writer's thread can keep.
struct OwnedIngest {
    user: UserId,
    channel: ChannelId,
    kind: ChannelKind,
    secret: Secret,
    limit: Limit,
    is_admitted: bool,
    revision: Option<u64>,
    origin: Option<Origin>,
    only_known: bool,
    idempotency: Option<Digest>,
    record: Option<NewRecord>,
}

impl From<&Ingest<'_>> for OwnedIngest {
    fn from(ingest: &Ingest<'_>) -> Self {
        Self {
            user: ingest.user,
            channel: ingest.channel.clone(),
            kind: ingest.kind,
            secret: ingest.secret,
            limit: ingest.limit,
            is_admitted: ingest.is_admitted,
            revision: ingest.revision,
            origin: ingest.origin.cloned(),
            only_known: ingest.only_known,
            idempotency: ingest.idempotency,
            record: ingest.record.cloned(),
        }
    }
}

/// Whether what came along opens a channel with this secret.
fn opens(shown: Secret, secret: Option<Digest>) -> bool {
    match shown {
        Secret::Verified => true,
        Secret::Digest(digest) => secret == Some(digest),
        Secret::Missing => false,
    }
}

fn append_message(tx: &mut Tx<'_>, ingest: &OwnedIngest) -> Result<IngestOutcome, Fault> {
    let Some(session) = gate::live_session(tx, &ingest.user)? else { return Ok(IngestOutcome::NoChannel) };
    let owned = Owned(session.number);
    let (enabled, joined) = {
        let Some(value) = tx.get(&owned.channel(&ingest.channel))? else { return Ok(IngestOutcome::NoChannel) };
        let channel = StoredChannel::read(value.value())?;
        if channel.kind != ingest.kind {
            return Ok(IngestOutcome::WrongKind(channel.kind));
        }
        if ingest.revision.is_some_and(|revision| revision != channel.revision) {
            return Ok(IngestOutcome::Changed);
        }
        if !opens(ingest.secret, channel.secret) {
            return Ok(IngestOutcome::WrongSecret);
        }
        let joined = ingest.record.as_ref().map(|new| (new.id, StoredRecord::join(new, channel.kind, channel.routing)));
        (channel.enabled, joined)
    };
    let status = if ingest.is_admitted {
        LimitStatus { limit: ingest.limit, used: 1, reset: ingest.limit.window() }
    } else {
        gate::count_use(tx, &owned.counter(&format!("ingest:{}", ingest.channel)), ingest.limit)?
    };
    if status.is_exceeded() {
        return Ok(IngestOutcome::OverLimit(status));
    }
    if !enabled {
        return Ok(IngestOutcome::Disabled(status));
    }
    let Some((id, record)) = joined else { return Ok(IngestOutcome::Admitted(status)) };
    if ingest.only_known
        && let Some(origin) = &ingest.origin
        && !conversations::is_known(tx, owned, &ingest.channel, &origin.conversation)?
    {
        return Ok(IngestOutcome::NotKnown(status));
    }
    let once = ingest.idempotency.map(|digest| owned.once(&ingest.channel, &digest));
    if let Some(once) = &once
        && let Some(first) = accepted_before(tx, once)?
    {
        return Ok(IngestOutcome::Duplicate(first, status));
    }
    let (at, before) = streams::append(tx, &owned.messages(), &record)?;
    if let Some(once) = &once {
        let until = tx.now.saturating_add(IDEMPOTENCY_MS);
        tx.put(once, &Writing::default().number(until).text(&id.to_string()).done())?;
        tx.schedule(until, once)?;
    }
    if let Some(origin) = &ingest.origin {
        conversations::note(tx, owned, &ingest.channel, at.millis(), &id, origin)?;
    }
    let record = StoredRecord::new(at, record).ok_or(Fault::Record("a message with a line break"))?;
    // Only who listens now is told: an entry has no room for it, and a trace is of the moment.
    let record = record.in_trace(ingest.record.as_ref().and_then(|record| record.trace));
    tx.wake(&ingest.user, Wake::Message { before, record });
    Ok(IngestOutcome::Accepted(at, status))
}

fn accepted_before(view: &dyn View, once: &[u8]) -> Result<Option<MessageId>, Fault> {
    let Some(value) = view.get(once)? else { return Ok(None) };
    let mut reader = Reader::new("an idempotency key", value.value());
    if reader.number()? <= view.now() {
        return Ok(None);
    }
    reader.text()?.parse().map(Some).map_err(|_| reader.fault())
}

/// A [`ResponsesQuery`] that the writer's thread can keep.
struct OwnedQuery {
    user: UserId,
    channel: ChannelId,
    secret: Secret,
    limit: Limit,
    since: Since,
    count: usize,
}

fn read_responses(tx: &mut Tx<'_>, query: &OwnedQuery) -> Result<ResponsesOutcome, Fault> {
    let Some(session) = gate::live_session(tx, &query.user)? else { return Ok(ResponsesOutcome::NoChannel) };
    let owned = Owned(session.number);
    {
        let Some(value) = tx.get(&owned.channel(&query.channel))? else { return Ok(ResponsesOutcome::NoChannel) };
        let channel = StoredChannel::read(value.value())?;
        if channel.kind != ChannelKind::Webhook {
            return Ok(ResponsesOutcome::NoChannel);
        }
        if !opens(query.secret, channel.secret) {
            return Ok(ResponsesOutcome::WrongSecret);
        }
    }
    let counter = owned.counter(&format!("responses:{}", query.channel));
    let status: LimitStatus = gate::count_use(tx, &counter, query.limit)?;
    if status.is_exceeded() {
        return Ok(ResponsesOutcome::OverLimit(status));
    }
    let page = streams::page(tx, &owned.responses(&query.channel), query.since, query.count)?;
    Ok(ResponsesOutcome::Page(page, status))
}

#[async_trait]
impl MessageStore for EmbeddedStore {
    async fn append_message(&self, ingest: &Ingest<'_>) -> Result<IngestOutcome, StoreError> {
        let ingest = OwnedIngest::from(ingest);
        self.writer.run(move |tx| append_message(tx, &ingest)).await
    }

    async fn poll_messages(&self, gate: &Gate, since: Since, count: usize) -> Result<Gated<Page>, StoreError> {
        self.read_gated(gate, move |view, owned| streams::page(view, &owned.messages(), since, count)).await
    }

    async fn read_messages(&self, user: &UserId, since: Since, count: usize) -> Result<Page, StoreError> {
        let user = *user;
        self.read(move |view| match gate::live_session(view, &user)? {
            Some(session) => streams::page(view, &Owned(session.number).messages(), since, count),
            None => Ok(streams::empty_page()),
        })
        .await
    }

    async fn append_reply(&self, gate: &Gate, reply: &ReplyRecord<'_>) -> Result<Gated<ReplyOutcome>, StoreError> {
        let (user, reply) = (gate.user, OwnedReply::from(reply));
        self.write_gated(gate, move |tx, owned| replies::append(tx, owned, &user, &reply)).await
    }

    async fn reply_status(&self, gate: &Gate, response: &MessageId) -> Result<Gated<Option<ReplyStatus>>, StoreError> {
        let response = *response;
        self.read_gated(gate, move |view, owned| {
            Ok(replies::live(view, &owned.reply(&response))?.map(|reply| reply.status))
        })
        .await
    }

    async fn read_responses(&self, query: &ResponsesQuery<'_>) -> Result<ResponsesOutcome, StoreError> {
        let query = OwnedQuery {
            user: query.user,
            channel: query.channel.clone(),
            secret: query.secret,
            limit: query.limit,
            since: query.since,
            count: query.count,
        };
        self.writer.run(move |tx| read_responses(tx, &query)).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::timestamp::Timestamp;
    use crate::store::embedded::testing::{Client, Lab, START, WIDE, channel, json_of};
    use crate::store::{AcceptedReply, ChannelStore as _, KEEP_MS, MAX_MESSAGES};

    async fn page(lab: &Lab, client: &Client, since: Since, count: usize) -> Page {
        lab.store.poll_messages(&client.gate(), since, count).await.unwrap().unwrap().value
    }

    async fn responses(lab: &Lab, client: &Client, secret: Secret, limit: Limit) -> ResponsesOutcome {
        let (channel, since) = ("c".parse().unwrap(), Since::After(Timestamp::EPOCH));
        let query = ResponsesQuery { user: client.user, channel: &channel, secret, limit, since, count: 10 };
        lab.store.read_responses(&query).await.unwrap()
    }

    #[tokio::test]
    async fn an_ingest_is_checked_in_the_order_of_its_outcomes() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        let limit: Limit = "2/1m".parse().unwrap();
        assert_eq!(lab.ingest(&client, "other").await, IngestOutcome::NoChannel);
        let kind = lab.ingest_with(&client, "c", |ingest| {
            (ingest.kind, ingest.secret) = (ChannelKind::Telegram, Secret::Missing);
        });
        assert_eq!(kind.await, IngestOutcome::WrongKind(ChannelKind::Webhook));
        for secret in [Secret::Missing, Secret::Digest(Digest::of(b"wrong"))] {
            let outcome = lab.ingest_with(&client, "c", |ingest| (ingest.secret, ingest.limit) = (secret, limit));
            assert_eq!(outcome.await, IngestOutcome::WrongSecret);
        }
        let once = Some(Digest::of(b"once"));
        let right = |ingest: &mut Ingest<'_>| {
            (ingest.secret, ingest.limit, ingest.idempotency) = (Secret::Digest(Digest::of(b"secret")), limit, once);
        };
        let IngestOutcome::Accepted(at, status) = lab.ingest_with(&client, "c", right).await else { panic!() };
        assert_eq!((at.millis(), status.used), (START, 1));
        let first = json_of(&page(&lab, &client, Since::Last(1000), 10).await.records[0])["id"].clone();
        let IngestOutcome::Duplicate(id, status) = lab.ingest_with(&client, "c", right).await else { panic!() };
        assert_eq!((json!(id), status.used), (first, 2));
        let IngestOutcome::OverLimit(status) = lab.ingest_with(&client, "c", right).await else { panic!() };
        assert_eq!(status.used, 3);
        let mut disabled = channel("c");
        disabled.channel.enabled = false;
        lab.store.put_channel(&client.user, &disabled).await.unwrap();
        lab.advance(60_000);
        let IngestOutcome::Disabled(status) = lab.ingest_with(&client, "c", right).await else { panic!() };
        assert_eq!(status.used, 1);
    }

    #[tokio::test]
    async fn an_idempotency_key_is_forgotten_after_a_day() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        let once = |ingest: &mut Ingest<'_>| ingest.idempotency = Some(Digest::of(b"once"));
        for (passed, is_new) in [(0, true), (IDEMPOTENCY_MS - 1, false), (1, true)] {
            lab.advance(passed);
            let outcome = lab.ingest_with(&client, "c", once).await;
            assert_eq!(matches!(outcome, IngestOutcome::Accepted(..)), is_new, "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn a_message_carries_the_settings_of_its_channel() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        lab.accepted(&client, "c").await;
        let page = page(&lab, &client, Since::Last(1), 1).await;
        let message = json_of(&page.records[0]);
        assert_eq!(message["metadata"], json!({"channelDirection": "inbound", "channelName": "a channel"}));
        assert_eq!((&message["channelType"], &message["content"]), (&json!("webhook"), &json!("hello")));
    }

    #[tokio::test]
    async fn following_the_cursor_misses_nothing_and_repeats_nothing() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        assert_eq!(page(&lab, &client, Since::Last(1000), 2).await, streams::empty_page());
        for _ in 0..5 {
            lab.accepted(&client, "c").await;
        }
        let (mut since, mut sizes, mut seen) = (Timestamp::EPOCH, Vec::new(), Vec::new());
        loop {
            let page = page(&lab, &client, Since::After(since), 2).await;
            sizes.push(page.records.len());
            seen.extend(page.records.iter().map(|record| record.at.millis() - START));
            since = page.cursor;
            if !page.more {
                break;
            }
        }
        assert_eq!((sizes, seen), (vec![2, 2, 1], vec![0, 1, 2, 3, 4]));
        let end = page(&lab, &client, Since::After(since), 2).await;
        assert_eq!((end.records.len(), end.cursor, end.more), (0, since, false));
    }

    #[tokio::test]
    async fn the_newest_messages_are_kept_and_the_cursor_survives_the_clock() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        let mut last = START;
        for n in 1..=MAX_MESSAGES + 70 {
            last = lab.accepted(&client, "c").await.millis();
            if n >= MAX_MESSAGES {
                let all = page(&lab, &client, Since::After(Timestamp::EPOCH), 1000).await;
                let oldest = START + (n - MAX_MESSAGES) as u64;
                assert_eq!((all.records.len(), all.records[0].at.millis()), (MAX_MESSAGES, oldest));
            }
        }
        assert!(lab.rows().await.0 < MAX_MESSAGES as u64 + 40, "what is beyond is removed in time");
        lab.set_clock(START - 3_600_000);
        assert_eq!(lab.accepted(&client, "c").await.millis(), last + 1, "the clock went back");
        lab.set_clock(last + 1 + KEEP_MS - 1);
        assert_eq!(page(&lab, &client, Since::After(Timestamp::EPOCH), 1000).await.records.len(), 1);
        lab.advance(1);
        let empty = page(&lab, &client, Since::After(Timestamp::EPOCH), 1000).await;
        assert_eq!((empty.records.len(), empty.cursor.millis(), empty.more), (0, last + 1, false));
        lab.sweep(1000).await;
        lab.set_clock(START);
        assert_eq!(lab.accepted(&client, "c").await.millis(), last + 2, "the last instant is remembered");
    }

    #[tokio::test]
    async fn only_watchers_are_woken() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        lab.accepted(&client, "c").await;
        lab.watcher.watch(&client.user).await.unwrap();
        let at = lab.accepted(&client, "c").await;
        lab.watcher.unwatch(&client.user).await.unwrap();
        lab.accepted(&client, "c").await;
        let wakes = lab.take_wakes();
        let [(user, Wake::Message { before, record })] = &wakes[..] else { panic!("{wakes:?}") };
        assert_eq!((*user, before.millis(), record.at), (client.user, START, at));
    }

    #[tokio::test]
    async fn a_reply_is_stored_among_the_responses_and_remembered_for_a_day() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        assert_eq!(lab.reply(&client, "other", None).await.0, ReplyOutcome::NoChannel);
        let (wrong, _) = lab.reply(&client, "c", Some("slack")).await;
        assert_eq!(wrong, ReplyOutcome::WrongKind(ChannelKind::Webhook));
        let (stored, reply) = lab.reply(&client, "c", Some("webhook")).await;
        let accepted = AcceptedReply { channel: channel("c").channel, at: Timestamp::from_millis(START) };
        assert_eq!(stored, ReplyOutcome::Stored(accepted));
        let status = lab.store.reply_status(&client.gate(), &reply.id).await.unwrap().unwrap().value;
        let expected = ReplyStatus { channel: "c".to_owned(), status: "stored".to_owned(), attempts: 0, error: None };
        assert_eq!(status, Some(expected));
        let ResponsesOutcome::Page(page, _) = responses(&lab, &client, Secret::Verified, WIDE).await else { panic!() };
        let response = json_of(&page.records[0]);
        assert_eq!((&response["id"], &response["content"]), (&json!(reply.id), &json!("answer")));
        assert_eq!(response["metadata"], json!({"channelDirection": "inbound"}));
        lab.advance(KEEP_MS);
        let status = lab.store.reply_status(&client.gate(), &reply.id).await.unwrap().unwrap().value;
        assert_eq!(status, None);
        let ResponsesOutcome::Page(page, _) = responses(&lab, &client, Secret::Verified, WIDE).await else { panic!() };
        assert!(page.records.is_empty());
    }

    #[tokio::test]
    async fn responses_are_for_those_who_have_the_secret_and_keep_the_limit() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        let limit: Limit = "1/1m".parse().unwrap();
        let wrong = Secret::Digest(Digest::of(b"wrong"));
        assert_eq!(responses(&lab, &client, wrong, limit).await, ResponsesOutcome::WrongSecret);
        assert_eq!(responses(&lab, &client, Secret::Missing, limit).await, ResponsesOutcome::WrongSecret);
        let right = Secret::Digest(Digest::of(b"secret"));
        assert!(
            matches!(responses(&lab, &client, right, limit).await, ResponsesOutcome::Page(_, status) if status.used == 1)
        );
        assert!(
            matches!(responses(&lab, &client, right, limit).await, ResponsesOutcome::OverLimit(status) if status.used == 2)
        );
        let mut other = channel("c");
        other.channel.kind = ChannelKind::Telegram;
        lab.store.put_channel(&client.user, &other).await.unwrap();
        assert_eq!(responses(&lab, &client, right, limit).await, ResponsesOutcome::NoChannel);
    }
}
