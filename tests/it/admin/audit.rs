//! The audit: who did what, and who tried.

use reqwest::Method;

use crate::support::client::Client;
use crate::support::operator::{Operator, try_to_log_in, with_password};
use crate::support::relay::{Setup, data_dir};

async fn what_is_done_is_noted(setup: Setup) {
    let replica = setup.with("CHAOS_TRUSTED_PROXIES", "127.0.0.0/8").start().await;
    let client = Client::register(&replica).await;
    try_to_log_in(&replica, "wrong").await;
    let operator = Operator::log_in(&replica).await;
    let path = format!("/admin/sessions/{}", client.user_id);
    let deletion = operator.request(&replica, Method::DELETE, &path).header("X-Forwarded-For", "192.0.2.7");
    assert_eq!(deletion.send().await.unwrap().status(), 200);
    let page = operator.page(&replica, "/admin/audit").await;
    for part in ["wrong password", "logged in", "delete session", &client.user_id, "192.0.2.7", "127.0.0.1"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let place = |part: &str| page.find(part).unwrap();
    assert!(place("delete session") < place("wrong password"), "newest first");
    assert!(!page.contains(&client.api_key));
    assert_eq!(operator.get(&replica, "/admin/audit?before=x").await.status(), 400);
    assert!(!operator.page(&replica, "/admin/audit?before=1").await.contains("wrong password"));
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_good_and_bad_and_what_operators_do_are_noted_with_time_and_address() {
    what_is_done_is_noted(with_password(Setup::on_redis())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_notes_the_same() {
    let dir = data_dir();
    what_is_done_is_noted(with_password(Setup::embedded(dir.path()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_beyond_the_limit_do_not_fill_the_audit() {
    let replica = with_password(Setup::on_redis()).with("CHAOS_RATE_ADMIN_LOGIN", "3/15m").start().await;
    let operator = Operator::log_in(&replica).await;
    for _ in 0..12 {
        try_to_log_in(&replica, "wrong").await;
    }
    let page = operator.page(&replica, "/admin/audit").await;
    assert_eq!(page.matches("wrong password").count(), 2);
    assert_eq!(page.matches("too many tries").count(), 1);
}
