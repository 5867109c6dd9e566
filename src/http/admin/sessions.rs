//! Sessions: the list, each of them, and what can be done to one.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::access::asked;
use super::cursors::{read_history, read_list};
use super::mutation::Mutation;
use super::notice::Done;
use super::views::{self, Section};
use super::visit::Visit;
use crate::domain::ids::ChannelId;
use crate::http::request::Query;
use crate::services::error::Error;
use crate::store::operator::{Direction, HistoryCursor, HistoryQuery, SessionOrder, SessionQuery};

/// Sessions of a page.
const PAGE: usize = 50;
/// Messages of a session's page.
const HISTORY_PAGE: usize = 50;
/// Characters of a session's id that an operator types to delete it.
const CONFIRMED: usize = 8;
/// Longest text that is searched for, in bytes.
const MAX_SEARCH: usize = 200;

/// `GET /admin/sessions`
pub(super) async fn list(visit: Visit) -> HttpResponse {
    visit
        .show(Section::Sessions, async || {
            let query = visit.query();
            let order = match query.get("order").unwrap_or("seen") {
                "seen" => SessionOrder::LastSeen,
                "created" => SessionOrder::Created,
                _ => return Err(Error::invalid("invalid_query", "order must be seen or created")),
            };
            let oldest_first = match query.get("first").unwrap_or("new") {
                "new" => false,
                "old" => true,
                _ => return Err(Error::invalid("invalid_query", "first must be new or old")),
            };
            let search = asked(&query, "q");
            if search.is_some_and(|search| search.len() > MAX_SEARCH) {
                return Err(Error::invalid("invalid_query", format!("q must be at most {MAX_SEARCH} bytes")));
            }
            let after = query.get("cursor").map(read_list).transpose()?;
            let query = SessionQuery { order, oldest_first, search, after: after.as_ref(), count: PAGE };
            let pulse = async { visit.relay.store.pulse().await.map_err(Error::from) };
            let (list, pulse) = tokio::try_join!(visit.relay.list_sessions(&query), pulse)?;
            Ok(views::sessions(&list, &query, &pulse.replicas))
        })
        .await
}

/// The part of a history that a URL asks for.
pub(super) struct HistoryPart {
    before: Option<HistoryCursor>,
    direction: Option<Direction>,
    channel: Option<ChannelId>,
}

impl HistoryPart {
    pub(super) fn of(query: &Query<'_>) -> Result<Self, Error> {
        let direction = query.get("direction").map(|word| {
            Direction::parse(word).ok_or_else(|| Error::invalid("invalid_query", "direction must be in or out"))
        });
        let channel = asked(query, "channel")
            .map(|id| id.parse().map_err(|_| Error::invalid("invalid_query", "channel must be the id of a channel")));
        Ok(Self {
            before: query.get("cursor").map(read_history).transpose()?,
            direction: direction.transpose()?,
            channel: channel.transpose()?,
        })
    }

    pub(super) fn query(&self, count: usize) -> HistoryQuery<'_> {
        let Self { before, direction, channel } = self;
        HistoryQuery { before: before.as_ref(), direction: *direction, channel: channel.as_ref(), count }
    }
}

/// `GET /admin/sessions/{user}`
pub(super) async fn show(visit: Visit, user: web::Path<String>) -> HttpResponse {
    visit
        .show(Section::Sessions, async || {
            let part = HistoryPart::of(&visit.query())?;
            let query = part.query(HISTORY_PAGE);
            let pulse = async { visit.relay.store.pulse().await.map_err(Error::from) };
            let (session, pulse) = tokio::try_join!(visit.relay.open_session(&user, &query), pulse)?;
            Ok(views::session(&session, &query, &pulse.replicas))
        })
        .await
}

/// `GET /admin/sessions/{user}/delete`
pub(super) async fn confirm(visit: Visit, user: web::Path<String>) -> HttpResponse {
    visit
        .show(Section::Sessions, async || Ok(views::confirm_deletion(&visit.relay.session_summary(&user).await?)))
        .await
}

/// `POST /admin/sessions/{user}/delete`
pub(super) async fn delete_confirmed(mutation: Mutation, user: web::Path<String>) -> HttpResponse {
    let relay = &mutation.visit.relay;
    mutation
        .act("/admin/sessions", async |operator| {
            let typed = mutation.field("confirm").unwrap_or_default();
            let wanted = user.get(..CONFIRMED).unwrap_or(&user);
            if !typed.trim().eq_ignore_ascii_case(wanted) {
                return Err(Error::invalid(
                    "not_confirmed",
                    format!("type the first {CONFIRMED} characters of the session's id to delete it"),
                ));
            }
            relay.delete_session(operator, &user).await?;
            Ok((Some(Done::Deleted), json!({})))
        })
        .await
}

/// `DELETE /admin/sessions/{user}`
pub(super) async fn delete(mutation: Mutation, user: web::Path<String>) -> HttpResponse {
    let relay = &mutation.visit.relay;
    mutation
        .act("/admin/sessions", async |operator| {
            relay.delete_session(operator, &user).await?;
            Ok((Some(Done::Deleted), json!({})))
        })
        .await
}

/// `POST /admin/sessions/{user}/disconnect`
pub(super) async fn disconnect(mutation: Mutation, user: web::Path<String>) -> HttpResponse {
    let relay = &mutation.visit.relay;
    let here = format!("/admin/sessions/{user}");
    mutation
        .act(&here, async |operator| {
            let sockets = relay.disconnect_session(operator, &user).await?;
            let count = usize::try_from(sockets).unwrap_or(usize::MAX);
            Ok((Some(Done::Disconnected(count)), json!({"disconnected": sockets})))
        })
        .await
}
