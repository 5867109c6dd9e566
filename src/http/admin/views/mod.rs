//! What the pages show: the services' answers, put into words and numbers for people.

use tera::Context;

use crate::domain::timestamp::Timestamp;
use crate::services::operator::deliveries::DeliveriesQuery;
use crate::services::operator::overview::Overview;
use crate::services::operator::sessions::SessionPage;
use crate::store::operator::{
    AuditPage, DeliveryCounts, DeliveryPage, HistoryQuery, KeyKinds, KeyPage, KeyView, ReplicaStatus, SessionList,
    SessionQuery, SessionSummary,
};

/// A page before it is rendered: its template, and what that shows.
pub(super) struct Page {
    /// Name of the template.
    pub(super) template: &'static str,
    /// What it shows.
    pub(super) context: Context,
}

/// The part of the pages that is open, for the navigation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Section {
    /// `/admin`
    Overview,
    /// `/admin/sessions` and below
    Sessions,
    /// `/admin/deliveries`
    Deliveries,
    /// `/admin/store` and below
    Store,
    /// `/admin/audit`
    Audit,
}

fn page(template: &'static str) -> Page {
    Page { template, context: Context::new() }
}

/// The form to log in. `next` is where to go then.
pub(super) fn login(next: Option<&str>, error: Option<&str>) -> Page {
    let _ = (next, error);
    page("admin/login.html")
}

/// What went wrong, for people: a title such as "Not found", and a sentence.
pub(super) fn problem(title: &str, sentence: &str) -> Page {
    let _ = (title, sentence);
    page("admin/problem.html")
}

/// The state of the deployment.
pub(super) fn overview(overview: &Overview) -> Page {
    let _ = overview;
    page("admin/overview.html")
}

/// A page of sessions. `replicas` are those that are alive, for the names of those that hold sockets.
pub(super) fn sessions(list: &SessionList, query: &SessionQuery<'_>, replicas: &[ReplicaStatus]) -> Page {
    let _ = (list, query, replicas);
    page("admin/sessions.html")
}

/// A session with what was said in it.
pub(super) fn session(session: &SessionPage, query: &HistoryQuery<'_>, replicas: &[ReplicaStatus]) -> Page {
    let _ = (session, query, replicas);
    page("admin/session.html")
}

/// The question whether to delete a session.
pub(super) fn confirm_deletion(session: &SessionSummary) -> Page {
    let _ = session;
    page("admin/delete_session.html")
}

/// A page of replies that are not delivered.
pub(super) fn deliveries(counts: &DeliveryCounts, found: &DeliveryPage, query: &DeliveriesQuery<'_>) -> Page {
    let _ = (counts, found, query);
    page("admin/deliveries.html")
}

/// The kinds of keys in the store.
pub(super) fn key_kinds(kinds: &KeyKinds) -> Page {
    let _ = kinds;
    page("admin/store.html")
}

/// Some keys of a kind.
pub(super) fn keys(kind: &str, found: &KeyPage) -> Page {
    let _ = (kind, found);
    page("admin/keys.html")
}

/// A key and its value.
pub(super) fn key(view: &KeyView) -> Page {
    let _ = view;
    page("admin/key.html")
}

/// A page of the audit. `before` is where it starts.
pub(super) fn audit(found: &AuditPage, before: Option<Timestamp>) -> Page {
    let _ = (found, before);
    page("admin/audit.html")
}
