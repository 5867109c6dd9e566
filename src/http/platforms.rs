//! Endpoints that the platforms call.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json as value;

use super::HttpError;
use super::request::{Query, body, header, json};
use crate::channels::adapter::RawEvent;
use crate::domain::channel::ChannelKind;
use crate::services::Relay;
use crate::services::mail::MailRequest;
use crate::services::receive::{PlatformAnswer, PlatformRequest};

type Answer = Result<HttpResponse, HttpError>;

async fn receive(
    kind: ChannelKind,
    request: HttpRequest,
    payload: web::Payload,
    channel: &str,
    relay: &Relay,
) -> Answer {
    let body = body(&request, payload).await?;
    let headers = request.headers();
    let query = Query::of(&request);
    let event = RawEvent { header: &|name| header(headers, name), secret: query.get("secret"), body: &body };
    let passed = relay.receive(PlatformRequest { kind, channel, event }).await?;
    Ok(match passed.value {
        PlatformAnswer::Body(answer) => json(HttpResponse::Ok(), answer.to_string(), passed.limit.as_ref()),
        PlatformAnswer::Nothing => HttpResponse::build(StatusCode::NO_CONTENT).finish(),
    })
}

/// `POST /telegram/{channel}`
pub(super) async fn telegram(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<String>,
    relay: web::Data<Relay>,
) -> Answer {
    receive(ChannelKind::Telegram, request, payload, &path, &relay).await
}

/// `POST /discord/{channel}`
pub(super) async fn discord(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<String>,
    relay: web::Data<Relay>,
) -> Answer {
    receive(ChannelKind::Discord, request, payload, &path, &relay).await
}

/// `POST /slack/{channel}`
pub(super) async fn slack(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<String>,
    relay: web::Data<Relay>,
) -> Answer {
    receive(ChannelKind::Slack, request, payload, &path, &relay).await
}

/// `POST /email/inbound`
pub(super) async fn email(request: HttpRequest, payload: web::Payload, relay: web::Data<Relay>) -> Answer {
    let body = body(&request, payload).await?;
    let headers = request.headers();
    // Svix's own libraries take both names.
    let either = |svix, standard| header(headers, svix).or_else(|| header(headers, standard)).unwrap_or_default();
    relay
        .receive_mail(MailRequest {
            id: either("svix-id", "webhook-id"),
            timestamp: either("svix-timestamp", "webhook-timestamp"),
            signature: either("svix-signature", "webhook-signature"),
            body: &body,
        })
        .await?;
    Ok(json(HttpResponse::Ok(), value!({"ok": true}).to_string(), None))
}
