//! Sending replies as a bot.

use serde_json::{Map, Value, json};

use super::Telegram;
use super::answer::{self, Failure, Told};
use super::part::{self, Part};
use crate::channels::adapter::{Outgoing, Progress, SendAdapter, Verdict};
use crate::channels::api::{ApiAnswer, ApiCall, Method};
use crate::domain::connection::{Connection, ConnectionSecrets};
use crate::domain::conversation::{ConversationKey, Destination};

/// Words by which Telegram finds fault with markup. Its parser says `can't parse entities`; the rest are what
/// entities and a rendered text without visible characters are refused with.
const MARKUP_WORDS: [&str; 6] =
    ["entities", "entity", "unsupported start tag", "parse_mode", "text is empty", "must be non-empty"];

/// What Telegram calls a path that is none: the token in it has not a token's form.
const NOT_FOUND: &str = "not found";

impl SendAdapter for Telegram {
    fn destination(&self, metadata: &Map<String, Value>) -> Option<Destination> {
        let id = |name: &str| metadata.get(name).and_then(id_text);
        let chat = id("chatId")?;
        let thread = id("threadId");
        // A whole message's metadata would name the thread if there was one.
        let is_message = ["messageId", "updateId"].into_iter().any(|name| id(name).is_some());
        if thread.is_some() || is_message {
            return Some(Destination::Exactly(ConversationKey::new(&chat, thread.as_deref())));
        }
        Some(Destination::Chat(chat))
    }

    fn next_call(&self, outgoing: &Outgoing<'_>, progress: &Progress) -> Option<ApiCall> {
        let part = self.part(outgoing.content, progress.parts)?;
        let chat = progress.moved_to.as_deref().unwrap_or(&outgoing.conversation.chat);
        let mut body = addressed(chat, outgoing.conversation.thread.as_deref());
        body["link_preview_options"] = json!({"is_disabled": true});
        match part.html.filter(|_| !progress.plain) {
            Some(html) => {
                body["text"] = html.into();
                body["parse_mode"] = "HTML".into();
            }
            None => body["text"] = part.source.into(),
        }
        if let Some(message) = quoted(outgoing, progress) {
            body["reply_parameters"] = json!({"message_id": message, "allow_sending_without_reply": true});
        }
        let token = outgoing.secrets.map(|secrets| &secrets.token);
        Some(self.call(Method::Post, "sendMessage", token).json(&body))
    }

    fn interpret(&self, outgoing: &Outgoing<'_>, progress: &mut Progress, answer: &ApiAnswer) -> Verdict {
        let told = match answer::read(answer, outgoing.now) {
            Ok(_) => {
                progress.parts = progress.parts.saturating_add(1);
                progress.plain = false;
                return Verdict::Arrived { pause: None };
            }
            Err(Failure::Unreadable { reason, retry_after }) => {
                return Verdict::Later { after: retry_after, reason, whole_bot: false };
            }
            Err(Failure::Told(told)) => told,
        };
        match told.code {
            400 if self.reform(outgoing, progress, &told) => Verdict::Reformed,
            401 => Verdict::Revoked { reason: told.reason },
            404 if told.reason.eq_ignore_ascii_case(NOT_FOUND) => Verdict::Revoked { reason: told.reason },
            409 | 429 | 500.. => Verdict::Later { after: told.retry_after, reason: told.reason, whole_bot: false },
            _ => Verdict::Refused { reason: told.reason },
        }
    }

    /// Shown for 5 seconds at most. Source: core.telegram.org/bots/api#sendchataction.
    fn typing(&self, _: &Connection, secrets: &ConnectionSecrets, conversation: &ConversationKey) -> Option<ApiCall> {
        let mut body = addressed(&conversation.chat, conversation.thread.as_deref());
        body["action"] = "typing".into();
        Some(self.call(Method::Post, "sendChatAction", Some(&secrets.token)).json(&body))
    }
}

impl Telegram {
    /// Part `number` of `content`, counted from 0; `None` behind the last one.
    fn part(&self, content: &str, number: u32) -> Option<Part> {
        self.parts.of(content, part::parts).get(usize::try_from(number).ok()?).cloned()
    }

    /// Notes in `progress` the form in which the part that Telegram refused may still arrive; `false` if there is
    /// none. Each form is tried once, so that this comes to an end whatever Telegram answers.
    fn reform(&self, outgoing: &Outgoing<'_>, progress: &mut Progress, told: &Told) -> bool {
        if let Some(id) = told.migrated_to {
            let id = id.to_string();
            // A group moves once in its life, when it becomes a supergroup.
            let is_new = progress.moved_to.is_none() && id != outgoing.conversation.chat;
            if is_new {
                progress.moved_to = Some(id);
            }
            return is_new;
        }
        let lacks_quoted = told.mentions(&["replied", "reply message"]) && told.mentions(&["not found"]);
        if lacks_quoted && quoted(outgoing, progress).is_some() {
            progress.by_message = true;
            return true;
        }
        let has_markup = || self.part(outgoing.content, progress.parts).is_some_and(|part| part.html.is_some());
        if !progress.plain && told.mentions(&MARKUP_WORDS) && has_markup() {
            progress.plain = true;
            return true;
        }
        false
    }
}

/// The members of a call that say where something goes.
fn addressed(chat: &str, thread: Option<&str>) -> Value {
    let mut body = json!({"chat_id": json_id(chat)});
    if let Some(thread) = thread {
        body["message_thread_id"] = json_id(thread);
    }
    body
}

/// The message that the part at hand quotes: the first part does, if the client named the message and it is
/// where the part goes.
fn quoted(outgoing: &Outgoing<'_>, progress: &Progress) -> Option<i64> {
    let quotes = outgoing.is_reply_to && progress.parts == 0 && progress.moved_to.is_none() && !progress.by_message;
    outgoing.details["messageId"].as_i64().filter(|_| quotes)
}

/// An id of a client's metadata as text. What is neither a number nor text still names something, which then
/// nobody has: better that the reply is refused than that it goes elsewhere.
fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        other => Some(other.to_string()),
    }
}

/// An id as Telegram takes it: a number, or the `@name` of a public chat.
fn json_id(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(id) if id.to_string() == text => id.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests;
