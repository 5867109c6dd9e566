//! What the pages show: the services' answers, put into words and numbers for people.

mod audit;
mod channel;
mod chart;
mod deliveries;
mod entry;
mod format;
mod keys;
mod overview;
mod sessions;
mod templates;
mod text;

#[cfg(test)]
mod tests;

use tera::Context;

pub(super) use audit::audit;
pub(super) use deliveries::deliveries;
pub(super) use keys::{key, key_kinds, keys};
pub(super) use overview::overview;
pub(super) use sessions::{confirm_deletion, session, sessions};
pub(in crate::http) use templates::TEMPLATES;

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
    let mut page = page("admin/login.html");
    page.context.insert("next", &next.map(text::visible));
    page.context.insert("error", &error.map(text::line));
    page
}

/// What went wrong, for people: a title such as "Not found", and a sentence.
pub(super) fn problem(title: &str, sentence: &str) -> Page {
    let mut page = page("admin/problem.html");
    page.context.insert("title", &text::visible(title));
    page.context.insert("sentence", &text::visible(sentence));
    page
}
