//! Where a reply goes: into one of the channel's own conversations, or nowhere.

use reqwest::Method;
use serde_json::{Value, json};

use super::fate::becomes;
use super::line::{ALL, Line};
use crate::support::client::{Client, expect};
use crate::support::platforms::deployment::{Platforms, register_bot};
use crate::support::relay::Replica;

/// Replies, and must be refused with this status and code.
async fn is_refused(agent: &Client, replica: &Replica, reply: Value, status: u16, code: &str) {
    let refused = expect(agent.post(replica, "/reply", &reply).await, status).await;
    assert_eq!(refused["code"], code, "{reply}");
}

/// The metadata of the agent's messages, oldest first, with their ids.
async fn messages(agent: &Client, replica: &Replica) -> Vec<(Value, Value)> {
    let messages = agent.poll_all(replica).await;
    messages.into_iter().map(|message| (message["id"].clone(), message["metadata"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_outside_the_channels_own_conversations_is_refused_and_nothing_is_called() {
    let platforms = Platforms::start().await;
    let [a] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let (agent, stranger) = (Client::register(&a).await, Client::register(&a).await);
    for platform in ALL {
        let line = Line::open(&platforms, &agent, &a, platform, 1).await;
        let own_other = Line::open(&platforms, &agent, &a, platform, 1).await;
        let strangers = Line::open(&platforms, &stranger, &a, platform, 1).await;
        let told = line.all_calls().len();
        let mut foreign = vec![own_other.metadata(0), strangers.metadata(0)];
        foreign.extend(match platform {
            "telegram" => vec![
                json!({"chatId": 1}),
                json!({"chatId": "@durov"}),
                json!({"chatId": line.metadata(0)["chatId"], "threadId": 7}),
                json!({"chatId": {"id": 1}}),
                json!({"chatId": [line.metadata(0)["chatId"]]}),
                json!({"chatId": -1.5}),
                json!({"chatId": true}),
            ],
            "discord" => vec![
                json!({"discordChannelId": "1"}),
                json!({"discordChannelId": "../../users/@me"}),
                json!({"discordChannelId": 1}),
                json!({"discordChannelId": [line.metadata(0)["discordChannelId"]]}),
            ],
            "slack" => vec![
                json!({"slackChannelId": "C0"}),
                json!({"slackChannelId": "C0", "threadTs": "1.2"}),
                json!({"slackChannelId": 1}),
                json!({"slackChannelId": [line.metadata(0)["slackChannelId"]]}),
            ],
            _ => {
                vec![json!({"senderAddress": "eve@evil.example"}), json!({"senderAddress": "a@b.example, c@d.example"})]
            }
        });
        for metadata in foreign {
            let reply = json!({"channelId": line.id, "content": "x", "metadata": metadata});
            is_refused(&agent, &a, reply, 400, "unknown_destination").await;
        }
        let not_own = json!({"channelId": strangers.id, "content": "x", "metadata": strangers.metadata(0)});
        expect(agent.post(&a, "/reply", &not_own).await, 404).await;

        let before = line.all_calls().len();
        let id = line.reply(&agent, &a, 0, "to its own").await;
        becomes(&agent, &a, &id, "delivered").await;
        assert_eq!([&line, &own_other, &strangers].map(|line| line.calls(0).len()), [1, 0, 0], "{platform}");
        assert_eq!((before, line.all_calls().len()), (told, told + 1), "{platform}: somebody else was written to");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_anybody_wrote_there_is_nobody_to_answer() {
    let platforms = Platforms::start().await;
    let [a] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 0).await;
    is_refused(&agent, &a, json!({"channelId": line.id, "content": "hello?"}), 409, "no_conversation").await;
    let named = json!({"channelId": line.id, "content": "hello?", "metadata": {"chatId": 500_001}});
    is_refused(&agent, &a, named, 400, "unknown_destination").await;
    let unanswered = json!({"channelId": line.id, "content": "x", "replyTo": "4e4f6ad5-93ab-4c5d-8f1c-6d0d3f1ec0a5"});
    is_refused(&agent, &a, unanswered, 409, "no_conversation").await;
    assert_eq!(line.all_calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_not_paired_is_nobody_to_answer() {
    let platforms = Platforms::start().await;
    let [a] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let bot = platforms.telegram.bot("helper_bot");
    let channel = register_bot(&agent, &a, "telegram", &bot.token).await;
    let eve = platforms.telegram.person(666, "Eve");
    bot.hears(&eve, "let me in").await;
    // She is told how to pair, and that is all.
    platforms.telegram.wait_for_sent(1).await;
    is_refused(&agent, &a, json!({"channelId": channel.id, "content": "hi"}), 409, "no_conversation").await;
    let named = json!({"channelId": channel.id, "content": "hi", "metadata": {"chatId": 666}});
    is_refused(&agent, &a, named, 400, "unknown_destination").await;
    assert_eq!(platforms.telegram.calls_of("sendMessage").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_switched_off_takes_no_reply_and_those_taken_before_still_arrive() {
    let platforms = Platforms::start().await;
    let [a, b] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    line.fault(super::line::Fault::Status(502), 1, None);
    let before = line.reply(&agent, &a, 0, "before").await;
    becomes(&agent, &a, &before, "retrying").await;
    let path = format!("/channels/{}", line.id);
    expect(agent.send(&a, Method::PATCH, &path, &json!({"enabled": false})).await, 200).await;
    for replica in [&a, &b] {
        is_refused(&agent, replica, line.body(0, "while it is off"), 409, "channel_disabled").await;
    }
    becomes(&agent, &b, &before, "delivered").await;
    expect(agent.send(&b, Method::PATCH, &path, &json!({"enabled": true})).await, 200).await;
    let after = line.reply(&agent, &a, 0, "after").await;
    becomes(&agent, &a, &after, "delivered").await;
    assert_eq!(line.sent(0), ["before", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_decide_then_the_message_that_is_answered_then_whoever_wrote_last() {
    let platforms = Platforms::start().await;
    let [a, b] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register_signed(&a).await;
    for platform in ALL {
        let line = Line::open(&platforms, &agent, &a, platform, 3).await;
        let before = messages(&agent, &a).await.len();
        for talk in [0, 1, 2] {
            line.hears(talk, &format!("from {talk}")).await;
        }
        let heard = messages(&agent, &b).await.split_off(before);
        let reply = |reply: Value| {
            let mut body = json!({"channelId": line.id, "channelType": platform, "content": "x"});
            body.as_object_mut().unwrap().extend(reply.as_object().unwrap().clone());
            body
        };
        let other_line = Line::open(&platforms, &agent, &a, platform, 1).await;
        let elsewhere = messages(&agent, &b).await.pop().unwrap();
        // What goes where, and whether that needs a larger body than what is kept of it.
        let cases = [
            (json!({}), 2),
            (json!({"replyTo": heard[0].0}), 0),
            (json!({"replyTo": heard[1].0, "metadata": {"other": "metadata"}}), 1),
            (json!({"metadata": heard[1].1}), 1),
            (json!({"replyTo": heard[0].0, "metadata": heard[1].1}), 1),
            (json!({"metadata": line.metadata(0)}), 0),
            (json!({"replyTo": "4e4f6ad5-93ab-4c5d-8f1c-6d0d3f1ec0a5"}), 2),
            (json!({"replyTo": "no id at all", "metadata": null}), 2),
            // The message of another channel says nothing about this one.
            (json!({"replyTo": elsewhere.0}), 2),
        ];
        let mut expected = [0, 0, 0];
        for (n, (body, talk)) in cases.into_iter().enumerate() {
            let body = reply(body);
            let answer = expect(agent.post([&a, &b][n % 2], "/reply", &body).await, 200).await;
            becomes(&agent, &a, answer["responseId"].as_str().unwrap(), "delivered").await;
            expected[talk] += 1;
            assert_eq!([0, 1, 2].map(|talk| line.sent(talk).len()), expected, "{platform}: {body}");
        }
        let mut large = line.metadata(0);
        large["aaa"] = "x".repeat(100_000).into();
        large["zzz"] = "x".repeat(100_000).into();
        let answer = expect(agent.post(&b, "/reply", &reply(json!({"metadata": large}))).await, 200).await;
        becomes(&agent, &a, answer["responseId"].as_str().unwrap(), "delivered").await;
        assert_eq!([0, 1, 2].map(|talk| line.sent(talk).len()), [expected[0] + 1, expected[1], expected[2]]);
        assert_eq!(other_line.sent(0).len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_may_come_back_as_a_number_or_as_a_text() {
    let platforms = Platforms::start().await;
    let [a] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 2).await;
    let chat = line.metadata(0)["chatId"].clone();
    for id in [chat.clone(), json!(chat.to_string()), json!(format!(" {chat} "))] {
        let reply = json!({"channelId": line.id, "content": "x", "metadata": {"chatId": id}});
        let answer = expect(agent.post(&a, "/reply", &reply).await, 200).await;
        becomes(&agent, &a, answer["responseId"].as_str().unwrap(), "delivered").await;
    }
    assert_eq!((line.sent(0).len(), line.sent(1).len()), (3, 0));
}
