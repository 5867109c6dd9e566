//! Heartbeats, counts and what came last: in memory, since there is one process.
//!
//! The counts and what came last are put into the file once a minute if they changed, and when the replica retires,
//! so that a heartbeat costs no sync and a restart shows the hour before. A kill loses a minute of them at most.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::keys::PULSE;
use super::tables::View as _;
use super::values::{Reader, Writing, expires};
use super::{EmbeddedStore, Fault, session_lists};
use crate::domain::timestamp::Timestamp;
use crate::store::StoreError;
use crate::store::operator::{
    Beat, COUNTERS, Counts, Direction, MAX_RECENT, MINUTES_KEPT, Minute, Pulse, PulseStore, REPLICA_LIFE_MS,
    RecentPointer, ReplicaStatus,
};

const MINUTE_MS: u64 = 60_000;
/// How often what changed is put into the file, in milliseconds.
const SAVE_EVERY_MS: u64 = MINUTE_MS;
/// Life of the record after its last change, in milliseconds: as long as what it points at.
const RECORD_LIFE_MS: u64 = crate::store::KEEP_MS;

/// What is known of the last hour.
#[derive(Default)]
pub(super) struct PulseMemory {
    replicas: BTreeMap<String, ReplicaStatus>,
    history: History,
    /// What was in the file at the start was read.
    is_loaded: bool,
    has_changed: bool,
    /// In milliseconds since the epoch.
    saved_at: u64,
}

/// The part that outlives the process.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct History {
    /// By the number of the minute since the epoch.
    minutes: BTreeMap<u64, Counts>,
    /// The newest first.
    recent: Vec<RecentPointer>,
}

impl History {
    fn add(&mut self, minute: u64, counts: &Counts) {
        if !counts.is_empty() {
            self.minutes.entry(minute).or_default().add_all(counts);
        }
    }

    fn point_at(&mut self, recent: &[RecentPointer]) {
        for pointer in recent {
            if !self.recent.contains(pointer) {
                self.recent.push(pointer.clone());
            }
        }
        self.recent.sort_by_key(|pointer| std::cmp::Reverse(pointer.at));
        self.recent.truncate(MAX_RECENT);
    }

    /// Forgets what is not shown any more.
    fn prune(&mut self, now: u64) {
        self.minutes = self.minutes.split_off(&first_minute(now));
    }

    fn write(&self, expires: u64) -> Vec<u8> {
        let mut writing = Writing::default().number(expires).number(self.minutes.len() as u64);
        for (minute, counts) in &self.minutes {
            writing =
                COUNTERS.iter().fold(writing.number(*minute).number(COUNTERS.len() as u64), |writing, counter| {
                    writing.number(counts.get(*counter))
                });
        }
        writing = writing.number(self.recent.len() as u64);
        for RecentPointer { direction, user, channel, at } in &self.recent {
            writing = writing.text(direction.as_str()).text(&user.to_string()).text(channel.as_str());
            writing = writing.number(at.millis());
        }
        writing.done()
    }

    fn read(value: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new("the counts of the last hour", value);
        reader.number()?;
        let mut history = Self::default();
        for _ in 0..reader.number()? {
            let (minute, mut counts) = (reader.number()?, Counts::default());
            // Another version may count more, or less.
            for n in 0..reader.number()? {
                let number = reader.number()?;
                if let Some(counter) = usize::try_from(n).ok().and_then(|n| COUNTERS.get(n)) {
                    counts.add(*counter, number);
                }
            }
            history.add(minute, &counts);
        }
        for _ in 0..reader.number()? {
            history.recent.push(RecentPointer {
                direction: Direction::parse(reader.text()?).ok_or(reader.fault())?,
                user: reader.user()?,
                channel: reader.parsed()?,
                at: Timestamp::from_millis(reader.number()?),
            });
        }
        Ok(history)
    }
}

/// Number of the oldest minute that is shown.
fn first_minute(now: u64) -> u64 {
    (now / MINUTE_MS + 1).saturating_sub(MINUTES_KEPT as u64)
}

impl PulseMemory {
    fn take(&mut self, beat: &Beat<'_>, now: u64) {
        self.forget_lapsed(now);
        let status = ReplicaStatus { info: beat.replica.clone(), heartbeat: Timestamp::from_millis(now) };
        self.replicas.insert(beat.replica.id.clone(), status);
        self.history.prune(now);
        self.history.add(now / MINUTE_MS, &beat.counts);
        self.history.point_at(beat.recent);
        self.has_changed |= !beat.counts.is_empty() || !beat.recent.is_empty();
    }

    fn forget_lapsed(&mut self, now: u64) {
        self.replicas.retain(|_, status| status.heartbeat.millis().saturating_add(REPLICA_LIFE_MS) > now);
    }

    fn show(&mut self, now: u64, sessions: u64) -> Pulse {
        self.forget_lapsed(now);
        let first = first_minute(now);
        let minute = |number| Minute {
            start: Timestamp::from_millis(number * MINUTE_MS),
            counts: self.history.minutes.get(&number).copied().unwrap_or_default(),
        };
        Pulse {
            now: Timestamp::from_millis(now),
            replicas: self.replicas.values().cloned().collect(),
            minutes: (first..first + MINUTES_KEPT as u64).map(minute).collect(),
            recent: self.history.recent.clone(),
            sessions,
        }
    }
}

impl EmbeddedStore {
    /// Reads what an earlier process left, once.
    async fn load_pulse(&self) -> Result<(), StoreError> {
        if self.shared.pulse().is_loaded {
            return Ok(());
        }
        let left = self.read(|view| {
            let Some(value) = view.get(PULSE)? else { return Ok(None) };
            // What cannot be read is lost, and worth no complaint to whoever looks.
            let is_live = expires(value.value()).is_ok_and(|until| until > view.now());
            Ok(History::read(value.value()).ok().filter(|_| is_live))
        });
        let left = left.await?.unwrap_or_default();
        let mut memory = self.shared.pulse();
        if !memory.is_loaded {
            left.minutes.iter().for_each(|(minute, counts)| memory.history.add(*minute, counts));
            memory.history.point_at(&left.recent);
            memory.is_loaded = true;
            memory.saved_at = self.shared.now();
        }
        Ok(())
    }

    /// Puts what changed into the file. What cannot be put there now is put there with the next.
    async fn save_pulse(&self) {
        let history = {
            let mut memory = self.shared.pulse();
            memory.saved_at = self.shared.now();
            if !std::mem::take(&mut memory.has_changed) {
                return;
            }
            memory.history.clone()
        };
        let saved = self.writer.run(move |tx| {
            let until = tx.now.saturating_add(RECORD_LIFE_MS);
            // The sweep looks at the record when its first time comes, and comes again later.
            if tx.get(PULSE)?.is_none() {
                tx.schedule(until, PULSE)?;
            }
            tx.put(PULSE, &history.write(until))
        });
        if let Err(error) = saved.await {
            tracing::debug!(%error, "the counts of the last minutes could not be saved");
            self.shared.pulse().has_changed = true;
        }
    }
}

#[async_trait]
impl PulseStore for EmbeddedStore {
    async fn beat(&self, beat: &Beat<'_>) -> Result<(), StoreError> {
        self.load_pulse().await?;
        let is_save_due = {
            let (mut memory, now) = (self.shared.pulse(), self.shared.now());
            memory.take(beat, now);
            now.saturating_sub(memory.saved_at) >= SAVE_EVERY_MS
        };
        if is_save_due {
            self.save_pulse().await;
        }
        Ok(())
    }

    async fn retire(&self, replica: &str) -> Result<(), StoreError> {
        self.shared.pulse().replicas.remove(replica);
        self.save_pulse().await;
        Ok(())
    }

    async fn pulse(&self) -> Result<Pulse, StoreError> {
        self.load_pulse().await?;
        let sessions = self.read(|view| session_lists::total(view));
        let sessions = sessions.await?;
        Ok(self.shared.pulse().show(self.shared.now(), sessions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{ChannelId, UserId};
    use crate::store::SessionStore as _;
    use crate::store::embedded::testing::{Lab, START};
    use crate::store::operator::{Counter, ReplicaInfo};

    fn replica(id: &str) -> ReplicaInfo {
        let (host, version) = (String::new(), String::new());
        ReplicaInfo { id: id.to_owned(), host, version, uptime: 0, sockets: 0, is_draining: false }
    }

    fn pointer(at: u64) -> RecentPointer {
        let (user, channel) = (UserId::random(), ChannelId::random());
        RecentPointer { direction: Direction::Out, user, channel, at: Timestamp::from_millis(at) }
    }

    async fn beat(lab: &Lab, failed: u64, recent: &[RecentPointer]) {
        let mut counts = Counts::default();
        counts.add(Counter::Failed, failed);
        lab.store.beat(&Beat { replica: &replica("a"), counts, recent }).await.unwrap();
    }

    async fn failed(lab: &Lab) -> Vec<(usize, u64)> {
        let minutes = lab.store.pulse().await.unwrap().minutes;
        let counts = minutes.iter().map(|minute| minute.counts.get(Counter::Failed));
        counts.enumerate().filter(|(_, count)| *count > 0).collect()
    }

    #[tokio::test]
    async fn the_sessions_are_counted() {
        let lab = Lab::new();
        for expected in 1..=3 {
            let client = lab.channel(&format!("c{expected}")).await;
            lab.store.create_session(&client.new_session()).await.unwrap();
            assert_eq!(lab.store.pulse().await.unwrap().sessions, expected);
        }
    }

    #[tokio::test]
    async fn a_replica_that_is_not_heard_of_is_gone() {
        let lab = Lab::new();
        beat(&lab, 0, &[]).await;
        lab.advance(REPLICA_LIFE_MS - 1);
        assert_eq!(lab.store.pulse().await.unwrap().replicas.len(), 1);
        lab.advance(1);
        assert_eq!(lab.store.pulse().await.unwrap().replicas, []);
    }

    #[tokio::test]
    async fn counts_move_through_the_hour_and_leave_it() {
        let lab = Lab::new();
        let last = MINUTES_KEPT - 1;
        beat(&lab, 1, &[]).await;
        lab.advance(MINUTE_MS);
        beat(&lab, 2, &[]).await;
        assert_eq!(failed(&lab).await, [(last - 1, 1), (last, 2)]);
        lab.advance((last as u64 - 1) * MINUTE_MS);
        assert_eq!(failed(&lab).await, [(0, 1), (1, 2)]);
        lab.advance(MINUTE_MS);
        assert_eq!(failed(&lab).await, [(0, 2)]);
        lab.advance(MINUTE_MS);
        assert_eq!(failed(&lab).await, []);
    }

    #[tokio::test]
    async fn heartbeats_write_to_the_file_once_a_minute_and_only_if_something_happened() {
        let lab = Lab::new();
        let before = lab.store.shared.commits();
        for second in 0..180 {
            beat(&lab, u64::from(second < 90), &[]).await;
            lab.advance(1000);
        }
        assert_eq!(lab.store.shared.commits() - before, 2);
    }

    #[tokio::test]
    async fn a_restart_shows_the_hour_before_and_counts_on() {
        let lab = Lab::new();
        let (first, second) = (pointer(START), pointer(START + 1));
        beat(&lab, 3, std::slice::from_ref(&first)).await;
        lab.store.retire("a").await.unwrap();
        let lab = lab.reopen();
        lab.advance(MINUTE_MS);
        beat(&lab, 4, std::slice::from_ref(&second)).await;
        let last = MINUTES_KEPT - 1;
        assert_eq!(failed(&lab).await, [(last - 1, 3), (last, 4)]);
        assert_eq!(lab.store.pulse().await.unwrap().recent, [second, first]);
    }

    #[tokio::test]
    async fn the_record_is_swept_a_day_after_its_last_change() {
        let lab = Lab::new();
        beat(&lab, 1, &[]).await;
        lab.store.retire("a").await.unwrap();
        lab.advance(RECORD_LIFE_MS - 1);
        beat(&lab, 1, &[]).await;
        lab.store.retire("a").await.unwrap();
        lab.advance(1);
        assert_eq!(lab.sweep(1000).await, (1, 1));
        lab.advance(RECORD_LIFE_MS - 1);
        assert_eq!(lab.sweep(1000).await, (0, 0));
    }

    #[test]
    fn a_history_reads_back_as_it_was_written() {
        let mut history = History::default();
        history.add(7, &Counts::new(std::array::from_fn(|n| n as u64)));
        history.point_at(&[pointer(1), pointer(2)]);
        let written = history.write(9);
        assert_eq!((expires(&written).unwrap(), History::read(&written).unwrap()), (9, history));
        for len in 0..written.len() {
            assert!(History::read(&written[..len]).is_err(), "{len}");
        }
    }
}
