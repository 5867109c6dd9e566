//! What a message brings to its reader: checked the way it is stored and shown.

use chaos_relay::channels::Platforms;
use chaos_relay::channels::adapter::{Event, Inbound};
use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::conversation::{ConversationKey, Destination};
use chaos_relay::domain::ids::{ChannelId, UserId};
use chaos_relay::domain::message::{NewRecord, StoredRecord, members};
use chaos_relay::domain::text;
use chaos_relay::domain::timestamp::Timestamp;
use serde_json::{Map, Value};

use super::calls;

/// A message with this content and metadata can be stored and read back.
pub fn check_record(kind: ChannelKind, from: &str, content: &str, metadata: &Map<String, Value>) {
    let channel: ChannelId = "c".parse().expect("it has an id's form");
    let new = NewRecord::new(UserId::random(), &channel, from, content, members(metadata));
    let stored = StoredRecord::join(&new, kind, r#""channelDirection":"inbound""#);
    let record = StoredRecord::new(Timestamp::EPOCH, stored).expect("a new record has its four fragments");
    assert_eq!((record.id(), record.kind()), (Some(new.id), Some(kind)));
    let mut json = String::new();
    record.write_json(&mut json);
    // As a poll has it, which one message must not make unreadable.
    let page = format!(r#"{{"messages":[{json}]}}"#);
    let mut page: Value = serde_json::from_str(&page).expect("a page of messages is JSON that can be read");
    let message = &mut page["messages"][0];
    assert_eq!(message["content"], content);
    assert_eq!(message["from"], from);
    assert_eq!(message["channelId"], "c");
    let mut shown = message["metadata"].take();
    let shown = shown.as_object_mut().expect("metadata are an object");
    let direction = shown.shift_remove("channelDirection");
    if !metadata.contains_key("channelDirection") {
        assert_eq!(direction, Some("inbound".into()));
        assert_eq!(&*shown, metadata);
    }
}

/// What an event says is what the rest of the relay relies on, and an answer to it gets where it came from.
pub fn check_event(kind: ChannelKind, platforms: &Platforms, event: &Event) {
    match event {
        Event::Handshake(_) | Event::Answered(_) => {}
        Event::Ignored(why) => assert!(!why.is_empty()),
        Event::Said(inbound) => check_said(kind, platforms, inbound),
    }
}

/// See [`check_event`].
pub fn check_said(kind: ChannelKind, platforms: &Platforms, inbound: &Inbound) {
    assert!(inbound.sender.is_string() || inbound.sender.is_number());
    assert!(!inbound.repeat_key.is_empty());
    assert_eq!(ConversationKey::from_text(&inbound.conversation.to_text()).as_ref(), Some(&inbound.conversation));
    if let Some(call) = &inbound.acknowledge {
        calls::check_call(kind, call);
    }
    // As every event is stored.
    let cleaned = inbound.metadata.iter().map(|(name, value)| (name.clone(), text::sanitise_json(value.clone())));
    let metadata: Map<String, Value> = cleaned.collect();
    let from = text::single_line(&inbound.from);
    let content = text::truncate(text::sanitise(&inbound.content), text::MAX_CONTENT_BYTES).text;
    check_record(kind, from.trim(), &content, &metadata);
    // A client sends the whole metadata back with its reply.
    let chat = &inbound.conversation.chat;
    match platforms.destination(kind, &metadata).expect("an answer has somewhere to go") {
        // Only what Slack has signed can say that a channel with another's name is a direct message, and it does not.
        Destination::Exactly(_) if kind == ChannelKind::Slack && !inbound.is_group && !chat.starts_with('D') => {}
        Destination::Exactly(there) => assert_eq!(there, inbound.conversation),
        Destination::Chat(there) => assert_eq!(there, *chat),
    }
    calls::check_answer(kind, platforms, inbound, &content);
    let sender = platforms.sender(kind).expect("every platform can be sent to");
    if let Some(call) = sender.typing(calls::connection(kind), &calls::secrets(), &inbound.conversation) {
        calls::check_call(kind, &call);
    }
}
