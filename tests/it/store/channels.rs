//! Channels, and whose they are.

use chaos_relay::domain::ids::{ChannelId, UserId};
use chaos_relay::store::PutChannel;
use serde_json::json;

use super::{Bench, channel_record, gate, on_both_stores};

on_both_stores! {
    a_channel_reads_back_as_it_was_stored,
    an_id_belongs_to_whoever_came_first,
    a_user_replaces_its_own_channel,
    an_update_from_an_old_revision_is_refused,
    a_deleted_channel_frees_its_id,
    a_channel_needs_a_session,
    many_users_who_want_one_id_leave_one_winner,
}

async fn a_channel_reads_back_as_it_was_stored(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let settings = json!({"name": "n", "prompt": "p\nq", "agentId": "a", "direction": "bidirectional",
        "enabled": false, "runInBackground": true, "notifyOnComplete": false, "metadata": {"k": [1, {"x": null}]}});
    assert_eq!(bench.put(&session.user, &id, settings.clone()).await, PutChannel::Stored);
    let read = bench.store.channel(&gate(&session), &id).await.unwrap().unwrap().value.unwrap();
    let expected = channel_record(&id, settings);
    assert_eq!((&read.channel, read.secret), (&expected.channel, expected.secret));
    assert_eq!(bench.store.channels(&gate(&session)).await.unwrap().unwrap().value, [read]);
    assert_eq!(bench.store.channel_owner(&id).await.unwrap(), Some(session.user));
    let missing = ChannelId::random();
    assert_eq!(bench.store.channel(&gate(&session), &missing).await.unwrap().unwrap().value, None);
    assert_eq!(bench.store.channel_owner(&missing).await.unwrap(), None);
}

async fn an_id_belongs_to_whoever_came_first(bench: Bench) {
    let (owner, id) = bench.session_with_channel().await;
    let other = bench.session().await;
    assert_eq!(bench.put(&other.user, &id, json!({"name": "mine"})).await, PutChannel::Taken);
    assert_eq!(bench.store.channels(&gate(&other)).await.unwrap().unwrap().value, []);
    let read = bench.store.channel(&gate(&owner), &id).await.unwrap().unwrap().value.unwrap();
    assert_eq!(read.channel.name, None);
    assert!(!bench.store.delete_channel(&other.user, &id).await.unwrap());
    assert_eq!(bench.store.channel_owner(&id).await.unwrap(), Some(owner.user));
}

async fn a_user_replaces_its_own_channel(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    bench.change(&session, &id, json!({"name": "old", "prompt": "p"})).await;
    assert_eq!(bench.put(&session.user, &id, json!({"name": "new"})).await, PutChannel::Stored);
    let read = bench.store.channel(&gate(&session), &id).await.unwrap().unwrap().value.unwrap();
    assert_eq!((read.channel.name.as_deref(), read.channel.prompt), (Some("new"), None));
    assert_eq!(bench.store.channels(&gate(&session)).await.unwrap().unwrap().value.len(), 1);
}

async fn an_update_from_an_old_revision_is_refused(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let old = bench.store.channel(&gate(&session), &id).await.unwrap().unwrap().value.unwrap();
    assert!(bench.store.update_channel(&session.user, &old).await.unwrap());
    assert!(!bench.store.update_channel(&session.user, &old).await.unwrap());
    assert!(bench.store.delete_channel(&session.user, &id).await.unwrap());
    assert!(!bench.store.update_channel(&session.user, &old).await.unwrap());
}

async fn a_deleted_channel_frees_its_id(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    assert!(bench.store.delete_channel(&session.user, &id).await.unwrap());
    assert!(!bench.store.delete_channel(&session.user, &id).await.unwrap());
    assert_eq!(bench.store.channel_owner(&id).await.unwrap(), None);
    let other = bench.session().await;
    assert_eq!(bench.put(&other.user, &id, json!({})).await, PutChannel::Stored);
    assert_eq!(bench.store.channel_owner(&id).await.unwrap(), Some(other.user));
}

async fn a_channel_needs_a_session(bench: Bench) {
    let id = ChannelId::random();
    assert_eq!(bench.put(&UserId::random(), &id, json!({})).await, PutChannel::NoSession);
    assert_eq!(bench.store.channel_owner(&id).await.unwrap(), None);
}

async fn many_users_who_want_one_id_leave_one_winner(bench: Bench) {
    let id = ChannelId::random();
    let mut sessions = Vec::new();
    for _ in 0..16 {
        sessions.push(bench.session().await);
    }
    let outcomes =
        futures_util::future::join_all(sessions.iter().map(|session| bench.put(&session.user, &id, json!({})))).await;
    let winners: Vec<_> = (0..16).filter(|n| outcomes[*n] == PutChannel::Stored).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    assert_eq!(bench.store.channel_owner(&id).await.unwrap(), Some(sessions[winners[0]].user));
}
