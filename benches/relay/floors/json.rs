//! A handler that reads the JSON of a webhook and answers JSON.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// What is posted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    event: String,
    sequence: String,
    created_at: String,
    order: HashMap<String, Value>,
    customer: HashMap<String, Value>,
}

/// What is answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    ok: bool,
    message_id: Uuid,
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.route("/webhook/{channel}", web::post().to(handle));
}

async fn handle(body: web::Json<Body>) -> HttpResponse {
    let Body { event, sequence, created_at, order, customer } = body.into_inner();
    // Looked at, so that it had to be read.
    let texts = [&event, &sequence, &created_at];
    let ok = texts.iter().all(|text| !text.is_empty()) && order.len() + customer.len() > 0;
    HttpResponse::Ok().json(Answer { ok, message_id: Uuid::new_v4() })
}
