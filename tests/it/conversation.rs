//! The main path, with every step on another replica.

use serde_json::json;

use crate::support::client::{Client, contents, expect};
use crate::support::relay::{Replica, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_may_touch_another_replica_at_each_step() {
    let [a, b, c] = Setup::on_redis().start_many().await;
    conversation(&a, &b, &c).await;
}

/// From registration to the last poll; the replicas may all be the same one.
pub async fn conversation(a: &Replica, b: &Replica, c: &Replica) {
    let client = Client::register_signed(a).await;
    let webhook = client.make_webhook(b, json!({"name": "door bell", "direction": "bidirectional"})).await;
    let mut socket = client.open(c, "").await;

    let id = webhook.deliver(a, "ding").await;
    let message = socket.message().await;
    assert_eq!(message["id"], json!(id));
    assert_eq!(message["userId"], json!(client.user_id));
    assert_eq!(message["content"], "ding");
    assert_eq!(message["metadata"]["channelDirection"], "bidirectional");
    assert_eq!(message["metadata"]["channelName"], "door bell");

    socket
        .send(&json!({"type": "reply", "channelId": webhook.id, "content": "coming", "replyTo": id,
                      "metadata": message["metadata"], "requestId": "r1"}))
        .await;
    let ack = socket.expect("reply_ack").await;
    assert_eq!(ack["requestId"], "r1");
    assert_eq!(ack["channel"], json!({"id": webhook.id, "type": "webhook", "label": "door bell"}));

    let responses = reqwest::get(format!("{}/responses/{}", b.url(), webhook.id)).await.unwrap();
    let responses = expect(responses, 200).await;
    let response = &responses["responses"][0];
    assert_eq!(response["id"], ack["responseId"]);
    assert_eq!(response["from"], "agent");
    assert_eq!(response["content"], "coming");
    assert_eq!(response["metadata"]["replyTo"], json!(id));

    let status = client.get(b, &format!("/replies/{}", ack["responseId"].as_str().unwrap())).await;
    assert_eq!(expect(status, 200).await["status"], "stored");

    assert_eq!(contents(&client.poll_all(b).await), ["ding"]);
}
