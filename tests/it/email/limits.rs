//! How much mail a mailbox takes.

use std::time::Duration;

use super::scene::{ANA, Scene};
use crate::support::platforms::Misbehaviour;
use crate::support::platforms::resend::Resend;

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_gets_too_much_has_the_rest_delivered_later() {
    let scene = Scene::set_with(|setup| setup.with("CHAOS_RATE_WEBHOOK", "2/3s")).await;
    let (full, other) = (scene.mailbox(ANA).await, scene.mailbox(ANA).await);
    scene.takes(&full.mail(ANA, "one")).await;
    scene.takes(&full.mail(ANA, "two")).await;
    let mut to_both = full.mail(ANA, "three");
    to_both.received_for = Some(vec![full.address.clone(), other.address.clone()]);
    let mut delivery = scene.arrives(&to_both).await;
    let attempt = &delivery.attempts[0];
    assert_eq!((attempt.status, attempt.json()["code"].as_str()), (Some(429), Some("rate_limited")));
    let wait = attempt.retry_after().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    // The mailbox beside it has room, and its copy.
    assert_eq!(scene.texts().await, ["one", "two", "three"]);
    tokio::time::sleep(Duration::from_secs(wait)).await;
    scene.tell_again(&mut delivery).await;
    assert_eq!(delivery.statuses(), [Some(429), Some(200)]);
    let messages = scene.messages().await;
    let holders: Vec<_> = messages.iter().map(|message| message["channelId"].as_str().unwrap()).collect();
    assert_eq!(holders, [&full.id, &full.id, &other.id, &full.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mail_to_a_mailbox_counts_and_no_other() {
    let scene = Scene::set_with(|setup| setup.with("CHAOS_RATE_WEBHOOK", "4/1h")).await;
    let (mailbox, other) = (scene.mailbox(ANA).await, scene.mailbox(ANA).await);
    let (resend, url) = (&scene.platforms.resend, scene.platforms.mail_url());
    let forger = Resend::webhook_secret();
    for _ in 0..6 {
        let forged = resend.receive(&mailbox.mail(ANA, "forged"), &url, &[&forger]).await;
        assert_eq!(forged.statuses(), [Some(401)]);
        let mut nobodys = mailbox.mail(ANA, "nobody's");
        nobodys.received_for = Some(vec!["nobody@in.example.net".to_owned()]);
        scene.takes(&nobodys).await;
    }
    scene.takes(&mailbox.mail("eve@evil.example", "a stranger's")).await;
    scene.takes(&mailbox.mail(ANA, "a machine's").header("Precedence", "bulk")).await;
    let mut delivery = scene.takes(&mailbox.mail(ANA, "told of twice")).await;
    scene.tell_again(&mut delivery).await;
    assert_eq!(delivery.statuses(), [Some(200), Some(200)]);
    assert_eq!(scene.arrives(&mailbox.mail(ANA, "too much")).await.statuses(), [Some(429)]);
    scene.takes(&other.mail(ANA, "to the other")).await;
    assert_eq!(scene.texts().await, ["told of twice", "to the other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_over_the_limit_is_not_fetched() {
    let scene = Scene::set_with(|setup| setup.with("CHAOS_RATE_WEBHOOK", "1/1h")).await;
    let mailbox = scene.mailbox(ANA).await;
    scene.platforms.resend.misbehave_on("getReceivedEmail", Misbehaviour::ServerError(503));
    // What could not be fetched has counted, too: the provider was heard.
    let mut delivery = scene.arrives(&mailbox.mail(ANA, "hello")).await;
    scene.tell_again(&mut delivery).await;
    assert_eq!(delivery.statuses(), [Some(503), Some(429)]);
    assert_eq!(scene.fetches(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_takes_sixty_mails_a_minute() {
    let scene = Scene::set_with(|setup| setup.without("CHAOS_RATE_WEBHOOK")).await;
    let mailbox = scene.mailbox(ANA).await;
    let mail = mailbox.mail("eve@evil.example", "a stranger's");
    for n in 1..=60 {
        assert_eq!(scene.arrives(&mail).await.statuses(), [Some(200)], "mail {n}");
    }
    assert_eq!(scene.arrives(&mail).await.statuses(), [Some(429)]);
}
