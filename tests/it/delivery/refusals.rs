//! Refusals that are for good: told in the platform's words, listed for the operator, and never tried again.

use std::time::Duration;

use serde_json::json;

use super::fate::{becomes, fate, listen, told};
use super::line::{ALL, Fault, Line};
use crate::support::client::{Client, expect};
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::{Misbehaviour, discord, resend, slack, telegram};
use crate::support::redis::RedisServer;
use crate::support::relay::Setup;

/// Lets the platform refuse the next message for good; gives what is told of that.
pub fn refuse(platforms: &Platforms, platform: &str, how: usize) -> &'static str {
    let discord_says = |status, code, message| discord::Refusal::Error { status, code, message };
    let resend_says = |status, name| resend::Refusal::Error { status, name };
    let telegram_says = |code, description| telegram::Refusal::Error { code, description };
    match platform {
        "telegram" => {
            let (refusal, words) = [
                (telegram::Refusal::Blocked, "Forbidden: bot was blocked by the user"),
                (telegram_says(400, "Bad Request: chat not found"), "Bad Request: chat not found"),
                (telegram_says(403, "Forbidden: user is deactivated"), "Forbidden: user is deactivated"),
            ][how]
                .clone();
            platforms.telegram.misbehave_on("sendMessage", Misbehaviour::Refuse(refusal));
            words
        }
        "discord" => {
            let (status, code, words) = [
                (403, 50007, "Cannot send messages to this user"),
                (404, 10003, "Unknown Channel"),
                (403, 50001, "Missing Access"),
            ][how];
            let refusal = discord_says(status, code, words);
            platforms.discord.misbehave_on("createMessage", Misbehaviour::Refuse(refusal));
            words
        }
        "slack" => {
            let (refusal, words) = [
                (slack::Refusal::Error("is_archived"), "Slack refused the message: is_archived"),
                (slack::Refusal::Error("msg_too_long"), "Slack refused the message: msg_too_long"),
                (
                    slack::Refusal::MissingScope("chat:write"),
                    "Slack refused the message: missing_scope (the app needs the scope chat:write)",
                ),
            ][how]
                .clone();
            platforms.slack.misbehave_on("chat.postMessage", Misbehaviour::Refuse(refusal));
            words
        }
        _ => {
            let (status, name, words) = [
                (403, "validation_error", "Resend answered 403 validation_error: The stand-in was told to say so"),
                (422, "invalid_parameter", "Resend answered 422 invalid_parameter: The stand-in was told to say so"),
                (403, "invalid_api_key", "Resend answered 403 invalid_api_key: The stand-in was told to say so"),
            ][how];
            platforms.resend.misbehave_on("sendEmail", Misbehaviour::Refuse(resend_says(status, name)));
            words
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_good_ends_a_reply_with_the_platforms_words_and_lists_it_for_the_operator() {
    let server = RedisServer::start();
    let platforms = Platforms::start().await;
    let [a] = platforms.known_to(Setup::on_server(&server)).start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let mut listed = Vec::new();
    for platform in ALL {
        let line = Line::open(&platforms, &agent, &a, platform, 1).await;
        let mut socket = listen(&agent, &a).await;
        for how in 0..3 {
            let words = refuse(&platforms, platform, how);
            let id = line.reply(&agent, &a, 0, &format!("refused {how}")).await;
            let expected = ("failed".to_owned(), 1, Some(words.to_owned()));
            assert_eq!(told(&mut socket, &line.id, &id).await, expected, "{platform}");
            assert_eq!(fate(&becomes(&agent, &a, &id, "failed").await), expected);
            listed.push(id.clone());
            // The next reply in the conversation is neither held up nor taken for the one before.
            let next = line.reply(&agent, &a, 0, &format!("taken {how}")).await;
            assert_eq!(told(&mut socket, &line.id, &next).await.0, "delivered");
        }
        assert_eq!(line.calls(0).len(), 6, "nothing is tried again on {platform}");
        assert_eq!(line.sent(0), ["taken 0", "taken 1", "taken 2"]);
    }
    let dead = ALL.map(|platform| server.cli(&["ZRANGE", &format!("chaos:{{outbox:{platform}}}:failed"), "0", "-1"]));
    let mut dead: Vec<&str> = dead.iter().flat_map(|dead| dead.lines()).collect();
    dead.sort_unstable();
    listed.sort_unstable();
    assert_eq!(dead, listed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_no_good_any_more_disables_the_channel_and_ends_what_waits() {
    let platforms = Platforms::start().await;
    let [a, b] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    for platform in ["telegram", "discord", "slack"] {
        let line = Line::open(&platforms, &agent, &a, platform, 2).await;
        line.revoke();
        let first = line.reply(&agent, &a, 0, "one").await;
        let failed = becomes(&agent, &b, &first, "failed").await;
        let reason = failed["error"].as_str().unwrap();
        let words = if platform == "slack" { "invalid_auth" } else { "Unauthorized" };
        assert!(reason.contains(words), "{reason}");
        assert_eq!(line.calls(0).len(), 1);
        for replica in [&a, &b] {
            let refused = expect(line.try_reply(&agent, replica, 1, "two").await, 409).await;
            assert_eq!(refused["code"], "channel_disabled");
            assert!(refused["error"].as_str().unwrap().contains(words), "{refused}");
        }
        assert_eq!(line.calls(1).len(), 0);
        let channels = expect(agent.get(&b, "/channels").await, 200).await;
        let channel = channels["channels"].as_array().unwrap().iter().find(|channel| channel["id"] == line.id.as_str());
        assert_eq!(channel.unwrap()["enabled"], json!(false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_wait_behind_one_that_found_the_token_revoked_end_without_a_call() {
    let platforms = Platforms::start().await;
    let [a] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    line.fault(Fault::TooMany(Duration::from_secs(2)), 1, None);
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        ids.push(line.reply(&agent, &a, 0, text).await);
    }
    line.was_called(0, 1).await;
    line.revoke();
    for id in &ids {
        let error = becomes(&agent, &a, id, "failed").await["error"].as_str().unwrap().to_owned();
        assert!(error.contains("Unauthorized"), "{error}");
    }
    assert_eq!(line.calls(0).len(), 2);
}
