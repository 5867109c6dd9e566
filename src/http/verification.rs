//! The link in a verification mail: a page with a button, and what the button does.
//!
//! Mail scanners open links, so to look at the page spends nothing.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use tera::Context;

use super::HttpError;
use super::pages::page;
use super::request::{Query, body};
use crate::services::Relay;
use crate::services::register_mailbox::VerificationLink;

type Answer = Result<HttpResponse, HttpError>;

fn invalid() -> Answer {
    Ok(page(StatusCode::BAD_REQUEST, "email/invalid.html", &Context::new())?)
}

/// `GET /email/verify`
pub(super) async fn show(request: HttpRequest, relay: web::Data<Relay>) -> Answer {
    let query = Query::of(&request);
    let link = VerificationLink {
        channel: query.get("channelId").unwrap_or_default(),
        token: query.get("token").unwrap_or_default(),
    };
    let Some(mailbox) = relay.mailbox_to_verify(link).await? else { return invalid() };
    let mut context = Context::new();
    context.insert("user_email", &mailbox.user_email);
    context.insert("inbound_address", &mailbox.inbound_address);
    context.insert("channel", link.channel);
    context.insert("token", link.token);
    Ok(page(StatusCode::OK, "email/verify.html", &context)?)
}

/// `POST /email/verify`
pub(super) async fn confirm(request: HttpRequest, payload: web::Payload, relay: web::Data<Relay>) -> Answer {
    let body = body(&request, payload).await?;
    let fields: Vec<_> = form_urlencoded::parse(&body).collect();
    // The form sends them; a client may as well leave them in the URL of the link.
    let query = Query::of(&request);
    let field = |name: &str| {
        let sent = fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref());
        sent.or_else(|| query.get(name)).unwrap_or_default()
    };
    let link = VerificationLink { channel: field("channelId"), token: field("token") };
    let Some(mailbox) = relay.verify_mailbox(link).await? else { return invalid() };
    let mut context = Context::new();
    context.insert("user_email", &mailbox.user_email);
    context.insert("inbound_address", &mailbox.inbound_address);
    Ok(page(StatusCode::OK, "email/verified.html", &context)?)
}
