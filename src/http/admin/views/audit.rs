//! What operators did.

use serde::Serialize;

use super::format::{Instant, link};
use super::text::line;
use super::{Page, page};
use crate::domain::timestamp::Timestamp;
use crate::http::admin::cursors;
use crate::store::operator::{AuditEntry, AuditPage};

const PATH: &str = "/admin/audit";

#[derive(Serialize)]
struct Row {
    at: Instant,
    ip: String,
    action: String,
    subject: String,
    outcome: String,
}

fn row(entry: &AuditEntry) -> Row {
    Row {
        at: entry.at.into(),
        ip: line(&entry.what.ip),
        action: line(&entry.what.action),
        subject: line(&entry.what.subject),
        outcome: line(&entry.what.outcome),
    }
}

/// A page of the audit. `before` is where it starts.
pub(in crate::http::admin) fn audit(found: &AuditPage, before: Option<Timestamp>) -> Page {
    let mut page = page("admin/audit.html");
    page.context.insert("rows", &found.entries.iter().map(row).collect::<Vec<_>>());
    page.context.insert("is_first", &before.is_none());
    page.context.insert("first", &before.map(|_| PATH));
    let next = found.next.map(|next| link(PATH, &[("before", &cursors::write_instant(next))]));
    page.context.insert("next", &next);
    page
}
