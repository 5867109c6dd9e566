//! A message or a reply with what became of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::format::{Badge, Instant, Tone, bytes, number, platform};
use super::text::{Body, line, snippet, visible};
use crate::domain::channel::ChannelKind;
use crate::store::operator::{Direction, HistoryEntry, ReplyState};

/// Characters of a `from` that are shown.
const FROM_CHARS: usize = 80;

/// What the pages read of a message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    channel_type: String,
    channel_id: String,
    from: String,
    content: String,
    #[serde(default)]
    metadata: Map<String, Value>,
}

fn read(entry: &HistoryEntry) -> Option<Message> {
    let mut json = String::new();
    entry.record.write_json(&mut json);
    serde_json::from_str(&json).ok()
}

/// A platform as people call it; what is none is shown as it is.
fn channel_type(word: &str) -> String {
    ChannelKind::parse(word).map_or_else(|| line(word), |kind| platform(kind).to_owned())
}

/// How far a reply is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct DeliveryView {
    state: Badge,
    /// Tries so far, if there were any.
    attempts: Option<String>,
    error: Option<String>,
    next_try: Option<Instant>,
    accepted: Option<Instant>,
    /// Whether there is something to send.
    can_send: bool,
    has_content: bool,
}

impl From<&ReplyState> for DeliveryView {
    fn from(reply: &ReplyState) -> Self {
        let tone = match reply.status.as_str() {
            "delivered" => Tone::Good,
            "failed" => Tone::Bad,
            "pending" | "retrying" => Tone::Wait,
            _ => Tone::Plain,
        };
        let tries = u64::from(reply.attempts);
        let attempts = if tries == 1 { "1 try".to_owned() } else { format!("{} tries", number(tries)) };
        Self {
            state: Badge::new(tone, line(&reply.status)),
            attempts: (tries > 0).then_some(attempts),
            error: reply.error.as_deref().map(line).filter(|error| !error.is_empty()),
            next_try: reply.next_try.map(Instant::from),
            accepted: reply.accepted.map(Instant::from),
            can_send: matches!(tone, Tone::Wait | Tone::Bad) && reply.has_content,
            has_content: reply.has_content,
        }
    }
}

/// A message or a reply in the history of its session.
#[derive(Debug, Serialize)]
pub(super) struct EntryView {
    /// Unlike that of any other entry of its session.
    key: String,
    /// Its id, if it has one.
    id: Option<String>,
    is_reply: bool,
    at: Instant,
    platform: String,
    channel: String,
    /// The name that the channel has, if it is still there and has one.
    channel_name: Option<String>,
    from: String,
    /// What it says; `None` if the record cannot be read.
    body: Option<Body>,
    /// Pretty JSON.
    metadata: Option<String>,
    size: String,
    delivery: Option<DeliveryView>,
}

impl EntryView {
    /// Of a history whose channels have these names.
    pub(super) fn new<'a>(
        entry: &HistoryEntry,
        reply: Option<&ReplyState>,
        name_of: impl Fn(&str) -> Option<&'a str>,
    ) -> Self {
        let id = entry.record.id().map(|id| id.to_string());
        let message = read(entry);
        let key = id.clone().unwrap_or_else(|| format!("{}-{}", entry.direction.as_str(), entry.record.at.millis()));
        let metadata = message.as_ref().map(|message| &message.metadata).filter(|metadata| !metadata.is_empty());
        let metadata = metadata.and_then(|metadata| serde_json::to_string_pretty(metadata).ok());
        Self {
            key,
            id,
            is_reply: entry.direction == Direction::Out,
            at: entry.record.at.into(),
            platform: message.as_ref().map(|message| channel_type(&message.channel_type)).unwrap_or_default(),
            channel: message.as_ref().map(|message| line(&message.channel_id)).unwrap_or_default(),
            channel_name: message.as_ref().and_then(|message| name_of(&message.channel_id)).map(line),
            from: message.as_ref().map(|message| snippet(&message.from, FROM_CHARS)).unwrap_or_default(),
            body: message.as_ref().map(|message| Body::new(&message.content)),
            metadata: metadata.map(|metadata| visible(&metadata)),
            size: bytes(entry.record.size() as u64),
            delivery: reply.map(DeliveryView::from),
        }
    }
}

/// A message or a reply in one line.
#[derive(Debug, Serialize)]
pub(super) struct LineView {
    is_reply: bool,
    at: Instant,
    platform: String,
    from: String,
    snippet: String,
    is_readable: bool,
}

impl LineView {
    /// Shows at most `limit` characters of what it says.
    pub(super) fn new(entry: &HistoryEntry, limit: usize) -> Self {
        let message = read(entry);
        Self {
            is_reply: entry.direction == Direction::Out,
            at: entry.record.at.into(),
            platform: message.as_ref().map(|message| channel_type(&message.channel_type)).unwrap_or_default(),
            from: message.as_ref().map(|message| snippet(&message.from, FROM_CHARS)).unwrap_or_default(),
            is_readable: message.is_some(),
            snippet: message.map(|message| snippet(&message.content, limit)).unwrap_or_default(),
        }
    }
}
