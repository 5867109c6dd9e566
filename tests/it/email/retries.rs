//! Answers that the provider does not take at once.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::scene::{ANA, Scene};
use crate::support::eventually;
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::resend::Refusal;
use crate::support::platforms::{Call, Misbehaviour, Rule, unix_seconds};
use crate::support::redis::RedisServer;
use crate::support::relay::Setup;
use crate::support::secrets;

const SEND: &str = "sendEmail";

impl Scene {
    /// A mailbox on which Ana has written.
    async fn message(&self) -> Value {
        let mailbox = self.mailbox(ANA).await;
        self.hears(&mailbox.mail(ANA, "hello")).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_receipt_was_lost_is_sent_once() {
    let scene = Scene::set().await;
    let message = scene.message().await;
    scene.platforms.resend.misbehave_on(SEND, Misbehaviour::AnswerLost);
    let response = scene.answer(&message, "once").await;
    assert_eq!(scene.becomes(&response, "delivered").await["attempts"], 2);
    let calls = scene.platforms.resend.calls_of(SEND);
    assert_eq!(calls.len(), 3, "the verification mail, and the answer twice");
    let key = |n: usize| calls[n].headers["idempotency-key"].to_str().unwrap().to_owned();
    assert_eq!((key(1), &calls[1].body), (key(2), &calls[2].body));
    let sent = scene.platforms.resend.sent();
    assert_eq!(sent.iter().filter(|sent| sent.text.as_deref() == Some("once")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_failure_is_tried_again() {
    let scene = Scene::set_with(|setup| setup.with("CHAOS_DELIVERY_CALL_SECONDS", "2")).await;
    let mailbox = scene.mailbox(ANA).await;
    let refuse = |status, name| Misbehaviour::Refuse(Refusal::Error { status, name });
    let cases = [
        (Misbehaviour::ServerError(500), "500 internal_server_error"),
        (Misbehaviour::ServerError(503), "503"),
        (Misbehaviour::Reset, ""),
        (Misbehaviour::Hang, ""),
        (Misbehaviour::Slow(Duration::from_secs(4)), ""),
        (Misbehaviour::Garbage, ""),
        (refuse(409, "concurrent_idempotent_requests"), "409 concurrent_idempotent_requests"),
        (refuse(409, "resource_locked"), "409 resource_locked"),
    ];
    // Each in a thread of its own, so that none waits for another.
    let mut messages = Vec::new();
    for (behaviour, _) in &cases {
        let text = format!("{behaviour:?}");
        messages.push(scene.hears(&mailbox.mail(ANA, &text)).await);
        let is_its = move |call: &Call| call.body["text"] == text;
        scene.platforms.resend.rule(Rule::new(behaviour.clone()).on(SEND).when(is_its));
    }
    let since = messages.last().unwrap()["timestamp"].as_str().unwrap().to_owned();
    let mut socket = scene.client.open(&scene.relay, &format!("&since={since}")).await;
    let mut responses = Vec::new();
    for ((behaviour, _), message) in cases.iter().zip(&messages) {
        responses.push(scene.answer(message, &format!("{behaviour:?}")).await);
    }
    let mut frames: HashMap<String, Vec<Value>> = HashMap::new();
    for _ in 0..2 * cases.len() {
        let frame = socket.expect("delivery").await;
        frames.entry(frame["responseId"].as_str().unwrap().to_owned()).or_default().push(frame);
    }
    socket.nothing_more().await;
    let sent = scene.platforms.resend.sent();
    for ((behaviour, says), response) in cases.iter().zip(&responses) {
        let case = format!("{behaviour:?}");
        let [failed, delivered] = frames[response].as_slice() else { panic!("{case}: {frames:?}") };
        assert_eq!((&failed["status"], &failed["attempts"]), (&json!("retrying"), &json!(1)), "{case}");
        assert!(failed["error"].as_str().unwrap().contains(says), "{case}: {failed}");
        assert_eq!((&delivered["status"], &delivered["attempts"]), (&json!("delivered"), &json!(2)), "{case}");
        assert_eq!(delivered.get("error"), None, "{case}");
        assert_eq!(sent.iter().filter(|sent| sent.text.as_deref() == Some(&case)).count(), 1, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_providers_rate_limit_is_kept_to() {
    let scene = Scene::set().await;
    let message = scene.message().await;
    let retry_after = Duration::from_secs(2);
    scene.platforms.resend.misbehave_on(SEND, Misbehaviour::TooManyRequests { retry_after });
    let response = scene.answer(&message, "first").await;
    let retrying = scene.becomes(&response, "retrying").await;
    assert!(retrying["error"].as_str().unwrap().contains("429 rate_limit_exceeded"), "{retrying}");
    // What follows in the conversation waits for it.
    let second = scene.answer(&message, "second").await;
    assert_eq!(scene.becomes(&second, "delivered").await["attempts"], 1);
    assert_eq!(scene.status(&response).await["status"], "delivered");
    let calls = scene.platforms.resend.calls_of(SEND);
    let texts: Vec<_> = calls[1..].iter().map(|call| call.body["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["first", "first", "second"]);
    let waited = calls[2].at - calls[1].at;
    assert!(waited >= retry_after, "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_quota_is_tried_again_an_hour_later() {
    let server = RedisServer::start();
    let platforms = Platforms::start().await;
    let setup = platforms.known_to(Setup::on_server(&server));
    let scene = Scene::on(platforms, &setup).await;
    let (daily, monthly, other) = (scene.message().await, scene.message().await, scene.message().await);
    let mut waiting = Vec::new();
    for (message, refusal) in
        [(&daily, Refusal::DailyQuota), (&monthly, Refusal::Error { status: 429, name: "monthly_quota_exceeded" })]
    {
        scene.platforms.resend.misbehave_on(SEND, Misbehaviour::Refuse(refusal.clone()));
        let response = scene.answer(message, "waits").await;
        let retrying = scene.becomes(&response, "retrying").await;
        assert_eq!(retrying["attempts"], 1, "{refusal:?}");
        assert!(retrying["error"].as_str().unwrap().contains("quota_exceeded"), "{retrying}");
        waiting.push(response);
    }
    // Each channel is due when its reply is; scores are in milliseconds. While a channel is worked on, that is soon.
    let minutes = eventually("both are due in more than two minutes", || async {
        let due = server.cli(&["ZRANGE", "chaos:{outbox:email}:due", "0", "-1", "WITHSCORES"]);
        let scores = due.lines().skip(1).step_by(2).map(|score| score.split('.').next().unwrap());
        let seconds = scores.map(|score| score.parse::<u64>().unwrap() / 1000);
        let minutes = seconds.map(|seconds| seconds.saturating_sub(unix_seconds()) / 60);
        Some(minutes.filter(|minutes| *minutes > 2).collect::<Vec<_>>()).filter(|far| far.len() == 2)
    })
    .await;
    assert!(minutes.iter().all(|minutes| (45..=75).contains(minutes)), "{minutes:?}");

    // By the time that another channel has been refused and tried again, an ordinary wait would be over.
    let retry_after = Duration::from_secs(2);
    scene.platforms.resend.misbehave_on(SEND, Misbehaviour::TooManyRequests { retry_after });
    let after = scene.answer(&other, "goes on").await;
    assert_eq!(scene.becomes(&after, "delivered").await["attempts"], 2);
    let calls = scene.platforms.resend.calls_of(SEND);
    assert_eq!(calls.iter().filter(|call| call.body["text"] == "waits").count(), 2);
    for response in &waiting {
        assert_eq!(scene.status(response).await["status"], "retrying");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_final_and_gives_the_providers_reason_but_not_the_key() {
    let scene = Scene::set().await;
    let message = scene.message().await;
    let channel = message["channelId"].clone();
    let mut socket =
        scene.client.open(&scene.relay, &format!("&since={}", message["timestamp"].as_str().unwrap())).await;
    let key = scene.platforms.resend.key();
    let repeated: &'static str = format!("invalid_api_key ({key})").leak();
    for (status, name, says) in [
        (403, "invalid_api_key", "403 invalid_api_key"),
        (403, "suspended_api_key", "403 suspended_api_key"),
        (401, "restricted_api_key", "401 restricted_api_key"),
        (401, "missing_api_key", "401 missing_api_key"),
        (403, "validation_error", "403 validation_error"),
        (422, "invalid_parameter", "422 invalid_parameter"),
        (409, "invalid_idempotent_request", "409 invalid_idempotent_request"),
        (451, "security_error", "451 security_error"),
        (403, repeated, "403 invalid_api_key"),
    ] {
        scene.platforms.resend.misbehave_on(SEND, Misbehaviour::Refuse(Refusal::Error { status, name }));
        let response = scene.answer(&message, "refused").await;
        let frame = socket.expect("delivery").await;
        let now = scene.status(&response).await;
        for shown in [&frame, &now] {
            assert_eq!((&shown["status"], &shown["attempts"]), (&json!("failed"), &json!(1)), "{shown}");
            assert!(shown["error"].as_str().unwrap().contains(says), "{shown}");
            assert_eq!(secrets::find_in(&shown.to_string()), None, "{says}");
        }
    }
    // The key is the operator's, so the channel is not to blame.
    let channels = scene.channels().await;
    let found = channels.iter().find(|known| known["id"] == channel).unwrap();
    assert_eq!((&found["enabled"], found["metadata"].get("disabledReason")), (&json!(true), None));
    assert_eq!(scene.answered(&message, "taken").await.text.as_deref(), Some("taken"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_persons_trouble_does_not_hold_up_anothers_answer() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    scene.allow(&mailbox, &[ANA, "bob@example.com"]).await;
    let (ana, bob) =
        (scene.hears(&mailbox.mail(ANA, "hello")).await, scene.hears(&mailbox.mail("bob@example.com", "hello")).await);
    let to_ana = |call: &Call| call.body["to"] == json!([ANA]);
    scene.platforms.resend.rule(Rule::new(Misbehaviour::ServerError(500)).on(SEND).when(to_ana).always());
    let waiting = scene.answer(&ana, "to Ana").await;
    scene.becomes(&waiting, "retrying").await;
    let sent = scene.answered(&bob, "to Bob").await;
    assert_eq!(sent.to, ["bob@example.com"]);
    scene.platforms.resend.behave();
    assert!(scene.becomes(&waiting, "delivered").await["attempts"].as_u64().unwrap() >= 2);
}
