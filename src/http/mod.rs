//! HTTP: routes, what is read from requests, and how answers and errors look.

pub mod admin;
pub mod client_ip;
mod edge;
mod error;
mod external;
mod health;
mod metrics;
mod pages;
mod platforms;
pub mod request;
mod session;
mod socket;
mod verification;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, Resource, Route, web};
use ipnet::IpNet;
use secrecy::SecretString;

pub use edge::edge;
pub use error::HttpError;
pub use metrics::metrics_routes;

/// What handlers need to know of the deployment, beside the relay itself.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Base URL for links; `None` takes it from the request.
    pub public_url: Option<String>,
    /// Whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Arc<[IpNet]>,
    /// Opens the metrics on the relay's own port.
    pub metrics_token: Option<SecretString>,
}

/// Adds every route.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(public("/health", |read| read.to(health::health)))
        .service(public("/health/live", |read| read.to(health::live)))
        .service(public("/health/ready", |read| read.to(health::ready)))
        .service(resource("/auth/register", &[Method::POST]).route(web::post().to(external::register)))
        .service(resource("/webhook/{channel}", &[Method::POST]).route(web::post().to(external::webhook)))
        .service(public("/responses/{channel}", |read| read.to(external::responses)))
        .service(resource("/telegram/{channel}", &[Method::POST]).route(web::post().to(platforms::telegram)))
        .service(resource("/discord/{channel}", &[Method::POST]).route(web::post().to(platforms::discord)))
        .service(resource("/slack/{channel}", &[Method::POST]).route(web::post().to(platforms::slack)))
        .service(resource("/email/inbound", &[Method::POST]).route(web::post().to(platforms::email)))
        .service(
            resource("/email/verify", &[Method::GET, Method::HEAD, Method::POST])
                .route(web::get().to(verification::show))
                .route(web::head().to(verification::show))
                .route(web::post().to(verification::confirm)),
        )
        .service(resource("/ws", &[Method::GET]).route(web::get().to(socket::open)))
        .service(resource("/messages", &[Method::GET]).route(web::get().to(session::messages)))
        .service(resource("/reply", &[Method::POST]).route(web::post().to(session::reply)))
        .service(resource("/replies/{response}", &[Method::GET]).route(web::get().to(session::reply_status)))
        .service(resource("/typing", &[Method::POST]).route(web::post().to(session::typing)))
        .service(
            resource("/channels", &[Method::GET, Method::POST])
                .route(web::get().to(session::list_channels))
                .route(web::post().to(session::create_channel)),
        )
        .service(
            resource("/channels/{platform}/register", &[Method::POST]).route(web::post().to(session::register_channel)),
        )
        .service(
            resource("/channels/{channel}", &[Method::PATCH, Method::DELETE])
                .route(web::patch().to(session::update_channel))
                .route(web::delete().to(session::delete_channel)),
        )
        .service(
            resource("/channels/{channel}/pairing-code", &[Method::POST]).route(web::post().to(session::pairing_code)),
        )
        .service(public("/metrics", |read| read.to(metrics::behind_token)))
        .configure(admin::routes)
        .default_service(web::to(unknown_path));
}

/// A path that answers these methods, and 405 with `Allow` to others.
fn resource(path: &'static str, methods: &'static [Method]) -> Resource {
    let allow = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    web::resource(path).default_service(web::to(move |payload: web::Payload| {
        let allow = allow.clone();
        async move {
            request::discard(payload).await;
            error::method_not_allowed(&allow)
        }
    }))
}

/// A public path that is read: HEAD is answered like GET, without the body.
fn public(path: &'static str, handle: impl Fn(Route) -> Route) -> Resource {
    resource(path, &[Method::GET, Method::HEAD]).route(handle(web::get())).route(handle(web::head()))
}

async fn unknown_path(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    request::discard(payload).await;
    error::unknown_path(request.path())
}
