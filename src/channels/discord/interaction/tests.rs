//! Commands and everything else that Discord signs.

use super::*;
use crate::channels::discord::testing::*;
use crate::domain::conversation::ConversationKey;
use secrecy::ExposeSecret as _;

fn answered(body: &Value) -> Value {
    match signed(body.to_string()) {
        Event::Answered(answer) => answer,
        other => panic!("no answer at once: {other:?}"),
    }
}

/// Whether the person alone is told something, in which `word` occurs.
fn tells(body: &Value, word: &str) -> bool {
    let answer = answered(body);
    assert_eq!((&answer["type"], &answer["data"]["flags"]), (&json!(4), &json!(64)), "{body}");
    answer["data"]["content"].as_str().unwrap().contains(word)
}

fn with(pointer: &str, value: Value) -> Value {
    let mut command = chat_command();
    *command.pointer_mut(pointer).unwrap() = value;
    command
}

fn without(name: &str) -> Value {
    let mut command = chat_command();
    command.as_object_mut().unwrap().remove(name).unwrap();
    command
}

fn pair_command(code: &str) -> Value {
    with(
        "/data",
        json!({"id": "556", "name": "pair", "type": 1, "options": [{"name": "code", "type": 3, "value": code}]}),
    )
}

#[test]
fn a_chat_command_is_a_question_that_the_agent_answers() {
    let inbound = said(signed(chat_command().to_string()));
    assert_eq!(inbound.content, "hello");
    assert_eq!(inbound.from, "ana");
    assert_eq!(inbound.sender, json!("444"));
    assert_eq!(
        Value::Object(inbound.metadata),
        json!({
            "discordChannelId": "333", "senderId": "444", "interactionId": "1300000000000000001", "guildId": "222",
        })
    );
    assert_eq!(inbound.repeat_key, "1300000000000000001");
    assert_eq!(inbound.conversation, ConversationKey::new("333", None));
    assert_eq!(inbound.details, json!({"interactionId": "1300000000000000001", "applicationId": "111"}));
    assert_eq!(inbound.answer_secret.unwrap().expose_secret(), "aW50ZXJhY3Rpb24tdG9rZW4");
    assert!(inbound.is_question && inbound.answers_in_response && inbound.is_group);
    assert!(inbound.pairing.is_none() && inbound.acknowledge.is_none());
}

#[test]
fn the_token_of_an_interaction_is_in_nothing_that_prints() {
    let inbound = said(signed(chat_command().to_string()));
    assert!(!format!("{inbound:?}").contains("aW50ZXJhY3Rpb24"));
}

#[test]
fn in_a_direct_message_the_person_stands_under_user() {
    let mut command = without("member");
    command.as_object_mut().unwrap().remove("guild_id");
    command["user"] = json!({"id": "444", "username": "ana"});
    command["context"] = 1.into();
    command["channel"]["type"] = 1.into();
    let inbound = said(signed(command.to_string()));
    assert_eq!((inbound.sender, inbound.from.as_str()), (json!("444"), "ana"));
    assert!(!inbound.is_group);
    assert!(!inbound.metadata.contains_key("guildId"));

    command["context"] = 2.into();
    assert!(said(signed(command.to_string())).is_group);
    command["context"] = Value::Null;
    command["channel"]["type"] = 3.into();
    assert!(said(signed(command.to_string())).is_group);
}

#[test]
fn the_channel_is_found_in_the_channel_object_too() {
    assert_eq!(said(signed(without("channel_id").to_string())).conversation.chat, "333");
}

#[test]
fn an_application_that_only_its_user_installed_is_told_apart() {
    for (owners, expected) in [
        (json!({"1": "444"}), json!(true)),
        (json!({"0": "222", "1": "444"}), Value::Null),
        (json!({"0": "0"}), Value::Null),
        (Value::Null, Value::Null),
    ] {
        let inbound = said(signed(with("/authorizing_integration_owners", owners.clone()).to_string()));
        assert_eq!(inbound.details["userInstalled"], expected, "{owners}");
    }
}

#[test]
fn a_pair_command_is_a_try_that_is_answered_at_once() {
    let inbound = said(signed(pair_command(" cdfh2345 ").to_string()));
    let Some(Request::Attempt(attempt)) = inbound.pairing else { panic!("not a try") };
    assert!(attempt.is_command);
    assert_eq!(attempt.code.unwrap().as_str(), "CDFH2345");
    assert!(inbound.answers_in_response && !inbound.is_question && inbound.answer_secret.is_none());
    assert_eq!(inbound.content, "/pair cdfh2345");

    let Some(Request::Attempt(attempt)) = said(signed(pair_command("nonsense").to_string())).pairing else {
        panic!("not a try")
    };
    assert!(attempt.is_command && attempt.code.is_none());
}

#[test]
fn a_pair_command_without_a_code_asks_how() {
    assert!(matches!(said(signed(pair_command(" ").to_string())).pairing, Some(Request::AskedHow)));
    let bare = with("/data", json!({"id": "556", "name": "pair", "type": 1}));
    assert!(matches!(said(signed(bare.to_string())).pairing, Some(Request::AskedHow)));
}

#[test]
fn a_code_given_to_the_chat_command_is_a_try() {
    let inbound = said(signed(with("/data/options/0/value", "cdfh2345".into()).to_string()));
    assert!(matches!(inbound.pairing, Some(Request::Attempt(attempt)) if !attempt.is_command));
    assert!(inbound.is_question);
}

#[test]
fn a_command_that_is_not_ours_is_told_which_one_is() {
    for data in [
        json!({"id": "5", "name": "weather", "type": 1}),
        json!({"id": "5", "name": "chat", "type": 3, "target_id": "9"}),
        json!({"id": "5", "type": 1}),
        json!([]),
        Value::Null,
    ] {
        let command = with("/data", data);
        assert!(tells(&command, "do not know") && tells(&command, "/chat"));
    }
}

#[test]
fn a_chat_command_without_a_message_is_told_so() {
    for value in [json!(""), json!("  \n"), json!(7), Value::Null] {
        assert!(tells(&with("/data/options/0/value", value), "no message"));
    }
    assert!(tells(&with("/data/options", json!({"message": "x"})), "no message"));
}

#[test]
fn a_command_that_cannot_be_answered_later_is_refused_at_once() {
    for name in ["id", "token", "member"] {
        assert!(tells(&without(name), "incomplete"), "{name}");
    }
    let long = "x".repeat(2049);
    for token in ["", "a/b", "a b", "a?b", "a#b", "a%2Fb", "..", "a\u{e9}", &long] {
        assert!(tells(&with("/token", token.into()), "incomplete"), "{token:.10}");
    }
    assert!(tells(&with("/id", "../1".into()), "incomplete"));
}

#[test]
fn bots_are_ignored() {
    assert!(is_ignored(&signed(with("/member/user/bot", true.into()).to_string())));
}

#[test]
fn every_other_interaction_gets_its_answer() {
    let of = |kind: u64| with("/type", kind.into());
    assert_eq!(answered(&of(3)), json!({"type": 6}));
    assert_eq!(answered(&of(4)), json!({"type": 8, "data": {"choices": []}}));
    assert!(tells(&of(5), "/chat"));
    assert!(is_ignored(&signed(of(9).to_string())));
    assert!(is_ignored(&signed(with("/type", "2".into()).to_string())));
}

#[test]
fn events_of_the_application_are_no_interactions() {
    let ping = signed(json!({"version": 1, "application_id": "111", "type": 0}).to_string());
    assert!(matches!(ping, Event::Handshake(Value::Null)), "{ping:?}");
    let event = json!({
        "version": 1, "application_id": "111", "type": 1,
        "event": {"type": "APPLICATION_AUTHORIZED", "timestamp": "2026-01-15T10:30:00.123456", "data": {}},
    });
    assert_eq!(answered(&event), Value::Null, "no body, so that Discord does not send it again");
}

#[test]
fn a_name_is_one_short_line() {
    let named = |name: Value| said(signed(with("/member/user/username", name).to_string())).from;
    assert_eq!(named("a\u{202e}n\na".into()), "an a");
    assert_eq!(named("ä".repeat(300).into()).chars().count(), 200);
    assert_eq!(named(Value::Null), "444");
}
