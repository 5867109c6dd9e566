//! The page behind the link in a verification mail.

use crate::email::scene::{ANA, Mailbox, Scene};
use crate::support::browser::{Browser, Options, assert_accessible};

/// Makes sure that nothing on the page is wrong: for nobody, on no screen.
async fn is_in_order(browser: &Browser) {
    browser.assert_no_complaints().await;
    assert_accessible(browser).await;
    browser.assert_no_complaints().await;
    let wider = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
    assert_eq!(browser.script(wider, &[]).await, false, "the page is wider than the screen");
}

/// Follows the link of a new mailbox to its end with this browser.
async fn confirm(scene: &Scene, mailbox: &Mailbox, options: Options) {
    let browser = Browser::open(options).await;
    browser.goto(&mailbox.link).await;
    assert_eq!((browser.status().await, browser.path().await.as_str()), (200, "/email/verify"));
    let words = browser.text("main").await;
    assert!(words.contains(ANA) && words.contains(&mailbox.address), "{words}");
    is_in_order(&browser).await;
    assert_eq!(scene.metadata(mailbox).await["verified"], false, "to look confirms nothing");

    browser.submit("form").await;
    browser.shows("h1", "Address confirmed").await;
    assert_eq!((browser.status().await, browser.path().await.as_str()), (200, "/email/verify"));
    assert!(browser.text("main").await.contains(&mailbox.address));
    is_in_order(&browser).await;
    assert_eq!(scene.metadata(mailbox).await["verified"], true);

    browser.goto(&mailbox.link).await;
    browser.shows("h1", "This link is not valid").await;
    assert_eq!(browser.status().await, 400);
    is_in_order(&browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_is_confirmed_in_a_browser() {
    let scene = Scene::set().await;
    for options in [Options::desktop(), Options::desktop().dark()] {
        let mailbox = scene.unverified(ANA).await;
        confirm(&scene, &mailbox, options).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_is_confirmed_on_a_phone_without_javascript() {
    let scene = Scene::set().await;
    let phone = Options::phone().without_javascript();
    for options in [phone, phone.dark()] {
        let mailbox = scene.unverified(ANA).await;
        confirm(&scene, &mailbox, options).await;
    }
}
