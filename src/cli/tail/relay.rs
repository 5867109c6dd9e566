//! The relay as a client sees it: a session, what it asks for, and its socket.

use std::time::Duration;

use awc::error::{PayloadError, SendRequestError, WsClientError};
use awc::http::header::{LOCATION, RETRY_AFTER};
use awc::http::{Method, StatusCode, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use chaos_relay::domain::public_key::KeyPair;
use chaos_relay::domain::signing::signed_text;
use chaos_relay::domain::text::single_line;
use chaos_relay::domain::timestamp::Timestamp;

use super::socket::{MAX_FRAME, Socket};

/// How long a connection, and with it a request, may take.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the relay's base URL, on which paths are put; it may have a path of its own, behind a proxy.
pub fn read_server(text: &str) -> Result<String, String> {
    let is_base = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    match Url::parse(text).ok().filter(is_base) {
        Some(url) => Ok(url.as_str().trim_end_matches('/').to_owned()),
        None => Err("expected an http or https URL such as http://localhost:8787".to_owned()),
    }
}

/// Why the relay did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection, or it broke.
    #[error("{server} cannot be reached ({reason}): is it running? start it with: chaos-relay")]
    Unreachable {
        /// The base URL.
        server: String,
        /// What the network said.
        reason: String,
    },
    /// Whatever answers there, it does not speak as a relay does.
    #[error("{server} does not answer like a relay{hint}")]
    NotARelay {
        /// The base URL.
        server: String,
        /// What else is known.
        hint: String,
    },
    /// The relay said no.
    #[error("the relay refused: {sentence}")]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// The relay's own words.
        sentence: String,
        /// When to try again, in seconds.
        retry_after: Option<u64>,
    },
}

impl Failure {
    /// Whether the relay does not know the session.
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::UNAUTHORIZED, .. })
    }

    /// How long the relay asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => retry_after.map(Duration::from_secs),
            _ => None,
        }
    }
}

/// A session with the relay.
pub struct Relay {
    server: String,
    http: awc::Client,
    /// What signs the requests; a session that was made elsewhere is only listened to.
    keys: Option<KeyPair>,
    api_key: SecretString,
}

impl Relay {
    /// Makes a session with a new key.
    pub async fn register(server: String) -> Result<Self, Failure> {
        let mut relay = Self::new(server, Some(KeyPair::generate()), SecretString::default());
        relay.reclaim().await?;
        Ok(relay)
    }

    /// A session that exists. Whether the relay knows it shows when the socket is opened.
    pub fn existing(server: String, api_key: SecretString) -> Self {
        Self::new(server, None, api_key)
    }

    fn new(server: String, keys: Option<KeyPair>, api_key: SecretString) -> Self {
        // The socket needs HTTP/1.1, which is all that may be offered to a TLS server then.
        let http =
            awc::Client::builder().timeout(TIMEOUT).disable_redirects().max_http_version(Version::HTTP_11).finish();
        Self { server, http, keys, api_key }
    }

    /// Registers with the key of this session, which gives back the same session if the relay knows it,
    /// and else one of the same user. A session that was made elsewhere has no such key, and stays as it is.
    pub async fn reclaim(&mut self) -> Result<(), Failure> {
        let Some(keys) = &self.keys else { return Ok(()) };
        let body = json!({ "publicKey": keys.public().to_jwk() });
        let request = self.http.post(format!("{}/auth/register", self.server)).force_close();
        let answer = self.answer(request.send_json(&body).await).await?;
        self.api_key = self.text(&answer, "/apiKey")?.into();
        Ok(())
    }

    /// Opens the socket; it begins with everything after `since`.
    pub async fn open_socket(&self, since: Timestamp) -> Result<Socket, Failure> {
        let since = since.to_string();
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", self.api_key.expose_secret())
            .append_pair("since", &since)
            .finish();
        let request = self.http.ws(format!("{}/ws?{query}", self.server)).max_frame_size(MAX_FRAME);
        match request.connect().await {
            Ok((_, frames)) => Ok(Socket::new(frames)),
            Err(WsClientError::SendRequest(error)) => Err(self.unreachable(error)),
            Err(WsClientError::InvalidResponseStatus(status)) if is_of_a_relay(status) => {
                Err(Failure::Refused { status, sentence: status.to_string(), retry_after: None })
            }
            Err(WsClientError::InvalidResponseStatus(status)) => Err(self.not_a_relay(&format!("status {status}"))),
            Err(_) => Err(self.not_a_relay("no WebSocket")),
        }
    }

    /// Asks for something.
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.signed(Method::GET, path, String::new(), TIMEOUT).await
    }

    /// Has something made, within this time.
    pub async fn post(&self, path: &str, body: &Value, time: Duration) -> Result<Value, Failure> {
        self.signed(Method::POST, path, body.to_string(), time).await
    }

    /// Has something deleted, within this time.
    pub async fn delete(&self, path: &str, time: Duration) -> Result<(), Failure> {
        self.signed(Method::DELETE, path, String::new(), time).await.map(drop)
    }

    /// Sends a request that proves who sends it. What is signed is the path as the relay sees it, without
    /// the one that a proxy in front of it takes away.
    async fn signed(&self, method: Method, path: &str, body: String, time: Duration) -> Result<Value, Failure> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.server))
            .timeout(time)
            .force_close()
            .bearer_auth(self.api_key.expose_secret())
            .content_type("application/json");
        if let Some(keys) = &self.keys {
            let timestamp = Timestamp::now().to_string();
            let nonce = Uuid::new_v4().to_string();
            let signature = keys.sign(signed_text(&timestamp, &nonce, path, body.as_bytes()).as_bytes());
            request = request
                .insert_header(("X-Timestamp", timestamp))
                .insert_header(("X-Nonce", nonce))
                .insert_header(("X-Signature", STANDARD.encode(signature)));
        }
        self.answer(request.send_body(body).await).await
    }

    async fn answer<S>(&self, sent: Result<awc::ClientResponse<S>, SendRequestError>) -> Result<Value, Failure>
    where
        S: Stream<Item = Result<Bytes, PayloadError>>,
    {
        let mut answer = sent.map_err(|error| self.unreachable(error))?;
        let status = answer.status();
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let retry_after = header(RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
        if status.is_redirection() {
            let target = header(LOCATION).unwrap_or_default();
            return Err(self.not_a_relay(&format!("it sends elsewhere: {}", single_line(&target))));
        }
        let body = answer.json::<Value>().await.map_err(|_| self.not_a_relay(&format!("status {status}, no JSON")))?;
        if status.is_success() {
            return Ok(body);
        }
        let sentence = single_line(&self.text(&body, "/error")?).into_owned();
        Err(Failure::Refused { status, sentence, retry_after })
    }

    /// A text that must be in an answer.
    pub fn text(&self, answer: &Value, pointer: &str) -> Result<String, Failure> {
        let text = answer.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| self.not_a_relay(&format!("{pointer} is missing")))
    }

    /// The failure that an answer is which a relay would not give.
    pub fn not_a_relay(&self, hint: &str) -> Failure {
        Failure::NotARelay { server: self.server.clone(), hint: format!(" ({hint})") }
    }

    fn unreachable(&self, error: SendRequestError) -> Failure {
        let reason = match error {
            SendRequestError::Connect(error) => error.to_string(),
            other => other.to_string(),
        };
        Failure::Unreachable { server: self.server.clone(), reason }
    }
}

/// Whether a relay refuses a socket with this status.
fn is_of_a_relay(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS) || status.is_server_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_base_url_with_or_without_a_slash() {
        for (text, base) in [
            ("http://localhost:8787", "http://localhost:8787"),
            ("https://relay.example.org/", "https://relay.example.org"),
            ("https://example.org/relay/", "https://example.org/relay"),
            ("http://[::1]:8787/", "http://[::1]:8787"),
        ] {
            assert_eq!(read_server(text).as_deref(), Ok(base));
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for bad in [
            "",
            "localhost:8787",
            "ws://localhost",
            "http://",
            "http://u:p@localhost",
            "http://localhost/?a=1",
            "http://localhost/#a",
        ] {
            assert!(read_server(bad).is_err(), "{bad}");
        }
    }
}
