//! Calls of a platform's API, as adapters describe them. Making them is somebody else's business.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use crate::domain::channel::ChannelKind;
use crate::domain::retry;
use crate::domain::timestamp::Timestamp;

/// Largest body of an answer unless the call says otherwise, in bytes. Answers about messages have a few KiB.
pub const DEFAULT_MAX_BODY: usize = 2 * 1024 * 1024;

/// Method of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are HTTP's own names")]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

impl Method {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A call to be made. Prints neither its URL nor its headers: Telegram has the bot's token in the URL.
pub struct ApiCall {
    /// Whose API it is; each platform has its own share of the calls that may be under way.
    pub platform: ChannelKind,
    /// Method.
    pub method: Method,
    /// The whole URL.
    pub url: SecretString,
    /// Headers beside `Content-Type`.
    pub headers: Vec<(&'static str, SecretString)>,
    /// A JSON body, if there is one.
    pub body: Option<Bytes>,
    /// Largest body of the answer, in bytes. A larger one counts as no answer.
    pub max_body: usize,
    /// What a log line may call it, such as `sendMessage`.
    pub name: &'static str,
}

impl ApiCall {
    /// A call without headers and body, whose answer has at most [`DEFAULT_MAX_BODY`].
    pub fn new(platform: ChannelKind, name: &'static str, method: Method, url: impl Into<SecretString>) -> Self {
        Self { platform, method, url: url.into(), headers: Vec::new(), body: None, max_body: DEFAULT_MAX_BODY, name }
    }

    /// The host it goes to; empty when the URL is none.
    pub fn host(&self) -> String {
        let url = Url::parse(self.url.expose_secret()).ok();
        url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }

    /// With one more header.
    pub fn header(mut self, name: &'static str, value: impl Into<SecretString>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With `Authorization: <scheme> <token>`.
    pub fn authorization(self, scheme: &str, token: &SecretString) -> Self {
        self.header("Authorization", format!("{scheme} {}", token.expose_secret()))
    }

    /// With this body, as JSON.
    pub fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string().into());
        self
    }

    /// With an answer whose body may have so many bytes.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }
}

impl fmt::Debug for ApiCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiCall({} {})", self.platform, self.name)
    }
}

/// A platform's answer.
#[derive(Clone, Debug)]
pub struct ApiAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as far as it was within the limit of the call.
    pub body: Bytes,
}

impl ApiAnswer {
    /// A header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// How long the platform asks to wait by its `Retry-After` header.
    pub fn retry_after(&self) -> Option<Duration> {
        retry::parse_retry_after(self.header("retry-after")?, Timestamp::now())
    }
}

/// Why there is no answer. The texts name neither URL nor token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Too many calls of this platform are under way or waiting. This one was not made.
    #[error("too many calls to the platform are waiting")]
    Busy,
    /// The platform refused too much, and gets no calls for so long. This one was not made.
    #[error("the platform refused too many calls and is left alone for {} seconds", .0.as_secs())]
    Held(Duration),
    /// The answer's body has more bytes than the call allows.
    #[error("the platform's answer has more than {0} bytes")]
    TooLarge(usize),
    /// The platform was not reached, did not answer in time or broke off: nothing is known about the call.
    #[error("{0}")]
    Unreachable(String),
}
