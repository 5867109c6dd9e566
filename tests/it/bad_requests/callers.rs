//! Callers that are not who they should be: tokens, signatures, capabilities.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chaos_relay::domain::public_key::KeyPair;
use chaos_relay::domain::signing::signed_text;
use chaos_relay::domain::timestamp::Timestamp;
use uuid::Uuid;

use super::raw::Request;
use super::row::{Row, World};

pub fn rows(world: &World) -> Vec<Row> {
    [tokens(world), signatures(world), other_texts(world), capabilities(world)].into_iter().flatten().collect()
}

fn tokens(world: &World) -> Vec<Row> {
    let mut rows = Vec::new();
    for (method, path) in [
        ("GET", "/messages"),
        ("GET", "/messages?since=nonsense"),
        ("POST", "/reply"),
        ("GET", "/replies/x"),
        ("POST", "/typing"),
        ("GET", "/channels"),
        ("POST", "/channels"),
        ("PATCH", "/channels/x"),
        ("DELETE", "/channels/x"),
        ("POST", "/channels/x/pairing-code"),
        ("GET", "/ws"),
    ] {
        let bare = Request::new(method, path).body(if method == "GET" { "" } else { "[" });
        rows.push(Row::refused(&format!("{method} {path} without a token"), bare, 401, "missing_token", "API key"));
    }
    let is_missing = |name: &str, value: &[u8]| {
        let request = Request::new("GET", "/messages").header("Authorization", value);
        Row::refused(name, request, 401, "missing_token", "Bearer")
    };
    let is_unknown = |name: &str, token: &[u8]| {
        let request = Request::new("GET", "/messages").header("Authorization", [b"Bearer ", token].concat());
        Row::refused(name, request, 401, "unknown_token", "API key")
    };
    let key = &world.plain.api_key;
    let unknown = Uuid::new_v4().to_string();
    rows.extend([
        is_missing("an empty header", b""),
        is_missing("a scheme alone", b"Bearer"),
        is_missing("an empty token", b"Bearer "),
        is_missing("a token without a scheme", key.as_bytes()),
        is_missing("another scheme", format!("Basic {key}").as_bytes()),
        is_missing("a token of other letters", "Bearer ключ".as_bytes()),
        is_missing("a token that is no UTF-8", b"Bearer \xff\xfe"),
        is_unknown("a token that nobody has", unknown.as_bytes()),
        is_unknown("a token with a blank in it", format!("{key} {key}").as_bytes()),
        is_unknown("a token with a comma", format!("{key},").as_bytes()),
        is_unknown("a token in quotes", format!("\"{key}\"").as_bytes()),
        is_unknown("a token cut short", &key.as_bytes()[..35]),
        is_unknown("a token in capitals", key.to_uppercase().as_bytes()),
        is_unknown("a user id for a token", world.plain.user_id.as_bytes()),
        is_unknown("a token of 60 kB", "k".repeat(60_000).as_bytes()),
        Row::refused(
            "a token in the query",
            Request::new("GET", format!("/messages?token={key}")),
            401,
            "missing_token",
            "API key",
        ),
        Row::refused(
            "a socket with an empty token",
            Request::new("GET", "/ws?token="),
            401,
            "missing_token",
            "API key",
        ),
        Row::refused(
            "a socket with an unknown token",
            Request::new("GET", format!("/ws?token={unknown}")),
            401,
            "unknown_token",
            "API key",
        ),
        Row::refused(
            "a socket with a token that is no UTF-8",
            Request::new("GET", "/ws?token=%ff%00"),
            401,
            "unknown_token",
            "API key",
        ),
    ]);
    rows
}

/// The parts of a signature for `GET /messages`, each of which a row may spoil.
struct Signed<'a> {
    world: &'a World,
    timestamp: String,
    nonce: Vec<u8>,
    signature: Option<String>,
}

impl<'a> Signed<'a> {
    fn new(world: &'a World) -> Self {
        let nonce = Uuid::new_v4().to_string().into_bytes();
        Self { world, timestamp: Timestamp::now().to_string(), nonce, signature: None }
    }

    /// So many seconds from now.
    fn at(world: &'a World, seconds: i64) -> Self {
        let moved = i64::try_from(Timestamp::now().millis()).unwrap() + seconds * 1000;
        Self { timestamp: Timestamp::from_millis(u64::try_from(moved).unwrap()).to_string(), ..Self::new(world) }
    }

    fn timestamp(self, timestamp: &str) -> Self {
        Self { timestamp: timestamp.to_owned(), ..self }
    }

    fn nonce(self, nonce: impl AsRef<[u8]>) -> Self {
        Self { nonce: nonce.as_ref().to_owned(), ..self }
    }

    fn signature(self, signature: impl Into<String>) -> Self {
        Self { signature: Some(signature.into()), ..self }
    }

    fn request(self) -> Request {
        let key = self.world.signed.key.as_ref().unwrap();
        let text = signed_text(&self.timestamp, &String::from_utf8_lossy(&self.nonce), "/messages", b"");
        let signature = self.signature.unwrap_or_else(|| STANDARD.encode(key.sign(text.as_bytes())));
        Request::new("GET", "/messages")
            .bearer(&self.world.signed.api_key)
            .header("X-Timestamp", self.timestamp)
            .header("X-Nonce", self.nonce)
            .header("X-Signature", signature)
    }
}

fn signatures(world: &World) -> Vec<Row> {
    let sign = || Signed::new(world);
    let bad = |name: &str, signed: Signed<'_>, code, says| Row::refused(name, signed.request(), 401, code, says);
    let right = STANDARD.encode([1_u8; 64]);
    let mut rows = vec![
        bad("six minutes ago", Signed::at(world, -360), "stale_timestamp", "X-Timestamp"),
        bad("in six minutes", Signed::at(world, 360), "stale_timestamp", "X-Timestamp"),
        bad("in the year 9999", sign().timestamp("9999-12-31T23:59:59.999Z"), "stale_timestamp", "X-Timestamp"),
        bad("an empty timestamp", sign().timestamp(""), "invalid_timestamp", "X-Timestamp"),
        bad("yesterday", sign().timestamp("yesterday"), "invalid_timestamp", "X-Timestamp"),
        bad("seconds since 1970", sign().timestamp("1768473000"), "invalid_timestamp", "X-Timestamp"),
        bad("a day without a time", sign().timestamp("2026-01-15"), "invalid_timestamp", "X-Timestamp"),
        bad("a time without a zone", sign().timestamp("2026-01-15T10:30:00.123"), "invalid_timestamp", "X-Timestamp"),
        bad("an empty nonce", sign().nonce(""), "invalid_nonce", "X-Nonce"),
        bad("a nonce of 129 characters", sign().nonce("n".repeat(129)), "invalid_nonce", "X-Nonce"),
        bad("a nonce with a blank", sign().nonce("a b"), "invalid_nonce", "X-Nonce"),
        bad("a nonce with a tab", sign().nonce("a\tb"), "invalid_nonce", "X-Nonce"),
        bad("a nonce of other letters", sign().nonce("ключ"), "invalid_nonce", "X-Nonce"),
        bad("a signature in URL-safe base64", url_safe(world), "invalid_signature", "X-Signature"),
        bad("an empty signature", sign().signature(""), "invalid_signature", "X-Signature"),
        bad("a signature of another", sign().signature(right), "invalid_signature", "X-Signature"),
        bad("a signature of zeros", sign().signature(STANDARD.encode([0_u8; 64])), "invalid_signature", "X-Signature"),
        bad(
            "a signature of 63 bytes",
            sign().signature(STANDARD.encode([1_u8; 63])),
            "invalid_signature",
            "X-Signature",
        ),
        bad(
            "a signature of 65 bytes",
            sign().signature(STANDARD.encode([1_u8; 65])),
            "invalid_signature",
            "X-Signature",
        ),
        bad("a signature in hex", sign().signature("01".repeat(64)), "invalid_signature", "X-Signature"),
        bad("a signature that is not base64", sign().signature("!?"), "invalid_signature", "X-Signature"),
        bad("a signature of other letters", sign().signature("подпись"), "invalid_signature", "X-Signature"),
        bad("an endless signature", sign().signature("A".repeat(40_000)), "invalid_signature", "X-Signature"),
        Row::taken("four minutes ago", Signed::at(world, -240).request(), 200),
        Row::taken("in four minutes", Signed::at(world, 240).request(), 200),
        Row::taken("a nonce of 128 characters", sign().nonce("!~".repeat(64)).request(), 200),
        Row::taken("a time of another zone", sign().timestamp(&elsewhere()).request(), 200),
    ];
    let headers = ["X-Timestamp", "X-Nonce", "X-Signature"];
    for missing in 0..8 {
        let mut signed = Request::new("GET", "/messages").bearer(&world.signed.api_key);
        let mut plain = Request::new("GET", "/messages").bearer(&world.plain.api_key);
        for (n, name) in headers.into_iter().enumerate().filter(|(n, _)| missing & (1 << n) == 0) {
            let value = [Timestamp::now().to_string(), "n".to_owned(), "s".to_owned()][n].clone();
            signed = signed.header(name, &value);
            plain = plain.header(name, &value);
        }
        if missing != 0 {
            rows.push(Row::refused(
                &format!("headers missing: {missing:03b}"),
                signed,
                401,
                "signature_required",
                "X-Signature",
            ));
        }
        if missing != 7 {
            let name = format!("headers missing of a session without a key: {missing:03b}");
            rows.push(Row::refused(&name, plain, 401, "unexpected_signature", "no public key"));
        }
    }
    rows
}

/// A right signature in the wrong alphabet. Not every signature has a letter that differs, so nonces are tried.
fn url_safe(world: &World) -> Signed<'_> {
    let key = world.signed.key.as_ref().unwrap();
    loop {
        let signed = Signed::new(world);
        let text = signed_text(&signed.timestamp, std::str::from_utf8(&signed.nonce).unwrap(), "/messages", b"");
        let encoded = STANDARD.encode(key.sign(text.as_bytes()));
        if encoded.contains(['+', '/']) {
            return signed.signature(encoded.replace('+', "-").replace('/', "_"));
        }
    }
}

/// The present, as it is written two hours east.
fn elsewhere() -> String {
    let there = Timestamp::from_millis(Timestamp::now().millis() + Duration::from_secs(7200).as_millis() as u64);
    there.to_string().replace('Z', "+02:00")
}

/// Signatures that are right for something else than what is sent.
fn other_texts(world: &World) -> Vec<Row> {
    let own = world.signed.key.as_ref().unwrap();
    let stranger = KeyPair::generate();
    let send = |method: &str, path: &str, body: &str, key: &KeyPair, signed_path: &str, signed_body: &str| {
        let mut request = Request::new(method, path).bearer(&world.signed.api_key).body(body);
        for (name, value) in crate::support::client::signature(key, signed_path, signed_body.as_bytes()) {
            request = request.header(name, value);
        }
        request
    };
    let wrong = |name: &str, request| Row::refused(name, request, 401, "invalid_signature", "X-Signature");
    vec![
        wrong("another path", send("GET", "/channels", "", own, "/messages", "")),
        wrong("the path in capitals", send("GET", "/channels", "", own, "/CHANNELS", "")),
        wrong("the path with its query", send("GET", "/messages?limit=1", "", own, "/messages?limit=1", "")),
        wrong("the path decoded", send("DELETE", "/channels/%61", "", own, "/channels/a", "")),
        wrong("another body", send("POST", "/reply", "{}", own, "/reply", "{ }")),
        wrong("no body", send("POST", "/reply", "{}", own, "/reply", "")),
        wrong("a body that was not sent", send("POST", "/channels", "", own, "/channels", "{}")),
        wrong("the body of a GET", send("GET", "/messages", "{}", own, "/messages", "{}")),
        wrong("another key", send("GET", "/messages", "", &stranger, "/messages", "")),
        Row::taken("a GET with a body that is not signed", send("GET", "/messages", "{}", own, "/messages", ""), 200),
        Row::taken("a query that is not signed", send("GET", "/messages?limit=1", "", own, "/messages", ""), 200),
    ]
}

fn capabilities(world: &World) -> Vec<Row> {
    let path = format!("/webhook/{}", world.webhook.id);
    let responses = format!("/responses/{}", world.webhook.id);
    let secret = &world.webhook.secret;
    let hook = |query: &str| Request::new("POST", format!("{path}{query}")).body("hello");
    let wrong = |name: &str, request| Row::refused(name, request, 401, "invalid_token", "token");
    vec![
        wrong("a webhook without a token", hook("")),
        wrong("a webhook with an empty token", hook("?token=")),
        wrong("a webhook with a wrong token", hook("?token=0123456789abcdef")),
        wrong("a webhook with half a token", hook(&format!("?token={}", &secret[..16]))),
        wrong("a webhook with more than its token", hook(&format!("?token={secret}x"))),
        wrong("a webhook with a token that is no UTF-8", hook("?token=%ff")),
        wrong("a webhook with a token of 50 kB", hook(&format!("?token={}", "t".repeat(50_000)))),
        wrong("a webhook with the owner's API key", hook("").bearer(&world.plain.api_key)),
        wrong("a webhook with another channel's token", hook("").bearer(&world.foreign.secret)),
        wrong("a webhook with a wrong X-Webhook-Token", hook("").header("X-Webhook-Token", "wrong")),
        wrong(
            "a disabled webhook with a wrong token",
            Request::new("POST", format!("/webhook/{}?token=x", world.disabled.id)),
        ),
        Row::refused(
            "a disabled webhook",
            Request::new("POST", world.disabled.path()),
            403,
            "channel_disabled",
            "disabled",
        ),
        wrong("responses with a wrong token", Request::new("GET", format!("{responses}?token=wrong"))),
        wrong("responses with a wrong bearer", Request::new("GET", responses).bearer("wrong")),
    ]
}
