use super::*;
use crate::channels::api::Method;
use secrecy::ExposeSecret as _;
use serde_json::Value;

const LINK: &str = "https://relay.example/email/verify?token=s3cret&x=1";

fn email() -> Email {
    Email::new("https://api.resend.com", "re_key".into(), "in.example.net")
}

fn mail(link: &str, label: &str) -> (ApiCall, Value) {
    let to = EmailAddress::parse_bare("Ana@Example.com").unwrap();
    let call = email().verification_mail(&to, "support-1@in.example.org", link, label);
    let body = serde_json::from_slice(call.body.as_ref().unwrap()).unwrap();
    (call, body)
}

fn key(call: &ApiCall) -> String {
    call.headers.iter().find(|(name, _)| *name == "Idempotency-Key").unwrap().1.expose_secret().to_owned()
}

#[test]
fn the_mail_carries_the_link_to_the_person_who_is_asked() {
    let (call, body) = mail(LINK, "Support");
    assert_eq!((call.method, call.url.expose_secret()), (Method::Post, "https://api.resend.com/emails"));
    assert_eq!(body["from"], "CHAOS relay <no-reply@in.example.org>");
    assert_eq!(body["to"], json!(["Ana@example.com"]));
    assert_eq!(body["headers"], json!({"Auto-Submitted": "auto-generated"}));
    let (text, html) = (body["text"].as_str().unwrap(), body["html"].as_str().unwrap());
    assert!(
        text.contains(&format!("\n{LINK}\n"))
            && text.contains("\"Support\"")
            && text.contains("support-1@in.example.org")
    );
    assert!(html.contains("href=\"https://relay.example/email/verify?token=s3cret&amp;x=1\""));
    assert!(!format!("{call:?}").contains("s3cret"));
}

#[test]
fn a_link_is_mailed_once_and_another_link_again() {
    let key_of = |link| key(&mail(link, "Support").0);
    assert_eq!(key_of(LINK), key_of(LINK));
    assert_ne!(key_of(LINK), key_of("https://relay.example/email/verify?token=other"));
    assert!(!key_of(LINK).contains("s3cret") && key_of(LINK).len() <= 256);
}

#[test]
fn a_channels_name_can_neither_hold_a_link_nor_markup() {
    for (label, shown) in [
        ("Support", "Support"),
        ("Win! https://evil.example/x?y now", "Win https evil example x y now"),
        ("www.evil.example", "www evil example"),
        ("<b>x</b>\"&amp;", "b x b &amp"),
        ("a\r\nBcc: b@c.example", "a Bcc b c example"),
        ("日本 Ünï", "日本 Ünï"),
    ] {
        let (_, body) = mail(LINK, label);
        assert!(body["text"].as_str().unwrap().contains(&format!("the channel \"{shown}\" of")), "{label}: {body}");
        let html = format!("the channel &quot;{}&quot; of", escape(shown));
        assert!(body["html"].as_str().unwrap().contains(&html), "{label}: {body}");
    }
    assert!(!mail(LINK, &"x".repeat(200)).1["text"].as_str().unwrap().contains(&"x".repeat(65)));
}

#[test]
fn whether_the_mail_was_taken_is_told_apart_from_later_and_never() {
    let answer = |status: u16, body: &Value| {
        email().read_sent(&ApiAnswer { status, headers: Vec::new(), body: body.to_string().into() })
    };
    let read = |status: u16, name: &str| answer(status, &json!({"statusCode": status, "name": name, "message": "m"}));
    assert_eq!(answer(200, &json!({"id": "49a3"})), Ok(()));
    assert!(matches!(answer(200, &json!({})), Err(RegistrationError::Unavailable(_))));
    for (status, name) in [(429, "rate_limit_exceeded"), (429, "daily_quota_exceeded"), (500, "internal_server_error")]
    {
        assert!(matches!(read(status, name), Err(RegistrationError::Unavailable(_))), "{status} {name}");
    }
    for (status, name) in [(403, "validation_error"), (401, "missing_api_key"), (422, "invalid_parameter")] {
        let reason = format!("Resend answered {status} {name}: m");
        assert_eq!(read(status, name), Err(RegistrationError::Refused(reason)));
    }
}
