//! Channels on Redis: the record in the owner's slot, the pointer to the owner elsewhere.
//!
//! The two cannot change in one step on a Cluster. A claim on the pointer comes first and is short-lived
//! until the record stands; a deletion takes the pointer first. Whatever breaks off in between leaves
//! either an expiring claim or a channel without a pointer, which its owner can delete or make again.

use async_trait::async_trait;
use redis::{Cmd, Value};

use super::RedisStore;
use super::answer::{Answer, gated_answer, gated_call, unexpected};
use super::script;
use super::sessions::{POINTER_LIFE_MS, read_user};
use crate::domain::channel::ChannelKind;
use crate::domain::connection::Connection;
use crate::domain::digest::Digest;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::store::{ChannelRecord, ChannelStore, Gate, Gated, Holder, KEEP_MS, MAX_CHANNELS, PutChannel, StoreError};

/// How long an id is claimed before its channel stands, in milliseconds: longer than any call may take.
const CLAIM_LIFE_MS: u64 = 60_000;

enum Claim {
    /// The id was free.
    New,
    /// The user had it.
    Own,
    /// It is another's.
    Other(Option<UserId>),
}

impl RedisStore {
    async fn claim(&self, user: &UserId, id: &ChannelId, absent_owner: &str) -> Result<Claim, StoreError> {
        let mut call = script::CLAIM_CHANNEL.call(&[self.keys.channel_pointer(id)]);
        call.arg(user.to_string()).arg(CLAIM_LIFE_MS).arg(absent_owner);
        match self.writes.script(&script::CLAIM_CHANNEL, &call).await? {
            Value::BulkString(answer) => Ok(match answer.as_slice() {
                b"new" => Claim::New,
                b"own" => Claim::Own,
                // A claim in flight belongs to nobody who could be looked up.
                other if other.contains(&b' ') => Claim::Other(None),
                other => Claim::Other(read_user(Value::BulkString(other.to_vec()))),
            }),
            other => Err(unexpected(&other)),
        }
    }

    /// Frees an id if it is this user's.
    pub(super) async fn release_channel(&self, user: &UserId, id: &ChannelId) -> Result<(), StoreError> {
        let mut call = script::RELEASE_CHANNEL.call(&[self.keys.channel_pointer(id)]);
        call.arg(user.to_string());
        self.writes.script(&script::RELEASE_CHANNEL, &call).await.map(drop)
    }

    async fn write_channel(
        &self,
        user: &UserId,
        record: &ChannelRecord,
        revision: Option<u64>,
    ) -> Result<String, StoreError> {
        let channel = &record.channel;
        let keys = [self.keys.session(user), self.keys.channels(user), self.keys.channel(user, &channel.id)];
        let mut call = script::PUT_CHANNEL.call(&keys);
        call.arg(channel.id.as_str()).arg(MAX_CHANNELS);
        match revision {
            Some(revision) => call.arg(revision),
            None => call.arg(""),
        };
        let json = serde_json::to_string(channel).expect("a channel serialises");
        call.arg(POINTER_LIFE_MS)
            .arg("t")
            .arg(channel.kind.as_str())
            .arg("e")
            .arg(u8::from(channel.enabled))
            .arg("s")
            .arg(record.secret.map(Digest::to_hex).unwrap_or_default())
            .arg("r")
            .arg(channel.routing_members())
            .arg("o")
            .arg(channel.response_members())
            .arg("i")
            .arg(channel.connection.as_ref().map(Connection::identity).unwrap_or_default())
            .arg("d")
            .arg(json);
        match self.writes.script(&script::PUT_CHANNEL, &call).await? {
            Value::BulkString(answer) => Ok(String::from_utf8_lossy(&answer).into_owned()),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn remove_record(&self, user: &UserId, id: &ChannelId) -> Result<bool, StoreError> {
        let keys = [
            self.keys.channels(user),
            self.keys.channel(user, id),
            self.keys.queues(user, id),
            self.keys.responses(user, id),
            self.keys.responses_last(user, id),
            self.keys.conversations(user, id),
            self.keys.newest(user, id),
            self.keys.questions(user, id),
        ];
        let mut call = script::DELETE_CHANNEL.call(&keys);
        call.arg(id.as_str()).arg(self.keys.queue_stem(user, id)).arg(self.keys.reply_stem(user)).arg(KEEP_MS);
        let mut answer = Answer::new(self.writes.script(&script::DELETE_CHANNEL, &call).await?)?;
        let was_there = answer.number()? == 1;
        if let Some(kind) = answer.optional_text()?.and_then(|kind| ChannelKind::parse(&kind)) {
            let mut queued = Vec::new();
            while let Some(reply) = answer.optional_text()? {
                queued.extend(reply.parse::<MessageId>());
            }
            self.unlist(kind, &queued).await;
        }
        Ok(was_there)
    }

    fn channels_call(&self, gate: &Gate, id: &str) -> Cmd {
        let mut call = gated_call(&self.keys, &script::CHANNELS, gate, &[self.keys.channels(&gate.user)]);
        call.arg(self.keys.channel_stem(&gate.user)).arg(id);
        call
    }
}

/// A channel as the scripts give it: its JSON, the digest of its secret, its revision.
pub(super) fn read_record(row: Value) -> Result<ChannelRecord, StoreError> {
    let mut row = Answer::new(row)?;
    let channel =
        serde_json::from_str(&row.text()?).map_err(|error| StoreError::Corrupt(format!("a channel: {error}")))?;
    let secret = row.optional_text()?.and_then(|digest| Digest::from_hex(&digest));
    Ok(ChannelRecord { channel, secret, revision: row.number()? })
}

fn write_holder(holder: &Holder) -> String {
    format!("{} {}", holder.user, holder.channel)
}

fn read_holder(value: Value) -> Option<Holder> {
    let Value::BulkString(bytes) = value else { return None };
    let (user, channel) = std::str::from_utf8(&bytes).ok()?.split_once(' ')?;
    Some(Holder { user: user.parse().ok()?, channel: channel.parse().ok()? })
}

#[async_trait]
impl ChannelStore for RedisStore {
    async fn channel_owner(&self, channel: &ChannelId) -> Result<Option<UserId>, StoreError> {
        let mut read = redis::cmd("GET");
        read.arg(self.keys.channel_pointer(channel));
        Ok(read_user(self.link.command(&read).await?))
    }

    async fn put_channel(&self, user: &UserId, record: &ChannelRecord) -> Result<PutChannel, StoreError> {
        let id = &record.channel.id;
        let mut claim = self.claim(user, id, "").await?;
        if let Claim::Other(Some(owner)) = claim {
            let mut exists = redis::cmd("EXISTS");
            exists.arg(self.keys.channel(&owner, id));
            if self.link.command(&exists).await? == Value::Int(0) {
                claim = self.claim(user, id, &owner.to_string()).await?;
            }
        }
        let is_new = match claim {
            Claim::New => true,
            Claim::Own => false,
            Claim::Other(_) => return Ok(PutChannel::Taken),
        };
        let refusal = match self.write_channel(user, record, None).await?.as_str() {
            "stored" => None,
            "many" => Some(PutChannel::TooMany),
            _ => Some(PutChannel::NoSession),
        };
        if let Some(refusal) = refusal {
            if is_new {
                self.release_channel(user, id).await?;
            }
            return Ok(refusal);
        }
        let mut settle = script::SETTLE_CHANNEL.call(&[self.keys.channel_pointer(id)]);
        settle.arg(user.to_string()).arg(POINTER_LIFE_MS);
        let list = self.list_gently(self.list_channel(user, &record.channel));
        let (settled, ()) = tokio::join!(self.writes.script(&script::SETTLE_CHANNEL, &settle), list);
        if settled? == Value::Int(1) {
            return Ok(PutChannel::Stored);
        }
        // The claim lapsed and somebody else was faster.
        self.remove_record(user, id).await?;
        self.list_gently(self.unlist_channel(user, id)).await;
        Ok(PutChannel::Taken)
    }

    async fn channels(&self, gate: &Gate) -> Result<Gated<Vec<ChannelRecord>>, StoreError> {
        let answer = self.link.script(&script::CHANNELS, &self.channels_call(gate, "")).await?;
        gated_answer(gate, answer, |answer| {
            let mut records = Vec::new();
            while let Some(row) = answer.next() {
                records.push(read_record(row)?);
            }
            Ok(records)
        })
    }

    async fn channel(&self, gate: &Gate, channel: &ChannelId) -> Result<Gated<Option<ChannelRecord>>, StoreError> {
        let call = self.channels_call(gate, channel.as_str());
        let answer = self.link.script(&script::CHANNELS, &call).await?;
        gated_answer(gate, answer, |answer| answer.next().map(read_record).transpose())
    }

    async fn read_channel(&self, user: &UserId, channel: &ChannelId) -> Result<Option<ChannelRecord>, StoreError> {
        let mut read = redis::cmd("HMGET");
        read.arg(self.keys.channel(user, channel)).arg("d").arg("s").arg("v");
        match self.link.command(&read).await? {
            Value::Array(fields) if fields.first() == Some(&Value::Nil) => Ok(None),
            fields => read_record(fields).map(Some),
        }
    }

    async fn hold_identity(
        &self,
        identity: &str,
        holder: &Holder,
        replaces: bool,
    ) -> Result<Option<Holder>, StoreError> {
        let mut call = script::HOLD_IDENTITY.call(&[self.keys.identity(identity)]);
        call.arg(write_holder(holder)).arg(POINTER_LIFE_MS).arg(if replaces { "1" } else { "" });
        Ok(read_holder(self.writes.script(&script::HOLD_IDENTITY, &call).await?))
    }

    async fn identity_holder(&self, identity: &str) -> Result<Option<Holder>, StoreError> {
        let mut read = redis::cmd("GET");
        read.arg(self.keys.identity(identity));
        Ok(read_holder(self.link.command(&read).await?))
    }

    async fn drop_identity(&self, identity: &str, holder: &Holder) -> Result<(), StoreError> {
        let mut call = script::DROP_IDENTITY.call(&[self.keys.identity(identity)]);
        call.arg(write_holder(holder));
        self.writes.script(&script::DROP_IDENTITY, &call).await.map(drop)
    }

    async fn update_channel(&self, user: &UserId, record: &ChannelRecord) -> Result<bool, StoreError> {
        let is_stored = self.write_channel(user, record, Some(record.revision)).await? == "stored";
        if is_stored {
            self.list_gently(self.list_channel(user, &record.channel)).await;
        }
        Ok(is_stored)
    }

    async fn delete_channel(&self, user: &UserId, channel: &ChannelId) -> Result<bool, StoreError> {
        self.release_channel(user, channel).await?;
        let had = self.remove_record(user, channel).await?;
        self.list_gently(self.unlist_channel(user, channel)).await;
        Ok(had)
    }
}
