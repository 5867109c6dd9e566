//! The kinds of keys as the operator browses them: one for each row of the table in [`super::keys`].

/// How a part of a key that is secret, or made of one, is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// It holds none.
    Plain,
    /// The last part is the digest of an API key, of which the beginning is shown.
    ApiKey,
    /// The last part is shown not at all. Such a key cannot be named, and so not be opened.
    Secret,
}

/// A kind of key. Its pattern tells how its keys are made after the prefix: `{user}` is a user's id in braces, and a
/// word in angle brackets is anything but nothing.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) pattern: &'static str,
    pub(super) what: &'static str,
    pub(super) life: &'static str,
    pub(super) names: Name,
    /// Fields whose values are not shown; `*` for all.
    pub(super) masked: &'static [&'static str],
}

const fn kind(name: &'static str, pattern: &'static str, what: &'static str, life: &'static str) -> Kind {
    Kind { name, pattern, what, life, names: Name::Plain, masked: &[] }
}

const fn masked(kind: Kind, fields: &'static [&'static str]) -> Kind {
    Kind { masked: fields, ..kind }
}

const fn named(kind: Kind, names: Name) -> Kind {
    Kind { names, ..kind }
}

/// Every kind, in the order of the table.
pub(super) static KINDS: &[Kind] = &[
    masked(kind("session", "{user}:session", "a session", "90 days after its last use"), &["k", "a", "p"]),
    kind("channels", "{user}:channels", "ids of a session's channels", "as the session"),
    masked(kind("channel", "{user}:channel:<id>", "a channel", "as the session"), &["s"]),
    kind("messages", "{user}:messages", "messages of a session", "about 500, a day after the last"),
    kind("last", "{user}:last", "instant of the last message", "48 h"),
    kind("responses", "{user}:responses:<id>", "responses of a channel", "about 100, a day after the last"),
    kind("responses-last", "{user}:responses-last:<id>", "instant of a channel's last response", "48 h"),
    kind("reply", "{user}:reply:<response>", "what became of a reply", "24 h; 7 days when it failed"),
    kind("conversations", "{user}:conversations:<channel>", "conversations of a channel", "30 days"),
    kind("newest", "{user}:newest:<channel>", "newest message of each conversation", "30 days"),
    kind("origin", "{user}:origin:<channel>:<message>", "where a message came from", "48 h"),
    kind("questions", "{user}:questions:<channel>", "open questions of a channel", "15 min"),
    kind("queues", "{user}:queues:<channel>", "conversations with replies under way", "25 h"),
    kind("queue", "{user}:queue:<channel>:<digest>", "replies under way in a conversation", "25 h"),
    named(kind("nonce", "{user}:nonce:<nonce>", "a nonce that was used", "20 min"), Name::Secret),
    kind("once", "{user}:once:<channel>:<digest>", "message accepted under an idempotency key", "24 h"),
    kind("sockets", "{user}:sockets", "places of a session's sockets", "60 s after the last renewal"),
    named(kind("apikey", "apikey:<digest>", "whose an API key is", "92 days"), Name::ApiKey),
    kind("channel-owner", "channel:<id>", "whose a channel is", "92 days"),
    kind("identity", "identity:<name>", "channel that has a bot or an address", "92 days"),
    kind("limit", "limit:<counter>", "counter of a limit", "the limit's window"),
    masked(kind("deployment-key", "deployment-key", "the deployment's sealed private key", "for ever"), &["*"]),
    kind("probe", "probe:<random>", "what a probe wrote", "10 s"),
    kind("outbox-due", "{outbox:<type>}:due", "channels of a platform with replies due", "2 days after the last"),
    kind("outbox-pending", "{outbox:<type>}:pending", "replies that were not tried yet", "50 h after the last"),
    kind("outbox-retrying", "{outbox:<type>}:retrying", "replies that are tried again", "50 h after the last"),
    kind("outbox-failed", "{outbox:<type>}:failed", "replies that failed", "10000, 7 days after the last"),
    kind("outbox-places", "{outbox:<type>}:places", "whose the listed replies are", "7 days after the last"),
    kind("format", "{deployment}:format", "format of the records", "for ever"),
    kind("replicas", "{deployment}:replicas", "replicas by their last heartbeat", "15 s after the last"),
    kind("replica-info", "{deployment}:replica-info", "what replicas say of themselves", "15 s after the last"),
    kind("minute", "{deployment}:minute:<number>", "counts of a minute", "65 min"),
    kind("recent", "{deployment}:recent", "the newest messages and replies", "30, a day after the last"),
    masked(kind("admins", "{deployment}:admins", "logins of operators", "100, 24 h after the last"), &["*"]),
    kind("audit", "{deployment}:audit", "what operators did", "5000, 90 days after the last"),
    kind("directory-seen", "{directory}:seen", "sessions by their last use", "92 days after the last"),
    kind("directory-created", "{directory}:created", "sessions by their creation", "92 days after the last"),
    kind("directory-names", "{directory}:names", "names by which sessions are found", "92 days after the last"),
    kind("directory-of", "{directory}:of:<user>", "names as they are listed for a session", "as the session"),
];

/// The hash tag of a user's keys.
const USER: &str = "{user}";
/// Length of a user's id.
const USER_LEN: usize = 36;

/// A step of a pattern.
enum Step<'a> {
    Literal(&'a str),
    User,
    Anything,
}

/// Takes the first step off a pattern.
fn step(pattern: &str) -> Option<(Step<'_>, &str)> {
    if let Some(rest) = pattern.strip_prefix(USER) {
        return Some((Step::User, rest));
    }
    if pattern.starts_with('<') {
        let end = pattern.find('>').expect("what a pattern opens it closes");
        return Some((Step::Anything, &pattern[end + 1..]));
    }
    let end = pattern.find('<').unwrap_or(pattern.len());
    (end > 0).then(|| (Step::Literal(&pattern[..end]), &pattern[end..]))
}

impl Kind {
    /// The kind of this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// The kind of a key, and where the last part of it starts that is not the pattern's own. The key is without the
    /// prefix.
    pub(super) fn of(key: &str) -> Option<(&'static Self, usize)> {
        KINDS.iter().find_map(|kind| Some((kind, kind.fits(key)?)))
    }

    /// Whether there is one such key at most.
    pub(super) fn is_single(&self) -> bool {
        !self.pattern.contains('<') && !self.pattern.starts_with(USER)
    }

    fn fits(&self, key: &str) -> Option<usize> {
        let (mut pattern, mut rest, mut last) = (self.pattern, key, key.len());
        while let Some((first, more)) = step(pattern) {
            rest = match first {
                Step::Literal(text) => rest.strip_prefix(text)?,
                Step::User => {
                    let (user, rest) = rest.strip_prefix('{')?.split_once('}')?;
                    user.parse::<crate::domain::ids::UserId>().ok()?;
                    rest
                }
                Step::Anything => {
                    last = key.len() - rest.len();
                    let next = match step(more) {
                        Some((Step::Literal(text), _)) => rest.find(text)?,
                        _ => rest.len(),
                    };
                    if next == 0 {
                        return None;
                    }
                    &rest[next..]
                }
            };
            pattern = more;
        }
        rest.is_empty().then_some(last)
    }

    /// What a scan is asked for: everything of this kind, and hardly anything else.
    pub(super) fn glob(&self, prefix: &str) -> String {
        let mut glob = String::new();
        let literally = |glob: &mut String, text: &str| {
            for c in text.chars() {
                if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
                    glob.push('\\');
                }
                glob.push(c);
            }
        };
        literally(&mut glob, prefix);
        let mut pattern = self.pattern;
        while let Some((first, more)) = step(pattern) {
            match first {
                Step::Literal(text) => literally(&mut glob, text),
                Step::User => {
                    glob.push('{');
                    glob.extend(std::iter::repeat_n('?', USER_LEN));
                    glob.push('}');
                }
                Step::Anything => glob.push('*'),
            }
            pattern = more;
        }
        glob
    }

    /// Whether a field's value is not shown.
    pub(super) fn masks(&self, field: &str) -> bool {
        self.masked.iter().any(|masked| *masked == "*" || *masked == field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;
    use crate::domain::ids::{ChannelId, MessageId, UserId};
    use crate::store::redis::keys::Keys;

    #[test]
    fn every_key_of_the_table_is_of_a_kind() {
        let table = include_str!("keys.rs").lines().filter_map(|line| line.strip_prefix("//! | `"));
        let mut found = 0;
        for row in table {
            let names = row.split(" | ").next().unwrap().split(", ").map(|name| name.trim_matches('`'));
            // Channels of the server, which are no keys.
            for name in names.filter(|name| !matches!(*name, "{user}:wake" | "{random}:echo")) {
                assert!(KINDS.iter().any(|kind| kind.pattern == name), "{name} is of no kind");
                found += 1;
            }
        }
        assert!(found > 25, "the table was not found");
    }

    #[test]
    fn kinds_have_names_of_their_own() {
        for (n, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..n].iter().all(|other| other.name != kind.name && other.pattern != kind.pattern));
            assert!(kind.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", kind.name);
        }
    }

    #[test]
    fn a_key_is_of_the_kind_that_made_it() {
        let keys = Keys::new("");
        let (user, channel, message) = (UserId::random(), ChannelId::random(), MessageId::random());
        for (key, name) in [
            (keys.session(&user), "session"),
            (keys.channels(&user), "channels"),
            (keys.channel(&user, &channel), "channel"),
            (keys.channel_pointer(&channel), "channel-owner"),
            (keys.responses(&user, &channel), "responses"),
            (keys.responses_last(&user, &channel), "responses-last"),
            (format!("{}{message}", keys.origin_stem(&user, &channel)), "origin"),
            (keys.nonce(&user, "a:b {c}"), "nonce"),
            (keys.api_key(&Digest::of(b"")), "apikey"),
            (keys.limit("register:::1"), "limit"),
            (keys.deployment_key(), "deployment-key"),
            (keys.replicas(), "replicas"),
            (format!("{}5", keys.minute_stem()), "minute"),
        ] {
            assert_eq!(Kind::of(&key).map(|(kind, _)| kind.name), Some(name), "{key}");
        }
        let nonce = keys.nonce(&user, "abc");
        assert_eq!(Kind::of(&nonce).map(|(_, last)| &nonce[last..]), Some("abc"));
        for stranger in ["", "sessions", "{user}:session", "{x}:session", "limit:", "deployment-key2", "probe"] {
            assert!(Kind::of(stranger).is_none(), "{stranger}");
        }
    }

    #[test]
    fn a_glob_asks_for_the_keys_of_its_kind() {
        let glob = |name: &str, prefix: &str| Kind::named(name).unwrap().glob(prefix);
        assert_eq!(glob("origin", "p:"), format!("p:{{{}}}:origin:*:*", "?".repeat(36)));
        assert_eq!(glob("deployment-key", "a*[b]?\\"), "a\\*\\[b\\]\\?\\\\deployment\\-key");
    }
}
