use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::*;
use crate::domain::connection::TelegramBot;
use crate::domain::ids::MessageId;
use crate::domain::timestamp::Timestamp;

mod verdicts;

fn telegram() -> Telegram {
    Telegram::new("https://api.example")
}

/// What an [`Outgoing`] borrows from.
struct Reply {
    connection: Connection,
    secrets: Option<ConnectionSecrets>,
    conversation: ConversationKey,
    details: Value,
    is_reply_to: bool,
    content: String,
}

impl Reply {
    fn new(content: &str) -> Self {
        let bot = TelegramBot {
            bot_id: "7000000001".into(),
            bot_username: "helper_bot".into(),
            reads_all_group_messages: false,
        };
        Self {
            connection: Connection::Telegram(bot),
            secrets: Some(ConnectionSecrets { token: "7000000001:secret_secret".into(), events: "s3cret".into() }),
            conversation: ConversationKey::new("-1001234567890", None),
            details: json!({"messageId": 77}),
            is_reply_to: false,
            content: content.to_owned(),
        }
    }

    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            response: MessageId::random(),
            connection: &self.connection,
            secrets: self.secrets.as_ref(),
            label: "Helper",
            conversation: &self.conversation,
            details: &self.details,
            answer_secret: None,
            is_reply_to: self.is_reply_to,
            completes_question: false,
            asked_at: Timestamp::EPOCH,
            content: &self.content,
            now: Timestamp::EPOCH,
        }
    }

    fn body(&self, progress: &Progress) -> Option<Value> {
        let call = telegram().next_call(&self.outgoing(), progress)?;
        Some(serde_json::from_slice(call.body.as_ref().unwrap()).unwrap())
    }

    fn interpret(&self, progress: &mut Progress, status: u16, body: &Value) -> Verdict {
        let answer = ApiAnswer { status, headers: Vec::new(), body: body.to_string().into() };
        telegram().interpret(&self.outgoing(), progress, &answer)
    }
}

fn destination(metadata: Value) -> Option<Destination> {
    telegram().destination(metadata.as_object().unwrap())
}

#[test]
fn the_destination_is_what_the_metadata_say() {
    let exactly = |chat: &str, thread| Some(Destination::Exactly(ConversationKey::new(chat, thread)));
    let chat = |chat: &str| Some(Destination::Chat(chat.to_owned()));
    for (metadata, expected) in [
        (json!({}), None),
        (json!({"chatId": null, "threadId": 12}), None),
        (json!({"chatId": " "}), None),
        (json!({"threadId": 12, "messageId": 5}), None),
        (json!({"chatId": -1_001_234_567_890_i64}), chat("-1001234567890")),
        (json!({"chatId": "-1001234567890"}), chat("-1001234567890")),
        (json!({"chatId": 5, "messageId": null, "threadId": null}), chat("5")),
        (json!({"chatId": 5, "threadId": 12}), exactly("5", Some("12"))),
        (json!({"chatId": "5", "threadId": "12"}), exactly("5", Some("12"))),
        (json!({"chatId": 5, "messageId": 7}), exactly("5", None)),
        (json!({"chatId": 5, "updateId": 7}), exactly("5", None)),
        (json!({"chatId": 5, "updateId": 7, "messageId": 7, "threadId": 12}), exactly("5", Some("12"))),
        (json!({"chatId": [5]}), chat("[5]")),
        (json!({"chatId": 5.5}), chat("5.5")),
        (json!({"chatId": 5, "threadId": {}}), exactly("5", Some("{}"))),
    ] {
        assert_eq!(destination(metadata.clone()), expected, "{metadata}");
    }
}

#[test]
fn a_reply_goes_out_rendered() {
    let reply = Reply::new("**done** & <ok>");
    let call = telegram().next_call(&reply.outgoing(), &Progress::default()).unwrap();
    assert_eq!(call.url.expose_secret(), "https://api.example/bot7000000001:secret_secret/sendMessage");
    assert_eq!((call.method, call.name, call.headers.len()), (Method::Post, "sendMessage", 0));
    let expected = json!({"chat_id": -1_001_234_567_890_i64, "text": "<b>done</b> &amp; &lt;ok&gt;",
        "parse_mode": "HTML", "link_preview_options": {"is_disabled": true}});
    assert_eq!(reply.body(&Progress::default()), Some(expected));
    assert_eq!(reply.body(&Progress { parts: 1, ..Progress::default() }), None);
}

#[test]
fn a_topic_and_the_message_that_is_answered_are_named() {
    let mut reply = Reply::new("a");
    reply.conversation = ConversationKey::new("-100", Some("12"));
    reply.is_reply_to = true;
    let body = reply.body(&Progress::default()).unwrap();
    assert_eq!((&body["chat_id"], &body["message_thread_id"]), (&json!(-100), &json!(12)));
    assert_eq!(body["reply_parameters"], json!({"message_id": 77, "allow_sending_without_reply": true}));
}

#[test]
fn only_the_first_part_of_a_reply_to_a_message_quotes_it() {
    let quotes = |reply: &Reply, progress: &Progress| !reply.body(progress).unwrap()["reply_parameters"].is_null();
    let mut reply = Reply::new(&"word ".repeat(2000));
    assert!(!quotes(&reply, &Progress::default()));
    reply.is_reply_to = true;
    assert!(quotes(&reply, &Progress::default()));
    assert!(quotes(&reply, &Progress { plain: true, ..Progress::default() }));
    assert!(!quotes(&reply, &Progress { parts: 1, ..Progress::default() }));
    assert!(!quotes(&reply, &Progress { moved_to: Some("-1".into()), ..Progress::default() }));
    for details in [json!(null), json!({}), json!({"messageId": null}), json!({"messageId": "77"}), json!([1])] {
        reply.details = details;
        assert!(!quotes(&reply, &Progress::default()));
    }
}

#[test]
fn ids_are_numbers_and_names_are_text() {
    for (chat, id) in [
        ("500001", json!(500_001)),
        ("-4503599627370495", json!(-4_503_599_627_370_495_i64)),
        ("@news", json!("@news")),
        ("007", json!("007")),
        ("+7", json!("+7")),
        ("99999999999999999999", json!("99999999999999999999")),
    ] {
        let mut reply = Reply::new("a");
        reply.conversation = ConversationKey::new(chat, None);
        assert_eq!(reply.body(&Progress::default()).unwrap()["chat_id"], id);
    }
}

#[test]
fn plain_parts_are_the_source_of_the_same_parts() {
    let content = "- **a**\n- `b` <c>\n\n".repeat(1000);
    let reply = Reply::new(&content);
    let mut progress = Progress::default();
    let mut plain = String::new();
    while let Some(rendered) = reply.body(&progress) {
        let body = reply.body(&Progress { plain: true, ..progress.clone() }).unwrap();
        assert_eq!((&rendered["parse_mode"], body.get("parse_mode")), (&json!("HTML"), None));
        plain.push_str(body["text"].as_str().unwrap());
        plain.push_str("\n\n");
        progress.parts += 1;
    }
    assert!(progress.parts > 4);
    let solid = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    assert_eq!(solid(&plain), solid(&content));
}

#[test]
fn what_shows_nothing_is_sent_as_it_was_written() {
    let body = Reply::new("[r]: https://x.example").body(&Progress::default()).unwrap();
    assert_eq!((&body["text"], body.get("parse_mode")), (&json!("[r]: https://x.example"), None));
}

#[test]
fn every_call_of_a_long_reply_is_within_the_limit() {
    let section = "Text with **marks** & <angles> 🦀.\n\n```rust\nlet a = \"<&>\"; // 🦀\n```\n\n- one\n- two\n\n";
    let mut content = format!("{section}```\n{}```\n\n", "code 🦀\n".repeat(1500)).repeat(6);
    content.truncate((0..=65_536).rev().find(|at| content.is_char_boundary(*at)).unwrap());
    let reply = Reply::new(&content);
    let mut progress = Progress::default();
    while let Some(body) = reply.body(&progress) {
        let html = body["text"].as_str().unwrap();
        assert_eq!(html.matches("<pre>").count(), html.matches("</pre>").count());
        let shown = ["<b>", "</b>", "<pre>", "</pre>", "<code class=\"language-rust\">", "</code>"]
            .iter()
            .fold(html.to_owned(), |html, tag| html.replace(tag, ""))
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&amp;", "&");
        assert!((1..=4096).contains(&shown.encode_utf16().count()));
        let plain = reply.body(&Progress { plain: true, ..progress.clone() }).unwrap();
        assert!((1..=4096).contains(&plain["text"].as_str().unwrap().encode_utf16().count()));
        assert_eq!(reply.interpret(&mut progress, 200, &json!({"ok": true})), Verdict::Arrived { pause: None });
    }
    assert!((10..40).contains(&progress.parts), "{}", progress.parts);
}

#[test]
fn without_secrets_the_call_has_no_token() {
    let mut reply = Reply::new("a");
    reply.secrets = None;
    let call = telegram().next_call(&reply.outgoing(), &Progress::default()).unwrap();
    assert_eq!(call.url.expose_secret(), "https://api.example/bot/sendMessage");
}

#[test]
fn typing_is_shown_in_the_topic() {
    let reply = Reply::new("a");
    let typing = |thread| {
        let conversation = ConversationKey::new("-400", thread);
        telegram().typing(&reply.connection, reply.secrets.as_ref().unwrap(), &conversation).unwrap()
    };
    let call = typing(None);
    assert_eq!(call.url.expose_secret(), "https://api.example/bot7000000001:secret_secret/sendChatAction");
    assert_eq!(call.body.unwrap(), r#"{"chat_id":-400,"action":"typing"}"#);
    assert_eq!(typing(Some("12")).body.unwrap(), r#"{"chat_id":-400,"message_thread_id":12,"action":"typing"}"#);
}

fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,30}".prop_map(Value::from),
        Just(json!([1])),
        Just(json!({"retry_after": [], "migrate_to_chat_id": "x"})),
        any::<i64>().prop_map(|id| json!({"retry_after": id, "migrate_to_chat_id": id})),
    ]
}

proptest! {
    #[test]
    fn any_metadata_names_a_destination_or_none(chat in odd_value(), thread in odd_value(), message in odd_value()) {
        let named = destination(json!({"chatId": chat, "threadId": thread, "messageId": message}));
        let is_blank = chat.is_null() || chat.as_str().is_some_and(|text| text.trim().is_empty());
        prop_assert_eq!(named.is_none(), is_blank);
    }
}
