//! The pages as they leave the relay, whatever is in the store.

use reqwest::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde_json::json;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::operator::{Operator, http, with_password};
use crate::support::proxy::Proxy;
use crate::support::redis;
use crate::support::relay::{Setup, data_dir};

const PAGES: [&str; 9] = [
    "/admin",
    "/admin/sessions",
    "/admin/sessions?q=none&order=created&first=old",
    "/admin/deliveries",
    "/admin/deliveries?state=pending",
    "/admin/deliveries?state=retrying&platform=email",
    "/admin/store",
    "/admin/store/kinds/session",
    "/admin/audit",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_an_empty_relay_is_there_and_loads_nothing_from_elsewhere() {
    let dir = data_dir();
    for setup in [Setup::on_redis(), Setup::embedded(dir.path())] {
        let replica = with_password(setup).start().await;
        let operator = Operator::log_in(&replica).await;
        for path in PAGES {
            let answer = operator.get(&replica, path).await;
            assert_eq!(answer.status(), 200, "{path}");
            let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
            assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(answer.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(answer.headers()["Cache-Control"], "no-store");
            let page = answer.text().await.unwrap();
            for foreign in ["src=\"http", "href=\"http", "src=\"//", "style=\""] {
                assert!(!page.contains(foreign), "{path} has {foreign}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_named_by_their_content_and_kept_for_ever() {
    let replica = with_password(Setup::on_redis()).start().await;
    let login = http().get(format!("{}/admin/login", replica.url())).send().await.unwrap().text().await.unwrap();
    let login = login.replace("&#x2F;", "/");
    let assets: Vec<_> = login.split('"').filter(|part| part.starts_with("/admin/assets/")).collect();
    assert!(assets.len() >= 2, "{login}");
    for asset in assets {
        let answer = http().get(format!("{}{asset}", replica.url())).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{asset}");
        assert_eq!(answer.headers()["Cache-Control"], "public, max-age=31536000, immutable");
        assert_eq!(answer.headers()["X-Content-Type-Options"], "nosniff");
    }
    for none in ["style.css", "style.0000000000000000.css", "..%2Fmain.rs", "%00"] {
        let answer = http().get(format!("{}/admin/assets/{none}", replica.url())).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{none}");
        assert_eq!(answer.headers()["Cache-Control"], "no-store");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_content_is_shown_as_text() {
    let replica = with_password(Setup::on_redis()).start().await;
    let client = Client::register(&replica).await;
    let settings = json!({"name": "<img src=x onerror=alert(1)>", "agentId": "\"><script>alert(2)</script>"});
    let hook = client.make_webhook(&replica, settings).await;
    hook.deliver(&replica, "&lt;script&gt; \"quoted\" 'single' \u{202e}rtl\u{202c} 🦀 {{ 7 * 7 }} {% raw %}").await;
    hook.deliver(&replica, &"ö".repeat(40_000)).await;
    client.reply(&replica, &hook.id, "a < b && c > d").await;
    let operator = Operator::log_in(&replica).await;
    let overview = eventually("the overview shows it", || async {
        Some(operator.page(&replica, "/admin").await)
            .filter(|page| page.contains("&lt;script&gt;") || page.contains("&amp;lt;script"))
    })
    .await;
    let session = operator.page(&replica, &format!("/admin/sessions/{}", client.user_id)).await;
    let sessions = operator.page(&replica, "/admin/sessions").await;
    for page in [&overview, &session, &sessions] {
        assert!(!page.contains("<img src=x") && !page.contains("<script>"), "{page}");
    }
    assert!(session.contains("&amp;lt;script&amp;gt;"), "entities are not decoded");
    assert!(session.contains("{{ 7 * 7 }}"), "templates in content are content");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_found_by_all_of_its_names() {
    let replica = with_password(Setup::on_redis()).start().await;
    let (client, other) = (Client::register(&replica).await, Client::register(&replica).await);
    let hook = client.make_webhook(&replica, json!({"name": "Doorbell"})).await;
    let operator = Operator::log_in(&replica).await;
    for search in [&client.user_id, &client.user_id[..8], &hook.id, &hook.id.to_uppercase(), "doorb"] {
        let page = operator.page(&replica, &format!("/admin/sessions?q={search}")).await;
        assert!(page.contains(&client.user_id) && !page.contains(&other.user_id), "{search}");
    }
    for nothing in ["zzz", "%2A", "%5B", "%00", "%F0%9F%A6%80", "+"] {
        operator.page(&replica, &format!("/admin/sessions?q={nothing}")).await;
    }
    for bad in ["order=age", "first=last", "cursor=x", &format!("q={}", "a".repeat(300))] {
        assert_eq!(operator.get(&replica, &format!("/admin/sessions?{bad}")).await.status(), 400, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_say_so_when_the_store_is_away_and_come_back_by_themselves() {
    let proxy = Proxy::to(redis::shared().port()).await;
    let setup = with_password(Setup::on(&proxy.url(), &redis::fresh_prefix()));
    let replica = setup.start().await;
    let operator = Operator::log_in(&replica).await;
    proxy.cut();
    let answer = operator.get(&replica, "/admin").await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("Retry-After"));
    assert!(answer.text().await.unwrap().contains("cannot reach its store"));
    proxy.heal();
    eventually("the page is back", || async { (operator.get(&replica, "/admin").await.status() == 200).then_some(()) })
        .await;
}
