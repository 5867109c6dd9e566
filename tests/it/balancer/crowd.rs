//! Everybody who uses a relay at once and all the time, while its replicas go and come.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::client::{Client, Webhook, contents};
use crate::support::eventually;
use crate::support::relay::Replica;
use crate::support::traffic::assert_in_order;

/// Pause of a sender between two posts: a session keeps 500 messages, and no test wants to outrun that.
const PAUSE: Duration = Duration::from_millis(150);
/// Pause of a caller whose request failed.
const RETRY: Duration = Duration::from_millis(100);
/// Sockets of each session: so few that those of a dead replica, whose places are free only later, leave room for new
/// ones.
const SOCKETS: usize = 2;
/// What ends a session's part.
const LAST: &str = "the last";

/// How the sessions' requests and sockets may end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promise {
    /// Every request is answered 200, and sockets are closed with 1012 alone.
    NothingFails,
    /// What was under way when a replica died may be cut off, or be answered for it by the balancer.
    UnderWayMayFail,
}

/// Sessions, each with a sender, a poller and sockets.
pub struct Crowd {
    sessions: Vec<(Client, Webhook)>,
    promise: Promise,
    is_over: AtomicBool,
    acknowledged: AtomicUsize,
}

/// What the crowd went through.
pub struct Story {
    /// When sockets were closed, and with which code.
    pub closed: Vec<(Instant, u16)>,
    /// Requests that failed, of each caller.
    pub failures: Vec<usize>,
}

impl Crowd {
    /// Registers so many sessions.
    pub async fn gather(front: &Replica, sessions: usize, promise: Promise) -> Self {
        let register = async || {
            let client = Client::register(front).await;
            let webhook = client.make_webhook(front, json!({})).await;
            (client, webhook)
        };
        let sessions = join_all((0..sessions).map(|_| register())).await;
        Self { sessions, promise, is_over: AtomicBool::new(false), acknowledged: AtomicUsize::new(0) }
    }

    /// Lets everybody come to an end.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether everybody is to come to an end.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Waits until the senders are a few rounds further.
    pub async fn goes_on(&self) {
        let acknowledged = || self.acknowledged.load(Ordering::Relaxed);
        let wanted = acknowledged() + 5 * self.sessions.len();
        eventually("posts are acknowledged", || async { (acknowledged() >= wanted).then_some(()) }).await;
    }

    /// Sends, polls and listens until the end, and makes sure that everything acknowledged arrived, in order and
    /// once, at the poller and at every socket of its session.
    pub async fn live(&self, front: &Replica) -> Story {
        let sessions = self.sessions.iter().enumerate().map(async |(n, (client, webhook))| {
            let sockets = join_all((0..SOCKETS).map(|_| self.listen(front, client)));
            let (sent, polled, heard) = tokio::join!(self.send(front, n, webhook), self.poll(front, client), sockets);
            let ((acknowledged, send_failures), (polled, poll_failures)) = (sent, polled);
            assert_in_order(&polled);
            let texts = contents(&polled);
            let arrived: Vec<_> = texts.iter().filter(|text| acknowledged.iter().any(|it| it == *text)).collect();
            assert_eq!(arrived, acknowledged.iter().collect::<Vec<_>>(), "lost or out of order");
            if self.promise == Promise::NothingFails {
                assert_eq!(polled.len(), acknowledged.len(), "what nobody sent");
            }
            let mut closed = Vec::new();
            for (heard, ends) in heard {
                assert_eq!(contents(&heard), texts, "a socket and the poll differ");
                closed.extend(ends);
            }
            (closed, [send_failures, poll_failures])
        });
        let stories = join_all(sessions).await;
        Story {
            closed: stories.iter().flat_map(|(closed, _)| closed.clone()).collect(),
            failures: stories.iter().flat_map(|(_, failures)| *failures).collect(),
        }
    }

    /// Notes that a request failed, if that may be: its connection broke, or the balancer says that the replica's did.
    fn excuse(&self, failures: &mut usize, what: &str, how: Result<Response, reqwest::Error>) {
        assert_eq!(self.promise, Promise::UnderWayMayFail, "{what} failed: {how:?}");
        let status = how.as_ref().map(Response::status).ok();
        assert!(status.is_none_or(|status| status == 502 || status == 503), "{what} failed: {how:?}");
        *failures += 1;
    }

    /// Posts one text after the other. Gives those that were acknowledged, and how many posts failed.
    async fn send(&self, front: &Replica, session: usize, webhook: &Webhook) -> (Vec<String>, usize) {
        let http = reqwest::Client::new();
        let (mut acknowledged, mut failures) = (Vec::new(), 0);
        loop {
            let is_last = self.is_over();
            let n = acknowledged.len() + failures;
            let text = if is_last { LAST.to_owned() } else { format!("message {n} of session {session}") };
            let request = http.post(format!("{}{}", front.url(), webhook.path())).header("Content-Type", "text/plain");
            match request.body(text.clone()).send().await {
                Ok(answer) if answer.status() == 200 => {
                    acknowledged.push(text);
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    if is_last {
                        return (acknowledged, failures);
                    }
                }
                other => self.excuse(&mut failures, "a post", other),
            }
            sleep(PAUSE).await;
        }
    }

    /// Polls one page after the other, waiting for each. Gives all messages, and how many polls failed.
    async fn poll(&self, front: &Replica, client: &Client) -> (Vec<Value>, usize) {
        let (mut all, mut failures, mut since) = (Vec::<Value>::new(), 0, None);
        while all.last().is_none_or(|message| message["content"] != LAST) {
            let query = since.as_ref().map(|since| format!("&since={since}")).unwrap_or_default();
            let request = client.request(front, Method::GET, &format!("/messages?wait=25{query}"), b"");
            let page: Value = match request.send().await {
                Ok(answer) if answer.status() == 200 => answer.json().await.unwrap(),
                other => {
                    self.excuse(&mut failures, "a poll", other);
                    sleep(RETRY).await;
                    continue;
                }
            };
            all.extend(page["messages"].as_array().unwrap().iter().cloned());
            since = Some(page["since"].as_str().unwrap().to_owned());
        }
        (all, failures)
    }

    /// Holds a socket and, when it is closed, opens another that goes on after what came last. Gives all messages,
    /// and when and how sockets were closed.
    async fn listen(&self, front: &Replica, client: &Client) -> (Vec<Value>, Vec<(Instant, u16)>) {
        let (mut all, mut closed) = (Vec::<Value>::new(), Vec::new());
        loop {
            let since = all.last().map_or("1970-01-01T00:00:00.000Z", |last| last["timestamp"].as_str().unwrap());
            let mut socket = client.open(front, &format!("&since={since}")).await;
            let code = loop {
                match socket.next().await {
                    Ok(frame) => {
                        assert_eq!(frame["type"], "message", "{frame}");
                        all.push(frame["message"].clone());
                        if frame["message"]["content"] == LAST {
                            return (all, closed);
                        }
                    }
                    Err(code) => break code,
                }
            };
            let may_break = self.promise == Promise::UnderWayMayFail;
            assert!(code == 1012 || (code == 1006 && may_break), "closed with {code}");
            closed.push((Instant::now(), code));
        }
    }
}
