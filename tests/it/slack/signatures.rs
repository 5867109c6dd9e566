//! Who an event is from: nobody but Slack can say anything.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ANA, Scene};
use crate::support::platforms::delivery::{self, Attempt};
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::slack::signature;
use crate::support::platforms::unix_seconds;
use crate::support::relay::data_dir;

/// Posts a body under these headers; a header that is absent is not sent.
async fn post(url: &str, timestamp: Option<&str>, signature: Option<&str>, body: &str) -> Attempt {
    let headers = [("X-Slack-Request-Timestamp", timestamp), ("X-Slack-Signature", signature)];
    let headers: Vec<_> = headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    delivery::post(&delivery::client(), url, &headers, body, Duration::from_secs(10)).await
}

/// A body that says something for Ana.
fn said(scene: &Scene, place: &str, text: &str) -> String {
    scene.envelope(&scene.workspace.says(ANA, place, None, text)).to_string()
}

#[track_caller]
fn assert_not_believed(attempt: &Attempt, why: &str) {
    assert_eq!((attempt.status, &attempt.json()["code"]), (Some(401), &json!("invalid_signature")), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_challenge_is_answered_to_slack_alone() {
    let scene = Scene::set().await;
    let url = scene.events_url(0);
    let body = json!({"token": "x", "challenge": "3eZbrw1aB10cmSmHtF7", "type": "url_verification"}).to_string();
    let now = unix_seconds().to_string();
    let right = signature(&scene.workspace.signing_secret, &now, &body);
    let answered = post(&url, Some(&now), Some(&right), &body).await;
    assert_eq!(answered.status, Some(200));
    assert_eq!(answered.json(), json!({"challenge": "3eZbrw1aB10cmSmHtF7"}));
    assert_eq!(answered.header("content-type"), Some("application/json; charset=utf-8"));

    let of_another = signature(&scene.platforms.slack.workspace().signing_secret, &now, &body);
    for (timestamp, signature) in [(None, None), (Some(now.as_str()), None), (Some(&now), Some(of_another.as_str()))] {
        let refused = post(&url, timestamp, signature, &body).await;
        assert_not_believed(&refused, "the challenge");
        assert!(!refused.body.contains("3eZbrw1aB10cmSmHtF7"), "{}", refused.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_not_signed_as_it_must_be_is_refused() {
    let dir = data_dir();
    let platforms = Platforms::start().await;
    let setup = platforms.embedded(dir.path());
    let scene = Scene::on::<1>(platforms, &setup).await;
    scene.let_in(&[ANA]).await;
    let direct = scene.workspace.direct_messages(ANA);
    let (url, secret) = (scene.events_url(0), &scene.workspace.signing_secret);
    let at = |seconds: i64| unix_seconds().checked_add_signed(seconds).unwrap().to_string();

    for (seconds, is_fresh) in [(-290, true), (290, true), (-310, false), (310, false), (-86_400, false)] {
        let (body, timestamp) = (said(&scene, &direct, &format!("signed at {seconds}")), at(seconds));
        let attempt = post(&url, Some(&timestamp), Some(&signature(secret, &timestamp, &body)), &body).await;
        match is_fresh {
            true => assert_eq!(attempt.status, Some(200), "{seconds} s from now"),
            false => assert_not_believed(&attempt, &format!("{seconds} s from now")),
        }
    }

    let (body, now) = (said(&scene, &direct, "signed"), at(0));
    let right = signature(secret, &now, &body);
    let tampered = body.replace("signed", "forged");
    let of_another = signature(&scene.platforms.slack.workspace().signing_secret, &now, &body);
    let (later, newer_version, short) = (at(1), right.replace("v0=", "v1="), &right[..right.len() - 2]);
    for (why, timestamp, signature, body) in [
        ("no headers", None, None, &body),
        ("no timestamp", None, Some(right.as_str()), &body),
        ("no signature", Some(now.as_str()), None, &body),
        ("an empty signature", Some(&now), Some(""), &body),
        ("another body", Some(&now), Some(&right), &tampered),
        ("another time", Some(&later), Some(&right), &body),
        ("no time", Some("now"), Some(&right), &body),
        ("another app's secret", Some(&now), Some(&of_another), &body),
        ("another version", Some(&now), Some(&newer_version), &body),
        ("half a byte less", Some(&now), Some(short), &body),
        ("no version", Some(&now), Some(&right[3..]), &body),
        ("no hex", Some(&now), Some("v0=zzzz"), &body),
    ] {
        assert_not_believed(&post(&url, timestamp, signature, body).await, why);
    }
    let stored: Vec<Value> = scene.messages().await.into_iter().map(|message| message["content"].clone()).collect();
    assert_eq!(stored, ["signed at -290", "signed at 290"]);
    let attempt = post(&url, Some(&now), Some(&right), &body).await;
    assert_eq!(attempt.status, Some(200), "the body itself was good");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_to_their_own_channel() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    let webhook = scene.client.make_webhook(scene.relay(), json!({})).await;
    let base = scene.relay().url();
    for (path, status, code) in [
        ("/slack/nobodys".to_owned(), 404, "unknown_channel"),
        ("/slack/%20".to_owned(), 404, "unknown_channel"),
        (format!("/slack/{}", webhook.id), 400, "wrong_channel_type"),
        (format!("/telegram/{}", scene.channel.id), 400, "wrong_channel_type"),
        (format!("/discord/{}", scene.channel.id), 400, "wrong_channel_type"),
    ] {
        let body = scene.envelope(&scene.workspace.says(ANA, &direct, None, "hi"));
        let delivery = scene.workspace.post(&format!("{base}{path}"), body).await;
        let attempt = &delivery.attempts[0];
        assert_eq!((attempt.status, &attempt.json()["code"]), (Some(status), &json!(code)), "{path}");
    }
    assert!(scene.messages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_slack_signs_and_nobody_said_is_taken_and_forgotten() {
    let scene = Scene::with_ana().await;
    let (url, secret) = (scene.events_url(0), &scene.workspace.signing_secret);
    let direct = scene.workspace.direct_messages(ANA);
    let event = |changes: Value| {
        let mut event = scene.workspace.says(ANA, &direct, None, "hi");
        event.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        scene.envelope(&event).to_string()
    };
    for body in [
        String::new(),
        "{".to_owned(),
        "payload=%7B%7D".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "[".repeat(100_000),
        json!({"type": "event_callback"}).to_string(),
        json!({"type": "url_verification"}).to_string(),
        json!({"type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1_767_225_600}).to_string(),
        event(json!({"type": "reaction_added"})),
        event(json!({"subtype": "channel_join"})),
        event(json!({"subtype": "message_deleted", "deleted_ts": "1.1"})),
        event(json!({"subtype": "channel_topic"})),
        event(json!({"ts": null})),
        event(json!({"ts": 1_767_225_600.000_1})),
        event(json!({"user": null})),
        event(json!({"user": {"id": ANA}})),
        event(json!({"channel": 5})),
        event(json!({"text": null})),
        event(json!({"text": " "})),
    ] {
        let now = unix_seconds().to_string();
        let attempt = post(&url, Some(&now), Some(&signature(secret, &now, &body)), &body).await;
        assert_eq!(attempt.status, Some(200), "{}", body.chars().take(300).collect::<String>());
    }
    assert!(scene.messages().await.is_empty());
    assert!(scene.platforms.slack.sent().is_empty());
}
