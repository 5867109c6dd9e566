//! An app becomes a channel, or nothing is left of the attempt.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ANA, Scene, credentials};
use crate::support::client::{Client, expect};
use crate::support::free_port;
use crate::support::platforms::Misbehaviour;
use crate::support::platforms::deployment::{Platforms, register};
use crate::support::platforms::slack::Refusal;
use crate::support::relay::Replica;

const PATH: &str = "/channels/slack/register";

/// Registers with this body, and expects a refusal with this status and code.
async fn refused(client: &Client, replica: &Replica, body: &Value, status: u16, code: &str) -> String {
    let answer = expect(client.post(replica, PATH, body).await, status).await;
    assert_eq!(answer["code"], code, "{answer}");
    let channels = expect(client.get(replica, "/channels").await, 200).await;
    assert_eq!(channels, json!({"channels": []}), "nothing is left behind");
    answer["error"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_an_app_is_told_where_its_events_go() {
    let platforms = Platforms::start().await;
    let replica = platforms.on_redis().start().await;
    platforms.lead_to(&[&replica]);
    let (workspace, client) = (platforms.slack.workspace(), Client::register_signed(&replica).await);
    let mut body = credentials(&workspace);
    body["agentId"] = "agent-7".into();
    body["channelName"] = "Work".into();
    let channel = register(&client, &replica, "slack", body).await;
    let events_url = format!("{}/slack/{}", platforms.public_url(), channel.id);
    let expected = json!({
        "channelId": channel.id, "botUsername": "helper", "teamName": "Team", "eventsUrl": events_url,
        "pairingCode": channel.code,
    });
    assert_eq!(channel.answer, expected);
    assert_eq!(channel.code.len(), 8);
    let calls = platforms.slack.calls();
    assert_eq!((calls.len(), calls[0].name.as_str()), (1, "auth.test"));
    workspace.subscribe(&events_url).await.expect("the endpoint answers Slack's challenge");

    let view = expect(client.get(&replica, "/channels").await, 200).await["channels"][0].clone();
    let expected = json!({
        "id": channel.id, "type": "slack", "direction": "bidirectional", "agentId": "agent-7", "enabled": true,
        "name": "Work",
        "metadata": {"botUsername": "helper", "teamName": "Team", "eventsUrl": events_url},
    });
    assert_eq!(view, expected);
    let private = reqwest::get(format!("{}/responses/{}", replica.url(), channel.id)).await.unwrap();
    assert_eq!(private.status(), 404, "what the agent says in Slack is not for everybody who knows the URL");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_slack_refuses_leaves_nothing_behind() {
    let platforms = Platforms::start().await;
    let replica = platforms.on_redis().start().await;
    let (workspace, client) = (platforms.slack.workspace(), Client::register_signed(&replica).await);
    for word in ["account_inactive", "token_revoked", "an_error_of_tomorrow"] {
        platforms.slack.misbehave_on("auth.test", Misbehaviour::Refuse(Refusal::Error(word)));
        let error = refused(&client, &replica, &credentials(&workspace), 400, "platform_refused").await;
        assert!(error.contains(word), "{error}");
    }
    platforms.slack.misbehave_on("auth.test", Misbehaviour::Refuse(Refusal::MissingScope("chat:write")));
    let error = refused(&client, &replica, &credentials(&workspace), 400, "platform_refused").await;
    assert!(error.contains("missing_scope") && error.contains("chat:write"), "{error}");

    let mut wrong = credentials(&workspace);
    wrong["botToken"] = "xoxb-1-nobodys".into();
    let error = refused(&client, &replica, &wrong, 400, "platform_refused").await;
    assert!(error.contains("invalid_auth") && !error.contains("nobodys"), "{error}");
    register(&client, &replica, "slack", credentials(&workspace)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_that_cannot_be_asked_leaves_nothing_behind() {
    let platforms = Platforms::start().await;
    let replica = platforms.on_redis().with("CHAOS_DELIVERY_CALL_SECONDS", "2").start().await;
    let (workspace, client) = (platforms.slack.workspace(), Client::register_signed(&replica).await);
    for behaviour in [
        Misbehaviour::ServerError(500),
        Misbehaviour::ServerError(503),
        Misbehaviour::TooManyRequests { retry_after: Duration::from_secs(30) },
        Misbehaviour::Refuse(Refusal::Error("ratelimited")),
        Misbehaviour::Refuse(Refusal::Error("internal_error")),
        Misbehaviour::Reset,
        Misbehaviour::AnswerLost,
        Misbehaviour::Garbage,
        Misbehaviour::Hang,
    ] {
        platforms.slack.misbehave_on("auth.test", behaviour);
        refused(&client, &replica, &credentials(&workspace), 502, "platform_unreachable").await;
    }
    assert_eq!(platforms.slack.rules_left(), 0, "each of them happened");
    register(&client, &replica, "slack", credentials(&workspace)).await;

    let nowhere = format!("http://127.0.0.1:{}/api", free_port());
    let lonely = platforms.on_redis().with("CHAOS_SLACK_API_BASE", &nowhere).start().await;
    let client = Client::register_signed(&lonely).await;
    refused(&client, &lonely, &credentials(&workspace), 502, "platform_unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_no_token_or_no_signing_secret_is_not_tried() {
    let platforms = Platforms::start().await;
    let replica = platforms.on_redis().start().await;
    let (workspace, client) = (platforms.slack.workspace(), Client::register_signed(&replica).await);
    for (field, values) in [
        ("botToken", [json!(null), json!(""), json!("hunter2-hunter2"), json!("xoxb-1\n2"), json!(5)]),
        ("signingSecret", [json!(null), json!(""), json!("short"), json!("with blanks in it"), json!(["12345678"])]),
    ] {
        for value in values {
            let mut body = credentials(&workspace);
            body[field] = value.clone();
            let error = refused(&client, &replica, &body, 400, "invalid_field").await;
            assert!(error.contains(field), "{error} for {value}");
            let said = value.as_str().filter(|said| !said.is_empty());
            assert!(said.is_none_or(|said| !error.contains(said)), "{error} repeats what was sent");
        }
    }
    let without_address = platforms.on_redis().without("CHAOS_PUBLIC_URL").start().await;
    let client = Client::register_signed(&without_address).await;
    refused(&client, &without_address, &credentials(&workspace), 503, "not_configured").await;
    assert_eq!(platforms.slack.calls().len(), 0, "Slack was not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_registers_an_app_again_has_it_from_then_on() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &direct, None, "before").await;
    let newer = Client::register_signed(scene.relay()).await;
    let refusal = Misbehaviour::Refuse(Refusal::Error("token_revoked"));
    scene.platforms.slack.misbehave_on("auth.test", refusal);
    refused(&newer, scene.relay(), &credentials(&scene.workspace), 400, "platform_refused").await;
    assert_eq!(scene.view().await["enabled"], true, "a refusal takes nothing from anybody");

    let channel = register(&newer, scene.relay(), "slack", credentials(&scene.workspace)).await;
    let older = scene.view().await;
    assert_eq!(older["enabled"], false);
    assert!(older["metadata"]["disabledReason"].as_str().unwrap().contains("registered again"), "{older}");
    scene.says(ANA, &direct, None, "after").await;
    scene.message_after(0).await;
    assert_eq!(scene.refused_reply(json!({"content": "x"}), 409).await["code"], "channel_disabled");
    let path = format!("/channels/{}", scene.channel.id);
    let enabling = scene.client.send(scene.relay(), reqwest::Method::PATCH, &path, &json!({"enabled": true})).await;
    assert_eq!(expect(enabling, 409).await["code"], "taken_over");

    scene.workspace.subscribe(channel.answer["eventsUrl"].as_str().unwrap()).await.unwrap();
    scene.says(ANA, &direct, None, &format!("pair {}", channel.code)).await;
    assert!(scene.sent(1).await[0].text.contains("You are paired"));
    scene.says(ANA, &direct, None, "to the newer").await;
    assert_eq!(newer.poll_all(scene.relay()).await[0]["content"], "to the newer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_channel_takes_nothing_and_its_app_can_be_registered_again() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &direct, None, "before").await;
    let path = format!("/channels/{}", scene.channel.id);
    let deleting = scene.client.send(scene.relay(), reqwest::Method::DELETE, &path, &json!({})).await;
    assert_eq!(expect(deleting, 200).await, json!({"ok": true}));
    let event = scene.workspace.says(ANA, &direct, None, "after");
    let delivery = scene.workspace.post(&scene.events_url(0), scene.envelope(&event)).await;
    assert_eq!(delivery.statuses(), [Some(404)]);
    assert_eq!(delivery.attempts[0].json()["code"], "unknown_channel");

    let again = register(&scene.client, scene.relay(), "slack", credentials(&scene.workspace)).await;
    assert_ne!(again.id, scene.channel.id);
    scene.message_after(0).await;
}
