//! What is sealed: all of it is found, and nothing is replaced that changed since it was read.

use chaos_relay::domain::ids::{ChannelId, UserId};
use chaos_relay::store::{PutChannel, SealedPlace, SealedRecord};
use serde_json::json;

use super::{Bench, gate, on_both_stores};

on_both_stores! {
    a_walk_finds_every_session_and_channel,
    an_api_key_is_replaced_while_it_is_what_was_read,
    the_deployment_s_key_is_replaced_while_it_is_what_was_read,
    a_channel_s_secret_is_replaced_and_nothing_else,
    an_update_made_before_a_replacement_does_not_undo_it,
    what_is_gone_or_holds_nothing_sealed_is_not_read,
}

/// All places that a walk finds, each once, in an order of their own.
async fn walk(bench: &Bench) -> Vec<SealedPlace> {
    let (mut found, mut from) = (Vec::new(), None);
    loop {
        let page = bench.store.sealed_places(from.as_deref()).await.unwrap();
        found.extend(page.places);
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    sorted(found)
}

fn sorted(mut places: Vec<SealedPlace>) -> Vec<SealedPlace> {
    places.sort_by_key(|place| format!("{place:?}"));
    places.dedup();
    places
}

async fn read(bench: &Bench, place: &SealedPlace) -> Option<SealedRecord> {
    bench.store.read_sealed(place).await.unwrap()
}

async fn a_walk_finds_every_session_and_channel(bench: Bench) {
    assert_eq!(walk(&bench).await, []);
    let mut expected = Vec::new();
    for _ in 0..45 {
        let (session, channel) = bench.session_with_channel().await;
        let other: ChannelId = format!("session_{}", session.user).parse().unwrap();
        assert_eq!(bench.put(&session.user, &other, json!({})).await, PutChannel::Stored);
        expected.push(SealedPlace::ApiKey(session.user));
        expected.extend([channel, other].map(|id| SealedPlace::Channel(session.user, id)));
    }
    expected.push(SealedPlace::ApiKey(bench.session().await.user));
    assert_eq!(walk(&bench).await, sorted(expected));
    assert!(bench.store.sealed_places(Some("nowhere")).await.is_err());
}

async fn an_api_key_is_replaced_while_it_is_what_was_read(bench: Bench) {
    let session = bench.session().await;
    let place = SealedPlace::ApiKey(session.user);
    let before = read(&bench, &place).await.unwrap();
    assert_eq!(before, SealedRecord::ApiKey(session.user, session.sealed_api_key.clone()));
    assert!(bench.store.replace_sealed(&before, "anew").await.unwrap());
    assert!(!bench.store.replace_sealed(&before, "too late").await.unwrap());
    assert_eq!(read(&bench, &place).await, Some(SealedRecord::ApiKey(session.user, "anew".to_owned())));
    let after = bench.store.find_session(&session.api_key).await.unwrap().unwrap();
    assert_eq!(after, chaos_relay::store::SessionRecord { sealed_api_key: "anew".to_owned(), ..session.clone() });
    assert!(bench.store.delete_session(&session.user).await.unwrap());
    let anew = SealedRecord::ApiKey(session.user, "anew".to_owned());
    assert!(!bench.store.replace_sealed(&anew, "of the dead").await.unwrap());
    assert_eq!(bench.store.find_session(&session.api_key).await.unwrap(), None);
}

async fn the_deployment_s_key_is_replaced_while_it_is_what_was_read(bench: Bench) {
    assert_eq!(read(&bench, &SealedPlace::DeploymentKey).await, None);
    let absent = SealedRecord::DeploymentKey("first".to_owned());
    assert!(!bench.store.replace_sealed(&absent, "out of nothing").await.unwrap());
    assert_eq!(bench.store.deployment_key("first").await.unwrap(), "first");
    let before = read(&bench, &SealedPlace::DeploymentKey).await.unwrap();
    assert!(bench.store.replace_sealed(&before, "anew").await.unwrap());
    assert!(!bench.store.replace_sealed(&before, "too late").await.unwrap());
    assert_eq!(bench.store.deployment_key("another").await.unwrap(), "anew");
}

async fn a_channel_s_secret_is_replaced_and_nothing_else(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    bench.change(&session, &id, json!({"name": "door", "prompt": "be kind", "enabled": false})).await;
    let before = bench.store.read_channel(&session.user, &id).await.unwrap().unwrap();
    let sealed = read(&bench, &SealedPlace::Channel(session.user, id.clone())).await.unwrap();
    assert_eq!(sealed, SealedRecord::Channel(session.user, Box::new(before.clone())));
    assert!(bench.store.replace_sealed(&sealed, "anew").await.unwrap());
    let mut expected = before.clone();
    expected.channel.sealed_secret = Some("anew".to_owned());
    expected.revision += 1;
    assert_eq!(bench.store.read_channel(&session.user, &id).await.unwrap(), Some(expected));

    bench.change(&session, &id, json!({"name": "gate"})).await;
    let read_before_the_change = SealedRecord::Channel(session.user, Box::new(before));
    assert!(!bench.store.replace_sealed(&read_before_the_change, "too late").await.unwrap());
    let now = bench.store.read_channel(&session.user, &id).await.unwrap().unwrap().channel;
    assert_eq!((now.name.as_deref(), now.sealed_secret.as_deref()), (Some("gate"), Some("anew")));
}

async fn an_update_made_before_a_replacement_does_not_undo_it(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let mut update = bench.store.channel(&gate(&session), &id).await.unwrap().unwrap().value.unwrap();
    update.channel.name = Some("late".to_owned());
    let sealed = read(&bench, &SealedPlace::Channel(session.user, id.clone())).await.unwrap();
    assert!(bench.store.replace_sealed(&sealed, "anew").await.unwrap());
    assert!(!bench.store.update_channel(&session.user, &update).await.unwrap());
    let now = bench.store.read_channel(&session.user, &id).await.unwrap().unwrap().channel;
    assert_eq!((now.name, now.sealed_secret.as_deref()), (None, Some("anew")));
}

async fn what_is_gone_or_holds_nothing_sealed_is_not_read(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let place = SealedPlace::Channel(session.user, id.clone());
    let sealed = read(&bench, &place).await.unwrap();
    let mut open = bench.store.read_channel(&session.user, &id).await.unwrap().unwrap();
    open.channel.sealed_secret = None;
    assert!(bench.store.update_channel(&session.user, &open).await.unwrap());
    assert_eq!(read(&bench, &place).await, None, "a channel without a secret");
    bench.store.delete_channel(&session.user, &id).await.unwrap();
    assert_eq!(read(&bench, &place).await, None);
    assert!(!bench.store.replace_sealed(&sealed, "of the dead").await.unwrap());
    assert_eq!(bench.store.read_channel(&session.user, &id).await.unwrap(), None);
    assert_eq!(read(&bench, &SealedPlace::ApiKey(UserId::random())).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lives_longer_on_redis_for_being_sealed_anew() {
    let bench = Bench::redis();
    let (session, id) = bench.session_with_channel().await;
    let keys = [format!("{{}}{{{}}}:session", session.user), format!("{{}}{{{}}}:channel:{id}", session.user)];
    for key in &keys {
        assert_eq!(bench.redis_cli(&["PEXPIRE", key, "100000"]), "1");
    }
    for place in [SealedPlace::ApiKey(session.user), SealedPlace::Channel(session.user, id)] {
        let sealed = read(&bench, &place).await.unwrap();
        assert!(bench.store.replace_sealed(&sealed, "anew").await.unwrap());
    }
    for key in &keys {
        let left: i64 = bench.redis_cli(&["PTTL", key]).parse().unwrap();
        assert!((1..=100_000).contains(&left), "{key}: {left}");
    }
}
