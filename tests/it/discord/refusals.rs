//! What Discord refuses for good: one reply, or all of a bot whose token it does not know any more.

use serde_json::json;

use super::Scene;
use crate::support::client::expect;
use crate::support::eventually;
use crate::support::platforms::deployment::register_bot;
use crate::support::platforms::discord::{Gone, Refusal, User};
use crate::support::platforms::{Misbehaviour, delivery};

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_fails_its_reply_with_discords_words_and_no_other() {
    let scene = Scene::set().await;
    scene.writes(&scene.ana, &scene.room, "hi").await;
    for (status, code, message) in [
        (403, 50001, "Missing Access"),
        (403, 50013, "Missing Permissions"),
        (403, 50007, "Cannot send messages to this user"),
        (404, 10003, "Unknown Channel"),
        (400, 50035, "Invalid Form Body"),
        (403, 0, "403: Forbidden"),
    ] {
        let calls = scene.discord().calls_of("createMessage").len();
        scene.discord().misbehave_on("createMessage", Misbehaviour::Refuse(Refusal::Error { status, code, message }));
        let [refused, next] =
            [scene.replies(json!({"content": "no"})).await, scene.replies(json!({"content": "yes"})).await];
        assert_eq!(scene.failed(&refused).await, message);
        assert_eq!(scene.status(&refused).await["attempts"], 1);
        scene.delivered(&next).await;
        assert_eq!(scene.discord().calls_of("createMessage").len(), calls + 2, "{message}");
        let view = scene.view().await;
        assert_eq!((&view["enabled"], view["metadata"].get("disabledReason")), (&json!(true), None), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_the_bot_is_not_in_takes_nothing() {
    let scene = Scene::set().await;
    let foreign = scene.discord().channel();
    scene.writes(&scene.ana, &foreign, "the bot is not here").await;
    let response = scene.replies(json!({"content": "x"})).await;
    assert_eq!(scene.failed(&response).await, "Missing Access");
    let mut socket = scene.client.open(&scene.b, "").await;
    socket.message().await;
    let response = scene.replies(json!({"content": "y"})).await;
    let frame = socket.expect("delivery").await;
    assert_eq!((&frame["status"], &frame["error"]), (&json!("failed"), &json!("Missing Access")));
    assert_eq!(frame["responseId"], response);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_reset_is_used_once_more_and_never_again() {
    let scene = Scene::set().await;
    scene.writes(&scene.ana, &scene.room, "hi").await;
    scene.app.revoke();
    let before = scene.discord().calls().len();
    let mut responses = Vec::new();
    for number in 0..20 {
        let replica = [&scene.a, &scene.b][number % 2];
        let reply = json!({"channelId": scene.channel.id, "content": number.to_string()});
        let answer = scene.client.post(replica, "/reply", &reply).await;
        // Those that come after the refusal are refused themselves.
        match answer.status().as_u16() {
            409 => assert_eq!(expect(answer, 409).await["code"], "channel_disabled"),
            _ => responses.push(expect(answer, 200).await["responseId"].as_str().unwrap().to_owned()),
        }
    }
    assert!(!responses.is_empty());
    for response in &responses {
        let error = scene.failed(response).await;
        assert!(error.contains("401: Unauthorized"), "{error}");
    }
    let view = scene.view().await;
    assert_eq!(view["enabled"], false);
    let reason = view["metadata"]["disabledReason"].as_str().unwrap();
    assert!(reason.contains("401: Unauthorized") && reason.contains("Register"), "{reason}");
    let refused = scene.client.post(&scene.b, "/reply", &json!({"channelId": scene.channel.id, "content": "x"})).await;
    let refused = expect(refused, 409).await;
    assert!(refused["error"].as_str().unwrap().contains("401: Unauthorized"), "{refused}");
    let typing = json!({"channelId": scene.channel.id});
    expect(scene.client.post(&scene.b, "/typing", &typing).await, 200).await;
    let calls = scene.discord().calls().split_off(before);
    assert_eq!(calls.len(), 1, "{calls:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_reset_is_not_tried_in_every_conversation() {
    let scene = Scene::set().await;
    let mut rooms = Vec::new();
    for number in 0..20 {
        let room = scene.another_room();
        scene.writes(&scene.ana, &room, &number.to_string()).await;
        rooms.push(room);
    }
    scene.app.revoke();
    let before = scene.discord().calls().len();
    let first = json!({"channelId": scene.channel.id, "content": "x", "metadata": {"discordChannelId": rooms[0].id}});
    assert_eq!(scene.client.post(&scene.a, "/reply", &first).await.status(), 200);
    eventually("the first is refused", || async { (scene.discord().calls().len() > before).then_some(()) }).await;
    let replies = rooms.iter().flat_map(|room| {
        let reply = json!({"channelId": scene.channel.id, "content": "x", "metadata": {"discordChannelId": room.id}});
        [&scene.a, &scene.b].map(|replica| {
            let reply = reply.clone();
            async { scene.client.post(replica, "/reply", &{ reply }).await }
        })
    });
    for answer in futures_util::future::join_all(replies).await {
        match answer.status().as_u16() {
            200 => {
                let response = expect(answer, 200).await["responseId"].as_str().unwrap().to_owned();
                assert!(scene.failed(&response).await.contains("401: Unauthorized"));
            }
            _ => assert_eq!(expect(answer, 409).await["code"], "channel_disabled"),
        }
    }
    // What was under way when the first refusal came could not be called back.
    let calls = scene.discord().calls().split_off(before);
    assert!(calls.len() <= 8, "{calls:#?}");
    assert_eq!(scene.view().await["enabled"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_of_the_relays_own_finds_out_about_a_reset_token_too() {
    let scene = Scene::set().await;
    scene.app.revoke();
    let url = scene.events_url().await;
    let http = delivery::client();
    let forward = async |user: &User| {
        let message = json!({
            "id": "7", "channel_id": scene.room.id, "guild_id": scene.room.guild, "content": "let me in",
            "author": user.show(),
        });
        http.post(&url).json(&message).send().await.unwrap().status().as_u16()
    };
    let before = scene.discord().calls().len();
    assert_eq!(forward(&User::new("Stranger")).await, 200);
    eventually("the channel is disabled", || async { (scene.view().await["enabled"] == false).then_some(()) }).await;
    // Each of them would be told how to pair.
    for number in 0..10 {
        assert_eq!(forward(&User::new(&format!("Stranger{number}"))).await, 200);
    }
    let reason = scene.view().await["metadata"]["disabledReason"].clone();
    assert!(reason.as_str().unwrap().contains("401: Unauthorized"), "{reason}");
    assert_eq!(scene.discord().calls().len(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typing_sign_finds_out_about_a_reset_token_too() {
    let scene = Scene::set().await;
    let rooms = [scene.room.clone(), scene.another_room()];
    for room in &rooms {
        scene.writes(&scene.ana, room, "hi").await;
    }
    scene.app.revoke();
    let before = scene.discord().calls().len();
    let typing = async |room: &str| {
        let body = json!({"channelId": scene.channel.id, "metadata": {"discordChannelId": room}});
        expect(scene.client.post(&scene.b, "/typing", &body).await, 200).await;
    };
    typing(&rooms[0].id).await;
    eventually("the channel is disabled", || async { (scene.view().await["enabled"] == false).then_some(()) }).await;
    typing(&rooms[1].id).await;
    let reply = json!({"channelId": scene.channel.id, "content": "x"});
    let refused = expect(scene.client.post(&scene.a, "/reply", &reply).await, 409).await;
    assert!(refused["error"].as_str().unwrap().contains("401: Unauthorized"), "{refused}");
    assert_eq!(scene.discord().calls().len(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_whose_token_was_reset_is_registered_anew() {
    let scene = Scene::set().await;
    let (_, question) = scene.asks(&scene.ana, &scene.room, "question").await;
    scene.discord().expire_interactions(Gone::InvalidToken);
    let unauthorized = Refusal::Error { status: 401, code: 0, message: "401: Unauthorized" };
    scene.discord().misbehave_on("createMessage", Misbehaviour::Refuse(unauthorized));
    let response = scene.replies(json!({"content": "late", "replyTo": question["id"]})).await;
    assert!(scene.failed(&response).await.contains("401: Unauthorized"));
    assert_eq!(scene.view().await["enabled"], false);
    // Its owner may know better than the relay, and try once more.
    scene.patch(json!({"enabled": true})).await;
    assert_eq!(scene.view().await["metadata"].get("disabledReason"), None);
    scene.says(json!({"content": "again"})).await;
    let newer = register_bot(&scene.client, &scene.a, "discord", &scene.app.token).await;
    assert!(scene.app.endpoint().unwrap().ends_with(&newer.id));
}
