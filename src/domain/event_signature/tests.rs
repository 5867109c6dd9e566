//! The platforms' published examples, and what has to be refused.

use super::*;
use proptest::prelude::*;

/// Body of the example in Slack's documentation, whose signature begins with `v0=a2114d57`.
const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
    &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner\
    &command=%2Fwebhook-collect&text=\
    &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
    &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

/// Secret, timestamp, body, signature.
const SLACK: [(&str, &str, &str, &str); 2] = [
    (
        "8f742231b10e8888abcd99yyyzzz85a5",
        "1531420618",
        SLACK_BODY,
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    ),
    (
        "0123456789abcdef0123456789abcdef",
        "1700000000",
        r#"{"type":"url_verification","challenge":"abc"}"#,
        "v0=0af59a2093209bf5fd729275f78b68ca1fd0f5cde475f4e9b5b24207db57d1bb",
    ),
];

/// Secret, id, timestamp, body, signature: Svix's example, that of Standard Webhooks, and one of our own.
const SVIX: [(&str, &str, &str, &str, &str); 3] = [
    (
        "whsec_plJ3nmyCDGBKInavdOK15jsl",
        "msg_loFOjxBNrRLzqYUf",
        "1731705121",
        r#"{"event_type":"ping","data":{"success":true}}"#,
        "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
    ),
    (
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        "1649367553",
        r#"{"email":"test@example.com","username":"test_user"}"#,
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
    (
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "msg_1",
        "1700000000",
        r#"{"type":"email.received"}"#,
        "v1,hYcXrW3NwdtEXi1vSgQddO1xaJjFuyua29XgB4mxne4=",
    ),
];

const DISCORD_KEY: &str = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
const DISCORD_SIGNATURE: &str = "c1098e97d711377f30225d53d94b89d43537f92e5b3afaddc590781b1f9f9d4b\
    2eeab335d370be3b9a090bc61a85b86448bc140dcd195f1569c2bff181257607";
const DISCORD_BODY: &[u8] = br#"{"type":1}"#;

fn at(seconds: &str) -> Timestamp {
    Timestamp::from_millis(seconds.parse::<u64>().unwrap() * 1000)
}

fn slack(timestamp: &str, signature: &str, now: Timestamp) -> Result<(), SignatureError> {
    let (secret, _, body, _) = SLACK[1];
    verify_slack(&secret.into(), timestamp, signature, body.as_bytes(), now)
}

fn svix(secrets: &[&str], id: &str, timestamp: &str, signatures: &str) -> Result<(), SignatureError> {
    let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
    verify_svix(&secrets, id, timestamp, signatures, SVIX[2].3.as_bytes(), at(SVIX[2].2))
}

#[test]
fn slack_s_examples_hold_and_no_other_secret_or_body_does() {
    for (secret, timestamp, body, signature) in SLACK {
        let verify = |secret: &str, body: &str| {
            verify_slack(&secret.into(), timestamp, signature, body.as_bytes(), at(timestamp))
        };
        assert_eq!(verify(secret, body), Ok(()));
        assert_eq!(verify("another", body), Err(SignatureError::Wrong));
        assert_eq!(verify(secret, &format!("{body} ")), Err(SignatureError::Wrong));
        assert_eq!(verify("", body), Err(SignatureError::Secret(InvalidSecret::Empty)));
    }
}

#[test]
fn slack_s_time_may_be_off_by_five_minutes_either_way() {
    let (_, timestamp, _, signature) = SLACK[1];
    for (now, expected) in [
        ("1700000300", Ok(())),
        ("1700000301", Err(SignatureError::Stale)),
        ("1699999700", Ok(())),
        ("1699999699", Err(SignatureError::Stale)),
    ] {
        assert_eq!(slack(timestamp, signature, at(now)), expected, "{now}");
    }
}

#[test]
fn slack_s_headers_must_be_there_and_well_formed() {
    let (_, timestamp, _, signature) = SLACK[1];
    let now = at(timestamp);
    assert_eq!(slack("", signature, now), Err(SignatureError::Missing));
    assert_eq!(slack(timestamp, "", now), Err(SignatureError::Missing));
    for bad in ["v0=", "0af5", "v1=00", &signature[3..], &signature[..66], &format!("{signature}00"), "v0=é"] {
        assert_eq!(slack(timestamp, bad, now), Err(SignatureError::Malformed), "{bad}");
    }
    for bad in ["+1700000000", "-1", "1700000000.5", " 1700000000", "now", "99999999999999999999999"] {
        assert_eq!(slack(bad, signature, now), Err(SignatureError::Malformed), "{bad}");
    }
    assert_eq!(slack("18446744073709551615", signature, now), Err(SignatureError::Stale));
    assert_eq!(slack("01700000000", signature, now), Err(SignatureError::Wrong));
}

#[test]
fn the_examples_of_svix_and_standard_webhooks_hold() {
    for (secret, id, timestamp, body, signature) in SVIX {
        let verify = |id: &str, body: &str, now: Timestamp| {
            verify_svix(&[secret.into()], id, timestamp, signature, body.as_bytes(), now)
        };
        let now = at(timestamp);
        let later = |seconds: u64| Timestamp::from_millis(now.millis() + seconds * 1000);
        let earlier = |seconds: u64| Timestamp::from_millis(now.millis() - seconds * 1000);
        assert_eq!(verify(id, body, now), Ok(()));
        assert_eq!(verify(id, &body.replace('"', "'"), now), Err(SignatureError::Wrong));
        assert_eq!(verify("msg_other", body, now), Err(SignatureError::Wrong));
        assert_eq!((verify(id, body, later(300)), verify(id, body, earlier(300))), (Ok(()), Ok(())));
        assert_eq!(verify(id, body, later(301)), Err(SignatureError::Stale));
        assert_eq!(verify(id, body, earlier(301)), Err(SignatureError::Stale));
    }
}

#[test]
fn any_signature_of_version_one_under_any_key_will_do() {
    let (secret, id, timestamp, _, signature) = SVIX[2];
    let (other, bare) = (SVIX[0].0, secret.trim_start_matches("whsec_"));
    let wrong = SVIX[1].4;
    for secrets in [&[secret][..], &[secret, other], &[other, secret], &[bare], &[secret.trim_end_matches('=')]] {
        for signatures in [
            signature,
            &format!("{wrong} {signature}"),
            &format!("{signature} {wrong}"),
            &format!("v1a,AAAA v2,x v1,! v1, {signature}"),
        ] {
            assert_eq!(svix(secrets, id, timestamp, signatures), Ok(()), "{signatures}");
        }
        assert_eq!(svix(secrets, id, timestamp, wrong), Err(SignatureError::Wrong));
    }
    assert_eq!(svix(&[other], id, timestamp, signature), Err(SignatureError::Wrong));
}

#[test]
fn a_delivery_without_a_usable_header_is_refused() {
    let (secret, id, timestamp, _, signature) = SVIX[2];
    for (id, timestamp, signature) in [("", timestamp, signature), (id, "", signature), (id, timestamp, "")] {
        assert_eq!(svix(&[secret], id, timestamp, signature), Err(SignatureError::Missing));
    }
    let v1a = signature.replace("v1,", "v1a,");
    for bad in [" ", "v1", "v1,", "v1,AAAA", &v1a, &signature[3..], &signature.replace(',', "=")] {
        assert_eq!(svix(&[secret], id, timestamp, bad), Err(SignatureError::Malformed), "{bad}");
    }
    assert_eq!(svix(&[secret], "msg.1", timestamp, signature), Err(SignatureError::Malformed));
    assert_eq!(svix(&[secret], id, "soon", signature), Err(SignatureError::Malformed));
}

#[test]
fn a_secret_that_cannot_verify_is_a_mistake_of_the_configuration() {
    let (secret, id, timestamp, _, signature) = SVIX[2];
    for (bad, expected) in [
        ("", InvalidSecret::Empty),
        ("whsec_", InvalidSecret::Empty),
        ("whsec_not base64", InvalidSecret::Svix),
        ("whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", InvalidSecret::Svix),
    ] {
        assert_eq!(check_svix_secret(&bad.into()), Err(expected), "{bad}");
        assert_eq!(svix(&[secret, bad], id, timestamp, signature), Err(expected.into()), "{bad}");
    }
    assert_eq!(svix(&[], id, timestamp, signature), Err(InvalidSecret::Empty.into()));
    assert_eq!(check_svix_secret(&secret.into()), Ok(()));
}

#[test]
fn discord_s_example_holds_for_its_own_timestamp_and_body() {
    let verify = |timestamp, body| verify_discord(DISCORD_KEY, timestamp, DISCORD_SIGNATURE, body);
    assert_eq!(verify("1700000000", DISCORD_BODY), Ok(()));
    assert_eq!(verify("1700000001", DISCORD_BODY), Err(SignatureError::Wrong));
    assert_eq!(verify("1700000000", br#"{"type":2}"#), Err(SignatureError::Wrong));
    assert_eq!(verify("", DISCORD_BODY), Err(SignatureError::Missing));
    assert_eq!(check_discord_key(DISCORD_KEY), Ok(()));
}

#[test]
fn a_signature_for_discord_is_64_bytes_of_hex() {
    let verify = |signature: &str| verify_discord(DISCORD_KEY, "1700000000", signature, DISCORD_BODY);
    assert_eq!(verify(""), Err(SignatureError::Missing));
    for bad in ["00", "zz", &DISCORD_SIGNATURE[2..], &format!("{DISCORD_SIGNATURE}00"), &"g".repeat(128)] {
        assert_eq!(verify(bad), Err(SignatureError::Malformed), "{bad}");
    }
    for wrong in ["00".repeat(64), "ff".repeat(64), DISCORD_SIGNATURE.replace("c1", "c0")] {
        assert_eq!(verify(&wrong), Err(SignatureError::Wrong), "{wrong}");
    }
}

#[test]
fn a_key_for_discord_that_proves_nothing_is_a_mistake_of_the_configuration() {
    // The neutral element of the curve: a public key under which anyone can sign.
    let neutral = format!("01{}", "00".repeat(31));
    for bad in ["", "03a1", &DISCORD_KEY[2..], &format!("{DISCORD_KEY}00"), &"z".repeat(64), &neutral] {
        let verified = verify_discord(bad, "1700000000", DISCORD_SIGNATURE, DISCORD_BODY);
        assert_eq!(verified, Err(InvalidSecret::Ed25519.into()), "{bad}");
    }
    let another = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let verified = verify_discord(another, "1700000000", DISCORD_SIGNATURE, DISCORD_BODY);
    assert_eq!(verified, Err(SignatureError::Wrong));
}

#[test]
fn a_shared_secret_is_the_same_to_the_last_character() {
    let verify = |expected: &str, shown| verify_shared_secret(&expected.into(), shown);
    assert_eq!(verify("s3cret_Token-1", "s3cret_Token-1"), Ok(()));
    for wrong in ["s3cret_Token-2", "s3cret_Token-", "s3cret_Token-11", "S3CRET_TOKEN-1", " "] {
        assert_eq!(verify("s3cret_Token-1", wrong), Err(SignatureError::Wrong), "{wrong}");
    }
    assert_eq!(verify("s3cret_Token-1", ""), Err(SignatureError::Missing));
    assert_eq!(verify("", ""), Err(InvalidSecret::Empty.into()));
}

proptest! {
    #[test]
    fn one_changed_bit_of_the_body_is_noticed(byte in 0_usize..10, bit in 0_u32..8) {
        let mut body = DISCORD_BODY.to_vec();
        body[byte] ^= 1 << bit;
        let verified = verify_discord(DISCORD_KEY, "1700000000", DISCORD_SIGNATURE, &body);
        prop_assert_eq!(verified, Err(SignatureError::Wrong));
        let verified = verify_shared_secret(&"{\"type\":1}".into(), &String::from_utf8_lossy(&body));
        prop_assert_eq!(verified, Err(SignatureError::Wrong));
    }

    #[test]
    fn whatever_the_headers_say_it_ends_in_a_refusal(one in ".*", two in ".*", three in ".*", body: Vec<u8>) {
        let (secret, now) = (SecretString::from(SVIX[2].0), at("1700000000"));
        prop_assert!(verify_slack(&secret, &one, &two, &body, now).is_err());
        prop_assert!(verify_svix(&[secret], &one, &two, &three, &body, now).is_err());
        prop_assert!(verify_discord(DISCORD_KEY, &one, &two, &body).is_err());
        prop_assert!(verify_discord(&three, &one, DISCORD_SIGNATURE, &body).is_err());
    }
}
