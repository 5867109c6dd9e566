//! What operators did.

use actix_web::HttpResponse;

use super::cursors::read_instant;
use super::views::{self, Section};
use super::visit::Visit;

/// Entries of a page.
const PAGE: usize = 100;

/// `GET /admin/audit`
pub(super) async fn show(visit: Visit) -> HttpResponse {
    visit
        .show(Section::Audit, async || {
            let before = visit.query().get("before").map(read_instant).transpose()?;
            Ok(views::audit(&visit.relay.audit_page(before, PAGE).await?, before))
        })
        .await
}
