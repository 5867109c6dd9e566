//! Forwarded messages.

use super::*;
use crate::channels::discord::testing::{self, *};
use crate::domain::conversation::ConversationKey;
use crate::domain::pairing::Request;
use proptest::prelude::*;
use serde_json::json;

fn with(changes: Value) -> Value {
    let mut message = testing::message();
    for (name, value) in changes.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

fn read(changes: Value) -> Event {
    forwarded(with(changes).to_string())
}

fn content_of(changes: Value) -> String {
    said(read(changes)).content
}

#[test]
fn a_message_is_read() {
    let inbound = said(read(json!({})));
    assert_eq!(inbound.content, "hi <@112>");
    assert_eq!(inbound.from, "ana");
    assert_eq!(inbound.sender, json!("444"));
    assert_eq!(
        Value::Object(inbound.metadata),
        json!({"discordChannelId": "333", "senderId": "444", "messageId": "1300000000000000002", "guildId": "222"})
    );
    assert_eq!(inbound.repeat_key, "1300000000000000002");
    assert_eq!(inbound.conversation, ConversationKey::new("333", None));
    assert_eq!(inbound.details, json!({"messageId": "1300000000000000002"}));
    assert!(inbound.answer_secret.is_none() && inbound.pairing.is_none() && inbound.acknowledge.is_none());
    assert!(inbound.is_group && !inbound.is_question && !inbound.answers_in_response);
}

#[test]
fn a_message_is_found_wherever_a_gateway_relay_puts_it() {
    let message = testing::message();
    for body in [
        json!({"t": "MESSAGE_CREATE", "s": 42, "op": 0, "d": message}),
        json!({"d": message}),
        json!({"message": message, "event": "message"}),
        message.clone(),
    ] {
        assert_eq!(said(forwarded(body.to_string())).content, "hi <@112>", "{body}");
    }
}

#[test]
fn other_events_of_the_gateway_are_ignored() {
    for event in ["READY", "MESSAGE_DELETE", "INTERACTION_CREATE", "TYPING_START", ""] {
        assert!(is_ignored(&forwarded(json!({"t": event, "d": testing::message()}).to_string())), "{event}");
    }
}

#[test]
fn an_edit_is_another_message_and_says_so() {
    let edited = with(json!({"edited_timestamp": "2026-01-15T10:31:00.123456+00:00", "content": "hi there"}));
    for body in [json!({"t": "MESSAGE_UPDATE", "d": edited}), edited.clone()] {
        let inbound = said(forwarded(body.to_string()));
        assert_eq!(inbound.metadata["edited"], true);
        assert_eq!(inbound.content, "hi there");
        assert_eq!(inbound.repeat_key, "1300000000000000002:2026-01-15T10:31:00.123456+00:00");
    }
}

#[test]
fn a_change_without_an_edit_is_ignored() {
    for at in [Value::Null, json!(""), json!("soon"), json!(7)] {
        let message = with(json!({"edited_timestamp": at}));
        assert!(is_ignored(&forwarded(json!({"t": "MESSAGE_UPDATE", "d": message}).to_string())));
        assert!(!said(forwarded(message.to_string())).metadata.contains_key("edited"));
    }
}

#[test]
fn bots_webhooks_discord_and_the_bot_itself_are_ignored() {
    for changes in [
        json!({"author": {"id": "9", "username": "other", "bot": true}}),
        json!({"author": {"id": "9", "username": "Discord", "system": true}}),
        json!({"author": {"id": "112", "username": "helper"}}),
        json!({"webhook_id": "777"}),
    ] {
        assert!(is_ignored(&read(changes.clone())), "{changes}");
    }
}

#[test]
fn only_messages_and_replies_count() {
    for kind in [json!(0), json!(19), Value::Null] {
        assert!(!is_ignored(&read(json!({"type": kind}))), "{kind}");
    }
    for kind in [json!(1), json!(7), json!(20), json!(23), json!("0"), json!(0.5)] {
        assert!(is_ignored(&read(json!({"type": kind}))), "{kind}");
    }
}

#[test]
fn a_message_without_what_makes_it_one_is_ignored() {
    for name in ["id", "author", "channel_id", "content"] {
        for odd in [Value::Null, json!({}), json!([1]), json!(true)] {
            assert!(is_ignored(&read(json!({name: odd}))), "{name}: {odd}");
        }
    }
}

#[test]
fn a_direct_message_is_no_group() {
    let mut message = testing::message();
    message.as_object_mut().unwrap().remove("guild_id");
    let inbound = said(forwarded(message.to_string()));
    assert!(!inbound.is_group);
    assert!(!inbound.metadata.contains_key("guildId"));
}

#[test]
fn mentions_of_the_bot_at_the_start_are_taken_off() {
    for (written, expected) in [
        ("<@112> what time is it", "what time is it"),
        (" <@!112>\n<@112>, hi", ", hi"),
        ("<@1123> hi", "<@1123> hi"),
        ("<@9> <@112> hi", "<@9> <@112> hi"),
        ("hi <@112>", "hi <@112>"),
        ("<@&112> hi", "<@&112> hi"),
        ("  indented", "  indented"),
        ("<@112>", "<@112>"),
        ("<@112> <@!112> ", "<@112> <@!112> "),
    ] {
        assert_eq!(content_of(json!({"content": written})), expected, "{written:?}");
    }
}

#[test]
fn a_code_pairs_bare_or_with_a_command_and_behind_a_mention() {
    for (written, is_command) in
        [("cdfh2345", false), ("/pair CDFH2345", true), ("<@112> cdfh2345", false), ("<@!112> /pair cdfh2345", true)]
    {
        let Some(Request::Attempt(attempt)) = said(read(json!({"content": written}))).pairing else {
            panic!("not a try: {written}")
        };
        assert_eq!((attempt.code.unwrap().as_str(), attempt.is_command), ("CDFH2345", is_command), "{written}");
    }
    assert!(matches!(said(read(json!({"content": "/pair"}))).pairing, Some(Request::AskedHow)));
}

#[test]
fn media_without_text_is_named() {
    let image = json!({"id": "1", "filename": "a.png", "content_type": "image/png", "url": "https://cdn.example/a"});
    let report = json!({"id": "2", "filename": "report.pdf", "content_type": "application/pdf"});
    let bare = json!({"id": "3", "filename": "b\n.bin"});
    for (attachments, content, media_type) in [
        (json!([image]), "[image: a.png]", json!("image/png")),
        (json!([report]), "[attachment: report.pdf]", json!("application/pdf")),
        (json!([report, image]), "[attachment: report.pdf]\n[image: a.png]", json!("application/pdf")),
        (json!([bare]), "[attachment: b .bin]", Value::Null),
        (json!([{"content_type": "video/mp4"}]), "[video]", json!("video/mp4")),
        (json!([7]), "[attachment]", Value::Null),
    ] {
        for text in ["", " \n", "<@112>"] {
            let inbound = said(read(json!({"content": text, "attachments": attachments})));
            assert_eq!(inbound.content, content, "{text:?}");
            assert_eq!(inbound.metadata.get("mediaType").cloned().unwrap_or_default(), media_type);
        }
    }
    let with_text = said(read(json!({"content": "look", "attachments": [image]})));
    assert_eq!(with_text.content, "look");
    assert!(!with_text.metadata.contains_key("mediaType"));
}

#[test]
fn recordings_stickers_and_polls_are_named() {
    for (changes, content) in [
        (json!({"flags": 8192, "attachments": [{"filename": "voice-message.ogg"}]}), "[voice message]"),
        (json!({"sticker_items": [{"id": "1", "name": "Wave", "format_type": 1}]}), "[sticker: Wave]"),
        (json!({"poll": {"question": {"text": "Tea?"}}}), "[poll: Tea?]"),
    ] {
        let mut message = with(changes);
        message["content"] = "".into();
        assert_eq!(said(forwarded(message.to_string())).content, content);
    }
}

#[test]
fn a_message_that_was_passed_on_says_what_the_other_said() {
    let passed_on = |inner: Value| {
        json!({
            "content": "", "message_reference": {"type": 1, "message_id": "129"},
            "message_snapshots": [{"message": inner}],
        })
    };
    assert_eq!(content_of(passed_on(json!({"content": "the news"}))), "the news");
    assert_eq!(content_of(passed_on(json!({"attachments": [{"filename": "a"}]}))), "[attachment: a]");
    assert!(is_ignored(&read(passed_on(json!({})))));
}

#[test]
fn an_empty_message_is_ignored() {
    assert!(is_ignored(&read(json!({"content": ""}))));
    assert!(is_ignored(&read(json!({"content": " ", "embeds": [{"title": "x"}]}))));
}

#[test]
fn names_of_attachments_are_few_and_short() {
    let many: Vec<_> = (0..1000).map(|_| json!({"filename": "x".repeat(1000)})).collect();
    let content = content_of(json!({"content": "", "attachments": many}));
    assert_eq!(content.lines().count(), 10);
    assert!(content.lines().all(|line| line.len() == 214));
}

proptest! {
    #[test]
    fn only_mentions_at_the_start_and_blanks_around_them_go(
        mentions in prop::collection::vec("(<@112>|<@!112>)[ \n]{0,2}", 0..4), rest in "[a-z<@>][a-z<@>112 ]{0,12}",
    ) {
        let written = format!("{}{rest}", mentions.concat());
        let left = without_mention(&written, "112");
        prop_assert!(rest.ends_with(left));
        prop_assert!(strip_mention(left.trim_start(), "112").is_none());
    }
}
