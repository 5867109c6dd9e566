//! Calls of platforms' APIs, with what must be heeded before and after each.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Relay;
use crate::channels::api::{ApiAnswer, ApiCall, CallError};
use crate::channels::discord::invalid_requests::InvalidRequests;
use crate::domain::channel::ChannelKind;
use crate::domain::timestamp::Timestamp;
use crate::telemetry::traces::SpanKind;

/// Bots that are remembered as having to wait. Beyond, those whose time is up are forgotten first.
const MAX_HELD: usize = 10_000;

/// What must be heeded before a platform is called.
#[derive(Default)]
pub struct CallGuards {
    invalid_requests: InvalidRequests,
    /// Bots that their platform wants no calls of, and until when.
    held: Mutex<HashMap<String, Instant>>,
}

impl CallGuards {
    /// Notes that a platform wants no calls of this bot for so long.
    pub(super) fn hold(&self, identity: String, time: Duration) {
        let now = Instant::now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MAX_HELD {
            held.retain(|_, until| *until > now);
        }
        if held.len() < MAX_HELD {
            held.insert(identity, now + time);
        }
    }

    /// How long this bot has to wait, if it has to.
    pub(super) fn held_for(&self, identity: &str) -> Option<Duration> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = held.get(identity)?.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero());
        if wait.is_none() {
            held.remove(identity);
        }
        wait
    }
}

impl Relay {
    /// Calls a platform. Too many refusals by Discord, which would have it block this replica's address, end its
    /// calls for a while.
    pub(super) async fn call(&self, call: ApiCall) -> Result<ApiAnswer, CallError> {
        let guard = &self.shared.call_guards.invalid_requests;
        let is_discord = call.platform == ChannelKind::Discord;
        if is_discord && let Some(wait) = guard.blocked_until(Timestamp::now()) {
            return Err(CallError::Held(wait));
        }
        let name = call.name;
        let platform = call.platform;
        let mut step = self.shared.traces.step(SpanKind::Client, || format!("{platform} {name}"));
        step.set("http.request.method", || call.method.as_str());
        step.set("server.address", || call.host());
        let answer = self.shared.client.call(call).await;
        match &answer {
            Ok(answer) => {
                step.set("http.response.status_code", || i64::from(answer.status));
                if answer.status >= 400 {
                    step.failed(answer.status.to_string());
                }
                tracing::debug!(%platform, name, status = answer.status, "called");
                if is_discord {
                    guard.note(answer, Timestamp::now());
                }
            }
            Err(error) => {
                step.failed("no_answer");
                tracing::debug!(%platform, name, %error, "a call failed");
            }
        }
        answer
    }
}
