//! Messages of the bot: where they go, whom they quote, and that nobody is pinged by them.

use serde_json::json;

use super::Scene;
use crate::support::client::{Client, expect};
use crate::support::platforms::discord::{Refusal, Way};
use crate::support::platforms::{Call, Misbehaviour};

impl Scene {
    fn created(&self) -> Vec<Call> {
        self.discord().calls_of("createMessage")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_to_a_message_is_one_of_the_bot_that_quotes_it() {
    let scene = Scene::set().await;
    let (written, message) = scene.writes(&scene.ana, &scene.room, "What is *that*?").await;
    let text = "**That**, @everyone and @here: <@&5> <@444> `code`";
    scene.says(json!({"content": text, "replyTo": message["id"], "metadata": message["metadata"]})).await;
    let call = scene.created().pop().unwrap();
    assert_eq!((call.method.as_str(), call.path), ("POST", format!("/api/v10/channels/{}/messages", scene.room.id)));
    let header = |name: &str| call.headers.get(name).unwrap().to_str().unwrap();
    assert_eq!(header("authorization"), format!("Bot {}", scene.app.token));
    assert!(header("content-type").starts_with("application/json"), "{}", header("content-type"));
    assert!(header("user-agent").starts_with("DiscordBot (http"), "{}", header("user-agent"));
    let nonce = call.body["nonce"].as_str().unwrap();
    assert!((1..=25).contains(&nonce.chars().count()), "{nonce}");
    let expected = json!({
        "content": text, "nonce": nonce, "enforce_nonce": true, "allowed_mentions": {"parse": []},
        "message_reference": {"message_id": written["id"], "fail_if_not_exists": false},
    });
    assert_eq!(call.body, expected);
    let sent = scene.discord().sent().pop().unwrap();
    assert_eq!((sent.way, json!(sent.reply_to), sent.pings), (Way::Channel, written["id"].clone(), vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_names_no_message_quotes_none() {
    let scene = Scene::set().await;
    let (_, message) = scene.writes(&scene.ana, &scene.room, "hi").await;
    let unknown = uuid::Uuid::new_v4().to_string();
    for reply in [
        json!({"content": "one"}),
        json!({"content": "two", "metadata": message["metadata"]}),
        json!({"content": "three", "replyTo": unknown}),
        json!({"content": "four", "replyTo": "no id at all", "metadata": message["metadata"]}),
    ] {
        scene.says(reply.clone()).await;
        let call = scene.created().pop().unwrap();
        assert_eq!((&call.body["content"], call.body.get("message_reference")), (&reply["content"], None));
        assert_eq!(call.body["allowed_mentions"], json!({"parse": []}));
    }
    let nonces: std::collections::HashSet<_> =
        scene.created().iter().map(|call| call.body["nonce"].to_string()).collect();
    assert_eq!(nonces.len(), 4, "each message has its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_gone_or_cannot_be_quoted_is_answered_all_the_same() {
    let scene = Scene::set().await;
    let (_, message) = scene.writes(&scene.ana, &scene.room, "which I delete").await;
    let elsewhere = scene.another_room();
    // Discord does not know it in this channel any more.
    let mut moved = scene.app.message(&scene.ana, &elsewhere, "deleted");
    moved["channel_id"] = scene.room.id.as_str().into();
    moved["guild_id"] = scene.room.guild.clone().into();
    scene.forwards(&moved).await;
    let gone = scene.messages().await.pop().unwrap();
    scene.says(json!({"content": "one", "replyTo": gone["id"]})).await;
    let sent = scene.discord().sent().pop().unwrap();
    assert_eq!((sent.content.as_str(), sent.reply_to), ("one", None));

    let unreadable = Refusal::Error {
        status: 400,
        code: 160_002,
        message: "Cannot reply without permission to read message history",
    };
    scene.discord().misbehave_on("createMessage", Misbehaviour::Refuse(unreadable));
    scene.says(json!({"content": "two", "replyTo": message["id"]})).await;
    let sent = scene.discord().sent().pop().unwrap();
    assert_eq!((sent.content.as_str(), sent.reply_to), ("two", None));
    assert_eq!(scene.created().last().unwrap().body.get("message_reference"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_fate_is_unknown_is_delivered_once() {
    let scene = Scene::with(|setup| setup.with("CHAOS_DELIVERY_CALL_SECONDS", "1")).await;
    scene.writes(&scene.ana, &scene.room, "hi").await;
    let sent = scene.discord().sent().len();
    for trouble in [Misbehaviour::AnswerLost, Misbehaviour::Slow(std::time::Duration::from_secs(2))] {
        let before = scene.created().len();
        scene.discord().misbehave_on("createMessage", trouble.clone());
        scene.says(json!({"content": format!("{trouble:?}")})).await;
        let calls = scene.created().split_off(before);
        assert_eq!(calls.len(), 2, "{trouble:?}");
        assert_eq!(calls[0].body, calls[1].body, "the same nonce, so that Discord sees the repeat");
    }
    assert_eq!(scene.discord().sent().len(), sent + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_not_discords_is_no_delivery() {
    let scene = Scene::set().await;
    let (asked, question) = scene.asks(&scene.ana, &scene.room, "question").await;
    let (_, message) = scene.writes(&scene.ana, &scene.another_room(), "message").await;
    for call in ["editOriginal", "createMessage"] {
        scene.discord().misbehave_on(call, Misbehaviour::Garbage);
    }
    let answer = scene.replies(json!({"content": "answer", "replyTo": question["id"]})).await;
    let reply = scene.replies(json!({"content": "reply", "replyTo": message["id"]})).await;
    for response in [&answer, &reply] {
        scene.delivered(response).await;
        assert_eq!(scene.status(response).await["attempts"], 2);
    }
    assert_eq!(scene.discord().sent().iter().filter(|sent| ["answer", "reply"].contains(&&*sent.content)).count(), 2);
    assert_eq!(scene.answers_to(&asked).last().unwrap(), "editOriginal answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_goes_to_the_channels_own_conversations_and_nowhere_else() {
    let scene = Scene::set().await;
    let reply = |more: serde_json::Value| {
        let mut reply = json!({"channelId": scene.channel.id, "content": "x"});
        reply.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        reply
    };
    // Ana has paired there, but said nothing.
    let early = scene.client.post(&scene.a, "/reply", &reply(json!({}))).await;
    assert_eq!(expect(early, 409).await["code"], "no_conversation");
    let other = scene.another_room();
    let (_, first) = scene.writes(&scene.ana, &scene.room, "first").await;
    scene.writes(&scene.ana, &other, "second").await;
    for foreign in [json!("1"), json!(scene.discord().channel().id), json!(""), json!("../users/@me"), json!(5)] {
        let refused =
            scene.client.post(&scene.a, "/reply", &reply(json!({"metadata": {"discordChannelId": foreign}}))).await;
        assert_eq!(expect(refused, 400).await["code"], "unknown_destination", "{foreign}");
    }
    let number = scene.room.id.parse::<u64>().unwrap();
    for (more, room) in [
        (json!({}), &other),
        (json!({"replyTo": first["id"]}), &scene.room),
        (json!({"metadata": {"discordChannelId": scene.room.id}}), &scene.room),
        (json!({"metadata": {"discordChannelId": number}}), &scene.room),
        (json!({"replyTo": first["id"], "metadata": {"discordChannelId": other.id}}), &other),
        (json!({"metadata": {"chatId": "1", "slackChannelId": "C1"}}), &other),
    ] {
        let mut body = more.clone();
        body["content"] = "x".into();
        scene.says(body).await;
        let sent = scene.discord().sent().pop().unwrap();
        assert_eq!(
            (&sent.channel, sent.reply_to.is_some()),
            (&room.id, more.get("metadata").is_none() && more != json!({})),
            "{more}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typing_sign_shows_where_the_conversation_is() {
    let scene = Scene::set().await;
    let typing = async |more: serde_json::Value| {
        let mut body = json!({"channelId": scene.channel.id, "channelType": "discord"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        scene.client.post(&scene.a, "/typing", &body).await
    };
    expect(typing(json!({})).await, 200).await;
    let other = scene.another_room();
    scene.writes(&scene.ana, &scene.room, "first").await;
    scene.writes(&scene.ana, &other, "second").await;
    let refused = typing(json!({"metadata": {"discordChannelId": "1"}})).await;
    assert_eq!(expect(refused, 400).await["code"], "unknown_destination");
    assert_eq!(expect(typing(json!({"channelType": "slack"})).await, 400).await["code"], "wrong_channel_type");
    let strange = Client::register(&scene.a).await;
    let body = json!({"channelId": scene.channel.id});
    assert_eq!(expect(strange.post(&scene.a, "/typing", &body).await, 404).await["code"], "unknown_channel");
    assert_eq!(scene.discord().calls_of("triggerTyping").len(), 0);

    for _ in 0..3 {
        // More often than it fades it is not passed on.
        expect(typing(json!({})).await, 200).await;
        expect(typing(json!({"metadata": {"discordChannelId": scene.room.id}})).await, 200).await;
    }
    let calls = scene.discord().wait_for_calls("triggerTyping", 2).await;
    let mut paths: Vec<_> = calls.iter().map(|call| call.path.clone()).collect();
    paths.sort();
    let mut expected = [&scene.room, &other].map(|room| format!("/api/v10/channels/{}/typing", room.id));
    expected.sort();
    assert_eq!(paths, expected);
    // A sign that does not get through is nobody's trouble.
    scene.patch(json!({"enabled": false})).await;
    expect(typing(json!({})).await, 200).await;
    scene.patch(json!({"enabled": true})).await;
    scene.says(json!({"content": "done"})).await;
    assert_eq!(scene.discord().calls_of("triggerTyping").len(), 2);
}
