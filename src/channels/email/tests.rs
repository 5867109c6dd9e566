use super::*;
use secrecy::ExposeSecret as _;
use serde_json::json;

fn email() -> Email {
    Email::new("http://127.0.0.1:9/", "re_s3cret".into(), "In.Example.NET")
}

fn sender() -> EmailAddress {
    EmailAddress::parse("ana@example.com").unwrap()
}

fn judge(from: Value, headers: &Value) -> Option<&'static str> {
    let body = json!({"from": from, "text": "x", "headers": headers}).to_string();
    match email().read_fetched(&ApiAnswer { status: 200, headers: Vec::new(), body: body.into() }) {
        Fetched::Mail(mail) => email().judge_mail(&sender(), &mail),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_mail_is_fetched_by_its_id_with_the_operators_key() {
    let call = email().fetch("56761188-7520-42d8-8898-ff6fc54ce618");
    assert_eq!(call.method, Method::Get);
    assert_eq!(
        call.url.expose_secret(),
        "http://127.0.0.1:9/emails/receiving/56761188-7520-42d8-8898-ff6fc54ce618?html_format=cid"
    );
    let headers: Vec<(&str, &str)> = call.headers.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
    assert_eq!(headers, [("Authorization", "Bearer re_s3cret"), ("User-Agent", USER_AGENT)]);
    assert!(call.body.is_none());
    assert!(!format!("{call:?} {:?}", email()).contains("s3cret"));
}

#[test]
fn why_a_mail_cannot_be_fetched_never_has_the_key() {
    for status in [401, 404, 500] {
        let body = json!({"name": format!("{} re_s3cret", "x".repeat(290)), "message": "re_s3cret"}).to_string();
        match email().read_fetched(&ApiAnswer { status, headers: Vec::new(), body: body.into() }) {
            Fetched::Gone(why) | Fetched::Later(why) => {
                assert!(why.starts_with(&format!("{status} xxx")) && why.chars().count() <= 300, "{why}");
                assert!(!why.contains("re_s"), "{why}");
            }
            mail => panic!("{mail:?}"),
        }
    }
}

#[test]
fn a_notice_is_judged_by_who_it_is_from() {
    let judge = |from: &str| {
        let event = json!({"type": "email.received", "data": {"email_id": "m", "from": from}}).to_string();
        match email().read_notice(event.as_bytes()) {
            Notice::Received(notice) => email().judge_notice(&notice),
            Notice::Other => panic!("{from}"),
        }
    };
    assert_eq!(judge("Ana <ana@example.com>"), None);
    for from in ["", "ana@example.com, bob@example.com", "MAILER-DAEMON@example.com", "Other <other-1@in.example.net>"]
    {
        assert!(judge(from).is_some(), "{from}");
    }
}

#[test]
fn a_mail_by_a_person_is_wanted() {
    let headers = json!({"From": "Ana <Ana@Example.com>", "auto-submitted": "no",
                         "authentication-results": "amazonses.com; dmarc=pass header.from=example.com"});
    assert_eq!(judge(json!("Ana Example <ana@example.com>"), &headers), None);
    assert_eq!(judge(json!(null), &json!(null)), None);
    assert_eq!(judge(json!("Ana"), &json!({"from": "=?utf-8?q?broken"})), None);
}

#[test]
fn a_mail_by_a_machine_or_under_a_false_name_is_not() {
    let from = || json!("ana@example.com");
    assert_eq!(judge(from(), &json!({"auto-submitted": "auto-replied"})), Some("it was submitted automatically"));
    let forged = json!({"authentication-results": "amazonses.com; dmarc=fail header.from=example.com"});
    assert_eq!(judge(from(), &forged), Some("its sender is forged (DMARC)"));
    for (named, headers) in [
        (json!("eve@evil.example"), json!({})),
        (json!("ana@example.com, eve@evil.example"), json!({})),
        (from(), json!({"from": "eve@evil.example"})),
        (from(), json!({"From": ["ana@example.com", "eve@evil.example"]})),
        (from(), json!({"From": ["ana@example.com", "ana@example.com"]})),
        (from(), json!({"From": "ana@example.com", "from": "ana@example.com"})),
        (from(), json!({"from": "friends: ana@example.com;"})),
    ] {
        assert_eq!(judge(named, &headers), Some("its header names another sender"), "{headers}");
    }
}
