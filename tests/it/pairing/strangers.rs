//! People who are not paired: told how to, once, and otherwise unheard.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{HOW, PAIRED, assert_words, update};
use crate::support::platforms::deployment::register_bot;
use crate::support::redis;
use crate::telegram::scene::Scene;

pub async fn strangers_are_told_once_how_to_pair(scene: &Scene) {
    let (ana, ben) = (&scene.ana, &scene.ben);
    let mut socket = scene.client.open(scene.a(), "").await;
    for text in ["hello", "anybody?", "/start", "/help", "please", "/pair"] {
        scene.bot.hears(ana, text).await;
    }
    assert_words(scene, &[(ana.id, HOW)]).await;
    let first = scene.bot.hears(ben, "/start").await.event;
    // Delivered again, at whichever replica, it is still the same question.
    for replica in &scene.replicas {
        assert_eq!(scene.post_to(replica, &first).await.json(), json!({"ok": true}));
    }
    scene.bot.deliver(&ben.sends_photo(&ben.chat(), None)).await.accepted();
    scene.bot.deliver(&ben.edits(&first, "hello")).await.accepted();
    scene.bot.deliver(&ben.presses(&ben.chat(), 43, "yes")).await.accepted();
    assert_words(scene, &[(ana.id, HOW), (ben.id, HOW)]).await;
    let said = scene.telegram().sent().remove(0).text;
    assert!(said.contains("pairing code") && !said.contains("privacy mode"), "{said}");
    assert!(!said.contains(&scene.channel.code), "the code is not given away");

    assert!(scene.messages().await.is_empty());
    socket.nothing_more().await;
    assert_eq!(scene.allowed().await, Value::Null);
    // Having been told does not stand in the way of pairing.
    scene.bot.hears(ben, &scene.channel.code).await;
    assert_words(scene, &[(ana.id, HOW), (ben.id, HOW), (ben.id, PAIRED)]).await;
    // Who is paired is heard from now on; what was said before is not made up for.
    scene.bot.hears(ben, "at last").await;
    assert_eq!(socket.content().await, "at last");
    scene.bot.hears(ana, "and me?").await;
    socket.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_told_how_to_pair_and_not_heard() {
    strangers_are_told_once_how_to_pair(&Scene::on_redis().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_told_how_to_pair_on_the_embedded_store() {
    strangers_are_told_once_how_to_pair(&Scene::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_writes_to_all_replicas_at_once_is_told_once() {
    let scene = Scene::on_redis().await;
    let updates: Vec<_> = (0..20).map(|n| update(&scene.ana, &scene.ana.chat(), &format!("hello {n}"))).collect();
    let answers =
        updates.iter().zip(scene.replicas.iter().cycle()).map(|(update, replica)| scene.post_to(replica, update));
    assert!(join_all(answers).await.iter().all(|answer| answer.status == Some(200)));
    assert_words(&scene, &[(scene.ana.id, HOW)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hint_holds_for_an_hour() {
    let scene = Scene::on_redis().await;
    scene.bot.hears(&scene.ana, "hello").await;
    scene.wait_for_words(1).await;
    let prefix = scene.setup.variable("CHAOS_REDIS_PREFIX").unwrap();
    let server = redis::shared();
    let keys = server.cli(&["KEYS", &format!("{prefix}*hint:*")]);
    let keys: Vec<_> = keys.lines().collect();
    let [key] = keys[..] else { panic!("{keys:?}") };
    let left: u64 = server.cli(&["PTTL", key]).parse().unwrap();
    assert!((3_590_000..=3_600_000).contains(&left), "{left} ms");
    // When the hour is over, the stranger is told once more.
    server.cli(&["DEL", key]);
    scene.bot.hears(&scene.ana, "still here").await;
    scene.bot.hears(&scene.ana, "and here").await;
    assert_words(&scene, &[(scene.ana.id, HOW), (scene.ana.id, HOW)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_group_everybody_is_told_about_commands_and_privacy_mode() {
    let scene = Scene::on_redis().await;
    let (group, other) = (scene.telegram().group(-400, "Friends"), scene.telegram().group(-401, "Others"));
    for (person, chat) in [(&scene.ana, &group), (&scene.ben, &group), (&scene.ana, &group), (&scene.ana, &other)] {
        scene.bot.deliver(&person.says(chat, "/help")).await.accepted();
    }
    assert_words(&scene, &[(group.id, HOW), (group.id, HOW)]).await;
    for said in scene.said().await {
        for words in ["/pair YOUR-CODE", "/pair@helper_bot", "private chat", "privacy mode", "/setprivacy"] {
            assert!(said.text.contains(words), "{words:?} in {:?}", said.text);
        }
    }
    assert!(scene.messages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_sees_everything_does_not_speak_of_privacy_mode() {
    let mut scene = Scene::on_redis().await;
    scene.bot.sees_all();
    // It is known from the registration.
    scene.channel = register_bot(&scene.client, scene.a(), "telegram", &scene.bot.token).await;
    let group = scene.telegram().group(-400, "Friends");
    scene.bot.deliver(&scene.ana.says(&group, "hello everybody")).await.accepted();
    assert_words(&scene, &[(group.id, "/pair YOUR-CODE")]).await;
    assert!(!scene.said().await[0].text.contains("privacy"));
}
