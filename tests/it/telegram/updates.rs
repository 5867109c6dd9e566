//! What a person does, as the message that the client gets.

use reqwest::Method;
use serde_json::{Value, json};

use super::scene::{Scene, read};
use crate::support::client::contents;
use crate::support::eventually;
use crate::support::platforms::deployment::register_bot;

/// Makes sure that a message is just this, besides what differs with each.
#[track_caller]
fn assert_message(scene: &Scene, message: &Value, content: &str, mut metadata: Value) {
    metadata["channelDirection"] = "bidirectional".into();
    let mut expected = json!({
        "id": message["id"], "userId": scene.client.user_id, "channelType": "telegram", "channelId": scene.channel.id,
        "from": "ana", "content": content, "timestamp": message["timestamp"],
    });
    expected["metadata"] = metadata;
    assert_eq!(message, &expected);
}

/// A text, an edit of it, photos and a pressed button of one person.
pub async fn everything_a_person_does_arrives(scene: &Scene) {
    scene.allow(&[scene.ana.id]).await;
    let (ana, chat) = (&scene.ana, scene.ana.chat());
    let mut socket = scene.client.open(scene.b(), "").await;
    let place = |update: &Value, kind: &str| {
        let message = &update[kind];
        json!({"updateId": update["update_id"], "chatId": 500_001, "senderId": 500_001,
               "messageId": message["message_id"], "chatType": "private"})
    };

    let said = scene.bot.deliver(&ana.says(&chat, "Is it a < b && c > d? <b>Yes</b>\u{202e}")).await.accepted().event;
    assert_message(scene, &socket.message().await, "Is it a < b && c > d? Yes", place(&said, "message"));

    let edited = scene.bot.deliver(&ana.edits(&said, "Is it?")).await.accepted().event;
    assert_eq!(edited["edited_message"]["message_id"], said["message"]["message_id"]);
    let mut metadata = place(&edited, "edited_message");
    metadata["edited"] = true.into();
    assert_message(scene, &socket.message().await, "Is it?", metadata);

    for (caption, content) in [(None, "[photo]"), (Some("see this"), "see this")] {
        let update = scene.bot.deliver(&ana.sends_photo(&chat, caption)).await.accepted().event;
        let mut metadata = place(&update, "message");
        metadata["mediaType"] = "photo".into();
        assert_message(scene, &socket.message().await, content, metadata);
    }

    let mut document = ana.sends_photo(&chat, None);
    document["message"]["document"] = json!({"file_id": "BQAC", "file_unique_id": "B", "file_name": "report.pdf"});
    document["message"].as_object_mut().unwrap().shift_remove("photo");
    let update = scene.bot.deliver(&document).await.accepted().event;
    let mut metadata = place(&update, "message");
    metadata["mediaType"] = "document".into();
    assert_message(scene, &socket.message().await, "[document: report.pdf]", metadata);

    let pressed = scene.bot.deliver(&ana.presses(&chat, 43, "approve:1")).await.accepted().event;
    let query = &pressed["callback_query"];
    let mut metadata = place(&pressed, "message");
    metadata["messageId"] = 43.into();
    metadata["callbackQueryId"] = query["id"].clone();
    assert_message(scene, &socket.message().await, "approve:1", metadata);
    let answer = scene.telegram().wait_for_calls("answerCallbackQuery", 1).await.remove(0);
    assert_eq!(answer.body["callback_query_id"], query["id"]);
    eventually("the press is answered", || async {
        (scene.telegram().calls_of("answerCallbackQuery")[0].answered == Some(200)).then_some(())
    })
    .await;

    socket.nothing_more().await;
    assert_eq!(scene.messages().await.len(), 6);
    assert!(scene.telegram().sent().is_empty(), "the bot itself has nothing to say");
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_edits_photos_and_buttons_arrive() {
    everything_a_person_does_arrives(&Scene::on_redis().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_under_a_message_that_is_gone_or_was_never_in_a_chat_counts_too() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ana.id]).await;
    let mut old = scene.ana.presses(&scene.ana.chat(), 43, "old");
    old["callback_query"]["message"] = json!({"chat": {"id": 500_001, "type": "private"}, "message_id": 43, "date": 0});
    let mut inline = scene.ana.presses(&scene.ana.chat(), 43, "inline");
    let query = inline["callback_query"].as_object_mut().unwrap();
    query.shift_remove("message");
    query.insert("inline_message_id".to_owned(), "AgAAAPg".into());
    for update in [old, inline] {
        scene.bot.deliver(&update).await.accepted();
        let message = scene.messages().await.pop().unwrap();
        assert_eq!(
            (&message["content"], &message["metadata"]["chatId"]),
            (&update["callback_query"]["data"], &json!(500_001))
        );
        scene.bot.hears(&scene.ana, "so that the bot may write").await;
        let ack = read(scene.answer(&message, "done").await, 200).await;
        assert_eq!(scene.fate(&ack).await["status"], "delivered");
        assert_eq!(scene.telegram().sent().pop().unwrap().chat, 500_001);
    }
    scene.telegram().wait_for_calls("answerCallbackQuery", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_is_the_user_name_or_else_the_first_name() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ana.id, 4_503_599_627_370_495]).await;
    let mut update = scene.ana.says(&scene.ana.chat(), "hello");
    let user = update["message"]["from"].as_object_mut().unwrap();
    user.shift_remove("username");
    user.insert("first_name".to_owned(), "A\u{202e}na\nMaria".into());
    // Ids have up to 52 bits.
    let far = scene.telegram().person(4_503_599_627_370_495, "Far");
    scene.bot.deliver(&update).await.accepted();
    scene.bot.hears(&far, "hello").await;
    let messages = scene.messages().await;
    let from: Vec<_> = messages.iter().map(|message| message["from"].as_str().unwrap()).collect();
    assert_eq!(from, ["Ana Maria", "far"]);
    assert_eq!(messages[1]["metadata"]["chatId"], 4_503_599_627_370_495_i64);
    read(scene.answer(&messages[1], "hello there").await, 200).await;
    assert_eq!(scene.telegram().wait_for_sent(1).await[0].chat, far.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_carries_the_channels_settings_of_that_moment() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ana.id]).await;
    let update = scene.ana.says(&scene.ana.chat(), "one");
    assert_eq!(
        scene.post_to(scene.b(), &json!({"update_id": 1, "message": update["message"]})).await.status,
        Some(200)
    );
    scene.change(json!({"name": "Desk", "prompt": "Be brief.", "agentId": "butler", "runInBackground": true})).await;
    let update = scene.ana.says(&scene.ana.chat(), "two");
    assert_eq!(
        scene.post_to(scene.b(), &json!({"update_id": 2, "message": update["message"]})).await.status,
        Some(200)
    );
    let messages = scene.messages().await;
    assert_eq!(contents(&messages), ["one", "two"]);
    let routing = |message: &Value| {
        ["channelName", "channelPrompt", "channelAgentId", "channelRunInBackground"]
            .map(|name| message["metadata"][name].clone())
    };
    assert_eq!(routing(&messages[0]), [Value::Null, Value::Null, Value::Null, Value::Null]);
    assert_eq!(routing(&messages[1]), [json!("Desk"), json!("Be brief."), json!("butler"), json!(true)]);
    let ack = read(scene.answer(&messages[1], "yes").await, 200).await;
    assert_eq!(ack["channel"]["label"], "Desk");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_knows_the_secret_is_heard() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ana.id]).await;
    let other = scene.telegram().bot("other_bot");
    register_bot(&scene.client, scene.a(), "telegram", &other.token).await;
    let (secret, foreign) = (scene.secret(), other.webhook().unwrap().secret.unwrap());
    let update = |id: u32| {
        let update = scene.ana.says(&scene.ana.chat(), &format!("update {id}"));
        json!({"update_id": id, "message": update["message"]})
    };
    let url = scene.url_at(scene.a());
    let with = |query: &str| format!("{url}?secret={query}");
    let (upper, long) = (secret.to_uppercase(), format!("{secret}x"));
    for (url, header) in [
        (url.clone(), None),
        (url.clone(), Some("")),
        (url.clone(), Some("guessed")),
        (url.clone(), Some(foreign.as_str())),
        (url.clone(), Some(&secret[1..])),
        (url.clone(), Some(long.as_str())),
        (url.clone(), Some(upper.as_str())),
        (url.clone(), Some(scene.bot.token.as_str())),
        (with(""), None),
        (with("guessed"), None),
        (with(&foreign), Some("guessed")),
        (format!("{url}?token={secret}"), None),
    ] {
        let answer = scene.bot.deliver_to(&url, header, &update(1)).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (Some(401), Some("invalid_signature")),
            "{answer:?}"
        );
    }
    assert!(scene.messages().await.is_empty());

    for (id, url, header) in [
        (1, url.clone(), Some(secret.as_str())),
        (2, with(&secret), None),
        (3, with(&secret), Some("guessed")),
        (4, with("guessed"), Some(secret.as_str())),
    ] {
        assert_eq!(scene.bot.deliver_to(&url, header, &update(id)).await.status, Some(200), "update {id}");
    }
    assert_eq!(contents(&scene.messages().await), ["update 1", "update 2", "update 3", "update 4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_at_the_wrong_url_is_refused() {
    let scene = Scene::on_redis().await;
    let webhook = scene.client.make_webhook(scene.a(), json!({})).await;
    let update = json!({"update_id": 1});
    let (secret, id) = (scene.secret(), &scene.channel.id);
    for (path, status, code) in [
        (format!("/telegram/{}", webhook.id), 400, "wrong_channel_type"),
        (format!("/discord/{id}"), 400, "wrong_channel_type"),
        (format!("/slack/{id}"), 400, "wrong_channel_type"),
        (format!("/webhook/{id}?token={secret}"), 400, "wrong_channel_type"),
        ("/telegram/nobody".to_owned(), 404, "unknown_channel"),
        (format!("/telegram/{id}x"), 404, "unknown_channel"),
        ("/telegram/%00".to_owned(), 404, "unknown_channel"),
        ("/telegram/".to_owned(), 404, "unknown_path"),
    ] {
        for replica in &scene.replicas {
            let answer = scene.bot.deliver_to(&format!("{}{path}", replica.url()), Some(&secret), &update).await;
            assert_eq!((answer.status, answer.json()["code"].as_str()), (Some(status), Some(code)), "{path}");
        }
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = reqwest::Client::new().request(method, scene.url_at(scene.a())).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["Allow"].to_str().unwrap()), (405, "POST"));
    }
    // Replies to a bot are private, whoever knows the channel's id.
    let responses = reqwest::get(format!("{}/responses/{id}", scene.a().url())).await.unwrap();
    assert_eq!(responses.status(), 404);
}
