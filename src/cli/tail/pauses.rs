//! How long is waited between attempts, and how that is said.

use std::time::Duration;

/// The longest wait before the next attempt after so many failures: 0.25 s, twice as long each time, 10 s at most.
pub fn longest_delay(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(250);
    const MAX: Duration = Duration::from_secs(10);
    FIRST.saturating_mul(2_u32.saturating_pow(failures)).min(MAX)
}

/// A random wait up to `longest`, so that the clients of a relay that comes back do not all come at once.
pub fn jittered(longest: Duration) -> Duration {
    let share = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    longest.mul_f64(share)
}

/// A number of seconds as people say it.
pub fn spoken(seconds: u64) -> String {
    match seconds {
        0..=90 => format!("{seconds} s"),
        _ => format!("{} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_ten_seconds() {
        let waits: Vec<u128> = (0..8).map(|failures| longest_delay(failures).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!(longest_delay(u32::MAX), Duration::from_secs(10));
    }

    #[test]
    fn the_wait_is_never_longer_than_its_bound() {
        let longest = Duration::from_millis(250);
        assert!((0..1000).all(|_| jittered(longest) <= longest));
    }

    #[test]
    fn a_time_to_wait_is_said_in_seconds_or_whole_minutes() {
        assert_eq!([spoken(1), spoken(90), spoken(91), spoken(3600)], ["1 s", "90 s", "2 min", "60 min"]);
    }
}
