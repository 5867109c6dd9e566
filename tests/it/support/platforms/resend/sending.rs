//! Mail that goes out. Source: resend.com/docs/api-reference/emails/send-email.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Resend, Sent, error};
use crate::support::platforms::random_hex;
use crate::support::platforms::server::{Answer, Request};

/// Fields that exist.
const FIELDS: [&str; 14] = [
    "from",
    "to",
    "subject",
    "bcc",
    "cc",
    "scheduled_at",
    "reply_to",
    "html",
    "text",
    "headers",
    "attachments",
    "tags",
    "topic_id",
    "template",
];
/// Most recipients in one field.
const MAX_RECIPIENTS: usize = 50;
/// Longest idempotency key.
const MAX_KEY: usize = 256;
/// Longest line of a header, in octets. Source: RFC 5322 §2.1.1.
const MAX_LINE: usize = 998;

/// `POST /emails`
pub fn send(here: &Resend, request: &Request) -> Answer {
    let key = request.header("idempotency-key").map(str::to_owned);
    if key.as_ref().is_some_and(|key| !(1..=MAX_KEY).contains(&key.chars().count())) {
        return error(400, "invalid_idempotency_key", "The idempotency key must be between 1-256 chars.");
    }
    let body = match request.json().filter(|body| body.is_object()) {
        Some(body) if request.media_type().as_deref() == Some("application/json") => body,
        _ => return error(400, "validation_error", "The request body is not valid JSON."),
    };
    if let Some((first, answer)) = key.as_ref().and_then(|key| here.state().idempotency.get(key).cloned()) {
        return if first == body {
            answer
        } else {
            let message = "Same idempotency key used with a different request payload.";
            error(409, "invalid_idempotent_request", message)
        };
    }
    let sent = match read(here, &body, key.clone()) {
        Ok(sent) => sent,
        Err(refused) => return refused,
    };
    let answer = Answer::json(200, &json!({"id": sent.id}));
    let mut state = here.state();
    state.sent.insert(sent.id.clone(), sent.clone());
    if let Some(key) = key {
        state.idempotency.insert(key, (body, answer.clone()));
    }
    drop(state);
    here.note_sent(sent);
    answer
}

/// `GET /emails/{id}`
pub fn retrieve(here: &Resend, id: &str) -> Answer {
    match here.state().sent.get(id) {
        None => error(404, "not_found", "Email not found"),
        Some(sent) => {
            let body = json!({
                "object": "email", "id": sent.id, "message_id": sent.message_id, "to": sent.to, "from": sent.from,
                "subject": sent.subject, "text": sent.text, "html": sent.html, "last_event": "delivered",
            });
            Answer::json(200, &body)
        }
    }
}

fn read(here: &Resend, body: &Value, idempotency_key: Option<String>) -> Result<Sent, Answer> {
    let fields = body.as_object().unwrap();
    if let Some(strange) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(error(422, "invalid_parameter", &format!("There is no `{strange}` field.")));
    }
    let from = required(body, "from")?;
    let domain = address_of(&from).and_then(|address| address.rsplit_once('@')).map(|(_, domain)| domain);
    let Some(domain) = domain.map(str::to_ascii_lowercase) else {
        let message =
            "Invalid `from` field. It needs to follow the `email@example.com` or `Name <email@example.com>` format.";
        return Err(error(422, "invalid_from_address", message));
    };
    if !here.state().domains.contains(&domain) {
        return Err(error(403, "validation_error", &format!("The {domain} domain is not verified.")));
    }
    if body["to"].is_null() {
        return Err(missing("to"));
    }
    let to = addresses(body, "to")?;
    if to.is_empty() {
        return Err(missing("to"));
    }
    for name in ["cc", "bcc"] {
        addresses(body, name)?;
    }
    let (text, html) = (optional(body, "text")?, optional(body, "html")?);
    if text.is_none() && html.is_none() {
        return Err(missing("html` or `text"));
    }
    let id = uuid::Uuid::new_v4().to_string();
    Ok(Sent {
        id,
        message_id: format!("<0100{}@eu-west-1.amazonses.com>", random_hex()),
        from,
        to,
        subject: required(body, "subject")?,
        text,
        html,
        reply_to: addresses(body, "reply_to")?,
        headers: headers(body)?,
        idempotency_key,
    })
}

fn missing(field: &str) -> Answer {
    error(422, "missing_required_field", &format!("Missing `{field}` field."))
}

fn invalid(field: &str) -> Answer {
    error(422, "invalid_parameter", &format!("The `{field}` field is invalid."))
}

fn is_one_line(text: &str) -> bool {
    !text.contains(['\r', '\n', '\0'])
}

/// A field that becomes a header, so that it must be one line.
fn required(body: &Value, field: &str) -> Result<String, Answer> {
    match &body[field] {
        Value::Null => Err(missing(field)),
        Value::String(text) if !text.is_empty() && is_one_line(text) => Ok(text.clone()),
        _ => Err(invalid(field)),
    }
}

fn optional(body: &Value, field: &str) -> Result<Option<String>, Answer> {
    match &body[field] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(invalid(field)),
    }
}

/// One address or a list of them.
fn addresses(body: &Value, field: &str) -> Result<Vec<String>, Answer> {
    let list: Vec<&str> = match &body[field] {
        Value::Null => Vec::new(),
        Value::String(one) => vec![one],
        Value::Array(list) => list.iter().map(|one| one.as_str().unwrap_or_default()).collect(),
        _ => return Err(invalid(field)),
    };
    if list.len() > MAX_RECIPIENTS || !list.iter().all(|one| is_one_line(one) && address_of(one).is_some()) {
        return Err(invalid(field));
    }
    Ok(list.into_iter().map(str::to_owned).collect())
}

/// The address in `email@example.com` or `Name <email@example.com>`.
fn address_of(text: &str) -> Option<&str> {
    let address = match text.rsplit_once('<') {
        Some((name, rest)) => {
            let is_quoted = name.trim().starts_with('"') && name.trim().ends_with('"');
            // Without quotes these would end the name, or begin another address.
            let is_plain = !name.contains(['"', ',', ';', ':', '@', '(', ')', '[', ']', '\\']);
            rest.strip_suffix('>').filter(|_| is_quoted || is_plain)?
        }
        None => text,
    };
    let (local, domain) = address.split_once('@')?;
    let is_strange = |c: char| c.is_whitespace() || "<>,;:()[]\\\"@".contains(c);
    let is_good = !local.is_empty() && domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.');
    (is_good && !address.replacen('@', "", 1).contains(is_strange)).then_some(address)
}

/// Headers of the caller's own. A `Message-ID` among them is not kept, which [`Sent::message_id`] shows.
fn headers(body: &Value) -> Result<HashMap<String, String>, Answer> {
    let Value::Object(headers) = &body["headers"] else {
        return if body["headers"].is_null() { Ok(HashMap::new()) } else { Err(invalid("headers")) };
    };
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    let read = |(name, value): (&String, &Value)| {
        let value = value.as_str().filter(|value| is_one_line(value) && value.is_ascii() && is_name(name))?;
        (name.len() + 2 + value.len() <= MAX_LINE).then(|| (name.clone(), value.to_owned()))
    };
    headers.iter().map(|header| read(header).ok_or_else(|| invalid("headers"))).collect()
}
