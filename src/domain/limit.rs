//! Rate limits: how much of something is allowed in how much time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// So many uses in a fixed window that starts with the first use. Written `<count>/<window>`, as `60/1m`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    count: u32,
    window: Duration,
}

/// The longest window, which keeps every counter's life bounded.
const MAX_WINDOW: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Limit {
    /// `count` uses in each `window`. Meant for the defaults, which are known to be sane.
    pub const fn new(count: u32, window: Duration) -> Self {
        Self { count, window }
    }

    /// How many uses one window allows; at least 1.
    pub fn count(self) -> u32 {
        self.count
    }

    /// How long a window lasts.
    pub fn window(self) -> Duration {
        self.window
    }
}

/// A text that is not a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("<count>/<window> with a count of at least 1 and a window of 1s to 30d, such as 60/1m, 5/1h or 10/15m")]
pub struct InvalidLimit;

impl FromStr for Limit {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        let (count, window) = text.split_once('/').ok_or(InvalidLimit)?;
        let count: u32 = count.trim().parse().map_err(|_| InvalidLimit)?;
        let window = window.trim();
        let unit_at = window.len().checked_sub(1).ok_or(InvalidLimit)?;
        let (number, unit) = window.split_at_checked(unit_at).ok_or(InvalidLimit)?;
        let unit_seconds: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return Err(InvalidLimit),
        };
        let number: u64 = number.parse().map_err(|_| InvalidLimit)?;
        let seconds = number.checked_mul(unit_seconds).ok_or(InvalidLimit)?;
        let window = Duration::from_secs(seconds);
        if count == 0 || window.is_zero() || window > MAX_WINDOW {
            return Err(InvalidLimit);
        }
        Ok(Self { count, window })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.window.as_secs();
        let (number, unit) = [(86_400, 'd'), (3_600, 'h'), (60, 'm')]
            .into_iter()
            .find(|(size, _)| seconds.is_multiple_of(*size))
            .map_or((seconds, 's'), |(size, unit)| (seconds / size, unit));
        write!(f, "{}/{number}{unit}", self.count)
    }
}

/// Where a counter stands after a use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitStatus {
    /// The limit that the use was counted against.
    pub limit: Limit,
    /// Uses in this window so far, this one included.
    pub used: u64,
    /// Time until the window ends.
    pub reset: Duration,
}

impl LimitStatus {
    /// Whether this use was one too many.
    pub fn is_exceeded(&self) -> bool {
        self.used > u64::from(self.limit.count)
    }

    /// Uses left in this window.
    pub fn remaining(&self) -> u64 {
        u64::from(self.limit.count).saturating_sub(self.used)
    }

    /// Whole seconds until the window ends, rounded up, so that a client that waits them is not early.
    pub fn reset_seconds(&self) -> u64 {
        u64::try_from(self.reset.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_limit_is_read_and_written_in_the_same_form() {
        for text in ["60/1m", "5/1h", "10/15m", "1/1s", "100/30d", "7/90s"] {
            assert_eq!(text.parse::<Limit>().unwrap().to_string(), text);
        }
        assert_eq!("60/60s".parse::<Limit>().unwrap().to_string(), "60/1m");
    }

    #[test]
    fn what_is_not_a_limit_is_refused() {
        for bad in ["", "60", "60/", "/1m", "0/1m", "60/0m", "60/1w", "-1/1m", "60/m", "60/31d", "6/1é"] {
            assert!(bad.parse::<Limit>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_allowed_use_is_the_count_itself() {
        let limit = Limit::new(2, Duration::from_secs(60));
        let at = |used| LimitStatus { limit, used, reset: Duration::from_millis(1) };
        assert!(!at(2).is_exceeded());
        assert!(at(3).is_exceeded());
        assert_eq!((at(1).remaining(), at(3).remaining()), (1, 0));
        assert_eq!(at(1).reset_seconds(), 1);
    }

    proptest! {
        #[test]
        fn a_limit_is_read_as_it_was_written(count in 1_u32.., seconds in 1_u64..=30 * 24 * 60 * 60) {
            let limit = Limit::new(count, Duration::from_secs(seconds));
            prop_assert_eq!(limit.to_string().parse(), Ok(limit));
        }

        #[test]
        fn any_text_is_a_limit_within_bounds_or_none(text in "[0-9+ -]{0,12}/[0-9+ -]{0,22}[smhdwé]?|.{0,20}") {
            if let Ok(limit) = text.parse::<Limit>() {
                prop_assert!(limit.count() >= 1);
                prop_assert!((Duration::from_secs(1)..=MAX_WINDOW).contains(&limit.window()));
                prop_assert_eq!(limit.to_string().parse(), Ok(limit));
            }
        }

        #[test]
        fn what_is_left_and_whether_it_is_exceeded_agree(count in 1_u32.., used in 1_u64.., millis in 0_u64..) {
            let limit = Limit::new(count, Duration::from_secs(60));
            let status = LimitStatus { limit, used, reset: Duration::from_millis(millis) };
            prop_assert!(!status.is_exceeded() || status.remaining() == 0);
            prop_assert_eq!(status.is_exceeded() || status.remaining() + used == u64::from(count), true);
            // Whoever waits that long is not early.
            prop_assert!(Duration::from_secs(status.reset_seconds()) >= status.reset);
        }
    }
}
