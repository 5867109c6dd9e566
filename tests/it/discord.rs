//! Discord: an application, the people who use its commands or write where it is, and the agent.

mod deletion;
mod follow_ups;
mod forwarded;
mod interactions;
mod limits;
mod odd_events;
mod pairing;
mod pairing_limits;
mod questions;
mod refusals;
mod registration;
mod replies;
mod signatures;
mod splitting;

use serde_json::{Value, json};

use crate::support::client::{Client, expect};
use crate::support::platforms::Call;
use crate::support::platforms::delivery::Attempt;
use crate::support::platforms::deployment::{Platforms, Registered, register_bot};
use crate::support::platforms::discord::{App, Channel, Discord, Interaction, User};
use crate::support::relay::{Replica, Setup};
use crate::support::socket::Socket;
use crate::support::{eventually, secrets};

/// What Discord shows as "thinking…".
const DEFERRED: &str = r#"{"type":5}"#;

/// A registered application and a channel that its bot is in. The agent is at replica `a`; what people do
/// reaches replica `b`.
struct Scene {
    a: Replica,
    b: Replica,
    platforms: Platforms,
    app: App,
    room: Channel,
    ana: User,
    client: Client,
    channel: Registered,
}

impl Scene {
    /// In which Ana has paired.
    async fn set() -> Self {
        Self::with(|setup| setup).await
    }

    /// The same with other settings.
    async fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let scene = Self::without_pairing(change).await;
        scene.pairs(&scene.ana).await;
        scene
    }

    /// In which nobody has paired.
    async fn without_pairing(change: impl FnOnce(Setup) -> Setup) -> Self {
        let platforms = Platforms::start().await;
        let [a, b] = change(platforms.on_redis()).start_many().await;
        platforms.lead_to(&[&b]);
        let app = platforms.discord.application("helper");
        let room = platforms.discord.channel();
        app.joins(&room);
        let client = Client::register(&a).await;
        let channel = register_bot(&client, &a, "discord", &app.token).await;
        assert_eq!(channel.answer.get("warning"), None);
        Self { a, b, platforms, app, room, ana: User::new("Ana"), client, channel }
    }

    fn discord(&self) -> &Discord {
        &self.platforms.discord
    }

    /// One more channel that the bot is in.
    fn another_room(&self) -> Channel {
        let room = self.discord().channel();
        self.app.joins(&room);
        room
    }

    /// `/pair <code>` of somebody in the room.
    async fn tries(&self, user: &User, code: &str) -> Interaction {
        self.app.interact(&self.app.command(user, &self.room, "pair", &[("code", code)])).await
    }

    /// Lets somebody pair who has the code, with a new one if it is used up.
    async fn pairs(&self, user: &User) {
        let path = format!("/channels/{}/pairing-code", self.channel.id);
        let code = expect(self.client.post(&self.a, &path, &json!({})).await, 200).await;
        let paired = self.tries(user, code["pairingCode"].as_str().unwrap()).await;
        assert!(privately(&paired).contains("You are paired."), "{paired:?}");
    }

    /// `/chat <text>`, which must be taken; with the message that it became. That is there as soon as Discord has
    /// its answer.
    async fn asks(&self, user: &User, room: &Channel, text: &str) -> (Interaction, Value) {
        let asked = self.app.asks(user, room, text).await;
        assert_deferred(&asked);
        let message = self.messages().await.pop().unwrap();
        assert_eq!(message["content"], text);
        (asked, message)
    }

    /// A message in a channel, forwarded as the gateway shows it; with the message that it became.
    async fn writes(&self, user: &User, room: &Channel, text: &str) -> (Value, Value) {
        let written = self.app.message(user, room, text);
        self.forwards(&json!({"t": "MESSAGE_CREATE", "d": written})).await;
        let message = self.messages().await.pop().unwrap();
        assert_eq!(message["metadata"]["messageId"], written["id"]);
        (written, message)
    }

    /// Forwards an event of the gateway, which must be taken.
    async fn forwards(&self, event: &Value) {
        let attempt = self.app.forward(&self.events_url().await, event).await;
        assert_eq!((attempt.status, attempt.json()), (Some(200), json!({"ok": true})), "{event}");
    }

    /// The channel as its owner sees it.
    async fn view(&self) -> Value {
        let answer = expect(self.client.get(&self.a, "/channels").await, 200).await;
        let all = answer["channels"].as_array().unwrap();
        all.iter().find(|channel| channel["id"] == self.channel.id.as_str()).unwrap().clone()
    }

    /// Changes the channel.
    async fn patch(&self, changes: Value) {
        let path = format!("/channels/{}", self.channel.id);
        expect(self.client.send(&self.a, reqwest::Method::PATCH, &path, &changes).await, 200).await;
    }

    /// Where events of the gateway are forwarded to.
    async fn events_url(&self) -> String {
        let url = self.view().await["metadata"]["eventsUrl"].as_str().unwrap().to_owned();
        secrets::note(url.split_once("?secret=").unwrap().1);
        url
    }

    /// The channel's address at a replica.
    fn url_at(&self, replica: &Replica) -> String {
        format!("{}/discord/{}", replica.url(), self.channel.id)
    }

    /// Everything that reached the agent.
    async fn messages(&self) -> Vec<Value> {
        self.client.poll_all(&self.a).await
    }

    async fn socket(&self) -> Socket {
        self.client.open(&self.a, "").await
    }

    /// Replies on the channel; gives the id of the response.
    async fn replies(&self, reply: Value) -> String {
        self.replies_at(&self.a, reply).await
    }

    /// The same at some replica.
    async fn replies_at(&self, replica: &Replica, mut reply: Value) -> String {
        reply["channelId"] = self.channel.id.as_str().into();
        let ack = expect(self.client.post(replica, "/reply", &reply).await, 200).await;
        ack["responseId"].as_str().unwrap().to_owned()
    }

    /// What became of a reply so far.
    async fn status(&self, response: &str) -> Value {
        expect(self.client.get(&self.a, &format!("/replies/{response}")).await, 200).await
    }

    /// Waits until a reply has come to its end.
    async fn end_of(&self, response: &str) -> Value {
        eventually("the reply is delivered or has failed", || async {
            let status = self.status(response).await;
            ["delivered", "failed"].contains(&status["status"].as_str().unwrap()).then_some(status)
        })
        .await
    }

    /// Waits until a reply is delivered.
    async fn delivered(&self, response: &str) {
        let end = self.end_of(response).await;
        assert_eq!(end["status"], "delivered", "{end}");
    }

    /// Waits until a reply has failed; says why.
    async fn failed(&self, response: &str) -> String {
        let end = self.end_of(response).await;
        assert_eq!(end["status"], "failed", "{end}");
        end["error"].as_str().unwrap().to_owned()
    }

    /// Replies, and waits until that is delivered.
    async fn says(&self, reply: Value) {
        let response = self.replies(reply).await;
        self.delivered(&response).await;
    }

    /// What was said to a command and taken, each as `<call> <content>`.
    fn answers_to(&self, asked: &Interaction) -> Vec<String> {
        let said = |call: &Call| {
            let is_answer = call.path.contains(&asked.token) && call.answered == Some(200);
            is_answer.then(|| format!("{} {}", call.name, call.body["content"].as_str().unwrap()))
        };
        self.discord().calls().iter().filter_map(said).collect()
    }
}

/// Makes sure that "thinking…" is shown.
#[track_caller]
fn assert_deferred(asked: &Interaction) {
    assert_eq!((asked.status(), asked.attempt.body.as_str()), (Some(200), DEFERRED), "{asked:?}");
}

/// What only the person who used the command is shown.
#[track_caller]
fn privately(asked: &Interaction) -> String {
    private_text(&asked.attempt)
}

/// The same of any answer to an interaction.
#[track_caller]
fn private_text(attempt: &Attempt) -> String {
    let response = attempt.json();
    assert_eq!((attempt.status, &response["type"]), (Some(200), &json!(4)), "{attempt:?}");
    assert_eq!(response["data"]["flags"], 64, "others see it too: {response}");
    response["data"]["content"].as_str().unwrap().to_owned()
}
