//! Slack: reading the events of an app, and posting as its bot.
//!
//! An app belongs to one workspace. Events are signed with its signing secret, calls carry its bot token.

mod answer;
mod event;
mod mention;
mod registration;
mod sending;

use std::ops::RangeInclusive;

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::adapter::{
    Event, EventAdapter, Outgoing, Progress, RawEvent, RegistrationError, SendAdapter, Spoken, Verdict,
};
use super::api::{ApiAnswer, ApiCall, Method};
use super::parts::RecentParts;
use crate::domain::channel::ChannelKind;
use crate::domain::connection::{Connection, ConnectionSecrets, SlackApp};
use crate::domain::conversation::{ConversationKey, Destination};
use crate::domain::event_signature::{SignatureError, verify_slack};
use crate::domain::timestamp::Timestamp;

/// Longest token that is tried, in characters: longer than any that Slack gives out.
const MAX_TOKEN_CHARS: usize = 200;
/// Lengths of a signing secret, in characters. Slack documents none; that of its example has 32.
const SIGNING_SECRET_CHARS: RangeInclusive<usize> = 8..=128;
/// Longest id of a person, channel, workspace or message that is believed, in bytes. Slack's are far shorter.
const MAX_ID_BYTES: usize = 64;

/// Whether `text` can be a token: bot tokens begin with `xoxb-`, rotating ones with `xoxe.xoxb-`, and those of
/// users and older apps with `xox` as well. Source: docs.slack.dev/authentication/tokens.
pub fn is_token(text: &str) -> bool {
    text.starts_with("xox") && text.len() <= MAX_TOKEN_CHARS && is_visible(text)
}

/// Whether `text` can be a signing secret.
pub fn is_signing_secret(text: &str) -> bool {
    SIGNING_SECRET_CHARS.contains(&text.len()) && is_visible(text)
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Slack's Web API at one address.
#[derive(Clone, Debug)]
pub struct Slack {
    base: String,
    parts: RecentParts<String>,
}

impl Slack {
    /// The API at `base`, such as `https://slack.com/api`; a slash at its end does not matter.
    pub fn new(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), parts: RecentParts::new() }
    }

    /// The call that asks who a token belongs to. It needs no scope.
    /// Source: docs.slack.dev/reference/methods/auth.test.
    pub fn auth_test(&self, token: &SecretString) -> ApiCall {
        self.call("auth.test").authorization("Bearer", token)
    }

    /// Reads the answer to [`Slack::auth_test`].
    pub fn read_identity(&self, answer: &ApiAnswer) -> Result<SlackApp, RegistrationError> {
        registration::read_identity(answer)
    }

    /// Part `number` of `content`, counted from 0; `None` behind the last one.
    fn part(&self, content: &str, number: u32) -> Option<String> {
        self.parts.of(content, sending::parts).get(usize::try_from(number).ok()?).cloned()
    }

    /// A call of one of the API's methods, all of which take POST.
    fn call(&self, method: &'static str) -> ApiCall {
        ApiCall::new(ChannelKind::Slack, method, Method::Post, format!("{}/{method}", self.base))
    }
}

impl EventAdapter for Slack {
    fn verify(
        &self,
        _: &Connection,
        secrets: &ConnectionSecrets,
        event: &RawEvent<'_>,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        let header = |name| (event.header)(name).unwrap_or_default();
        let (timestamp, signature) = (header("x-slack-request-timestamp"), header("x-slack-signature"));
        verify_slack(&secrets.events, timestamp, signature, event.body, now)
    }

    fn parse(&self, connection: &Connection, _: &ConnectionSecrets, event: &RawEvent<'_>) -> Event {
        match connection {
            Connection::Slack(app) => event::read(app, event.body),
            _ => Event::Ignored("the channel is none of Slack's"),
        }
    }

    /// Slack reads nothing but the status.
    fn response(&self, _: Spoken<'_>) -> Value {
        json!({})
    }

    /// A post that mentions the bot comes as `message` and as `app_mention`.
    fn splits_events(&self) -> bool {
        true
    }

    fn how_to_pair(&self, connection: &Connection, is_group: bool) -> String {
        const WHY: &str = "I do not know you yet. If I am your agent, ";
        if is_group {
            let bot = connection.label();
            format!("{WHY}mention me here with the pairing code that you were given: `@{bot} pair <code>`")
        } else {
            format!("{WHY}send me the pairing code that you were given: `pair <code>`")
        }
    }
}

impl SendAdapter for Slack {
    fn destination(&self, metadata: &Map<String, Value>) -> Option<Destination> {
        sending::destination(metadata)
    }

    fn next_call(&self, outgoing: &Outgoing<'_>, progress: &Progress) -> Option<ApiCall> {
        let text = self.part(outgoing.content, progress.parts)?;
        let call = self.call("chat.postMessage").json(&sending::message(outgoing.conversation, &text));
        // Without secrets Slack says what is wrong, and the reply does not count as delivered.
        Some(match outgoing.secrets {
            Some(secrets) => call.authorization("Bearer", &secrets.token),
            None => call,
        })
    }

    fn interpret(&self, outgoing: &Outgoing<'_>, progress: &mut Progress, answer: &ApiAnswer) -> Verdict {
        sending::interpret(|number| self.part(outgoing.content, number).is_some(), progress, answer)
    }

    /// Apps that live on HTTP cannot show that they are typing.
    fn typing(&self, _: &Connection, _: &ConnectionSecrets, _: &ConversationKey) -> Option<ApiCall> {
        None
    }
}

/// The text of a member that is an id. The timestamp of a message is one too: what it names, not a number.
fn id(value: &Value) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    value.as_str().filter(|id| (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(is_plain))
}

/// Whether the id of a channel is that of a direct message.
/// Source: docs.slack.dev/reference/events/message.
fn is_direct(channel: &str) -> bool {
    channel.starts_with('D')
}

#[cfg(test)]
mod tests;
