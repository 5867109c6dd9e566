//! What passes is tried again, and not before Slack wants it.

use std::time::Duration;

use serde_json::json;

use super::{ANA, Scene};
use crate::support::platforms::slack::Refusal;
use crate::support::platforms::{Misbehaviour, Rule};

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_slack_could_not_take_is_tried_again() {
    let scene = Scene::with(|setup| setup.with("CHAOS_DELIVERY_CALL_SECONDS", "2")).await;
    scene.let_in(&[ANA]).await;
    let faults = [
        ("an outage", Misbehaviour::ServerError(500), 1),
        ("an outage with a name", Misbehaviour::ServerError(503), 1),
        ("an inner error", Misbehaviour::Refuse(Refusal::Error("internal_error")), 1),
        ("a fatal error", Misbehaviour::Refuse(Refusal::Error("fatal_error")), 1),
        ("a time-out within Slack", Misbehaviour::Refuse(Refusal::Error("request_timeout")), 1),
        ("a page that is no answer", Misbehaviour::Garbage, 1),
        ("a broken connection", Misbehaviour::Reset, 1),
        ("silence", Misbehaviour::Hang, 1),
        // Slack knows no repeats: at least once means twice here.
        ("a lost answer", Misbehaviour::AnswerLost, 2),
    ];
    let mut replies = Vec::new();
    for (number, (what, fault, times)) in faults.into_iter().enumerate() {
        let place = scene.workspace.channel();
        scene.says(ANA, &place, None, &scene.at_bot(what)).await;
        let message = scene.message_after(number).await;
        let called = place.clone();
        let rule = Rule::new(fault).on("chat.postMessage").when(move |call| call.body["channel"] == called.as_str());
        scene.platforms.slack.rule(rule);
        replies.push((what, place, times, scene.answer(&message, what).await));
    }
    for (what, place, times, response) in replies {
        let outcome = scene.outcome(&response).await;
        assert_eq!((&outcome["status"], &outcome["attempts"]), (&json!("delivered"), &json!(2)), "{what}: {outcome}");
        let sent = scene.platforms.slack.sent().into_iter().filter(|sent| sent.channel == place);
        let texts: Vec<_> = sent.map(|sent| sent.text).collect();
        assert_eq!(texts, vec![what; times]);
    }
    assert_eq!(scene.platforms.slack.rules_left(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_waited_for_by_all_replies_of_the_app() {
    let scene = Scene::with_ana().await;
    let (direct, place) = (scene.workspace.direct_messages(ANA), scene.workspace.channel());
    scene.says(ANA, &direct, None, "one").await;
    scene.says(ANA, &place, None, &scene.at_bot("two")).await;
    let (first, second) = (scene.messages().await[0].clone(), scene.messages().await[1].clone());
    let mut socket = scene.socket().await;
    let wait = Duration::from_secs(2);
    scene.platforms.slack.misbehave_on("chat.postMessage", Misbehaviour::TooManyRequests { retry_after: wait });
    let limited = scene.answer(&first, "first").await;
    let frame = socket.expect("delivery").await;
    assert_eq!((&frame["responseId"], &frame["status"]), (&json!(limited), &json!("retrying")));
    assert_eq!((&frame["attempts"], &frame["error"]), (&json!(1), &json!("Slack takes no more calls for now")));
    let behind = scene.answer(&first, "behind it").await;
    let elsewhere = scene.answer(&second, "elsewhere").await;
    for response in [&limited, &behind, &elsewhere] {
        scene.delivered(response).await;
    }
    let calls = scene.platforms.slack.calls_of("chat.postMessage");
    assert_eq!(calls.len(), 4, "{calls:#?}");
    for later in &calls[1..] {
        let after = later.at - calls[0].at;
        assert!(after >= wait, "{later:?} came {after:?} after the limit");
    }
    let sent = scene.sent(3).await;
    let order: Vec<_> = sent.iter().filter(|sent| sent.channel == direct).map(|sent| sent.text.as_str()).collect();
    assert_eq!(order, ["first", "behind it"]);
    assert_eq!(scene.outcome(&limited).await["attempts"], 2);
    assert_eq!(scene.outcome(&elsewhere).await["attempts"], 1, "what was only put off was not tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_among_the_errors_of_http_200_is_a_limit_too() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &direct, None, "hi").await;
    let mut socket = scene.socket().await;
    for word in ["ratelimited", "rate_limited", "message_limit_exceeded"] {
        scene.platforms.slack.misbehave_on("chat.postMessage", Misbehaviour::Refuse(Refusal::Error(word)));
        let response = scene.reply(json!({"content": word})).await;
        for (status, attempts) in [("retrying", 1), ("delivered", 2)] {
            let frame = socket.expect("delivery").await;
            assert_eq!(frame["responseId"], response.as_str());
            assert_eq!((&frame["status"], &frame["attempts"]), (&json!(status), &json!(attempts)), "{word}: {frame}");
        }
    }
    let texts: Vec<_> = scene.sent(3).await.into_iter().map(|sent| sent.text).collect();
    assert_eq!(texts, ["ratelimited", "rate_limited", "message_limit_exceeded"]);
    assert_eq!(scene.view().await["enabled"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_waits_holds_up_its_own_conversation_alone() {
    let scene = Scene::with_ana().await;
    let (direct, place) = (scene.workspace.direct_messages(ANA), scene.workspace.channel());
    scene.says(ANA, &direct, None, "one").await;
    scene.says(ANA, &place, None, &scene.at_bot("two")).await;
    let messages = scene.messages().await;
    let called = direct.clone();
    let fault = Rule::new(Misbehaviour::ServerError(500)).when(move |call| call.body["channel"] == called.as_str());
    scene.platforms.slack.rule(fault.always());
    let first = scene.answer(&messages[0], "first").await;
    scene.platforms.slack.wait_for_calls("chat.postMessage", 1).await;
    let second = scene.answer(&messages[0], "second").await;
    let elsewhere = scene.answer(&messages[1], "elsewhere").await;
    scene.delivered(&elsewhere).await;
    assert_eq!(scene.sent(1).await[0].text, "elsewhere");
    scene.platforms.slack.behave();
    scene.delivered(&first).await;
    scene.delivered(&second).await;
    let texts: Vec<_> = scene.sent(3).await.into_iter().map(|sent| sent.text).collect();
    assert_eq!(texts, ["elsewhere", "first", "second"]);
}
