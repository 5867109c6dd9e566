//! The directory of sessions.

mod keeping;
mod searching;

use std::time::Duration;

use chaos_relay::domain::digest::Digest;
use chaos_relay::domain::ids::{ChannelId, SocketId, UserId};
use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::store::operator::{ListCursor, SessionList, SessionOrder, SessionQuery, SessionSummary};
use chaos_relay::store::{NewSession, SessionRecord, Since, SocketLease, SocketOutcome, Wake};
use futures_util::future::join_all;
use serde_json::json;

use super::{Bench, new_session, on_both_stores};

on_both_stores! {
    sessions_are_listed_by_last_use_and_by_creation_either_way,
    pages_follow_one_another_whatever_their_size,
    what_stays_in_a_list_is_neither_skipped_nor_repeated_while_it_changes,
    a_page_can_start_where_an_entry_would_be,
    a_deleted_session_is_in_no_list,
    a_summary_shows_what_a_session_owns_without_secrets,
    sockets_are_shown_by_replica_the_oldest_first,
    a_place_of_an_older_relay_names_no_replica,
    disconnecting_frees_the_places_and_wakes_whoever_holds_them,
}

/// A query for the whole list.
fn everything(order: SessionOrder, oldest_first: bool) -> SessionQuery<'static> {
    SessionQuery { order, oldest_first, search: None, after: None, count: 10_000 }
}

async fn list(bench: &Bench, query: &SessionQuery<'_>) -> SessionList {
    bench.store.list_sessions(query).await.unwrap()
}

fn users(list: &SessionList) -> Vec<UserId> {
    list.sessions.iter().map(|session| session.user).collect()
}

async fn summary(bench: &Bench, user: &UserId) -> Option<SessionSummary> {
    bench.store.summaries(&[*user]).await.unwrap().remove(0)
}

/// Uses a session in a way that is always recorded: its client registers again.
async fn uses(bench: &Bench, session: &SessionRecord) {
    let again = NewSession { api_key: Digest::of(b"a new one"), ..new_session(&session.user) };
    assert_eq!(bench.store.create_session(&again).await.unwrap(), *session);
}

/// So many sessions, many of them made in the same millisecond.
async fn sessions(bench: &Bench, count: usize) -> Vec<SessionRecord> {
    join_all((0..count).map(|_| bench.session())).await
}

/// Follows the pages from a cursor on.
async fn walk(bench: &Bench, query: &SessionQuery<'_>, after: Option<ListCursor>) -> Vec<UserId> {
    let (mut seen, mut after) = (Vec::new(), after);
    loop {
        let page = list(bench, &SessionQuery { after: after.as_ref(), ..query.clone() }).await;
        assert!(page.sessions.len() <= query.count);
        seen.extend(users(&page));
        match page.next {
            Some(next) => after = Some(next),
            None => return seen,
        }
    }
}

async fn sessions_are_listed_by_last_use_and_by_creation_either_way(bench: Bench) {
    let made = sessions(&bench, 12).await;
    // Until the store's clock has gone on, so that these are used later than the others were made.
    tokio::time::sleep(Duration::from_millis(5)).await;
    for session in [&made[3], &made[0]] {
        uses(&bench, session).await;
    }
    for order in [SessionOrder::LastSeen, SessionOrder::Created] {
        let newest_first = list(&bench, &everything(order, false)).await;
        assert_eq!((newest_first.sessions.len(), newest_first.total, newest_first.skipped), (12, 12, 0));
        assert_eq!(newest_first.next, None);
        let mut expected = newest_first.sessions.clone();
        expected.sort_by_key(|session| match order {
            SessionOrder::LastSeen => (session.last_seen, session.user.to_string()),
            SessionOrder::Created => (session.created, session.user.to_string()),
        });
        let oldest_first = list(&bench, &everything(order, true)).await;
        assert_eq!(oldest_first.sessions, expected);
        expected.reverse();
        assert_eq!(newest_first.sessions, expected);
    }
    let by_use = users(&list(&bench, &everything(SessionOrder::LastSeen, false)).await);
    let used = [made[3].user, made[0].user];
    assert!(by_use[..2].iter().all(|user| used.contains(user)), "{by_use:?} {used:?}");
    let first = summary(&bench, &made[0].user).await.unwrap();
    assert_eq!(first.created, made[0].created);
    assert!(first.last_seen >= first.created);
}

async fn pages_follow_one_another_whatever_their_size(bench: Bench) {
    sessions(&bench, 25).await;
    for order in [SessionOrder::LastSeen, SessionOrder::Created] {
        for oldest_first in [false, true] {
            let all = users(&list(&bench, &everything(order, oldest_first)).await);
            for count in [1, 2, 7, 24, 25, 26] {
                let query = SessionQuery { count, ..everything(order, oldest_first) };
                assert_eq!(walk(&bench, &query, None).await, all, "pages of {count}");
            }
            let query = SessionQuery { count: 10, ..everything(order, oldest_first) };
            let first = list(&bench, &query).await;
            let second = list(&bench, &SessionQuery { after: first.next.as_ref(), ..query.clone() }).await;
            let third = list(&bench, &SessionQuery { after: second.next.as_ref(), ..query }).await;
            assert_eq!([first.skipped, second.skipped, third.skipped], [0, 10, 20]);
            assert_eq!((third.sessions.len(), third.next, third.total), (5, None, 25));
        }
    }
}

async fn what_stays_in_a_list_is_neither_skipped_nor_repeated_while_it_changes(bench: Bench) {
    let made = sessions(&bench, 30).await;
    let session_of = |user: UserId| made.iter().find(|session| session.user == user).unwrap();
    for oldest_first in [false, true] {
        let query = SessionQuery { count: 5, ..everything(SessionOrder::LastSeen, oldest_first) };
        let all = users(&list(&bench, &everything(SessionOrder::LastSeen, oldest_first)).await);
        let first = list(&bench, &query).await;
        assert_eq!(users(&first), all[..5]);
        // The entry of the cursor itself is used, another of the page goes, one that was not shown yet is used,
        // one goes, and new ones come.
        uses(&bench, session_of(all[4])).await;
        uses(&bench, session_of(all[7])).await;
        for gone in [all[2], all[9]] {
            assert!(bench.store.delete_session(&gone).await.unwrap());
        }
        sessions(&bench, 3).await;
        let rest = walk(&bench, &query, first.next).await;
        let stayed: Vec<_> = all[5..].iter().copied().filter(|user| ![all[7], all[9]].contains(user)).collect();
        let shown: Vec<_> = rest.iter().copied().filter(|user| stayed.contains(user)).collect();
        assert_eq!(shown, stayed);
        assert!(!rest.contains(&all[9]));
    }
}

async fn a_page_can_start_where_an_entry_would_be(bench: Bench) {
    let made = sessions(&bench, 6).await;
    let query = SessionQuery { count: 100, ..everything(SessionOrder::Created, false) };
    let all = list(&bench, &query).await;
    let far = |at| ListCursor { at, entry: UserId::random().to_string() };
    let beyond_both_ends = [(far(u64::MAX), 6, 0), (far(0), 0, 6)];
    for (after, shown, skipped) in beyond_both_ends {
        let page = list(&bench, &SessionQuery { after: Some(&after), ..query.clone() }).await;
        assert_eq!((page.sessions.len(), page.skipped, page.total), (shown, skipped, 6));
    }
    // Between two that were made in the same millisecond, and for texts that are no users.
    for session in &all.sessions {
        let at = session.created.millis();
        for entry in [UserId::random().to_string(), String::new(), "~".to_owned(), "\0\u{1f980} (".to_owned()] {
            let after = ListCursor { at, entry: entry.clone() };
            let page = list(&bench, &SessionQuery { after: Some(&after), ..query.clone() }).await;
            let expected: Vec<_> = users(&all)
                .into_iter()
                .filter(|user| {
                    let made = made.iter().find(|session| session.user == *user).unwrap();
                    (made.created.millis(), user.to_string()) < (at, entry.clone())
                })
                .collect();
            assert_eq!(users(&page), expected, "{entry:?}");
        }
    }
}

async fn a_deleted_session_is_in_no_list(bench: Bench) {
    let (gone, channel) = bench.session_with_channel().await;
    let stays = bench.session().await;
    assert!(bench.store.delete_session(&gone.user).await.unwrap());
    for order in [SessionOrder::LastSeen, SessionOrder::Created] {
        let page = list(&bench, &everything(order, true)).await;
        assert_eq!((users(&page), page.total), (vec![stays.user], 1));
    }
    for search in [channel.to_string(), gone.user.to_string()] {
        let query = SessionQuery { search: Some(&search), ..everything(SessionOrder::Created, true) };
        let page = list(&bench, &query).await;
        assert_eq!((users(&page), page.total), (vec![], 1));
    }
    assert_eq!(summary(&bench, &gone.user).await, None);
    // The same user may come back.
    bench.store.create_session(&new_session(&gone.user)).await.unwrap();
    assert_eq!(list(&bench, &everything(SessionOrder::LastSeen, true)).await.total, 2);
    assert_eq!(summary(&bench, &gone.user).await.unwrap().channels, []);
}

async fn a_summary_shows_what_a_session_owns_without_secrets(bench: Bench) {
    let new = NewSession { public_key: Some("key".to_owned()), ..new_session(&UserId::random()) };
    let session = bench.store.create_session(&new).await.unwrap();
    for id in ["b", "B", "a-1"] {
        let id: ChannelId = format!("{id}-{}", session.user).parse().unwrap();
        bench.put(&session.user, &id, json!({"name": format!("channel {id}"), "prompt": "be kind"})).await;
    }
    let shown = summary(&bench, &session.user).await.unwrap();
    assert_eq!((shown.user, shown.created, shown.has_public_key), (session.user, session.created, true));
    assert_eq!(shown.sockets, []);
    let ids: Vec<_> = shown.channels.iter().map(|channel| channel.id.as_str().split('-').next().unwrap()).collect();
    assert_eq!(ids, ["B", "a", "b"]);
    assert!(shown.channels.iter().all(|channel| channel.sealed_secret.is_none()));
    assert_eq!(shown.channels[0].prompt.as_deref(), Some("be kind"));

    // As many as were asked for, in their order.
    let other = bench.session().await;
    let asked = [other.user, UserId::random(), session.user, other.user];
    let given = bench.store.summaries(&asked).await.unwrap();
    let given: Vec<_> = given.iter().map(|session| session.as_ref().map(|session| session.user)).collect();
    assert_eq!(given, [Some(other.user), None, Some(session.user), Some(other.user)]);
    assert!(!summary(&bench, &other.user).await.unwrap().has_public_key);
}

fn lease(session: &SessionRecord, replica: &str) -> SocketLease {
    let (socket, replica) = (SocketId::random(), replica.into());
    SocketLease { user: session.user, api_key: session.api_key, socket, replica, place: None, cap: 5 }
}

async fn held(bench: &Bench, lease: &SocketLease) -> String {
    match bench.store.hold_socket(lease, Since::After(Timestamp::EPOCH), 1).await.unwrap() {
        SocketOutcome::Held { place, .. } => place,
        other => panic!("{other:?}"),
    }
}

async fn sockets_are_shown_by_replica_the_oldest_first(bench: Bench) {
    let session = bench.session().await;
    let before = Timestamp::now();
    let replicas = ["cccccccc", "aaaaaaaa", "bbbbbbbb"];
    let mut places = Vec::new();
    for replica in replicas {
        let place = held(&bench, &lease(&session, replica)).await;
        assert!(place.len() <= 64, "{place}");
        places.push(place);
    }
    let shown = summary(&bench, &session.user).await.unwrap().sockets;
    assert_eq!(shown.iter().map(|socket| socket.replica.as_str()).collect::<Vec<_>>(), replicas);
    // Another machine's clock may be off by a little; it is the same one here.
    assert!(shown.iter().all(|socket| before <= socket.since && socket.since <= Timestamp::now()));
    bench.store.release_socket(&session.user, &places[0]).await.unwrap();
    let shown = summary(&bench, &session.user).await.unwrap().sockets;
    assert_eq!(shown.iter().map(|socket| socket.replica.as_str()).collect::<Vec<_>>(), replicas[1..]);
}

async fn a_place_of_an_older_relay_names_no_replica(bench: Bench) {
    let session = bench.session().await;
    let place = format!("0000001000000000-{}", SocketId::random());
    let renewal = SocketLease { place: Some(place.clone()), ..lease(&session, "aaaaaaaa") };
    assert_eq!(held(&bench, &renewal).await, place, "it keeps its name");
    let shown = summary(&bench, &session.user).await.unwrap().sockets;
    assert_eq!((shown.len(), shown[0].since.millis(), shown[0].replica.as_str()), (1, 1_000_000, ""));
}

async fn disconnecting_frees_the_places_and_wakes_whoever_holds_them(bench: Bench) {
    let (session, other) = (bench.session().await, bench.session().await);
    for session in [&session, &other] {
        bench.watcher.watch(&session.user).await.unwrap();
    }
    held(&bench, &lease(&other, "aaaaaaaa")).await;
    for replica in ["aaaaaaaa", "bbbbbbbb"] {
        held(&bench, &lease(&session, replica)).await;
    }
    assert_eq!(bench.store.disconnect(&session.user).await.unwrap(), 2);
    assert_eq!(bench.heard(&session.user, 1).await, [Wake::Disconnected]);
    assert_eq!(summary(&bench, &session.user).await.unwrap().sockets, []);
    assert_eq!(summary(&bench, &other.user).await.unwrap().sockets.len(), 1);
    assert_eq!(bench.heard(&other.user, 0).await, []);
    assert_eq!(bench.store.disconnect(&session.user).await.unwrap(), 0);
    assert_eq!(bench.store.disconnect(&UserId::random()).await.unwrap(), 0);
    // Clients come back.
    held(&bench, &lease(&session, "aaaaaaaa")).await;
    assert_eq!(summary(&bench, &session.user).await.unwrap().sockets.len(), 1);
}
