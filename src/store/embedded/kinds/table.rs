//! The list of kinds.

use super::Part::{Bytes, Expires, Flag, Number, Secret, Text, Texts, Time, Whole, WholeSecret};
use super::{Kind, Parts, Rest};

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
pub(in crate::store::embedded) static KINDS: &[Kind] = &[
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
            ("publicKey", Secret),
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
        ("undelivered-count", "f c type state"),
        "how many replies of a platform are in a state",
        "while there are any",
        (b"fc", Rest::Text),
        &[("replies", Number)],
    ),
    kind(
        ("undelivered", "f l type state instant response"),
        "a reply that is not delivered",
        "as what became of it",
        (b"fl", Rest::TextNumberId),
        &[("type", Text), ("state", Text), ("at", Time), ("session", Number), ("user", Text), ("channel", Text)],
    ),
    kind(
        ("undelivered-place", "f r response"),
        "where a reply that is not delivered is listed",
        "as what became of it",
        (b"fr", Rest::Text),
        &[("", Bytes)],
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
        ("directory-size", "w"),
        "number of sessions that are listed",
        "while there are any",
        (b"w", Rest::Nothing),
        &[("sessions", Number)],
    ),
    kind(
        ("directory-seen", "ws last use user"),
        "place of a session by its last use",
        "as the session",
        (b"ws", Rest::NumberText),
        &[],
    ),
    kind(
        ("directory-created", "wc creation user"),
        "place of a session by its creation",
        "as the session",
        (b"wc", Rest::NumberText),
        &[],
    ),
    kind(
        ("directory-name", "wn name user channel"),
        "name by which a session is found",
        "as the session or channel",
        (b"wn", Rest::Text),
        &[],
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
