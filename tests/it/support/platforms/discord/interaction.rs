//! Interactions from the moment they are sent: what may still be said to them.

use std::time::Duration;

use serde_json::Value;

use super::messages::{Sent, Way, content, pings, show};
use super::{Discord, error, snowflake};
use crate::support::platforms::delivery::Attempt;
use crate::support::platforms::server::Answer;

/// How the end of an interaction shows: both were observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// 401 with 50027.
    InvalidToken,
    /// 404 with 10015.
    UnknownWebhook,
}

/// How far an interaction was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Not in the agreed form, or not in time: its token is void.
    Not,
    /// "Thinking…"
    Deferred,
    Done,
}

/// An interaction that Discord knows.
pub struct Open {
    pub app: String,
    /// Token of the bot, not of the interaction.
    pub app_token: String,
    pub channel: String,
    pub answered: Answered,
    pub is_ephemeral: bool,
    /// Id of the answer.
    pub original: String,
    pub gone: Option<Gone>,
}

/// An interaction that was sent, and what came back.
#[derive(Clone, Debug)]
pub struct Interaction {
    pub id: String,
    /// Good for 15 minutes; whoever has it can answer.
    pub token: String,
    pub body: Value,
    pub attempt: Attempt,
}

impl Interaction {
    pub fn status(&self) -> Option<u16> {
        self.attempt.status
    }

    /// The body of the response.
    pub fn response(&self) -> Value {
        self.attempt.json()
    }

    pub fn elapsed(&self) -> Duration {
        self.attempt.elapsed
    }
}

/// Takes the first response to an interaction: whether it is one, and what is shown.
pub fn first_response(here: &Discord, token: &str, attempt: &Attempt) {
    let mut state = here.state();
    let Some(open) = state.interactions.get_mut(token).filter(|open| open.answered == Answered::Not) else { return };
    let response = attempt.json();
    if attempt.status != Some(200) {
        return;
    }
    let data = &response["data"];
    open.is_ephemeral = data["flags"].as_u64().unwrap_or_default() & 64 != 0;
    match response["type"].as_u64() {
        Some(5) => open.answered = Answered::Deferred,
        Some(4) => {
            let (Ok(content), Ok(pings)) = (content(data), pings(data["content"].as_str().unwrap_or(""), data, false))
            else {
                return;
            };
            open.answered = Answered::Done;
            let sent = message_of(open, Way::Response, open.original.clone(), content, pings);
            here.note_sent(sent);
        }
        _ => {}
    }
}

fn message_of(open: &Open, way: Way, id: String, content: String, pings: Vec<&'static str>) -> Sent {
    let (channel, is_ephemeral) = (open.channel.clone(), open.is_ephemeral);
    Sent { way, channel, id, content, reply_to: None, nonce: None, pings, is_ephemeral }
}

/// An interaction that can still be answered.
fn find<'a>(open: Option<&'a mut Open>, app: &str) -> Result<&'a mut Open, Answer> {
    let unknown = || error(404, 10015, "Unknown Webhook");
    let open = open.filter(|open| open.app == app).ok_or_else(unknown)?;
    match (open.gone, open.answered) {
        (Some(Gone::InvalidToken), _) => Err(error(401, 50027, "Invalid Webhook Token")),
        (Some(Gone::UnknownWebhook), _) | (None, Answered::Not) => Err(unknown()),
        (None, _) => Ok(open),
    }
}

/// `PATCH /webhooks/{app}/{token}/messages/@original`
pub fn edit_original(here: &Discord, app: &str, token: &str, body: &Value) -> Answer {
    say(here, app, token, body, |_| Way::Original).unwrap_or_else(|refused| refused)
}

/// `POST /webhooks/{app}/{token}`. As long as the answer is awaited, this is the answer.
pub fn follow_up(here: &Discord, app: &str, token: &str, body: &Value) -> Answer {
    let way = |open: &Open| if open.answered == Answered::Deferred { Way::Original } else { Way::FollowUp };
    say(here, app, token, body, way).unwrap_or_else(|refused| refused)
}

fn say(here: &Discord, app: &str, token: &str, body: &Value, way: impl Fn(&Open) -> Way) -> Result<Answer, Answer> {
    let state = &mut *here.state();
    let open = find(state.interactions.get_mut(token), app)?;
    let content = content(body)?;
    let pings = pings(&content, body, false)?;
    let way = way(open);
    let id = if way == Way::Original { open.original.clone() } else { snowflake() };
    open.answered = Answered::Done;
    if let Some(channel) = state.channels.get_mut(&open.channel)
        && !channel.messages.contains(&id)
    {
        channel.messages.push(id.clone());
    }
    let message = show(&state.apps[&open.app_token], &open.channel, &id, &content);
    here.note_sent(message_of(open, way, id, content, pings));
    Ok(Answer::json(200, &message))
}
