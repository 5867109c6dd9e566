//! Events of Telegram, Discord and Slack: who may write is let through, everybody else is told how.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use super::Relay;
use super::authenticate::Passed;
use super::error::Error;
use super::known_channel::KnownChannel;
use crate::channels::adapter::{Event, EventAdapter, Inbound, RawEvent, Spoken};
use crate::domain::channel::ChannelKind;
use crate::domain::conversation::Origin;
use crate::domain::digest::Digest;
use crate::domain::ids::ChannelId;
use crate::domain::limit::LimitStatus;
use crate::domain::message::{NewRecord, members};
use crate::domain::sealing::Owner;
use crate::domain::text;
use crate::domain::timestamp::Timestamp;
use crate::store::operator::Counter;
use crate::store::{Ingest, IngestOutcome, Secret};
use crate::telemetry::traces::within;

/// Longest `from`, in characters.
const MAX_FROM_CHARS: usize = 200;
/// How often an event is judged again because the channel was changed meanwhile.
const TRIES: usize = 5;
/// Member of a message's details that holds the sealed secret with which it can be answered.
pub(super) const SEALED: &str = "sealed";

/// An event at a channel's URL.
pub struct PlatformRequest<'a> {
    /// The platform that the URL names.
    pub kind: ChannelKind,
    /// The channel as the URL names it.
    pub channel: &'a str,
    /// What came.
    pub event: RawEvent<'a>,
}

/// What the platform is answered, with HTTP 2xx.
#[derive(Debug, PartialEq)]
pub enum PlatformAnswer {
    /// This, as JSON.
    Body(Value),
    /// Nothing, with 204.
    Nothing,
}

impl PlatformAnswer {
    pub(super) fn taken() -> Self {
        Self::Body(json!({"ok": true}))
    }

    /// An adapter's answer, where null is none.
    fn of(answer: Value) -> Self {
        if answer.is_null() { Self::Nothing } else { Self::Body(answer) }
    }
}

/// One judgement of an event.
pub(super) enum Judged {
    /// It is done with.
    Done(PlatformAnswer),
    /// The channel has changed: judge again.
    Changed,
}

/// What an event was counted as.
pub(super) enum Counted {
    /// It may go on.
    Admitted,
    /// The channel takes nothing at the moment.
    Disabled,
    /// Too many in this time.
    OverLimit(LimitStatus),
    /// The channel has changed.
    Changed,
}

impl Relay {
    /// Takes an event. When this returns an answer, what was said is safe, or the relay will never want it.
    pub async fn receive(&self, request: PlatformRequest<'_>) -> Result<Passed<PlatformAnswer>, Error> {
        let id: ChannelId = request.channel.parse().map_err(|_| Error::no_channel(request.channel))?;
        let mut channel = match self.known_channel(&id).await? {
            Some(channel) => channel,
            None => return Err(self.not_of_a_platform(&id, request.kind).await?),
        };
        let mut admitted = None;
        for _ in 0..TRIES {
            let actual = channel.channel().kind;
            if actual != request.kind {
                return Err(wrong_platform(actual, request.kind));
            }
            match self.judge(&channel, &request, &mut admitted).await? {
                Judged::Done(value) => return Ok(Passed { value, limit: admitted }),
                Judged::Changed => match self.load_channel(&id).await? {
                    Some(now) => channel = now,
                    None => return Err(self.not_of_a_platform(&id, request.kind).await?),
                },
            }
        }
        Err(Error::TryAgain { message: "the channel is being changed by others at this moment", seconds: 1 })
    }

    /// The refusal of an event at a channel that is no platform's, or not there.
    async fn not_of_a_platform(&self, id: &ChannelId, wanted: ChannelKind) -> Result<Error, Error> {
        let exists = self.store.channel_owner(id).await?.is_some();
        Ok(if exists { wrong_platform(ChannelKind::Webhook, wanted) } else { Error::no_channel(id.as_str()) })
    }

    async fn judge(
        &self,
        channel: &Arc<KnownChannel>,
        request: &PlatformRequest<'_>,
        admitted: &mut Option<LimitStatus>,
    ) -> Result<Judged, Error> {
        let (Some(adapter), Some(secrets)) = (self.shared.platforms.events(request.kind), &channel.secrets) else {
            return Err(Error::Internal("a channel without the secrets of its platform".to_owned()));
        };
        if let Err(error) = adapter.verify(&channel.connection, secrets, &request.event, Timestamp::now()) {
            tracing::debug!(channel = %channel.channel().id, %error, "an event was not believed");
            return Err(Error::Unauthorized {
                code: "invalid_signature",
                message: "the event is not signed as it must be",
            });
        }
        match adapter.parse(&channel.connection, secrets, &request.event) {
            Event::Handshake(answer) => self.shake_hands(channel, answer).await,
            Event::Answered(answer) => match self.count(channel, admitted).await? {
                Counted::Changed => Ok(Judged::Changed),
                Counted::Admitted | Counted::Disabled | Counted::OverLimit(_) => {
                    Ok(Judged::Done(PlatformAnswer::of(answer)))
                }
            },
            Event::Ignored(why) => {
                tracing::debug!(channel = %channel.channel().id, why, "an event is of no interest");
                match self.count(channel, admitted).await? {
                    Counted::Changed => Ok(Judged::Changed),
                    Counted::OverLimit(status) => Err(Error::Limited(status)),
                    Counted::Admitted | Counted::Disabled => Ok(Judged::Done(PlatformAnswer::taken())),
                }
            }
            Event::Said(inbound) => self.hear(channel, adapter, *inbound, admitted).await,
        }
    }

    /// Answers a platform that tries the endpoint out, unless the channel is gone or changed.
    async fn shake_hands(&self, channel: &Arc<KnownChannel>, answer: Value) -> Result<Judged, Error> {
        let now = self.store.read_channel(&channel.user, &channel.channel().id).await?;
        if now.is_none_or(|now| now.revision != channel.record.revision) {
            return Ok(Judged::Changed);
        }
        Ok(Judged::Done(PlatformAnswer::of(answer)))
    }

    async fn hear(
        &self,
        channel: &Arc<KnownChannel>,
        adapter: &dyn EventAdapter,
        inbound: Inbound,
        admitted: &mut Option<LimitStatus>,
    ) -> Result<Judged, Error> {
        let event = Digest::of(inbound.repeat_key.as_bytes());
        if !channel.channel().allows(&inbound.sender) {
            return self.hear_stranger(channel, adapter, inbound, event, admitted).await;
        }
        let paired_now = channel.channel().paired_by.contains(&event);
        // A command to pair is a question to the relay, where it is more than a text.
        let asks_relay = inbound.answers_in_response && !inbound.is_question;
        if !paired_now && !asks_relay {
            return self.take_in(channel, adapter, inbound, event, admitted).await;
        }
        match self.count(channel, admitted).await? {
            Counted::Changed => Ok(Judged::Changed),
            Counted::Admitted if paired_now && !self.is_unanswered(channel, adapter, event).await? => {
                Ok(Judged::Done(PlatformAnswer::taken()))
            }
            counted => {
                let said = if paired_now { super::pair::CONFIRMATION } else { "You are paired already." };
                self.say(channel, adapter, &inbound, counted, Some(said))
            }
        }
    }

    /// Stores what a person said who may write.
    async fn take_in(
        &self,
        channel: &Arc<KnownChannel>,
        adapter: &dyn EventAdapter,
        mut inbound: Inbound,
        event: Digest,
        admitted: &mut Option<LimitStatus>,
    ) -> Result<Judged, Error> {
        let id = &channel.channel().id;
        let details = self.seal_answer(channel, &mut inbound);
        let origin = Origin { conversation: inbound.conversation.clone(), details, is_question: inbound.is_question };
        let mut record = new_record(channel, &inbound);
        let step = self.shared.ingest_step(&mut record, id, channel.channel().kind);
        let ingest = Ingest {
            is_admitted: admitted.is_some(),
            idempotency: Some(event),
            record: Some(&record),
            origin: Some(&origin),
            only_known: inbound.only_in_known_conversation,
            ..self.ingest_of(channel)
        };
        let refused = |counted| self.say(channel, adapter, &inbound, counted, None);
        let outcome = within(step.context(), self.store.append_message(&ingest)).await?;
        drop(step);
        self.shared.note_ingested(&outcome, channel.user, id, channel.channel().kind);
        match outcome {
            IngestOutcome::Accepted(_, status) | IngestOutcome::Duplicate(_, status) => {
                admitted.get_or_insert(status);
            }
            IngestOutcome::NotKnown(status) => {
                admitted.get_or_insert(status);
                return Ok(Judged::Done(PlatformAnswer::taken()));
            }
            IngestOutcome::OverLimit(status) => return refused(Counted::OverLimit(status)),
            IngestOutcome::Disabled(status) => {
                admitted.get_or_insert(status);
                return refused(Counted::Disabled);
            }
            IngestOutcome::Changed | IngestOutcome::NoChannel | IngestOutcome::WrongKind(_) => {
                return Ok(Judged::Changed);
            }
            IngestOutcome::WrongSecret | IngestOutcome::Admitted(_) => {
                return Err(Error::Internal(format!("an event at {id} got an answer it did not ask for")));
            }
        }
        if let Some(call) = inbound.acknowledge.take() {
            let relay = self.clone();
            tokio::spawn(async move { relay.call(call).await });
        }
        Ok(Judged::Done(PlatformAnswer::Body(if inbound.answers_in_response {
            adapter.response(Spoken::Deferred)
        } else {
            json!({"ok": true})
        })))
    }

    /// The details of a message with the secret that answering needs, sealed.
    fn seal_answer(&self, channel: &KnownChannel, inbound: &mut Inbound) -> Value {
        let mut details = inbound.details.take();
        if let (Some(secret), Value::Object(members)) = (&inbound.answer_secret, &mut details) {
            let owner = channel.user.to_string();
            let sealed = self.shared.keys.seal(Owner::Answer(&owner, channel.channel().id.as_str()), secret);
            members.insert(SEALED.to_owned(), sealed.into());
        }
        details
    }

    /// Counts an event that is not stored.
    pub(super) async fn count(
        &self,
        channel: &KnownChannel,
        admitted: &mut Option<LimitStatus>,
    ) -> Result<Counted, Error> {
        let ingest = Ingest { is_admitted: admitted.is_some(), ..self.ingest_of(channel) };
        Ok(match self.store.append_message(&ingest).await? {
            IngestOutcome::OverLimit(status) => Counted::OverLimit(status),
            IngestOutcome::Disabled(status) => {
                admitted.get_or_insert(status);
                Counted::Disabled
            }
            IngestOutcome::Admitted(status) => {
                admitted.get_or_insert(status);
                Counted::Admitted
            }
            _ => Counted::Changed,
        })
    }

    pub(super) fn ingest_of<'a>(&self, channel: &'a KnownChannel) -> Ingest<'a> {
        Ingest {
            user: channel.user,
            channel: &channel.channel().id,
            kind: channel.channel().kind,
            secret: Secret::Verified,
            limit: self.shared.limits.webhook,
            is_admitted: false,
            revision: Some(channel.record.revision),
            origin: None,
            only_known: false,
            idempotency: None,
            record: None,
        }
    }

    /// Answers an event that was not stored: `said`, if it was admitted. In the response, where the platform
    /// shows that to the person; else by a message of the bot.
    pub(super) fn say(
        &self,
        channel: &Arc<KnownChannel>,
        adapter: &dyn EventAdapter,
        inbound: &Inbound,
        counted: Counted,
        said: Option<&str>,
    ) -> Result<Judged, Error> {
        let in_response = inbound.answers_in_response;
        let wait;
        let said = match counted {
            Counted::Changed => return Ok(Judged::Changed),
            Counted::Admitted => said,
            Counted::OverLimit(status) if in_response => {
                // The platform is answered 200, which nobody else counts as a refusal.
                self.shared.tally.count(Counter::RateLimited);
                wait = format!("That is too much at once. Please try again in {} seconds.", status.reset_seconds());
                Some(wait.as_str())
            }
            Counted::OverLimit(status) => return Err(Error::Limited(status)),
            Counted::Disabled if in_response => Some("This bot is switched off at the moment."),
            Counted::Disabled => None,
        };
        let answer = match said {
            Some(said) if in_response => PlatformAnswer::Body(adapter.response(Spoken::Privately(said))),
            Some(said) => {
                self.speak(channel, inbound, said);
                PlatformAnswer::taken()
            }
            None => PlatformAnswer::taken(),
        };
        Ok(Judged::Done(answer))
    }
}

fn wrong_platform(actual: ChannelKind, wanted: ChannelKind) -> Error {
    Error::invalid("wrong_channel_type", format!("the channel is of type \"{actual}\" and takes no {wanted} events"))
}

/// The message that an event becomes.
pub(super) fn new_record(channel: &KnownChannel, inbound: &Inbound) -> NewRecord {
    let cleaned = inbound.metadata.iter().map(|(name, value)| (name.clone(), text::sanitise_json(value.clone())));
    let mut metadata: Map<String, Value> = cleaned.collect();
    let from = text::single_line(&inbound.from);
    let from = text::truncate_plain(from.trim(), MAX_FROM_CHARS);
    let cut = text::truncate(text::sanitise(&inbound.content), text::MAX_CONTENT_BYTES);
    if let Some(original) = cut.original_bytes {
        metadata.insert("truncated".to_owned(), true.into());
        metadata.insert("originalContentBytes".to_owned(), original.into());
    }
    NewRecord::new(channel.user, &channel.channel().id, from, &cut.text, members(&metadata))
}

impl Relay {
    /// The secret with which a message can be answered, and the message's other details.
    pub(super) fn unseal_answer(&self, channel: &KnownChannel, details: &Value) -> Option<secrecy::SecretString> {
        let sealed = details.get(SEALED)?.as_str()?;
        let owner = channel.user.to_string();
        let secret = self.shared.keys.unseal(Owner::Answer(&owner, channel.channel().id.as_str()), sealed).ok()?;
        Some(secret).filter(|secret| !secret.expose_secret().is_empty())
    }
}
