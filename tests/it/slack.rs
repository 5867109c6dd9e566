//! Slack: an app in a workspace, its people and the agent.

mod conversations;
mod delivery;
mod edits;
mod failures;
mod limits;
mod pairing;
mod registration;
mod rendering;
mod repeats;
mod secrecy;
mod signatures;
mod strangers;
mod wrong_codes;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::{Client, expect};
use crate::support::eventually;
use crate::support::platforms::deployment::{Platforms, Registered, register};
use crate::support::platforms::slack::{Sent, Workspace};
use crate::support::platforms::{fresh_number, unix_seconds};
use crate::support::relay::{Replica, Setup};
use crate::support::socket::Socket;

/// Who may write in most scenes.
const ANA: &str = "U0ANA";
/// Who may not.
const BOB: &str = "U0BOB";

/// An app whose events come to the relay, and the agent that has it.
struct Scene {
    platforms: Platforms,
    workspace: Workspace,
    replicas: Vec<Replica>,
    client: Client,
    channel: Registered,
}

impl Scene {
    /// One replica. Nobody is let in yet.
    async fn set() -> Self {
        Self::with(|setup| setup).await
    }

    /// One replica that Ana may write to.
    async fn with_ana() -> Self {
        let scene = Self::set().await;
        scene.let_in(&[ANA]).await;
        scene
    }

    /// One replica with other settings.
    async fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let platforms = Platforms::start().await;
        let setup = change(platforms.on_redis());
        Self::on::<1>(platforms, &setup).await
    }

    /// So many replicas with this setup, behind the public address in turn.
    async fn on<const N: usize>(platforms: Platforms, setup: &Setup) -> Self {
        let replicas = Vec::from(setup.start_many::<N>().await);
        platforms.lead_to(&replicas.iter().collect::<Vec<_>>());
        let workspace = platforms.slack.workspace();
        let client = Client::register_signed(&replicas[0]).await;
        let channel = register(&client, &replicas[0], "slack", credentials(&workspace)).await;
        workspace.subscribe(channel.answer["eventsUrl"].as_str().unwrap()).await.unwrap();
        Self { platforms, workspace, replicas, client, channel }
    }

    fn relay(&self) -> &Replica {
        &self.replicas[0]
    }

    /// Where events come to one of the replicas.
    fn events_url(&self, replica: usize) -> String {
        format!("{}/slack/{}", self.replicas[replica].url(), self.channel.id)
    }

    /// Changes the channel's settings.
    async fn change(&self, settings: Value) -> Value {
        let path = format!("/channels/{}", self.channel.id);
        expect(self.client.send(self.relay(), Method::PATCH, &path, &settings).await, 200).await
    }

    /// Lets these people in, and nobody else.
    async fn let_in(&self, people: &[&str]) {
        self.change(json!({"metadata": {"allowedUsers": people}})).await;
    }

    /// A new pairing code.
    async fn new_code(&self) -> String {
        let path = format!("/channels/{}/pairing-code", self.channel.id);
        let answer = expect(self.client.post(self.relay(), &path, &json!({})).await, 200).await;
        answer["pairingCode"].as_str().unwrap().to_owned()
    }

    /// Somebody says something, and the relay takes every event that makes; gives the message's own.
    async fn says(&self, person: &str, place: &str, thread: Option<&str>, text: &str) -> Value {
        let event = self.workspace.says(person, place, thread, text);
        for delivery in self.workspace.deliver_all(&event).await {
            let delivery = delivery.accepted();
            assert_eq!(delivery.statuses(), [Some(200)], "taken at the first attempt");
        }
        event
    }

    /// A mention of the bot followed by a text.
    fn at_bot(&self, text: &str) -> String {
        format!("<@{}> {text}", self.workspace.bot_user)
    }

    /// Every message that reached the agent.
    async fn messages(&self) -> Vec<Value> {
        self.client.poll_all(self.relay()).await
    }

    /// The last message that reached the agent, which must be the only one or have as many before it.
    async fn message_after(&self, before: usize) -> Value {
        let mut messages = self.messages().await;
        assert_eq!(messages.len(), before + 1, "{messages:#?}");
        messages.pop().unwrap()
    }

    /// A socket that is sent nothing of what came before.
    async fn socket(&self) -> Socket {
        let since = self.client.poll(self.relay(), "").await["since"].as_str().unwrap().to_owned();
        self.client.open(self.relay(), &format!("&since={since}")).await
    }

    /// The agent answers a message as clients do; gives the response's id.
    async fn answer(&self, message: &Value, text: &str) -> String {
        self.reply(json!({"content": text, "replyTo": message["id"], "metadata": message["metadata"]})).await
    }

    /// The agent replies on this channel; gives the response's id.
    async fn reply(&self, mut body: Value) -> String {
        body["channelId"] = self.channel.id.as_str().into();
        let ack = expect(self.client.post(self.relay(), "/reply", &body).await, 200).await;
        ack["responseId"].as_str().unwrap().to_owned()
    }

    /// A reply on this channel that is refused with this status; gives the refusal.
    async fn refused_reply(&self, mut body: Value, status: u16) -> Value {
        body["channelId"] = self.channel.id.as_str().into();
        expect(self.client.post(self.relay(), "/reply", &body).await, status).await
    }

    /// What became of a reply, once nothing more will.
    async fn outcome(&self, response: &str) -> Value {
        eventually("the reply is delivered or has failed", || async {
            let status = expect(self.client.get(self.relay(), &format!("/replies/{response}")).await, 200).await;
            ["delivered", "failed"].iter().any(|end| status["status"] == *end).then_some(status)
        })
        .await
    }

    /// The reply must arrive.
    async fn delivered(&self, response: &str) {
        let outcome = self.outcome(response).await;
        assert_eq!(outcome["status"], "delivered", "{outcome}");
    }

    /// The channel as its owner sees it.
    async fn view(&self) -> Value {
        let answer = expect(self.client.get(self.relay(), "/channels").await, 200).await;
        let channels = answer["channels"].as_array().unwrap();
        channels.iter().find(|channel| channel["id"] == self.channel.id.as_str()).unwrap().clone()
    }

    /// Whoever may write.
    async fn allowed(&self) -> Value {
        self.view().await["metadata"]["allowedUsers"].clone()
    }

    /// Waits until so many messages of the bot are to be seen; gives them all, and there must be no more.
    async fn sent(&self, count: usize) -> Vec<Sent> {
        let sent = self.platforms.slack.wait_for_sent(count).await;
        assert_eq!(sent.len(), count, "{sent:#?}");
        sent
    }

    /// An event in an envelope of its own.
    fn envelope(&self, event: &Value) -> Value {
        json!({
            "type": "event_callback", "token": "x", "team_id": self.workspace.team, "api_app_id": "A1",
            "event_id": format!("Ev{:08}", fresh_number()), "event_time": unix_seconds(), "event": event,
        })
    }
}

/// What registering the app takes.
fn credentials(workspace: &Workspace) -> Value {
    json!({"botToken": workspace.token, "signingSecret": workspace.signing_secret})
}
