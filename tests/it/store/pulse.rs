//! Heartbeats, counts by minute, and what came last.

use chaos_relay::domain::ids::{ChannelId, UserId};
use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::store::operator::{
    Beat, COUNTERS, Counter, Counts, Direction, MAX_RECENT, MINUTES_KEPT, Pulse, REPLICA_LIFE_MS, RecentPointer,
    ReplicaInfo,
};

use super::{Bench, on_both_stores};

on_both_stores! {
    a_replica_is_shown_as_it_last_described_itself,
    a_replica_that_retired_is_gone_and_the_others_stay,
    the_minutes_of_the_last_hour_are_there_without_any_count,
    counts_of_all_replicas_add_up_in_the_minute_under_way,
    the_newest_are_pointed_at_newest_first,
}

const MINUTE_MS: u64 = 60_000;

fn replica(id: &str, sockets: u64) -> ReplicaInfo {
    let (host, version) = ("a host \"with\" marks\n".to_owned(), "1.2.3".to_owned());
    ReplicaInfo { id: id.to_owned(), host, version, uptime: 5, sockets, is_draining: false }
}

async fn beat(bench: &Bench, replica: &ReplicaInfo, counts: Counts, recent: &[RecentPointer]) {
    bench.store.beat(&Beat { replica, counts, recent }).await.unwrap();
}

async fn pulse(bench: &Bench) -> Pulse {
    bench.store.pulse().await.unwrap()
}

/// Everything that was counted in the minutes shown.
fn sum(pulse: &Pulse) -> Counts {
    let mut sum = Counts::default();
    pulse.minutes.iter().for_each(|minute| sum.add_all(&minute.counts));
    sum
}

fn replicas(pulse: &Pulse) -> Vec<ReplicaInfo> {
    pulse.replicas.iter().map(|status| status.info.clone()).collect()
}

async fn a_replica_is_shown_as_it_last_described_itself(bench: Bench) {
    assert_eq!(pulse(&bench).await.replicas, []);
    let (first, mut second) = (replica("aaaaaaaa", 3), replica("bbbbbbbb", 0));
    beat(&bench, &second, Counts::default(), &[]).await;
    beat(&bench, &first, Counts::default(), &[]).await;
    assert_eq!(replicas(&pulse(&bench).await), [first.clone(), second.clone()]);
    let heard = pulse(&bench).await.replicas[1].heartbeat;
    (second.sockets, second.uptime, second.is_draining, second.host) = (7, 1_000_000, true, String::new());
    beat(&bench, &second, Counts::default(), &[]).await;
    let now = pulse(&bench).await;
    assert_eq!(replicas(&now), [first, second]);
    assert!(heard <= now.replicas[1].heartbeat && now.replicas[1].heartbeat <= now.now);
    assert!(now.replicas[0].heartbeat <= now.replicas[1].heartbeat);
}

async fn a_replica_that_retired_is_gone_and_the_others_stay(bench: Bench) {
    let (first, second) = (replica("aaaaaaaa", 3), replica("bbbbbbbb", 0));
    for replica in [&first, &second] {
        beat(&bench, replica, Counts::default(), &[]).await;
    }
    bench.store.retire("aaaaaaaa").await.unwrap();
    bench.store.retire("cccccccc").await.unwrap();
    assert_eq!(replicas(&pulse(&bench).await), [second]);
}

async fn the_minutes_of_the_last_hour_are_there_without_any_count(bench: Bench) {
    let pulse = pulse(&bench).await;
    assert_eq!(pulse.minutes.len(), MINUTES_KEPT);
    let last = pulse.minutes[MINUTES_KEPT - 1].start.millis();
    assert!(last <= pulse.now.millis() && pulse.now.millis() < last + MINUTE_MS);
    for (n, minute) in (0..).zip(pulse.minutes.iter().rev()) {
        assert_eq!((minute.start.millis(), minute.counts), (last - n * MINUTE_MS, Counts::default()));
    }
    assert_eq!((pulse.recent, pulse.sessions), (Vec::new(), 0));
}

async fn counts_of_all_replicas_add_up_in_the_minute_under_way(bench: Bench) {
    let before = pulse(&bench).await.now;
    let numbers = Counts::new(std::array::from_fn(|n| n as u64 * 10));
    for id in ["aaaaaaaa", "bbbbbbbb"] {
        beat(&bench, &replica(id, 0), numbers, &[]).await;
        beat(&bench, &replica(id, 0), Counts::default(), &[]).await;
    }
    let mut more = Counts::default();
    more.add(Counter::MessagesIn, 4_000_000_000);
    beat(&bench, &replica("aaaaaaaa", 0), more, &[]).await;
    let pulse = pulse(&bench).await;
    for counter in COUNTERS {
        let expected = numbers.get(counter) * 2 + more.get(counter);
        assert_eq!(sum(&pulse).get(counter), expected, "{counter:?}");
    }
    for minute in pulse.minutes.iter().filter(|minute| !minute.counts.is_empty()) {
        assert!(minute.start.millis() + MINUTE_MS > before.millis(), "counted before it happened");
    }
}

async fn the_newest_are_pointed_at_newest_first(bench: Bench) {
    let (user, channel) = (UserId::random(), ChannelId::random());
    let all: Vec<_> = (1..=MAX_RECENT as u64 + 10)
        .map(|n| RecentPointer {
            direction: if n % 2 == 0 { Direction::In } else { Direction::Out },
            user,
            channel: channel.clone(),
            at: Timestamp::from_millis(1_768_473_000_000 + n),
        })
        .collect();
    // Two replicas tell of theirs in turn, one of them twice.
    let (even, odd): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|pointer| pointer.direction == Direction::In);
    beat(&bench, &replica("aaaaaaaa", 0), Counts::default(), &odd).await;
    beat(&bench, &replica("bbbbbbbb", 0), Counts::default(), &even).await;
    beat(&bench, &replica("aaaaaaaa", 0), Counts::default(), &odd).await;
    let newest: Vec<_> = all.iter().rev().take(MAX_RECENT).cloned().collect();
    assert_eq!(pulse(&bench).await.recent, newest);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_are_those_that_the_directory_lists_on_redis() {
    let bench = Bench::redis();
    for (n, user) in ["a", "b", "c"].iter().enumerate() {
        bench.redis_cli(&["ZADD", "{}{directory}:seen", "1", user]);
        assert_eq!(pulse(&bench).await.sessions, n as u64 + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_not_heard_of_is_gone_on_redis() {
    let bench = Bench::redis();
    for id in ["aaaaaaaa", "bbbbbbbb", "cccccccc"] {
        beat(&bench, &replica(id, 1), Counts::default(), &[]).await;
    }
    let now = pulse(&bench).await.now.millis();
    for (id, silent) in [("aaaaaaaa", REPLICA_LIFE_MS), ("bbbbbbbb", REPLICA_LIFE_MS - 5_000)] {
        let heard = (now - silent).to_string();
        bench.redis_cli(&["ZADD", "{}{deployment}:replicas", &heard, id]);
    }
    let alive = replicas(&pulse(&bench).await);
    assert_eq!(alive, [replica("bbbbbbbb", 1), replica("cccccccc", 1)]);
    // The next heartbeat of another clears it away.
    beat(&bench, &replica("cccccccc", 1), Counts::default(), &[]).await;
    assert_eq!(bench.redis_cli(&["HKEYS", "{}{deployment}:replica-info"]).lines().count(), 2);
    assert_eq!(bench.redis_cli(&["ZCARD", "{}{deployment}:replicas"]), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_the_pulse_expires_on_redis() {
    let bench = Bench::redis();
    let mut counts = Counts::default();
    counts.add(Counter::Failed, 1);
    let at = Timestamp::from_millis(1);
    let recent = [RecentPointer { direction: Direction::In, user: UserId::random(), channel: ChannelId::random(), at }];
    beat(&bench, &replica("aaaaaaaa", 1), counts, &recent).await;
    let keys = bench.redis_cli(&["KEYS", "{}*"]);
    // The number of the store's format is no heartbeat's, and stays.
    let keys: Vec<_> = keys.lines().filter(|key| !key.ends_with(":format")).collect();
    assert_eq!(keys.len(), 4, "{keys:?}");
    for key in keys {
        let life: i64 = bench.redis_cli(&["PTTL", key]).parse().unwrap();
        let most = if key.ends_with(":recent") { 24 * 60 * 60 * 1000 } else { 65 * 60 * 1000 };
        assert!((1..=most).contains(&life), "{key} lives {life} ms");
    }
}
