//! What Discord itself sends: interactions, and the events of the application.
//!
//! Every interaction but one that becomes a message gets its only answer here, since a person who gets none
//! within three seconds sees a failure. Sources: discord-api-docs
//! `developers/interactions/receiving-and-responding.mdx`, `developers/events/webhook-events.mdx`.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::event::privately;
use super::person::Person;
use super::place::Place;
use super::register::{CHAT, MESSAGE_OPTION, PAIR};
use super::{register, send, snowflake};
use crate::channels::adapter::{Event, Inbound};
use crate::domain::connection::DiscordApp;
use crate::domain::pairing::{self, Attempt, Manner, Request};

/// Longest token of an interaction that is taken, in bytes. Those seen have some 200.
const MAX_TOKEN_BYTES: usize = 2048;
/// The type of a command that is typed, as against one in a context menu.
const CHAT_INPUT: u64 = 1;

const NOTHING_SAID: &str = "There is no message in that. Use /chat with what you want to say.";
const UNKNOWN_COMMAND: &str = "I do not know that command. Use /chat to talk to me.";
const UNREADABLE: &str = "That command came incomplete. Please use it once more.";
const NO_FORMS: &str = "I have no use for forms. Use /chat to talk to me.";

/// Reads what Discord sent and signed.
pub(super) fn read(app: &DiscordApp, body: &Value) -> Event {
    // Events of the application count their types anew, from a ping that wants an empty answer.
    let Some(kind) = body["type"].as_u64() else { return Event::Ignored("without a type") };
    if body.get("event").is_some() {
        // Of no interest; but whatever is not an empty answer makes Discord send it again.
        return Event::Answered(Value::Null);
    }
    match kind {
        0 => Event::Handshake(Value::Null),
        1 => Event::Handshake(json!({"type": 1})),
        2 => command(app, body),
        // A button of a message that another program of this bot made: it must stop spinning.
        3 => Event::Answered(json!({"type": 6})),
        4 => Event::Answered(json!({"type": 8, "data": {"choices": []}})),
        5 => Event::Answered(privately(NO_FORMS)),
        _ => Event::Ignored("an interaction of an unknown type"),
    }
}

fn command(app: &DiscordApp, body: &Value) -> Event {
    let data = &body["data"];
    let is_typed = data["type"].is_null() || data["type"] == CHAT_INPUT;
    let said = match data["name"].as_str() {
        Some(CHAT) if is_typed => match option(data, MESSAGE_OPTION) {
            text if text.trim().is_empty() => return Event::Answered(privately(NOTHING_SAID)),
            text => Said { pairing: pairing::recognise(text, Manner::default()), content: text.to_owned(), chat: true },
        },
        Some(PAIR) if is_typed => match option(data, register::CODE_OPTION).trim() {
            "" => Said { pairing: Some(Request::AskedHow), content: "/pair".to_owned(), chat: false },
            code => Said {
                pairing: Some(Request::Attempt(Attempt::by_command(code))),
                content: format!("/pair {code}"),
                chat: false,
            },
        },
        _ => return Event::Answered(privately(UNKNOWN_COMMAND)),
    };
    match Command::read(app, body) {
        None => Event::Answered(privately(UNREADABLE)),
        Some(command) if command.person.is_bot => Event::Ignored("from a bot"),
        Some(command) => Event::Said(Box::new(command.into_inbound(said))),
    }
}

/// What a command says.
struct Said {
    content: String,
    pairing: Option<Request>,
    /// Whether it is for the agent to answer.
    chat: bool,
}

/// The text that was given as an option of a command, or none.
fn option<'a>(data: &'a Value, name: &str) -> &'a str {
    let options = data["options"].as_array().map(Vec::as_slice).unwrap_or_default();
    options.iter().find(|option| option["name"] == name).and_then(|option| option["value"].as_str()).unwrap_or_default()
}

/// What every command has.
struct Command<'a> {
    id: String,
    application: String,
    token: &'a str,
    person: Person,
    place: Place,
    user_installed: bool,
}

impl<'a> Command<'a> {
    fn read(app: &DiscordApp, body: &'a Value) -> Option<Self> {
        let owners = &body["authorizing_integration_owners"];
        Some(Self {
            id: snowflake::read(&body["id"])?,
            application: snowflake::read(&body["application_id"]).unwrap_or_else(|| app.application_id.clone()),
            token: body["token"].as_str().filter(|token| fits_url(token))?,
            person: Person::read(&body["member"]["user"]).or_else(|| Person::read(&body["user"]))?,
            place: Place::read(body)?,
            // "0" is there when the server installed the application, or the person writes to the bot itself.
            user_installed: owners.get("1").is_some() && owners.get("0").is_none(),
        })
    }

    fn into_inbound(self, said: Said) -> Inbound {
        Inbound {
            sender: self.person.id.as_str().into(),
            metadata: self.place.metadata(&self.person, "interactionId", &self.id),
            conversation: self.place.conversation(),
            details: send::command_details(&self.id, &self.application, self.user_installed),
            answer_secret: said.chat.then(|| SecretString::from(self.token)),
            is_question: said.chat,
            pairing: said.pairing,
            content: said.content,
            from: self.person.name,
            repeat_key: self.id,
            is_group: self.place.is_group,

            only_in_known_conversation: false,
            answers_in_response: true,
            acknowledge: None,
        }
    }
}

/// Whether an interaction's token can stand in a URL as it is, as part of a path.
fn fits_url(token: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~=+:".contains(&byte);
    (1..=MAX_TOKEN_BYTES).contains(&token.len()) && token.bytes().all(plain) && !token.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests;
