//! What Slack refuses, what a message looks like, and how events come.

use chaos_relay::domain::event_signature::verify_slack;
use chaos_relay::domain::timestamp::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::read;
use super::receiver::Receiver;
use crate::support::platforms::server::{Answer, Request};
use crate::support::platforms::slack::{Slack, Workspace, signature};
use crate::support::secrets;

struct Scene {
    slack: Slack,
    workspace: Workspace,
    channel: String,
    http: reqwest::Client,
}

impl Scene {
    async fn set() -> Self {
        let slack = Slack::start().await;
        let workspace = slack.workspace();
        let channel = workspace.channel();
        Self { slack, workspace, channel, http: reqwest::Client::new() }
    }

    fn url(&self, method: &str) -> String {
        format!("{}/{method}", self.slack.base_url())
    }

    async fn call(&self, method: &str, body: Value) -> Value {
        let request = self.http.post(self.url(method)).bearer_auth(&self.workspace.token);
        let request = request.header("Content-Type", "application/json; charset=utf-8").body(body.to_string());
        let (status, body) = read(request.send().await.unwrap()).await;
        assert_eq!(status, 200, "errors come with 200 too");
        body
    }

    async fn post(&self, body: Value) -> Value {
        self.call("chat.postMessage", body).await
    }

    /// An app whose events go to this endpoint, which answers the challenge as it must.
    async fn subscribe(&self, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Receiver {
        let receiver = Receiver::answering(move |_, request| match request.value()["challenge"].as_str() {
            Some(challenge) => Answer::text(200, "text/plain", challenge),
            None => answer(request),
        })
        .await;
        self.workspace.subscribe(&receiver.url).await.unwrap();
        receiver
    }
}

#[tokio::test]
async fn only_a_token_in_its_place_opens_the_api() {
    let scene = Scene::set().await;
    let (url, token) = (scene.url("auth.test"), &scene.workspace.token);
    let form = "application/x-www-form-urlencoded";
    let requests = [
        (scene.http.post(&url).bearer_auth(token), None),
        (scene.http.post(&url).header("Content-Type", form).body(format!("token={token}")), None),
        (scene.http.post(&url), Some("not_authed")),
        (scene.http.post(format!("{url}?token={token}")), Some("not_authed")),
        (scene.http.post(&url).bearer_auth("xoxb-wrong"), Some("invalid_auth")),
        (scene.http.post(scene.url("no.such")).bearer_auth(token), Some("unknown_method")),
        (
            scene.http.post(&url).bearer_auth(token).header("Content-Type", "text/plain").body("x"),
            Some("invalid_post_type"),
        ),
        (scene.http.post(&url).bearer_auth(token).body("x"), Some("missing_post_type")),
        (
            scene.http.post(&url).bearer_auth(token).header("Content-Type", "application/json").body("{"),
            Some("invalid_json"),
        ),
        (scene.http.post(&url).bearer_auth(token).json(&json!([])), Some("json_not_object")),
    ];
    for (request, error) in requests {
        let (status, body) = read(request.send().await.unwrap()).await;
        assert_eq!((status, body["error"].as_str(), &body["ok"]), (200, error, &json!(error.is_none())), "{body}");
    }
    let me = scene.call("auth.test", json!({})).await;
    assert_eq!((&me["team_id"], &me["user_id"]), (&json!(scene.workspace.team), &json!(scene.workspace.bot_user)));
    let warned = scene.http.post(&url).bearer_auth(token).json(&json!({})).send().await.unwrap();
    assert_eq!(read(warned).await.1["warning"], "missing_charset");
    for secret in [token, &scene.workspace.signing_secret] {
        assert!(secrets::find_in(secret).is_some(), "it is known as a secret");
    }
    scene.workspace.revoke();
    assert_eq!(scene.call("auth.test", json!({})).await["error"], "invalid_auth");
}

#[tokio::test]
async fn a_post_needs_a_channel_a_text_and_the_root_of_a_thread() {
    let scene = Scene::set().await;
    let (left, archived) = (scene.workspace.channel(), scene.workspace.channel());
    scene.workspace.leave(&left);
    scene.workspace.archive(&archived);
    let channel = &scene.channel;
    let refused = [
        (json!({"text": "x"}), "channel_not_found"),
        (json!({"channel": "C1", "text": "x"}), "channel_not_found"),
        (json!({"channel": 5, "text": "x"}), "invalid_arguments"),
        (json!({"channel": left, "text": "x"}), "not_in_channel"),
        (json!({"channel": archived, "text": "x"}), "is_archived"),
        (json!({"channel": channel}), "no_text"),
        (json!({"channel": channel, "text": " "}), "no_text"),
        (json!({"channel": channel, "text": "x", "thread_ts": "1.000001"}), "cannot_reply_to_message"),
        (json!({"channel": channel, "text": "x", "thread_ts": 1.5}), "invalid_arguments"),
    ];
    for (body, error) in refused {
        assert_eq!(scene.post(body.clone()).await["error"], error, "{body}");
    }
    let root = scene.workspace.says("U1", channel, None, "question");
    let reply = scene.post(json!({"channel": channel, "text": "*answer*", "thread_ts": root["ts"]})).await;
    assert_eq!((&reply["ok"], &reply["message"]["thread_ts"]), (&json!(true), &root["ts"]));
    let to_a_reply = json!({"channel": channel, "text": "x", "thread_ts": reply["ts"]});
    assert_eq!(scene.post(to_a_reply).await["error"], "cannot_reply_to_message");
    let elsewhere = json!({"channel": scene.workspace.channel(), "text": "x", "thread_ts": root["ts"]});
    assert_eq!(scene.post(elsewhere).await["error"], "cannot_reply_to_message");

    let sent = scene.slack.sent();
    assert_eq!((sent.len(), sent[0].thread.as_deref(), sent[0].text.as_str()), (1, root["ts"].as_str(), "*answer*"));
    let status = json!({"channel_id": channel, "thread_ts": root["ts"], "status": "is thinking"});
    assert_eq!(scene.call("assistant.threads.setStatus", status).await["ok"], true);
    let status = json!({"channel_id": channel, "thread_ts": "1.0", "status": ""});
    assert_eq!(scene.call("assistant.threads.setStatus", status).await["error"], "invalid_thread_ts");
}

#[tokio::test]
async fn a_post_is_shown_with_its_length_and_its_mentions() {
    let scene = Scene::set().await;
    let direct = scene.workspace.direct_messages("U1");
    let text = |count: usize| json!({"channel": "U1", "text": "é".repeat(count)});
    assert_eq!(scene.post(text(4000)).await["channel"], direct.as_str(), "a person's id opens the direct messages");
    scene.post(text(4001)).await;
    let body = scene.post(text(40_001)).await;
    assert_eq!(body["message"]["text"].as_str().unwrap().chars().count(), 40_000);
    scene.post(json!({"channel": "U1", "text": "&lt;!here&gt; <https://x|y> <!channel> <@U1>"})).await;
    let sent = scene.slack.sent();
    let lengths: Vec<_> = sent.iter().map(|sent| sent.is_too_long).collect();
    assert_eq!(lengths, [false, true, true, false]);
    assert_eq!(sent[3].pings, ["<!channel>", "<@U1>"]);

    let request = scene.http.post(scene.url("chat.postMessage")).bearer_auth(&scene.workspace.token);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    request.body("channel=U1&text=a+form").send().await.unwrap();
    assert_eq!(scene.slack.wait_for_sent(5).await[4].text, "a form");
}

#[tokio::test]
async fn an_event_is_signed_and_sent_again_with_the_same_id() {
    let scene = Scene::set().await;
    let receiver = scene.subscribe(|_| Answer::empty(500)).await;
    let event = scene.workspace.says("U1", &scene.channel, None, "hi");
    let mut delivery = scene.workspace.deliver(&event).await;
    assert_eq!(delivery.statuses(), [Some(500), Some(500)], "the first retry comes at once");
    for _ in 0..3 {
        scene.workspace.retry(&mut delivery).await;
    }
    assert_eq!(delivery.attempts.len(), 4, "three retries, and no more");

    let secret = SecretString::from(scene.workspace.signing_secret.clone());
    for (number, request) in receiver.requests().iter().skip(1).enumerate() {
        let header = |name| request.header(name).unwrap_or_default();
        let (timestamp, signature) = (header("X-Slack-Request-Timestamp"), header("X-Slack-Signature"));
        verify_slack(&secret, timestamp, signature, &request.bytes, Timestamp::now()).unwrap();
        let retry = (number > 0).then(|| number.to_string());
        assert_eq!(request.header("x-slack-retry-num"), retry.as_deref());
        assert_eq!(request.header("x-slack-retry-reason"), retry.as_ref().map(|_| "http_error"));
        assert_eq!(request.value()["event_id"], delivery.id.as_str());
    }
}

#[tokio::test]
async fn a_receiver_can_say_that_an_event_is_not_to_be_sent_again() {
    let scene = Scene::set().await;
    let receiver = scene.subscribe(|_| Answer::empty(403).with("x-slack-no-retry", 1)).await;
    let event = scene.workspace.says("U1", &scene.channel, None, "hi");
    let mut delivery = scene.workspace.deliver(&event).await;
    scene.workspace.retry(&mut delivery).await;
    assert_eq!(delivery.statuses(), [Some(403)]);
    assert_eq!(receiver.requests().len(), 2, "the challenge and one attempt");
}

#[tokio::test]
async fn an_endpoint_must_answer_the_challenge() {
    let scene = Scene::set().await;
    let mute = Receiver::willing().await;
    scene.workspace.subscribe(&mute.url).await.unwrap_err();
    let forms: [fn(&str) -> Answer; 3] = [
        |challenge| Answer::text(200, "text/plain", challenge),
        |challenge| Answer::text(200, "application/x-www-form-urlencoded", &format!("challenge={challenge}")),
        |challenge| Answer::json(200, &json!({"challenge": challenge})),
    ];
    for form in forms {
        let receiver =
            Receiver::answering(move |_, request| form(request.value()["challenge"].as_str().unwrap())).await;
        scene.workspace.subscribe(&receiver.url).await.unwrap();
    }
}

#[tokio::test]
async fn one_message_can_make_two_events_and_the_bots_own_come_back() {
    let scene = Scene::set().await;
    let receiver = scene.subscribe(|_| Answer::empty(200)).await;
    let text = format!("<@{}> hi", scene.workspace.bot_user);
    let event = scene.workspace.says("U1", &scene.channel, None, &text);
    let deliveries = scene.workspace.deliver_all(&event).await;
    assert!(deliveries.iter().all(|delivery| delivery.is_accepted()));
    let bodies = &receiver.bodies()[1..];
    let kinds: Vec<_> = bodies.iter().map(|body| body["event"]["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "app_mention"]);
    assert_ne!(bodies[0]["event_id"], bodies[1]["event_id"]);
    assert_eq!(bodies[0]["event"]["ts"], bodies[1]["event"]["ts"]);

    let direct = scene.workspace.direct_messages("U1");
    let event = scene.workspace.says("U1", &direct, None, &text);
    assert_eq!(scene.workspace.deliver_all(&event).await.len(), 1);

    scene.post(json!({"channel": scene.channel, "text": "mine"})).await;
    scene.workspace.echo(&scene.slack.sent()[0]).await.accepted();
    let echo = receiver.bodies().pop().unwrap();
    assert_eq!((&echo["event"]["user"], &echo["event"]["text"]), (&json!(scene.workspace.bot_user), &json!("mine")));
    assert!(echo["event"]["bot_id"].is_string());

    let edit = scene.workspace.edits(&event, "better");
    scene.workspace.deliver(&edit).await.accepted();
    let edit = &receiver.bodies().pop().unwrap()["event"];
    assert_eq!((&edit["subtype"], &edit["message"]["ts"]), (&json!("message_changed"), &event["ts"]));
    assert_ne!(edit["ts"], event["ts"]);

    let limited = json!({"token": "x", "type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1});
    assert!(scene.workspace.post(&receiver.url, limited).await.is_accepted());
}

#[test]
fn slacks_own_example_is_signed_alike() {
    let body = r#"{"type":"url_verification","challenge":"abc"}"#;
    let expected = "v0=0af59a2093209bf5fd729275f78b68ca1fd0f5cde475f4e9b5b24207db57d1bb";
    assert_eq!(signature("0123456789abcdef0123456789abcdef", "1700000000", body), expected);
}
