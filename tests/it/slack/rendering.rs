//! Text on its way in and out: mrkdwn to what people read, Markdown to mrkdwn, and in pieces when it is long.

use serde_json::json;

use super::{ANA, Scene};
use crate::support::platforms::{Misbehaviour, Rule};

/// Longest message that Slack shows in one piece, in characters.
const MAX_CHARS: usize = 4000;

#[tokio::test(flavor = "multi_thread")]
async fn slack_s_markup_comes_in_as_people_read_it() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    for (number, (text, content)) in [
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("see <https://x.example/?a=1&amp;b=2|the docs>", "see the docs (https://x.example/?a=1&b=2)"),
        ("<https://x.example>", "https://x.example"),
        ("<mailto:ana@x.example|ana@x.example>", "ana@x.example"),
        ("<@U0BOB> in <#C1|general>, <!here>", "@U0BOB in #general, @here"),
        ("*bold* _italic_ ~gone~ `code`", "*bold* _italic_ ~gone~ `code`"),
        ("&amp;lt; stays an entity", "&lt; stays an entity"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;Vec&lt;String&gt;", "Vec<String>"),
        ("hidden\u{e0041}\u{202e} and\u{7} gone", "hidden and gone"),
        ("two\nlines", "two\nlines"),
    ]
    .into_iter()
    .enumerate()
    {
        scene.says(ANA, &direct, None, text).await;
        assert_eq!(scene.message_after(number).await["content"], content, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_at_the_beginning_is_not_part_of_what_is_said() {
    let scene = Scene::with_ana().await;
    let (direct, place) = (scene.workspace.direct_messages(ANA), scene.workspace.channel());
    let bot = &scene.workspace.bot_user;
    for (number, (place, text, content)) in [
        (&place, format!("<@{bot}>: help"), "help".to_owned()),
        (&place, format!("<@{bot}|helper>, help"), "help".to_owned()),
        (&direct, format!("<@{bot}> help"), "help".to_owned()),
        (&place, format!("help <@{bot}>"), format!("help @{bot}")),
        (&place, format!("<@{bot}>"), "@helper".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        scene.says(ANA, place, None, &text).await;
        assert_eq!(scene.message_after(number).await["content"], content, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn markdown_goes_out_as_mrkdwn() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &direct, None, "hi").await;
    for (number, (markdown, mrkdwn)) in [
        ("**bold** *italic* ~~gone~~ `a<b`", "*bold* _italic_ ~gone~ `a&lt;b`"),
        ("# Title\n\ntext", "*Title*\n\ntext"),
        ("- one\n- two", "• one\n• two"),
        ("[docs](https://x.example/?a=1&b=2)", "<https://x.example/?a=1&amp;b=2|docs>"),
        ("```rust\nif a && b {}\n```", "```\nif a &amp;&amp; b {}\n```"),
        ("1 < 2 & 3 > 2", "1 &lt; 2 &amp; 3 &gt; 2"),
        ("<@U0BOB> in <#C1>", "&lt;@U0BOB&gt; in &lt;#C1&gt;"),
        // To HTML this is a comment, and no comment goes out.
        ("to all: <!channel>", "to all:"),
        ("[all](!channel) &lt;!everyone&gt; &#60;!here&#62;", "all &lt;!everyone&gt; &lt;!here&gt;"),
        ("*never closed", "*never closed"),
    ]
    .into_iter()
    .enumerate()
    {
        scene.delivered(&scene.reply(json!({"content": markdown})).await).await;
        let sent = scene.sent(number + 1).await.pop().unwrap();
        assert_eq!(sent.text, mrkdwn, "{markdown}");
        assert!(sent.pings.is_empty(), "{markdown} notifies {:?}", sent.pings);
    }
    let bodies = scene.platforms.slack.calls_of("chat.postMessage");
    assert!(bodies.iter().all(|call| call.body["unfurl_links"] == false), "{bodies:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_reply_goes_out_in_pieces_in_one_thread() {
    let scene = Scene::with_ana().await;
    let place = scene.workspace.channel();
    let post = scene.says(ANA, &place, None, &scene.at_bot("tell me all")).await;
    let message = scene.message_after(0).await;
    let paragraph = |number: usize| format!("{number}. {}", "many words ".repeat(90).trim_end());
    let long = (1..=9).map(paragraph).collect::<Vec<_>>().join("\n\n");
    assert!(long.len() > 2 * MAX_CHARS);
    let mut socket = scene.socket().await;
    let response = scene.answer(&message, &long).await;
    let frame = socket.expect("delivery").await;
    assert_eq!((&frame["status"], &frame["attempts"]), (&json!("delivered"), &json!(1)));
    assert_eq!(frame["responseId"], response.as_str());

    let sent = scene.sent(3).await;
    for piece in &sent {
        assert!(!piece.is_too_long && piece.text.chars().count() <= MAX_CHARS, "{}", piece.text.len());
        assert_eq!(json!(piece.thread), post["ts"]);
    }
    let whole = sent.iter().map(|piece| piece.text.as_str()).collect::<Vec<_>>().join("\n\n");
    assert_eq!(whole, long, "split between paragraphs, with nothing lost");
    socket.nothing_more().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_grows_by_escaping_still_fits() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &direct, None, "hi").await;
    let code = format!("```\n{}```", "a && b\n".repeat(300));
    scene.delivered(&scene.reply(json!({"content": code})).await).await;
    let sent = scene.platforms.slack.sent();
    assert!(sent.len() > 1, "2100 characters are more than 4000 with their escapes");
    for piece in &sent {
        assert!(!piece.is_too_long, "{}", piece.text.chars().count());
        assert!(piece.text.starts_with("```\n") && piece.text.ends_with("```"), "a fence is left open: {}", piece.text);
    }
    let lines: usize = sent.iter().map(|piece| piece.text.matches("a &amp;&amp; b\n").count()).sum();
    assert_eq!(lines, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_breaks_off_goes_on_with_the_piece_that_is_missing() {
    let scene = Scene::with_ana().await;
    let direct = scene.workspace.direct_messages(ANA);
    scene.says(ANA, &direct, None, "hi").await;
    let mut socket = scene.socket().await;
    let long = format!("{}\n\n{}", "first ".repeat(600).trim_end(), "second ".repeat(500).trim_end());
    scene.platforms.slack.rule(Rule::new(Misbehaviour::Reset).on("chat.postMessage").after(1));
    let response = scene.reply(json!({"content": long})).await;
    let frame = socket.expect("delivery").await;
    assert_eq!((&frame["status"], &frame["attempts"]), (&json!("retrying"), &json!(1)), "{frame}");
    let frame = socket.expect("delivery").await;
    assert_eq!((&frame["status"], &frame["attempts"]), (&json!("delivered"), &json!(2)), "{frame}");
    assert_eq!(frame["responseId"], response.as_str());
    let texts: Vec<_> = scene.sent(2).await.into_iter().map(|sent| sent.text).collect();
    assert_eq!(texts.join("\n\n"), long);
}
