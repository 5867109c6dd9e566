//! Places of sockets.

use chaos_relay::domain::digest::Digest;
use chaos_relay::domain::ids::SocketId;
use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::store::{SessionRecord, Since, SocketLease, SocketOutcome, Wake};

use super::{Bench, contents, on_both_stores};

on_both_stores! {
    a_place_comes_with_what_the_socket_missed,
    one_socket_too_many_gives_up_the_oldest,
    a_place_that_lapsed_is_taken_again_with_its_age,
    a_place_that_was_given_back_is_free,
    a_socket_needs_its_session,
}

fn lease(session: &SessionRecord, cap: usize) -> SocketLease {
    let (socket, replica) = (SocketId::random(), "00000000".into());
    SocketLease { user: session.user, api_key: session.api_key, socket, replica, place: None, cap }
}

async fn hold(bench: &Bench, lease: &SocketLease) -> SocketOutcome {
    bench.store.hold_socket(lease, Since::After(Timestamp::EPOCH), 10).await.unwrap()
}

async fn place(bench: &Bench, lease: &SocketLease) -> String {
    match hold(bench, lease).await {
        SocketOutcome::Held { place, .. } => place,
        other => panic!("{other:?}"),
    }
}

async fn a_place_comes_with_what_the_socket_missed(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    bench.append(&session.user, &id, "missed").await;
    let lease = lease(&session, 5);
    let SocketOutcome::Held { place, page, touch_due } = hold(&bench, &lease).await else { panic!("held") };
    assert_eq!((contents(&page), touch_due), (vec!["missed".to_owned()], false));
    let renewal = SocketLease { place: Some(place.clone()), ..lease };
    let renewed = bench.store.hold_socket(&renewal, Since::After(page.cursor), 10).await.unwrap();
    let SocketOutcome::Held { place: same, page, .. } = renewed else { panic!("held") };
    assert_eq!((same, page.records.len()), (place, 0));
}

async fn one_socket_too_many_gives_up_the_oldest(bench: Bench) {
    let session = bench.session().await;
    bench.watcher.watch(&session.user).await.unwrap();
    let first = lease(&session, 2);
    let oldest = place(&bench, &first).await;
    let second = place(&bench, &lease(&session, 2)).await;
    assert!(oldest < second);
    place(&bench, &lease(&session, 2)).await;
    assert_eq!(bench.heard(&session.user, 1).await, [Wake::Evicted(oldest.clone())]);
    // Should it have missed that, it learns it at its next renewal.
    assert_eq!(hold(&bench, &SocketLease { place: Some(oldest), ..first }).await, SocketOutcome::Evicted);
}

async fn a_place_that_lapsed_is_taken_again_with_its_age(bench: Bench) {
    let session = bench.session().await;
    let first = lease(&session, 2);
    let oldest = place(&bench, &first).await;
    bench.store.release_socket(&session.user, &oldest).await.unwrap();
    let renewal = SocketLease { place: Some(oldest.clone()), ..first };
    assert_eq!(place(&bench, &renewal).await, oldest);
}

async fn a_place_that_was_given_back_is_free(bench: Bench) {
    let session = bench.session().await;
    bench.watcher.watch(&session.user).await.unwrap();
    let first = place(&bench, &lease(&session, 2)).await;
    let second = place(&bench, &lease(&session, 2)).await;
    bench.store.release_socket(&session.user, &second).await.unwrap();
    place(&bench, &lease(&session, 2)).await;
    place(&bench, &lease(&session, 2)).await;
    assert_eq!(bench.heard(&session.user, 1).await, [Wake::Evicted(first)]);
}

async fn a_socket_needs_its_session(bench: Bench) {
    let session = bench.session().await;
    let held = lease(&session, 2);
    let wrong = SocketLease { api_key: Digest::of(b"wrong"), ..held.clone() };
    assert_eq!(hold(&bench, &wrong).await, SocketOutcome::NoSession);
    let kept = place(&bench, &held).await;
    bench.store.delete_session(&session.user).await.unwrap();
    assert_eq!(hold(&bench, &SocketLease { place: Some(kept), ..held }).await, SocketOutcome::NoSession);
}
