//! What a signed request proves: the string that is signed, its verification, and the nonce.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use super::digest::Digest;
use super::public_key::PublicKey;
use super::timestamp::Timestamp;

/// How far a request's timestamp may be from the relay's clock, either way, in milliseconds.
pub const FRESHNESS_MS: u64 = 5 * 60 * 1000;

/// How long a nonce is remembered, in milliseconds. A timestamp from the future edge stays fresh for
/// twice [`FRESHNESS_MS`]; the rest allows for replicas whose clocks disagree.
pub const NONCE_LIFE_MS: u64 = 20 * 60 * 1000;

/// Length of a raw `r‖s` signature in bytes.
const SIGNATURE_LEN: usize = 64;
/// Longest nonce, in characters. Part of the wire contract.
const MAX_NONCE_LEN: usize = 128;

/// A value that one session uses once: 1–128 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nonce(String);

impl Nonce {
    /// Reads a nonce; `None` when it is empty, too long or has other than visible characters.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=MAX_NONCE_LEN).contains(&text.len());
        (fits && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    /// The nonce as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The string a client signs: `<timestamp>|<nonce>|<path>|<bodyHash>`.
///
/// `timestamp` is the header as sent, `path` the URL path as sent, without the query.
pub fn signed_text(timestamp: &str, nonce: &str, path: &str, body: &[u8]) -> String {
    let body_hash = Digest::of(body).to_hex();
    [timestamp, nonce, path, &body_hash].join("|")
}

/// Whether `signature` (standard base64 of the raw `r‖s`) is `key`'s over `text`.
///
/// Either of the two values of `s` is valid, since WebCrypto makes no difference between them. ring
/// verifies here because it takes a quarter of the time that p256 does, on the path of every request.
pub fn is_signed_by(key: &PublicKey, text: &str, signature: &str) -> bool {
    STANDARD.decode(signature).ok().filter(|raw| raw.len() == SIGNATURE_LEN).is_some_and(|raw| {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.as_sec1()).verify(text.as_bytes(), &raw).is_ok()
    })
}

/// Whether a request made at `at` is fresh at `now`.
pub fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    at.distance(now) <= FRESHNESS_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::public_key::KeyPair;

    #[test]
    fn a_signature_holds_for_its_own_text_and_key_only() {
        let pair = KeyPair::generate();
        let text = signed_text("2026-01-15T10:30:00.123Z", "n", "/messages", b"");
        assert!(text.ends_with("|/messages|e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
        let signature = STANDARD.encode(pair.sign(text.as_bytes()));
        assert!(is_signed_by(&pair.public(), &text, &signature));
        assert!(!is_signed_by(&pair.public(), &text.replace("messages", "reply"), &signature));
        assert!(!is_signed_by(&KeyPair::generate().public(), &text, &signature));
        for bad in ["", "!", &signature[..80], &STANDARD.encode([0_u8; 64])] {
            assert!(!is_signed_by(&pair.public(), &text, bad), "{bad}");
        }
    }

    #[test]
    fn both_values_of_s_are_valid() {
        let pair = KeyPair::generate();
        let raw = pair.sign(b"text");
        let signature = p256::ecdsa::Signature::from_slice(&raw).unwrap();
        let (r, s) = signature.split_scalars();
        let mirrored = p256::ecdsa::Signature::from_scalars(r, -*s).unwrap();
        assert_ne!(signature, mirrored);
        for either in [signature, mirrored] {
            assert!(is_signed_by(&pair.public(), "text", &STANDARD.encode(either.to_bytes())));
        }
    }

    #[test]
    fn a_timestamp_is_fresh_for_exactly_five_minutes_either_way() {
        let now = Timestamp::from_millis(10_000_000);
        for (offset, fresh) in [(300_000, true), (300_001, false)] {
            assert_eq!(is_fresh(Timestamp::from_millis(10_000_000 + offset), now), fresh);
            assert_eq!(is_fresh(Timestamp::from_millis(10_000_000 - offset), now), fresh);
        }
    }

    #[test]
    fn a_nonce_is_visible_and_short() {
        for good in ["a", "!~", &"n".repeat(128)] {
            assert!(Nonce::parse(good).is_some());
        }
        for bad in ["", &"n".repeat(129), "a b", "a\tb", "ä"] {
            assert!(Nonce::parse(bad).is_none(), "{bad:?}");
        }
    }
}
