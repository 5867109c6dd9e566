//! A client of the relay, as an extension or a script would be one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chaos_relay::domain::public_key::KeyPair;
use chaos_relay::domain::signing::signed_text;
use chaos_relay::domain::timestamp::Timestamp;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::relay::Replica;
use super::secrets;
use super::socket::Socket;

/// A registered session. Every call names the replica it goes to.
pub struct Client {
    pub user_id: String,
    pub api_key: String,
    pub key: Option<KeyPair>,
    http: reqwest::Client,
}

/// A webhook channel and its capability.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub id: String,
    pub secret: String,
}

/// Reads an answer whose status must be this one.
pub async fn expect(answer: Response, status: u16) -> Value {
    let actual = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    assert_eq!(actual, status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

impl Client {
    /// Registers without a key: a bearer token is all it has.
    pub async fn register(replica: &Replica) -> Self {
        Self::register_with(replica, None).await
    }

    /// Registers with a fresh key and signs everything.
    pub async fn register_signed(replica: &Replica) -> Self {
        Self::register_with(replica, Some(KeyPair::generate())).await
    }

    /// Registers with the given key.
    pub async fn register_with(replica: &Replica, key: Option<KeyPair>) -> Self {
        let http = reqwest::Client::new();
        let body = key.as_ref().map_or(json!({}), |key| json!({"publicKey": key.public().to_jwk()}));
        let answer = http.post(format!("{}/auth/register", replica.url())).json(&body).send().await.unwrap();
        let answer = expect(answer, 200).await;
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        secrets::note(&text("apiKey"));
        Self { user_id: text("userId"), api_key: text("apiKey"), key, http }
    }

    /// A request with the bearer token and, for a session with a key, its signature.
    pub fn request(&self, replica: &Replica, method: Method, path_and_query: &str, body: &[u8]) -> RequestBuilder {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path_and_query}", replica.url()))
            .bearer_auth(&self.api_key)
            .body(body.to_vec());
        if let Some(key) = &self.key {
            let path = path_and_query.split('?').next().unwrap();
            let signed_body: &[u8] = if method == Method::GET { b"" } else { body };
            for (name, value) in signature(key, path, signed_body) {
                request = request.header(name, value);
            }
        }
        request
    }

    pub async fn get(&self, replica: &Replica, path: &str) -> Response {
        self.request(replica, Method::GET, path, b"").send().await.unwrap()
    }

    pub async fn send(&self, replica: &Replica, method: Method, path: &str, body: &Value) -> Response {
        self.request(replica, method, path, body.to_string().as_bytes()).send().await.unwrap()
    }

    pub async fn post(&self, replica: &Replica, path: &str, body: &Value) -> Response {
        self.send(replica, Method::POST, path, body).await
    }

    /// Makes a webhook channel with these settings.
    pub async fn make_webhook(&self, replica: &Replica, settings: Value) -> Webhook {
        let answer = expect(self.post(replica, "/channels", &settings).await, 201).await;
        let secret = answer["channel"]["metadata"]["webhookSecret"].as_str().unwrap().to_owned();
        secrets::note(&secret);
        Webhook { id: answer["channel"]["id"].as_str().unwrap().to_owned(), secret }
    }

    /// Polls once.
    pub async fn poll(&self, replica: &Replica, query: &str) -> Value {
        expect(self.get(replica, &format!("/messages{query}")).await, 200).await
    }

    /// Follows `since` until there is no more, and gives every message in order.
    pub async fn poll_all(&self, replica: &Replica) -> Vec<Value> {
        let mut all = Vec::new();
        let mut query = String::new();
        loop {
            let page = self.poll(replica, &query).await;
            all.extend(page["messages"].as_array().unwrap().iter().cloned());
            if page["more"] != json!(true) {
                return all;
            }
            query = format!("?since={}", page["since"].as_str().unwrap());
        }
    }

    /// Replies over HTTP; gives the response's id.
    pub async fn reply(&self, replica: &Replica, channel: &str, content: &str) -> String {
        let answer = self.post(replica, "/reply", &json!({"channelId": channel, "content": content})).await;
        expect(answer, 200).await["responseId"].as_str().unwrap().to_owned()
    }

    /// Opens a socket; `query` follows the token.
    pub async fn open(&self, replica: &Replica, query: &str) -> Socket {
        Socket::open(&format!("{}/ws?token={}{query}", replica.ws_url(), self.api_key)).await
    }
}

/// The three headers of a signature.
pub fn signature(key: &KeyPair, path: &str, body: &[u8]) -> [(&'static str, String); 3] {
    let timestamp = Timestamp::now().to_string();
    let nonce = uuid::Uuid::new_v4().to_string();
    let signature = STANDARD.encode(key.sign(signed_text(&timestamp, &nonce, path, body).as_bytes()));
    [("X-Timestamp", timestamp), ("X-Nonce", nonce), ("X-Signature", signature)]
}

impl Webhook {
    pub fn path(&self) -> String {
        format!("/webhook/{}?token={}", self.id, self.secret)
    }

    /// Posts a text and gives the answer as it is.
    pub async fn post(&self, replica: &Replica, text: &str) -> Result<Response, reqwest::Error> {
        static HTTP: std::sync::LazyLock<reqwest::Client> = std::sync::LazyLock::new(reqwest::Client::new);
        HTTP.post(format!("{}{}", replica.url(), self.path()))
            .header("Content-Type", "text/plain")
            .body(text.to_owned())
            .send()
            .await
    }

    /// Posts a text that must be accepted; gives the message's id.
    pub async fn deliver(&self, replica: &Replica, text: &str) -> String {
        let answer = expect(self.post(replica, text).await.unwrap(), 200).await;
        answer["messageId"].as_str().unwrap().to_owned()
    }
}

/// The contents of messages or responses.
pub fn contents(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["content"].as_str().unwrap()).collect()
}
