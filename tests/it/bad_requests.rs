//! Malformed and hostile requests: each is refused in the same form, and none costs anybody else anything.

mod bodies;
mod broken_http;
mod callers;
mod fields;
mod keys;
mod paths;
mod platforms;
mod raw;
mod row;

use serde_json::{Value, json};

use self::raw::{Answer, Request};
use self::row::{Row, World};
use crate::support::client::{Client, contents, expect};
use crate::support::relay::{Replica, Setup};

/// What is wrong with an answer; nothing when it is what the row asks for.
fn complaint(row: &Row, answer: &Answer) -> Option<String> {
    if answer.status != row.status {
        return Some(format!("status {} instead of {}: {}", answer.status, row.status, answer.text()));
    }
    if answer.header("X-Request-Id").is_none_or(str::is_empty) {
        return Some("no X-Request-Id".to_owned());
    }
    if answer.header("Access-Control-Allow-Origin") != Some("*") {
        return Some("no CORS header".to_owned());
    }
    if row.status == 405 {
        let allowed: Vec<&str> = answer.header("Allow").unwrap_or_default().split(", ").collect();
        if allowed == [""] || allowed.contains(&row.request.method.as_str()) {
            return Some(format!("Allow is {allowed:?}"));
        }
    }
    if row.request.method == "HEAD" || row.code.is_empty() {
        return None;
    }
    let kind = answer.header("Content-Type").unwrap_or_default();
    if kind != "application/json; charset=utf-8" {
        return Some(format!("the type is {kind:?}: {}", answer.text()));
    }
    let body = answer.json();
    let sentence = body["error"].as_str().unwrap_or_default();
    let names: Vec<&String> = body.as_object().into_iter().flat_map(|body| body.keys()).collect();
    let is_right =
        body["code"] == row.code && sentence.contains(row.says) && sentence.contains(' ') && names == ["error", "code"];
    (!is_right).then(|| format!("expected {} and {:?}, got {body}", row.code, row.says))
}

/// Sends every row and then makes sure that the relay is none the worse for it.
async fn answers_as_told(rows: impl FnOnce(&World) -> Vec<Row>) {
    answers_with(Setup::on_redis(), rows).await;
}

async fn answers_with(setup: Setup, rows: impl FnOnce(&World) -> Vec<Row>) {
    let replica = setup.start().await;
    let world = World::make(&replica).await;
    let rows = rows(&world);
    let mut complaints = Vec::new();
    for row in &rows {
        let answer = row.request.send(&replica).await;
        if let Some(complaint) = complaint(row, &answer) {
            complaints.push(format!("{}: {complaint}", row.name));
        }
    }
    assert!(complaints.is_empty(), "{} of {} rows:\n{}", complaints.len(), rows.len(), complaints.join("\n"));
    is_unharmed(&replica).await;
}

/// The relay is healthy, has complained of nothing, and serves a conversation.
async fn is_unharmed(replica: &Replica) {
    assert!(replica.is_ready().await);
    assert_eq!(replica.health().await["status"], "ok");
    let client = Client::register_signed(replica).await;
    let webhook = client.make_webhook(replica, json!({})).await;
    let mut socket = client.open(replica, "").await;
    let id = webhook.deliver(replica, "still there?").await;
    assert_eq!(socket.content().await, "still there?");
    assert_eq!(contents(&client.poll_all(replica).await), ["still there?"]);
    let response = client.reply(replica, &webhook.id, "yes").await;
    let responses = reqwest::get(format!("{}/responses/{}", replica.url(), webhook.id)).await.unwrap();
    assert_eq!(expect(responses, 200).await["responses"][0]["id"], json!(response));
    assert_ne!(id, response);
    let worst =
        replica.log().lines().filter(|line| line.contains("panicked") || line.contains(r#""level":"ERROR""#)).count();
    assert_eq!(worst, 0, "{}", replica.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_public_key_is_refused_by_its_member() {
    answers_as_told(|_| keys::rows()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_json_or_too_large_is_refused() {
    answers_as_told(bodies::rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_wrong_is_named_and_an_unknown_one_ignored() {
    answers_as_told(fields::rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_cannot_show_who_it_is_is_refused() {
    answers_as_told(callers::rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_paths_methods_queries_and_headers_are_refused() {
    answers_as_told(paths::rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_is_refused_or_hung_up_on() {
    let replica = Setup::on_redis().start().await;
    for (name, bytes) in broken_http::attempts() {
        // A connection that was reset is a close as well.
        let status = match raw::exchange(&replica, &bytes).await {
            Ok(Some(answer)) => answer.status,
            Ok(None) | Err(_) => continue,
        };
        assert!((400..500).contains(&status), "{name}: {status}");
    }
    is_unharmed(&replica).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_head_has_the_head_of_get_and_no_body() {
    let replica = Setup::on_redis().start().await;
    let world = World::make(&replica).await;
    let responses = format!("/responses/{}", world.webhook.id);
    for path in ["/health", "/health?deep=1", "/health/live", "/health/ready", responses.as_str()] {
        let head = Request::new("HEAD", path).send(&replica).await;
        let get = Request::new("GET", path).send(&replica).await;
        assert_eq!((head.status, get.status), (200, 200), "{path}");
        assert_eq!(head.header("Content-Type"), get.header("Content-Type"), "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
    }
    let gone = Request::new("HEAD", "/responses/not-there").send(&replica).await;
    assert_eq!((gone.status, gone.body.len()), (404, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_shows_at_most_the_start_of_what_was_sent() {
    let replica = Setup::on_redis().start().await;
    let world = World::make(&replica).await;
    for request in [
        Request::new("GET", format!("/{}", "x".repeat(20_000))),
        Request::new("POST", format!("/webhook/{}", "x".repeat(20_000))),
        world.reply(json!({"channelId": "x".repeat(500_000)})),
        world.reply(json!({"channelType": "x".repeat(500_000)})),
        world.ask("GET", format!("/messages?since={}", "x".repeat(20_000))),
    ] {
        let answer = request.send(&replica).await;
        let length = answer.json()["error"].as_str().unwrap().len();
        assert!((400..500).contains(&answer.status) && length < 300, "{}: {length} bytes", answer.status);
    }
}

/// A refusal repeats what was sent, so it must never be taken for markup or break the JSON around it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_refusal_repeats_stays_a_text() {
    let replica = Setup::on_redis().start().await;
    let world = World::make(&replica).await;
    let id = "\"},\"code\":\"ok\n\u{1b}[31m";
    let answer = world.reply(json!({"channelId": id})).send(&replica).await;
    let body: Value = answer.json();
    assert_eq!((answer.status, &body["code"]), (404, &json!("unknown_channel")));
    assert!(body["error"].as_str().unwrap().chars().all(|c| !c.is_control()), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_of_a_refused_request_is_never_taken_for_the_next_request() {
    let replica = Setup::on_redis().start().await;
    let hidden = "GET /health/live HTTP/1.1\r\nHost: a\r\nX-Request-Id: smuggled\r\n\r\n";
    // What does not fit into one read, too, and what is beyond the limit.
    let bodies = [hidden.to_owned(), hidden.repeat(3000), hidden.repeat(30_000)];
    for (method, path, status) in [
        ("PUT", "/messages", 405),
        ("GET", "/messages", 401),
        ("GET", "/health/none", 404),
        ("POST", "/webhook/none", 404),
        ("POST", "/auth/register", 400),
        ("GET", "/ws", 401),
        ("OPTIONS", "/reply", 204),
    ] {
        for body in &bodies {
            let refused = Request::new(method, path).header("X-Request-Id", "first").body(body.as_str());
            for refused in [refused.clone(), refused.chunked()] {
                let after =
                    Request::new("GET", "/health/live").header("X-Request-Id", "second").header("Connection", "close");
                let answers = raw::conversation(&replica, &[refused, after]).await;
                assert!(answers.starts_with("HTTP/1.1 "), "{method} {path}: {answers:?}");
                let first = &answers[9..12];
                assert!(first == status.to_string() || first == "413", "{method} {path}: {answers}");
                assert!(!answers.contains("smuggled"), "{method} {path} with {} bytes: {answers}", body.len());
                // The relay may hang up on what it does not want to read; if it goes on, then with what comes after.
                assert!(
                    answers.matches("HTTP/1.1 ").count() == 1 || answers.contains("second"),
                    "{method} {path}: {answers}"
                );
            }
        }
    }
    is_unharmed(&replica).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_s_endpoint_refuses_what_is_not_the_platform_s() {
    let setup = Setup::on_redis()
        .with("CHAOS_PUBLIC_URL", "http://localhost")
        .with("CHAOS_EMAIL_DOMAIN", "in.example.net")
        .with("RESEND_API_KEY", "re_0123456789abcdef")
        .with("RESEND_WEBHOOK_SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    answers_with(setup, platforms::rows).await;
}
