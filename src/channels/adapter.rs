//! What the relay needs of every platform: reading its events, and making the calls that deliver a reply.
//!
//! Adapters are pure: they neither call nor store anything, so that every answer of a platform can be tried
//! out in a test. Pairing, allow lists, repeats, limits, order and retries are the same for all and not here.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::api::{ApiAnswer, ApiCall};
use crate::domain::connection::{Connection, ConnectionSecrets};
use crate::domain::conversation::{ConversationKey, Destination};
use crate::domain::event_signature::SignatureError;
use crate::domain::ids::MessageId;
use crate::domain::pairing;
use crate::domain::timestamp::Timestamp;

/// An event as it came over HTTP.
pub struct RawEvent<'a> {
    /// A header that is text, by its name.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// `?secret=` of the URL.
    pub secret: Option<&'a str>,
    /// The bytes that are signed.
    pub body: &'a [u8],
}

/// What an event says.
#[derive(Debug)]
pub enum Event {
    /// The platform tries the endpoint out and wants just this answer, with HTTP 200. Counts against no limit.
    Handshake(Value),
    /// Authentic, and done with by this answer (nothing, if it is null), with HTTP 200. Counts against the limit,
    /// and gets its answer even beyond: to refuse it would cost as much, and show as a failure.
    Answered(Value),
    /// Authentic, and nothing that the relay will ever want. Says why, for the log.
    Ignored(&'static str),
    /// Somebody said something.
    Said(Box<Inbound>),
}

/// Something that a person said.
#[derive(Debug)]
pub struct Inbound {
    /// The person's id, in the platform's own JSON type.
    pub sender: Value,
    /// What messages give as `from`.
    pub from: String,
    /// What was said, as text; not yet sanitised nor cut.
    pub content: String,
    /// Metadata of the contract, without what the channel itself adds.
    pub metadata: Map<String, Value>,
    /// The same for every delivery of this event, and within the channel for no other.
    pub repeat_key: String,
    /// Where it was said, and what an answer to it needs.
    pub conversation: ConversationKey,
    /// What the adapter needs to answer this very message. Holds no secret.
    pub details: Value,
    /// A secret that answering needs (the token of a Discord interaction).
    pub answer_secret: Option<SecretString>,
    /// Whether the platform waits for an answer that only the agent's reply gives.
    pub is_question: bool,
    /// How a person who is not paired is to be understood: a try, a question how, or `None` for talk.
    pub pairing: Option<pairing::Request>,
    /// Whether others can read along where it was said.
    pub is_group: bool,
    /// Whether this was said in a thread that the bot may have no part in. It is then for the bot only if its
    /// conversation is known to the channel already, and somebody who is not paired hears nothing of it.
    pub only_in_known_conversation: bool,
    /// Whether the HTTP response itself speaks to the person; what there is to say is then not sent by a call.
    pub answers_in_response: bool,
    /// A call to be made once the message is safe (Telegram's progress bar under a pressed button).
    pub acknowledge: Option<ApiCall>,
}

/// What the person who spoke gets in the HTTP response, where [`Inbound::answers_in_response`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken<'a> {
    /// The message is safe; the agent's answer comes later.
    Deferred,
    /// This, for the person's eyes only.
    Privately(&'a str),
}

/// Reading a platform's events.
pub trait EventAdapter: Send + Sync {
    /// Whether the event was sent by the platform: by its signature over the raw bytes, or by its secret.
    fn verify(
        &self,
        connection: &Connection,
        secrets: &ConnectionSecrets,
        event: &RawEvent<'_>,
        now: Timestamp,
    ) -> Result<(), SignatureError>;

    /// Reads a verified event. Whatever cannot be read is [`Event::Ignored`].
    fn parse(&self, connection: &Connection, secrets: &ConnectionSecrets, event: &RawEvent<'_>) -> Event;

    /// The body of the HTTP response that says this, as JSON.
    fn response(&self, spoken: Spoken<'_>) -> Value;

    /// Whether one thing that was said can come as several events, which then have one repeat key. What there is
    /// to say about it is said once.
    fn splits_events(&self) -> bool {
        false
    }

    /// How somebody who is not paired can pair, in this platform's own words. `is_group`: where others read along.
    fn how_to_pair(&self, connection: &Connection, is_group: bool) -> String;
}

/// A reply on its way out.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// Id of the response.
    pub response: MessageId,
    /// Who sends.
    pub connection: &'a Connection,
    /// Its secrets; a mailbox has none.
    pub secrets: Option<&'a ConnectionSecrets>,
    /// What the channel is called.
    pub label: &'a str,
    /// Where it goes.
    pub conversation: &'a ConversationKey,
    /// The [`Inbound::details`] of the message that is answered: the one the reply names if it is one of this
    /// conversation, else the conversation's newest.
    pub details: &'a Value,
    /// The [`Inbound::answer_secret`] of that message.
    pub answer_secret: Option<&'a SecretString>,
    /// Whether the client named the message that is answered. Only then does the answer quote it.
    pub is_reply_to: bool,
    /// Whether this reply completes a question that the platform waits for an answer to.
    pub completes_question: bool,
    /// When that message came in.
    pub asked_at: Timestamp,
    /// What the agent wrote: CommonMark, sanitised and cut.
    pub content: &'a str,
    /// The time.
    pub now: Timestamp,
}

/// How far a reply came. Stored between tries, so that another replica goes on where this one stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Progress {
    /// Parts that arrived.
    pub parts: u32,
    /// The part at hand goes out as plain text: the platform could not parse its markup.
    pub plain: bool,
    /// The chat has moved here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// The way of answering a question is closed: an ordinary message goes out instead.
    pub by_message: bool,
}

/// What a platform's answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The part arrived; adapters count it in [`Progress::parts`] and reset [`Progress::plain`].
    Arrived {
        /// The platform wants no further call of this kind for so long.
        pause: Option<Duration>,
    },
    /// The same part is to be sent again at once in another form, which the adapter noted in the progress.
    Reformed,
    /// Not now.
    Later {
        /// What the platform asks to wait.
        after: Option<Duration>,
        /// Why, for people; no secret in it.
        reason: String,
        /// Every call of this bot is to wait, not only this conversation's.
        whole_bot: bool,
    },
    /// A daily or monthly quota is used up.
    QuotaSpent {
        /// What the platform asks to wait.
        after: Option<Duration>,
        /// Why, for people.
        reason: String,
    },
    /// Never.
    Refused {
        /// Why, for people.
        reason: String,
    },
    /// Never, and so will every other call of this bot be: its token is no good any more.
    Revoked {
        /// Why, for people.
        reason: String,
    },
}

/// Sending to a platform.
pub trait SendAdapter: Send + Sync {
    /// Where a reply with this metadata shall go, if they say.
    fn destination(&self, metadata: &Map<String, Value>) -> Option<Destination>;

    /// The call that sends the next part; `None` when all have arrived.
    fn next_call(&self, outgoing: &Outgoing<'_>, progress: &Progress) -> Option<ApiCall>;

    /// What the platform's answer to that call means.
    fn interpret(&self, outgoing: &Outgoing<'_>, progress: &mut Progress, answer: &ApiAnswer) -> Verdict;

    /// The call that shows the bot to be typing, where there is such a thing.
    fn typing(
        &self,
        connection: &Connection,
        secrets: &ConnectionSecrets,
        conversation: &ConversationKey,
    ) -> Option<ApiCall>;

    /// Why the bot's token is no good any more, if the answer to a call of [`SendAdapter::typing`] says so, on a
    /// platform that punishes whoever goes on with such a one.
    fn revoked(&self, _answer: &ApiAnswer) -> Option<String> {
        None
    }
}

/// Why a bot could not be registered. The texts are the platform's and safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// The platform said no, and will again.
    #[error("{0}")]
    Refused(String),
    /// The platform is overloaded or broken: later.
    #[error("{0}")]
    Unavailable(String),
}

/// Longest reason that is shown, in characters.
const MAX_REASON_CHARS: usize = 300;

/// A platform's own words as a reason: one line, without controls or tokens, cut.
pub(super) fn reason(words: &str) -> String {
    let line = super::tokens::without_tokens(&crate::domain::text::single_line(words));
    crate::domain::text::truncate_plain(line.trim(), MAX_REASON_CHARS).to_owned()
}
