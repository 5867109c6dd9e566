//! Endpoints without a session: registration, webhooks, and the responses that external services poll.

use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Map;

use super::client_ip::client_ip;
use super::request::{Query, bearer, body, header, json, json_object};
use super::session::write_page;
use super::{HttpError, HttpSettings};
use crate::domain::timestamp::Timestamp;
use crate::services::Relay;
use crate::services::error::Error;
use crate::services::ingest::WebhookRequest;

/// `POST /auth/register`
pub(super) async fn register(
    request: HttpRequest,
    payload: web::Payload,
    relay: web::Data<Relay>,
    settings: web::Data<HttpSettings>,
) -> Result<HttpResponse, HttpError> {
    let address = client_ip(&request, &settings).map_or_else(|| "unknown".to_owned(), |ip| ip.to_string());
    let body = body(&request, payload).await?;
    let limit = relay.admit_registration(&address).await?;
    let fields = if body.is_empty() { Map::new() } else { json_object(&body)? };
    let registration = relay.register(&fields).await?;
    let answer = serde_json::to_string(&registration).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(json(HttpResponse::Ok(), answer, Some(&limit)))
}

/// Headers that make a repeat recognisable; the first one that is there counts.
static IDEMPOTENCY_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("webhook-id"),
    HeaderName::from_static("svix-id"),
];
static WEBHOOK_TOKEN: HeaderName = HeaderName::from_static("x-webhook-token");
static WEBHOOK_SOURCE: HeaderName = HeaderName::from_static("x-webhook-source");

/// `POST /webhook/{channel}`
pub(super) async fn webhook(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<String>,
    relay: web::Data<Relay>,
) -> Result<HttpResponse, HttpError> {
    let body = body(&request, payload).await?;
    let headers = request.headers();
    let query = Query::of(&request);
    let token = query.get("token").or_else(|| bearer(headers)).or_else(|| header(headers, &WEBHOOK_TOKEN));
    let source = headers.get(&WEBHOOK_SOURCE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let accepted = relay
        .ingest_webhook(WebhookRequest {
            channel: &path,
            token,
            content_type: header(headers, CONTENT_TYPE).unwrap_or_default(),
            source: source.as_deref(),
            idempotency_key: IDEMPOTENCY_HEADERS
                .iter()
                .find_map(|name| headers.get(name))
                .map(|value| value.as_bytes()),
            body,
        })
        .await?;
    Ok(json(HttpResponse::Ok(), accepted.answer, Some(&accepted.limit)))
}

/// `GET /responses/{channel}`
pub(super) async fn responses(
    request: HttpRequest,
    path: web::Path<String>,
    relay: web::Data<Relay>,
) -> Result<HttpResponse, HttpError> {
    let query = Query::of(&request);
    let token = query.get("token").or_else(|| bearer(request.headers()));
    let since = query.timestamp("since")?.unwrap_or(Timestamp::EPOCH);
    let (page, limit) = relay.responses(&path, token, since).await?;
    Ok(json(HttpResponse::Ok(), write_page("responses", &page), Some(&limit)))
}
