//! The store's own keys.

use actix_web::{HttpResponse, web};

use super::views::{self, Section};
use super::visit::Visit;
use crate::services::error::Error;

/// `GET /admin/store`
pub(super) async fn kinds(visit: Visit) -> HttpResponse {
    visit.show(Section::Store, async || Ok(views::key_kinds(&visit.relay.key_kinds().await?))).await
}

/// `GET /admin/store/kinds/{kind}`
pub(super) async fn list(visit: Visit, kind: web::Path<String>) -> HttpResponse {
    visit
        .show(Section::Store, async || {
            let found = visit.relay.keys_of_kind(&kind, visit.query().get("from")).await?;
            Ok(views::keys(&kind, &found))
        })
        .await
}

/// `GET /admin/store/key`
pub(super) async fn show(visit: Visit) -> HttpResponse {
    visit
        .show(Section::Store, async || {
            let query = visit.query();
            let id = query.get("id").ok_or_else(|| Error::invalid("invalid_query", "id must name a key"))?;
            Ok(views::key(&visit.relay.key_view(id).await?))
        })
        .await
}
