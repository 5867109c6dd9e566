use super::*;
use crate::domain::event_signature::InvalidSecret;
use crate::domain::pairing::Request;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

mod odd;

fn telegram() -> Telegram {
    Telegram::new("https://api.example")
}

fn connection() -> Connection {
    Connection::Telegram(TelegramBot {
        bot_id: "7000000001".into(),
        bot_username: "helper_bot".into(),
        reads_all_group_messages: false,
    })
}

fn secrets() -> ConnectionSecrets {
    ConnectionSecrets { token: "7000000001:secret_secret".into(), events: "s3cret".into() }
}

fn parse_bytes(body: &[u8]) -> Event {
    let event = RawEvent { header: &|_| None, secret: None, body };
    telegram().parse(&connection(), &secrets(), &event)
}

fn said(update: &Value) -> Inbound {
    match parse_bytes(update.to_string().as_bytes()) {
        Event::Said(inbound) => *inbound,
        other => panic!("{other:?} for {update}"),
    }
}

fn ignored(update: &Value) -> &'static str {
    match parse_bytes(update.to_string().as_bytes()) {
        Event::Ignored(reason) => reason,
        other => panic!("{other:?} for {update}"),
    }
}

fn private_message() -> Value {
    json!({"update_id": 900_000_001, "message": {"message_id": 42, "date": 1_767_225_600,
        "from": {"id": 500_001, "is_bot": false, "first_name": "Ana", "username": "ana", "language_code": "en"},
        "chat": {"id": 500_001, "type": "private", "first_name": "Ana", "username": "ana"},
        "text": "/start CDFH2345", "entities": [{"type": "bot_command", "offset": 0, "length": 6}]}})
}

fn topic_photo() -> Value {
    json!({"update_id": 900_000_002, "message": {"message_id": 77, "date": 1_767_225_700,
        "message_thread_id": 12, "is_topic_message": true,
        "from": {"id": 500_001, "is_bot": false, "first_name": "Ana"},
        "chat": {"id": -1_001_234_567_890_i64, "type": "supergroup", "title": "Team", "is_forum": true},
        "photo": [{"file_id": "AgAC_s", "width": 90, "height": 60}], "caption": "see this", "caption_entities": [],
        "media_group_id": "13579"}})
}

fn button() -> Value {
    json!({"update_id": 900_000_003, "callback_query": {"id": "4382bfdwdsb323b2d9", "chat_instance": "-3216",
        "data": "approve:1", "from": {"id": 500_001, "is_bot": false, "first_name": "Ana"},
        "message": {"message_id": 43, "date": 1_767_225_650, "chat": {"id": 500_001, "type": "private"},
            "text": "Approve?"}}})
}

/// `update` with the member at `path` set.
fn with(mut update: Value, path: &str, value: Value) -> Value {
    let (parent, name) = path.rsplit_once('/').unwrap();
    update.pointer_mut(parent).unwrap()[name] = value;
    update
}

/// `private_message` saying this in a group.
fn in_group(text: &str) -> Value {
    let update = with(private_message(), "/message/chat", json!({"id": -400, "type": "group", "title": "Team"}));
    with(update, "/message/text", text.into())
}

#[test]
fn the_secret_counts_in_the_header_or_in_the_url() {
    let verify = |expected: &str, header: Option<&'static str>, secret: Option<&str>| {
        let read = move |name: &str| header.filter(|_| name.eq_ignore_ascii_case("X-Telegram-Bot-Api-Secret-Token"));
        let secrets = ConnectionSecrets { events: expected.into(), ..secrets() };
        let event = RawEvent { header: &read, secret, body: b"{}" };
        telegram().verify(&connection(), &secrets, &event, Timestamp::EPOCH)
    };
    for (header, secret, verdict) in [
        (Some("s3cret"), None, Ok(())),
        (None, Some("s3cret"), Ok(())),
        (Some("s3cret"), Some("wrong"), Ok(())),
        (Some("wrong"), Some("s3cret"), Ok(())),
        (Some(""), Some("s3cret"), Ok(())),
        (Some("wrong"), None, Err(SignatureError::Wrong)),
        (None, Some("s3cre"), Err(SignatureError::Wrong)),
        (Some("wrong"), Some(""), Err(SignatureError::Wrong)),
        (Some(""), None, Err(SignatureError::Missing)),
        (None, None, Err(SignatureError::Missing)),
    ] {
        assert_eq!(verify("s3cret", header, secret), verdict, "{header:?} {secret:?}");
    }
    assert_eq!(verify("", Some("x"), None), Err(InvalidSecret::Empty.into()));
    assert_eq!(verify("", Some(""), Some("")), Err(InvalidSecret::Empty.into()));
}

#[test]
fn a_private_message_is_read_whole() {
    let inbound = said(&private_message());
    let expected = json!({"updateId": 900_000_001, "chatId": 500_001, "senderId": 500_001, "messageId": 42,
        "chatType": "private"});
    assert_eq!(Value::Object(inbound.metadata), expected);
    assert_eq!((inbound.sender, inbound.from.as_str()), (json!(500_001), "ana"));
    assert_eq!((inbound.content.as_str(), inbound.repeat_key.as_str()), ("/start CDFH2345", "900000001"));
    assert_eq!(inbound.conversation, ConversationKey::new("500001", None));
    assert_eq!(inbound.details, json!({"messageId": 42}));
    assert!(!inbound.is_group && !inbound.is_question && !inbound.answers_in_response);
    assert!(inbound.answer_secret.is_none() && inbound.acknowledge.is_none());
    let Some(Request::Attempt(attempt)) = inbound.pairing else { panic!("not a try") };
    assert_eq!(attempt.code.unwrap().as_str(), "CDFH2345");
}

#[test]
fn a_captioned_photo_in_a_topic_is_read_whole() {
    let inbound = said(&topic_photo());
    let expected = json!({"updateId": 900_000_002, "chatId": -1_001_234_567_890_i64, "senderId": 500_001,
        "messageId": 77, "chatType": "supergroup", "threadId": 12, "mediaType": "photo"});
    assert_eq!(Value::Object(inbound.metadata), expected);
    assert_eq!((inbound.content.as_str(), inbound.from.as_str()), ("see this", "Ana"));
    assert_eq!(inbound.conversation, ConversationKey::new("-1001234567890", Some("12")));
    assert!(inbound.is_group && inbound.pairing.is_none());
}

#[test]
fn a_chain_of_replies_is_no_topic() {
    for flag in [json!(null), json!(false), json!("true")] {
        let inbound = said(&with(topic_photo(), "/message/is_topic_message", flag));
        assert_eq!(inbound.conversation, ConversationKey::new("-1001234567890", None));
        assert!(!inbound.metadata.contains_key("threadId"));
    }
}

#[test]
fn an_edit_says_so_and_is_no_repetition() {
    let mut update = private_message();
    let message = update["message"].take();
    update["edited_message"] = with(json!({"m": message}), "/m/edit_date", json!(1_767_225_900))["m"].take();
    update["update_id"] = json!(900_000_009);
    let inbound = said(&update);
    assert_eq!(inbound.metadata["edited"], true);
    assert_eq!((inbound.metadata["messageId"].clone(), inbound.repeat_key.as_str()), (json!(42), "900000009"));
}

#[test]
fn a_redelivery_has_the_same_key_whatever_else_it_says() {
    for update in [private_message(), topic_photo(), button()] {
        assert_eq!(said(&update).repeat_key, said(&update.clone()).repeat_key);
        assert_eq!(said(&update).repeat_key, update["update_id"].to_string());
    }
}

#[test]
fn a_pressed_button_is_said_and_acknowledged() {
    let inbound = said(&button());
    let expected = json!({"updateId": 900_000_003, "chatId": 500_001, "senderId": 500_001, "messageId": 43,
        "chatType": "private", "callbackQueryId": "4382bfdwdsb323b2d9"});
    assert_eq!(Value::Object(inbound.metadata), expected);
    assert_eq!((inbound.content.as_str(), inbound.details), ("approve:1", json!({"messageId": 43})));
    let call = inbound.acknowledge.unwrap();
    assert_eq!(call.url.expose_secret(), "https://api.example/bot7000000001:secret_secret/answerCallbackQuery");
    assert_eq!(call.body.unwrap(), r#"{"callback_query_id":"4382bfdwdsb323b2d9"}"#);
}

#[test]
fn a_button_under_an_inaccessible_message_is_answered_in_its_chat() {
    let message = json!({"chat": {"id": -400, "type": "group"}, "message_id": 43, "date": 0});
    let inbound = said(&with(button(), "/callback_query/message", message));
    assert_eq!(inbound.conversation, ConversationKey::new("-400", None));
    assert!(inbound.is_group && inbound.acknowledge.is_some());
}

#[test]
fn a_button_in_a_topic_is_answered_there() {
    let message = json!({"chat": {"id": -400, "type": "supergroup"}, "message_id": 43, "date": 1,
        "message_thread_id": 5, "is_topic_message": true});
    let inbound = said(&with(button(), "/callback_query/message", message));
    assert_eq!(inbound.conversation, ConversationKey::new("-400", Some("5")));
    assert_eq!(inbound.metadata["threadId"], 5);
}

#[test]
fn a_button_in_a_chat_the_bot_is_not_told_of_is_answered_to_the_person() {
    let update = with(button(), "/callback_query/inline_message_id", json!("BAAA"));
    let inbound = said(&with(update, "/callback_query/message", Value::Null));
    let expected = json!({"updateId": 900_000_003, "chatId": 500_001, "senderId": 500_001, "chatType": "private",
        "callbackQueryId": "4382bfdwdsb323b2d9"});
    assert_eq!(Value::Object(inbound.metadata), expected);
    assert_eq!(inbound.conversation, ConversationKey::new("500001", None));
    assert!(!inbound.is_group);
}

#[test]
fn pressing_a_button_is_no_try_to_pair() {
    for data in ["CDFH2345", "/start CDFH2345", "/start"] {
        assert!(said(&with(button(), "/callback_query/data", data.into())).pairing.is_none());
    }
}

#[test]
fn people_are_called_by_user_name_first_name_or_id() {
    for (from, name) in [
        (json!({"id": 7, "username": "ana", "first_name": "Ana"}), "ana"),
        (json!({"id": 7, "username": "", "first_name": "Ana"}), "Ana"),
        (json!({"id": 7, "username": 5, "first_name": " A\n\u{202e}na "}), "A na"),
        (json!({"id": 7, "first_name": "\u{202e}"}), "7"),
        (json!({"id": 7}), "7"),
    ] {
        assert_eq!(said(&with(private_message(), "/message/from", from)).from, name);
    }
    let long = json!({"id": 7, "first_name": "ä".repeat(300)});
    assert_eq!(said(&with(private_message(), "/message/from", long)).from.chars().count(), 200);
}

#[test]
fn ids_keep_all_their_bits() {
    let id = (1_i64 << 52) - 1;
    let update = with(private_message(), "/message/from/id", id.into());
    let inbound = said(&with(update, "/message/chat/id", (-id).into()));
    assert_eq!((inbound.sender, inbound.metadata["chatId"].clone()), (json!(id), json!(-id)));
    assert_eq!(inbound.conversation.chat, "-4503599627370495");
}

#[test]
fn bots_and_chats_are_not_listened_to() {
    let user = json!({"id": 1, "first_name": "Ana"});
    let anonymous_admin = json!({"id": 1_087_968_824, "is_bot": true, "first_name": "Group"});
    let message = |from: &Value| with(private_message(), "/message/from", from.clone());
    let chat = json!({"id": -100_123, "type": "channel", "title": "News"});
    for (update, reason) in [
        (message(&json!({"id": 5, "is_bot": true, "username": "other_bot"})), BOT),
        (with(message(&anonymous_admin), "/message/sender_chat", json!({"id": -400, "type": "group"})), FOR_A_CHAT),
        (with(message(&user), "/message/sender_chat", chat.clone()), FOR_A_CHAT),
        (message(&Value::Null), NO_PERSON),
        (message(&json!({"first_name": "Ana"})), NO_PERSON),
        (message(&json!("Ana")), NO_PERSON),
        (with(button(), "/callback_query/from/is_bot", json!(true)), BOT),
        (with(button(), "/callback_query/from", Value::Null), NO_PERSON),
    ] {
        assert_eq!(ignored(&update), reason, "{update}");
    }
}

#[test]
fn what_nobody_says_is_ignored() {
    let service = |name: &str| {
        let update = with(private_message(), "/message/text", Value::Null);
        with(update, &format!("/message/{name}"), json!({"id": 1}))
    };
    for name in ["new_chat_members", "left_chat_member", "pinned_message", "migrate_to_chat_id", "group_chat_created"] {
        assert_eq!(ignored(&service(name)), NOTHING_SAID);
    }
    for kind in ["channel_post", "my_chat_member", "inline_query", "poll", "message_reaction", "not_yet_invented"] {
        assert_eq!(ignored(&json!({"update_id": 1, kind: {"id": "x"}})), OTHER_KIND);
    }
    assert_eq!(ignored(&json!({"update_id": 1})), OTHER_KIND);
    assert_eq!(ignored(&with(button(), "/callback_query/data", Value::Null)), NO_DATA);
    assert_eq!(ignored(&with(button(), "/callback_query/data", json!(""))), NO_DATA);
}

#[test]
fn updates_of_another_shape_are_ignored() {
    for body in ["", "{", "null", "5", "[]", "\"x\"", "{}", r#"{"update_id": "1", "message": {}}"#, "\u{feff}{}"] {
        assert!(matches!(parse_bytes(body.as_bytes()), Event::Ignored(UNREADABLE)), "{body}");
    }
    assert!(matches!(parse_bytes(&[0xff, 0xfe]), Event::Ignored(UNREADABLE)));
    let deep = format!("{{\"update_id\": 1, \"message\": {}", "[".repeat(100_000));
    assert!(matches!(parse_bytes(deep.as_bytes()), Event::Ignored(UNREADABLE)));
    for (path, value) in [
        ("/update_id", json!(1.5)),
        ("/update_id", json!(u64::MAX)),
        ("/message/chat", Value::Null),
        ("/message/chat/id", json!("500001")),
        ("/message/chat/id", json!(1e300)),
        ("/message/message_id", json!("42")),
    ] {
        let update = with(private_message(), path, value);
        assert_eq!(ignored(&update), UNREADABLE, "{update}");
    }
    assert_eq!(ignored(&with(button(), "/callback_query/id", json!(5))), UNREADABLE);
    assert_eq!(ignored(&with(button(), "/callback_query/message", json!("x"))), UNREADABLE);
    assert_eq!(ignored(&json!({"update_id": 1, "message": "hello"})), NO_PERSON);
}

#[test]
fn a_chat_of_unknown_type_counts_as_a_group() {
    for kind in [json!(null), json!(5), json!("channel"), json!("Private"), json!("hologram")] {
        assert!(said(&with(private_message(), "/message/chat/type", kind)).is_group);
    }
}

#[test]
fn commands_are_left_as_they_are() {
    for text in ["/help", "/help@helper_bot me", " /pair@other_bot CDFH2345", "/ x"] {
        let inbound = said(&in_group(text));
        assert_eq!(inbound.content, text);
        assert!(inbound.pairing.is_none());
    }
}

#[test]
fn a_command_for_another_bot_is_not_for_this_one() {
    for (text, asks) in [
        ("/pair@helper_bot CDFH2345", true),
        ("/pair@Helper_Bot", true),
        ("/start@helper_bot", true),
        ("/pair CDFH2345", true),
        ("CDFH2345", true),
        ("/pair@other_bot CDFH2345", false),
        ("/start@other_bot", false),
        ("pair CDFH2345", false),
        ("hello", false),
    ] {
        assert_eq!(said(&in_group(text)).pairing.is_some(), asks, "{text}");
    }
}

#[test]
fn the_response_makes_no_call() {
    for spoken in [Spoken::Deferred, Spoken::Privately("sendMessage")] {
        assert_eq!(telegram().response(spoken), json!({"ok": true}));
    }
}

#[test]
fn strangers_are_told_how_to_pair_where_they_are() {
    let private = telegram().how_to_pair(&connection(), false);
    assert!(private.contains("pairing code") && !private.contains("/pair"));
    let group = telegram().how_to_pair(&connection(), true);
    assert!(group.contains("/pair YOUR-CODE") && group.contains("/pair@helper_bot") && group.contains("privacy mode"));
    let Connection::Telegram(bot) = connection() else { panic!("another platform") };
    let open = Connection::Telegram(TelegramBot { reads_all_group_messages: true, ..bot });
    assert!(!telegram().how_to_pair(&open, true).contains("privacy mode"));
    for words in [private, group] {
        assert_eq!(text::sanitise(&words), words);
        assert!(pairing::recognise(&words, pairing::Manner::default()).is_none());
    }
}
