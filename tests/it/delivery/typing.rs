//! The sign that an agent is at work goes where its replies go, and nowhere else.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::line::{ALL, Line};
use crate::support::client::{Client, expect};
use crate::support::eventually;
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::{Misbehaviour, Rule};
use crate::support::relay::Replica;

async fn types(agent: &Client, replica: &Replica, body: Value, status: u16) -> Value {
    expect(agent.post(replica, "/typing", &body).await, status).await
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_is_shown_where_the_platform_has_such_a_sign() {
    let platforms = Platforms::start().await;
    let [a, b] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register_signed(&a).await;
    for platform in ALL {
        let line = Line::open(&platforms, &agent, &a, platform, 2).await;
        let (calls, slack, mail) =
            (line.all_calls().len(), platforms.slack.calls().len(), platforms.resend.calls().len());
        let body = json!({"channelId": line.id, "channelType": platform, "metadata": line.metadata(0)});
        assert_eq!(types(&agent, &b, body.clone(), 200).await, json!({"ok": true}));
        // Without metadata it is shown to whoever wrote last.
        assert_eq!(types(&agent, &b, json!({"channelId": line.id}), 200).await, json!({"ok": true}));
        // Shown already: a client that asks with every token that it makes does not have the bot limited.
        types(&agent, &b, body, 200).await;
        let shown = |count: usize| {
            let line = &line;
            async move { Some(line.signs()).filter(|signs| signs.len() >= count) }
        };
        let expected = if ["telegram", "discord"].contains(&platform) { 2 } else { 0 };
        let mut signs = eventually("the sign is shown", || shown(expected)).await;
        signs.sort_unstable();
        let mut places: Vec<_> = (0..expected).map(|talk| line.place(talk).to_owned()).collect();
        places.sort_unstable();
        assert_eq!(signs, places, "{platform}");
        assert_eq!(line.all_calls().len(), calls, "nothing is said");
        assert_eq!((platforms.slack.calls().len(), platforms.resend.calls().len()), (slack, mail));
    }
    assert_eq!(platforms.telegram.calls_of("sendChatAction")[0].body["action"], "typing");
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_is_refused_where_a_reply_would_be() {
    let platforms = Platforms::start().await;
    let [a] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let (agent, stranger) = (Client::register(&a).await, Client::register(&a).await);
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    let strangers = Line::open(&platforms, &stranger, &a, "telegram", 1).await;
    let empty = Line::open(&platforms, &agent, &a, "discord", 0).await;
    let webhook = agent.make_webhook(&a, json!({})).await;
    for (body, status, code) in [
        (json!({"channelId": strangers.id}), 404, "unknown_channel"),
        (json!({"channelId": strangers.id, "metadata": strangers.metadata(0)}), 404, "unknown_channel"),
        (json!({"channelId": "no such channel"}), 404, "unknown_channel"),
        (json!({"channelId": line.id, "metadata": strangers.metadata(0)}), 400, "unknown_destination"),
        (json!({"channelId": line.id, "metadata": {"chatId": 1}}), 400, "unknown_destination"),
        (json!({"channelId": empty.id, "metadata": {"discordChannelId": "1"}}), 400, "unknown_destination"),
        (json!({"channelId": line.id, "channelType": "discord"}), 400, "wrong_channel_type"),
        (json!({"channelId": webhook.id, "channelType": "telegram"}), 400, "wrong_channel_type"),
        (json!({"channelId": ""}), 400, "invalid_field"),
        (json!({"channelId": line.id, "metadata": 5}), 400, "invalid_field"),
        (json!({}), 400, "invalid_field"),
    ] {
        assert_eq!(types(&agent, &a, body.clone(), status).await["code"], code, "{body}");
    }
    for body in [json!({"channelId": webhook.id}), json!({"channelId": empty.id})] {
        assert_eq!(types(&agent, &a, body, 200).await, json!({"ok": true}));
    }
    // A sign that is shown proves that none was before it.
    types(&agent, &a, json!({"channelId": line.id, "metadata": line.metadata(0)}), 200).await;
    eventually("the sign is shown", || async { (!line.signs().is_empty()).then_some(()) }).await;
    assert_eq!(line.signs(), [line.place(0)]);
    assert_eq!(empty.signs().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_hangs_or_fails_keeps_nobody_from_typing() {
    let platforms = Platforms::start().await;
    let [a] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 2).await;
    platforms.telegram.rule(Rule::new(Misbehaviour::Hang).on("sendChatAction"));
    platforms.telegram.rule(Rule::new(Misbehaviour::ServerError(500)).on("sendChatAction"));
    for talk in 0..2 {
        let began = Instant::now();
        let body = json!({"channelId": line.id, "metadata": line.metadata(talk)});
        assert_eq!(types(&agent, &a, body, 200).await, json!({"ok": true}));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        platforms.telegram.wait_for_calls("sendChatAction", talk + 1).await;
    }
    assert_eq!(platforms.telegram.rules_left(), 0);
    let id = line.reply(&agent, &a, 0, "done").await;
    super::fate::becomes(&agent, &a, &id, "delivered").await;
}
