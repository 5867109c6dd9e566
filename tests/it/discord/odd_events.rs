//! JSON that Discord never sends, with a signature or secret that is right: nothing breaks.

use serde_json::{Value, json};

use super::{Scene, assert_deferred};
use crate::support::platforms::delivery;

/// Bodies that are no events at all.
fn nonsense() -> Vec<String> {
    let texts = [
        "",
        " ",
        "null",
        "true",
        "0",
        "-1",
        "1e999",
        "\"\"",
        "[]",
        "{}",
        "{",
        "[1,2",
        "{\"type\":2",
        "nan",
        "\u{feff}{\"type\":2}",
        "{\"type\":2}{\"type\":2}",
        "{\"type\":2,\"type\":1}",
        "{\"type\":\"2\"}",
        "{\"type\":2.0}",
        "{\"type\":-2}",
        "{\"type\":18446744073709551615}",
        "{\"type\":null}",
        "{\"type\":[2]}",
        "{\"type\":99}",
        "{\"t\":5,\"d\":5}",
        "{\"d\":{\"d\":{\"d\":{}}}}",
        "{\"message\":\"hi\"}",
        "{\"id\":\"\\ud800\"}",
        "{\"type\":2,\"data\":\"\\u0000\"}",
    ];
    let mut all: Vec<_> = texts.map(str::to_owned).into();
    for depth in [100, 127, 128, 10_000] {
        all.push(format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
        all.push(format!("{{\"type\":2,\"data\":{}1{}}}", "{\"a\":".repeat(depth), "}".repeat(depth)));
    }
    all.push(json!({"type": 2, "data": {"options": vec![json!({}); 20_000]}}).to_string());
    all
}

/// The event with one member after the other in so many odd forms, each time others.
fn variations(event: &Value, forms_each: usize) -> Vec<Value> {
    let forms = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(""),
        json!("../../x?y#z\r\n\u{0}\u{202e}"),
        json!("9".repeat(5000)),
        json!([]),
        json!([[null]]),
        json!({}),
        json!({"id": {"id": []}}),
    ];
    let mut all = Vec::new();
    let mut turn = forms.iter().cycle();
    for path in paths(event, String::new()) {
        for form in turn.by_ref().take(forms_each) {
            let mut varied = event.clone();
            *varied.pointer_mut(&path).unwrap() = form.clone();
            all.push(varied);
        }
    }
    all
}

/// Pointers to all members, at every depth.
fn paths(value: &Value, here: String) -> Vec<String> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, inner)| (name.clone(), inner)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, inner)| (at.to_string(), inner)).collect(),
        _ => Vec::new(),
    };
    let below = inner.into_iter().flat_map(|(name, inner)| {
        let path = format!("{here}/{name}");
        let deeper = paths(inner, path.clone());
        std::iter::once(path).chain(deeper)
    });
    below.collect()
}

fn assert_sound(scene: &Scene) {
    for replica in [&scene.a, &scene.b] {
        assert!(!replica.log().contains("panicked"), "{}", replica.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_interactions_are_taken_and_harm_nobody() {
    let scene = Scene::set().await;
    let url = scene.url_at(&scene.b);
    for body in nonsense() {
        let attempt = scene.app.post(&url, &body).await;
        let shown: String = body.chars().take(100).collect();
        assert!(attempt.is_accepted(), "{shown}: {attempt:?}");
    }
    let mut command = scene.app.command(&scene.ana, &scene.room, "chat", &[("message", "odd")]);
    command["data"]["resolved"] = json!({"users": {"1": {"id": "1"}}});
    for body in variations(&command, 2) {
        let attempt = scene.app.post(&url, &body.to_string()).await;
        assert!(attempt.is_accepted(), "{body}: {attempt:?}");
        // What a person did is answered, whatever is missing in it. A bot uses no commands.
        let response = attempt.json();
        assert!(
            body["type"] != 2 || body["member"]["user"]["bot"] == true || response["type"].is_u64(),
            "{body}: {response}"
        );
    }
    scene.asks(&scene.ana, &scene.room, "all well?").await;
    assert_sound(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_messages_are_taken_and_harm_nobody() {
    let scene = Scene::set().await;
    let url = scene.events_url().await;
    let http = delivery::client();
    for body in nonsense() {
        let shown: String = body.chars().take(100).collect();
        let status = http.post(&url).body(body).send().await.unwrap().status();
        assert_eq!(status, 200, "{shown}");
    }
    let mut message = scene.app.message(&scene.ana, &scene.room, "odd");
    message["attachments"] = json!([{"filename": "a.png", "content_type": "image/png"}]);
    message["message_reference"] = json!({"type": 1, "message_id": "1"});
    message["message_snapshots"] = json!([{"message": {"content": "passed on"}}]);
    message["poll"] = json!({"question": {"text": "?"}});
    for body in variations(&message, 12) {
        let attempt = scene.app.forward(&url, &body).await;
        assert_eq!(attempt.status, Some(200), "{body}: {attempt:?}");
    }
    scene.writes(&scene.ana, &scene.room, "all well?").await;
    assert_sound(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_all_measure_is_refused_as_such() {
    let scene = Scene::set().await;
    let command = scene.app.command(&scene.ana, &scene.room, "chat", &[("message", &"x".repeat(1024 * 1024))]);
    let attempt = scene.app.post(&scene.url_at(&scene.b), &command.to_string()).await;
    assert_eq!((attempt.status, &attempt.json()["code"]), (Some(413), &json!("too_large")));
    // Less than that is cut to what a message may have.
    let command = scene.app.command(&scene.ana, &scene.room, "chat", &[("message", &"x".repeat(200_000))]);
    assert_deferred(&scene.app.interact(&command).await);
    let message = scene.messages().await.pop().unwrap();
    assert!(message["content"].as_str().unwrap().len() <= 64 * 1024);
    assert_eq!(message["metadata"]["originalContentBytes"], 200_000);
}
