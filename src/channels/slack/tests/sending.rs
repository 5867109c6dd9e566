//! Replies that go out.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::channels::adapter::{Outgoing, Progress, Verdict};
use crate::channels::slack::sending::parts;
use crate::domain::ids::MessageId;
use crate::domain::text::from_slack_mrkdwn;

/// Hands an [`Outgoing`] of this content to `then`.
fn with_reply<T>(thread: Option<&str>, content: &str, then: impl FnOnce(&Outgoing<'_>) -> T) -> T {
    let (connection, secrets) = (connection(), secrets("x"));
    then(&Outgoing {
        response: MessageId::random(),
        connection: &connection,
        secrets: Some(&secrets),
        label: "helper",
        conversation: &ConversationKey::new("C1", thread),
        details: &Value::Null,
        answer_secret: None,
        is_reply_to: false,
        completes_question: false,
        asked_at: Timestamp::EPOCH,
        content,
        now: Timestamp::EPOCH,
    })
}

fn after(parts: u32) -> Progress {
    Progress { parts, ..Progress::default() }
}

/// The bodies of all calls.
fn bodies(thread: Option<&str>, content: &str) -> Vec<Value> {
    with_reply(thread, content, |outgoing| {
        let calls = (0..).map_while(|parts| slack().next_call(outgoing, &after(parts)));
        calls.map(|call| serde_json::from_slice(&call.body.unwrap()).unwrap()).collect()
    })
}

fn texts(content: &str) -> Vec<String> {
    parts(content)
}

fn interpret(content: &str, progress: &mut Progress, answer: &ApiAnswer) -> Verdict {
    with_reply(None, content, |outgoing| slack().interpret(outgoing, progress, answer))
}

/// What Slack's refusal with this error means.
fn refusal(body: Value) -> Verdict {
    interpret("hi", &mut Progress::default(), &answer(200, &body))
}

#[test]
fn metadata_say_where_a_reply_goes() {
    let to = |metadata: Value| slack().destination(metadata.as_object().unwrap());
    let exactly = |chat, thread| Some(Destination::Exactly(ConversationKey::new(chat, thread)));
    for (metadata, destination) in [
        (json!({"slackChannelId": "C1", "threadTs": "1.2"}), exactly("C1", Some("1.2"))),
        (json!({"slackChannelId": "C1", "threadTs": "1.2", "ts": "3.4"}), exactly("C1", Some("1.2"))),
        (json!({"slackChannelId": "D1", "threadTs": "1.2", "ts": "3.4"}), exactly("D1", Some("1.2"))),
        (json!({"slackChannelId": "C1", "ts": "3.4", "senderId": "U1"}), exactly("C1", Some("3.4"))),
        (json!({"slackChannelId": "D1", "ts": "3.4", "threadTs": null}), exactly("D1", None)),
        (json!({"slackChannelId": "C1"}), Some(Destination::Chat("C1".to_owned()))),
        (json!({"slackChannelId": "D1", "ts": 3.4, "threadTs": ""}), Some(Destination::Chat("D1".to_owned()))),
        (json!({"slackChannelId": ""}), None),
        (json!({"slackChannelId": null}), None),
        (json!({"slackChannelId": 1}), Some(Destination::Chat("1".to_owned()))),
        (json!({"chatId": 1, "ts": "3.4"}), None),
        (json!({}), None),
    ] {
        assert_eq!(to(metadata.clone()), destination, "{metadata}");
    }
}

#[test]
fn the_metadata_of_a_message_lead_back_to_its_conversation() {
    for event in [
        json!({"type": "message", "channel": "D1", "channel_type": "im", "user": "U1", "text": "a", "ts": "1.2"}),
        json!({"type": "message", "channel": "D1", "user": "U1", "text": "a", "ts": "1.2", "thread_ts": "0.1"}),
        json!({"type": "app_mention", "channel": "C1", "user": "U1", "text": "<@UBOT> a", "ts": "1.2"}),
        json!({"type": "message", "channel": "C1", "user": "U1", "text": "a", "ts": "1.2", "thread_ts": "0.1"}),
    ] {
        let inbound = heard(&json!({"type": "event_callback", "team_id": "T1", "event": event}));
        let destination = slack().destination(&inbound.metadata);
        assert_eq!(destination, Some(Destination::Exactly(inbound.conversation)));
    }
}

#[test]
fn a_reply_is_posted_with_the_bot_s_token() {
    with_reply(Some("1767225500.000200"), "**done** <@U1>", |outgoing| {
        let call = slack().next_call(outgoing, &Progress::default()).unwrap();
        assert_eq!(call.url.expose_secret(), "https://slack.example/api/chat.postMessage");
        assert_eq!((call.method, call.platform), (Method::Post, ChannelKind::Slack));
        assert_eq!(bearer(&call), [("Authorization", "Bearer xoxb-12-s3cret")]);
        assert!(slack().next_call(outgoing, &after(1)).is_none());
    });
    let in_thread = json!({
        "channel": "C1", "text": "*done* &lt;@U1&gt;", "mrkdwn": true, "unfurl_links": false,
        "thread_ts": "1767225500.000200",
    });
    assert_eq!(bodies(Some("1767225500.000200"), "**done** <@U1>"), [in_thread]);
    let direct = json!({"channel": "C1", "text": "hi", "mrkdwn": true, "unfurl_links": false});
    assert_eq!(bodies(None, "hi"), [direct]);
}

#[test]
fn a_long_reply_goes_out_in_parts_that_slack_takes() {
    let words = "word ".repeat(2000);
    let parts = texts(&words);
    assert_eq!(parts.len(), 3);
    assert_eq!(bodies(None, &words).iter().map(|body| body["text"].as_str().unwrap()).collect::<Vec<_>>(), parts);
    assert_eq!(parts.concat().matches("word").count(), 2000);
    let code = format!("```rust\n{}```", "let x = a && b < c;\n".repeat(400));
    let link = format!("[x]: https://x.example/{}\n\n{}", "y".repeat(1500), "[x] ".repeat(500));
    for hostile in ["&".repeat(64 * 1024), "<>&\n".repeat(9000), "- ".repeat(9000), code, link, "*".repeat(9000)] {
        let parts = texts(&hostile);
        assert!(!parts.is_empty());
        for part in &parts {
            assert!(part.chars().count() <= 4000 && !part.trim().is_empty(), "{}", part.chars().count());
        }
    }
    let ampersands = texts(&"&".repeat(10_000));
    assert_eq!(ampersands.iter().map(|part| from_slack_mrkdwn(part)).collect::<String>(), "&".repeat(10_000));
}

#[test]
fn what_renders_to_nothing_is_shown_as_it_was_written() {
    assert_eq!(texts("[x]: https://x.example/?a&b"), ["[x]: https://x.example/?a&amp;b"]);
}

#[test]
fn a_part_that_arrived_is_counted_and_the_next_one_paced() {
    let words = "word ".repeat(1500);
    let done = answer(200, &json!({"ok": true, "channel": "C1", "ts": "1767225700.000300", "message": {}}));
    let mut progress = Progress { plain: true, ..Progress::default() };
    let between = Some(Duration::from_secs(1));
    assert_eq!(interpret(&words, &mut progress, &done), Verdict::Arrived { pause: between });
    assert_eq!(progress, after(1));
    assert_eq!(interpret(&words, &mut progress, &done), Verdict::Arrived { pause: None });
    assert_eq!(progress, after(2));
}

#[test]
fn what_passes_is_tried_again() {
    let failed = |error: &str| json!({"ok": false, "error": error});
    let later = |answer: &ApiAnswer| {
        let mut progress = after(1);
        let verdict = interpret("hi", &mut progress, answer);
        assert_eq!(progress, after(1));
        match verdict {
            Verdict::Later { after, reason, whole_bot } => {
                assert!(!reason.is_empty());
                (after, whole_bot)
            }
            other => panic!("{other:?} for {answer:?}"),
        }
    };
    assert_eq!(later(&answer(429, &failed("ratelimited"))), (Some(Duration::from_secs(30)), true));
    assert_eq!(later(&answer(429, &json!(null))), (Some(Duration::from_secs(30)), true));
    for error in ["ratelimited", "rate_limited", "message_limit_exceeded"] {
        assert_eq!(later(&answer(200, &failed(error))), (None, true), "{error}");
    }
    for error in ["internal_error", "fatal_error", "request_timeout", "service_unavailable"] {
        assert_eq!(later(&answer(200, &failed(error))), (None, false), "{error}");
    }
    let mut asks = answer(503, &failed("invalid_auth"));
    asks.headers.push(("retry-after".to_owned(), "7".to_owned()));
    assert_eq!(later(&asks), (Some(Duration::from_secs(7)), false));
    for odd in
        [page(200), page(302), page(403), page(500), answer(200, &json!({"ok": "true"})), answer(200, &json!([]))]
    {
        assert_eq!(later(&odd), (None, false));
    }
    assert_eq!(later(&answer(200, &json!({"ok": false, "error": ""}))), (None, false));
}

#[test]
fn what_does_not_pass_is_refused_or_revoked() {
    for error in ["invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"] {
        let reason = format!("Slack no longer takes the bot's token: {error}");
        assert_eq!(refusal(json!({"ok": false, "error": error})), Verdict::Revoked { reason });
    }
    for error in [
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "restricted_action_thread_locked",
        "messages_tab_disabled",
        "cannot_reply_to_message",
        "no_text",
        "msg_too_long",
        "invalid_blocks",
        "invalid_arguments",
        "an_error_of_tomorrow",
    ] {
        let reason = format!("Slack refused the message: {error}");
        assert_eq!(refusal(json!({"ok": false, "error": error})), Verdict::Refused { reason });
    }
    let scope = json!({"ok": false, "error": "missing_scope", "needed": "chat:write", "provided": "im:history"});
    let reason = "Slack refused the message: missing_scope (the app needs the scope chat:write)".to_owned();
    assert_eq!(refusal(scope), Verdict::Refused { reason });
    let Verdict::Refused { reason } = refusal(json!({"ok": false, "error": "x\n\u{202e}".repeat(9000)})) else {
        panic!("not refused")
    };
    assert!(reason.chars().count() < 400 && !reason.contains(['\n', '\u{202e}']));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_part_is_within_slack_s_limit(
        content in "([a-z&<>*_`~#.|-]{0,30}|\\[x\\]|\\[x\\]: https://x\\.example\n|\n\n|```\n|> |- | ){0,400}",
        times in 1_usize..6,
    ) {
        let content = content.repeat(times);
        for part in texts(&content) {
            prop_assert!(part.chars().count() <= 4000);
            prop_assert!(!part.trim().is_empty());
        }
    }

    #[test]
    fn any_text_that_is_not_blank_gives_a_part(content in "\\PC{1,40}") {
        prop_assert_eq!(texts(&content).is_empty(), content.trim().is_empty());
    }

    #[test]
    fn any_answer_means_something(status in 100_u16..600, body: Vec<u8>) {
        let odd = ApiAnswer { status, headers: Vec::new(), body: body.into() };
        let _ = interpret("hi", &mut Progress::default(), &odd);
        prop_assert!(slack().read_identity(&odd).is_err());
    }
}
