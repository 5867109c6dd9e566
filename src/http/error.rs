//! The one place that makes an HTTP answer of an error.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde_json::json;

use crate::domain::limit::LimitStatus;
use crate::services::error::Error;

/// When a caller should try again if the store is away, in seconds: it comes back by itself within a few.
const STORE_RETRY_SECONDS: u64 = 2;

/// An error on its way out. The services' errors convert to it.
#[derive(Debug)]
pub struct HttpError(Error);

impl<E: Into<Error>> From<E> for HttpError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for HttpError {
    fn status_code(&self) -> StatusCode {
        status(&self.0)
    }

    fn error_response(&self) -> HttpResponse {
        answer(&self.0)
    }
}

/// The status of the answer.
pub(super) fn status(error: &Error) -> StatusCode {
    match error {
        Error::Invalid { .. } => StatusCode::BAD_REQUEST,
        Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Error::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
        Error::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
        Error::Forbidden { .. } | Error::ChannelDisabled => StatusCode::FORBIDDEN,
        Error::NotFound { .. } => StatusCode::NOT_FOUND,
        Error::Conflict { .. } => StatusCode::CONFLICT,
        Error::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
        Error::PlatformRefused(_) => StatusCode::BAD_REQUEST,
        Error::PlatformUnreachable(_) => StatusCode::BAD_GATEWAY,
        Error::NotConfigured(_) | Error::TryAgain { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Seconds after which trying again may help.
pub(super) fn retry_after(error: &Error) -> Option<u64> {
    match error {
        Error::Limited(limit) => Some(limit.reset_seconds()),
        Error::TryAgain { seconds, .. } => Some(*seconds),
        Error::Unavailable(_) => Some(STORE_RETRY_SECONDS),
        _ => None,
    }
}

/// The answer as JSON.
pub(super) fn answer(error: &Error) -> HttpResponse {
    error.log();
    let mut answer = HttpResponse::build(status(error));
    if let Error::Limited(limit) = error {
        add_limit(&mut answer, limit);
    }
    if let Some(seconds) = retry_after(error) {
        answer.insert_header((RETRY_AFTER, seconds));
    }
    json_error(answer, error.code(), &error.sentence())
}

/// The word of an answer that is an error, for whoever counts answers on their way out.
pub(super) struct ErrorCode(pub(super) &'static str);

fn json_error(mut answer: HttpResponseBuilder, code: &'static str, sentence: &str) -> HttpResponse {
    answer.extensions_mut().insert(ErrorCode(code));
    answer.insert_header((CONTENT_TYPE, JSON)).body(json!({"error": sentence, "code": code}).to_string())
}

/// The content type of every JSON answer.
pub(super) const JSON: &str = "application/json; charset=utf-8";

/// Adds the headers that say where a limit stands.
pub(super) fn add_limit(answer: &mut HttpResponseBuilder, limit: &LimitStatus) {
    answer
        .insert_header((&LIMIT, limit.limit.count()))
        .insert_header((&REMAINING, limit.remaining()))
        .insert_header((&RESET, limit.reset_seconds()));
}

static LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
static REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
static RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// The answer to a known path with another method.
pub(super) fn method_not_allowed(allow: &str) -> HttpResponse {
    let mut answer = HttpResponse::MethodNotAllowed();
    answer.insert_header((ALLOW, allow));
    json_error(answer, "method_not_allowed", &format!("this path takes {allow}"))
}

/// The answer to a path that does not exist.
pub(super) fn unknown_path(path: &str) -> HttpResponse {
    let shown: String = path.chars().take(100).collect();
    json_error(HttpResponse::NotFound(), "unknown_path", &format!("there is nothing at {shown:?}"))
}
