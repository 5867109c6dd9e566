//! Slack's own shapes of JSON, and others.

mod events;
mod sending;

use secrecy::ExposeSecret as _;

use super::*;
use crate::channels::adapter::Inbound;
use crate::domain::pairing::Request;

const TOKEN: &str = "xoxb-12-s3cret";

fn slack() -> Slack {
    Slack::new("https://slack.example/api/")
}

fn connection() -> Connection {
    Connection::Slack(SlackApp {
        bot_user_id: "UBOT".to_owned(),
        bot_id: Some("B1".to_owned()),
        bot_username: "helper".to_owned(),
        team_id: "T1".to_owned(),
        team_name: "Team".to_owned(),
    })
}

fn secrets(events: &str) -> ConnectionSecrets {
    ConnectionSecrets { token: TOKEN.into(), events: events.into() }
}

fn parse(body: &[u8]) -> Event {
    let event = RawEvent { header: &|_| None, secret: None, body };
    slack().parse(&connection(), &secrets("x"), &event)
}

fn answer(status: u16, body: &Value) -> ApiAnswer {
    let headers = if status == 429 { vec![("retry-after".to_owned(), "30".to_owned())] } else { Vec::new() };
    ApiAnswer { status, headers, body: body.to_string().into() }
}

/// An answer that is not JSON.
fn page(status: u16) -> ApiAnswer {
    ApiAnswer { status, headers: Vec::new(), body: "<html>".into() }
}

fn identity() -> Value {
    json!({
        "ok": true, "url": "https://team.slack.com/", "team": "Team", "user": "helper", "team_id": "T1",
        "user_id": "UBOT", "bot_id": "B1", "is_enterprise_install": false,
    })
}

fn bearer(call: &ApiCall) -> Vec<(&str, &str)> {
    call.headers.iter().map(|(name, value)| (*name, value.expose_secret())).collect()
}

#[test]
fn tokens_and_signing_secrets_have_their_form() {
    let longest = format!("xox{}", "a".repeat(197));
    for token in ["xoxb-1-2-abc", "xoxe.xoxb-1-abc", "xoxp-1", longest.as_str()] {
        assert!(is_token(token), "{token}");
    }
    for token in ["", "Bearer xoxb-1", "xapp-1", "xoxb-1 ", "xoxb-\n1", "xoxb-é", &format!("{longest}a")] {
        assert!(!is_token(token), "{token}");
    }
    for secret in ["8f742231b10e8888abcd99yyyzzz85a5", "12345678", &"a".repeat(128)] {
        assert!(is_signing_secret(secret), "{secret}");
    }
    for secret in ["", "1234567", "1234 5678", "12345678\n", "ééééé", &"a".repeat(129)] {
        assert!(!is_signing_secret(secret), "{secret}");
    }
}

#[test]
fn the_token_is_tried_by_auth_test() {
    let call = slack().auth_test(&TOKEN.into());
    assert_eq!(call.url.expose_secret(), "https://slack.example/api/auth.test");
    assert_eq!((call.method, call.platform, call.body.is_none()), (Method::Post, ChannelKind::Slack, true));
    assert_eq!(bearer(&call), [("Authorization", "Bearer xoxb-12-s3cret")]);
    assert!(!format!("{call:?}").contains("s3cret"));
}

#[test]
fn the_app_is_read_from_auth_test() {
    let read = |body: &Value| slack().read_identity(&answer(200, body)).map(Connection::Slack);
    assert_eq!(read(&identity()), Ok(connection()));

    let mut without = identity();
    for member in ["bot_id", "user", "team", "team_id"] {
        without.as_object_mut().unwrap().remove(member);
    }
    without["enterprise_id"] = "E1".into();
    let expected = SlackApp {
        bot_user_id: "UBOT".to_owned(),
        bot_id: None,
        bot_username: "UBOT".to_owned(),
        team_id: "E1".to_owned(),
        team_name: "E1".to_owned(),
    };
    assert_eq!(read(&without), Ok(Connection::Slack(expected)));

    let mut odd = identity();
    odd["user"] = format!("a\nb\u{202e}{}", "c".repeat(300)).into();
    let Ok(Connection::Slack(app)) = read(&odd) else { panic!("not read") };
    assert_eq!((app.bot_username.chars().count(), &app.bot_username[..3]), (200, "a b"));
}

#[test]
fn a_token_is_refused_for_good_or_tried_later() {
    let read = |answer: &ApiAnswer| slack().read_identity(answer).unwrap_err();
    for (error, reason) in [("invalid_auth", "invalid_auth"), ("token_\nrevoked", "token_ revoked")] {
        let refused = RegistrationError::Refused(format!("Slack refused the token: {reason}"));
        assert_eq!(read(&answer(200, &json!({"ok": false, "error": error}))), refused);
    }
    let mut nobody = identity();
    nobody["user_id"] = Value::Null;
    let failed = |error: &str| json!({"ok": false, "error": error});
    for later in [
        answer(429, &failed("ratelimited")),
        answer(200, &failed("ratelimited")),
        answer(200, &failed("internal_error")),
        answer(503, &failed("invalid_auth")),
        answer(200, &json!({"ok": false})),
        answer(200, &json!(["ok"])),
        answer(200, &nobody),
        page(200),
        page(404),
        page(502),
    ] {
        assert!(matches!(read(&later), RegistrationError::Unavailable(_)), "{later:?}");
    }
}

#[test]
fn an_event_is_believed_by_its_signature() {
    let official = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
        &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner\
        &command=%2Fwebhook-collect&text=\
        &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let own = r#"{"type":"url_verification","challenge":"abc"}"#;
    for (secret, timestamp, body, signature) in [
        (
            "8f742231b10e8888abcd99yyyzzz85a5",
            1_531_420_618,
            official,
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        ),
        (
            "0123456789abcdef0123456789abcdef",
            1_700_000_000,
            own,
            "v0=0af59a2093209bf5fd729275f78b68ca1fd0f5cde475f4e9b5b24207db57d1bb",
        ),
    ] {
        let at = u64::to_string(&timestamp);
        let verify = |secret: &str, body: &str, seconds: u64| {
            let header = |name: &str| match name {
                "x-slack-request-timestamp" => Some(at.as_str()),
                "x-slack-signature" => Some(signature),
                _ => None,
            };
            let event = RawEvent { header: &header, secret: Some("ignored"), body: body.as_bytes() };
            slack().verify(&connection(), &secrets(secret), &event, Timestamp::from_millis(seconds * 1000))
        };
        assert_eq!(verify(secret, body, timestamp), Ok(()));
        assert_eq!(verify(secret, body, timestamp + 301), Err(SignatureError::Stale));
        assert_eq!(verify(secret, &format!("{body} "), timestamp), Err(SignatureError::Wrong));
        assert_eq!(verify("another-secret", body, timestamp), Err(SignatureError::Wrong));
        let bare = RawEvent { header: &|_| None, secret: Some(secret), body: body.as_bytes() };
        let now = Timestamp::from_millis(timestamp * 1000);
        assert_eq!(slack().verify(&connection(), &secrets(secret), &bare, now), Err(SignatureError::Missing));
    }
}

#[test]
fn a_stranger_is_told_how_to_pair_here() {
    let tell = |is_group| slack().how_to_pair(&connection(), is_group);
    assert!(tell(false).contains("`pair <code>`") && !tell(false).contains("@helper"));
    assert!(tell(true).contains("`@helper pair <code>`"));
    assert_eq!(slack().response(Spoken::Deferred), json!({}));
    assert!(slack().typing(&connection(), &secrets("x"), &ConversationKey::new("D1", None)).is_none());
}

/// The message of an event that has one.
fn heard(body: &Value) -> Inbound {
    match parse(body.to_string().as_bytes()) {
        Event::Said(inbound) => *inbound,
        other => panic!("{other:?} for {body}"),
    }
}

/// Why an event is ignored.
fn ignored(body: &Value) -> &'static str {
    match parse(body.to_string().as_bytes()) {
        Event::Ignored(why) => why,
        other => panic!("{other:?} for {body}"),
    }
}

/// `-` for no request to pair, `?` for a question how, the code or `wrong` for a try.
fn pairing(inbound: &Inbound) -> &str {
    match &inbound.pairing {
        None => "-",
        Some(Request::AskedHow) => "?",
        Some(Request::Attempt(attempt)) => attempt.code.as_ref().map_or("wrong", |code| code.as_str()),
    }
}
