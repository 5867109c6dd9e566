//! Traces: one for a message, from the webhook to the socket or the platform, wherever its steps are made.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Response;
use serde_json::json;

use crate::delivery::fate::becomes;
use crate::delivery::line::{Fault, Line};
use crate::support::client::{Client, Webhook, expect};
use crate::support::collector::{Collector, Mood, Seen};
use crate::support::eventually;
use crate::support::operator::http;
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::random_hex;
use crate::support::redis::RedisServer;
use crate::support::relay::{Replica, Setup, data_dir};
use crate::support::secrets;

const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

/// The step of a caller, who has a trace of his own.
const CALLER: &str = "b7ad6b7169203331";

/// A trace that nobody else has.
fn fresh_trace() -> String {
    random_hex()
}

fn traceparent(trace: &str, is_sampled: bool) -> String {
    format!("00-{trace}-{CALLER}-0{}", u8::from(is_sampled))
}

/// Posts a text in a trace.
async fn post(replica: &Replica, hook: &Webhook, text: &str, traceparent: &str) -> Response {
    let request = http().post(format!("{}{}", replica.url(), hook.path())).header("traceparent", traceparent);
    request.body(text.to_owned()).send().await.unwrap()
}

fn is_child(child: &Seen, parent: &Seen) -> bool {
    child.parent == parent.id && child.trace == parent.trace
}

/// Checks the four steps from a webhook to a socket.
fn check_push(steps: &[Seen; 4], message: &str, how: &str) {
    let [request, ingest, call, push] = steps;
    assert_eq!(request.parent, CALLER);
    assert!(is_child(ingest, request) && is_child(call, ingest) && is_child(push, ingest), "{steps:?}");
    assert_eq!([request.kind, ingest.kind, call.kind, push.kind], [SERVER, PRODUCER, CLIENT, CONSUMER]);
    let said = |span: &Seen, name: &str| span.attributes.get(name).cloned().unwrap_or_default();
    assert_eq!(said(request, "http.request.method"), "POST");
    assert_eq!(said(request, "http.route"), "/webhook/{channel}");
    assert_eq!(said(request, "http.response.status_code"), "200");
    assert_eq!(said(ingest, "messaging.message.id"), message);
    assert_eq!(said(call, "db.operation.name"), call.name);
    assert_eq!(said(push, "messaging.message.id"), message);
    assert_eq!(said(push, "chaos.push.how"), how);
    assert_eq!(push.resource["service.name"], "chaos-relay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_at_one_replica_and_a_socket_at_another_are_one_trace() {
    let collector = Collector::start().await;
    let [one, other] = collector.known_to(Setup::on_redis()).start_many().await;
    let client = Client::register(&one).await;
    let hook = client.make_webhook(&one, json!({})).await;
    let mut socket = client.open(&other, "").await;
    let trace = fresh_trace();
    let answer = expect(post(&one, &hook, "what it says", &traceparent(&trace, true)).await, 200).await;
    assert_eq!(socket.content().await, "what it says");
    let names = ["POST /webhook/{channel}", "ingest webhook", "append_message", "push webhook"];
    let steps = collector.trace(&trace, names).await;
    check_push(&steps, answer["messageId"].as_str().unwrap(), "live");
    let [request, _, call, push] = &steps;
    assert_ne!(request.resource["service.instance.id"], push.resource["service.instance.id"]);
    assert_eq!(call.attributes["db.system.name"], "redis");
    for post in collector.requests() {
        assert_eq!(post.path, "/v1/traces");
        let bytes = String::from_utf8_lossy(&post.bytes).into_owned();
        assert!(!bytes.contains("what it says") && !bytes.contains(&client.user_id), "no content, and nobody's id");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_waited_for_its_socket_is_still_of_its_trace() {
    let collector = Collector::start().await;
    let replica = collector.known_to(Setup::on_redis()).start().await;
    let client = Client::register(&replica).await;
    let hook = client.make_webhook(&replica, json!({})).await;
    let trace = fresh_trace();
    let answer = expect(post(&replica, &hook, "hello", &traceparent(&trace, true)).await, 200).await;
    let mut socket = client.open(&replica, "").await;
    assert_eq!(socket.content().await, "hello");
    let names = ["POST /webhook/{channel}", "ingest webhook", "append_message", "push webhook"];
    check_push(&collector.trace(&trace, names).await, answer["messageId"].as_str().unwrap(), "replayed");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_embedded_store_it_is_one_trace_too() {
    let collector = Collector::start().await;
    let dir = data_dir();
    let replica = collector.known_to(Setup::embedded(dir.path())).start().await;
    let client = Client::register(&replica).await;
    let hook = client.make_webhook(&replica, json!({})).await;
    let mut socket = client.open(&replica, "").await;
    let trace = fresh_trace();
    let answer = expect(post(&replica, &hook, "hello", &traceparent(&trace, true)).await, 200).await;
    assert_eq!(socket.content().await, "hello");
    let names = ["POST /webhook/{channel}", "ingest webhook", "write", "push webhook"];
    let steps = collector.trace(&trace, names).await;
    check_push(&steps, answer["messageId"].as_str().unwrap(), "live");
    assert_eq!(steps[2].attributes["db.system.name"], "embedded");
}

/// A reply over HTTP, in a trace, to the platform.
async fn reply_is_traced(platforms: &Platforms, collector: &Collector, setup: Setup) {
    let replica = collector.known_to(platforms.known_to(setup)).start().await;
    platforms.lead_to(&[&replica]);
    let agent = Client::register(&replica).await;
    let line = Line::open(platforms, &agent, &replica, "telegram", 1).await;
    line.fault(Fault::Status(500), 1, None);
    let trace = fresh_trace();
    let body = line.body(0, "an answer").to_string();
    let request = agent.request(&replica, reqwest::Method::POST, "/reply", body.as_bytes());
    let answer = expect(request.header("traceparent", traceparent(&trace, true)).send().await.unwrap(), 200).await;
    let id = answer["responseId"].as_str().unwrap();
    becomes(&agent, &replica, id, "delivered").await;
    let names = ["POST /reply", "reply telegram", "deliver telegram", "telegram sendMessage"];
    let steps = collector.trace(&trace, names).await;
    let [request, reply, first, call] = &steps;
    assert_eq!(request.parent, CALLER);
    assert!(is_child(reply, request) && is_child(first, reply) && is_child(call, first), "{steps:?}");
    assert_eq!([request.kind, reply.kind, first.kind, call.kind], [SERVER, PRODUCER, CONSUMER, CLIENT]);
    assert_eq!(first.attributes["messaging.message.id"], id);
    assert_eq!((&*first.attributes["chaos.delivery.outcome"], first.is_error), ("retrying", true));
    assert_eq!((&*call.attributes["http.response.status_code"], call.is_error), ("500", true));
    assert_eq!(call.attributes["server.address"], "127.0.0.1");
    eventually("the second try is of the trace", || async {
        let spans = collector.spans();
        let again = |span: &&Seen| span.name == "deliver telegram" && span.trace == trace && span.id != first.id;
        let again = spans.iter().find(again)?;
        let is_whole = is_child(again, reply) && again.attributes["chaos.delivery.outcome"] == "delivered";
        let noted = spans.iter().any(|span| span.kind == CLIENT && span.name != call.name && is_child(span, again));
        (is_whole && noted).then_some(())
    })
    .await;
    for call in line.all_calls() {
        assert!(!call.headers.contains_key("traceparent"), "platforms are strangers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_traced_through_the_outbox_to_the_platform() {
    let (platforms, collector) = (Platforms::start().await, Collector::start().await);
    reply_is_traced(&platforms, &collector, Setup::on_redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_on_the_embedded_store_is_traced_to_the_platform_too() {
    let (platforms, collector) = (Platforms::start().await, Collector::start().await);
    let dir = data_dir();
    reply_is_traced(&platforms, &collector, Setup::embedded(dir.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_writes_and_what_a_socket_answers_is_traced() {
    let (platforms, collector) = (Platforms::start().await, Collector::start().await);
    let replica = collector.known_to(platforms.on_redis()).start().await;
    platforms.lead_to(&[&replica]);
    let agent = Client::register(&replica).await;
    let line = Line::open(&platforms, &agent, &replica, "slack", 1).await;
    let mut socket = agent.open(&replica, "").await;
    line.hears(0, "a question").await;
    let mut frame = line.body(0, "an answer");
    frame["type"] = "reply".into();
    socket.send(&frame).await;
    line.was_sent(0, 1).await;
    let spans = eventually("everything was traced", || async {
        let spans = collector.spans();
        let has = |name: &str| spans.iter().any(|span| span.name == name);
        let all = ["POST /slack/{channel}", "ingest slack", "push slack", "ws reply", "deliver slack"];
        all.into_iter().all(has).then_some(spans)
    })
    .await;
    let named = |name: &str| spans.iter().rfind(|span| span.name == name).unwrap();
    assert!(is_child(named("reply slack"), named("ws reply")));
    assert!(is_child(named("deliver slack"), named("reply slack")));
    assert!(spans.iter().any(|push| push.name == "push slack" && is_child(push, named("ingest slack"))));
    assert!(!spans.iter().any(|span| span.name.contains("/health")), "who looks whether it is well is not traced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_says_whether_its_trace_is_recorded_and_who_says_nothing_clear_has_none() {
    let collector = Collector::start().await;
    let replica = collector.known_to(Setup::on_redis()).start().await;
    let client = Client::register(&replica).await;
    let hook = client.make_webhook(&replica, json!({})).await;
    let (unwanted, malformed) = (fresh_trace(), fresh_trace());
    expect(post(&replica, &hook, "x", &traceparent(&unwanted, false)).await, 200).await;
    let before = collector.spans().len();
    expect(post(&replica, &hook, "x", &traceparent(&malformed, true).to_uppercase()).await, 200).await;
    eventually("the malformed one has a trace of its own", || async {
        let spans = collector.spans();
        spans[before..].iter().any(|span| span.name == "POST /webhook/{channel}").then_some(())
    })
    .await;
    assert!(!collector.spans().iter().any(|span| [&unwanted, &malformed].contains(&&span.trace)));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_replica_that_traces_stores_steps_and_others_pass_them_on() {
    let collector = Collector::start().await;
    let server = RedisServer::start();
    let untraced = Setup::on_server(&server).start().await;
    let traced = collector.known_to(Setup::on_server(&server)).start().await;
    let client = Client::register(&untraced).await;
    let hook = client.make_webhook(&untraced, json!({})).await;
    let mut socket = client.open(&untraced, "").await;
    let stream = format!("chaos:{{{}}}:messages", client.user_id);
    let trace = fresh_trace();
    expect(post(&untraced, &hook, "one", &traceparent(&trace, true)).await, 200).await;
    assert!(!server.cli(&["XRANGE", &stream, "-", "+"]).contains(&trace));
    expect(post(&traced, &hook, "two", &traceparent(&trace, true)).await, 200).await;
    assert!(server.cli(&["XRANGE", &stream, "-", "+"]).contains(&trace));
    assert_eq!([socket.content().await, socket.content().await], ["one", "two"]);
    let mut later = client.open(&untraced, "").await;
    assert_eq!([later.content().await, later.content().await], ["one", "two"]);
    collector.trace(&trace, ["POST /webhook/{channel}", "ingest webhook", "append_message"]).await;
    let senders: Vec<_> =
        collector.spans().into_iter().map(|span| span.resource["service.instance.id"].clone()).collect();
    assert!(senders.iter().all(|sender| *sender == senders[0]), "one replica sends spans");
    let shown = http().get(format!("{}/messages", untraced.url())).bearer_auth(&client.api_key).send().await.unwrap();
    assert!(!expect(shown, 200).await.to_string().contains(&trace), "no client sees it");
}

/// Posts many webhooks, and gives how long the slowest took.
async fn slowest(replica: &Replica, hook: &Webhook, count: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..count / 50 {
        let times = join_all((0..50).map(|_| async {
            let begun = Instant::now();
            hook.deliver(replica, "x").await;
            begun.elapsed()
        }));
        slowest = slowest.max(times.await.into_iter().max().unwrap());
    }
    slowest
}

async fn lost(replica: &Replica) -> u64 {
    let text = http().get(format!("{}/metrics", replica.url())).bearer_auth("a token for the metrics");
    let text = text.send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("chaos_trace_spans_lost_total "));
    line.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_costs_no_request_anything() {
    let collector = Collector::start().await;
    collector.becomes(Mood::Hangs);
    let setup = Setup::on_redis()
        .with("CHAOS_METRICS_TOKEN", "a token for the metrics")
        .with("OTEL_EXPORTER_OTLP_TIMEOUT", "60000");
    let mut replica = collector.known_to(setup).start().await;
    let client = Client::register(&replica).await;
    let hook = client.make_webhook(&replica, json!({})).await;
    let slowest = slowest(&replica, &hook, 2000).await;
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    assert!(lost(&replica).await > 0, "there is room for so many and no more");
    assert!(collector.requests().len() <= 1, "it waits for the first");
    let begun = Instant::now();
    replica.signal("TERM");
    assert!(replica.ended().await);
    assert!(begun.elapsed() < Duration::from_secs(5), "it leaves in its drain time: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_or_is_away_is_told_of_once_and_so_is_its_return() {
    let collector = Collector::start().await;
    collector.becomes(Mood::Refuses);
    let setup = Setup::on_redis().with("CHAOS_METRICS_TOKEN", "a token for the metrics");
    let replica = collector.known_to(setup).start().await;
    let client = Client::register(&replica).await;
    let hook = client.make_webhook(&replica, json!({})).await;
    let said = |what: &str| replica.log().lines().filter(|line| line.contains(what)).count();
    for _ in 0..2 {
        let before = collector.requests().len();
        hook.deliver(&replica, "x").await;
        eventually("a batch was refused", || async { (collector.requests().len() > before).then_some(()) }).await;
    }
    eventually("they are lost", || async { (lost(&replica).await >= 4).then_some(()) }).await;
    assert_eq!(said("spans were lost"), 1, "{}", replica.log());
    assert_eq!(said("it answered 503"), 1);
    collector.becomes(Mood::Takes);
    hook.deliver(&replica, "x").await;
    eventually("it is told", || async { (said("takes spans again") == 1).then_some(()) }).await;

    let nowhere = Setup::on_redis().with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let replica = nowhere.start().await;
    let client = Client::register(&replica).await;
    let hook = client.make_webhook(&replica, json!({})).await;
    hook.deliver(&replica, "x").await;
    eventually("it is told", || async { replica.log().contains("did not take them").then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_sent_before_a_replica_ends() {
    let collector = Collector::start().await;
    let mut replica = collector.known_to(Setup::on_redis()).start().await;
    let client = Client::register(&replica).await;
    let hook = client.make_webhook(&replica, json!({})).await;
    let mut socket = client.open(&replica, "").await;
    let trace = fresh_trace();
    expect(post(&replica, &hook, "x", &traceparent(&trace, true)).await, 200).await;
    replica.signal("INT");
    assert_eq!(socket.content().await, "x");
    assert!(replica.ended().await);
    let of_trace: Vec<_> = collector.spans().into_iter().filter(|span| span.trace == trace).collect();
    for name in ["POST /webhook/{channel}", "ingest webhook", "append_message", "push webhook"] {
        assert!(of_trace.iter().any(|span| span.name == name), "{name} of {of_trace:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standard_variables_are_honoured_and_headers_stay_secret() {
    let collector = Collector::start().await;
    let token = random_hex();
    secrets::note(&token);
    let setup = collector
        .known_to(Setup::on_redis())
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("{}/{token}/", collector.url()))
        .with("OTEL_EXPORTER_OTLP_HEADERS", &format!("authorization=Bearer%20{token},x-team=a"))
        .with("OTEL_SERVICE_NAME", "front door")
        .with("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .with("OTEL_TRACES_SAMPLER", "parentbased_always_off");
    let replica = setup.start().await;
    assert!(replica.log().contains(&format!("traces go to {}", collector.url())), "{}", replica.log());
    let client = Client::register(&replica).await;
    let hook = client.make_webhook(&replica, json!({})).await;
    let trace = fresh_trace();
    expect(post(&replica, &hook, "x", &traceparent(&trace, true)).await, 200).await;
    let [request] = collector.trace(&trace, ["POST /webhook/{channel}"]).await;
    assert_eq!(request.resource["service.name"], "front door");
    assert_eq!(request.resource["deployment.environment.name"], "test");
    assert!(collector.spans().iter().all(|span| span.trace == trace), "nobody else asked for one");
    let post = &collector.requests()[0];
    assert_eq!(post.path, format!("/{token}/v1/traces"));
    assert_eq!(post.authorization("Bearer"), Some(&*token));
    assert_eq!((post.header("x-team"), post.media_type().as_deref()), (Some("a"), Some("application/x-protobuf")));
    let check = setup.command().arg("check").output().unwrap();
    let shown = String::from_utf8(check.stdout).unwrap();
    assert!(shown.contains(&format!("{} (path masked)", collector.url())) && !shown.contains(&token), "{shown}");
}

#[test]
fn a_protocol_that_is_not_spoken_is_refused_at_the_start() {
    let setup = Setup::on("redis://127.0.0.1:1", "x:")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")
        .with("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let refusal = setup.command().output().unwrap();
    let said = String::from_utf8(refusal.stderr).unwrap();
    assert!(!refusal.status.success());
    assert!(said.contains("OTEL_EXPORTER_OTLP_PROTOCOL is \"grpc\", but must be http/protobuf"), "{said}");
}
