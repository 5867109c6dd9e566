//! The methods of the Web API, as far as a relay needs them.

use serde_json::{Map, Value, json};

use super::{Sent, Slack, WorkspaceState, failure, fresh_ts, success};
use crate::support::platforms::server::Answer;

/// Longest text in characters; what is longer is cut without a word.
const MAX_TEXT: usize = 40_000;
/// Longest text that is shown in one piece. Observed, and recommended.
const RECOMMENDED_TEXT: usize = 4000;

/// Calls a method in the workspace with this token.
pub fn call(here: &Slack, token: &str, method: &str, arguments: &Map<String, Value>) -> Answer {
    let mut state = here.state();
    let workspace = state.workspaces.get_mut(token).unwrap();
    let answer = match method {
        "auth.test" => Ok(auth_test(workspace)),
        "chat.postMessage" => post_message(here, workspace, arguments),
        "assistant.threads.setStatus" => set_status(workspace, arguments),
        _ => Err(failure("unknown_method")),
    };
    answer.unwrap_or_else(|refused| refused)
}

fn auth_test(workspace: &WorkspaceState) -> Answer {
    success(json!({
        "url": "https://team.slack.com/", "team": "Team", "user": "helper", "team_id": workspace.team,
        "user_id": workspace.bot_user, "bot_id": workspace.bot_id, "is_enterprise_install": false,
    }))
}

/// An argument that must be text.
fn text<'a>(arguments: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Answer> {
    match arguments.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => {
            let message = format!("[ERROR] must be a string [json-pointer:/{name}]");
            let metadata = json!({"messages": [message]});
            let body = json!({"ok": false, "error": "invalid_arguments", "response_metadata": metadata});
            Err(Answer::json(200, &body))
        }
    }
}

/// The id of the channel that is named, by its id or, for direct messages, that of the person.
fn channel(workspace: &WorkspaceState, named: Option<&str>) -> Result<String, Answer> {
    let Some(named) = named else { return Err(failure("channel_not_found")) };
    let direct = workspace.channels.iter().find(|(_, channel)| channel.user.as_deref() == Some(named));
    let id = direct.map_or(named, |(id, _)| id);
    let Some(channel) = workspace.channels.get(id) else { return Err(failure("channel_not_found")) };
    match (channel.is_archived, channel.is_member) {
        (true, _) => Err(failure("is_archived")),
        (_, false) => Err(failure("not_in_channel")),
        (false, true) => Ok(id.to_owned()),
    }
}

fn post_message(
    here: &Slack,
    workspace: &mut WorkspaceState,
    arguments: &Map<String, Value>,
) -> Result<Answer, Answer> {
    let id = channel(workspace, text(arguments, "channel")?)?;
    let posted = text(arguments, "text")?.unwrap_or_default();
    if posted.trim().is_empty() {
        return Err(failure("no_text"));
    }
    let length = posted.chars().count();
    let posted: String = posted.chars().take(MAX_TEXT).collect();
    let channel = workspace.channels.get_mut(&id).unwrap();
    let thread = text(arguments, "thread_ts")?.map(str::to_owned);
    if let Some(root) = &thread {
        // A reply is no root: what names one would stand in a thread that nobody sees.
        match channel.messages.get(root) {
            Some(None) => {}
            _ => return Err(failure("cannot_reply_to_message")),
        }
    }
    let ts = fresh_ts();
    channel.messages.insert(ts.clone(), thread.clone());
    let mut message = json!({
        "type": "message", "text": posted, "bot_id": workspace.bot_id, "user": workspace.bot_user, "ts": ts,
        "team": workspace.team,
    });
    if let Some(root) = &thread {
        message["thread_ts"] = root.as_str().into();
    }
    here.note_sent(Sent {
        team: workspace.team.clone(),
        channel: id.clone(),
        ts: ts.clone(),
        thread,
        pings: pings(&posted),
        text: posted,
        is_too_long: length > RECOMMENDED_TEXT,
    });
    Ok(success(json!({"channel": id, "ts": ts, "message": message})))
}

/// The mentions in a text.
fn pings(text: &str) -> Vec<String> {
    let inside = text.split('<').skip(1).filter_map(|rest| rest.split_once('>').map(|(inside, _)| inside));
    inside.filter(|inside| inside.starts_with(['@', '!'])).map(|inside| format!("<{inside}>")).collect()
}

fn set_status(workspace: &WorkspaceState, arguments: &Map<String, Value>) -> Result<Answer, Answer> {
    let id = channel(workspace, text(arguments, "channel_id")?)?;
    let root = text(arguments, "thread_ts")?.unwrap_or_default();
    text(arguments, "status")?.ok_or_else(|| failure("invalid_arguments"))?;
    match workspace.channels[&id].messages.contains_key(root) {
        true => Ok(success(json!({}))),
        false => Err(failure("invalid_thread_ts")),
    }
}
