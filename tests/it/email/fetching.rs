//! The text of a mail has to be fetched: what happens when it cannot be, for ever or for the moment.

use std::time::Duration;

use serde_json::json;

use super::scene::{ANA, Scene, logged, notice};
use crate::support::platforms::Misbehaviour;
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::resend::Refusal;
use crate::support::secrets;

const FETCH: &str = "getReceivedEmail";
const NOTE: &str = "[The text of this mail could not be fetched.]";

fn refuse(status: u16, name: &'static str) -> Misbehaviour<Refusal> {
    Misbehaviour::Refuse(Refusal::Error { status, name })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_fetched_once_with_the_operators_key() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let delivery = scene.takes(&mailbox.mail(ANA, "hello")).await;
    let [call] = scene.platforms.resend.calls_of(FETCH).try_into().unwrap();
    assert_eq!(call.path, format!("/emails/receiving/{}", delivery.event["data"]["email_id"].as_str().unwrap()));
    assert_eq!(call.headers["authorization"].to_str().unwrap(), format!("Bearer {}", scene.platforms.resend.key()));
    assert!(call.headers["user-agent"].to_str().unwrap().starts_with("chaos-relay/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_cannot_be_had_any_more_is_stored_with_its_subject_and_a_note() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let mail = mailbox.mail("Ana <ana@example.com>", "gone");
    let deleted = notice("56761188-7520-42d8-8898-ff6fc54ce618", &mail);
    scene.tell(deleted).await.accepted();
    for (status, name) in [(404, "not_found"), (403, "email_above_quota"), (422, "invalid_parameter")] {
        scene.platforms.resend.misbehave_on(FETCH, refuse(status, name));
        scene.takes(&mailbox.mail("Ana <ana@example.com>", "gone")).await;
    }
    let too_large = "x".repeat(5 * 1024 * 1024);
    scene.takes(&mailbox.mail(ANA, &too_large)).await;
    let messages = scene.messages().await;
    assert_eq!(messages.len(), 5);
    for message in &messages {
        assert_eq!(message["content"], format!("Subject: hello\n\n{NOTE}"));
        assert_eq!((&message["from"], &message["metadata"]["senderAddress"]), (&json!(ANA), &json!(ANA)));
        assert_eq!(message["metadata"]["toAddress"], mailbox.address.as_str());
        assert_eq!(message["metadata"].get("authentication"), None);
    }
    assert_eq!(messages[0]["metadata"]["emailMessageId"], mail.message_id.as_str());
    let sent = scene.answered(&messages[0], "What did you want to say?").await;
    assert_eq!((sent.to[0].as_str(), sent.headers["In-Reply-To"].as_str()), (ANA, mail.message_id.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_mail_cannot_be_fetched_the_provider_is_asked_to_come_again() {
    let scene = Scene::set_with(|setup| setup.with("CHAOS_DELIVERY_CALL_SECONDS", "2")).await;
    let mailbox = scene.mailbox(ANA).await;
    let resend = &scene.platforms.resend;
    let cases = [
        Misbehaviour::ServerError(500),
        Misbehaviour::ServerError(502),
        Misbehaviour::ServerError(503),
        Misbehaviour::TooManyRequests { retry_after: Duration::from_secs(1) },
        Misbehaviour::Refuse(Refusal::DailyQuota),
        Misbehaviour::Reset,
        Misbehaviour::AnswerLost,
        Misbehaviour::Hang,
        Misbehaviour::Slow(Duration::from_secs(4)),
        Misbehaviour::Garbage,
        // Whatever is wrong with the key, its operator can mend it.
        refuse(401, "restricted_api_key"),
        refuse(401, "missing_api_key"),
        refuse(403, "invalid_api_key"),
        refuse(403, "suspended_api_key"),
    ];
    for (n, behaviour) in cases.into_iter().enumerate() {
        let case = format!("{behaviour:?}");
        resend.misbehave_on(FETCH, behaviour);
        let mut delivery = scene.arrives(&mailbox.mail(ANA, &case)).await;
        let attempt = &delivery.attempts[0];
        assert_eq!(attempt.status, Some(503), "{case}: {}", attempt.body);
        assert!(attempt.retry_after().is_some_and(|seconds| (1..=60).contains(&seconds)), "{case}: {attempt:?}");
        assert_eq!(attempt.json()["code"], "try_again", "{case}");
        assert_eq!(secrets::find_in(&attempt.body), None, "{case}");
        assert!(attempt.elapsed < Duration::from_secs(10), "{case}: the provider waits 15 s");
        assert_eq!(scene.messages().await.len(), n, "{case}");

        scene.tell_again(&mut delivery).await;
        scene.tell_again(&mut delivery).await;
        assert_eq!(delivery.statuses(), [Some(503), Some(200), Some(200)], "{case}");
        assert_eq!(scene.texts().await.get(n), Some(&case));
        assert_eq!(scene.messages().await.len(), n + 1, "{case}: stored once");
    }
    assert_eq!(resend.rules_left(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_takes_its_time_is_waited_for() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    scene.platforms.resend.misbehave_on(FETCH, Misbehaviour::Slow(Duration::from_millis(700)));
    scene.takes(&mailbox.mail(ANA, "slowly")).await;
    assert_eq!(scene.texts().await, ["slowly"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_provider_does_not_know_loses_no_mail() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis();
    let scene = Scene::on(platforms, &setup).await;
    let mailbox = scene.mailbox(ANA).await;
    let old_key = "re_an_old_key_of_the_account";
    secrets::note(old_key);
    let wrong = setup.with("RESEND_API_KEY", old_key).start().await;
    scene.platforms.lead_to(&[&wrong]);
    let mut delivery = scene.arrives(&mailbox.mail(ANA, "hello")).await;
    assert_eq!(delivery.statuses(), [Some(503)]);
    // Which only the operator can mend.
    logged(&wrong, "invalid_api_key").await;
    scene.platforms.lead_to(&[&scene.relay]);
    scene.tell_again(&mut delivery).await;
    assert_eq!(delivery.statuses(), [Some(503), Some(200)]);
    assert_eq!(scene.texts().await, ["hello"]);
}
