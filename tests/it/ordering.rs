//! Order and cursors: whichever replica takes a message or shows it, none is lost, repeated or overtaken.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::client::{Client, Webhook, contents};
use crate::support::relay::{Replica, Setup};
use crate::support::socket::Socket;
use crate::support::traffic::{assert_has_all, assert_in_order};
use crate::support::{eventually, redis};

/// "As soon as": far above what it takes, far below the ticks that back up a lost wake.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Posts so many messages, some at a time, to all replicas in turn; gives the texts.
async fn deliver_many(webhook: &Webhook, replicas: &[Replica], count: usize, at_once: usize) -> Vec<String> {
    let senders = (0..at_once).map(|sender| async move {
        let mut texts = Vec::new();
        for n in (sender..count).step_by(at_once) {
            let text = format!("message {n}");
            webhook.deliver(&replicas[n % replicas.len()], &text).await;
            texts.push(text);
        }
        texts
    });
    join_all(senders).await.concat()
}

/// Walks along the cursor, each page from the next replica, until there are so many messages.
async fn walk(client: &Client, replicas: &[Replica], limit: usize, count: usize) -> Vec<Value> {
    let end = Instant::now() + Duration::from_secs(20);
    let (mut walked, mut query) = (Vec::new(), format!("?limit={limit}"));
    for replica in replicas.iter().cycle() {
        let page = client.poll(replica, &query).await;
        let messages = page["messages"].as_array().unwrap();
        assert!(messages.len() <= limit);
        if let Some(last) = messages.last() {
            assert_eq!(page["since"], last["timestamp"]);
        }
        walked.extend(messages.iter().cloned());
        if walked.len() >= count && page["more"] != json!(true) {
            break;
        }
        assert!(Instant::now() < end, "the walk found only {} messages", walked.len());
        query = format!("?limit={limit}&since={}", page["since"].as_str().unwrap());
    }
    walked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_along_the_cursor_during_200_concurrent_webhooks_loses_and_repeats_nothing() {
    let replicas: [Replica; 3] = Setup::on_redis().start_many().await;
    let client = Client::register(&replicas[0]).await;
    let webhook = client.make_webhook(&replicas[0], json!({})).await;
    let (walked, texts) = tokio::join!(walk(&client, &replicas, 7, 200), deliver_many(&webhook, &replicas, 200, 200));
    assert_eq!(walked.len(), 200);
    assert_in_order(&walked);
    assert_has_all(&walked, &texts);
    // And it is what a reader sees who comes later.
    assert_eq!(client.poll_all(&replicas[1]).await, walked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_keeps_reconnecting_with_since_sees_every_message_once_and_in_order() {
    let replicas: [Replica; 3] = Setup::on_redis().start_many().await;
    let client = Client::register_signed(&replicas[0]).await;
    let webhook = client.make_webhook(&replicas[0], json!({})).await;
    let start = client.poll(&replicas[0], "").await["since"].as_str().unwrap().to_owned();
    let reconnecting = async {
        let (mut seen, mut since) = (Vec::new(), start);
        for (n, replica) in replicas.iter().cycle().enumerate() {
            let mut socket = client.open(replica, &format!("&since={since}")).await;
            let take = (1 + n % 6).min(300 - seen.len());
            for _ in 0..take {
                seen.push(socket.message().await);
            }
            since = seen.last().unwrap()["timestamp"].as_str().unwrap().to_owned();
            if seen.len() == 300 {
                socket.nothing_more().await;
                break;
            }
            // Some say goodbye, some are just gone.
            if n % 2 == 0 {
                socket.close().await;
            }
        }
        seen
    };
    let (seen, texts) = tokio::join!(reconnecting, deliver_many(&webhook, &replicas, 300, 6));
    assert_in_order(&seen);
    assert_has_all(&seen, &texts);
    assert_eq!(client.poll_all(&replicas[0]).await, seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_stay_see_every_message_once_in_the_same_order_on_every_replica() {
    let replicas: [Replica; 3] = Setup::on_redis().start_many().await;
    let client = Client::register(&replicas[0]).await;
    let webhook = client.make_webhook(&replicas[0], json!({})).await;
    let mut sockets: [Socket; 3] =
        [client.open(&replicas[0], "").await, client.open(&replicas[1], "").await, client.open(&replicas[2], "").await];
    let reading = join_all(sockets.iter_mut().map(|socket| async move {
        let mut seen = Vec::new();
        while seen.len() < 200 {
            seen.push(socket.message().await);
        }
        socket.nothing_more().await;
        seen
    }));
    let (seen, texts) = tokio::join!(reading, deliver_many(&webhook, &replicas, 200, 20));
    assert_in_order(&seen[0]);
    assert_has_all(&seen[0], &texts);
    assert!(seen[1] == seen[0] && seen[2] == seen[0], "sockets of one session disagree");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_answers_as_soon_as_another_replica_stored_a_message() {
    let [a, b] = Setup::on_redis().start_many().await;
    let client = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let mut since = client.poll(&b, "").await["since"].as_str().unwrap().to_owned();
    for n in 0..12 {
        let text = format!("message {n}");
        let query = format!("?wait=25&since={since}");
        let started = Instant::now();
        let delivering = async {
            // Every other time the poll is known to wait; the others race with its beginning.
            if n % 2 == 0 {
                let watched = || redis::shared().cli(&["PUBSUB", "SHARDCHANNELS", &format!("*{}*", client.user_id)]);
                eventually("the poll waits", || async { (!watched().is_empty()).then_some(()) }).await;
            }
            webhook.deliver(&a, &text).await;
            Instant::now()
        };
        let (page, delivered) = tokio::join!(client.poll(&b, &query), delivering);
        assert!(
            delivered.elapsed() < AT_ONCE,
            "{:?} after the message, {:?} in all",
            delivered.elapsed(),
            started.elapsed()
        );
        assert_eq!(contents(page["messages"].as_array().unwrap()), [text]);
        since = page["since"].as_str().unwrap().to_owned();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_without_a_message_answers_when_its_time_is_up_with_a_since_that_loses_nothing() {
    let [a, b] = Setup::on_redis().start_many().await;
    let client = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let first = client.poll(&b, "?wait=0").await["since"].as_str().unwrap().to_owned();
    let started = Instant::now();
    let page = client.poll(&b, &format!("?wait=1&since={first}")).await;
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(950) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!(page["messages"], json!([]));
    assert_eq!(page.get("more"), None);
    webhook.deliver(&a, "later").await;
    let page = client.poll(&b, &format!("?since={}", page["since"].as_str().unwrap())).await;
    assert_eq!(contents(page["messages"].as_array().unwrap()), ["later"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_since_from_the_future_misses_no_message_that_comes_later() {
    const FUTURE: &str = "2099-01-01T00:00:00.000Z";
    let [a, b] = Setup::on_redis().start_many().await;
    let client = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    webhook.deliver(&a, "before").await;

    let page = client.poll(&b, &format!("?since={FUTURE}")).await;
    assert_eq!(page["messages"], json!([]));
    webhook.deliver(&a, "after a poll").await;
    let page = client.poll(&b, &format!("?since={}", page["since"].as_str().unwrap())).await;
    assert_eq!(contents(page["messages"].as_array().unwrap()), ["after a poll"]);

    let mut socket = client.open(&b, &format!("&since={FUTURE}")).await;
    webhook.deliver(&a, "to a socket").await;
    assert_eq!(socket.content().await, "to a socket");
    socket.close().await;

    let query = format!("?wait=25&since={FUTURE}");
    let watched = || redis::shared().cli(&["PUBSUB", "SHARDCHANNELS", &format!("*{}*", client.user_id)]);
    eventually("the socket is gone", || async { watched().is_empty().then_some(()) }).await;
    let delivering = async {
        eventually("the poll waits", || async { (!watched().is_empty()).then_some(()) }).await;
        webhook.deliver(&a, "to a long poll").await;
        Instant::now()
    };
    let (page, delivered) = tokio::join!(client.poll(&b, &query), delivering);
    assert!(delivered.elapsed() < AT_ONCE, "{:?}", delivered.elapsed());
    assert_eq!(contents(page["messages"].as_array().unwrap()), ["to a long poll"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_without_since_begins_with_the_last_five_minutes() {
    let prefix = redis::fresh_prefix();
    let [a, b] = Setup::on(&redis::shared().url(), &prefix).start_many().await;
    let client = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    for text in ["six minutes ago", "four minutes ago", "just now"] {
        webhook.deliver(&a, text).await;
    }
    // Time cannot be turned back, but the first two can be made older.
    let age = "local entries = redis.call('XRANGE', KEYS[1], '-', '+'); local now = redis.call('TIME')[1] \
               redis.call('DEL', KEYS[1]) \
               for n, minutes in ipairs({6, 4, 0}) do \
                 redis.call('XADD', KEYS[1], string.format('%.0f-0', (now - 60 * minutes) * 1000), unpack(entries[n][2])) \
               end \
               return 'aged'";
    let stream = format!("{prefix}{{{}}}:messages", client.user_id);
    assert_eq!(redis::shared().cli(&["EVAL", age, "1", &stream]), "aged");
    let mut socket = client.open(&b, "").await;
    assert_eq!(socket.content().await, "four minutes ago");
    assert_eq!(socket.content().await, "just now");
    socket.nothing_more().await;
    assert_eq!(client.poll_all(&b).await.len(), 3);
}
