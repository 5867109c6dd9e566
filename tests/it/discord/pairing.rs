//! Pairing: who may speak to the agent, and what everybody else is told.

use serde_json::{Value, json};

use super::{Scene, assert_deferred, privately};
use crate::support::client::expect;
use crate::support::platforms::discord::{User, Way};

const NOT_PAIRED: &str = "You are not paired with this bot.";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_pairs_by_command_and_nobody_else_sees_it() {
    let scene = Scene::without_pairing(|setup| setup).await;
    let bob = User::new("Bob");
    let command = scene.app.command(
        &scene.ana,
        &scene.room,
        "pair",
        &[("code", &format!(" {} ", scene.channel.code.to_lowercase()))],
    );
    let paired = scene.app.interact(&command).await;
    assert!(privately(&paired).contains("You are paired."));
    let shown = scene.discord().sent();
    assert_eq!((shown.len(), shown[0].way, shown[0].is_ephemeral), (1, Way::Response, true));
    assert_eq!(scene.view().await["metadata"]["allowedUsers"], json!([scene.ana.id]));

    // What is delivered again is answered like the first time.
    let again = scene.app.interact_at(&scene.url_at(&scene.a), &command).await;
    assert_eq!(again.response(), paired.response());
    let used = scene.tries(&bob, &scene.channel.code).await;
    assert!(privately(&used).contains("not right"), "a code is good for one");
    assert!(privately(&scene.tries(&scene.ana, "CCCCCCCC").await).contains("paired already"));
    assert_eq!(scene.view().await["metadata"]["allowedUsers"], json!([scene.ana.id]));
    assert_eq!(scene.messages().await, Vec::<Value>::new(), "none of it is for the agent");

    // The person is paired, not the place.
    scene.asks(&scene.ana, &scene.another_room(), "here too?").await;
    let message = scene.asks(&scene.ana, &scene.discord().direct_channel(), "and in private?").await.1;
    assert_eq!(message["from"], "ana");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_pairs_as_what_is_said_to_the_agent_too() {
    let scene = Scene::without_pairing(|setup| setup).await;
    let asked = scene.app.asks(&scene.ana, &scene.room, &scene.channel.code).await;
    assert!(privately(&asked).contains("You are paired."));

    let path = format!("/channels/{}/pairing-code", scene.channel.id);
    let code = expect(scene.client.post(&scene.a, &path, &json!({})).await, 200).await["pairingCode"].clone();
    let (bob, sent) = (User::new("Bob"), scene.discord().sent().len());
    scene.forwards(&scene.app.message(&bob, &scene.room, &format!("/pair {}", code.as_str().unwrap()))).await;
    let confirmed = scene.discord().wait_for_sent(sent + 1).await.pop().unwrap();
    assert_eq!((confirmed.way, &confirmed.channel), (Way::Channel, &scene.room.id));
    assert!(confirmed.content.contains("You are paired."), "{confirmed:?}");
    assert_eq!(scene.view().await["metadata"]["allowedUsers"], json!([scene.ana.id, bob.id]));

    // A person who is paired may say what looks like a code.
    assert_eq!(scene.messages().await, Vec::<Value>::new());
    scene.asks(&scene.ana, &scene.room, "CCCCCCCC").await;
    scene.writes(&bob, &scene.room, "DDDDDDDD").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_with_one_code_at_once_one_is_paired() {
    let scene = Scene::without_pairing(|setup| setup).await;
    for _ in 0..4 {
        let path = format!("/channels/{}/pairing-code", scene.channel.id);
        let code = expect(scene.client.post(&scene.a, &path, &json!({})).await, 200).await;
        let before = scene.view().await["metadata"]["allowedUsers"].as_array().map_or(0, Vec::len);
        let options = [("code", code["pairingCode"].as_str().unwrap())];
        let [first, second] = ["First", "Second"].map(|name| {
            let user = User::new(name);
            (scene.app.command(&user, &scene.room, "pair", &options), user.id)
        });
        let (at_a, at_b) = (scene.url_at(&scene.a), scene.url_at(&scene.b));
        let answers = tokio::join!(scene.app.interact_at(&at_a, &first.0), scene.app.interact_at(&at_b, &second.0));
        let is_paired = [&answers.0, &answers.1].map(|answer| privately(answer).contains("You are paired."));
        assert_eq!(is_paired.iter().filter(|paired| **paired).count(), 1, "{answers:?}");
        let loser = if is_paired[0] { &answers.1 } else { &answers.0 };
        assert!(privately(loser).contains("not right"), "{loser:?}");
        let winner = if is_paired[0] { &first.1 } else { &second.1 };
        let allowed = scene.view().await["metadata"]["allowedUsers"].clone();
        assert_eq!((allowed.as_array().unwrap().len(), &allowed[before]), (before + 1, &json!(winner)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_told_how_to_pair_and_the_agent_hears_nothing_of_it() {
    let scene = Scene::set().await;
    let [bob, eve] = ["Bob", "Eve"].map(User::new);
    let first = scene.app.asks(&bob, &scene.room, "let me in").await;
    assert!(privately(&first).contains("/pair"), "{first:?}");
    for place in [scene.room.clone(), scene.another_room(), scene.discord().direct_channel()] {
        let again = scene.app.asks(&bob, &place, "let me in").await;
        assert_eq!(privately(&again), NOT_PAIRED, "once an hour is enough");
    }
    assert!(privately(&scene.app.asks(&eve, &scene.room, "me too").await).contains("/pair"), "each is told");
    let mut empty = scene.app.command(&User::new("Fred"), &scene.room, "pair", &[("code", " ")]);
    assert!(privately(&scene.app.interact(&empty).await).contains("/pair"), "without a code it is a question");
    empty["member"]["user"] = scene.ana.show();
    assert!(privately(&scene.app.interact(&empty).await).contains("paired already"));
    assert_eq!(scene.messages().await, Vec::<Value>::new());

    // Whoever is taken off the list is a stranger again, on every replica at once.
    scene.asks(&scene.ana, &scene.room, "I may").await;
    scene.patch(json!({"metadata": {"allowedUsers": [bob.id]}})).await;
    assert!(privately(&scene.app.asks(&scene.ana, &scene.room, "and now?").await).contains("/pair"));
    scene.asks(&bob, &scene.room, "now I may").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_is_switched_off_says_so_and_pairs_nobody() {
    let scene = Scene::set().await;
    let path = format!("/channels/{}/pairing-code", scene.channel.id);
    let code = expect(scene.client.post(&scene.a, &path, &json!({})).await, 200).await["pairingCode"].clone();
    let bob = User::new("Bob");
    scene.patch(json!({"enabled": false})).await;
    for refused in [
        scene.app.asks(&scene.ana, &scene.room, "anybody?").await,
        scene.app.asks(&bob, &scene.room, "anybody?").await,
        scene.tries(&bob, code.as_str().unwrap()).await,
        scene.tries(&scene.ana, "CCCCCCCC").await,
    ] {
        assert!(privately(&refused).contains("switched off"), "{refused:?}");
    }
    scene.forwards(&scene.app.message(&scene.ana, &scene.room, "anybody?")).await;
    assert_eq!(scene.view().await["metadata"]["allowedUsers"], json!([scene.ana.id]));
    scene.patch(json!({"enabled": true})).await;
    assert_eq!(scene.messages().await, Vec::<Value>::new(), "what was said meanwhile is not kept");
    assert_deferred(&scene.app.asks(&scene.ana, &scene.room, "at last").await);
    assert!(privately(&scene.tries(&bob, code.as_str().unwrap()).await).contains("You are paired."));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_message_is_answered_once_in_the_channel() {
    let scene = Scene::set().await;
    let bob = User::new("Bob");
    let sent = scene.discord().sent().len();
    scene.forwards(&scene.app.message(&bob, &scene.room, "let me in")).await;
    let hint = scene.discord().wait_for_sent(sent + 1).await.pop().unwrap();
    assert_eq!((hint.way, &hint.channel), (Way::Channel, &scene.room.id));
    assert!(hint.content.contains("/pair"), "{hint:?}");
    scene.forwards(&scene.app.message(&bob, &scene.room, "let me in now")).await;
    // What Ana writes is answered after whatever Bob is answered, if he were.
    scene.writes(&scene.ana, &scene.room, "hello").await;
    scene.says(json!({"content": "Hello, Ana."})).await;
    let sent = scene.discord().sent().split_off(sent);
    assert_eq!(sent.iter().map(|sent| sent.content.as_str()).collect::<Vec<_>>(), [&hint.content, "Hello, Ana."]);
    assert_eq!(scene.messages().await.len(), 1);
}
