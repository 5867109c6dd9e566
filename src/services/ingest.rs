//! Accepting a message from an external service.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Relay;
use super::error::Error;
use crate::channels::webhook;
use crate::domain::channel::ChannelKind;
use crate::domain::digest::Digest;
use crate::domain::ids::ChannelId;
use crate::domain::limit::LimitStatus;
use crate::domain::message::NewRecord;
use crate::store::{Ingest, IngestOutcome, Secret};

/// Bodies beyond this size are parsed and cleaned off the worker's thread, in bytes: what a hostile one
/// costs there would hold up everybody else's requests.
const PARSE_ELSEWHERE: usize = 64 * 1024;

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
    /// The answer.
    pub answer: Value,
    /// Where the channel's limit stands.
    pub limit: LimitStatus,
}

impl Relay {
    /// Stores what a generic webhook brought and wakes the owner's sockets. When this returns, it is safe.
    pub async fn ingest_webhook(&self, request: WebhookRequest<'_>) -> Result<Accepted, Error> {
        let unknown = || Error::no_channel(request.channel);
        let channel: ChannelId = request.channel.parse().map_err(|_| unknown())?;
        let mut owner = self.channel_owner(&channel).await?.ok_or_else(unknown)?;
        let idempotency = request.idempotency_key.map(check_idempotency_key).transpose()?;
        let secret = request.token.map_or(Secret::Missing, |token| Secret::Digest(Digest::of(token.as_bytes())));
        let from = webhook::sender(request.source);
        let inbound = if request.body.len() > PARSE_ELSEWHERE {
            let (content_type, body) = (request.content_type.to_owned(), request.body.clone());
            tokio::task::spawn_blocking(move || webhook::parse(&content_type, &body))
                .await
                .map_err(|error| Error::Internal(format!("parsing a webhook failed: {error}")))?
        } else {
            webhook::parse(request.content_type, &request.body)
        };
        loop {
            let record = NewRecord::new(owner, &channel, &from, &inbound.content, &inbound.metadata);
            let ingest = Ingest {
                user: owner,
                channel: &channel,
                kind: ChannelKind::Webhook,
                secret,
                limit: self.shared.limits.webhook,
                idempotency,
                record: &record,
            };
            let outcome = self.store.append_message(&ingest).await?;
            if outcome == IngestOutcome::NoChannel && self.forget_owner(&channel) {
                owner = self.channel_owner(&channel).await?.ok_or_else(unknown)?;
                // What was just read from the store is not asked for a second time.
                self.forget_owner(&channel);
                continue;
            }
            return match outcome {
                IngestOutcome::Accepted(_, limit) => {
                    Ok(Accepted { answer: json!({"ok": true, "messageId": record.id}), limit })
                }
                IngestOutcome::Duplicate(first, limit) => {
                    Ok(Accepted { answer: json!({"ok": true, "messageId": first, "duplicate": true}), limit })
                }
                IngestOutcome::NoChannel => Err(unknown()),
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
            };
        }
    }
}

/// Longest idempotency key, in characters.
const MAX_IDEMPOTENCY_KEY: usize = 256;

fn check_idempotency_key(key: &[u8]) -> Result<Digest, Error> {
    if (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len()) {
        Ok(Digest::of(key))
    } else {
        Err(Error::invalid("invalid_idempotency_key", "an idempotency key must have 1 to 256 characters"))
    }
}
