//! What people do with an application beside asking: everything gets the first response that it needs, in time.

use serde_json::{Value, json};

use super::{Scene, assert_deferred, private_text, privately};
use crate::support::eventually;
use crate::support::platforms::discord::User;
use crate::support::redis::RedisServer;
use crate::support::relay::Setup;

/// An interaction of another type than a command, with this as its data.
fn of_type(scene: &Scene, kind: u64, data: Value) -> String {
    let mut interaction = scene.app.command(&scene.ana, &scene.room, "chat", &[]);
    interaction["type"] = kind.into();
    interaction["data"] = data;
    interaction.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_the_relay_does_not_know_are_answered_in_private() {
    let scene = Scene::set().await;
    let chat = |options: Value| json!({"id": "5", "name": "chat", "type": 1, "options": options});
    let option = |value: Value| json!([{"name": "message", "type": 3, "value": value}]);
    for (what, data) in [
        ("another command", json!({"id": "5", "name": "weather", "type": 1, "options": option(json!("today"))})),
        ("of another case", json!({"id": "5", "name": "CHAT", "type": 1, "options": option(json!("hello"))})),
        ("in a user's menu", json!({"id": "5", "name": "chat", "type": 2, "target_id": scene.ana.id})),
        ("in a message's menu", json!({"id": "5", "name": "chat", "type": 3, "target_id": "9"})),
        ("without options", chat(Value::Null)),
        ("with none", chat(json!([]))),
        ("with another", chat(json!([{"name": "text", "type": 3, "value": "hello"}]))),
        ("with nothing", chat(option(json!("")))),
        ("with blanks", chat(option(json!(" \n\t ")))),
        ("with a number", chat(option(json!(5)))),
        ("without a name", json!({"id": "5", "type": 1})),
        ("without data", Value::Null),
    ] {
        let attempt = scene.app.post(&scene.url_at(&scene.b), &of_type(&scene, 2, data)).await;
        assert!(private_text(&attempt).contains("/chat"), "{what}: {attempt:?}");
    }
    assert_eq!(scene.messages().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn buttons_forms_and_completions_get_the_response_of_their_kind() {
    let scene = Scene::set().await;
    let pressed = json!({"custom_id": "yes", "component_type": 2});
    let typed = json!({"id": "5", "name": "chat", "type": 1, "options": [{"name": "message", "type": 3, "value": "he", "focused": true}]});
    let form = json!({"custom_id": "form", "components": []});
    for user in [&scene.ana, &User::new("Stranger")] {
        let answer = async |kind: u64, data: &Value| {
            let mut interaction: Value = serde_json::from_str(&of_type(&scene, kind, data.clone())).unwrap();
            interaction["member"]["user"] = user.show();
            let attempt = scene.app.post(&scene.url_at(&scene.b), &interaction.to_string()).await;
            assert_eq!(attempt.status, Some(200), "{attempt:?}");
            attempt
        };
        assert_eq!(answer(3, &pressed).await.json(), json!({"type": 6}), "the message stays as it is");
        assert_eq!(answer(4, &typed).await.json(), json!({"type": 8, "data": {"choices": []}}));
        assert!(private_text(&answer(5, &form).await).contains("/chat"));
    }
    assert_eq!(scene.messages().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_application_are_taken_without_a_word() {
    let scene = Scene::set().await;
    let ping = json!({"version": 1, "application_id": scene.app.id, "type": 0});
    let event = json!({
        "version": 1, "application_id": scene.app.id, "type": 1,
        "event": {"type": "APPLICATION_AUTHORIZED", "timestamp": "2026-01-15T10:30:00Z", "data": {"user": scene.ana.show()}},
    });
    for body in [ping, event] {
        let attempt = scene.app.post(&scene.url_at(&scene.a), &body.to_string()).await;
        assert_eq!((attempt.status, attempt.body.as_str()), (Some(204), ""), "{body}");
    }
    assert_eq!(scene.messages().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_but_pings_counts_against_the_limit_and_is_told_so_in_words() {
    let scene = Scene::without_pairing(|setup| setup.with("CHAOS_RATE_WEBHOOK", "4/1m")).await;
    // The first of four, at one replica; what follows is at both in turn.
    scene.pairs(&scene.ana).await;
    let url = |turn: usize| scene.url_at([&scene.a, &scene.b][turn % 2]);
    let weather = json!({"id": "5", "name": "weather", "type": 1});
    assert!(private_text(&scene.app.post(&url(0), &of_type(&scene, 2, weather)).await).contains("/chat"));
    scene.asks(&scene.ana, &scene.room, "third").await;
    let hint = scene.app.asks(&User::new("Stranger"), &scene.room, "fourth").await;
    assert!(privately(&hint).contains("/pair"));
    for turn in 0..4 {
        for user in [scene.ana.clone(), User::new("Stranger")] {
            let command = scene.app.command(&user, &scene.room, "chat", &[("message", "too much")]);
            let text = private_text(&scene.app.post(&url(turn), &command.to_string()).await);
            assert!(text.contains("too much at once") && text.contains("seconds"), "{text}");
        }
        let paired = scene.app.command(&User::new("Stranger"), &scene.room, "pair", &[("code", "CCCCCCCC")]);
        assert!(private_text(&scene.app.post(&url(turn), &paired.to_string()).await).contains("too much at once"));
        // Nothing of what Discord sends for a person is refused: it would be lost, and show as a failure.
        for kind in 2..=5 {
            let attempt = scene.app.post(&url(turn), &of_type(&scene, kind, json!({"custom_id": "x"}))).await;
            assert_eq!(attempt.status, Some(200), "type {kind}: {attempt:?}");
        }
        assert_eq!(scene.app.post(&url(turn), r#"{"type":1}"#).await.json(), json!({"type": 1}));
    }
    let heard = scene.messages().await;
    assert_eq!(heard.iter().map(|message| &message["content"]).collect::<Vec<_>>(), ["third"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_comes_twice_to_two_replicas_at_once_is_heard_once() {
    let scene = Scene::set().await;
    let mut socket = scene.socket().await;
    for round in 0..5 {
        let text = format!("question {round}");
        let command = scene.app.command(&scene.ana, &scene.room, "chat", &[("message", &text)]);
        let (at_a, at_b) = (scene.url_at(&scene.a), scene.url_at(&scene.b));
        let both = tokio::join!(scene.app.interact_at(&at_a, &command), scene.app.interact_at(&at_b, &command));
        assert_deferred(&both.0);
        assert_deferred(&both.1);
        assert_deferred(&scene.app.interact(&command).await);
        assert_eq!(socket.content().await, text);
    }
    socket.nothing_more().await;
    assert_eq!(scene.messages().await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn thinking_is_shown_only_when_the_question_is_safe() {
    let server = RedisServer::start();
    let scene = Scene::with(|setup| elsewhere(setup, &server)).await;
    scene.asks(&scene.ana, &scene.room, "while all is well").await;
    server.pause();
    // Within Discord's three seconds, which the stand-in sees to; and not as if it were taken.
    let asked = scene.app.asks(&scene.ana, &scene.room, "into the void").await;
    assert_eq!((asked.status(), &asked.response()["code"]), (Some(503), &json!("store_unavailable")));
    server.resume();
    eventually("both replicas are ready", || async {
        (scene.a.is_ready().await && scene.b.is_ready().await).then_some(())
    })
    .await;
    scene.asks(&scene.ana, &scene.room, "while all is well again").await;
}

/// The same setup on a Redis of the test's own.
fn elsewhere(setup: Setup, server: &RedisServer) -> Setup {
    setup.with("REDIS_URL", &server.url())
}
