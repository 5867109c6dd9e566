//! Many replies that wait: how many may, and that nothing else waits with them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::fate::becomes;
use super::line::{Fault, Line, hasty};
use crate::support::client::{Client, contents, expect};
use crate::support::eventually;
use crate::support::platforms::deployment::Platforms;
use crate::support::relay::Setup;

/// The most replies that may wait in one conversation. Part of the relay's promise.
const MOST: usize = 200;

/// `awaited`: how many of them the test sees arrive.
async fn two_hundred_replies_may_wait_in_a_conversation(platforms: Platforms, setup: Setup, awaited: usize) {
    let a = setup.start().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 2).await;
    line.fault(Fault::TooMany(Duration::from_secs(3)), 0, Some(0));
    let texts: Vec<_> = (0..MOST).map(|n| n.to_string()).collect();
    join_all(texts.iter().map(|text| line.reply(&agent, &a, 0, text))).await;
    let refused = expect(line.try_reply(&agent, &a, 0, "one too many").await, 409).await;
    assert_eq!(refused["code"], "queue_full");
    let beside = line.reply(&agent, &a, 1, "beside").await;
    becomes(&agent, &a, &beside, "delivered").await;
    assert_eq!(line.sent(0).len(), 0);

    line.behave();
    let arrived = line.was_sent(0, awaited).await;
    let distinct: HashSet<&String> = arrived.iter().collect();
    assert!(distinct.len() == arrived.len() && distinct.is_subset(&texts.iter().collect()), "{arrived:?}");
    line.reply(&agent, &a, 0, "room again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_replies_may_wait_in_a_conversation_on_redis() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis();
    two_hundred_replies_may_wait_in_a_conversation(platforms, setup, MOST).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_replies_may_wait_in_a_conversation_on_the_embedded_store() {
    let dir = crate::support::relay::data_dir();
    let platforms = Platforms::start().await;
    let setup = platforms.embedded(dir.path());
    // Each one is on disk twice before the next: not every disk does all of that in time.
    two_hundred_replies_may_wait_in_a_conversation(platforms, setup, MOST / 10).await;
}

/// The longest of these, and the one in the middle.
fn longest_and_median(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() - 1], times[times.len() / 2])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_hangs_slows_down_no_other_platform_no_webhook_no_poll_and_nothing_inbound() {
    let platforms = Platforms::start().await;
    let setup = hasty(platforms.on_redis()).with("CHAOS_DELIVERY_CALL_SECONDS", "4");
    let [a, b] = setup.with("CHAOS_DELIVERY_LEASE_SECONDS", "9").start_many().await;
    platforms.lead_to(&[&a, &b]);
    let agent = Client::register(&a).await;
    let talks = 15;
    let line = Line::open(&platforms, &agent, &a, "telegram", talks).await;
    let others =
        join_all(["discord", "slack", "email"].map(|platform| Line::open(&platforms, &agent, &a, platform, 1)));
    let others = others.await;
    let webhook = agent.make_webhook(&a, json!({})).await;

    // What is measured: a webhook is posted, a poll made, a person writes, and each other platform is replied to.
    let round = async |n: usize| {
        let replica = [&a, &b][n % 2];
        let (mut answers, mut arrivals) = (Vec::new(), Vec::new());
        let mut timed = async |began: Instant| answers.push(began.elapsed());
        let began = Instant::now();
        webhook.deliver(replica, &format!("ping {n}")).await;
        timed(began).await;
        let began = Instant::now();
        line.hears(n % talks, &format!("still writing {n}")).await;
        timed(began).await;
        let began = Instant::now();
        let page = agent.poll_all(replica).await;
        timed(began).await;
        let contents = contents(&page);
        assert!(
            [format!("ping {n}"), format!("still writing {n}")].iter().all(|text| contents.contains(&text.as_str()))
        );
        let began = Instant::now();
        let typing = json!({"channelId": line.id, "metadata": line.metadata(n % talks)});
        assert_eq!(expect(agent.post(replica, "/typing", &typing).await, 200).await, json!({"ok": true}));
        timed(began).await;
        for other in &others {
            let before = other.sent(0).len();
            let began = Instant::now();
            other.reply(&agent, replica, 0, &format!("{n}")).await;
            timed(began).await;
            other.was_sent(0, before + 1).await;
            arrivals.push(began.elapsed());
        }
        (answers, arrivals)
    };
    let calm = round(0).await;

    line.fault(Fault::Hang, 0, None);
    let each = 20;
    let of_talk = async |talk: usize| {
        let mut ids = Vec::new();
        for n in 0..each {
            ids.push(line.reply(&agent, [&a, &b][n % 2], talk, &n.to_string()).await);
        }
        ids
    };
    let pending = join_all((0..talks).map(of_talk)).await.concat();
    assert_eq!(pending.len(), 300);
    join_all((0..talks).map(|talk| line.was_called(talk, 1))).await;
    let (mut answers, mut arrivals) = (Vec::new(), Vec::new());
    for n in 1..=8 {
        let (more_answers, more_arrivals) = round(n).await;
        answers.extend(more_answers);
        arrivals.extend(more_arrivals);
    }
    assert!((0..talks).all(|talk| line.sent(talk).is_empty()), "nothing went out yet");
    let (longest, median) = longest_and_median(answers);
    let calm_median = longest_and_median(calm.0).1;
    // Nothing waits for a call that hangs, which takes four seconds.
    let (bound, most) = (calm_median * 5 + Duration::from_millis(300), Duration::from_millis(3500));
    assert!(median < bound && longest < most, "{median:?} and {longest:?}, before {calm_median:?}");
    let (longest, median) = longest_and_median(arrivals);
    let bound = longest_and_median(calm.1).1 * 5 + Duration::from_millis(300);
    assert!(median < bound && longest < most, "{median:?} and {longest:?} until a reply arrives");

    line.behave();
    let all = || async { (0..talks).all(|talk| line.sent(talk).len() >= each).then_some(()) };
    eventually("all replies arrive", all).await;
    let expected: Vec<Value> = (0..each).map(|n| json!(n.to_string())).collect();
    for talk in 0..talks {
        assert_eq!(json!(line.sent(talk)), json!(expected));
    }
    let last = pending.last().unwrap();
    becomes(&agent, &a, last, "delivered").await;
}
