//! Logging in by the form, on every replica at once, and out again.

use reqwest::Method;
use serde_json::json;

use super::{ENTER, both_ways, log_in, look_again, open, same_operator, two_replicas};
use crate::support::browser::{Browser, SameSite};
use crate::support::operator::{Operator, PASSWORD, location};

/// Which element has the focus, whether it is known as invalid, and what describes it in words.
const FOCUS: &str = "
    const field = document.activeElement;
    const words = (field.getAttribute('aria-describedby') ?? '').split(' ').filter(id => id);
    return [field.id, field.ariaInvalid, words.map(id => document.getElementById(id).innerText).join(' ')];
";

#[tokio::test(flavor = "multi_thread")]
async fn the_login_says_what_is_wrong_and_leads_back_to_the_page_first_asked_for() {
    let [a, b] = two_replicas().await;
    for options in both_ways() {
        let browser = Browser::open(options).await;
        browser.goto(&format!("{}/admin/sessions?q=ana%26bob&order=created", a.url())).await;
        browser.arrives_at("/admin/login").await;
        let focus = browser.script(FOCUS, &[]).await;
        assert_eq!((&focus[0], &focus[1]), (&json!("password"), &json!(null)));
        assert!(focus[2].as_str().unwrap().contains("CHAOS_ADMIN_KEY"), "{focus}");
        browser.assert_no_complaints().await;

        browser.type_into("#password", &ENTER.to_string()).await;
        assert_eq!(browser.script("return document.querySelector('input:invalid').id", &[]).await, "password");
        browser.type_into("#password", &format!("wrong{ENTER}")).await;
        browser.shows("[role=alert]", "The password is wrong.").await;
        assert_eq!((browser.status().await, browser.path().await.as_str()), (401, "/admin/login"));
        let focus = browser.script(FOCUS, &[]).await;
        assert_eq!((&focus[0], &focus[1]), (&json!("password"), &json!("true")), "one can type on");
        assert!(focus[2].as_str().unwrap().contains("The password is wrong."), "{focus}");
        assert_eq!(browser.script("return document.getElementById('password').value", &[]).await, "");
        assert!(browser.cookie("chaos_admin").await.is_none());
        browser.assert_no_complaints().await;

        browser.type_into("#password", &format!("{PASSWORD}{ENTER}")).await;
        browser.arrives_at("/admin/sessions").await;
        let place = browser.script("return [location.search, document.getElementById('q').value]", &[]).await;
        assert_eq!(place, json!(["?q=ana%26bob&order=created", "ana&bob"]));
        let cookie = browser.cookie("chaos_admin").await.unwrap();
        assert_eq!((cookie.http_only, cookie.same_site), (Some(true), Some(SameSite::Strict)));
        assert_eq!(browser.script("return document.cookie", &[]).await, "");

        open(&browser, &b, "/admin").await;
        browser.shows("h1", "Overview").await;
        browser.goto(&format!("{}/admin/login", b.url())).await;
        browser.arrives_at("/admin").await;
        browser.assert_no_complaints().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_logged_out_on_one_replica_is_led_to_the_login_by_the_page_of_the_other() {
    let [a, b] = two_replicas().await;
    for options in both_ways() {
        let browser = Browser::open(options).await;
        log_in(&browser, &a).await;
        open(&browser, &a, "/admin/deliveries?state=retrying").await;
        let elsewhere = same_operator(&browser).await;
        let answer = elsewhere.request(&b, Method::POST, "/admin/logout").send().await.unwrap();
        assert_eq!(location(&answer), "/admin/login");
        if browser.runs_scripts() {
            look_again(&browser).await;
        } else {
            browser.click(".fresh a").await;
        }
        browser.arrives_at("/admin/login").await;
        browser.type_into("#password", PASSWORD).await;
        browser.submit("form").await;
        browser.arrives_at("/admin/deliveries").await;
        assert_eq!(browser.script("return location.search", &[]).await, "?state=retrying");

        let before = same_operator(&browser).await;
        browser.submit(".logout").await;
        browser.arrives_at("/admin/login").await;
        assert!(browser.cookie("chaos_admin").await.is_none());
        assert_eq!(before.get(&b, "/admin/status").await.status(), 401);
        browser.goto(&format!("{}/admin/audit", b.url())).await;
        browser.arrives_at("/admin/login").await;
        browser.assert_no_complaints().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_ends_the_logins_of_all_from_the_audit() {
    let [a, b] = two_replicas().await;
    for options in both_ways() {
        let browser = Browser::open(options).await;
        log_in(&browser, &a).await;
        let colleague = Operator::log_in(&b).await;
        open(&browser, &a, "/admin/audit").await;
        browser.shows("table", "logged in").await;
        browser.submit("section form[action='/admin/logout']").await;
        browser.arrives_at("/admin/login").await;
        for replica in [&a, &b] {
            assert_eq!(colleague.get(replica, "/admin/status").await.status(), 401);
            browser.goto(&format!("{}/admin", replica.url())).await;
            browser.arrives_at("/admin/login").await;
        }
        browser.assert_no_complaints().await;
    }
}
