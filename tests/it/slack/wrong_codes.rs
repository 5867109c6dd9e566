//! Guessing: a few tries an hour, which hold until there is a new code.

use serde_json::json;

use super::{ANA, BOB, Scene};

/// Has the form of a code and is none.
const WRONG: &str = "CDFHJKMN";

#[tokio::test(flavor = "multi_thread")]
async fn after_five_wrong_codes_even_the_right_one_is_refused_until_there_is_a_new_one() {
    let scene = Scene::set().await;
    let direct = scene.workspace.direct_messages(BOB);
    for (number, text) in [WRONG, "pair nonsense", "pair cdfhjkmn", "/pair x", WRONG].into_iter().enumerate() {
        scene.says(BOB, &direct, None, text).await;
        let sent = scene.sent(number + 1).await.pop().unwrap();
        assert!(sent.text.contains("not right"), "try {number}: {}", sent.text);
    }
    scene.says(BOB, &direct, None, &format!("pair {}", scene.channel.code)).await;
    assert!(scene.sent(6).await[5].text.contains("Too many tries"));
    assert_eq!(scene.allowed().await, json!(null));

    let to_ana = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &to_ana, None, &format!("pair {}", scene.channel.code)).await;
    assert!(scene.sent(7).await[6].text.contains("You are paired"), "the tries of one are not those of another");
    let code = scene.new_code().await;
    scene.says(BOB, &direct, None, &code).await;
    assert_eq!(scene.allowed().await, json!([ANA, BOB]), "a new code starts afresh");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_in_a_mention_is_one_try_and_answered_once() {
    let scene = Scene::set().await;
    let place = scene.workspace.channel();
    for number in 1..=4 {
        let post = scene.says(BOB, &place, None, &scene.at_bot(&format!("pair {WRONG}"))).await;
        let sent = scene.sent(number).await.pop().unwrap();
        assert!(sent.text.contains("not right"), "try {number}: {}", sent.text);
        assert_eq!(json!(sent.thread), post["ts"]);
    }
    scene.says(BOB, &place, None, &scene.at_bot(&format!("pair {}", scene.channel.code))).await;
    assert!(scene.sent(5).await[4].text.contains("You are paired"));
    assert_eq!(scene.allowed().await, json!([BOB]));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_wrong_codes_of_many_close_the_channel_until_there_is_a_new_one() {
    let scene = Scene::set().await;
    for number in 0..50 {
        let person = format!("U{number}");
        let direct = scene.workspace.direct_messages(&person);
        scene.says(&person, &direct, None, &format!("pair {WRONG}")).await;
    }
    assert!(scene.sent(50).await.iter().all(|sent| sent.text.contains("not right")));
    let direct = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &direct, None, &format!("pair {}", scene.channel.code)).await;
    assert!(scene.sent(51).await[50].text.contains("Too many tries"));
    assert_eq!(scene.allowed().await, json!(null));
    let code = scene.new_code().await;
    scene.says(ANA, &direct, None, &code).await;
    assert_eq!(scene.allowed().await, json!([ANA]), "a stranger cannot lock the owner out");
}
