//! The code: how it may be written, and that it lets one person in and no more.

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use super::{HOW, PAIRED, WRONG, assert_words, update};
use crate::support::client::{Client, contents};
use crate::support::platforms::deployment::register_bot;
use crate::support::platforms::{Misbehaviour, Rule};
use crate::telegram::scene::{Scene, read, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn the_code_may_be_written_in_many_ways() {
    let scene = Scene::on_redis().await;
    let ways: [fn(&str) -> String; 10] = [
        |code| code.to_owned(),
        |code| format!(" \n {}  ", code.to_lowercase()),
        |code| format!("{}{}", code[..4].to_lowercase(), &code[4..]),
        |code| format!("/pair {code}"),
        |code| format!("/PAIR   {}\n", code.to_lowercase()),
        |code| format!("/pair\n{code}"),
        |code| format!("/pair@helper_bot {code}"),
        |code| format!("/start@Helper_Bot\t{code}"),
        |code| format!("/start {}", code.to_lowercase()),
        |link| format!("/start {link}"),
    ];
    let mut code = scene.channel.code.clone();
    for (n, way) in ways.iter().enumerate() {
        let person = scene.telegram().person(610_000 + i64::try_from(n).unwrap(), "Somebody");
        let written = way(&code);
        scene.bot.hears(&person, &written).await;
        scene.wait_for_words(n + 1).await;
        let said = scene.telegram().sent().pop().unwrap();
        assert!(said.chat == person.id && said.text.contains(PAIRED), "{written:?}: {said:?}");
        scene.bot.hears(&person, &format!("{n}")).await;
        code = scene.new_code(scene.b()).await;
    }
    let expected: Vec<_> = (0..ways.len()).map(|n| n.to_string()).collect();
    assert_eq!(contents(&scene.messages().await), expected, "everybody is heard, and no code reaches the client");
}

/// The whole way: a deep link, the talk after it, and nothing of it for others.
pub async fn whoever_opens_the_link_is_paired(scene: &Scene) {
    let link = scene.channel.answer["pairingLink"].as_str().unwrap();
    let start = link.strip_prefix("https://t.me/helper_bot?start=").unwrap();
    assert_eq!(start, scene.channel.code);
    // Telegram sends this when the link was opened and Start was pressed.
    let pairing = scene.bot.hears(&scene.ana, &format!("/start {start}")).await.event;
    assert_words(scene, &[(scene.ana.id, PAIRED)]).await;
    assert_eq!(scene.allowed().await, json!([scene.ana.id]));
    assert!(scene.messages().await.is_empty());

    // Delivered again the update is confirmed again.
    for replica in &scene.replicas {
        let answer = scene.post_to(replica, &pairing).await;
        assert_eq!((answer.status, answer.json()), (Some(200), json!({"ok": true})));
    }
    let again = scene.replicas.len();
    assert_words(scene, &vec![(scene.ana.id, PAIRED); 1 + again]).await;

    // The code is used up.
    let code = scene.channel.code.as_str();
    scene.bot.hears(&scene.ben, code).await;
    let mut expected = vec![(scene.ana.id, PAIRED); 1 + again];
    expected.push((scene.ben.id, WRONG));
    assert_words(scene, &expected).await;
    assert_eq!(scene.allowed().await, json!([scene.ana.id]));

    // A person who is paired talks to the agent, whatever it looks like.
    let new = scene.new_code(scene.a()).await;
    let (pair, start) = (format!("/pair {code}"), format!("/start {new}"));
    let texts = ["hello", code, &pair, &start, &new, "CDFHJKMN", "/start", "/pair"];
    for text in texts {
        scene.bot.hears(&scene.ana, text).await;
    }
    assert_eq!(contents(&scene.messages().await), texts);

    // So the new code is as good as before, though Ana has said it.
    scene.bot.hears(&scene.ben, &new).await;
    expected.push((scene.ben.id, PAIRED));
    assert_words(scene, &expected).await;
    assert_eq!(scene.allowed().await, json!([scene.ana.id, scene.ben.id]));
    assert_eq!(scene.messages().await.len(), texts.len());

    // That of the first person, too, though another has paired since.
    assert_eq!(scene.post_to(scene.a(), &pairing).await.status, Some(200));
    expected.push((scene.ana.id, PAIRED));
    assert_words(scene, &expected).await;
    assert_eq!(scene.messages().await.len(), texts.len());
    for replica in &scene.replicas {
        assert!(!replica.log().contains(&new), "a code stands in the log of a replica");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_pairs_whoever_opens_it_first() {
    whoever_opens_the_link_is_paired(&Scene::on_redis().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_pairs_on_the_embedded_store_too() {
    whoever_opens_the_link_is_paired(&Scene::embedded().await).await;
}

pub async fn of_two_senders_at_once_one_is_paired(scene: &Scene) {
    let mut code = scene.channel.code.clone();
    for round in 1..=8 {
        let people = [1, 2].map(|n| scene.telegram().person(620_000 + 10 * round + n, "Racer"));
        let updates = people.each_ref().map(|person| update(person, &person.chat(), &code));
        let both = join(scene.post_to(scene.a(), &updates[0]), scene.post_to(scene.b(), &updates[1])).await;
        assert_eq!((both.0.status, both.1.status), (Some(200), Some(200)));
        let allowed = scene.allowed().await;
        let ids = people.each_ref().map(|person| json!(person.id));
        let paired: Vec<_> = ids.iter().filter(|id| allowed.as_array().unwrap().contains(id)).collect();
        assert_eq!(paired.len(), 1, "round {round}: {allowed}");
        scene.wait_for_words(2 * usize::try_from(round).unwrap()).await;
        for id in &ids {
            let said = scene.telegram().sent().into_iter().find(|sent| json!(sent.chat) == *id).unwrap();
            let expected = if *id == *paired[0] { PAIRED } else { WRONG };
            assert!(said.text.contains(expected), "{said:?}");
        }
        code = scene.new_code(scene.a()).await;
    }
    assert!(scene.messages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_senders_of_one_code_at_two_replicas_pair_one() {
    of_two_senders_at_once_one_is_paired(&Scene::on_redis().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_senders_of_one_code_pair_one_on_the_embedded_store() {
    of_two_senders_at_once_one_is_paired(&Scene::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_pairs_and_comes_twice_at_once_pairs_once_and_is_no_message() {
    let scene = Scene::on_redis().await;
    let mut code = scene.channel.code.clone();
    for n in 1..=8 {
        let person = scene.telegram().person(630_000 + n, "Somebody");
        let pairing = update(&person, &person.chat(), &code);
        let answers =
            join_all([scene.a(), scene.b(), scene.a(), scene.b()].map(|replica| scene.post_to(replica, &pairing)));
        assert!(answers.await.iter().all(|answer| answer.status == Some(200) && answer.json() == json!({"ok": true})));
        let count = scene.allowed().await.as_array().unwrap().iter().filter(|id| **id == person.id).count();
        assert_eq!(count, 1);
        scene.wait_for_words(4 * usize::try_from(n).unwrap()).await;
        code = scene.new_code(scene.b()).await;
    }
    let said = scene.words().await;
    assert!(said.iter().all(|(_, text)| text.contains(PAIRED)), "{said:?}");
    assert!(scene.messages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_given_in_a_group_pairs_the_person_and_not_the_group() {
    let scene = Scene::on_redis().await;
    let group = scene.telegram().group(-400, "Friends");
    let bare = scene.bot.deliver(&scene.ana.says(&group, &scene.channel.code)).await;
    assert_eq!(bare.withheld, Some("privacy mode is on"));
    let other = scene.bot.deliver(&scene.ana.says(&group, &format!("/pair@other_bot {}", scene.channel.code))).await;
    assert!(other.withheld.is_some());
    scene.bot.deliver(&scene.ana.says(&group, &format!("/pair {}", scene.channel.code))).await.accepted();
    assert_words(&scene, &[(group.id, PAIRED)]).await;

    scene.bot.hears(&scene.ana, "in private").await;
    scene.bot.deliver(&scene.ana.says(&group, "/ask in the group")).await.accepted();
    scene.bot.deliver(&scene.ben.says(&group, "/ask me too")).await.accepted();
    let messages = scene.messages().await;
    assert_eq!(contents(&messages), ["in private", "/ask in the group"]);
    assert_words(&scene, &[(group.id, PAIRED), (group.id, HOW)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_for_another_bot_in_the_group_is_no_try() {
    let scene = Scene::on_redis().await;
    scene.bot.sees_all();
    let group = scene.telegram().group(-400, "Friends");
    let code = &scene.channel.code;
    for text in [format!("/pair@other_bot {code}"), format!("/paired {code}"), format!("the code is {code}")] {
        scene.bot.deliver(&scene.ana.says(&group, &text)).await.accepted();
    }
    assert_words(&scene, &[(group.id, HOW)]).await;
    assert_eq!(scene.allowed().await, Value::Null);
    // Where the bot sees everything, the bare code does in a group, too.
    scene.bot.deliver(&scene.ana.says(&group, code)).await.accepted();
    assert_words(&scene, &[(group.id, HOW), (group.id, PAIRED)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_code_takes_the_place_of_the_last() {
    let scene = Scene::on_redis().await;
    let first = scene.channel.code.clone();
    let second = scene.new_code(scene.a()).await;
    let third = scene.new_code(scene.b()).await;
    assert!(first != second && second != third && first != third);
    for (n, code) in [&first, &second, &third].into_iter().enumerate() {
        scene.bot.hears(&scene.ana, code).await;
        scene.wait_for_words(n + 1).await;
    }
    assert_words(&scene, &[(scene.ana.id, WRONG), (scene.ana.id, WRONG), (scene.ana.id, PAIRED)]).await;
    let channel = scene.channels().await.remove(0);
    assert_eq!(channel["metadata"], json!({"botUsername": "helper_bot", "allowedUsers": [scene.ana.id]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_bots_owner_gets_codes_for_it() {
    let scene = Scene::on_redis().await;
    let webhook = scene.client.make_webhook(scene.a(), json!({})).await;
    let path = |id: &str| format!("/channels/{id}/pairing-code");
    let said = refusal(scene.client.post(scene.b(), &path(&webhook.id), &json!({})).await, 400, "no_pairing").await;
    assert!(said.contains("webhook"), "{said}");
    let other = Client::register(scene.a()).await;
    refusal(other.post(scene.b(), &path(&scene.channel.id), &json!({})).await, 404, "unknown_channel").await;
    refusal(scene.client.post(scene.b(), &path("nobody"), &json!({})).await, 404, "unknown_channel").await;
    let url = format!("{}{}", scene.a().url(), path(&scene.channel.id));
    read(reqwest::Client::new().post(url).send().await.unwrap(), 401).await;
    // None of that has cost the owner the code.
    scene.bot.hears(&scene.ana, &scene.channel.code).await;
    assert_words(&scene, &[(scene.ana.id, PAIRED)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_for_its_own_channel_only() {
    let scene = Scene::on_redis().await;
    let other = scene.telegram().bot("other_bot");
    let second = register_bot(&scene.client, scene.b(), "telegram", &other.token).await;
    scene.bot.hears(&scene.ana, &second.code).await;
    assert_words(&scene, &[(scene.ana.id, WRONG)]).await;
    assert_eq!(scene.allowed().await, Value::Null);
    other.hears(&scene.ben, &second.code).await;
    scene.wait_for_words(2).await;
    let said = scene.telegram().sent().pop().unwrap();
    assert!(said.bot == "other_bot" && said.chat == scene.ben.id && said.text.contains(PAIRED), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_told_in_the_topic_and_what_telegram_did_not_take_is_said_again() {
    let scene = Scene::on_redis().await;
    scene.bot.sees_all();
    let topic = scene.telegram().supergroup(-1_001, "Team").topic();
    scene.telegram().misbehave_on("sendMessage", Misbehaviour::ServerError(502));
    scene.bot.deliver(&scene.ana.says(&topic, &format!("/pair {}", scene.channel.code))).await.accepted();
    scene.wait_for_words(1).await;
    let said = scene.telegram().sent().remove(0);
    assert_eq!((said.chat, said.thread), (topic.id, topic.thread));
    assert!(said.text.contains(PAIRED), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_paired_though_telegram_takes_no_word_about_it() {
    let scene = Scene::on_redis_with(&[("CHAOS_DELIVERY_CALL_SECONDS", "1")]).await;
    scene.telegram().rule(Rule::new(Misbehaviour::Hang).on("sendMessage").always());
    let delivery = scene.bot.hears(&scene.ana, &scene.channel.code).await;
    assert!(delivery.attempts[0].elapsed.as_millis() < 900, "the update does not wait for the confirmation");
    scene.bot.hears(&scene.ana, "hello").await;
    assert_eq!(contents(&scene.messages().await), ["hello"]);
}
