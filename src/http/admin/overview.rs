//! The first page.

use actix_web::HttpResponse;

use super::views::{self, Section};
use super::visit::Visit;

/// `GET /admin`
pub(super) async fn show(visit: Visit) -> HttpResponse {
    visit.show(Section::Overview, async || Ok(views::overview(&visit.relay.overview().await?))).await
}
