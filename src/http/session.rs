//! Endpoints of a session: messages, replies, channels.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::client_ip::base_url;
use super::request::{Query, body, caller, json, json_object};
use super::{HttpError, HttpSettings};
use crate::domain::message::Page;
use crate::domain::timestamp::Timestamp;
use crate::services::Relay;
use crate::services::error::Error;
use crate::services::poll::{MAX_COUNT, MAX_WAIT_SECONDS, PollQuery};

/// `GET /messages`
pub(super) async fn messages(request: HttpRequest, relay: web::Data<Relay>) -> Result<HttpResponse, HttpError> {
    let caller = caller(&relay, &request, b"").await?;
    let query = Query::of(&request);
    let asked = match read_poll_query(&query) {
        Ok(asked) => asked,
        Err(refusal) => {
            relay.admit_poll(&caller).await?;
            return Err(refusal.into());
        }
    };
    let passed = relay.poll(&caller, asked).await?;
    Ok(json(HttpResponse::Ok(), write_page("messages", &passed.value), passed.limit.as_ref()))
}

fn read_poll_query(query: &Query<'_>) -> Result<PollQuery, Error> {
    let count = query.number("limit", 1, MAX_COUNT as u64)?;
    let wait = query.number("wait", 0, MAX_WAIT_SECONDS)?;
    Ok(PollQuery {
        since: query.timestamp("since")?.unwrap_or(Timestamp::EPOCH),
        count: count.and_then(|count| usize::try_from(count).ok()).unwrap_or(MAX_COUNT),
        wait: Duration::from_secs(wait.unwrap_or(0)),
    })
}

/// A page as JSON. The records are written as they are stored, not parsed and serialised again.
pub(super) fn write_page(name: &str, page: &Page) -> String {
    let mut body = format!(r#"{{"{name}":"#);
    page.write_json(&mut body);
    body.push_str(&format!(r#","since":"{}""#, page.cursor));
    if page.more {
        body.push_str(r#","more":true"#);
    }
    body.push('}');
    body
}

/// `POST /reply`
pub(super) async fn reply(
    request: HttpRequest,
    payload: web::Payload,
    relay: web::Data<Relay>,
) -> Result<HttpResponse, HttpError> {
    let body = body(&request, payload).await?;
    let caller = caller(&relay, &request, &body).await?;
    let passed = relay.reply(&caller, json_object(&body)).await?;
    let ack = passed.value;
    let answer = json!({"ok": true, "responseId": ack.response_id, "channel": ack.channel});
    Ok(json(HttpResponse::Ok(), answer.to_string(), passed.limit.as_ref()))
}

/// `GET /replies/{response}`
pub(super) async fn reply_status(
    request: HttpRequest,
    path: web::Path<String>,
    relay: web::Data<Relay>,
) -> Result<HttpResponse, HttpError> {
    let caller = caller(&relay, &request, b"").await?;
    let status = relay.reply_status(&caller, &path).await?;
    Ok(json(HttpResponse::Ok(), status.to_string(), None))
}

/// `POST /typing`
pub(super) async fn typing(
    request: HttpRequest,
    payload: web::Payload,
    relay: web::Data<Relay>,
) -> Result<HttpResponse, HttpError> {
    let body = body(&request, payload).await?;
    let caller = caller(&relay, &request, &body).await?;
    let answer = relay.typing(&caller, json_object(&body)).await?;
    Ok(json(HttpResponse::Ok(), answer.to_string(), None))
}

/// `GET /channels`
pub(super) async fn list_channels(request: HttpRequest, relay: web::Data<Relay>) -> Result<HttpResponse, HttpError> {
    let caller = caller(&relay, &request, b"").await?;
    let answer = relay.list_channels(&caller).await?;
    Ok(json(HttpResponse::Ok(), answer.to_string(), None))
}

/// `POST /channels`
pub(super) async fn create_channel(
    request: HttpRequest,
    payload: web::Payload,
    relay: web::Data<Relay>,
    settings: web::Data<HttpSettings>,
) -> Result<HttpResponse, HttpError> {
    let body = body(&request, payload).await?;
    let caller = caller(&relay, &request, &body).await?;
    let base_url = base_url(&request, &settings);
    let fields = if body.is_empty() { Ok(serde_json::Map::new()) } else { json_object(&body) };
    let passed = relay.create_channel(&caller, fields, &base_url).await?;
    Ok(json(HttpResponse::Created(), passed.value.to_string(), passed.limit.as_ref()))
}

/// `PATCH /channels/{channel}`
pub(super) async fn update_channel(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<String>,
    relay: web::Data<Relay>,
) -> Result<HttpResponse, HttpError> {
    let body = body(&request, payload).await?;
    let caller = caller(&relay, &request, &body).await?;
    let answer = relay.update_channel(&caller, &path, json_object(&body)).await?;
    Ok(json(HttpResponse::Ok(), answer.to_string(), None))
}

/// `DELETE /channels/{channel}`
pub(super) async fn delete_channel(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<String>,
    relay: web::Data<Relay>,
) -> Result<HttpResponse, HttpError> {
    let body = body(&request, payload).await?;
    let caller = caller(&relay, &request, &body).await?;
    let answer = relay.delete_channel(&caller, &path).await?;
    Ok(json(HttpResponse::Ok(), answer.to_string(), None))
}

/// `POST /channels/{channel}/pairing-code`
pub(super) async fn pairing_code(
    request: HttpRequest,
    payload: web::Payload,
    path: web::Path<String>,
    relay: web::Data<Relay>,
) -> Result<HttpResponse, HttpError> {
    let body = body(&request, payload).await?;
    let caller = caller(&relay, &request, &body).await?;
    let answer = relay.pairing_code(&caller, &path).await?;
    Ok(json(HttpResponse::Ok(), answer.to_string(), None))
}
