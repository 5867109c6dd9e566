//! Deleting a channel: Discord forgets what the relay told it, and nothing else.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::Scene;
use crate::support::client::{Client, expect};
use crate::support::platforms::deployment::register_bot;
use crate::support::platforms::{Misbehaviour, Rule};

impl Scene {
    async fn delete(&self, client: &Client, id: &str) {
        expect(client.send(&self.a, Method::DELETE, &format!("/channels/{id}"), &Value::Null).await, 200).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_channel_takes_its_endpoint_and_its_commands_along_and_no_others() {
    let scene = Scene::set().await;
    scene.app.has_command("weather");
    scene.asks(&scene.ana, &scene.room, "one last thing").await;
    let url = scene.app.endpoint().unwrap();
    scene.delete(&scene.client, &scene.channel.id).await;
    assert_eq!((scene.app.endpoint(), scene.app.commands()), (None, vec!["weather".to_owned()]));
    for at in [url, scene.url_at(&scene.a), scene.url_at(&scene.b)] {
        let command = scene.app.command(&scene.ana, &scene.room, "chat", &[("message", "hello?")]).to_string();
        let attempt = scene.app.post(&at, &command).await;
        assert_eq!((attempt.status, &attempt.json()["code"]), (Some(404), &json!("unknown_channel")), "{at}");
    }

    // The bot can be registered anew.
    let newer = register_bot(&scene.client, &scene.a, "discord", &scene.app.token).await;
    assert_eq!((newer.answer.get("warning"), scene.app.commands().len()), (None, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_the_relays_name_that_the_owner_made_anew_stays() {
    let scene = Scene::without_pairing(|setup| setup).await;
    let path = format!("{}/applications/{}/commands", scene.discord().base_url(), scene.app.id);
    let own = json!({"name": "chat", "description": "Talk to the support team"});
    let http = reqwest::Client::builder().user_agent("DiscordBot (https://example.com, 1.0)").build().unwrap();
    let made = http.post(path).header("Authorization", format!("Bot {}", scene.app.token)).json(&own).send().await;
    assert_eq!(made.unwrap().status(), 200);
    scene.delete(&scene.client, &scene.channel.id).await;
    assert_eq!(scene.app.commands(), ["chat"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_older_channel_leaves_the_newer_ones_hook() {
    let scene = Scene::set().await;
    let other = Client::register(&scene.a).await;
    let newer = register_bot(&other, &scene.a, "discord", &scene.app.token).await;
    let endpoint = scene.app.endpoint().unwrap();
    assert!(endpoint.ends_with(&newer.id));
    let calls = scene.discord().calls().len();
    scene.delete(&scene.client, &scene.channel.id).await;
    assert_eq!((scene.app.endpoint(), scene.app.commands()), (Some(endpoint), vec!["chat".into(), "pair".into()]));
    assert_eq!(scene.discord().calls().len(), calls, "Discord is not even asked");
    scene.delete(&other, &newer.id).await;
    assert_eq!((scene.app.endpoint(), scene.app.commands()), (None, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discord_that_is_away_or_knows_the_token_no_more_does_not_keep_a_channel() {
    let scene = Scene::without_pairing(|setup| setup.with("CHAOS_DELIVERY_CALL_SECONDS", "1")).await;
    for trouble in [Misbehaviour::ServerError(502), Misbehaviour::Reset, Misbehaviour::Hang] {
        let app = scene.discord().application("second");
        let channel = register_bot(&scene.client, &scene.a, "discord", &app.token).await;
        let calls = scene.discord().calls().len();
        scene.discord().rule(Rule::new(trouble.clone()).always());
        tokio::time::timeout(Duration::from_secs(10), scene.delete(&scene.client, &channel.id)).await.unwrap();
        scene.discord().behave();
        assert_eq!(scene.discord().calls().len(), calls + 1, "{trouble:?}");
    }
    let calls = scene.discord().calls().len();
    scene.app.revoke();
    scene.delete(&scene.client, &scene.channel.id).await;
    assert_eq!(scene.discord().calls().len(), calls + 1, "one refusal is enough");
    let left = expect(scene.client.get(&scene.a, "/channels").await, 200).await;
    assert_eq!(left["channels"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_sent_is_dropped_with_its_channel() {
    let scene = Scene::set().await;
    let (_, question) = scene.asks(&scene.ana, &scene.room, "question").await;
    scene.discord().misbehave_on("editOriginal", Misbehaviour::ServerError(503));
    scene.replies(json!({"content": "answer", "replyTo": question["id"]})).await;
    scene.discord().wait_for_calls("editOriginal", 1).await;
    scene.delete(&scene.client, &scene.channel.id).await;
    // By then the second try would have been made: the first comes after a second.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(scene.discord().calls_of("editOriginal").len(), 1);
}
