//! What every request at and below `/admin` meets: is there an operator at all, and is nothing kept of the answer.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web;
use actix_web::{Error, HttpMessage as _};

use super::render;
use crate::http::error;
use crate::http::request::{discard, header};
use crate::services::Relay;

/// Whether somebody looks at the answer as a page.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    header(headers, ACCEPT).is_some_and(|accept| accept.contains("text/html"))
}

/// The middleware around the pages. Without a password all of them answer 503.
pub(super) async fn guard(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_configured = match request.app_data::<web::Data<Relay>>() {
        Some(relay) => relay.check_admin_configured(),
        None => Ok(()),
    };
    let mut response = match is_configured {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(refusal) => {
            discard(request.take_payload()).await;
            let answer =
                if wants_page(request.headers()) { render::problem(&refusal) } else { error::answer(&refusal) };
            request.into_response(answer)
        }
    };
    let headers = response.headers_mut();
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}
