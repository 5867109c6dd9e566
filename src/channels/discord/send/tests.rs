//! Which call sends a part of a reply.

use super::*;
use crate::channels::discord::testing::*;
use proptest::prelude::*;

const HOOK: &str = "https://discord.test/api/v10/webhooks/111/aW50ZXJhY3Rpb24tdG9rZW4";

fn header(call: &ApiCall, name: &str) -> Option<String> {
    call.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.expose_secret().to_owned())
}

fn units(text: &Value) -> usize {
    text.as_str().unwrap().encode_utf16().count()
}

fn parts(count: u32) -> Progress {
    Progress { parts: count, ..Progress::default() }
}

/// Three parts.
fn long() -> String {
    "word ".repeat(1100)
}

#[test]
fn a_message_is_posted_in_the_name_of_the_bot() {
    let call = Reply::to_message("done **now**").first();
    assert_eq!((call.method, url(&call)), (Method::Post, MESSAGES));
    assert_eq!(header(&call, "Authorization").unwrap(), format!("Bot {TOKEN}"));
    assert!(header(&call, "User-Agent").unwrap().starts_with("DiscordBot ("));
    let sent = sent(&call);
    let nonce = sent["nonce"].as_str().unwrap();
    assert_eq!(
        sent,
        json!({
            "content": "done **now**", "allowed_mentions": {"parse": []}, "nonce": nonce, "enforce_nonce": true,
        })
    );
}

#[test]
fn a_nonce_is_short_and_the_same_only_for_the_same_part() {
    let reply = Reply::to_message(&long());
    let (_, bodies) = reply.all();
    let nonces: std::collections::HashSet<_> = bodies.iter().map(|body| body["nonce"].as_str().unwrap()).collect();
    assert_eq!((nonces.len(), bodies.len()), (3, 3));
    assert!(nonces.iter().all(|nonce| nonce.len() <= 25));
    assert_eq!(reply.all().1, bodies);
    let other = Reply { response: MessageId::random(), ..Reply::to_message(&long()) };
    assert!(other.all().1.iter().all(|body| !nonces.contains(body["nonce"].as_str().unwrap())));
}

#[test]
fn only_the_first_part_quotes_and_only_what_the_client_named() {
    let named = Reply { is_reply_to: true, ..Reply::to_message(&long()) };
    let (_, bodies) = named.all();
    assert_eq!(
        bodies[0]["message_reference"],
        json!({"message_id": "1300000000000000002", "fail_if_not_exists": false})
    );
    assert!(bodies[1..].iter().all(|body| body.get("message_reference").is_none()));
    assert_eq!(sent(&Reply::to_message("x").first()).get("message_reference"), None);
    let command = Reply { is_reply_to: true, age_ms: 3_600_000, ..Reply::to_command("x") };
    assert_eq!(sent(&command.first()).get("message_reference"), None);
}

#[test]
fn the_answer_to_a_command_takes_the_place_of_thinking_and_goes_on_behind_it() {
    let reply = Reply::to_command(&long());
    let (targets, bodies) = reply.all();
    assert_eq!(
        targets,
        [
            (Method::Patch, format!("{HOOK}/messages/@original")),
            (Method::Post, HOOK.to_owned()),
            (Method::Post, HOOK.to_owned())
        ]
    );
    for body in bodies {
        assert_eq!(body["allowed_mentions"], json!({"parse": []}));
        assert_eq!(body.as_object().unwrap().len(), 2);
    }
    let call = reply.first();
    assert_eq!(header(&call, "Authorization"), None);
    assert!(header(&call, "User-Agent").is_some());
    assert!(!format!("{call:?}").contains(INTERACTION));
}

#[test]
fn a_further_answer_to_a_command_follows_up() {
    let reply = Reply { completes_question: false, ..Reply::to_command(&long()) };
    assert!(reply.all().0.iter().all(|target| *target == (Method::Post, HOOK.to_owned())));
}

#[test]
fn a_command_is_answered_by_messages_when_its_time_is_over() {
    let at = |age_ms| url(&Reply { age_ms, ..Reply::to_command("x") }.first()).to_owned();
    assert_eq!(at(14 * 60_000 + 29_999), format!("{HOOK}/messages/@original"));
    assert_eq!(at(14 * 60_000 + 30_000), MESSAGES);
    let late = Reply { age_ms: 3_600_000, completes_question: false, ..Reply::to_command("x") };
    assert_eq!(url(&late.first()), MESSAGES);
}

#[test]
fn a_closed_answer_goes_on_by_messages() {
    let reply = Reply::to_command(&long());
    let progress = Progress { by_message: true, ..parts(1) };
    let call = reply.call(&progress).unwrap();
    assert_eq!(url(&call), MESSAGES);
    assert_eq!(header(&call, "Authorization").unwrap(), format!("Bot {TOKEN}"));
}

#[test]
fn a_users_own_application_follows_up_five_times() {
    let long = "word ".repeat(4000);
    for (completes_question, answers) in [(true, 6), (false, 5)] {
        let details = command_details("1300000000000000001", "111", true);
        let reply = Reply { details, completes_question, ..Reply::to_command(&long) };
        let (targets, _) = reply.all();
        assert!(targets.len() > 8);
        assert!(targets[..answers].iter().all(|(_, url)| url.starts_with(HOOK)));
        assert!(targets[answers..].iter().all(|(_, url)| url == MESSAGES));
    }
    assert!(Reply::to_command(&long).all().0.iter().all(|(_, url)| url.starts_with(HOOK)));
}

#[test]
fn details_that_name_no_application_send_messages() {
    for details in [Value::Null, json!({}), json!({"applicationId": 7}), json!({"applicationId": "1/../2"}), json!([])]
    {
        let reply = Reply { details, is_reply_to: true, ..Reply::to_command("x") };
        assert_eq!(url(&reply.first()), MESSAGES);
    }
}

#[test]
fn code_that_is_split_is_fenced_in_every_part() {
    let code = format!("Look:\n```rust\n{}```\ndone", "let x = 1;\n".repeat(400));
    let (_, bodies) = Reply::to_message(&code).all();
    assert!(bodies.len() > 2);
    for body in &bodies {
        assert!(units(&body["content"]) <= 2000);
        assert_eq!(body["content"].as_str().unwrap().matches("```").count() % 2, 0);
    }
    assert!(bodies[1]["content"].as_str().unwrap().starts_with("```rust\n"));
}

#[test]
fn an_emoji_at_the_border_stays_whole() {
    for lead in 1997..2001 {
        let text = format!("{}{}", "x".repeat(lead), "🦀".repeat(3));
        let (_, bodies) = Reply::to_message(&text).all();
        assert_eq!(bodies.len(), 2, "{lead}");
        assert!(bodies.iter().all(|body| units(&body["content"]) <= 2000));
        let joined: String = bodies.iter().map(|body| body["content"].as_str().unwrap()).collect();
        assert_eq!(joined, text);
    }
    assert_eq!(Reply::to_message(&format!("{}🦀", "x".repeat(1998))).all().1.len(), 1);
}

#[test]
fn nothing_is_left_to_send_behind_the_last_part() {
    assert!(Reply::to_message("x").call(&parts(1)).is_none());
    assert!(Reply::to_message("x").call(&parts(u32::MAX)).is_none());
    assert!(Reply::to_message(" \n").call(&Progress::default()).is_none());
}

#[test]
fn a_channel_cannot_lead_to_another_path() {
    let reply = Reply { conversation: ConversationKey::new("1/../../users/@me?x#", None), ..Reply::to_message("x") };
    let path = url(&reply.first()).strip_prefix("https://discord.test/api/v10/channels/").unwrap().to_owned();
    assert_eq!(path, "1%2F..%2F..%2Fusers%2F%40me%3Fx%23/messages");
}

#[test]
fn the_destination_is_the_channel_that_the_metadata_name() {
    let destination = |value: Value| {
        let metadata = Map::from_iter([("discordChannelId".to_owned(), value)]);
        discord().destination(&metadata)
    };
    let expected = |chat: &str| Some(Destination::Exactly(ConversationKey::new(chat, None)));
    assert_eq!(destination(json!("333")), expected("333"));
    assert_eq!(destination(json!(333)), expected("333"));
    assert_eq!(destination(json!("elsewhere")), expected("elsewhere"));
    assert_eq!(destination(Value::Null), None);
    assert_eq!(destination(json!({"id": "333"})), expected(r#"{"id":"333"}"#));
    assert_eq!(discord().destination(&Map::new()), None);
}

#[test]
fn typing_is_shown_in_the_channel() {
    let conversation = ConversationKey::new("333", None);
    let call = discord().typing(&connection(), &secrets(), &conversation).unwrap();
    assert_eq!((call.method, url(&call)), (Method::Post, "https://discord.test/api/v10/channels/333/typing"));
    assert_eq!(header(&call, "Authorization").unwrap(), format!("Bot {TOKEN}"));
    assert!(call.body.is_none());
}

proptest! {
    #[test]
    fn every_part_fits_and_no_word_is_lost(text in "([a-z🦀]{1,30}[ \n]{1,2}){0,200}") {
        let (_, bodies) = Reply::to_message(&text).all();
        prop_assert!(bodies.iter().all(|body| units(&body["content"]) <= 2000));
        let sent: Vec<_> = bodies.iter().flat_map(|body| {
            body["content"].as_str().unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        }).collect();
        prop_assert_eq!(sent, text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    }
}
