//! `/chat`: what reaches the agent, and that its answer takes the place of "thinking…".

use std::time::Duration;

use serde_json::{Value, json};

use super::{Scene, assert_deferred};
use crate::support::client::{Client, expect};
use crate::support::platforms::Misbehaviour;
use crate::support::platforms::deployment::register_bot;
use crate::support::platforms::discord::{Refusal, Way};

#[tokio::test(flavor = "multi_thread")]
async fn a_question_reaches_the_agent_with_where_it_was_asked() {
    let scene = Scene::set().await;
    let mut socket = scene.socket().await;
    let (asked, polled) = scene.asks(&scene.ana, &scene.room, "What time is it?").await;
    assert!(asked.elapsed() < Duration::from_secs(3));
    let message = socket.message().await;
    assert_eq!(message, polled);
    assert_eq!((&message["channelType"], &message["from"]), (&json!("discord"), &json!("ana")));
    assert_eq!(message["channelId"], scene.channel.id.as_str());
    let metadata = json!({
        "channelDirection": "bidirectional", "discordChannelId": scene.room.id, "senderId": scene.ana.id,
        "interactionId": asked.id, "guildId": scene.room.guild,
    });
    assert_eq!(message["metadata"], metadata);
    assert!(!message.to_string().contains(&asked.token), "whoever has the token can answer: {message}");

    let private = scene.discord().direct_channel();
    let (asked, message) = scene.asks(&scene.ana, &private, "And here?").await;
    let metadata = json!({
        "channelDirection": "bidirectional", "discordChannelId": private.id, "senderId": scene.ana.id,
        "interactionId": asked.id,
    });
    assert_eq!((&message["from"], &message["metadata"]), (&json!("ana"), &metadata));
    scene.says(json!({"content": "Here it is the same.", "replyTo": message["id"]})).await;
    assert_eq!(scene.answers_to(&asked), ["editOriginal Here it is the same."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_question_arrives_whole() {
    let scene = Scene::set().await;
    let text = "Wörter, 😀 ".repeat(600);
    assert_eq!(text.chars().count(), 6000);
    let asked = scene.app.asks(&scene.ana, &scene.room, &text).await;
    assert_deferred(&asked);
    assert_eq!(scene.messages().await.pop().unwrap()["content"], text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_names_the_question_takes_the_place_of_thinking() {
    let scene = Scene::set().await;
    let (asked, message) = scene.asks(&scene.ana, &scene.room, "Is *this* so?").await;
    let text = "**Yes.** Ask @everyone, <@&5> or <@444>.";
    scene.says(json!({"content": text, "replyTo": message["id"], "metadata": message["metadata"]})).await;
    let sent = scene.discord().sent().pop().unwrap();
    assert_eq!((sent.way, sent.content.as_str(), &sent.channel), (Way::Original, text, &scene.room.id));
    assert_eq!((sent.pings, sent.is_ephemeral), (vec![], false));
    let call = scene.discord().calls_of("editOriginal").pop().unwrap();
    let path = format!("/api/v10/webhooks/{}/{}/messages/@original", scene.app.id, asked.token);
    assert_eq!((call.method.as_str(), call.path), ("PATCH", path));
    assert_eq!(call.body, json!({"content": text, "allowed_mentions": {"parse": []}}));
    assert_eq!(call.headers.get("authorization"), None, "the token in the path is enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_names_none_completes_the_newest_open_question_of_its_conversation() {
    let scene = Scene::set().await;
    let (other, elsewhere) = scene.asks(&scene.ana, &scene.another_room(), "elsewhere").await;
    let (first, _) = scene.asks(&scene.ana, &scene.room, "first").await;
    let (second, _) = scene.asks(&scene.ana, &scene.room, "second").await;
    for text in ["one", "two", "three"] {
        scene.says(json!({"content": text})).await;
    }
    assert_eq!(scene.answers_to(&second), ["editOriginal one", "followUp three"], "below what was asked last");
    assert_eq!(scene.answers_to(&first), ["editOriginal two"]);
    scene
        .says(json!({"content": "four", "metadata": {"discordChannelId": elsewhere["metadata"]["discordChannelId"]}}))
        .await;
    assert_eq!(scene.answers_to(&other), ["editOriginal four"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn open_questions_are_each_completed_once_and_in_the_right_one() {
    let scene = Scene::set().await;
    let mut asked = Vec::new();
    for text in ["first", "second", "third"] {
        asked.push(scene.asks(&scene.ana, &scene.room, text).await);
    }
    // All at once, twice each, and by both replicas.
    let mut replies = Vec::new();
    for (_, message) in &asked {
        let text = message["content"].as_str().unwrap();
        for (replica, content) in [(&scene.a, format!("{text} a")), (&scene.b, format!("{text} b"))] {
            replies.push(scene.replies_at(replica, json!({"content": content, "replyTo": message["id"]})));
        }
    }
    for response in futures_util::future::join_all(replies).await {
        scene.delivered(&response).await;
    }
    for (interaction, message) in &asked {
        let text = message["content"].as_str().unwrap();
        let answers = scene.answers_to(interaction);
        let either = [("a", "b"), ("b", "a")]
            .map(|(one, two)| vec![format!("editOriginal {text} {one}"), format!("followUp {text} {two}")]);
        assert!(either.contains(&answers), "{answers:?}");
    }
    let ways: Vec<_> = scene.discord().sent().iter().map(|sent| sent.way).filter(|way| *way == Way::Original).collect();
    assert_eq!(ways.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_to_something_else_leaves_the_question_open() {
    let scene = Scene::set().await;
    let (written, message) = scene.writes(&scene.ana, &scene.room, "by the way").await;
    let (asked, _) = scene.asks(&scene.ana, &scene.room, "question").await;
    scene.says(json!({"content": "noted", "replyTo": message["id"]})).await;
    assert_eq!(scene.answers_to(&asked), Vec::<String>::new());
    let sent = scene.discord().sent().pop().unwrap();
    assert_eq!((sent.way, json!(sent.reply_to)), (Way::Channel, written["id"].clone()));
    scene.says(json!({"content": "answer"})).await;
    assert_eq!(scene.answers_to(&asked), ["editOriginal answer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_overtakes_thinking_is_sent_again() {
    let scene = Scene::set().await;
    let (asked, message) = scene.asks(&scene.ana, &scene.room, "quick!").await;
    let unknown = Refusal::Error { status: 404, code: 10015, message: "Unknown Webhook" };
    scene.discord().misbehave_on("editOriginal", Misbehaviour::Refuse(unknown));
    scene.says(json!({"content": "There.", "replyTo": message["id"]})).await;
    assert_eq!(scene.answers_to(&asked), ["editOriginal There."]);
    assert_eq!(scene.discord().calls_of("editOriginal").len(), 2);
    assert_eq!(scene.discord().calls_of("createMessage").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_fate_is_unknown_is_not_seen_twice() {
    let scene = Scene::set().await;
    let (asked, message) = scene.asks(&scene.ana, &scene.room, "question").await;
    scene.discord().misbehave_on("editOriginal", Misbehaviour::AnswerLost);
    scene.says(json!({"content": "answer", "replyTo": message["id"]})).await;
    assert_eq!(scene.discord().calls_of("editOriginal").len(), 2);
    // The second changes the first into what it is.
    let answers: Vec<_> = scene.discord().sent().into_iter().filter(|sent| sent.content == "answer").collect();
    assert!(answers.iter().all(|sent| sent.way == Way::Original && sent.id == answers[0].id), "{answers:?}");
    assert_eq!(scene.answers_to(&asked), ["editOriginal answer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_no_ones_to_answer_but_its_sessions() {
    let scene = Scene::set().await;
    let (asked, message) = scene.asks(&scene.ana, &scene.room, "mine").await;
    let other = Client::register(&scene.a).await;
    let reply = json!({"channelId": scene.channel.id, "content": "x", "replyTo": message["id"]});
    assert_eq!(expect(other.post(&scene.a, "/reply", &reply).await, 404).await["code"], "unknown_channel");
    // Another channel's message gives no destination in this one.
    let second = scene.discord().application("second");
    let newer = register_bot(&other, &scene.a, "discord", &second.token).await;
    for metadata in [message["metadata"].clone(), json!({})] {
        let reply = json!({"channelId": newer.id, "content": "x", "replyTo": message["id"], "metadata": metadata});
        let refused = other.post(&scene.a, "/reply", &reply).await;
        assert!([400, 409].contains(&refused.status().as_u16()), "{refused:?}");
    }
    assert_eq!(scene.answers_to(&asked), Vec::<String>::new());
    assert_eq!(scene.discord().calls_of("editOriginal").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_hears_what_became_of_an_answer() {
    let scene = Scene::set().await;
    let (_, message) = scene.asks(&scene.ana, &scene.room, "question").await;
    let mut socket = scene.client.open(&scene.b, "").await;
    assert_eq!(socket.message().await["id"], message["id"]);
    scene.discord().misbehave_on("editOriginal", Misbehaviour::ServerError(502));
    let response = scene.replies(json!({"content": "answer", "replyTo": message["id"]})).await;
    let [failed, done] = [socket.expect("delivery").await, socket.expect("delivery").await];
    for (frame, status, attempts) in [(&failed, "retrying", 1), (&done, "delivered", 2)] {
        assert_eq!((&frame["status"], &frame["attempts"]), (&json!(status), &json!(attempts)), "{frame}");
        assert_eq!((&frame["responseId"], &frame["channelId"]), (&json!(response), &json!(scene.channel.id)));
    }
    assert!(failed["error"].as_str().unwrap().contains("502"), "{failed}");
    assert_eq!(done.get("error"), None::<&Value>);
}
