//! A page that cannot be brought up to date says so, until it can.

use super::{assert_not_reloaded, log_in, look_again, mark, refresh};
use crate::support::browser::{Browser, Options};
use crate::support::eventually;
use crate::support::operator::with_password;
use crate::support::proxy::Proxy;
use crate::support::redis;
use crate::support::relay::Setup;

/// Looks at the page again until it says why it is not up to date.
async fn says(browser: &Browser, why: &str) {
    look_again(browser).await;
    browser.shows("#stale", why).await;
    assert!(browser.text("#stale").await.starts_with("Not updated since "));
    let role = "return document.getElementById('stale').role";
    assert_eq!(browser.script(role, &[]).await, "status", "a screen reader says it");
}

/// Looks at the page again until it is up to date and no longer says that it is not.
async fn recovers(browser: &Browser) {
    eventually("the page is up to date", || async {
        look_again(browser).await;
        browser.text("#stale").await.is_empty().then_some(())
    })
    .await;
    refresh(browser).await;
    assert_eq!(browser.text("#stale").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_that_it_is_not_up_to_date_until_its_replica_answers_again() {
    let proxy = Proxy::to(redis::shared().port()).await;
    let setup = with_password(Setup::on(&proxy.url(), &redis::fresh_prefix()));
    let mut replica = setup.start().await;
    let browser = Browser::open(Options::desktop()).await;
    log_in(&browser, &replica).await;
    mark(&browser).await;

    // Its store is away.
    proxy.cut();
    says(&browser, "the relay answered 503").await;
    proxy.heal();
    recovers(&browser).await;
    browser.assert_no_complaints().await;

    // It is gone, and another takes its place.
    replica.kill();
    says(&browser, "the relay cannot be reached").await;
    let replica = setup.with("PORT", &replica.port().to_string()).start().await;
    recovers(&browser).await;
    let complaints = browser.complaints().await;
    let is_expected = |line: &String| line.contains("net::ERR_CONNECTION_REFUSED");
    assert!(complaints.iter().all(is_expected), "nothing but that it could not be reached: {complaints:#?}");

    // It is there and does not answer.
    replica.signal("STOP");
    says(&browser, "no answer within 8 seconds").await;
    replica.signal("CONT");
    recovers(&browser).await;
    browser.assert_no_complaints().await;
    assert_not_reloaded(&browser).await;
}
