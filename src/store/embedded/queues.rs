//! Replies that wait for their delivery, in order for each conversation.

use super::keys::{self, Owned};
use super::tables::{Tx, View};
use super::values::{Reader, StoredReply, Writing, expires};
use super::{Fault, listing};
use crate::domain::ids::{ChannelId, MessageId};
use crate::domain::trace::TraceParent;
use crate::store::KEEP_MS;

/// How long a reply that is not delivered is kept, in milliseconds: an hour longer than it is tried.
pub(super) const QUEUED_LIFE_MS: u64 = KEEP_MS + 60 * 60 * 1000;

/// The replies that wait in one conversation. It stays while there are any, and while the platform wants to be
/// left alone after the last one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Queue {
    /// When it is forgotten, in milliseconds: when its replies are.
    pub(super) expires: u64,
    /// When the first reply is due, in milliseconds; while it is being delivered, when the lease ends.
    pub(super) due: u64,
    /// Name of the lease of whoever delivers the first reply; empty when nobody does.
    pub(super) lease: String,
    /// The replies in order.
    pub(super) replies: Vec<MessageId>,
}

impl Queue {
    fn write(&self) -> Vec<u8> {
        let start = Writing::default().number(self.expires).number(self.due).text(&self.lease);
        let start = start.number(self.replies.len() as u64);
        self.replies.iter().fold(start, |writing, id| writing.text(&id.to_string())).done()
    }

    fn read(value: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new("a queue of replies", value);
        let (expires, due, lease) = (reader.number()?, reader.number()?, reader.text()?.to_owned());
        let replies = (0..reader.number()?).map(|_| reader.parsed()).collect::<Result<_, _>>()?;
        Ok(Self { expires, due, lease, replies })
    }

    pub(super) fn put(&self, tx: &mut Tx<'_>, key: &[u8]) -> Result<(), Fault> {
        tx.put(key, &self.write())
    }

    /// How many replies are before this one.
    pub(super) fn position(&self, reply: &MessageId) -> Option<usize> {
        self.replies.iter().position(|queued| queued == reply)
    }

    /// Whether the first reply is being delivered at this time.
    pub(super) fn is_held(&self, now: u64) -> bool {
        !self.lease.is_empty() && self.due > now
    }

    /// Drops the first reply.
    pub(super) fn pop(self, tx: &mut Tx<'_>, key: &[u8]) -> Result<(), Fault> {
        self.drop_at(0, tx, key)
    }

    /// Drops one of the replies; the queue goes with the last one, unless it has to wait.
    pub(super) fn drop_at(mut self, position: usize, tx: &mut Tx<'_>, key: &[u8]) -> Result<(), Fault> {
        self.replies.remove(position);
        if self.replies.is_empty() && self.due <= tx.now {
            tx.remove(key)?;
            return Ok(());
        }
        self.put(tx, key)
    }
}

/// Puts a reply behind what waits in a conversation. It lives as long as a queued reply from now on.
pub(super) fn push(tx: &mut Tx<'_>, key: &[u8], queue: Option<Queue>, reply: MessageId) -> Result<(), Fault> {
    let expires = tx.now.saturating_add(QUEUED_LIFE_MS);
    if queue.is_none() {
        tx.schedule(expires, key)?;
    }
    let mut queue = queue.unwrap_or_else(|| Queue { due: tx.now, ..Queue::default() });
    queue.expires = expires;
    queue.replies.push(reply);
    queue.put(tx, key)
}

/// The queue with this key.
pub(super) fn queue(view: &dyn View, key: &[u8]) -> Result<Option<Queue>, Fault> {
    view.get(key)?.map(|value| Queue::read(value.value())).transpose()
}

/// The channel's queues.
pub(super) fn all(view: &dyn View, owned: Owned, channel: &ChannelId) -> Result<Vec<Queue>, Fault> {
    let prefix = owned.queues(channel);
    view.range(&prefix, &keys::end_of(&prefix))?.map(|entry| Queue::read(entry?.1.value())).collect()
}

/// The channel's queue that is due first, with its key.
pub(super) fn first(view: &dyn View, owned: Owned, channel: &ChannelId) -> Result<Option<(Vec<u8>, Queue)>, Fault> {
    let prefix = owned.queues(channel);
    let mut first: Option<(Vec<u8>, Queue)> = None;
    for entry in view.range(&prefix, &keys::end_of(&prefix))? {
        let (key, value) = entry?;
        let queue = Queue::read(value.value())?;
        if first.as_ref().is_none_or(|(_, first)| queue.due < first.due) {
            first = Some((key.value().to_vec(), queue));
        }
    }
    Ok(first)
}

/// What of a reply is to be delivered. It is written once, lives as long as its reply, and goes when it arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    /// When the reply was accepted, in milliseconds.
    pub(super) accepted: u64,
    /// When the message that it answers came in, in milliseconds.
    pub(super) asked_at: u64,
    /// The client named that message.
    pub(super) is_reply_to: bool,
    /// The reply completes a question.
    pub(super) completes_question: bool,
    /// Where it goes, in stored form.
    pub(super) conversation: String,
    /// What the adapter noted of the message that it answers, as JSON.
    pub(super) details: String,
    /// What is sent.
    pub(super) content: String,
    /// The step of a trace that accepted it; nothing is written where there is none.
    pub(super) trace: Option<TraceParent>,
}

impl Parcel {
    pub(super) fn write(&self) -> Vec<u8> {
        let parcel = Writing::default()
            .number(self.accepted)
            .number(self.asked_at)
            .flag(self.is_reply_to)
            .flag(self.completes_question)
            .text(&self.conversation)
            .text(&self.details)
            .text(&self.content);
        match &self.trace {
            Some(trace) => parcel.text(&trace.to_string()).done(),
            None => parcel.done(),
        }
    }

    pub(super) fn read(value: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new("a reply to be delivered", value);
        Ok(Self {
            accepted: reader.number()?,
            asked_at: reader.number()?,
            is_reply_to: reader.flag()?,
            completes_question: reader.flag()?,
            conversation: reader.text()?.to_owned(),
            details: reader.text()?.to_owned(),
            content: reader.text()?.to_owned(),
            trace: if reader.is_at_end() { None } else { reader.text()?.parse().ok() },
        })
    }
}

/// Fails the channel's replies that wait, for good and without their content. What cannot be read does not keep
/// a channel from being deleted.
pub(super) fn fail_all(tx: &mut Tx<'_>, owned: Owned, channel: &ChannelId, error: &str) -> Result<(), Fault> {
    let prefix = owned.queues(channel);
    let mut replies = Vec::new();
    for entry in tx.range(&prefix, &keys::end_of(&prefix))? {
        replies.extend(Queue::read(entry?.1.value()).unwrap_or_default().replies);
    }
    tx.remove_range(&prefix, &keys::end_of(&prefix))?;
    for id in replies {
        listing::unlist(tx, &id)?;
        let key = owned.reply(&id);
        let reply = tx.get(&key)?.and_then(|value| StoredReply::read(value.value()).ok());
        if !tx.remove(&owned.parcel(&id))? {
            continue;
        }
        if let Some(mut reply) = reply {
            reply.expires = tx.now.saturating_add(KEEP_MS);
            "failed".clone_into(&mut reply.status.status);
            reply.status.error = Some(error.to_owned());
            reply.progress.clear();
            tx.put(&key, &reply.write())?;
        }
    }
    Ok(())
}

/// Removes what became of a reply, with what was to be delivered of it, or looks again later; gives how many
/// records went.
pub(super) fn expire_reply(tx: &mut Tx<'_>, key: &[u8]) -> Result<usize, Fault> {
    // One that cannot be read goes too, so that its parcel does.
    let until = tx.get(key)?.and_then(|value| expires(value.value()).ok()).unwrap_or(0);
    if until > tx.now {
        tx.schedule(until, key)?;
        return Ok(0);
    }
    tx.remove(key)?;
    if let Some(reply) = keys::owned_reply(key) {
        listing::unlist(tx, &reply)?;
    }
    let had_parcel = tx.remove(&keys::parcel_of(key))?;
    Ok(1 + usize::from(had_parcel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_reads_back_as_it_was_written() {
        for count in [0, 1, 3] {
            let replies = (0..count).map(|_| MessageId::random()).collect();
            let queue = Queue { expires: 1, due: 2, lease: "lease".to_owned(), replies };
            assert_eq!(Queue::read(&queue.write()).unwrap(), queue);
        }
        let parcel = Parcel {
            accepted: 1,
            asked_at: 2,
            is_reply_to: true,
            completes_question: false,
            conversation: "chat\nthread".to_owned(),
            details: "{}".to_owned(),
            content: String::new(),
            trace: None,
        };
        assert_eq!(Parcel::read(&parcel.write()).unwrap(), parcel);
        let step = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let traced = Parcel { trace: step.parse().ok(), ..parcel };
        assert_eq!(Parcel::read(&traced.write()).unwrap(), traced);
        let whole = traced.write();
        assert!(whole.starts_with(&Parcel { trace: None, ..traced }.write()), "what is new comes last");
    }

    #[test]
    fn a_damaged_queue_is_a_fault_and_never_a_panic() {
        let whole = Queue { replies: vec![MessageId::random()], ..Queue::default() }.write();
        for len in 0..whole.len() {
            assert!(Queue::read(&whole[..len]).is_err(), "{len}");
        }
        let mut endless = Queue::default().write();
        endless[24..32].fill(0xff);
        assert!(Queue::read(&endless).is_err());
    }
}
