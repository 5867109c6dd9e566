//! Messages from Discord's gateway, as a program of the channel's owner forwards them.
//!
//! Source: discord-api-docs `developers/events/gateway-events.mdx`, `developers/resources/message.mdx`.

use serde_json::Value;

use super::person::Person;
use super::place::Place;
use super::{send, snowflake};
use crate::channels::adapter::{Event, Inbound};
use crate::domain::connection::DiscordApp;
use crate::domain::pairing::{self, Manner};
use crate::domain::text;
use crate::domain::timestamp::Timestamp;

/// Types of messages that people write: an ordinary one and a reply.
const WRITTEN: [u64; 2] = [0, 19];
/// Type of the reference by which a message passes another one on.
const PASSED_ON: u64 = 1;
/// Most attachments or stickers that are named. Discord allows ten.
const MAX_NAMED: usize = 10;
/// Longest name of an attachment, and longest media type, in characters.
const MAX_NAME_CHARS: usize = 200;
/// Flag of a message that holds a recording and nothing else.
const IS_VOICE_MESSAGE: u64 = 1 << 13;

/// Reads a forwarded event: a gateway frame with `t` and `d`, a message under `message` or `d`, or a bare message.
pub(super) fn read(app: &DiscordApp, body: &Value) -> Event {
    let is_update = match body["t"].as_str() {
        None | Some("MESSAGE_CREATE") => false,
        Some("MESSAGE_UPDATE") => true,
        Some(_) => return Event::Ignored("not a message"),
    };
    let inner = ["d", "message"].iter().map(|name| &body[name]).find(|inner| inner.is_object());
    match inbound(app, inner.unwrap_or(body), is_update) {
        Ok(inbound) => Event::Said(Box::new(inbound)),
        Err(why) => Event::Ignored(why),
    }
}

fn inbound(app: &DiscordApp, message: &Value, is_update: bool) -> Result<Inbound, &'static str> {
    let id = snowflake::read(&message["id"]).ok_or("not a message")?;
    let person = Person::read(&message["author"]).ok_or("a message without its author")?;
    let place = Place::read(message).ok_or("a message without its channel")?;
    if person.id == app.bot_id {
        return Err("the bot's own message");
    }
    if person.is_bot || !message["webhook_id"].is_null() {
        return Err("from a bot");
    }
    if !message["type"].is_null() && !message["type"].as_u64().is_some_and(|kind| WRITTEN.contains(&kind)) {
        return Err("a message that nobody wrote");
    }
    // Discord also reports a change when a link's preview appears.
    let edited = message["edited_timestamp"].as_str().filter(|at| Timestamp::parse(at).is_some());
    if is_update && edited.is_none() {
        return Err("a change that is no edit");
    }
    let (content, media_type) =
        content(app, message).ok_or("an empty message (without the intent MESSAGE_CONTENT?)")?;
    let mut metadata = place.metadata(&person, "messageId", &id);
    if edited.is_some() {
        metadata.insert("edited".to_owned(), true.into());
    }
    if let Some(media_type) = media_type {
        metadata.insert("mediaType".to_owned(), media_type.into());
    }
    Ok(Inbound {
        sender: person.id.into(),
        from: person.name,
        pairing: pairing::recognise(&content, Manner::default()),
        content,
        metadata,
        repeat_key: edited.map_or_else(|| id.clone(), |at| format!("{id}:{at}")),
        conversation: place.conversation(),
        details: send::message_details(&id),
        answer_secret: None,
        is_question: false,
        is_group: place.is_group,

        only_in_known_conversation: false,
        answers_in_response: false,
        acknowledge: None,
    })
}

/// What the message says, and the type of its media if that is all there is; `None` when it says nothing.
fn content(app: &DiscordApp, message: &Value) -> Option<(String, Option<String>)> {
    let written = message["content"].as_str().unwrap_or_default();
    let text = without_mention(written, &app.bot_id);
    if !text.trim().is_empty() {
        return Some((text.to_owned(), None));
    }
    if let Some(media) = media(message) {
        return Some(media);
    }
    let passed_on = &message["message_snapshots"][0]["message"];
    if message["message_reference"]["type"] == PASSED_ON && passed_on.is_object() {
        let text = passed_on["content"].as_str().filter(|text| !text.trim().is_empty());
        return text.map(|text| (text.to_owned(), None)).or_else(|| media(passed_on));
    }
    // Somebody called the bot and said no more: that is what was said.
    (!written.trim().is_empty()).then(|| (written.to_owned(), None))
}

/// `content` without the mentions of the bot that it begins with: they say only who is spoken to.
fn without_mention<'a>(content: &'a str, bot: &str) -> &'a str {
    let mut rest = content;
    while let Some(next) = strip_mention(rest.trim_start(), bot) {
        rest = next.trim_start();
    }
    rest
}

fn strip_mention<'a>(text: &'a str, bot: &str) -> Option<&'a str> {
    let mention = text.strip_prefix("<@")?;
    mention.strip_prefix('!').unwrap_or(mention).strip_prefix(bot)?.strip_prefix('>')
}

/// What stands for the media of a message that has no text, and the type of the first.
fn media(message: &Value) -> Option<(String, Option<String>)> {
    let attachments = listed(message, "attachments");
    let is_recording = message["flags"].as_u64().is_some_and(|flags| flags & IS_VOICE_MESSAGE != 0);
    let mut named: Vec<String> =
        attachments.iter().map(|attachment| named_attachment(attachment, is_recording)).collect();
    named.extend(listed(message, "sticker_items").iter().map(|sticker| named_as("sticker", &sticker["name"])));
    if message["poll"].is_object() {
        named.push(named_as("poll", &message["poll"]["question"]["text"]));
    }
    let media_type = attachments.first().and_then(|first| line(&first["content_type"]));
    (!named.is_empty()).then(|| (named.join("\n"), media_type))
}

fn listed<'a>(message: &'a Value, name: &str) -> &'a [Value] {
    let all = message[name].as_array().map(Vec::as_slice).unwrap_or_default();
    &all[..all.len().min(MAX_NAMED)]
}

fn named_attachment(attachment: &Value, is_recording: bool) -> String {
    if is_recording {
        return "[voice message]".to_owned();
    }
    let kind = attachment["content_type"].as_str().and_then(|kind| kind.split('/').next());
    let kind = kind.filter(|kind| ["image", "video", "audio"].contains(kind)).unwrap_or("attachment");
    named_as(kind, &attachment["filename"])
}

fn named_as(kind: &str, name: &Value) -> String {
    line(name).map_or_else(|| format!("[{kind}]"), |name| format!("[{kind}: {name}]"))
}

/// A short text on one line, if there is one.
fn line(value: &Value) -> Option<String> {
    let line = text::single_line(value.as_str()?);
    let line = text::truncate_plain(line.trim(), MAX_NAME_CHARS);
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests;
