//! Whether an event is from the platform that it claims to be from.
//!
//! Every scheme signs the bytes as they came, so all of these run before anything is parsed. Secrets and
//! tags are compared in constant time. An empty header counts as one that was not sent.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use ed25519_dalek::{Signature, VerifyingKey};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use subtle::{Choice, ConstantTimeEq as _};

use super::digest::Digest;
use super::timestamp::Timestamp;

/// How far the time of a signed event may be from the relay's clock, either way, in seconds. Slack's
/// documentation asks for five minutes and Svix's own libraries allow the same.
pub const TOLERANCE_S: u64 = 300;

/// Bytes of an HMAC-SHA256 tag.
const TAG_LEN: usize = 32;
/// Bytes of an Ed25519 public key.
const ED25519_KEY_LEN: usize = 32;
/// Bytes of an Ed25519 signature.
const ED25519_SIGNATURE_LEN: usize = 64;
/// What a Slack signature begins with: the only version of the scheme that there is.
const SLACK_VERSION: &str = "v0=";
/// What the symmetric signatures of Svix and Standard Webhooks begin with. `v1a` is another scheme.
const SVIX_VERSION: &str = "v1,";
/// What marks a text as a signing secret of Svix and Standard Webhooks.
const SVIX_SECRET_PREFIX: &str = "whsec_";

/// Secrets are copied by hand, and some tools drop the padding; nothing depends on it.
const PADDED_OR_NOT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A configured secret or key that nothing can be verified with. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// No secret at all. With an empty key anyone could sign, so it verifies nothing.
    #[error("the secret that verifies events is empty")]
    Empty,
    /// Not `whsec_` and base64.
    #[error("a signing secret is whsec_ followed by base64")]
    Svix,
    /// Not a usable Ed25519 public key.
    #[error("a public key is the 64 hex digits of an Ed25519 key")]
    Ed25519,
}

/// Why an event is not believed. The texts are safe to show to whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header that the scheme needs was not sent.
    #[error("the signature is missing")]
    Missing,
    /// A header does not have the form that the scheme prescribes.
    #[error("the signature or its timestamp is malformed")]
    Malformed,
    /// Signed too long ago, or in the future: further than [`TOLERANCE_S`] from now.
    #[error("the signature's timestamp is more than five minutes from now")]
    Stale,
    /// Made with another secret or over other bytes.
    #[error("the signature is wrong")]
    Wrong,
    /// The relay's own side is not set up properly: for its operator or the channel's owner to mend.
    #[error("the secret for this endpoint is not set up properly")]
    Secret(#[from] InvalidSecret),
}

/// Verifies Slack's `X-Slack-Signature`: `v0=` and the hex HMAC-SHA256 of `v0:<timestamp>:<body>`, keyed with
/// the signing secret as text, and fresh to [`TOLERANCE_S`].
///
/// `timestamp` is `X-Slack-Request-Timestamp`, in Unix seconds. Source:
/// docs.slack.dev/authentication/verifying-requests-from-slack.
pub fn verify_slack(
    secret: &SecretString,
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), SignatureError> {
    let key = secret.expose_secret().as_bytes();
    if key.is_empty() {
        return Err(InvalidSecret::Empty.into());
    }
    all_present(&[timestamp, signature])?;
    let shown: [u8; TAG_LEN] =
        signature.strip_prefix(SLACK_VERSION).and_then(from_hex).ok_or(SignatureError::Malformed)?;
    check_fresh(timestamp, now)?;
    let tag = Digest::keyed(key, &[b"v0:", timestamp.as_bytes(), b":", body]);
    accept_if(tag.as_bytes().ct_eq(&shown))
}

/// Verifies a delivery of Svix or Standard Webhooks: one of the space-separated `v1,<base64>` in `signatures`
/// has to be the HMAC-SHA256 of `<id>.<timestamp>.<body>` under one of `secrets`, and fresh to [`TOLERANCE_S`].
///
/// There are several secrets while one replaces another, and then the sender may sign with each.
/// Signatures of other versions are passed over. `timestamp` is in Unix seconds. Sources: svix/svix-docs
/// `receiving/verifying-payloads/how-manual.mdx`; standard-webhooks `spec/standard-webhooks.md`.
pub fn verify_svix(
    secrets: &[SecretString],
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), SignatureError> {
    let keys = secrets.iter().map(svix_key).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        return Err(InvalidSecret::Empty.into());
    }
    all_present(&[id, timestamp, signatures])?;
    // The specification forbids a full stop in an id. With one, the border between id, timestamp and body
    // could be moved without a change of the signed bytes.
    if id.contains('.') {
        return Err(SignatureError::Malformed);
    }
    let shown: Vec<[u8; TAG_LEN]> = signatures
        .split_ascii_whitespace()
        .filter_map(|signature| signature.strip_prefix(SVIX_VERSION))
        .filter_map(|encoded| STANDARD.decode(encoded).ok()?.try_into().ok())
        .collect();
    if shown.is_empty() {
        return Err(SignatureError::Malformed);
    }
    check_fresh(timestamp, now)?;
    // Every pair is compared, so that the time does not tell which of the keys it was.
    let mut matches = Choice::from(0);
    for key in &keys {
        let tag = Digest::keyed(key.expose_secret(), &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
        for one in &shown {
            matches |= tag.as_bytes().ct_eq(one);
        }
    }
    accept_if(matches)
}

/// Verifies Discord's `X-Signature-Ed25519` (128 hex digits) over the timestamp and the body, with the
/// application's `verify_key` (64 hex digits).
///
/// `timestamp` is `X-Signature-Timestamp` as sent. Discord documents no tolerance for it; repetitions are found
/// by the interaction's id. Verification is strict: a key or signature that would fit several messages is
/// refused. Source: discord/discord-api-docs `developers/interactions/overview.mdx`.
pub fn verify_discord(key_hex: &str, timestamp: &str, signature_hex: &str, body: &[u8]) -> Result<(), SignatureError> {
    let key = discord_key(key_hex)?;
    all_present(&[timestamp, signature_hex])?;
    let signature: [u8; ED25519_SIGNATURE_LEN] = from_hex(signature_hex).ok_or(SignatureError::Malformed)?;
    let signed = [timestamp.as_bytes(), body].concat();
    key.verify_strict(&signed, &Signature::from_bytes(&signature)).map_err(|_| SignatureError::Wrong)
}

/// Verifies a secret that the sender simply shows, such as Telegram's `X-Telegram-Bot-Api-Secret-Token`.
///
/// Digests are compared, so that the time tells nothing of the expected length either.
pub fn verify_shared_secret(expected: &SecretString, shown: &str) -> Result<(), SignatureError> {
    let expected = expected.expose_secret();
    if expected.is_empty() {
        return Err(InvalidSecret::Empty.into());
    }
    all_present(&[shown])?;
    if Digest::of(expected.as_bytes()) == Digest::of(shown.as_bytes()) { Ok(()) } else { Err(SignatureError::Wrong) }
}

/// Whether [`verify_svix`] can use `secret`; to be asked once, when the setting is read.
pub fn check_svix_secret(secret: &SecretString) -> Result<(), InvalidSecret> {
    svix_key(secret).map(drop)
}

/// Whether [`verify_discord`] can use `key_hex`; to be asked once, when the channel is registered.
pub fn check_discord_key(key_hex: &str) -> Result<(), InvalidSecret> {
    discord_key(key_hex).map(drop)
}

/// The bytes of a signing secret. Any length is taken: Svix itself has issued secrets of 18 bytes, below the
/// 24 that the specification names. Its libraries take a secret without the prefix too.
fn svix_key(secret: &SecretString) -> Result<SecretSlice<u8>, InvalidSecret> {
    let text = secret.expose_secret();
    let encoded = text.strip_prefix(SVIX_SECRET_PREFIX).unwrap_or(text);
    let key: SecretSlice<u8> = PADDED_OR_NOT.decode(encoded).map_err(|_| InvalidSecret::Svix)?.into();
    if key.expose_secret().is_empty() { Err(InvalidSecret::Empty) } else { Ok(key) }
}

/// A key of small order is refused here: under such a key a signature fits any number of messages.
fn discord_key(key_hex: &str) -> Result<VerifyingKey, InvalidSecret> {
    from_hex::<ED25519_KEY_LEN>(key_hex)
        .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
        .filter(|key| !key.is_weak())
        .ok_or(InvalidSecret::Ed25519)
}

fn all_present(headers: &[&str]) -> Result<(), SignatureError> {
    if headers.iter().any(|header| header.is_empty()) { Err(SignatureError::Missing) } else { Ok(()) }
}

/// Compares whole seconds, which is all that the sender tells and what the platforms' own libraries do.
fn check_fresh(timestamp: &str, now: Timestamp) -> Result<(), SignatureError> {
    // `parse` alone would take a sign as well.
    let digits = timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let at: u64 = timestamp.parse().ok().filter(|_| digits).ok_or(SignatureError::Malformed)?;
    if at.abs_diff(now.millis() / 1000) > TOLERANCE_S { Err(SignatureError::Stale) } else { Ok(()) }
}

fn from_hex<const LEN: usize>(text: &str) -> Option<[u8; LEN]> {
    let mut bytes = [0_u8; LEN];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

fn accept_if(matches: Choice) -> Result<(), SignatureError> {
    if bool::from(matches) { Ok(()) } else { Err(SignatureError::Wrong) }
}

#[cfg(test)]
mod tests;
