//! Encryption of secrets at rest: AES-256-GCM under a key ring.

use std::fmt;
use std::str::FromStr;

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};

use super::digest::Digest;

/// Bytes of an AES-256 key.
const KEY_LEN: usize = 32;
/// Bytes of a GCM nonce; drawn at random for each value that is sealed.
const NONCE_LEN: usize = 12;
/// Version of the sealed form, its first field.
const FORM: &str = "s1";
/// Hex digits of a key's id, the second field.
const KEY_ID_LEN: usize = 8;

/// What a sealed value belongs to. It is bound to the ciphertext, so that a value copied from one
/// record to another does not open there.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// The API key of the session of this user.
    ApiKey(&'a str),
    /// The webhook secret of this user's channel.
    WebhookSecret(&'a str, &'a str),
    /// The secrets of the platform connection of this user's channel.
    Connection(&'a str, &'a str),
    /// The secret with which one message of this user's channel can be answered.
    Answer(&'a str, &'a str),
    /// The deployment's own private key.
    Deployment,
}

impl Owner<'_> {
    fn associated_data(self) -> String {
        match self {
            Self::ApiKey(user) => format!("{FORM}|api-key|{user}"),
            Self::WebhookSecret(user, channel) => format!("{FORM}|webhook-secret|{user}|{channel}"),
            Self::Connection(user, channel) => format!("{FORM}|connection|{user}|{channel}"),
            Self::Answer(user, channel) => format!("{FORM}|answer|{user}|{channel}"),
            Self::Deployment => format!("{FORM}|deployment-key"),
        }
    }
}

/// The keys that seal secrets at rest: the first seals, all of them open.
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<RingKey>,
}

#[derive(Clone)]
struct RingKey {
    id: String,
    cipher: Aes256Gcm,
}

impl RingKey {
    fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self {
            // The first four bytes of the digest name the key without telling anything about it.
            id: Digest::of(&bytes).to_hex()[..KEY_ID_LEN].to_owned(),
            cipher: Aes256Gcm::new(&Key::<Aes256Gcm>::from(bytes)),
        }
    }
}

/// A text that is not a key ring. It does not repeat the text, which is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("32 bytes as 64 hex digits or base64; a comma-separated list seals with its first key and opens with all")]
pub struct InvalidKeyRing;

impl FromStr for KeyRing {
    type Err = InvalidKeyRing;

    fn from_str(text: &str) -> Result<Self, InvalidKeyRing> {
        let keys = text
            .split(',')
            .map(|key| parse_key(key.trim()).map(RingKey::new))
            .collect::<Option<Vec<_>>>()
            .ok_or(InvalidKeyRing)?;
        Ok(Self { keys })
    }
}

fn parse_key(text: &str) -> Option<[u8; KEY_LEN]> {
    let bytes = match hex::decode(text) {
        Ok(bytes) => bytes,
        Err(_) => {
            let bare = text.trim_end_matches('=');
            STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(bare)).ok()?
        }
    };
    bytes.try_into().ok()
}

/// Why a sealed value did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// Sealed with a key that is not in the ring.
    #[error("the value was sealed with another encryption key")]
    UnknownKey,
    /// Damaged, or moved here from another record.
    #[error("the sealed value is damaged or belongs to another record")]
    Damaged,
}

impl KeyRing {
    /// A new random key, in the hex form that [`KeyRing::from_str`] reads.
    pub fn generate() -> SecretString {
        let mut bytes = [0_u8; KEY_LEN];
        getrandom::fill(&mut bytes).expect("the system's random generator works");
        hex::encode(bytes).into()
    }

    /// The id of the key that seals, and those of the others that open.
    pub fn ids(&self) -> (&str, impl Iterator<Item = &str>) {
        (&self.keys[0].id, self.keys[1..].iter().map(|key| key.id.as_str()))
    }

    /// Encrypts `secret` for its owner's record.
    pub fn seal(&self, owner: Owner<'_>, secret: &SecretString) -> String {
        let key = &self.keys[0];
        let mut nonce = [0_u8; NONCE_LEN];
        getrandom::fill(&mut nonce).expect("the system's random generator works");
        let associated = owner.associated_data();
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: associated.as_bytes() };
        let ciphertext = key
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .expect("a secret is far shorter than the 64 GiB that GCM can take");
        let mut sealed = nonce.to_vec();
        sealed.extend_from_slice(&ciphertext);
        format!("{FORM}.{}.{}", key.id, URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Decrypts what [`KeyRing::seal`] made for the same owner.
    pub fn unseal(&self, owner: Owner<'_>, sealed: &str) -> Result<SecretString, UnsealError> {
        let mut fields = sealed.splitn(3, '.');
        let (Some(FORM), Some(id), Some(body)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(UnsealError::Damaged);
        };
        let key = self.keys.iter().find(|key| key.id == id).ok_or(UnsealError::UnknownKey)?;
        let body = URL_SAFE_NO_PAD.decode(body).map_err(|_| UnsealError::Damaged)?;
        let (nonce, ciphertext) = body.split_first_chunk::<NONCE_LEN>().ok_or(UnsealError::Damaged)?;
        let associated = owner.associated_data();
        let payload = Payload { msg: ciphertext, aad: associated.as_bytes() };
        let plain = key.cipher.decrypt(&Nonce::from(*nonce), payload).map_err(|_| UnsealError::Damaged)?;
        String::from_utf8(plain).map(Into::into).map_err(|_| UnsealError::Damaged)
    }
}

/// The id of the key that a value was sealed with; `None` for a text that is no sealed value.
pub fn key_id(sealed: &str) -> Option<&str> {
    let (id, body) = sealed.strip_prefix(FORM)?.strip_prefix('.')?.split_once('.')?;
    let is_id = id.len() == KEY_ID_LEN && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id && !body.is_empty()).then_some(id)
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.keys.iter().map(|key| key.id.as_str()).collect();
        f.debug_struct("KeyRing").field("ids", &ids).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ring(keys: &[u8]) -> KeyRing {
        let text: Vec<_> = keys.iter().map(|byte| hex::encode([*byte; 32])).collect();
        text.join(",").parse().unwrap()
    }

    #[test]
    fn a_sealed_secret_opens_for_its_owner_only() {
        let ring = ring(&[1]);
        let sealed = ring.seal(Owner::ApiKey("ana"), &"secret".into());
        assert!(!sealed.contains("secret"));
        assert_ne!(sealed, ring.seal(Owner::ApiKey("ana"), &"secret".into()));
        assert_eq!(ring.unseal(Owner::ApiKey("ana"), &sealed).unwrap().expose_secret(), "secret");
        assert_eq!(ring.unseal(Owner::ApiKey("bob"), &sealed).unwrap_err(), UnsealError::Damaged);
        assert_eq!(ring.unseal(Owner::Deployment, &sealed).unwrap_err(), UnsealError::Damaged);
        for damaged in ["", "s1", "s1.x.y", &sealed[..sealed.len() - 1], &sealed.replace("s1.", "s2.")] {
            assert!(ring.unseal(Owner::ApiKey("ana"), damaged).is_err(), "{damaged}");
        }
    }

    #[test]
    fn an_old_key_opens_and_the_first_seals() {
        let old = ring(&[1]).seal(Owner::Deployment, &"secret".into());
        let rotated = ring(&[2, 1]);
        assert!(rotated.unseal(Owner::Deployment, &old).is_ok());
        let new = rotated.seal(Owner::Deployment, &"secret".into());
        assert_eq!(ring(&[1]).unseal(Owner::Deployment, &new).unwrap_err(), UnsealError::UnknownKey);
    }

    #[test]
    fn a_sealed_value_names_its_key() {
        let (one, both) = (ring(&[1]), ring(&[2, 1]));
        let sealed = one.seal(Owner::Deployment, &"secret".into());
        assert_eq!(key_id(&sealed), Some(one.ids().0));
        let (first, others) = both.ids();
        assert_eq!((first == one.ids().0, others.collect::<Vec<_>>()), (false, vec![one.ids().0]));
        assert_eq!(key_id(&both.seal(Owner::Deployment, &"secret".into())), Some(first));
        for odd in ["", "s1", "s1.", "s1.0123abcd", "s1.0123abcd.", "s2.0123abcd.x", "s1.0123abc.x", "s1.0123abcx.x"] {
            assert_eq!(key_id(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_key_is_hex_or_base64_of_32_bytes() {
        let bytes = [0xfb_u8; 32];
        for good in [hex::encode(bytes), STANDARD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)] {
            assert!(good.parse::<KeyRing>().is_ok(), "{good}");
        }
        for bad in ["", "00", "not a key", &hex::encode([0_u8; 31]), &format!("{},", hex::encode(bytes))] {
            assert!(bad.parse::<KeyRing>().is_err(), "{bad}");
        }
        assert!(KeyRing::generate().expose_secret().parse::<KeyRing>().is_ok());
    }

    proptest! {
        #[test]
        fn whatever_was_sealed_opens_for_its_owner(secret in ".{0,200}", user in ".{0,40}", channel in "[a-z_-]{0,20}") {
            let ring = ring(&[1]);
            for owner in [Owner::ApiKey(&user), Owner::Connection(&user, &channel), Owner::Deployment] {
                let sealed = ring.seal(owner, &secret.as_str().into());
                let opened = ring.unseal(owner, &sealed).unwrap();
                prop_assert_eq!(opened.expose_secret(), secret.as_str());
                prop_assert!(ring.unseal(Owner::Answer(&user, &channel), &sealed).is_err());
            }
        }

        #[test]
        fn one_bit_more_or_less_and_nothing_opens(secret in ".{0,60}", at: prop::sample::Index, bit in 0_u32..8) {
            let ring = ring(&[1]);
            let sealed = ring.seal(Owner::Deployment, &secret.into());
            let (head, body) = sealed.rsplit_once('.').unwrap();
            let mut bytes = URL_SAFE_NO_PAD.decode(body).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let damaged = format!("{head}.{}", URL_SAFE_NO_PAD.encode(&bytes));
            prop_assert_eq!(ring.unseal(Owner::Deployment, &damaged).unwrap_err(), UnsealError::Damaged);
            bytes.truncate(at);
            let short = format!("{head}.{}", URL_SAFE_NO_PAD.encode(bytes));
            prop_assert!(ring.unseal(Owner::Deployment, &short).is_err());
        }

        #[test]
        fn any_text_is_refused_as_a_sealed_value(text in "s1[.][0-9a-f]{8}[.][A-Za-z0-9_-]{0,60}|.{0,60}") {
            prop_assert!(ring(&[1]).unseal(Owner::Deployment, &text).is_err());
        }
    }
}
