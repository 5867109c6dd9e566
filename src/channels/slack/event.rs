//! Reading what the Events API sends. Source: docs.slack.dev/apis/events-api, /reference/events/message.

use serde_json::{Map, Value, json};

use super::mention::{mentions, without_address};
use super::{id, is_direct};
use crate::channels::adapter::{Event, Inbound};
use crate::domain::connection::SlackApp;
use crate::domain::conversation::ConversationKey;
use crate::domain::pairing::{self, Manner};
use crate::domain::text::{from_slack_mrkdwn, single_line, truncate_plain};

/// Files of one message that are named. Slack's clients attach no more.
const MAX_FILES: usize = 10;
/// Longest name of a file, in characters.
const MAX_FILE_NAME_CHARS: usize = 200;

/// Reads a request's body.
pub(super) fn read(app: &SlackApp, body: &[u8]) -> Event {
    let Ok(envelope) = serde_json::from_slice::<Value>(body) else {
        return Event::Ignored("a body that is not JSON");
    };
    match envelope["type"].as_str() {
        Some("url_verification") => match envelope["challenge"].as_str() {
            Some(challenge) => Event::Handshake(json!({"challenge": challenge})),
            None => Event::Ignored("a handshake without a challenge"),
        },
        Some("event_callback") => match said(app, &envelope) {
            Ok(inbound) => Event::Said(Box::new(inbound)),
            Err(why) => Event::Ignored(why),
        },
        Some("app_rate_limited") => Event::Ignored("a notice that Slack holds events back"),
        _ => Event::Ignored("an event of another kind"),
    }
}

/// Where something was said, and whether it was said to the bot.
struct Place<'a> {
    channel: &'a str,
    is_direct: bool,
    /// The root of the thread that an answer goes into.
    thread: Option<&'a str>,
    /// It was said in a thread, and nothing shows whether the bot takes part in it.
    is_overheard: bool,
}

/// The message that an event brings, or why there is none for the bot.
fn said(app: &SlackApp, envelope: &Value) -> Result<Inbound, &'static str> {
    let event = &envelope["event"];
    let is_mention = match event["type"].as_str() {
        Some("message") => false,
        Some("app_mention") => true,
        _ => return Err("an event that is no message"),
    };
    let post = if event["subtype"] == "message_changed" { edited(event)? } else { event };
    let sender = sender(app, post)?;
    let unreadable = "a message without its channel or timestamp";
    let ts = id(&post["ts"]).ok_or(unreadable)?;
    let place = place(app, event, post, ts, is_mention).ok_or(unreadable)??;

    let mut metadata = Map::new();
    let mut note = |name: &str, value: Value| drop(metadata.insert(name.to_owned(), value));
    note("slackChannelId", place.channel.into());
    note("senderId", sender.into());
    note("ts", ts.into());
    if let Some(thread) = place.thread {
        note("threadTs", thread.into());
    }
    note("teamId", id(&envelope["team_id"]).unwrap_or(&app.team_id).into());
    let mut repeat_key = format!("{}:{ts}", place.channel);
    if let Some(edit) = id(&post["edited"]["ts"]) {
        note("edited", true.into());
        repeat_key = format!("{repeat_key}:{edit}");
    }

    let raw = post["text"].as_str().unwrap_or_default();
    let text = from_slack_mrkdwn(without_address(raw, &app.bot_user_id));
    let pairing =
        if place.is_overheard { None } else { pairing::recognise(&text, Manner { bare_word: true, bot: None }) };
    let content = if !text.trim().is_empty() {
        text
    } else if let Some((media_type, names)) = files(&post["files"]) {
        note("mediaType", media_type.into());
        names
    } else if mentions(raw, &app.bot_user_id) {
        format!("@{}", app.bot_username)
    } else {
        return Err("a message without text and files");
    };
    Ok(Inbound {
        sender: sender.into(),
        from: sender.to_owned(),
        content,
        metadata,
        repeat_key,
        conversation: ConversationKey::new(place.channel, place.thread),
        details: Value::Null,
        answer_secret: None,
        is_question: false,
        pairing,
        is_group: !place.is_direct,
        only_in_known_conversation: place.is_overheard,
        answers_in_response: false,
        acknowledge: None,
    })
}

/// The message as a person left it. Link previews change messages too, but not when they were edited.
fn edited(event: &Value) -> Result<&Value, &'static str> {
    let post = &event["message"];
    let when = &post["edited"]["ts"];
    if id(when).is_none() || event["previous_message"]["edited"]["ts"] == *when {
        return Err("a change that nobody made");
    }
    Ok(post)
}

/// The person who wrote `post`.
fn sender<'a>(app: &SlackApp, post: &'a Value) -> Result<&'a str, &'static str> {
    let is_taken = match &post["subtype"] {
        Value::Null => true,
        Value::String(subtype) if subtype == "bot_message" => return Err("a bot's message"),
        Value::String(subtype) => subtype == "file_share" || subtype == "thread_broadcast",
        _ => false,
    };
    if !is_taken {
        return Err("a notice that nobody wrote");
    }
    if !post["bot_id"].is_null() || !post["bot_profile"].is_null() {
        return Err("a bot's message");
    }
    match id(&post["user"]) {
        Some(user) if user == app.bot_user_id => Err("the bot's own message"),
        Some(user) => Ok(user),
        None => Err("a message that nobody wrote"),
    }
}

/// Where `post` was said; an error when it was not said to the bot, `None` when it cannot be read.
fn place<'a>(
    app: &SlackApp,
    event: &'a Value,
    post: &'a Value,
    ts: &'a str,
    is_mention: bool,
) -> Option<Result<Place<'a>, &'static str>> {
    let channel = id(&event["channel"])?;
    // The root of a thread names itself as its thread once it has replies.
    let reply_to = match &post["thread_ts"] {
        Value::Null => None,
        root => Some(id(root)?).filter(|root| *root != ts),
    };
    // The Messages tab of an app's home is the direct message with its bot.
    let is_direct = is_direct(channel) || matches!(event["channel_type"].as_str(), Some("im" | "app_home"));
    if is_direct {
        return Some(Ok(Place { channel, is_direct, thread: reply_to, is_overheard: false }));
    }
    let thread = Some(reply_to.unwrap_or(ts));
    let text = post["text"].as_str().unwrap_or_default();
    let is_addressed =
        is_mention || mentions(text, &app.bot_user_id) || post["parent_user_id"] == app.bot_user_id.as_str();
    if !is_addressed && reply_to.is_none() {
        return Some(Err("a channel message that does not mention the bot"));
    }
    Some(Ok(Place { channel, is_direct, thread, is_overheard: !is_addressed }))
}

/// What stands for files without text, one a line, and what the first one is.
fn files(files: &Value) -> Option<(&'static str, String)> {
    let files = files.as_array()?;
    let kind = |file: &Value| {
        let is_image = file["mimetype"].as_str().is_some_and(|kind| kind.starts_with("image/"));
        if is_image { "image" } else { "file" }
    };
    let named = |file: &Value| {
        let name = single_line(file["name"].as_str().unwrap_or_default());
        match truncate_plain(name.trim(), MAX_FILE_NAME_CHARS) {
            "" => format!("[{}]", kind(file)),
            name => format!("[{}: {name}]", kind(file)),
        }
    };
    let names: Vec<_> = files.iter().take(MAX_FILES).map(named).collect();
    Some((kind(files.first()?), names.join("\n")))
}
