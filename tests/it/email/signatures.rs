//! Whether the provider itself tells of a mail.

use serde_json::{Value, json};

use super::scene::{ANA, Mailbox, Scene, notice};
use crate::support::platforms::delivery::{Attempt, Delivery, client, post};
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::resend::{Resend, svix_signature};
use crate::support::platforms::unix_seconds;
use crate::support::secrets;

/// What is sent of one event.
struct Sending {
    id: String,
    timestamp: String,
    signatures: String,
    body: String,
    /// What the names of the headers begin with.
    prefix: &'static str,
}

impl Sending {
    /// Signed so many seconds ago with this secret.
    fn signed(secret: &str, seconds_ago: i64, body: &str) -> Self {
        let timestamp = (i64::try_from(unix_seconds()).unwrap() - seconds_ago).to_string();
        let id = format!("msg_{}", uuid::Uuid::new_v4().simple());
        let signatures = svix_signature(secret, &id, &timestamp, body);
        Self { id, timestamp, signatures, body: body.to_owned(), prefix: "svix" }
    }

    async fn send(&self, url: &str) -> Attempt {
        let fields = [("id", &self.id), ("timestamp", &self.timestamp), ("signature", &self.signatures)];
        let named = fields.map(|(name, value)| (format!("{}-{name}", self.prefix), value));
        // An empty value leaves its header out.
        let sent = named.iter().filter(|(_, value)| !value.is_empty());
        let headers: Vec<_> = sent.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        post(&client(), url, &headers, &self.body, std::time::Duration::from_secs(15)).await
    }
}

impl Scene {
    /// The event of a new mail from Ana.
    fn event(&self, mailbox: &Mailbox, text: &str) -> String {
        let mail = mailbox.mail(ANA, text);
        let data = notice(&self.platforms.resend.store(&mail), &mail);
        json!({"type": "email.received", "created_at": "2026-01-15T10:30:01.126Z", "data": data}).to_string()
    }
}

fn refused(attempt: &Attempt, status: u16, code: &str, case: &str) {
    assert_eq!(attempt.status, Some(status), "{case}: {}", attempt.body);
    assert_eq!(attempt.json()["code"], code, "{case}");
    assert_eq!(secrets::find_in(&attempt.body), None, "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_as_it_must_be_is_refused() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let (url, secret) = (scene.platforms.mail_url(), scene.platforms.mail_secret.as_str());
    let other = Resend::webhook_secret();
    type Change<'a> = Box<dyn Fn(&mut Sending) + 'a>;
    let changes: Vec<(&str, Change<'_>)> = vec![
        (
            "no headers",
            Box::new(|sending| {
                (sending.id, sending.timestamp, sending.signatures) = Default::default();
            }),
        ),
        ("no id", Box::new(|sending| sending.id.clear())),
        ("no timestamp", Box::new(|sending| sending.timestamp.clear())),
        ("no signature", Box::new(|sending| sending.signatures.clear())),
        ("another secret", Box::new(|sending| *sending = Sending::signed(&other, 0, &sending.body))),
        ("too old", Box::new(|sending| *sending = Sending::signed(secret, 310, &sending.body))),
        ("from the future", Box::new(|sending| *sending = Sending::signed(secret, -310, &sending.body))),
        (
            "a fresh timestamp over an old one",
            Box::new(|sending| {
                let fresh = sending.timestamp.clone();
                *sending = Sending::signed(secret, 310, &sending.body);
                sending.timestamp = fresh;
            }),
        ),
        ("no number", Box::new(|sending| sending.timestamp = "now".to_owned())),
        ("another id", Box::new(|sending| sending.id.push('x'))),
        (
            "a moved border",
            Box::new(|sending| {
                let id = format!("{}.{}", sending.id, sending.timestamp);
                sending.id = id;
            }),
        ),
        ("another body", Box::new(|sending| sending.body = sending.body.replace("hello", "hullo"))),
        ("one more blank", Box::new(|sending| sending.body.push(' '))),
        ("no version", Box::new(|sending| sending.signatures = sending.signatures.replace("v1,", ""))),
        ("another version", Box::new(|sending| sending.signatures = sending.signatures.replace("v1,", "v2,"))),
        ("the public-key version", Box::new(|sending| sending.signatures = sending.signatures.replace("v1,", "v1a,"))),
        ("not base64", Box::new(|sending| sending.signatures = "v1,***".to_owned())),
        ("half of it", Box::new(|sending| sending.signatures.truncate(20))),
        ("the secret itself", Box::new(|sending| sending.signatures = format!("v1,{}", &secret["whsec_".len()..]))),
    ];
    for (case, change) in changes {
        let mut sending = Sending::signed(secret, 0, &scene.event(&mailbox, case));
        change(&mut sending);
        refused(&sending.send(&url).await, 401, "invalid_signature", case);
    }
    assert_eq!(scene.fetches(), 0);
    assert!(scene.messages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_is_taken_in_all_its_forms() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let (url, secret) = (scene.platforms.mail_url(), scene.platforms.mail_secret.as_str());
    let other = Resend::webhook_secret();
    let signed = |text: &str, seconds_ago| Sending::signed(secret, seconds_ago, &scene.event(&mailbox, text));
    let mut several = signed("among others", 0);
    let by_other = svix_signature(&other, &several.id, &several.timestamp, &several.body);
    several.signatures = format!("v1a,xyz {by_other} v2,abc {}", several.signatures);
    let cases = [
        ("almost too old", signed("almost too old", 280)),
        ("almost too early", signed("almost too early", -280)),
        ("among others", several),
        ("standard", Sending { prefix: "webhook", ..signed("standard", 0) }),
    ];
    for (case, sending) in &cases {
        let attempt = sending.send(&url).await;
        assert_eq!((attempt.status, attempt.json()["ok"].as_bool()), (Some(200), Some(true)), "{case}");
    }
    let expected: Vec<_> = cases.iter().map(|(case, _)| *case).collect();
    assert_eq!(scene.texts().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_secret_replaces_another_both_are_good() {
    let (old, new) = (Resend::webhook_secret(), Resend::webhook_secret());
    let both = format!("{old}, {new}");
    let scene = Scene::set_with(|setup| setup.with("RESEND_WEBHOOK_SECRET", &both)).await;
    let mailbox = scene.mailbox(ANA).await;
    let (resend, url) = (&scene.platforms.resend, scene.platforms.mail_url());
    for (text, secrets) in [("old", vec![&*old]), ("new", vec![&*new]), ("both", vec![&*old, &*new])] {
        resend.receive(&mailbox.mail(ANA, text), &url, &secrets).await.accepted();
    }
    let third = Resend::webhook_secret();
    let refused = resend.receive(&mailbox.mail(ANA, "third"), &url, &[&third]).await;
    assert_eq!(refused.statuses(), [Some(401)]);
    resend.receive(&mailbox.mail(ANA, "rotated"), &url, &[&third, &new]).await.accepted();
    assert_eq!(scene.texts().await, ["old", "new", "both", "rotated"]);
}

/// A mail of which the provider tells without a signature.
async fn unsigned(scene: &Scene, mailbox: &Mailbox) -> Delivery {
    scene.platforms.resend.receive(&mailbox.mail(ANA, "unsigned"), &scene.platforms.mail_url(), &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_nothing_is_taken_unless_the_operator_allows_it() {
    for (allow, status) in [(None, 503), (Some("false"), 503), (Some("true"), 200)] {
        let scene = Scene::set_with(|setup| {
            let setup = setup.without("RESEND_WEBHOOK_SECRET");
            allow.map_or(setup.clone(), |allow| setup.with("CHAOS_EMAIL_ALLOW_UNSIGNED", allow))
        })
        .await;
        let mailbox = scene.mailbox(ANA).await;
        let attempt = &unsigned(&scene, &mailbox).await.attempts[0];
        assert_eq!(attempt.status, Some(status), "{allow:?}: {}", attempt.body);
        let texts = scene.texts().await;
        if status == 200 {
            assert_eq!(texts, ["unsigned"]);
        } else {
            refused(attempt, 503, "not_configured", "no secret");
            assert_eq!((texts.len(), scene.fetches()), (0, 0), "{allow:?}");
        }
        // With or without a signature: there is nothing to check it with.
        let delivery = scene.arrives(&mailbox.mail(ANA, "signed")).await;
        assert_eq!(delivery.statuses(), [Some(status)], "{allow:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_a_secret_unsigned_mail_is_refused_whatever_else_is_allowed() {
    let scene = Scene::set_with(|setup| setup.with("CHAOS_EMAIL_ALLOW_UNSIGNED", "true")).await;
    let mailbox = scene.mailbox(ANA).await;
    refused(&unsigned(&scene, &mailbox).await.attempts[0], 401, "invalid_signature", "unsigned");
    assert!(scene.messages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_without_mail_answers_503() {
    let platforms = Platforms::start().await;
    for missing in ["CHAOS_EMAIL_DOMAIN", "RESEND_API_KEY"] {
        let relay = platforms.on_redis().without(missing).start().await;
        let url = format!("{}/email/inbound", relay.url());
        let delivery = platforms.resend.event("email.received", json!({}), &url, &[&platforms.mail_secret]).await;
        refused(&delivery.attempts[0], 503, "not_configured", missing);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_events_of_no_interest_are_answered_well() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let mail = mailbox.mail(ANA, "hello");
    let good = notice(&scene.platforms.resend.store(&mail), &mail);
    let url = scene.platforms.mail_url();
    let with = |name: &str, value: Value| {
        let mut data = good.clone();
        data[name] = value;
        json!({"type": "email.received", "data": data}).to_string()
    };
    let mut bodies = vec![String::new(), "{".to_owned(), "null".to_owned(), "[]".to_owned(), "\"x\"".to_owned()];
    bodies.push("[".repeat(100_000));
    bodies.push(json!({"type": "email.received"}).to_string());
    bodies.push(json!({"type": "email.received", "data": [good]}).to_string());
    bodies.push(json!({"type": ["email.received"], "data": good}).to_string());
    for kind in
        ["email.sent", "email.bounced", "email.delivered", "email.complained", "contact.created", "EMAIL.RECEIVED"]
    {
        bodies.push(json!({"type": kind, "data": good}).to_string());
    }
    for id in [json!(null), json!(5), json!(""), json!("a b"), json!("../emails"), json!("x?y"), json!("x".repeat(65))]
    {
        bodies.push(with("email_id", id));
    }
    for from in [json!(null), json!(5), json!([ANA]), json!("")] {
        bodies.push(with("from", from));
    }
    for received_for in [json!([null, 5, {}]), json!(["nobody@in.example.net"]), json!({"address": mailbox.address})] {
        let mut data = good.clone();
        (data["received_for"], data["to"]) = (received_for, json!([]));
        bodies.push(json!({"type": "email.received", "data": data}).to_string());
    }
    for body in &bodies {
        let attempt = Sending::signed(&scene.platforms.mail_secret, 0, body).send(&url).await;
        assert_eq!(attempt.status, Some(200), "{:.200}", body);
    }
    assert_eq!(scene.fetches(), 0);
    assert!(scene.messages().await.is_empty());

    let large = with("subject", "x".repeat(1024 * 1024).into());
    let attempt = Sending::signed(&scene.platforms.mail_secret, 0, &large).send(&url).await;
    refused(&attempt, 413, "too_large", "a large body");
    let attempt = Sending::signed(&scene.platforms.mail_secret, 0, &with("subject", json!(null))).send(&url).await;
    assert_eq!(attempt.status, Some(200));
    assert_eq!(scene.texts().await, ["hello"]);
}
