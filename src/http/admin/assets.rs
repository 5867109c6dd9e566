//! Stylesheet, script and icon: part of the binary, named by their content.

use actix_web::{HttpResponse, web};

/// URLs of the assets.
pub(super) struct Urls {
    pub(super) style: String,
    pub(super) script: String,
    pub(super) icon: String,
}

pub(super) fn urls() -> Urls {
    Urls { style: String::new(), script: String::new(), icon: String::new() }
}

/// `GET /admin/assets/{name}`
pub(super) async fn get(name: web::Path<String>) -> HttpResponse {
    let _ = name;
    HttpResponse::NotFound().finish()
}
