//! What does not pass: a token that is no longer good ends the channel, anything else the one reply.

use std::time::Duration;

use serde_json::json;

use super::{ANA, Scene};
use crate::support::platforms::slack::Refusal;
use crate::support::platforms::{Misbehaviour, Rule};

const POST: &str = "chat.postMessage";

fn refuse(word: &'static str) -> Misbehaviour<Refusal> {
    Misbehaviour::Refuse(Refusal::Error(word))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_no_longer_good_disables_the_channel() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &direct, None, "hi").await;
    let mut socket = scene.socket().await;
    let words = ["invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"];
    for (before, word) in words.into_iter().enumerate() {
        scene.platforms.slack.misbehave_on(POST, refuse(word));
        let response = scene.reply(json!({"content": "hello"})).await;
        let frame = socket.expect("delivery").await;
        assert_eq!((&frame["responseId"], &frame["status"]), (&json!(response), &json!("failed")), "{word}: {frame}");
        assert!(frame["error"].as_str().unwrap().contains(word), "{frame}");
        let outcome = scene.outcome(&response).await;
        assert_eq!((&outcome["attempts"], &outcome["error"]), (&json!(1), &frame["error"]));

        let view = scene.view().await;
        assert_eq!(view["enabled"], false, "{word}");
        let reason = view["metadata"]["disabledReason"].as_str().unwrap();
        assert!(reason.contains(word) && reason.contains("Register the bot again"), "{reason}");
        let refusal = scene.refused_reply(json!({"content": "more"}), 409).await;
        assert_eq!(refusal["code"], "channel_disabled");
        assert!(refusal["error"].as_str().unwrap().contains(word), "{refusal}");
        scene.says(ANA, &direct, None, "anybody there?").await;
        assert_eq!(scene.platforms.slack.calls_of(POST).len(), before + 1, "no call after that");

        let enabled = scene.change(json!({"enabled": true})).await;
        assert_eq!(enabled["channel"]["metadata"].get("disabledReason"), None);
    }
    scene.message_after(0).await;
    scene.delivered(&scene.reply(json!({"content": "well again"})).await).await;
    scene.sent(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_was_uninstalled_is_out_of_service() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &direct, None, "hi").await;
    let late = scene.envelope(&scene.workspace.says(ANA, &direct, None, "late"));
    scene.workspace.revoke();
    let outcome = scene.outcome(&scene.reply(json!({"content": "hello"})).await).await;
    assert_eq!((&outcome["status"], &outcome["attempts"]), (&json!("failed"), &json!(1)), "{outcome}");
    assert_eq!(scene.view().await["enabled"], false);
    scene.workspace.post(&scene.events_url(0), late).await.accepted();
    scene.message_after(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_wait_fail_without_a_call_when_the_token_is_no_longer_good() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &direct, None, "hi").await;
    // Time enough to queue two more.
    let limit = Misbehaviour::TooManyRequests { retry_after: Duration::from_secs(2) };
    for behaviour in [limit, refuse("token_revoked")] {
        scene.platforms.slack.misbehave_on(POST, behaviour);
    }
    let first = scene.reply(json!({"content": "first"})).await;
    scene.platforms.slack.wait_for_calls(POST, 1).await;
    let mut waiting = Vec::new();
    for text in ["second", "third"] {
        waiting.push(scene.reply(json!({"content": text})).await);
    }
    for response in [&first, &waiting[0], &waiting[1]] {
        let outcome = scene.outcome(response).await;
        assert_eq!(outcome["status"], "failed", "{outcome}");
        assert!(outcome["error"].as_str().unwrap().contains("token_revoked"), "{outcome}");
    }
    assert_eq!(scene.platforms.slack.calls_of(POST).len(), 2, "the limit and the refusal");
    assert!(scene.platforms.slack.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_gone_fails_its_reply_and_no_other() {
    let scene = Scene::with_ana().await;
    let places: Vec<_> = (0..4).map(|_| scene.workspace.channel()).collect();
    for place in &places {
        scene.says(ANA, place, None, &scene.at_bot("hi")).await;
    }
    let messages = scene.messages().await;
    scene.workspace.leave(&places[0]);
    scene.workspace.archive(&places[1]);
    let gone = places[2].clone();
    scene.platforms.slack.rule(Rule::new(refuse("channel_not_found")).when(move |call| call.body["channel"] == *gone));
    let mut socket = scene.socket().await;
    for (message, word) in messages.iter().zip(["not_in_channel", "is_archived", "channel_not_found"]) {
        let response = scene.answer(message, "hello").await;
        let frame = socket.expect("delivery").await;
        assert_eq!((&frame["responseId"], &frame["status"]), (&json!(response), &json!("failed")), "{frame}");
        assert_eq!(
            (&frame["attempts"], &frame["error"]),
            (&json!(1), &json!(format!("Slack refused the message: {word}")))
        );
        assert_eq!(scene.outcome(&response).await["error"], frame["error"]);
    }
    let view = scene.view().await;
    assert_eq!((&view["enabled"], view["metadata"].get("disabledReason")), (&json!(true), None));
    scene.delivered(&scene.answer(&messages[3], "hello").await).await;
    // A place that is back is as good as before.
    scene.delivered(&scene.answer(&messages[2], "hello again").await).await;
    assert_eq!(scene.platforms.slack.calls_of(POST).len(), 5, "what is final is not tried again");
    scene.sent(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_slack_will_never_take_fails_with_its_reason() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &direct, None, "hi").await;
    for (refusal, reason) in [
        (Refusal::Error("msg_too_long"), "msg_too_long"),
        (Refusal::Error("restricted_action"), "restricted_action"),
        (Refusal::Error("messages_tab_disabled"), "messages_tab_disabled"),
        (Refusal::Error("cannot_reply_to_message"), "cannot_reply_to_message"),
        (Refusal::Error("an_error_of_tomorrow"), "an_error_of_tomorrow"),
        (Refusal::MissingScope("chat:write"), "missing_scope (the app needs the scope chat:write)"),
    ] {
        scene.platforms.slack.misbehave_on(POST, Misbehaviour::Refuse(refusal));
        let outcome = scene.outcome(&scene.reply(json!({"content": "hello"})).await).await;
        assert_eq!((&outcome["status"], &outcome["attempts"]), (&json!("failed"), &json!(1)), "{outcome}");
        assert_eq!(outcome["error"], format!("Slack refused the message: {reason}"));
    }
    assert_eq!(scene.platforms.slack.calls_of(POST).len(), 6);
    assert_eq!(scene.view().await["enabled"], true);
    scene.delivered(&scene.reply(json!({"content": "hello"})).await).await;
}
