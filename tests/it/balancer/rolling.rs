//! Replicas that are replaced one after the other, as an upgrade does it, under everybody's feet.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::timeout;

use super::crowd::{Crowd, Promise};
use crate::delivery::line::Line;
use crate::support::balancer::Deployment;
use crate::support::client::{Client, contents};
use crate::support::eventually;
use crate::support::platforms::deployment::Platforms;
use crate::support::relay::{Replica, Setup};

/// What replicas are given to take leave: the least that the balancer's checks allow.
const DRAIN: Duration = Duration::from_secs(8);
/// Pause between two replies of a conversation, for which Telegram wants a second.
const PAUSE: Duration = Duration::from_millis(1100);

/// Replies by HTTP until the end; gives the texts.
async fn reply_by_http(crowd: &Crowd, front: &Replica, agent: &Client, line: &Line) -> Vec<String> {
    let mut texts = Vec::new();
    while !crowd.is_over() {
        let text = format!("by HTTP {}", texts.len());
        line.reply(agent, front, 0, &text).await;
        texts.push(text);
        tokio::time::sleep(PAUSE).await;
    }
    texts
}

/// Replies by sockets until the end; gives the texts. What a socket did not acknowledge before it was closed was not
/// taken, so it is sent again.
async fn reply_by_sockets(crowd: &Crowd, front: &Replica, agent: &Client, line: &Line) -> Vec<String> {
    let mut texts = Vec::<String>::new();
    let mut socket = agent.open(front, "").await;
    while !crowd.is_over() {
        let text = format!("by socket {}", texts.len());
        let mut frame = line.body(1, &text);
        frame["type"] = "reply".into();
        socket.send(&frame).await;
        let acknowledged = loop {
            match socket.next().await {
                Ok(frame) if frame["type"] == "reply_ack" => break true,
                Ok(frame) => assert_ne!(frame["type"], "error", "{frame}"),
                Err(code) => {
                    assert_eq!(code, 1012);
                    break false;
                }
            }
        };
        if acknowledged {
            texts.push(text);
        }
        let pause_ends = Instant::now() + PAUSE;
        let mut is_closed = !acknowledged;
        while let (false, Ok(next)) =
            (is_closed, timeout(pause_ends.saturating_duration_since(Instant::now()), socket.next()).await)
        {
            is_closed = next.is_err();
            assert!(next.is_ok() || next == Err(1012), "{next:?}");
        }
        if is_closed {
            socket = agent.open(front, "").await;
        }
    }
    texts
}

/// A person writes until the end; gives the texts.
async fn write(crowd: &Crowd, line: &Line) -> Vec<String> {
    let mut texts = Vec::new();
    while !crowd.is_over() {
        let text = format!("question {}", texts.len());
        line.hears(1, &text).await;
        texts.push(text);
        tokio::time::sleep(PAUSE / 4).await;
    }
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_replaced_one_by_one_and_no_request_fails_and_nothing_is_lost_or_doubled() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis().with("CHAOS_DRAIN_SECONDS", &DRAIN.as_secs().to_string());
    let Deployment { front, setups, mut replicas } = Deployment::start(setup).await;
    platforms.lead_to(&[&front]);
    let agent = Client::register_signed(&front).await;
    let line = Line::open(&platforms, &agent, &front, "telegram", 2).await;
    let crowd = Crowd::gather(&front, 8, Promise::NothingFails).await;

    let rolling = async {
        let mut drains = Vec::new();
        for n in 0..replicas.len() {
            crowd.goes_on().await;
            replicas[n].signal("TERM");
            let told = Instant::now();
            assert!(replicas[n].ended().await, "it should end well");
            drains.push((told, Instant::now()));
            front.misses(n).await;
            replicas[n] = front.welcomes(n, &setups[n]).await;
        }
        crowd.goes_on().await;
        crowd.end();
        drains
    };
    let (story, drains, by_http, by_sockets, written) = tokio::join!(
        crowd.live(&front),
        rolling,
        reply_by_http(&crowd, &front, &agent, &line),
        reply_by_sockets(&crowd, &front, &agent, &line),
        write(&crowd, &line),
    );

    for (told, ended) in drains {
        assert!(ended - told < DRAIN, "it took all its time: {:?}", ended - told);
        let closed = story.closed.iter().map(|(at, _)| *at).filter(|at| (told..ended).contains(at));
        let after: Vec<Duration> = closed.map(|at| at - told).collect();
        assert!(after.len() >= 4, "{after:?}");
        let (first, last) = (after.iter().min().unwrap(), after.iter().max().unwrap());
        assert!(*last < DRAIN / 2 + Duration::from_secs(1), "closed in the first half of the time: {after:?}");
        assert!(*last - *first > DRAIN / 4, "closed evenly, not all at once: {after:?}");
    }
    for (talk, texts) in [(0, by_http), (1, by_sockets)] {
        let sent = line.was_sent(talk, texts.len()).await;
        assert_eq!(sent, texts, "what was acknowledged was sent once and in order");
    }
    let messages: Vec<Value> = agent.poll_all(&front).await;
    let heard: Vec<_> = contents(&messages).into_iter().filter(|text| *text != "hello").collect();
    assert_eq!(heard, written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_at_a_replica_that_takes_leave_waits_until_it_is_told_so_nobody_asks_in_a_frenzy() {
    let replica = Setup::on_redis().with("CHAOS_DRAIN_SECONDS", &DRAIN.as_secs().to_string()).start().await;
    let client = Client::register(&replica).await;
    replica.signal("TERM");
    eventually("it takes leave", || async { (!replica.is_ready().await).then_some(()) }).await;
    let began = Instant::now();
    let page = client.poll(&replica, "?wait=25").await;
    assert_eq!(page["messages"], serde_json::json!([]));
    let waited = began.elapsed();
    assert!(waited > DRAIN / 16 && waited < DRAIN / 2 + Duration::from_secs(1), "{waited:?}");
}
