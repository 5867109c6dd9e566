//! The methods of the Bot API, as far as a relay needs them.

use serde_json::{Value, json};

use super::parameters::Parameters;
use super::{BotState, Sent, State, Telegram, Webhook, failure, html, moved, success, success_with};
use crate::support::platforms::server::Answer;
use crate::support::platforms::unix_seconds;
use crate::support::secrets;

/// The methods that exist. Their names are not case-sensitive.
pub const METHODS: [&str; 8] = [
    "getMe",
    "setWebhook",
    "deleteWebhook",
    "getWebhookInfo",
    "getUpdates",
    "sendMessage",
    "sendChatAction",
    "answerCallbackQuery",
];

/// What a bot may be seen doing.
const ACTIONS: [&str; 11] = [
    "typing",
    "upload_photo",
    "upload_document",
    "upload_video",
    "upload_voice",
    "record_video",
    "record_voice",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
];

/// Longest text in UTF-16 units, after the markup was taken away.
const MAX_TEXT: usize = 4096;
/// Longest text in bytes, with its markup.
const MAX_RAW_TEXT: usize = 32_768;
/// Ports that a webhook may have.
const PORTS: [u16; 4] = [80, 88, 443, 8443];

/// Why a call is refused.
type Refused = Answer;

/// Calls a method for the bot with this token.
pub fn call(here: &Telegram, token: &str, method: &str, parameters: &Parameters) -> Answer {
    let state = &mut *here.state();
    let answer = match method {
        "getMe" => Ok(get_me(&state.bots[token])),
        "setWebhook" => set_webhook(state, token, parameters),
        "deleteWebhook" => Ok(delete_webhook(state, token)),
        "getWebhookInfo" => Ok(webhook_info(&state.bots[token])),
        "getUpdates" => get_updates(&state.bots[token]),
        "sendMessage" => send_message(here, state, token, parameters),
        "sendChatAction" => send_chat_action(state, token, parameters),
        "answerCallbackQuery" => answer_callback_query(state, token, parameters),
        _ => Err(failure(404, "Not Found: method not found")),
    };
    answer.unwrap_or_else(|refused| refused)
}

fn bad(what: &str) -> Refused {
    failure(400, &format!("Bad Request: {what}"))
}

fn bot_user(bot: &BotState) -> Value {
    json!({"id": bot.id, "is_bot": true, "first_name": bot.first_name, "username": bot.username})
}

fn get_me(bot: &BotState) -> Answer {
    let mut user = bot_user(bot);
    user["can_join_groups"] = true.into();
    user["can_read_all_group_messages"] = (!bot.privacy).into();
    for flag in ["supports_guest_queries", "supports_inline_queries", "can_connect_to_business", "has_main_web_app"] {
        user[flag] = false.into();
    }
    success(user)
}

fn get_updates(bot: &BotState) -> Result<Answer, Refused> {
    match bot.webhook {
        Some(_) => Err(failure(409, "Conflict: can't use getUpdates method while webhook is active")),
        None => Ok(success(json!([]))),
    }
}

fn set_webhook(state: &mut State, token: &str, parameters: &Parameters) -> Result<Answer, Refused> {
    let Some(url) = parameters.raw("url").map(str::trim).filter(|url| !url.is_empty()) else {
        return Ok(delete_webhook(state, token));
    };
    let parsed = url::Url::parse(url).map_err(|_| bad("invalid webhook URL specified"))?;
    if !["http", "https"].contains(&parsed.scheme()) || parsed.host_str().is_none() {
        return Err(bad("invalid webhook URL specified"));
    }
    if state.https_only {
        if parsed.scheme() != "https" {
            return Err(bad("bad webhook: An HTTPS URL must be provided for webhook"));
        }
        if !PORTS.contains(&parsed.port_or_known_default().unwrap_or_default()) {
            return Err(bad("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443"));
        }
    }
    let secret = parameters.text("secret_token").map(str::to_owned);
    if let Some(secret) = &secret {
        if secret.len() > 256 {
            return Err(bad("secret token is too long"));
        }
        if !secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
            return Err(bad("secret token contains unallowed characters"));
        }
        secrets::note(secret);
    }
    let allowed = match parameters.nested("allowed_updates") {
        None => None,
        Some(list) => Some(
            serde_json::from_value::<Vec<String>>(list).map_err(|_| bad("can't parse allowed_updates JSON object"))?,
        ),
    };
    if parameters.text("max_connections").is_some() {
        let count = parameters.integer("max_connections").filter(|count| (1..=100).contains(count));
        count.ok_or_else(|| bad("max_connections must be between 1 and 100"))?;
    }
    let bot = state.bots.get_mut(token).unwrap();
    let webhook = Some(Webhook { url: url.to_owned(), secret });
    let is_new =
        bot.webhook != webhook || allowed.as_ref().is_some_and(|list| bot.allowed_updates.as_ref() != Some(list));
    bot.webhook = webhook;
    if allowed.is_some() {
        bot.allowed_updates = allowed;
    }
    Ok(success_with(true.into(), if is_new { "Webhook was set" } else { "Webhook is already set" }))
}

fn delete_webhook(state: &mut State, token: &str) -> Answer {
    let was_set = state.bots.get_mut(token).unwrap().webhook.take().is_some();
    success_with(true.into(), if was_set { "Webhook was deleted" } else { "Webhook is already deleted" })
}

fn webhook_info(bot: &BotState) -> Answer {
    let url = bot.webhook.as_ref().map_or("", |webhook| &webhook.url);
    let mut info = json!({"url": url, "has_custom_certificate": false, "pending_update_count": 0});
    if let Some(allowed) = &bot.allowed_updates {
        info["allowed_updates"] = json!(allowed);
    }
    success(info)
}

/// The chat a call names, which must be one in which somebody wrote to this bot.
fn chat(state: &State, token: &str, parameters: &Parameters) -> Result<i64, Refused> {
    let named = parameters.text("chat_id").ok_or_else(|| bad("chat_id is empty"))?;
    let id = named.parse().map_err(|_| bad("chat not found"))?;
    let known = state.chats.get(&id).ok_or_else(|| bad("chat not found"))?;
    if let Some(to) = known.moved_to {
        return Err(moved(to));
    }
    if !state.bots[token].reaches.contains(&id) {
        return Err(match known.kind {
            "private" => failure(403, "Forbidden: bot can't initiate conversation with a user"),
            kind => failure(403, &format!("Forbidden: bot is not a member of the {kind} chat")),
        });
    }
    Ok(id)
}

/// The topic a call names, which must be one of the chat. The General topic of a forum has no id.
fn thread(state: &State, chat: i64, parameters: &Parameters) -> Result<Option<i64>, Refused> {
    if parameters.text("message_thread_id").is_none() {
        return Ok(None);
    }
    let named = parameters.integer("message_thread_id").filter(|id| state.chats[&chat].topics.contains(id));
    named.map(Some).ok_or_else(|| bad("message thread not found"))
}

/// The message that is answered, with its topic; `None` if there is none and that is allowed.
fn replied(state: &State, chat: i64, parameters: &Parameters) -> Result<Option<(i64, Option<i64>)>, Refused> {
    let Some(reply) = parameters.nested("reply_parameters") else { return Ok(None) };
    if !reply.is_object() {
        return Err(bad("object expected as reply parameters"));
    }
    let Some(id) = reply["message_id"].as_i64() else { return Err(bad("message identifier is not specified")) };
    match state.chats[&chat].messages.get(&id) {
        Some(thread) => Ok(Some((id, *thread))),
        None if reply["allow_sending_without_reply"] == true => Ok(None),
        None => Err(bad("message to be replied not found")),
    }
}

/// The text and its formatting, by whichever of the three ways the call uses.
fn formatted(parameters: &Parameters) -> Result<html::Formatted, Refused> {
    let text = parameters.raw("text").unwrap_or_default();
    if text.len() > MAX_RAW_TEXT {
        return Err(bad("text is too long"));
    }
    let mode = parameters.text("parse_mode").unwrap_or_default().to_ascii_lowercase();
    let formatted = match mode.as_str() {
        "" => html::Formatted { text: text.to_owned(), entities: entities(text, parameters)? },
        "html" => html::parse(text).map_err(|why| bad(&format!("can't parse entities: {why}")))?,
        // The real one reads these, and this one says that it does not: no caller should fall back on plain text.
        "markdown" | "markdownv2" => return Err(bad("the stand-in reads no Markdown")),
        _ => return Err(bad("unsupported parse_mode")),
    };
    let formatted = trimmed(formatted);
    match formatted.text.encode_utf16().count() {
        0 => Err(bad("message text is empty")),
        1..=MAX_TEXT => Ok(formatted),
        _ => Err(bad("message is too long")),
    }
}

/// Entities given beside the text, whose offsets must be those of whole characters.
fn entities(text: &str, parameters: &Parameters) -> Result<Vec<Value>, Refused> {
    let Some(list) = parameters.nested("entities") else { return Ok(Vec::new()) };
    let Value::Array(list) = list else { return Err(bad("can't parse entities: expected an Array of MessageEntity")) };
    let mut borders = vec![0];
    borders.extend(text.chars().scan(0, |units, c| {
        *units += c.len_utf16() as u64;
        Some(*units)
    }));
    for entity in &list {
        let (Some(offset), Some(length)) = (entity["offset"].as_u64(), entity["length"].as_u64()) else {
            return Err(bad("can't parse entities: field \"offset\" or \"length\" must be a Number"));
        };
        if !entity["type"].is_string() {
            return Err(bad("can't parse entities: field \"type\" must be a String"));
        }
        if !borders.contains(&offset) || !borders.contains(&(offset + length)) {
            return Err(bad(&format!(
                "entity begins or ends in a middle of a UTF-16 symbol at UTF-16 offset {offset}"
            )));
        }
    }
    Ok(list)
}

/// Without the blanks around it, as every message is shown.
fn trimmed(formatted: html::Formatted) -> html::Formatted {
    let text = formatted.text.trim();
    let skipped =
        formatted.text[..formatted.text.len() - formatted.text.trim_start().len()].encode_utf16().count() as u64;
    let length = text.encode_utf16().count() as u64;
    let cut = |mut entity: Value| {
        let begin = entity["offset"].as_u64()?;
        let end = (begin + entity["length"].as_u64()?).saturating_sub(skipped).min(length);
        let begin = begin.saturating_sub(skipped);
        entity["offset"] = begin.into();
        entity["length"] = end.checked_sub(begin).filter(|length| *length > 0)?.into();
        Some(entity)
    };
    html::Formatted { text: text.to_owned(), entities: formatted.entities.into_iter().filter_map(cut).collect() }
}

fn send_message(here: &Telegram, state: &mut State, token: &str, parameters: &Parameters) -> Result<Answer, Refused> {
    let html::Formatted { text, entities } = formatted(parameters)?;
    let id = chat(state, token, parameters)?;
    let named = thread(state, id, parameters)?;
    let replied = replied(state, id, parameters)?;
    let thread = named.or(replied.and_then(|(_, thread)| thread));
    let chat = state.chats.get_mut(&id).unwrap();
    let message_id = chat.add_message(thread);
    let bot = &state.bots[token];
    let mut message = json!({
        "message_id": message_id, "from": bot_user(bot), "chat": chat.show(id), "date": unix_seconds(), "text": text,
    });
    if !entities.is_empty() {
        message["entities"] = json!(entities);
    }
    if let Some(thread) = thread {
        message["message_thread_id"] = thread.into();
        message["is_topic_message"] = true.into();
    }
    if let Some((replied, _)) = replied {
        message["reply_to_message"] = json!({"message_id": replied, "chat": chat.show(id)});
    }
    here.note_sent(Sent {
        bot: bot.username.clone(),
        chat: id,
        thread,
        message_id,
        text,
        entities,
        parse_mode: parameters.text("parse_mode").map(str::to_owned),
        reply_to: replied.map(|(id, _)| id),
    });
    Ok(success(message))
}

fn send_chat_action(state: &State, token: &str, parameters: &Parameters) -> Result<Answer, Refused> {
    let chat = chat(state, token, parameters)?;
    if !ACTIONS.contains(&parameters.text("action").unwrap_or_default()) {
        return Err(bad("wrong parameter action in request"));
    }
    thread(state, chat, parameters)?;
    Ok(success(true.into()))
}

fn answer_callback_query(state: &mut State, token: &str, parameters: &Parameters) -> Result<Answer, Refused> {
    let id = parameters.text("callback_query_id").unwrap_or_default();
    if parameters.text("text").is_some_and(|text| text.chars().count() > 200) {
        return Err(bad("MESSAGE_TOO_LONG"));
    }
    match state.bots[token].callbacks.contains(id) {
        true => Ok(success(true.into())),
        false => Err(bad("query is too old and response timeout expired or query ID is invalid")),
    }
}
