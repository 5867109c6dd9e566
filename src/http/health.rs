//! Health, for people and for orchestrators.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::request::{Query, json};
use crate::hub::Echo;
use crate::services::Relay;

/// `GET /health`: instant, unless `?deep=1` asks for a write and a read.
pub(super) async fn health(request: HttpRequest, relay: web::Data<Relay>) -> HttpResponse {
    let shared = &relay.shared;
    let mut is_reachable = shared.store_health.is_reachable();
    let mut live = None;
    if Query::of(&request).get("deep") == Some("1") {
        let started = Instant::now();
        let probe = relay.store.probe().await;
        if let Err(error) = &probe {
            tracing::warn!(%error, "the store failed a live write and read");
        }
        is_reachable = probe.is_ok();
        live = Some(json!({"ok": probe.is_ok(), "ms": started.elapsed().as_millis() as u64}));
    }
    let mut body = json!({
        "status": if is_reachable { "ok" } else { "degraded" },
        "version": env!("CARGO_PKG_VERSION"),
        "kv": is_reachable,
        "websockets": shared.hubs.sockets(),
        "uptime": shared.uptime().as_secs(),
        "store": relay.store.kind(),
        "replica": shared.replica,
    });
    if let Some(live) = live {
        body["kvLive"] = live;
    }
    json(HttpResponse::Ok(), body.to_string(), None)
}

/// `GET /health/live`: the process runs.
pub(super) async fn live() -> HttpResponse {
    json(HttpResponse::Ok(), json!({"status": "ok"}).to_string(), None)
}

/// `GET /health/ready`: the replica can take traffic.
pub(super) async fn ready(relay: web::Data<Relay>) -> HttpResponse {
    let refusal = if relay.shared.shutdown.is_draining() {
        Some(("this replica is draining", "draining"))
    } else if !relay.shared.store_health.is_reachable() {
        Some(("the store cannot be reached", "store_unavailable"))
    } else if !matches!(relay.shared.hubs.echo(), Echo::Heard(_)) {
        Some(("what is published is not heard here, so sockets are not woken", "wakes_unavailable"))
    } else {
        None
    };
    match refusal {
        None => json(HttpResponse::Ok(), json!({"status": "ok"}).to_string(), None),
        Some((error, code)) => {
            let body = json!({"status": "unavailable", "error": error, "code": code});
            json(HttpResponse::ServiceUnavailable(), body.to_string(), None)
        }
    }
}
