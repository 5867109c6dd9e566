//! Replies of an agent: stored as responses, over HTTP and WebSocket alike, and queued for their platform.

use serde_json::{Map, Value, json};

use super::authenticate::{Caller, Passed};
use super::channels::wrong_type;
use super::error::Error;
use super::{Relay, describe};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ChannelId, MessageId};
use crate::domain::message::{NewRecord, members};
use crate::domain::reply::Reply;
use crate::store::operator::Direction;
use crate::store::{AcceptedReply, DeliveryRequest, MAX_QUEUED, ReplyOutcome, ReplyRecord};
use crate::telemetry::traces::{SpanKind, within};

/// A reply that is safe.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplyAck {
    /// Id of the response.
    pub response_id: MessageId,
    /// The channel as an ack shows it: `{id, type, label}`.
    pub channel: Value,
}

impl Relay {
    /// Stores a reply. A body that is wrong is refused only behind the gate, where it counts.
    pub async fn reply(
        &self,
        caller: &Caller,
        body: Result<Map<String, Value>, Error>,
    ) -> Result<Passed<ReplyAck>, Error> {
        let gate = caller.limited_gate("reply", self.shared.limits.reply);
        let parsed = body.and_then(|body| {
            let reply = Reply::from_json(&body)?;
            let channel = reply.channel.parse::<ChannelId>().map_err(|_| Error::no_channel(&reply.channel))?;
            Ok((body, reply, channel))
        });
        let (body, reply, channel) = match parsed {
            Ok(parsed) => parsed,
            Err(refusal) => return Err(self.refuse(&gate, refusal).await),
        };
        let mut record = NewRecord::new(caller.user, &channel, "agent", &reply.content, members(&reply.metadata));
        let kind = reply.channel_type.as_deref().filter(|kind| !kind.is_empty());
        let mut step = self.shared.traces.step(SpanKind::Producer, || "reply");
        record.trace = step.context();
        let delivery = |kind| self.delivery_request(kind, &body, &reply);
        let mut stored = ReplyRecord { channel: &channel, kind, record: &record, delivery: None };
        stored.delivery = self.probable_kind(&channel, kind).map(delivery);
        let mut passed = self.passed(&gate, within(record.trace, self.store.append_reply(&gate, &stored)).await)?;
        if let ReplyOutcome::NeedsDelivery(kind) = passed.value {
            stored.delivery = Some(delivery(kind));
            // The gate was passed, and has counted the reply.
            let gate = caller.after_gate().gate();
            passed.value =
                self.passed(&gate, within(record.trace, self.store.append_reply(&gate, &stored)).await)?.value;
        }
        match passed.value {
            ReplyOutcome::NoChannel => Err(Error::no_channel(&reply.channel)),
            ReplyOutcome::WrongKind(actual) => Err(wrong_type(kind.unwrap_or_default(), actual)),
            ReplyOutcome::Disabled(channel) => Err(Error::Conflict {
                code: "channel_disabled",
                message: match channel.disabled_reason {
                    Some(reason) => format!("the channel is disabled: {reason}"),
                    None => "the channel is disabled".to_owned(),
                },
            }),
            ReplyOutcome::UnknownDestination => Err(unknown_destination()),
            ReplyOutcome::NoConversation => Err(Error::Conflict {
                code: "no_conversation",
                message: "nobody has written on this channel in the last 30 days, so there is nobody to answer"
                    .to_owned(),
            }),
            ReplyOutcome::QueueFull => Err(Error::Conflict {
                code: "queue_full",
                message: format!("{MAX_QUEUED} replies wait in this conversation: try again when some are delivered"),
            }),
            ReplyOutcome::NeedsDelivery(_) => {
                Err(Error::Internal("a channel changed its type while it was replied on".to_owned()))
            }
            ReplyOutcome::Stored(AcceptedReply { channel, at }) => {
                self.shared.tally.accepted(Direction::Out, caller.user, &channel.id, at);
                self.shared.metrics.reply_accepted(channel.kind);
                self.shared.outbox.announce(channel.kind);
                step.rename(|| format!("reply {}", channel.kind));
                describe(&mut step, "send", &record.id, channel.kind);
                step.set("messaging.destination.name", || channel.id.to_string());
                let shown = json!({"id": channel.id, "type": channel.kind, "label": channel.label()});
                Ok(Passed { value: ReplyAck { response_id: record.id, channel: shown }, limit: passed.limit })
            }
        }
    }

    /// What the channel is likely to connect to. To be wrong costs a second call of the store.
    fn probable_kind(&self, channel: &ChannelId, said: Option<&str>) -> Option<ChannelKind> {
        let remembered = self.remembered_channel(channel).map(|known| known.channel().kind);
        remembered.or_else(|| ChannelKind::parse(said?)).filter(|kind| *kind != ChannelKind::Webhook)
    }

    /// How a reply is to be delivered. Where it goes is read from all of the client's metadata, of which only a
    /// part is stored.
    fn delivery_request<'a>(
        &self,
        kind: ChannelKind,
        body: &Map<String, Value>,
        reply: &'a Reply,
    ) -> DeliveryRequest<'a> {
        let metadata = body.get("metadata").and_then(Value::as_object);
        let reply_to = reply.metadata.get("replyTo").and_then(Value::as_str);
        DeliveryRequest {
            kind,
            destination: metadata.and_then(|metadata| self.shared.platforms.destination(kind, metadata)),
            reply_to: reply_to.and_then(|id| id.parse().ok()),
            content: &reply.content,
        }
    }

    /// What became of a reply.
    pub async fn reply_status(&self, caller: &Caller, response: &str) -> Result<Value, Error> {
        let gate = caller.gate();
        let unknown = || Error::NotFound {
            code: "unknown_response",
            message: "there is no such reply of this session in the last 24 hours".to_owned(),
        };
        let Ok(id) = response.parse::<MessageId>() else {
            return Err(self.refuse(&gate, unknown()).await);
        };
        let status = self.passed(&gate, self.store.reply_status(&gate, &id).await)?.value.ok_or_else(unknown)?;
        let mut answer = json!({
            "responseId": id,
            "channelId": status.channel,
            "status": status.status,
            "attempts": status.attempts,
        });
        if let Some(error) = status.error {
            answer["error"] = error.into();
        }
        Ok(answer)
    }
}

/// The refusal of a destination that is not one of the channel's own.
pub(super) fn unknown_destination() -> Error {
    Error::invalid(
        "unknown_destination",
        "metadata names a conversation that is not one of this channel's in the last 30 days",
    )
}
