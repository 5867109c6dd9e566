//! When a reply that a platform did not take is tried again, and when it is given up.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::timestamp::Timestamp;

/// How long a reply is tried, in milliseconds from its first try.
pub const GIVE_UP_AFTER_MS: u64 = 24 * 60 * 60 * 1000;

/// The longest wait that a platform is believed when it names one. Past it the reply is given up anyway.
pub const LONGEST_ASKED: Duration = Duration::from_millis(GIVE_UP_AFTER_MS);

/// The waits between tries; the last one repeats. The first ones get over a dropped connection, the later
/// ones over an outage, without a burden on a platform that is struggling.
const WAITS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(60 * 60),
];

/// The wait when a daily or monthly quota is used up: nothing changes within minutes.
const QUOTA_WAIT: Duration = Duration::from_secs(60 * 60);

/// How far a wait is spread, as a part of it: replies that failed together shall not come back together.
const SPREAD: f64 = 0.2;

/// When to try again after `attempts_so_far` tries, the one that just failed included; `None` to give up,
/// which is when that would be later than [`GIVE_UP_AFTER_MS`] after `first`, the time of the first try.
///
/// The waits are 1 s, 5 s, 30 s, 2 min, 10 min, and from then on 1 h, each spread by a fifth either way.
/// `asked` is what the platform asked for, up to [`LONGEST_ASKED`]: a try is never earlier, and up to a fifth
/// later. `jitter` is a random number from 0 to 1; anything else counts as its middle.
pub fn next_try(
    attempts_so_far: u32,
    asked: Option<Duration>,
    first: Timestamp,
    now: Timestamp,
    jitter: f64,
) -> Option<Timestamp> {
    let step = usize::try_from(attempts_so_far.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = WAITS[step.min(WAITS.len() - 1)];
    due(wait, asked, first, now, jitter)
}

/// When to try again after a quota was used up: after an hour, spread like the waits of [`next_try`], or
/// later when the platform asked for it; `None` to give up.
pub fn next_quota_try(asked: Option<Duration>, first: Timestamp, now: Timestamp, jitter: f64) -> Option<Timestamp> {
    due(QUOTA_WAIT, asked, first, now, jitter)
}

/// Reads how long to wait from a `Retry-After` header (RFC 9110 §10.2.3: seconds or an HTTP date) or from a
/// `retry_after` in a body, where Discord sends fractions of seconds; `None` for anything else.
///
/// A date that has passed is no wait; more than [`LONGEST_ASKED`] counts as that.
pub fn parse_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    // Only what a JSON number consists of: "inf" and "NaN" would parse too.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    if is_number {
        let seconds: f64 = text.parse().ok()?;
        return (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST_ASKED.as_secs_f64())));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(time_until(date, now).min(LONGEST_ASKED))
}

fn time_until(date: SystemTime, now: Timestamp) -> Duration {
    let since_epoch = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    since_epoch.saturating_sub(Duration::from_millis(now.millis()))
}

fn due(wait: Duration, asked: Option<Duration>, first: Timestamp, now: Timestamp, jitter: f64) -> Option<Timestamp> {
    let jitter = if (0.0..=1.0).contains(&jitter) { jitter } else { 0.5 };
    let scheduled = wait.mul_f64(1.0 - SPREAD + 2.0 * SPREAD * jitter);
    // Being early at a platform that named its time costs another refusal, so this is spread upwards only.
    let not_before = asked.unwrap_or_default().min(LONGEST_ASKED).mul_f64(1.0 + SPREAD * jitter);
    let next = now.millis().saturating_add(whole_millis(scheduled.max(not_before)));
    let last = first.millis().saturating_add(GIVE_UP_AFTER_MS);
    (next <= last).then(|| Timestamp::from_millis(next))
}

/// Rounded up, so that rounding never makes a try early.
fn whole_millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-01-15T10:30:00Z.
    const START: u64 = 1_768_473_000_000;
    const HOUR: u64 = 60 * 60 * 1000;

    fn start() -> Timestamp {
        Timestamp::from_millis(START)
    }

    /// Milliseconds until the next try, right after the first one.
    fn wait(attempts: u32, asked: Option<Duration>, jitter: f64) -> Option<u64> {
        next_try(attempts, asked, start(), start(), jitter).map(|next| next.distance(start()))
    }

    #[test]
    fn the_waits_grow_from_a_second_to_an_hour() {
        let waits: Vec<_> = (1..=8).map(|attempts| wait(attempts, None, 0.5)).collect();
        let expected = [1_000, 5_000, 30_000, 120_000, 600_000, HOUR, HOUR, HOUR].map(Some);
        assert_eq!(waits, expected);
        assert_eq!(wait(0, None, 0.5), Some(1_000));
        assert_eq!(wait(u32::MAX, None, 0.5), Some(HOUR));
    }

    #[test]
    fn a_wait_is_spread_by_a_fifth_either_way() {
        assert_eq!((wait(1, None, 0.0), wait(1, None, 1.0)), (Some(800), Some(1_200)));
        for odd in [f64::NAN, f64::INFINITY, -1.0, 1.5] {
            assert_eq!(wait(1, None, odd), Some(1_000));
        }
    }

    #[test]
    fn a_platform_that_names_a_time_is_believed_up_to_a_day() {
        let asked = |seconds| wait(1, Some(Duration::from_secs(seconds)), 0.0);
        assert_eq!(asked(7), Some(7_000));
        assert_eq!(asked(0), Some(800));
        assert_eq!(asked(20 * 60 * 60), Some(20 * HOUR));
        assert_eq!(asked(u64::MAX), Some(24 * HOUR));
        assert_eq!(wait(1, Some(Duration::from_nanos(2_000_000_001)), 0.0), Some(2_001));
        assert_eq!(wait(1, Some(Duration::from_secs(10)), 1.0), Some(12_000));
        assert_eq!(wait(4, Some(Duration::from_secs(10)), 0.5), Some(120_000));
    }

    #[test]
    fn a_reply_is_given_up_a_day_after_its_first_try() {
        let at = |offset| next_try(9, None, start(), Timestamp::from_millis(START + offset), 0.5);
        assert_eq!(at(23 * HOUR), Some(Timestamp::from_millis(START + 24 * HOUR)));
        assert_eq!(at(23 * HOUR + 1), None);
        let too_long = Some(Duration::from_secs(2 * 60 * 60));
        assert_eq!(next_try(1, too_long, start(), Timestamp::from_millis(START + 22 * HOUR + 1), 0.0), None);
    }

    #[test]
    fn a_used_up_quota_is_tried_hourly_for_a_day() {
        let at = |asked, now| next_quota_try(asked, start(), Timestamp::from_millis(START + now), 0.5);
        assert_eq!(at(None, 0), Some(Timestamp::from_millis(START + HOUR)));
        assert_eq!(at(Some(Duration::from_secs(1)), 0), Some(Timestamp::from_millis(START + HOUR)));
        assert!(at(Some(Duration::from_secs(3 * 60 * 60)), 0) >= Some(Timestamp::from_millis(START + 3 * HOUR)));
        assert_eq!(at(None, 24 * HOUR), None);
    }

    #[test]
    fn a_wait_is_read_from_seconds_fractions_and_dates() {
        for (text, millis) in [
            ("7", 7_000),
            (" 30 ", 30_000),
            ("0", 0),
            ("-0", 0),
            ("0.65", 650),
            ("1.0", 1_000),
            ("1e-3", 1),
            ("86401", 24 * HOUR),
            ("99999999999999999999", 24 * HOUR),
            ("1e999", 24 * HOUR),
            ("Thu, 15 Jan 2026 10:31:00 GMT", 60_000),
            ("Thursday, 15-Jan-26 10:31:00 GMT", 60_000),
            ("Thu Jan 15 10:31:00 2026", 60_000),
            ("Thu, 15 Jan 2026 10:29:00 GMT", 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 24 * HOUR),
        ] {
            assert_eq!(parse_retry_after(text, start()), Some(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", " ", "-1", "-0.5", "soon", "NaN", "inf", "infinity", "1 s", "0x10", "1,5", "1.2.3", "é"] {
            assert_eq!(parse_retry_after(bad, start()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_next_try_lies_within_its_bounds(
            attempts in 0_u32..40, asked in proptest::option::of(0_u64..100_000_000_000),
            elapsed in 0_u64..100_000_000, jitter in 0.0..1.0,
        ) {
            let now = Timestamp::from_millis(START + elapsed);
            let asked = asked.map(Duration::from_micros);
            if let Some(next) = next_try(attempts, asked, start(), now, jitter) {
                let wait = next.millis() - now.millis();
                prop_assert!(wait >= 800);
                prop_assert!(Duration::from_millis(wait) >= asked.unwrap_or_default().min(LONGEST_ASKED));
                prop_assert!(next.millis() <= START + GIVE_UP_AFTER_MS);
                let longest = asked.unwrap_or_default().max(Duration::from_secs(3600)).mul_f64(1.2);
                prop_assert!(Duration::from_millis(wait) <= longest + Duration::from_millis(2));
            }
        }

        #[test]
        fn more_attempts_or_more_asked_or_more_jitter_never_come_sooner(
            attempts in 0_u32..40, more in 0_u32..10, asked in 0_u64..10_000_000, longer in 0_u64..1_000_000,
            jitter in 0.0..0.5, extra in 0.0..0.5,
        ) {
            let base = wait(attempts, Some(Duration::from_millis(asked)), jitter);
            prop_assert!(base.is_some());
            prop_assert!(wait(attempts + more, Some(Duration::from_millis(asked)), jitter) >= base);
            prop_assert!(wait(attempts, Some(Duration::from_millis(asked + longer)), jitter) >= base);
            prop_assert!(wait(attempts, Some(Duration::from_millis(asked)), jitter + extra) >= base);
        }

        #[test]
        fn once_given_up_a_reply_stays_given_up(attempts in 1_u32..40, elapsed in 0_u64..100_000_000, jitter in 0.0..1.0) {
            let at = |offset| next_try(attempts, None, start(), Timestamp::from_millis(START + offset), jitter);
            if at(elapsed).is_none() {
                prop_assert_eq!(at(elapsed + 1), None);
            }
            prop_assert!(at(elapsed + GIVE_UP_AFTER_MS).is_none());
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*", millis: u64) {
            let asked = parse_retry_after(&text, Timestamp::from_millis(millis));
            prop_assert!(asked.is_none_or(|asked| asked <= LONGEST_ASKED));
        }

        #[test]
        fn whole_seconds_are_read_as_they_are(seconds in 0_u64..86_400) {
            prop_assert_eq!(parse_retry_after(&seconds.to_string(), start()), Some(Duration::from_secs(seconds)));
        }
    }
}
