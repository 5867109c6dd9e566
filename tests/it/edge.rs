//! What every answer carries: CORS headers for browsers and the request's id.

use std::collections::HashSet;

use reqwest::{Method, Response};
use uuid::Uuid;

use crate::support::client::expect;
use crate::support::eventually;
use crate::support::relay::{Replica, Setup};

async fn ask(replica: &Replica, method: Method, path: &str, headers: &[(&str, &[u8])]) -> Response {
    let request = reqwest::Client::new().request(method, format!("{}{path}", replica.url()));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.send().await.unwrap()
}

fn header(answer: &Response, name: &str) -> String {
    let value = answer.headers().get(name).unwrap_or_else(|| panic!("{name} in {:?}", answer.headers()));
    value.to_str().unwrap().to_owned()
}

/// A list in a header, in lower case.
fn list(answer: &Response, name: &str) -> HashSet<String> {
    header(answer, name).split(',').map(|item| item.trim().to_ascii_lowercase()).collect()
}

fn set(items: &str) -> HashSet<String> {
    items.split(' ').map(str::to_ascii_lowercase).collect()
}

const PATHS: [&str; 9] = [
    "/health",
    "/auth/register",
    "/webhook/x",
    "/responses/x",
    "/messages",
    "/reply",
    "/channels",
    "/channels/x",
    "/typing",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_allows_every_origin_what_clients_need() {
    let replica = Setup::on_redis().start().await;
    for path in PATHS {
        let answer = ask(
            &replica,
            Method::OPTIONS,
            path,
            &[
                ("Origin", b"chrome-extension://abcdef"),
                ("Access-Control-Request-Method", b"PATCH"),
                ("Access-Control-Request-Headers", b"authorization,x-nonce"),
            ],
        )
        .await;
        assert_eq!(answer.status(), 204, "{path}");
        assert_eq!(header(&answer, "Access-Control-Allow-Origin"), "*");
        assert_eq!(list(&answer, "Access-Control-Allow-Methods"), set("GET POST PATCH DELETE OPTIONS"));
        let allowed = "Content-Type Authorization X-Timestamp X-Nonce X-Signature Idempotency-Key X-Webhook-Token \
                       X-Webhook-Source X-Request-Id Mcp-Session-Id MCP-Protocol-Version Last-Event-ID";
        assert_eq!(list(&answer, "Access-Control-Allow-Headers"), set(allowed));
        assert!(!header(&answer, "X-Request-Id").is_empty());
        assert_eq!(answer.text().await.unwrap(), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_may_be_read_by_every_origin_and_is_kept_by_nobody() {
    let replica = Setup::on_redis().start().await;
    let exposed = set("Retry-After RateLimit-Limit RateLimit-Remaining RateLimit-Reset X-Request-Id Mcp-Session-Id");
    for (method, path, status) in [
        (Method::GET, "/health", 200),
        (Method::POST, "/auth/register", 200),
        (Method::GET, "/messages", 401),
        (Method::GET, "/responses/x", 404),
        (Method::GET, "/nowhere", 404),
        (Method::PUT, "/messages", 405),
        (Method::GET, "/ws", 401),
    ] {
        let answer = ask(&replica, method, path, &[("Origin", b"https://page.example")]).await;
        assert_eq!(header(&answer, "Access-Control-Allow-Origin"), "*", "{path}");
        assert!(answer.headers().get("Access-Control-Allow-Credentials").is_none(), "{path}");
        assert!(exposed.is_subset(&list(&answer, "Access-Control-Expose-Headers")), "{path}");
        // Many hold secrets or what people write: nobody on the way keeps them, or takes them for a page.
        assert_eq!(header(&answer, "Cache-Control"), "no-store", "{path}");
        assert_eq!(header(&answer, "X-Content-Type-Options"), "nosniff", "{path}");
        expect(answer, status).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sane_request_id_comes_back_and_stands_in_the_log() {
    let replica = Setup::on_redis().start().await;
    let longest = "x".repeat(128);
    for id in ["a", "A-Z.0_9", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", &longest] {
        for path in ["/health", "/messages", "/nowhere"] {
            let answer = ask(&replica, Method::GET, path, &[("X-Request-Id", id.as_bytes())]).await;
            assert_eq!(header(&answer, "X-Request-Id"), id, "{path}");
        }
    }
    let in_log = format!(r#""request_id":"{longest}""#);
    eventually("three log lines carry the id", || async {
        (replica.log().matches(&in_log).count() == 3).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_request_id_is_replaced_by_a_new_one() {
    let replica = Setup::on_redis().start().await;
    let mut seen = HashSet::new();
    let too_long = "x".repeat(129);
    let insane: [&[u8]; 9] =
        [b"", b" ", b"a b", b"a/b", b"a:b", b"{\"a\":1}", "\u{e4}".as_bytes(), b"\xff", too_long.as_bytes()];
    for id in insane {
        let answer = ask(&replica, Method::GET, "/health", &[("X-Request-Id", id)]).await;
        let new = header(&answer, "X-Request-Id");
        Uuid::parse_str(&new).unwrap();
        assert!(seen.insert(new));
    }
    for _ in 0..2 {
        let answer = ask(&replica, Method::GET, "/health", &[]).await;
        assert!(seen.insert(header(&answer, "X-Request-Id")));
    }
}
