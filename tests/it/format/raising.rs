//! The first relay with a higher number, as stores of different numbers see it.

use chaos_relay::store::operator::{Beat, Counts, PulseStore as _, ReplicaInfo};
use chaos_relay::store::redis::{RedisStore, RedisTarget};
use chaos_relay::store::{FormatError, Store as _, StoreError};

use crate::support::redis;

/// The store as a relay of this format has it.
fn of_format(format: u64, prefix: &str) -> RedisStore {
    let target = RedisTarget::parse(&redis::shared().url()).unwrap();
    RedisStore::of_format(format, target, prefix)
}

fn named(prefix: &str) -> String {
    redis::shared().cli(&["GET", &format!("{prefix}{{deployment}}:format")])
}

async fn refusal(store: &RedisStore) -> FormatError {
    match store.ping().await {
        Err(StoreError::Format(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

async fn beat(store: &RedisStore, id: &str) {
    let (id, host, version) = (id.to_owned(), String::new(), "1.0.0".to_owned());
    let replica = ReplicaInfo { id, host, version, uptime: 1, sockets: 0, is_draining: false };
    store.beat(&Beat { replica: &replica, counts: Counts::default(), recent: &[] }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_format_is_raised_when_the_last_older_replica_is_gone_and_not_before() {
    let prefix = redis::fresh_prefix();
    let older = of_format(1, &prefix);
    beat(&older, "aaaaaaaa").await;
    beat(&older, "bbbbbbbb").await;
    // One that was there before replicas named their format.
    redis::shared().cli(&["HDEL", &format!("{prefix}{{deployment}}:replica-info"), "bbbbbbbb"]);

    let newer = of_format(2, &prefix);
    let said = refusal(&newer).await;
    assert_eq!(said, FormatError::InUse { found: 1, known: 2, replicas: 2 });
    assert!(!said.is_final() && said.to_string().contains("replicas of an older relay use it (2 of them)"), "{said}");
    assert!(matches!(newer.pulse().await, Err(StoreError::Format(_))), "it does nothing else meanwhile");
    older.retire("aaaaaaaa").await.unwrap();
    assert_eq!(refusal(&newer).await, FormatError::InUse { found: 1, known: 2, replicas: 1 });
    older.ping().await.unwrap();
    assert_eq!(named(&prefix), "1");

    older.retire("bbbbbbbb").await.unwrap();
    newer.ping().await.unwrap();
    assert_eq!(named(&prefix), "2");
    assert_eq!(refusal(&older).await, FormatError::Newer { found: 2, known: 1 });
    assert!(matches!(older.pulse().await, Err(StoreError::Format(_))));
    newer.pulse().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_two_formats_ahead_asks_for_the_one_in_between_and_replicas_of_its_own_do_not_hold_it_up() {
    let prefix = redis::fresh_prefix();
    of_format(1, &prefix).ping().await.unwrap();
    assert_eq!(refusal(&of_format(3, &prefix)).await, FormatError::TooOld { found: 1 });
    let second = of_format(2, &prefix);
    second.ping().await.unwrap();
    beat(&second, "aaaaaaaa").await;
    of_format(2, &prefix).ping().await.unwrap();
    assert!(!refusal(&of_format(3, &prefix)).await.is_final());
    second.retire("aaaaaaaa").await.unwrap();
    of_format(3, &prefix).ping().await.unwrap();
    assert_eq!(named(&prefix), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_store_is_given_the_number_of_whoever_comes_first_and_a_number_that_is_none_is_refused() {
    let prefix = redis::fresh_prefix();
    of_format(2, &prefix).ping().await.unwrap();
    assert_eq!(named(&prefix), "2");
    redis::shared().cli(&["SET", &format!("{prefix}{{deployment}}:format"), "two"]);
    let answer = of_format(2, &prefix).ping().await;
    assert!(matches!(&answer, Err(StoreError::Corrupt(_))), "{answer:?}");
    assert_eq!(named(&prefix), "two");
}
