//! Replies of an agent, as clients send them.

use serde_json::{Map, Value, json};

use super::channel::MAX_METADATA_BYTES;
use super::fields::{Fields, InvalidField};
use super::ids::{ChannelId, MessageId};
use super::text;

/// Longest reply that is accepted, in bytes of UTF-8; what goes beyond the content limit is then cut.
const MAX_REPLY_BYTES: usize = 128 * 1024;
/// Longest `replyTo`, in characters: a message id with room to spare.
const MAX_REPLY_TO_CHARS: usize = 200;

/// A reply that may be stored.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The channel as the client named it; it need not exist.
    pub channel: String,
    /// The type of channel the client believes it is.
    pub channel_type: Option<String>,
    /// Cleaned and cut.
    pub content: String,
    /// `replyTo` and what is kept of the client's metadata.
    pub metadata: Map<String, Value>,
}

/// Why a reply was refused. The text is safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReply {
    /// A member is missing or not what it should be.
    #[error(transparent)]
    Field(#[from] InvalidField),
    /// The content is beyond what is accepted at all.
    #[error("content must be at most {MAX_REPLY_BYTES} bytes of UTF-8")]
    TooLarge,
}

impl Reply {
    /// Reads a reply from a request's body or a frame.
    pub fn from_json(body: &Map<String, Value>) -> Result<Self, InvalidReply> {
        let fields = Fields::of(body);
        let named = |field| match fields.text(field) {
            Ok(Some(text)) if !text.is_empty() => Ok(text),
            _ => Err(InvalidField::new(field, "a string that is not empty")),
        };
        let channel = named("channelId")?.to_owned();
        let raw = named("content")?;
        if raw.len() > MAX_REPLY_BYTES {
            return Err(InvalidReply::TooLarge);
        }
        let reply_to = fields.text("replyTo")?;
        if reply_to.is_some_and(|id| id.chars().count() > MAX_REPLY_TO_CHARS) {
            return Err(InvalidField::new("replyTo", "at most 200 characters").into());
        }
        let channel_type = fields.text("channelType")?.map(str::to_owned);
        let client_metadata = fields.object("metadata")?;
        let clean = text::sanitise(raw);
        if clean.trim().is_empty() {
            return Err(InvalidField::new("content", "more than markup and invisible characters").into());
        }
        let cut = text::truncate(clean, text::MAX_CONTENT_BYTES);
        let mut metadata = Map::new();
        if let Some(reply_to) = reply_to {
            metadata.insert("replyTo".to_owned(), text::single_line(reply_to).into());
        }
        if let Some(original) = cut.original_bytes {
            metadata.insert("truncated".to_owned(), true.into());
            metadata.insert("originalContentBytes".to_owned(), original.into());
        }
        if let Some(client) = client_metadata {
            keep_what_fits(client, &mut metadata);
        }
        Ok(Self { channel, channel_type, content: cut.text, metadata })
    }
}

/// The frame that tells a session's sockets how far a reply is: `retrying`, `delivered` or `failed`.
pub fn delivery_frame(
    response: &MessageId,
    channel: &ChannelId,
    status: &str,
    attempts: u32,
    error: Option<&str>,
) -> String {
    let mut frame = json!({
        "type": "delivery",
        "responseId": response,
        "channelId": channel,
        "status": status,
        "attempts": attempts,
    });
    if let Some(error) = error {
        frame["error"] = error.into();
    }
    frame.to_string()
}

/// Members that the relay itself puts into the metadata of messages. A client sends them back with its
/// reply; some are its owner's business (the prompt) and none is the reader's of the response.
const RELAY_MEMBERS: [&str; 6] = [
    "channelDirection",
    "channelName",
    "channelPrompt",
    "channelAgentId",
    "channelRunInBackground",
    "channelNotifyOnComplete",
];

/// Copies the client's members in their order as long as they fit and readers can be expected to go as deep, and says so
/// when some did not.
fn keep_what_fits(client: &Map<String, Value>, metadata: &mut Map<String, Value>) {
    let mut size = "{}".len();
    let mut omitted = false;
    for (name, value) in client {
        if RELAY_MEMBERS.contains(&name.as_str()) || metadata.contains_key(name) {
            continue;
        }
        let member = Value::from(name.as_str()).to_string().len() + ":,".len() + value.to_string().len();
        if size + member > MAX_METADATA_BYTES || text::is_nested_deeper(value, text::MAX_NESTING) {
            omitted = true;
            continue;
        }
        size += member;
        metadata.insert(name.clone(), value.clone());
    }
    if omitted {
        metadata.insert("metadataOmitted".to_owned(), true.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: Value) -> Result<Reply, InvalidReply> {
        Reply::from_json(body.as_object().unwrap())
    }

    fn refused_field(body: Value) -> &'static str {
        match read(body).unwrap_err() {
            InvalidReply::Field(refusal) => refusal.field,
            InvalidReply::TooLarge => "too large",
        }
    }

    #[test]
    fn what_a_reply_needs_is_asked_for_by_name() {
        assert_eq!(refused_field(json!({"content": "x"})), "channelId");
        assert_eq!(refused_field(json!({"channelId": "", "content": "x"})), "channelId");
        assert_eq!(refused_field(json!({"channelId": "c"})), "content");
        assert_eq!(refused_field(json!({"channelId": "c", "content": ""})), "content");
        assert_eq!(refused_field(json!({"channelId": "c", "content": 5})), "content");
        assert_eq!(refused_field(json!({"channelId": "c", "content": "<b></b>"})), "content");
        assert_eq!(refused_field(json!({"channelId": "c", "content": "x", "metadata": 1})), "metadata");
        assert_eq!(refused_field(json!({"channelId": "c", "content": "x", "replyTo": "x".repeat(201)})), "replyTo");
    }

    #[test]
    fn a_long_reply_is_cut_and_a_longer_one_refused() {
        let reply = read(json!({"channelId": "c", "content": "x".repeat(128 * 1024)})).unwrap();
        assert!(reply.content.len() <= 64 * 1024);
        assert_eq!(reply.metadata["originalContentBytes"], 128 * 1024);
        assert_eq!(refused_field(json!({"channelId": "c", "content": "x".repeat(128 * 1024 + 1)})), "too large");
    }

    #[test]
    fn the_whole_metadata_of_a_message_may_come_back() {
        let reply = read(json!({"channelId": "c", "content": "x", "replyTo": "m", "metadata":
            {"channelPrompt": "secret", "deep": serde_json::from_str::<Value>(&format!("{}{}", "[".repeat(49), "]".repeat(49))).unwrap(), "replyTo": "other", "raw": "x".repeat(5000), "chatId": 7}}))
        .unwrap();
        assert_eq!(Value::Object(reply.metadata), json!({"replyTo": "m", "chatId": 7, "metadataOmitted": true}));
    }
}
