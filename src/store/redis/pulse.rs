//! Heartbeats, counts and what came last, on Redis.

use async_trait::async_trait;
use redis::Value;
use serde::{Deserialize, Serialize};

use super::RedisStore;
use super::answer::{Answer, unexpected};
use super::script;
use crate::domain::timestamp::Timestamp;
use crate::store::StoreError;
use crate::store::operator::{
    Beat, COUNTERS, Counts, Direction, MAX_RECENT, MINUTES_KEPT, Minute, Pulse, PulseStore, REPLICA_LIFE_MS,
    RecentPointer, ReplicaInfo, ReplicaStatus,
};

const MINUTE_MS: u64 = 60_000;
/// Life of the counts of a minute, in milliseconds: as long as they are shown, and a little longer.
const MINUTE_LIFE_MS: u64 = (MINUTES_KEPT as u64 + 4) * MINUTE_MS;
/// Life of the list of what came last, after the last of it, in milliseconds: as long as what it names.
const RECENT_LIFE_MS: u64 = crate::store::KEEP_MS;

/// What a replica says of itself, as it is stored under its id.
#[derive(Serialize, Deserialize)]
struct StoredInfo {
    host: String,
    version: String,
    uptime: u64,
    sockets: u64,
    draining: bool,
    /// Of the records it writes. Read by the script that raises the number, where none counts as the first.
    #[serde(skip_deserializing)]
    format: u64,
}

impl StoredInfo {
    fn new(info: &ReplicaInfo, format: u64) -> Self {
        Self {
            format,
            host: info.host.clone(),
            version: info.version.clone(),
            uptime: info.uptime,
            sockets: info.sockets,
            draining: info.is_draining,
        }
    }
}

/// A pointer as a member of the list: everything that tells it from others.
fn write_pointer(pointer: &RecentPointer) -> String {
    let RecentPointer { direction, user, channel, at } = pointer;
    format!("{} {user} {channel} {}", direction.as_str(), at.millis())
}

fn read_pointer(member: &str) -> Option<RecentPointer> {
    let mut words = member.split(' ');
    Some(RecentPointer {
        direction: Direction::parse(words.next()?)?,
        user: words.next()?.parse().ok()?,
        channel: words.next()?.parse().ok()?,
        at: Timestamp::from_millis(words.next()?.parse().ok()?),
    })
}

/// Reads a replica; `None` for one that wrote what this relay does not understand.
fn read_replica(value: Value) -> Result<Option<ReplicaStatus>, StoreError> {
    let mut row = Answer::new(value)?;
    let (id, heartbeat) = (row.text()?, Timestamp::from_millis(row.number()?));
    let info = row.optional_text()?.and_then(|info| serde_json::from_str::<StoredInfo>(&info).ok());
    Ok(info.map(|StoredInfo { host, version, uptime, sockets, draining, .. }| {
        let info = ReplicaInfo { id, host, version, uptime, sockets, is_draining: draining };
        ReplicaStatus { info, heartbeat }
    }))
}

fn read_counts(value: Value) -> Result<Counts, StoreError> {
    let (mut row, mut counts) = (Answer::new(value)?, Counts::default());
    for counter in COUNTERS {
        let number = row.optional_text()?.map_or(Ok(0), |number| number.parse());
        counts.add(counter, number.map_err(|_| StoreError::Corrupt("a count of a minute".to_owned()))?);
    }
    Ok(counts)
}

impl RedisStore {
    fn pulse_keys(&self) -> [String; 3] {
        [self.keys.replicas(), self.keys.replica_info(), self.keys.recent()]
    }

    /// How many sessions there are, as the list of them says.
    async fn count_sessions(&self) -> Result<u64, StoreError> {
        let mut count = redis::cmd("ZCARD");
        count.arg(self.keys.directory_seen());
        match self.link.command(&count).await? {
            Value::Int(count) => Ok(u64::try_from(count).unwrap_or(0)),
            other => Err(unexpected(&other)),
        }
    }

    async fn read_pulse(&self) -> Result<Pulse, StoreError> {
        let mut call = script::PULSE.call(&self.pulse_keys());
        call.arg(REPLICA_LIFE_MS).arg(self.keys.minute_stem()).arg(MINUTES_KEPT).arg(COUNTERS.len()).arg(MAX_RECENT);
        let mut answer = Answer::new(self.link.script(&script::PULSE, &call).await?)?;
        let now = Timestamp::from_millis(answer.number()?);
        let mut replicas = Vec::new();
        let mut rows = answer.list()?;
        while let Some(row) = rows.next() {
            replicas.extend(read_replica(row)?);
        }
        replicas.sort_by(|one, other| one.info.id.cmp(&other.info.id));
        let mut minutes = Vec::with_capacity(MINUTES_KEPT);
        let mut rows = answer.list()?;
        let mut start = (now.millis() / MINUTE_MS + 1).saturating_sub(MINUTES_KEPT as u64) * MINUTE_MS;
        while let Some(row) = rows.next() {
            minutes.push(Minute { start: Timestamp::from_millis(start), counts: read_counts(row)? });
            start += MINUTE_MS;
        }
        let mut recent = Vec::new();
        let mut members = answer.list()?;
        while let Some(member) = members.optional_text()? {
            recent.extend(read_pointer(&member));
        }
        Ok(Pulse { now, replicas, minutes, recent, sessions: 0 })
    }
}

#[async_trait]
impl PulseStore for RedisStore {
    async fn beat(&self, beat: &Beat<'_>) -> Result<(), StoreError> {
        let info = StoredInfo::new(beat.replica, self.format.known());
        let mut call = script::BEAT.call(&self.pulse_keys());
        call.arg(&beat.replica.id)
            .arg(serde_json::to_string(&info).expect("texts and numbers serialise"))
            .arg(REPLICA_LIFE_MS)
            .arg(self.keys.minute_stem())
            .arg(MINUTE_LIFE_MS)
            .arg(MAX_RECENT)
            .arg(RECENT_LIFE_MS)
            .arg(COUNTERS.len());
        for counter in COUNTERS {
            call.arg(beat.counts.get(counter));
        }
        for pointer in beat.recent {
            call.arg(pointer.at.millis()).arg(write_pointer(pointer));
        }
        self.link.script(&script::BEAT, &call).await.map(drop)
    }

    async fn retire(&self, replica: &str) -> Result<(), StoreError> {
        for (verb, key) in [("ZREM", self.keys.replicas()), ("HDEL", self.keys.replica_info())] {
            let mut remove = redis::cmd(verb);
            remove.arg(key).arg(replica);
            self.link.command(&remove).await?;
        }
        Ok(())
    }

    async fn pulse(&self) -> Result<Pulse, StoreError> {
        let (pulse, sessions) = tokio::try_join!(self.read_pulse(), self.count_sessions())?;
        Ok(Pulse { sessions, ..pulse })
    }
}
