//! The same on the embedded store, and across a restart.

use super::scene::{Scene, read};
use super::{groups, repeats, replies, unwanted, updates};
use crate::support::client::contents;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_does_arrives_on_the_embedded_store() {
    updates::everything_a_person_does_arrives(&Scene::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_work_on_the_embedded_store() {
    groups::a_command_in_a_group_is_answered_there(&Scene::embedded().await).await;
    groups::a_group_that_becomes_a_supergroup_keeps_working(&Scene::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_and_crowds_are_told_apart_on_the_embedded_store() {
    repeats::an_update_is_stored_once_however_often_it_comes(&Scene::embedded().await).await;
    repeats::chats_at_once_do_not_mix(&Scene::embedded().await).await;
    unwanted::nothing_comes_of_what_is_not_wanted(&Scene::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_answers_from_the_embedded_store() {
    replies::markup_that_telegram_cannot_parse_goes_out_as_it_was_written(&Scene::embedded().await).await;
    replies::the_bot_is_seen_typing_where_it_is_asked_to(&Scene::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_outlives_the_relay_that_registered_it() {
    let mut scene = Scene::embedded().await;
    scene.bot.hears(&scene.ana, &scene.channel.code).await;
    let first = scene.bot.hears(&scene.ana, "before").await.event;
    let message = scene.messages().await.remove(0);
    scene.replicas[0].kill();
    scene.replicas[0] = scene.setup.start().await;
    scene.platforms.lead_to(&[scene.a()]);

    scene.bot.deliver(&first).await.accepted();
    scene.bot.hears(&scene.ana, "after").await;
    assert_eq!(contents(&scene.messages().await), ["before", "after"]);
    let ack = read(scene.answer(&message, "both").await, 200).await;
    assert_eq!(scene.fate(&ack).await["status"], "delivered");
    assert_eq!(scene.allowed().await, serde_json::json!([scene.ana.id]));
    read(scene.delete(scene.a()).await, 200).await;
    assert_eq!(scene.bot.webhook(), None);
}
