//! What Slack's Web API answers. Errors come with HTTP 200; only limits and outages use the status.

use std::time::Duration;

use serde_json::Value;

use crate::channels::adapter::reason;
use crate::channels::api::ApiAnswer;

/// Errors that say that too many calls were made, or messages posted.
const LIMITS: [&str; 3] = ["ratelimited", "rate_limited", "message_limit_exceeded"];
/// Errors that pass. Source: docs.slack.dev/reference/methods/chat.postMessage.
const OUTAGES: [&str; 5] =
    ["internal_error", "fatal_error", "request_timeout", "service_unavailable", "team_added_to_org"];

/// An answer as all methods give it. The texts are for people.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is done; the whole body.
    Done(Value),
    /// Not now.
    Later {
        /// What Slack asks to wait.
        after: Option<Duration>,
        reason: String,
        /// A limit, which holds for every call of this method in the workspace.
        is_limit: bool,
    },
    /// Never.
    Failed {
        /// Slack's name for the error.
        error: String,
        /// The same with what Slack says besides.
        reason: String,
    },
}

impl Answer {
    pub(super) fn read(answer: &ApiAnswer) -> Self {
        let body = answer.json();
        let error = body["error"].as_str().unwrap_or_default();
        if answer.status == 429 || LIMITS.contains(&error) {
            return Self::later(answer, "Slack takes no more calls for now".to_owned(), true);
        }
        if answer.status >= 500 {
            return Self::later(answer, format!("Slack has an outage (HTTP {})", answer.status), false);
        }
        match body["ok"].as_bool() {
            Some(true) if (200..300).contains(&answer.status) => Self::Done(body),
            Some(false) if OUTAGES.contains(&error) => {
                Self::later(answer, format!("Slack has an outage ({error})"), false)
            }
            Some(false) if !error.is_empty() => {
                let reason = match body["needed"].as_str() {
                    Some(scope) => reason(&format!("{error} (the app needs the scope {scope})")),
                    None => reason(error),
                };
                Self::Failed { error: error.to_owned(), reason }
            }
            _ => Self::later(answer, format!("Slack's answer cannot be read (HTTP {})", answer.status), false),
        }
    }

    fn later(answer: &ApiAnswer, reason: String, is_limit: bool) -> Self {
        Self::Later { after: answer.retry_after(), reason, is_limit }
    }
}
