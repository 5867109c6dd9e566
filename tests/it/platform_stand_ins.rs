//! The stand-ins themselves: that they are as strict as the platforms, and misbehave when they are told to.

mod discord;
mod discord_interactions;
mod misbehaviour;
mod receiver;
mod resend;
mod slack;
mod telegram;
mod telegram_delivery;

use reqwest::Response;
use serde_json::Value;

/// The status and the JSON of an answer; null when it has none.
async fn read(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

/// A header of an answer as text.
fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}
