//! Which events are believed, and what is said in a response.

use super::*;
use crate::channels::discord::testing::*;
use proptest::prelude::*;

/// The vector of a PING: timestamp `1700000000`, body `{"type":1}`.
const PING_SIGNATURE: &str = "c1098e97d711377f30225d53d94b89d43537f92e5b3afaddc590781b1f9f9d4b\
    2eeab335d370be3b9a090bc61a85b86448bc140dcd195f1569c2bff181257607";
const PING: &[u8] = br#"{"type":1}"#;

fn ping_headers(signature: &str) -> [(&str, &str); 2] {
    [("x-signature-ed25519", signature), ("x-signature-timestamp", "1700000000")]
}

#[test]
fn a_signed_ping_is_answered_with_a_pong() {
    let event = take(&ping_headers(PING_SIGNATURE), None, PING).unwrap();
    assert!(matches!(event, Event::Handshake(pong) if pong == json!({"type": 1})));
}

#[test]
fn a_wrong_signature_is_refused_even_with_the_secret_of_forwarded_events() {
    let wrong = PING_SIGNATURE.replacen('c', "d", 1);
    for secret in [None, Some(EVENTS_SECRET)] {
        assert_eq!(take(&ping_headers(&wrong), secret, PING).unwrap_err(), SignatureError::Wrong);
        assert_eq!(take(&ping_headers("xyz"), secret, PING).unwrap_err(), SignatureError::Malformed);
        assert_eq!(take(&ping_headers(""), secret, PING).unwrap_err(), SignatureError::Missing);
        for header in ping_headers(PING_SIGNATURE) {
            assert_eq!(take(&[header], secret, PING).unwrap_err(), SignatureError::Missing);
        }
        assert_eq!(take(&ping_headers(PING_SIGNATURE), secret, br#"{"type":2}"#).unwrap_err(), SignatureError::Wrong);
    }
}

#[test]
fn a_forwarded_event_needs_the_secret() {
    let body = message().to_string();
    assert!(take(&[], Some(EVENTS_SECRET), body.as_bytes()).is_ok());
    assert_eq!(take(&[], Some("other"), body.as_bytes()).unwrap_err(), SignatureError::Wrong);
    for missing in [None, Some("")] {
        assert_eq!(take(&[], missing, body.as_bytes()).unwrap_err(), SignatureError::Missing);
    }
}

#[test]
fn a_channel_without_a_secret_for_forwarded_events_takes_none() {
    let secrets = ConnectionSecrets { token: TOKEN.into(), events: "".into() };
    let header = |_: &str| None;
    let event = RawEvent { header: &header, secret: Some(""), body: PING };
    assert!(discord().verify(&connection(), &secrets, &event, now()).is_err());
}

#[test]
fn an_event_is_read_as_what_it_was_proved_to_be() {
    assert!(is_ignored(&forwarded(chat_command().to_string())));
    assert!(is_ignored(&forwarded(PING)));
    assert!(is_ignored(&signed(json!({"t": "MESSAGE_CREATE", "d": message()}).to_string())));
    assert!(!is_ignored(&forwarded(message().to_string())));
    assert!(!is_ignored(&signed(chat_command().to_string())));
}

#[test]
fn what_is_not_json_is_ignored() {
    let deep = "[".repeat(100_000);
    for body in ["", "hello", "{", "\u{feff}{}", deep.as_str(), "{}", "[]", "null", "7"] {
        assert!(is_ignored(&forwarded(body)), "{body:.20}");
        assert!(is_ignored(&signed(body)), "{body:.20}");
    }
}

#[test]
fn a_channel_of_another_platform_believes_nothing() {
    let other = Connection::Slack(crate::domain::connection::SlackApp {
        bot_user_id: "U1".into(),
        bot_id: None,
        bot_username: "helper".into(),
        team_id: "T1".into(),
        team_name: "Team".into(),
    });
    let header = |_: &str| None;
    let event = RawEvent { header: &header, secret: Some(EVENTS_SECRET), body: PING };
    assert!(discord().verify(&other, &secrets(), &event, now()).is_err());
    assert!(is_ignored(&discord().parse(&other, &secrets(), &event)));
}

#[test]
fn a_deferred_response_shows_that_the_bot_is_thinking() {
    assert_eq!(discord().response(Spoken::Deferred), json!({"type": 5}));
}

#[test]
fn a_private_response_is_seen_by_one_person_and_mentions_nobody() {
    assert_eq!(
        discord().response(Spoken::Privately("@everyone hi")),
        json!({
            "type": 4, "data": {"content": "@everyone hi", "flags": 64, "allowed_mentions": {"parse": []}},
        })
    );
    let long = discord().response(Spoken::Privately(&"🦀".repeat(1500)));
    assert_eq!(long["data"]["content"].as_str().unwrap().encode_utf16().count(), 2000);
}

#[test]
fn how_to_pair_names_the_command() {
    for is_group in [true, false] {
        assert!(discord().how_to_pair(&connection(), is_group).contains("/pair"));
    }
}

proptest! {
    #[test]
    fn any_json_is_read_or_ignored(is_signed: bool, body in any_json()) {
        let _ = parsed(is_signed, body.to_string().as_bytes());
    }

    #[test]
    fn one_odd_member_breaks_nothing(is_signed: bool, which: usize, odd in any_json()) {
        let whole = if is_signed { chat_command() } else { message() };
        let _ = parsed(is_signed, with_odd_member(whole, which, odd).to_string().as_bytes());
    }

    #[test]
    fn any_bytes_under_any_headers_are_refused_or_read(signature in ".{0,140}", timestamp in ".{0,12}", body: Vec<u8>) {
        let headers = [("x-signature-ed25519", signature.as_str()), ("x-signature-timestamp", timestamp.as_str())];
        prop_assert!(take(&headers, Some(EVENTS_SECRET), &body).is_err());
        let _ = forwarded(body);
    }
}
