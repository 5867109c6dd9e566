//! Groups, topics and supergroups: where something was said, and that answers get there.

use serde_json::{Value, json};

use super::scene::{Scene, read};
use crate::support::client::contents;
use crate::support::platforms::telegram::{Chat, Refusal, Sent};
use crate::support::platforms::{Misbehaviour, Rule};

/// Says something in a chat; gives the update and the message that arrived.
async fn ask(scene: &Scene, chat: &Chat, text: &str) -> (Value, Value) {
    let update = scene.bot.deliver(&scene.ana.says(chat, text)).await.accepted().event;
    let message = scene.messages().await.pop().unwrap();
    assert_eq!(message["content"], text);
    (update, message)
}

/// Answers a message by its metadata and id; gives what the chat gets to see.
async fn answered(scene: &Scene, message: &Value, text: &str) -> Sent {
    let body = json!({"channelId": scene.channel.id, "content": text, "replyTo": message["id"],
                      "metadata": message["metadata"]});
    let ack = read(scene.client.post(scene.b(), "/reply", &body).await, 200).await;
    assert_eq!(scene.fate(&ack).await["status"], "delivered");
    let sent = scene.telegram().sent().pop().unwrap();
    assert_eq!(sent.text, text);
    sent
}

pub async fn a_command_in_a_group_is_answered_there(scene: &Scene) {
    scene.allow(&[scene.ana.id]).await;
    let group = scene.telegram().group(-400, "Friends");
    let withheld = scene.bot.deliver(&scene.ana.says(&group, "among us")).await.withheld;
    assert_eq!(withheld, Some("privacy mode is on"));
    let (update, message) = ask(scene, &group, "/ask@helper_bot Who is there?").await;
    let metadata = json!({
        "updateId": update["update_id"], "chatId": -400, "senderId": scene.ana.id,
        "messageId": update["message"]["message_id"], "chatType": "group", "channelDirection": "bidirectional",
    });
    assert_eq!((&message["from"], &message["metadata"]), (&json!("ana"), &metadata));
    let sent = answered(scene, &message, "All of us.").await;
    assert_eq!((sent.chat, json!(sent.reply_to)), (-400, metadata["messageId"].clone()));

    // Whoever replies to the bot is heard, too; and who is heard in a group is heard in private.
    let own = json!({"message_id": sent.message_id, "from": {"id": scene.bot.id}});
    scene.bot.deliver(&scene.ana.replies(&group, &own, "Really?")).await.accepted();
    scene.bot.hears(&scene.ana, "between us").await;
    let messages = scene.messages().await;
    assert_eq!(contents(&messages)[1..], ["Really?", "between us"]);
    assert_eq!(answered(scene, &messages[2], "Yes.").await.chat, scene.ana.id);
    assert_eq!(answered(scene, &messages[1], "Really.").await.chat, -400);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_in_a_group_are_answered_there() {
    a_command_in_a_group_is_answered_there(&Scene::on_redis().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lands_in_the_topic_on_the_message_that_it_answers() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ana.id]).await;
    scene.bot.sees_all();
    let forum = scene.telegram().supergroup(-1_001_234_567_890, "Team");
    let (plans, bugs) = (forum.topic(), forum.topic());
    let (in_plans, first) = ask(&scene, &plans, "When?").await;
    let (in_bugs, second) = ask(&scene, &bugs, "Where?").await;
    let (in_general, third) = ask(&scene, &forum, "Who?").await;

    for (chat, message) in [(&plans, &first), (&bugs, &second), (&forum, &third)] {
        let metadata = &message["metadata"];
        assert_eq!((&metadata["chatId"], &metadata["chatType"]), (&json!(forum.id), &json!("supergroup")));
        assert_eq!(metadata.get("threadId"), chat.thread.map(Value::from).as_ref(), "the General topic has no id");
    }
    // The oldest first, when others were asked about since.
    for (message, update, thread) in
        [(&first, &in_plans, plans.thread), (&third, &in_general, None), (&second, &in_bugs, bugs.thread)]
    {
        let sent = answered(&scene, message, "So.").await;
        assert_eq!((sent.chat, sent.thread), (forum.id, thread));
        assert_eq!(json!(sent.reply_to), update["message"]["message_id"]);
        // Without `replyTo` the answer quotes nothing, and lands in the same place.
        let ack = read(scene.answer(message, "So, again.").await, 200).await;
        scene.fate(&ack).await;
        let sent = scene.telegram().sent().pop().unwrap();
        assert_eq!((sent.chat, sent.thread, sent.reply_to), (forum.id, thread, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_replies_outside_forums_is_no_topic() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ana.id]).await;
    scene.bot.sees_all();
    let group = scene.telegram().supergroup(-1_001, "Team");
    let mut update = scene.ana.says(&group, "in a chain");
    update["message"]["message_thread_id"] = 12.into();
    scene.bot.deliver(&update).await.accepted();
    let message = scene.messages().await.pop().unwrap();
    assert_eq!(message["metadata"].get("threadId"), None);
    let sent = answered(&scene, &message, "here").await;
    assert_eq!((sent.chat, sent.thread), (group.id, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_deleted_gets_no_answer_and_the_owner_reads_why() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ana.id]).await;
    scene.bot.sees_all();
    let forum = scene.telegram().supergroup(-1_001, "Team");
    let topic = forum.topic();
    let (_, message) = ask(&scene, &topic, "When?").await;
    topic.delete_topic();
    let ack = read(scene.answer(&message, "Now.").await, 200).await;
    let fate = scene.fate(&ack).await;
    assert_eq!((&fate["status"], &fate["attempts"]), (&json!("failed"), &json!(1)));
    assert!(fate["error"].as_str().unwrap().contains("message thread not found"), "{fate}");
    assert!(scene.telegram().sent().is_empty(), "what was meant for a topic is said nowhere else");
}

pub async fn a_group_that_becomes_a_supergroup_keeps_working(scene: &Scene) {
    scene.allow(&[scene.ana.id]).await;
    scene.bot.sees_all();
    let group = scene.telegram().group(-400, "Friends");
    let (_, before) = ask(scene, &group, "Shall we grow?").await;
    assert_eq!(answered(scene, &before, "Do.").await.chat, -400);

    let grown = scene.telegram().upgrade(&group, -1_001_000_000_400);
    scene.bot.deliver(&group.moves(&scene.ana, grown.id)).await.accepted();
    // A message of the old group is answered in the new one, and so is one that names the old group alone.
    for body in [
        json!({"channelId": scene.channel.id, "content": "by all", "replyTo": before["id"], "metadata": before["metadata"]}),
        json!({"channelId": scene.channel.id, "content": "by id", "replyTo": before["id"]}),
        json!({"channelId": scene.channel.id, "content": "by chat", "metadata": {"chatId": "-400"}}),
    ] {
        let ack = read(scene.client.post(scene.a(), "/reply", &body).await, 200).await;
        assert_eq!(scene.fate(&ack).await["status"], "delivered");
        let sent = scene.telegram().sent().pop().unwrap();
        // What it answers has another number there, if it is there at all, and is not quoted.
        assert_eq!((sent.chat, json!(sent.text), sent.reply_to), (grown.id, body["content"].clone(), None));
    }

    let (update, after) = ask(scene, &grown, "We are many.").await;
    assert_eq!(
        (&after["metadata"]["chatId"], &after["metadata"]["chatType"]),
        (&json!(grown.id), &json!("supergroup"))
    );
    let sent = answered(scene, &after, "I see.").await;
    assert_eq!((sent.chat, json!(sent.reply_to)), (grown.id, update["message"]["message_id"].clone()));
    assert_eq!(contents(&scene.messages().await), ["Shall we grow?", "We are many."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_goes_on_where_its_group_has_moved_to_meanwhile() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ana.id]).await;
    let group = scene.telegram().group(-400, "Friends");
    let (_, message) = ask(&scene, &group, "/ask").await;
    let moves = Misbehaviour::Refuse(Refusal::Migrated { to: -1_001_000_000_400 });
    scene.telegram().rule(Rule::new(moves).on("sendMessage").after(1));
    let long = ["first", "second", "third"].map(|word| format!("{word} ").repeat(500)).join("\n\n");
    let ack = read(scene.answer(&message, &long).await, 200).await;
    assert_eq!(scene.fate(&ack).await["status"], "delivered");
    let sent = scene.telegram().sent();
    let parts: Vec<_> = sent.iter().map(|sent| (sent.chat, sent.text.split(' ').next().unwrap())).collect();
    assert_eq!(parts, [(-400, "first"), (-1_001_000_000_400, "second"), (-1_001_000_000_400, "third")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_keeps_working_as_a_supergroup() {
    a_group_that_becomes_a_supergroup_keeps_working(&Scene::on_redis().await).await;
}
