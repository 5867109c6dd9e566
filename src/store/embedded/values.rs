//! The records' values: numbers as eight bytes, texts after their length.
//!
//! A value that does not read as it was written is a fault of its record only.

use std::str::FromStr;

use super::Fault;
use crate::domain::channel::{Channel, ChannelKind};
use crate::domain::digest::Digest;
use crate::domain::ids::UserId;
use crate::domain::timestamp::Timestamp;
use crate::store::{ChannelRecord, ReplyStatus, SESSION_LIFE_MS, SessionRecord};

/// Writes a value.
#[derive(Default)]
pub(super) struct Writing(Vec<u8>);

impl Writing {
    pub(super) fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        let mut writing = self.number(text.len() as u64);
        writing.0.extend_from_slice(text.as_bytes());
        writing
    }

    pub(super) fn flag(self, is_set: bool) -> Self {
        self.number(is_set.into())
    }

    /// A text that may be absent; an empty one reads back as absent.
    fn optional(self, text: Option<&str>) -> Self {
        self.text(text.unwrap_or_default())
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a value; `what` names the record in the fault.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(what: &'static str, value: &'a [u8]) -> Self {
        Self { rest: value, what }
    }

    pub(super) fn fault(&self) -> Fault {
        Fault::Record(self.what)
    }

    pub(super) fn number(&mut self) -> Result<u64, Fault> {
        let (number, rest) = self.rest.split_first_chunk().ok_or(self.fault())?;
        self.rest = rest;
        Ok(u64::from_be_bytes(*number))
    }

    fn count(&mut self) -> Result<u32, Fault> {
        u32::try_from(self.number()?).map_err(|_| self.fault())
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Fault> {
        let len = usize::try_from(self.number()?).map_err(|_| self.fault())?;
        let (text, rest) = self.rest.split_at_checked(len).ok_or(self.fault())?;
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| self.fault())
    }

    fn optional(&mut self) -> Result<Option<&'a str>, Fault> {
        Ok(Some(self.text()?).filter(|text| !text.is_empty()))
    }

    /// All that follows.
    pub(super) fn left(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Whether nothing follows.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn flag(&mut self) -> Result<bool, Fault> {
        Ok(self.number()? == 1)
    }

    fn digest(&mut self) -> Result<Option<Digest>, Fault> {
        self.optional()?.map(|hex| Digest::from_hex(hex).ok_or(self.fault())).transpose()
    }

    /// A text of this form.
    pub(super) fn parsed<T: FromStr>(&mut self) -> Result<T, Fault> {
        self.text()?.parse().map_err(|_| self.fault())
    }

    pub(super) fn user(&mut self) -> Result<UserId, Fault> {
        self.parsed()
    }
}

/// A session.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// Under which all it owns is filed.
    pub(super) number: u64,
    /// When its client last used it, as far as is recorded, in milliseconds.
    pub(super) used: u64,
    pub(super) record: SessionRecord,
}

impl Session {
    pub(super) fn expires(&self) -> u64 {
        self.used.saturating_add(SESSION_LIFE_MS)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let record = &self.record;
        Writing::default()
            .number(self.number)
            .number(self.used)
            .number(record.created.millis())
            .text(&record.api_key.to_hex())
            .text(&record.sealed_api_key)
            .optional(record.public_key.as_deref())
            .done()
    }

    pub(super) fn read(user: &UserId, value: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new("a session", value);
        let (number, used) = (reader.number()?, reader.number()?);
        let created = Timestamp::from_millis(reader.number()?);
        let api_key = reader.digest()?.ok_or(reader.fault())?;
        let sealed_api_key = reader.text()?.to_owned();
        let public_key = reader.optional()?.map(str::to_owned);
        let record = SessionRecord { user: *user, api_key, sealed_api_key, public_key, created };
        Ok(Self { number, used, record })
    }
}

/// A channel. What accepting a message needs stands beside its JSON, which is then left alone.
#[derive(Debug)]
pub(super) struct StoredChannel<'a> {
    pub(super) kind: ChannelKind,
    pub(super) enabled: bool,
    pub(super) secret: Option<Digest>,
    pub(super) revision: u64,
    /// Members that the channel adds to its messages.
    pub(super) routing: &'a str,
    /// Members that the channel adds to its responses.
    pub(super) response: &'a str,
    json: &'a str,
}

impl<'a> StoredChannel<'a> {
    pub(super) fn write(record: &ChannelRecord, revision: u64) -> Vec<u8> {
        let channel = &record.channel;
        let json = serde_json::to_string(channel).expect("a channel has string keys only and serialises");
        Writing::default()
            .number(revision)
            .text(channel.kind.as_str())
            .flag(channel.enabled)
            .optional(record.secret.map(Digest::to_hex).as_deref())
            .text(&channel.routing_members())
            .text(&channel.response_members())
            .text(&json)
            .done()
    }

    pub(super) fn read(value: &'a [u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new("a channel", value);
        Ok(Self {
            revision: reader.number()?,
            kind: ChannelKind::parse(reader.text()?).ok_or(reader.fault())?,
            enabled: reader.flag()?,
            secret: reader.digest()?,
            routing: reader.text()?,
            response: reader.text()?,
            json: reader.text()?,
        })
    }

    pub(super) fn channel(&self) -> Result<Channel, Fault> {
        serde_json::from_str(self.json).map_err(|_| Fault::Record("a channel"))
    }

    pub(super) fn record(&self) -> Result<ChannelRecord, Fault> {
        Ok(ChannelRecord { channel: self.channel()?, secret: self.secret, revision: self.revision })
    }
}

/// Whose a channel id is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) user: UserId,
    /// Number of the session that has the channel; the id is free when that session ended.
    pub(super) session: u64,
}

impl Owner {
    pub(super) fn write(&self) -> Vec<u8> {
        Writing::default().number(self.session).text(&self.user.to_string()).done()
    }

    pub(super) fn read(value: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new("the owner of a channel", value);
        Ok(Self { session: reader.number()?, user: reader.user()? })
    }
}

/// The head of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The last instant ever given in it, in milliseconds.
    pub(super) last: u64,
    /// Entries it has.
    pub(super) len: u64,
}

impl Head {
    pub(super) fn write(&self) -> Vec<u8> {
        Writing::default().number(self.last).number(self.len).done()
    }

    pub(super) fn read(value: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new("the head of a stream", value);
        Ok(Self { last: reader.number()?, len: reader.number()? })
    }
}

/// When a record that says so itself expires, in milliseconds: such values start with it.
pub(super) fn expires(value: &[u8]) -> Result<u64, Fault> {
    Reader::new("a record that expires", value).number()
}

/// What became of a reply, and how far its delivery came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredReply {
    /// When it is forgotten, in milliseconds.
    pub(super) expires: u64,
    pub(super) status: ReplyStatus,
    /// What the last try noted; empty at first.
    pub(super) progress: String,
    /// Tries that were before it was sent again.
    pub(super) earlier_attempts: u32,
}

impl StoredReply {
    pub(super) fn write(&self) -> Vec<u8> {
        let status = &self.status;
        Writing::default()
            .number(self.expires)
            .text(&status.channel)
            .text(&status.status)
            .number(status.attempts.into())
            .optional(status.error.as_deref())
            .text(&self.progress)
            .number(self.earlier_attempts.into())
            .done()
    }

    pub(super) fn read(value: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new("what became of a reply", value);
        Ok(Self {
            expires: reader.number()?,
            status: ReplyStatus {
                channel: reader.text()?.to_owned(),
                status: reader.text()?.to_owned(),
                attempts: reader.count()?,
                error: reader.optional()?.map(str::to_owned),
            },
            // Relays that delivered nothing wrote no progress.
            progress: if reader.is_at_end() { String::new() } else { reader.text()?.to_owned() },
            // Relays that sent nothing again wrote no earlier tries.
            earlier_attempts: if reader.is_at_end() { 0 } else { reader.count()? },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_reads_back_as_it_was_written() {
        let user = UserId::random();
        let record = SessionRecord {
            user,
            api_key: Digest::of(b"key"),
            sealed_api_key: "sealed".to_owned(),
            public_key: Some("key".to_owned()),
            created: Timestamp::from_millis(5),
        };
        let session = Session { number: 3, used: 9, record: record.clone() };
        let read = Session::read(&user, &session.write()).unwrap();
        assert_eq!((read.number, read.used, read.record), (3, 9, record));
        let owner = Owner { user, session: 3 };
        assert_eq!(Owner::read(&owner.write()).unwrap(), owner);
        let head = Head { last: 1, len: 2 };
        assert_eq!(Head::read(&head.write()).unwrap(), head);
        for error in [None, Some("refused".to_owned())] {
            let status = ReplyStatus { channel: "c".to_owned(), status: "failed".to_owned(), attempts: 3, error };
            let reply = StoredReply { expires: 1, status, progress: "half".to_owned(), earlier_attempts: 2 };
            assert_eq!(StoredReply::read(&reply.write()).unwrap(), reply);
        }
    }

    #[test]
    fn a_reply_of_an_earlier_relay_is_read() {
        let old = || Writing::default().number(1).text("c").text("stored").number(0).optional(None);
        let status = ReplyStatus { channel: "c".to_owned(), status: "stored".to_owned(), attempts: 0, error: None };
        let expected = StoredReply { expires: 1, status, progress: String::new(), earlier_attempts: 0 };
        assert_eq!(StoredReply::read(&old().done()).unwrap(), expected);
        let expected = StoredReply { progress: "half".to_owned(), ..expected };
        assert_eq!(StoredReply::read(&old().text("half").done()).unwrap(), expected);
    }

    #[test]
    fn a_damaged_value_is_a_fault_and_never_a_panic() {
        let whole = Owner { user: UserId::random(), session: 1 }.write();
        for len in 0..whole.len() {
            assert!(matches!(Owner::read(&whole[..len]), Err(Fault::Record(_))), "{len}");
        }
        let mut endless = whole.clone();
        endless[8..16].fill(0xff);
        assert!(Owner::read(&endless).is_err());
        assert!(StoredChannel::read(&whole).is_err());
        assert!(Session::read(&UserId::random(), &whole).is_err());
    }
}
