//! Accepting a message from an external service.

use bytes::Bytes;

use super::Relay;
use super::error::Error;
use crate::channels::webhook::{self, Inbound};
use crate::domain::channel::ChannelKind;
use crate::domain::digest::Digest;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::limit::LimitStatus;
use crate::domain::message::NewRecord;
use crate::store::{Ingest, IngestOutcome, Secret};
use crate::telemetry::traces::within;

/// Bodies beyond this size, in bytes, are looked at only once their sender was admitted, and then off the
/// worker's thread: what a hostile one costs would hold up everybody else's requests. It takes a second
/// call of the store, which ordinary messages are spared.
const ADMIT_FIRST: usize = 64 * 1024;
/// Longest idempotency key, in bytes.
const MAX_IDEMPOTENCY_KEY: usize = 256;
/// What an answer takes, in bytes at most.
const ANSWER_BYTES: usize = 88;

/// A request to a generic webhook.
#[derive(Debug)]
pub struct WebhookRequest<'a> {
    /// The channel as the URL names it.
    pub channel: &'a str,
    /// The secret that came along.
    pub token: Option<&'a str>,
    /// `Content-Type`.
    pub content_type: &'a str,
    /// `X-Webhook-Source`.
    pub source: Option<&'a str>,
    /// What makes a repeat recognisable, as it was sent.
    pub idempotency_key: Option<&'a [u8]>,
    /// The body.
    pub body: Bytes,
}

/// An accepted message.
#[derive(Debug)]
pub struct Accepted {
    /// The answer, as JSON.
    pub answer: String,
    /// Where the channel's limit stands.
    pub limit: LimitStatus,
}

impl Relay {
    /// Stores what a generic webhook brought and wakes the owner's sockets. When this returns, it is safe.
    pub async fn ingest_webhook(&self, request: WebhookRequest<'_>) -> Result<Accepted, Error> {
        let unknown = || Error::no_channel(request.channel);
        let channel: ChannelId = request.channel.parse().map_err(|_| unknown())?;
        let owner = self.channel_owner(&channel).await?.ok_or_else(unknown)?;
        match self.ingest_for(owner, &channel, &request).await {
            // Who was remembered as the owner is not: somebody else may be by now.
            Err(Error::NotFound { .. }) if self.forget_owner(&channel) => {
                let owner = self.channel_owner(&channel).await?.ok_or_else(unknown)?;
                self.ingest_for(owner, &channel, &request).await
            }
            done => done,
        }
    }

    async fn ingest_for(
        &self,
        owner: UserId,
        channel: &ChannelId,
        request: &WebhookRequest<'_>,
    ) -> Result<Accepted, Error> {
        let idempotency = request.idempotency_key.map(check_idempotency_key).transpose();
        let mut ingest = Ingest::new(
            owner,
            channel,
            ChannelKind::Webhook,
            request.token.map_or(Secret::Missing, |token| Secret::Digest(Digest::of(token.as_bytes()))),
            self.shared.limits.webhook,
        );
        let mut admitted = None;
        let is_large = request.body.len() > ADMIT_FIRST;
        if is_large || idempotency.is_err() {
            admitted = Some(read_outcome(self.store.append_message(&ingest).await?, request.channel)?.limit);
            ingest.is_admitted = true;
        }
        ingest.idempotency = idempotency?;
        let inbound = if is_large {
            parse_elsewhere(request.content_type.to_owned(), request.body.clone()).await?
        } else {
            webhook::parse(request.content_type, &request.body)
        };
        let from = webhook::sender(request.source);
        let mut record = NewRecord::new(owner, channel, &from, &inbound.content, inbound.extra);
        let step = self.shared.ingest_step(&mut record, channel, ChannelKind::Webhook);
        ingest.record = Some(&record);
        let outcome = within(step.context(), self.store.append_message(&ingest)).await?;
        self.shared.note_ingested(&outcome, owner, channel, ChannelKind::Webhook);
        let stored = read_outcome(outcome, request.channel)?;
        let message = stored.repeats.unwrap_or(record.id);
        let end = if stored.repeats.is_some() { r#"","duplicate":true}"# } else { r#""}"# };
        let mut answer = String::with_capacity(ANSWER_BYTES);
        answer.push_str(r#"{"ok":true,"messageId":""#);
        message.push_to(&mut answer);
        answer.push_str(end);
        Ok(Accepted { answer, limit: admitted.unwrap_or(stored.limit) })
    }
}

async fn parse_elsewhere(content_type: String, body: Bytes) -> Result<Inbound, Error> {
    tokio::task::spawn_blocking(move || webhook::parse(&content_type, &body))
        .await
        .map_err(|error| Error::Internal(format!("parsing a webhook failed: {error}")))
}

fn check_idempotency_key(key: &[u8]) -> Result<Digest, Error> {
    if (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len()) {
        Ok(Digest::of(key))
    } else {
        Err(Error::invalid("invalid_idempotency_key", "an idempotency key must have 1 to 256 characters"))
    }
}

/// What was not refused.
struct Taken {
    limit: LimitStatus,
    /// The message that this one repeats.
    repeats: Option<MessageId>,
}

fn read_outcome(outcome: IngestOutcome, channel: &str) -> Result<Taken, Error> {
    match outcome {
        IngestOutcome::Accepted(_, limit) | IngestOutcome::Admitted(limit) => Ok(Taken { limit, repeats: None }),
        IngestOutcome::Duplicate(first, limit) => Ok(Taken { limit, repeats: Some(first) }),
        IngestOutcome::NoChannel => Err(Error::no_channel(channel)),
        IngestOutcome::WrongKind(kind) => Err(Error::invalid(
            "wrong_channel_type",
            format!("the channel is of type \"{kind}\" and takes no generic webhooks"),
        )),
        IngestOutcome::WrongSecret => Err(Error::Unauthorized {
            code: "invalid_token",
            message: "the channel's token is missing or wrong: send it as ?token=, as Authorization: Bearer or as X-Webhook-Token",
        }),
        IngestOutcome::OverLimit(limit) => Err(Error::Limited(limit)),
        IngestOutcome::Disabled(_) => Err(Error::ChannelDisabled),
        IngestOutcome::Changed | IngestOutcome::NotKnown(_) => {
            Err(Error::Internal("an ingest was refused for what it did not ask".to_owned()))
        }
    }
}
