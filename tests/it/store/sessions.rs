//! Sessions, gates and counters.

use std::time::Duration;

use chaos_relay::domain::digest::Digest;
use chaos_relay::domain::ids::UserId;
use chaos_relay::domain::limit::Limit;
use chaos_relay::domain::signing::Nonce;
use chaos_relay::store::{Denied, Gate, LimitUse, NewSession, Since, Wake};
use serde_json::json;

use super::{Bench, gate, on_both_stores};
use crate::support::eventually;

on_both_stores! {
    a_session_reads_back_as_it_was_made,
    a_user_has_one_session_whoever_makes_it,
    two_replicas_that_make_one_session_agree,
    a_gate_opens_for_the_right_key_only,
    a_nonce_opens_a_gate_once,
    a_limit_holds_at_its_count_and_ends_with_its_window,
    a_nonce_is_taken_even_when_the_limit_refuses,
    counters_without_a_user_count_too,
    the_first_deployment_key_stays,
    a_deleted_session_takes_all_it_owns_along,
    the_store_can_be_probed,
}

async fn a_session_reads_back_as_it_was_made(bench: Bench) {
    let new = NewSession {
        user: UserId::random(),
        api_key: Digest::of(b"a"),
        sealed_api_key: "sealed".to_owned(),
        public_key: Some("key".to_owned()),
    };
    let made = bench.store.create_session(&new).await.unwrap();
    assert_eq!((made.user, made.api_key), (new.user, new.api_key));
    assert_eq!((made.sealed_api_key.as_str(), made.public_key.as_deref()), ("sealed", Some("key")));
    assert_eq!(bench.store.find_session(&new.api_key).await.unwrap(), Some(made));
    assert_eq!(bench.store.find_session(&Digest::of(b"b")).await.unwrap(), None);
    let bare = bench.session().await;
    assert_eq!(bare.public_key, None);
}

async fn a_user_has_one_session_whoever_makes_it(bench: Bench) {
    let first = bench.session().await;
    let again = NewSession {
        user: first.user,
        api_key: Digest::of(b"other"),
        sealed_api_key: "other".to_owned(),
        public_key: None,
    };
    assert_eq!(bench.store.create_session(&again).await.unwrap(), first);
    assert_eq!(bench.store.find_session(&again.api_key).await.unwrap(), None);
    assert_eq!(bench.store.find_session(&first.api_key).await.unwrap(), Some(first));
}

async fn two_replicas_that_make_one_session_agree(bench: Bench) {
    let user = UserId::random();
    let makers = (0..16).map(|n: u8| {
        let store = bench.store.for_worker();
        async move {
            let new = NewSession { user, api_key: Digest::of(&[n]), sealed_api_key: n.to_string(), public_key: None };
            store.create_session(&new).await.unwrap()
        }
    });
    let made = futures_util::future::join_all(makers).await;
    assert!(made.iter().all(|session| *session == made[0]));
}

async fn a_gate_opens_for_the_right_key_only(bench: Bench) {
    let session = bench.session().await;
    let granted = bench.store.authorize(&gate(&session)).await.unwrap().unwrap();
    assert_eq!((granted.limit, granted.touch_due), (None, false));
    let wrong = Gate { api_key: Digest::of(b"wrong"), ..gate(&session) };
    assert_eq!(bench.store.authorize(&wrong).await.unwrap(), Err(Denied::UnknownSession));
    let stranger = Gate { user: UserId::random(), ..gate(&session) };
    assert_eq!(bench.store.authorize(&stranger).await.unwrap(), Err(Denied::UnknownSession));
}

async fn a_nonce_opens_a_gate_once(bench: Bench) {
    let (session, other) = (bench.session().await, bench.session().await);
    let with = |session, nonce| Gate { nonce: Nonce::parse(nonce), ..gate(session) };
    assert!(bench.store.authorize(&with(&session, "n")).await.unwrap().is_ok());
    assert_eq!(bench.store.authorize(&with(&session, "n")).await.unwrap(), Err(Denied::NonceUsed));
    assert!(bench.store.authorize(&with(&session, "m")).await.unwrap().is_ok());
    assert!(bench.store.authorize(&with(&other, "n")).await.unwrap().is_ok());
    let nobody = Gate { api_key: Digest::of(b"wrong"), ..with(&session, "o") };
    assert_eq!(bench.store.authorize(&nobody).await.unwrap(), Err(Denied::UnknownSession));
    assert!(bench.store.authorize(&with(&session, "o")).await.unwrap().is_ok());
}

fn limited(count: u32, window: Duration, gate: Gate) -> Gate {
    let limit = Limit::new(count, window);
    Gate { limit: Some(LimitUse { counter: "c".to_owned(), limit }), ..gate }
}

async fn a_limit_holds_at_its_count_and_ends_with_its_window(bench: Bench) {
    let session = bench.session().await;
    let gate = limited(2, Duration::from_millis(1500), gate(&session));
    for used in 1..=2 {
        let limit = bench.store.authorize(&gate).await.unwrap().unwrap().limit.unwrap();
        assert_eq!(limit.used, used);
        assert!(limit.reset <= Duration::from_millis(1500) && !limit.reset.is_zero());
    }
    let Err(Denied::OverLimit(status)) = bench.store.authorize(&gate).await.unwrap() else { panic!("over the limit") };
    assert_eq!((status.used, status.remaining()), (3, 0));
    let again = eventually("the window ends", || async { bench.store.authorize(&gate).await.unwrap().ok() }).await;
    assert_eq!(again.limit.unwrap().used, 1);
}

async fn a_nonce_is_taken_even_when_the_limit_refuses(bench: Bench) {
    let session = bench.session().await;
    let with = |nonce| Gate { nonce: Nonce::parse(nonce), ..limited(1, Duration::from_secs(60), gate(&session)) };
    assert!(bench.store.authorize(&with("a")).await.unwrap().is_ok());
    assert!(matches!(bench.store.authorize(&with("b")).await.unwrap(), Err(Denied::OverLimit(_))));
    assert_eq!(bench.store.authorize(&with("b")).await.unwrap(), Err(Denied::NonceUsed));
}

async fn counters_without_a_user_count_too(bench: Bench) {
    let counter = |name: &str| LimitUse { counter: name.to_owned(), limit: Limit::new(1, Duration::from_secs(60)) };
    assert!(!bench.store.count_use(&counter("a")).await.unwrap().is_exceeded());
    assert!(bench.store.count_use(&counter("a")).await.unwrap().is_exceeded());
    assert!(!bench.store.count_use(&counter("b")).await.unwrap().is_exceeded());
}

async fn the_first_deployment_key_stays(bench: Bench) {
    assert_eq!(bench.store.deployment_key("first").await.unwrap(), "first");
    assert_eq!(bench.store.deployment_key("second").await.unwrap(), "first");
}

async fn a_deleted_session_takes_all_it_owns_along(bench: Bench) {
    let (session, channel) = bench.session_with_channel().await;
    bench.append(&session.user, &channel, "x").await;
    bench.watcher.watch(&session.user).await.unwrap();
    assert!(bench.store.delete_session(&session.user).await.unwrap());
    assert_eq!(bench.heard(&session.user, 1).await, [Wake::SessionGone]);
    assert_eq!(bench.store.find_session(&session.api_key).await.unwrap(), None);
    assert_eq!(bench.store.authorize(&gate(&session)).await.unwrap(), Err(Denied::UnknownSession));
    assert_eq!(bench.store.channel_owner(&channel).await.unwrap(), None);
    let page = bench.store.read_messages(&session.user, Since::Last(60_000), 10).await.unwrap();
    assert_eq!(page.records, []);
    assert!(!bench.store.delete_session(&session.user).await.unwrap());
    // The id is free for anybody.
    let other = bench.session().await;
    assert_eq!(bench.put(&other.user, &channel, json!({})).await, chaos_relay::store::PutChannel::Stored);
}

async fn the_store_can_be_probed(bench: Bench) {
    bench.store.ping().await.unwrap();
    bench.store.probe().await.unwrap();
    bench.store.for_worker().probe().await.unwrap();
}
