//! The list of those who may write, as its owner changes it.

use serde_json::{Value, json};

use super::{HOW, PAIRED, WRONG, assert_words, update};
use crate::support::client::contents;
use crate::support::platforms::telegram::Person;
use crate::telegram::scene::{Scene, read, refusal};

/// Writes to both replicas; gives what of it reached the client.
async fn heard_of(scene: &Scene, person: &Person, text: &str) -> usize {
    let before = scene.messages().await.len();
    for replica in &scene.replicas {
        let update = update(person, &person.chat(), text);
        assert_eq!(scene.post_to(replica, &update).await.status, Some(200));
    }
    scene.messages().await.len() - before
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_at_one_replica_holds_at_once_at_all() {
    let scene = Scene::on_redis().await;
    let (ana, ben) = (&scene.ana, &scene.ben);
    // Both replicas know the channel before it is changed.
    assert_eq!(heard_of(&scene, ana, "hello").await, 0);
    for round in 0..10 {
        let (by, list) = match round % 2 {
            0 => (scene.a(), json!([ana.id])),
            _ => (scene.b(), json!([ben.id.to_string()])),
        };
        let change = json!({"metadata": {"allowedUsers": list}});
        let view = read(scene.patch(by, change).await, 200).await;
        assert_eq!(view["channel"]["metadata"], json!({"botUsername": "helper_bot", "allowedUsers": list}));
        let (inside, outside) = if round % 2 == 0 { (ana, ben) } else { (ben, ana) };
        assert_eq!(heard_of(&scene, inside, &format!("inside {round}")).await, 2);
        assert_eq!(heard_of(&scene, outside, "outside").await, 0);
    }
    let messages = scene.messages().await;
    assert!(contents(&messages).iter().all(|text| text.starts_with("inside")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_lets_in_by_number_or_text_and_only_whole_ids() {
    let scene = Scene::on_redis().await;
    let id = scene.ana.id;
    for (list, may_write) in [
        (json!([id]), true),
        (json!([id.to_string()]), true),
        (json!([1, "x", id]), true),
        (json!([]), false),
        (Value::Null, false),
        (json!([id + 1]), false),
        (json!(["ana", "@ana", "500001 ", "0500001", "50000"]), false),
        (json!([500_001.5]), false),
    ] {
        scene.change(json!({"metadata": {"allowedUsers": list}})).await;
        let expected = if may_write { 2 } else { 0 };
        assert_eq!(heard_of(&scene, &scene.ana, "hello").await, expected, "{list}");
    }
    // What has not the form of a list is refused, and changes nothing.
    scene.allow(&[id]).await;
    for list in [json!("500001"), json!(id), json!({}), json!([[id]]), json!([true]), json!([null])] {
        let body = json!({"metadata": {"allowedUsers": list}});
        refusal(scene.patch(scene.a(), body).await, 400, "invalid_field").await;
    }
    let long: Vec<_> = (0..1000).map(|n| 1_000_000 + n).collect();
    let body = json!({"metadata": {"allowedUsers": long}});
    refusal(scene.patch(scene.a(), body).await, 413, "too_large").await;
    assert_eq!(scene.allowed().await, json!([id]));
    assert_eq!(heard_of(&scene, &scene.ana, "still here").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_taken_off_may_pair_again_and_a_list_does_not_use_up_the_code() {
    let scene = Scene::on_redis().await;
    scene.allow(&[scene.ben.id]).await;
    let pairing = scene.bot.hears(&scene.ana, &scene.channel.code).await.event;
    scene.wait_for_words(1).await;
    assert_eq!(scene.allowed().await, json!([scene.ben.id, scene.ana.id]));
    scene.allow(&[scene.ben.id]).await;
    // The update that once paired does not let anybody in again, nor does its code.
    scene.bot.deliver(&pairing).await.accepted();
    assert_eq!(scene.allowed().await, json!([scene.ben.id]));
    scene.bot.hears(&scene.ana, "hello").await;
    let code = scene.new_code(scene.b()).await;
    scene.bot.hears(&scene.ana, &code).await;
    let id = scene.ana.id;
    assert_words(&scene, &[(id, PAIRED), (id, WRONG), (id, HOW), (id, PAIRED)]).await;
    assert_eq!(scene.allowed().await, json!([scene.ben.id, scene.ana.id]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_list_takes_nobody_and_the_code_stays_good() {
    let scene = Scene::on_redis().await;
    // 4 KiB of JSON, but for less than an id takes.
    let mut full: Vec<Value> = (0..370).map(|n| json!(1_000_000_000_i64 + n)).collect();
    full.push(json!("x"));
    assert_eq!(json!({"allowedUsers": full}).to_string().len(), 4092);
    scene.change(json!({"metadata": {"allowedUsers": full}})).await;
    scene.bot.hears(&scene.ana, &scene.channel.code).await;
    assert_words(&scene, &[(scene.ana.id, "is full")]).await;
    assert_eq!(scene.allowed().await, json!(full));
    full.truncate(100);
    scene.change(json!({"metadata": {"allowedUsers": full}})).await;
    scene.bot.hears(&scene.ana, &scene.channel.code).await;
    assert_words(&scene, &[(scene.ana.id, "is full"), (scene.ana.id, PAIRED)]).await;
    assert_eq!(heard_of(&scene, &scene.ana, "hello").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_servers_own_cannot_be_patched() {
    let scene = Scene::on_redis().await;
    let before = scene.channels().await;
    let body = json!({
        "id": "other", "type": "webhook", "pending": null, "takenOver": true, "connection": {"botId": "1"},
        "metadata": {"botUsername": "evil_bot", "disabledReason": "x", "webhookSecret": "0123456789abcdef", "pairingCode": "x"},
    });
    scene.change(body).await;
    assert_eq!(scene.channels().await, before);
    scene.bot.hears(&scene.ana, &scene.channel.code).await;
    assert_words(&scene, &[(scene.ana.id, PAIRED)]).await;
}
