//! The parts of replies on their way out.
//!
//! A reply goes out part by part, and a call is asked for by the number of its part alone. Splitting and rendering the
//! whole reply for each of them would take time that grows with the square of its length.

use std::fmt;
use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::domain::digest::Digest;

/// Longest content that is split anew for each part, in bytes: it has few, and costs less than it takes to look it up.
const SHORT: usize = 2000;
/// Replies that are remembered. The parts of one have a few times the 64 KiB of its content, rendered ones up to
/// 32 KiB each.
const REMEMBERED: usize = 16;

/// Remembers the parts of the replies that were split last. Forgetting them costs nothing but the time to split again.
#[derive(Clone)]
pub(super) struct RecentParts<P>(Arc<Cache<[u8; 32], Arc<[P]>>>);

impl<P> RecentParts<P> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Cache::new(REMEMBERED)))
    }

    /// All parts of `content`, which `split` makes of it and of nothing else.
    pub(super) fn of(&self, content: &str, split: impl FnOnce(&str) -> Vec<P>) -> Arc<[P]> {
        if content.len() <= SHORT {
            return split(content).into();
        }
        let key = Digest::of(content.as_bytes());
        if let Some(parts) = self.0.get(key.as_bytes()) {
            return parts;
        }
        let parts: Arc<[P]> = split(content).into();
        self.0.insert(*key.as_bytes(), parts.clone());
        parts
    }
}

impl<P> fmt::Debug for RecentParts<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecentParts(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reply_is_split_once_however_many_parts_it_has() {
        let (recent, content) = (RecentParts::new(), "x".repeat(64 * 1024));
        let mut splits = 0;
        for number in 0..64 {
            let parts = recent.of(&content, |content| {
                splits += 1;
                content.as_bytes().chunks(1024).map(<[u8]>::to_vec).collect()
            });
            assert_eq!(parts[number].len(), 1024);
        }
        assert_eq!(splits, 1);
    }

    #[test]
    fn what_is_remembered_is_told_apart_by_its_content_and_bounded() {
        let recent = RecentParts::new();
        for length in (SHORT - 50..SHORT + 200).chain(SHORT - 50..SHORT + 200) {
            let parts = recent.of(&"x".repeat(length), |content| vec![content.len()]);
            assert_eq!(*parts, [length]);
        }
        assert!(recent.0.len() <= REMEMBERED);
    }
}
