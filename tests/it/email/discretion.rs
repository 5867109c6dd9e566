//! The operator's key, the secret that signs, and the token in a link are in no answer and in no log.

use serde_json::json;

use super::scene::{ANA, Scene, look, press};
use crate::support::platforms::resend::{Mail, Refusal};
use crate::support::platforms::{Misbehaviour, Rule};
use crate::support::secrets;

/// Makes sure that a text has neither of the operator's secrets, nor what follows their prefixes.
fn assert_discreet(what: &str, text: &str, scene: &Scene) {
    for secret in [scene.platforms.resend.key(), &scene.platforms.mail_secret] {
        assert!(!text.contains(secret), "{what} has a secret: {text}");
        let bare = secret.trim_start_matches("whsec_").trim_start_matches("re_");
        assert!(!text.contains(bare), "{what} has a part of a secret: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_has_the_operators_secrets_even_if_the_provider_repeats_them() {
    let scene = Scene::set().await;
    let resend = &scene.platforms.resend;
    let repeated: &'static str = format!("the key {} is not good", resend.key()).leak();
    let refuse = |status| Misbehaviour::Refuse(Refusal::Error { status, name: repeated });

    for (n, status) in [400, 401, 403, 429, 500].into_iter().enumerate() {
        resend.misbehave_on("sendEmail", refuse(status));
        let body = json!({"userEmail": format!("person{n}@example.com")});
        let answer = scene.client.post(&scene.relay, "/channels/email/register", &body).await;
        assert!([400, 502].contains(&answer.status().as_u16()));
        assert_discreet("a refused registration", &answer.text().await.unwrap(), &scene);
    }
    let mailbox = scene.mailbox(ANA).await;
    for status in [401, 403, 404, 429, 500] {
        resend.misbehave_on("getReceivedEmail", refuse(status));
        let delivery = scene.arrives(&mailbox.mail(ANA, "hello")).await;
        assert_discreet("an answer to the provider", &delivery.attempts[0].body, &scene);
    }
    assert_eq!(resend.rules_left(), 0);
    let message = scene.messages().await.pop().unwrap();
    for (status, becomes) in [(400, "failed"), (401, "failed"), (500, "retrying")] {
        resend.rule(Rule::new(refuse(status)).on("sendEmail").always());
        let response = scene.answer(&message, "hello").await;
        assert_discreet("a reply's status", &scene.becomes(&response, becomes).await.to_string(), &scene);
        resend.behave();
    }
    assert_discreet("messages", &json!(scene.messages().await).to_string(), &scene);
    assert_discreet("channels", &json!(scene.channels().await).to_string(), &scene);
    let log = scene.log().await;
    assert_discreet("the log", &log, &scene);
    assert!(log.contains("is not good"), "the log says why a mail could not be fetched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_known_to_nobody_but_who_got_the_mail() {
    let scene = Scene::set().await;
    let mailbox = scene.unverified(ANA).await;
    assert!(secrets::find_in(&mailbox.token).is_some());
    let shown = json!(scene.channels().await).to_string();
    assert!(!shown.contains(&mailbox.token), "{shown}");
    look(&mailbox.link).await;
    let confirmed = press(&scene.relay.url(), &mailbox.token, &mailbox.id).await;
    assert!(!confirmed.html.contains(&mailbox.token));
    let refused = look(&mailbox.link).await;
    assert!(!refused.html.contains(&mailbox.token));
    let log = scene.log().await;
    assert!(
        log.contains("/email/verify") && !log.contains(&mailbox.token),
        "the log has the request but not the token"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_is_in_no_log() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let mail = Mail::new(ANA, &mailbox.address, "a private subject", "private words").attach("private-file.pdf");
    let message = scene.hears(&mail).await;
    scene.answered(&message, "a private answer").await;
    scene.takes(&mailbox.mail("eve@evil.example", "private too")).await;
    let log = scene.log().await;
    assert!(log.contains("/email/inbound"));
    assert!(!log.contains("private"), "{}", log.lines().find(|line| line.contains("private")).unwrap_or_default());
}
