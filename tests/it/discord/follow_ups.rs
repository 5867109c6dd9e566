//! What follows the answer to a command: further answers while its token lives, messages of the bot afterwards.

use serde_json::{Value, json};

use super::Scene;
use crate::support::platforms::discord::{Gone, Interaction, Refusal, Sent, Way};
use crate::support::platforms::{Misbehaviour, Rule};

/// The messages since there were so many.
fn since(scene: &Scene, count: usize) -> Vec<(Way, String)> {
    let show = |sent: Sent| (sent.way, sent.content);
    scene.discord().sent().split_off(count).into_iter().map(show).collect()
}

async fn answered(scene: &Scene) -> (Interaction, Value) {
    let (asked, message) = scene.asks(&scene.ana, &scene.room, "question").await;
    scene.says(json!({"content": "answer", "replyTo": message["id"]})).await;
    (asked, message)
}

#[tokio::test(flavor = "multi_thread")]
async fn further_replies_follow_below_the_answer() {
    let scene = Scene::set().await;
    let (asked, message) = answered(&scene).await;
    scene.says(json!({"content": "By the way, @everyone …", "replyTo": message["id"]})).await;
    scene.says(json!({"content": "And that is all."})).await;
    let expected = ["editOriginal answer", "followUp By the way, @everyone …", "followUp And that is all."];
    assert_eq!(scene.answers_to(&asked), expected);
    let call = &scene.discord().calls_of("followUp")[0];
    let path = format!("/api/v10/webhooks/{}/{}", scene.app.id, asked.token);
    assert_eq!((call.method.as_str(), &call.path), ("POST", &path));
    assert_eq!(call.body, json!({"content": "By the way, @everyone …", "allowed_mentions": {"parse": []}}));
    assert!(scene.discord().sent().iter().all(|sent| sent.pings.is_empty()));
    assert_eq!(scene.discord().calls_of("createMessage").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_continues_below_itself() {
    let scene = Scene::set().await;
    let (asked, message) = scene.asks(&scene.ana, &scene.room, "tell me all").await;
    let paragraphs = ["a", "b", "c"].map(|letter| letter.repeat(1500));
    scene.says(json!({"content": paragraphs.join("\n\n"), "replyTo": message["id"]})).await;
    let [a, b, c] = paragraphs;
    let expected = [format!("editOriginal {a}"), format!("followUp {b}"), format!("followUp {c}")];
    assert_eq!(scene.answers_to(&asked), expected);
}

/// An open question, one that was answered, and one whose long answer is under way lose their tokens: all of it
/// goes on as messages of the bot.
async fn goes_on_without_tokens(gone: Gone) {
    let scene = Scene::set().await;
    let (room, other) = (scene.another_room(), scene.another_room());
    let (asked, question) = answered(&scene).await;
    let (open, open_question) = scene.asks(&scene.ana, &room, "still open").await;
    let (long, long_question) = scene.asks(&scene.ana, &other, "a long story").await;
    let count = scene.discord().sent().len();
    let begun = scene.discord().clone();
    // The token of the third ends after the first part.
    let token = long.token.clone();
    let (status, code) = if gone == Gone::InvalidToken { (401, 50027) } else { (404, 10015) };
    let end = Misbehaviour::Refuse(Refusal::Error { status, code, message: "Gone" });
    begun.rule(Rule::new(end).on("followUp").when(move |call| call.path.contains(&token)).always());
    let paragraphs = ["a", "b", "c"].map(|letter| letter.repeat(1500));
    let story = scene.replies(json!({"content": paragraphs.join("\n\n"), "replyTo": long_question["id"]})).await;
    scene.discord().wait_for_sent(count + 1).await;
    scene.discord().expire_interactions(gone);
    let further = scene.replies(json!({"content": "further", "replyTo": question["id"]})).await;
    let answer = scene.replies(json!({"content": "late", "replyTo": open_question["id"]})).await;
    for response in [&further, &answer, &story] {
        scene.delivered(response).await;
    }
    let in_channel = |channel: &str| {
        let said = scene.discord().sent().split_off(count).into_iter().filter(|sent| sent.channel == channel);
        said.map(|sent| (sent.way, sent.content, sent.reply_to)).collect::<Vec<_>>()
    };
    let [a, b, c] = paragraphs;
    assert_eq!(in_channel(&scene.room.id), [(Way::Channel, "further".into(), None)]);
    assert_eq!(in_channel(&room.id), [(Way::Channel, "late".into(), None)]);
    assert_eq!(in_channel(&other.id), [(Way::Original, a, None), (Way::Channel, b, None), (Way::Channel, c, None)]);
    assert_eq!((scene.answers_to(&asked).len(), scene.answers_to(&open).len()), (1, 0));
    // A token that has ended says nothing of the bot's.
    assert_eq!(scene.view().await["enabled"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_token_makes_messages_of_the_bot_of_what_follows() {
    goes_on_without_tokens(Gone::InvalidToken).await;
}

/// Takes a few seconds: right after a command it may also mean that Discord does not know it yet.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_webhook_makes_messages_of_the_bot_of_what_follows() {
    goes_on_without_tokens(Gone::UnknownWebhook).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_where_the_bot_is_not_fails_for_that() {
    let scene = Scene::set().await;
    let foreign = scene.discord().channel();
    let (_, question) = scene.asks(&scene.ana, &foreign, "question").await;
    scene.discord().expire_interactions(Gone::InvalidToken);
    let response = scene.replies(json!({"content": "late", "replyTo": question["id"]})).await;
    assert_eq!(scene.failed(&response).await, "Missing Access");
    assert_eq!(scene.view().await["enabled"], true);
    answered(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_person_installed_gets_five_further_answers_and_then_messages() {
    let scene = Scene::set().await;
    let private = scene.discord().direct_channel();
    scene.app.joins(&private);
    let (asked, _) = scene.asks(&scene.ana, &private, "go on").await;
    assert_eq!(asked.body["authorizing_integration_owners"].get("0"), None);
    let count = scene.discord().sent().len();
    // A reply of eight parts: the answer, five more, and what Discord would refuse.
    let parts: Vec<_> = (1..=8).map(|number| number.to_string().repeat(1500)).collect();
    scene.says(json!({"content": parts.join("\n\n")})).await;
    let ways = [vec![Way::Original], vec![Way::FollowUp; 5], vec![Way::Channel; 2]].concat();
    assert_eq!(since(&scene, count), ways.into_iter().zip(parts).collect::<Vec<_>>());
}
