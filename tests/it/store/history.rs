//! What was said in a session.

use chaos_relay::domain::ids::{ChannelId, MessageId, UserId};
use chaos_relay::domain::message::{NewRecord, members};
use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::store::operator::{Direction, HistoryCursor, HistoryEntry, HistoryPage, HistoryQuery, RecentPointer};
use chaos_relay::store::{
    IngestOutcome, KEEP_MS, MAX_MESSAGES, MAX_RESPONSES, ReplyOutcome, ReplyRecord, SessionRecord,
};
use futures_util::future::join_all;
use serde_json::json;

use super::bot::{Bot, failed, retry};
use super::{Bench, gate, ingest, json_of, message, on_both_stores};

on_both_stores! {
    messages_and_responses_are_merged_newest_first,
    a_page_can_start_at_every_entry,
    filters_give_all_that_they_let_through,
    only_the_channel_of_a_message_itself_counts,
    nobody_has_a_history_without_a_session,
    the_newest_are_kept_for_a_session_and_for_each_channel,
    a_reply_says_how_far_it_is,
    single_entries_are_read_by_what_points_at_them,
    a_deleted_channel_takes_its_responses_out_of_the_history,
}

const ALL: HistoryQuery<'static> = HistoryQuery { before: None, direction: None, channel: None, count: 10_000 };

async fn history(bench: &Bench, user: &UserId, query: &HistoryQuery<'_>) -> HistoryPage {
    bench.store.history(user, query).await.unwrap().expect("the user has a session")
}

fn content(entry: &HistoryEntry) -> String {
    json_of(&entry.record)["content"].as_str().unwrap().to_owned()
}

fn contents(entries: &[HistoryEntry]) -> Vec<String> {
    entries.iter().map(content).collect()
}

/// The cursor that stands at an entry.
fn cursor(entry: &HistoryEntry) -> HistoryCursor {
    let channel = json_of(&entry.record)["channelId"].as_str().unwrap().parse().unwrap();
    HistoryCursor { at: entry.record.at, response_on: (entry.direction == Direction::Out).then_some(channel) }
}

/// The order of a history, oldest first.
fn place(entry: &HistoryEntry) -> (Timestamp, Option<String>) {
    let cursor = cursor(entry);
    (cursor.at, cursor.response_on.map(String::from))
}

/// Follows the pages to their end.
async fn walk(bench: &Bench, user: &UserId, query: &HistoryQuery<'_>) -> Vec<HistoryEntry> {
    let (mut entries, mut before) = (Vec::new(), query.before.cloned());
    for _ in 0..1000 {
        let page = history(bench, user, &HistoryQuery { before: before.as_ref(), ..query.clone() }).await;
        assert!(page.entries.len() <= query.count);
        entries.extend(page.entries);
        match page.next {
            Some(next) => before = Some(next),
            None => return entries,
        }
    }
    panic!("the pages have no end");
}

async fn reply(bench: &Bench, session: &SessionRecord, channel: &ChannelId, content: &str) -> MessageId {
    let record = NewRecord::new(session.user, channel, "agent", content, String::new());
    let reply = ReplyRecord { channel, kind: None, record: &record, delivery: None };
    let outcome = bench.store.append_reply(&gate(session), &reply).await.unwrap().unwrap().value;
    assert!(matches!(outcome, ReplyOutcome::Stored(_)), "{outcome:?}");
    record.id
}

async fn another_channel(bench: &Bench, session: &SessionRecord) -> ChannelId {
    let id = ChannelId::random();
    bench.put(&session.user, &id, json!({})).await;
    id
}

/// A session with two channels and much that was said at the same time.
async fn talk(bench: &Bench) -> (SessionRecord, [ChannelId; 2]) {
    let (session, one) = bench.session_with_channel().await;
    let other = another_channel(bench, &session).await;
    // Channels that nobody answered on.
    for _ in 0..3 {
        another_channel(bench, &session).await;
    }
    let said = (0..8).map(|n| {
        let (session, one, other) = (&session, &one, &other);
        async move {
            let (a, b, c, d) = (format!("in 1 {n}"), format!("in 2 {n}"), format!("out 1 {n}"), format!("out 2 {n}"));
            tokio::join!(
                bench.append(&session.user, one, &a),
                bench.append(&session.user, other, &b),
                reply(bench, session, one, &c),
                reply(bench, session, other, &d),
            );
        }
    });
    join_all(said).await;
    (session, [one, other])
}

async fn messages_and_responses_are_merged_newest_first(bench: Bench) {
    let (session, one) = bench.session_with_channel().await;
    let other = another_channel(&bench, &session).await;
    assert_eq!(history(&bench, &session.user, &ALL).await, HistoryPage { entries: Vec::new(), next: None });
    // Waits until the store's clock has gone on, so that the order is that of the test.
    let pause = || tokio::time::sleep(std::time::Duration::from_millis(5));
    bench.append(&session.user, &one, "1").await;
    pause().await;
    reply(&bench, &session, &other, "2").await;
    pause().await;
    reply(&bench, &session, &one, "3").await;
    pause().await;
    bench.append(&session.user, &other, "4").await;
    let page = history(&bench, &session.user, &ALL).await;
    assert_eq!((contents(&page.entries), page.next), (["4", "3", "2", "1"].map(str::to_owned).to_vec(), None));
    let directions: Vec<_> = page.entries.iter().map(|entry| entry.direction).collect();
    assert_eq!(directions, [Direction::In, Direction::Out, Direction::Out, Direction::In]);
    let newest = history(&bench, &session.user, &HistoryQuery { count: 2, ..ALL }).await;
    assert_eq!(contents(&newest.entries), ["4", "3"]);
    assert_eq!(newest.next, Some(cursor(&page.entries[1])));
    bench.append(&session.user, &one, "5").await;
    let rest = history(&bench, &session.user, &HistoryQuery { before: newest.next.as_ref(), ..ALL }).await;
    assert_eq!((contents(&rest.entries), rest.next), (vec!["2".to_owned(), "1".to_owned()], None));
}

async fn a_page_can_start_at_every_entry(bench: Bench) {
    let (session, _) = talk(&bench).await;
    let all = history(&bench, &session.user, &ALL).await.entries;
    assert_eq!(all.len(), 32);
    let mut sorted = all.clone();
    sorted.sort_by_key(|entry| std::cmp::Reverse(place(entry)));
    assert_eq!(all, sorted);
    for (n, entry) in all.iter().enumerate() {
        let before = cursor(entry);
        for count in [1, 3, 100] {
            let query = HistoryQuery { before: Some(&before), count, ..ALL };
            let page = history(&bench, &session.user, &query).await;
            let rest = &all[n + 1..];
            assert_eq!(page.entries, rest[..count.min(rest.len())], "{n} {count}");
            assert_eq!(page.next.is_some(), rest.len() > count, "{n} {count}");
        }
    }
    for count in [1, 2, 5, 31, 32] {
        assert_eq!(walk(&bench, &session.user, &HistoryQuery { count, ..ALL }).await, all, "pages of {count}");
    }
    for (millis, len) in [(0, 0), (u64::MAX, 32)] {
        let before = HistoryCursor { at: Timestamp::from_millis(millis), response_on: None };
        let page = history(&bench, &session.user, &HistoryQuery { before: Some(&before), ..ALL }).await;
        assert_eq!((page.entries.len(), page.next), (len, None));
    }
}

async fn filters_give_all_that_they_let_through(bench: Bench) {
    let (session, [one, other]) = talk(&bench).await;
    let stranger: ChannelId = "no-channel-of-mine".parse().unwrap();
    let all = history(&bench, &session.user, &ALL).await.entries;
    for direction in [None, Some(Direction::In), Some(Direction::Out)] {
        for channel in [None, Some(&one), Some(&other), Some(&stranger)] {
            let is_wanted = |entry: &&HistoryEntry| {
                direction.is_none_or(|direction| direction == entry.direction)
                    && channel.is_none_or(|channel| json_of(&entry.record)["channelId"] == json!(channel))
            };
            let expected: Vec<_> = all.iter().filter(is_wanted).cloned().collect();
            for count in [1, 5, 100] {
                let query = HistoryQuery { direction, channel, count, ..ALL };
                assert_eq!(walk(&bench, &session.user, &query).await, expected, "{direction:?} {channel:?} {count}");
            }
        }
    }
}

async fn only_the_channel_of_a_message_itself_counts(bench: Bench) {
    let (session, one) = bench.session_with_channel().await;
    let other = another_channel(&bench, &session).await;
    let text = format!(r#"","channelId":"{other}","from":""#);
    let metadata = json!({"id": "x", "channelId": other, "from": "y", "z": {"a": "b", "channelId": other, "from": ""}});
    let record = NewRecord::new(session.user, &one, &text, &text, members(metadata.as_object().unwrap()));
    let outcome = bench.store.append_message(&ingest(&session.user, &one, &record)).await.unwrap();
    assert!(matches!(outcome, IngestOutcome::Accepted(..)), "{outcome:?}");
    for (channel, count) in [(&one, 1), (&other, 0)] {
        let page = history(&bench, &session.user, &HistoryQuery { channel: Some(channel), ..ALL }).await;
        assert_eq!((page.entries.len(), page.next), (count, None));
    }
    // One whose id begins like the other's.
    let start: ChannelId = one.as_str()[..8].parse().unwrap();
    let page = history(&bench, &session.user, &HistoryQuery { channel: Some(&start), ..ALL }).await;
    assert_eq!(page.entries, []);
}

async fn nobody_has_a_history_without_a_session(bench: Bench) {
    let (session, channel) = bench.session_with_channel().await;
    let at = bench.append(&session.user, &channel, "x").await;
    let response = reply(&bench, &session, &channel, "y").await;
    assert_eq!(bench.store.history(&UserId::random(), &ALL).await.unwrap(), None);
    assert!(bench.store.delete_session(&session.user).await.unwrap());
    assert_eq!(bench.store.history(&session.user, &ALL).await.unwrap(), None);
    assert_eq!(bench.store.reply_states(&session.user, &[response]).await.unwrap(), [None]);
    let pointer = RecentPointer { direction: Direction::In, user: session.user, channel, at };
    assert_eq!(bench.store.entries(&[pointer]).await.unwrap(), [None]);
    let page = bench.store.create_session(&super::new_session(&session.user)).await.unwrap();
    assert_eq!(history(&bench, &page.user, &ALL).await.entries, []);
}

async fn the_newest_are_kept_for_a_session_and_for_each_channel(bench: Bench) {
    let (session, one) = bench.session_with_channel().await;
    let other = another_channel(&bench, &session).await;
    reply(&bench, &session, &other, "elsewhere").await;
    for _ in 0..(MAX_MESSAGES + 20) / 20 {
        join_all((0..20).map(|_| bench.append(&session.user, &one, "x"))).await;
    }
    for _ in 0..(MAX_RESPONSES + 20) / 20 {
        join_all((0..20).map(|_| reply(&bench, &session, &one, "x"))).await;
    }
    let all = walk(&bench, &session.user, &HistoryQuery { count: 100, ..ALL }).await;
    let count = |direction| all.iter().filter(|entry| entry.direction == direction).count();
    assert_eq!((count(Direction::In), count(Direction::Out)), (MAX_MESSAGES, MAX_RESPONSES + 1));
    let mut places: Vec<_> = all.iter().map(place).collect();
    places.dedup();
    assert_eq!(places.len(), all.len());
    // Few of very many: the pages may be short, and lead on.
    let query = HistoryQuery { channel: Some(&other), ..ALL };
    assert_eq!(contents(&walk(&bench, &session.user, &query).await), ["elsewhere"]);
}

async fn a_reply_says_how_far_it_is(bench: Bench) {
    let (session, webhook) = bench.session_with_channel().await;
    let bot = Bot::of(&bench.store, &session).await;
    bot.hears("a").await;
    bot.hears("b").await;
    let stored = reply(&bench, &session, &webhook, "polled").await;
    let before = Timestamp::now();
    let [first, second] = [bot.replies("a", "1").await, bot.replies("a", "2").await];
    let of = async |reply: MessageId| {
        let states = bench.store.reply_states(&session.user, &[reply]).await;
        states.unwrap().remove(0).unwrap()
    };

    let polled = of(stored).await;
    assert_eq!((polled.channel.as_str(), polled.status.as_str(), polled.attempts), (webhook.as_str(), "stored", 0));
    assert_eq!((polled.error, polled.accepted, polled.next_try, polled.has_content), (None, None, None, false));
    let waiting = of(first).await;
    assert_eq!((waiting.channel.as_str(), waiting.status.as_str(), waiting.attempts), (bot.id.as_str(), "pending", 0));
    assert!(waiting.accepted.is_some_and(|at| before.distance(at) < 20_000));
    assert_eq!((waiting.next_try, waiting.has_content, waiting.error), (waiting.accepted, true, None));
    let follower = of(second).await;
    assert_eq!((follower.next_try, follower.has_content), (None, true));

    assert!(bot.settle(&bot.takes().await, retry(60_000, "")).await);
    let retried = of(first).await;
    assert_eq!(
        (retried.status.as_str(), retried.attempts, retried.error.as_deref()),
        ("retrying", 1, Some("try later"))
    );
    let wait = retried.next_try.unwrap().millis() - retried.accepted.unwrap().millis();
    assert!((60_000..80_000).contains(&wait), "{wait}");

    // In another conversation.
    let lost = bot.replies("b", "3").await;
    assert!(bot.settle(&bot.takes().await, failed("bot was blocked")).await);
    let lost = of(lost).await;
    assert_eq!((lost.status.as_str(), lost.attempts, lost.error.as_deref()), ("failed", 1, Some("bot was blocked")));
    assert_eq!((lost.next_try, lost.has_content, lost.accepted.is_some()), (None, true, true));
    let arrived = bot.replies("b", "4").await;
    bot.delivers(&bot.takes().await).await;
    let delivered = of(arrived).await;
    assert_eq!((delivered.status.as_str(), delivered.attempts), ("delivered", 1));
    assert_eq!((delivered.error, delivered.next_try, delivered.has_content), (None, None, false));

    // Many at once, in their order.
    let asked = [second, MessageId::random(), stored, second];
    let states = bench.store.reply_states(&session.user, &asked).await.unwrap();
    let states: Vec<_> = states.iter().map(|state| state.as_ref().map(|state| state.status.as_str())).collect();
    assert_eq!(states, [Some("pending"), None, Some("stored"), Some("pending")]);
    let other = bench.session().await;
    assert_eq!(bench.store.reply_states(&other.user, &[first]).await.unwrap(), [None]);
    assert_eq!(bench.store.reply_states(&session.user, &[]).await.unwrap(), []);
}

async fn single_entries_are_read_by_what_points_at_them(bench: Bench) {
    let (session, [one, other]) = talk(&bench).await;
    let all = history(&bench, &session.user, &ALL).await.entries;
    let pointer = |entry: &HistoryEntry| RecentPointer {
        direction: entry.direction,
        user: session.user,
        channel: json_of(&entry.record)["channelId"].as_str().unwrap().parse().unwrap(),
        at: entry.record.at,
    };
    let pointers: Vec<_> = all.iter().map(pointer).collect();
    let read: Vec<_> = bench.store.entries(&pointers).await.unwrap().into_iter().map(Option::unwrap).collect();
    assert_eq!(read, all);
    let first = pointers.iter().find(|pointer| pointer.direction == Direction::Out).unwrap();
    let elsewhere = if first.channel == one { other } else { one };
    let nothing = [
        RecentPointer { user: UserId::random(), ..first.clone() },
        RecentPointer { at: Timestamp::from_millis(first.at.millis() - KEEP_MS / 2), ..first.clone() },
        RecentPointer { at: Timestamp::EPOCH, direction: Direction::In, ..first.clone() },
        RecentPointer { at: Timestamp::from_millis(u64::MAX), ..first.clone() },
        RecentPointer { channel: "unknown".parse().unwrap(), ..first.clone() },
    ];
    assert_eq!(bench.store.entries(&nothing).await.unwrap(), vec![None; nothing.len()]);
    let mixed = [nothing[0].clone(), first.clone()];
    let read = bench.store.entries(&mixed).await.unwrap();
    assert_eq!((read[0].is_some(), read[1].is_some()), (false, true));
    assert!(bench.store.delete_channel(&session.user, &elsewhere).await.unwrap());
    assert!(bench.store.entries(&mixed).await.unwrap()[1].is_some());
    assert!(bench.store.delete_channel(&session.user, &first.channel).await.unwrap());
    assert_eq!(bench.store.entries(&mixed).await.unwrap(), [None, None]);
}

async fn a_deleted_channel_takes_its_responses_out_of_the_history(bench: Bench) {
    let (session, [one, _]) = talk(&bench).await;
    assert!(bench.store.delete_channel(&session.user, &one).await.unwrap());
    let all = walk(&bench, &session.user, &HistoryQuery { count: 5, ..ALL }).await;
    assert_eq!(all.len(), 24);
    assert!(contents(&all).iter().all(|content| !content.starts_with("out 1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_one_instant_have_an_order_and_old_ones_are_not_shown() {
    let bench = Bench::redis();
    let session = bench.session().await;
    let ids: Vec<ChannelId> = ["B", "a", "a-", "a_1", "b"].map(|id| id.parse().unwrap()).to_vec();
    let at = bench.redis_cli(&["TIME"]).lines().next().unwrap().parse::<u64>().unwrap() * 1000 - 60_000;
    let add = |stream: &str, at: u64, channel: &ChannelId, content: &str| {
        let record = message(&session.user, channel, content);
        let text = format!("{}\nwebhook\n\n{}", record.head, record.extra);
        let key = |stream: &str| format!("{{}}{{{}}}:{stream}", session.user);
        bench.redis_cli(&["XADD", &key(stream), &format!("{at}-0"), "d", &text]);
        if stream.starts_with("responses") {
            bench.redis_cli(&["SET", &key(&stream.replace("responses", "responses-last")), &at.to_string()]);
        }
    };
    add("messages", at - KEEP_MS, &ids[0], "old");
    add("messages", at, &ids[0], "message");
    for id in &ids {
        bench.put(&session.user, id, json!({})).await;
        add(&format!("responses:{id}"), at - KEEP_MS, id, "old");
        add(&format!("responses:{id}"), at, id, id.as_str());
    }
    let expected = ["b", "a_1", "a-", "a", "B", "message"];
    let all = history(&bench, &session.user, &ALL).await;
    assert_eq!((contents(&all.entries), all.next), (expected.map(str::to_owned).to_vec(), None));
    for n in 0..expected.len() {
        let before = cursor(&all.entries[n]);
        let query = HistoryQuery { before: Some(&before), count: 1, ..ALL };
        assert_eq!(contents(&walk(&bench, &session.user, &query).await), expected[n + 1..]);
    }
    let old = RecentPointer {
        direction: Direction::In,
        user: session.user,
        channel: ids[0].clone(),
        at: Timestamp::from_millis(at - KEEP_MS),
    };
    assert_eq!(bench.store.entries(&[old]).await.unwrap(), [None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_a_thousand_channels_is_read_in_one_short_call() {
    let bench = Bench::redis();
    let session = bench.session().await;
    let ids: Vec<_> = (0..1000).map(|_| ChannelId::random()).collect();
    for ids in ids.chunks(100) {
        join_all(ids.iter().map(|id| bench.put(&session.user, id, json!({})))).await;
    }
    let (spoken, silent) = ids.split_at(200);
    for ids in spoken.chunks(50) {
        join_all(ids.iter().map(|id| reply(&bench, &session, id, "x"))).await;
    }
    let began = std::time::Instant::now();
    let page = history(&bench, &session.user, &HistoryQuery { count: 150, ..ALL }).await;
    assert!(began.elapsed().as_millis() < 500, "{:?}", began.elapsed());
    assert_eq!(page.entries.len(), 150);
    let all = walk(&bench, &session.user, &HistoryQuery { count: 150, ..ALL }).await;
    assert_eq!(all.len(), 200);
    let quiet = history(&bench, &session.user, &HistoryQuery { channel: Some(&silent[0]), ..ALL }).await;
    assert_eq!(quiet.entries, []);
}
