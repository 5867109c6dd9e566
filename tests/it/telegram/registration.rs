//! Registering a bot: what Telegram is told, what its owner is shown, and what is left of a registration that failed.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::scene::{Scene, channels_of, read, refusal};
use crate::support::client::Client;
use crate::support::platforms::deployment::{Platforms, register};
use crate::support::platforms::telegram::{Bot, Refusal};
use crate::support::platforms::{Misbehaviour, Rule};
use crate::support::relay::Replica;
use crate::support::{free_port, redis, secrets};

const PATH: &str = "/channels/telegram/register";

/// A session of a relay where no bot is registered yet.
struct Before {
    platforms: Platforms,
    replica: Replica,
    client: Client,
    bot: Bot,
}

impl Before {
    async fn with(settings: &[(&str, &str)]) -> Self {
        let platforms = Platforms::start().await;
        let setup = settings.iter().fold(platforms.on_redis(), |setup, (name, value)| setup.with(name, value));
        let replica = setup.start().await;
        platforms.lead_to(&[&replica]);
        let client = Client::register_signed(&replica).await;
        let bot = platforms.telegram.bot("helper_bot");
        Self { platforms, replica, client, bot }
    }

    async fn register(&self, body: Value) -> reqwest::Response {
        self.client.post(&self.replica, PATH, &body).await
    }

    /// Names of all calls that Telegram got.
    fn calls(&self) -> Vec<String> {
        self.platforms.telegram.calls().into_iter().map(|call| call.name).collect()
    }

    /// Makes sure that no channel is left, neither in the list nor behind the URLs that Telegram was told.
    async fn assert_nothing_left(&self) {
        assert_eq!(channels_of(&self.client, &self.replica).await, Vec::<Value>::new());
        for call in self.platforms.telegram.calls_of("setWebhook") {
            let (url, secret) = (call.body["url"].as_str().unwrap(), call.body["secret_token"].as_str().unwrap());
            secrets::note(secret);
            let answer = self.bot.deliver_to(url, Some(secret), &json!({"update_id": 1})).await;
            assert_eq!((answer.status, answer.json()["code"].as_str()), (Some(404), Some("unknown_channel")));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telegram_is_told_the_channels_url_a_secret_and_the_kinds_of_updates() {
    let scene = Scene::on_redis().await;
    let other = scene.telegram().bot("other_bot");
    let settings = json!({"botToken": format!(" {}\n", other.token), "channelName": "Helpdesk", "agentId": "butler"});
    let second = register(&scene.client, scene.b(), "telegram", settings).await;
    let names: Vec<_> = scene.telegram().calls().into_iter().map(|call| call.name).collect();
    assert_eq!(names, ["getMe", "setWebhook", "getMe", "setWebhook"]);

    let mut shown = vec![scene.channel.code.clone(), second.code.clone()];
    for (call, id) in scene.telegram().calls_of("setWebhook").iter().zip([&scene.channel.id, &second.id]) {
        assert_eq!(call.body["url"], format!("{}/telegram/{id}", scene.platforms.public_url()));
        assert_eq!(call.body["allowed_updates"], json!(["message", "edited_message", "callback_query"]));
        let secret = call.body["secret_token"].as_str().unwrap();
        // 128 random bits take at least 22 characters of base64.
        assert!((22..=256).contains(&secret.len()), "{secret}");
        assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{secret}");
        shown.push(secret.to_owned());
    }
    assert!((1..shown.len()).all(|n| !shown[..n].contains(&shown[n])), "each is made anew");

    let code = &second.code;
    let is_clear = |c: char| (c.is_ascii_uppercase() || c.is_ascii_digit()) && !"0O1IL".contains(c);
    assert!(code.len() == 8 && code.chars().all(is_clear), "{code}");
    let link = format!("https://t.me/other_bot?start={code}");
    let answer = json!({"channelId": second.id, "botUsername": "other_bot", "pairingCode": code, "pairingLink": link});
    assert_eq!(second.answer, answer);

    let mut expected = [
        json!({"id": scene.channel.id, "type": "telegram", "direction": "bidirectional", "agentId": "", "enabled": true,
               "metadata": {"botUsername": "helper_bot"}}),
        json!({"id": second.id, "type": "telegram", "direction": "bidirectional", "agentId": "butler", "enabled": true,
               "metadata": {"botUsername": "other_bot"}, "name": "Helpdesk"}),
    ];
    expected.sort_by_key(|channel| channel["id"].to_string());
    assert_eq!(scene.channels().await, expected, "neither token nor secret nor code is shown again");
    for (replica, said) in scene.replicas.iter().flat_map(|replica| shown.iter().map(move |said| (replica, said))) {
        assert!(!replica.log().contains(said), "the log of a replica holds {said}");
    }
    assert_eq!(channels_of(&Client::register(scene.b()).await, scene.a()).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_telegram_refuses_is_refused_in_telegrams_words() {
    let before = Before::with(&[]).await;
    before.bot.revoke();
    let body = json!({"botToken": before.bot.token});
    let said = refusal(before.register(body.clone()).await, 400, "platform_refused").await;
    assert!(said.contains("Unauthorized"), "{said}");

    // Something in between may repeat the URL that it was asked for.
    let words: &'static str = Box::leak(format!("Not Found: /bot{}/getMe", before.bot.token).into_boxed_str());
    before.platforms.telegram.misbehave(Misbehaviour::Refuse(Refusal::Error { code: 404, description: words }));
    let said = refusal(before.register(body).await, 400, "platform_refused").await;
    assert!(said.contains("Not Found"), "{said}");

    assert_eq!(before.calls(), ["getMe", "getMe"]);
    before.assert_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_a_tokens_form_is_refused_before_telegram_hears_of_it() {
    let before = Before::with(&[]).await;
    let secret = before.bot.token.split_once(':').unwrap().1;
    for token in [
        Value::Null,
        json!(""),
        json!(7),
        json!([before.bot.token]),
        json!(secret),
        json!(format!("x:{secret}")),
        json!(format!("7000000001:{secret}/../getMe")),
        json!(format!("7000000001:{secret}?x=")),
        json!(format!("7000000001:{secret} 7000000001:{secret}")),
        json!(format!("7000000001:{secret}{}", "x".repeat(60))),
    ] {
        let said = refusal(before.register(json!({"botToken": token})).await, 400, "invalid_field").await;
        assert!(said.contains("botToken"), "{said}");
    }
    let body = json!({"botToken": before.bot.token, "channelName": "x".repeat(201)});
    refusal(before.register(body).await, 400, "invalid_field").await;
    before.assert_nothing_left().await;
    assert!(!before.calls().contains(&"setWebhook".to_owned()), "{:?}", before.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telegram_that_cannot_be_reached_leaves_nothing_behind() {
    let before = Before::with(&[("CHAOS_DELIVERY_CALL_SECONDS", "1")]).await;
    let body = json!({"botToken": before.bot.token});
    let faults = [
        Misbehaviour::Reset,
        Misbehaviour::ServerError(500),
        Misbehaviour::ServerError(502),
        Misbehaviour::TooManyRequests { retry_after: Duration::from_secs(1) },
        Misbehaviour::Garbage,
        Misbehaviour::Hang,
    ];
    for method in ["getMe", "setWebhook"] {
        for fault in &faults {
            before.platforms.telegram.misbehave_on(method, fault.clone());
            refusal(before.register(body.clone()).await, 502, "platform_unreachable").await;
            assert_eq!(before.platforms.telegram.rules_left(), 0, "{method} {fault:?}");
        }
    }
    assert_eq!(before.platforms.telegram.calls_of("setWebhook").len(), faults.len());
    before.assert_nothing_left().await;
    assert_eq!(before.bot.webhook(), None);
    read(before.register(body).await, 201).await;

    let setup = before.platforms.on_redis();
    let nowhere = setup.with("CHAOS_TELEGRAM_API_BASE", &format!("http://127.0.0.1:{}", free_port())).start().await;
    let client = Client::register(&nowhere).await;
    let answer = client.post(&nowhere, PATH, &json!({"botToken": before.bot.token})).await;
    refusal(answer, 502, "platform_unreachable").await;
    assert_eq!(channels_of(&client, &nowhere).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_telegram_refuses_leaves_nothing_behind() {
    let before = Before::with(&[]).await;
    let body = json!({"botToken": before.bot.token});
    let words = "Bad Request: bad webhook: IP address 10.0.0.1 is reserved";
    let refused = Refusal::Error { code: 400, description: words };
    before.platforms.telegram.misbehave_on("setWebhook", Misbehaviour::Refuse(refused));
    let said = refusal(before.register(body.clone()).await, 400, "platform_refused").await;
    assert!(said.contains(words), "{said}");
    before.assert_nothing_left().await;

    before.platforms.telegram.demand_https();
    let said = refusal(before.register(body).await, 400, "platform_refused").await;
    assert!(said.contains("An HTTPS URL must be provided for webhook"), "{said}");
    before.assert_nothing_left().await;
    assert_eq!(before.bot.webhook(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_telegram_set_without_getting_to_say_so_is_taken_back() {
    let before = Before::with(&[]).await;
    before.platforms.telegram.misbehave_on("setWebhook", Misbehaviour::AnswerLost);
    let body = json!({"botToken": before.bot.token});
    refusal(before.register(body).await, 502, "platform_unreachable").await;
    assert_eq!(before.bot.webhook(), None, "Telegram keeps no URL of a channel that is not there");
    before.assert_nothing_left().await;

    // What another program has set is none of the relay's business.
    before.bot.sets_webhook("http://127.0.0.1:9/another").await;
    before.platforms.telegram.misbehave_on("setWebhook", Misbehaviour::Reset);
    let body = json!({"botToken": before.bot.token});
    refusal(before.register(body).await, 502, "platform_unreachable").await;
    assert_eq!(before.bot.webhook().unwrap().url, "http://127.0.0.1:9/another");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_public_url_no_bot_is_registered() {
    let platforms = Platforms::start().await;
    let replica = platforms.on_redis().without("CHAOS_PUBLIC_URL").start().await;
    let client = Client::register(&replica).await;
    let body = json!({"botToken": platforms.telegram.bot("helper_bot").token}).to_string();
    let request = client.request(&replica, Method::POST, PATH, body.as_bytes());
    let request = request.header("Host", "relay.example").header("X-Forwarded-Host", "relay.example");
    let said = refusal(request.send().await.unwrap(), 503, "not_configured").await;
    assert!(said.contains("CHAOS_PUBLIC_URL"), "{said}");
    assert_eq!(channels_of(&client, &replica).await, Vec::<Value>::new());
    assert!(platforms.telegram.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_session_registers_bots_and_only_so_many() {
    let before = Before::with(&[("CHAOS_RATE_CHANNELS", "4/1h")]).await;
    let body = json!({"botToken": before.bot.token});
    let http = reqwest::Client::new();
    let url = format!("{}{PATH}", before.replica.url());
    read(http.post(&url).json(&body).send().await.unwrap(), 401).await;
    let unsigned = http.post(&url).bearer_auth(&before.client.api_key).json(&body);
    refusal(unsigned.send().await.unwrap(), 401, "signature_required").await;
    assert!(before.calls().is_empty());

    before.client.make_webhook(&before.replica, json!({})).await;
    before.platforms.telegram.misbehave(Misbehaviour::ServerError(500));
    refusal(before.register(body.clone()).await, 502, "platform_unreachable").await;
    refusal(before.register(json!({})).await, 400, "invalid_field").await;
    read(before.register(body.clone()).await, 201).await;
    let answer = before.register(body).await;
    assert!(answer.headers().contains_key("Retry-After"));
    refusal(answer, 429, "rate_limited").await;
    assert_eq!(before.calls(), ["getMe", "getMe", "setWebhook"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_takes_the_webhook_off_and_ends_everything() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ana.id]).await;
    let update = scene.bot.hears(&scene.ana, "hello").await.event;
    // Both replicas have heard of the channel, and one of them deletes it.
    for replica in &scene.replicas {
        assert_eq!(scene.post_to(replica, &update).await.status, Some(200));
    }
    let secret = scene.secret();
    read(scene.delete(scene.a()).await, 200).await;
    assert_eq!((scene.bot.webhook(), scene.telegram().calls_of("deleteWebhook").len()), (None, 1));
    assert_eq!(scene.channels().await, Vec::<Value>::new());

    let next = scene.ana.says(&scene.ana.chat(), "still there?");
    for (replica, update) in scene.replicas.iter().flat_map(|replica| [(replica, &update), (replica, &next)]) {
        let mut update = update.clone();
        update["update_id"] = 77.into();
        let answer = scene.bot.deliver_to(&scene.url_at(replica), Some(&secret), &update).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (Some(404), Some("unknown_channel")));
    }
    for replica in &scene.replicas {
        let body = json!({"channelId": scene.channel.id, "content": "x"});
        refusal(scene.client.post(replica, "/reply", &body).await, 404, "unknown_channel").await;
        refusal(scene.client.post(replica, "/typing", &body).await, 404, "unknown_channel").await;
        let path = format!("/channels/{}/pairing-code", scene.channel.id);
        refusal(scene.client.post(replica, &path, &json!({})).await, 404, "unknown_channel").await;
        refusal(scene.delete(replica).await, 404, "unknown_channel").await;
    }
    assert_eq!(scene.messages().await.len(), 1, "what had come in before is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_made_in_the_place_of_a_bot_takes_the_bots_webhook_off() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ana.id]).await;
    let update = scene.bot.hears(&scene.ana, "hello").await.event;
    assert_eq!(scene.post_to(scene.b(), &update).await.status, Some(200));
    let (id, secret) = (scene.channel.id.as_str(), scene.secret());
    let other = Client::register(scene.a()).await;
    refusal(other.post(scene.b(), "/channels", &json!({"id": id})).await, 409, "channel_taken").await;
    assert!(scene.bot.webhook().is_some(), "nobody else's channel is touched");
    let webhook = scene.client.make_webhook(scene.a(), json!({"id": id})).await;
    assert_eq!((webhook.id.as_str(), scene.bot.webhook()), (id, None));
    for replica in &scene.replicas {
        let answer = scene.bot.deliver_to(&scene.url_at(replica), Some(&secret), &update).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (Some(400), Some("wrong_channel_type")));
        webhook.deliver(replica, "by webhook").await;
    }
    let body = json!({"channelId": id, "content": "to whoever polls", "metadata": {"chatId": scene.ana.id}});
    let ack = read(scene.client.post(scene.b(), "/reply", &body).await, 200).await;
    let status = format!("/replies/{}", ack["responseId"].as_str().unwrap());
    assert_eq!(read(scene.client.get(scene.a(), &status).await, 200).await["status"], "stored");
    assert!(scene.telegram().sent().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_can_be_deleted_while_telegram_is_down() {
    let faults = [
        Misbehaviour::Reset,
        Misbehaviour::Hang,
        Misbehaviour::ServerError(502),
        Misbehaviour::Refuse(Refusal::Unauthorized),
    ];
    let scene = Scene::on_redis_with(&[("CHAOS_DELIVERY_CALL_SECONDS", "1")]).await;
    let mut channel = scene.channel.id.clone();
    for fault in faults {
        scene.telegram().rule(Rule::new(fault).on("deleteWebhook").always());
        let answer = scene.client.send(scene.b(), Method::DELETE, &format!("/channels/{channel}"), &json!({})).await;
        read(answer, 200).await;
        assert_eq!(scene.channels().await, Vec::<Value>::new());
        scene.telegram().behave();
        // The bot is free: it can be registered again, and nobody is told that it was taken over.
        let again = register(&scene.client, scene.a(), "telegram", json!({"botToken": scene.bot.token})).await;
        assert_eq!(scene.bot.webhook().unwrap().url, format!("{}/telegram/{}", scene.platforms.public_url(), again.id));
        channel = again.id;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_of_a_bot_shows_neither_token_nor_secret_nor_code() {
    let scene = Scene::embedded().await;
    scene.bot.hears(&scene.ana, &scene.channel.code).await;
    let code = scene.new_code(scene.a()).await;
    let secret = scene.bot.token.split_once(':').unwrap().1;
    let stored = std::fs::read(scene.data_dir().join("relay.redb")).unwrap();
    let holds = |text: &str| stored.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&scene.channel.id) && holds("helper_bot"), "the file is the store");
    for kept in [secret, &scene.secret(), &scene.channel.code, &code] {
        assert!(!holds(kept), "{kept} is in the store's file");
    }

    let scene = Scene::on_redis().await;
    let secret = scene.bot.token.split_once(':').unwrap().1;
    let prefix = scene.setup.variable("CHAOS_REDIS_PREFIX").unwrap();
    let server = redis::shared();
    let mut stored = String::new();
    for key in server.cli(&["KEYS", &format!("{prefix}*")]).lines() {
        let read = match server.cli(&["TYPE", key]).as_str() {
            "string" => server.cli(&["GET", key]),
            "hash" => server.cli(&["HGETALL", key]),
            "set" => server.cli(&["SMEMBERS", key]),
            "zset" => server.cli(&["ZRANGE", key, "0", "-1"]),
            "stream" => server.cli(&["XRANGE", key, "-", "+"]),
            other => panic!("{key} is a {other}"),
        };
        stored.push_str(&format!("{key} {read}\n"));
    }
    assert!(stored.contains(&scene.channel.id) && stored.contains("helper_bot"), "{stored}");
    for kept in [secret, &scene.secret(), &scene.channel.code] {
        assert!(!stored.contains(kept), "{kept} is in Redis");
    }
}
