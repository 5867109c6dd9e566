//! What the agent says, as the chat sees it.

use serde_json::{Value, json};

use super::scene::{Scene, read, refusal};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::platforms::telegram::{Refusal, Sent};
use crate::support::platforms::{Call, Misbehaviour, Rule};

/// Has Ana say something; gives the message.
async fn heard(scene: &Scene) -> Value {
    scene.allow(&[scene.ana.id]).await;
    scene.bot.hears(&scene.ana, "hello").await;
    scene.messages().await.pop().unwrap()
}

/// Answers a message, and waits until that has arrived.
async fn say(scene: &Scene, message: &Value, content: &str) {
    let ack = read(scene.answer(message, content).await, 200).await;
    let fate = scene.fate(&ack).await;
    assert_eq!(fate["status"], "delivered", "{fate}");
}

#[tokio::test(flavor = "multi_thread")]
async fn markdown_is_shown_as_formatting() {
    let scene = Scene::on_redis().await;
    let message = heard(&scene).await;
    let content = "# Plan\n\n**Buy** _milk_ & `a < b`, [see](https://x.example/?a=1&b=2)\n\n- one\n- two\n\n```rust\nlet x: Vec<u8>;\n```";
    say(&scene, &message, content).await;
    let sent = scene.telegram().sent().remove(0);
    assert_eq!(sent.parse_mode.as_deref(), Some("HTML"));
    for shown in ["Plan", "Buy milk & a < b, see", "one", "two", "let x: Vec<u8>;"] {
        assert!(sent.text.contains(shown), "{shown} in {sent:?}");
    }
    let units: Vec<u16> = sent.text.encode_utf16().collect();
    let formatted = |kind: &str| {
        let entity = sent.entities.iter().find(|entity| entity["type"] == kind);
        let entity = entity.unwrap_or_else(|| panic!("{kind} in {sent:?}"));
        let begin = usize::try_from(entity["offset"].as_u64().unwrap()).unwrap();
        let length = usize::try_from(entity["length"].as_u64().unwrap()).unwrap();
        String::from_utf16(&units[begin..begin + length]).unwrap()
    };
    assert_eq!((formatted("italic"), formatted("code")), ("milk".to_owned(), "a < b".to_owned()));
    assert_eq!((formatted("text_link"), formatted("pre").trim()), ("see".to_owned(), "let x: Vec<u8>;"));
    let call = scene.telegram().calls_of("sendMessage").remove(0);
    assert_eq!(call.body["link_preview_options"], json!({"is_disabled": true}));
}

pub async fn markup_that_telegram_cannot_parse_goes_out_as_it_was_written(scene: &Scene) {
    let message = heard(scene).await;
    scene.telegram().misbehave_on("sendMessage", Misbehaviour::Refuse(Refusal::CannotParseEntities));
    say(scene, &message, "**Yes**, _all_ of <it>").await;
    let sent = scene.telegram().sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!((sent[0].text.as_str(), sent[0].parse_mode.as_deref()), ("**Yes**, _all_ of <it>", None));
    let modes: Vec<_> =
        scene.telegram().calls_of("sendMessage").iter().map(|call| call.body["parse_mode"].clone()).collect();
    assert_eq!(modes, [json!("HTML"), Value::Null]);

    // The next reply is tried with its markup again.
    say(scene, &message, "**No**").await;
    let sent = scene.telegram().sent().remove(1);
    assert_eq!((sent.text.as_str(), sent.parse_mode.as_deref()), ("No", Some("HTML")));
}

#[tokio::test(flavor = "multi_thread")]
async fn markup_that_cannot_be_parsed_is_left_out() {
    markup_that_telegram_cannot_parse_goes_out_as_it_was_written(&Scene::on_redis().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_part_of_a_reply_quotes_and_only_the_part_that_cannot_be_parsed_is_plain() {
    let scene = Scene::on_redis().await;
    let message = heard(&scene).await;
    let refused = Misbehaviour::Refuse(Refusal::CannotParseEntities);
    scene.telegram().rule(Rule::new(refused).on("sendMessage").after(1));
    let long = ["one", "two", "three"].map(|word| format!("**{word}** {}", "x ".repeat(1500))).join("\n\n");
    let body = json!({"channelId": scene.channel.id, "content": long, "replyTo": message["id"]});
    let ack = read(scene.client.post(scene.b(), "/reply", &body).await, 200).await;
    assert_eq!(scene.fate(&ack).await["status"], "delivered");
    let sent = scene.telegram().sent();
    let parts: Vec<_> = sent
        .iter()
        .map(|sent| (sent.text.split(' ').next().unwrap(), sent.parse_mode.is_some(), sent.reply_to))
        .collect();
    let asked = message["metadata"]["messageId"].as_i64();
    assert_eq!(parts, [("one", true, asked), ("**two**", false, None), ("three", true, None)]);
}

/// 64 KiB at most, of numbered lines in paragraphs and code.
fn long_text() -> (String, Vec<String>) {
    let (mut text, mut lines) = (String::new(), Vec::new());
    let mut block = 0;
    loop {
        let is_code = block % 2 == 1;
        let mut next = String::from(if is_code { "```rust\n" } else { "" });
        let begun = lines.len();
        for _ in 0..if is_code { 150 } else { 20 } {
            let line = format!("line {} 🦀 ünïcode <&> x < y", lines.len());
            next.push_str(&line);
            next.push('\n');
            lines.push(line);
        }
        next.push_str(if is_code { "```\n\n" } else { "\n" });
        if text.len() + next.len() > 65_536 {
            lines.truncate(begun);
            return (text, lines);
        }
        text.push_str(&next);
        block += 1;
    }
}

/// Which of the lines a message shows, and which of them as code. No line is cut.
fn lines_of(sent: &Sent) -> Vec<(usize, bool)> {
    let code: Vec<(u64, u64)> = sent
        .entities
        .iter()
        .filter(|entity| entity["type"] == "pre")
        .map(|entity| (entity["offset"].as_u64().unwrap(), entity["length"].as_u64().unwrap()))
        .collect();
    let mut at = 0;
    let mut found = Vec::new();
    for line in sent.text.split('\n') {
        let number = line.strip_prefix("line ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        if let Some(number) = number {
            assert_eq!(line, format!("line {number} 🦀 ünïcode <&> x < y"));
            let is_code = code.iter().any(|(begin, length)| (*begin..begin + length).contains(&at));
            found.push((number, is_code));
        } else {
            assert!(line.trim().is_empty(), "{line:?}");
        }
        at += line.encode_utf16().count() as u64 + 1;
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_reply_with_code_is_split_and_complete_and_in_order() {
    let scene = Scene::on_redis().await;
    let message = heard(&scene).await;
    let (text, lines) = long_text();
    assert!((60_000..=65_536).contains(&text.len()), "{}", text.len());
    say(&scene, &message, &text).await;
    let sent = scene.telegram().sent();
    assert!((13..=32).contains(&sent.len()), "{} parts", sent.len());
    assert!(sent.iter().all(|part| part.text.encode_utf16().count() <= 4096 && part.parse_mode.is_some()));
    let shown: Vec<_> = sent.iter().flat_map(lines_of).collect();
    let numbers: Vec<_> = shown.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..lines.len()).collect::<Vec<_>>());
    let wrong: Vec<_> = shown.iter().filter(|(number, is_code)| (number % 170 >= 20) != *is_code).collect();
    assert!(wrong.is_empty(), "code outside of code blocks, or the other way round: {wrong:?}");
    assert!(scene.telegram().calls_of("sendMessage").iter().all(|call| call.answered == Some(200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_64_kib_is_cut_and_says_so() {
    let scene = Scene::on_redis().await;
    let message = heard(&scene).await;
    say(&scene, &message, &"word ".repeat(20_000)).await;
    let sent = scene.telegram().sent();
    let units: usize = sent.iter().map(|part| part.text.encode_utf16().count()).sum();
    assert!((64_000..=65_536).contains(&units), "{units}");
    assert!(!sent.last().unwrap().text.ends_with("word"), "{:?}", sent.last().unwrap().text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_telegram_refuses_fails_in_its_words() {
    let scene = Scene::on_redis().await;
    let message = heard(&scene).await;
    let mut socket = scene.client.open(scene.a(), "&since=2999-01-01T00:00:00.000Z").await;
    scene.telegram().misbehave_on("sendMessage", Misbehaviour::Refuse(Refusal::Blocked));
    let ack = read(scene.answer(&message, "Are you there?").await, 200).await;
    let frame = socket.expect("delivery").await;
    assert_eq!((&frame["status"], &frame["responseId"]), (&json!("failed"), &ack["responseId"]));
    assert!(frame["error"].as_str().unwrap().contains("bot was blocked by the user"), "{frame}");
    assert_eq!(scene.channels().await[0]["enabled"], true, "another chat may be answered");
    say(&scene, &message, "Are you back?").await;
    assert_eq!(scene.telegram().sent().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_whose_token_was_revoked_is_disabled_with_a_reason() {
    let scene = Scene::on_redis().await;
    let message = heard(&scene).await;
    let sends = |call: &Call| call.name == "sendMessage";
    scene.telegram().rule(Rule::new(Misbehaviour::Refuse(Refusal::Unauthorized)).when(sends));
    let ack = read(scene.answer(&message, "Hello?").await, 200).await;
    assert_eq!(scene.fate(&ack).await["error"], "Unauthorized");
    let channel = scene.channels().await.remove(0);
    assert_eq!(channel["enabled"], false);
    let reason = channel["metadata"]["disabledReason"].as_str().unwrap();
    assert!(reason.starts_with("Unauthorized") && reason.contains("Register the bot again"), "{reason}");
    for replica in &scene.replicas {
        let body = json!({"channelId": scene.channel.id, "content": "x"});
        let said = refusal(scene.client.post(replica, "/reply", &body).await, 409, "channel_disabled").await;
        assert!(said.contains(reason), "{said}");
    }
    // If it was a mistake of Telegram's, the owner can go on.
    scene.change(json!({"enabled": true})).await;
    assert_eq!(scene.channels().await[0]["metadata"].get("disabledReason"), None);
    say(&scene, &message, "Hello again").await;
}

/// Waits until the bot was seen typing so often; gives where, the last time.
async fn typed(scene: &Scene, count: usize) -> Value {
    eventually("Telegram shows it", || async {
        let calls = scene.telegram().calls_of("sendChatAction");
        (calls.len() == count && calls[count - 1].answered == Some(200)).then(|| calls[count - 1].body.clone())
    })
    .await
}

pub async fn the_bot_is_seen_typing_where_it_is_asked_to(scene: &Scene) {
    let ask = async |replica, metadata: Value| {
        let body = json!({"channelId": scene.channel.id, "channelType": "telegram", "metadata": metadata});
        scene.client.post(replica, "/typing", &body).await
    };
    assert_eq!(read(ask(scene.a(), json!({})).await, 200).await, json!({"ok": true}), "nobody to show it to");
    let private = heard(scene).await;
    scene.bot.sees_all();
    let forum = scene.telegram().supergroup(-1_001, "Team");
    let topic = forum.topic();
    for chat in [&topic, &forum] {
        scene.bot.deliver(&scene.ana.says(chat, "hello")).await.accepted();
    }
    let messages = scene.messages().await;

    read(ask(scene.a(), private["metadata"].clone()).await, 200).await;
    assert_eq!(typed(scene, 1).await, json!({"chat_id": scene.ana.id, "action": "typing"}));
    read(ask(scene.b(), messages[1]["metadata"].clone()).await, 200).await;
    let in_topic = json!({"chat_id": -1_001, "message_thread_id": topic.thread, "action": "typing"});
    assert_eq!(typed(scene, 2).await, in_topic);
    // Without words about where: where somebody wrote last.
    read(ask(scene.a(), json!({})).await, 200).await;
    assert_eq!(typed(scene, 3).await, json!({"chat_id": -1_001, "action": "typing"}));

    for metadata in [
        json!({"chatId": 424_242}),
        json!({"chatId": scene.ben.id}),
        json!({"chatId": -1_001, "threadId": 999}),
        json!({"chatId": scene.ana.id, "threadId": topic.thread}),
        json!({"chatId": "@news"}),
        json!({"chatId": {"a": 1}}),
    ] {
        refusal(ask(scene.b(), metadata).await, 400, "unknown_destination").await;
    }
    let body = json!({"channelId": scene.channel.id, "channelType": "slack"});
    refusal(scene.client.post(scene.b(), "/typing", &body).await, 400, "wrong_channel_type").await;
    let stranger = Client::register(scene.a()).await;
    let body = json!({"channelId": scene.channel.id, "metadata": private["metadata"]});
    refusal(stranger.post(scene.b(), "/typing", &body).await, 404, "unknown_channel").await;
    assert_eq!(scene.telegram().calls_of("sendChatAction").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_is_shown_in_the_chat_or_topic() {
    the_bot_is_seen_typing_where_it_is_asked_to(&Scene::on_redis().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_cannot_write_to_whom_it_does_not_know() {
    let scene = Scene::on_redis().await;
    let body = |metadata: Value| json!({"channelId": scene.channel.id, "content": "hello", "metadata": metadata});
    let reply = async |metadata: Value| scene.client.post(scene.b(), "/reply", &body(metadata)).await;
    // Ben is a stranger: that the bot heard him does not make him one of its people.
    scene.bot.hears(&scene.ben, "hello").await;
    scene.telegram().wait_for_sent(1).await;
    refusal(reply(json!({})).await, 409, "no_conversation").await;
    heard(&scene).await;
    for chat in [json!(scene.ben.id), json!(scene.ben.id.to_string()), json!(1), json!("@ben"), json!(-400), json!([])]
    {
        refusal(reply(json!({"chatId": chat})).await, 400, "unknown_destination").await;
    }
    let stranger = Client::register(scene.a()).await;
    let foreign = stranger.post(scene.a(), "/reply", &body(json!({"chatId": scene.ana.id}))).await;
    refusal(foreign, 404, "unknown_channel").await;
    for metadata in [json!({"chatId": scene.ana.id}), json!({"chatId": scene.ana.id.to_string()}), json!({})] {
        let ack = read(reply(metadata).await, 200).await;
        assert_eq!(scene.fate(&ack).await["status"], "delivered");
    }
    let chats: Vec<_> = scene.telegram().sent().iter().map(|sent| sent.chat).collect();
    assert_eq!(chats, [scene.ben.id, scene.ana.id, scene.ana.id, scene.ana.id], "the first told Ben how to pair");
}
