//! What a listener has heard and not yet taken.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::store::Wake;

/// Most bytes of messages that wait in one mailbox. What does not fit is read from the store later, so
/// a slow listener costs no more than this.
const MAX_WAITING_BYTES: usize = 256 * 1024;
/// Most wakes that wait, whatever their size.
const MAX_WAITING: usize = 256;

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A wake of the store.
    Wake(Arc<Wake>),
    /// So many bytes of messages did not fit here: read the store.
    Missed(usize),
    /// The replica takes leave.
    End,
}

/// Bounded, and lossy in a way that its reader can mend.
#[derive(Default)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    ready: Notify,
}

#[derive(Default)]
struct State {
    wakes: VecDeque<Arc<Wake>>,
    bytes: usize,
    missed: usize,
    is_ending: bool,
    was_told: bool,
}

impl Mailbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, wake: &Arc<Wake>) {
        {
            let mut state = self.state();
            let size = match &**wake {
                Wake::Message { record, .. } => record.size(),
                _ => 0,
            };
            // Once something is missed, later messages are as well: the reader finds all of them in the store.
            let fits = state.bytes + size <= MAX_WAITING_BYTES && state.wakes.len() < MAX_WAITING;
            if size > 0 && (state.missed > 0 || !fits) {
                state.missed += size;
            } else if size == 0 && state.wakes.len() >= 2 * MAX_WAITING {
                state.missed += 1;
            } else {
                state.bytes += size;
                state.wakes.push_back(wake.clone());
            }
        }
        self.ready.notify_one();
    }

    pub(super) fn end(&self) {
        self.state().is_ending = true;
        self.ready.notify_one();
    }

    pub(super) fn is_ending(&self) -> bool {
        self.state().is_ending
    }

    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.wakes.retain(|wake| matches!(**wake, Wake::Evicted(_) | Wake::SessionGone | Wake::Disconnected));
        state.bytes = 0;
        state.missed = 0;
    }

    fn take(&self) -> Option<Notice> {
        let mut state = self.state();
        if state.is_ending && !state.was_told {
            state.was_told = true;
            return Some(Notice::End);
        }
        if let Some(wake) = state.wakes.pop_front() {
            if let Wake::Message { record, .. } = &*wake {
                state.bytes -= record.size();
            }
            return Some(Notice::Wake(wake));
        }
        let missed = std::mem::take(&mut state.missed);
        (missed > 0).then_some(Notice::Missed(missed))
    }

    pub(super) async fn next(&self) -> Notice {
        loop {
            if let Some(notice) = self.take() {
                return notice;
            }
            self.ready.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::StoredRecord;
    use crate::domain::timestamp::Timestamp;

    fn message(at: u64, size: usize) -> Arc<Wake> {
        let record = StoredRecord::new(Timestamp::from_millis(at), format!("{}\n\n\n", "x".repeat(size))).unwrap();
        Arc::new(Wake::Message { before: Timestamp::EPOCH, record })
    }

    #[tokio::test]
    async fn what_does_not_fit_is_told_after_what_did() {
        let mailbox = Mailbox::default();
        mailbox.put(&message(1, 200 * 1024));
        mailbox.put(&message(2, 100 * 1024));
        mailbox.put(&message(3, 10));
        assert_eq!(mailbox.next().await, Notice::Wake(message(1, 200 * 1024)));
        assert_eq!(mailbox.next().await, Notice::Missed(100 * 1024 + 3 + 13));
        mailbox.put(&message(4, 10));
        assert_eq!(mailbox.next().await, Notice::Wake(message(4, 10)));
    }

    #[tokio::test]
    async fn a_flood_of_small_wakes_is_bounded_too() {
        let mailbox = Mailbox::default();
        for at in 0..10_000 {
            mailbox.put(&message(at, 1));
            mailbox.put(&Arc::new(Wake::Resync));
        }
        assert!(mailbox.state().wakes.len() <= 2 * MAX_WAITING);
    }

    #[tokio::test]
    async fn forgetting_keeps_what_no_read_would_show() {
        let mailbox = Mailbox::default();
        mailbox.put(&message(1, 1));
        mailbox.put(&Arc::new(Wake::Evicted("place".to_owned())));
        mailbox.clear();
        assert_eq!(mailbox.next().await, Notice::Wake(Arc::new(Wake::Evicted("place".to_owned()))));
    }

    #[tokio::test]
    async fn the_end_comes_first_and_once() {
        let mailbox = Mailbox::default();
        mailbox.put(&message(1, 1));
        mailbox.end();
        assert_eq!(mailbox.next().await, Notice::End);
        assert_eq!(mailbox.next().await, Notice::Wake(message(1, 1)));
    }
}
