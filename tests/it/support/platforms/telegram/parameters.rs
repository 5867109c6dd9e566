//! The parameters of a call, from wherever it carries them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::failure;
use crate::support::platforms::server::{Answer, Request};

/// Parameters as text, which is what the real server makes of them; nested ones are JSON.
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Collects the query and the body, which is a form or a JSON object. Others are not looked at.
    pub fn read(request: &Request) -> Result<Self, Answer> {
        let mut all: BTreeMap<_, _> = request.query.iter().cloned().collect();
        let body = match request.media_type().as_deref() {
            _ if request.bytes.is_empty() => return Ok(Self(all)),
            Some("application/json") => request.json(),
            Some("application/x-www-form-urlencoded") => Some(request.form().into()),
            _ => return Ok(Self(all)),
        };
        let Some(Value::Object(fields)) = body else {
            return Err(failure(400, "Bad Request: can't parse the JSON object"));
        };
        for (name, value) in fields {
            match value {
                Value::Null => {}
                Value::String(text) => drop(all.insert(name, text)),
                other => drop(all.insert(name, other.to_string())),
            }
        }
        Ok(Self(all))
    }

    /// A parameter that is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A parameter, also an empty one.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// A nested parameter; null when it is no JSON.
    pub fn nested(&self, name: &str) -> Option<Value> {
        Some(serde_json::from_str(self.text(name)?).unwrap_or(Value::Null))
    }
}

/// Whether this has the form of a token. Source: tdlib/telegram-bot-api `ClientManager.cpp`.
pub fn is_token(token: &str) -> bool {
    let Some((id, secret)) = token.split_once(':') else { return false };
    let is_id = !id.starts_with('0') && id.parse::<u64>().is_ok_and(|id| (1..1 << 54).contains(&id));
    is_id && !secret.is_empty() && token.len() <= 80
}
