//! Nothing is believed that is not signed by Discord, whatever else it has.

use std::time::Duration;

use serde_json::json;

use super::{Scene, assert_deferred};
use crate::support::client::expect;
use crate::support::platforms::delivery::{self, Attempt};
use crate::support::platforms::unix_seconds;

const SIGNATURE: &str = "X-Signature-Ed25519";
const TIMESTAMP: &str = "X-Signature-Timestamp";
const PING: &str = r#"{"type":1}"#;

async fn post(url: &str, headers: &[(&str, &str)], body: &str) -> Attempt {
    delivery::post(&delivery::client(), url, headers, body, Duration::from_secs(3)).await
}

#[track_caller]
fn assert_refused(attempt: &Attempt, what: &str) {
    assert_eq!(
        (attempt.status, &attempt.json()["code"]),
        (Some(401), &json!("invalid_signature")),
        "{what}: {attempt:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_discord_did_not_sign_is_refused_with_401() {
    let scene = Scene::set().await;
    let stranger = scene.discord().application("other");
    let mut socket = scene.socket().await;
    let command = scene.app.command(&scene.ana, &scene.room, "chat", &[("message", "let me in")]);
    let now = unix_seconds().to_string();
    for body in [PING.to_owned(), command.to_string()] {
        let good = scene.app.signature(&now, &body);
        let strangers = stranger.signature(&now, &body);
        let of_another_body = scene.app.signature(&now, &format!("{body} "));
        let of_another_time = scene.app.signature(&(unix_seconds() + 1).to_string(), &body);
        let without_time = scene.app.signature("", &body);
        let last = if good.ends_with('0') { "1" } else { "0" };
        let changed = format!("{}{last}", &good[..127]);
        let mut bad: Vec<(String, Vec<(&str, String)>)> = vec![
            ("neither header".into(), vec![]),
            ("no signature".into(), vec![(TIMESTAMP, now.clone())]),
            ("no timestamp".into(), vec![(SIGNATURE, good.clone())]),
            ("no timestamp, signed so".into(), vec![(SIGNATURE, without_time.clone())]),
            ("an empty timestamp".into(), vec![(SIGNATURE, without_time), (TIMESTAMP, String::new())]),
            ("both empty".into(), vec![(SIGNATURE, String::new()), (TIMESTAMP, String::new())]),
        ];
        for (what, signature) in [
            ("another's key", strangers),
            ("another body", of_another_body),
            ("another time", of_another_time),
            ("a digit changed", changed),
            ("empty", String::new()),
            ("one digit", good[..1].to_owned()),
            ("an odd number of digits", good[..127].to_owned()),
            ("a byte too short", good[..126].to_owned()),
            ("a digit too long", format!("{good}0")),
            ("a byte too long", format!("{good}00")),
            ("twice", good.repeat(2)),
            ("4000 digits", "a".repeat(4000)),
            ("no digits", "z".repeat(128)),
            ("zeros", "0".repeat(128)),
            ("with a prefix", format!("0x{}", &good[..126])),
            ("not ASCII", "é".repeat(64)),
        ] {
            bad.push((what.to_owned(), vec![(SIGNATURE, signature), (TIMESTAMP, now.clone())]));
        }
        // The secret of forwarded events opens nothing for what claims to be Discord's own.
        let with_secret = scene.events_url().await;
        for (what, headers) in &bad {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_refused(&post(&scene.url_at(&scene.a), &headers, &body).await, what);
            if !headers.is_empty() {
                assert_refused(&post(&with_secret, &headers, &body).await, what);
            }
        }
        let right = [(SIGNATURE, good.as_str()), (TIMESTAMP, now.as_str())];
        assert_refused(&post(&scene.url_at(&scene.b), &right, &format!("{body} ")).await, "tampered with");
        assert_eq!(post(&scene.url_at(&scene.b), &right, &body).await.status, Some(200));
    }
    assert_eq!(socket.content().await, "let me in", "the one that was signed");
    socket.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_can_be_neither_signed_nor_known_by_their_secret() {
    let scene = Scene::set().await;
    let http = delivery::client();
    let (name, now) = (reqwest::header::HeaderName::from_static("x-signature-ed25519"), unix_seconds().to_string());
    let value = reqwest::header::HeaderValue::from_bytes(&[0xff; 128]).unwrap();
    let request = http.post(scene.url_at(&scene.a)).header(name, value).header(TIMESTAMP, now).body(PING);
    assert_eq!(request.send().await.unwrap().status(), 401);
    let body = vec![0xff, 0xfe, 0x00];
    let unsigned = http.post(scene.url_at(&scene.a)).body(body.clone()).send().await.unwrap();
    assert_eq!(unsigned.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_is_answered_until_its_channel_is_deleted() {
    let scene = Scene::with(|setup| setup.with("CHAOS_RATE_WEBHOOK", "1/1m")).await;
    let urls = [scene.url_at(&scene.a), scene.url_at(&scene.b)];
    let full = json!({"type": 1, "id": "1", "application_id": scene.app.id, "token": "x", "version": 1, "user": null});
    scene.patch(json!({"enabled": false})).await;
    for body in [PING, &full.to_string(), PING] {
        for url in &urls {
            // Neither the limit nor a channel that is switched off matters to Discord's trials.
            let attempt = scene.app.post(url, body).await;
            assert_eq!((attempt.status, attempt.json()), (Some(200), json!({"type": 1})));
            assert!(attempt.header("content-type").unwrap().starts_with("application/json"));
        }
    }
    let path = format!("/channels/{}", scene.channel.id);
    let deleted = scene.client.send(&scene.a, reqwest::Method::DELETE, &path, &json!({})).await;
    expect(deleted, 200).await;
    for url in &urls {
        let attempt = scene.app.post(url, PING).await;
        assert_eq!((attempt.status, &attempt.json()["code"]), (Some(404), &json!("unknown_channel")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_another_kind_of_channel_takes_nothing_of_discord() {
    let scene = Scene::set().await;
    let webhook = scene.client.make_webhook(&scene.a, json!({})).await;
    for (path, status, code) in [
        (format!("/discord/{}", webhook.id), 400, "wrong_channel_type"),
        (format!("/slack/{}", scene.channel.id), 400, "wrong_channel_type"),
        (format!("/telegram/{}", scene.channel.id), 400, "wrong_channel_type"),
        ("/discord/nobody-has-this-one".to_owned(), 404, "unknown_channel"),
        ("/discord/..%2f".to_owned(), 404, "unknown_channel"),
    ] {
        let attempt = scene.app.post(&format!("{}{path}", scene.b.url()), PING).await;
        assert_eq!((attempt.status, &attempt.json()["code"]), (Some(status), &json!(code)), "{path}");
    }
    let (asked, _) = scene.asks(&scene.ana, &scene.room, "still fine").await;
    assert_deferred(&asked);
}
