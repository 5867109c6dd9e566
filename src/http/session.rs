//! Endpoints of a session: messages, replies, channels.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::client_ip::base_url;
use super::error::unknown_path;
use super::request::{Query, SessionRequest, json};
use super::{HttpError, HttpSettings};
use crate::domain::channel::ChannelKind;
use crate::domain::message::Page;
use crate::domain::timestamp::Timestamp;
use crate::hub::Hub;
use crate::services::error::Error;
use crate::services::poll::{MAX_COUNT, MAX_WAIT_SECONDS, PollQuery};

type Answer = Result<HttpResponse, HttpError>;

/// `GET /messages`
pub(super) async fn messages(session: SessionRequest, request: HttpRequest, hub: web::Data<Hub>) -> Answer {
    let passed = session.relay.poll(&hub, &session.caller, read_poll_query(&Query::of(&request))).await?;
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
pub(super) async fn reply(session: SessionRequest) -> Answer {
    let passed = session.relay.reply(&session.caller, session.object()).await?;
    let ack = passed.value;
    let answer = json!({"ok": true, "responseId": ack.response_id, "channel": ack.channel});
    Ok(json(HttpResponse::Ok(), answer.to_string(), passed.limit.as_ref()))
}

/// `GET /replies/{response}`
pub(super) async fn reply_status(session: SessionRequest, path: web::Path<String>) -> Answer {
    let status = session.relay.reply_status(&session.caller, &path).await?;
    Ok(json(HttpResponse::Ok(), status.to_string(), None))
}

/// `POST /typing`
pub(super) async fn typing(session: SessionRequest) -> Answer {
    let answer = session.relay.typing(&session.caller, session.object()).await?;
    Ok(json(HttpResponse::Ok(), answer.to_string(), None))
}

/// `GET /channels`
pub(super) async fn list_channels(session: SessionRequest) -> Answer {
    let answer = session.relay.list_channels(&session.caller).await?;
    Ok(json(HttpResponse::Ok(), answer.to_string(), None))
}

/// `POST /channels`
pub(super) async fn create_channel(
    session: SessionRequest,
    request: HttpRequest,
    settings: web::Data<HttpSettings>,
) -> Answer {
    let base_url = base_url(&request, &settings);
    let passed = session.relay.create_channel(&session.caller, session.object_or_none(), &base_url).await?;
    Ok(json(HttpResponse::Created(), passed.value.to_string(), passed.limit.as_ref()))
}

/// `PATCH /channels/{channel}`
pub(super) async fn update_channel(session: SessionRequest, path: web::Path<String>) -> Answer {
    let answer = session.relay.update_channel(&session.caller, &path, session.object()).await?;
    Ok(json(HttpResponse::Ok(), answer.to_string(), None))
}

/// `DELETE /channels/{channel}`
pub(super) async fn delete_channel(session: SessionRequest, path: web::Path<String>) -> Answer {
    let answer = session.relay.delete_channel(&session.caller, &path).await?;
    Ok(json(HttpResponse::Ok(), answer.to_string(), None))
}

/// `POST /channels/{channel}/pairing-code`
pub(super) async fn pairing_code(session: SessionRequest, path: web::Path<String>) -> Answer {
    let answer = session.relay.pairing_code(&session.caller, &path).await?;
    Ok(json(HttpResponse::Ok(), answer.to_string(), None))
}

/// `POST /channels/{platform}/register`
pub(super) async fn register_channel(session: SessionRequest, path: web::Path<String>) -> Answer {
    let (relay, caller, body) = (&session.relay, &session.caller, session.object());
    let passed = match ChannelKind::parse(&path) {
        Some(ChannelKind::Telegram) => relay.register_telegram(caller, body).await?,
        Some(ChannelKind::Discord) => relay.register_discord(caller, body).await?,
        Some(ChannelKind::Slack) => relay.register_slack(caller, body).await?,
        Some(ChannelKind::Email) => relay.register_email(caller, body).await?,
        Some(ChannelKind::Webhook) | None => return Ok(unknown_path(&format!("/channels/{path}/register"))),
    };
    Ok(json(HttpResponse::Created(), passed.value.to_string(), passed.limit.as_ref()))
}
