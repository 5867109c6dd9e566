//! Channels, and whose they are.

use chaos_relay::domain::ids::{ChannelId, UserId};
use chaos_relay::store::{Holder, PutChannel};
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
    a_channel_is_read_without_a_gate_by_its_owner_only,
    a_bot_belongs_to_one_channel_at_a_time,
    a_bot_is_given_up_by_its_holder_only,
    many_channels_that_want_one_bot_leave_one_holder,
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

async fn a_channel_is_read_without_a_gate_by_its_owner_only(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    bench.change(&session, &id, json!({"name": "door"})).await;
    let read = bench.store.read_channel(&session.user, &id).await.unwrap();
    assert_eq!(read, bench.store.channel(&gate(&session), &id).await.unwrap().unwrap().value);
    assert_eq!(read.unwrap().revision, 2);
    assert_eq!(bench.store.read_channel(&session.user, &ChannelId::random()).await.unwrap(), None);
    assert_eq!(bench.store.read_channel(&bench.session().await.user, &id).await.unwrap(), None);
    bench.store.delete_channel(&session.user, &id).await.unwrap();
    assert_eq!(bench.store.read_channel(&session.user, &id).await.unwrap(), None);
}

async fn a_bot_belongs_to_one_channel_at_a_time(bench: Bench) {
    let store = &bench.store;
    let [first, second] = [(); 2].map(|()| Holder { user: UserId::random(), channel: ChannelId::random() });
    let (one, other) = ("telegram:1", "email:a b@c");
    assert_eq!(store.identity_holder(one).await.unwrap(), None);
    assert_eq!(store.hold_identity(one, &first, false).await.unwrap(), None);
    assert_eq!(store.hold_identity(one, &second, false).await.unwrap(), Some(first.clone()));
    assert_eq!(store.identity_holder(one).await.unwrap(), Some(first.clone()));
    assert_eq!(store.hold_identity(one, &first, false).await.unwrap(), Some(first.clone()));
    assert_eq!(store.hold_identity(one, &second, true).await.unwrap(), Some(first.clone()));
    assert_eq!(store.identity_holder(one).await.unwrap(), Some(second.clone()));
    // Each name for itself, and a channel may have several.
    assert_eq!(store.hold_identity(other, &second, true).await.unwrap(), None);
    assert_eq!(store.identity_holder(other).await.unwrap(), Some(second));
}

async fn a_bot_is_given_up_by_its_holder_only(bench: Bench) {
    let store = &bench.store;
    let holder = Holder { user: UserId::random(), channel: ChannelId::random() };
    let before = Holder { channel: ChannelId::random(), ..holder.clone() };
    store.drop_identity("discord:1", &holder).await.unwrap();
    store.hold_identity("discord:1", &before, false).await.unwrap();
    store.hold_identity("discord:1", &holder, true).await.unwrap();
    store.drop_identity("discord:1", &before).await.unwrap();
    assert_eq!(store.identity_holder("discord:1").await.unwrap(), Some(holder.clone()));
    store.drop_identity("discord:1", &holder).await.unwrap();
    assert_eq!(store.identity_holder("discord:1").await.unwrap(), None);
    assert_eq!(store.hold_identity("discord:1", &before, false).await.unwrap(), None);
}

async fn many_channels_that_want_one_bot_leave_one_holder(bench: Bench) {
    let holders: Vec<_> = (0..16).map(|_| Holder { user: UserId::random(), channel: ChannelId::random() }).collect();
    let before = futures_util::future::join_all(
        holders.iter().map(|holder| bench.store.hold_identity("slack:T:U", holder, false)),
    )
    .await;
    let winners: Vec<_> = (0..16).filter(|n| matches!(before[*n], Ok(None))).collect();
    assert_eq!(winners.len(), 1, "{before:?}");
    let winner = &holders[winners[0]];
    assert_eq!(bench.store.identity_holder("slack:T:U").await.unwrap().as_ref(), Some(winner));
    let told = before.iter().filter(|before| matches!(before, Ok(Some(holder)) if holder == winner)).count();
    assert_eq!(told, 15);
}
