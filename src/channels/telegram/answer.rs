//! Reading what the Bot API answers.

use std::time::Duration;

use serde_json::Value;

use crate::channels::adapter::reason;
use crate::channels::api::ApiAnswer;
use crate::domain::retry;
use crate::domain::timestamp::Timestamp;

/// Statuses by which a call fails.
const FAILED: std::ops::RangeInclusive<u16> = 400..=599;

/// Why a call failed.
#[derive(Debug, PartialEq)]
pub(super) enum Failure {
    /// Telegram says so.
    Told(Told),
    /// What came is not Telegram's: of a proxy, or cut off. Nothing is known about the call.
    Unreadable {
        /// What to tell people.
        reason: String,
        /// What a header asks to wait.
        retry_after: Option<Duration>,
    },
}

/// What Telegram says about a failed call.
#[derive(Debug, PartialEq)]
pub(super) struct Told {
    /// `error_code`, which the HTTP status equals: 400 to 599.
    pub(super) code: u16,
    /// Telegram's words, safe to show.
    pub(super) reason: String,
    /// How long Telegram asks to wait.
    pub(super) retry_after: Option<Duration>,
    /// Where the chat went when its group became a supergroup.
    pub(super) migrated_to: Option<i64>,
}

impl Told {
    /// Whether the reason contains one of these, which are in lower case.
    pub(super) fn mentions(&self, words: &[&str]) -> bool {
        let reason = self.reason.to_lowercase();
        words.iter().any(|word| reason.contains(word))
    }
}

/// The result of a call, or why there is none. A call has succeeded only if HTTP and Telegram both say so.
///
/// Source: core.telegram.org/bots/api#making-requests.
pub(super) fn read(answer: &ApiAnswer, now: Timestamp) -> Result<Value, Failure> {
    let mut body = answer.json();
    let header = || retry::parse_retry_after(answer.header("retry-after")?, now);
    let code = match body["ok"].as_bool() {
        Some(true) if (200..300).contains(&answer.status) => {
            return Ok(body.get_mut("result").map(Value::take).unwrap_or_default());
        }
        Some(false) => error_code(&body, answer.status),
        _ => None,
    };
    let Some(code) = code else {
        let reason = format!("Telegram's answer could not be read (HTTP status {})", answer.status);
        return Err(Failure::Unreadable { reason, retry_after: header() });
    };
    let reason = match reason(body["description"].as_str().unwrap_or_default()) {
        words if words.is_empty() => format!("Telegram gave no reason (error {code})"),
        words => words,
    };
    let parameters = &body["parameters"];
    let retry_after = parameters["retry_after"]
        .as_number()
        .and_then(|seconds| retry::parse_retry_after(&seconds.to_string(), now))
        .or_else(header);
    Err(Failure::Told(Told { code, reason, retry_after, migrated_to: parameters["migrate_to_chat_id"].as_i64() }))
}

/// The code of a failure, by the body or else by HTTP.
fn error_code(body: &Value, status: u16) -> Option<u16> {
    let told = body["error_code"].as_u64().and_then(|code| u16::try_from(code).ok());
    [told, Some(status)].into_iter().flatten().find(|code| FAILED.contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(status: u16, body: &Value) -> ApiAnswer {
        ApiAnswer { status, headers: vec![("retry-after".into(), "9".into())], body: body.to_string().into() }
    }

    fn told(status: u16, body: &Value) -> Told {
        match read(&answer(status, body), Timestamp::EPOCH) {
            Err(Failure::Told(told)) => told,
            other => panic!("{other:?} for {body}"),
        }
    }

    #[test]
    fn a_result_needs_both_http_and_telegram_to_say_so() {
        let ok = json!({"ok": true, "result": {"message_id": 78}});
        assert_eq!(read(&answer(200, &ok), Timestamp::EPOCH), Ok(json!({"message_id": 78})));
        assert_eq!(read(&answer(200, &json!({"ok": true})), Timestamp::EPOCH), Ok(Value::Null));
        for status in [302, 400, 502] {
            assert!(matches!(read(&answer(status, &ok), Timestamp::EPOCH), Err(Failure::Unreadable { .. })));
        }
    }

    #[test]
    fn a_failure_has_telegrams_words_and_wishes() {
        let body = json!({"ok": false, "error_code": 429, "description": "Too Many Requests: retry after 7",
            "parameters": {"retry_after": 7}});
        let expected = Told {
            code: 429,
            reason: "Too Many Requests: retry after 7".into(),
            retry_after: Some(Duration::from_secs(7)),
            migrated_to: None,
        };
        assert_eq!(told(429, &body), expected);
        let body = json!({"ok": false, "error_code": 400, "description": "a\nb", "parameters":
            {"migrate_to_chat_id": -1_001_234_567_890_i64}});
        let migrated = told(400, &body);
        assert_eq!((migrated.reason.as_str(), migrated.migrated_to), ("a b", Some(-1_001_234_567_890)));
        assert_eq!(migrated.retry_after, Some(Duration::from_secs(9)));
    }

    #[test]
    fn the_body_tells_the_code_before_http_does() {
        for (status, code, expected) in [
            (200, json!(403), 403),
            (403, json!(null), 403),
            (400, json!("429"), 400),
            (400, json!(200), 400),
            (500, json!(70_000), 500),
            (404, json!(-1), 404),
        ] {
            assert_eq!(told(status, &json!({"ok": false, "error_code": code})).code, expected, "{status} {code}");
        }
        let silent = read(&answer(200, &json!({"ok": false})), Timestamp::EPOCH);
        assert!(matches!(silent, Err(Failure::Unreadable { .. })));
    }

    #[test]
    fn what_is_not_telegrams_is_unreadable_and_its_header_counts() {
        for body in [json!(null), json!([]), json!("ok"), json!({"ok": 1}), json!({"error": "bad gateway"})] {
            let read = read(&answer(502, &body), Timestamp::EPOCH);
            let expected = "Telegram's answer could not be read (HTTP status 502)".to_owned();
            assert_eq!(read, Err(Failure::Unreadable { reason: expected, retry_after: Some(Duration::from_secs(9)) }));
        }
        let html = ApiAnswer { status: 404, headers: Vec::new(), body: "<html>no /bot1:secret_secret".into() };
        assert!(!format!("{:?}", read(&html, Timestamp::EPOCH)).contains("secret_secret"));
    }

    #[test]
    fn a_reason_never_repeats_a_token() {
        for (words, shown) in [
            ("no route /bot7000000001:secret_secret/getMe", "no route /…/getMe"),
            ("bot1:secret_secret: not found", "…: not found"),
            ("(1:secret_secret)", "(…)"),
            ("Bad Request: can't parse entities: 1:2", "Bad Request: can't parse entities: 1:2"),
            ("", "Telegram gave no reason (error 404)"),
        ] {
            assert_eq!(told(404, &json!({"ok": false, "description": words})).reason, shown);
        }
        let long = format!("{} /bot7000000001:secret_secret", "x".repeat(285));
        assert!(!told(404, &json!({"ok": false, "description": long})).reason.contains("secret"));
    }
}
