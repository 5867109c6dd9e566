//! What the pages show, for programs.

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use super::cursors::write_history;
use super::sessions::HistoryPart;
use super::visit::Visit;
use crate::domain::channel::{Channel, ChannelKind};
use crate::domain::text::preview;
use crate::services::error::Error;
use crate::services::operator::overview::Recent;
use crate::store::operator::{HistoryEntry, ReplyState, SessionOrder, SessionQuery, SessionSummary};

/// Sessions that the status shows: those seen last.
const SESSIONS: usize = 200;
/// Characters of a recent message that it shows.
const PREVIEW: usize = 100;
/// Messages of a page unless it is said how many, and the most.
const PAGE: usize = 50;
const MAX_PAGE: u64 = 200;

/// `GET /admin/status`
pub(super) async fn show(visit: Visit) -> HttpResponse {
    visit
        .json(async |visit| {
            let relay = &visit.relay;
            let query = SessionQuery {
                order: SessionOrder::LastSeen,
                oldest_first: false,
                search: None,
                after: None,
                count: SESSIONS,
            };
            let (overview, list) = tokio::try_join!(relay.overview(), relay.list_sessions(&query))?;
            let status = json!({
                "status": "ok",
                "version": env!("CARGO_PKG_VERSION"),
                "kv": true,
                "websockets": overview.sockets,
                "uptime": overview.uptime.as_secs(),
                "sessions": list.sessions.iter().map(session).collect::<Vec<_>>(),
                "sessionsTotal": list.total,
                "recentMessages": overview.recent.iter().map(recent).collect::<Vec<_>>(),
            });
            Ok(status.to_string())
        })
        .await
}

fn session(summary: &SessionSummary) -> Value {
    json!({
        "userId": summary.user,
        "createdAt": summary.created.to_string(),
        "lastSeenAt": summary.last_seen.to_string(),
        "wsConnections": summary.sockets.len(),
        "channels": summary.channels.iter().map(channel).collect::<Vec<_>>(),
    })
}

fn channel(channel: &Channel) -> Value {
    let mut view = json!({
        "id": channel.id,
        "type": channel.kind,
        "agentId": channel.agent_id,
        "enabled": channel.enabled,
        // A mailbox that is not verified waits for a link to be followed, not for a code.
        "hasPairingCode": channel.pending.is_some() && channel.kind != ChannelKind::Email,
    });
    let known = channel.connection.as_ref().map(|connection| connection.view()).unwrap_or_default();
    for name in ["botUsername", "inboundAddress", "verified"] {
        if let Some(value) = known.get(name) {
            view[name] = value.clone();
        }
    }
    for name in ["allowedUsers", "allowedSenders"] {
        if let Some(value) = channel.metadata.get(name) {
            view[name] = value.clone();
        }
    }
    view
}

/// A message as the wire shows it, with the way it went.
pub(super) fn message(entry: &HistoryEntry) -> Map<String, Value> {
    let mut text = String::new();
    entry.record.write_json(&mut text);
    let mut message: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
    message.insert("direction".to_owned(), entry.direction.as_str().into());
    message
}

fn recent(recent: &Recent) -> Value {
    let mut message = message(&recent.entry);
    let content = message.get("content").and_then(Value::as_str).unwrap_or_default();
    let content = preview(content, PREVIEW).into_owned();
    message.insert("content".to_owned(), content.into());
    message.remove("metadata");
    Value::Object(message)
}

fn delivery(state: &ReplyState) -> Value {
    let mut view = json!({"status": state.status, "attempts": state.attempts});
    if let Some(error) = &state.error {
        view["error"] = json!(error);
    }
    if let Some(next_try) = state.next_try {
        view["nextTryAt"] = json!(next_try.to_string());
    }
    view
}

/// `GET /admin/sessions/{user}/messages`
pub(super) async fn messages(visit: Visit, user: web::Path<String>) -> HttpResponse {
    visit
        .json(async |visit| {
            let query = visit.query();
            let count = match query.number("limit", 1, MAX_PAGE)? {
                Some(count) => usize::try_from(count).unwrap_or(PAGE),
                None => PAGE,
            };
            let part = HistoryPart::of(&query)?;
            let page = visit.relay.open_session(&user, &part.query(count)).await?;
            let messages = page.history.entries.iter().map(|entry| {
                let mut message = message(entry);
                if let Some(state) = entry.record.id().and_then(|id| page.replies.get(&id)) {
                    message.insert("delivery".to_owned(), delivery(state));
                }
                Value::Object(message)
            });
            let mut answer = json!({"messages": messages.collect::<Vec<_>>()});
            if let Some(next) = &page.history.next {
                answer["cursor"] = write_history(next).into();
            }
            Ok::<_, Error>(answer.to_string())
        })
        .await
}
