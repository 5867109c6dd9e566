//! WebSocket frames that are not what they should be, and peers that are in no hurry.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::support::DEADLINE;
use crate::support::client::{Client, Webhook};
use crate::support::relay::{Replica, Setup};
use crate::support::socket::Socket;

/// The largest frame of the contract.
const MIB: usize = 1024 * 1024;

struct World {
    replica: Replica,
    client: Client,
    webhook: Webhook,
}

impl World {
    async fn make() -> Self {
        let replica = Setup::on_redis().start().await;
        let client = Client::register(&replica).await;
        let webhook = client.make_webhook(&replica, json!({"direction": "bidirectional"})).await;
        Self { replica, client, webhook }
    }

    async fn socket(&self) -> Socket {
        self.client.open(&self.replica, "").await
    }

    /// Sends raw frames on a socket of their own and gives the code with which it is closed.
    async fn closes_with(&self, frames: Vec<Frame>) -> u16 {
        let mut stream = self.socket().await.into_inner();
        for frame in frames {
            // The relay may close at the first of them, so that sending the rest fails.
            if stream.send(Message::Frame(frame)).await.is_err() {
                break;
            }
        }
        let closed = async {
            loop {
                match stream.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                    Some(Ok(_)) => {}
                    other => panic!("an end without a close frame: {other:?}"),
                }
            }
        };
        timeout(DEADLINE, closed).await.expect("a close within the deadline")
    }
}

fn frame(kind: Data, payload: Vec<u8>, is_last: bool) -> Frame {
    Frame::message(payload, OpCode::Data(kind), is_last)
}

/// A ping of exactly so many bytes.
fn ping_of(size: usize) -> String {
    let bare = json!({"type": "ping", "pad": ""}).to_string();
    json!({"type": "ping", "pad": "x".repeat(size - bare.len())}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_makes_no_sense_gets_an_error_and_the_socket_stays_open() {
    let world = World::make().await;
    let mut socket = world.socket().await;
    let deep = "[".repeat(100_000);
    for (text, code) in [
        ("", "invalid_json"),
        ("hello", "invalid_json"),
        ("{\"type\":\"ping\"", "invalid_json"),
        ("[]", "invalid_json"),
        ("null", "invalid_json"),
        ("\"ping\"", "invalid_json"),
        ("{\"type\":\"ping\",\"n\":1e999}", "invalid_json"),
        ("{\"type\":\"\\ud800\"}", "invalid_json"),
        (deep.as_str(), "invalid_json"),
        ("{}", "unknown_type"),
        ("{\"type\":null}", "unknown_type"),
        ("{\"type\":7}", "unknown_type"),
        ("{\"type\":[\"ping\"]}", "unknown_type"),
        ("{\"type\":\"PING\"}", "unknown_type"),
        ("{\"type\":\"message\"}", "unknown_type"),
        ("{\"type\":\"shout\"}", "unknown_type"),
    ] {
        socket.send_text(text).await;
        let error = socket.expect("error").await;
        let shown: String = text.chars().take(40).collect();
        assert_eq!(error["code"], code, "{shown}");
        assert!(error["error"].as_str().unwrap().contains(' '), "{error}");
    }
    socket.nothing_more().await;
    world.webhook.deliver(&world.replica, "still here").await;
    assert_eq!(socket.content().await, "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_frame_that_misses_something_gets_an_error_that_names_it() {
    let world = World::make().await;
    let mut socket = world.socket().await;
    let id = world.webhook.id.as_str();
    let long = "x".repeat(128 * 1024 + 1);
    let rows: Vec<(Value, &str, &str)> = vec![
        (json!({"content": "x"}), "invalid_field", "channelId"),
        (json!({"channelId": "", "content": "x"}), "invalid_field", "channelId"),
        (json!({"channelId": 7, "content": "x"}), "invalid_field", "channelId"),
        (json!({"channelId": id}), "invalid_field", "content"),
        (json!({"channelId": id, "content": ""}), "invalid_field", "content"),
        (json!({"channelId": id, "content": {"text": "x"}}), "invalid_field", "content"),
        (json!({"channelId": id, "content": "<br>"}), "invalid_field", "content"),
        (json!({"channelId": id, "content": long}), "too_large", "content"),
        (json!({"channelId": id, "content": "x", "metadata": "m"}), "invalid_field", "metadata"),
        (json!({"channelId": id, "content": "x", "replyTo": 7}), "invalid_field", "replyTo"),
        (json!({"channelId": id, "content": "x", "channelType": "email"}), "wrong_channel_type", "\"email\""),
        (json!({"channelId": id, "content": "x", "channelType": "email"}), "wrong_channel_type", "\"webhook\""),
        (json!({"channelId": "not-there", "content": "x"}), "unknown_channel", "not-there"),
    ];
    for (n, (mut frame, code, says)) in rows.into_iter().enumerate() {
        frame["type"] = json!("reply");
        frame["requestId"] = json!(n);
        socket.send(&frame).await;
        let error = socket.expect("error").await;
        assert_eq!((&error["code"], &error["requestId"]), (&json!(code), &json!(n)), "{error}");
        assert!(error["error"].as_str().unwrap().contains(says), "{error}");
    }
    socket.send(&json!({"type": "reply", "channelId": id, "content": "x", "requestId": {"a": 1}})).await;
    assert!(socket.expect("error").await["error"].as_str().unwrap().contains("requestId"));
    socket.send(&json!({"type": "reply", "channelId": id, "content": "x", "unknown": [1]})).await;
    assert_eq!(socket.expect("reply_ack").await["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_frame_closes_with_1003() {
    let world = World::make().await;
    let mut socket = world.socket().await;
    socket.send_binary(br#"{"type":"ping"}"#.to_vec()).await;
    assert_eq!(socket.closed().await, 1003);
    assert_eq!(world.closes_with(vec![frame(Data::Binary, Vec::new(), true)]).await, 1003);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_not_utf8_closes_with_1007() {
    let world = World::make().await;
    for bytes in [vec![0xff], vec![b'a', 0xc3], vec![0xed, 0xa0, 0x80], vec![0xc0, 0xaf]] {
        assert_eq!(world.closes_with(vec![frame(Data::Text, bytes.clone(), true)]).await, 1007, "{bytes:x?}");
    }
    let halves = vec![frame(Data::Text, b"a".to_vec(), false), frame(Data::Continue, vec![0xff], true)];
    assert_eq!(world.closes_with(halves).await, 1007);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_a_mebibyte_is_taken() {
    let world = World::make().await;
    let mut socket = world.socket().await;
    socket.send_text(&ping_of(MIB)).await;
    socket.expect("pong").await;
    socket.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_a_mebibyte_in_parts_is_taken_even_where_a_part_splits_a_character() {
    let world = World::make().await;
    let mut stream = world.socket().await.into_inner();
    let text = json!({"type": "ping", "pad": "ä"}).to_string();
    let text = format!("{}{}", " ".repeat(MIB - text.len()), text).into_bytes();
    let middle = text.len() - 3;
    assert!(std::str::from_utf8(&text[..middle]).is_err(), "the cut is inside the character");
    for (kind, part, is_last) in [
        (Data::Text, &text[..1000], false),
        (Data::Continue, &text[1000..middle], false),
        (Data::Continue, &text[middle..], true),
    ] {
        stream.send(Message::Frame(frame(kind, part.to_vec(), is_last))).await.unwrap();
    }
    let pong = timeout(DEADLINE, stream.next()).await.expect("an answer").unwrap().unwrap();
    assert_eq!(pong.into_text().unwrap().as_str(), r#"{"type":"pong"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_mebibyte_closes_with_1009() {
    let world = World::make().await;
    let one_more = ping_of(MIB + 1).into_bytes();
    let (first, rest) = one_more.split_at(MIB / 2);
    let parts = vec![frame(Data::Text, first.to_vec(), false), frame(Data::Continue, rest.to_vec(), true)];
    assert_eq!(world.closes_with(vec![frame(Data::Text, one_more.clone(), true)]).await, 1009, "in one piece");
    assert_eq!(world.closes_with(parts).await, 1009, "in two parts");
    let many = std::iter::once(frame(Data::Text, vec![b' '; 100_000], false))
        .chain((0..20).map(|_| frame(Data::Continue, vec![b' '; 100_000], false)));
    assert_eq!(world.closes_with(many.collect()).await, 1009, "in parts without an end");
    assert_eq!(world.closes_with(vec![frame(Data::Text, vec![b' '; 5 * MIB], true)]).await, 1009, "in one large piece");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_frame_closes_with_1002() {
    let world = World::make().await;
    // A part of nothing, and a kind of frame that does not exist.
    assert_eq!(world.closes_with(vec![frame(Data::Continue, b"x".to_vec(), true)]).await, 1002);
    assert_eq!(world.closes_with(vec![frame(Data::Reserved(5), b"x".to_vec(), true)]).await, 1002);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_closed_for_a_bad_frame_gives_its_place_back() {
    let world = World::make().await;
    let mut good = world.socket().await;
    for _ in 0..10 {
        assert_eq!(world.closes_with(vec![frame(Data::Binary, vec![1], true)]).await, 1003);
    }
    // With five places in all, the first socket would be gone if the ten had kept theirs.
    good.nothing_more().await;
    world.webhook.deliver(&world.replica, "hello").await;
    assert_eq!(good.content().await, "hello");
}

/// Connections that promise more than they send.
async fn dawdlers(replica: &Replica, path: &str, count: usize) -> Vec<TcpStream> {
    let halves = [
        String::new(),
        "GET /hea".to_owned(),
        "GET /health HTTP/1.1\r\nHost: a\r\n".to_owned(),
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx"),
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nx"),
        "POST /auth/register HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n{".to_owned(),
    ];
    let mut streams = Vec::new();
    for half in halves.iter().cycle().take(count) {
        let mut stream = TcpStream::connect(("127.0.0.1", replica.port())).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    streams
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_half_open_connections_cost_nobody_else_anything() {
    let world = World::make().await;
    let _slow = dawdlers(&world.replica, &world.webhook.path(), 120).await;
    let mut socket = world.socket().await;
    let started = Instant::now();
    for n in 0..20 {
        let text = format!("message {n}");
        world.webhook.deliver(&world.replica, &text).await;
        assert_eq!(socket.content().await, text);
        assert_eq!(world.replica.health().await["status"], "ok");
    }
    // Half of the shortest time for which a dawdler is waited for: nobody stood in line behind one.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_head_is_not_waited_for_beyond_ten_seconds() {
    let replica = Setup::on_redis().start().await;
    let started = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", replica.port())).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nX-A: ").await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end too; what counts is when it comes.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("an end within the deadline");
    let took = started.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(18)).contains(&took), "{took:?}");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
}
