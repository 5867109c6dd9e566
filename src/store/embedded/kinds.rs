//! The kinds of records as the operator browses them: those of the table in [`super::keys`].

use super::keys::{OWNED, OWNED_LEN};
use super::values::Reader;
use crate::domain::timestamp::Timestamp;
use crate::store::operator::KeyField;
use crate::store::operator::masking::{LOOKED_AT, MASKED, shown};

mod table;

pub(super) use table::KINDS;

/// What follows a kind's tag in its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    Nothing,
    /// Names, with NUL between them.
    Text,
    /// Eight bytes.
    Number,
    /// Names and then eight bytes.
    TextNumber,
    /// Eight bytes and then a name.
    NumberText,
    /// Names, eight bytes, and the id of a message.
    TextNumberId,
    /// A name, NUL and a digest that is no secret's.
    TextDigest,
    /// The digest of a secret, of which the beginning is shown.
    Digest,
    /// A secret.
    Secret,
}

/// A part of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Number,
    /// Milliseconds since the epoch.
    Time,
    /// The same: when the record expires.
    Expires,
    Flag,
    Text,
    /// A text that is not shown.
    Secret,
    /// A number of texts, and the texts.
    Texts,
    /// All that is left, which is a text.
    Whole,
    /// All that is left, which is a secret.
    WholeSecret,
    /// All that is left, of which only the length is shown.
    Bytes,
}

use Part::{Bytes, Expires, Flag, Number, Secret, Text, Texts, Time, Whole, WholeSecret};

/// The parts of a value by their names.
type Parts = &'static [(&'static str, Part)];

/// A kind of record.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) pattern: &'static str,
    pub(super) what: &'static str,
    pub(super) life: &'static str,
    /// How its keys start; of what a session owns, after the session's number.
    tag: &'static [u8],
    is_owned: bool,
    rest: Rest,
    parts: Parts,
}

/// Bytes of the id of a message.
const ID_LEN: usize = 36;
/// Bytes of the digest of a secret that are shown.
const DIGEST_SHOWN: usize = 4;
/// Parts of a value that are shown.
const PARTS_SHOWN: usize = 100;

/// Eight bytes as the number that they are.
fn number(bytes: &[u8]) -> String {
    bytes.try_into().map_or_else(|_| shown(bytes, bytes.len() as u64), |bytes| u64::from_be_bytes(bytes).to_string())
}

/// Names with blanks in place of what stands between them.
fn text(bytes: &[u8]) -> String {
    let names: Vec<_> = bytes.split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    names.iter().map(|name| shown(name, name.len() as u64)).collect::<Vec<_>>().join(" ")
}

impl Kind {
    /// The kind of this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// The kind of the record with this key.
    pub(super) fn of(key: &[u8]) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.rest_of(key).is_some_and(|rest| kind.fits(rest)))
    }

    /// Where this kind stands among [`KINDS`].
    pub(super) fn position(&self) -> usize {
        KINDS.iter().position(|kind| std::ptr::eq(kind, self)).expect("all kinds are in the list")
    }

    /// Whether a session owns such records.
    pub(super) fn is_owned(&self) -> bool {
        self.is_owned
    }

    /// Start of its keys; of what a session owns, of those of the session with this number.
    pub(super) fn start(&self, session: u64) -> Vec<u8> {
        if self.is_owned { [&[OWNED], &session.to_be_bytes()[..], self.tag].concat() } else { self.tag.to_vec() }
    }

    /// What follows its tag in a key that has it.
    fn rest_of<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        let tagged = if self.is_owned { key.strip_prefix(&[OWNED]).and(key.get(OWNED_LEN..))? } else { key };
        tagged.strip_prefix(self.tag)
    }

    fn fits(&self, rest: &[u8]) -> bool {
        match self.rest {
            Rest::Nothing => rest.is_empty(),
            Rest::Number => rest.len() == 8,
            Rest::TextNumber | Rest::NumberText => rest.len() >= 8,
            Rest::TextNumberId => rest.len() >= 8 + ID_LEN,
            Rest::Digest | Rest::TextDigest => rest.len() >= 32,
            Rest::Text | Rest::Secret => true,
        }
    }

    /// How much of a key that starts like one of this kind may be shown to anybody.
    pub(super) fn public_len(&self, key: &[u8]) -> usize {
        let shown = match self.rest {
            Rest::Digest => DIGEST_SHOWN,
            Rest::Secret => 0,
            _ => return key.len(),
        };
        key.len().min(self.start(0).len() + shown)
    }

    /// A key of this kind, for people.
    pub(super) fn show(&self, key: &[u8]) -> String {
        let rest = self.rest_of(key).unwrap_or_default();
        let rest = match self.rest {
            Rest::Nothing => String::new(),
            Rest::Text => text(rest),
            Rest::Number => number(rest),
            Rest::TextNumber => {
                let (name, instant) = rest.split_at(rest.len().saturating_sub(8));
                format!("{} {}", text(name), number(instant))
            }
            Rest::NumberText => {
                let (first, name) = rest.split_at(rest.len().min(8));
                format!("{} {}", number(first), text(name))
            }
            Rest::TextNumberId => {
                let (names, id) = rest.split_at(rest.len().saturating_sub(ID_LEN));
                let (names, instant) = names.split_at(names.len().saturating_sub(8));
                format!("{} {} {}", text(names), number(instant), text(id))
            }
            Rest::TextDigest => {
                let (name, digest) = rest.split_at(rest.len().saturating_sub(32));
                format!("{} {}", text(name), shown(hex::encode(digest).as_bytes(), 64))
            }
            Rest::Digest => format!("{}…", hex::encode(&rest[..rest.len().min(DIGEST_SHOWN)])),
            Rest::Secret => "…".to_owned(),
        };
        let tag = String::from_utf8_lossy(self.tag);
        let owner = if self.is_owned { format!("d {} ", number(&key[1..OWNED_LEN])) } else { String::new() };
        let shown = format!("{owner}{tag} {rest}");
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// When a record with this value expires, if it says so itself; in milliseconds.
    pub(super) fn expires(&self, value: &[u8]) -> Option<u64> {
        match self.parts.first() {
            Some((_, Expires)) => Reader::new(self.name, value).number().ok(),
            _ => None,
        }
    }

    /// The parts of a value. What cannot be read is left out.
    pub(super) fn fields(&self, value: &[u8]) -> Vec<KeyField> {
        let (mut reader, mut fields) = (Reader::new(self.name, value), Vec::new());
        for (name, part) in self.parts {
            if !read_part(&mut reader, name, *part, &mut fields) {
                break;
            }
        }
        fields
    }
}

/// Reads a part; says whether it was there.
fn read_part(reader: &mut Reader<'_>, name: &str, part: Part, fields: &mut Vec<KeyField>) -> bool {
    let mut add = |name: &str, value: String, bytes: usize| {
        if fields.len() < PARTS_SHOWN {
            fields.push(KeyField { name: name.to_owned(), value, bytes: bytes as u64 });
        }
    };
    let show = |text: &str| shown(&text.as_bytes()[..text.len().min(LOOKED_AT)], text.len() as u64);
    match part {
        Number | Time | Expires | Flag => {
            let Ok(number) = reader.number() else { return false };
            let value = match part {
                Flag => (number == 1).to_string(),
                Number => number.to_string(),
                _ => Timestamp::from_millis(number).to_string(),
            };
            add(name, value, 8);
        }
        Text | Secret => {
            let Ok(text) = reader.text() else { return false };
            add(name, if part == Text { show(text) } else { MASKED.to_owned() }, text.len());
        }
        Texts => {
            let Ok(count) = reader.number() else { return false };
            for n in 1..=count {
                let Ok(text) = reader.text() else { return false };
                add(&format!("{name} {n}"), show(text), text.len());
            }
        }
        Whole | WholeSecret | Bytes => {
            let value = reader.left();
            let shown = match part {
                Whole => shown(&value[..value.len().min(LOOKED_AT)], value.len() as u64),
                WholeSecret => MASKED.to_owned(),
                _ => String::new(),
            };
            add(name, shown, value.len());
        }
    }
    true
}

#[cfg(test)]
mod tests;
