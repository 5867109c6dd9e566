//! Updates that come twice, at once, or faster than they may.

use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use super::scene::{Scene, read};
use crate::support::client::contents;
use crate::support::platforms::deployment::register_bot;

/// The same update at two replicas in the same moment.
pub async fn an_update_is_stored_once_however_often_it_comes(scene: &Scene) {
    scene.allow(&[scene.ana.id]).await;
    let mut socket = scene.client.open(scene.a(), "").await;
    for n in 1..=10 {
        let mut update = scene.ana.says(&scene.ana.chat(), &format!("number {n}"));
        update["update_id"] = n.into();
        let both = join(scene.post_to(scene.a(), &update), scene.post_to(scene.b(), &update)).await;
        let later = scene.post_to(scene.b(), &update).await;
        for answer in [&both.0, &both.1, &later] {
            assert_eq!((answer.status, answer.json()), (Some(200), json!({"ok": true})), "{answer:?}");
        }
        assert_eq!(socket.content().await, format!("number {n}"));
        socket.nothing_more().await;
    }
    assert_eq!(scene.messages().await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_that_get_one_update_at_once_store_it_once() {
    an_update_is_stored_once_however_often_it_comes(&Scene::on_redis().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_of_two_bots_have_nothing_to_do_with_each_other() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ana.id]).await;
    let other = scene.telegram().bot("other_bot");
    let second = register_bot(&scene.client, scene.b(), "telegram", &other.token).await;
    other.hears(&scene.ana, &second.code).await;
    scene.bot.hears(&scene.ana, "to the one").await;
    // The first update of the other bot was the code.
    let update = scene.ana.says(&scene.ana.chat(), "to the other");
    let first =
        other.deliver(&json!({"update_id": 900_000_001_u64 + 1, "message": update["message"]})).await.accepted();
    scene.bot.deliver(&json!({"update_id": 900_000_001_u64 + 1, "message": update["message"]})).await.accepted();
    other.deliver(&first.event).await.accepted();
    let messages = scene.messages().await;
    assert_eq!(contents(&messages), ["to the one", "to the other", "to the other"]);
    assert_eq!((&messages[1]["channelId"], &messages[2]["channelId"]), (&json!(second.id), &json!(scene.channel.id)));
}

pub async fn chats_at_once_do_not_mix(scene: &Scene) {
    let people: Vec<_> = (1..=20).map(|n| scene.telegram().person(600_000 + n, &format!("Person{n}"))).collect();
    scene.allow(&people.iter().map(|person| person.id).collect::<Vec<_>>()).await;
    join_all(people.iter().map(|person| async {
        for n in 1..=3 {
            scene.bot.hears(person, &format!("{}: {n}", person.id)).await;
        }
    }))
    .await;
    let messages = scene.messages().await;
    assert_eq!(messages.len(), 60);
    join_all(people.iter().map(|person| async {
        let own: Vec<&Value> = messages.iter().filter(|message| message["metadata"]["chatId"] == person.id).collect();
        let texts: Vec<_> = own.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect();
        assert_eq!(texts, [1, 2, 3].map(|n| format!("{}: {n}", person.id)), "in the order of the chat");
        let ack = read(scene.answer(own[2], &format!("to {}", person.id)).await, 200).await;
        assert_eq!(scene.fate(&ack).await["status"], "delivered");
    }))
    .await;
    let sent = scene.telegram().sent();
    assert_eq!(sent.len(), 20);
    assert!(sent.iter().all(|sent| sent.text == format!("to {}", sent.chat)), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_chats_at_once_do_not_mix() {
    chats_at_once_do_not_mix(&Scene::on_redis().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_the_limit_comes_again_and_is_not_lost() {
    let scene = Scene::on_redis_with(&[("CHAOS_RATE_WEBHOOK", "6/2s")]).await;
    scene.allow(&[scene.ana.id, scene.ben.id]).await;
    let began = Instant::now();
    let deliveries = join_all([&scene.ana, &scene.ben].map(|person| async {
        let mut all = Vec::new();
        for n in 1..=5 {
            all.push(scene.bot.hears(person, &format!("{} {n}", person.name)).await);
        }
        all
    }))
    .await;
    let refused: Vec<_> = deliveries
        .iter()
        .flatten()
        .flat_map(|delivery| &delivery.attempts)
        .filter(|attempt| attempt.status == Some(429))
        .collect();
    assert!(!refused.is_empty(), "ten updates are more than six");
    for attempt in refused {
        assert!(attempt.retry_after().is_some_and(|seconds| (1..=2).contains(&seconds)), "{attempt:?}");
        assert_eq!(attempt.json()["code"], "rate_limited");
        assert_eq!(attempt.header("RateLimit-Limit"), Some("6"));
    }
    let taken = deliveries.iter().flatten().flat_map(|delivery| &delivery.attempts).filter(|one| one.is_accepted());
    let mut left: Vec<_> = taken.map(|one| one.header("RateLimit-Remaining").unwrap().to_owned()).collect();
    left.sort();
    assert_eq!(left[..2], ["0", "1"], "those that are taken say how many more may come");
    // Six in the first two seconds, the others afterwards.
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    let messages = scene.messages().await;
    for person in ["Ana", "Ben"] {
        let own: Vec<_> = contents(&messages).into_iter().filter(|text| text.starts_with(person)).collect();
        assert_eq!(own, [1, 2, 3, 4, 5].map(|n| format!("{person} {n}")));
    }
    assert_eq!(messages.len(), 10);
}
