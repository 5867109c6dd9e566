//! One word that everything long-running obeys.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How far a replica has come on its way out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Phase {
    Running,
    Draining,
    Stopped,
}

/// Says when to drain and when to stop. Clones hear the same.
#[derive(Clone, Debug)]
pub struct Shutdown {
    phase: watch::Sender<Phase>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { phase: watch::Sender::new(Phase::Running) }
    }
}

impl Shutdown {
    /// From now on the replica takes leave.
    pub fn drain(&self) {
        self.advance(Phase::Draining);
    }

    /// From now on nothing new is begun at all.
    pub fn stop(&self) {
        self.advance(Phase::Stopped);
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let forward = *phase < to;
            *phase = (*phase).max(to);
            forward
        });
    }

    /// Whether the replica takes leave or has done so.
    pub fn is_draining(&self) -> bool {
        *self.phase.borrow() >= Phase::Draining
    }

    /// Completes when draining begins.
    pub async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Completes when the replica stops.
    pub async fn stopped(&self) {
        self.reached(Phase::Stopped).await;
    }

    async fn reached(&self, phase: Phase) {
        let mut updates = self.phase.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = updates.wait_for(|now| *now >= phase).await;
    }

    /// Sleeps, but not beyond the stop; says whether the time was slept out.
    pub async fn sleep(&self, time: Duration) -> bool {
        tokio::time::timeout_at(Instant::now() + time, self.stopped()).await.is_err()
    }
}
