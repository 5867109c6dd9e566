//! People and what they do: updates as Telegram would write them, without their number.

use serde_json::{Value, json};

use super::Telegram;
use crate::support::platforms::{fresh_number, unix_seconds};

/// Somebody with an account.
#[derive(Clone)]
pub struct Person {
    pub(super) telegram: Telegram,
    pub id: i64,
    pub name: String,
}

/// A chat, or a topic of one.
#[derive(Clone)]
pub struct Chat {
    pub(super) telegram: Telegram,
    pub id: i64,
    pub thread: Option<i64>,
}

impl Chat {
    /// A new topic, which makes a supergroup a forum.
    pub fn topic(&self) -> Self {
        let mut state = self.telegram.state();
        let chat = state.chats.get_mut(&self.id).unwrap();
        let id = chat.add_message(None);
        chat.topics.insert(id);
        Self { thread: Some(id), ..self.clone() }
    }

    /// Deletes the topic that this is.
    pub fn delete_topic(&self) {
        let topic = self.thread.expect("it is a topic");
        self.telegram.state().chats.get_mut(&self.id).unwrap().topics.remove(&topic);
    }

    /// The last message of a group that became a supergroup with another id.
    pub fn moves(&self, by: &Person, to: i64) -> Value {
        let mut message = self.message(by.user());
        message["migrate_to_chat_id"] = to.into();
        json!({"message": message})
    }

    /// A message by somebody, which the chat has from now on.
    fn message(&self, from: Value) -> Value {
        let mut state = self.telegram.state();
        let chat = state.chats.get_mut(&self.id).unwrap();
        let message_id = chat.add_message(self.thread);
        let mut message = json!({
            "message_id": message_id, "date": unix_seconds(), "from": from, "chat": chat.show(self.id),
        });
        if let Some(thread) = self.thread {
            message["message_thread_id"] = thread.into();
            message["is_topic_message"] = true.into();
        }
        message
    }
}

impl Person {
    /// The private chat of this person with whichever bot.
    pub fn chat(&self) -> Chat {
        Chat { telegram: self.telegram.clone(), id: self.id, thread: None }
    }

    /// How a message shows its author.
    pub fn user(&self) -> Value {
        let username = self.name.to_lowercase();
        json!({"id": self.id, "is_bot": false, "first_name": self.name, "username": username, "language_code": "en"})
    }

    /// Writes a text. A command at its beginning is marked as one.
    pub fn says(&self, chat: &Chat, text: &str) -> Value {
        let mut message = chat.message(self.user());
        message["text"] = text.into();
        if text.starts_with('/') {
            let length = text.split_whitespace().next().map_or(0, |command| command.encode_utf16().count());
            message["entities"] = json!([{"type": "bot_command", "offset": 0, "length": length}]);
        }
        json!({"message": message})
    }

    /// Answers a message, given as it was delivered or sent.
    pub fn replies(&self, chat: &Chat, to: &Value, text: &str) -> Value {
        let mut update = self.says(chat, text);
        update["message"]["reply_to_message"] = to.clone();
        update
    }

    /// Sends a photo, perhaps with a caption.
    pub fn sends_photo(&self, chat: &Chat, caption: Option<&str>) -> Value {
        let mut message = chat.message(self.user());
        message["photo"] = json!([
            {"file_id": "AgAC_s", "file_unique_id": "AQ_s", "width": 90, "height": 60, "file_size": 1200},
            {"file_id": "AgAC_x", "file_unique_id": "AQ_x", "width": 1280, "height": 853, "file_size": 180_000},
        ]);
        if let Some(caption) = caption {
            message["caption"] = caption.into();
            message["caption_entities"] = json!([]);
        }
        json!({"message": message})
    }

    /// Changes a message that this person wrote: the update that it came with, and the new text.
    pub fn edits(&self, update: &Value, text: &str) -> Value {
        let mut message = update["message"].clone();
        assert_eq!(message["from"]["id"], self.id, "people edit their own messages");
        message["edit_date"] = unix_seconds().into();
        message["text"] = text.into();
        json!({"edited_message": message})
    }

    /// Presses a button under a message of the bot.
    pub fn presses(&self, chat: &Chat, message_id: i64, data: &str) -> Value {
        assert!((1..=64).contains(&data.len()), "a button carries 1 to 64 bytes");
        let state = chat.telegram.state();
        let message = json!({
            "message_id": message_id, "date": unix_seconds(), "chat": state.chats[&chat.id].show(chat.id),
            "text": "Choose",
        });
        let id = format!("4382bfdwdsb{}", fresh_number());
        json!({"callback_query": {
            "id": id, "chat_instance": "-3216", "data": data, "from": self.user(), "message": message,
        }})
    }
}
