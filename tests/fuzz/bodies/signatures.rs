//! What proves who sent a request: keys, signatures and their headers. Five parts: timestamp, signature, id or nonce,
//! path, body; the body is read as a JWK too.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chaos_relay::domain::digest::Digest;
use chaos_relay::domain::event_signature::{
    check_discord_key, check_svix_secret, verify_discord, verify_shared_secret, verify_slack, verify_svix,
};
use chaos_relay::domain::ids::{MessageId, UserId};
use chaos_relay::domain::pairing::{Manner, PairingCode, recognise};
use chaos_relay::domain::public_key::{KeyPair, PublicKey};
use chaos_relay::domain::sealing::{KeyRing, Owner, key_id};
use chaos_relay::domain::signing::{Nonce, is_fresh, is_signed_by, signed_text};
use chaos_relay::domain::timestamp::Timestamp;
use ed25519_dalek::{Signer as _, SigningKey};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

/// The time at which everything is signed, in Unix seconds.
const NOW_S: u64 = 1_768_473_000;
const SLACK_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const SVIX_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

static PAIR: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::from_bytes(&[7; 32]).expect("it is a scalar of the curve"));
static RING: LazyLock<KeyRing> = LazyLock::new(|| "07".repeat(32).parse().expect("it is a key"));

pub fn check(input: &[u8]) {
    let [timestamp, signature, id, path, body] = super::parts(input);
    let [timestamp, signature, id, path] = [timestamp, signature, id, path].map(super::text);
    check_events(&timestamp, &signature, &id, body);
    check_requests(&timestamp, &signature, &id, &path, body);
    check_keys(body, &signature);
    check_sealed(&signature, &id, body);
    if let Some(request) = recognise(&super::text(body), Manner { bare_word: true, bot: Some("relay") }) {
        assert!(!format!("{request:?}").contains(id.as_ref()) || id.len() < 8 || PairingCode::parse(&id).is_none());
    }
    for text in [&timestamp, &signature, &id] {
        assert!(text.parse::<UserId>().is_err() || Digest::of(text.as_bytes()).to_hex() != **text);
        let again = text.parse::<MessageId>().map(|id| id.to_string().parse::<MessageId>());
        assert!(again.is_err() || again.is_ok_and(|again| again.is_ok()));
    }
}

/// Nobody signs an event without the secret, and whoever has it can.
fn check_events(timestamp: &str, signature: &str, id: &str, body: &[u8]) {
    let now = Timestamp::from_millis(NOW_S * 1000);
    let (slack, svix): (SecretString, [SecretString; 1]) = (SLACK_SECRET.into(), [SVIX_SECRET.into()]);
    let at = NOW_S.to_string();
    let tag = Digest::keyed(SLACK_SECRET.as_bytes(), &[b"v0:", at.as_bytes(), b":", body]);
    let right = format!("v0={}", tag.to_hex());
    assert_eq!(verify_slack(&slack, &at, &right, body, now), Ok(()));
    assert!(signature == right || verify_slack(&slack, timestamp, signature, body, now).is_err());
    assert!(verify_slack(&slack, &at, &right, &changed(body), now).is_err());

    let key = STANDARD.decode(&SVIX_SECRET["whsec_".len()..]).expect("it is base64");
    let tag = Digest::keyed(&key, &[b"msg_1.", at.as_bytes(), b".", body]);
    let right = format!("v1,{}", STANDARD.encode(tag.as_bytes()));
    assert_eq!(verify_svix(&svix, "msg_1", &at, &format!("v1a,x {right}"), body, now), Ok(()));
    assert!(verify_svix(&svix, "msg_1", &at, &right, &changed(body), now).is_err());
    assert!(verify_svix(&svix, id, timestamp, signature, body, now).is_err());

    let pair = SigningKey::from_bytes(&[7; 32]);
    let key = hex::encode(pair.verifying_key().to_bytes());
    assert!(check_discord_key(&key).is_ok());
    let signed = [timestamp.as_bytes(), body].concat();
    let right = hex::encode(pair.sign(&signed).to_bytes());
    assert_eq!(verify_discord(&key, timestamp, &right, body).is_ok(), !timestamp.is_empty());
    assert!(verify_discord(&key, timestamp, &right, &changed(body)).is_err());
    assert!(verify_discord(&key, timestamp, signature, body).is_err() || signature.eq_ignore_ascii_case(&right));
    // A key that somebody else chose verifies what it may; it must not fit whatever there is.
    if verify_discord(id, timestamp, signature, body).is_ok() {
        assert!(verify_discord(id, timestamp, signature, &changed(body)).is_err());
    }
    assert!(verify_shared_secret(&slack, signature).is_err() || signature == SLACK_SECRET);
    let _ = check_svix_secret(&signature.into());
}

/// Nobody signs a request without the key, and whoever has it can.
fn check_requests(timestamp: &str, signature: &str, nonce: &str, path: &str, body: &[u8]) {
    let text = signed_text(timestamp, nonce, path, body);
    let right = STANDARD.encode(PAIR.sign(text.as_bytes()));
    assert!(is_signed_by(&PAIR.public(), &text, &right));
    assert!(!is_signed_by(&PAIR.public(), &signed_text(timestamp, nonce, path, &changed(body)), &right));
    assert!(!is_signed_by(&PAIR.public(), &text, signature));
    if let Some(nonce) = Nonce::parse(nonce) {
        assert!((1..=128).contains(&nonce.as_str().len()) && nonce.as_str().bytes().all(|b| b.is_ascii_graphic()));
    }
    if let Some(at) = Timestamp::parse(timestamp) {
        assert!(is_fresh(at, at));
        assert!(!is_fresh(at, Timestamp::from_millis(at.millis() + 300_001)) || at.millis() > 253_402_300_000_000);
    }
}

/// A key that is taken is one, whatever its JWK looks like, and its own when it was stored.
fn check_keys(jwk: &[u8], stored: &str) {
    if let Ok(key) = serde_json::from_slice::<Value>(jwk).map_err(drop).and_then(|jwk| {
        let key = PublicKey::from_jwk(&jwk).map_err(|refusal| assert!(!refusal.to_string().is_empty()))?;
        assert!(jwk.get("d").is_none(), "a private key is taken");
        Ok(key)
    }) {
        check_key(&key);
    }
    if let Some(key) = PublicKey::from_stored(stored) {
        check_key(&key);
    }
}

fn check_key(key: &PublicKey) {
    let jwk = serde_json::to_value(key.to_jwk()).expect("a JWK is JSON");
    let again = PublicKey::from_jwk(&jwk).expect("what was written is read");
    assert_eq!(&again, key);
    assert_eq!(again.thumbprint(), key.thumbprint());
    assert_eq!(UserId::of_key(&again.thumbprint()), UserId::of_key(&key.thumbprint()));
    assert_eq!(PublicKey::from_stored(&key.to_stored()).as_ref(), Some(key));
    assert!(!is_signed_by(key, "text", &STANDARD.encode([0_u8; 64])));
}

/// What was not sealed here does not open, and what was does so for its owner.
fn check_sealed(sealed: &str, owner: &str, secret: &[u8]) {
    assert!(RING.unseal(Owner::Deployment, sealed).is_err());
    let _ = key_id(sealed);
    let _ = sealed.parse::<KeyRing>();
    let secret = super::text(secret);
    let ours = RING.seal(Owner::ApiKey(owner), &SecretString::from(secret.as_ref()));
    let opened = RING.unseal(Owner::ApiKey(owner), &ours).expect("its owner opens it");
    assert_eq!(opened.expose_secret(), secret);
    assert!(RING.unseal(Owner::Deployment, &ours).is_err());
    assert_eq!(key_id(&ours), Some(RING.ids().0));
}

/// The same with one bit more or less.
fn changed(body: &[u8]) -> Vec<u8> {
    let mut other = body.to_vec();
    match other.last_mut() {
        Some(last) => *last ^= 1,
        None => other.push(0),
    }
    other
}
