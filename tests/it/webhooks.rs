//! Generic webhooks: what becomes of a body, who may send one, and what its sender is told.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::client::{Client, Webhook, expect};
use crate::support::relay::{Replica, Setup};
use crate::support::socket::Socket;

/// The largest content of the contract.
const MAX_CONTENT: usize = 65_536;
/// The largest `raw` and `form`.
const MAX_RAW: usize = 16_384;

struct World {
    replicas: [Replica; 2],
    client: Client,
    webhook: Webhook,
    socket: Socket,
}

impl World {
    /// A channel whose messages are heard on another replica than the one that takes them.
    async fn make() -> Self {
        let replicas: [Replica; 2] = Setup::on_redis().start_many().await;
        let client = Client::register(&replicas[0]).await;
        let webhook = client.make_webhook(&replicas[0], json!({})).await;
        let socket = client.open(&replicas[1], "").await;
        Self { replicas, client, webhook, socket }
    }

    /// Posts a body that must be taken; gives the message it becomes.
    async fn arrives(&mut self, kind: &str, body: impl Into<Vec<u8>>) -> Value {
        self.arrives_with(&[("Content-Type", kind)], body.into()).await
    }

    async fn arrives_with(&mut self, headers: &[(&str, &str)], body: Vec<u8>) -> Value {
        let answer = post(&self.replicas[0], &self.webhook.path(), headers, body).await;
        let answer = expect(answer, 200).await;
        let message = self.socket.message().await;
        assert_eq!(answer, json!({"ok": true, "messageId": message["id"]}));
        message
    }
}

async fn post(replica: &Replica, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let mut request = reqwest::Client::new().post(format!("{}{path}", replica.url())).body(body);
    for (name, value) in headers {
        // By bytes, since not all that may come is ASCII.
        request = request.header(*name, reqwest::header::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request.send().await.unwrap()
}

/// The metadata that the body made, without what the channel says of itself.
fn made(message: &Value) -> Value {
    let mut metadata = message["metadata"].clone();
    assert_eq!(metadata.as_object_mut().unwrap().remove("channelDirection"), Some(json!("inbound")));
    metadata
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_becomes_content_and_metadata_by_its_type() {
    let mut world = World::make().await;
    let object = json!({"b": [1, 2.5, null], "a": {"c": "d"}});
    let compact = r#"{"b":[1,2.5,null],"a":{"c":"d"}}"#;
    let form = "application/x-www-form-urlencoded";
    for (kind, body, content, metadata) in [
        ("application/json", compact, compact, json!({"raw": object})),
        (
            "application/json; charset=utf-8",
            " {\"b\": [1,2.5,null],\n \"a\": {\"c\":\"d\"}}\n",
            compact,
            json!({"raw": object}),
        ),
        ("APPLICATION/JSON", "\u{feff}[1]", "[1]", json!({"raw": [1]})),
        ("application/vnd.api+json", "{}", "{}", json!({"raw": {}})),
        ("application/cloudevents+json;v=1", "[true]", "[true]", json!({"raw": [true]})),
        ("application/json", "\"just a text\"", "just a text", json!({"raw": "just a text"})),
        ("application/json", "\"\"", "", json!({"raw": ""})),
        ("application/json", "42", "42", json!({"raw": 42})),
        ("application/json", "null", "null", json!({"raw": null})),
        (
            form,
            "a=1&b=x+y&c=%C3%A4",
            r#"{"a":"1","b":"x y","c":"ä"}"#,
            json!({"form": {"a": "1", "b": "x y", "c": "ä"}}),
        ),
        (form, "a=1&a=2&a=3", r#"{"a":["1","2","3"]}"#, json!({"form": {"a": ["1", "2", "3"]}})),
        ("application/x-www-form-urlencoded; charset=utf-8", "a", r#"{"a":""}"#, json!({"form": {"a": ""}})),
        (form, "", "{}", json!({"form": {}})),
        ("text/plain", "a text", "a text", json!({"raw": "a text"})),
        ("text/plain", "{\"a\":1}", "{\"a\":1}", json!({"raw": "{\"a\":1}"})),
        ("application/octet-stream", "bytes", "bytes", json!({"raw": "bytes"})),
        ("nonsense", "whatever", "whatever", json!({"raw": "whatever"})),
        ("text/plain", "", "", json!({"raw": ""})),
    ] {
        let message = world.arrives(kind, body).await;
        assert_eq!(message["content"], content, "{kind}: {body}");
        assert_eq!(made(&message), metadata, "{kind}: {body}");
        assert_eq!(message["from"], "webhook");
        assert_eq!(message["channelType"], "webhook");
        assert_eq!(message["channelId"], json!(world.webhook.id));
        assert_eq!(message["userId"], json!(world.client.user_id));
    }
    let untyped = world.arrives_with(&[], b"no type".to_vec()).await;
    assert_eq!((&untyped["content"], made(&untyped)), (&json!("no type"), json!({"raw": "no type"})));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_claims_to_be_json_and_is_not_is_taken_as_text() {
    let mut world = World::make().await;
    for body in ["{oops", "", "{}{}", "{'a':1}", "[1,]", "NaN", "\"\\ud800\""] {
        let message = world.arrives("application/json", body).await;
        assert_eq!(message["content"], body);
        assert_eq!(made(&message), json!({"raw": body, "parseError": true}));
    }
    let broken = world.arrives("application/json", b"{\"a\":\"\xff\"}".to_vec()).await;
    assert_eq!(broken["content"], "{\"a\":\"\u{fffd}\"}");
    assert_eq!(broken["metadata"]["parseError"], true);
    let deep = "[".repeat(10_000);
    let message = world.arrives("application/json", deep.as_str()).await;
    assert_eq!((&message["content"], &message["metadata"]["parseError"]), (&json!(deep), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_would_not_see_is_removed_and_the_rest_is_untouched() {
    let mut world = World::make().await;
    for (body, content) in [
        ("<p>Hello <b>you</b></p>", "Hello you"),
        ("a<script>steal()</script>b<style>p{}</style>c", "abc"),
        ("a<!-- ignore all that -->b", "ab"),
        ("<svg onload=x><math><img src=x onerror=y>", ""),
        ("<b<b>>bold</b>", "bold"),
        ("bell\u{7} escape\u{1b}[31m del\u{7f} c1\u{85}", "bell escape[31m del c1"),
        ("tags\u{e0041}\u{e007f} bidi\u{202e}\u{2066}x", "tags bidix"),
        ("line\nand\ttab", "line\nand\ttab"),
        ("a < b && c > d", "a < b && c > d"),
        ("Vec<String> and <https://x.example>", "Vec<String> and <https://x.example>"),
        ("<t:1:R> by Ana <ana@x.example>", "<t:1:R> by Ana <ana@x.example>"),
        ("&lt;b&gt; stays", "&lt;b&gt; stays"),
        ("<b unclosed", "<b unclosed"),
        ("👩‍👩‍👧 ok", "👩‍👩‍👧 ok"),
    ] {
        let message = world.arrives("text/plain", body).await;
        assert_eq!(message["content"], content, "{body}");
        assert_eq!(made(&message), json!({ "raw": content }), "{body}");
    }
    let json = world.arrives("application/json", r#"{"<i>k</i>":["<b>v</b>","a\u0007\u202eb"],"n":1}"#).await;
    assert_eq!(json["content"], r#"{"k":["v","ab"],"n":1}"#);
    assert_eq!(made(&json), json!({"raw": {"k": ["v", "ab"], "n": 1}}));
    let form = world.arrives("application/x-www-form-urlencoded", "a=%3Cscript%3Ex%3C/script%3Ey&b=%00z").await;
    assert_eq!(made(&form), json!({"form": {"a": "y", "b": "z"}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_cut_beyond_64_kib_and_not_before() {
    let mut world = World::make().await;
    let whole = "x".repeat(MAX_CONTENT);
    for (kind, body) in [
        ("text/plain", whole.clone()),
        ("application/json", json!(whole).to_string()),
        ("text/plain", format!("<p>{whole}</p>")),
    ] {
        let message = world.arrives(kind, body).await;
        assert_eq!(message["content"], json!(whole), "{kind}");
        assert_eq!(made(&message), json!({"rawOmitted": true}), "{kind}");
    }
    for (body, bytes) in
        [("x".repeat(MAX_CONTENT + 1), 65_537), ("ä".repeat(32_769), 65_538), ("👩".repeat(20_000), 80_000)]
    {
        let message = world.arrives("text/plain", body.as_str()).await;
        let content = message["content"].as_str().unwrap();
        assert!(content.len() <= MAX_CONTENT && content.len() > MAX_CONTENT - 200, "{}", content.len());
        let shared = content.bytes().zip(body.bytes()).take_while(|(a, b)| a == b).count();
        let marker = &content[shared..];
        assert!(marker.len() > 10 && marker.contains(&bytes.to_string()), "{marker}");
        assert_eq!(made(&message), json!({"rawOmitted": true, "truncated": true, "originalContentBytes": bytes}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_and_form_are_kept_up_to_16_kib_of_compact_json() {
    let mut world = World::make().await;
    let text = "x".repeat(MAX_RAW - 2);
    let object = json!({"p": "x".repeat(MAX_RAW - 8)});
    let form = json!({"f": "x".repeat(MAX_RAW - 8)});
    assert_eq!((json!(text).to_string().len(), object.to_string().len()), (MAX_RAW, MAX_RAW));
    let spaced = object.to_string().replace(':', " :\n ");
    let encoded = "application/x-www-form-urlencoded";
    assert_eq!(made(&world.arrives("text/plain", text.as_str()).await), json!({ "raw": text }));
    assert_eq!(made(&world.arrives("application/json", spaced).await), json!({ "raw": object }));
    assert_eq!(made(&world.arrives(encoded, format!("f={}", "x".repeat(MAX_RAW - 8))).await), json!({ "form": form }));
    for (kind, body) in [
        ("text/plain", "x".repeat(MAX_RAW - 1)),
        ("application/json", json!({"p": "x".repeat(MAX_RAW - 7)}).to_string()),
        (encoded, format!("f={}", "x".repeat(MAX_RAW - 7))),
    ] {
        let message = world.arrives(kind, body).await;
        assert_eq!(made(&message), json!({"rawOmitted": true}), "{kind}");
        assert!(message["content"].as_str().unwrap().len() >= MAX_RAW - 1, "the content is whole");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_may_say_what_it_is_called() {
    let mut world = World::make().await;
    let (long, cut) = ("ä".repeat(201), "ä".repeat(200));
    for (source, from) in [
        ("github", "github"),
        ("Grüße 👋", "Grüße 👋"),
        ("a\u{202e}b\u{e0041}", "ab"),
        (" ", "webhook"),
        ("", "webhook"),
        (&long, &cut),
    ] {
        let message = world.arrives_with(&[("X-Webhook-Source", source)], b"x".to_vec()).await;
        assert_eq!(message["from"], from, "{source:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_taken_from_each_of_three_places() {
    let mut world = World::make().await;
    let path = format!("/webhook/{}", world.webhook.id);
    let token = world.webhook.secret.clone();
    let bearer = format!("Bearer {token}");
    let query = format!("{path}?token={token}");
    let ways: [(&str, &[(&str, &str)]); 4] = [
        (&query, &[]),
        (&path, &[("Authorization", &bearer)]),
        (&path, &[("Authorization", &bearer.replace("Bearer", "bearer"))]),
        (&path, &[("X-Webhook-Token", &token)]),
    ];
    for (n, (path, headers)) in ways.into_iter().enumerate() {
        let body = format!("way {n}");
        expect(post(&world.replicas[n % 2], path, headers, body.clone().into_bytes()).await, 200).await;
        assert_eq!(world.socket.content().await, body);
    }
    for headers in [[("Authorization", "Bearer wrong")], [("X-Webhook-Token", "wrong")], [("X-Other", token.as_str())]]
    {
        let refusal = expect(post(&world.replicas[0], &path, &headers, b"no".to_vec()).await, 401).await;
        assert_eq!(refusal["code"], "invalid_token");
        assert!(!refusal.to_string().contains(&token));
    }
    world.socket.nothing_more().await;
    assert_eq!(world.client.poll_all(&world.replicas[0]).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_odd_characters_works_by_the_url_that_is_given_out() {
    let replica = Setup::on_redis().start().await;
    let client = Client::register(&replica).await;
    let secret = "ключ &+=%20/?#\"<é> 🗝";
    let body = json!({"id": "odd", "metadata": {"webhookSecret": secret}});
    let made = expect(client.post(&replica, "/channels", &body).await, 201).await;
    assert_eq!(made["channel"]["metadata"]["webhookSecret"], secret);
    let url = made["webhookUrl"].as_str().unwrap();
    expect(reqwest::Client::new().post(url).body("hello").send().await.unwrap(), 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_channel_takes_nothing_until_it_is_enabled_again_on_any_replica() {
    let mut world = World::make().await;
    let path = format!("/channels/{}", world.webhook.id);
    let [a, b] = &world.replicas;
    // Both replicas know the channel before it changes.
    world.webhook.deliver(a, "first").await;
    world.webhook.deliver(b, "second").await;
    expect(world.client.send(a, Method::PATCH, &path, &json!({"enabled": false})).await, 200).await;
    for replica in [a, b] {
        let refusal = expect(world.webhook.post(replica, "refused").await.unwrap(), 403).await;
        assert_eq!(refusal["code"], "channel_disabled");
    }
    expect(world.client.send(b, Method::PATCH, &path, &json!({"enabled": true})).await, 200).await;
    world.webhook.deliver(a, "third").await;
    for content in ["first", "second", "third"] {
        assert_eq!(world.socket.content().await, content);
    }
    world.socket.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_can_be_read_with_the_right_token_or_none_and_by_setting_only_with_it() {
    let open = Setup::on_redis();
    let [replica] = open.start_many().await;
    let strict = open.with("CHAOS_RESPONSES_REQUIRE_TOKEN", "true").start().await;
    let client = Client::register(&replica).await;
    let webhook = client.make_webhook(&replica, json!({})).await;
    client.reply(&replica, &webhook.id, "hi").await;
    let ask = async |replica: &Replica, query: &str, bearer: Option<&str>| {
        let request = reqwest::Client::new().get(format!("{}/responses/{}{query}", replica.url(), webhook.id));
        let request = bearer.into_iter().fold(request, |request, token| request.bearer_auth(token));
        request.send().await.unwrap()
    };
    let right = format!("?token={}", webhook.secret);
    for answer in [
        ask(&replica, "", None).await,
        ask(&replica, &right, None).await,
        ask(&replica, "", Some(&webhook.secret)).await,
        ask(&strict, &right, None).await,
        ask(&strict, "", Some(&webhook.secret)).await,
    ] {
        assert_eq!(expect(answer, 200).await["responses"][0]["content"], "hi");
    }
    for answer in [
        ask(&replica, "?token=wrong", None).await,
        ask(&replica, "", Some("wrong")).await,
        ask(&strict, "", None).await,
        ask(&strict, "?token=wrong", None).await,
        ask(&strict, "?token=", None).await,
    ] {
        assert_eq!(expect(answer, 401).await["code"], "invalid_token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_before_anything_it_sent_is_looked_at() {
    let relay = Setup::on_redis().with("CHAOS_RATE_WEBHOOK", "2/1h").start().await;
    let client = Client::register(&relay).await;
    let webhook = client.make_webhook(&relay, json!({})).await;
    let send = |token: &str, key: &str, size: usize| {
        reqwest::Client::new()
            .post(format!("{}/webhook/{}?token={token}", relay.url(), webhook.id))
            .header("Idempotency-Key", key)
            .body("x".repeat(size))
            .send()
    };
    let bad_key = "k".repeat(257);
    for (key, size) in [(bad_key.as_str(), 1), ("k", 500_000), (&bad_key, 500_000)] {
        let answer = expect(send("wrong", key, size).await.unwrap(), 401).await;
        assert_eq!(answer["code"], "invalid_token");
    }
    // Once admitted, a request counts whatever is wrong with it, and a large one once.
    let answer = expect(send(&webhook.secret, &bad_key, 1).await.unwrap(), 400).await;
    assert_eq!(answer["code"], "invalid_idempotency_key");
    let large = send(&webhook.secret, "k", 500_000).await.unwrap();
    assert_eq!(large.headers()["RateLimit-Remaining"], "0");
    expect(large, 200).await;
    expect(send(&webhook.secret, "l", 1).await.unwrap(), 429).await;
}
