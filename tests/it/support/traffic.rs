//! Senders that keep posting and sockets that keep listening while something goes wrong around them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use reqwest::Response;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use super::client::{Webhook, contents};
use super::relay::Replica;
use super::socket::Socket;
use super::{eventually, eventually_within};

/// Pause of a sender between two posts: a session keeps 500 messages, and no test wants to outrun that.
const PAUSE: Duration = Duration::from_millis(40);
/// By when a caller is told that the store is away. Part of the wire contract.
pub const REFUSED_WITHIN: Duration = Duration::from_secs(3);
/// By when everything is well again once the store is back. Part of the wire contract.
pub const RECOVERED_WITHIN: Duration = Duration::from_secs(5);

/// Webhooks to one channel, posted to several replicas at once until it is stopped.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    targets: Vec<Target>,
}

struct Target {
    log: Arc<Mutex<Log>>,
    sender: JoinHandle<()>,
}

#[derive(Default)]
struct Log {
    acknowledged: Vec<String>,
    refused: usize,
    unanswered: usize,
}

impl Traffic {
    /// Begins to post to each of these replicas. Every answer must be a 200 or a proper 503; connections may
    /// only break when a replica is killed, which [`Traffic::stop`] checks.
    pub fn start(webhook: &Webhook, replicas: &[&Replica]) -> Self {
        Self::start_with(webhook, replicas, PAUSE)
    }

    /// The same at a pace at which a session keeps everything for a minute.
    pub fn start_slowly(webhook: &Webhook, replicas: &[&Replica]) -> Self {
        Self::start_with(webhook, replicas, 5 * PAUSE)
    }

    fn start_with(webhook: &Webhook, replicas: &[&Replica], pause: Duration) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let stop = Arc::new(AtomicBool::new(false));
        let to_each = |replica: &&Replica| {
            let log = Arc::new(Mutex::new(Log::default()));
            let (stop, url, kept) = (stop.clone(), format!("{}{}", replica.url(), webhook.path()), log.clone());
            let sender = tokio::spawn(async move {
                let http = reqwest::Client::new();
                while !stop.load(Ordering::Relaxed) {
                    let text = format!("message {}", NEXT.fetch_add(1, Ordering::Relaxed));
                    let began = Instant::now();
                    let answer = http.post(&url).header("Content-Type", "text/plain").body(text.clone()).send().await;
                    match answer {
                        Ok(answer) if answer.status() == 200 => kept.lock().unwrap().acknowledged.push(text),
                        Ok(answer) => {
                            assert_refused(answer, began).await;
                            kept.lock().unwrap().refused += 1;
                        }
                        Err(_) => kept.lock().unwrap().unanswered += 1,
                    }
                    tokio::time::sleep(pause).await;
                }
            });
            Target { log, sender }
        };
        Self { targets: replicas.iter().map(to_each).collect(), stop }
    }

    /// Waits until every replica has acknowledged so many more.
    pub async fn acknowledged_more(&self, count: usize) {
        self.grows("more posts are acknowledged", count, |log| log.acknowledged.len()).await;
    }

    /// Waits until every replica has refused so many more.
    pub async fn refused_more(&self, count: usize) {
        self.grows("posts are refused", count, |log| log.refused).await;
    }

    async fn grows(&self, what: &str, by: usize, count: impl Fn(&Log) -> usize) {
        let counts = || self.targets.iter().map(|target| count(&target.log.lock().unwrap())).collect::<Vec<_>>();
        let before = counts();
        eventually(what, || async {
            assert!(!self.targets.iter().any(|target| target.sender.is_finished()), "a sender gave up");
            counts().iter().zip(&before).all(|(now, before)| *now >= before + by).then_some(())
        })
        .await;
    }

    /// Stops, and gives the texts that were acknowledged and how many posts had no answer at all.
    pub async fn stop(self) -> (Vec<String>, usize) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut acknowledged, mut unanswered) = (Vec::new(), 0);
        for target in self.targets {
            target.sender.await.unwrap();
            let log = std::mem::take(&mut *target.log.lock().unwrap());
            acknowledged.extend(log.acknowledged);
            unanswered += log.unanswered;
        }
        (acknowledged, unanswered)
    }
}

/// An answer must say in time, and in the agreed form, that the store is away.
pub async fn assert_refused(answer: Response, began: Instant) {
    let (status, retry) = (answer.status().as_u16(), answer.headers().get("Retry-After").cloned());
    let text = answer.text().await.unwrap();
    assert!(began.elapsed() < REFUSED_WITHIN, "{status} only after {:?}", began.elapsed());
    assert_eq!(status, 503, "{text}");
    let seconds = retry.and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    assert!(seconds.is_some_and(|seconds| (1..=60).contains(&seconds)), "Retry-After: {seconds:?}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert!(body["error"].is_string() && body["code"].is_string(), "{text}");
}

/// A socket that only listens.
pub struct Listener {
    heard: Arc<Mutex<Vec<Value>>>,
    task: JoinHandle<Option<u16>>,
}

impl Listener {
    /// Listens on a socket from now on.
    pub fn on(socket: Socket) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = heard.clone();
        let mut stream = socket.into_inner();
        let task = tokio::spawn(async move {
            while let Some(Ok(frame)) = stream.next().await {
                match frame {
                    Message::Text(text) => {
                        let frame: Value = serde_json::from_str(&text).unwrap();
                        assert_eq!(frame["type"], "message", "{frame}");
                        kept.lock().unwrap().push(frame["message"].clone());
                    }
                    Message::Close(frame) => return frame.map(|frame| frame.code.into()),
                    _ => {}
                }
            }
            None
        });
        Self { heard, task }
    }

    /// What came so far.
    pub fn heard(&self) -> Vec<Value> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until a text came.
    pub async fn hears(&self, within: Duration, text: &str) {
        let has = || self.heard.lock().unwrap().iter().any(|message| message["content"] == text);
        eventually_within(within, &format!("the socket is sent {text:?}"), || async { has().then_some(()) }).await;
    }

    /// Waits until all of these came, and makes sure that they came once and in order, on a socket that
    /// was never closed.
    pub async fn heard_all(&self, texts: &[String]) {
        eventually("the socket was sent everything", || async {
            let heard = self.heard();
            let heard = contents(&heard);
            texts.iter().all(|text| heard.contains(&text.as_str())).then_some(())
        })
        .await;
        assert_in_order(&self.heard());
        assert!(!self.task.is_finished(), "the socket was closed");
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Messages must have strictly increasing timestamps, which also means that none is there twice.
pub fn assert_in_order(messages: &[Value]) {
    for pair in messages.windows(2) {
        let at = |n: usize| pair[n]["timestamp"].as_str().unwrap();
        assert!(at(0) < at(1), "{} is followed by {}", pair[0], pair[1]);
    }
    let ids: std::collections::HashSet<_> = messages.iter().map(|message| message["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), messages.len(), "a message is there twice");
}

/// Messages must hold all of these texts.
pub fn assert_has_all(messages: &[Value], texts: &[String]) {
    let contents: std::collections::HashSet<_> = contents(messages).into_iter().collect();
    let missing: Vec<_> = texts.iter().filter(|text| !contents.contains(text.as_str())).collect();
    assert!(missing.is_empty(), "acknowledged and lost: {missing:?}");
}
