//! Rendering a page for an operator.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use tera::Context;

use super::assets;
use super::views::{self, Page, Section};
use super::visit::Visit;
use crate::domain::timestamp::Timestamp;
use crate::http::error;
use crate::http::pages::{Headers, html};
use crate::services::error::Error;
use crate::services::operator::access::Operator;

/// The pages load what this origin serves and nothing else, and nobody may frame them. Forms tell this origin where
/// they come from, which is how one of a stranger is known.
const HEADERS: Headers = Headers {
    policy: "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    referrer: "same-origin",
};

fn render(status: StatusCode, page: Page) -> HttpResponse {
    let Page { template, mut context } = page;
    let urls = assets::urls();
    context.insert("style", &urls.style);
    context.insert("script", &urls.script);
    context.insert("icon", &urls.icon);
    context.insert("version", env!("CARGO_PKG_VERSION"));
    context.insert("rendered_at", &Timestamp::now().to_string());
    match html(status, template, &context, &HEADERS) {
        Ok(answer) => answer,
        Err(failure) => error::answer(&failure),
    }
}

fn frame(context: &mut Context, visit: &Visit, operator: &Operator) {
    context.insert("csrf", &operator.csrf_token());
    context.insert("path", &visit.path());
    context.insert("store", visit.relay.store.kind());
    context.insert("replica", &**visit.relay.shared.replica_name());
    if let Some(notice) = visit.notice() {
        context.insert("notice", &notice);
    }
}

fn section_name(section: Section) -> &'static str {
    match section {
        Section::Overview => "overview",
        Section::Sessions => "sessions",
        Section::Deliveries => "deliveries",
        Section::Store => "store",
        Section::Audit => "audit",
    }
}

/// What went wrong, in a word or two.
fn title(refusal: &Error) -> &'static str {
    match refusal {
        Error::NotFound { .. } => "Not found",
        Error::Forbidden { .. } | Error::Unauthorized { .. } => "Not allowed",
        Error::Conflict { .. } => "Not possible now",
        Error::NotConfigured(_) => "Not configured",
        Error::Unavailable(_) | Error::TryAgain { .. } => "Not available",
        Error::Limited(_) => "Too many tries",
        Error::Internal(_) => "Something went wrong",
        _ => "Not understood",
    }
}

/// A page of the part that is open.
pub(super) fn page(visit: &Visit, operator: &Operator, section: Section, mut page: Page) -> HttpResponse {
    frame(&mut page.context, visit, operator);
    page.context.insert("section", section_name(section));
    render(StatusCode::OK, page)
}

/// A page for somebody who is not logged in.
pub(super) fn bare(status: StatusCode, page: Page) -> HttpResponse {
    render(status, page)
}

fn problem_page(refusal: &Error) -> Page {
    views::problem(title(refusal), &refusal.sentence())
}

/// The page that says what went wrong, for whoever it is.
pub(super) fn problem(refusal: &Error) -> HttpResponse {
    refusal.log();
    with_retry(refusal, bare(error::status(refusal), problem_page(refusal)))
}

/// The same for an operator, who finds the way on.
pub(super) fn problem_for(visit: &Visit, operator: &Operator, refusal: &Error) -> HttpResponse {
    refusal.log();
    let mut page = problem_page(refusal);
    frame(&mut page.context, visit, operator);
    if let Some(back) = visit.came_from() {
        page.context.insert("back", &back);
    }
    with_retry(refusal, render(error::status(refusal), page))
}

/// Adds when trying again may help, where that is known.
pub(super) fn with_retry(refusal: &Error, mut answer: HttpResponse) -> HttpResponse {
    if let Some(seconds) = error::retry_after(refusal) {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    answer
}
