//! People who are not paired: they hear how to pair, and the agent hears nothing.

use serde_json::json;

use super::{ANA, BOB, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_hears_once_how_to_pair() {
    let scene = Scene::set().await;
    let (direct, place) = (scene.workspace.direct_messages(BOB), scene.workspace.channel());
    for text in ["hello?", "is anybody there?", "pair", "pair of shoes"] {
        scene.says(BOB, &direct, None, text).await;
    }
    scene.says(BOB, &place, None, &scene.at_bot("hello")).await;
    let hint = scene.sent(1).await.remove(0);
    assert_eq!((hint.channel.as_str(), hint.thread), (direct.as_str(), None));
    assert!(hint.text.contains("`pair &lt;code&gt;`"), "{}", hint.text);
    assert!(hint.pings.is_empty(), "{:?}", hint.pings);

    let post = scene.says("U0EVE", &place, None, &scene.at_bot("hello")).await;
    let hint = scene.sent(2).await.remove(1);
    assert_eq!((json!(hint.channel), json!(hint.thread)), (json!(place), post["ts"].clone()));
    assert!(hint.text.contains("`@helper pair &lt;code&gt;`"), "{}", hint.text);
    scene.says("U0EVE", &place, None, &scene.at_bot("hello!")).await;

    // One who asks how to pair is told so as well.
    let curious = scene.workspace.direct_messages("U0DAN");
    scene.says("U0DAN", &curious, None, "pair").await;
    assert!(scene.sent(3).await[2].text.contains("`pair &lt;code&gt;`"));
    assert!(scene.messages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_talks_to_others_hears_nothing() {
    let scene = Scene::with_ana().await;
    let place = scene.workspace.channel();
    let root = scene.says(BOB, &place, None, "who has seen the report?").await;
    scene.says(BOB, &place, root["ts"].as_str(), "nobody?").await;
    let known = scene.says(ANA, &place, None, &scene.at_bot("find it")).await;
    scene.says(BOB, &place, known["ts"].as_str(), "yes, please").await;

    let answer = scene.answer(&scene.message_after(0).await, "Here it is.").await;
    scene.delivered(&answer).await;
    assert_eq!(scene.sent(1).await[0].text, "Here it is.");
    assert_eq!(scene.allowed().await, json!([ANA]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_taken_off_the_list_is_a_stranger_again() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &direct, None, "in").await;
    let message = scene.message_after(0).await;
    scene.let_in(&[BOB]).await;
    scene.says(ANA, &direct, None, "out").await;
    assert!(scene.sent(1).await[0].text.contains("I do not know you yet"));
    scene.message_after(0).await;
    // What was asked before may still be answered.
    let answer = scene.answer(&message, "late").await;
    scene.delivered(&answer).await;
    scene.let_in(&[ANA]).await;
    scene.says(ANA, &direct, None, "in again").await;
    assert_eq!(scene.message_after(1).await["content"], "in again");
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_are_no_strangers_and_are_told_nothing() {
    let scene = Scene::set().await;
    let direct = scene.workspace.direct_messages(BOB);
    for changes in [
        json!({"bot_id": "B9"}),
        json!({"subtype": "bot_message", "bot_id": "B9", "user": null}),
        json!({"bot_profile": {"id": "B9"}}),
        json!({"user": scene.workspace.bot_user}),
    ] {
        for text in ["hello", &format!("pair {}", scene.channel.code)] {
            let mut event = scene.workspace.says(BOB, &direct, None, text);
            event.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            scene.workspace.deliver(&event).await.accepted();
        }
    }
    assert_eq!(scene.allowed().await, json!(null));
    scene.says(BOB, &direct, None, &format!("pair {}", scene.channel.code)).await;
    assert!(scene.sent(1).await[0].text.contains("You are paired"), "no bot used the code up, none was told anything");
    assert!(scene.messages().await.is_empty());
}
