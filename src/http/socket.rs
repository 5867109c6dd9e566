//! `GET /ws`: everything that can be refused is refused before the upgrade.

use actix_web::{HttpRequest, HttpResponse, web};

use super::HttpError;
use super::request::Query;
use crate::hub::Hub;
use crate::services::Relay;
use crate::services::error::Error;
use crate::ws;

/// `GET /ws?token=<apiKey>&since=<timestamp>`
pub(super) async fn open(
    request: HttpRequest,
    payload: web::Payload,
    relay: web::Data<Relay>,
    hub: web::Data<Hub>,
) -> Result<HttpResponse, HttpError> {
    let query = Query::of(&request);
    let caller = relay.identify(query.get("token")).await?;
    let since = query.timestamp("since")?;
    let (response, session, frames) = actix_ws::handle(&request, payload)
        .map_err(|_| Error::invalid("upgrade_needed", "this is a WebSocket: ask for an upgrade to version 13"))?;
    ws::open(relay.get_ref().clone(), &hub, caller, since, session, frames).await?;
    Ok(response)
}
