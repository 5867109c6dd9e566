//! Registering an application: what Discord is told, and what remains when it says no.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Scene, assert_deferred, private_text, privately};
use crate::support::client::{Client, expect};
use crate::support::platforms::Misbehaviour;
use crate::support::platforms::deployment::{Platforms, register, register_bot};
use crate::support::platforms::discord::{App, User};
use crate::support::relay::{Replica, data_dir};

const REGISTER: &str = "/channels/discord/register";

fn token(app: &App) -> Value {
    json!({"botToken": app.token})
}

async fn channels(client: &Client, replica: &Replica) -> Value {
    expect(client.get(replica, "/channels").await, 200).await["channels"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_is_tried_out_at_another_replica_than_the_one_that_registers() {
    let platforms = Platforms::start().await;
    let [a, b, c, d] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&b, &c, &d]);
    let app = platforms.discord.application("helper");
    app.has_command("weather");
    let client = Client::register_signed(&a).await;
    let channel = register_bot(&client, &a, "discord", &app.token).await;
    let members: Vec<_> = channel.answer.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["channelId", "botUsername", "pairingCode"]);
    assert_eq!((&channel.answer["botUsername"], channel.code.len()), (&json!("helper"), 8));
    assert_eq!(app.endpoint(), Some(format!("{}/discord/{}", platforms.public_url(), channel.id)));
    let probes: Vec<_> = app.probes().iter().map(|probe| (probe.is_signed, probe.status)).collect();
    assert_eq!(probes, [(true, Some(200)), (false, Some(401))]);
    assert_eq!(app.commands(), ["weather", "chat", "pair"], "the application's own command stays");

    // From then on each step may happen on any of them.
    let (ana, room) = (User::new("Ana"), platforms.discord.channel());
    let paired = app.interact(&app.command(&ana, &room, "pair", &[("code", &channel.code)])).await;
    assert!(privately(&paired).contains("You are paired."));
    let mut socket = client.open(&c, "").await;
    for replica in [&a, &b, &c, &d] {
        platforms.lead_to(&[replica]);
        let asked = app.interact(&app.command(&ana, &room, "chat", &[("message", "Anybody there?")])).await;
        assert_deferred(&asked);
        let message = socket.message().await;
        let reply = json!({"channelId": channel.id, "content": "Yes.", "replyTo": message["id"]});
        expect(client.post(&d, "/reply", &reply).await, 200).await;
        assert_eq!(socket.expect("delivery").await["status"], "delivered");
    }
    assert_eq!(platforms.discord.calls_of("editOriginal").len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_with_the_embedded_store_does_it_all() {
    let dir = data_dir();
    let platforms = Platforms::start().await;
    let relay = platforms.embedded(dir.path()).start().await;
    platforms.lead_to(&[&relay]);
    let (app, ana, room) = (platforms.discord.application("helper"), User::new("Ana"), platforms.discord.channel());
    let client = Client::register(&relay).await;
    let channel = register_bot(&client, &relay, "discord", &app.token).await;
    assert_eq!(channel.answer.get("warning"), None);
    let paired = app.interact(&app.command(&ana, &room, "pair", &[("code", &channel.code)])).await;
    assert!(privately(&paired).contains("You are paired."));
    let mut socket = client.open(&relay, "").await;
    let [first, second] = [app.asks(&ana, &room, "first").await, app.asks(&ana, &room, "second").await];
    let question = socket.message().await;
    assert_eq!((&question["content"], socket.content().await.as_str()), (&json!("first"), "second"));
    for reply in [json!({"content": "to the second"}), json!({"content": "to the first", "replyTo": question["id"]})] {
        let mut reply = reply;
        reply["channelId"] = channel.id.as_str().into();
        expect(client.post(&relay, "/reply", &reply).await, 200).await;
        assert_eq!(socket.expect("delivery").await["status"], "delivered");
    }
    let edited = platforms.discord.calls_of("editOriginal");
    let edited: Vec<_> = edited.iter().map(|call| (call.path.as_str(), call.body["content"].as_str())).collect();
    let path = |token: &str| format!("/api/v10/webhooks/{}/{token}/messages/@original", app.id);
    let (first, second) = (path(&first.token), path(&second.token));
    assert_eq!(edited, [(second.as_str(), Some("to the second")), (first.as_str(), Some("to the first"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_can_be_used_wherever_the_application_is_installed() {
    let scene = Scene::without_pairing(|setup| setup).await;
    let commands: Vec<_> = scene.discord().calls_of("postCommand").into_iter().map(|call| call.body).collect();
    let option = |command: &Value| {
        let option = &command["options"][0];
        (option["name"].clone(), option["type"].clone(), option["required"].clone(), option["max_length"].clone())
    };
    let names: Vec<_> = commands.iter().map(|command| command["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["chat", "pair"]);
    assert_eq!(option(&commands[0]), (json!("message"), json!(3), json!(true), json!(6000)));
    assert_eq!(option(&commands[1]), (json!("code"), json!(3), json!(true), Value::Null));
    for command in &commands {
        assert_eq!(command["options"].as_array().unwrap().len(), 1);
        assert_eq!(command["integration_types"], json!([0, 1]), "for servers and for users");
        assert_eq!(command["contexts"], json!([0, 1, 2]), "in servers, the bot's DMs and other private channels");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_shows_its_owner_the_bot_and_no_secret_of_it() {
    let scene = Scene::without_pairing(|setup| setup).await;
    let app = scene.discord().application("second");
    let named = json!({"botToken": format!(" {}\n", app.token), "channelName": "Home", "agentId": "butler"});
    let answer = expect(scene.client.post(&scene.b, REGISTER, &named).await, 201).await;
    let shown = expect(scene.client.get(&scene.a, "/channels").await, 200).await;
    let all = shown["channels"].as_array().unwrap();
    let second = all.iter().find(|channel| channel["id"] == answer["channelId"]).unwrap();
    assert_eq!(
        (&second["type"], &second["name"], &second["agentId"]),
        (&json!("discord"), &json!("Home"), &json!("butler"))
    );
    assert_eq!((&second["direction"], &second["enabled"]), (&json!("bidirectional"), &json!(true)));
    assert_eq!(second["metadata"]["botUsername"], "second");
    let events_url = second["metadata"]["eventsUrl"].as_str().unwrap();
    assert!(events_url.starts_with(&format!("{}?secret=", app.endpoint().unwrap())), "{events_url}");
    assert_ne!(events_url.split('=').nth(1), scene.events_url().await.split('=').nth(1), "each has its own secret");
    for secret in [&app.token, &scene.app.token, &scene.channel.code] {
        assert!(!shown.to_string().contains(secret.as_str()), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_discord_refuses_is_left_to_be_set_by_hand() {
    let platforms = Platforms::start().await;
    // Nobody listens there, as when a proxy or a firewall is not set up yet.
    let relay = platforms.on_redis().with("CHAOS_PUBLIC_URL", "http://127.0.0.1:1").start().await;
    let app = platforms.discord.application("helper");
    let client = Client::register(&relay).await;
    let channel = register_bot(&client, &relay, "discord", &app.token).await;
    assert_eq!(app.endpoint(), None);
    assert!(!app.probes().is_empty(), "Discord tried it out");
    let warning = channel.answer["warning"].as_str().unwrap();
    let url = format!("http://127.0.0.1:1/discord/{}", channel.id);
    for part in [url.as_str(), "Interactions Endpoint URL", "Developer Portal", "could not be verified"] {
        assert!(warning.contains(part), "{part} is missing: {warning}");
    }
    // Set by hand at an address that leads here, it works.
    let (ana, room) = (User::new("Ana"), platforms.discord.channel());
    let url = format!("{}/discord/{}", relay.url(), channel.id);
    let paired = app.interact_at(&url, &app.command(&ana, &room, "pair", &[("code", &channel.code)])).await;
    assert!(privately(&paired).contains("You are paired."));
    assert_deferred(&app.interact_at(&url, &app.command(&ana, &room, "chat", &[("message", "hi")])).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_discord_does_not_know_is_refused_in_its_words_and_leaves_nothing() {
    let scene = Scene::without_pairing(|setup| setup).await;
    let other = Client::register(&scene.a).await;
    let before = scene.discord().calls().len();
    let unknown = json!({"botToken": "MTExMTEx.Gx0000.0123456789abcdef0123456789abcdef"});
    let refused = expect(other.post(&scene.a, REGISTER, &unknown).await, 400).await;
    assert_eq!(refused["code"], "platform_refused");
    assert!(refused["error"].as_str().unwrap().contains("401: Unauthorized"), "{refused}");
    assert_eq!(scene.discord().calls().len(), before + 1, "one refusal is enough");
    assert_eq!(channels(&other, &scene.a).await, json!([]));

    for wrong in
        [json!(""), json!("short"), json!("two words of text"), json!("x".repeat(201)), json!("é".repeat(40)), json!(5)]
    {
        let refused = expect(other.post(&scene.a, REGISTER, &json!({"botToken": wrong})).await, 400).await;
        assert_eq!(refused["code"], "invalid_field", "{wrong}");
        assert!(refused["error"].as_str().unwrap().contains("botToken"), "{refused}");
    }
    assert_eq!(expect(other.post(&scene.a, REGISTER, &json!({})).await, 400).await["code"], "invalid_field");
    assert_eq!(scene.discord().calls().len(), before + 1, "what has not the form of a token is not sent anywhere");
    assert_eq!(channels(&other, &scene.a).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discord_that_is_away_leaves_nothing_behind_and_the_earlier_registration_in_place() {
    let scene = Scene::with(|setup| setup.with("CHAOS_DELIVERY_CALL_SECONDS", "1")).await;
    let endpoint = scene.app.endpoint();
    let other = Client::register(&scene.a).await;
    for call in ["getApplication", "postCommand", "editApplication"] {
        for trouble in [
            Misbehaviour::ServerError(500),
            Misbehaviour::ServerError(503),
            Misbehaviour::TooManyRequests { retry_after: Duration::from_secs(1) },
            Misbehaviour::Garbage,
            Misbehaviour::Reset,
            Misbehaviour::Hang,
        ] {
            scene.discord().misbehave_on(call, trouble.clone());
            let refused = expect(other.post(&scene.a, REGISTER, &token(&scene.app)).await, 502).await;
            assert_eq!(refused["code"], "platform_unreachable", "{trouble:?} on {call}");
            assert_eq!(channels(&other, &scene.a).await, json!([]), "{trouble:?} on {call}");
            assert_eq!(scene.discord().rules_left(), 0, "{trouble:?} on {call}");
        }
    }
    assert_eq!(scene.app.endpoint(), endpoint);
    let view = scene.view().await;
    assert_eq!((&view["enabled"], &view["metadata"]["disabledReason"]), (&json!(true), &Value::Null));
    scene.asks(&scene.ana, &scene.room, "still there?").await;
    register(&other, &scene.a, "discord", token(&scene.app)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_public_address_nothing_is_registered() {
    let platforms = Platforms::start().await;
    let relay = platforms.on_redis().without("CHAOS_PUBLIC_URL").start().await;
    let client = Client::register(&relay).await;
    let app = platforms.discord.application("helper");
    let refused = expect(client.post(&relay, REGISTER, &token(&app)).await, 503).await;
    assert_eq!(refused["code"], "not_configured");
    assert!(refused["error"].as_str().unwrap().contains("CHAOS_PUBLIC_URL"), "{refused}");
    assert_eq!(platforms.discord.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_registers_the_bot_last_has_it() {
    let scene = Scene::set().await;
    let other = Client::register(&scene.b).await;
    let newer = register(&other, &scene.b, "discord", token(&scene.app)).await;
    assert!(scene.app.endpoint().unwrap().ends_with(&format!("/discord/{}", newer.id)));
    let view = scene.view().await;
    assert_eq!(view["enabled"], false);
    assert!(view["metadata"]["disabledReason"].as_str().unwrap().contains("registered again"), "{view}");

    // The list of people is not the newer channel's.
    let asked = scene.app.asks(&scene.ana, &scene.room, "whose are you?").await;
    assert!(privately(&asked).contains("/pair"));
    // What comes to the old address, from a proxy that is slow to learn, is said to go nowhere.
    let late = scene.app.command(&scene.ana, &scene.room, "chat", &[("message", "hello?")]).to_string();
    let late = scene.app.post(&scene.url_at(&scene.b), &late).await;
    assert!(private_text(&late).contains("switched off"));
    assert_eq!((scene.messages().await, other.poll_all(&scene.b).await), (vec![], vec![]));

    let path = format!("/channels/{}", scene.channel.id);
    let enabled = scene.client.send(&scene.a, reqwest::Method::PATCH, &path, &json!({"enabled": true})).await;
    assert_eq!(expect(enabled, 409).await["code"], "taken_over");
    let reply = json!({"channelId": scene.channel.id, "content": "x"});
    assert_eq!(expect(scene.client.post(&scene.a, "/reply", &reply).await, 409).await["code"], "channel_disabled");
}
