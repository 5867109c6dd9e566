//! Calls to real sockets on this machine.

mod standin;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::json;
use standin::{OK, answering, closing_after, hanging, platform, read};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::*;
use crate::channels::api::Method;
use crate::domain::channel::ChannelKind;

const TOKEN: &str = "12:s3cr3t-t0ken";

/// Longer than anything here takes that does not hang.
const SOON: Duration = Duration::from_secs(5);

fn client(call_timeout: Duration) -> ApiClient {
    ApiClient::start(ApiClientSettings { call_timeout, ..ApiClientSettings::default() }).unwrap()
}

fn call(platform: ChannelKind, url: impl Into<SecretString>) -> ApiCall {
    ApiCall::new(platform, "test", Method::Get, url)
}

async fn slack(client: &ApiClient, url: &str) -> Result<ApiAnswer, CallError> {
    timeout(SOON, client.call(call(ChannelKind::Slack, url))).await.expect("the call ends")
}

/// The words for a call that failed.
async fn why(client: &ApiClient, url: &str) -> String {
    match slack(client, url).await {
        Err(CallError::Unreachable(why)) => why,
        other => panic!("{other:?}"),
    }
}

async fn until(holds: impl Fn() -> bool) {
    let waited = timeout(SOON, async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("it comes to hold");
}

#[tokio::test]
async fn a_call_is_sent_as_described_and_its_answer_given_back() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::clone(&seen);
    let url = platform(move |mut stream| {
        let requests = Arc::clone(&requests);
        async move {
            while let Some(request) = read(&mut stream).await {
                requests.lock().unwrap().push(request);
                let answer = "HTTP/1.1 429 Slow down\r\nRetry-After: 3\r\nX-Odd: caf\u{e9}\r\n\
                    Transfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n";
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let client = client(SOON);
    let body = json!({"text": "hé"});
    let post = ApiCall::new(ChannelKind::Slack, "test", Method::Post, format!("{url}/api/chat.postMessage?a=b"))
        .authorization("Bearer", &TOKEN.into())
        .json(&body);
    let answer = client.call(post).await.unwrap();
    assert_eq!((answer.status, answer.json()), (429, json!({"a": 1})));
    assert_eq!(answer.header("retry-after"), Some("3"));
    assert_eq!(answer.header("x-odd"), Some("caf\u{e9}"));

    for (method, name) in [(Method::Get, "GET"), (Method::Patch, "PATCH"), (Method::Delete, "DELETE")] {
        let own = ApiCall::new(ChannelKind::Slack, "test", method, format!("{url}/x")).header("User-Agent", "own/1");
        assert_eq!(client.call(own).await.unwrap().status, 429);
        let request = seen.lock().unwrap().pop().unwrap();
        assert!(request.starts_with(&format!("{name} /x HTTP/1.1\r\n")), "{request}");
        assert!(request.contains("\r\nuser-agent: own/1\r\n") && !request.contains("chaos-relay"), "{request}");
        assert!(!request.contains("content-type"), "{request}");
    }
    let request = seen.lock().unwrap().pop().unwrap();
    assert!(request.starts_with("POST /api/chat.postMessage?a=b HTTP/1.1\r\n"), "{request}");
    for header in [
        format!("authorization: Bearer {TOKEN}"),
        "content-type: application/json; charset=utf-8".to_owned(),
        format!("content-length: {}", body.to_string().len()),
        format!("user-agent: chaos-relay/{}", env!("CARGO_PKG_VERSION")),
        "accept-encoding: identity".to_owned(),
        format!("host: {}", url.strip_prefix("http://").unwrap()),
    ] {
        assert!(request.contains(&format!("\r\n{header}\r\n")), "{header} in {request}");
    }
    assert!(request.ends_with(&body.to_string()), "{request}");
}

#[tokio::test]
async fn a_platform_that_does_not_answer_in_time_is_given_up() {
    let client = client(Duration::from_millis(300));
    let (silent, _) = hanging().await;
    let stalled = answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok").await;
    for url in [silent, stalled] {
        let began = Instant::now();
        assert_eq!(why(&client, &url).await, "the platform did not answer within 0.3 seconds");
        assert!((Duration::from_millis(300)..Duration::from_secs(2)).contains(&began.elapsed()));
    }
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_given_up() {
    let (silent, _) = hanging().await;
    let settings = ApiClientSettings { connect_timeout: Duration::from_millis(200), call_timeout: SOON };
    let client = ApiClient::start(settings).unwrap();
    // The silent server takes the connection and leaves the handshake of TLS to itself.
    let why = why(&client, &silent.replace("http:", "https:")).await;
    assert_eq!(why, "the platform took no connection within 0.2 seconds");
}

#[tokio::test]
async fn what_breaks_a_call_is_told_in_words() {
    let client = client(SOON);
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(why(&client, &format!("http://{free}/")).await, "the platform refused the connection");

    let resets = platform(|mut stream| async move {
        read(&mut stream).await;
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let closes = platform(|mut stream| async move { drop(read(&mut stream).await) });
    let stops = platform(|mut stream| async move {
        read(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok").await.unwrap();
    });
    for url in [resets.await, closes.await, stops.await] {
        assert_eq!(why(&client, &url).await, "the platform broke off the connection");
    }
    let url = answering("hello\r\n\r\n").await;
    assert_eq!(why(&client, &url).await, "the platform's answer is not HTTP");
    let answers_plainly = platform(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 This is no TLS\r\n\r\n").await;
        sleep(Duration::from_millis(100)).await;
    });
    let plain = answers_plainly.await.replace("http:", "https:");
    assert_eq!(why(&client, &plain).await, "no secure connection to the platform could be made");
    let unknown = format!("http://{}.invalid/", "a".repeat(70));
    assert_eq!(why(&client, &unknown).await, "the platform's name could not be looked up");
}

#[tokio::test]
async fn an_answer_may_be_as_large_as_the_call_says_and_no_larger() {
    let client = client(SOON);
    let declared = |size: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{}", "x".repeat(size));
    let chunked = |size: usize| {
        let chunks = format!("a\r\n{}\r\n", "x".repeat(10)).repeat(size / 10);
        let rest = size % 10;
        let last = if rest > 0 { format!("{rest:x}\r\n{}\r\n", "x".repeat(rest)) } else { String::new() };
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{last}0\r\n\r\n")
    };
    for (answer, size) in [(declared(1000), 1000), (chunked(1000), 1000), (declared(1001), 1001), (chunked(1001), 1001)]
    {
        let url = answering(answer).await;
        let answer = client.call(call(ChannelKind::Email, url).max_body(1000)).await;
        if size == 1000 {
            assert_eq!(answer.unwrap().body.len(), size);
        } else {
            assert_eq!(answer.unwrap_err(), CallError::TooLarge(1000));
        }
    }
    let two_mib = 2 * 1024 * 1024;
    assert_eq!(slack(&client, &answering(declared(two_mib)).await).await.unwrap().body.len(), two_mib);
    assert!(slack(&client, &answering(declared(two_mib + 1)).await).await.is_err());
}

#[tokio::test]
async fn a_redirect_is_given_back_and_not_followed() {
    let (elsewhere, visits) = hanging().await;
    let location = format!("{elsewhere}/next");
    let url = answering(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")).await;
    let answer = slack(&client(SOON), &url).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (302, Some(location.as_str())));
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_platform_that_hangs_delays_no_other() {
    let client = client(Duration::from_secs(60));
    let (dead, open) = hanging().await;
    let mut waiting = JoinSet::new();
    for _ in 0..40 {
        let (client, url) = (client.clone(), dead.clone());
        waiting.spawn(async move { client.call(call(ChannelKind::Slack, url)).await });
    }
    until(|| open.load(Ordering::SeqCst) == UNDER_WAY).await;
    let alive = answering(OK).await;
    for platform in [ChannelKind::Telegram, ChannelKind::Discord, ChannelKind::Email] {
        let began = Instant::now();
        assert_eq!(client.call(call(platform, alive.as_str())).await.unwrap().status, 200);
        assert!(began.elapsed() < Duration::from_secs(1));
    }
    assert_eq!(open.load(Ordering::SeqCst), UNDER_WAY);
    assert!(waiting.try_join_next().is_none());
}

#[tokio::test]
async fn beyond_its_places_a_platform_is_busy_at_once_and_alone() {
    let client = client(Duration::from_millis(1500));
    let (dead, open) = hanging().await;
    let mut calls = JoinSet::new();
    for _ in 0..UNDER_WAY + WAITING {
        let (client, url) = (client.clone(), dead.clone());
        calls.spawn(async move { client.call(call(ChannelKind::Slack, url)).await });
    }
    until(|| open.load(Ordering::SeqCst) == UNDER_WAY && client.places.of(ChannelKind::Slack).available_permits() == 0)
        .await;
    let began = Instant::now();
    let alive = answering(OK).await;
    assert_eq!(slack(&client, &alive).await.unwrap_err(), CallError::Busy);
    assert!(began.elapsed() < Duration::from_millis(500));
    assert_eq!(client.call(call(ChannelKind::Telegram, alive.as_str())).await.unwrap().status, 200);

    // The wait for a place is part of the time: no row of calls takes longer than one.
    let ended = timeout(SOON, calls.join_all()).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(3));
    assert!(ended.iter().all(Result::is_err));
    assert_eq!(slack(&client, &alive).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_broken_off() {
    let client = client(Duration::from_secs(60));
    let (dead, open) = hanging().await;
    let mut calls = JoinSet::new();
    for _ in 0..UNDER_WAY + WAITING {
        let (client, url) = (client.clone(), dead.clone());
        calls.spawn(async move { client.call(call(ChannelKind::Slack, url)).await });
    }
    until(|| open.load(Ordering::SeqCst) == UNDER_WAY).await;
    calls.shutdown().await;
    until(|| open.load(Ordering::SeqCst) == 0).await;
    let alive = answering(OK).await;
    assert_eq!(slack(&client, &alive).await.unwrap().status, 200);
}

#[tokio::test]
async fn no_error_names_the_token() {
    let (silent, _) = hanging().await;
    let client = client(Duration::from_millis(300));
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nonsense = answering(format!("HTTP/1.1 {TOKEN}\r\n\r\n")).await;
    for url in [
        format!("{silent}/bot{TOKEN}/getMe"),
        format!("http://{free}/bot{TOKEN}/getMe"),
        format!("http://{TOKEN}@{free}/"),
        format!("{nonsense}/bot{TOKEN}/getMe"),
        format!("http://a b/bot{TOKEN}"),
        format!("ftp://127.0.0.1/bot{TOKEN}"),
        format!("/bot{TOKEN}/getMe"),
        format!("http://127.0.0.1:99999/bot{TOKEN}"),
        format!("http://{}.invalid/bot{TOKEN}", "a".repeat(70)),
        format!("https://{free}/bot{TOKEN}\r\nx"),
        String::new(),
    ] {
        let call = call(ChannelKind::Telegram, url.as_str()).authorization("Bearer", &TOKEN.into());
        let debug = format!("{call:?}");
        let error = timeout(SOON, client.call(call)).await.unwrap().unwrap_err();
        for text in [debug, format!("{error:?}"), error.to_string()] {
            assert!(!text.contains("s3cr3t") && !text.contains("/bot"), "{url}: {text}");
        }
    }
}

#[tokio::test]
async fn what_is_no_url_or_header_cannot_be_sent() {
    let client = client(SOON);
    let url = answering(OK).await;
    for bad in ["", "no url", "/path", "ftp://127.0.0.1/", "http://", "http://a b/", "http://127.0.0.1:99999/"] {
        assert!(why(&client, bad).await.contains("cannot be sent"), "{bad}");
    }
    for (name, value) in [("X-A", "a\r\nX-B: b"), ("X-A", "a\0"), ("X A", "a"), ("", "a")] {
        let error = client.call(call(ChannelKind::Slack, url.as_str()).header(name, value)).await.unwrap_err();
        assert!(error.to_string().contains("cannot be sent"), "{name:?}: {error}");
    }
    assert_eq!(slack(&client, &url).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let client = client(SOON);
    let (url, made) = closing_after(100).await;
    for _ in 0..5 {
        assert_eq!(slack(&client, &url).await.unwrap().body, "ok");
    }
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_closed_between_calls_is_replaced_unnoticed() {
    let client = client(SOON);
    let (url, made) = closing_after(1).await;
    for number in 1..=5 {
        assert_eq!(slack(&client, &url).await.unwrap().body, "ok");
        assert_eq!(made.load(Ordering::SeqCst), number);
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_thread_ends_with_the_last_caller() {
    let client = client(SOON);
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ended);
    let url = platform(move |mut stream| {
        let ended = Arc::clone(&counted);
        async move {
            while read(&mut stream).await.is_some() {
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
            ended.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let other = client.clone();
    assert_eq!(slack(&client, &url).await.unwrap().status, 200);
    drop(client);
    assert_eq!(slack(&other, &url).await.unwrap().status, 200);
    sleep(Duration::from_millis(50)).await;
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    drop(other);
    until(|| ended.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_work_on_any_thread() {
    fn is_shareable<T: Clone + Send + Sync + 'static>(_: &T) {}
    let client = client(SOON);
    is_shareable(&client);
    let url = answering(OK).await.replace("127.0.0.1", "localhost");
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (client, url) = (client.clone(), url.clone());
        calls.spawn(async move { client.call(call(ChannelKind::Slack, url)).await.unwrap().status });
    }
    assert_eq!(calls.join_all().await, [200; 100]);
}
