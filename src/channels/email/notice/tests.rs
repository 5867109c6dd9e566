use super::*;
use proptest::prelude::*;
use serde_json::json;

const DOMAIN: &str = "in.example.net";

fn event() -> Value {
    json!({
        "type": "email.received", "created_at": "2026-01-15T10:30:01.126Z",
        "data": {
            "email_id": "56761188-7520-42d8-8898-ff6fc54ce618", "created_at": "2026-01-15T10:30:00.894719+00:00",
            "from": "Ana Example <ana@example.com>", "to": ["support-ab12cd34ef@in.example.net"], "cc": [], "bcc": [],
            "received_for": ["support-ab12cd34ef@in.example.net"], "message_id": "<CAF1@mail.example.com>",
            "subject": "Re: hello",
            "attachments": [{"id": "2a0c9ce0-3112-4728-976e-47ddcd16a318", "filename": "a.png",
                             "content_type": "image/png", "content_disposition": "attachment", "content_id": null}],
        },
    })
}

fn read(event: &Value) -> Option<ReceivedNotice> {
    match Notice::read(event.to_string().as_bytes(), DOMAIN) {
        Notice::Received(notice) => Some(*notice),
        Notice::Other => None,
    }
}

fn with(field: &str, value: Value) -> Option<ReceivedNotice> {
    let mut event = event();
    event["data"][field] = value;
    read(&event)
}

#[test]
fn the_event_of_the_documentation_is_read() {
    let notice = read(&event()).unwrap();
    assert_eq!(notice.email_id, "56761188-7520-42d8-8898-ff6fc54ce618");
    assert_eq!(notice.from.unwrap().as_str(), "ana@example.com");
    assert_eq!(notice.recipients, ["support-ab12cd34ef@in.example.net"]);
    assert_eq!(notice.subject, "Re: hello");
    assert_eq!(notice.message_id.as_deref(), Some("<CAF1@mail.example.com>"));
}

#[test]
fn an_event_with_nothing_but_its_id_is_a_mail_all_the_same() {
    let notice = read(&json!({"type": "email.received", "data": {"email_id": "m_1"}})).unwrap();
    assert_eq!(notice.from, Err(InvalidAddress::Missing));
    assert!(notice.recipients.is_empty() && notice.subject.is_empty() && notice.message_id.is_none());
    let all_null = json!({"email_id": "m_1", "from": null, "to": null, "cc": null, "bcc": null, "received_for": null,
                          "message_id": null, "subject": null, "attachments": null, "created_at": null});
    assert!(read(&json!({"type": "email.received", "data": all_null})).unwrap().recipients.is_empty());
}

#[test]
fn other_events_and_other_bodies_are_nothing() {
    let mut sent = event();
    sent["type"] = "email.sent".into();
    for other in [sent, json!({}), json!(null), json!([]), json!("email.received"), json!({"type": "email.received"})] {
        assert!(read(&other).is_none(), "{other}");
    }
    for body in [&b""[..], b"{", b"\xff\xfe", b"email.received"] {
        assert!(matches!(Notice::read(body, DOMAIN), Notice::Other));
    }
}

#[test]
fn an_id_that_is_not_safe_in_a_path_makes_no_mail() {
    for id in ["", "../x", "a/b", "a?b", "a#b", "a%2fb", "a b", "é", "a.b", &"x".repeat(65)] {
        assert!(with("email_id", json!(id)).is_none(), "{id}");
    }
    for id in [json!(5), json!(null), json!(["a"])] {
        assert!(with("email_id", id).is_none());
    }
    assert!(with("email_id", json!("x".repeat(64))).is_some());
}

#[test]
fn who_really_received_it_comes_before_who_the_headers_name() {
    let recipients = |received_for: Value| {
        let mut event = event();
        event["data"]["received_for"] = received_for;
        event["data"]["to"] = json!(["A <A-1+tag@In.Example.NET>, b-2@in.example.net"]);
        event["data"]["cc"] = json!("a-1@in.example.net");
        event["data"]["bcc"] = json!([null, 5, "c-3@in.example.net"]);
        read(&event).unwrap().recipients
    };
    let from_headers = ["a-1@in.example.net", "b-2@in.example.net", "c-3@in.example.net"];
    assert_eq!(recipients(json!(["real-9+x@in.example.net"])), ["real-9@in.example.net"]);
    for absent in [json!(null), json!([]), json!([""]), json!({}), json!("nobody")] {
        assert_eq!(recipients(absent), from_headers);
    }
}

#[test]
fn the_relays_own_address_is_found_behind_hundreds_of_others() {
    let mut to: Vec<String> = (0..300).map(|n| format!("p{n}@example.com")).collect();
    to.push("support-1@in.example.net".to_owned());
    let mut event = event();
    event["data"]["received_for"] = json!(to);
    let recipients = read(&event).unwrap().recipients;
    assert_eq!(recipients.len(), 50);
    assert_eq!(recipients[0], "support-1@in.example.net");
    assert_eq!(recipients[1], "p0@example.com");
}

#[test]
fn a_subject_is_one_line_within_its_limit() {
    let subject = |text: &str| with("subject", json!(text)).unwrap().subject;
    assert_eq!(subject(" a\r\nBcc: eve@evil.example\u{202E} "), "a Bcc: eve@evil.example");
    assert_eq!(subject(&"é".repeat(5_000)).chars().count(), 998);
}

#[test]
fn more_than_one_sender_is_none() {
    let from = |text: &str| with("from", json!(text)).unwrap().from;
    assert_eq!(from("ana@example.com, eve@evil.example"), Err(InvalidAddress::Several));
    assert_eq!(from("Ana: ana@example.com;"), Err(InvalidAddress::Group));
    assert_eq!(from("MAILER-DAEMON"), Err(InvalidAddress::Malformed));
}

fn odd_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        Just(json!("a@b.example, c <d@e.example>")),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[a-z_]{1,8}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_event_upsets_the_reading(fields in proptest::collection::vec((0_usize..8, odd_json()), 0..8), bytes: Vec<u8>) {
        let _ = Notice::read(&bytes, DOMAIN);
        let names = ["email_id", "from", "to", "cc", "bcc", "received_for", "message_id", "subject"];
        let mut event = event();
        for (at, value) in fields {
            event["data"][names[at]] = value;
        }
        if let Some(notice) = read(&event) {
            prop_assert!(notice.recipients.len() <= 50);
            prop_assert!(is_safe_id(&notice.email_id));
        }
    }
}
