//! Telegram: the Bot API of the bots that are registered here, and the chats they are in.

mod bot;
mod html;
mod methods;
mod parameters;
mod people;

pub use bot::Bot;
pub use people::{Chat, Person};

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};

use self::parameters::Parameters;
use super::server::{Answer, Request};
use super::stand_in::{Platform, StandIn};
use super::{delivery, random_hex};
use crate::support::secrets;

/// A running stand-in for Telegram.
pub type Telegram = StandIn<Api>;

/// A message in a chat, as its members see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// User name of the bot.
    pub bot: String,
    pub chat: i64,
    /// The topic it stands in.
    pub thread: Option<i64>,
    pub message_id: i64,
    /// Without markup.
    pub text: String,
    /// Formatting, with offsets in UTF-16 units.
    pub entities: Vec<Value>,
    /// How the markup was written, as the call said it.
    pub parse_mode: Option<String>,
    pub reply_to: Option<i64>,
}

/// What only Telegram says.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// The person blocked the bot.
    Blocked,
    /// The group became a supergroup with this id, and is one from now on.
    Migrated { to: i64 },
    /// The markup is taken for broken, whatever it is.
    CannotParseEntities,
    /// The topic is gone.
    ThreadNotFound,
    /// The token was revoked.
    Unauthorized,
    /// Another error.
    Error { code: u16, description: &'static str },
}

/// What Telegram knows.
#[derive(Default)]
pub struct Api {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By token.
    bots: HashMap<String, BotState>,
    chats: HashMap<i64, ChatState>,
    https_only: bool,
    /// Within a queue (of a bot, for a chat or a person) one update is delivered at a time.
    queues: HashMap<(String, i64), Arc<tokio::sync::Mutex<()>>>,
}

struct BotState {
    id: i64,
    username: String,
    first_name: String,
    privacy: bool,
    webhook: Option<Webhook>,
    /// What the last call said of them; the setting outlives the webhook.
    allowed_updates: Option<Vec<String>>,
    /// Chats in which somebody wrote to the bot.
    reaches: HashSet<i64>,
    /// Pressed buttons that may be answered.
    callbacks: HashSet<String>,
    next_update: i64,
}

/// Where a bot's updates go.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    pub url: String,
    pub secret: Option<String>,
}

struct ChatState {
    kind: &'static str,
    title: String,
    topics: HashSet<i64>,
    /// Every message that anybody wrote, with its topic.
    messages: HashMap<i64, Option<i64>>,
    next_message: i64,
    moved_to: Option<i64>,
}

impl ChatState {
    fn new(kind: &'static str, title: &str) -> Self {
        let (topics, messages) = (HashSet::new(), HashMap::new());
        Self { kind, title: title.to_owned(), topics, messages, next_message: 40, moved_to: None }
    }

    fn add_message(&mut self, thread: Option<i64>) -> i64 {
        self.next_message += 1;
        self.messages.insert(self.next_message, thread);
        self.next_message
    }

    /// How a message shows the chat it is in.
    fn show(&self, id: i64) -> Value {
        match self.kind {
            "private" => json!({"id": id, "type": "private", "first_name": self.title}),
            kind if self.topics.is_empty() => json!({"id": id, "type": kind, "title": self.title}),
            kind => json!({"id": id, "type": kind, "title": self.title, "is_forum": true}),
        }
    }
}

impl State {
    /// Makes a group a supergroup under another id, for all bots that were in it.
    fn upgrade(&mut self, from: i64, to: i64) {
        let Some(old) = self.chats.get_mut(&from) else { return };
        old.moved_to = Some(to);
        let title = old.title.clone();
        self.chats.entry(to).or_insert_with(|| ChatState::new("supergroup", &title));
        for bot in self.bots.values_mut().filter(|bot| bot.reaches.contains(&from)) {
            bot.reaches.insert(to);
        }
    }
}

impl Api {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Telegram {
    /// Starts a stand-in that knows no bot and, unlike the real one, takes webhooks without TLS.
    pub async fn start() -> Self {
        Self::start_with(Api::default()).await
    }

    /// Demands of webhooks what the real one demands: HTTPS and one of four ports.
    pub fn demand_https(&self) {
        self.state().https_only = true;
    }

    /// Registers a bot. Privacy mode is on, as it is for every new bot.
    pub fn bot(&self, username: &str) -> Bot {
        let mut state = self.state();
        let id = 7_000_000_001 + i64::try_from(state.bots.len()).unwrap();
        let secret = format!("AAH{}", random_hex());
        let token = format!("{id}:{secret}");
        secrets::note(&secret);
        let bot = BotState {
            id,
            username: username.to_owned(),
            first_name: format!("{username} of the tests"),
            privacy: true,
            webhook: None,
            allowed_updates: None,
            reaches: HashSet::new(),
            callbacks: HashSet::new(),
            next_update: 900_000_000,
        };
        state.bots.insert(token.clone(), bot);
        Bot { telegram: self.clone(), http: delivery::client(), token, id, username: username.to_owned() }
    }

    /// A person with an account. Private chats have their person's id.
    pub fn person(&self, id: i64, name: &str) -> Person {
        let mut state = self.state();
        state.chats.entry(id).or_insert_with(|| ChatState::new("private", name));
        Person { telegram: self.clone(), id, name: name.to_owned() }
    }

    /// A group, which a bot is in as soon as it is delivered something from it.
    pub fn group(&self, id: i64, title: &str) -> Chat {
        self.chat(id, "group", title)
    }

    /// A supergroup; a forum once it has a topic.
    pub fn supergroup(&self, id: i64, title: &str) -> Chat {
        self.chat(id, "supergroup", title)
    }

    fn chat(&self, id: i64, kind: &'static str, title: &str) -> Chat {
        self.state().chats.entry(id).or_insert_with(|| ChatState::new(kind, title));
        Chat { telegram: self.clone(), id, thread: None }
    }

    /// Makes a group a supergroup: calls that name the old id are told the new one.
    pub fn upgrade(&self, group: &Chat, to: i64) -> Chat {
        self.state().upgrade(group.id, to);
        Chat { telegram: self.clone(), id: to, thread: None }
    }
}

fn success(result: Value) -> Answer {
    Answer::json(200, &json!({"ok": true, "result": result}))
}

fn success_with(result: Value, description: &str) -> Answer {
    Answer::json(200, &json!({"ok": true, "result": result, "description": description}))
}

fn failure(code: u16, description: &str) -> Answer {
    Answer::json(code, &json!({"ok": false, "error_code": code, "description": description}))
}

fn moved(to: i64) -> Answer {
    let description = "Bad Request: group chat was upgraded to a supergroup chat";
    let parameters = json!({"migrate_to_chat_id": to});
    let body = json!({"ok": false, "error_code": 400, "description": description, "parameters": parameters});
    Answer::json(400, &body)
}

/// The token and the method in a path.
fn token_and_method(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("/bot")?.split_once('/')
}

impl Platform for Api {
    type Sent = Sent;
    type Refusal = Refusal;
    const BASE_PATH: &'static str = "";

    fn name_of(request: &Request) -> String {
        let method = token_and_method(&request.path).map_or(request.path.as_str(), |(_, method)| method);
        let known = methods::METHODS.iter().find(|known| known.eq_ignore_ascii_case(method));
        (*known.unwrap_or(&method)).to_owned()
    }

    async fn process(here: &Telegram, request: Request) -> Answer {
        let Some((token, _)) = token_and_method(&request.path) else { return failure(404, "Not Found") };
        if !["GET", "POST"].contains(&request.method.as_str()) || !parameters::is_token(token) {
            return failure(404, "Not Found");
        }
        if !here.state().bots.contains_key(token) {
            return failure(401, "Unauthorized");
        }
        match Parameters::read(&request) {
            Ok(parameters) => methods::call(here, token, &Self::name_of(&request), &parameters),
            Err(refusal) => refusal,
        }
    }

    fn refuse(here: &Telegram, refusal: &Refusal, request: &Request) -> Answer {
        match refusal {
            Refusal::Blocked => failure(403, "Forbidden: bot was blocked by the user"),
            Refusal::Migrated { to } => {
                let chat = Parameters::read(request).ok().and_then(|parameters| parameters.integer("chat_id"));
                here.state().upgrade(chat.unwrap_or_default(), *to);
                moved(*to)
            }
            Refusal::CannotParseEntities => failure(
                400,
                "Bad Request: can't parse entities: Can't find end of the entity starting at byte offset 0",
            ),
            Refusal::ThreadNotFound => failure(400, "Bad Request: message thread not found"),
            Refusal::Unauthorized => failure(401, "Unauthorized"),
            Refusal::Error { code, description } => failure(*code, description),
        }
    }

    fn too_many_requests(retry_after: Duration) -> Answer {
        let seconds = retry_after.as_secs_f64().ceil();
        let description = format!("Too Many Requests: retry after {seconds}");
        let body = json!({
            "ok": false, "error_code": 429, "description": description, "parameters": {"retry_after": seconds as u64},
        });
        Answer::json(429, &body).with("Retry-After", seconds)
    }

    fn server_error(status: u16) -> Answer {
        match status {
            500 => failure(500, "Internal Server Error: sendMessage failed"),
            status => Answer::of_a_front_end(status),
        }
    }
}
