//! P-256 public keys in JWK form (RFC 7517, RFC 7518 §6.2), and the relay's own key pair.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest::Digest;

/// Bytes of one coordinate of a P-256 point.
const COORDINATE_LEN: usize = 32;
/// Bytes of an uncompressed SEC1 point: the tag 4 and two coordinates.
const POINT_LEN: usize = 1 + 2 * COORDINATE_LEN;

/// A client's P-256 public key, known to lie on the curve.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    point: [u8; POINT_LEN],
}

/// Why a JWK is not a key that a session can sign with. The text is safe to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not a JSON object.
    #[error("publicKey must be a JWK object")]
    NotAnObject,
    /// Wrong key type.
    #[error("publicKey.kty must be \"EC\"")]
    KeyType,
    /// Wrong curve.
    #[error("publicKey.crv must be \"P-256\"")]
    Curve,
    /// A coordinate is missing, not base64url, or not 32 bytes long.
    #[error("publicKey.{0} must be 32 bytes in base64url without padding")]
    Coordinate(&'static str),
    /// The two coordinates are no point of the curve.
    #[error("publicKey.x and publicKey.y are not a point on P-256")]
    NotOnCurve,
    /// The private half came along.
    #[error("publicKey.d is a private key: it must never leave its owner")]
    Private,
}

impl PublicKey {
    /// Reads a JWK. Members that a public EC key does not need (`ext`, `key_ops`, …) are ignored.
    pub fn from_jwk(jwk: &Value) -> Result<Self, InvalidKey> {
        let jwk = jwk.as_object().ok_or(InvalidKey::NotAnObject)?;
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if text("kty") != Some("EC") {
            return Err(InvalidKey::KeyType);
        }
        if text("crv") != Some("P-256") {
            return Err(InvalidKey::Curve);
        }
        if jwk.contains_key("d") {
            return Err(InvalidKey::Private);
        }
        let mut point = [0_u8; POINT_LEN];
        point[0] = 4;
        for (name, start) in [("x", 1), ("y", 1 + COORDINATE_LEN)] {
            let coordinate = text(name)
                .and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok())
                .filter(|bytes| bytes.len() == COORDINATE_LEN)
                .ok_or(InvalidKey::Coordinate(name))?;
            point[start..start + COORDINATE_LEN].copy_from_slice(&coordinate);
        }
        Self::from_point(&point).ok_or(InvalidKey::NotOnCurve)
    }

    /// Reads the form that [`PublicKey::to_stored`] writes; `None` when it is no point of the curve.
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::from_point(&URL_SAFE_NO_PAD.decode(text).ok()?)
    }

    fn from_point(bytes: &[u8]) -> Option<Self> {
        p256::PublicKey::from_sec1_bytes(bytes).ok()?;
        Some(Self { point: bytes.try_into().ok()? })
    }

    /// A compact form for the store.
    pub fn to_stored(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.point)
    }

    /// The uncompressed SEC1 point.
    pub fn as_sec1(&self) -> &[u8] {
        &self.point
    }

    /// The key as a JWK.
    pub fn to_jwk(&self) -> Jwk {
        let (x, y) = self.point[1..].split_at(COORDINATE_LEN);
        Jwk {
            kty: "EC".to_owned(),
            crv: "P-256".to_owned(),
            x: URL_SAFE_NO_PAD.encode(x),
            y: URL_SAFE_NO_PAD.encode(y),
        }
    }

    /// The JWK thumbprint (RFC 7638), one for each key however its JWK was written.
    pub fn thumbprint(&self) -> Digest {
        let Jwk { kty, crv, x, y } = self.to_jwk();
        Digest::of(format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}"}}"#).as_bytes())
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PublicKey").field(&self.to_jwk()).finish()
    }
}

/// A P-256 public key as clients read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// Always `EC`.
    pub kty: String,
    /// Always `P-256`.
    pub crv: String,
    /// First coordinate, 32 bytes in base64url.
    pub x: String,
    /// Second coordinate, 32 bytes in base64url.
    pub y: String,
}

/// A P-256 key pair: the relay's own, or that of a command-line client.
pub struct KeyPair {
    secret: p256::SecretKey,
}

impl KeyPair {
    /// Makes a new pair from the system's generator.
    pub fn generate() -> Self {
        loop {
            let mut bytes = [0_u8; COORDINATE_LEN];
            getrandom::fill(&mut bytes).expect("the system's random generator works");
            // Zero and numbers beyond the group's order (one in 2³²) are no keys: draw again.
            if let Ok(secret) = p256::SecretKey::from_slice(&bytes) {
                return Self { secret };
            }
        }
    }

    /// Reads what [`KeyPair::to_bytes`] gave; `None` when it is no key.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        p256::SecretKey::from_slice(bytes).ok().map(|secret| Self { secret })
    }

    /// The private scalar. Seal it before it goes anywhere.
    pub fn to_bytes(&self) -> [u8; COORDINATE_LEN] {
        self.secret.to_bytes().into()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let encoded = self.secret.public_key().to_sec1_point(false);
        let point = encoded.as_bytes().try_into().expect("an uncompressed P-256 point has 65 bytes");
        PublicKey { point }
    }

    /// Signs `message` with ECDSA P-256 / SHA-256; the raw 64 bytes `r‖s`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        use p256::ecdsa::signature::Signer as _;
        let signature: p256::ecdsa::Signature = p256::ecdsa::SigningKey::from(&self.secret).sign(message);
        signature.to_bytes().into()
    }
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The example key of RFC 7515, appendix A.3.
    fn example() -> Value {
        json!({"kty": "EC", "crv": "P-256",
               "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
               "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})
    }

    #[test]
    fn a_key_is_the_same_however_its_jwk_is_written() {
        let plain = PublicKey::from_jwk(&example()).unwrap();
        let mut dressed = example();
        dressed["ext"] = json!(true);
        dressed["key_ops"] = json!(["verify"]);
        let dressed = PublicKey::from_jwk(&dressed).unwrap();
        assert_eq!(plain.thumbprint(), dressed.thumbprint());
        assert_eq!(PublicKey::from_stored(&plain.to_stored()), Some(plain));
    }

    #[test]
    fn what_is_not_a_p256_public_key_is_refused_by_its_field() {
        let with = |name: &str, value: Value| {
            let mut jwk = example();
            jwk[name] = value;
            PublicKey::from_jwk(&jwk)
        };
        assert_eq!(with("kty", json!("RSA")), Err(InvalidKey::KeyType));
        assert_eq!(with("crv", json!("P-384")), Err(InvalidKey::Curve));
        assert_eq!(with("x", json!("AAAA")), Err(InvalidKey::Coordinate("x")));
        assert_eq!(with("y", json!(7)), Err(InvalidKey::Coordinate("y")));
        assert_eq!(with("y", json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")), Err(InvalidKey::NotOnCurve));
        assert_eq!(with("x", json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=")), Err(InvalidKey::Coordinate("x")));
        assert_eq!(with("d", json!("secret")), Err(InvalidKey::Private));
        assert_eq!(PublicKey::from_jwk(&json!([])), Err(InvalidKey::NotAnObject));
    }

    #[test]
    fn a_key_pair_survives_storage() {
        let pair = KeyPair::generate();
        let again = KeyPair::from_bytes(&pair.to_bytes()).unwrap();
        assert_eq!(pair.public(), again.public());
        assert_eq!(PublicKey::from_jwk(&serde_json::to_value(pair.public().to_jwk()).unwrap()).unwrap(), pair.public());
        assert!(KeyPair::from_bytes(&[0; 32]).is_none());
    }
}
