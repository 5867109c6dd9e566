//! Slack: the Web API of the workspaces that are registered here, and their events.

mod events;
mod methods;
mod workspace;

pub use events::signature;
pub use workspace::Workspace;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::server::{Answer, Request};
use super::stand_in::{Platform, StandIn};
use super::{delivery, fresh_number, random_hex, unix_seconds};
use crate::support::secrets;

/// A running stand-in for Slack.
pub type Slack = StandIn<Api>;

/// A message as people see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    pub team: String,
    pub channel: String,
    pub ts: String,
    /// The root of the thread it stands in.
    pub thread: Option<String>,
    /// mrkdwn, with its escapes.
    pub text: String,
    /// Longer than Slack recommends: it would be shown in pieces.
    pub is_too_long: bool,
    /// Whom it notifies, such as `<!channel>` and `<@U1>`.
    pub pings: Vec<String>,
}

/// What only Slack says.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// An error word, with HTTP 200 as all of them.
    Error(&'static str),
    /// `missing_scope`, with the scope.
    MissingScope(&'static str),
}

/// What Slack knows.
#[derive(Default)]
pub struct Api {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the bot's token.
    workspaces: HashMap<String, WorkspaceState>,
}

struct WorkspaceState {
    team: String,
    bot_user: String,
    bot_id: String,
    events_url: Option<String>,
    channels: HashMap<String, ChannelState>,
}

struct ChannelState {
    /// What events call its kind: `channel`, `group`, `im`, `mpim`.
    kind: &'static str,
    /// Whose direct messages these are.
    user: Option<String>,
    is_member: bool,
    is_archived: bool,
    /// Every message by its `ts`, with the root of its thread.
    messages: HashMap<String, Option<String>>,
}

impl Api {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// A `ts` later than all before. It is an identifier: the last digits are needed to tell two apart.
fn fresh_ts() -> String {
    format!("{}.{:06}", unix_seconds(), fresh_number() % 1_000_000)
}

impl Slack {
    /// Starts a stand-in that knows no workspace.
    pub async fn start() -> Self {
        Self::start_with(Api::default()).await
    }

    /// Registers a workspace in which an app with a bot is installed.
    pub fn workspace(&self) -> Workspace {
        let number = fresh_number();
        let token = format!("xoxb-{number}-{}", random_hex());
        let signing_secret = random_hex();
        secrets::note(&token);
        secrets::note(&signing_secret);
        let workspace = WorkspaceState {
            team: format!("T{number}"),
            bot_user: format!("UBOT{number}"),
            bot_id: format!("B{number}"),
            events_url: None,
            channels: HashMap::new(),
        };
        let (team, bot_user) = (workspace.team.clone(), workspace.bot_user.clone());
        self.state().workspaces.insert(token.clone(), workspace);
        Workspace { slack: self.clone(), http: delivery::client(), token, signing_secret, team, bot_user }
    }
}

fn success(mut body: Value) -> Answer {
    body["ok"] = true.into();
    Answer::json(200, &body)
}

/// An error, which comes with HTTP 200.
fn failure(word: &str) -> Answer {
    Answer::json(200, &json!({"ok": false, "error": word}))
}

/// The token of a call: as a bearer, or in a form. In the query it does not count.
fn token_of(request: &Request) -> Option<String> {
    let bearer = request.authorization("Bearer").map(str::to_owned);
    let is_form = request.media_type().as_deref() == Some("application/x-www-form-urlencoded");
    bearer.or_else(|| request.form().get("token")?.as_str().filter(|_| is_form).map(str::to_owned))
}

/// The arguments of a call, and the warning that its answer is to hold.
fn arguments(request: &Request) -> Result<(Map<String, Value>, Option<&'static str>), Answer> {
    if request.bytes.is_empty() {
        return Ok((Map::new(), None));
    }
    match request.media_type().as_deref() {
        Some("application/x-www-form-urlencoded") => Ok((request.form(), None)),
        Some("application/json") => {
            let has_charset = request.header("content-type").is_some_and(|kind| kind.contains("charset"));
            match request.json() {
                Some(Value::Object(fields)) => Ok((fields, (!has_charset).then_some("missing_charset"))),
                Some(_) => Err(failure("json_not_object")),
                None => Err(failure("invalid_json")),
            }
        }
        Some(_) => Err(failure("invalid_post_type")),
        None => Err(failure("missing_post_type")),
    }
}

impl Platform for Api {
    type Sent = Sent;
    type Refusal = Refusal;
    const BASE_PATH: &'static str = "/api";

    fn name_of(request: &Request) -> String {
        request.path.strip_prefix("/api/").unwrap_or(&request.path).to_owned()
    }

    async fn process(here: &Slack, request: Request) -> Answer {
        if !request.path.starts_with("/api/") {
            return Answer::text(404, "text/html", "<html><body>There's been a glitch…</body></html>");
        }
        let arguments = arguments(&request);
        let Some(token) = token_of(&request) else { return failure("not_authed") };
        if !here.state().workspaces.contains_key(&token) {
            return failure("invalid_auth");
        }
        match arguments {
            Ok((arguments, warning)) => {
                let mut answer = methods::call(here, &token, &Self::name_of(&request), &arguments);
                if let Some(warning) = warning {
                    let mut body: Value = serde_json::from_str(&answer.body).unwrap();
                    body["warning"] = warning.into();
                    body["response_metadata"]["warnings"] = json!([warning]);
                    answer.body = body.to_string();
                }
                answer
            }
            Err(refused) => refused,
        }
    }

    fn refuse(_: &Slack, refusal: &Refusal, _: &Request) -> Answer {
        match refusal {
            Refusal::Error(word) => failure(word),
            Refusal::MissingScope(scope) => {
                let body = json!({"ok": false, "error": "missing_scope", "needed": scope, "provided": "users:read"});
                Answer::json(200, &body)
            }
        }
    }

    fn too_many_requests(retry_after: Duration) -> Answer {
        let body = json!({"ok": false, "error": "ratelimited"});
        Answer::json(429, &body).with("Retry-After", retry_after.as_secs_f64().ceil())
    }

    fn server_error(status: u16) -> Answer {
        match status {
            503 => Answer::json(503, &json!({"ok": false, "error": "service_unavailable"})),
            status => Answer::of_a_front_end(status),
        }
    }
}
