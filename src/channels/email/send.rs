//! Answering by mail: one mail for each reply, in the thread of the mail that is answered.

use serde_json::{Map, Value, json};

use super::address::EmailAddress;
use super::threading::{MAX_SENT_OCTETS, chain, message_ids, reply_subject};
use super::{Email, inbound};
use crate::channels::adapter::{Outgoing, Progress, SendAdapter, Verdict};
use crate::channels::api::{ApiAnswer, ApiCall, Method};
use crate::domain::connection::{Connection, ConnectionSecrets};
use crate::domain::conversation::{ConversationKey, Destination};
use crate::domain::text::{single_line, truncate_plain};

/// Longest name before an address, in characters: programs show less.
const MAX_NAME_CHARS: usize = 64;

impl SendAdapter for Email {
    fn destination(&self, metadata: &Map<String, Value>) -> Option<Destination> {
        inbound::destination(metadata)
    }

    fn next_call(&self, outgoing: &Outgoing<'_>, progress: &Progress) -> Option<ApiCall> {
        let Connection::Email(mailbox) = outgoing.connection else { return None };
        if progress.parts > 0 {
            return None;
        }
        let details = outgoing.details;
        let body = json!({
            "from": with_name(outgoing.label, &mailbox.inbound_address),
            "to": [recipient(outgoing)],
            "subject": reply_subject(&single_line(details["subject"].as_str().unwrap_or_default())),
            "text": outgoing.content,
            "reply_to": mailbox.inbound_address,
            "headers": thread_headers(details),
        });
        Some(self.send(&format!("chaos-{}", outgoing.response), &body))
    }

    fn interpret(&self, _: &Outgoing<'_>, progress: &mut Progress, answer: &ApiAnswer) -> Verdict {
        let verdict = self.verdict(answer);
        if matches!(verdict, Verdict::Arrived { .. }) {
            progress.parts += 1;
            progress.plain = false;
        }
        verdict
    }

    fn typing(&self, _: &Connection, _: &ConnectionSecrets, _: &ConversationKey) -> Option<ApiCall> {
        None
    }
}

impl Email {
    /// A call that sends one mail. Calls with the same key within 24 hours send one mail; 1 to 256 characters.
    ///
    /// Sources: resend.com/docs/api-reference/emails/send-email, /dashboard/emails/idempotency-keys.
    pub(super) fn send(&self, idempotency_key: &str, body: &Value) -> ApiCall {
        self.call("send email", Method::Post, "/emails").header("Idempotency-Key", idempotency_key).json(body)
    }
}

/// The person of the conversation; in their own spelling if the mail that is answered has it.
fn recipient(outgoing: &Outgoing<'_>) -> String {
    let chat = &outgoing.conversation.chat;
    let written = outgoing.details["sender"].as_str().and_then(|sender| EmailAddress::parse_bare(sender).ok());
    written.filter(|sender| sender.as_str() == chat).map_or_else(|| chat.clone(), |sender| sender.as_written())
}

/// Headers that put an answer into its thread and keep other machines from answering it.
///
/// A `Message-ID` of the relay's own is of no use: the provider replaces it.
fn thread_headers(details: &Value) -> Value {
    let mut headers = Map::new();
    let text = |name: &str| details[name].as_str().unwrap_or_default();
    if let Some(parent) = message_ids(text("messageId")).next() {
        let references = message_ids(text("references")).filter(|id| *id != parent).chain([parent]);
        headers.insert("In-Reply-To".to_owned(), parent.into());
        headers.insert("References".to_owned(), chain(references, MAX_SENT_OCTETS).into());
    }
    headers.insert("Auto-Submitted".to_owned(), "auto-replied".into());
    Value::Object(headers)
}

/// `Name <address>`, or the bare address when nothing is left of the name (RFC 5322 §3.4).
///
/// The name loses line breaks, controls and what hides text. Angle brackets go and quotes become apostrophes, for
/// not everything on the way reads escapes in quotes; with any other mark that means something in a header the name
/// is quoted.
pub(super) fn with_name(name: &str, address: &str) -> String {
    let mark = |c: char| match c {
        '<' | '>' => ' ',
        '"' => '\'',
        '\\' => '/',
        c => c,
    };
    let clean: String = single_line(name).chars().map(mark).collect();
    let words: Vec<&str> = clean.split_whitespace().collect();
    let name = words.join(" ");
    let name = truncate_plain(&name, MAX_NAME_CHARS).trim_end();
    if name.is_empty() || name == address {
        return address.to_owned();
    }
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '\'' | '/' | '&' | '+');
    if name.chars().all(is_plain) { format!("{name} <{address}>") } else { format!("\"{name}\" <{address}>") }
}

#[cfg(test)]
mod tests;
