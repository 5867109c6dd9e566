//! Messages, replies and responses.

use std::time::Duration;

use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::digest::Digest;
use chaos_relay::domain::ids::{ChannelId, MessageId, UserId};
use chaos_relay::domain::limit::Limit;
use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::store::{
    AcceptedReply, Ingest, IngestOutcome, MAX_MESSAGES, MAX_RESPONSES, ReplyOutcome, ReplyRecord, ResponsesOutcome,
    ResponsesQuery, Secret, SessionRecord, Since, Wake,
};
use serde_json::json;

use super::{AMPLE, Bench, contents, gate, heard, ingest, json_of, message, on_both_stores, watching};

on_both_stores! {
    a_message_reads_back_with_the_settings_of_its_moment,
    checks_come_in_their_order,
    a_look_at_a_channel_that_changed_since_counts_for_nothing,
    a_message_may_be_admitted_before_it_is_there,
    instants_strictly_increase_whatever_comes_at_once,
    a_cursor_walk_misses_and_repeats_nothing,
    an_empty_read_gives_a_cursor_that_nothing_later_is_behind,
    the_newest_messages_are_kept,
    a_repeat_is_recognised_per_channel,
    a_wake_names_the_message_before,
    a_watch_that_ended_wakes_nobody,
    each_watcher_is_told_of_what_it_watches_itself,
    a_reply_is_read_as_a_response,
    a_reply_needs_the_users_own_channel,
    responses_ask_for_the_secret_when_they_should,
    the_newest_responses_are_kept,
}

const START: Since = Since::After(Timestamp::EPOCH);

async fn a_message_reads_back_with_the_settings_of_its_moment(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let user = session.user;
    let first = bench.append(&user, &id, "a\n\"b\"").await;
    bench.change(&session, &id, json!({"name": "door", "direction": "bidirectional"})).await;
    bench.append(&user, &id, "second").await;
    let page = bench.store.poll_messages(&gate(&session), START, 10).await.unwrap().unwrap().value;
    let message = json_of(&page.records[0]);
    assert_eq!(message["content"], "a\n\"b\"");
    assert_eq!(message["channelType"], "webhook");
    assert_eq!(message["timestamp"], json!(first));
    assert_eq!(message["metadata"], json!({"channelDirection": "inbound"}));
    assert_eq!(
        json_of(&page.records[1])["metadata"],
        json!({"channelDirection": "bidirectional", "channelName": "door"})
    );
    assert_eq!(bench.store.read_messages(&user, START, 10).await.unwrap(), page);
}

async fn checks_come_in_their_order(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let user = session.user;
    let record = message(&user, &id, "x");
    let strict = Limit::new(2, Duration::from_secs(60));
    let base = Ingest { limit: strict, ..ingest(&user, &id, &record) };
    let unknown = ChannelId::random();
    let send = |ingest| {
        let store = bench.store.clone();
        async move { store.append_message(&ingest).await.unwrap() }
    };
    assert_eq!(send(Ingest { channel: &unknown, ..base.clone() }).await, IngestOutcome::NoChannel);
    assert_eq!(send(Ingest { user: UserId::random(), ..base.clone() }).await, IngestOutcome::NoChannel);
    let other_kind = Ingest { kind: ChannelKind::Slack, secret: Secret::Missing, ..base.clone() };
    assert_eq!(send(other_kind).await, IngestOutcome::WrongKind(ChannelKind::Webhook));
    for secret in [Secret::Missing, Secret::Digest(Digest::of(b"wrong"))] {
        assert_eq!(send(Ingest { secret, ..base.clone() }).await, IngestOutcome::WrongSecret);
    }
    // Refusals so far were not counted; from here on every try is.
    bench.change(&session, &id, json!({"enabled": false})).await;
    let IngestOutcome::Disabled(status) = send(base.clone()).await else { panic!("disabled") };
    assert_eq!(status.used, 1);
    bench.change(&session, &id, json!({"enabled": true})).await;
    let verified = send(Ingest { secret: Secret::Verified, ..base.clone() }).await;
    assert!(matches!(verified, IngestOutcome::Accepted(_, status) if status.used == 2));
    assert!(matches!(send(base.clone()).await, IngestOutcome::OverLimit(status) if status.used == 3));
}

async fn a_look_at_a_channel_that_changed_since_counts_for_nothing(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let record = message(&session.user, &id, "x");
    let seen = bench.store.read_channel(&session.user, &id).await.unwrap().unwrap().revision;
    let base = Ingest { revision: Some(seen), ..ingest(&session.user, &id, &record) };
    let send = |ingest| {
        let store = bench.store.clone();
        async move { store.append_message(&ingest).await.unwrap() }
    };
    assert!(matches!(send(base.clone()).await, IngestOutcome::Accepted(_, status) if status.used == 1));
    bench.change(&session, &id, json!({"name": "n"})).await;
    let other_kind = Ingest { kind: ChannelKind::Slack, ..base.clone() };
    assert_eq!(send(other_kind).await, IngestOutcome::WrongKind(ChannelKind::Webhook));
    // Before the secret, which may have changed too, and before the limit.
    assert_eq!(send(Ingest { secret: Secret::Missing, ..base.clone() }).await, IngestOutcome::Changed);
    assert_eq!(send(Ingest { record: None, ..base.clone() }).await, IngestOutcome::Changed);
    let again = Ingest { revision: Some(seen + 1), ..base };
    assert!(matches!(send(again).await, IngestOutcome::Accepted(_, status) if status.used == 2));
}

async fn a_message_may_be_admitted_before_it_is_there(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let user = session.user;
    let record = message(&user, &id, "x");
    let once = Limit::new(1, Duration::from_secs(60));
    let whole = Ingest { limit: once, ..ingest(&user, &id, &record) };
    let ask = Ingest { record: None, ..whole.clone() };
    let wrong = Ingest { secret: Secret::Missing, ..ask.clone() };
    assert_eq!(bench.store.append_message(&wrong).await.unwrap(), IngestOutcome::WrongSecret);
    let admitted = bench.store.append_message(&ask).await.unwrap();
    assert!(matches!(admitted, IngestOutcome::Admitted(status) if status.used == 1));
    // The message itself does not count again, but meets every other check.
    let then = Ingest { is_admitted: true, ..whole.clone() };
    let wrong = Ingest { secret: Secret::Missing, ..then.clone() };
    assert_eq!(bench.store.append_message(&wrong).await.unwrap(), IngestOutcome::WrongSecret);
    assert!(matches!(bench.store.append_message(&then).await.unwrap(), IngestOutcome::Accepted(..)));
    assert!(matches!(bench.store.append_message(&whole).await.unwrap(), IngestOutcome::OverLimit(_)));
    let page = bench.store.read_messages(&user, START, 10).await.unwrap();
    assert_eq!(contents(&page), ["x"]);
}

async fn instants_strictly_increase_whatever_comes_at_once(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let user = session.user;
    let appends = (0..200).map(|n| {
        let (bench, user, id) = (&bench, &user, &id);
        async move { bench.append(user, id, &n.to_string()).await }
    });
    let mut instants = futures_util::future::join_all(appends).await;
    instants.sort();
    let page = bench.store.read_messages(&user, START, 500).await.unwrap();
    let read: Vec<_> = page.records.iter().map(|record| record.at).collect();
    assert_eq!(read, instants);
    assert!(read.windows(2).all(|pair| pair[0] < pair[1]));
}

async fn a_cursor_walk_misses_and_repeats_nothing(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let user = session.user;
    let writer = async {
        for n in 0..120 {
            bench.append(&user, &id, &n.to_string()).await;
        }
    };
    let reader = async {
        let (mut since, mut seen) = (START, Vec::new());
        while seen.len() < 120 {
            let page = bench.store.read_messages(&user, since, 7).await.unwrap();
            assert!(page.records.len() <= 7);
            seen.extend(contents(&page));
            since = Since::After(page.cursor);
            tokio::task::yield_now().await;
        }
        seen
    };
    let ((), seen) = tokio::join!(writer, reader);
    assert_eq!(seen, (0..120).map(|n| n.to_string()).collect::<Vec<_>>());
    let first = bench.store.read_messages(&user, START, 119).await.unwrap();
    assert!(first.more);
    let rest = bench.store.read_messages(&user, Since::After(first.cursor), 1).await.unwrap();
    assert_eq!((rest.records.len(), rest.more), (1, false));
}

async fn an_empty_read_gives_a_cursor_that_nothing_later_is_behind(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let user = session.user;
    let far = Timestamp::from_millis(Timestamp::now().millis() + 3_600_000);
    for since in [START, Since::After(far)] {
        let empty = bench.store.read_messages(&user, since, 10).await.unwrap();
        assert_eq!((empty.records.len(), empty.more), (0, false));
        let at = bench.append(&user, &id, "later").await;
        assert!(empty.cursor < at, "{since:?}");
        let next = bench.store.read_messages(&user, Since::After(empty.cursor), 10).await.unwrap();
        assert_eq!(contents(&next), ["later"]);
        let end = bench.store.read_messages(&user, Since::After(next.cursor), 10).await.unwrap();
        assert_eq!(end.cursor, next.cursor);
    }
}

async fn the_newest_messages_are_kept(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let user = session.user;
    for n in 0..MAX_MESSAGES + 3 {
        bench.append(&user, &id, &n.to_string()).await;
    }
    let page = bench.store.read_messages(&user, START, 1000).await.unwrap();
    assert_eq!(page.records.len(), MAX_MESSAGES);
    assert_eq!(contents(&page)[0], "3");
}

async fn a_repeat_is_recognised_per_channel(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let user = session.user;
    let other = ChannelId::random();
    bench.put(&user, &other, json!({})).await;
    let record = message(&user, &id, "x");
    let once = Ingest { idempotency: Some(Digest::of(b"key")), ..ingest(&user, &id, &record) };
    let tries = futures_util::future::join_all((0..8).map(|_| bench.store.append_message(&once))).await;
    let accepted = tries.iter().filter(|outcome| matches!(outcome, Ok(IngestOutcome::Accepted(..)))).count();
    let repeats = tries
        .iter()
        .filter(|outcome| matches!(outcome, Ok(IngestOutcome::Duplicate(id, _)) if *id == record.id))
        .count();
    assert_eq!((accepted, repeats), (1, 7));
    let elsewhere = message(&user, &other, "y");
    let elsewhere = Ingest { idempotency: Some(Digest::of(b"key")), ..ingest(&user, &other, &elsewhere) };
    assert!(matches!(bench.store.append_message(&elsewhere).await.unwrap(), IngestOutcome::Accepted(..)));
}

async fn a_wake_names_the_message_before(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let user = session.user;
    bench.watcher.watch(&user).await.unwrap();
    let first = bench.append(&user, &id, "first").await;
    let second = bench.append(&user, &id, "second").await;
    let wakes = bench.heard(&user, 2).await;
    let read = bench.store.read_messages(&user, START, 10).await.unwrap().records;
    assert_eq!(wakes[0], Wake::Message { before: Timestamp::EPOCH, record: read[0].clone() });
    assert_eq!(wakes[1], Wake::Message { before: first, record: read[1].clone() });
    assert_eq!(read[1].at, second);
}

async fn a_watch_that_ended_wakes_nobody(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let (other, other_id) = bench.session_with_channel().await;
    bench.watcher.watch(&session.user).await.unwrap();
    bench.watcher.watch(&other.user).await.unwrap();
    bench.watcher.unwatch(&session.user).await.unwrap();
    bench.append(&session.user, &id, "unheard").await;
    bench.append(&other.user, &other_id, "heard").await;
    assert_eq!(bench.heard(&other.user, 1).await.len(), 1);
    assert_eq!(bench.heard(&session.user, 0).await, []);
}

async fn each_watcher_is_told_of_what_it_watches_itself(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let user = session.user;
    let ((one, told_one), (other, told_other)) = (watching(&*bench.store), watching(&*bench.store));
    one.watch(&user).await.unwrap();
    other.watch(&user).await.unwrap();
    for watcher in [&one, &other] {
        assert!(watcher.echo().await.unwrap().is_some());
    }
    bench.append(&user, &id, "to both").await;
    assert_eq!(heard(&told_one, &user, 1).await, heard(&told_other, &user, 1).await);
    one.unwatch(&user).await.unwrap();
    bench.append(&user, &id, "to the other").await;
    assert_eq!(heard(&told_other, &user, 2).await.len(), 2);
    assert_eq!(heard(&told_one, &user, 0).await.len(), 1);
}

async fn reply(
    bench: &Bench,
    session: &SessionRecord,
    channel: &ChannelId,
    kind: Option<&str>,
    content: &str,
) -> (MessageId, ReplyOutcome) {
    let record = message(&session.user, channel, content);
    let reply = ReplyRecord { channel, kind, record: &record, delivery: None };
    (record.id, bench.store.append_reply(&gate(session), &reply).await.unwrap().unwrap().value)
}

fn query<'a>(user: &UserId, channel: &'a ChannelId, secret: Secret) -> ResponsesQuery<'a> {
    ResponsesQuery { user: *user, channel, secret, limit: AMPLE, since: START, count: 100 }
}

async fn a_reply_is_read_as_a_response(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    bench.change(&session, &id, json!({"name": "door", "prompt": "private"})).await;
    let (response, outcome) = reply(&bench, &session, &id, Some("webhook"), "hello").await;
    let ReplyOutcome::Stored(AcceptedReply { channel, at }) = outcome else { panic!("stored") };
    assert_eq!((channel.id.clone(), channel.label()), (id.clone(), "door"));
    let status = bench.store.reply_status(&gate(&session), &response).await.unwrap().unwrap().value.unwrap();
    assert_eq!(
        (status.channel.as_str(), status.status.as_str(), status.attempts, status.error),
        (id.as_str(), "stored", 0, None)
    );
    assert_eq!(bench.store.reply_status(&gate(&session), &MessageId::random()).await.unwrap().unwrap().value, None);
    let outcome = bench.store.read_responses(&query(&session.user, &id, Secret::Verified)).await.unwrap();
    let ResponsesOutcome::Page(page, _) = outcome else { panic!("{outcome:?}") };
    assert_eq!(page.records[0].at, at);
    let read = json_of(&page.records[0]);
    assert_eq!((read["id"].clone(), read["channelType"].clone()), (json!(response), json!("webhook")));
    // What is the owner's business stays with the owner.
    assert_eq!(read["metadata"], json!({"channelDirection": "inbound"}));
}

async fn a_reply_needs_the_users_own_channel(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let other = bench.session().await;
    assert_eq!(reply(&bench, &other, &id, None, "x").await.1, ReplyOutcome::NoChannel);
    assert_eq!(reply(&bench, &session, &id, Some("slack"), "x").await.1, ReplyOutcome::WrongKind(ChannelKind::Webhook));
    let outcome = bench.store.read_responses(&query(&session.user, &id, Secret::Verified)).await.unwrap();
    assert!(matches!(outcome, ResponsesOutcome::Page(page, _) if page.records.is_empty()));
}

async fn responses_ask_for_the_secret_when_they_should(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let ask = |secret| {
        let (store, user, id) = (bench.store.clone(), session.user, id.clone());
        async move { store.read_responses(&query(&user, &id, secret)).await.unwrap() }
    };
    assert_eq!(ask(Secret::Missing).await, ResponsesOutcome::WrongSecret);
    assert_eq!(ask(Secret::Digest(Digest::of(b"wrong"))).await, ResponsesOutcome::WrongSecret);
    assert!(matches!(ask(Secret::Digest(Digest::of(b"secret"))).await, ResponsesOutcome::Page(..)));
    let strict =
        ResponsesQuery { limit: Limit::new(1, Duration::from_secs(60)), ..query(&session.user, &id, Secret::Verified) };
    assert!(matches!(bench.store.read_responses(&strict).await.unwrap(), ResponsesOutcome::OverLimit(_)));
    let unknown = ChannelId::random();
    let outcome = bench.store.read_responses(&query(&session.user, &unknown, Secret::Verified)).await.unwrap();
    assert_eq!(outcome, ResponsesOutcome::NoChannel);
}

async fn the_newest_responses_are_kept(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    for n in 0..MAX_RESPONSES + 2 {
        reply(&bench, &session, &id, None, &n.to_string()).await;
    }
    let all = ResponsesQuery { count: 1000, ..query(&session.user, &id, Secret::Verified) };
    let ResponsesOutcome::Page(page, _) = bench.store.read_responses(&all).await.unwrap() else { panic!("a page") };
    assert_eq!((page.records.len(), contents(&page)[0].as_str()), (MAX_RESPONSES, "2"));
    // A channel that is made anew under its id keeps them; one that was deleted does not.
    bench.put(&session.user, &id, json!({})).await;
    let ResponsesOutcome::Page(page, _) = bench.store.read_responses(&all).await.unwrap() else { panic!("a page") };
    assert_eq!(page.records.len(), MAX_RESPONSES);
    bench.store.delete_channel(&session.user, &id).await.unwrap();
    bench.put(&session.user, &id, json!({})).await;
    let ResponsesOutcome::Page(page, _) = bench.store.read_responses(&all).await.unwrap() else { panic!("a page") };
    assert_eq!(page.records.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_to_be_read_leaves_redis_with_the_next_message() {
    let bench = Bench::redis();
    let (session, id) = bench.session_with_channel().await;
    let stream = format!("{{}}{{{}}}:messages", session.user);
    let day_ago = Timestamp::now().millis() - chaos_relay::store::KEEP_MS;
    for (at, content) in [(day_ago - 60_000, "old"), (day_ago + 60_000, "young")] {
        bench.redis_cli(&["XADD", &stream, &format!("{at}-0"), "d", content]);
    }
    bench.append(&session.user, &id, "new").await;
    let held = bench.redis_cli(&["XRANGE", &stream, "-", "+"]);
    assert!(!held.contains("old") && held.contains("young") && held.contains("new"), "{held}");
}
