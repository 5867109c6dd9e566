//! What Discord's answers say, whichever call they are to.
//!
//! Sources: discord-api-docs `developers/topics/rate-limits.mdx`, `developers/topics/opcodes-and-status-codes.mdx`,
//! `developers/reference.mdx` ("Error Messages").

use std::time::Duration;

use serde_json::Value;

use crate::channels::adapter::reason;
use crate::channels::api::ApiAnswer;
use crate::domain::retry;
use crate::domain::timestamp::Timestamp;

/// What only the API itself sends with a 429, and its edge does not.
const RATE_LIMIT_HEADERS: [&str; 4] =
    ["x-ratelimit-scope", "x-ratelimit-bucket", "x-ratelimit-global", "x-ratelimit-reset-after"];

/// Whether the call did what it was to do. A page with a good status is not Discord's: something stands before it,
/// and the call was not made.
pub(super) fn is_success(answer: &ApiAnswer) -> bool {
    (200..300).contains(&answer.status) && (answer.body.is_empty() || !answer.json().is_null())
}

/// Whether Discord's edge has shut this machine out, for the sake of all of its bots' calls.
///
/// Such a 429 did not pass through the API's own proxies, which name themselves in `Via`. Where a proxy of the
/// operator removed that, the headers about a limit show that the API answered.
pub(super) fn is_ban(answer: &ApiAnswer) -> bool {
    let by_the_api = || RATE_LIMIT_HEADERS.iter().any(|name| answer.header(name).is_some());
    answer.status == 429 && answer.header("via").is_none() && !by_the_api()
}

/// An answer that is not the wanted one.
pub(super) struct Failure {
    /// Discord's own number for it, if the answer has one.
    pub(super) code: Option<u64>,
    /// Why, in Discord's words, for people.
    pub(super) reason: String,
    /// What Discord asks to wait.
    pub(super) after: Option<Duration>,
    /// Whether it concerns every call of the bot.
    pub(super) is_global: bool,
    /// Whether the message that is quoted is what is wrong.
    pub(super) is_about_quote: bool,
}

impl Failure {
    /// Reads an answer that came at `now`. Whatever cannot be read is told by its HTTP status.
    pub(super) fn read(answer: &ApiAnswer, now: Timestamp) -> Self {
        let body = answer.json();
        let words = match (body["message"].as_str(), first_detail(&body["errors"])) {
            (Some(message), Some(detail)) => format!("{message}: {detail}"),
            (Some(message), None) => message.to_owned(),
            (None, _) => String::new(),
        };
        let reason = match reason(&words) {
            empty if empty.is_empty() => format!("Discord answered with HTTP status {}", answer.status),
            words => words,
        };
        let header = |name, value: &str| answer.header(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
        Self {
            code: body["code"].as_u64(),
            reason,
            after: asked_wait(&body["retry_after"], now)
                .or_else(|| retry::parse_retry_after(answer.header("retry-after")?, now)),
            is_global: body["global"] == true
                || header("x-ratelimit-global", "true")
                || header("x-ratelimit-scope", "global"),
            is_about_quote: body["errors"]["message_reference"].is_object(),
        }
    }
}

/// `retry_after`: seconds with a fraction, which the header has rounded.
fn asked_wait(value: &Value, now: Timestamp) -> Option<Duration> {
    match value {
        Value::Number(seconds) => retry::parse_retry_after(&seconds.to_string(), now),
        Value::String(seconds) => retry::parse_retry_after(seconds, now),
        _ => None,
    }
}

/// The first text in Discord's tree of what is wrong with a request: members as they were sent, with lists named
/// `_errors` at the leaves. JSON that is nested deeper than 128 is not parsed at all, so this ends.
fn first_detail(errors: &Value) -> Option<&str> {
    match errors {
        Value::Object(members) => members.iter().find_map(|(name, inner)| match inner {
            Value::Array(list) if name == "_errors" => list.iter().find_map(|error| error["message"].as_str()),
            inner => first_detail(inner),
        }),
        _ => None,
    }
}
