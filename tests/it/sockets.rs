//! WebSockets: their places, their answers, their end, and what a slow or absent peer costs.

use std::time::{Duration, Instant};

use chaos_relay::store::operator::DirectoryStore as _;
use chaos_relay::store::redis::{RedisStore, RedisTarget};
use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::support::client::{Client, Webhook, contents, expect};
use crate::support::redis::RedisServer;
use crate::support::relay::{Replica, Setup};
use crate::support::socket::Socket;
use crate::support::traffic::{assert_has_all, assert_in_order};
use crate::support::{DEADLINE, eventually, eventually_within};

/// Says goodbye and waits for the answer, before which the socket's place is given back.
async fn say_goodbye(socket: Socket) {
    let mut stream = socket.into_inner();
    stream.close(None).await.unwrap();
    timeout(DEADLINE, async { while let Some(Ok(_)) = stream.next().await {} }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sixth_socket_of_a_session_closes_the_oldest_on_whichever_replica_it_is() {
    let [a, b, c] = Setup::on_redis().start_many().await;
    let client = Client::register(&a).await;
    let other = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let mut bystander = other.open(&a, "").await;
    let mut sockets = Vec::new();
    for replica in [&a, &b, &c, &a, &b] {
        sockets.push(client.open(replica, "").await);
    }
    for socket in &mut sockets {
        socket.nothing_more().await;
    }
    for (oldest, newest) in [(0, &c), (1, &c), (2, &a)] {
        sockets.push(client.open(newest, "").await);
        assert_eq!(sockets[oldest].closed().await, 4001);
    }
    webhook.deliver(&b, "for the five").await;
    for socket in &mut sockets[3..] {
        assert_eq!(socket.content().await, "for the five");
        socket.nothing_more().await;
    }
    bystander.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sets_the_number_of_sockets_and_a_closed_one_gives_its_place_back() {
    let [a, b] = Setup::on_redis().with("WS_MAX_CONN_PER_USER", "2").start_many().await;
    let client = Client::register(&a).await;
    let mut first = client.open(&a, "").await;
    let second = client.open(&b, "").await;
    say_goodbye(second).await;
    // The place of one that broke off without a word is free as well.
    let third = client.open(&b, "").await;
    drop(third);
    eventually("the broken socket is noticed", || async { (b.health().await["websockets"] == 0).then_some(()) }).await;
    let mut fourth = client.open(&b, "").await;
    first.nothing_more().await;
    let mut fifth = client.open(&b, "").await;
    assert_eq!(first.closed().await, 4001);
    fourth.nothing_more().await;
    fifth.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_and_errors_come_in_the_order_of_the_replies_and_echo_their_request_id() {
    let [a, b] = Setup::on_redis().start_many().await;
    let client = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let mut socket = client.open(&b, "").await;
    let reply = |n: u32| match n % 4 {
        0 => json!({"type": "reply", "channelId": webhook.id, "content": format!("reply {n}"), "requestId": n}),
        1 => json!({"type": "reply", "channelId": "nobody's", "content": "x", "requestId": format!("r{n}")}),
        2 => json!({"type": "reply", "channelId": webhook.id, "requestId": n}),
        _ => json!({"type": "ping"}),
    };
    for n in 0..40 {
        socket.send(&reply(n)).await;
    }
    let mut acknowledged = Vec::new();
    for n in 0..40 {
        match n % 4 {
            0 => {
                let ack = socket.expect("reply_ack").await;
                assert_eq!((&ack["requestId"], &ack["ok"]), (&json!(n), &json!(true)));
                acknowledged.push(ack["responseId"].clone());
            }
            1 => {
                let error = socket.expect("error").await;
                assert_eq!(error["requestId"], format!("r{n}"));
                assert!(error["error"].as_str().unwrap().contains("nobody's"), "{error}");
            }
            2 => {
                let error = socket.expect("error").await;
                assert_eq!(error["requestId"], n);
                assert!(error["error"].as_str().unwrap().contains("content"), "{error}");
            }
            _ => drop(socket.expect("pong").await),
        }
    }
    let responses = reqwest::get(format!("{}/responses/{}", a.url(), webhook.id)).await.unwrap();
    let responses = expect(responses, 200).await["responses"].as_array().unwrap().clone();
    assert_in_order(&responses);
    assert_eq!(responses.iter().map(|response| response["id"].clone()).collect::<Vec<_>>(), acknowledged);
}

/// Begins a webhook whose body is not complete yet; the rest is sent by [`finish`].
async fn begin(replica: &Replica, webhook: &Webhook) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", replica.port())).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nbegun ",
        webhook.path()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Sends the rest and reads the answer.
async fn finish(mut stream: TcpStream) -> String {
    stream.write_all(b"and done").await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_told_to_stop_takes_leave_and_nobody_misses_anything() {
    const DRAIN: Duration = Duration::from_secs(4);
    let [mut a, b] = Setup::on_redis().with("CHAOS_DRAIN_SECONDS", "4").start_many().await;
    let clients = join_all((0..12).map(|_| Client::register(&b))).await;
    let webhooks = join_all(clients.iter().map(|client| client.make_webhook(&b, json!({})))).await;
    let sockets = join_all(clients.iter().map(|client| client.open(&a, ""))).await;
    let begun = begin(&a, &webhooks[0]).await;
    let waiting = clients[0].get(&a, "/messages?wait=25");
    let told = async {
        let users = || async { (a.health().await["websockets"] == 12).then_some(()) };
        eventually("the sockets are open", users).await;
        a.signal("TERM");
        let told = Instant::now();
        let is_unready = || async {
            let ready = reqwest::get(format!("{}/health/ready", a.url())).await.unwrap();
            (ready.status() == 503).then_some(())
        };
        eventually_within(Duration::from_millis(500), "readiness fails at once", is_unready).await;
        // New connections are still taken in the first quarter of the time.
        assert_eq!(reqwest::get(format!("{}/health", a.url())).await.unwrap().status(), 200);
        let answer = finish(begun).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        told
    };
    let delivering = async {
        for n in 0..40 {
            let text = format!("message {n}");
            join_all(webhooks.iter().map(|webhook| webhook.deliver(&b, &text))).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // Each client reads until it is sent away, and goes on elsewhere from what it saw last.
    let b = &b;
    let moving = join_all(clients.iter().zip(sockets).map(|(client, mut socket)| async move {
        let mut seen = Vec::new();
        let code = loop {
            match socket.next().await {
                Ok(frame) => seen.push(frame["message"].clone()),
                Err(code) => break code,
            }
        };
        assert_eq!(code, 1012);
        let left = Instant::now();
        let since = seen.last().map(|message| message["timestamp"].as_str().unwrap().to_owned());
        let query = since.map(|since| format!("&since={since}")).unwrap_or_default();
        let mut socket = client.open(b, &query).await;
        while !seen.last().is_some_and(|message| message["content"] == "message 39") {
            seen.push(socket.message().await);
        }
        (seen, left)
    }));
    let (answer, told, (), moved) = tokio::join!(waiting, told, delivering, moving);
    assert_eq!(answer.status(), 200);
    assert!(a.ended().await, "it should end well");
    assert!(told.elapsed() < DRAIN + Duration::from_secs(1), "ended only after {:?}", told.elapsed());

    let left: Vec<_> = moved.iter().map(|(_, left)| left.duration_since(told)).collect();
    let (first, last) = (left.iter().min().unwrap(), left.iter().max().unwrap());
    assert!(*last < DRAIN * 3 / 4, "closed in the first half of the time, not after {last:?}");
    assert!(*last - *first > DRAIN / 8, "closed evenly, not all within {:?}", *last - *first);
    let texts: Vec<_> = (0..40).map(|n| format!("message {n}")).collect();
    for (n, (seen, _)) in moved.iter().enumerate() {
        assert_in_order(seen);
        assert_has_all(seen, &texts);
        assert_eq!(contents(seen).contains(&"begun and done"), n == 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_do_not_read_are_closed_cost_little_and_resume_while_others_get_all_at_once() {
    const SLOW: usize = 20;
    const MIB: usize = 1024 * 1024;
    let [a, b] = Setup::on_redis().with("WS_MAX_CONN_PER_USER", "30").start_many().await;
    let client = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let mut reader = client.open(&b, "").await;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(client.open(&b, "").await);
    }
    let large = "x".repeat(60 * 1024);
    let texts: Vec<_> = (0..100).map(|n| format!("{n} {large}")).collect();
    let before = b.resident_bytes();
    let (mut peak, mut since) = (before, String::new());
    for text in &texts {
        let posted = Instant::now();
        webhook.deliver(&a, text).await;
        let message = reader.message().await;
        assert!(posted.elapsed() < Duration::from_secs(2), "{:?}", posted.elapsed());
        assert_eq!(message["content"], *text);
        since = message["timestamp"].as_str().unwrap().to_owned();
        peak = peak.max(b.resident_bytes());
    }
    eventually("all but the reader are closed", || {
        peak = peak.max(b.resident_bytes());
        async { (b.health().await["websockets"] == 1).then_some(()) }
    })
    .await;
    // What all of them did not read adds up to twice as much.
    assert!(peak - before < 60 * MIB, "the replica grew by {} MiB", (peak - before) / MIB);
    reader.nothing_more().await;

    for mut socket in slow {
        let mut seen = Vec::new();
        let code = loop {
            match socket.next().await {
                Ok(frame) => seen.push(frame["message"].clone()),
                Err(code) => break code,
            }
        };
        assert!(code == 1013 || code == 1006, "closed with {code}");
        assert!(seen.len() < texts.len(), "it was sent everything, so it was not slow");
        let last = seen.last().map(|message| message["timestamp"].as_str().unwrap().to_owned());
        let query = last.map(|last| format!("&since={last}")).unwrap_or_default();
        let mut resumed = client.open(&b, &query).await;
        while seen.last().is_none_or(|message| message["timestamp"].as_str().unwrap() < since.as_str()) {
            seen.push(resumed.message().await);
        }
        assert_in_order(&seen);
        assert_eq!(contents(&seen), texts);
        resumed.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_slow_but_reads_is_not_closed() {
    let [a, b] = Setup::on_redis().start_many().await;
    let client = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let mut socket = client.open(&b, "").await;
    let large = "x".repeat(60 * 1024);
    let texts: Vec<_> = (0..60).map(|n| format!("{n} {large}")).collect();
    for text in &texts {
        webhook.deliver(&a, text).await;
    }
    for text in &texts {
        assert_eq!(socket.content().await, *text);
        // This is what being slow is: 1.2 MiB a second.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    socket.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_lives_from_the_first_to_the_last_socket_of_its_user() {
    let server = RedisServer::start();
    let [a, b] = Setup::on_server(&server).start_many().await;
    let subscriptions =
        || server.cli(&["PUBSUB", "SHARDCHANNELS", "*:wake"]).lines().filter(|line| !line.is_empty()).count();
    let none_left = || async { (subscriptions() == 0).then_some(()) };
    let client = Client::register(&a).await;
    let first = client.open(&a, "").await;
    let second = client.open(&a, "").await;
    assert_eq!(subscriptions(), 1);
    say_goodbye(first).await;
    drop(client.poll(&b, "?wait=1").await);
    assert_eq!(subscriptions(), 1);
    drop(second);
    eventually("the last socket takes the subscription along", none_left).await;

    // Many users who come and go at once, several times each, politely or not.
    let clients = join_all((0..40).map(|_| Client::register(&a))).await;
    let restless = clients.iter().map(|client| async {
        for n in 0..6 {
            let mut socket = client.open(if n % 2 == 0 { &a } else { &b }, "").await;
            if n % 3 == 0 {
                socket.nothing_more().await;
            }
            if n % 3 < 2 { socket.into_inner().send(Message::Close(None)).await.unwrap() } else { drop(socket) }
        }
        client.open(&b, "").await
    });
    let mut sockets = join_all(restless).await;
    eventually("one subscription a user is left", || async { (subscriptions() == clients.len()).then_some(()) }).await;
    let webhooks = join_all(clients.iter().map(|client| client.make_webhook(&a, json!({})))).await;
    let posted = Instant::now();
    join_all(webhooks.iter().map(|webhook| webhook.deliver(&a, "still there?"))).await;
    for socket in &mut sockets {
        assert_eq!(socket.content().await, "still there?");
    }
    assert!(posted.elapsed() < Duration::from_secs(4), "woken only by the clock: {:?}", posted.elapsed());
    drop(sockets);
    eventually("no subscription is left", none_left).await;
    for replica in [&a, &b] {
        assert_eq!(replica.health().await["websockets"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sees_where_sockets_are_and_closes_them_on_every_replica() {
    let server = RedisServer::start();
    let [a, b] = Setup::on_server(&server).start_many().await;
    let target = RedisTarget::parse(&server.url()).unwrap();
    let store = RedisStore::new(target, "chaos:");
    let client = Client::register(&a).await;
    let bystander = Client::register(&b).await;
    let user = client.user_id.parse().unwrap();
    let (mut first, mut second) = (client.open(&a, "").await, client.open(&b, "").await);
    let mut other = bystander.open(&b, "").await;
    let shown = store.summaries(&[user]).await.unwrap().remove(0).unwrap();
    let replicas: Vec<_> = shown.sockets.iter().map(|socket| socket.replica.clone()).collect();
    let mut expected = Vec::new();
    for replica in [&a, &b] {
        expected.push(replica.health().await["replica"].as_str().unwrap()[..8].to_owned());
    }
    assert_eq!(replicas, expected);

    let asked = Instant::now();
    assert_eq!(store.disconnect(&user).await.unwrap(), 2);
    for socket in [&mut first, &mut second] {
        assert_eq!(socket.closed().await, 1012);
    }
    assert!(asked.elapsed() < Duration::from_secs(3), "only at the next renewal: {:?}", asked.elapsed());
    other.nothing_more().await;
    // The client comes back, and hears what came in the meantime.
    let webhook = client.make_webhook(&a, json!({})).await;
    webhook.deliver(&a, "welcome back").await;
    assert_eq!(client.open(&b, "").await.content().await, "welcome back");
}
