//! Events that come in.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ConversationKey, Event, heard, ignored, pairing, parse};

const TS: &str = "1767225600.000100";
const ROOT: &str = "1767225500.000200";
const EDIT: &str = "1767225700.000000";

fn envelope(event: Value) -> Value {
    json!({
        "type": "event_callback", "token": "x", "team_id": "T1", "api_app_id": "A1", "event_id": "Ev0001",
        "event_time": 1_767_225_600, "event_context": "4-ey", "is_ext_shared_channel": false, "context_team_id": "T1",
        "context_enterprise_id": null, "event": event,
        "authorizations": [{
            "enterprise_id": null, "team_id": "T1", "user_id": "UBOT", "is_bot": true, "is_enterprise_install": false,
        }],
    })
}

/// `event` with these members changed; null takes one away.
fn with(mut event: Value, changes: Value) -> Value {
    let members = event.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    event
}

fn direct(changes: Value) -> Value {
    let event = json!({
        "type": "message", "channel": "D1", "channel_type": "im", "user": "U1", "text": "hi &amp; bye", "ts": TS,
        "event_ts": TS, "client_msg_id": "2f", "team": "T1", "blocks": [],
    });
    envelope(with(event, changes))
}

fn in_channel(changes: Value) -> Value {
    let event = json!({
        "type": "message", "channel": "C1", "channel_type": "channel", "user": "U1", "text": "<@UBOT> hi", "ts": TS,
        "event_ts": TS, "client_msg_id": "2f", "team": "T1",
    });
    envelope(with(event, changes))
}

fn mention(changes: Value) -> Value {
    let event = json!({
        "type": "app_mention", "user": "U1", "text": "<@UBOT> hi", "ts": TS, "channel": "C1", "event_ts": TS,
    });
    envelope(with(event, changes))
}

/// A change of the message that `envelope` brings.
fn changed(mut envelope: Value, to: Value) -> Value {
    let post = envelope["event"].take();
    let now = with(post.clone(), json!({"edited": {"user": "U1", "ts": EDIT}, "channel": null, "channel_type": null}));
    envelope["event"] = json!({
        "type": "message", "subtype": "message_changed", "hidden": true, "channel": post["channel"],
        "channel_type": post["channel_type"], "ts": EDIT, "event_ts": EDIT, "message": with(now, to),
        "previous_message": post,
    });
    envelope
}

fn key(chat: &str, thread: Option<&str>) -> ConversationKey {
    ConversationKey::new(chat, thread)
}

#[test]
fn the_endpoint_answers_its_challenge() {
    let body = json!({"token": "x", "challenge": "3eZb", "type": "url_verification"});
    let Event::Handshake(answer) = parse(body.to_string().as_bytes()) else { panic!("no handshake") };
    assert_eq!(answer, json!({"challenge": "3eZb"}));
    ignored(&json!({"type": "url_verification", "challenge": 1}));
}

#[test]
fn a_direct_message_is_read() {
    let inbound = heard(&direct(json!({})));
    assert_eq!((inbound.sender, inbound.from.as_str(), inbound.content.as_str()), (json!("U1"), "U1", "hi & bye"));
    let expected = json!({"slackChannelId": "D1", "senderId": "U1", "ts": TS, "teamId": "T1"});
    assert_eq!(Value::Object(inbound.metadata), expected);
    assert_eq!(inbound.conversation, key("D1", None));
    assert_eq!(inbound.repeat_key, format!("D1:{TS}"));
    assert!(!inbound.is_group && !inbound.only_in_known_conversation);
    assert!(!inbound.is_question && !inbound.answers_in_response && inbound.acknowledge.is_none());
}

#[test]
fn a_thread_of_a_direct_message_is_a_conversation_of_its_own() {
    let inbound = heard(&direct(json!({"thread_ts": ROOT})));
    assert_eq!(inbound.conversation, key("D1", Some(ROOT)));
    assert_eq!(inbound.metadata["threadTs"], ROOT);
    // The root, once it has replies, still stands outside.
    let root = heard(&direct(json!({"thread_ts": TS})));
    assert_eq!((root.conversation, root.metadata.get("threadTs")), (key("D1", None), None));
}

#[test]
fn what_is_direct_is_known_by_its_type_or_its_id() {
    for changes in [
        json!({"channel_type": null}),
        json!({"channel": "G1"}),
        json!({"channel_type": "app_home"}),
        json!({"channel": "C1", "channel_type": "app_home"}),
    ] {
        let inbound = heard(&direct(changes.clone()));
        assert!(!inbound.is_group && inbound.conversation.thread.is_none(), "{changes}");
    }
    for channel_type in ["channel", "group", "mpim"] {
        let inbound = heard(&in_channel(json!({"channel_type": channel_type, "channel": "G1"})));
        assert!(inbound.is_group, "{channel_type}");
    }
}

#[test]
fn a_mention_is_answered_in_a_thread_on_it() {
    for event in [in_channel(json!({})), mention(json!({}))] {
        let inbound = heard(&event);
        assert_eq!(inbound.content, "hi");
        let expected = json!({"slackChannelId": "C1", "senderId": "U1", "ts": TS, "threadTs": TS, "teamId": "T1"});
        assert_eq!(Value::Object(inbound.metadata), expected);
        assert_eq!(inbound.conversation, key("C1", Some(TS)));
        assert_eq!(inbound.repeat_key, format!("C1:{TS}"));
        assert!(inbound.is_group && !inbound.only_in_known_conversation);
    }
    for event in [in_channel(json!({"thread_ts": ROOT})), mention(json!({"thread_ts": ROOT}))] {
        let inbound = heard(&event);
        assert_eq!((inbound.conversation, &inbound.metadata["threadTs"]), (key("C1", Some(ROOT)), &json!(ROOT)));
        assert!(!inbound.only_in_known_conversation);
    }
}

#[test]
fn a_channel_message_is_taken_when_it_may_be_for_the_bot() {
    let talk = "talk among people, <@U2> and <@UBOT2>";
    assert_eq!(ignored(&in_channel(json!({"text": talk}))), "a channel message that does not mention the bot");
    // The root of a thread is no reply.
    ignored(&in_channel(json!({"text": talk, "thread_ts": TS})));
    ignored(&in_channel(json!({"text": talk, "channel_type": "mpim"})));
    let to_bot = heard(&in_channel(json!({"text": talk, "thread_ts": ROOT, "parent_user_id": "UBOT"})));
    assert!(!to_bot.only_in_known_conversation);
    assert_eq!(to_bot.content, "talk among people, @U2 and @UBOT2");
    for parent in [json!("U2"), Value::Null] {
        let overheard = heard(&in_channel(json!({"text": talk, "thread_ts": ROOT, "parent_user_id": parent})));
        assert!(overheard.only_in_known_conversation);
        assert_eq!(overheard.conversation, key("C1", Some(ROOT)));
    }
}

#[test]
fn an_edit_is_the_message_once_more() {
    for (event, content, repeat_key) in [
        (direct(json!({})), "better", format!("D1:{TS}:{EDIT}")),
        (in_channel(json!({})), "better", format!("C1:{TS}:{EDIT}")),
    ] {
        let before = heard(&event);
        let inbound = heard(&changed(event, json!({"text": "<@UBOT> better"})));
        assert_eq!((inbound.content.as_str(), inbound.repeat_key), (content, repeat_key));
        assert_eq!(inbound.conversation, before.conversation);
        let mut expected = before.metadata;
        expected.insert("edited".to_owned(), true.into());
        assert_eq!(inbound.metadata, expected);
    }
    // Slack sends a mention again when it is edited.
    let again = heard(&mention(json!({"edited": {"user": "U1", "ts": EDIT}})));
    assert_eq!((again.repeat_key, &again.metadata["edited"]), (format!("C1:{TS}:{EDIT}"), &json!(true)));
}

#[test]
fn a_change_that_no_person_made_is_ignored() {
    ignored(&changed(direct(json!({})), json!({"edited": null})));
    ignored(&changed(direct(json!({})), json!({"edited": {"user": "U1"}})));
    // A link preview on a message that was edited before.
    ignored(&changed(direct(json!({"edited": {"user": "U1", "ts": EDIT}})), json!({"attachments": []})));
    ignored(&changed(in_channel(json!({})), json!({"text": "without a mention"})));
    for bot in [json!({"bot_id": "B9"}), json!({"user": "UBOT"}), json!({"subtype": "tombstone"})] {
        ignored(&changed(direct(json!({})), bot));
    }
    let overheard = changed(in_channel(json!({"thread_ts": ROOT})), json!({"text": "among people"}));
    assert!(heard(&overheard).only_in_known_conversation);
}

#[test]
fn bots_and_notices_are_ignored() {
    for changes in [
        json!({"bot_id": "B1"}),
        json!({"bot_id": "B9", "user": "U9"}),
        json!({"bot_profile": {"id": "B9"}}),
        json!({"user": "UBOT"}),
        json!({"subtype": "bot_message", "user": null}),
        json!({"subtype": "bot_message", "bot_id": "B9"}),
        json!({"subtype": "channel_join"}),
        json!({"subtype": "message_deleted", "deleted_ts": ROOT}),
        json!({"subtype": "message_replied"}),
        json!({"subtype": "me_message"}),
        json!({"subtype": 1}),
        json!({"user": null}),
        json!({"user": 7}),
        json!({"user": "U 1"}),
        json!({"ts": null}),
        json!({"ts": 1_767_225_600.000_1}),
        json!({"channel": null}),
        json!({"channel": "D1\n"}),
        json!({"channel": "D".repeat(65)}),
        json!({"thread_ts": 5}),
        json!({"text": null}),
        json!({"text": " "}),
        json!({"type": "reaction_added"}),
    ] {
        ignored(&direct(changes));
    }
    ignored(&mention(json!({"bot_id": "B9"})));
    ignored(&mention(json!({"user": null})));
}

#[test]
fn everything_else_is_ignored() {
    let limited = json!({
        "token": "x", "type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1_767_225_600,
        "api_app_id": "A1",
    });
    for body in [limited, json!({"type": "event_callback"}), json!({}), json!([]), json!(null), json!("event_callback")]
    {
        ignored(&body);
    }
    for body in [&b""[..], b"{", b"payload=%7B%7D", b"\xff\xfe"] {
        assert!(matches!(parse(body), Event::Ignored(_)));
    }
    assert!(matches!(parse("[".repeat(100_000).as_bytes()), Event::Ignored(_)));
}

#[test]
fn broadcasts_and_files_are_messages() {
    let broadcast = heard(&in_channel(json!({"subtype": "thread_broadcast", "thread_ts": ROOT})));
    assert_eq!(broadcast.conversation, key("C1", Some(ROOT)));

    let image = json!({"id": "F1", "name": "cat.png", "mimetype": "image/png", "filetype": "png", "size": 9});
    let document = json!({"id": "F2", "name": "a\nb.pdf", "mimetype": "application/pdf"});
    let nameless = json!({"id": "F3", "mode": "tombstone"});
    for (files, text, content, media_type) in [
        (json!([image]), "", "[image: cat.png]", Some("image")),
        (json!([document]), "", "[file: a b.pdf]", Some("file")),
        (json!([image, document, nameless]), " ", "[image: cat.png]\n[file: a b.pdf]\n[file]", Some("image")),
        (json!([image]), "look", "look", None),
    ] {
        let inbound = heard(&direct(json!({"subtype": "file_share", "files": files, "text": text})));
        assert_eq!(inbound.content, content);
        assert_eq!(inbound.metadata.get("mediaType"), media_type.map(Value::from).as_ref());
    }
    let mentioned = heard(&mention(json!({"text": "<@UBOT>", "files": [image]})));
    assert_eq!(mentioned.content, "[image: cat.png]");
    for files in [json!([]), json!({}), json!("x")] {
        ignored(&direct(json!({"subtype": "file_share", "files": files, "text": ""})));
    }
    let many = heard(&direct(json!({"files": vec![nameless; 1000], "text": ""})));
    assert_eq!(many.content.lines().count(), 10);
}

#[test]
fn text_is_read_as_people_write_it() {
    for (text, content) in [
        ("<@UBOT> see <https://x.example|docs> &lt;3", "see docs (https://x.example) <3"),
        ("<@UBOT|helper>: *hi* <@U2>", "*hi* @U2"),
        ("hello <@UBOT>", "hello @UBOT"),
        ("<@UBOT>", "@helper"),
    ] {
        assert_eq!(heard(&in_channel(json!({"text": text}))).content, content);
        assert_eq!(heard(&direct(json!({"text": text}))).content, content);
    }
}

#[test]
fn a_code_is_recognised_behind_the_mention() {
    for (text, expected) in [
        ("pair CDFH2345", "CDFH2345"),
        ("<@UBOT> pair cdfh2345", "CDFH2345"),
        ("<@UBOT>: CDFH2345", "CDFH2345"),
        ("pair nonsense", "wrong"),
        ("<@UBOT> pair", "?"),
        ("<@UBOT> pair of shoes", "-"),
        ("<@UBOT>", "-"),
    ] {
        assert_eq!(pairing(&heard(&direct(json!({"text": text})))), expected, "{text}");
        let in_thread = in_channel(json!({"text": text, "thread_ts": ROOT, "parent_user_id": "UBOT"}));
        assert_eq!(pairing(&heard(&in_thread)), expected, "{text}");
    }
    // What people say to each other is never a try.
    let overheard = heard(&in_channel(json!({"text": "pair CDFH2345", "thread_ts": ROOT})));
    assert_eq!(pairing(&overheard), "-");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[<@UBOT|>pair a&;\n]{0,20}".prop_map(Value::from),
        prop::sample::select(vec!["message", "app_mention", "message_changed", "file_share", TS, "C1", "D1", "UBOT"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let member = prop::sample::select(vec!["ts", "name", "mimetype", "text", "edited", "user", "thread_ts"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((member, inner), 0..4)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_in_any_place_is_read_or_ignored(
        value in any_json(),
        member in prop::sample::select(vec![
            "type", "subtype", "channel", "channel_type", "user", "text", "ts", "thread_ts", "edited", "files",
            "message", "previous_message", "bot_id", "parent_user_id",
        ]),
        shape in 0..5,
    ) {
        let mut body = match shape {
            0 => direct(json!({})),
            1 => in_channel(json!({"thread_ts": ROOT})),
            2 => mention(json!({})),
            3 => changed(direct(json!({})), json!({})),
            _ => changed(direct(json!({})), json!({member: value.clone()})),
        };
        body["event"][member] = value.clone();
        let _ = parse(body.to_string().as_bytes());
        body["event"] = value.clone();
        let _ = parse(body.to_string().as_bytes());
        let _ = parse(value.to_string().as_bytes());
    }

    #[test]
    fn any_body_is_read_or_ignored(body: Vec<u8>) {
        let _ = parse(&body);
    }

    #[test]
    fn both_events_of_one_post_have_one_key(text in "[a-z <>@&;]{0,30}", thread: bool) {
        let changes = json!({
            "text": format!("<@UBOT> {text}"), "thread_ts": if thread { Value::from(ROOT) } else { Value::Null },
        });
        let (one, two) = (heard(&in_channel(changes.clone())), heard(&mention(changes)));
        prop_assert_eq!(one.repeat_key, two.repeat_key);
        prop_assert_eq!(one.content, two.content);
        prop_assert_eq!(one.conversation, two.conversation);
        prop_assert_eq!(one.metadata, two.metadata);
    }
}
