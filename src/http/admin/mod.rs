//! The operator's pages, and the same as JSON.

mod access;
mod assets;
mod audit;
pub mod cursors;
mod deliveries;
mod guard;
mod mutation;
mod notice;
mod overview;
mod render;
mod sessions;
mod status;
mod store_keys;
mod views;
mod visit;

use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::web;

use super::{public, resource, unknown_path};

pub(super) use views::TEMPLATES;

/// Adds everything at and below `/admin`.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let get_and_post = &[Method::GET, Method::HEAD, Method::POST];
    config.service(
        web::scope("/admin")
            .wrap(from_fn(guard::guard))
            .service(public("", |read| read.to(overview::show)))
            .service(
                resource("/login", get_and_post)
                    .route(web::get().to(access::form))
                    .route(web::head().to(access::form))
                    .route(web::post().to(access::log_in)),
            )
            .service(resource("/logout", &[Method::POST]).route(web::post().to(access::log_out)))
            .service(public("/status", |read| read.to(status::show)))
            .service(public("/sessions", |read| read.to(sessions::list)))
            .service(
                resource("/sessions/{user}", &[Method::GET, Method::HEAD, Method::DELETE])
                    .route(web::get().to(sessions::show))
                    .route(web::head().to(sessions::show))
                    .route(web::delete().to(sessions::delete)),
            )
            .service(public("/sessions/{user}/messages", |read| read.to(status::messages)))
            .service(
                resource("/sessions/{user}/delete", get_and_post)
                    .route(web::get().to(sessions::confirm))
                    .route(web::head().to(sessions::confirm))
                    .route(web::post().to(sessions::delete_confirmed)),
            )
            .service(
                resource("/sessions/{user}/disconnect", &[Method::POST]).route(web::post().to(sessions::disconnect)),
            )
            .service(public("/deliveries", |read| read.to(deliveries::list)))
            .service(
                resource("/deliveries/redrive", &[Method::POST]).route(web::post().to(deliveries::redrive_channel)),
            )
            .service(
                resource("/deliveries/{response}/redrive", &[Method::POST]).route(web::post().to(deliveries::redrive)),
            )
            .service(resource("/deliveries/{response}/drop", &[Method::POST]).route(web::post().to(deliveries::drop)))
            .service(public("/store", |read| read.to(store_keys::kinds)))
            .service(public("/store/kinds/{kind}", |read| read.to(store_keys::list)))
            .service(public("/store/key", |read| read.to(store_keys::show)))
            .service(public("/audit", |read| read.to(audit::show)))
            .service(public("/assets/{name}", |read| read.to(assets::get)))
            .default_service(web::to(unknown_path)),
    );
}
