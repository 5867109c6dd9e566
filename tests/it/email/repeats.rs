//! The provider tells of a mail until it is taken: whatever it repeats is stored once.

use futures_util::future::join_all;
use serde_json::json;

use super::scene::{ANA, Mailbox, Scene, notice, press};
use crate::support::client::Client;
use crate::support::platforms::deployment::Platforms;
use crate::support::relay::data_dir;

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_told_of_again_is_stored_once() {
    let scene = Scene::set().await;
    let (one, two) = (scene.mailbox(ANA).await, scene.mailbox(ANA).await);
    let mut mail = one.mail(ANA, "hello");
    mail.received_for = Some(vec![one.address.clone(), two.address.clone()]);
    let mut delivery = scene.takes(&mail).await;
    for _ in 0..3 {
        scene.tell_again(&mut delivery).await;
    }
    // A second endpoint of the same account has ids of its own for the same mail.
    scene.tell(delivery.event["data"].clone()).await.accepted();
    assert_eq!(delivery.statuses(), [Some(200); 4]);
    assert!(delivery.attempts.iter().all(|attempt| attempt.json()["ok"] == true));
    let mut holders: Vec<_> = scene.messages().await.iter().map(|message| message["channelId"].clone()).collect();
    holders.sort_by_key(|id| *id == json!(two.id));
    assert_eq!(holders, [json!(one.id), json!(two.id)]);
    // The same words in another mail are another message.
    scene.takes(&mail).await;
    assert_eq!(scene.messages().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_two_replicas_are_told_of_at_once_is_stored_once() {
    let platforms = Platforms::start().await;
    let [a, b] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a, &b]);
    let client = Client::register(&a).await;
    let mailbox = Mailbox::register(&platforms, &client, &a, &json!({"userEmail": ANA})).await;
    assert_eq!(press(&b.url(), &mailbox.token, &mailbox.id).await.status, 200);
    for round in 1..=3 {
        let mail = mailbox.mail(ANA, &format!("round {round}"));
        let data = notice(&platforms.resend.store(&mail), &mail);
        let urls: Vec<_> = [&a, &b].iter().map(|relay| format!("{}/email/inbound", relay.url())).collect();
        let secrets = [platforms.mail_secret.as_str()];
        let tell = |n: usize| platforms.resend.event("email.received", data.clone(), &urls[n % 2], &secrets);
        for delivery in join_all((0..10).map(tell)).await {
            assert_eq!(delivery.statuses(), [Some(200)]);
        }
        assert_eq!(client.poll_all(&b).await.len(), round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_embedded_store_a_repeat_is_known_after_a_restart() {
    let dir = data_dir();
    let platforms = Platforms::start().await;
    let setup = platforms.embedded(dir.path());
    let mut scene = Scene::on(platforms, &setup).await;
    let mailbox = scene.mailbox(ANA).await;
    let mut delivery = scene.takes(&mailbox.mail(ANA, "hello")).await;
    scene.relay.kill();
    scene.relay = setup.start().await;
    scene.platforms.lead_to(&[&scene.relay]);
    scene.tell_again(&mut delivery).await;
    scene.takes(&mailbox.mail(ANA, "again")).await;
    assert_eq!(delivery.statuses(), [Some(200); 2]);
    assert_eq!(scene.texts().await, ["hello", "again"]);
    let sent = scene.answered(&scene.messages().await[0], "Hello Ana.").await;
    assert_eq!(sent.to, [ANA]);
}
