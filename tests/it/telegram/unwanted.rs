//! Updates that the relay will never want: taken, so that Telegram does not send them again, and dropped.

use std::time::Duration;

use serde_json::{Value, json};

use super::scene::{Scene, refusal};
use crate::support::client::contents;
use crate::support::platforms::{delivery, fresh_number};

/// Posts a body that need not be an update, with the right secret. Gives status and body.
async fn post(scene: &Scene, body: &str) -> (Option<u16>, Value) {
    let secret = scene.secret();
    let headers = [("X-Telegram-Bot-Api-Secret-Token", secret.as_str())];
    let url = scene.url_at(scene.b());
    let answer = delivery::post(&delivery::client(), &url, &headers, body, Duration::from_secs(20)).await;
    (answer.status, answer.json())
}

/// A message of Ana's with these members instead of its own.
fn changed(scene: &Scene, kind: &str, members: Value) -> Value {
    let mut message = scene.ana.says(&scene.ana.chat(), "hello")["message"].take();
    message.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    json!({"update_id": 17, kind: message})
}

/// Bots, channels, service messages and everything that is newer than the relay.
fn uninteresting(scene: &Scene) -> Vec<Value> {
    let ana = scene.ana.id;
    let channel = json!({"id": -1_009, "type": "channel", "title": "News"});
    let mut post = changed(scene, "channel_post", json!({"chat": channel, "sender_chat": channel}));
    post["channel_post"].as_object_mut().unwrap().shift_remove("from");
    let mut button = scene.ana.presses(&scene.ana.chat(), 43, "x");
    button["update_id"] = 17.into();
    let mut no_data = button.clone();
    no_data["callback_query"].as_object_mut().unwrap().shift_remove("data");
    let mut by_bot = button;
    by_bot["callback_query"]["from"]["is_bot"] = true.into();
    let mut updates = vec![
        changed(scene, "message", json!({"from": {"id": ana, "is_bot": true, "first_name": "R2"}})),
        changed(scene, "edited_message", json!({"from": {"id": ana, "is_bot": true, "first_name": "R2"}})),
        changed(scene, "message", json!({"sender_chat": channel})),
        changed(scene, "message", json!({"from": Value::Null})),
        post.clone(),
        json!({"update_id": 17, "edited_channel_post": post["channel_post"]}),
        changed(scene, "message", json!({"text": Value::Null, "new_chat_members": [{"id": 9}]})),
        changed(scene, "message", json!({"text": Value::Null, "migrate_to_chat_id": -1_001})),
        changed(scene, "message", json!({"text": ""})),
        changed(scene, "business_message", json!({"business_connection_id": "b"})),
        changed(scene, "a_kind_to_come", json!({})),
        no_data,
        by_bot,
        json!({"update_id": 17, "my_chat_member": {"chat": {"id": ana}, "from": {"id": ana}}}),
        json!({"update_id": 17, "poll": {"id": "5", "question": "?"}}),
        json!({"update_id": 17}),
    ];
    // What is no update at all.
    for odd in [json!({}), json!([]), json!(null), json!(17), json!("update"), json!([[[]]]), json!({"message": {}})] {
        updates.push(odd);
    }
    for id in [json!("17"), json!(1.5), json!(null), json!(1e300), json!(u64::MAX), json!([17]), json!({"a": 1})] {
        let mut update = changed(scene, "message", json!({}));
        update["update_id"] = id;
        updates.push(update);
    }
    for odd in [json!([]), json!("hello"), json!(5), json!(true), json!({"text": "x"}), json!({"from": {"id": ana}})] {
        updates.push(json!({"update_id": 17, "message": odd}));
    }
    for members in [
        json!({"chat": {"id": "500001", "type": "private"}}),
        json!({"chat": []}),
        json!({"from": {"id": "500001"}}),
        json!({"from": [ana]}),
        json!({"message_id": "x"}),
        json!({"text": 5}),
        json!({"text": ["hello"]}),
    ] {
        updates.push(changed(scene, "message", members));
    }
    updates
}

pub async fn nothing_comes_of_what_is_not_wanted(scene: &Scene) {
    scene.allow(&[scene.ana.id, -1_009]).await;
    let deep = format!("{{\"update_id\":1,\"message\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let broken = ["", "{", "{\"update_id\":17,", "hello", "\u{0}", "{\"update_id\":17}}", "null null", deep.as_str()];
    let updates: Vec<_> = uninteresting(scene).iter().map(Value::to_string).collect();
    assert!(updates.len() > 40);
    for body in updates.iter().map(String::as_str).chain(broken) {
        let shown = &body[..body.len().min(200)];
        assert_eq!(post(scene, body).await, (Some(200), json!({"ok": true})), "{shown}");
    }
    assert_eq!(scene.words().await, []);
    assert!(scene.messages().await.is_empty());
    // None of them stands in the way of an update that has the same number and is wanted.
    assert_eq!(post(scene, &changed(scene, "message", json!({})).to_string()).await.0, Some(200));
    assert_eq!(scene.messages().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_wanted_is_taken_and_dropped() {
    nothing_comes_of_what_is_not_wanted(&Scene::on_redis().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_wanted_is_counted_and_what_is_not_believed_is_not() {
    let scene = Scene::on_redis_with(&[("CHAOS_RATE_WEBHOOK", "6/1h")]).await;
    scene.allow(&[scene.ana.id]).await;
    for _ in 0..20 {
        let answer = scene.bot.deliver_to(&scene.url_at(scene.a()), Some("guessed"), &json!({"update_id": 1})).await;
        assert_eq!(answer.status, Some(401));
    }
    let stranger = scene.ben.says(&scene.ben.chat(), "hello");
    let stranger = json!({"update_id": 3, "message": stranger["message"]}).to_string();
    let wanted = changed(&scene, "message", json!({})).to_string();
    let by_bot = changed(&scene, "message", json!({"from": {"id": 9, "is_bot": true}})).to_string();
    for body in ["{", "{}", by_bot.as_str(), stranger.as_str(), wanted.as_str(), wanted.as_str()] {
        assert_eq!(post(&scene, body).await.0, Some(200), "{body}");
    }
    for body in ["{", by_bot.as_str(), stranger.as_str(), wanted.as_str()] {
        let (status, answer) = post(&scene, body).await;
        assert_eq!((status, &answer["code"]), (Some(429), &json!("rate_limited")), "{body}");
    }
    assert_eq!(scene.messages().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_channel_takes_nothing_in_and_pairs_nobody() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ana.id]).await;
    let first = scene.bot.hears(&scene.ana, "before").await.event;
    assert_eq!(scene.post_to(scene.a(), &first).await.status, Some(200));
    scene.change(json!({"enabled": false})).await;
    for (replica, person) in scene.replicas.iter().flat_map(|replica| [(replica, &scene.ana), (replica, &scene.ben)]) {
        for text in ["dropped", scene.channel.code.as_str(), "/start"] {
            let update = person.says(&person.chat(), text);
            let update = json!({"update_id": fresh_number(), "message": update["message"]});
            let answer = scene.post_to(replica, &update).await;
            assert_eq!((answer.status, answer.json()), (Some(200), json!({"ok": true})));
        }
        let pressed = scene.bot.deliver(&person.presses(&person.chat(), 43, "dropped")).await;
        assert_eq!(pressed.statuses(), [Some(200)]);
        let body = json!({"channelId": scene.channel.id, "content": "x"});
        refusal(scene.client.post(replica, "/reply", &body).await, 409, "channel_disabled").await;
    }
    scene.change(json!({"enabled": true})).await;
    assert_eq!(scene.words().await, []);
    assert!(scene.telegram().calls_of("answerCallbackQuery").is_empty());
    assert_eq!(scene.allowed().await, json!([scene.ana.id]));
    scene.bot.hears(&scene.ana, "after").await;
    let messages = scene.messages().await;
    assert_eq!(contents(&messages), ["before", "after"], "nothing was kept for later");
    // The code was not spent.
    scene.bot.hears(&scene.ben, &scene.channel.code).await;
    assert_eq!(scene.allowed().await, json!([scene.ana.id, scene.ben.id]));
}
