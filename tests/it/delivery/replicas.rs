//! Each step of a reply may happen on another replica, and whoever has it may die.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use super::fate::{becomes, fate, listen, status, told};
use super::line::{ALL, Fault, Line, hasty};
use crate::support::client::{Client, contents, expect};
use crate::support::platforms::deployment::{Platforms, register_bot};
use crate::support::platforms::{Misbehaviour, Rule};
use crate::support::relay::data_dir;

/// By when another replica has delivered what a dead one held: its lease, and a few seconds.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(12);

#[tokio::test(flavor = "multi_thread")]
async fn registration_message_reply_and_delivery_may_each_be_another_replicas() {
    let platforms = Platforms::start().await;
    let [a, b, mut c, d] = hasty(platforms.on_redis()).start_many().await;
    platforms.lead_to(&[&b]);
    let agent = Client::register_signed(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    let mut on_d = listen(&agent, &d).await;
    line.hears(0, "Is anybody there?").await;
    let message = on_d.message().await;

    line.fault(Fault::Hang, 1, None);
    let reply =
        json!({"channelId": line.id, "content": "Yes.", "replyTo": message["id"], "metadata": message["metadata"]});
    let ack = expect(agent.post(&c, "/reply", &reply).await, 200).await;
    let id = ack["responseId"].as_str().unwrap();
    line.was_called(0, 1).await;
    c.kill();
    let killed = Instant::now();
    // Whatever dies with it: the follower was not even begun.
    let follower = line.reply(&agent, &a, 0, "Who asks?").await;
    for id in [id, &follower] {
        let (state, _, error) = told(&mut on_d, &line.id, id).await;
        assert_eq!((state.as_str(), error), ("delivered", None));
    }
    assert!(killed.elapsed() < TAKEN_OVER_WITHIN, "{:?}", killed.elapsed());
    assert_eq!(line.sent(0), ["Yes.", "Who asks?"]);
    assert_eq!(status(&agent, &b, id).await["status"], "delivered");
    assert!(!c.log().contains("a try to deliver ended"), "the one that died had delivered it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_only_replica_acknowledged_before_it_was_killed_is_delivered_after_its_restart() {
    let dir = data_dir();
    let platforms = Platforms::start().await;
    let setup = hasty(platforms.embedded(dir.path()));
    let mut replica = setup.start().await;
    platforms.lead_to(&[&replica]);
    let agent = Client::register_signed(&replica).await;
    let line = Line::open(&platforms, &agent, &replica, "telegram", 3).await;
    let mut socket = listen(&agent, &replica).await;
    let at_once = line.reply(&agent, &replica, 0, "before").await;
    assert_eq!(told(&mut socket, &line.id, &at_once).await, ("delivered".to_owned(), 1, None));

    // One is under way, two wait behind it, and one waits for its next try.
    line.fault(Fault::Hang, 1, Some(0));
    line.fault(Fault::TooMany(Duration::from_secs(2)), 1, Some(1));
    let mut waiting = vec![line.reply(&agent, &replica, 1, "limited").await];
    becomes(&agent, &replica, &waiting[0], "retrying").await;
    for text in ["one", "two", "three"] {
        waiting.push(line.reply(&agent, &replica, 0, text).await);
    }
    line.was_called(0, 2).await;
    replica.kill();

    let replica = setup.start().await;
    let restarted = Instant::now();
    platforms.lead_to(&[&replica]);
    // The new process does not wait for the lease of the old one to answer anything else.
    line.hears(2, "still there?").await;
    assert_eq!(contents(&agent.poll_all(&replica).await).last(), Some(&"still there?"));
    let id = line.reply(&agent, &replica, 2, "yes").await;
    becomes(&agent, &replica, &id, "delivered").await;
    for id in &waiting {
        becomes(&agent, &replica, id, "delivered").await;
    }
    assert!(restarted.elapsed() < TAKEN_OVER_WITHIN, "{:?}", restarted.elapsed());
    assert_eq!(line.sent(0), ["before", "one", "two", "three"]);
    assert_eq!((line.sent(1), line.sent(2)), (vec!["limited".to_owned()], vec!["yes".to_owned()]));
    assert_eq!(fate(&status(&agent, &replica, &waiting[0]).await), ("delivered".to_owned(), 2, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_a_replica_died_in_is_made_again_by_another_and_its_followers_keep_their_order() {
    let platforms = Platforms::start().await;
    let [mut a, b] = hasty(platforms.on_redis()).start_many().await;
    platforms.lead_to(&[&b]);
    let agent = Client::register(&b).await;
    let lines =
        [Line::open(&platforms, &agent, &b, "telegram", 2).await, Line::open(&platforms, &agent, &b, "slack", 2).await];
    for line in &lines {
        // The first is not made when its replica dies, the second is and was not answered yet.
        line.fault(Fault::Hang, 1, Some(0));
        line.fault(Fault::Slow(Duration::from_millis(1900)), 1, Some(1));
    }
    let mut ids = Vec::new();
    for line in &lines {
        for talk in 0..2 {
            for text in ["one", "two", "three"] {
                ids.push(line.reply(&agent, &a, talk, text).await);
            }
        }
    }
    for line in &lines {
        line.was_called(0, 1).await;
        line.was_sent(1, 1).await;
    }
    a.kill();
    let killed = Instant::now();
    for id in &ids {
        becomes(&agent, &b, id, "delivered").await;
    }
    assert!(killed.elapsed() < TAKEN_OVER_WITHIN, "{:?}", killed.elapsed());
    for line in &lines {
        assert_eq!(line.sent(0), ["one", "two", "three"]);
        assert_eq!(line.sent(1), ["one", "one", "two", "three"], "nobody can know that it arrived");
    }
}

/// A reply of three messages on this platform.
fn three_parts(platform: &str) -> (String, [String; 3]) {
    let length = if platform == "discord" { 1500 } else { 3000 };
    let part = |name: &str| format!("{name} {}", "word ".repeat(length / 5)).trim().to_owned();
    let parts = ["first", "second", "third"].map(part);
    (parts.join("\n\n"), parts)
}

/// Lets the platform hang for good at the second message of three.
fn hang_at_the_second_part(platforms: &Platforms, platform: &str) {
    fn rule<R: Clone>(method: &str, field: &'static str) -> Rule<R> {
        let is_second = move |call: &crate::support::platforms::Call| {
            call.body[field].as_str().is_some_and(|text| text.starts_with("second"))
        };
        Rule::new(Misbehaviour::Hang).on(method).when(is_second)
    }
    match platform {
        "telegram" => platforms.telegram.rule(rule("sendMessage", "text")),
        "discord" => platforms.discord.rule(rule("createMessage", "content")),
        _ => platforms.slack.rule(rule("chat.postMessage", "text")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_arrived_are_not_sent_again_by_whoever_takes_over() {
    let platforms = Platforms::start().await;
    let [mut a, b] = hasty(platforms.on_redis()).start_many().await;
    platforms.lead_to(&[&b]);
    let agent = Client::register(&b).await;
    let mut lines = Vec::new();
    for platform in ["telegram", "discord", "slack"] {
        lines.push(Line::open(&platforms, &agent, &b, platform, 1).await);
        hang_at_the_second_part(&platforms, platform);
    }
    let mut ids = Vec::new();
    for line in &lines {
        ids.push(line.reply(&agent, &a, 0, &three_parts(line.platform).0).await);
        ids.push(line.reply(&agent, &a, 0, "after that").await);
        line.was_called(0, 2).await;
    }
    a.kill();
    for id in &ids {
        becomes(&agent, &b, id, "delivered").await;
    }
    for line in &lines {
        let [first, second, third] = three_parts(line.platform).1;
        assert_eq!(line.sent(0), [first, second, third, "after that".to_owned()], "{}", line.platform);
        assert_eq!(line.calls(0).len(), 5, "{}", line.platform);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_failed_is_tried_again_without_those_before_it() {
    let platforms = Platforms::start().await;
    let [a, b] = hasty(platforms.on_redis()).start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let on_platform = async |platform| {
        let line = Line::open(&platforms, &agent, &a, platform, 1).await;
        hang_at_the_second_part(&platforms, platform);
        let (text, parts) = three_parts(platform);
        let id = line.reply(&agent, &b, 0, &text).await;
        assert_eq!(becomes(&agent, &a, &id, "delivered").await["attempts"], 2);
        assert_eq!(line.sent(0), parts);
        assert_eq!(line.calls(0).len(), 4);
    };
    join_all(["telegram", "discord", "slack"].map(on_platform)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_told_to_stop_finishes_what_it_holds_and_another_goes_on_at_once() {
    let platforms = Platforms::start().await;
    // With the leases and time-outs of every day, which no test could wait for.
    let [mut a, b] = platforms.on_redis().with("CHAOS_DRAIN_SECONDS", "10").start_many().await;
    platforms.lead_to(&[&b]);
    let agent = Client::register(&b).await;
    let mut lines = Vec::new();
    for platform in ALL {
        lines.push(Line::open(&platforms, &agent, &b, platform, 2).await);
    }
    let mut ids = Vec::new();
    for line in &lines {
        line.fault(Fault::Slow(Duration::from_secs(2)), 1, Some(0));
        ids.push(line.reply(&agent, &a, 0, "one").await);
        line.was_sent(0, 1).await;
        // The other replica looks at the channel, and sees that the conversation is held.
        ids.push(line.reply(&agent, &b, 0, "two").await);
        ids.push(line.reply(&agent, &b, 1, "elsewhere").await);
        ids.push(line.reply(&agent, &a, 0, "three").await);
    }
    a.signal("TERM");
    let told = Instant::now();
    for id in &ids {
        becomes(&agent, &b, id, "delivered").await;
    }
    assert!(told.elapsed() < Duration::from_secs(12), "{:?}", told.elapsed());
    for line in &lines {
        assert_eq!(line.sent(0), ["one", "two", "three"], "{}", line.platform);
        assert_eq!((line.calls(0).len(), line.calls(1).len()), (3, 1), "{}", line.platform);
    }
    assert!(a.ended().await);
    for id in &ids {
        assert_eq!(fate(&status(&agent, &b, id).await), ("delivered".to_owned(), 1, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_replica_was_not_given_time_to_finish_is_taken_over() {
    let platforms = Platforms::start().await;
    let setup = hasty(platforms.on_redis()).with("CHAOS_DELIVERY_CALL_SECONDS", "3");
    let setup = setup.with("CHAOS_DELIVERY_LEASE_SECONDS", "8").with("CHAOS_DRAIN_SECONDS", "1");
    let [mut a, b] = setup.start_many().await;
    platforms.lead_to(&[&b]);
    let agent = Client::register(&b).await;
    let line = Line::open(&platforms, &agent, &b, "telegram", 1).await;
    line.fault(Fault::Hang, 1, None);
    let id = line.reply(&agent, &a, 0, "late").await;
    line.was_called(0, 1).await;
    let called = Instant::now();
    a.signal("TERM");
    assert!(a.ended().await);
    assert!(called.elapsed() < Duration::from_millis(2900), "it waited for the call: {:?}", called.elapsed());
    becomes(&agent, &b, &id, "delivered").await;
    assert!(called.elapsed() < Duration::from_secs(12), "{:?}", called.elapsed());
    assert_eq!(line.sent(0), ["late"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_of_so_many_parts_that_they_take_longer_than_a_lease_is_sent_once() {
    let platforms = Platforms::start().await;
    let [a, _b] = hasty(platforms.on_redis()).start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    // Slack wants a second between two messages.
    let line = Line::open(&platforms, &agent, &a, "slack", 1).await;
    let mut socket = listen(&agent, &a).await;
    let parts: Vec<_> = (0..9).map(|n| format!("{n} {}", "word ".repeat(700)).trim().to_owned()).collect();
    let id = line.reply(&agent, &a, 0, &parts.join("\n\n")).await;
    assert_eq!(told(&mut socket, &line.id, &id).await, ("delivered".to_owned(), 1, None));
    assert_eq!(line.sent(0), parts);
    let calls = line.calls(0);
    assert!(calls.windows(2).all(|pair| pair[1].at - pair[0].at >= Duration::from_secs(1)));
    assert!(calls[8].at - calls[0].at > Duration::from_secs(7), "they took no longer than a lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_takes_its_time_in_several_forms_is_nobody_elses_meanwhile() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis().with("CHAOS_DELIVERY_CALL_SECONDS", "7");
    let [a, _b] = setup.with("CHAOS_DELIVERY_LEASE_SECONDS", "12").start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let bot = platforms.telegram.bot("helper_bot");
    let channel = register_bot(&agent, &a, "telegram", &bot.token).await;
    let ana = platforms.telegram.person(500_001, "Ana");
    bot.hears(&ana, &format!("/start {}", channel.code)).await;
    bot.sees_all();
    let group = platforms.telegram.group(-500, "Friends");
    bot.deliver(&ana.says(&group, "hello")).await.accepted();
    platforms.telegram.upgrade(&group, -1_000_500);
    // That it has moved is told late, and the call to its new place is answered late too: later than the lease.
    let slow = Rule::new(Misbehaviour::Slow(Duration::from_millis(6700))).on("sendMessage");
    platforms.telegram.rule(slow.when(|call| call.body["chat_id"] != 500_001).always());
    let mut socket = listen(&agent, &a).await;
    let id = agent.reply(&a, &channel.id, "to wherever you are").await;
    assert_eq!(told(&mut socket, &channel.id, &id).await, ("delivered".to_owned(), 1, None));
    let calls = platforms.telegram.calls_of("sendMessage");
    let calls: Vec<_> = calls.iter().map(|call| &call.body["chat_id"]).filter(|chat| **chat != 500_001).collect();
    assert_eq!(calls, [-500, -1_000_500]);
}
