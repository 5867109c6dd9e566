use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;

fn email() -> Email {
    Email::new("https://api.resend.com", "re_s3cret".into(), "in.example.net")
}

fn verdict_of(status: u16, body: &str, retry_after: Option<&str>) -> Verdict {
    let headers = retry_after.map(|wait| ("retry-after".to_owned(), wait.to_owned()));
    email().verdict(&ApiAnswer { status, headers: headers.into_iter().collect(), body: body.to_owned().into() })
}

fn verdict(status: u16, name: &str) -> Verdict {
    verdict_of(status, &json!({"statusCode": status, "name": name, "message": "so it is"}).to_string(), None)
}

#[test]
fn a_mail_that_was_taken_has_arrived() {
    assert_eq!(
        verdict_of(200, r#"{"id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"}"#, None),
        Verdict::Arrived { pause: None }
    );
}

#[test]
fn a_mail_of_which_the_api_gives_no_id_was_not_taken() {
    for body in ["", "<!DOCTYPE html><title>Sign in</title>", "{}", "[]", "null", r#"{"id": null}"#] {
        assert!(
            matches!(verdict_of(200, body, None), Verdict::Later { after: None, whole_bot: false, .. }),
            "{body:?}"
        );
    }
}

#[test]
fn what_cannot_come_right_is_refused_and_no_channel_is_revoked() {
    for (status, name) in [
        (400, "validation_error"),
        (400, "invalid_idempotency_key"),
        (401, "missing_api_key"),
        (401, "restricted_api_key"),
        (403, "validation_error"),
        (403, "invalid_api_key"),
        (403, "invalid_permission"),
        (403, "suspended_api_key"),
        (404, "not_found"),
        (405, "method_not_allowed"),
        (409, "invalid_idempotent_request"),
        (422, "missing_required_field"),
        (422, "invalid_from_address"),
        (451, "security_error"),
    ] {
        let reason = format!("Resend answered {status} {name}: so it is");
        assert_eq!(verdict(status, name), Verdict::Refused { reason });
    }
    let reason = "Resend answered 403".to_owned();
    assert_eq!(verdict_of(403, "error code: 1010", None), Verdict::Refused { reason });
}

#[test]
fn what_may_come_right_is_tried_again() {
    for (status, name) in [
        (409, "concurrent_idempotent_requests"),
        (409, "resource_locked"),
        (500, "application_error"),
        (500, "internal_server_error"),
        (500, "service_unavailable"),
        (502, ""),
        (599, ""),
        (408, ""),
        (302, ""),
    ] {
        assert!(
            matches!(verdict(status, name), Verdict::Later { after: None, whole_bot: false, .. }),
            "{status} {name}"
        );
    }
    for page in ["<!DOCTYPE html><title>Sign in</title>", "", "{}", "[]"] {
        assert!(matches!(verdict_of(200, page, None), Verdict::Later { after: None, whole_bot: false, .. }), "{page}");
    }
    assert!(
        matches!(verdict_of(503, "<html>", Some("7")), Verdict::Later { after: Some(wait), .. } if wait.as_secs() == 7)
    );
}

#[test]
fn the_limit_and_the_quotas_are_told_apart() {
    let body = |name: &str| json!({"statusCode": 429, "name": name, "message": "m"}).to_string();
    let limited = verdict_of(429, &body("rate_limit_exceeded"), Some("2"));
    assert!(
        matches!(limited, Verdict::Later { after: Some(wait), whole_bot: true, .. } if wait == Duration::from_secs(2))
    );
    assert!(matches!(verdict_of(429, "", None), Verdict::Later { after: None, whole_bot: true, .. }));
    for name in ["daily_quota_exceeded", "monthly_quota_exceeded"] {
        let spent = verdict_of(429, &body(name), Some("3600"));
        assert!(
            matches!(spent, Verdict::QuotaSpent { after: Some(wait), .. } if wait == Duration::from_secs(3600)),
            "{name}"
        );
    }
}

#[test]
fn a_reason_is_short_on_one_line_and_without_the_key() {
    let message = format!("API key re_s3cret is\r\ninvalid {}", "x".repeat(5_000));
    let body = json!({"name": "invalid_api_key", "message": message}).to_string();
    let Verdict::Refused { reason } = verdict_of(403, &body, None) else { panic!() };
    assert!(reason.starts_with("Resend answered 403 invalid_api_key: API key … is invalid xx"), "{reason}");
    assert!(reason.chars().count() <= 300);
}

proptest! {
    #[test]
    fn every_answer_has_a_meaning(status: u16, body in "\\PC{0,60}", wait in "\\PC{0,8}") {
        let _ = verdict_of(status, &body, Some(&wait));
    }
}
