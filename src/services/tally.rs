//! What this replica counts, and what it stored last, until the next heartbeat takes it along.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::ids::{ChannelId, UserId};
use crate::domain::timestamp::Timestamp;
use crate::store::IngestOutcome;
use crate::store::operator::{COUNTERS, Counter, Counts, Direction, MAX_RECENT, RecentPointer};

/// Counters and pointers. Counting is one atomic addition; the list of pointers is locked for a moment.
#[derive(Debug, Default)]
pub struct Tally {
    counts: [AtomicU64; COUNTERS.len()],
    /// The newest at the back; at most [`MAX_RECENT`].
    recent: Mutex<VecDeque<RecentPointer>>,
}

/// What was counted and stored since it was last taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// The counts.
    pub counts: Counts,
    /// The newest messages and replies, the newest last; at most [`MAX_RECENT`].
    pub recent: Vec<RecentPointer>,
}

impl Tally {
    /// Counts one.
    pub fn count(&self, counter: Counter) {
        self.counts[counter as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a message or reply that was stored, and points at it.
    pub fn accepted(&self, direction: Direction, user: UserId, channel: &ChannelId, at: Timestamp) {
        self.count(match direction {
            Direction::In => Counter::MessagesIn,
            Direction::Out => Counter::RepliesOut,
        });
        let pointer = RecentPointer { direction, user, channel: channel.clone(), at };
        let mut recent = self.recent();
        if recent.len() >= MAX_RECENT {
            recent.pop_front();
        }
        recent.push_back(pointer);
    }

    /// The same for an ingest, if that stored a message. A duplicate was counted when it came first.
    pub(super) fn ingested(&self, outcome: &IngestOutcome, user: UserId, channel: &ChannelId) {
        if let IngestOutcome::Accepted(at, _) = outcome {
            self.accepted(Direction::In, user, channel, *at);
        }
    }

    /// Whether nothing happened. (What is pointed at was counted.)
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| count.load(Ordering::Relaxed) == 0)
    }

    /// Takes everything.
    pub fn take(&self) -> Taken {
        let counts = std::array::from_fn(|n| self.counts[n].swap(0, Ordering::Relaxed));
        Taken { counts: Counts::new(counts), recent: std::mem::take(&mut *self.recent()).into() }
    }

    /// Takes back what could not be passed on, to be taken again with what came since.
    pub fn give_back(&self, taken: Taken) {
        for counter in COUNTERS {
            self.counts[counter as usize].fetch_add(taken.counts.get(counter), Ordering::Relaxed);
        }
        let mut recent = self.recent();
        for pointer in taken.recent.into_iter().rev() {
            if recent.len() >= MAX_RECENT {
                break;
            }
            recent.push_front(pointer);
        }
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<RecentPointer>> {
        // No code under the lock can panic half-way.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_instants(taken: &Taken) -> Vec<u64> {
        taken.recent.iter().map(|pointer| pointer.at.millis()).collect()
    }

    fn accept(tally: &Tally, instants: std::ops::Range<u64>) {
        let (user, channel) = (UserId::random(), ChannelId::random());
        for at in instants {
            tally.accepted(Direction::In, user, &channel, Timestamp::from_millis(at));
        }
    }

    #[test]
    fn what_is_taken_is_gone_and_what_is_given_back_is_taken_with_the_rest() {
        let tally = Tally::default();
        assert!(tally.is_empty());
        accept(&tally, 0..3);
        tally.count(Counter::Unauthorized);
        assert!(!tally.is_empty());
        let first = tally.take();
        assert_eq!((first.counts.get(Counter::MessagesIn), first.counts.get(Counter::Unauthorized)), (3, 1));
        assert!(tally.is_empty());
        assert_eq!(tally.take(), Taken::default());
        accept(&tally, 3..5);
        tally.give_back(first);
        let all = tally.take();
        assert_eq!((all.counts.get(Counter::MessagesIn), all.counts.get(Counter::Unauthorized)), (5, 1));
        assert_eq!(at_instants(&all), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn only_the_newest_are_pointed_at() {
        let tally = Tally::default();
        let most = MAX_RECENT as u64;
        accept(&tally, 0..most + 10);
        let taken = tally.take();
        assert_eq!(at_instants(&taken), (10..most + 10).collect::<Vec<_>>());
        assert_eq!(taken.counts.get(Counter::MessagesIn), most + 10);
        accept(&tally, 100..105);
        tally.give_back(taken);
        assert_eq!(at_instants(&tally.take()), (15..most + 10).chain(100..105).collect::<Vec<_>>());
    }
}
