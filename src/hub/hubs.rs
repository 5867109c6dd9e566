//! The hubs of a replica, one for each worker thread: what they are together, and taking leave of all who listen.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::{Echo, Hub};

/// Steps in which a drain closes sockets.
const DRAIN_STEP: Duration = Duration::from_millis(50);

/// The hubs of a replica. One is gone with its worker thread.
#[derive(Default)]
pub struct Hubs(Mutex<Vec<Weak<Hub>>>);

impl Hubs {
    /// A hub for one more worker thread.
    pub fn add(&self) -> Arc<Hub> {
        let hub = Arc::default();
        let mut hubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|hub| hub.strong_count() > 0);
        hubs.push(Arc::downgrade(&hub));
        hub
    }

    fn alive(&self) -> Vec<Arc<Hub>> {
        let hubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.iter().filter_map(Weak::upgrade).collect()
    }

    /// Open WebSockets of this replica.
    pub fn sockets(&self) -> usize {
        self.alive().iter().map(|hub| hub.sockets()).sum()
    }

    /// What came of the last echoes: lost if one hub did not hear its own, else awaited if one did not yet, else the
    /// longest of them.
    pub fn echo(&self) -> Echo {
        self.alive().iter().map(|hub| hub.echo()).max().unwrap_or_default()
    }

    /// Tells every listener to end, evenly over `time`, and those that join meanwhile too. Who joins later is told at
    /// once. Ends when nobody is left.
    pub async fn drain(&self, time: Duration) {
        let end = Instant::now() + time;
        // Listeners that should have been told by now, and a part of the next one.
        let mut owed = 0.0;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let hubs = self.alive();
            if left.is_zero() {
                hubs.iter().for_each(|hub| hub.close());
            }
            let listeners: Vec<_> = hubs.iter().flat_map(|hub| hub.not_yet_told()).collect();
            owed += listeners.len() as f64 * (DRAIN_STEP.as_secs_f64() / left.as_secs_f64()).min(1.0);
            for listener in listeners.iter().take(owed as usize) {
                listener.end();
            }
            owed = owed.fract();
            if left.is_zero() && hubs.iter().all(|hub| hub.is_empty()) {
                return;
            }
            tokio::time::sleep(DRAIN_STEP).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::super::{ListenerKind, Notice};
    use super::*;
    use crate::domain::ids::UserId;

    const TIME: Duration = Duration::from_secs(4);

    #[tokio::test(start_paused = true)]
    async fn a_drain_is_even_however_few_listen_and_who_comes_after_it_is_told_at_once() {
        let hubs = Hubs::default();
        let [one, other] = [hubs.add(), hubs.add()];
        let join = |n: usize| [&one, &other][n % 2].join(UserId::random(), ListenerKind::Socket);
        let listeners: Vec<_> = (0..8).map(join).collect();
        assert_eq!(hubs.sockets(), 8);
        let start = Instant::now();
        let ends = join_all(listeners.into_iter().map(async |listener| {
            assert_eq!(listener.next().await, Notice::End);
            start.elapsed()
        }));
        let (mut ends, ()) = tokio::join!(ends, hubs.drain(TIME));
        ends.sort();
        for (n, end) in (1..).zip(ends) {
            let ideal = TIME * n / 8;
            assert!(end.abs_diff(ideal) < TIME / 12, "{n}: {end:?} instead of {ideal:?}");
        }
        assert!(start.elapsed() >= TIME);
        for n in 0..2 {
            assert_eq!(join(n).next().await, Notice::End);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_listeners_are_told_in_the_same_time() {
        let hubs = Hubs::default();
        let (hub, user) = (hubs.add(), UserId::random());
        let listeners: Vec<_> = (0..1000).map(|_| hub.join(user, ListenerKind::LongPoll)).collect();
        let start = Instant::now();
        let ends = join_all(listeners.into_iter().map(async |listener| {
            listener.next().await;
            start.elapsed()
        }));
        let (mut ends, ()) = tokio::join!(ends, hubs.drain(TIME));
        ends.sort();
        assert!(ends[499].abs_diff(TIME / 2) <= 3 * DRAIN_STEP, "{:?}", ends[499]);
        assert!(ends[999] <= TIME + 2 * DRAIN_STEP, "{:?}", ends[999]);
    }

    #[test]
    fn a_replica_hears_when_each_of_its_hubs_does() {
        let hubs = Hubs::default();
        assert_eq!(hubs.echo(), Echo::Awaited);
        let [one, other] = [hubs.add(), hubs.add()];
        one.note_echo(Echo::Heard(Duration::from_millis(2)));
        assert_eq!(hubs.echo(), Echo::Awaited);
        other.note_echo(Echo::Heard(Duration::from_millis(1)));
        assert_eq!(hubs.echo(), Echo::Heard(Duration::from_millis(2)));
        other.note_echo(Echo::Lost);
        assert_eq!(hubs.echo(), Echo::Lost);
        drop(other);
        assert_eq!(hubs.echo(), Echo::Heard(Duration::from_millis(2)), "a worker that is gone does not count");
    }
}
