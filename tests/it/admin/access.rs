//! Logging in, staying so on every replica, and logging out.

use reqwest::header::{ACCEPT, CACHE_CONTROL, SET_COOKIE};
use serde_json::json;

use crate::support::client::expect;
use crate::support::operator::{Operator, PASSWORD, http, location, login_cookie, try_to_log_in, with_password};
use crate::support::relay::{Setup, data_dir};

#[tokio::test(flavor = "multi_thread")]
async fn a_login_on_one_replica_holds_on_the_other_and_ends_on_both() {
    let [a, b] = with_password(Setup::on_redis()).start_many().await;
    let operator = Operator::log_in(&a).await;
    assert_eq!(operator.get(&b, "/admin/status").await.status(), 200);
    let answer = operator.request(&b, reqwest::Method::POST, "/admin/logout").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), location(&answer)), (302, "/admin/login"));
    for replica in [&a, &b] {
        let refusal = expect(operator.get(replica, "/admin/status").await, 401).await;
        assert_eq!(refusal["code"], "not_logged_in");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_for_these_pages_and_for_no_script() {
    let replica = with_password(Setup::on_redis()).start().await;
    let answer = try_to_log_in(&replica, PASSWORD).await;
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    login_cookie(answer.headers());
    for part in ["chaos_admin=", "Path=/admin", "HttpOnly", "SameSite=Strict", "Max-Age=86400"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    assert!(!cookie.contains("Secure"), "over plain HTTP a browser would not send it back");
    assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https_the_cookie_is_for_https_only() {
    let setup = with_password(Setup::on_redis()).with("CHAOS_TRUSTED_PROXIES", "127.0.0.0/8");
    let replica = setup.start().await;
    let login = |scheme: &str| {
        let request = http().post(format!("{}/admin/login", replica.url())).header("X-Forwarded-Proto", scheme);
        request.json(&json!({"password": PASSWORD})).send()
    };
    for (scheme, is_secure) in [("https", true), ("http", false)] {
        let answer = login(scheme).await.unwrap();
        login_cookie(answer.headers());
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        assert_eq!(cookie.contains("Secure"), is_secure, "{scheme}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_lets_nobody_in() {
    let replica = with_password(Setup::on_redis()).start().await;
    let near = format!("{PASSWORD} ");
    let long = "x".repeat(100_000);
    for wrong in ["", "wrong", &near, &PASSWORD[1..], &long, "\u{0}"] {
        let answer = try_to_log_in(&replica, wrong).await;
        assert_eq!(login_cookie(answer.headers()), None);
        assert_eq!(expect(answer, 401).await["code"], "wrong_password");
    }
    for body in ["{}", r#"{"password": 5}"#, r#"{"password": null}"#] {
        let request = http().post(format!("{}/admin/login", replica.url())).header("Content-Type", "application/json");
        let refusal = expect(request.body(body).send().await.unwrap(), 400).await;
        assert!(refusal["error"].as_str().unwrap().contains("password"), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_cookies_let_nobody_in() {
    let replica = with_password(Setup::on_redis()).start().await;
    let long = "a".repeat(5000);
    for made_up in ["", "x", &"A".repeat(43), &long, "%00", "\"", "=;="] {
        let stranger = Operator::holding(format!("chaos_admin={made_up}"));
        assert_eq!(stranger.get(&replica, "/admin/status").await.status(), 401, "{made_up}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_logs_in_and_leads_on() {
    let replica = with_password(Setup::on_redis()).start().await;
    let send = |fields: &[(&str, &str)]| {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = http().post(format!("{}/admin/login", replica.url())).header(ACCEPT, "text/html");
        request.header("Content-Type", "application/x-www-form-urlencoded").body(body).send()
    };
    for (next, way) in [
        ("", "/admin"),
        ("/admin/sessions?q=a", "/admin/sessions?q=a"),
        ("https://evil.example/", "/admin"),
        ("//evil.example/admin", "/admin"),
        ("/health", "/admin"),
    ] {
        let answer = send(&[("password", PASSWORD), ("next", next)]).await.unwrap();
        assert_eq!((answer.status().as_u16(), location(&answer)), (303, way), "{next}");
        assert!(login_cookie(answer.headers()).is_some());
    }
    let answer = send(&[("password", "wrong")]).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(login_cookie(answer.headers()), None);
    let page = answer.text().await.unwrap();
    assert!(page.contains("The password is wrong.") && page.contains("name=\"password\""), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_logged_in_is_led_to_the_login_and_back() {
    let replica = with_password(Setup::on_redis()).start().await;
    let get = |path: &str| http().get(format!("{}{path}", replica.url())).header(ACCEPT, "text/html").send();
    for (path, way) in [
        ("/admin", "/admin/login"),
        ("/admin/sessions?q=a%26b", "/admin/login?next=%2Fadmin%2Fsessions%3Fq%3Da%2526b"),
        ("/admin/audit", "/admin/login?next=%2Fadmin%2Faudit"),
    ] {
        let answer = get(path).await.unwrap();
        assert_eq!((answer.status().as_u16(), location(&answer)), (302, way), "{path}");
    }
    let page = get("/admin/login?next=%2Fadmin%2Faudit").await.unwrap();
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap().replace("&#x2F;", "/");
    assert!(page.contains("value=\"/admin/audit\""), "{page}");
    let operator = Operator::log_in(&replica).await;
    let answer = operator.get(&replica, "/admin/login").await;
    assert_eq!((answer.status().as_u16(), location(&answer)), (303, "/admin"), "who is in need not log in");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_password_everything_below_admin_is_closed() {
    let replica = Setup::on_redis().start().await;
    for (method, path) in [
        ("GET", "/admin"),
        ("GET", "/admin/"),
        ("GET", "/admin/login"),
        ("POST", "/admin/login"),
        ("GET", "/admin/status"),
        ("DELETE", "/admin/sessions/00000000-0000-4000-8000-000000000000"),
        ("GET", "/admin/no/such/page"),
        ("OPTIONS", "/admin/status"),
        ("PUT", "/admin"),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = http().request(method.clone(), format!("{}{path}", replica.url())).send().await.unwrap();
        let refusal = expect(answer, 503).await;
        assert_eq!(refusal["code"], "not_configured", "{method} {path}");
        assert!(refusal["error"].as_str().unwrap().contains("CHAOS_ADMIN_KEY"));
    }
    let page = http().get(format!("{}/admin", replica.url())).header(ACCEPT, "text/html").send().await.unwrap();
    assert_eq!(page.status(), 503);
    assert!(page.text().await.unwrap().contains("CHAOS_ADMIN_KEY"));
    assert_eq!(http().get(format!("{}/administrator", replica.url())).send().await.unwrap().status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_limited_by_address_over_all_replicas() {
    let setup = with_password(Setup::on_redis()).without("CHAOS_RATE_ADMIN_LOGIN");
    let [a, b] = setup.start_many().await;
    for n in 0..10 {
        assert_eq!(try_to_log_in(if n % 2 == 0 { &a } else { &b }, "wrong").await.status(), 401);
    }
    for (replica, password) in [(&a, "wrong"), (&b, PASSWORD)] {
        let answer = try_to_log_in(replica, password).await;
        let wait: u64 = answer.headers()["Retry-After"].to_str().unwrap().parse().unwrap();
        assert!((1..=900).contains(&wait), "{wait}");
        assert_eq!(expect(answer, 429).await["code"], "rate_limited");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_ends_the_one_that_the_browser_had() {
    let replica = with_password(Setup::on_redis()).start().await;
    let first = Operator::log_in(&replica).await;
    let request = first.request(&replica, reqwest::Method::POST, "/admin/login");
    let answer = request.json(&json!({"password": PASSWORD})).send().await.unwrap();
    let second = Operator::holding(login_cookie(answer.headers()).unwrap());
    assert_ne!(first.cookie(), second.cookie());
    assert_eq!(second.get(&replica, "/admin/status").await.status(), 200);
    assert_eq!(first.get(&replica, "/admin/status").await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_end_the_logins_of_all() {
    let [a, b] = with_password(Setup::on_redis()).start_many().await;
    let (one, other) = (Operator::log_in(&a).await, Operator::log_in(&b).await);
    let answer = one.send_form(&a, "/admin/logout", &[("everywhere", "1")]).await;
    assert_eq!((answer.status().as_u16(), location(&answer)), (302, "/admin/login"));
    for operator in [&one, &other] {
        assert_eq!(operator.get(&b, "/admin/status").await.status(), 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_password_ends_every_login() {
    let setup = with_password(Setup::on_redis());
    let before = setup.start().await;
    let operator = Operator::log_in(&before).await;
    let after = setup.with("CHAOS_ADMIN_KEY", "another passphrase").start().await;
    assert_eq!(operator.get(&after, "/admin/status").await.status(), 401);
    assert_eq!(operator.get(&before, "/admin/status").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_survives_a_restart_of_the_embedded_store() {
    let dir = data_dir();
    let setup = with_password(Setup::embedded(dir.path()));
    let mut replica = setup.start().await;
    let operator = Operator::log_in(&replica).await;
    assert_eq!(operator.get(&replica, "/admin/status").await.status(), 200);
    replica.kill();
    let replica = setup.start().await;
    assert_eq!(operator.get(&replica, "/admin/status").await.status(), 200);
}
