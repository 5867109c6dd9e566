//! How often a code can be guessed.

use serde_json::{Value, json};

use super::{Scene, privately};
use crate::support::client::expect;
use crate::support::platforms::discord::User;

const WRONG: &str = "CCCCCCCC";

impl Scene {
    async fn new_code(&self) -> String {
        let path = format!("/channels/{}/pairing-code", self.channel.id);
        let answer = expect(self.client.post(&self.b, &path, &json!({})).await, 200).await;
        answer["pairingCode"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_codes_are_one_persons_until_there_is_a_new_code() {
    let scene = Scene::without_pairing(|setup| setup).await;
    for wrong in [WRONG, "nonsense", "12345678", "/pair", &scene.channel.code[..7]] {
        let tried = scene.tries(&scene.ana, wrong).await;
        assert!(privately(&tried).contains("not right"), "{tried:?}");
    }
    let code = scene.channel.code.as_str();
    assert!(privately(&scene.tries(&scene.ana, code).await).contains("Too many tries"), "even the right one");
    assert!(privately(&scene.tries(&scene.ana, code).await).contains("not paired"));
    // By another way it is the same person.
    assert!(privately(&scene.app.asks(&scene.ana, &scene.room, code).await).contains("not paired"));
    assert_eq!(scene.view().await["metadata"]["allowedUsers"], Value::Null);

    let code = scene.new_code().await;
    assert!(
        privately(&scene.tries(&scene.ana, &scene.channel.code).await).contains("not right"),
        "the old one is void"
    );
    assert!(privately(&scene.tries(&scene.ana, &code).await).contains("You are paired."));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_guesses_does_not_lock_another_out() {
    let scene = Scene::without_pairing(|setup| setup).await;
    let eve = User::new("Eve");
    for _ in 0..7 {
        privately(&scene.tries(&eve, WRONG).await);
    }
    assert!(privately(&scene.tries(&scene.ana, &scene.channel.code).await).contains("You are paired."));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_wrong_codes_close_a_channel_until_there_is_a_new_code() {
    let scene = Scene::without_pairing(|setup| setup).await;
    for _ in 0..10 {
        let guesser = User::new("Guesser");
        for _ in 0..5 {
            assert!(privately(&scene.tries(&guesser, WRONG).await).contains("not right"));
        }
    }
    let refused = scene.tries(&scene.ana, &scene.channel.code).await;
    assert!(privately(&refused).contains("Too many tries"), "{refused:?}");
    let code = scene.new_code().await;
    assert!(privately(&scene.tries(&scene.ana, &code).await).contains("You are paired."));
}
