//! The kinds of records as the operator browses them: those of the table in [`super::keys`].

use super::keys::{OWNED, OWNED_LEN};
use super::values::Reader;
use crate::domain::timestamp::Timestamp;
use crate::store::operator::KeyField;
use crate::store::operator::masking::{LOOKED_AT, MASKED, shown};

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
    parts: &'static [(&'static str, Part)],
}

type Parts = &'static [(&'static str, Part)];

const fn kind(
    (name, pattern): (&'static str, &'static str),
    what: &'static str,
    life: &'static str,
    (tag, rest): (&'static [u8], Rest),
    parts: Parts,
) -> Kind {
    Kind { name, pattern, what, life, tag, is_owned: false, rest, parts }
}

/// A kind that a session owns. Its tag is one byte.
const fn owned(kind: Kind) -> Kind {
    Kind { is_owned: true, ..kind }
}

const HEARD: Parts = &[("expires", Expires), ("at", Time), ("conversation", Text), ("details", Text)];

/// Every kind. A tag that starts as another does stands before it.
pub(super) static KINDS: &[Kind] = &[
    kind(
        ("session", "s user"),
        "a session",
        "90 days after its last use",
        (b"s", Rest::Text),
        &[
            ("number", Number),
            ("used", Time),
            ("created", Time),
            ("apiKey", Secret),
            ("sealedApiKey", Secret),
            ("publicKey", Text),
        ],
    ),
    kind(("apikey", "k digest"), "whose an API key is", "as the session", (b"k", Rest::Digest), &[("user", Text)]),
    kind(
        ("channel-owner", "c channel"),
        "whose a channel is",
        "as the channel",
        (b"c", Rest::Text),
        &[("session", Number), ("user", Text)],
    ),
    kind(
        ("failed", "f slot"),
        "a reply that failed; without a slot which is the newest",
        "1000, 7 days",
        (b"f", Rest::Text),
        &[("expires", Expires), ("", Bytes)],
    ),
    kind(
        ("limit", "g counter"),
        "counter of a limit",
        "the limit's window",
        (b"g", Rest::Text),
        &[("expires", Expires), ("used", Number)],
    ),
    kind(
        ("identity", "i name"),
        "channel that has a bot or an address",
        "as the channel",
        (b"i", Rest::Text),
        &[("expires", Expires), ("user", Text), ("channel", Text)],
    ),
    kind(
        ("newest-session", "n"),
        "number of the newest session",
        "for ever",
        (b"n", Rest::Nothing),
        &[("number", Number)],
    ),
    kind(("admin", "oa digest"), "login of an operator", "100, 24 h", (b"oa", Rest::Digest), &[("expires", Expires)]),
    kind(
        ("audit-head", "ol"),
        "last instant and length of the audit",
        "as the audit",
        (b"ol", Rest::Nothing),
        &[("expires", Expires), ("last", Time), ("length", Number)],
    ),
    kind(
        ("audit", "ol instant"),
        "what an operator did",
        "5000, 90 days after the last",
        (b"ol", Rest::Number),
        &[("ip", Text), ("action", Text), ("subject", Text), ("outcome", Text)],
    ),
    kind(
        ("pulse", "op"),
        "counts of the last minutes, and what came last",
        "a day after the last change",
        (b"op", Rest::Nothing),
        &[("expires", Expires), ("minutes", Number), ("counts", Bytes)],
    ),
    kind(("probe", "p random"), "what a probe wrote", "10 s", (b"p", Rest::Text), &[("expires", Expires)]),
    kind(
        ("due", "u number channel"),
        "when something is due in a channel",
        "until nothing is",
        (b"u", Rest::NumberText),
        &[("at", Time), ("claimed", Flag), ("type", Text), ("user", Text)],
    ),
    kind(
        ("deployment-key", "x"),
        "the deployment's sealed private key",
        "for ever",
        (b"x", Rest::Nothing),
        &[("sealed", WholeSecret)],
    ),
    owned(kind(
        ("channel", "d number c channel"),
        "a channel",
        "as the session",
        (b"c", Rest::Text),
        &[
            ("revision", Number),
            ("type", Text),
            ("enabled", Flag),
            ("secret", Secret),
            ("routing", Text),
            ("responses", Text),
            ("channel", Text),
        ],
    )),
    owned(kind(
        ("stream", "d number h channel"),
        "last instant and length of a channel's responses, or without a channel of the messages",
        "as the session or channel",
        (b"h", Rest::Text),
        &[("last", Time), ("length", Number)],
    )),
    owned(kind(
        ("entry", "d number e channel instant"),
        "a response on a channel, or without a channel a message",
        "500 messages and 100 responses, a day",
        (b"e", Rest::TextNumber),
        &[("record", Whole)],
    )),
    owned(kind(
        ("counter", "d number l counter"),
        "counter of a limit",
        "the limit's window",
        (b"l", Rest::Text),
        &[("expires", Expires), ("used", Number)],
    )),
    owned(kind(
        ("origin", "d number m channel message"),
        "where a message came from",
        "48 h",
        (b"m", Rest::Text),
        HEARD,
    )),
    owned(kind(
        ("nonce", "d number n nonce"),
        "a nonce that was used",
        "20 min",
        (b"n", Rest::Secret),
        &[("expires", Expires)],
    )),
    owned(kind(
        ("once", "d number o channel digest"),
        "message accepted under an idempotency key",
        "24 h",
        (b"o", Rest::TextDigest),
        &[("expires", Expires), ("message", Text)],
    )),
    owned(kind(
        ("parcel", "d number p response"),
        "what of a reply is to be delivered",
        "until it is delivered",
        (b"p", Rest::Text),
        &[
            ("accepted", Time),
            ("asked", Time),
            ("isReplyTo", Flag),
            ("completesQuestion", Flag),
            ("conversation", Text),
            ("details", Text),
            ("content", Text),
        ],
    )),
    owned(kind(
        ("question", "d number q channel instant"),
        "an open question",
        "15 min",
        (b"q", Rest::TextNumber),
        &[("expires", Expires), ("message", Text), ("conversation", Text)],
    )),
    owned(kind(
        ("reply", "d number r response"),
        "what became of a reply",
        "24 h; 7 days when it failed",
        (b"r", Rest::Text),
        &[
            ("expires", Expires),
            ("channel", Text),
            ("status", Text),
            ("attempts", Number),
            ("error", Text),
            ("progress", Text),
        ],
    )),
    owned(kind(
        ("conversation", "d number v channel conversation"),
        "a conversation",
        "30 days",
        (b"v", Rest::Text),
        HEARD,
    )),
    owned(kind(
        ("heard", "d number w channel instant"),
        "conversation whose newest message came then",
        "as the conversation",
        (b"w", Rest::TextNumber),
        &[("conversation", Text)],
    )),
    owned(kind(
        ("queue", "d number y channel conversation"),
        "replies that wait in a conversation",
        "25 h after the last",
        (b"y", Rest::Text),
        &[("expires", Expires), ("due", Time), ("lease", Text), ("replies", Texts)],
    )),
];

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
mod tests {
    use super::*;

    #[test]
    fn every_record_of_the_table_is_of_a_kind() {
        let table = include_str!("keys.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
        let mut found = 0;
        for row in table.filter(|row| row.contains('`')) {
            let name = row.split(" | ").next().unwrap().replace('`', "");
            // What a session owns is told in one row, and then each kind of it with dots in its place.
            let name = name.replace('…', "d number").replace(" NUL", "").replace(" id", "");
            if name.starts_with("d number d") {
                continue;
            }
            let is_same = |kind: &Kind| {
                let tag =
                    |pattern: &str| pattern.split(' ').take(if kind.is_owned { 3 } else { 1 }).collect::<String>();
                tag(kind.pattern) == tag(&name)
            };
            assert!(KINDS.iter().any(is_same), "{name} is of no kind");
            found += 1;
        }
        assert!(found > 25, "the table was not found: {found}");
    }

    #[test]
    fn kinds_have_names_of_their_own_and_find_their_own_keys() {
        for (n, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..n].iter().all(|other| other.name != kind.name && other.pattern != kind.pattern));
            let key = [kind.start(3), vec![0; 32]].concat();
            let key = match kind.rest {
                Rest::Nothing => kind.start(3),
                Rest::Number => kind.start(3).into_iter().chain([0; 8]).collect(),
                _ => key,
            };
            assert_eq!(Kind::of(&key).map(|found| found.name), Some(kind.name));
        }
    }

    #[test]
    fn a_value_of_another_form_is_shown_as_far_as_it_can_be_read() {
        let reply = Kind::named("reply").unwrap();
        assert_eq!(reply.fields(b"").len(), 0);
        assert_eq!(reply.fields(&[0xff; 11]).len(), 1);
        assert_eq!(reply.expires(&5_u64.to_be_bytes()), Some(5));
        assert_eq!(Kind::named("session").unwrap().expires(&5_u64.to_be_bytes()), None);
    }
}
