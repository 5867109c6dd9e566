//! Pairing: who gets in by a code, who does not, and what each of them is told.

mod codes;
mod lists;
mod strangers;
mod tries;

use serde_json::{Value, json};

use crate::support::platforms::fresh_number;
use crate::support::platforms::telegram::{Chat, Person};
use crate::telegram::scene::Scene;

/// Words by which the answers of the bot can be told apart.
const PAIRED: &str = "You are paired";
const WRONG: &str = "code is not right";
const TOO_MANY: &str = "Too many tries";
const HOW: &str = "I do not know you yet";

/// A text in a chat as an update with a number of its own, so that it can be posted anywhere and again.
fn update(person: &Person, chat: &Chat, text: &str) -> Value {
    json!({"update_id": fresh_number(), "message": person.says(chat, text)["message"]})
}

/// Makes sure that the bot has said this so far and nothing else: to which chat, and with which words in it. It
/// may say things in another order when they were asked for at the same time.
async fn assert_words(scene: &Scene, expected: &[(i64, &str)]) {
    scene.wait_for_words(expected.len()).await;
    let said = scene.words().await;
    let mut unexpected = said.clone();
    for (chat, words) in expected {
        let at = unexpected.iter().position(|said| said.0 == *chat && said.1.contains(words));
        let at = at.unwrap_or_else(|| panic!("{words:?} is missing in {said:#?}"));
        unexpected.remove(at);
    }
    assert_eq!(unexpected, [], "more than {expected:#?}");
}
