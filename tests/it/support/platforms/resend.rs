//! Resend: mail that goes out through its API, and mail that comes in.

mod receiving;
mod sending;

pub use receiving::{Mail, svix_signature};

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};

use super::random_hex;
use super::server::{Answer, Request};
use super::stand_in::{Platform, StandIn};
use crate::support::secrets;

/// A running stand-in for Resend, with one account.
pub type Resend = StandIn<Api>;

/// A mail that went out.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// What the API calls it.
    pub id: String,
    /// The id in the mail itself: whatever the caller set, the mail has one of the provider's.
    pub message_id: String,
    pub from: String,
    pub to: Vec<String>,
    pub subject: String,
    pub text: Option<String>,
    pub html: Option<String>,
    pub reply_to: Vec<String>,
    /// Headers that the caller set, as it wrote them.
    pub headers: HashMap<String, String>,
    pub idempotency_key: Option<String>,
}

/// What only Resend says.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// An error with its name.
    Error { status: u16, name: &'static str },
    /// 429 since no more can be sent today.
    DailyQuota,
}

/// What Resend knows.
pub struct Api {
    key: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    domains: HashSet<String>,
    /// What `GET /emails/receiving/{id}` answers.
    received: HashMap<String, Value>,
    sent: HashMap<String, Sent>,
    /// Body and answer of a call by its key.
    idempotency: HashMap<String, (Value, Answer)>,
}

impl Api {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The account's API key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl Resend {
    /// Starts a stand-in whose account has no domain yet.
    pub async fn start() -> Self {
        let key = format!("re_{}", random_hex());
        secrets::note(&key);
        Self::start_with(Api { key, state: Mutex::default() }).await
    }

    /// Verifies a domain, from which mail may be sent then.
    pub fn verify_domain(&self, domain: &str) {
        self.state().domains.insert(domain.to_ascii_lowercase());
    }
}

/// An error in Resend's form.
fn error(status: u16, name: &str, message: &str) -> Answer {
    Answer::json(status, &json!({"statusCode": status, "name": name, "message": message}))
}

/// The headers by which every answer tells of the rate limit.
fn with_limit(answer: Answer, remaining: u32) -> Answer {
    answer.with("ratelimit-limit", 10).with("ratelimit-remaining", remaining).with("ratelimit-reset", 1)
}

impl Platform for Api {
    type Sent = Sent;
    type Refusal = Refusal;
    const BASE_PATH: &'static str = "";

    fn name_of(request: &Request) -> String {
        match (request.method.as_str(), request.segments().as_slice()) {
            ("POST", ["emails"]) => "sendEmail",
            ("GET", ["emails", "receiving", _]) => "getReceivedEmail",
            ("GET", ["emails", _]) => "getEmail",
            _ => "unknown",
        }
        .to_owned()
    }

    async fn process(here: &Resend, request: Request) -> Answer {
        if request.header("user-agent").is_none_or(str::is_empty) {
            return Answer::text(403, "text/plain", "error code: 1010");
        }
        let answer = match request.authorization("Bearer") {
            None => error(401, "missing_api_key", "Missing API Key"),
            Some(key) if key != here.key => error(403, "invalid_api_key", "API key is invalid"),
            Some(_) => match (request.method.as_str(), request.segments().as_slice()) {
                ("POST", ["emails"]) => sending::send(here, &request),
                ("GET", ["emails", "receiving", id]) => receiving::retrieve(here, id),
                ("GET", ["emails", id]) => sending::retrieve(here, id),
                (_, ["emails"] | ["emails", _] | ["emails", "receiving", _]) => {
                    error(405, "method_not_allowed", "Method is not allowed for the requested path")
                }
                _ => error(404, "not_found", "The requested endpoint does not exist"),
            },
        };
        with_limit(answer, 9)
    }

    fn refuse(_: &Resend, refusal: &Refusal, _: &Request) -> Answer {
        match refusal {
            Refusal::Error { status, name } => with_limit(error(*status, name, "The stand-in was told to say so"), 9),
            Refusal::DailyQuota => {
                let message = "You have reached your daily email sending quota.";
                with_limit(error(429, "daily_quota_exceeded", message), 9).with("x-resend-daily-quota", 100)
            }
        }
    }

    fn too_many_requests(retry_after: Duration) -> Answer {
        let message = "Too many requests. You can only make 10 requests per second.";
        with_limit(error(429, "rate_limit_exceeded", message), 0).with("retry-after", retry_after.as_secs_f64().ceil())
    }

    fn server_error(status: u16) -> Answer {
        match status {
            500 => error(500, "internal_server_error", "Something went wrong"),
            status => Answer::of_a_front_end(status),
        }
    }
}
