//! Telegram: a bot, its people and the agent.

mod embedded;
mod groups;
mod registration;
mod repeats;
mod replies;
pub mod scene;
mod taking_over;
mod unwanted;
mod updates;

use serde_json::json;

use crate::support::client::{Client, expect};
use crate::support::platforms::deployment::{Platforms, register_bot};

#[tokio::test(flavor = "multi_thread")]
async fn each_step_of_a_conversation_may_happen_on_another_replica() {
    let platforms = Platforms::start().await;
    let [a, b, c, d] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&b]);
    let bot = platforms.telegram.bot("helper_bot");
    let ana = platforms.telegram.person(500_001, "Ana");
    let client = Client::register_signed(&a).await;
    let channel = register_bot(&client, &a, "telegram", &bot.token).await;
    assert_eq!(channel.answer["botUsername"], "helper_bot");
    assert_eq!(channel.answer["pairingLink"], format!("https://t.me/helper_bot?start={}", channel.code));

    bot.hears(&ana, &format!("/start {}", channel.code)).await;
    let confirmed = platforms.telegram.wait_for_sent(1).await;
    assert!(confirmed[0].text.contains("paired"), "{confirmed:?}");

    let mut socket = client.open(&c, "").await;
    let update = bot.hears(&ana, "Is anybody there?").await.event;
    let message = socket.message().await;
    assert_eq!(message["content"], "Is anybody there?");
    assert_eq!(message["from"], "ana");
    assert_eq!(message["channelType"], "telegram");
    assert_eq!(message["metadata"]["chatId"], 500_001);
    assert_eq!(message["metadata"]["messageId"], update["message"]["message_id"]);

    let reply = json!({"channelId": channel.id, "content": "**Yes.**", "replyTo": message["id"], "metadata": message["metadata"]});
    let ack = expect(client.post(&d, "/reply", &reply).await, 200).await;
    let sent = platforms.telegram.wait_for_sent(2).await.pop().unwrap();
    assert_eq!((sent.chat, sent.text.as_str()), (500_001, "Yes."));
    assert_eq!(json!(sent.reply_to), update["message"]["message_id"]);
    assert_eq!(sent.entities[0]["type"], "bold");
    let frame = socket.expect("delivery").await;
    assert_eq!(frame["status"], "delivered");
    assert_eq!(frame["responseId"], ack["responseId"]);
}
