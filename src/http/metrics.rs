//! The metrics, on a listener of their own or behind a token.

use actix_web::http::header::CONTENT_TYPE as TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::{ExposeSecret as _, SecretString};

use super::error::unknown_path;
use super::request::bearer;
use super::{HttpError, HttpSettings};
use crate::domain::digest::Digest;
use crate::services::Relay;
use crate::services::error::Error;
use crate::telemetry::metrics::CONTENT_TYPE;

/// Adds the only route of the metrics' own listener. Nobody gets there who is not let in by the network.
pub fn metrics_routes(config: &mut web::ServiceConfig) {
    config.service(super::public("/metrics", |read| read.to(open)));
}

async fn answer(relay: &Relay) -> Result<HttpResponse, HttpError> {
    match relay.metrics().await {
        Some(text) => Ok(HttpResponse::Ok().insert_header((TYPE, CONTENT_TYPE)).body(text)),
        None => Ok(unknown_path("/metrics")),
    }
}

async fn open(relay: web::Data<Relay>) -> Result<HttpResponse, HttpError> {
    answer(&relay).await
}

fn is_token(shown: Option<&str>, token: &SecretString) -> bool {
    let digest = |text: &str| Digest::of(text.as_bytes());
    shown.is_some_and(|shown| digest(shown) == digest(token.expose_secret()))
}

/// `GET /metrics` on the relay's own port: there is no such thing unless a token is set.
pub(super) async fn behind_token(
    request: HttpRequest,
    relay: web::Data<Relay>,
    settings: web::Data<HttpSettings>,
) -> Result<HttpResponse, HttpError> {
    let Some(token) = &settings.metrics_token else { return Ok(unknown_path("/metrics")) };
    if !is_token(bearer(request.headers()), token) {
        let message = "the metrics need the token that CHAOS_METRICS_TOKEN is set to, as a bearer token";
        return Err(Error::Unauthorized { code: "unknown_token", message }.into());
    }
    answer(&relay).await
}
