//! E-mail: an address of the relay, the people who write to it, and the agent.

mod content;
mod deletion;
mod discretion;
mod fetching;
mod limits;
mod loops;
mod odd_mails;
mod registration;
mod repeats;
mod replies;
mod retries;
mod routing;
pub mod scene;
mod senders;
mod signatures;
mod verification;

use serde_json::json;

use crate::support::client::{Client, expect};
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::resend::Mail;
use scene::{ANA, Mailbox, press};

#[tokio::test(flavor = "multi_thread")]
async fn each_step_of_a_correspondence_may_happen_on_another_replica() {
    let platforms = Platforms::start().await;
    let [a, b, c, d] = platforms.on_redis().start_many().await;
    let client = Client::register_signed(&a).await;
    let body = json!({"userEmail": ANA, "channelName": "Support"});
    let mailbox = Mailbox::register(&platforms, &client, &a, &body).await;
    let confirmed = press(&b.url(), &mailbox.token, &mailbox.id).await;
    assert_eq!(confirmed.status, 200);

    let mut socket = client.open(&c, "").await;
    platforms.lead_to(&[&d]);
    let mail = Mail::new("Ana <ana@example.com>", &mailbox.address, "Opening hours", "Are you open on Sunday?");
    platforms.resend.receive(&mail, &platforms.mail_url(), &[&platforms.mail_secret]).await.accepted();
    let message = socket.message().await;
    assert_eq!(message["content"], "Subject: Opening hours\n\nAre you open on Sunday?");
    assert_eq!((&message["from"], &message["channelType"]), (&json!(ANA), &json!("email")));

    let reply =
        json!({"channelId": mailbox.id, "content": "No.", "replyTo": message["id"], "metadata": message["metadata"]});
    let ack = expect(client.post(&b, "/reply", &reply).await, 200).await;
    assert_eq!(ack["channel"], json!({"id": mailbox.id, "type": "email", "label": "Support"}));
    let sent = platforms.resend.wait_for_sent(2).await.pop().unwrap();
    assert_eq!((sent.to[0].as_str(), sent.subject.as_str()), (ANA, "Re: Opening hours"));
    assert_eq!((sent.text.as_deref(), sent.headers["In-Reply-To"].as_str()), (Some("No."), mail.message_id.as_str()));
    let frame = socket.expect("delivery").await;
    assert_eq!((&frame["status"], &frame["responseId"]), (&json!("delivered"), &ack["responseId"]));
    let status = expect(client.get(&a, &format!("/replies/{}", ack["responseId"].as_str().unwrap())).await, 200).await;
    assert_eq!((&status["status"], &status["attempts"]), (&json!("delivered"), &json!(1)));
}
