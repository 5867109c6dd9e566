//! Posting a reply. Source: docs.slack.dev/reference/methods/chat.postMessage.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::is_direct;
use crate::channels::adapter::{Progress, Verdict};
use crate::channels::api::ApiAnswer;
use crate::domain::conversation::{ConversationKey, Destination};
use crate::domain::text::{Limit, split, to_slack_mrkdwn};

/// Errors after which no call with this token can succeed.
const REVOKED: [&str; 5] = ["invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"];

/// Time between two parts of a reply: Slack wants about one message a second in a channel.
const BETWEEN_PARTS: Duration = Duration::from_secs(1);

/// Where a reply with this metadata goes. Metadata that a message came with bring the answer to that message.
pub(super) fn destination(metadata: &Map<String, Value>) -> Option<Destination> {
    let text = |name: &str| metadata.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let channel = match metadata.get("slackChannelId")? {
        // What is no id still names something, which then nobody has: the reply must not go elsewhere.
        other if !other.is_null() && !other.is_string() => return Some(Destination::Chat(other.to_string())),
        _ => text("slackChannelId")?,
    };
    let exactly = |thread| Destination::Exactly(ConversationKey::new(channel, thread));
    Some(match (text("threadTs"), text("ts")) {
        (Some(thread), _) => exactly(Some(thread)),
        (None, Some(_)) if is_direct(channel) => exactly(None),
        (None, Some(ts)) => exactly(Some(ts)),
        (None, None) => Destination::Chat(channel.to_owned()),
    })
}

/// The body of a message. Of a thread the conversation knows the root alone, as Slack wants it.
pub(super) fn message(conversation: &ConversationKey, text: &str) -> Value {
    let mut message = json!({"channel": conversation.chat, "text": text, "mrkdwn": true, "unfurl_links": false});
    if let Some(thread) = &conversation.thread {
        message["thread_ts"] = thread.as_str().into();
    }
    message
}

/// All parts as Slack's text, each within [`Limit::SLACK`].
///
/// They depend on nothing but `content`, so that a number means the same at every try.
pub(super) fn parts(content: &str) -> Vec<String> {
    let mut parts = Vec::new();
    collect(content, Limit::SLACK, &mut parts);
    parts
}

/// Splits `text` by `limit`, and by half of it wherever a part has become too long by rendering: `&` takes five
/// characters, and a link can be defined once and used many times.
fn collect(text: &str, limit: Limit, parts: &mut Vec<String>) {
    for piece in split(text, limit) {
        let rendered = render(&piece);
        if Limit::SLACK.measure(&rendered) > Limit::SLACK.max && limit.max > Limit::SMALLEST {
            collect(&piece, limit.less(limit.max / 2), parts);
        } else {
            parts.push(rendered);
        }
    }
}

/// `markdown` for Slack. What shows nothing, such as the definition of a link, is shown as it was written: Slack
/// takes no message without text.
fn render(markdown: &str) -> String {
    let rendered = to_slack_mrkdwn(markdown);
    if !rendered.trim().is_empty() {
        return rendered;
    }
    markdown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What Slack's answer to a message means. `is_part` says whether there is a part with this number.
pub(super) fn interpret(is_part: impl FnOnce(u32) -> bool, progress: &mut Progress, answer: &ApiAnswer) -> Verdict {
    match Answer::read(answer) {
        Answer::Done(_) => {
            progress.parts = progress.parts.saturating_add(1);
            progress.plain = false;
            let pause = is_part(progress.parts).then_some(BETWEEN_PARTS);
            Verdict::Arrived { pause }
        }
        // Limits hold for the method in the whole workspace. Source: docs.slack.dev/apis/web-api/rate-limits.
        Answer::Later { after, reason, is_limit } => Verdict::Later { after, reason, whole_bot: is_limit },
        Answer::Failed { error, reason } if REVOKED.contains(&error.as_str()) => {
            Verdict::Revoked { reason: format!("Slack no longer takes the bot's token: {reason}") }
        }
        Answer::Failed { reason, .. } => Verdict::Refused { reason: format!("Slack refused the message: {reason}") },
    }
}
