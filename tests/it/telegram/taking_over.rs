//! A bot that is registered again belongs to the newer channel, and the older one says so.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::scene::{Scene, channels_of, read, refusal};
use crate::support::client::{Client, contents};
use crate::support::eventually;
use crate::support::platforms::deployment::{Registered, register_bot};
use crate::support::platforms::telegram::{Refusal, Webhook};
use crate::support::platforms::{Misbehaviour, Rule};

/// Makes sure that the older channel is out of service for good, and that its owner can read why.
async fn assert_taken_over(scene: &Scene, before: &Webhook) {
    let older = scene.channels().await.into_iter().find(|channel| channel["id"] == scene.channel.id).unwrap();
    assert_eq!(older["enabled"], false);
    let reason = older["metadata"]["disabledReason"].as_str().unwrap();
    assert!(reason.contains("registered again"), "{reason}");

    for enabled in [json!(true), Value::Null] {
        let said = refusal(scene.patch(scene.a(), json!({"enabled": enabled})).await, 409, "taken_over").await;
        assert!(said.contains("register it again"), "{said}");
    }
    scene.change(json!({"name": "the old one", "enabled": false})).await;
    let body = json!({"channelId": scene.channel.id, "content": "too late"});
    for replica in &scene.replicas {
        let said = refusal(scene.client.post(replica, "/reply", &body).await, 409, "channel_disabled").await;
        assert!(said.contains(reason), "{said}");
        // What Telegram had in hand for the older channel is dropped, and not tried again.
        let update = scene.ana.says(&scene.ana.chat(), "for the older one");
        let update = json!({"update_id": 4711, "message": update["message"]});
        let answer = scene.bot.deliver_to(&scene.url_at(replica), before.secret.as_deref(), &update).await;
        assert_eq!((answer.status, answer.json()), (Some(200), json!({"ok": true})));
    }
    let messages = scene.messages().await;
    assert!(!contents(&messages).contains(&"for the older one"));
}

/// Pairs Ben with a channel and has him talk to its agent.
async fn assert_works(scene: &Scene, client: &Client, channel: &Registered) {
    scene.bot.hears(&scene.ben, &channel.code).await;
    scene.bot.hears(&scene.ben, "for the newer one").await;
    let messages = client.poll_all(scene.a()).await;
    let message = messages.last().unwrap();
    assert_eq!((&message["content"], &message["channelId"]), (&json!("for the newer one"), &json!(channel.id)));
    let body = json!({"channelId": channel.id, "content": "from the newer one", "replyTo": message["id"]});
    let ack = read(client.post(scene.b(), "/reply", &body).await, 200).await;
    assert_eq!(ack["channel"], json!({"id": channel.id, "type": "telegram", "label": "helper_bot"}));
    let is_it = |text: &str| text == "from the newer one";
    scene.telegram().wait_for("the reply", |here| here.sent().into_iter().find(|sent| is_it(&sent.text))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_belongs_to_the_session_that_registered_it_last() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ana.id]).await;
    scene.bot.hears(&scene.ana, "hello").await;
    let before = scene.bot.webhook().unwrap();

    let other = Client::register(scene.b()).await;
    let newer = register_bot(&other, scene.b(), "telegram", &scene.bot.token).await;
    let after = scene.bot.webhook().unwrap();
    assert_eq!(after.url, format!("{}/telegram/{}", scene.platforms.public_url(), newer.id));
    assert_ne!(after.secret, before.secret);
    assert_taken_over(&scene, &before).await;
    assert_works(&scene, &other, &newer).await;

    // The newer channel's list is its own.
    let newer_view = channels_of(&other, scene.a()).await;
    assert_eq!(newer_view[0]["metadata"], json!({"botUsername": "helper_bot", "allowedUsers": [scene.ben.id]}));

    read(scene.delete(scene.a()).await, 200).await;
    assert_eq!((scene.bot.webhook(), scene.telegram().calls_of("deleteWebhook").len()), (Some(after), 0));
    scene.bot.hears(&scene.ben, "still there?").await;
    assert_eq!(other.poll_all(scene.a()).await.last().unwrap()["content"], "still there?");
    let path = format!("/channels/{}", newer.id);
    read(other.send(scene.a(), Method::DELETE, &path, &json!({})).await, 200).await;
    assert_eq!(scene.bot.webhook(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_registers_its_bot_again_has_it_in_the_new_channel() {
    let scene = Scene::on_redis().await;
    let before = scene.bot.webhook().unwrap();
    let newer = register_bot(&scene.client, scene.b(), "telegram", &scene.bot.token).await;
    assert_ne!(newer.id, scene.channel.id);
    assert_taken_over(&scene, &before).await;
    // The older channel's code is worth nothing any more, here and there.
    scene.bot.hears(&scene.ana, &scene.channel.code).await;
    assert_works(&scene, &scene.client, &newer).await;
    assert_eq!(contents(&scene.messages().await), ["for the newer one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_the_older_channel_pairs_nobody() {
    let scene = Scene::on_redis().await;
    let before = scene.bot.webhook().unwrap();
    let other = Client::register(scene.a()).await;
    register_bot(&other, scene.a(), "telegram", &scene.bot.token).await;
    for code in [scene.channel.code.clone(), scene.new_code(scene.a()).await] {
        let update = scene.ana.says(&scene.ana.chat(), &code);
        let update = json!({"update_id": 1, "message": update["message"]});
        let answer = scene.bot.deliver_to(&scene.url_at(scene.b()), before.secret.as_deref(), &update).await;
        assert_eq!(answer.status, Some(200));
    }
    assert_eq!(scene.allowed().await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_waits_when_its_bot_is_taken_over_is_not_sent() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ana.id]).await;
    scene.bot.hears(&scene.ana, "hello").await;
    let wait = Duration::from_secs(1);
    scene.telegram().rule(Rule::new(Misbehaviour::TooManyRequests { retry_after: wait }).on("sendMessage").times(1));
    let body = json!({"channelId": scene.channel.id, "content": "later"});
    let ack = read(scene.client.post(scene.a(), "/reply", &body).await, 200).await;
    scene.telegram().wait_for_calls("sendMessage", 1).await;
    let other = Client::register(scene.a()).await;
    register_bot(&other, scene.a(), "telegram", &scene.bot.token).await;
    let fate = scene.fate(&ack).await;
    assert_eq!(fate["status"], "failed");
    assert!(fate["error"].as_str().unwrap().contains("another channel"), "{fate}");
    assert_eq!(scene.telegram().calls_of("sendMessage").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_fails_leaves_the_earlier_channel_as_it_was() {
    let scene = Scene::on_redis_with(&[("CHAOS_DELIVERY_CALL_SECONDS", "1")]).await;
    let (before, view) = (scene.bot.webhook(), scene.channels().await);
    let other = Client::register(scene.b()).await;
    let words = "Bad Request: bad webhook: failed to resolve host";
    for (fault, status) in [
        (Misbehaviour::Refuse(Refusal::Error { code: 400, description: words }), 400),
        (Misbehaviour::ServerError(500), 502),
        (Misbehaviour::Reset, 502),
        (Misbehaviour::AnswerLost, 502),
    ] {
        scene.telegram().misbehave_on("setWebhook", fault.clone());
        let body = json!({"botToken": scene.bot.token});
        read(other.post(scene.b(), "/channels/telegram/register", &body).await, status).await;
        assert_eq!(scene.telegram().rules_left(), 0);
        assert_eq!((scene.bot.webhook(), scene.channels().await), (before.clone(), view.clone()), "{fault:?}");
        assert_eq!(channels_of(&other, scene.a()).await, Vec::<Value>::new());
    }
    assert_works(&scene, &scene.client, &scene.channel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_registrations_at_once_the_bot_is_the_enabled_ones() {
    let scene = Scene::on_redis().await;
    let (first, second) = (Client::register(scene.a()).await, Client::register(scene.b()).await);
    // Telegram sets both webhooks, the second one last, and answers the first registration later.
    scene.telegram().misbehave_on("setWebhook", Misbehaviour::Slow(Duration::from_millis(600)));
    let one = register_bot(&first, scene.a(), "telegram", &scene.bot.token);
    let two = async {
        scene.telegram().wait_for_calls("setWebhook", 2).await;
        register_bot(&second, scene.b(), "telegram", &scene.bot.token).await
    };
    let (one, two) = tokio::join!(one, two);
    let mut enabled = Vec::new();
    for (client, channel) in [(&first, &one), (&second, &two)] {
        let view = channels_of(client, scene.a()).await;
        assert_eq!(view[0]["id"], channel.id);
        if view[0]["enabled"] == true {
            enabled.push((client, channel));
        }
    }
    let [(client, channel)] = enabled[..] else { panic!("{} channels have the bot", enabled.len()) };
    let url = format!("{}/telegram/{}", scene.platforms.public_url(), channel.id);
    assert_eq!(scene.bot.webhook().unwrap().url, url, "updates go where somebody takes them");
    assert_works(&scene, client, channel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_is_finished_though_its_client_hung_up_and_can_be_made_again() {
    let scene = Scene::on_redis().await;
    let other = Client::register(scene.b()).await;
    scene.telegram().misbehave_on("setWebhook", Misbehaviour::Slow(Duration::from_millis(500)));
    let body = json!({"botToken": scene.bot.token}).to_string();
    let request = other.request(scene.a(), Method::POST, "/channels/telegram/register", body.as_bytes());
    let hung_up = request.timeout(Duration::from_millis(100)).send().await.unwrap_err();
    assert!(hung_up.is_timeout());
    eventually("the older channel is disabled", || async {
        (scene.channels().await[0]["enabled"] == false).then_some(())
    })
    .await;
    let newer = register_bot(&other, scene.b(), "telegram", &scene.bot.token).await;
    for client in [&scene.client, &other] {
        for channel in channels_of(client, scene.a()).await {
            assert_eq!(channel["enabled"] == true, channel["id"] == newer.id, "{channel}");
        }
    }
    assert_works(&scene, &other, &newer).await;
}
