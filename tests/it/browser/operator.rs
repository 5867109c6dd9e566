//! The operator's pages, as an operator meets them: replicas behind a port each, and a browser that sends its cookie
//! to all of them.

mod access;
mod acting;
mod following;
mod hostile;
mod searching;
mod stale;

use serde_json::json;

use crate::support::browser::{Browser, Options};
use crate::support::eventually;
use crate::support::operator::{Operator, PASSWORD, with_password};
use crate::support::relay::{Replica, Setup};
use crate::support::secrets;

/// The key Enter, as WebDriver calls it.
const ENTER: char = '\u{e007}';

/// A browser with JavaScript and one without: what an operator does must work in both.
fn both_ways() -> [Options; 2] {
    [Options::desktop(), Options::desktop().without_javascript()]
}

/// Two replicas on one Redis.
async fn two_replicas() -> [Replica; 2] {
    with_password(Setup::on_redis()).start_many().await
}

/// Logs in by the form and arrives at the overview.
async fn log_in(browser: &Browser, replica: &Replica) {
    browser.goto(&format!("{}/admin", replica.url())).await;
    browser.arrives_at("/admin/login").await;
    browser.type_into("#password", PASSWORD).await;
    browser.submit("form").await;
    browser.arrives_at("/admin").await;
    secrets::note(&browser.cookie("chaos_admin").await.expect("a login sets its cookie").value);
}

/// The same operator, as a program.
async fn same_operator(browser: &Browser) -> Operator {
    let cookie = browser.cookie("chaos_admin").await.expect("the browser is logged in");
    Operator::holding(format!("chaos_admin={}", cookie.value))
}

/// Opens a page that must be there.
async fn open(browser: &Browser, replica: &Replica, path: &str) {
    browser.goto(&format!("{}{path}", replica.url())).await;
    assert_eq!(browser.status().await, 200, "{path}");
}

/// How many elements this CSS selector finds.
async fn count(browser: &Browser, selector: &str) -> u64 {
    browser.script("return document.querySelectorAll(arguments[0]).length", &[json!(selector)]).await.as_u64().unwrap()
}

/// Whether an element is there and shows this text.
async fn has(browser: &Browser, selector: &str, text: &str) -> bool {
    let look = "return !!document.querySelector(arguments[0])?.innerText.includes(arguments[1])";
    browser.script(look, &[json!(selector), json!(text)]).await == true
}

/// The page is looked at again: it refreshes at once, if its script runs.
async fn look_again(browser: &Browser) {
    browser.script("document.dispatchEvent(new Event('visibilitychange'))", &[]).await;
}

/// Takes a step that leads to another page of the frame, and waits until that is there to its end.
async fn leads_on(browser: &Browser, step: impl Future<Output = ()>) {
    mark(browser).await;
    step.await;
    browser.shows("html:not([data-mark]) footer", "CHAOS relay").await;
}

/// Brings the page up to date: by its script, or as a person does without.
async fn refresh(browser: &Browser) {
    if !browser.runs_scripts() {
        return leads_on(browser, browser.click(".fresh a")).await;
    }
    browser.script("document.getElementById('updated').textContent = ''", &[]).await;
    look_again(browser).await;
    browser.shows("#updated", "Updated").await;
}

/// Refreshes the page until an element shows a text, among others.
async fn refresh_until(browser: &Browser, selector: &str, text: &str) {
    eventually(&format!("{selector} shows {text:?}"), || async {
        refresh(browser).await;
        has(browser, selector, text).await.then_some(())
    })
    .await;
}

/// Leaves something behind that only this very document has.
async fn mark(browser: &Browser) {
    browser.script("document.documentElement.dataset.mark = 'left here'", &[]).await;
}

/// Makes sure that the document is the one that was marked.
async fn assert_not_reloaded(browser: &Browser) {
    assert_eq!(count(browser, "html[data-mark]").await, 1, "the page was loaded anew");
}
