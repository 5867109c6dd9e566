//! Replies to Discord: as the answer that a command waits for, or as messages of the bot.
//!
//! Sources: discord-api-docs `developers/interactions/receiving-and-responding.mdx` (answers to a command),
//! `developers/resources/message.mdx` (messages).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::answer::Failure;
use super::{Discord, snowflake, verdict};
use crate::channels::adapter::{Outgoing, Progress, SendAdapter, Verdict};
use crate::channels::api::{ApiAnswer, ApiCall, Method};
use crate::domain::connection::{Connection, ConnectionSecrets};
use crate::domain::conversation::{ConversationKey, Destination};
use crate::domain::digest::Digest;
use crate::domain::ids::MessageId;
use crate::domain::text::{Limit, split};
use crate::domain::timestamp::Timestamp;

/// How long a command can be answered by its token, in milliseconds: half a minute less than Discord's fifteen
/// minutes, for clocks that differ and calls that take their time.
const ANSWERABLE_MS: u64 = 14 * 60_000 + 30_000;
/// Most further answers to a command of an application that only its user has installed.
const MAX_FOLLOW_UPS: u32 = 5;
/// Bytes of a nonce before encoding; 22 characters then, where Discord takes 25.
const NONCE_BYTES: usize = 16;

/// [`Inbound::details`](crate::channels::adapter::Inbound::details) of a command.
pub(super) fn command_details(interaction: &str, application: &str, user_installed: bool) -> Value {
    let mut details = json!({"interactionId": interaction, "applicationId": application});
    if user_installed {
        details["userInstalled"] = true.into();
    }
    details
}

/// [`Inbound::details`](crate::channels::adapter::Inbound::details) of a message.
pub(super) fn message_details(id: &str) -> Value {
    json!({"messageId": id})
}

impl SendAdapter for Discord {
    fn destination(&self, metadata: &Map<String, Value>) -> Option<Destination> {
        let channel = match metadata.get("discordChannelId")? {
            Value::Null => return None,
            Value::String(channel) => channel.clone(),
            // What is no id still names something, which then nobody has: the reply must not go elsewhere.
            other => other.to_string(),
        };
        Some(Destination::Exactly(ConversationKey::new(&channel, None)))
    }

    fn next_call(&self, outgoing: &Outgoing<'_>, progress: &Progress) -> Option<ApiCall> {
        let parts = self.parts.of(outgoing.content, |content| split(content, Limit::DISCORD));
        let content = parts.get(usize::try_from(progress.parts).ok()?)?;
        let mut body = json!({"content": content, "allowed_mentions": {"parse": []}});
        Some(match way(outgoing, progress) {
            Way::Original(answer) => {
                let path = answer.path("/messages/@original");
                self.call("editOriginalResponse", Method::Patch, path.expose_secret()).json(&body)
            }
            Way::FollowUp(answer) => {
                self.call("createFollowup", Method::Post, answer.path("").expose_secret()).json(&body)
            }
            Way::Message => {
                body["nonce"] = nonce(outgoing.response, progress.parts).into();
                body["enforce_nonce"] = true.into();
                if let Some(quoted) = quoted(outgoing, progress) {
                    body["message_reference"] = json!({"message_id": quoted, "fail_if_not_exists": false});
                }
                let path = format!("/channels/{}/messages", segment(&outgoing.conversation.chat));
                match outgoing.secrets {
                    Some(secrets) => self.bot_call("createMessage", Method::Post, &path, &secrets.token),
                    None => self.call("createMessage", Method::Post, &path),
                }
                .json(&body)
            }
        })
    }

    fn interpret(&self, outgoing: &Outgoing<'_>, progress: &mut Progress, answer: &ApiAnswer) -> Verdict {
        verdict::of(outgoing, progress, answer)
    }

    fn typing(
        &self,
        _connection: &Connection,
        secrets: &ConnectionSecrets,
        conversation: &ConversationKey,
    ) -> Option<ApiCall> {
        let path = format!("/channels/{}/typing", segment(&conversation.chat));
        Some(self.bot_call("triggerTyping", Method::Post, &path, &secrets.token))
    }

    fn revoked(&self, answer: &ApiAnswer) -> Option<String> {
        (answer.status == 401).then(|| Failure::read(answer, Timestamp::EPOCH).reason)
    }
}

/// How a part goes out.
pub(super) enum Way<'a> {
    /// In the place of "thinking…".
    Original(Answer<'a>),
    /// As a further answer to the command.
    FollowUp(Answer<'a>),
    /// As a message of the bot.
    Message,
}

/// A command that can still be answered.
pub(super) struct Answer<'a> {
    application: &'a str,
    token: &'a SecretString,
}

impl Answer<'_> {
    /// The path of its answers, or of what is below. Whoever knows it can answer.
    fn path(&self, below: &str) -> SecretString {
        format!("/webhooks/{}/{}{below}", self.application, self.token.expose_secret()).into()
    }
}

pub(super) fn way<'a>(outgoing: &Outgoing<'a>, progress: &Progress) -> Way<'a> {
    let application = outgoing.details["applicationId"].as_str().filter(|id| snowflake::is_id(id));
    let (Some(token), Some(application)) = (outgoing.answer_secret, application) else { return Way::Message };
    if progress.by_message || age_ms(outgoing) >= ANSWERABLE_MS {
        return Way::Message;
    }
    let answer = Answer { application, token };
    if outgoing.completes_question && progress.parts == 0 {
        return Way::Original(answer);
    }
    let further = progress.parts.saturating_sub(u32::from(outgoing.completes_question));
    if outgoing.details["userInstalled"] == true && further >= MAX_FOLLOW_UPS {
        return Way::Message;
    }
    Way::FollowUp(answer)
}

pub(super) fn age_ms(outgoing: &Outgoing<'_>) -> u64 {
    outgoing.now.millis().saturating_sub(outgoing.asked_at.millis())
}

/// The message that this part quotes. A part that is to go out plainly quotes none: Discord did not take it so.
pub(super) fn quoted<'a>(outgoing: &Outgoing<'a>, progress: &Progress) -> Option<&'a str> {
    let wanted = outgoing.is_reply_to && progress.parts == 0 && !progress.plain;
    outgoing.details["messageId"].as_str().filter(|id| wanted && snowflake::is_id(id))
}

/// What makes Discord send a part once when it is asked twice within minutes. Unique for the bot, not for the
/// channel; the same whichever replica tries. Source: discord-api-docs `developers/resources/message.mdx`.
fn nonce(response: MessageId, part: u32) -> String {
    let digest = Digest::of(format!("{response}:{part}").as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_bytes()[..NONCE_BYTES])
}

/// A channel's id as part of a path: its digits, and nothing that could lead elsewhere.
fn segment(chat: &str) -> String {
    form_urlencoded::byte_serialize(chat.as_bytes()).collect()
}

#[cfg(test)]
mod tests;
