//! The event that tells of a mail: who wrote to whom. The mail itself has to be fetched.

use serde_json::Value;

use super::address::{EmailAddress, InvalidAddress};
use super::{read_subject, read_text};

/// Most recipients of one mail that are looked up. Resend takes no more for one mail that it sends.
const MAX_RECIPIENTS: usize = 50;
/// Longest id of a mail, in characters. They are UUIDs.
const MAX_ID_CHARS: usize = 64;

/// What an event of Resend says.
#[derive(Debug)]
pub enum Notice {
    /// A mail came in.
    Received(Box<ReceivedNotice>),
    /// Nothing that concerns the relay, or nothing that can be read.
    Other,
}

/// A mail that came in.
#[derive(Debug)]
pub struct ReceivedNotice {
    /// The mail's id at Resend, the same for every delivery; 1 to 64 characters of `A-Za-z0-9_-`.
    pub email_id: String,
    /// Who it says to be from.
    pub from: Result<EmailAddress, InvalidAddress>,
    /// Who it was sent to, in the form of [`EmailAddress::for_routing`]; each once, those at the relay's domain
    /// first, at most 50.
    pub recipients: Vec<String>,
    /// The subject, on one line; empty if there is none.
    pub subject: String,
    /// The `Message-ID`, as it stands there.
    pub message_id: Option<String>,
}

impl Notice {
    /// Reads an event. `own_domain` is where the relay's addresses are; there may be older ones elsewhere.
    ///
    /// Source: resend.com/docs/webhooks/emails/received.
    pub(super) fn read(body: &[u8], own_domain: &str) -> Self {
        let event: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let data = &event["data"];
        if event["type"] != "email.received" {
            return Self::Other;
        }
        let Some(email_id) = data["email_id"].as_str().filter(|id| is_safe_id(id)) else { return Self::Other };
        Self::Received(Box::new(ReceivedNotice {
            email_id: email_id.to_owned(),
            from: data["from"].as_str().ok_or(InvalidAddress::Missing).and_then(EmailAddress::parse),
            recipients: recipients(data, own_domain),
            subject: read_subject(&data["subject"]),
            message_id: read_text(&data["message_id"]).map(str::to_owned),
        }))
    }
}

/// The id goes into the path of a URL.
fn is_safe_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_ID_CHARS).contains(&id.len()) && id.bytes().all(is_plain)
}

/// Who really received the mail, if Resend says; the headers do not name a recipient in `Bcc`, nor one that the
/// mail was forwarded to.
fn recipients(data: &Value, own_domain: &str) -> Vec<String> {
    let received_for = addresses(&data["received_for"]);
    let mut named: Vec<EmailAddress> = if received_for.is_empty() {
        ["to", "cc", "bcc"].iter().flat_map(|field| addresses(&data[field])).collect()
    } else {
        received_for
    };
    // However many there are beside them, the relay's own are not cut off.
    named.sort_by_key(|address| address.domain() != own_domain);
    let mut recipients = Vec::new();
    for recipient in named.iter().map(EmailAddress::for_routing) {
        if recipients.len() == MAX_RECIPIENTS {
            break;
        }
        if !recipients.contains(&recipient) {
            recipients.push(recipient);
        }
    }
    recipients
}

/// The addresses of a field, which is a list of texts or one text.
fn addresses(field: &Value) -> Vec<EmailAddress> {
    let texts = match field {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    texts.iter().filter_map(Value::as_str).flat_map(EmailAddress::parse_list).collect()
}

#[cfg(test)]
mod tests;
