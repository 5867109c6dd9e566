//! Every answer that Discord gives to a part, and odd ones.

use super::*;
use crate::channels::discord::testing::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const VIA: (&str, &str) = ("via", "1.1 google");

#[test]
fn an_arrival_counts_and_forgets_how_its_part_was_sent() {
    let reply = Reply::to_message("x");
    let mut progress = Progress { parts: 2, plain: true, by_message: true, ..Progress::default() };
    for (status, body) in [(200, r#"{"id": "1"}"#), (201, "{}"), (204, "")] {
        reply.interpret(&mut progress, &answer(status, &[], body));
    }
    assert_eq!(progress, Progress { parts: 5, by_message: true, ..Progress::default() });
}

#[test]
fn a_page_with_a_good_status_is_no_arrival() {
    let mut progress = Progress::default();
    let page = answer(200, &[("content-type", "text/html")], "<!DOCTYPE html><title>Sign in</title>");
    let verdict = Reply::to_message("x").interpret(&mut progress, &page);
    assert_eq!(later(verdict), (None, false));
    assert_eq!(progress, Progress::default());
}

#[test]
fn a_used_up_limit_makes_a_pause() {
    let reply = Reply::to_message("x");
    for (remaining, reset, seconds) in [
        ("0", "0.65", Some(0.65)),
        ("0", "99999", Some(60.0)),
        ("1", "0.65", None),
        ("0", "soon", None),
        ("0", "-1", None),
    ] {
        let headers = [("x-ratelimit-remaining", remaining), ("x-ratelimit-reset-after", reset)];
        let pause = seconds.map(Duration::from_secs_f64);
        assert_eq!(reply.verdict(200, &headers, &json!({})), Verdict::Arrived { pause }, "{remaining} {reset}");
    }
}

/// How long to wait and whether the whole bot does.
fn later(verdict: Verdict) -> (Option<f64>, bool) {
    match verdict {
        Verdict::Later { after, whole_bot, reason } => {
            assert!(!reason.is_empty());
            (after.map(|after| after.as_secs_f64()), whole_bot)
        }
        other => panic!("not later: {other:?}"),
    }
}

#[test]
fn a_rate_limit_is_waited_for() {
    let body = |global: bool| json!({"message": "You are being rate limited.", "retry_after": 0.65, "global": global});
    for reply in [Reply::to_message("x"), Reply::to_command("x")] {
        assert_eq!(later(reply.verdict(429, &[VIA, ("retry-after", "1")], &body(false))), (Some(0.65), false));
        assert_eq!(later(reply.verdict(429, &[VIA], &body(true))), (Some(0.65), true));
        assert_eq!(later(reply.verdict(429, &[VIA, ("x-ratelimit-global", "true")], &body(false))), (Some(0.65), true));
        assert_eq!(
            later(reply.verdict(429, &[VIA, ("x-ratelimit-scope", "global")], &body(false))),
            (Some(0.65), true)
        );
        assert_eq!(later(reply.verdict(429, &[VIA, ("retry-after", "3")], &json!({}))), (Some(3.0), false));
        assert_eq!(later(reply.verdict(429, &[VIA], &Value::Null)), (None, false));
        let coded = json!({"code": 40062, "message": "Service resource is being rate limited.", "retry_after": 3});
        assert_eq!(later(reply.verdict(429, &[VIA], &coded)), (Some(3.0), false));
    }
}

#[test]
fn a_rate_limit_of_the_edge_stops_the_bot_for_long() {
    let reply = Reply::to_message("x");
    let edge = |headers: &[(&str, &str)]| {
        later(reply.interpret(&mut Progress::default(), &answer(429, headers, "error code: 1015")))
    };
    assert_eq!(edge(&[]), (Some(600.0), true));
    assert_eq!(edge(&[("retry-after", "5")]), (Some(600.0), true));
    assert_eq!(edge(&[("retry-after", "3600")]), (Some(3600.0), true));
    // A proxy of the operator may drop Via; the API's own limits are known by their headers.
    let own = [("x-ratelimit-scope", "user"), ("retry-after", "5")];
    assert_eq!(edge(&own), (Some(5.0), false));
}

#[test]
fn what_passes_is_tried_later() {
    for reply in [Reply::to_message("x"), Reply::to_command("x")] {
        for status in [500, 502, 503, 504, 520, 408, 302] {
            assert_eq!(later(reply.verdict(status, &[], &json!({"message": "x"}))), (None, false), "{status}");
            assert_eq!(later(reply.interpret(&mut Progress::default(), &answer(status, &[], "<html>"))), (None, false));
        }
        assert_eq!(later(reply.verdict(503, &[("retry-after", "7")], &Value::Null)), (Some(7.0), false));
        for code in [130_000, 40062, 20016, 20028, 20029, 40003, 40004, 40006] {
            assert_eq!(later(reply.verdict(400, &[], &json!({"code": code, "message": "x"}))), (None, false), "{code}");
        }
    }
}

#[test]
fn what_lasts_is_refused_in_discords_words() {
    let refused = |status, body: Value| match Reply::to_message("x").verdict(status, &[], &body) {
        Verdict::Refused { reason } => reason,
        other => panic!("not refused: {other:?}"),
    };
    for (status, code) in
        [(403, 50013), (403, 50001), (403, 50007), (404, 10003), (403, 50278), (400, 50006), (403, 20009), (400, 50109)]
    {
        assert_eq!(refused(status, json!({"code": code, "message": "No such luck"})), "No such luck", "{code}");
    }
    let form = json!({
        "code": 50035, "message": "Invalid Form Body",
        "errors": {"content": {"_errors": [
            {"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length."},
        ]}},
    });
    assert_eq!(refused(400, form), "Invalid Form Body: Must be 2000 or fewer in length.");
    for odd in [Value::Null, json!([]), json!({"code": "x", "message": {}}), json!({"message": " \u{0} "})] {
        assert_eq!(refused(403, odd), "Discord answered with HTTP status 403");
    }
}

#[test]
fn a_wrong_token_ends_the_bot() {
    let unauthorised = json!({"message": "401: Unauthorized", "code": 0});
    let revoked = Verdict::Revoked { reason: "401: Unauthorized".into() };
    assert_eq!(Reply::to_message("x").verdict(401, &[], &unauthorised), revoked);
    let late = Reply { age_ms: 3_600_000, ..Reply::to_command("x") };
    assert_eq!(late.verdict(401, &[], &unauthorised), revoked);
    let by_message = &mut Progress { by_message: true, ..Progress::default() };
    let answer = answer(401, &[], unauthorised.to_string());
    assert_eq!(Reply::to_command("x").interpret(by_message, &answer), revoked);
}

#[test]
fn a_command_that_can_no_longer_be_answered_gets_a_message() {
    for (status, body) in [
        (404, json!({"code": 10015, "message": "Unknown Webhook"})),
        (401, json!({"code": 50027, "message": "Invalid Webhook Token"})),
        (404, json!({"code": 10062, "message": "Unknown interaction"})),
        (404, json!({"code": 10008, "message": "Unknown Message"})),
        (400, json!({"code": 40094, "message": "This interaction has hit the maximum number of follow up messages"})),
        (401, Value::Null),
        (404, Value::Null),
    ] {
        for completes_question in [true, false] {
            let reply = Reply { completes_question, ..Reply::to_command("x") };
            let mut progress = Progress::default();
            let verdict = reply.interpret(&mut progress, &answer(status, &[], body.to_string()));
            assert_eq!((verdict, progress.by_message, progress.parts), (Verdict::Reformed, true, 0), "{body}");
            assert_eq!(url(&reply.call(&progress).unwrap()), MESSAGES);
            // The same answer to the message itself must not go round in circles.
            let again = reply.interpret(&mut progress, &answer(status, &[], body.to_string()));
            assert!(matches!(again, Verdict::Refused { .. } | Verdict::Revoked { .. }), "{body}");
        }
    }
}

#[test]
fn time_that_runs_out_during_a_call_does_not_end_the_bot() {
    let late = Reply { age_ms: 14 * 60_000 + 30_001, ..Reply::to_command("x") };
    let verdict = late.verdict(401, &[], &json!({"code": 50027, "message": "Invalid Webhook Token"}));
    assert_eq!(verdict, Verdict::Reformed);
}

#[test]
fn an_answer_that_overtook_its_command_waits_a_moment() {
    let unknown = json!({"code": 10015, "message": "Unknown Webhook"});
    for age_ms in [0, 4_999] {
        let reply = Reply { age_ms, ..Reply::to_command("x") };
        assert_eq!(later(reply.verdict(404, &[], &unknown)), (Some(1.0), false));
        assert_eq!(reply.verdict(401, &[], &json!({"code": 50027, "message": "x"})), Verdict::Reformed);
    }
    let settled = Reply { age_ms: 5_000, ..Reply::to_command("x") };
    assert_eq!(settled.verdict(404, &[], &unknown), Verdict::Reformed);
    let message = Reply { age_ms: 0, ..Reply::to_message("x") };
    assert!(matches!(message.verdict(404, &[], &unknown), Verdict::Refused { .. }));
}

#[test]
fn a_refused_quote_is_left_out() {
    let quoting = Reply { is_reply_to: true, ..Reply::to_message("x") };
    let of_form = json!({
        "code": 50035, "message": "Invalid Form Body",
        "errors": {"message_reference": {"_errors": [{"code": "REPLIES_UNKNOWN_MESSAGE", "message": "Unknown message"}]}},
    });
    for body in [of_form.clone(), json!({"code": 160_002, "message": "No reading, no replying"})] {
        let mut progress = Progress::default();
        let answer = answer(400, &[], body.to_string());
        assert_eq!(quoting.interpret(&mut progress, &answer), Verdict::Reformed);
        let plain = sent(&quoting.call(&progress).unwrap());
        assert_eq!(plain.get("message_reference"), None);
        assert!(matches!(quoting.interpret(&mut progress, &answer), Verdict::Refused { .. }));
    }
    assert!(matches!(Reply::to_message("x").verdict(400, &[], &of_form), Verdict::Refused { .. }));
}

proptest! {
    #[test]
    fn any_answer_has_a_meaning_and_no_reply_is_reformed_for_ever(
        status in 100_u16..600, body in any_json(), reset in ".{0,8}", command: bool, age_ms in 0_u64..2_000_000,
    ) {
        let reply = if command { Reply::to_command("x") } else { Reply::to_message("x") };
        let reply = Reply { age_ms, is_reply_to: true, ..reply };
        let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset-after", reset.as_str()), ("retry-after", &reset)];
        let answer = answer(status, &headers, body.to_string());
        let mut progress = Progress::default();
        let reforms = (0..4).take_while(|_| reply.interpret(&mut progress, &answer) == Verdict::Reformed).count();
        prop_assert!(reforms <= 2);
    }
}
