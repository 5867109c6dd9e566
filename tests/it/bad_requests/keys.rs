//! Registration: what is not a P-256 public key.

use chaos_relay::domain::public_key::KeyPair;
use serde_json::{Value, json};

use super::raw::Request;
use super::row::Row;

/// The example key of RFC 7515, appendix A.3.
const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

fn jwk() -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y})
}

fn register(key: &Value) -> Request {
    Request::new("POST", "/auth/register").json(&json!({ "publicKey": key }))
}

/// The key with one member changed.
fn with(member: &str, value: Value) -> Request {
    let mut jwk = jwk();
    jwk[member] = value;
    register(&jwk)
}

fn without(member: &str) -> Request {
    let mut jwk = jwk();
    jwk.as_object_mut().unwrap().remove(member);
    register(&jwk)
}

pub fn rows() -> Vec<Row> {
    let bad = |name: &str, request, says| Row::refused(name, request, 400, "invalid_public_key", says);
    let padded = format!("{X}=");
    let zero = "A".repeat(43);
    vec![
        bad("a key that is a text", register(&json!("key")), "publicKey"),
        bad("a key that is a number", register(&json!(7)), "publicKey"),
        bad("a key that is true", register(&json!(true)), "publicKey"),
        bad("a key that is null", register(&json!(null)), "publicKey"),
        bad("a key that is a list", register(&json!([jwk()])), "publicKey"),
        bad("a key without members", register(&json!({})), "publicKey.kty"),
        bad("a key without kty", without("kty"), "publicKey.kty"),
        bad("kty RSA", with("kty", json!("RSA")), "publicKey.kty"),
        bad("kty in lower case", with("kty", json!("ec")), "publicKey.kty"),
        bad("kty null", with("kty", json!(null)), "publicKey.kty"),
        bad("kty a list", with("kty", json!(["EC"])), "publicKey.kty"),
        bad("a key without crv", without("crv"), "publicKey.crv"),
        bad("crv P-384", with("crv", json!("P-384")), "publicKey.crv"),
        bad("crv a number", with("crv", json!(256)), "publicKey.crv"),
        bad("a key without x", without("x"), "publicKey.x"),
        bad("x null", with("x", json!(null)), "publicKey.x"),
        bad("x a number", with("x", json!(1)), "publicKey.x"),
        bad("x a list", with("x", json!([X])), "publicKey.x"),
        bad("x empty", with("x", json!("")), "publicKey.x"),
        bad("x padded", with("x", json!(padded)), "publicKey.x"),
        bad("x of 31 bytes", with("x", json!("A".repeat(42))), "publicKey.x"),
        bad("x of 33 bytes", with("x", json!("A".repeat(44))), "publicKey.x"),
        bad("x of 100 kB", with("x", json!("A".repeat(100_000))), "publicKey.x"),
        bad("x with a line break", with("x", json!(format!("{X}\n"))), "publicKey.x"),
        bad("x not base64", with("x", json!("!".repeat(43))), "publicKey.x"),
        bad("a key without y", without("y"), "publicKey.y"),
        bad("y in the alphabet of plain base64", with("y", json!(Y.replace('_', "/"))), "publicKey.y"),
        bad("y an object", with("y", json!({})), "publicKey.y"),
        bad("a point that is not on the curve", with("y", json!(X)), "publicKey.x"),
        bad("the point of zeros", register(&json!({"kty": "EC", "crv": "P-256", "x": zero, "y": zero})), "publicKey.x"),
        bad("a coordinate beyond the field", with("x", json!(format!("{}8", "_".repeat(42)))), "publicKey.x"),
        bad("a private key", with("d", json!(Y)), "publicKey.d"),
        bad("a private key that is null", with("d", json!(null)), "publicKey.d"),
        Row::taken("a key with members that are not needed", dressed(), 200),
        Row::taken("no body", Request::new("POST", "/auth/register"), 200),
        Row::taken("an empty object", Request::new("POST", "/auth/register").body("{}"), 200),
        Row::taken("a body with unknown members", Request::new("POST", "/auth/register").body(r#"{"key":[{}]}"#), 200),
    ]
}

/// A key as browsers export it.
fn dressed() -> Request {
    let mut jwk = serde_json::to_value(KeyPair::generate().public().to_jwk()).unwrap();
    jwk["ext"] = json!(true);
    jwk["key_ops"] = json!(["verify"]);
    register(&jwk)
}
