//! Pages of other sites can neither read nor change anything.

use reqwest::{Method, Response};
use serde_json::Value;

use crate::support::client::{Client, expect};
use crate::support::operator::{Operator, http, location, with_password};
use crate::support::relay::{Replica, Setup};

/// Asks for the sockets of a session to be closed, which does no harm, with these headers and this body.
async fn try_to_change(
    operator: &Operator,
    replica: &Replica,
    user: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let mut request = operator.request(replica, Method::POST, &format!("/admin/sessions/{user}/disconnect"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.to_owned()).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_site_sends_is_refused_even_with_the_cookie() {
    let replica = with_password(Setup::on_redis()).start().await;
    let client = Client::register(&replica).await;
    let operator = Operator::log_in(&replica).await;
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let refused: [&[(&str, &str)]; 7] = [
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[form],
        &[("Content-Type", "text/plain")],
        &[("Content-Type", "multipart/form-data; boundary=x"), ("Sec-Fetch-Site", "same-origin")],
    ];
    for headers in refused {
        let answer = try_to_change(&operator, &replica, &client.user_id, headers, "").await;
        assert_eq!(answer.status(), 403, "{headers:?}");
    }
    for token in ["", "0", &"0".repeat(64), &"é".repeat(32)] {
        let body = format!("csrf={token}");
        let answer = try_to_change(&operator, &replica, &client.user_id, &[form], &body).await;
        assert_eq!(answer.status(), 403, "{token}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_and_the_pages_own_forms_get_through() {
    let replica = with_password(Setup::on_redis()).start().await;
    let client = Client::register(&replica).await;
    let operator = Operator::log_in(&replica).await;
    let own = replica.url();
    let passed: [&[(&str, &str)]; 4] = [
        &[],
        &[("Content-Type", "application/json")],
        &[("Origin", &own)],
        &[("Sec-Fetch-Site", "same-origin"), ("Origin", "http://balancer.example")],
    ];
    for headers in passed {
        let answer = try_to_change(&operator, &replica, &client.user_id, headers, "").await;
        assert_eq!(expect(answer, 200).await["ok"], true, "{headers:?}");
    }
    let csrf = operator.csrf(&replica).await;
    let answer = try_to_change(&operator, &replica, &client.user_id, &[("X-CSRF-Token", &csrf)], "").await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_one_replica_is_taken_by_another_and_not_with_another_login() {
    let [a, b] = with_password(Setup::on_redis()).start_many().await;
    let client = Client::register(&a).await;
    let operator = Operator::log_in(&a).await;
    let csrf = operator.csrf(&a).await;
    let body = format!("csrf={csrf}");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = try_to_change(&operator, &b, &client.user_id, &form, &body).await;
    assert_eq!(answer.status(), 303);
    assert!(location(&answer).starts_with(&format!("/admin/sessions/{}", client.user_id)), "{}", location(&answer));
    let other = Operator::log_in(&b).await;
    assert_eq!(try_to_change(&other, &b, &client.user_id, &form, &body).await.status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_answers_let_no_other_origin_read_them() {
    let replica = with_password(Setup::on_redis()).start().await;
    let operator = Operator::log_in(&replica).await;
    for path in ["/admin", "/admin/status", "/admin/login", "/admin/none"] {
        let answer =
            operator.request(&replica, Method::GET, path).header("Origin", "https://evil.example").send().await;
        let answer = answer.unwrap();
        assert!(!answer.headers().contains_key("Access-Control-Allow-Origin"), "{path}");
        assert_eq!(answer.headers()["Cache-Control"], "no-store", "{path}");
    }
    let preflight = http().request(Method::OPTIONS, format!("{}/admin/status", replica.url()));
    let preflight = preflight.header("Access-Control-Request-Method", "DELETE").send().await.unwrap();
    assert!(preflight.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
    let public = http().get(format!("{}/health", replica.url())).send().await.unwrap();
    assert_eq!(public.headers()["Access-Control-Allow-Origin"], "*");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_from_a_page_of_another_site_is_refused() {
    let replica = with_password(Setup::on_redis()).start().await;
    let request = http().post(format!("{}/admin/login", replica.url())).header("Origin", "https://evil.example");
    let answer = request.json(&serde_json::json!({"password": "x"})).send().await.unwrap();
    let refusal: Value = expect(answer, 403).await;
    assert_eq!(refusal["code"], "foreign_origin");
}
