//! Everything at once: three replicas, three platforms, thirty conversations, faults by the dice, and a replica
//! that is killed and comes back.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::sleep;

use super::fate::{becomes, listen};
use super::line::{Fault, Line, hasty};
use crate::support::client::{Client, contents};
use crate::support::eventually;
use crate::support::platforms::Call;
use crate::support::platforms::deployment::Platforms;
use crate::support::relay::Replica;

/// Conversations of each channel.
const TALKS: usize = 10;
/// Replies in each conversation.
const REPLIES: usize = 8;
/// How long a call may be under way, with a margin.
const CALL: Duration = Duration::from_millis(2500);

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Lets one or two calls of each conversation go wrong in some way.
fn misbehave_at_random(line: &Line, dice: &mut Dice) {
    for talk in 0..TALKS {
        for _ in 0..=dice.below(2) {
            let fault = match dice.below(8) {
                0 => Fault::TooMany(Duration::from_secs(1)),
                1 => Fault::Status(500),
                2 => Fault::Status(503),
                3 => Fault::Reset,
                4 => Fault::AnswerLost,
                5 => Fault::Slow(Duration::from_millis(100 + dice.below(400))),
                6 => Fault::Hang,
                _ => Fault::Garbage,
            };
            line.fault_after(usize::try_from(dice.below(REPLIES as u64)).unwrap(), fault, 1, Some(talk));
        }
    }
}

/// The replicas that take replies; the first may be gone at the moment.
struct Fleet {
    first: tokio::sync::RwLock<Option<Replica>>,
    others: [Replica; 2],
}

/// A reply that was acknowledged.
struct Acknowledged {
    id: String,
    text: String,
}

/// One conversation from the agent's and the person's side; gives what was acknowledged.
async fn converse(line: &Line, talk: usize, agent: &Client, fleet: &Fleet, mut dice: Dice) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    for n in 0..REPLIES {
        sleep(Duration::from_millis(dice.below(300))).await;
        if n % 3 == 0 {
            line.hears(talk, &format!("{}.{talk} asks {n}", line.platform)).await;
        }
        let text = format!("{}.{talk} answers {n}", line.platform);
        let body = line.body(talk, &text).to_string();
        let request = |replica: &Replica| agent.request(replica, reqwest::Method::POST, "/reply", body.as_bytes());
        let which = dice.below(3);
        let request = match (which, &*fleet.first.read().await) {
            (0, Some(first)) => request(first),
            (0 | 1, _) => request(&fleet.others[0]),
            _ => request(&fleet.others[1]),
        };
        // Of a replica that is killed there may be no answer; the reply may be stored all the same.
        let Ok(answer) = request.send().await else { continue };
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        acknowledged.push(Acknowledged { id: answer["responseId"].as_str().unwrap().to_owned(), text });
    }
    acknowledged
}

/// What a call says.
fn text_of(call: &Call) -> &str {
    let texts = ["text", "content"].map(|name| call.body[name].as_str());
    texts.into_iter().flatten().next().expect("it says something")
}

/// Checks what a conversation was sent against what was acknowledged in it.
fn check(line: &Line, talk: usize, acknowledged: &[Acknowledged], killed: Instant) {
    let sent = line.sent(talk);
    let mut times: HashMap<&str, usize> = HashMap::new();
    let mut first: Vec<&str> = Vec::new();
    for text in &sent {
        let times = times.entry(text).or_default();
        *times += 1;
        if *times == 1 {
            first.push(text);
        }
    }
    let texts: Vec<&str> = acknowledged.iter().map(|reply| reply.text.as_str()).collect();
    let arrived: Vec<&str> = first.iter().copied().filter(|text| texts.contains(text)).collect();
    assert_eq!(arrived, texts, "lost or out of order: {sent:?}");
    assert!(first.is_sorted(), "out of order: {sent:?}");
    for (text, times) in times.into_iter().filter(|(_, times)| *times > 1) {
        let calls: Vec<Call> = line.calls(talk).into_iter().filter(|call| text_of(call) == text).collect();
        let may_not_be_known = |call: &&Call| {
            let was_killed = call.at <= killed && killed - call.at < CALL;
            call.answered.is_none() || was_killed
        };
        let excuses = calls.iter().filter(may_not_be_known).count();
        assert!(times <= 1 + excuses, "{text:?} came {times} times: {calls:#?}");
        assert_ne!(line.platform, "discord", "Discord recognises a repeat: {calls:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_every_acknowledged_reply_arrives_and_in_order() {
    let seed: u64 = std::env::var("CHAOS_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_115);
    println!("CHAOS_TEST_SEED={seed}");
    let mut dice = Dice(seed);
    let platforms = Platforms::start().await;
    let setup = hasty(platforms.on_redis());
    let [a, b, c] = setup.start_many().await;
    platforms.lead_to(&[&b, &c]);
    let agent = Client::register_signed(&a).await;
    let kinds = ["telegram", "discord", "slack"];
    let lines = join_all(kinds.map(|kind| Line::open(&platforms, &agent, &b, kind, TALKS))).await;
    for line in &lines {
        misbehave_at_random(line, &mut dice);
    }
    let mut socket = listen(&agent, &b).await;
    let fleet = Fleet { first: tokio::sync::RwLock::new(Some(a)), others: [b, c] };

    let talks: Vec<(&Line, usize)> = lines.iter().flat_map(|line| (0..TALKS).map(move |talk| (line, talk))).collect();
    let conversations =
        talks.iter().map(|(line, talk)| converse(line, *talk, &agent, &fleet, Dice(dice.below(u64::MAX))));
    let killed = Mutex::new(Instant::now());
    let accident = async {
        let some_arrived = || async { (lines[0].all_calls().len() >= 20).then_some(()) };
        eventually("some replies are sent", some_arrived).await;
        let mut first = fleet.first.write().await.take().unwrap();
        first.kill();
        *killed.lock().unwrap() = Instant::now();
        let again = setup.start().await;
        *fleet.first.write().await = Some(again);
    };
    let (acknowledged, ()) = tokio::join!(join_all(conversations), accident);
    let (b, killed) = (&fleet.others[0], *killed.lock().unwrap());

    // Every reply is told of once as delivered, on the socket of a replica that lived on.
    let mut open: Vec<&str> = acknowledged.iter().flatten().map(|reply| reply.id.as_str()).collect();
    let total = open.len();
    assert!(total > talks.len() * REPLIES / 2, "only {total} replies were acknowledged");
    let mut told: HashMap<String, usize> = HashMap::new();
    while !open.is_empty() {
        let frame = socket.next().await.expect("a frame");
        match (frame["type"].as_str(), frame["status"].as_str()) {
            (Some("message"), _) | (Some("delivery"), Some("retrying")) => {}
            (Some("delivery"), Some("delivered")) => {
                let id = frame["responseId"].as_str().unwrap();
                open.retain(|open| *open != id);
                let times = told.entry(id.to_owned()).or_default();
                *times += 1;
                assert_eq!(*times, 1, "told twice: {frame}");
            }
            _ => panic!("{frame}"),
        }
    }
    for reply in acknowledged.iter().flatten().step_by(7) {
        becomes(&agent, b, &reply.id, "delivered").await;
    }
    for ((line, talk), acknowledged) in talks.iter().zip(&acknowledged) {
        check(line, *talk, acknowledged, killed);
    }
    let messages = agent.poll_all(b).await;
    let heard = contents(&messages);
    for (line, talk) in &talks {
        for n in (0..REPLIES).step_by(3) {
            let text = format!("{}.{talk} asks {n}", line.platform);
            assert_eq!(heard.iter().filter(|heard| **heard == text).count(), 1, "{text}");
        }
    }
}
