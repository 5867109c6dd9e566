//! Events on their way: signed, retried, and what each attempt says about those before.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Workspace;
use crate::support::platforms::delivery::{self, Delivery};
use crate::support::platforms::unix_seconds;

/// By when an event has to be taken.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often an event is sent again. The real times are at once, after a minute and after five.
const RETRIES: usize = 3;

/// Whether there will be another attempt: not after a 2xx, four attempts, or `x-slack-no-retry: 1`.
pub fn is_pending(delivery: &Delivery) -> bool {
    let last = delivery.attempts.last();
    let is_given_up = last.is_some_and(|last| last.is_accepted() || last.header("x-slack-no-retry") == Some("1"));
    !is_given_up && delivery.attempts.len() <= RETRIES
}

/// What signs a body: `v0=` and the HMAC-SHA256 of `v0:<timestamp>:<body>` in hex.
pub fn signature(secret: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{timestamp}:{body}").as_bytes());
    format!("v0={}", hex::encode(mac.finalize().into_bytes()))
}

/// Sends a delivery once more, and notes how that went.
pub async fn attempt(workspace: &Workspace, delivery: &mut Delivery) {
    let (body, timestamp) = (delivery.event.to_string(), unix_seconds().to_string());
    let signature = signature(&workspace.signing_secret, &timestamp, &body);
    let number = delivery.attempts.len().to_string();
    let reason = delivery.attempts.last().map(|last| if last.status.is_some() { "http_error" } else { "http_timeout" });
    let mut headers = vec![
        ("X-Slack-Signature", signature.as_str()),
        ("X-Slack-Request-Timestamp", timestamp.as_str()),
        ("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)"),
    ];
    if let Some(reason) = reason {
        headers.extend([("x-slack-retry-num", number.as_str()), ("x-slack-retry-reason", reason)]);
    }
    let attempt = delivery::post(&workspace.http, &delivery.url, &headers, &body, PATIENCE).await;
    delivery.attempts.push(attempt);
}
