//! Messages, replies and responses on Redis.

use async_trait::async_trait;

use super::RedisStore;
use super::answer::{Answer, add_since, gated_answer, gated_call, millis};
use super::outbox::{QUEUED_LIFE_MS, destination_arguments};
use super::script;
use crate::domain::channel::ChannelKind;
use crate::domain::digest::Digest;
use crate::domain::ids::{MessageId, UserId};
use crate::domain::message::Page;
use crate::domain::timestamp::Timestamp;
use crate::store::{
    ANNOUNCED_AHEAD_MS, AcceptedReply, CONVERSATION_LIFE_MS, Gate, Gated, Granted, IDEMPOTENCY_MS, Ingest,
    IngestOutcome, KEEP_MS, MAX_CONVERSATIONS, MAX_MESSAGES, MAX_QUESTIONS, MAX_QUEUED, MAX_RESPONSES, MessageStore,
    ORIGIN_LIFE_MS, QUESTION_LIFE_MS, ReplyOutcome, ReplyRecord, ReplyStatus, ResponsesOutcome, ResponsesQuery, Secret,
    Since, StoreError,
};

/// A secret as the scripts compare it.
fn secret_argument(secret: Secret) -> String {
    match secret {
        Secret::Digest(digest) => Digest::to_hex(digest),
        Secret::Missing => "missing".to_owned(),
        Secret::Verified => "verified".to_owned(),
    }
}

/// A yes or no as the scripts read it.
fn flag(is_set: bool) -> &'static str {
    if is_set { "1" } else { "" }
}

fn read_kind(name: &str) -> Result<ChannelKind, StoreError> {
    ChannelKind::parse(name).ok_or_else(|| StoreError::Corrupt("a channel's type".to_owned()))
}

fn read_reply_outcome(answer: &mut Answer) -> Result<ReplyOutcome, StoreError> {
    let word = answer.text()?;
    let channel = |answer: &mut Answer| {
        serde_json::from_str(&answer.text()?).map_err(|error| StoreError::Corrupt(format!("a channel: {error}")))
    };
    Ok(match word.as_str() {
        "none" => ReplyOutcome::NoChannel,
        "type" => ReplyOutcome::WrongKind(read_kind(&answer.text()?)?),
        "deliver" => ReplyOutcome::NeedsDelivery(read_kind(&answer.text()?)?),
        "disabled" => ReplyOutcome::Disabled(channel(answer)?),
        "nowhere" => ReplyOutcome::UnknownDestination,
        "nobody" => ReplyOutcome::NoConversation,
        "full" => ReplyOutcome::QueueFull,
        "stored" => ReplyOutcome::Stored(AcceptedReply {
            channel: channel(answer)?,
            at: Timestamp::from_millis(answer.number()?),
        }),
        other => return Err(StoreError::Corrupt(format!("a reply answered {other:?}"))),
    })
}

#[async_trait]
impl MessageStore for RedisStore {
    async fn append_message(&self, ingest: &Ingest<'_>) -> Result<IngestOutcome, StoreError> {
        let user = &ingest.user;
        let channel = self.keys.channel(user, ingest.channel);
        let once = ingest.idempotency.map(|key| self.keys.once(user, ingest.channel, &key));
        let mut keys = vec![
            channel.clone(),
            once.clone().unwrap_or(channel),
            self.keys.last(user),
            self.keys.messages(user),
            self.keys.wake(user),
        ];
        let event = ingest.record.zip(ingest.origin);
        if let Some((record, _)) = event {
            keys.push(self.keys.conversations(user, ingest.channel));
            keys.push(self.keys.newest(user, ingest.channel));
            keys.push(format!("{}{}", self.keys.origin_stem(user, ingest.channel), record.id));
            keys.push(self.keys.questions(user, ingest.channel));
        }
        let script = if event.is_some() { &script::APPEND_EVENT } else { &script::APPEND_MESSAGE };
        let mut call = script.call(&keys);
        call.arg(ingest.kind.as_str()).arg(secret_argument(ingest.secret));
        if ingest.is_admitted {
            call.arg("");
        } else {
            call.arg(ingest.limit.count());
        }
        call.arg(millis(ingest.limit.window()));
        if once.is_some() {
            call.arg(IDEMPOTENCY_MS);
        } else {
            call.arg("");
        }
        match ingest.record {
            Some(record) => call.arg(record.id.to_string()).arg(&record.head).arg(&record.extra),
            None => call.arg("").arg("").arg(""),
        };
        call.arg(MAX_MESSAGES);
        match ingest.revision {
            Some(revision) => call.arg(revision),
            None => call.arg(""),
        };
        if let Some((_, origin)) = event {
            call.arg(origin.conversation.to_text())
                .arg(origin.details.to_string())
                .arg(flag(origin.is_question))
                .arg(flag(ingest.only_known))
                .arg(CONVERSATION_LIFE_MS)
                .arg(ORIGIN_LIFE_MS)
                .arg(MAX_CONVERSATIONS)
                .arg(QUESTION_LIFE_MS)
                .arg(MAX_QUESTIONS);
        }
        if let Some(trace) = ingest.record.and_then(|record| record.trace) {
            call.arg(trace.to_string());
        }
        let mut answer = Answer::new(self.writes.script(script, &call).await?)?;
        let word = answer.text()?;
        Ok(match word.as_str() {
            "none" => IngestOutcome::NoChannel,
            "type" => IngestOutcome::WrongKind(read_kind(&answer.text()?)?),
            "changed" => IngestOutcome::Changed,
            "secret" => IngestOutcome::WrongSecret,
            "limit" => IngestOutcome::OverLimit(answer.limit(ingest.limit)?),
            "disabled" => IngestOutcome::Disabled(answer.limit(ingest.limit)?),
            "unknown" => IngestOutcome::NotKnown(answer.limit(ingest.limit)?),
            "admitted" => IngestOutcome::Admitted(answer.limit(ingest.limit)?),
            "again" => {
                let limit = answer.limit(ingest.limit)?;
                let first: MessageId = answer
                    .text()?
                    .parse()
                    .map_err(|_| StoreError::Corrupt("the id of an earlier message".to_owned()))?;
                IngestOutcome::Duplicate(first, limit)
            }
            "ok" => {
                let limit = answer.limit(ingest.limit)?;
                IngestOutcome::Accepted(Timestamp::from_millis(answer.number()?), limit)
            }
            other => return Err(StoreError::Corrupt(format!("an ingest answered {other:?}"))),
        })
    }

    async fn poll_messages(&self, gate: &Gate, since: Since, count: usize) -> Result<Gated<Page>, StoreError> {
        let keys = [self.keys.last(&gate.user), self.keys.messages(&gate.user)];
        let mut call = gated_call(&self.keys, &script::POLL_MESSAGES, gate, &keys);
        add_since(&mut call, since);
        call.arg(count).arg(MAX_MESSAGES);
        let answer = self.link.script(&script::POLL_MESSAGES, &call).await?;
        gated_answer(gate, answer, |answer| answer.page(count))
    }

    async fn read_messages(&self, user: &UserId, since: Since, count: usize) -> Result<Page, StoreError> {
        let mut call = script::READ_MESSAGES.call(&[self.keys.last(user), self.keys.messages(user)]);
        add_since(&mut call, since);
        call.arg(count).arg(MAX_MESSAGES);
        Answer::new(self.link.script(&script::READ_MESSAGES, &call).await?)?.page(count)
    }

    async fn append_reply(&self, gate: &Gate, reply: &ReplyRecord<'_>) -> Result<Gated<ReplyOutcome>, StoreError> {
        let user = &gate.user;
        let mut keys = vec![
            self.keys.channel(user, reply.channel),
            self.keys.responses(user, reply.channel),
            self.keys.responses_last(user, reply.channel),
            self.keys.reply(user, &reply.record.id),
        ];
        let origins = self.keys.origin_stem(user, reply.channel);
        if let Some(delivery) = &reply.delivery {
            keys.push(self.keys.conversations(user, reply.channel));
            keys.push(self.keys.newest(user, reply.channel));
            keys.push(delivery.reply_to.map_or_else(|| origins.clone(), |id| format!("{origins}{id}")));
            keys.push(self.keys.questions(user, reply.channel));
            keys.push(self.keys.queues(user, reply.channel));
        }
        let mut call = gated_call(&self.keys, &script::APPEND_REPLY, gate, &keys);
        call.arg(reply.kind.unwrap_or_default())
            .arg(&reply.record.head)
            .arg(&reply.record.extra)
            .arg(reply.channel.as_str())
            .arg(KEEP_MS)
            .arg(MAX_RESPONSES);
        if let Some(delivery) = &reply.delivery {
            let (mode, wanted) = destination_arguments(delivery.destination.as_ref());
            call.arg(reply.record.id.to_string())
                .arg(delivery.content)
                .arg(mode)
                .arg(wanted)
                .arg(delivery.reply_to.map(|id| id.to_string()).unwrap_or_default())
                .arg(origins)
                .arg(self.keys.queue_stem(user, reply.channel))
                .arg(CONVERSATION_LIFE_MS)
                .arg(QUESTION_LIFE_MS)
                .arg(MAX_QUEUED)
                .arg(QUEUED_LIFE_MS)
                .arg(delivery.kind.as_str());
            if let Some(trace) = reply.record.trace {
                call.arg(trace.to_string());
            }
            let (kind, id) = (delivery.kind, &reply.record.id);
            self.announce_due(kind, user, reply.channel, ANNOUNCED_AHEAD_MS, Some(id)).await?;
        }
        let answer = self.writes.script(&script::APPEND_REPLY, &call).await?;
        let answer = gated_answer(gate, answer, read_reply_outcome)?;
        let Some(delivery) = &reply.delivery else { return Ok(answer) };
        let is_queued =
            matches!(&answer, Ok(Granted { value: ReplyOutcome::Stored(to), .. }) if to.channel.kind == delivery.kind);
        if !is_queued {
            self.unlist(delivery.kind, &[reply.record.id]).await;
        } else if let Err(error) = self.announce_due(delivery.kind, user, reply.channel, 0, None).await {
            // The reply is safe, and the list names its channel already, for a few seconds from now.
            tracing::debug!(%error, "a reply could not be announced at once");
        }
        Ok(answer)
    }

    async fn reply_status(&self, gate: &Gate, response: &MessageId) -> Result<Gated<Option<ReplyStatus>>, StoreError> {
        let keys = [self.keys.reply(&gate.user, response)];
        let call = gated_call(&self.keys, &script::REPLY_STATUS, gate, &keys);
        let answer = self.link.script(&script::REPLY_STATUS, &call).await?;
        gated_answer(gate, answer, |answer| {
            let mut fields = answer.list()?;
            let Some(channel) = fields.optional_text()? else { return Ok(None) };
            let status = fields.text()?;
            let attempts = u32::try_from(fields.number()?).unwrap_or(u32::MAX);
            Ok(Some(ReplyStatus { channel, status, attempts, error: fields.optional_text()? }))
        })
    }

    async fn read_responses(&self, query: &ResponsesQuery<'_>) -> Result<ResponsesOutcome, StoreError> {
        let user = &query.user;
        let mut call = script::READ_RESPONSES.call(&[
            self.keys.channel(user, query.channel),
            self.keys.responses_last(user, query.channel),
            self.keys.responses(user, query.channel),
        ]);
        call.arg(ChannelKind::Webhook.as_str())
            .arg(secret_argument(query.secret))
            .arg(query.limit.count())
            .arg(millis(query.limit.window()));
        add_since(&mut call, query.since);
        call.arg(query.count).arg(MAX_RESPONSES);
        let mut answer = Answer::new(self.link.script(&script::READ_RESPONSES, &call).await?)?;
        let word = answer.text()?;
        Ok(match word.as_str() {
            "none" => ResponsesOutcome::NoChannel,
            "secret" => ResponsesOutcome::WrongSecret,
            "limit" => ResponsesOutcome::OverLimit(answer.limit(query.limit)?),
            _ => {
                let limit = answer.limit(query.limit)?;
                ResponsesOutcome::Page(answer.page(query.count)?, limit)
            }
        })
    }
}
