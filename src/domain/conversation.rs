//! Conversations: where on a platform a message came from, and where an answer to it goes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A chat with its thread or topic, within one channel. Replies to one conversation are delivered in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConversationKey {
    /// The chat, channel or address, as the platform names it.
    pub chat: String,
    /// The thread or topic within it.
    pub thread: Option<String>,
}

/// Separates the two in a stored key. Neither part can contain it: adapters drop controls.
const SEPARATOR: char = '\n';

impl ConversationKey {
    /// A conversation. Line breaks, which no platform's ids have, are dropped.
    pub fn new(chat: &str, thread: Option<&str>) -> Self {
        let clean = |text: &str| text.replace(SEPARATOR, "");
        Self { chat: clean(chat), thread: thread.map(clean).filter(|thread| !thread.is_empty()) }
    }

    /// The stored form.
    pub fn to_text(&self) -> String {
        format!("{}{SEPARATOR}{}", self.chat, self.thread.as_deref().unwrap_or_default())
    }

    /// Reads the stored form.
    pub fn from_text(text: &str) -> Option<Self> {
        let (chat, thread) = text.split_once(SEPARATOR)?;
        Some(Self::new(chat, Some(thread)))
    }
}

/// Where a reply shall go, as far as its metadata say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// This conversation and no other.
    Exactly(ConversationKey),
    /// This chat: itself if it is a conversation, else the thread in it that was heard of last.
    Chat(String),
}

/// One message's place in its conversation: what an answer to it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The conversation.
    pub conversation: ConversationKey,
    /// What the adapter needs to answer this very message. Secrets in it are sealed.
    pub details: Value,
    /// Whether the platform waits for an answer (a Discord command): the first reply completes it.
    pub is_question: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_as_it_was_stored() {
        for (chat, thread) in [("-100", None), ("C1", Some("1.2")), ("a b@c", None), ("", Some("x"))] {
            let key = ConversationKey::new(chat, thread);
            assert_eq!(ConversationKey::from_text(&key.to_text()), Some(key));
        }
        assert_eq!(ConversationKey::new("a\nb", Some("")), ConversationKey { chat: "ab".into(), thread: None });
    }
}
