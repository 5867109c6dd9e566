//! What every request meets first and every answer last: the request's id, CORS and caching, the count of refusals,
//! and the log line.

use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, UPGRADE,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpResponse, web};
use uuid::Uuid;

use super::error::ErrorCode;
use super::request::{discard, header};
use crate::services::{Relay, Shared};
use crate::store::operator::Counter;
use crate::telemetry::traces::{Span, Traces, within};

/// Methods that are told apart where requests are counted.
const KNOWN_METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS, Method::PUT];

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// CORS headers of every answer but the operator's: any origin may call, since no other endpoint trusts a browser's
/// cookies.
static CORS: [(HeaderName, HeaderValue); 2] = [
    (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    (
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-Id, Mcp-Session-Id",
        ),
    ),
];

/// CORS headers that only a preflight needs.
static PREFLIGHT: [(HeaderName, HeaderValue); 3] = [
    (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PATCH, DELETE, OPTIONS")),
    (
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Content-Type, Authorization, X-Timestamp, X-Nonce, X-Signature, Idempotency-Key, X-Webhook-Token, \
             X-Webhook-Source, X-Request-Id, Mcp-Session-Id, MCP-Protocol-Version, Last-Event-ID",
        ),
    ),
    // A day; browsers cap it at less.
    (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400")),
];

/// The middleware around all routes.
pub async fn edge(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    // What these methods bring along is read by no handler.
    if matches!(method, Method::GET | Method::HEAD | Method::OPTIONS) && !request.headers().contains_key(UPGRADE) {
        discard(request.take_payload()).await;
    }
    let is_admin = is_admin(request.path());
    let relay = request.app_data::<web::Data<Relay>>().cloned();
    let mut step = relay.as_ref().map_or_else(Span::default, |relay| begin(&relay.shared.traces, &request));
    let mut response = if method == Method::OPTIONS && !is_admin {
        let mut preflight = HttpResponse::new(StatusCode::NO_CONTENT);
        add(preflight.headers_mut(), &PREFLIGHT);
        request.into_response(preflight).map_into_right_body()
    } else {
        within(step.context(), next.call(request)).await?.map_into_left_body()
    };
    let status = response.status();
    let headers = response.headers_mut();
    if !is_admin {
        add(headers, &CORS);
    }
    // Nothing between here and the client keeps an answer, unless its handler allows it, or takes it for another type
    // than it is.
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID.clone(), value);
    }
    // The template, never the path or query: those may hold a token.
    let route = response.request().match_pattern();
    if step.is_recorded() {
        describe(&mut step, &method, route.as_deref(), status);
    }
    if let Some(relay) = &relay {
        let route = route.as_deref().unwrap_or("(none)");
        count(&relay.shared, &response, &method, route, started.elapsed());
    }
    tracing::info!(
        method = %method,
        route = route.as_deref().unwrap_or("(none)"),
        status = status.as_u16(),
        ms = started.elapsed().as_millis() as u64,
        request_id = %id,
        "request"
    );
    Ok(response)
}

/// Begins the step that a request is, unless nobody traces what it asks for: those who look whether the relay is well,
/// and read its metrics, come all the time.
fn begin(traces: &Traces, request: &ServiceRequest) -> Span {
    if !traces.is_on() || request.path().starts_with("/health") || request.path() == "/metrics" {
        return Span::default();
    }
    traces.begin("HTTP", || header(request.headers(), "traceparent")?.parse().ok())
}

/// Says of a request what may be known of it: the template of its path, never the path or query.
fn describe(step: &mut Span, method: &Method, route: Option<&str>, status: StatusCode) {
    let is_known = KNOWN_METHODS.contains(method);
    let shown = if is_known { method.as_str() } else { "_OTHER" };
    step.rename(|| {
        let method = if is_known { shown } else { "HTTP" };
        route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
    });
    step.set("http.request.method", || shown.to_owned());
    if let Some(route) = route {
        step.set("http.route", || route.to_owned());
    }
    step.set("http.response.status_code", || i64::from(status.as_u16()));
    if status.is_server_error() {
        step.failed(status.as_u16().to_string());
    }
}

/// Whether a path is one of the operator's, which other origins have no business with.
fn is_admin(path: &str) -> bool {
    path.strip_prefix("/admin").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Counts an answer for those who watch.
fn count<B>(shared: &Shared, response: &ServiceResponse<B>, method: &Method, route: &str, time: Duration) {
    let status = response.status();
    // Anybody can make up a method.
    let method = if KNOWN_METHODS.contains(method) { method.as_str() } else { "other" };
    // How long these take is up to whoever asks.
    let is_held = route == "/ws" || (route == "/messages" && response.request().query_string().contains("wait="));
    shared.metrics.request(route, method, status.as_u16(), Some(time).filter(|_| !is_held));
    match status {
        StatusCode::TOO_MANY_REQUESTS => {
            shared.tally.count(Counter::RateLimited);
            shared.metrics.rate_limited(route);
        }
        StatusCode::UNAUTHORIZED => {
            shared.tally.count(Counter::Unauthorized);
            let reason = response.response().extensions().get::<ErrorCode>().map_or("other", |code| code.0);
            shared.metrics.unauthorized(reason);
        }
        _ => {}
    }
}

fn add(headers: &mut HeaderMap, values: &[(HeaderName, HeaderValue)]) {
    for (name, value) in values {
        headers.insert(name.clone(), value.clone());
    }
}

/// The caller's id for the request if it is a sane one, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let is_sane = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    match header(headers, &REQUEST_ID).filter(is_sane) {
        Some(id) => id.to_owned(),
        None => Uuid::new_v4().as_hyphenated().to_string(),
    }
}
