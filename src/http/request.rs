//! What handlers read from a request: the body within its limits, the query, headers, the caller.

use std::borrow::Cow;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, AsHeaderName, CONTENT_LENGTH, HeaderMap};
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::{Bytes, BytesMut};
use futures_util::future::LocalBoxFuture;
use futures_util::{Stream, StreamExt as _};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::HttpError;
use super::error::{JSON, add_limit};
use crate::domain::limit::LimitStatus;
use crate::domain::timestamp::Timestamp;
use crate::services::Relay;
use crate::services::authenticate::{Caller, Credentials};
use crate::services::error::Error;

/// Largest body, in bytes. Part of the wire contract.
const MAX_BODY: usize = 1024 * 1024;
/// How long a body may take to arrive. A slow mobile link sends the largest in time.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of a body that is too large is still taken in (and thrown away), and for how long, so that its
/// sender gets to read the refusal instead of a broken connection.
const MAX_DISCARDED: usize = 8 * 1024 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

fn too_large() -> Error {
    Error::TooLarge(format!("the body must be at most {MAX_BODY} bytes"))
}

/// Reads the body.
pub(super) async fn body(request: &HttpRequest, mut payload: web::Payload) -> Result<Bytes, Error> {
    let announced = header(request.headers(), CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let end = Instant::now() + BODY_TIMEOUT;
    let mut whole = BytesMut::new();
    if announced.is_some_and(|length| length > MAX_BODY as u64) {
        discard(payload).await;
        return Err(too_large());
    }
    loop {
        match timeout_at(end, payload.next()).await {
            Ok(Some(Ok(part))) if whole.len() + part.len() > MAX_BODY => {
                discard(payload).await;
                return Err(too_large());
            }
            Ok(Some(Ok(part))) => whole.extend_from_slice(&part),
            Ok(Some(Err(_))) => return Err(Error::invalid("broken_body", "the body broke off or is not well-formed")),
            Ok(None) => return Ok(whole.freeze()),
            Err(_) => return Err(Error::TooSlow("the body took longer than 30 seconds to arrive")),
        }
    }
}

/// Takes in a body that nobody wants, within bounds. Left unread, it would keep the connection's next
/// request from being read.
pub(super) async fn discard(mut payload: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin) {
    let end = Instant::now() + DISCARD_TIMEOUT;
    let mut discarded = 0;
    while let Ok(Some(Ok(part))) = timeout_at(end, payload.next()).await {
        discarded += part.len();
        if discarded > MAX_DISCARDED {
            return;
        }
    }
}

/// Reads a body as a JSON object.
pub fn json_object(body: &[u8]) -> Result<Map<String, Value>, Error> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::invalid("invalid_json", "the body must be a JSON object")),
        // The parser's complaint names the place, never the content.
        Err(error) => Err(Error::invalid("invalid_json", format!("the body is not JSON: {error}"))),
    }
}

/// A header as text; `None` when it is absent or not text.
pub(super) fn header(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// A header of the signature: one that is not text is there all the same, and wrong.
fn signature_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// The token of `Authorization: Bearer <token>`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = header(headers, AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The query of a URL.
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Reads the query of this request. What cannot be decoded stays as it was sent.
    pub fn of(request: &'a HttpRequest) -> Self {
        Self(form_urlencoded::parse(request.query_string().as_bytes()).collect())
    }

    /// A parameter; one that is empty counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_ref());
        value.filter(|value| !value.is_empty())
    }

    /// A timestamp.
    pub fn timestamp(&self, name: &'static str) -> Result<Option<Timestamp>, Error> {
        self.get(name)
            .map(|text| {
                Timestamp::parse(text).ok_or_else(|| {
                    Error::invalid(
                        "invalid_query",
                        format!("{name} must be an RFC 3339 timestamp such as 2026-01-15T10:30:00.123Z"),
                    )
                })
            })
            .transpose()
    }

    /// A whole number within bounds.
    pub fn number(&self, name: &'static str, min: u64, max: u64) -> Result<Option<u64>, Error> {
        self.get(name)
            .map(|text| {
                text.parse().ok().filter(|number| (min..=max).contains(number)).ok_or_else(|| {
                    Error::invalid("invalid_query", format!("{name} must be a whole number from {min} to {max}"))
                })
            })
            .transpose()
    }
}

/// A request of a session: its body, and who is calling, with the signature checked. Whether the session
/// is still there and the nonce new is found by the gate of what is called.
pub(super) struct SessionRequest {
    /// This worker's relay.
    pub(super) relay: web::Data<Relay>,
    /// Who is calling.
    pub(super) caller: Caller,
    body: Bytes,
}

impl SessionRequest {
    /// The body as a JSON object.
    pub(super) fn object(&self) -> Result<Map<String, Value>, Error> {
        json_object(&self.body)
    }

    /// The same where the body may be left out.
    pub(super) fn object_or_none(&self) -> Result<Map<String, Value>, Error> {
        if self.body.is_empty() { Ok(Map::new()) } else { self.object() }
    }

    async fn read(request: HttpRequest, payload: web::Payload) -> Result<Self, HttpError> {
        let relay = request
            .app_data::<web::Data<Relay>>()
            .ok_or_else(|| Error::Internal("a worker without a relay".to_owned()))?
            .clone();
        // The body of a GET means nothing and is not signed.
        let body = match *request.method() {
            Method::GET | Method::HEAD => Bytes::new(),
            _ => body(&request, payload).await?,
        };
        let headers = request.headers();
        let credentials = Credentials {
            api_key: bearer(headers),
            timestamp: signature_header(headers, "X-Timestamp"),
            nonce: signature_header(headers, "X-Nonce"),
            signature: signature_header(headers, "X-Signature"),
            path: request.uri().path(),
            body: &body,
        };
        let caller = relay.authenticate(&credentials).await?;
        Ok(Self { relay, caller, body })
    }
}

impl FromRequest for SessionRequest {
    type Error = HttpError;
    type Future = LocalBoxFuture<'static, Result<Self, HttpError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = web::Payload::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let payload = payload.await.map_err(|error| Error::Internal(error.to_string()))?;
            Self::read(request, payload).await
        })
    }
}

/// A JSON answer, with the limit's headers where one was counted.
pub(super) fn json(
    mut answer: HttpResponseBuilder,
    body: impl Into<String>,
    limit: Option<&LimitStatus>,
) -> HttpResponse {
    if let Some(limit) = limit {
        add_limit(&mut answer, limit);
    }
    answer.content_type(JSON).body(body.into())
}
