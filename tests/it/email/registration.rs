//! Registering a mailbox: the address, what is refused, and that a failure leaves nothing behind.

use std::collections::HashSet;

use reqwest::Response;
use serde_json::{Value, json};

use super::scene::{ANA, Scene, link_in, look, press, token_of};
use crate::support::client::{Client, expect};
use crate::support::platforms::deployment::{MAIL_DOMAIN, Platforms};
use crate::support::platforms::resend::{Mail, Refusal};
use crate::support::platforms::{Call, Misbehaviour, Rule};
use crate::support::relay::Replica;

const PATH: &str = "/channels/email/register";

async fn register(client: &Client, relay: &Replica, body: &Value) -> Response {
    client.post(relay, PATH, body).await
}

/// The readable part of a new address, whose form is checked.
fn slug(address: &str) -> &str {
    let (local, domain) = address.split_once('@').unwrap();
    let (slug, random) = local.rsplit_once('-').unwrap();
    let is_random = random.len() == 10 && random.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    assert!(domain == MAIL_DOMAIN && is_random, "{address}");
    slug
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_a_readable_part_and_ten_random_characters() {
    let scene = Scene::set().await;
    let mut addresses = HashSet::new();
    for (name, user_email, expected) in [
        (Some("Support"), ANA, "support"),
        (Some("Support"), ANA, "support"),
        (None, "Ana.Lopez+work@example.com", "ana-lopez"),
        (Some("Café & Co."), "bob@example.com", "caf-co"),
        (Some("日本"), "bob@example.com", "bob"),
        (None, "  carol@example.com ", "carol"),
        (None, "dora@BÜCHER.example", "dora"),
    ] {
        let mut body = json!({"userEmail": user_email});
        if let Some(name) = name {
            body["channelName"] = name.into();
        }
        let answer = expect(register(&scene.client, &scene.relay, &body).await, 201).await;
        let names: Vec<_> = answer.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["channelId", "inboundAddress"]);
        let address = answer["inboundAddress"].as_str().unwrap();
        assert_eq!(slug(address), expected);
        assert!(addresses.insert(address.to_owned()), "{address} was given twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_mailbox_is_a_channel_that_waits_for_its_owner() {
    let scene = Scene::set().await;
    let body = json!({"userEmail": "Ana@Example.com", "channelName": "Support", "agentId": "helper"});
    let answer = expect(register(&scene.client, &scene.relay, &body).await, 201).await;
    let channels = scene.channels().await;
    let expected = json!({
        "id": answer["channelId"], "name": "Support", "type": "email", "direction": "bidirectional",
        "agentId": "helper", "enabled": true,
        "metadata": {"inboundAddress": answer["inboundAddress"], "userEmail": "ana@example.com", "verified": false},
    });
    assert_eq!(channels, [expected]);
    let reply = json!({"channelId": answer["channelId"], "content": "Hello?"});
    assert_eq!(expect(scene.client.post(&scene.relay, "/reply", &reply).await, 409).await["code"], "no_conversation");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_one_bare_address_is_refused() {
    let scene = Scene::set().await;
    let long = format!("{}@example.com", "x".repeat(65));
    for wrong in [
        json!(null),
        json!(""),
        json!("ana"),
        json!("ana@"),
        json!("@example.com"),
        json!("ana@localhost"),
        json!("ana@[127.0.0.1]"),
        json!("ana@exa mple.com"),
        json!("ana@@example.com"),
        json!("Ana <ana@example.com>"),
        json!("<ana@example.com>"),
        json!("ana@example.com, bob@example.com"),
        json!("ana@example.com,bob@example.com"),
        json!("ana@example.com;bob@example.com"),
        json!("Friends: ana@example.com;"),
        json!("ana@example.com (Ana)"),
        json!("mailto:ana@example.com"),
        json!("ana@example.com\r\nBcc: eve@evil.example"),
        json!("ana\u{0}@example.com"),
        json!("an\u{e4}@example.com"),
        json!("ana@\u{ff45}xample.com"),
        json!(long),
        json!(5),
        json!(["ana@example.com"]),
        json!({"address": "ana@example.com"}),
    ] {
        let answer = expect(register(&scene.client, &scene.relay, &json!({"userEmail": wrong})).await, 400).await;
        assert_eq!(answer["code"], "invalid_field", "{wrong}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains("userEmail"), "{wrong}: {answer}");
    }
    for body in [json!({}), json!({"useremail": ANA})] {
        expect(register(&scene.client, &scene.relay, &body).await, 400).await;
    }
    for body in [
        json!({"userEmail": ANA, "channelName": "x".repeat(201)}),
        json!({"userEmail": ANA, "agentId": "x".repeat(201)}),
        json!({"userEmail": ANA, "channelName": 5}),
    ] {
        expect(register(&scene.client, &scene.relay, &body).await, 400).await;
    }
    assert!(scene.platforms.resend.calls().is_empty());
    assert!(scene.channels().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_one_of_its_settings_nobody_registers() {
    let platforms = Platforms::start().await;
    for missing in ["CHAOS_EMAIL_DOMAIN", "RESEND_API_KEY", "CHAOS_PUBLIC_URL"] {
        let relay = platforms.on_redis().without(missing).start().await;
        let client = Client::register_signed(&relay).await;
        let answer = expect(register(&client, &relay, &json!({"userEmail": ANA})).await, 503).await;
        assert_eq!(answer["code"], "not_configured", "without {missing}");
        assert!(answer["error"].as_str().unwrap().contains(missing), "{answer}");
        let channels = expect(client.get(&relay, "/channels").await, 200).await;
        assert_eq!(channels["channels"], json!([]), "without {missing}");
    }
    assert!(platforms.resend.calls().is_empty());
}

/// What the relay asked to be mailed: the new address, the link, and its token and channel.
fn asked(call: &Call) -> (String, String, String) {
    let text = call.body["text"].as_str().unwrap();
    let address = text.split_whitespace().find(|word| word.ends_with(MAIL_DOMAIN)).unwrap();
    let link = link_in(text);
    (address.to_owned(), token_of(&link), link)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_fails_leaves_nothing_behind() {
    let scene = Scene::set_with(|setup| setup.with("CHAOS_DELIVERY_CALL_SECONDS", "2")).await;
    let resend = &scene.platforms.resend;
    let refuse = |status, name| Misbehaviour::Refuse(Refusal::Error { status, name });
    let cases = [
        (refuse(403, "validation_error"), 400, "platform_refused", "403 validation_error"),
        (refuse(422, "invalid_parameter"), 400, "platform_refused", "422 invalid_parameter"),
        (refuse(401, "restricted_api_key"), 400, "platform_refused", "401 restricted_api_key"),
        (Misbehaviour::ServerError(500), 502, "platform_unreachable", "500"),
        (Misbehaviour::ServerError(503), 502, "platform_unreachable", "503"),
        (
            Misbehaviour::TooManyRequests { retry_after: std::time::Duration::from_secs(1) },
            502,
            "platform_unreachable",
            "429",
        ),
        (Misbehaviour::Refuse(Refusal::DailyQuota), 502, "platform_unreachable", "daily_quota_exceeded"),
        (Misbehaviour::Garbage, 502, "platform_unreachable", "200"),
        (Misbehaviour::Reset, 502, "platform_unreachable", ""),
        (Misbehaviour::AnswerLost, 502, "platform_unreachable", ""),
        (Misbehaviour::Hang, 502, "platform_unreachable", ""),
    ];
    for (n, (behaviour, status, code, says)) in cases.into_iter().enumerate() {
        let (case, user_email) = (format!("{behaviour:?}"), format!("person{n}@example.com"));
        resend.misbehave_on("sendEmail", behaviour);
        let answer =
            expect(register(&scene.client, &scene.relay, &json!({"userEmail": user_email})).await, status).await;
        assert_eq!(answer["code"], code, "{case}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(says), "{case}: {answer}");
        assert!(scene.channels().await.is_empty(), "{case}");

        let calls = resend.calls_of("sendEmail");
        assert_eq!(calls.len(), n + 1, "{case}: one try for each registration");
        let (address, token, link) = asked(&calls[n]);
        assert_eq!(look(&link).await.status, 400, "{case}");
        let channel = link.rsplit_once("channelId=").unwrap().1;
        assert_eq!(press(&scene.relay.url(), &token, channel).await.status, 400, "{case}");
        scene.takes(&Mail::new(&user_email, &address, "hello", "hello")).await;
    }
    assert_eq!(resend.rules_left(), 0);
    assert_eq!(scene.fetches(), 0, "nobody has the addresses");
    assert!(scene.messages().await.is_empty());
    // Of a mail whose answer was lost nobody knows that it was sent.
    assert_eq!(resend.sent().len(), 1);
    scene.mailbox(ANA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_is_not_verified_at_the_provider_is_named() {
    let scene = Scene::set_with(|setup| setup.with("CHAOS_EMAIL_DOMAIN", "unverified.example")).await;
    let answer = expect(register(&scene.client, &scene.relay, &json!({"userEmail": ANA})).await, 400).await;
    assert_eq!(answer["code"], "platform_refused");
    assert!(answer["error"].as_str().unwrap().contains("The unverified.example domain is not verified"), "{answer}");
    assert!(scene.channels().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn three_verification_mails_an_hour_go_to_one_address() {
    let platforms = Platforms::start().await;
    let [a, b] = platforms.on_redis().start_many().await;
    let (ana, eve) = (Client::register_signed(&a).await, Client::register(&b).await);
    let body = |user_email: &str| json!({"userEmail": user_email});
    expect(register(&ana, &a, &body("ana@example.com")).await, 201).await;
    expect(register(&eve, &b, &body("Ana@example.com")).await, 201).await;
    // What the provider does not take counts as well: it may have sent it.
    platforms.resend.misbehave_on("sendEmail", Misbehaviour::AnswerLost);
    expect(register(&ana, &b, &body("ana@EXAMPLE.com")).await, 502).await;
    for (client, relay) in [(&ana, &a), (&eve, &b), (&Client::register(&a).await, &a)] {
        let answer = register(client, relay, &body("ANA@example.com")).await;
        let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((3500..=3600).contains(&wait), "{wait}");
        assert_eq!(expect(answer, 429).await["code"], "rate_limited");
    }
    assert_eq!(platforms.resend.sent().len(), 3);
    let channels = expect(ana.get(&a, "/channels").await, 200).await;
    assert_eq!(channels["channels"].as_array().unwrap().len(), 1);
    expect(register(&eve, &a, &body("bob@example.com")).await, 201).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mailboxes_count_among_the_channels_that_a_session_makes() {
    let scene = Scene::set_with(|setup| setup.with("CHAOS_RATE_CHANNELS", "2/1h")).await;
    scene.unverified(ANA).await;
    scene.client.make_webhook(&scene.relay, json!({})).await;
    let answer = register(&scene.client, &scene.relay, &json!({"userEmail": "bob@example.com"})).await;
    assert_eq!(answer.headers()["ratelimit-limit"], "2");
    expect(answer, 429).await;
    assert_eq!(scene.platforms.resend.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_sessions_register_mailboxes() {
    let scene = Scene::set().await;
    let url = format!("{}{PATH}", scene.relay.url());
    let body = json!({"userEmail": ANA});
    let nobody = reqwest::Client::new().post(&url).json(&body).send().await.unwrap();
    expect(nobody, 401).await;
    // The session has a key, and this is not signed.
    let unsigned =
        reqwest::Client::new().post(&url).bearer_auth(&scene.client.api_key).json(&body).send().await.unwrap();
    expect(unsigned, 401).await;
    assert!(scene.platforms.resend.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_provider_is_overloaded_one_try_does_not_use_up_the_next() {
    let scene = Scene::set().await;
    scene.platforms.resend.rule(Rule::new(Misbehaviour::ServerError(503)).on("sendEmail").times(2));
    for status in [502, 502, 201] {
        let answer = register(&scene.client, &scene.relay, &json!({"userEmail": ANA})).await;
        assert_eq!(answer.status(), status);
    }
    assert_eq!(scene.channels().await.len(), 1);
}
