//! Messages in channels.

use serde_json::{Value, json};

use super::routes::bot_user;
use super::{AppState, Discord, State, error, invalid_field, snowflake};
use crate::support::platforms::server::Answer;

/// Longest content. The unit is not documented: counted in UTF-16 units, the strictest.
const MAX_CONTENT: usize = 2000;
/// Longest nonce in characters.
const MAX_NONCE: usize = 25;

/// By which way a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// An ordinary message of the bot.
    Channel,
    /// In the HTTP response to an interaction.
    Response,
    /// The answer that "thinking…" was replaced by, or a change of it.
    Original,
    /// A further answer to an interaction.
    FollowUp,
}

/// A message as people see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    pub way: Way,
    pub channel: String,
    /// The same when a message is changed.
    pub id: String,
    pub content: String,
    pub reply_to: Option<String>,
    pub nonce: Option<String>,
    /// Whom it notifies: `everyone`, `roles`, `users`.
    pub pings: Vec<&'static str>,
    /// Whether only the person who asked sees it.
    pub is_ephemeral: bool,
}

/// The content of a message, which must be there.
pub fn content(body: &Value) -> Result<String, Answer> {
    let content = match &body["content"] {
        Value::Null => "",
        Value::String(content) => content,
        _ => return Err(invalid_field("content", "STRING_TYPE_CONVERT", "Could not interpret as string.")),
    };
    if content.encode_utf16().count() > MAX_CONTENT {
        return Err(invalid_field("content", "BASE_TYPE_MAX_LENGTH", "Must be 2000 or fewer in length."));
    }
    match content.trim() {
        "" => Err(error(400, 50006, "Cannot send an empty message")),
        _ => Ok(content.to_owned()),
    }
}

/// Whom a message notifies. Without `allowed_mentions` a bot's own messages notify all that they name, and
/// answers to interactions only users.
pub fn pings(content: &str, body: &Value, is_bot_message: bool) -> Result<Vec<&'static str>, Answer> {
    let by_default: &[&str] = if is_bot_message { &["everyone", "roles", "users"] } else { &["users"] };
    let allowed = match body.get("allowed_mentions") {
        None | Some(Value::Null) => by_default.to_vec(),
        Some(Value::Object(allowed)) => {
            let parsed = allowed.get("parse").and_then(Value::as_array);
            let parsed: Vec<_> = parsed.into_iter().flatten().filter_map(Value::as_str).collect();
            if !parsed.iter().all(|kind| ["everyone", "roles", "users"].contains(kind)) {
                return Err(invalid_field(
                    "allowed_mentions",
                    "BASE_TYPE_CHOICES",
                    "Value must be one of the known ones.",
                ));
            }
            parsed
        }
        Some(_) => {
            return Err(invalid_field("allowed_mentions", "MODEL_TYPE_CONVERT", "Only dictionaries may be used."));
        }
    };
    let everyone = content.contains("@everyone") || content.contains("@here");
    let roles = content.contains("<@&");
    let users = content.match_indices("<@").any(|(at, _)| !content[at + 2..].starts_with('&'));
    let named = [("everyone", everyone), ("roles", roles), ("users", users)];
    Ok(named.into_iter().filter(|(kind, is_named)| *is_named && allowed.contains(kind)).map(|(kind, _)| kind).collect())
}

/// A message as the API shows it.
pub fn show(app: &AppState, channel: &str, id: &str, content: &str) -> Value {
    json!({
        "id": id, "channel_id": channel, "type": 0, "content": content, "author": bot_user(app),
        "timestamp": "2026-01-15T10:30:00.123000+00:00", "edited_timestamp": null, "tts": false,
        "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [], "embeds": [],
        "pinned": false,
    })
}

/// A channel that an application may write in.
fn enter<'a>(
    state: &'a mut State,
    token: &str,
    channel: &str,
) -> Result<(&'a mut AppState, &'a mut Vec<String>), Answer> {
    let app = state.apps.get_mut(token).unwrap();
    let channel = state.channels.get_mut(channel).ok_or_else(|| error(404, 10003, "Unknown Channel"))?;
    if !channel.members.contains(&app.id) {
        return Err(error(403, 50001, "Missing Access"));
    }
    Ok((app, &mut channel.messages))
}

/// `POST /channels/{id}/messages`
pub fn create(here: &Discord, token: &str, channel: &str, body: &Value) -> Result<Answer, Answer> {
    let state = &mut *here.state();
    let (app, messages) = enter(state, token, channel)?;
    let content = content(body)?;
    let nonce = match &body["nonce"] {
        Value::Null => None,
        Value::String(nonce) => Some(nonce.clone()),
        Value::Number(nonce) if nonce.is_i64() => Some(nonce.to_string()),
        _ => return Err(invalid_field("nonce", "STRING_TYPE_CONVERT", "Could not interpret as string.")),
    };
    if nonce.as_ref().is_some_and(|nonce| nonce.chars().count() > MAX_NONCE) {
        return Err(invalid_field("nonce", "NONCE_TYPE_TOO_LONG", "Nonce cannot be longer than 25 characters."));
    }
    let pings = pings(&content, body, true)?;
    let replied = body["message_reference"]["message_id"].as_str();
    let reply_to = replied.filter(|id| messages.iter().any(|known| known == id)).map(str::to_owned);
    if replied.is_some() && reply_to.is_none() && body["message_reference"]["fail_if_not_exists"] != false {
        return Err(invalid_field("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message"));
    }
    let is_enforced = body["enforce_nonce"] == true;
    // Unique for the author, in whichever channel.
    if let Some(first) = nonce.as_ref().filter(|_| is_enforced).and_then(|nonce| app.nonces.get(nonce)) {
        return Ok(Answer::json(200, first));
    }
    let id = snowflake();
    messages.push(id.clone());
    let mut message = show(app, channel, &id, &content);
    if let Some(nonce) = &nonce {
        message["nonce"] = nonce.as_str().into();
        app.nonces.insert(nonce.clone(), message.clone());
    }
    here.note_sent(Sent {
        way: Way::Channel,
        channel: channel.to_owned(),
        id,
        content,
        reply_to,
        nonce,
        pings,
        is_ephemeral: false,
    });
    Ok(Answer::json(200, &message))
}

/// `POST /channels/{id}/typing`
pub fn trigger_typing(here: &Discord, token: &str, channel: &str) -> Result<Answer, Answer> {
    enter(&mut here.state(), token, channel).map(|_| Answer::empty(204))
}
