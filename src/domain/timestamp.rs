//! Instants as the wire shows them, which are cursors at the same time.

use std::fmt;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since the Unix epoch, UTC.
///
/// Written as ISO 8601 with exactly three decimals and `Z`, so that clients may compare two of them as
/// strings. Within one session the timestamps of messages strictly increase, so a timestamp is a
/// cursor: "everything after this one".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct Timestamp(u64);

/// The last instant that the four-digit year of the written form can hold: 9999-12-31T23:59:59.999Z.
const LAST_MILLIS: u64 = 253_402_300_799_999;

impl Timestamp {
    /// The instant before every message.
    pub const EPOCH: Self = Self(0);

    /// An instant from milliseconds since the epoch; one beyond the year 9999 becomes the last of that year.
    pub fn from_millis(millis: u64) -> Self {
        Self(millis.min(LAST_MILLIS))
    }

    /// The present, by this machine's clock.
    pub fn now() -> Self {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    /// Milliseconds since the epoch.
    pub fn millis(self) -> u64 {
        self.0
    }

    /// How far two instants are apart, in milliseconds, whichever comes first.
    pub fn distance(self, other: Self) -> u64 {
        self.0.abs_diff(other.0)
    }

    /// Reads any RFC 3339 timestamp; `None` for anything else.
    ///
    /// Digits below the millisecond are dropped, which keeps "strictly after" right for cursors. A blank
    /// where the offset's `+` belongs is what an unescaped `+` in a query string turns into, and is read as one.
    pub fn parse(text: &str) -> Option<Self> {
        /// Longer than any sensible timestamp, even with a nanosecond fraction.
        const MAX_LEN: usize = 64;
        if text.len() > MAX_LEN {
            return None;
        }
        let instant = match OffsetDateTime::parse(text, &Rfc3339) {
            Ok(instant) => instant,
            Err(_) => {
                let (day, offset) = text.rsplit_once(' ')?;
                OffsetDateTime::parse(&format!("{day}+{offset}"), &Rfc3339).ok()?
            }
        };
        let millis = instant.unix_timestamp_nanos().div_euclid(1_000_000).max(0);
        Some(Self::from_millis(u64::try_from(millis).ok()?))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000_000;
        let at = OffsetDateTime::from_unix_timestamp_nanos(nanos)
            .expect("a Timestamp is capped at the year 9999, which OffsetDateTime holds");
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("an RFC 3339 timestamp is expected")
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_written_form_has_three_decimals_and_z() {
        let at = Timestamp::from_millis(1_768_473_000_123);
        assert_eq!(at.to_string(), "2026-01-15T10:30:00.123Z");
        assert_eq!(Timestamp::parse("2026-01-15T10:30:00.123Z"), Some(at));
        assert_eq!(Timestamp::EPOCH.to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn any_rfc_3339_form_is_read() {
        let expected = Timestamp::parse("2026-01-15T10:30:00.123Z");
        for same in [
            "2026-01-15t10:30:00.123z",
            "2026-01-15T11:30:00.123+01:00",
            "2026-01-15T11:30:00.123 01:00",
            "2026-01-15T10:30:00.123999999Z",
        ] {
            assert_eq!(Timestamp::parse(same), expected, "{same}");
        }
        for bad in ["", "yesterday", "2026-01-15", "1768473000123", "2026-13-01T00:00:00Z"] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_far_past_and_future_are_clamped_to_what_can_be_written() {
        assert_eq!(Timestamp::parse("0000-01-01T00:00:00Z"), Some(Timestamp::EPOCH));
        assert_eq!(Timestamp::from_millis(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_sorts_as_text(one in 0..=LAST_MILLIS, other in 0..=LAST_MILLIS) {
            let (one, other) = (Timestamp::from_millis(one), Timestamp::from_millis(other));
            prop_assert_eq!(Timestamp::parse(&one.to_string()), Some(one));
            prop_assert_eq!(one.to_string().cmp(&other.to_string()), one.cmp(&other));
        }

        #[test]
        fn an_offset_and_what_is_below_the_millisecond_change_nothing(
            millis in 86_400_000..=LAST_MILLIS - 86_400_000, minutes in 0_u64..24 * 60, below in 0_u32..1_000_000,
        ) {
            let at = Timestamp::from_millis(millis);
            let shifted = Timestamp::from_millis(millis + minutes * 60_000).to_string();
            let offset = format!("{:06}+{:02}:{:02}", below, minutes / 60, minutes % 60);
            prop_assert_eq!(Timestamp::parse(&shifted.replace('Z', &offset)), Some(at));
            // What an unescaped plus of a query turns into.
            prop_assert_eq!(Timestamp::parse(&shifted.replace('Z', &offset.replace('+', " "))), Some(at));
        }

        #[test]
        fn any_text_is_an_instant_that_can_be_written_or_none(text in "[0-9:TZtz+. -]{0,40}|.{0,80}") {
            if let Some(at) = Timestamp::parse(&text) {
                prop_assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
            }
        }
    }
}
