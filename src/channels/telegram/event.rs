//! Reading a bot's updates.

use serde_json::{Value, json};

use super::Telegram;
use super::content::{self, Content};
use crate::channels::adapter::{Event, EventAdapter, Inbound, RawEvent, Spoken};
use crate::channels::api::{ApiCall, Method};
use crate::domain::connection::{Connection, ConnectionSecrets, TelegramBot};
use crate::domain::conversation::ConversationKey;
use crate::domain::event_signature::{SignatureError, verify_shared_secret};
use crate::domain::pairing;
use crate::domain::text;
use crate::domain::timestamp::Timestamp;

/// Header with the secret that was given to Telegram with the webhook.
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";

/// Longest `from`, in characters. Telegram's own names are shorter.
const MAX_NAME_CHARS: usize = 200;

/// Type of a chat that nobody else can read.
const PRIVATE: &str = "private";

const UNREADABLE: &str = "not an update that can be read";
const OTHER_KIND: &str = "a kind of update that the relay does not take";
const NO_PERSON: &str = "no person sent it";
const BOT: &str = "a bot sent it";
const FOR_A_CHAT: &str = "sent in the name of a channel or group";
const NOTHING_SAID: &str = "a service message, or content of an unknown kind";
const NO_DATA: &str = "a button without data";

impl EventAdapter for Telegram {
    fn verify(
        &self,
        _: &Connection,
        secrets: &ConnectionSecrets,
        event: &RawEvent<'_>,
        _: Timestamp,
    ) -> Result<(), SignatureError> {
        let shown = [(event.header)(SECRET_HEADER), event.secret];
        let mut refusal = SignatureError::Missing;
        for shown in shown.into_iter().flatten() {
            match verify_shared_secret(&secrets.events, shown) {
                Ok(()) => return Ok(()),
                Err(SignatureError::Missing) => {}
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    fn parse(&self, connection: &Connection, secrets: &ConnectionSecrets, event: &RawEvent<'_>) -> Event {
        let read = serde_json::from_slice(event.body).map_err(|_| UNREADABLE);
        match read.and_then(|update| self.read(bot(connection), secrets, &update)) {
            Ok(inbound) => Event::Said(Box::new(inbound)),
            Err(reason) => Event::Ignored(reason),
        }
    }

    /// The same for everybody: Telegram shows nothing of it. It must never have a `method`, which Telegram would
    /// take for a call.
    fn response(&self, _: Spoken<'_>) -> Value {
        json!({"ok": true})
    }

    /// CommonMark without angle brackets, which cleaning would take for a tag.
    fn how_to_pair(&self, connection: &Connection, is_group: bool) -> String {
        if !is_group {
            return "Hello! I do not know you yet. Please send me the pairing code that your app shows.".to_owned();
        }
        let bot = bot(connection);
        let name =
            bot.map_or(String::new(), |bot| format!(", or /pair@{} YOUR-CODE among several bots", bot.bot_username));
        let mut words = format!(
            "Hello! I do not know you yet. Please send /pair YOUR-CODE with the code that your app shows{name}. \
             Others can read it here, so you may prefer to send it to me in a private chat."
        );
        if bot.is_none_or(|bot| !bot.reads_all_group_messages) {
            words.push_str(
                " In groups I see only commands and replies to my messages, unless my owner switches off my \
                 privacy mode (/setprivacy in BotFather) and adds me to the group again.",
            );
        }
        words
    }
}

fn bot(connection: &Connection) -> Option<&TelegramBot> {
    match connection {
        Connection::Telegram(bot) => Some(bot),
        _ => None,
    }
}

/// Somebody who wrote or pressed a button.
struct Person {
    id: i64,
    name: String,
}

impl Person {
    fn read(from: &Value) -> Result<Self, &'static str> {
        let id = from["id"].as_i64().ok_or(NO_PERSON)?;
        if from["is_bot"] == true {
            return Err(BOT);
        }
        let name = |field: &str| {
            let name = text::single_line(from[field].as_str()?);
            Some(text::truncate_plain(name.trim(), MAX_NAME_CHARS).to_owned()).filter(|name| !name.is_empty())
        };
        let name = name("username").or_else(|| name("first_name")).unwrap_or_else(|| id.to_string());
        Ok(Self { id, name })
    }
}

/// Where something was said.
struct Place {
    chat: i64,
    chat_type: Option<String>,
    thread: Option<i64>,
    message: Option<i64>,
}

impl Place {
    fn read(message: &Value) -> Result<Self, &'static str> {
        let chat = &message["chat"];
        // Elsewhere a thread is a chain of replies, which cannot be written to.
        let is_topic = message["is_topic_message"] == true;
        Ok(Self {
            chat: chat["id"].as_i64().ok_or(UNREADABLE)?,
            chat_type: chat["type"].as_str().map(str::to_owned),
            thread: message["message_thread_id"].as_i64().filter(|_| is_topic),
            message: message["message_id"].as_i64(),
        })
    }

    /// The private chat with `person`, whose id is the person's.
    fn private(person: &Person) -> Self {
        Self { chat: person.id, chat_type: Some(PRIVATE.to_owned()), thread: None, message: None }
    }
}

/// How something was said.
#[derive(Clone, Copy)]
enum Manner<'a> {
    Written,
    Edited,
    /// By a button; with the id of the press.
    Pressed(&'a str),
}

impl Telegram {
    fn read(
        &self,
        bot: Option<&TelegramBot>,
        secrets: &ConnectionSecrets,
        update: &Value,
    ) -> Result<Inbound, &'static str> {
        let id = update["update_id"].as_i64().ok_or(UNREADABLE)?;
        let member = |name: &str| Some(&update[name]).filter(|value| !value.is_null());
        if let Some(message) = member("message") {
            said(bot, id, message, Manner::Written)
        } else if let Some(message) = member("edited_message") {
            said(bot, id, message, Manner::Edited)
        } else if let Some(query) = member("callback_query") {
            self.pressed(secrets, id, query)
        } else {
            Err(OTHER_KIND)
        }
    }

    /// Reads the press of a button, which is never a try to pair: nobody writes a code that way. The message
    /// above the button may be too old for Telegram to tell more than its place, or stand in a chat that the
    /// bot is not told of; the answer then goes to the person alone.
    fn pressed(&self, secrets: &ConnectionSecrets, update: i64, query: &Value) -> Result<Inbound, &'static str> {
        let person = Person::read(&query["from"])?;
        let id = query["id"].as_str().ok_or(UNREADABLE)?;
        let text = query["data"].as_str().filter(|data| !data.is_empty()).ok_or(NO_DATA)?.to_owned();
        let message = &query["message"];
        let place = if message.is_null() { Place::private(&person) } else { Place::read(message)? };
        let content = Content { text, media_type: None };
        let mut inbound = inbound(update, person, &place, content, Manner::Pressed(id));
        inbound.acknowledge = Some(self.answer_callback(secrets, id));
        Ok(inbound)
    }

    /// Ends the progress bar under a button. Source: core.telegram.org/bots/api#answercallbackquery.
    fn answer_callback(&self, secrets: &ConnectionSecrets, id: &str) -> ApiCall {
        self.call(Method::Post, "answerCallbackQuery", Some(&secrets.token)).json(&json!({"callback_query_id": id}))
    }
}

/// Reads a message.
fn said(bot: Option<&TelegramBot>, update: i64, message: &Value, manner: Manner<'_>) -> Result<Inbound, &'static str> {
    if !message["sender_chat"].is_null() {
        return Err(FOR_A_CHAT);
    }
    let person = Person::read(&message["from"])?;
    let place = Place::read(message)?;
    if place.message.is_none() {
        return Err(UNREADABLE);
    }
    let content = content::read(message).ok_or(NOTHING_SAID)?;
    let commands = pairing::Manner { bare_word: false, bot: bot.map(|bot| bot.bot_username.as_str()) };
    let pairing = pairing::recognise(&content.text, commands);
    Ok(Inbound { pairing, ..inbound(update, person, &place, content, manner) })
}

fn inbound(update: i64, person: Person, place: &Place, content: Content, manner: Manner<'_>) -> Inbound {
    let (is_edited, query) = match manner {
        Manner::Written => (false, None),
        Manner::Edited => (true, None),
        Manner::Pressed(query) => (false, Some(query)),
    };
    let members = [
        ("updateId", Some(Value::from(update))),
        ("chatId", Some(place.chat.into())),
        ("senderId", Some(person.id.into())),
        ("messageId", place.message.map(Value::from)),
        ("chatType", place.chat_type.as_deref().map(Value::from)),
        ("edited", is_edited.then(|| true.into())),
        ("callbackQueryId", query.map(Value::from)),
        ("threadId", place.thread.map(Value::from)),
        ("mediaType", content.media_type.map(Value::from)),
    ];
    let thread = place.thread.map(|thread| thread.to_string());
    Inbound {
        sender: person.id.into(),
        from: person.name,
        content: content.text,
        metadata: members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        repeat_key: update.to_string(),
        conversation: ConversationKey::new(&place.chat.to_string(), thread.as_deref()),
        details: json!({"messageId": place.message}),
        answer_secret: None,
        is_question: false,
        pairing: None,
        is_group: place.chat_type.as_deref() != Some(PRIVATE),

        only_in_known_conversation: false,
        answers_in_response: false,
        acknowledge: None,
    }
}

#[cfg(test)]
mod tests;
