//! Ordinary messages, which a program of the owner's forwards from Discord's gateway.

use serde_json::{Value, json};

use super::{Scene, Socket};
use crate::support::client::expect;
use crate::support::platforms::deployment::register_bot;
use crate::support::platforms::discord::User;

impl Scene {
    /// Forwards what is of no interest, and makes sure that the agent does not hear of it.
    async fn ignores(&self, event: &Value, socket: &mut Socket) {
        self.forwards(event).await;
        socket.nothing_more().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_heard_at_the_top_under_message_and_under_d() {
    let scene = Scene::set().await;
    let mut socket = scene.socket().await;
    let wraps: [fn(&Value) -> Value; 5] = [
        |message| message.clone(),
        |message| json!({"message": message}),
        |message| json!({"d": message}),
        |message| json!({"op": 0, "s": 42, "t": "MESSAGE_CREATE", "d": message}),
        |message| json!({"t": "MESSAGE_CREATE", "message": message, "from": "my forwarder"}),
    ];
    for (turn, wrap) in wraps.iter().enumerate() {
        let text = format!("hello {turn}");
        let written = scene.app.message(&scene.ana, &scene.room, &text);
        scene.forwards(&wrap(&written)).await;
        let message = socket.message().await;
        assert_eq!((&message["channelType"], &message["from"]), (&json!("discord"), &json!("ana")));
        assert_eq!(message["content"], text);
        let metadata = json!({
            "channelDirection": "bidirectional", "discordChannelId": scene.room.id, "senderId": scene.ana.id,
            "messageId": written["id"], "guildId": scene.room.guild,
        });
        assert_eq!(message["metadata"], metadata);
    }
    let (_, message) = scene.writes(&scene.ana, &scene.discord().direct_channel(), "in private").await;
    assert_eq!(message["metadata"].get("guildId"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_a_forwarder_made_numbers_of_are_still_the_persons() {
    let scene = Scene::set().await;
    let mut written = scene.app.message(&scene.ana, &scene.room, "hi");
    for path in ["/id", "/channel_id", "/guild_id", "/author/id"] {
        let id = written.pointer_mut(path).unwrap();
        *id = id.as_str().unwrap().parse::<u64>().unwrap().into();
    }
    scene.forwards(&written).await;
    let message = scene.messages().await.pop().unwrap();
    assert_eq!(message["metadata"]["senderId"], scene.ana.id.as_str());
    scene.says(json!({"content": "hello", "metadata": message["metadata"], "replyTo": message["id"]})).await;
    assert_eq!(scene.discord().sent().pop().unwrap().channel, scene.room.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_know_the_secret_is_refused() {
    let scene = Scene::set().await;
    let right = scene.events_url().await;
    let (url, secret) = right.split_once("?secret=").unwrap();
    assert_eq!(url, scene.app.endpoint().unwrap());
    assert!(secret.len() >= 32, "it can be guessed");
    let other = register_bot(&scene.client, &scene.a, "discord", &scene.discord().application("second").token).await;
    let shown = expect(scene.client.get(&scene.a, "/channels").await, 200).await;
    let others =
        shown["channels"].as_array().unwrap().iter().find(|channel| channel["id"] == other.id.as_str()).unwrap();
    let others = others["metadata"]["eventsUrl"].as_str().unwrap().split_once("?secret=").unwrap().1.to_owned();
    let message = scene.app.message(&scene.ana, &scene.room, "let me in");
    let mut socket = scene.socket().await;
    let queries = [
        String::new(),
        "?secret=".to_owned(),
        format!("?secret={}", &secret[..secret.len() - 1]),
        format!("?secret={secret}x"),
        format!("?secret={}", secret.to_lowercase().to_uppercase()),
        format!("?secret={others}"),
        format!("?token={secret}"),
        format!("?secret=%00{secret}"),
        format!("?secret={}", scene.channel.code),
    ];
    for query in queries {
        let attempt = scene.app.forward(&format!("{url}{query}"), &message).await;
        assert_eq!((attempt.status, &attempt.json()["code"]), (Some(401), &json!("invalid_signature")), "{query}");
    }
    assert!(scene.app.forward(&right, &message).await.is_accepted());
    assert_eq!(socket.content().await, "let me in");
    // An interaction is not believed for its secret: that came from Discord, or nobody gave the command.
    let command = scene.app.command(&scene.ana, &scene.room, "chat", &[("message", "made up")]);
    scene.ignores(&command, &mut socket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_forwarded_more_than_once_is_heard_once() {
    let scene = Scene::set().await;
    let mut socket = scene.socket().await;
    let query = scene.events_url().await.split_once('?').unwrap().1.to_owned();
    let (at_a, at_b) = (format!("{}?{query}", scene.url_at(&scene.a)), format!("{}?{query}", scene.url_at(&scene.b)));
    for turn in 0..5 {
        let text = format!("message {turn}");
        let event = json!({"t": "MESSAGE_CREATE", "d": scene.app.message(&scene.ana, &scene.room, &text)});
        let both = tokio::join!(scene.app.forward(&at_a, &event), scene.app.forward(&at_b, &event));
        assert!(both.0.is_accepted() && both.1.is_accepted(), "{both:?}");
        scene.forwards(&event["d"]).await;
        assert_eq!(socket.content().await, text);
    }
    socket.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_edit_is_heard_once_and_a_preview_is_none() {
    let scene = Scene::set().await;
    let mut socket = scene.socket().await;
    let mut message = scene.app.message(&scene.ana, &scene.room, "see https://example.org");
    let update = |message: &Value| json!({"op": 0, "t": "MESSAGE_UPDATE", "d": message});
    scene.forwards(&json!({"op": 0, "t": "MESSAGE_CREATE", "d": message})).await;
    assert_eq!(socket.message().await["metadata"].get("edited"), None);
    // A second later Discord has looked at the link.
    message["embeds"] = json!([{"type": "link", "url": "https://example.org"}]);
    scene.ignores(&update(&message), &mut socket).await;
    for (at, text) in [("2026-01-15T10:31:00.123000+00:00", "once"), ("2026-01-15T10:32:00.456000+00:00", "twice")] {
        message["edited_timestamp"] = at.into();
        message["content"] = text.into();
        scene.forwards(&update(&message)).await;
        let heard = socket.message().await;
        assert_eq!((&heard["content"], &heard["metadata"]["edited"]), (&json!(text), &json!(true)));
        assert_eq!(heard["metadata"]["messageId"], message["id"]);
        // The same by a second connection to the gateway, and once more when the preview has changed.
        scene.ignores(&update(&message), &mut socket).await;
        message["embeds"] = json!([{"type": "link", "url": "https://example.org", "title": text}]);
        scene.ignores(&update(&message), &mut socket).await;
        scene.ignores(&json!({"message": message}), &mut socket).await;
    }
    // Nor is the preview of a message that was never heard, or what has no time at all.
    scene.ignores(&update(&scene.app.message(&scene.ana, &scene.room, "https://example.org")), &mut socket).await;
    message["edited_timestamp"] = "yesterday".into();
    scene.ignores(&update(&message), &mut socket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_people_write_is_heard() {
    let scene = Scene::set().await;
    let mut socket = scene.socket().await;
    let written = scene.app.message(&scene.ana, &scene.room, "hi");
    let but = |path: &str, value: Value| {
        let mut message = written.clone();
        let (parent, name) = path.rsplit_once('/').unwrap();
        message.pointer_mut(parent).unwrap()[name] = value;
        message
    };
    let own = User { id: scene.app.id.clone(), name: "helper".to_owned() };
    let sent = scene.discord().sent().len();
    for (what, message) in [
        ("a bot", but("/author/bot", json!(true))),
        ("Discord itself", but("/author/system", json!(true))),
        ("a webhook", but("/webhook_id", json!("77"))),
        ("the bot's own", scene.app.message(&own, &scene.room, "done")),
        ("somebody was pinned", but("/type", json!(6))),
        ("somebody came in", but("/type", json!(7))),
        ("a command's trace", but("/type", json!(20))),
        ("a type of tomorrow", but("/type", json!(99))),
        ("no author", but("/author", Value::Null)),
        ("no channel", but("/channel_id", Value::Null)),
        ("no id", but("/id", Value::Null)),
        ("nothing in it", but("/content", json!(""))),
        ("blanks", but("/content", json!(" \n "))),
    ] {
        scene.forwards(&json!({"t": "MESSAGE_CREATE", "d": message})).await;
        scene.forwards(&message).await;
        assert_eq!(scene.messages().await, Vec::<Value>::new(), "{what}");
    }
    for name in ["TYPING_START", "MESSAGE_DELETE", "MESSAGE_REACTION_ADD", "GUILD_CREATE", "READY", ""] {
        scene.ignores(&json!({"op": 0, "t": name, "d": written}), &mut socket).await;
    }
    scene.ignores(&json!({"op": 11}), &mut socket).await;
    assert_eq!(scene.discord().sent().len(), sent, "nobody was told how to pair");
    scene.forwards(&but("/type", json!(19))).await;
    assert_eq!(socket.content().await, "hi", "a reply is written by a person too");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_without_a_word_are_named() {
    let scene = Scene::set().await;
    let mut socket = scene.socket().await;
    let file = |name: &str, kind: Value| json!({"id": "1", "filename": name, "content_type": kind, "size": 5, "url": "https://cdn.discordapp.com/x"});
    let cases = [
        (vec![file("cat.png", json!("image/png"))], 0, "cat.png", json!("image/png")),
        (vec![file("report.pdf", json!("application/pdf"))], 0, "report.pdf", json!("application/pdf")),
        (vec![file("a.mp4", json!("video/mp4")), file("b.txt", json!("text/plain"))], 0, "b.txt", json!("video/mp4")),
        (vec![file("voice-message.ogg", json!("audio/ogg"))], 1 << 13, "[voice message]", json!("audio/ogg")),
        (vec![file("unknown", Value::Null)], 0, "unknown", Value::Null),
    ];
    for (files, flags, shown, media_type) in cases {
        let mut message = scene.app.message(&scene.ana, &scene.room, "");
        message["attachments"] = json!(files);
        message["flags"] = flags.into();
        scene.forwards(&json!({"t": "MESSAGE_CREATE", "d": message})).await;
        let heard = socket.message().await;
        let content = heard["content"].as_str().unwrap();
        assert!(content.starts_with('[') && content.contains(shown), "{content}");
        assert!(!content.contains("cdn.discordapp.com"), "{content}");
        assert_eq!(heard["metadata"].get("mediaType").cloned().unwrap_or_default(), media_type);
    }
    let mut message = scene.app.message(&scene.ana, &scene.room, "look at this");
    message["attachments"] = json!([file("cat.png", json!("image/png"))]);
    scene.forwards(&message).await;
    assert_eq!(socket.content().await, "look at this");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mention_that_calls_the_bot_is_not_part_of_what_is_said() {
    let scene = Scene::set().await;
    let mut socket = scene.socket().await;
    let bot = &scene.app.id;
    for (written, heard) in [
        (format!("<@{bot}> hello"), "hello".to_owned()),
        (format!("<@!{bot}>hello"), "hello".to_owned()),
        (format!("hello <@{bot}>"), format!("hello <@{bot}>")),
        (format!("<@{bot}0> hello"), format!("<@{bot}0> hello")),
    ] {
        scene.forwards(&scene.app.message(&scene.ana, &scene.room, &written)).await;
        assert_eq!(socket.content().await, heard, "{written}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarder_that_sends_too_much_is_told_to_wait() {
    let scene = Scene::with(|setup| setup.with("CHAOS_RATE_WEBHOOK", "3/1m")).await;
    let url = scene.events_url().await;
    let event = || scene.app.message(&scene.ana, &scene.room, "hi");
    // Pairing was the first; what is of no interest counts as well.
    assert!(scene.app.forward(&url, &event()).await.is_accepted());
    assert!(scene.app.forward(&url, &json!({"t": "TYPING_START", "d": {}})).await.is_accepted());
    for late in [event(), json!({"t": "TYPING_START", "d": {}})] {
        let refused = scene.app.forward(&url, &late).await;
        assert_eq!((refused.status, &refused.json()["code"]), (Some(429), &json!("rate_limited")));
        assert!((1..=60).contains(&refused.retry_after().unwrap()));
    }
    assert_eq!(scene.messages().await.len(), 1);
}
