//! Replies that are longer than a message: parts that Discord takes, each of them once.

use std::collections::HashSet;

use serde_json::json;

use super::Scene;
use crate::support::platforms::discord::{Channel, Sent, Way};
use crate::support::platforms::{Misbehaviour, Rule};

/// Most UTF-16 units of a message.
const MAX_UNITS: usize = 2000;

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The messages in the room since there were so many of all; each of them with its own nonce.
fn parts_since(scene: &Scene, count: usize) -> Vec<Sent> {
    parts_in(scene, &scene.room, count)
}

/// The same in another channel.
fn parts_in(scene: &Scene, room: &Channel, count: usize) -> Vec<Sent> {
    let sent = scene.discord().sent().split_off(count).into_iter();
    let parts: Vec<_> = sent.filter(|part| part.channel == room.id).collect();
    assert!(parts.iter().all(|part| part.way == Way::Channel), "{parts:?}");
    assert!(parts.iter().all(|part| units(&part.content) <= MAX_UNITS), "{parts:?}");
    let nonces: HashSet<_> = parts.iter().map(|part| part.nonce.clone().unwrap()).collect();
    assert_eq!(nonces.len(), parts.len(), "Discord would drop a part as a repeat");
    parts
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_is_longer_than_a_message_is_code_in_each_part() {
    let scene = Scene::set().await;
    let (written, message) = scene.writes(&scene.ana, &scene.room, "show me").await;
    let sent = scene.discord().sent().len();
    let lines: Vec<_> = (0..200).map(|number| format!("let value_{number} = \"größer als {number} 😀\";")).collect();
    let text = format!("Here it is:\n\n```rust\n{}\n```\n\nThat is all.", lines.join("\n"));
    scene.says(json!({"content": text, "replyTo": message["id"]})).await;
    let parts = parts_since(&scene, sent);
    assert!(parts.len() > 3, "{}", parts.len());
    let mut code = Vec::new();
    for part in &parts {
        let mut is_code = false;
        for line in part.content.lines() {
            match line.starts_with("```") {
                true if is_code => {
                    assert_eq!(line, "```");
                    is_code = false;
                }
                true => {
                    assert_eq!(line, "```rust", "the language goes along");
                    is_code = true;
                }
                false if is_code => code.push(line),
                false => assert!(["", "Here it is:", "That is all."].contains(&line), "{line}"),
            }
        }
        assert!(!is_code, "the fence is left open: {}", part.content);
    }
    assert_eq!(code, lines, "no line is lost, broken or twice");
    let quotes: Vec<_> = parts.iter().map(|part| part.reply_to.as_deref()).collect();
    assert_eq!(quotes[0], written["id"].as_str());
    assert!(quotes[1..].iter().all(Option::is_none), "only the first part quotes: {quotes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_split_where_it_is_least_noticed() {
    let scene = Scene::set().await;
    scene.writes(&scene.ana, &scene.room, "tell me").await;
    for (text, expected) in [
        (["a".repeat(1500), "b".repeat(1500)].join("\n\n"), vec!["a".repeat(1500), "b".repeat(1500)]),
        (["a".repeat(1500), "b".repeat(1500)].join("\n"), vec!["a".repeat(1500), "b".repeat(1500)]),
        (["a".repeat(1500), "b".repeat(1500)].join(" "), vec!["a".repeat(1500), "b".repeat(1500)]),
        ("a".repeat(4001), vec!["a".repeat(2000), "a".repeat(2000), "a".to_owned()]),
        ("a".repeat(2000), vec!["a".repeat(2000)]),
        // A thousand of these are two thousand units; none is cut in two.
        ("😀".repeat(1500), vec!["😀".repeat(1000), "😀".repeat(500)]),
    ] {
        let sent = scene.discord().sent().len();
        scene.says(json!({"content": text})).await;
        let parts: Vec<_> = parts_since(&scene, sent).into_iter().map(|part| part.content).collect();
        assert_eq!(parts, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_breaks_off_goes_on_where_it_was() {
    let scene = Scene::set().await;
    let paragraphs: Vec<_> = (1..=5).map(|number| number.to_string().repeat(1500)).collect();
    let mut replies = Vec::new();
    for trouble in [Misbehaviour::Reset, Misbehaviour::AnswerLost, Misbehaviour::ServerError(500)] {
        let room = scene.another_room();
        scene.writes(&scene.ana, &room, "tell me").await;
        let path = format!("/channels/{}/messages", room.id);
        let third = Rule::new(trouble.clone()).when({
            let path = path.clone();
            move |call| call.path.ends_with(&path)
        });
        scene.discord().rule(third.after(2));
        let reply = json!({"content": paragraphs.join("\n\n"), "metadata": {"discordChannelId": room.id}});
        replies.push((scene.replies(reply).await, room, path, trouble));
    }
    for (response, room, path, trouble) in &replies {
        scene.delivered(response).await;
        let parts: Vec<_> = parts_in(&scene, room, 0).into_iter().map(|part| part.content).collect();
        assert_eq!(parts, paragraphs, "{trouble:?}");
        let calls = scene.discord().calls().into_iter().filter(|call| call.path.ends_with(path)).count();
        assert_eq!(calls, 6, "{trouble:?}");
    }
}
