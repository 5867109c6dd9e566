//! What Telegram's answers mean.

use std::time::Duration;

use super::*;

fn refused(reason: &str) -> Verdict {
    Verdict::Refused { reason: reason.into() }
}

fn moved() -> Value {
    json!({"ok": false, "error_code": 400,
        "description": "Bad Request: group chat was upgraded to a supergroup chat",
        "parameters": {"migrate_to_chat_id": -1_009_876_543_210_i64}})
}

fn failed(code: u16, description: &str) -> Value {
    json!({"ok": false, "error_code": code, "description": description})
}

#[test]
fn a_part_that_arrived_is_counted_and_the_next_one_tries_markup_again() {
    let reply = Reply::new("a");
    let mut progress = Progress { plain: true, ..Progress::default() };
    let verdict = reply.interpret(&mut progress, 200, &json!({"ok": true, "result": {"message_id": 78}}));
    assert_eq!(verdict, Verdict::Arrived { pause: None });
    assert_eq!(progress, Progress { parts: 1, ..Progress::default() });
}

#[test]
fn markup_that_telegram_cannot_read_goes_out_plain_once() {
    for words in [
        "Bad Request: can't parse entities: Can't find end of the entity starting at byte offset 5",
        "Bad Request: Can't Parse Entities: Unsupported start tag \"x\" at byte offset 0",
        "Bad Request: unsupported start tag \"x\"",
        "Bad Request: ENTITY_BOUNDS_INVALID",
        "Bad Request: message text is empty",
        "Bad Request: text must be non-empty",
    ] {
        let reply = Reply::new("**a**");
        let mut progress = Progress::default();
        assert_eq!(reply.interpret(&mut progress, 400, &failed(400, words)), Verdict::Reformed, "{words}");
        assert_eq!(progress, Progress { plain: true, ..Progress::default() });
        assert_eq!(reply.body(&progress).unwrap()["text"], "**a**");
        assert_eq!(reply.interpret(&mut progress, 400, &failed(400, words)), refused(words));
    }
}

#[test]
fn a_part_without_markup_is_not_reformed() {
    let reply = Reply::new("[r]: https://x.example");
    let words = "Bad Request: can't parse entities: oops";
    assert_eq!(reply.interpret(&mut Progress::default(), 400, &failed(400, words)), refused(words));
}

#[test]
fn a_chat_that_moved_is_followed_once() {
    let mut reply = Reply::new("a");
    reply.conversation = ConversationKey::new("-400", None);
    reply.is_reply_to = true;
    let mut progress = Progress::default();
    assert_eq!(reply.interpret(&mut progress, 400, &moved()), Verdict::Reformed);
    assert_eq!(progress, Progress { moved_to: Some("-1009876543210".into()), ..Progress::default() });
    let body = reply.body(&progress).unwrap();
    assert_eq!((&body["chat_id"], body.get("reply_parameters")), (&json!(-1_009_876_543_210_i64), None));
    let words = "Bad Request: group chat was upgraded to a supergroup chat";
    let before = progress.clone();
    assert_eq!(reply.interpret(&mut progress, 400, &moved()), refused(words));
    let mut again = moved();
    again["parameters"]["migrate_to_chat_id"] = json!(-1);
    assert_eq!(reply.interpret(&mut progress, 400, &again), refused(words));
    assert_eq!(progress, before);
}

#[test]
fn a_chat_that_moved_to_itself_is_refused() {
    let mut reply = Reply::new("a");
    reply.conversation = ConversationKey::new("-1009876543210", None);
    let mut progress = Progress::default();
    assert!(matches!(reply.interpret(&mut progress, 400, &moved()), Verdict::Refused { .. }));
    assert_eq!(progress, Progress::default());
}

#[test]
fn a_message_that_cannot_be_quoted_is_answered_without() {
    let mut reply = Reply::new("a");
    reply.is_reply_to = true;
    for words in ["Bad Request: message to be replied not found", "Bad Request: reply message not found"] {
        let mut progress = Progress::default();
        assert_eq!(reply.interpret(&mut progress, 400, &failed(400, words)), Verdict::Reformed);
        assert!(reply.body(&progress).unwrap().get("reply_parameters").is_none());
        assert_eq!(reply.interpret(&mut progress, 400, &failed(400, words)), refused(words));
    }
}

#[test]
fn what_telegram_will_never_take_is_refused_with_its_words() {
    for (code, words) in [
        (400, "Bad Request: chat not found"),
        (400, "Bad Request: message is too long"),
        (400, "Bad Request: text is too long"),
        (400, "Bad Request: message to be replied not found"),
        (400, "Bad Request: message thread not found"),
        (400, "Bad Request: not enough rights to send text messages to the chat"),
        (400, "Bad Request: TOPIC_CLOSED"),
        (403, "Forbidden: bot was blocked by the user"),
        (403, "Forbidden: user is deactivated"),
        (403, "Forbidden: bot was kicked from the supergroup chat"),
        (403, "Forbidden: bot can't initiate conversation with a user"),
        (404, "Not Found: method not found"),
        (406, "Not Acceptable"),
        (413, "Request Entity Too Large"),
    ] {
        let reply = Reply::new("**a**");
        for status in [code, 200] {
            let mut progress = Progress::default();
            assert_eq!(reply.interpret(&mut progress, status, &failed(code, words)), refused(words));
            assert_eq!(progress, Progress::default());
        }
    }
}

#[test]
fn a_token_that_is_no_good_is_revoked() {
    let reply = Reply::new("a");
    for (code, words) in [(401, "Unauthorized"), (404, "Not Found")] {
        let verdict = reply.interpret(&mut Progress::default(), code, &failed(code, words));
        assert_eq!(verdict, Verdict::Revoked { reason: words.into() });
    }
}

#[test]
fn what_passes_is_tried_later() {
    let reply = Reply::new("a");
    let busy = |parameters: Value| {
        let mut body = failed(429, "Too Many Requests: retry after 7");
        body["parameters"] = parameters;
        body
    };
    let later = |seconds: Option<f64>, reason: &str| Verdict::Later {
        after: seconds.map(Duration::from_secs_f64),
        reason: reason.into(),
        whole_bot: false,
    };
    let day = Some(24.0 * 3600.0);
    for (parameters, header, seconds) in [
        (json!({"retry_after": 7}), Some("9"), Some(7.0)),
        (json!({"retry_after": 0.5}), None, Some(0.5)),
        (json!({"retry_after": u64::MAX}), None, day),
        (json!({"retry_after": -7}), Some("9"), Some(9.0)),
        (json!({"retry_after": "soon"}), Some("9"), Some(9.0)),
        (json!({}), Some("9"), Some(9.0)),
        (json!(null), Some("soon"), None),
        (json!(7), None, None),
    ] {
        let headers = header.map(|value| ("retry-after".to_owned(), value.to_owned())).into_iter().collect();
        let answer = ApiAnswer { status: 429, headers, body: busy(parameters).to_string().into() };
        let verdict = telegram().interpret(&reply.outgoing(), &mut Progress::default(), &answer);
        assert_eq!(verdict, later(seconds, "Too Many Requests: retry after 7"));
    }
    for (code, words) in [
        (409, "Conflict: terminated by other setWebhook"),
        (500, "Internal Server Error: restart"),
        (502, "Bad Gateway"),
        (504, "Gateway Timeout"),
    ] {
        let verdict = reply.interpret(&mut Progress::default(), code, &failed(code, words));
        assert_eq!(verdict, later(None, words));
    }
}

#[test]
fn an_answer_that_is_not_telegrams_says_nothing() {
    let reply = Reply::new("a");
    for status in [200, 204, 301, 400, 401, 403, 404, 429, 502] {
        for body in ["", "<html>502</html>", "null", "{\"ok\":", "[true]", "{\"ok\":\"true\"}", "{\"error\":1}"] {
            let headers = vec![("retry-after".to_owned(), "9".to_owned())];
            let answer = ApiAnswer { status, headers, body: body.into() };
            let mut progress = Progress::default();
            let Verdict::Later { after, reason, whole_bot: false } =
                telegram().interpret(&reply.outgoing(), &mut progress, &answer)
            else {
                panic!("{status} {body}")
            };
            assert_eq!((after, progress), (Some(Duration::from_secs(9)), Progress::default()));
            assert!(!reason.contains("html") && !reason.contains("https:"));
        }
    }
}

proptest! {
    #[test]
    fn whatever_telegram_answers_a_part_is_reformed_a_few_times_at_most(
        answers in prop::collection::vec((200_u16..600, odd_value(), odd_value(), odd_value(), odd_value()), 12),
        is_reply_to: bool,
    ) {
        let mut reply = Reply::new("**a**");
        reply.is_reply_to = is_reply_to;
        let mut progress = Progress::default();
        let mut reformed = 0;
        for (status, ok, code, description, parameters) in answers {
            let body = json!({"ok": ok, "error_code": code, "description": description, "parameters": parameters});
            reformed += u32::from(reply.interpret(&mut progress, status, &body) == Verdict::Reformed);
            let refusal = json!({"ok": false, "error_code": 400, "description": "entities", "parameters": parameters});
            reformed += u32::from(reply.interpret(&mut progress, status, &refusal) == Verdict::Reformed);
        }
        prop_assert!(reformed <= 3 * (progress.parts + 1));
    }
}
