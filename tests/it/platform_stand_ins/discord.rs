//! What Discord refuses, and what a message looks like when it was sent.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{header, read};
use crate::support::platforms::discord::{App, Channel, Discord, User, Way};
use crate::support::secrets;

/// An application whose bot is in a channel.
struct Scene {
    discord: Discord,
    app: App,
    channel: Channel,
    http: reqwest::Client,
}

impl Scene {
    async fn set() -> Self {
        let discord = Discord::start().await;
        let (app, channel) = (discord.application("helper"), discord.channel());
        app.joins(&channel);
        let http = reqwest::Client::builder().user_agent("DiscordBot (https://example.com, 1.0)").build().unwrap();
        Self { discord, app, channel, http }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let request = self.http.request(method, format!("{}{path}", self.discord.base_url()));
        let request = request.header("Authorization", format!("Bot {}", self.app.token));
        body.iter().fold(request, |request, body| request.json(body)).send().await.unwrap()
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        read(self.ask(method, path, Some(body)).await).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        read(self.ask(Method::GET, path, None).await).await
    }

    async fn post(&self, body: Value) -> (u16, Value) {
        self.call(Method::POST, &format!("/channels/{}/messages", self.channel.id), body).await
    }
}

/// Status and code of an error.
fn code((status, body): (u16, Value)) -> (u16, u64) {
    assert!(body["message"].is_string(), "{body}");
    (status, body["code"].as_u64().unwrap())
}

/// The field that is wrong and why.
fn field((status, body): (u16, Value)) -> (String, String) {
    assert_eq!((status, &body["code"]), (400, &json!(50035)), "{body}");
    let (name, errors) = body["errors"].as_object().unwrap().iter().next().unwrap();
    (name.clone(), errors["_errors"][0]["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn only_bots_that_name_themselves_and_have_a_token_are_let_in() {
    let scene = Scene::set().await;
    let url = format!("{}/users/@me", scene.discord.base_url());
    let anonymous = reqwest::Client::new();
    let right = format!("Bot {}", scene.app.token);
    for agent in [None, Some("chaos-relay/1"), Some("DiscordBot"), Some("DiscordBot (https://example.com)")] {
        let request = anonymous.get(&url).header("Authorization", &right);
        let answer = agent.into_iter().fold(request, |request, agent| request.header("User-Agent", agent));
        let answer = answer.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "via")), (403, None), "{agent:?}");
    }
    for wrong in [None, Some("Bot wrong".to_owned()), Some(format!("Bearer {}", scene.app.token))] {
        let request = scene.http.get(&url);
        let answer = wrong.iter().fold(request, |request, token| request.header("Authorization", token));
        let answer = read(answer.send().await.unwrap()).await;
        assert_eq!(answer, (401, json!({"message": "401: Unauthorized", "code": 0})), "{wrong:?}");
    }
    let answer = scene.http.get(url.replace("/v10", "")).header("Authorization", &right).send().await.unwrap();
    assert_eq!(answer.status(), 404, "the version has to be named");
    assert!(secrets::find_in(&scene.app.token).is_some(), "the token is known as a secret");

    let (status, user) = scene.get("/users/@me").await;
    assert_eq!((status, &user["id"], &user["bot"]), (200, &json!(scene.app.id), &json!(true)));
    for path in ["/applications/@me", "/oauth2/applications/@me"] {
        let (_, application) = scene.get(path).await;
        assert_eq!(application["verify_key"], scene.app.public_key.as_str());
        assert_eq!((&application["id"], &application["bot"]), (&json!(scene.app.id), &user));
    }
    scene.app.revoke();
    assert_eq!(scene.get("/users/@me").await.0, 401);
}

#[tokio::test]
async fn every_answer_tells_of_its_bucket_and_a_full_one_refuses() {
    let scene = Scene::set().await;
    let post = async || {
        let path = format!("/channels/{}/messages", scene.channel.id);
        scene.ask(Method::POST, &path, Some(json!({"content": "x"}))).await
    };
    let answer = post().await;
    for name in ["limit", "remaining", "reset", "reset-after", "bucket"] {
        assert!(header(&answer, &format!("x-ratelimit-{name}")).is_some(), "{name}");
    }
    assert_eq!(header(&answer, "via"), Some("1.1 google"));

    scene.discord.limit_buckets(2, Duration::from_millis(400));
    let first = post().await;
    assert_eq!((header(&first, "x-ratelimit-limit"), header(&first, "x-ratelimit-remaining")), (Some("2"), Some("1")));
    assert_eq!(header(&post().await, "x-ratelimit-remaining"), Some("0"));
    let typing = format!("/channels/{}/typing", scene.channel.id);
    assert_eq!(scene.ask(Method::POST, &typing, None).await.status(), 204, "another bucket");
    let (status, body) = read(post().await).await;
    let wait = body["retry_after"].as_f64().unwrap();
    assert!(status == 429 && wait > 0.0 && wait <= 0.4, "{body}");
    tokio::time::sleep(Duration::from_secs_f64(wait)).await;
    assert_eq!(post().await.status(), 200);
}

#[tokio::test]
async fn a_message_needs_a_channel_content_and_a_short_nonce() {
    let scene = Scene::set().await;
    assert_eq!(code(scene.post(json!({})).await), (400, 50006));
    assert_eq!(code(scene.post(json!({"content": " \n"})).await), (400, 50006));
    // One emoji is two units.
    let longest = "😀".repeat(1000);
    assert_eq!(scene.post(json!({"content": longest})).await.0, 200);
    let long = field(scene.post(json!({"content": format!("{longest}x")})).await);
    assert_eq!(long, ("content".into(), "BASE_TYPE_MAX_LENGTH".into()));
    assert_eq!(field(scene.post(json!({"content": 5})).await).0, "content");
    let uuid = uuid::Uuid::new_v4().to_string();
    for nonce in [json!(uuid), json!("x".repeat(26)), json!(1.5), json!({})] {
        assert_eq!(field(scene.post(json!({"content": "x", "nonce": nonce})).await).0, "nonce", "{nonce}");
    }
    assert_eq!(scene.post(json!({"content": "x", "nonce": "x".repeat(25)})).await.0, 200);
    assert_eq!(scene.post(json!({"content": "x", "nonce": 12})).await.0, 200);

    let post = async |channel: &str| {
        code(scene.call(Method::POST, &format!("/channels/{channel}/messages"), json!({"content": "x"})).await)
    };
    assert_eq!(post("1").await, (404, 10003));
    assert_eq!(post(&scene.discord.channel().id).await, (403, 50001));
    let foreign = format!("/channels/{}/typing", scene.discord.channel().id);
    assert_eq!(code(read(scene.ask(Method::POST, &foreign, None).await).await), (403, 50001));

    let path = format!("{}/channels/{}/messages", scene.discord.base_url(), scene.channel.id);
    let raw = async |kind: &str, body: &'static str| {
        let request = scene.http.post(&path).header("Authorization", format!("Bot {}", scene.app.token));
        code(read(request.header("Content-Type", kind).body(body).send().await.unwrap()).await)
    };
    assert_eq!(raw("application/json", "{").await, (400, 50109));
    assert_eq!(raw("application/json", "[]").await, (400, 50035));
    assert_eq!(raw("text/plain", "{\"content\": \"x\"}").await, (400, 50035));
    assert_eq!(scene.discord.sent().len(), 3);
}

#[tokio::test]
async fn a_nonce_that_is_enforced_sends_once() {
    let scene = Scene::set().await;
    let body = json!({"content": "x", "nonce": "n1", "enforce_nonce": true});
    let (first, second) = (scene.post(body.clone()).await, scene.post(body.clone()).await);
    assert_eq!((first.0, first.1.to_string()), (second.0, second.1.to_string()));
    assert_eq!(first.1["nonce"], "n1");
    let sent = scene.discord.sent();
    assert_eq!((sent.len(), sent[0].nonce.as_deref()), (1, Some("n1")));

    // Unique for the author, not for the channel; and only if it is enforced.
    let other = scene.discord.channel();
    scene.app.joins(&other);
    let elsewhere = scene.call(Method::POST, &format!("/channels/{}/messages", other.id), body).await;
    assert_eq!(elsewhere.1["channel_id"], scene.channel.id.as_str());
    scene.post(json!({"content": "x", "nonce": "n1"})).await;
    assert_eq!(scene.discord.sent().len(), 2);
}

#[tokio::test]
async fn a_message_pings_whom_it_names_unless_that_is_forbidden() {
    let scene = Scene::set().await;
    let content = "@everyone <@&5> <@444>";
    let cases = [
        (json!({"content": content}), vec!["everyone", "roles", "users"]),
        (json!({"content": content, "allowed_mentions": {"parse": []}}), vec![]),
        (json!({"content": content, "allowed_mentions": {}}), vec![]),
        (json!({"content": content, "allowed_mentions": {"parse": ["users"]}}), vec!["users"]),
        (json!({"content": "hello"}), vec![]),
    ];
    for (body, pings) in cases {
        assert_eq!(scene.post(body.clone()).await.0, 200);
        assert_eq!(scene.discord.sent().pop().unwrap().pings, pings, "{body}");
    }
    let wrong = json!({"content": "x", "allowed_mentions": {"parse": ["all"]}});
    assert_eq!(field(scene.post(wrong).await).0, "allowed_mentions");
}

#[tokio::test]
async fn an_answered_message_must_exist_unless_that_is_waived() {
    let scene = Scene::set().await;
    let question = scene.app.message(&User::new("Ana"), &scene.channel, "which?");
    let reply = |id: &Value| json!({"content": "x", "message_reference": {"message_id": id}});
    assert_eq!(scene.post(reply(&question["id"])).await.0, 200);
    let sent = scene.discord.sent().pop().unwrap();
    assert_eq!((sent.way, sent.reply_to.as_deref()), (Way::Channel, question["id"].as_str()));
    assert_eq!(field(scene.post(reply(&json!("1"))).await).1, "REPLIES_UNKNOWN_MESSAGE");
    let mut tolerant = reply(&json!("1"));
    tolerant["message_reference"]["fail_if_not_exists"] = false.into();
    assert_eq!(scene.post(tolerant).await.0, 200);
    assert_eq!(scene.discord.sent().pop().unwrap().reply_to, None);
}

#[tokio::test]
async fn putting_commands_replaces_all_and_posting_adds_or_changes_one() {
    let scene = Scene::set().await;
    scene.app.has_command("legacy");
    let path = format!("/applications/{}/commands", scene.app.id);
    let chat = json!({"name": "chat", "description": "Talk", "integration_types": [0, 1], "contexts": [0, 1, 2],
        "options": [{"type": 3, "name": "message", "description": "What", "required": true, "max_length": 6000}]});
    let first = scene.call(Method::POST, &path, chat.clone()).await;
    assert_eq!((first.0, &first.1["type"]), (201, &json!(1)));
    let again = scene.call(Method::POST, &path, chat.clone()).await;
    assert_eq!((again.0, &again.1["id"]), (200, &first.1["id"]));
    assert_eq!(scene.app.commands(), ["legacy", "chat"]);
    assert_eq!(scene.get(&path).await.1.as_array().unwrap().len(), 2);

    let answer = scene.call(Method::PUT, &path, json!([chat, {"name": "pair", "description": "Pair"}])).await;
    assert_eq!((answer.0, &answer.1[0]["id"]), (200, &first.1["id"]));
    assert_eq!(scene.app.commands(), ["chat", "pair"], "what was not named is gone");
    let id = answer.1[1]["id"].as_str().unwrap();
    assert_eq!(scene.ask(Method::DELETE, &format!("{path}/{id}"), None).await.status(), 204);
    assert_eq!(code(read(scene.ask(Method::DELETE, &format!("{path}/{id}"), None).await).await), (404, 10063));
    assert_eq!(scene.get(&path.replace(&scene.app.id, "1")).await.0, 403, "another's commands");

    let long = json!({"type": 3, "name": "a", "description": "x", "max_length": 6001});
    let option =
        |name: &str, required: bool| json!({"type": 3, "name": name, "description": "x", "required": required});
    let many: Vec<_> = (0..26).map(|number| option(&format!("o{number}"), false)).collect();
    let wrong = [
        json!({"description": "x"}),
        json!({"name": "Chat", "description": "x"}),
        json!({"name": "a b", "description": "x"}),
        json!({"name": "x".repeat(33), "description": "x"}),
        json!({"name": "x"}),
        json!({"name": "x", "description": ""}),
        json!({"name": "x", "description": "x".repeat(101)}),
        json!({"name": "x", "description": "x", "contexts": [3]}),
        json!({"name": "x", "description": "x", "integration_types": 1}),
        json!({"name": "x", "description": "x", "options": many}),
        json!({"name": "x", "description": "x", "options": [option("a", false), option("b", true)]}),
        json!({"name": "x", "description": "x", "options": [{"type": 3, "name": "a"}]}),
        json!({"name": "x", "description": "x", "options": [{"type": 12, "name": "a", "description": "x"}]}),
        json!({"name": "x", "description": "x", "options": [long]}),
    ];
    for command in wrong {
        assert_eq!(code(scene.call(Method::POST, &path, command.clone()).await), (400, 50035), "{command}");
        assert_eq!(scene.call(Method::PUT, &path, json!([command])).await.0, 400);
    }
    assert_eq!(scene.app.commands(), ["chat"], "a refused list changes nothing");
}
