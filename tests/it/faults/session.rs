//! A session: a caller that posts one message after the other and repeats each until it is acknowledged, and those who
//! receive them by sockets or polls.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;

use super::watch::Watch;
use crate::support::client::{Client, Webhook, contents};
use crate::support::relay::Replica;
use crate::support::socket::Socket;

/// How long a caller waits for an answer: the longest poll, and whatever is broken meanwhile.
pub const PATIENCE: Duration = Duration::from_secs(40);
/// How long a poll waits for a message, in seconds: so long that one which is not woken does not look well.
const POLL_WAITS: u32 = 25;
/// Before every message.
const EPOCH: &str = "1970-01-01T00:00:00.000Z";

/// How a session receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    Socket,
    Poll,
}

/// One message, from the caller's side.
#[derive(Clone, Copy)]
pub struct Post {
    /// When it was tried first.
    pub begun: Instant,
    pub acknowledged: Option<Instant>,
}

pub struct Session {
    name: usize,
    client: Client,
    webhook: Webhook,
    /// By their numbers.
    posts: Mutex<Vec<Post>>,
    receivers: Vec<Receiver>,
}

/// A socket, opened again whenever it is closed, or a poll.
struct Receiver {
    way: Way,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// When each message came first, by their numbers.
    at: Vec<Instant>,
    ids: HashSet<String>,
    /// The timestamp of the last one.
    since: Option<String>,
}

impl Session {
    pub async fn register(front: &Replica, name: usize, is_signed: bool, ways: &[Way]) -> Self {
        let client = if is_signed { Client::register_signed(front).await } else { Client::register(front).await };
        let webhook = client.make_webhook(front, json!({})).await;
        let receivers = ways.iter().map(|way| Receiver { way: *way, heard: Mutex::default() }).collect();
        Self { name, client, webhook, posts: Mutex::default(), receivers }
    }

    /// How many receivers it has.
    pub fn ways(&self) -> usize {
        self.receivers.len()
    }

    /// Posts until the end.
    pub async fn send(&self, front: &Replica, watch: &Watch, pause: Duration) {
        let http = reqwest::Client::new();
        let url = format!("{}{}", front.url(), self.webhook.path());
        for number in 0.. {
            // Not all at the same moment.
            sleep(pause.mul_f64(0.75 + 0.5 * f64::from(getrandom::u32().unwrap()) / f64::from(u32::MAX))).await;
            if watch.is_over() {
                return;
            }
            self.posts.lock().unwrap().push(Post { begun: Instant::now(), acknowledged: None });
            loop {
                let began = Instant::now();
                let request = http.post(&url).timeout(PATIENCE).header("Content-Type", "text/plain");
                let request = request.header("Idempotency-Key", format!("{}-{number}", self.name));
                let how = request.body(format!("message {number}")).send().await;
                if watch.answered("a webhook", began, how).await.is_some() {
                    break;
                }
            }
            self.posts.lock().unwrap()[number].acknowledged = Some(Instant::now());
        }
    }

    /// Receives for ever by one of its ways.
    pub async fn receive(&self, front: &Replica, watch: &Watch, receiver: usize) {
        let receiver = &self.receivers[receiver];
        match receiver.way {
            Way::Socket => self.listen(front, watch, receiver).await,
            Way::Poll => self.poll(front, watch, receiver).await,
        }
    }

    async fn poll(&self, front: &Replica, watch: &Watch, receiver: &Receiver) {
        loop {
            let path = format!("/messages?wait={POLL_WAITS}&since={}", receiver.since());
            let began = Instant::now();
            let how = self.client.request(front, Method::GET, &path, b"").timeout(PATIENCE).send().await;
            let Some(answer) = watch.answered("a poll", began, how).await else { continue };
            let Ok(page) = answer.json::<Value>().await else {
                assert!(watch.now().0.breaks_off, "a page broke off");
                continue;
            };
            for message in page["messages"].as_array().unwrap() {
                receiver.hears(watch, message);
            }
        }
    }

    async fn listen(&self, front: &Replica, watch: &Watch, receiver: &Receiver) {
        loop {
            let url = format!("{}/ws?token={}&since={}", front.ws_url(), self.client.api_key, receiver.since());
            let mut stream = match Socket::try_open(&url).await {
                Ok(socket) => socket.into_inner(),
                Err((status, body)) => {
                    watch.not_opened(status, &body).await;
                    continue;
                }
            };
            let code = loop {
                match stream.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let frame: Value = serde_json::from_str(&text).unwrap();
                        assert_eq!(frame["type"], "message", "{frame}");
                        receiver.hears(watch, &frame["message"]);
                    }
                    Some(Ok(Message::Close(frame))) => break frame.map_or(1005, |frame| frame.code.into()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break 1006,
                }
            };
            watch.closed(code);
        }
    }

    /// When everybody had something that was posted after this moment; `None` if that is still to come.
    pub fn was_served_after(&self, moment: Instant) -> Option<Instant> {
        let number = {
            let posts = self.posts.lock().unwrap();
            posts.iter().position(|post| post.begun >= moment && post.acknowledged.is_some())?
        };
        let heard_at = |receiver: &Receiver| receiver.heard.lock().unwrap().at.get(number).copied();
        let times: Option<Vec<Instant>> = self.receivers.iter().map(heard_at).collect();
        times?.into_iter().max()
    }

    /// The messages that were under way at some time between these moments, each with when it was heard first.
    pub fn under_way(&self, from: Instant, to: Instant) -> Vec<(Post, Instant)> {
        let posts = self.posts.lock().unwrap();
        let of = |receiver: &Receiver| {
            let heard = receiver.heard.lock().unwrap();
            let all = posts.iter().copied().zip(heard.at.iter().copied());
            all.filter(|(post, heard)| post.begun <= to && *heard >= from).collect::<Vec<_>>()
        };
        self.receivers.iter().flat_map(of).collect()
    }

    /// Whether everybody has heard everything. It is known to have come in order and once.
    pub fn has_heard_all(&self) -> bool {
        let count = self.posts.lock().unwrap().len();
        self.receivers.iter().all(|receiver| receiver.heard.lock().unwrap().at.len() == count)
    }

    /// How many messages were acknowledged, which must be what is kept: each once, in order.
    pub async fn is_complete(&self, front: &Replica) -> usize {
        let posts = self.posts.lock().unwrap().clone();
        assert!(posts.iter().all(|post| post.acknowledged.is_some()), "all were acknowledged in the end");
        let expected: Vec<_> = (0..posts.len()).map(|number| format!("message {number}")).collect();
        let kept = self.client.poll_all(front).await;
        assert_eq!(contents(&kept), expected, "session {}", self.name);
        posts.len()
    }
}

impl Receiver {
    /// The cursor to go on from.
    fn since(&self) -> String {
        self.heard.lock().unwrap().since.clone().unwrap_or_else(|| EPOCH.to_owned())
    }

    /// Takes a message, which must be the next one; or, if it may have been forgotten since it was pushed, one
    /// of those before, stored anew.
    fn hears(&self, watch: &Watch, message: &Value) {
        let mut heard = self.heard.lock().unwrap();
        let heard = &mut *heard;
        let text = |name: &str| message[name].as_str().unwrap().to_owned();
        assert!(heard.ids.insert(text("id")), "{:?}: twice: {message}", self.way);
        assert!(heard.since.as_ref().is_none_or(|since| *since < text("timestamp")), "out of order: {message}");
        heard.since = Some(text("timestamp"));
        let number: usize = text("content").strip_prefix("message ").unwrap().parse().unwrap();
        if number == heard.at.len() {
            heard.at.push(Instant::now());
            return;
        }
        let (fault, _) = watch.now();
        let is_excused = number < heard.at.len() && fault.forgets;
        assert!(is_excused, "{:?}: {number} came in place of {}, at {:?}", self.way, heard.at.len(), fault.name);
    }
}

/// A session and the tasks that it lives by: `send` ends when all is over, the others never do.
pub fn live(
    session: &Arc<Session>,
    front: &Arc<impl std::ops::Deref<Target = Replica> + Send + Sync + 'static>,
    watch: &Arc<Watch>,
    pause: Duration,
) -> (tokio::task::JoinHandle<()>, Vec<tokio::task::JoinHandle<()>>) {
    let receiving = (0..session.ways()).map(|receiver| {
        let (session, front, watch) = (session.clone(), front.clone(), watch.clone());
        tokio::spawn(async move { session.receive(&front, &watch, receiver).await })
    });
    let receiving = receiving.collect();
    let (session, front, watch) = (session.clone(), front.clone(), watch.clone());
    (tokio::spawn(async move { session.send(&front, &watch, pause).await }), receiving)
}
