//! Discord's interactions: how an endpoint is tried out, and what may be said to an interaction.

use std::time::Duration;

use chaos_relay::domain::event_signature::verify_discord;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::read;
use super::receiver::Receiver;
use crate::support::platforms::discord::{App, Channel, Discord, Gone, User, Way};
use crate::support::platforms::server::{Answer, Request};

/// Whether a request has the signature of this key.
fn is_signed(key: &str, request: &Request) -> bool {
    let header = |name| request.header(name).unwrap_or_default();
    verify_discord(key, header("X-Signature-Timestamp"), header("X-Signature-Ed25519"), &request.bytes).is_ok()
}

/// An application whose endpoint defers every command.
struct Scene {
    discord: Discord,
    app: App,
    channel: Channel,
    ana: User,
    receiver: Receiver,
    http: reqwest::Client,
}

impl Scene {
    async fn set() -> Self {
        Self::answering(|_| Answer::json(200, &json!({"type": 5}))).await
    }

    /// With an endpoint that answers PINGs as it must, and commands like this.
    async fn answering(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let discord = Discord::start().await;
        let (app, channel) = (discord.application("helper"), discord.channel());
        let key = app.public_key.clone();
        let receiver = Receiver::answering(move |_, request| match request.value()["type"].as_u64() {
            _ if !is_signed(&key, request) => Answer::empty(401),
            Some(1) => Answer::json(200, &json!({"type": 1})),
            _ => answer(request),
        })
        .await;
        let http = reqwest::Client::builder().user_agent("DiscordBot (https://example.com, 1.0)").build().unwrap();
        let scene = Self { discord, app, channel, ana: User::new("Ana"), receiver, http };
        let url = scene.receiver.url.clone();
        let (status, body) = read(scene.save(json!(url)).await).await;
        assert_eq!((status, &body["interactions_endpoint_url"]), (200, &json!(url)), "{body}");
        scene
    }

    async fn save(&self, url: Value) -> Response {
        let request = self.http.patch(format!("{}/applications/@me", self.discord.base_url()));
        let request = request.header("Authorization", format!("Bot {}", self.app.token));
        request.json(&json!({"interactions_endpoint_url": url})).send().await.unwrap()
    }

    async fn say(&self, method: Method, token: &str, rest: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/webhooks/{}/{token}{rest}", self.discord.base_url(), self.app.id);
        read(self.http.request(method, url).json(body).send().await.unwrap()).await
    }

    async fn edit(&self, token: &str, content: &str) -> (u16, Value) {
        self.say(Method::PATCH, token, "/messages/@original", &json!({"content": content})).await
    }

    async fn follow_up(&self, token: &str, content: &str) -> (u16, Value) {
        self.say(Method::POST, token, "", &json!({"content": content})).await
    }
}

#[tokio::test]
async fn an_endpoint_is_saved_only_if_it_tells_good_signatures_from_bad_ones() {
    let scene = Scene::set().await;
    assert_eq!(scene.app.endpoint().as_deref(), Some(scene.receiver.url.as_str()));
    let probes: Vec<_> = scene.app.probes().iter().map(|probe| (probe.is_signed, probe.status)).collect();
    assert_eq!(probes, [(true, Some(200)), (false, Some(401))]);

    let pong = || Answer::json(200, &json!({"type": 1}));
    let credulous = Receiver::answering(move |_, _| pong()).await;
    let suspicious = Receiver::with_statuses(&[401, 401]).await;
    let mute = Receiver::willing().await;
    let text = Receiver::answering(|_, _| Answer::text(200, "text/plain", "{\"type\":1}")).await;
    for wrong in [&credulous.url, &suspicious.url, &mute.url, &text.url, "http://127.0.0.1:1/x", "nonsense"] {
        let (status, body) = read(scene.save(json!(wrong)).await).await;
        assert_eq!((status, &body["code"]), (400, &json!(50035)), "{wrong}");
        assert!(body["errors"]["interactions_endpoint_url"]["_errors"][0]["code"].is_string(), "{body}");
    }
    assert_eq!(scene.app.endpoint().as_deref(), Some(scene.receiver.url.as_str()), "the one before stays");
    assert!(!scene.app.probes().last().unwrap().is_passed);
    assert_eq!(scene.save(json!("")).await.status(), 200);
    assert_eq!(scene.app.endpoint(), None);
}

#[tokio::test]
async fn an_interaction_is_signed_and_shows_where_it_was_made() {
    let scene = Scene::set().await;
    let asked = scene.app.asks(&scene.ana, &scene.channel, "hello").await;
    assert_eq!((asked.status(), asked.response()), (Some(200), json!({"type": 5})));
    assert!(asked.elapsed() < Duration::from_secs(3));
    let received = scene.receiver.requests().pop().unwrap();
    assert!(is_signed(&scene.app.public_key, &received));
    assert_eq!(received.value(), asked.body);
    assert_eq!(asked.body["member"]["user"]["id"], scene.ana.id.as_str());
    assert_eq!(asked.body["data"]["options"][0], json!({"name": "message", "type": 3, "value": "hello"}));

    let direct = scene.discord.direct_channel();
    let asked = scene.app.asks(&scene.ana, &direct, "hello").await;
    assert_eq!((asked.body.get("member"), asked.body.get("guild_id")), (None, None));
    assert_eq!(asked.body["user"]["username"], "ana");

    let again = scene.app.interact(&asked.body).await;
    assert_eq!((again.id, again.token), (asked.id, asked.token), "the same can come twice");
}

#[tokio::test]
async fn a_deferred_answer_is_edited_and_followed_up() {
    let scene = Scene::set().await;
    let token = scene.app.asks(&scene.ana, &scene.channel, "hello").await.token;
    assert_eq!(scene.edit(&token, "").await.1["code"], 50006);
    assert_eq!(scene.edit(&token, &"x".repeat(2001)).await.1["code"], 50035);
    let (status, original) = scene.edit(&token, "answer").await;
    assert_eq!((status, &original["content"]), (200, &json!("answer")));
    let (_, edited) = scene.edit(&token, "better <@1> @everyone").await;
    assert_eq!(edited["id"], original["id"]);
    let (_, further) = scene.follow_up(&token, "more").await;
    assert_ne!(further["id"], original["id"]);

    let sent = scene.discord.sent();
    let ways: Vec<_> = sent.iter().map(|sent| (sent.way, sent.content.as_str())).collect();
    assert_eq!(ways, [(Way::Original, "answer"), (Way::Original, "better <@1> @everyone"), (Way::FollowUp, "more")]);
    assert_eq!(sent[1].pings, ["users"], "answers to interactions never ping everyone");
    assert!(sent.iter().all(|sent| sent.channel == scene.channel.id));
}

#[tokio::test]
async fn a_follow_up_before_the_answer_becomes_the_answer() {
    let scene = Scene::set().await;
    let token = scene.app.asks(&scene.ana, &scene.channel, "hello").await.token;
    let (_, first) = scene.follow_up(&token, "first").await;
    let (_, second) = scene.follow_up(&token, "second").await;
    assert_ne!(first["id"], second["id"]);
    let ways: Vec<_> = scene.discord.sent().iter().map(|sent| sent.way).collect();
    assert_eq!(ways, [Way::Original, Way::FollowUp]);
    let (_, edited) = scene.edit(&token, "changed").await;
    assert_eq!(edited["id"], first["id"]);
}

#[tokio::test]
async fn a_token_is_good_for_its_application_and_for_15_minutes() {
    let scene = Scene::set().await;
    let token = scene.app.asks(&scene.ana, &scene.channel, "hello").await.token;
    assert_eq!(scene.edit("wrong", "x").await.1["code"], 10015);
    let url = format!("{}/webhooks/1/{token}", scene.discord.base_url());
    assert_eq!(read(scene.http.post(url).json(&json!({"content": "x"})).send().await.unwrap()).await.0, 404);
    assert_eq!(scene.edit(&token, "x").await.0, 200);
    for (gone, status, code) in [(Gone::InvalidToken, 401, 50027), (Gone::UnknownWebhook, 404, 10015)] {
        scene.discord.expire_interactions(gone);
        let (actual, body) = scene.edit(&token, "late").await;
        assert_eq!((actual, &body["code"]), (status, &json!(code)));
        assert_eq!(scene.follow_up(&token, "late").await.0, status);
    }
    assert_eq!(scene.discord.sent().len(), 1);
}

#[tokio::test]
async fn an_answer_at_once_is_shown_and_one_that_is_none_voids_the_token() {
    let shown = Scene::answering(|request| match request.value()["data"]["options"][0]["value"].as_str() {
        Some("private") => Answer::json(200, &json!({"type": 4, "data": {"content": "for you", "flags": 64}})),
        Some("late") => Answer::empty(503),
        Some("empty") => Answer::json(200, &json!({"type": 4, "data": {"content": ""}})),
        _ => Answer::json(200, &json!({"type": 99})),
    })
    .await;
    shown.app.asks(&shown.ana, &shown.channel, "private").await;
    let sent = shown.discord.sent().pop().unwrap();
    assert_eq!((sent.way, sent.content.as_str(), sent.is_ephemeral), (Way::Response, "for you", true));
    for wrong in ["late", "empty", "nonsense"] {
        let token = shown.app.asks(&shown.ana, &shown.channel, wrong).await.token;
        assert_eq!(shown.edit(&token, "x").await.0, 404, "{wrong}");
    }
    assert_eq!(shown.discord.sent().len(), 1);
}

#[tokio::test]
async fn a_deferral_can_make_the_answer_private() {
    let scene = Scene::answering(|_| Answer::json(200, &json!({"type": 5, "data": {"flags": 64}}))).await;
    let token = scene.app.asks(&scene.ana, &scene.channel, "hello").await.token;
    scene.edit(&token, "for you").await;
    assert!(scene.discord.sent()[0].is_ephemeral);
}

#[tokio::test]
#[should_panic(expected = "no answer within 3s")]
async fn an_endpoint_that_is_slower_than_3_seconds_fails_the_test() {
    let scene = Scene::set().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    scene.app.interact_at(&url, &scene.app.command(&scene.ana, &scene.channel, "chat", &[])).await;
}

#[tokio::test]
async fn events_of_the_gateway_are_forwarded_as_they_are() {
    let scene = Scene::set().await;
    let forwarded = Receiver::willing().await;
    let message = scene.app.message(&scene.ana, &scene.channel, "hi");
    let attempt = scene.app.forward(&forwarded.url, &json!({"t": "MESSAGE_CREATE", "d": message})).await;
    assert!(attempt.is_accepted());
    assert_eq!(forwarded.bodies()[0]["d"]["author"]["username"], "ana");
    assert_eq!(forwarded.requests()[0].header("X-Signature-Ed25519"), None);

    let ping = json!({"version": 1, "application_id": scene.app.id, "type": 0}).to_string();
    scene.app.post(&forwarded.url, &ping).await;
    assert!(is_signed(&scene.app.public_key, &forwarded.requests()[1]));
}
