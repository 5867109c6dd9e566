//! The relay as a client sees it: a session, its webhook and its socket.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use actix_ws::Item;
use awc::error::{PayloadError, SendRequestError, WsClientError, WsProtocolError};
use awc::http::header::{LOCATION, RETRY_AFTER};
use awc::http::{Method, StatusCode, Version};
use awc::ws::{CloseCode, Frame, Message};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{Sink, Stream};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use chaos_relay::domain::public_key::KeyPair;
use chaos_relay::domain::signing::signed_text;
use chaos_relay::domain::text::single_line;
use chaos_relay::domain::timestamp::Timestamp;

/// How long a connection, and with it a request, may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest text that the relay may send, whole or in parts, in bytes. Part of the wire contract.
const MAX_FRAME: usize = 1024 * 1024;

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
    /// How long the relay asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => retry_after.map(Duration::from_secs),
            _ => None,
        }
    }
}

/// A webhook channel, with what it takes to make it again under the same URL.
pub struct Webhook {
    id: String,
    secret: String,
    /// Where messages are posted, token included.
    pub url: Url,
}

/// A session with the relay.
pub struct Relay {
    server: String,
    http: awc::Client,
    keys: KeyPair,
    api_key: String,
}

impl Relay {
    /// Makes a session with a new key.
    pub async fn register(server: String) -> Result<Self, Failure> {
        // The socket needs HTTP/1.1, which is all that may be offered to a TLS server then.
        let http =
            awc::Client::builder().timeout(TIMEOUT).disable_redirects().max_http_version(Version::HTTP_11).finish();
        let mut relay = Self { server, http, keys: KeyPair::generate(), api_key: String::new() };
        relay.reclaim().await?;
        Ok(relay)
    }

    /// Registers with the key of this session, which gives back the same session if the relay knows it,
    /// and else one of the same user.
    pub async fn reclaim(&mut self) -> Result<(), Failure> {
        let body = json!({ "publicKey": self.keys.public().to_jwk() });
        let request = self.http.post(format!("{}/auth/register", self.server)).force_close();
        let answer = self.answer(request.send_json(&body).await).await?;
        self.api_key = self.text(&answer, "/apiKey")?;
        Ok(())
    }

    /// Makes the webhook; given one that was, makes that again.
    pub async fn create_webhook(&self, earlier: Option<&Webhook>, is_answered: bool) -> Result<Webhook, Failure> {
        let direction = if is_answered { "bidirectional" } else { "inbound" };
        let mut body = json!({ "name": "tail", "direction": direction });
        if let Some(Webhook { id, secret, .. }) = earlier {
            body["id"] = id.as_str().into();
            body["metadata"] = json!({ "webhookSecret": secret });
        }
        let answer = self.signed(Method::POST, "/channels", body.to_string()).await?;
        Ok(Webhook {
            id: self.text(&answer, "/channel/id")?,
            secret: self.text(&answer, "/channel/metadata/webhookSecret")?,
            url: Url::parse(&self.text(&answer, "/webhookUrl")?)
                .map_err(|_| self.not_a_relay("an unusable webhookUrl"))?,
        })
    }

    /// Deletes the webhook.
    pub async fn delete_webhook(&self, webhook: &Webhook) -> Result<(), Failure> {
        self.signed(Method::DELETE, &format!("/channels/{}", webhook.id), String::new()).await.map(drop)
    }

    /// Opens the socket; it begins with everything after `since`.
    pub async fn open_socket(&self, since: Timestamp) -> Result<Socket, WsClientError> {
        let since = since.to_string();
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", &self.api_key)
            .append_pair("since", &since)
            .finish();
        let request = self.http.ws(format!("{}/ws?{query}", self.server)).max_frame_size(MAX_FRAME);
        let (_, frames) = request.connect().await?;
        Ok(Socket { frames: Box::new(frames), queue: VecDeque::new(), parts: Vec::new() })
    }

    /// Sends a request that proves who sends it. What is signed is the path as the relay sees it, without
    /// the one that a proxy in front of it takes away.
    async fn signed(&self, method: Method, path: &str, body: String) -> Result<Value, Failure> {
        let timestamp = Timestamp::now().to_string();
        let nonce = Uuid::new_v4().to_string();
        let signature = self.keys.sign(signed_text(&timestamp, &nonce, path, body.as_bytes()).as_bytes());
        let request = self
            .http
            .request(method, format!("{}{path}", self.server))
            .force_close()
            .bearer_auth(&self.api_key)
            .insert_header(("X-Timestamp", timestamp))
            .insert_header(("X-Nonce", nonce))
            .insert_header(("X-Signature", STANDARD.encode(signature)))
            .content_type("application/json");
        self.answer(request.send_body(body).await).await
    }

    async fn answer<S>(&self, sent: Result<awc::ClientResponse<S>, SendRequestError>) -> Result<Value, Failure>
    where
        S: Stream<Item = Result<Bytes, PayloadError>>,
    {
        let mut answer = sent.map_err(|error| {
            let reason = match error {
                SendRequestError::Connect(error) => error.to_string(),
                other => other.to_string(),
            };
            Failure::Unreachable { server: self.server.clone(), reason }
        })?;
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

    fn text(&self, answer: &Value, pointer: &str) -> Result<String, Failure> {
        let text = answer.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| self.not_a_relay(&format!("{pointer} is missing")))
    }

    fn not_a_relay(&self, hint: &str) -> Failure {
        Failure::NotARelay { server: self.server.clone(), hint: format!(" ({hint})") }
    }
}

/// Both directions of a WebSocket; awc's own type for it has no name outside.
trait Frames: Stream<Item = Result<Frame, WsProtocolError>> + Sink<Message, Error = WsProtocolError> + Unpin {}
impl<T> Frames for T where
    T: Stream<Item = Result<Frame, WsProtocolError>> + Sink<Message, Error = WsProtocolError> + Unpin
{
}

/// What comes out of a socket.
pub enum Incoming {
    /// A text.
    Text(Bytes),
    /// A sign of life and no more.
    Alive,
    /// The end, with the relay's reason if it gave one.
    Closed(Option<CloseCode>),
}

/// An open socket.
pub struct Socket {
    frames: Box<dyn Frames>,
    queue: VecDeque<Message>,
    /// The beginning of a text that comes in parts, as a proxy may cut it.
    parts: Vec<u8>,
}

impl Socket {
    /// Puts a text in the queue, which [`Socket::next`] sends.
    pub fn send(&mut self, text: &str) {
        self.queue.push_back(Message::Text(text.into()));
    }

    /// Waits for what comes next while sending what is queued. What was not taken for lack of time is not lost.
    pub async fn next(&mut self) -> Incoming {
        match self.frame().await {
            Some(Frame::Text(text)) => Incoming::Text(text),
            Some(Frame::Continuation(part)) => self.part(part),
            Some(Frame::Ping(payload)) => {
                self.queue.push_back(Message::Pong(payload));
                Incoming::Alive
            }
            Some(Frame::Pong(_) | Frame::Binary(_)) => Incoming::Alive,
            Some(Frame::Close(reason)) => Incoming::Closed(reason.map(|reason| reason.code)),
            None => Incoming::Closed(None),
        }
    }

    fn part(&mut self, part: Item) -> Incoming {
        let (bytes, is_last) = match part {
            Item::FirstText(bytes) | Item::FirstBinary(bytes) | Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        if self.parts.len() + bytes.len() > MAX_FRAME {
            return Incoming::Closed(None);
        }
        self.parts.extend_from_slice(&bytes);
        if is_last { Incoming::Text(std::mem::take(&mut self.parts).into()) } else { Incoming::Alive }
    }

    /// Sends and receives at once, since two peers that each wait to be read would wait for ever.
    async fn frame(&mut self) -> Option<Frame> {
        poll_fn(|context| {
            let mut frames = Pin::new(&mut *self.frames);
            while !self.queue.is_empty() {
                match frames.as_mut().poll_ready(context) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(None),
                }
                if let Some(frame) = self.queue.pop_front()
                    && frames.as_mut().start_send(frame).is_err()
                {
                    return Poll::Ready(None);
                }
            }
            if let Poll::Ready(Err(_)) = frames.as_mut().poll_flush(context) {
                return Poll::Ready(None);
            }
            frames.as_mut().poll_next(context).map(|frame| frame.and_then(Result::ok))
        })
        .await
    }
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
