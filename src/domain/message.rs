//! Messages and responses, and the form in which they are stored and pushed.
//!
//! A record is four fragments, joined by line breaks (which compact JSON never contains): the message's
//! own members, the channel's type, the channel's routing members, and the rest of the metadata.
//! The store puts the channel's two in between in the atomic step that accepts the message, so that the
//! settings are those of that moment; it never parses JSON, and neither does a reader. The timestamp
//! is not part of the record: it is the entry's id in the store.

use serde_json::{Map, Value};

use super::channel::ChannelKind;
use super::ids::{ChannelId, MessageId, UserId};
use super::text::write_json_string;
use super::timestamp::Timestamp;
use super::trace::TraceParent;

/// Separates the fragments of a record.
const SEPARATOR: char = '\n';

/// A message or response before it is stored: all but what the channel says of itself, and the timestamp.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// Id of the message or response.
    pub id: MessageId,
    /// JSON members from `id` to `content`.
    pub head: String,
    /// JSON members of the metadata, perhaps none.
    pub extra: String,
    /// The step of a trace that accepts it, if that is recorded; no part of what clients see.
    pub trace: Option<TraceParent>,
}

/// What the head of a record takes beside `from` and `content`, in bytes at most.
const HEAD_FRAME: usize = 256;

impl NewRecord {
    /// Makes the fragments. `extra` are the JSON members of the metadata that the channel does not say itself.
    pub fn new(user: UserId, channel: &ChannelId, from: &str, content: &str, extra: String) -> Self {
        let id = MessageId::random();
        // Room for some characters that are escaped, so that it seldom has to be found elsewhere.
        let size = HEAD_FRAME + from.len() + content.len() + content.len() / 4;
        let mut head = String::with_capacity(size);
        // Ids have no character that JSON escapes.
        head.push_str(r#""id":""#);
        id.push_to(&mut head);
        head.push_str(r#"","userId":""#);
        user.push_to(&mut head);
        for part in [r#"","channelId":""#, channel.as_str(), r#"","from":"#] {
            head.push_str(part);
        }
        let mut head = head.into_bytes();
        write_json_string(from, &mut head);
        head.extend_from_slice(br#","content":"#);
        write_json_string(content, &mut head);
        let head = String::from_utf8(head).expect("texts are UTF-8, and what escapes them is ASCII");
        Self { id, head, extra, trace: None }
    }
}

/// The members of a JSON object without its braces.
pub fn members(object: &Map<String, Value>) -> String {
    let mut json = serde_json::to_string(object).expect("strings and JSON values serialise");
    json.pop();
    json.remove(0);
    json
}

/// A message or response as the store gave it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// When it was accepted; its place in the order of its session (or of its channel's responses).
    pub at: Timestamp,
    /// The step of a trace that accepted it, where that was recorded and is known here.
    pub trace: Option<TraceParent>,
    record: String,
}

impl StoredRecord {
    /// Joins the fragments into the form that is stored.
    pub fn join(new: &NewRecord, kind: ChannelKind, channel_members: &str) -> String {
        [&new.head, kind.as_str(), channel_members, &new.extra].join("\n")
    }

    /// Takes a stored record; `None` when it does not have the four fragments.
    pub fn new(at: Timestamp, record: String) -> Option<Self> {
        (memchr::memchr_iter(b'\n', record.as_bytes()).count() == 3).then_some(Self { at, trace: None, record })
    }

    /// The same, accepted in this step of a trace.
    pub fn in_trace(self, trace: Option<TraceParent>) -> Self {
        Self { trace, ..self }
    }

    /// The id of the message or response; its head starts with it.
    pub fn id(&self) -> Option<MessageId> {
        let id = self.record.strip_prefix(r#""id":""#)?;
        id.get(..id.find('"')?)?.parse().ok()
    }

    /// The type of its channel.
    pub fn kind(&self) -> Option<ChannelKind> {
        ChannelKind::parse(self.record.split(SEPARATOR).nth(1)?)
    }

    /// Bytes that the record takes.
    pub fn size(&self) -> usize {
        self.record.len()
    }

    /// Appends the whole message as a JSON object.
    pub fn write_json(&self, out: &mut String) {
        let mut fragments = self.record.splitn(4, SEPARATOR);
        let mut next = || fragments.next().unwrap_or_default();
        let (head, kind, routing, extra) = (next(), next(), next(), next());
        out.reserve(self.record.len() + 100);
        out.push('{');
        out.push_str(head);
        out.push_str(r#","channelType":""#);
        out.push_str(kind);
        out.push_str(r#"","timestamp":""#);
        out.push_str(&self.at.to_string());
        out.push_str(r#"","metadata":{"#);
        out.push_str(routing);
        if !routing.is_empty() && !extra.is_empty() {
            out.push(',');
        }
        out.push_str(extra);
        out.push_str("}}");
    }
}

/// A stretch of stored records and where to read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In order, oldest first.
    pub records: Vec<StoredRecord>,
    /// The cursor for the next read: the last record's instant or, with no record, one that no later
    /// record can be at or before.
    pub cursor: Timestamp,
    /// Whether there are records after the last of these.
    pub more: bool,
}

impl Page {
    /// Appends the records as a JSON array.
    pub fn write_json(&self, out: &mut String) {
        out.push('[');
        for (n, record) in self.records.iter().enumerate() {
            if n > 0 {
                out.push(',');
            }
            record.write_json(out);
        }
        out.push(']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stored(routing: &str, metadata: Value) -> Value {
        let channel = "c".parse().unwrap();
        let user = UserId::random();
        let new = NewRecord::new(user, &channel, "we\\b\"hook", "a\n\"b\"", members(metadata.as_object().unwrap()));
        let record = StoredRecord::join(&new, ChannelKind::Webhook, routing);
        let stored = StoredRecord::new(Timestamp::from_millis(1), record).unwrap();
        assert_eq!(stored.id(), Some(new.id));
        assert_eq!(stored.kind(), Some(ChannelKind::Webhook));
        let mut json = String::new();
        stored.write_json(&mut json);
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&value["channelId"], &value["from"]), (&json!("c"), &json!("we\\b\"hook")));
        assert_eq!(value["id"], json!(new.id));
        assert_eq!(value["userId"], json!(user));
        value
    }

    #[test]
    fn a_record_reads_back_as_the_message_of_the_contract() {
        let message = stored(r#""channelDirection":"inbound""#, json!({"raw": {"k": "v\n"}}));
        assert_eq!(message["content"], "a\n\"b\"");
        assert_eq!(message["channelType"], "webhook");
        assert_eq!(message["timestamp"], "1970-01-01T00:00:00.001Z");
        assert_eq!(message["metadata"], json!({"channelDirection": "inbound", "raw": {"k": "v\n"}}));
        assert_eq!(stored(r#""a":1"#, json!({}))["metadata"], json!({"a": 1}));
        assert_eq!(stored("", json!({"b": 2}))["metadata"], json!({"b": 2}));
        assert_eq!(stored("", json!({}))["metadata"], json!({}));
    }

    #[test]
    fn a_damaged_record_is_noticed() {
        assert!(StoredRecord::new(Timestamp::EPOCH, "only one fragment".to_owned()).is_none());
    }
}
