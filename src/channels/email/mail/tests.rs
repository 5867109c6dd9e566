use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

/// The answer of the documentation.
fn mail() -> Value {
    json!({
        "object": "email", "id": "56761188-7520-42d8-8898-ff6fc54ce618", "to": ["support-ab12cd34ef@in.example.net"],
        "from": "Ana Example <ana@example.com>", "created_at": "2026-01-15 10:30:00.894719+00", "subject": "Re: hello",
        "message_id": "<CAF1@mail.example.com>", "cc": [], "bcc": [], "reply_to": ["ana@example.com"],
        "received_for": ["support-ab12cd34ef@in.example.net"], "text": "Thanks\n\n> hello", "html": "<p>Thanks</p>",
        "headers": {"in-reply-to": "<0100@eu-west-1.amazonses.com>", "references": "<0100@eu-west-1.amazonses.com>",
                    "auto-submitted": "no"},
        "raw": {"download_url": "https://inbound-cdn.resend.com/x", "expires_at": "2026-01-15T11:30:00.000Z"},
        "attachments": [{"id": "2a0c9ce0-3112-4728-976e-47ddcd16a318", "filename": "a.png", "size": 1234,
                         "content_type": "image/png", "content_id": null, "content_disposition": "attachment"}],
    })
}

fn answer(status: u16, body: impl Into<Bytes>) -> Fetched {
    Fetched::read(&ApiAnswer { status, headers: Vec::new(), body: body.into() })
}

fn read(mail: &Value) -> FetchedMail {
    match answer(200, mail.to_string()) {
        Fetched::Mail(mail) => *mail,
        other => panic!("{other:?}"),
    }
}

fn with(field: &str, value: Value) -> FetchedMail {
    let mut mail = mail();
    mail[field] = value;
    read(&mail)
}

#[test]
fn the_answer_of_the_documentation_is_read() {
    let mail = read(&mail());
    assert_eq!(mail.from.as_deref(), Some("Ana Example <ana@example.com>"));
    assert_eq!(mail.subject.as_deref(), Some("Re: hello"));
    assert_eq!(mail.message_id.as_deref(), Some("<CAF1@mail.example.com>"));
    assert_eq!(mail.text, "Thanks\n\n> hello");
    assert_eq!((mail.attachments, mail.more_attachments), (vec!["a.png".to_owned()], 0));
    assert_eq!(mail.headers.first("in-reply-to"), Some("<0100@eu-west-1.amazonses.com>"));
}

#[test]
fn everything_may_be_null_or_missing() {
    let nulls = json!({"text": null, "html": null, "headers": null, "raw": null, "cc": null, "subject": null, "from": null,
                       "message_id": null, "attachments": null});
    for mail in [nulls, json!({})] {
        let mail = read(&mail);
        assert!(mail.text.is_empty() && mail.attachments.is_empty() && mail.from.is_none());
        assert!(mail.subject.is_none() && mail.message_id.is_none());
    }
    assert_eq!(with("subject", json!("")).subject.as_deref(), Some(""));
}

#[test]
fn html_is_read_only_when_there_is_no_text() {
    for empty in [json!(null), json!(""), json!(" \r\n "), json!(5)] {
        assert_eq!(with("text", empty).text, "Thanks");
    }
    assert_eq!(with("text", json!("<p>plain</p>\n")).text, "<p>plain</p>");
}

#[test]
fn attachments_are_named_as_far_as_they_have_names() {
    let names = |list: Value| with("attachments", list).attachments;
    assert_eq!(
        names(json!([{"filename": "a\r\n]b.png"}, {"filename": null, "content_type": "image/png"}, {}, null, 5,
                     {"filename": " "}])),
        ["a _b.png", "image/png", "without a name", "without a name", "without a name", "without a name"]
    );
    assert_eq!(names(json!([{"filename": "x".repeat(500)}]))[0].len(), 200);
    let many = with("attachments", json!(vec![json!({"filename": "a"}); 60]));
    assert_eq!((many.attachments.len(), many.more_attachments), (50, 10));
}

#[test]
fn a_mail_that_cannot_be_had_is_gone() {
    let error = |status: u16, name: &str| answer(status, json!({"statusCode": status, "name": name}).to_string());
    for (status, name) in
        [(404, "not_found"), (403, "email_above_quota"), (422, "validation_error"), (400, "validation_error")]
    {
        let Fetched::Gone(why) = error(status, name) else { panic!("{status}") };
        assert_eq!(why, format!("{status} {name}"));
    }
    assert!(matches!(answer(404, ""), Fetched::Gone(_)));
}

#[test]
fn everything_else_may_come_right() {
    let error = |status: u16, name: &str| answer(status, json!({"statusCode": status, "name": name}).to_string());
    for (status, name) in [
        (500, "internal_server_error"),
        (503, ""),
        (429, "rate_limit_exceeded"),
        (429, "daily_quota_exceeded"),
        (401, "missing_api_key"),
        (403, "invalid_api_key"),
        (301, ""),
    ] {
        assert!(matches!(error(status, name), Fetched::Later(_)), "{status} {name}");
    }
    for body in ["", "<html>", "null", "[]", "\"x\"", "{]"] {
        assert!(matches!(answer(200, body), Fetched::Later(_)), "{body}");
    }
    assert!(matches!(answer(403, "error code: 1010"), Fetched::Later(_)));
}

#[test]
fn a_mail_whose_end_was_cut_off_for_its_size_is_gone() {
    let whole = mail().to_string();
    for end in [1, 20, whole.len() / 2, whole.len() - 1] {
        assert!(matches!(answer(200, whole[..end].to_owned()), Fetched::Gone(_)), "{end}");
    }
}

#[test]
fn json_as_deep_as_it_gets_is_refused_and_not_followed() {
    let deep = format!("{{\"headers\":{}", "[".repeat(1_000_000));
    assert!(matches!(answer(200, deep), Fetched::Later(_) | Fetched::Gone(_)));
}

proptest! {
    #[test]
    fn no_answer_upsets_the_reading(status in 100_u16..600, bytes: Vec<u8>, field in 0_usize..7, text in "\\PC{0,30}", number: i64) {
        let _ = answer(status, bytes);
        let name = ["from", "subject", "message_id", "text", "html", "attachments", "headers"][field];
        for odd in [json!(text), json!(number), json!([text, number, null]), json!({"a": text, "b": [number, {"c": null}]})] {
            let _ = with(name, odd);
        }
    }
}
