//! Stops calling Discord before Discord shuts this machine out.
//!
//! After 10,000 answers of 401, 403 or 429 within ten minutes Discord's edge turns away every call from an IP
//! address, for all bots behind it. One client that goes on writing to a bot without rights must not get that far.
//! Source: discord-api-docs `developers/topics/rate-limits.mdx` ("Invalid Request Limit").

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::answer::is_ban;
use crate::channels::api::ApiAnswer;
use crate::domain::timestamp::Timestamp;

/// Length of a window, in milliseconds. Discord's own.
const WINDOW_MS: u64 = 10 * 60_000;
/// Most invalid requests in a window. Windows are fixed, so any ten minutes may see twice as many; four replicas
/// may share an address; and calls under way come on top: less than Discord's 10,000 all the same.
const MAX_INVALID: u32 = 1_000;

/// Counts this replica's invalid requests. Threads may share it.
#[derive(Debug, Default)]
pub struct InvalidRequests(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    start: Timestamp,
    count: u32,
    /// The edge has shut this machine out; until then at least.
    banned_until: Timestamp,
}

impl InvalidRequests {
    /// Counts the answer that came at `now`, if it is to be counted.
    pub fn note(&self, answer: &ApiAnswer, now: Timestamp) {
        if !is_invalid(answer) {
            return;
        }
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back far begins a new window too.
        if now.distance(window.start) >= WINDOW_MS {
            window.start = now;
            window.count = 0;
        }
        window.count = window.count.saturating_add(1);
        if is_ban(answer) {
            window.banned_until = Timestamp::from_millis(now.millis().saturating_add(WINDOW_MS));
        }
    }

    /// How long no call to Discord may be made; `None` when one may.
    pub fn blocked_until(&self, now: Timestamp) -> Option<Duration> {
        let window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = if window.count >= MAX_INVALID { window.start.millis().saturating_add(WINDOW_MS) } else { 0 };
        let until = full.max(window.banned_until.millis());
        let left = until.saturating_sub(now.millis()).min(WINDOW_MS);
        (left > 0).then(|| Duration::from_millis(left))
    }
}

/// Whether Discord counts it. A limit that others share in is nobody's fault.
fn is_invalid(answer: &ApiAnswer) -> bool {
    match answer.status {
        401 | 403 => true,
        429 => answer.header("x-ratelimit-scope").is_none_or(|scope| !scope.eq_ignore_ascii_case("shared")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::discord::testing::{answer, now};

    fn after(seconds: u64) -> Timestamp {
        Timestamp::from_millis(now().millis() + seconds * 1000)
    }

    fn noted(status: u16, headers: &[(&str, &str)], times: u32) -> InvalidRequests {
        let guard = InvalidRequests::default();
        for _ in 0..times {
            guard.note(&answer(status, headers, "{}"), now());
        }
        guard
    }

    #[test]
    fn a_thousand_invalid_requests_close_it_for_the_rest_of_the_window() {
        for status in [401, 403] {
            assert_eq!(noted(status, &[], 999).blocked_until(now()), None);
            let guard = noted(status, &[], 1000);
            assert_eq!(guard.blocked_until(now()), Some(Duration::from_secs(600)));
            assert_eq!(guard.blocked_until(after(599)), Some(Duration::from_secs(1)));
            assert_eq!(guard.blocked_until(after(600)), None);
        }
        assert!(noted(429, &[("via", "1.1 google")], 1000).blocked_until(now()).is_some());
    }

    #[test]
    fn a_new_window_counts_from_the_start() {
        let guard = noted(403, &[], 999);
        guard.note(&answer(403, &[], ""), after(600));
        assert_eq!(guard.blocked_until(after(600)), None);
        for _ in 0..999 {
            guard.note(&answer(403, &[], ""), after(601));
        }
        assert_eq!(guard.blocked_until(after(601)), Some(Duration::from_secs(599)));
    }

    #[test]
    fn what_discord_does_not_count_is_not_counted() {
        for status in [200, 204, 400, 404, 500, 502] {
            assert_eq!(noted(status, &[], 5000).blocked_until(now()), None, "{status}");
        }
        let shared = [("via", "1.1 google"), ("x-ratelimit-scope", "shared")];
        assert_eq!(noted(429, &shared, 5000).blocked_until(now()), None);
        let own = [("via", "1.1 google"), ("x-ratelimit-scope", "user")];
        assert!(noted(429, &own, 1000).blocked_until(now()).is_some());
    }

    #[test]
    fn one_answer_of_the_edge_closes_it_at_once() {
        let guard = noted(429, &[], 1);
        assert_eq!(guard.blocked_until(now()), Some(Duration::from_secs(600)));
        assert_eq!(guard.blocked_until(after(600)), None);
    }

    #[test]
    fn a_clock_that_was_set_back_never_blocks_longer_than_a_window() {
        let guard = noted(403, &[], 1000);
        let earlier = Timestamp::from_millis(now().millis() - 3_600_000);
        assert_eq!(guard.blocked_until(earlier), Some(Duration::from_secs(600)));
        guard.note(&answer(403, &[], ""), earlier);
        assert_eq!(guard.blocked_until(earlier), None);
    }
}
