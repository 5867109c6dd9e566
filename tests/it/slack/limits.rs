//! Too much, and switched off.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{ANA, BOB, Scene};
use crate::support::client::{contents, expect};
use crate::support::platforms::delivery;
use crate::support::platforms::deployment::Platforms;

#[tokio::test(flavor = "multi_thread")]
async fn every_authentic_event_counts_over_all_replicas_and_the_challenge_does_not() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis().with("CHAOS_RATE_WEBHOOK", "5/1h");
    let scene = Scene::on::<2>(platforms, &setup).await;
    scene.let_in(&[ANA]).await;
    let (direct, place) = (scene.workspace.direct_messages(ANA), scene.workspace.channel());
    let to_stranger = scene.workspace.direct_messages(BOB);
    let forged = scene.envelope(&scene.workspace.says(ANA, &direct, None, "forged")).to_string();
    for replica in [0, 1, 0, 1, 0, 1] {
        let headers = [("X-Slack-Signature", "v0=00"), ("X-Slack-Request-Timestamp", "1")];
        let url = scene.events_url(replica);
        let attempt = delivery::post(&delivery::client(), &url, &headers, &forged, Duration::from_secs(10)).await;
        assert_eq!(attempt.status, Some(401));
        scene.workspace.subscribe(&url).await.expect("the challenge is answered");
    }

    let said = |person: &str, place: &str, text: &str| {
        let event = scene.workspace.says(person, place, None, text);
        scene.envelope(&event)
    };
    let first = said(ANA, &direct, "first");
    for (replica, body) in [
        (0, first.clone()),
        (1, first.clone()),
        (0, said(ANA, &place, "among people")),
        (1, said(BOB, &to_stranger, "from a stranger")),
        (0, json!({"type": "app_rate_limited"})),
    ] {
        scene.workspace.post(&scene.events_url(replica), body).await.accepted();
    }
    for (replica, body) in [
        (0, said(ANA, &direct, "beyond")),
        (1, first),
        (0, said(ANA, &place, "among people")),
        (1, said(BOB, &to_stranger, "from a stranger")),
        (0, json!({"type": "app_rate_limited"})),
    ] {
        let delivery = scene.workspace.post(&scene.events_url(replica), body).await;
        let attempt = &delivery.attempts[0];
        assert_eq!((attempt.status, &attempt.json()["code"]), (Some(429), &json!("rate_limited")), "{delivery:?}");
        assert!(attempt.retry_after().is_some_and(|seconds| (1..=3600).contains(&seconds)), "{attempt:?}");
        assert_eq!(attempt.header("x-slack-no-retry"), None, "it is to come again");
    }
    scene.workspace.subscribe(&scene.events_url(0)).await.expect("the challenge is still answered");
    assert_eq!(contents(&scene.messages().await), ["first"]);
    // Another app's events are counted on their own.
    let other = Scene::set().await;
    other.let_in(&[ANA]).await;
    let direct = other.workspace.direct_messages(ANA);
    other.says(ANA, &direct, None, "hi").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_too_much_comes_in_by_its_redelivery() {
    let scene = Scene::with(|setup| setup.with("CHAOS_RATE_WEBHOOK", "2/3s")).await;
    scene.let_in(&[ANA]).await;
    let direct = scene.workspace.direct_messages(ANA);
    let mut said = Vec::new();
    let mut refused = loop {
        assert!(said.len() < 50, "nothing was ever too much");
        let text = format!("message {}", said.len());
        let delivery = scene.workspace.deliver(&scene.workspace.says(ANA, &direct, None, &text)).await;
        said.push(text);
        if !delivery.is_accepted() {
            break delivery;
        }
    };
    assert_eq!(refused.statuses(), [Some(429), Some(429)], "Slack tries again at once");
    let wait = refused.attempts[1].retry_after().expect("Retry-After");
    tokio::time::sleep(Duration::from_secs(wait)).await;
    scene.workspace.retry(&mut refused).await;
    assert_eq!(refused.statuses(), [Some(429), Some(429), Some(200)]);
    assert_eq!(contents(&scene.messages().await), said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_channel_takes_events_and_does_nothing() {
    let scene = Scene::with_ana().await;
    let (direct, to_bob) = (scene.workspace.direct_messages(ANA), scene.workspace.direct_messages(BOB));
    scene.says(ANA, &direct, None, "before").await;
    let code = scene.new_code().await;
    scene.change(json!({"enabled": false})).await;
    let missed = scene.says(ANA, &direct, None, "while it is off").await;
    scene.says(BOB, &to_bob, None, "a stranger").await;
    scene.says(BOB, &to_bob, None, &format!("pair {code}")).await;
    scene.workspace.subscribe(&scene.events_url(0)).await.expect("the challenge is answered");
    assert_eq!(scene.allowed().await, json!([ANA]), "it pairs nobody");
    assert_eq!(scene.refused_reply(json!({"content": "x"}), 409).await["code"], "channel_disabled");

    scene.change(json!({"enabled": true})).await;
    scene.says(ANA, &direct, None, "after").await;
    assert_eq!(contents(&scene.messages().await), ["before", "after"]);
    scene.delivered(&scene.reply(json!({"content": "done"})).await).await;
    assert_eq!(scene.sent(1).await[0].text, "done", "nobody was told anything");
    // It was never taken in, so it is no repeat.
    scene.workspace.post(&scene.events_url(0), scene.envelope(&missed)).await.accepted();
    assert_eq!(contents(&scene.messages().await), ["before", "after", "while it is off"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_switched_off_at_one_replica_is_off_at_the_other() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis();
    let scene = Scene::on::<2>(platforms, &setup).await;
    scene.let_in(&[ANA]).await;
    let direct = scene.workspace.direct_messages(ANA);
    let mut expected = Vec::new();
    for round in 0..3 {
        let text = format!("on {round}");
        for replica in [0, 1] {
            let body = scene.envelope(&scene.workspace.says(ANA, &direct, None, &text));
            scene.workspace.post(&scene.events_url(replica), body).await.accepted();
            expected.push(text.clone());
        }
        let switched = round % 2;
        for enabled in [false, true] {
            let path = format!("/channels/{}", scene.channel.id);
            let body = json!({"enabled": enabled});
            expect(scene.client.send(&scene.replicas[switched], Method::PATCH, &path, &body).await, 200).await;
            if !enabled {
                let body = scene.envelope(&scene.workspace.says(ANA, &direct, None, "off"));
                scene.workspace.post(&scene.events_url(1 - switched), body).await.accepted();
            }
        }
    }
    assert_eq!(contents(&scene.messages().await), expected);
}
