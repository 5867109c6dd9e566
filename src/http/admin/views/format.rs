//! Numbers, sizes, times and links as people read them.

use std::time::Duration;

use serde::Serialize;
use url::form_urlencoded;

use crate::domain::channel::ChannelKind;
use crate::domain::timestamp::Timestamp;

/// An instant for a `<time>` element. The pages' script shows it as its reader's clock does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Instant {
    /// As the wire has it.
    iso: String,
    /// For those who read the page without the script, to the second.
    utc: String,
}

impl From<Timestamp> for Instant {
    fn from(at: Timestamp) -> Self {
        let iso = at.to_string();
        let utc = format!("{} {} UTC", &iso[..10], &iso[11..19]);
        Self { iso, utc }
    }
}

/// A number with separators: `100,000`.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A number with its noun: `1 socket`, `2 sockets`.
pub(super) fn counted(many: u64, noun: &str) -> String {
    let ending = if many == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", number(many))
}

/// A size: `512 B`, `12.3 KiB`, `4.0 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut size = bytes as f64 / 1024.0;
    if size < 1.0 {
        return format!("{bytes} B");
    }
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    // What would be rounded up to 1024.0 belongs to the next unit.
    while size >= 1023.95 {
        let Some(next) = units.next() else { break };
        (size, unit) = (size / 1024.0, next);
    }
    format!("{size:.1} {unit}")
}

/// A length of time in its two largest units: `3 d 4 h`, `12 min 5 s`, `45 s`.
pub(super) fn duration(millis: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = millis / 1000;
    let Some(first) = UNITS.iter().position(|(size, _)| seconds >= *size) else { return "under 1 s".to_owned() };
    let (size, unit) = UNITS[first];
    let rest = UNITS.get(first + 1).map(|(smaller, unit)| (seconds % size / smaller, unit));
    match rest {
        Some((more, smaller)) if more > 0 => format!("{} {unit} {more} {smaller}", number(seconds / size)),
        _ => format!("{} {unit}", number(seconds / size)),
    }
}

/// How long something took: `0.8 ms`, `12 ms`, `1.2 s`.
pub(super) fn took(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    if millis < 9.95 {
        format!("{millis:.1} ms")
    } else if millis < 999.5 {
        format!("{millis:.0} ms")
    } else {
        format!("{:.1} s", millis / 1000.0)
    }
}

/// A link with those parameters that have a value.
pub(super) fn link(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// A platform's name for people.
pub(super) fn platform(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Webhook => "Webhook",
        ChannelKind::Telegram => "Telegram",
        ChannelKind::Discord => "Discord",
        ChannelKind::Slack => "Slack",
        ChannelKind::Email => "Email",
    }
}

/// How good or bad something is: the class of the badge that says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Something is waited for.
    Wait,
    /// Somebody should look.
    Bad,
    /// Neither.
    Plain,
}

/// A word or two with how good that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Badge {
    pub(super) tone: Tone,
    pub(super) text: String,
}

impl Badge {
    pub(super) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sizes_and_times_read_well_at_every_magnitude() {
        let numbers = [0, 999, 1000, 100_000, u64::MAX].map(number);
        assert_eq!(numbers, ["0", "999", "1,000", "100,000", "18,446,744,073,709,551,615"]);
        let sizes = [0, 1023, 1024, 1_048_524, 1_048_575, u64::MAX].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1023.9 KiB", "1.0 MiB", "16384.0 PiB"]);
        let times = [0, 999, 1000, 59_999, 60_000, 61_000, 7_200_000, 277_000_000].map(duration);
        assert_eq!(times, ["under 1 s", "under 1 s", "1 s", "59 s", "1 min", "1 min 1 s", "2 h", "3 d 4 h"]);
        let took = [0.0, 0.0008, 0.012, 1.24].map(|seconds| took(Duration::from_secs_f64(seconds)));
        assert_eq!(took, ["0.0 ms", "0.8 ms", "12 ms", "1.2 s"]);
        assert_eq!([0, 1, 2].map(|many| counted(many, "socket")), ["0 sockets", "1 socket", "2 sockets"]);
    }

    #[test]
    fn an_instant_is_written_for_machines_and_for_people() {
        let at = Instant::from(Timestamp::parse("2026-11-23T15:56:00.123Z").unwrap());
        assert_eq!((at.iso.as_str(), at.utc.as_str()), ("2026-11-23T15:56:00.123Z", "2026-11-23 15:56:00 UTC"));
    }

    #[test]
    fn a_link_carries_what_has_a_value_and_nothing_breaks_out_of_it() {
        assert_eq!(link("/admin", &[("q", "")]), "/admin");
        assert_eq!(link("/admin", &[("q", "a&b=ä\0"), ("x", ""), ("y", "1")]), "/admin?q=a%26b%3D%C3%A4%00&y=1");
    }
}
