//! Wrong codes: five tries a person, fifty a channel, and a new code starts afresh.

use serde_json::{Value, json};

use super::{HOW, PAIRED, TOO_MANY, WRONG, assert_words};
use crate::support::platforms::telegram::Person;
use crate::telegram::scene::Scene;

/// What has a code's form, and is none.
const GUESS: &str = "CDFHJKMN";

/// Lets somebody guess, in different ways, until the bot has answered each.
async fn guess(scene: &Scene, person: &Person, times: usize) {
    let before = scene.said().await.len();
    for n in 0..times {
        let text = ["/pair CDFHJKMN", GUESS, "/start no-code", "/pair 1 2 3", "cdfhjkmn"][n % 5];
        scene.bot.hears(person, text).await;
    }
    scene.wait_for_words(before + times).await;
}

pub async fn the_sixth_try_is_refused_even_if_it_is_right(scene: &Scene) {
    let (ana, ben) = (&scene.ana, &scene.ben);
    guess(scene, ana, 5).await;
    let mut expected = vec![(ana.id, WRONG); 5];
    assert_words(scene, &expected).await;

    for text in [scene.channel.code.as_str(), GUESS, &format!("/pair {}", scene.channel.code)] {
        scene.bot.hears(ana, text).await;
    }
    expected.push((ana.id, TOO_MANY));
    assert_words(scene, &expected).await;
    assert_eq!(scene.allowed().await, Value::Null);

    // Others have tries of their own, and the code is as good as before.
    scene.bot.hears(ben, &scene.channel.code).await;
    expected.push((ben.id, PAIRED));
    assert_words(scene, &expected).await;

    // With a new code Ana has five tries again.
    let code = scene.new_code(scene.b()).await;
    guess(scene, ana, 4).await;
    scene.bot.hears(ana, &code).await;
    expected.extend([(ana.id, WRONG); 4]);
    expected.push((ana.id, PAIRED));
    assert_words(scene, &expected).await;
    assert_eq!(scene.allowed().await, json!([ben.id, ana.id]));
    assert!(scene.messages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_five_tries_for_a_code() {
    the_sixth_try_is_refused_even_if_it_is_right(&Scene::on_redis().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_five_tries_for_a_code_on_the_embedded_store() {
    the_sixth_try_is_refused_even_if_it_is_right(&Scene::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn talk_and_questions_are_no_tries() {
    let scene = Scene::on_redis().await;
    for text in ["hello", "/start", "/pair", "/start", "/pair@helper_bot", "ABCDEFGH", "CDFHJKM", "a CDFHJKMN", "/help"]
    {
        scene.bot.hears(&scene.ana, text).await;
    }
    guess(&scene, &scene.ana, 4).await;
    scene.bot.hears(&scene.ana, &scene.channel.code).await;
    let mut expected = vec![(scene.ana.id, HOW)];
    expected.extend([(scene.ana.id, WRONG); 4]);
    expected.push((scene.ana.id, PAIRED));
    assert_words(&scene, &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_alone_cannot_use_up_the_tries_of_all() {
    let scene = Scene::on_redis().await;
    guess(&scene, &scene.ana, 5).await;
    for _ in 0..60 {
        scene.bot.hears(&scene.ana, GUESS).await;
    }
    scene.bot.hears(&scene.ben, &scene.channel.code).await;
    let mut expected = vec![(scene.ana.id, WRONG); 5];
    expected.extend([(scene.ana.id, TOO_MANY), (scene.ben.id, PAIRED)]);
    assert_words(&scene, &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_tries_of_many_are_the_end_of_a_code_and_a_new_one_helps() {
    let scene = Scene::on_redis().await;
    let crowd: Vec<_> = (1..=10).map(|n| scene.telegram().person(640_000 + n, "Guesser")).collect();
    for person in &crowd {
        guess(&scene, person, 5).await;
    }
    let said = scene.words().await;
    assert_eq!(said.len(), 50);
    assert!(said.iter().all(|(_, text)| text.contains(WRONG)), "{said:?}");
    // The fifty-first is refused, though it is right and the first of this person.
    scene.bot.hears(&scene.ana, &scene.channel.code).await;
    scene.wait_for_words(51).await;
    assert_eq!(scene.allowed().await, Value::Null);
    let code = scene.new_code(scene.a()).await;
    scene.bot.hears(&scene.ana, &code).await;
    scene.wait_for_words(52).await;
    let said = scene.words().await;
    assert!(said[50].0 == scene.ana.id && said[50].1.contains(TOO_MANY), "{:?}", said[50]);
    assert!(said[51].0 == scene.ana.id && said[51].1.contains(PAIRED), "{:?}", said[51]);
    assert_eq!(scene.allowed().await, json!([scene.ana.id]));
}
