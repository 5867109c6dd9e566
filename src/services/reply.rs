//! Replies of an agent: stored as responses, over HTTP and WebSocket alike.

use serde_json::{Map, Value, json};

use super::Relay;
use super::authenticate::{Caller, Passed};
use super::channels::wrong_type;
use super::error::Error;
use crate::domain::ids::{ChannelId, MessageId};
use crate::domain::message::NewRecord;
use crate::domain::reply::Reply;
use crate::store::{ReplyOutcome, ReplyRecord};

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
        let parsed = body.and_then(|body| Reply::from_json(&body).map_err(Error::from)).and_then(|reply| {
            let channel = reply.channel.parse::<ChannelId>().map_err(|_| Error::no_channel(&reply.channel))?;
            Ok((reply, channel))
        });
        let (reply, channel) = match parsed {
            Ok(parsed) => parsed,
            Err(refusal) => return Err(self.refuse(&gate, refusal).await),
        };
        let record = NewRecord::new(caller.user, &channel, "agent", &reply.content, &reply.metadata);
        let kind = reply.channel_type.as_deref().filter(|kind| !kind.is_empty());
        let stored = ReplyRecord { channel: &channel, kind, record: &record };
        let passed = self.passed(&gate, self.store.append_reply(&gate, &stored).await)?;
        match passed.value {
            ReplyOutcome::NoChannel => Err(Error::no_channel(&reply.channel)),
            ReplyOutcome::WrongKind(actual) => Err(wrong_type(kind.unwrap_or_default(), actual)),
            ReplyOutcome::Stored(channel) => {
                let shown = json!({"id": channel.id, "type": channel.kind, "label": channel.label()});
                Ok(Passed { value: ReplyAck { response_id: record.id, channel: shown }, limit: passed.limit })
            }
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
