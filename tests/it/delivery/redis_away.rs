//! Redis goes away while replies are on their way.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::sleep;

use super::fate::{becomes, listen};
use super::line::{Fault, Line, hasty};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::platforms::deployment::Platforms;
use crate::support::redis::RedisServer;
use crate::support::relay::{Replica, Setup};

/// Conversations of each channel.
const TALKS: usize = 4;
/// Pause of a sender between two replies.
const PAUSE: Duration = Duration::from_millis(30);

/// Replies in one conversation until it is told to stop; gives the texts that were acknowledged.
async fn keeps_replying(
    line: &Line,
    agent: &Client,
    replicas: [&Replica; 2],
    talk: usize,
    stop: &AtomicBool,
) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let text = format!("{talk}.{n}");
        let answer = line.try_reply(agent, replicas[n % 2], talk, &text).await;
        match answer.status().as_u16() {
            200 => acknowledged.push(text),
            // It may be stored all the same, which is why a client that asks again may be answered twice.
            503 => {}
            other => panic!("{other}"),
        }
        sleep(PAUSE).await;
    }
    acknowledged
}

/// Each text that was acknowledged must be there, the first ones of each in order; gives how many came again.
fn copies(acknowledged: &[String], sent: &[String]) -> usize {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut first = Vec::new();
    for text in sent {
        let times = seen.entry(text).or_default();
        *times += 1;
        assert!(*times <= 2, "{text:?} came three times: {sent:?}");
        if *times == 1 {
            first.push(text);
        }
    }
    let first: Vec<_> = first.into_iter().filter(|text| acknowledged.contains(text)).collect();
    assert_eq!(first, acknowledged.iter().collect::<Vec<_>>(), "lost or out of order");
    sent.len() - seen.len()
}

async fn outage(go_away: impl FnOnce(&mut RedisServer), come_back: impl FnOnce(&mut RedisServer)) {
    let mut server = RedisServer::durable();
    let platforms = Platforms::start().await;
    let [a, b] = hasty(platforms.known_to(Setup::on_server(&server))).start_many().await;
    platforms.lead_to(&[&a, &b]);
    let agent = Client::register(&a).await;
    let lines =
        join_all(["telegram", "slack", "discord"].map(|kind| Line::open(&platforms, &agent, &a, kind, TALKS))).await;
    let stop = Arc::new(AtomicBool::new(false));
    // Calls take a while, so that some are under way whenever it happens.
    for line in &lines {
        line.fault(Fault::Slow(Duration::from_millis(150)), 0, None);
    }
    let sending = lines.iter().flat_map(|line| (0..TALKS).map(move |talk| (line, talk)));
    let sending = join_all(sending.map(|(line, talk)| keeps_replying(line, &agent, [&a, &b], talk, &stop)));
    let outage = async {
        for line in &lines {
            line.was_sent(0, 3).await;
        }
        go_away(&mut server);
        // Long enough that calls which were under way end meanwhile, and cannot be noted.
        sleep(Duration::from_secs(2)).await;
        come_back(&mut server);
        let back = Instant::now();
        for replica in [&a, &b] {
            eventually("the replica is ready", || async { replica.is_ready().await.then_some(()) }).await;
        }
        for line in &lines {
            line.behave();
        }
        sleep(Duration::from_millis(500)).await;
        stop.store(true, Ordering::Relaxed);
        back
    };
    let (acknowledged, back) = tokio::join!(sending, outage);
    for (line, acknowledged) in lines.iter().zip(acknowledged.chunks(TALKS)) {
        for (talk, acknowledged) in acknowledged.iter().enumerate() {
            let all = || async { line.sent(talk).contains(acknowledged.last()?).then_some(()) };
            eventually("the last reply arrives", all).await;
            let copies = copies(acknowledged, &line.sent(talk));
            // One call was under way for each conversation, and what became of it could not be noted.
            assert!(copies <= 1, "{copies} copies on {}: {:?}", line.platform, line.sent(talk));
        }
    }
    assert!(back.elapsed() < Duration::from_secs(15), "{:?}", back.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_restarted_while_replies_are_under_way_loses_none_and_keeps_their_order() {
    outage(RedisServer::kill, RedisServer::restart).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_frozen_while_replies_are_under_way_loses_none_and_keeps_their_order() {
    outage(|server| server.pause(), |server| server.resume()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_ended_while_redis_was_away_is_noted_when_it_is_back_and_not_made_again() {
    let mut server = RedisServer::durable();
    let platforms = Platforms::start().await;
    let [a] = platforms.known_to(Setup::on_server(&server)).start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    line.fault(Fault::Slow(Duration::from_secs(1)), 1, None);
    let first = line.reply(&agent, &a, 0, "one").await;
    let second = line.reply(&agent, &a, 0, "two").await;
    line.was_sent(0, 1).await;
    server.kill();
    let answered = || async { line.calls(0)[0].answered };
    eventually("the call ends", answered).await;
    let tried = || async { a.log().contains("could not be noted").then_some(()) };
    eventually("its end cannot be noted", tried).await;
    server.restart();
    eventually("the replica is ready", || async { a.is_ready().await.then_some(()) }).await;
    becomes(&agent, &a, &first, "delivered").await;
    becomes(&agent, &a, &second, "delivered").await;
    assert_eq!(line.sent(0), ["one", "two"]);
    assert_eq!(line.calls(0).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_started_while_redis_was_away_delivers_what_another_left() {
    let mut server = RedisServer::durable();
    let platforms = Platforms::start().await;
    let setup = hasty(platforms.known_to(Setup::on_server(&server)));
    let mut a = setup.start().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register_signed(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 2).await;
    line.fault(Fault::Hang, 1, Some(0));
    line.fault(Fault::TooMany(Duration::from_secs(2)), 1, Some(1));
    let mut ids = Vec::new();
    for text in ["one", "two"] {
        for talk in 0..2 {
            ids.push(line.reply(&agent, &a, talk, text).await);
        }
    }
    for talk in 0..2 {
        line.was_called(talk, 1).await;
    }
    becomes(&agent, &a, &ids[1], "retrying").await;
    a.kill();
    server.kill();
    let b = setup.start_unready();
    assert!(!b.is_ready().await);
    server.restart();
    eventually("the replica is ready", || async { b.is_ready().await.then_some(()) }).await;
    let mut socket = listen(&agent, &b).await;
    for _ in &ids {
        assert_eq!(socket.expect("delivery").await["status"], "delivered");
    }
    for talk in 0..2 {
        assert_eq!(line.sent(talk), ["one", "two"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_due_while_redis_was_frozen_is_delivered_as_soon_as_it_is_back() {
    let server = RedisServer::durable();
    let platforms = Platforms::start().await;
    // With the leases of every day: nobody died, so nobody has to be waited for.
    let [a, b] = platforms.known_to(Setup::on_server(&server)).start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    line.fault(Fault::TooMany(Duration::from_secs(1)), 1, None);
    let id = line.reply(&agent, &a, 0, "limited").await;
    becomes(&agent, &a, &id, "retrying").await;
    server.pause();
    for replica in [&a, &b] {
        eventually("the replica is not ready", || async { (!replica.is_ready().await).then_some(()) }).await;
    }
    server.resume();
    let back = Instant::now();
    line.was_sent(0, 1).await;
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
    becomes(&agent, &b, &id, "delivered").await;
}
