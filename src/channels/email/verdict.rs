//! What Resend's answer to a mail that was sent means.

use secrecy::ExposeSecret as _;

use super::Email;
use crate::channels::adapter::{Verdict, reason};
use crate::channels::api::ApiAnswer;

impl Email {
    /// What an answer of `POST /emails` means. It never means that a channel is revoked: the key is the operator's.
    ///
    /// Source: resend.com/docs/api-reference/errors.
    pub(super) fn verdict(&self, answer: &ApiAnswer) -> Verdict {
        let body = answer.json();
        let name = body["name"].as_str().unwrap_or_default();
        let reason = self.reason(answer, name, body["message"].as_str().unwrap_or_default());
        let after = answer.retry_after();
        match (answer.status, name) {
            (200..300, _) if body["id"].is_string() => Verdict::Arrived { pause: None },
            (429, "daily_quota_exceeded" | "monthly_quota_exceeded") => Verdict::QuotaSpent { after, reason },
            // The limit is that of the operator's account.
            (429, _) => Verdict::Later { after, reason, whole_bot: true },
            (409, "concurrent_idempotent_requests" | "resource_locked") | (408 | 425 | 500.., _) => {
                Verdict::Later { after, reason, whole_bot: false }
            }
            // An earlier try of this reply was taken with another text than it has now.
            (400..500, _) => Verdict::Refused { reason },
            // No answer of the API: something stands before it.
            _ => Verdict::Later { after, reason, whole_bot: false },
        }
    }

    fn reason(&self, answer: &ApiAnswer, name: &str, message: &str) -> String {
        let words = match (name, message) {
            ("", "") => format!("Resend answered {}", answer.status),
            _ => format!("Resend answered {} {name}: {message}", answer.status),
        };
        self.shown_reason(&words)
    }

    /// Resend's words as a reason, without the key should they repeat it.
    pub(super) fn shown_reason(&self, words: &str) -> String {
        let key = self.api_key.expose_secret();
        if key.is_empty() { reason(words) } else { reason(&words.replace(key, "…")) }
    }
}

#[cfg(test)]
mod tests;
