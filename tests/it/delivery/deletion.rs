//! What waits when its channel goes.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::fate::{becomes, fate, listen, status};
use super::line::{Fault, Line};
use crate::support::client::{Client, expect};
use crate::support::eventually;
use crate::support::platforms::deployment::Platforms;
use crate::support::relay::{Replica, data_dir};

async fn delete(agent: &Client, replica: &Replica, channel: &str) {
    let answer = agent.send(replica, Method::DELETE, &format!("/channels/{channel}"), &json!({})).await;
    assert_eq!(expect(answer, 200).await, json!({"ok": true}));
}

/// Deletes a channel by the one replica, with replies that another may be working on.
async fn replies_of_a_deleted_channel_are_dropped(platforms: &Platforms, a: &Replica, b: &Replica) {
    let agent = Client::register(a).await;
    let doomed = Line::open(platforms, &agent, a, "telegram", 3).await;
    let kept = Line::open(platforms, &agent, a, "telegram", 1).await;
    let early = doomed.reply(&agent, a, 0, "early").await;
    becomes(&agent, b, &early, "delivered").await;
    // One waits for its next try with another behind it, one is under way with another behind it.
    doomed.fault(Fault::TooMany(Duration::from_secs(2)), 1, Some(0));
    doomed.fault(Fault::Slow(Duration::from_secs(2)), 1, Some(1));
    let mut waiting = Vec::new();
    for talk in 0..2 {
        for text in ["one", "two"] {
            waiting.push(doomed.reply(&agent, a, talk, text).await);
        }
    }
    becomes(&agent, a, &waiting[0], "retrying").await;
    doomed.was_sent(1, 1).await;
    let mut socket = listen(&agent, a).await;
    delete(&agent, b, &doomed.id).await;

    // One that is due later than those which were dropped, on another channel, shows when that time is over.
    kept.fault(Fault::TooMany(Duration::from_secs(4)), 1, None);
    let last = kept.reply(&agent, a, 0, "last").await;
    becomes(&agent, a, &last, "delivered").await;
    let told = [socket.expect("delivery").await, socket.expect("delivery").await];
    assert_eq!(told.map(|frame| frame["responseId"].clone()), [json!(last), json!(last)]);
    socket.nothing_more().await;
    assert_eq!((doomed.calls(0).len(), doomed.sent(0)), (2, vec!["early".to_owned()]));
    assert_eq!((doomed.calls(1).len(), doomed.sent(1)), (1, vec!["one".to_owned()]));

    let reason = Some("the channel was deleted".to_owned());
    for (id, attempts) in waiting.iter().zip([1, 0, 0, 0]) {
        assert_eq!(fate(&status(&agent, b, id).await), ("failed".to_owned(), attempts, reason.clone()));
    }
    assert_eq!(fate(&status(&agent, b, &early).await), ("delivered".to_owned(), 1, None));
    for replica in [a, b] {
        expect(doomed.try_reply(&agent, replica, 0, "too late").await, 404).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_of_a_deleted_channel_are_dropped_and_called_failed_on_redis() {
    let platforms = Platforms::start().await;
    let [a, b] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    replies_of_a_deleted_channel_are_dropped(&platforms, &a, &b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_of_a_deleted_channel_are_dropped_and_called_failed_on_the_embedded_store() {
    let dir = data_dir();
    let platforms = Platforms::start().await;
    let replica = platforms.embedded(dir.path()).start().await;
    platforms.lead_to(&[&replica]);
    replies_of_a_deleted_channel_are_dropped(&platforms, &replica, &replica).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_is_registered_again_answers_for_its_new_channel_only() {
    let platforms = Platforms::start().await;
    let [a, b] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    line.fault(Fault::TooMany(Duration::from_secs(2)), 1, None);
    let waiting = line.reply(&agent, &a, 0, "of the old channel").await;
    becomes(&agent, &a, &waiting, "retrying").await;
    let next = Client::register(&b).await;
    line.register_again(&next, &b).await;
    let failed = becomes(&agent, &b, &waiting, "failed").await;
    assert_eq!(failed["error"], "the bot was registered to another channel");
    for replica in [&a, &b] {
        let refused = expect(line.try_reply(&agent, replica, 0, "still me?").await, 409).await;
        assert_eq!(refused["code"], "channel_disabled");
    }
    assert_eq!((line.calls(0).len(), line.sent(0).len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_deleted_under_many_replies_stops_calling_and_leaves_none_pending() {
    let platforms = Platforms::start().await;
    let [a, b] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 4).await;
    line.fault(Fault::Slow(Duration::from_millis(100)), 0, None);
    let mut ids = Vec::new();
    for n in 0..20 {
        for talk in 0..4 {
            ids.push(line.reply(&agent, [&a, &b][n % 2], talk, &n.to_string()).await);
        }
    }
    line.was_sent(0, 3).await;
    delete(&agent, &a, &line.id).await;
    let all_answered = || async { line.all_calls().iter().all(|call| call.answered.is_some()).then_some(()) };
    eventually("what was under way has ended", all_answered).await;
    let calls = line.all_calls().len();
    let mut counts = [0, 0];
    for id in &ids {
        match status(&agent, &b, id).await["status"].as_str().unwrap() {
            "delivered" => counts[0] += 1,
            "failed" => counts[1] += 1,
            other => panic!("{other}"),
        }
    }
    assert!(counts[0] >= 3 && counts[1] > 0, "{counts:?}");
    // Those under way when it went were called, and are not said to have arrived.
    assert!((counts[0]..=counts[0] + 4).contains(&calls), "{counts:?} after {calls} calls");
    assert_eq!(line.all_calls().len(), calls);
}
