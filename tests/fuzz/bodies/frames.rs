//! Frames of a client, one after the other, with a byte of 0 between them; and replies, which they carry.

use std::borrow::Cow;

use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::reply::Reply;
use chaos_relay::domain::text;
use chaos_relay::ws::protocol::{self, ClientFrame};
use serde_json::{Map, Value, json};

/// Longest `requestId` of the contract, in bytes of JSON.
const MAX_REQUEST_ID: usize = 202;
/// Most metadata of a client that is kept, in bytes of JSON, and the relay's own members beside them: a `replyTo` of
/// 200 characters and what tells of a cut.
const MAX_METADATA: usize = 4096 + 1500;

pub fn check(input: &[u8]) {
    for frame in input.split(|byte| *byte == 0) {
        // What is no text never gets here.
        let Ok(text) = std::str::from_utf8(frame) else { continue };
        match protocol::read(text) {
            Ok(ClientFrame::Ping) => assert_eq!(read_type(text), "ping"),
            Ok(ClientFrame::Reply { body, request_id }) => {
                assert_eq!(read_type(text), "reply");
                assert!(request_id.as_ref().is_none_or(|id| id.to_string().len() <= MAX_REQUEST_ID && !id.is_null()));
                let answer = protocol::error("code", "sentence", request_id.clone());
                let answer: Value = serde_json::from_str(&answer).expect("a frame is JSON");
                assert_eq!(answer.get("requestId"), request_id.as_ref());
                assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!("code")));
                check_reply(&body);
            }
            Err(mistake) => {
                assert!(["invalid_json", "unknown_type", "invalid_field"].contains(&mistake.code()));
                assert!(!mistake.to_string().is_empty());
            }
        }
    }
}

fn read_type(frame: &str) -> String {
    let frame: Value = serde_json::from_str(frame).expect("a frame that is taken is JSON");
    frame["type"].as_str().expect("it has a type").to_owned()
}

fn check_reply(body: &Map<String, Value>) {
    let Ok(reply) = Reply::from_json(body) else { return };
    assert!(!reply.channel.is_empty() && !reply.content.trim().is_empty());
    assert!(reply.content.len() <= text::MAX_CONTENT_BYTES);
    assert!(matches!(text::strip_hidden(&reply.content), Cow::Borrowed(_)));
    let size = serde_json::to_string(&reply.metadata).expect("metadata are JSON").len();
    assert!(size <= MAX_METADATA, "{size} bytes of metadata");
    assert_eq!(reply.metadata.contains_key("truncated"), reply.content.len() < content_length(body));
    assert!(!reply.metadata.contains_key("channelPrompt"), "its owner's business");
    super::messages::check_record(ChannelKind::Webhook, "agent", &reply.content, &reply.metadata);
}

/// Bytes of the content after cleaning.
fn content_length(body: &Map<String, Value>) -> usize {
    text::sanitise(body["content"].as_str().expect("a reply has content")).len()
}
