//! A mailbox that is deleted: its address is nobody's, and nothing goes out for it any more.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::scene::{ANA, Mailbox, Scene, look, press};
use crate::support::client::expect;
use crate::support::platforms::Misbehaviour;

impl Scene {
    async fn delete(&self, mailbox: &Mailbox) {
        let path = format!("/channels/{}", mailbox.id);
        expect(self.client.send(&self.relay, Method::DELETE, &path, &json!({})).await, 200).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_to_a_deleted_mailbox_is_answered_well_and_not_looked_at() {
    let scene = Scene::set().await;
    let (mailbox, other) = (scene.mailbox(ANA).await, scene.mailbox(ANA).await);
    let mut delivery = scene.takes(&mailbox.mail(ANA, "before")).await;
    scene.delete(&mailbox).await;
    scene.takes(&mailbox.mail(ANA, "after")).await;
    scene.tell_again(&mut delivery).await;
    assert_eq!(delivery.statuses(), [Some(200), Some(200)]);
    assert_eq!(scene.fetches(), 1);
    let mut to_both = other.mail(ANA, "to both");
    to_both.received_for = Some(vec![mailbox.address.clone(), other.address.clone()]);
    scene.takes(&to_both).await;
    let held: Vec<_> = scene.messages().await.iter().map(|message| message["channelId"].clone()).collect();
    assert_eq!(held.last().unwrap(), &json!(other.id));
    assert_eq!(scene.texts().await.last().unwrap(), "to both");
    assert_eq!(held.iter().filter(|id| **id == json!(other.id)).count(), 1);

    let reply = json!({"channelId": mailbox.id, "content": "x", "metadata": {"senderAddress": ANA}});
    expect(scene.client.post(&scene.relay, "/reply", &reply).await, 404).await;
    let path = format!("/channels/{}", mailbox.id);
    expect(scene.client.send(&scene.relay, Method::DELETE, &path, &json!({})).await, 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_of_a_deleted_mailbox_is_not_valid() {
    let scene = Scene::set().await;
    let mailbox = scene.unverified(ANA).await;
    assert_eq!(look(&mailbox.link).await.status, 200);
    scene.delete(&mailbox).await;
    assert_eq!(look(&mailbox.link).await.status, 400);
    assert_eq!(press(&scene.relay.url(), &mailbox.token, &mailbox.id).await.status, 400);
    assert!(scene.channels().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_wait_are_dropped_with_their_mailbox() {
    let scene = Scene::set().await;
    let (mailbox, other) = (scene.mailbox(ANA).await, scene.mailbox(ANA).await);
    let message = scene.hears(&mailbox.mail(ANA, "hello")).await;
    let remaining = scene.hears(&other.mail(ANA, "hello")).await;
    let too_many = |seconds| Misbehaviour::TooManyRequests { retry_after: Duration::from_secs(seconds) };
    scene.platforms.resend.misbehave_on("sendEmail", too_many(2));
    let waiting = scene.answer(&message, "too late").await;
    scene.becomes(&waiting, "retrying").await;
    scene.delete(&mailbox).await;
    // Refused once and tried again later than the one that was dropped would have been.
    scene.platforms.resend.misbehave_on("sendEmail", too_many(3));
    let after = scene.answer(&remaining, "goes on").await;
    scene.becomes(&after, "delivered").await;
    let calls = scene.platforms.resend.calls_of("sendEmail");
    assert_eq!(calls.iter().filter(|call| call.body["text"] == "too late").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_registers_again_has_another_address() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    scene.takes(&mailbox.mail(ANA, "before")).await;
    scene.delete(&mailbox).await;
    let again = scene.mailbox(ANA).await;
    assert_ne!(again.address, mailbox.address, "who knows the old address reaches nobody");
    scene.takes(&mailbox.mail(ANA, "to the old")).await;
    scene.takes(&again.mail(ANA, "to the new")).await;
    assert_eq!(scene.texts().await.last().unwrap(), "to the new");
    assert!(!scene.texts().await.contains(&"to the old".to_owned()));
}
