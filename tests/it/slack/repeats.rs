//! Slack sends again what it has no answer to. It is stored once.

use futures_util::future::join_all;
use serde_json::json;

use super::{ANA, Scene};
use crate::support::client::contents;
use crate::support::platforms::deployment::Platforms;
use crate::support::relay::data_dir;

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_is_answered_like_the_first_and_stored_once() {
    let scene = Scene::with_ana().await;
    once_however_often(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_is_stored_once_on_the_embedded_store_too() {
    let (dir, platforms) = (data_dir(), Platforms::start().await);
    let setup = platforms.embedded(dir.path());
    let scene = Scene::on::<1>(platforms, &setup).await;
    scene.let_in(&[ANA]).await;
    once_however_often(&scene).await;
}

async fn once_however_often(scene: &Scene) {
    let direct = scene.workspace.direct_messages(ANA);
    let mut socket = scene.client.open(scene.relay(), "").await;
    let first = scene.workspace.deliver(&scene.workspace.says(ANA, &direct, None, "once")).await.accepted();
    let answer = &first.attempts[0].body;
    for _ in 0..3 {
        let again = scene.workspace.post(&scene.events_url(0), first.event.clone()).await.accepted();
        assert_eq!(&again.attempts[0].body, answer);
    }
    // The same words in another message are another message.
    scene.says(ANA, &direct, None, "once").await;
    assert_eq!(contents(&scene.messages().await), ["once", "once"]);
    let (one, two) = (socket.message().await, socket.message().await);
    assert_ne!(one["id"], two["id"]);
    socket.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_at_two_replicas_at_once_is_stored_once() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis();
    let scene = Scene::on::<2>(platforms, &setup).await;
    scene.let_in(&[ANA]).await;
    let (direct, place) = (scene.workspace.direct_messages(ANA), scene.workspace.channel());
    let rounds = 10;
    for round in 0..rounds {
        // One message by its event alone, and one by both that a mention makes.
        let direct = scene.envelope(&scene.workspace.says(ANA, &direct, None, &format!("direct {round}")));
        let post = scene.workspace.says(ANA, &place, None, &scene.at_bot(&format!("mention {round}")));
        let (post, mention) = (scene.envelope(&post), scene.envelope(&scene.workspace.mention(&post).unwrap()));
        let attempts = [(0, &direct), (1, &direct), (0, &post), (1, &mention), (1, &post), (0, &mention)];
        let attempts = attempts.map(|(replica, envelope)| {
            let (workspace, url, envelope) = (&scene.workspace, scene.events_url(replica), envelope.clone());
            async move { workspace.post(&url, envelope).await.accepted() }
        });
        join_all(attempts).await;
    }
    let messages = scene.messages().await;
    let mut stored = contents(&messages);
    stored.sort_unstable();
    let mut expected: Vec<_> = (0..rounds).flat_map(|n| [format!("direct {n}"), format!("mention {n}")]).collect();
    expected.sort_unstable();
    assert_eq!(stored, expected);
    assert_eq!(messages.iter().filter(|message| message["metadata"]["edited"] == json!(true)).count(), 0);
}
