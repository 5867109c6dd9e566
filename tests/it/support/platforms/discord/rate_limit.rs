//! Buckets: how many calls of one kind there is room for, and how an answer says so.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::support::platforms::server::Answer;
use crate::support::platforms::unix_seconds;

/// Buckets by their name. Without a limit they are large.
pub struct Buckets {
    calls: usize,
    per: Duration,
    windows: HashMap<String, (Instant, usize)>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { calls: 1000, per: Duration::from_secs(1), windows: HashMap::new() }
    }
}

/// What is left of a bucket.
pub struct Room {
    limit: usize,
    remaining: usize,
    reset_after: Duration,
    bucket: String,
}

impl Buckets {
    pub fn limit(&mut self, calls: usize, per: Duration) {
        *self = Self { calls, per, windows: HashMap::new() };
    }

    /// Counts a call; the error says how long the bucket stays full.
    pub fn count(&mut self, bucket: &str) -> Result<Room, Duration> {
        let now = Instant::now();
        let window = self.windows.entry(bucket.to_owned()).or_insert((now, 0));
        if now.duration_since(window.0) >= self.per {
            *window = (now, 0);
        }
        let reset_after = self.per - now.duration_since(window.0);
        if window.1 == self.calls {
            return Err(reset_after);
        }
        window.1 += 1;
        Ok(Room { limit: self.calls, remaining: self.calls - window.1, reset_after, bucket: bucket.to_owned() })
    }
}

impl Room {
    /// The answer with the headers that every answer has.
    pub fn mark(&self, answer: Answer) -> Answer {
        let seconds = self.reset_after.as_secs_f64();
        answer
            .with("X-RateLimit-Limit", self.limit)
            .with("X-RateLimit-Remaining", self.remaining)
            .with("X-RateLimit-Reset", format!("{:.3}", unix_seconds() as f64 + seconds))
            .with("X-RateLimit-Reset-After", format!("{seconds:.3}"))
            .with("X-RateLimit-Bucket", self.bucket.replace('/', "-"))
    }
}
