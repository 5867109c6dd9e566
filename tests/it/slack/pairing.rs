//! Whoever sends the code is let in, once.

use futures_util::future::join_all;
use serde_json::json;

use super::{ANA, BOB, Scene};
use crate::support::platforms::deployment::Platforms;

const CONFIRMATION: &str = "You are paired. Whatever you write here now reaches the agent.";

#[tokio::test(flavor = "multi_thread")]
async fn a_code_in_a_direct_message_pairs_and_is_used_up() {
    let scene = Scene::set().await;
    let (to_ana, to_bob) = (scene.workspace.direct_messages(ANA), scene.workspace.direct_messages(BOB));
    scene.says(ANA, &to_ana, None, &format!("pair {}", scene.channel.code)).await;
    let confirmed = scene.sent(1).await.remove(0);
    assert_eq!((confirmed.channel, confirmed.thread), (to_ana.clone(), None), "not in a thread");
    assert_eq!(confirmed.text, CONFIRMATION);
    assert_eq!(scene.allowed().await, json!([ANA]));
    assert!(scene.messages().await.is_empty(), "the code is nothing for the agent");

    scene.says(BOB, &to_bob, None, &format!("pair {}", scene.channel.code)).await;
    let refused = scene.sent(2).await.remove(1);
    assert_eq!(refused.channel, to_bob);
    assert!(refused.text.contains("not right"), "{refused:?}");
    assert_eq!(scene.allowed().await, json!([ANA]));

    scene.says(ANA, &to_ana, None, "hello").await;
    assert_eq!(scene.message_after(0).await["content"], "hello");
    let log = scene.relay().log();
    assert!(!log.to_uppercase().contains(&scene.channel.code), "the code is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mention_with_the_code_pairs_in_a_channel() {
    let scene = Scene::set().await;
    let place = scene.workspace.channel();
    let post = scene.says(ANA, &place, None, &scene.at_bot(&format!("pair {}", scene.channel.code))).await;
    assert_eq!(scene.allowed().await, json!([ANA]));
    let confirmed = scene.sent(1).await.remove(0);
    assert_eq!((confirmed.channel.as_str(), confirmed.text.as_str()), (place.as_str(), CONFIRMATION));
    assert_eq!(json!(confirmed.thread), post["ts"], "in a thread on the post");

    scene.says(ANA, &place, None, &scene.at_bot("hello")).await;
    let message = scene.message_after(0).await;
    assert_eq!(message["content"], "hello", "neither event of the first post reached the agent");
    let answer = scene.answer(&message, "done").await;
    scene.delivered(&answer).await;
    scene.sent(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_understood_however_a_person_writes_it() {
    let scene = Scene::set().await;
    let place = scene.workspace.channel();
    let written = [
        "CODE",
        " code ",
        "pair code",
        "Pair   CODE",
        "/pair CODE",
        "/start code",
        "<@BOT> CODE",
        "<@BOT>: pair code",
        "<@BOT|helper>, pair CODE",
    ];
    for (number, text) in written.into_iter().enumerate() {
        let code = scene.new_code().await;
        let text = text.replace("CODE", &code).replace("code", &code.to_lowercase());
        let text = text.replace("BOT", &scene.workspace.bot_user);
        let person = format!("U{number}");
        let direct = scene.workspace.direct_messages(&person);
        scene.says(&person, &direct, None, &text).await;
        let allowed = scene.allowed().await;
        assert!(allowed.as_array().unwrap().contains(&json!(person)), "{text}");
    }
    // What people say to each other in a channel is never a code.
    let code = scene.new_code().await;
    let root = scene.says(BOB, &place, None, &format!("pair {code}")).await;
    scene.says(BOB, &place, root["ts"].as_str(), &code).await;
    assert_eq!(scene.allowed().await.as_array().unwrap().len(), written.len());
    assert!(scene.sent(written.len()).await.iter().all(|sent| sent.text == CONFIRMATION));
    assert!(scene.messages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_code_takes_the_place_of_the_last() {
    let scene = Scene::set().await;
    let direct = scene.workspace.direct_messages(ANA);
    let newer = scene.new_code().await;
    scene.says(ANA, &direct, None, &format!("pair {}", scene.channel.code)).await;
    assert!(scene.sent(1).await[0].text.contains("not right"));
    assert_eq!(scene.allowed().await, json!(null));
    scene.says(ANA, &direct, None, &newer).await;
    assert_eq!(scene.sent(2).await[1].text, CONFIRMATION);
    assert_eq!(scene.allowed().await, json!([ANA]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_says_who_is_paired_is_never_taken_for_a_code() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    let code = scene.new_code().await;
    let texts = [format!("pair {code}"), code.clone(), "pair".to_owned(), "pair nonsense".to_owned()];
    for (before, text) in texts.iter().enumerate() {
        scene.says(ANA, &direct, None, text).await;
        assert_eq!(scene.message_after(before).await["content"], text.as_str());
    }
    let to_bob = scene.workspace.direct_messages(BOB);
    scene.says(BOB, &to_bob, None, &code).await;
    assert_eq!(scene.allowed().await, json!([ANA, BOB]), "the code was still good");
    assert_eq!(scene.sent(1).await[0].text, CONFIRMATION);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_with_one_code_at_two_replicas_one_is_let_in() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis();
    let scene = Scene::on::<2>(platforms, &setup).await;
    let rounds = 4;
    for round in 0..rounds {
        scene.let_in(&[]).await;
        let code = scene.new_code().await;
        let tries = (0..2).map(|replica| {
            let person = format!("U{round}{replica}");
            let direct = scene.workspace.direct_messages(&person);
            let event = scene.workspace.says(&person, &direct, None, &format!("pair {code}"));
            let (url, envelope) = (scene.events_url(replica), scene.envelope(&event));
            let workspace = scene.workspace.clone();
            async move { workspace.post(&url, envelope).await.accepted() }
        });
        join_all(tries).await;
        let allowed = scene.allowed().await;
        assert_eq!(allowed.as_array().map(Vec::len), Some(1), "{allowed}");
    }
    let sent = scene.sent(2 * rounds).await;
    assert_eq!(sent.iter().filter(|sent| sent.text == CONFIRMATION).count(), rounds, "{sent:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_full_takes_nobody_and_says_so_once() {
    let scene = Scene::set().await;
    let place = scene.workspace.channel();
    let full: Vec<_> = (0..4).map(|n| format!("U{n}{}", "X".repeat(1000))).collect();
    scene.change(json!({"metadata": {"allowedUsers": full}})).await;
    let text = scene.at_bot(&format!("pair {}", scene.channel.code));
    let long_name = format!("U{}", "Y".repeat(60));
    scene.says(&long_name, &place, None, &text).await;
    assert!(scene.sent(1).await[0].text.contains("is full"));
    assert_eq!(scene.allowed().await, json!(full));
    scene.let_in(&[BOB]).await;
    scene.says(&long_name, &place, None, &text).await;
    assert_eq!(scene.sent(2).await[1].text, CONFIRMATION, "the code was still good");
    assert_eq!(scene.allowed().await, json!([BOB, long_name]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_that_paired_pairs_once_however_often_it_comes() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis();
    let scene = Scene::on::<2>(platforms, &setup).await;
    let direct = scene.workspace.direct_messages(ANA);
    let event = scene.workspace.says(ANA, &direct, None, &format!("pair {}", scene.channel.code));
    let envelope = scene.envelope(&event);
    for replica in [0, 1, 0, 1] {
        scene.workspace.post(&scene.events_url(replica), envelope.clone()).await.accepted();
    }
    assert_eq!(scene.allowed().await, json!([ANA]));
    assert!(scene.messages().await.is_empty(), "a redelivery of the code is nothing for the agent");
    scene.says(ANA, &direct, None, "hello").await;
    let answer = scene.answer(&scene.message_after(0).await, "hi").await;
    scene.delivered(&answer).await;
    let texts: Vec<_> = scene.sent(2).await.into_iter().map(|sent| sent.text).collect();
    assert_eq!(texts, [CONFIRMATION, "hi"], "it is confirmed once");
}
