//! Everything that users and an operator do, all the time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_tungstenite::tungstenite::Message;

use crate::support::balancer::Balancer;
use crate::support::client::{Client, Webhook, expect};
use crate::support::operator::Operator;

/// Sessions that stay. Each keeps 500 messages, which fill up in the first minute.
const USERS: usize = 200;
/// Callers that post, each to its own users, one message after the other.
const CALLERS: usize = 16;
/// Every so many-th user has a socket, and every so many-th signs.
const SOCKET_EVERY: usize = 5;
const SIGNED_EVERY: usize = 20;
/// One message of so many has an idempotency key, is followed by a poll, or by a reply and a poll of the responses.
const KEY_EVERY: usize = 50;
const POLL_EVERY: usize = 60;
const REPLY_EVERY: usize = 100;
/// Pauses of those who change channels, come and go for good, and look at the operator's pages.
const CHANGES: Duration = Duration::from_millis(100);
const NEWCOMERS: Duration = Duration::from_millis(200);
const GLANCES: Duration = Duration::from_secs(1);
/// Longest part of a message that is only there to fill it, in bytes.
const FILLING: usize = 400;

struct User {
    client: Client,
    webhook: Webhook,
    /// How many messages were acknowledged.
    taken: AtomicUsize,
    /// Where its last poll ended.
    since: Mutex<Option<String>>,
}

struct World {
    front: Balancer,
    users: Vec<User>,
    operator: Operator,
    is_over: AtomicBool,
    sockets: AtomicUsize,
}

/// Traffic that flows until it is ended.
pub struct Traffic {
    world: Arc<World>,
    tasks: Vec<JoinHandle<()>>,
}

impl Traffic {
    pub async fn start(front: Balancer) -> Self {
        let register = async |n: usize| {
            let client = match n % SIGNED_EVERY {
                0 => Client::register_signed(&front).await,
                _ => Client::register(&front).await,
            };
            let webhook = client.make_webhook(&front, json!({})).await;
            User { client, webhook, taken: AtomicUsize::new(0), since: Mutex::default() }
        };
        let users = join_all((0..USERS).map(register)).await;
        let operator = Operator::log_in(&front).await;
        let (is_over, sockets) = (AtomicBool::new(false), AtomicUsize::new(0));
        let world = Arc::new(World { front, users, operator, is_over, sockets });
        let mut tasks = Vec::new();
        for n in 0..CALLERS {
            let world = world.clone();
            tasks.push(tokio::spawn(async move { world.post(n).await }));
        }
        for n in (0..USERS).step_by(SOCKET_EVERY) {
            let world = world.clone();
            tasks.push(tokio::spawn(async move { world.listen(n).await }));
        }
        let all = world.clone();
        tasks.push(tokio::spawn(async move { all.change_channels().await }));
        let all = world.clone();
        tasks.push(tokio::spawn(async move { all.come_and_go().await }));
        let all = world.clone();
        tasks.push(tokio::spawn(async move { all.glance().await }));
        Self { world, tasks }
    }

    /// How many messages were acknowledged.
    pub fn taken(&self) -> usize {
        self.world.users.iter().map(|user| user.taken.load(Ordering::Relaxed)).sum()
    }

    /// How many sockets were opened.
    pub fn sockets(&self) -> usize {
        self.world.sockets.load(Ordering::Relaxed)
    }

    /// Fails if somebody gave up; why, they have said themselves.
    pub fn is_at_work(&self) {
        assert!(!self.tasks.iter().any(JoinHandle::is_finished), "somebody met a failure");
    }

    /// Ends it, and makes sure that each session keeps its newest messages.
    pub async fn end(self) {
        self.world.is_over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("nobody met a failure");
        }
        for user in &self.world.users {
            let taken = user.taken.load(Ordering::Relaxed);
            let kept = user.client.poll_all(&self.world.front).await;
            let numbers: Vec<_> = kept.iter().map(number_of).collect();
            assert!(numbers.len() >= taken.min(500), "{} of {taken} are kept", numbers.len());
            assert!(numbers.iter().copied().eq(taken - numbers.len()..taken), "{numbers:?} of {taken}");
        }
    }
}

fn number_of(message: &Value) -> usize {
    message["content"].as_str().unwrap().split(' ').next().unwrap().parse().unwrap()
}

impl World {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Posts to one of its users after the other, as chance will have it: what they keep is not to rise and fall together,
    /// since Redis trims by the hundred. Lets some of them poll and reply.
    async fn post(&self, caller: usize) {
        let http = reqwest::Client::new();
        let users: Vec<_> = self.users.iter().skip(caller).step_by(CALLERS).collect();
        let chance = |most: usize| getrandom::u32().unwrap() as usize % most;
        for count in caller.. {
            if !self.goes_on() {
                return;
            }
            let user = users[chance(users.len())];
            let number = user.taken.load(Ordering::Relaxed);
            let text = format!("{number} {}", "x".repeat(chance(FILLING)));
            let mut request = http.post(format!("{}{}", self.front.url(), user.webhook.path()));
            if count.is_multiple_of(KEY_EVERY) {
                request = request.header("Idempotency-Key", number.to_string());
            }
            request = match count % 4 {
                0 => request.json(&text),
                _ => request.header("Content-Type", "text/plain").body(text),
            };
            expect(request.send().await.unwrap(), 200).await;
            user.taken.fetch_add(1, Ordering::Relaxed);
            if count.is_multiple_of(POLL_EVERY) {
                self.poll(user).await;
            }
            if count.is_multiple_of(REPLY_EVERY) {
                self.reply(&http, user, number).await;
            }
        }
    }

    /// Polls from where it was last.
    async fn poll(&self, user: &User) {
        let since = user.since.lock().unwrap().clone();
        let query = since.map(|since| format!("&since={since}")).unwrap_or_default();
        let page = user.client.poll(&self.front, &format!("?limit=20{query}")).await;
        *user.since.lock().unwrap() = page["since"].as_str().map(str::to_owned);
    }

    /// Replies, and whoever asked looks for answers.
    async fn reply(&self, http: &reqwest::Client, user: &User, number: usize) {
        user.client.reply(&self.front, &user.webhook.id, &format!("I have read {number}.")).await;
        let url = format!("{}/responses/{}?token={}", self.front.url(), user.webhook.id, user.webhook.secret);
        expect(http.get(url).send().await.unwrap(), 200).await;
    }

    /// Opens a socket, listens for a while and leaves, with a word or without, again and again. What it is sent goes
    /// on where the last one ended.
    async fn listen(&self, n: usize) {
        let user = &self.users[n];
        let (mut since, mut last) = (None::<String>, None::<usize>);
        while self.goes_on() {
            let query = since.as_ref().map(|since| format!("&since={since}")).unwrap_or_default();
            let mut stream = user.client.open(&self.front, &query).await.into_inner();
            let opened = self.sockets.fetch_add(1, Ordering::Relaxed);
            let end = Instant::now() + Duration::from_millis(500 + (opened * 271 % 4000) as u64);
            while let Ok(frame) = timeout_at(end, stream.next()).await {
                let Some(Ok(frame)) = frame else { panic!("a socket was closed: {frame:?}") };
                let Message::Text(text) = frame else { continue };
                let frame: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(frame["type"], "message", "{frame}");
                let number = number_of(&frame["message"]);
                assert!(last.is_none_or(|last| number == last + 1), "{number} after {last:?}");
                last = Some(number);
                since = Some(frame["message"]["timestamp"].as_str().unwrap().to_owned());
            }
            if opened.is_multiple_of(2) {
                let _ = stream.close(None).await;
            }
        }
    }

    /// Renames channels.
    async fn change_channels(&self) {
        for count in 0.. {
            if !self.goes_on() {
                return;
            }
            let user = &self.users[count % USERS];
            let change = json!({"name": format!("channel {count}"), "prompt": "p".repeat(count % 500)});
            let path = format!("/channels/{}", user.webhook.id);
            expect(user.client.send(&self.front, Method::PATCH, &path, &change).await, 200).await;
            sleep(CHANGES).await;
        }
    }

    /// Registers, is sent something, and goes: by deleting its channels, or by the operator's hand. Nothing stays.
    async fn come_and_go(&self) {
        while self.goes_on() {
            let newcomer = Client::register_signed(&self.front).await;
            let webhooks = [
                newcomer.make_webhook(&self.front, json!({})).await,
                newcomer.make_webhook(&self.front, json!({})).await,
            ];
            for webhook in &webhooks {
                webhook.deliver(&self.front, "welcome").await;
            }
            let path = format!("/channels/{}", webhooks[0].id);
            expect(newcomer.send(&self.front, Method::DELETE, &path, &json!({})).await, 200).await;
            let path = format!("/admin/sessions/{}", newcomer.user_id);
            let answer = self.operator.request(&self.front, Method::DELETE, &path).send().await.unwrap();
            expect(answer, 200).await;
            sleep(NEWCOMERS).await;
        }
    }

    /// Looks at the operator's pages.
    async fn glance(&self) {
        for count in 0.. {
            if !self.goes_on() {
                return;
            }
            let user = &self.users[count % USERS].client.user_id;
            for path in ["/admin", "/admin/status", &format!("/admin/sessions/{user}/messages?limit=50")] {
                assert_eq!(self.operator.get(&self.front, path).await.status(), 200, "{path}");
            }
            sleep(GLANCES).await;
        }
    }
}
