//! What the agent is told of its replies: by frames, and when it asks.

use chaos_relay::domain::timestamp::Timestamp;
use serde_json::Value;

use crate::support::client::{Client, expect};
use crate::support::eventually;
use crate::support::relay::Replica;
use crate::support::secrets;
use crate::support::socket::Socket;

/// What `GET /replies` says of a reply.
pub async fn status(agent: &Client, replica: &Replica, response: &str) -> Value {
    expect(agent.get(replica, &format!("/replies/{response}")).await, 200).await
}

/// Waits until a reply has this status; gives what `GET /replies` says.
pub async fn becomes(agent: &Client, replica: &Replica, response: &str, wanted: &str) -> Value {
    eventually(&format!("the reply is {wanted}"), || async {
        Some(status(agent, replica, response).await).filter(|shown| shown["status"] == wanted)
    })
    .await
}

/// A socket that is sent nothing of what happened before.
pub async fn listen(agent: &Client, replica: &Replica) -> Socket {
    agent.open(replica, &format!("&since={}", Timestamp::now())).await
}

/// The next frame, which must be about this reply; gives its status, attempts and error.
pub async fn told(socket: &mut Socket, channel: &str, response: &str) -> (String, u64, Option<String>) {
    let frame = socket.expect("delivery").await;
    assert_eq!((&frame["channelId"], &frame["responseId"]), (&channel.into(), &response.into()), "{frame}");
    fate(&frame)
}

/// Status, attempts and error, as frames and `GET /replies` have them. No secret may be among them.
pub fn fate(shown: &Value) -> (String, u64, Option<String>) {
    assert_eq!(secrets::find_in(&shown.to_string()), None, "{shown}");
    let error = shown.get("error").map(|error| error.as_str().expect("an error is a text").to_owned());
    (shown["status"].as_str().unwrap().to_owned(), shown["attempts"].as_u64().unwrap(), error)
}
