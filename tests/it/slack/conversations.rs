//! Where people speak to the bot, and where its answers go.

use serde_json::{Value, json};

use super::{ANA, BOB, Scene};
use crate::support::client::expect;
use crate::support::platforms::deployment::{Platforms, register};
use crate::support::relay::data_dir;

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_message_is_answered_beside_it() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis();
    direct_conversation(&Scene::on::<2>(platforms, &setup).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_message_is_answered_on_the_embedded_store_too() {
    let (dir, platforms) = (data_dir(), Platforms::start().await);
    let setup = platforms.embedded(dir.path());
    direct_conversation(&Scene::on::<1>(platforms, &setup).await).await;
}

async fn direct_conversation(scene: &Scene) {
    scene.let_in(&[ANA]).await;
    scene.change(json!({"prompt": "Be brief.", "agentId": "agent-7", "notifyOnComplete": true})).await;
    let direct = scene.workspace.direct_messages(ANA);
    let mut socket = scene.client.open(scene.replicas.last().unwrap(), "").await;
    let event = scene.says(ANA, &direct, None, "Is anybody there?").await;
    let message = socket.message().await;
    assert_eq!(message["channelType"], "slack");
    assert_eq!(message["channelId"], scene.channel.id.as_str());
    assert_eq!((&message["from"], &message["content"]), (&json!(ANA), &json!("Is anybody there?")));
    let expected = json!({
        "slackChannelId": direct, "senderId": ANA, "ts": event["ts"], "teamId": scene.workspace.team,
        "channelDirection": "bidirectional", "channelPrompt": "Be brief.", "channelAgentId": "agent-7",
        "channelNotifyOnComplete": true,
    });
    assert_eq!(message["metadata"], expected);

    let body = json!({
        "channelId": scene.channel.id, "channelType": "slack", "content": "Yes.", "replyTo": message["id"],
        "metadata": message["metadata"],
    });
    let ack = expect(scene.client.post(scene.relay(), "/reply", &body).await, 200).await;
    assert_eq!(ack["channel"], json!({"id": scene.channel.id, "type": "slack", "label": "helper"}));
    let sent = scene.sent(1).await.remove(0);
    assert_eq!((sent.team, sent.channel), (scene.workspace.team.clone(), direct));
    assert_eq!((sent.text.as_str(), sent.thread), ("Yes.", None));
    let frame = socket.expect("delivery").await;
    let expected = json!({
        "type": "delivery", "responseId": ack["responseId"], "channelId": scene.channel.id, "status": "delivered",
        "attempts": 1,
    });
    assert_eq!(frame, expected);
    let status = scene.outcome(ack["responseId"].as_str().unwrap()).await;
    assert_eq!((&status["status"], &status["attempts"]), (&json!("delivered"), &json!(1)));
    socket.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mention_is_one_message_and_is_answered_in_a_thread_on_it() {
    let scene = Scene::with_ana().await;
    let place = scene.workspace.channel();
    let post = scene.says(ANA, &place, None, &scene.at_bot("what is new?")).await;
    let message = scene.message_after(0).await;
    assert_eq!((&message["from"], &message["content"]), (&json!(ANA), &json!("what is new?")));
    let expected = json!({
        "slackChannelId": place, "senderId": ANA, "ts": post["ts"], "threadTs": post["ts"],
        "teamId": scene.workspace.team, "channelDirection": "bidirectional",
    });
    assert_eq!(message["metadata"], expected);

    let answer = scene.answer(&message, "Nothing.").await;
    scene.delivered(&answer).await;
    let sent = scene.sent(1).await.remove(0);
    assert_eq!((json!(sent.channel), json!(sent.thread)), (json!(place), post["ts"].clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_mention_are_one_message_in_either_order() {
    let scene = Scene::with_ana().await;
    let place = scene.workspace.channel();
    for before in 0..2 {
        let post = scene.workspace.says(ANA, &place, None, &scene.at_bot("hi"));
        let mention = scene.workspace.mention(&post).unwrap();
        for event in if before == 0 { [&post, &mention] } else { [&mention, &post] } {
            scene.workspace.deliver(event).await.accepted();
        }
        assert_eq!(scene.message_after(before).await["metadata"]["ts"], post["ts"]);
    }
    // An app that is subscribed to mentions alone works as well.
    let post = scene.workspace.says(ANA, &place, None, &scene.at_bot("hi"));
    scene.workspace.deliver(&scene.workspace.mention(&post).unwrap()).await.accepted();
    assert_eq!(scene.message_after(2).await["metadata"]["threadTs"], post["ts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mention_in_a_thread_is_answered_at_the_root_of_that_thread() {
    let scene = Scene::with_ana().await;
    let place = scene.workspace.channel();
    let root = scene.says(BOB, &place, None, "the build is red").await;
    let post = scene.says(ANA, &place, root["ts"].as_str(), &scene.at_bot("why?")).await;
    let message = scene.message_after(0).await;
    assert_eq!((&message["metadata"]["ts"], &message["metadata"]["threadTs"]), (&post["ts"], &root["ts"]));
    scene.delivered(&scene.answer(&message, "A test is flaky.").await).await;
    assert_eq!(json!(scene.sent(1).await[0].thread), root["ts"], "a reply is no root");

    // In the thread that the bot takes part in nobody has to mention it any more.
    let post = scene.says(ANA, &place, root["ts"].as_str(), "which one?").await;
    let message = scene.message_after(1).await;
    assert_eq!((&message["content"], &message["metadata"]["ts"]), (&json!("which one?"), &post["ts"]));
    scene.delivered(&scene.answer(&message, "This one.").await).await;
    assert_eq!(json!(scene.sent(2).await[1].thread), root["ts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_say_to_each_other_in_a_channel_is_not_for_the_agent() {
    let scene = Scene::with_ana().await;
    let (place, elsewhere) = (scene.workspace.channel(), scene.workspace.channel());
    let asked = scene.says(ANA, &place, None, &scene.at_bot("hi")).await;
    let root = scene.says(ANA, &place, None, "lunch?").await;
    scene.says(ANA, &place, root["ts"].as_str(), "at noon").await;
    scene.says(ANA, &place, None, "<@U0BOB> and <@UBOTHER>").await;
    // The same thread in another channel is another thread.
    scene.says(ANA, &elsewhere, asked["ts"].as_str(), "nothing to do with it").await;
    scene.message_after(0).await;

    let post = scene.says(ANA, &place, asked["ts"].as_str(), "to the bot's thread").await;
    assert_eq!(scene.message_after(1).await["metadata"]["ts"], post["ts"]);
    let mut to_bot = scene.workspace.says(ANA, &place, root["ts"].as_str(), "on what the bot said");
    to_bot["parent_user_id"] = scene.workspace.bot_user.as_str().into();
    scene.workspace.deliver(&to_bot).await.accepted();
    assert_eq!(scene.message_after(2).await["metadata"]["threadTs"], root["ts"]);
    assert!(scene.platforms.slack.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_of_a_direct_message_is_a_conversation_of_its_own() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    let root = scene.says(ANA, &direct, None, "outside").await;
    let outside = scene.message_after(0).await;
    scene.says(ANA, &direct, root["ts"].as_str(), "inside").await;
    let inside = scene.message_after(1).await;
    assert_eq!(inside["metadata"]["threadTs"], root["ts"]);
    scene.delivered(&scene.answer(&outside, "beside").await).await;
    scene.delivered(&scene.answer(&inside, "within").await).await;
    let sent: Vec<_> = scene.sent(2).await.into_iter().map(|sent| (sent.text, json!(sent.thread))).collect();
    assert_eq!(sent, [("beside".to_owned(), Value::Null), ("within".to_owned(), root["ts"].clone())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_finds_its_conversation_and_never_leaves_the_channel_s_own() {
    let scene = Scene::with_ana().await;
    let (direct, place) = (scene.workspace.direct_messages(ANA), scene.workspace.channel());
    assert_eq!(scene.refused_reply(json!({"content": "x"}), 409).await["code"], "no_conversation");
    let first = scene.says(ANA, &place, None, &scene.at_bot("first")).await;
    let first_message = scene.message_after(0).await;
    let second = scene.says(ANA, &place, None, &scene.at_bot("second")).await;
    scene.says(ANA, &direct, None, "third").await;

    let private = scene.workspace.direct_messages(BOB);
    scene.says(BOB, &private, None, "a stranger").await;
    scene.sent(1).await;
    for metadata in [
        json!({"slackChannelId": scene.workspace.channel()}),
        json!({"slackChannelId": private}),
        json!({"slackChannelId": BOB}),
        json!({"slackChannelId": place, "threadTs": "1.000001"}),
        json!({"slackChannelId": direct, "threadTs": first["ts"]}),
    ] {
        let refusal = scene.refused_reply(json!({"content": "x", "metadata": metadata}), 400).await;
        assert_eq!(refusal["code"], "unknown_destination", "{metadata}");
    }

    for (number, (body, place, thread)) in [
        (json!({}), &direct, &Value::Null),
        (json!({"replyTo": first_message["id"]}), &place, &first["ts"]),
        (json!({"metadata": {"slackChannelId": place}}), &place, &second["ts"]),
        (json!({"metadata": {"slackChannelId": place, "ts": first["ts"]}}), &place, &first["ts"]),
        (json!({"replyTo": first_message["id"], "metadata": {"slackChannelId": direct}}), &direct, &Value::Null),
        (json!({"metadata": {"chatId": 5, "channelName": "x"}}), &direct, &Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let mut reply = body.clone();
        reply["content"] = "found".into();
        scene.delivered(&scene.reply(reply).await).await;
        let sent = scene.sent(number + 2).await.pop().unwrap();
        assert_eq!((&sent.channel, &json!(sent.thread)), (place, thread), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_app_s_people_are_not_another_s() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &direct, None, "hi").await;
    let message = scene.message_after(0).await;
    let other = scene.platforms.slack.workspace();
    let channel = register(&scene.client, scene.relay(), "slack", super::credentials(&other)).await;
    let mut body = json!({"channelId": channel.id, "content": "x", "metadata": message["metadata"]});
    let refusal = expect(scene.client.post(scene.relay(), "/reply", &body).await, 400).await;
    assert_eq!(refusal["code"], "unknown_destination");
    body["channelType"] = "telegram".into();
    let refusal = expect(scene.client.post(scene.relay(), "/reply", &body).await, 400).await;
    assert!(refusal["error"].as_str().unwrap().contains("slack"), "{refusal}");
    assert!(scene.platforms.slack.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_typing_is_nothing_to_slack() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &direct, None, "hi").await;
    let metadata = scene.message_after(0).await["metadata"].clone();
    let body = json!({"channelId": scene.channel.id, "channelType": "slack", "metadata": metadata});
    let answer = expect(scene.client.post(scene.relay(), "/typing", &body).await, 200).await;
    assert_eq!(answer, json!({"ok": true}));
    scene.delivered(&scene.reply(json!({"content": "done"})).await).await;
    let calls: Vec<_> = scene.platforms.slack.calls().into_iter().map(|call| call.name).collect();
    assert_eq!(calls, ["auth.test", "chat.postMessage"]);
}
