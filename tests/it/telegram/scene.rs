//! A bot that a session registered, on replicas behind one public address.

use std::path::Path;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::client::{Client, expect};
use crate::support::platforms::delivery::Attempt;
use crate::support::platforms::deployment::{Platforms, Registered, register_bot};
use crate::support::platforms::fresh_number;
use crate::support::platforms::telegram::{Bot, Person, Sent, Telegram};
use crate::support::relay::{Replica, Setup, data_dir};
use crate::support::{eventually, secrets};

/// The bot and whoever has to do with it.
pub struct Scene {
    pub platforms: Platforms,
    /// Two on Redis, one on the embedded store.
    pub replicas: Vec<Replica>,
    pub setup: Setup,
    pub client: Client,
    pub bot: Bot,
    pub channel: Registered,
    pub ana: Person,
    pub ben: Person,
    dir: Option<TempDir>,
}

/// People with these ids only serve to make the bot say something.
const PROBES: i64 = 900_000_000;

/// Reads an answer that must have this status and no secret in it.
pub async fn read(answer: Response, status: u16) -> Value {
    let value = expect(answer, status).await;
    let found = secrets::find_in(&value.to_string());
    assert_eq!(found, None, "an answer holds a secret: {value}");
    value
}

/// Reads a refusal with this status and code; gives its sentence.
pub async fn refusal(answer: Response, status: u16, code: &str) -> String {
    let value = read(answer, status).await;
    assert_eq!(value["code"], code, "{value}");
    value["error"].as_str().unwrap().to_owned()
}

impl Scene {
    /// Two replicas on Redis.
    pub async fn on_redis() -> Self {
        Self::on_redis_with(&[]).await
    }

    /// The same with other settings.
    pub async fn on_redis_with(settings: &[(&str, &str)]) -> Self {
        let platforms = Platforms::start().await;
        let setup = settings.iter().fold(platforms.on_redis(), |setup, (name, value)| setup.with(name, value));
        let replicas: [Replica; 2] = setup.start_many().await;
        Self::set(platforms, setup, replicas.into(), None).await
    }

    /// One replica on the embedded store.
    pub async fn embedded() -> Self {
        let (platforms, dir) = (Platforms::start().await, data_dir());
        let setup = platforms.embedded(dir.path());
        let replicas = vec![setup.start().await];
        Self::set(platforms, setup, replicas, Some(dir)).await
    }

    async fn set(platforms: Platforms, setup: Setup, replicas: Vec<Replica>, dir: Option<TempDir>) -> Self {
        platforms.lead_to(&replicas.iter().collect::<Vec<_>>());
        let bot = platforms.telegram.bot("helper_bot");
        let (ana, ben) = (platforms.telegram.person(500_001, "Ana"), platforms.telegram.person(500_002, "Ben"));
        let client = Client::register_signed(&replicas[0]).await;
        let channel = register_bot(&client, &replicas[0], "telegram", &bot.token).await;
        Self { platforms, replicas, setup, client, bot, channel, ana, ben, dir }
    }

    pub fn telegram(&self) -> &Telegram {
        &self.platforms.telegram
    }

    /// One replica.
    pub fn a(&self) -> &Replica {
        &self.replicas[0]
    }

    /// Another, where there is one.
    pub fn b(&self) -> &Replica {
        self.replicas.last().unwrap()
    }

    /// Where Telegram sends the bot's updates, at one replica.
    pub fn url_at(&self, replica: &Replica) -> String {
        format!("{}/telegram/{}", replica.url(), self.channel.id)
    }

    /// Where the embedded store keeps its files.
    pub fn data_dir(&self) -> &Path {
        self.dir.as_ref().expect("the store is the embedded one").path()
    }

    /// What proves an update to be Telegram's.
    pub fn secret(&self) -> String {
        self.bot.webhook().unwrap().secret.unwrap()
    }

    /// Posts an update once to a replica, as Telegram would.
    pub async fn post_to(&self, replica: &Replica, update: &Value) -> Attempt {
        self.bot.may_answer(update);
        self.bot.deliver_to(&self.url_at(replica), Some(&self.secret()), update).await
    }

    /// Lets these people write, without their having to pair.
    pub async fn allow(&self, people: &[i64]) {
        self.change(json!({"metadata": {"allowedUsers": people}})).await;
    }

    /// Changes the channel.
    pub async fn change(&self, settings: Value) {
        read(self.patch(self.a(), settings).await, 200).await;
    }

    pub async fn patch(&self, replica: &Replica, settings: Value) -> Response {
        self.client.send(replica, Method::PATCH, &format!("/channels/{}", self.channel.id), &settings).await
    }

    pub async fn delete(&self, replica: &Replica) -> Response {
        self.client.send(replica, Method::DELETE, &format!("/channels/{}", self.channel.id), &json!({})).await
    }

    /// A new pairing code.
    pub async fn new_code(&self, replica: &Replica) -> String {
        let path = format!("/channels/{}/pairing-code", self.channel.id);
        let answer = read(self.client.post(replica, &path, &json!({})).await, 200).await;
        answer["pairingCode"].as_str().unwrap().to_owned()
    }

    /// The session's channels as it sees them.
    pub async fn channels(&self) -> Vec<Value> {
        channels_of(&self.client, self.b()).await
    }

    /// Those who may write.
    pub async fn allowed(&self) -> Value {
        self.channels().await[0]["metadata"]["allowedUsers"].clone()
    }

    /// Everything that reached the client.
    pub async fn messages(&self) -> Vec<Value> {
        self.client.poll_all(self.b()).await
    }

    /// Replies to a message as the simplest client does, by its whole metadata.
    pub async fn answer(&self, message: &Value, content: &str) -> Response {
        let body = json!({"channelId": self.channel.id, "content": content, "metadata": message["metadata"]});
        self.client.post(self.b(), "/reply", &body).await
    }

    /// Waits until a reply ends; gives what `GET /replies` says of it then.
    pub async fn fate(&self, ack: &Value) -> Value {
        let path = format!("/replies/{}", ack["responseId"].as_str().unwrap());
        eventually("the reply is delivered or has failed", || async {
            let fate = read(self.client.get(self.a(), &path).await, 200).await;
            ["delivered", "failed"].iter().any(|end| fate["status"] == *end).then_some(fate)
        })
        .await
    }

    /// All that the bot has said so far. What it was about to say when this was asked has been said by then, as
    /// a rule: somebody who writes now has to be told how to pair first.
    pub async fn said(&self) -> Vec<Sent> {
        let probe = self.telegram().person(PROBES + i64::try_from(fresh_number()).unwrap(), "Probe");
        self.bot.hears(&probe, "hello").await;
        let is_told = |here: &Telegram| here.sent().iter().any(|sent| sent.chat == probe.id).then_some(());
        self.telegram().wait_for("a stranger is told how to pair", is_told).await;
        without_probes(self.telegram())
    }

    /// Waits until the bot has said so much.
    pub async fn wait_for_words(&self, count: usize) {
        let is_said = |here: &Telegram| (without_probes(here).len() >= count).then_some(());
        self.telegram().wait_for(&format!("{count} words of the bot"), is_said).await;
    }

    /// The same as chats and texts.
    pub async fn words(&self) -> Vec<(i64, String)> {
        self.said().await.into_iter().map(|sent| (sent.chat, sent.text)).collect()
    }
}

fn without_probes(telegram: &Telegram) -> Vec<Sent> {
    telegram.sent().into_iter().filter(|sent| sent.chat < PROBES).collect()
}

/// A session's channels as it sees them.
pub async fn channels_of(client: &Client, replica: &Replica) -> Vec<Value> {
    read(client.get(replica, "/channels").await, 200).await["channels"].as_array().unwrap().clone()
}
