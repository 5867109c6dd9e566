//! Discord: the REST API for the applications that are registered here, and the interactions they are sent.

mod application;
mod commands;
mod interaction;
mod messages;
mod rate_limit;
mod routes;
mod verifying;

pub use application::{App, Channel, User};
pub use interaction::{Gone, Interaction};
pub use messages::{Sent, Way};
pub use verifying::Probe;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use self::interaction::Open;
use self::rate_limit::Buckets;
use self::routes::Route;
use super::server::{Answer, Request};
use super::stand_in::{Platform, StandIn};
use super::{delivery, fresh_number, random_hex};
use crate::support::secrets;

/// A running stand-in for Discord.
pub type Discord = StandIn<Api>;

/// What only Discord says.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// An error with Discord's code, such as 403 with 50007.
    Error { status: u16, code: u32, message: &'static str },
    /// 429 for all calls of the application.
    GlobalLimit { retry_after: Duration },
    /// 429 from the edge, before the API: the address is banned. Without `Via` and Discord's headers.
    EdgeBan { retry_after: Duration },
}

/// What Discord knows.
#[derive(Default)]
pub struct Api {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By token.
    apps: HashMap<String, AppState>,
    channels: HashMap<String, ChannelState>,
    /// By token.
    interactions: HashMap<String, Open>,
    buckets: Buckets,
}

struct AppState {
    id: String,
    name: String,
    key: SigningKey,
    endpoint: Option<String>,
    /// Global commands.
    commands: Vec<Value>,
    /// How an endpoint did when it was saved.
    probes: Vec<Probe>,
    /// Messages by their nonce.
    nonces: HashMap<String, Value>,
}

struct ChannelState {
    /// Applications that may write there.
    members: Vec<String>,
    messages: Vec<String>,
}

impl Api {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// A new id, larger than those before it.
fn snowflake() -> String {
    (1_300_000_000_000_000_000 + fresh_number()).to_string()
}

impl Discord {
    /// Starts a stand-in that knows nobody. Its rate limits are out of the way.
    pub async fn start() -> Self {
        Self::start_with(Api::default()).await
    }

    /// Registers an application with a bot.
    pub fn application(&self, name: &str) -> App {
        let id = snowflake();
        let token = format!("MTExMTEx.Gx{}.{}", &random_hex()[..4], random_hex());
        secrets::note(&token);
        let mut seed = [0_u8; 32];
        getrandom::fill(&mut seed).unwrap();
        let key = SigningKey::from_bytes(&seed);
        let public_key = hex::encode(key.verifying_key().as_bytes());
        let app = AppState {
            id: id.clone(),
            name: name.to_owned(),
            key,
            endpoint: None,
            commands: Vec::new(),
            probes: Vec::new(),
            nonces: HashMap::new(),
        };
        self.state().apps.insert(token.clone(), app);
        App { discord: self.clone(), http: delivery::client(), id, token, public_key }
    }

    /// A text channel of a guild that no application is in.
    pub fn channel(&self) -> Channel {
        self.add_channel(Some(snowflake()))
    }

    /// A private channel of a person and a bot.
    pub fn direct_channel(&self) -> Channel {
        self.add_channel(None)
    }

    fn add_channel(&self, guild: Option<String>) -> Channel {
        let id = snowflake();
        let state = ChannelState { members: Vec::new(), messages: Vec::new() };
        self.state().channels.insert(id.clone(), state);
        Channel { id, guild }
    }

    /// From now on a bucket has room for so many calls in this time.
    pub fn limit_buckets(&self, calls: usize, per: Duration) {
        self.state().buckets.limit(calls, per);
    }

    /// What happens to every interaction 15 minutes after it was made.
    pub fn expire_interactions(&self, gone: Gone) {
        for interaction in self.state().interactions.values_mut() {
            interaction.gone = Some(gone);
        }
    }
}

/// An error in Discord's form.
fn error(status: u16, code: u32, message: &str) -> Answer {
    Answer::json(status, &json!({"message": message, "code": code}))
}

/// What is said to a wrong token. Observed, not documented.
fn unauthorized() -> Answer {
    error(401, 0, "401: Unauthorized")
}

fn not_found() -> Answer {
    error(404, 0, "404: Not Found")
}

/// A form in which one field is wrong.
fn invalid_field(field: &str, code: &str, message: &str) -> Answer {
    let errors = json!({field: {"_errors": [{"code": code, "message": message}]}});
    Answer::json(400, &json!({"message": "Invalid Form Body", "code": 50035, "errors": errors}))
}

/// The fields of a body, which must be a JSON object that says to be one.
fn object(request: &Request) -> Result<Value, Answer> {
    body(request).and_then(|body| if body.is_object() { Ok(body) } else { Err(error(400, 50035, "Invalid Form Body")) })
}

/// Refuses fields that this stand-in does not know how to change.
fn object_is_known(body: &Value, fields: &[&str]) -> Result<(), Answer> {
    let strange = body.as_object().into_iter().flatten().find(|(name, _)| !fields.contains(&name.as_str()));
    strange
        .map_or(Ok(()), |(name, _)| Err(invalid_field(name, "UNKNOWN_FIELD", "The stand-in does not know this field.")))
}

fn body(request: &Request) -> Result<Value, Answer> {
    if request.media_type().as_deref() != Some("application/json") {
        let errors = json!({"_misc": ["Expected \"Content-Type\" header to be one of {'application/json'}."]});
        return Err(Answer::json(400, &json!({"message": "Invalid Form Body", "code": 50035, "errors": errors})));
    }
    request.json().ok_or_else(|| error(400, 50109, "The request body contains invalid JSON."))
}

/// Whether this is what a `User-Agent` must be: `DiscordBot (<url>, <version>)`, and perhaps more.
fn is_bot_user_agent(agent: &str) -> bool {
    let inside = agent.strip_prefix("DiscordBot (").and_then(|rest| rest.split_once(')'));
    let parts = inside.and_then(|(inside, _)| inside.split_once(", "));
    parts.is_some_and(|(url, version)| url.starts_with("http") && !version.trim().is_empty())
}

/// An answer that came through Discord's front end, as all do but those of the edge itself.
fn through_the_front(answer: Answer) -> Answer {
    answer.with("Via", "1.1 google")
}

fn limited(retry_after: Duration, is_global: bool) -> Answer {
    let seconds = retry_after.as_secs_f64();
    let scope = if is_global { "global" } else { "user" };
    let body = json!({"message": "You are being rate limited.", "retry_after": seconds, "global": is_global});
    let answer = Answer::json(429, &body)
        .with("Retry-After", seconds.ceil())
        .with("X-RateLimit-Scope", scope)
        .with("X-RateLimit-Reset-After", seconds);
    through_the_front(if is_global { answer.with("X-RateLimit-Global", "true") } else { answer })
}

impl Platform for Api {
    type Sent = Sent;
    type Refusal = Refusal;
    const BASE_PATH: &'static str = "/api/v10";

    fn name_of(request: &Request) -> String {
        Route::of(request).map_or("unknown", |route| route.name()).to_owned()
    }

    async fn process(here: &Discord, request: Request) -> Answer {
        if !request.header("user-agent").is_some_and(is_bot_user_agent) {
            return Answer::text(403, "text/plain", "error code: 1010").with("Server", "cloudflare");
        }
        let Some(route) = Route::of(&request) else { return through_the_front(not_found()) };
        let counted = here.state().buckets.count(&route.bucket());
        let room = match counted {
            Ok(room) => room,
            Err(retry_after) => return limited(retry_after, false),
        };
        through_the_front(room.mark(routes::go(here, &route, &request).await))
    }

    fn refuse(_: &Discord, refusal: &Refusal, _: &Request) -> Answer {
        match refusal {
            Refusal::Error { status, code, message } => through_the_front(error(*status, *code, message)),
            Refusal::GlobalLimit { retry_after } => limited(*retry_after, true),
            Refusal::EdgeBan { retry_after } => Answer::text(429, "text/plain", "error code: 1015")
                .with("Retry-After", retry_after.as_secs_f64().ceil())
                .with("Server", "cloudflare"),
        }
    }

    fn too_many_requests(retry_after: Duration) -> Answer {
        limited(retry_after, false)
    }

    fn server_error(status: u16) -> Answer {
        match status {
            500 => through_the_front(error(500, 0, "500: Internal Server Error")),
            status => through_the_front(Answer::of_a_front_end(status)),
        }
    }
}
