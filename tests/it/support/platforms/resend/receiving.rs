//! Mail that comes in: the event about it, and the mail itself, which has to be fetched.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::{Resend, error};
use crate::support::platforms::delivery::{self, Delivery};
use crate::support::platforms::server::Answer;
use crate::support::platforms::{random_hex, unix_seconds};
use crate::support::secrets;

/// By when an event has to be taken.
const PATIENCE: Duration = Duration::from_secs(15);

/// A mail that somebody sends to an address here.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub cc: Vec<String>,
    /// Whom it was in fact received for; `None` leaves the field out, as older events do.
    pub received_for: Option<Vec<String>>,
    pub subject: String,
    pub message_id: String,
    pub text: Option<String>,
    pub html: Option<String>,
    /// In the order of the mail, names as the sender wrote them. `None` makes the whole object null.
    pub headers: Option<Vec<(String, String)>>,
    /// Whether a header that is there several times comes as a JSON list in a text rather than as a list.
    pub lists_are_text: bool,
    /// Ids and file names.
    pub attachments: Vec<(String, String)>,
}

impl Mail {
    /// A plain mail whose sender is who he says he is.
    pub fn new(from: &str, to: &str, subject: &str, text: &str) -> Self {
        let domain = from.rsplit('@').next().unwrap().trim_end_matches('>');
        let verdict = format!("amazonses.com; spf=pass; dkim=pass header.i=@{domain}; dmarc=pass header.from={domain}");
        Self {
            from: from.to_owned(),
            to: vec![to.to_owned()],
            cc: Vec::new(),
            received_for: Some(vec![to.to_owned()]),
            subject: subject.to_owned(),
            message_id: format!("<CAF{}@mail.{domain}>", random_hex()),
            text: Some(text.to_owned()),
            html: None,
            headers: Some(vec![("Authentication-Results".to_owned(), verdict)]),
            lists_are_text: false,
            attachments: Vec::new(),
        }
    }

    /// With one more header, which may be there already.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.get_or_insert_default().push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without the headers of this name.
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.get_or_insert_default().retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// With a file.
    pub fn attach(mut self, name: &str) -> Self {
        self.attachments.push((uuid::Uuid::new_v4().to_string(), name.to_owned()));
        self
    }

    /// Headers as the API shows them: names in lower case, and a list where there are several.
    fn shown_headers(&self) -> Value {
        let Some(headers) = &self.headers else { return Value::Null };
        let mut shown = Map::new();
        for (name, value) in headers {
            let values = shown.entry(name.to_ascii_lowercase()).or_insert_with(|| json!([]));
            values.as_array_mut().unwrap().push(value.as_str().into());
        }
        for values in shown.values_mut() {
            let list = values.as_array().unwrap();
            *values = match list.as_slice() {
                [one] => one.clone(),
                _ if self.lists_are_text => Value::String(values.to_string()),
                _ => continue,
            };
        }
        shown.into()
    }

    fn shown_attachments(&self, with_size: bool) -> Value {
        let show = |(id, name): &(String, String)| {
            let mut shown = json!({
                "id": id, "filename": name, "content_type": "application/octet-stream",
                "content_disposition": "attachment", "content_id": null,
            });
            if with_size {
                shown["size"] = 1234.into();
            }
            shown
        };
        self.attachments.iter().map(show).collect()
    }
}

/// What signs an event: `v1,` and the HMAC-SHA256 of `<id>.<timestamp>.<body>` in base64.
pub fn svix_signature(secret: &str, id: &str, timestamp: &str, body: &str) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret begins with whsec_")).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// `GET /emails/receiving/{id}`
pub fn retrieve(here: &Resend, id: &str) -> Answer {
    match here.state().received.get(id) {
        Some(mail) => Answer::json(200, mail),
        None => error(404, "not_found", "Email not found"),
    }
}

impl Resend {
    /// A new secret that signs events.
    pub fn webhook_secret() -> String {
        let secret = format!("whsec_{}", STANDARD.encode(random_hex()));
        secrets::note(&secret);
        secret
    }

    /// Takes a mail in and tells an endpoint, once. With several secrets each of them signs, as while one
    /// replaces another; with none nothing does.
    pub async fn receive(&self, mail: &Mail, url: &str, secrets: &[&str]) -> Delivery {
        let id = self.store(mail);
        let mut data = json!({
            "email_id": id, "created_at": "2026-01-15T10:30:00.894719+00:00", "from": mail.from, "to": mail.to,
            "cc": mail.cc, "bcc": [], "message_id": mail.message_id, "subject": mail.subject,
            "attachments": mail.shown_attachments(false),
        });
        if let Some(received_for) = &mail.received_for {
            data["received_for"] = json!(received_for);
        }
        self.event("email.received", data, url, secrets).await
    }

    /// Takes a mail in without telling anybody; gives its id.
    pub fn store(&self, mail: &Mail) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        let or_null = |list: &Vec<String>| if list.is_empty() { Value::Null } else { json!(list) };
        let mut shown = json!({
            "object": "email", "id": id, "to": mail.to, "from": mail.from,
            "created_at": "2026-01-15 10:30:00.894719+00", "subject": mail.subject, "message_id": mail.message_id,
            "cc": or_null(&mail.cc), "bcc": null, "reply_to": null, "text": mail.text, "html": mail.html,
            "headers": mail.shown_headers(), "raw": null, "attachments": mail.shown_attachments(true),
        });
        if let Some(received_for) = &mail.received_for {
            shown["received_for"] = json!(received_for);
        }
        self.state().received.insert(id.clone(), shown);
        id
    }

    /// Deletes a mail, so that it cannot be fetched.
    pub fn forget(&self, email_id: &str) {
        self.state().received.remove(email_id);
    }

    /// Tells an endpoint of anything, once.
    pub async fn event(&self, kind: &str, data: Value, url: &str, secrets: &[&str]) -> Delivery {
        let event = json!({"type": kind, "created_at": "2026-01-15T10:30:01.126Z", "data": data});
        let id = format!("msg_{}", random_hex());
        let mut delivery = Delivery { id, event, url: url.to_owned(), attempts: Vec::new(), withheld: None };
        self.deliver_again(&mut delivery, secrets).await;
        delivery
    }

    /// Tells of the same once more: with the same id, and a fresh time and signature.
    pub async fn deliver_again(&self, delivery: &mut Delivery, secrets: &[&str]) {
        let (body, timestamp) = (delivery.event.to_string(), unix_seconds().to_string());
        let signatures: Vec<_> =
            secrets.iter().map(|secret| svix_signature(secret, &delivery.id, &timestamp, &body)).collect();
        let signatures = signatures.join(" ");
        let mut headers = vec![("svix-id", delivery.id.as_str()), ("svix-timestamp", timestamp.as_str())];
        if !secrets.is_empty() {
            headers.push(("svix-signature", signatures.as_str()));
        }
        let attempt = delivery::post(&delivery::client(), &delivery.url, &headers, &body, PATIENCE).await;
        delivery.attempts.push(attempt);
    }
}
