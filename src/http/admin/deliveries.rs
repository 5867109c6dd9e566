//! Replies on their way, and those that failed.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::cursors::read_list;
use super::mutation::Mutation;
use super::notice::Done;
use super::views::{self, Section};
use super::visit::Visit;
use crate::domain::channel::ChannelKind;
use crate::services::error::Error;
use crate::services::operator::deliveries::DeliveriesQuery;
use crate::store::operator::DeliveryState;

/// Replies of a page.
const PAGE: usize = 50;
/// Where the forms lead that came from nowhere.
const HERE: &str = "/admin/deliveries";

fn platform(name: &str) -> Result<ChannelKind, Error> {
    ChannelKind::parse(name)
        .filter(|kind| ChannelKind::PLATFORMS.contains(kind))
        .ok_or_else(|| Error::invalid("invalid_field", "platform must be telegram, discord, slack or email"))
}

/// `GET /admin/deliveries`
pub(super) async fn list(visit: Visit) -> HttpResponse {
    visit
        .show(Section::Deliveries, async || {
            let query = visit.query();
            let state = query.get("state").unwrap_or("failed");
            let state = DeliveryState::parse(state)
                .ok_or_else(|| Error::invalid("invalid_query", "state must be pending, retrying or failed"))?;
            let kind = query.get("platform").map(platform).transpose()?;
            let after = query.get("cursor").map(read_list).transpose()?;
            let query = DeliveriesQuery { state, kind, after: after.as_ref(), count: PAGE };
            let (counts, found) = tokio::try_join!(visit.relay.delivery_counts(), visit.relay.deliveries(&query))?;
            Ok(views::deliveries(&counts, &found, &query))
        })
        .await
}

/// `POST /admin/deliveries/{response}/redrive`
pub(super) async fn redrive(mutation: Mutation, response: web::Path<String>) -> HttpResponse {
    let relay = &mutation.visit.relay;
    mutation
        .act(HERE, async |operator| {
            relay.redrive(operator, &response).await?;
            Ok((Some(Done::Redriven), json!({})))
        })
        .await
}

/// `POST /admin/deliveries/{response}/drop`
pub(super) async fn drop(mutation: Mutation, response: web::Path<String>) -> HttpResponse {
    let relay = &mutation.visit.relay;
    mutation
        .act(HERE, async |operator| {
            relay.drop_reply(operator, &response).await?;
            Ok((Some(Done::Dropped), json!({})))
        })
        .await
}

/// `POST /admin/deliveries/redrive`: all that failed of one channel
pub(super) async fn redrive_channel(mutation: Mutation) -> HttpResponse {
    let relay = &mutation.visit.relay;
    mutation
        .act(HERE, async |operator| {
            let field = |name: &'static str| {
                mutation.field(name).ok_or_else(|| Error::invalid("invalid_field", format!("{name} is missing")))
            };
            let kind = platform(&field("platform")?)?;
            let user = field("user")?
                .parse()
                .map_err(|_| Error::invalid("invalid_field", "user must be the id of a session"))?;
            let channel = field("channel")?
                .parse()
                .map_err(|_| Error::invalid("invalid_field", "channel must be the id of a channel"))?;
            let (count, is_all) = relay.redrive_channel(operator, kind, user, &channel).await?;
            let done = if is_all { Done::ChannelRedriven(count) } else { Done::ChannelRedrivenInPart(count) };
            Ok((Some(done), json!({"redriven": count, "more": !is_all})))
        })
        .await
}
