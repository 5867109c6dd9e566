//! Order within a conversation, and what does not wait for what.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use super::fate::{becomes, fate, listen, status};
use super::line::{ALL, Fault, Line, hasty};
use crate::support::client::Client;
use crate::support::platforms::deployment::Platforms;

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_retried_is_not_held_up_by_a_call_of_another_conversation_that_hangs() {
    let platforms = Platforms::start().await;
    let [a] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 2).await;
    // The first is tried again, and hangs then, before the second is due.
    line.fault(Fault::Status(502), 1, Some(0));
    line.fault(Fault::Hang, 1, Some(0));
    line.fault(Fault::TooMany(Duration::from_secs(3)), 1, Some(1));
    line.reply(&agent, &a, 1, "limited").await;
    line.was_called(1, 1).await;
    line.reply(&agent, &a, 0, "hangs").await;
    line.was_called(0, 2).await;
    assert_eq!(line.calls(1).len(), 1);
    let calls = line.was_called(1, 2).await;
    let wait = calls[1].at - calls[0].at;
    assert!(wait >= Duration::from_secs(3) && wait < Duration::from_secs(7), "after {wait:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_retried_is_not_held_up_by_replies_that_follow_it() {
    let platforms = Platforms::start().await;
    let [a, b] = hasty(platforms.on_redis()).with("CHAOS_DELIVERY_LEASE_SECONDS", "15").start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 2).await;
    line.fault(Fault::Hang, 1, None);
    line.reply(&agent, &a, 0, "hangs").await;
    line.was_called(0, 1).await;
    line.reply(&agent, &b, 0, "follows").await;
    let calls = line.was_called(0, 2).await;
    let wait = calls[1].at - calls[0].at;
    assert!(wait < Duration::from_secs(7), "after {wait:?}");
    line.was_sent(0, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_retried_holds_back_its_own_conversation_and_nothing_else() {
    let platforms = Platforms::start().await;
    let [a, b] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 2).await;
    let others = join_all(ALL.map(|platform| Line::open(&platforms, &agent, &a, platform, 1))).await;
    line.fault(Fault::TooMany(Duration::from_secs(3)), 1, Some(0));
    let first = line.reply(&agent, &a, 0, "one").await;
    becomes(&agent, &a, &first, "retrying").await;
    let mut followers = Vec::new();
    for (replica, text) in [(&b, "two"), (&a, "three"), (&b, "four")] {
        followers.push(line.reply(&agent, replica, 0, text).await);
    }
    for replica in [&a, &b] {
        let beside = line.reply(&agent, replica, 1, "beside").await;
        becomes(&agent, &a, &beside, "delivered").await;
        for other in &others {
            let id = other.reply(&agent, replica, 0, "beside").await;
            becomes(&agent, &b, &id, "delivered").await;
        }
    }
    // All that while the first one waited, and those behind it.
    assert_eq!((line.calls(0).len(), line.sent(0).len()), (1, 0));
    assert_eq!(status(&agent, &b, &first).await["status"], "retrying");
    for id in &followers {
        assert_eq!(fate(&status(&agent, &b, id).await), ("pending".to_owned(), 0, None));
    }
    becomes(&agent, &a, &followers[2], "delivered").await;
    assert_eq!(line.sent(0), ["one", "two", "three", "four"]);
    assert_eq!(line.calls(0).len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_over_the_socket_is_acknowledged_first_and_delivered_like_the_others() {
    let platforms = Platforms::start().await;
    let [a] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register_signed(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 2).await;
    let mut socket = listen(&agent, &a).await;
    let count = 40;
    for n in 0..count {
        let mut frame = line.body(n % 2, &format!("{n}"));
        frame["type"] = "reply".into();
        frame["requestId"] = n.into();
        socket.send(&frame).await;
    }
    let (mut acknowledged, mut delivered) = (Vec::new(), Vec::new());
    while delivered.len() < count {
        let frame = socket.next().await.expect("a frame");
        let id = frame["responseId"].as_str().unwrap_or_default().to_owned();
        match frame["type"].as_str() {
            Some("reply_ack") => {
                assert_eq!(frame["requestId"], acknowledged.len(), "{frame}");
                assert_eq!(frame["channel"], json!({"id": line.id, "type": "telegram", "label": "helper_bot"}));
                acknowledged.push(id);
            }
            Some("delivery") => {
                assert_eq!((&frame["status"], &frame["attempts"]), (&json!("delivered"), &json!(1)));
                assert!(acknowledged.contains(&id), "delivered before its ack: {frame}");
                delivered.push(id);
            }
            _ => panic!("{frame}"),
        }
    }
    socket.nothing_more().await;
    for talk in 0..2 {
        let expected: Vec<_> = (0..count).filter(|n| n % 2 == talk).map(|n| n.to_string()).collect();
        assert_eq!(line.sent(talk), expected);
    }
    acknowledged.sort_unstable();
    delivered.sort_unstable();
    assert_eq!(acknowledged, delivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_of_many_sockets_to_one_conversation_arrive_in_the_order_of_their_acks() {
    let platforms = Platforms::start().await;
    let [a, b] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    let each = 12;
    let of_socket = async |n: usize| {
        let mut socket = listen(&agent, [&a, &b][n % 2]).await;
        let mut acks = Vec::new();
        for m in 0..each {
            let text = format!("{n}.{m}");
            let mut frame = line.body(0, &text);
            frame["type"] = "reply".into();
            let sent = Instant::now();
            socket.send(&frame).await;
            // What became of others' replies comes in between.
            while socket.next().await.expect("a frame")["type"] != "reply_ack" {}
            acks.push((text, sent, Instant::now()));
        }
        acks
    };
    let acks = join_all((0..5).map(of_socket)).await.concat();
    let sent = line.was_sent(0, acks.len()).await;
    assert_eq!(sent.len(), acks.len(), "{sent:?}");
    let place = |text: &String| sent.iter().position(|sent| sent == text).expect("it arrived");
    for (earlier, _, acknowledged) in &acks {
        for (later, begun, _) in &acks {
            if acknowledged < begun {
                assert!(place(earlier) < place(later), "{earlier} and {later} in {sent:?}");
            }
        }
    }
}
