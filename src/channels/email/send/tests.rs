use super::*;
use crate::domain::connection::Mailbox;
use crate::domain::ids::MessageId;
use crate::domain::timestamp::Timestamp;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

const INBOUND: &str = "support-ab12cd34ef@in.example.net";
const RESPONSE: &str = "7f1c0000-0000-4000-8000-000000000001";

fn email() -> Email {
    Email::new("https://api.resend.com/", "re_s3cret".into(), "in.example.net")
}

fn details() -> Value {
    json!({"messageId": "<CAF1@mail.example.com>", "references": "<0100@eu-west-1.amazonses.com>", "subject": "hello",
           "sender": "Ana@example.com"})
}

fn call_with(label: &str, details: &Value, content: &str, progress: &Progress) -> Option<ApiCall> {
    let connection = Connection::Email(Mailbox {
        inbound_address: INBOUND.to_owned(),
        user_email: "ana@example.com".to_owned(),
        verified: true,
    });
    email().next_call(
        &Outgoing {
            response: RESPONSE.parse::<MessageId>().unwrap(),
            connection: &connection,
            secrets: None,
            label,
            conversation: &ConversationKey::new("ana@example.com", Some("<root@x>")),
            details,
            answer_secret: None,
            is_reply_to: false,
            completes_question: false,
            asked_at: Timestamp::from_millis(0),
            content,
            now: Timestamp::from_millis(1),
        },
        progress,
    )
}

fn body(label: &str, details: &Value) -> Value {
    let call = call_with(label, details, "done", &Progress::default()).unwrap();
    serde_json::from_slice(&call.body.unwrap()).unwrap()
}

fn headers(details: &Value) -> Value {
    body("Helper", details)["headers"].take()
}

#[test]
fn a_reply_is_one_mail_in_the_thread_of_the_mail_it_answers() {
    let call = call_with("Helper", &details(), "done **now**", &Progress::default()).unwrap();
    assert_eq!((call.method, call.url.expose_secret()), (Method::Post, "https://api.resend.com/emails"));
    let header =
        |name: &str| call.headers.iter().find(|(known, _)| *known == name).unwrap().1.expose_secret().to_owned();
    assert_eq!(header("Authorization"), "Bearer re_s3cret");
    assert_eq!(header("Idempotency-Key"), format!("chaos-{RESPONSE}"));
    assert!(header("User-Agent").starts_with("chaos-relay/"));
    assert_eq!(
        serde_json::from_slice::<Value>(call.body.as_ref().unwrap()).unwrap(),
        json!({
            "from": format!("Helper <{INBOUND}>"), "to": ["Ana@example.com"], "subject": "Re: hello",
            "text": "done **now**", "reply_to": INBOUND,
            "headers": {
                "In-Reply-To": "<CAF1@mail.example.com>",
                "References": "<0100@eu-west-1.amazonses.com> <CAF1@mail.example.com>",
                "Auto-Submitted": "auto-replied",
            },
        })
    );
    assert!(!format!("{call:?} {:?}", email()).contains("s3cret"));
}

#[test]
fn a_long_reply_is_not_split_and_a_second_call_is_not_made() {
    let long = "x".repeat(64 * 1024);
    let call = call_with("Helper", &details(), &long, &Progress::default()).unwrap();
    assert!(call.body.unwrap().len() > 64 * 1024);
    let mut progress = Progress::default();
    let connection =
        Connection::Email(Mailbox { inbound_address: INBOUND.into(), user_email: String::new(), verified: true });
    let outgoing = Outgoing {
        response: MessageId::random(),
        connection: &connection,
        secrets: None,
        label: "",
        conversation: &ConversationKey::new("ana@example.com", None),
        details: &Value::Null,
        answer_secret: None,
        is_reply_to: false,
        completes_question: false,
        asked_at: Timestamp::from_millis(0),
        content: "",
        now: Timestamp::from_millis(0),
    };
    let answer = ApiAnswer { status: 200, headers: Vec::new(), body: r#"{"id":"49a3"}"#.into() };
    assert_eq!(email().interpret(&outgoing, &mut progress, &answer), Verdict::Arrived { pause: None });
    assert_eq!(progress.parts, 1);
    assert!(email().next_call(&outgoing, &progress).is_none());
    let failed = ApiAnswer { status: 500, headers: Vec::new(), body: "".into() };
    assert!(matches!(email().interpret(&outgoing, &mut progress, &failed), Verdict::Later { .. }));
    assert_eq!(progress.parts, 1);
}

#[test]
fn the_same_reply_is_the_same_call_at_every_try() {
    let call = || call_with("Helper", &details(), "done", &Progress::default()).unwrap().body;
    assert_eq!(call(), call());
}

#[test]
fn without_a_message_id_there_is_no_thread() {
    for details in
        [json!({}), json!(null), json!({"messageId": null, "references": "<a@x>"}), json!({"messageId": "a@x"})]
    {
        assert_eq!(headers(&details), json!({"Auto-Submitted": "auto-replied"}), "{details}");
        let body = body("Helper", &details);
        assert_eq!((&body["subject"], &body["to"]), (&json!("Re: your message"), &json!(["ana@example.com"])));
    }
}

#[test]
fn references_are_extended_and_never_too_long() {
    assert_eq!(headers(&json!({"messageId": "<a@x>"}))["References"], "<a@x>");
    assert_eq!(headers(&json!({"messageId": "<b@x>", "references": "<a@x> <b@x>"}))["References"], "<a@x> <b@x>");
    let ids: Vec<String> = (0..100).map(|n| format!("<{n:03}@mail.example.com>")).collect();
    let headers = headers(&json!({"messageId": "<new@x>", "references": ids.join(" ")}));
    let references = headers["References"].as_str().unwrap();
    assert!(references.len() <= 900);
    assert!(
        references.starts_with("<000@mail.example.com> ") && references.ends_with(" <099@mail.example.com> <new@x>")
    );
}

#[test]
fn the_mail_goes_to_the_person_of_the_conversation_and_to_nobody_else() {
    for sender in ["eve@evil.example", "ana@example.com, eve@evil.example", "Ana <ana@example.com>", ""] {
        let mut details = details();
        details["sender"] = sender.into();
        assert_eq!(body("Helper", &details)["to"], json!(["ana@example.com"]), "{sender}");
    }
}

#[test]
fn nothing_in_a_mail_can_add_a_header_to_its_answer() {
    let evil = "x\r\nBcc: eve@evil.example\n\u{85}\u{2028}y";
    let details = json!({"messageId": format!("<a@x>{evil}"), "references": format!("<b@x> {evil} <c\r\n@x>"), "subject": evil,
                         "sender": format!("ana@example.com{evil}")});
    let mut body = body(evil, &details);
    body["text"].take();
    let breaks = ["\\r", "\\n", "\u{85}"];
    assert!(breaks.iter().all(|one| !body.to_string().contains(one)), "{body}");
    assert_eq!(body["headers"]["References"], "<b@x> <a@x>");
    assert_eq!(body["subject"], "Re: x Bcc: eve@evil.example \u{2028}y");
}

#[test]
fn a_name_before_the_address_is_no_more_than_a_name() {
    let address = "a@in.example.net";
    for (name, expected) in [
        ("Helper", "Helper <a@in.example.net>"),
        ("  Ana's   Helper & Co ", "Ana's Helper & Co <a@in.example.net>"),
        ("Ünï 日本", "Ünï 日本 <a@in.example.net>"),
        ("Doe, John", "\"Doe, John\" <a@in.example.net>"),
        ("a.b:c;d(e)[f]@g", "\"a.b:c;d(e)[f]@g\" <a@in.example.net>"),
        ("eve@evil.example", "\"eve@evil.example\" <a@in.example.net>"),
        ("Eve <eve@evil.example>, x", "\"Eve eve@evil.example , x\" <a@in.example.net>"),
        ("\" <eve@evil.example> \"", "\"' eve@evil.example '\" <a@in.example.net>"),
        ("a\\\"b\\", "a/'b/ <a@in.example.net>"),
        ("=?utf-8?q?Eve?=", "\"=?utf-8?q?Eve?=\" <a@in.example.net>"),
        ("a\r\nBcc: b", "\"a Bcc: b\" <a@in.example.net>"),
        ("a\u{202E}b\u{0}", "ab <a@in.example.net>"),
        ("a\u{2028}b", "a b <a@in.example.net>"),
        ("", "a@in.example.net"),
        (" \r\n<> ", "a@in.example.net"),
        ("a@in.example.net", "a@in.example.net"),
    ] {
        assert_eq!(with_name(name, address), expected, "{name:?}");
    }
    assert_eq!(with_name(&"x".repeat(200), address).len(), 64 + " <a@in.example.net>".len());
}

#[test]
fn nothing_shows_that_the_relay_is_typing() {
    let connection =
        Connection::Email(Mailbox { inbound_address: INBOUND.into(), user_email: String::new(), verified: true });
    let secrets = ConnectionSecrets { token: "".into(), events: "".into() };
    assert!(email().typing(&connection, &secrets, &ConversationKey::new("ana@example.com", None)).is_none());
}

proptest! {
    #[test]
    fn whatever_it_is_called_the_sender_is_the_channels_address(label in "(\\PC|[\"<>,:;@\\\\() \r\n]){0,40}") {
        let from = with_name(&label, INBOUND);
        prop_assert!(!from.contains(['\r', '\n']));
        prop_assert_eq!(EmailAddress::parse(&from).map(|address| address.as_str().to_owned()), Ok(INBOUND.to_owned()));
        prop_assert_eq!(from.matches('<').count(), from.matches('>').count());
        prop_assert!(from.matches('<').count() <= 1 && matches!(from.matches('"').count(), 0 | 2));
    }

    #[test]
    fn no_details_upset_the_call(text in "\\PC{0,30}", number: i64) {
        for odd in [json!(text), json!(number), json!([text]), json!({"messageId": text, "references": number, "subject": [text]})] {
            prop_assert!(call_with(&text, &odd, &text, &Progress::default()).is_some());
        }
    }
}
