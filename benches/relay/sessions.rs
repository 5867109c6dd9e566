//! Users of the relay: sessions, each with a webhook channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chaos_relay::domain::public_key::KeyPair;
use chaos_relay::domain::signing::signed_text;
use chaos_relay::domain::timestamp::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::failure::{Outcome, fail};
use crate::http::{Connection, Request, webhook_body};

/// Connections over which many users are registered.
const REGISTER_AT_ONCE: usize = 32;

/// A session with a webhook channel.
pub struct User {
    /// What the session shows to be itself.
    pub api_key: String,
    /// Its channel.
    pub channel: String,
    secret: String,
}

impl User {
    /// The webhook that an external service posts to this user, numbered anew for each message.
    pub fn webhook(&self) -> Request {
        let secret = format!("X-Webhook-Token: {}", self.secret);
        Request::new("POST", &format!("/webhook/{}", self.channel), &[secret], &webhook_body())
    }

    /// Where this user's socket is opened. What was stored in the last minutes comes down it first.
    pub fn socket_path(&self) -> String {
        format!("/ws?token={}", self.api_key)
    }

    /// The same without anything that was stored before now.
    pub fn socket_path_from_now(&self) -> String {
        format!("{}&since={}", self.socket_path(), Timestamp::now())
    }
}

/// Registers so many users at this replica.
pub async fn register(port: u16, count: usize) -> Outcome<Vec<User>> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..REGISTER_AT_ONCE.min(count) {
        let next = next.clone();
        tasks.spawn(async move {
            let (mut connection, mut users) = (Connection::open(port).await?, Vec::new());
            while next.fetch_add(1, Ordering::Relaxed) < count {
                users.push(register_one(&mut connection, None).await?);
            }
            Outcome::Ok(users)
        });
    }
    let mut users = Vec::with_capacity(count);
    while let Some(done) = tasks.join_next().await {
        users.extend(done??);
    }
    Ok(users)
}

async fn register_one(connection: &mut Connection, key: Option<&KeyPair>) -> Outcome<User> {
    let body = key.map_or_else(|| json!({}), |key| json!({"publicKey": key.public().to_jwk()}));
    let session = connection.post("/auth/register", &[], &body, 200).await?;
    let api_key = text(&session["apiKey"])?;
    let body = json!({});
    let mut headers = vec![format!("Authorization: Bearer {api_key}")];
    headers.extend(key.into_iter().flat_map(|key| signature(key, "/channels", body.to_string().as_bytes()).1));
    let channel = connection.post("/channels", &headers, &body, 201).await?;
    let secret = text(&channel["channel"]["metadata"]["webhookSecret"])?;
    Ok(User { api_key, channel: text(&channel["channel"]["id"])?, secret })
}

fn text(value: &Value) -> Outcome<String> {
    value.as_str().map_or_else(|| fail("an answer of the relay has not what it must have"), |text| Ok(text.to_owned()))
}

/// A new nonce, and the headers that sign a request with it.
fn signature(key: &KeyPair, path: &str, body: &[u8]) -> (String, [String; 3]) {
    let (timestamp, nonce) = (Timestamp::now().to_string(), uuid::Uuid::new_v4().to_string());
    let signature = STANDARD.encode(key.sign(signed_text(&timestamp, &nonce, path, body).as_bytes()));
    let headers =
        [format!("X-Timestamp: {timestamp}"), format!("X-Nonce: {nonce}"), format!("X-Signature: {signature}")];
    (nonce, headers)
}

/// A session that signs what it sends.
pub struct Signer {
    /// The session and its channel.
    pub user: User,
    key: KeyPair,
}

impl Signer {
    /// Registers one with a key of its own.
    pub async fn register(port: u16) -> Outcome<Self> {
        let key = KeyPair::generate();
        let user = register_one(&mut Connection::open(port).await?, Some(&key)).await?;
        Ok(Self { user, key })
    }

    /// A poll for everything there is, good for five minutes and once; and its nonce.
    pub fn poll(&self) -> (String, Request) {
        let (nonce, signed) = signature(&self.key, "/messages", b"");
        let mut headers = vec![format!("Authorization: Bearer {}", self.user.api_key)];
        headers.extend(signed);
        (nonce, Request::new("GET", "/messages", &headers, ""))
    }
}
