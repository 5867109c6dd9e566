//! A mail as a message to the client.

use serde_json::{Map, Value, json};

use super::address::EmailAddress;
use super::authentication::Authentication;
use super::mail::FetchedMail;
use super::notice::ReceivedNotice;
use super::threading::{MAX_KEPT_OCTETS, MAX_SENT_OCTETS, chain, message_ids};
use crate::channels::adapter::Inbound;
use crate::domain::conversation::{ConversationKey, Destination};
use crate::domain::text;

/// Longest id of a mail that is not of the proper form, in characters.
const MAX_ODD_ID_CHARS: usize = 400;
/// What stands in for the text of a mail that could not be fetched.
const NOT_FETCHED: &str = "[The text of this mail could not be fetched.]";
/// `mediaType` of a mail that is nothing but attachments.
const ATTACHMENT: &str = "attachment";

/// The message that a mail makes for the channel at `to`. Without a `mail`, which could not be fetched, it has the
/// subject and a note.
pub(super) fn to_inbound(
    notice: &ReceivedNotice,
    sender: &EmailAddress,
    mail: Option<&FetchedMail>,
    to: &str,
) -> Inbound {
    let subject = mail.and_then(|mail| mail.subject.as_ref()).unwrap_or(&notice.subject);
    let thread = Thread::of(notice, mail);
    let answered = thread.in_reply_to.as_deref().and_then(shown_id);
    let mut metadata = Map::new();
    metadata.insert("senderAddress".to_owned(), sender.as_str().into());
    metadata.insert("subject".to_owned(), text::sanitise(subject).into());
    metadata.insert("toAddress".to_owned(), to.into());
    metadata.insert("threadId".to_owned(), answered.as_ref().unwrap_or(&thread.id).as_str().into());
    metadata.insert("isReply".to_owned(), thread.in_reply_to.is_some().into());
    metadata.insert("emailMessageId".to_owned(), thread.id.as_str().into());
    let authentication = mail.and_then(|mail| Authentication::read(&mail.headers, sender).to_json());
    let has_nothing_but_files = mail.is_some_and(|mail| mail.text.is_empty() && !mail.attachments.is_empty());
    for (name, value) in [
        ("inReplyTo", answered.map(Value::from)),
        ("references", thread.references.as_deref().map(Value::from)),
        ("authentication", authentication),
        ("mediaType", has_nothing_but_files.then(|| ATTACHMENT.into())),
    ] {
        if let Some(value) = value {
            metadata.insert(name.to_owned(), value);
        }
    }
    // The conversation is named by what an answer will bring back: the metadata as they are stored, which is cleaned.
    // To a cleaner an odd message id such as `<b/1@example.com>` is a tag.
    let metadata: Map<_, _> = metadata.into_iter().map(|(name, value)| (name, text::sanitise_json(value))).collect();
    Inbound {
        sender: sender.as_str().into(),
        from: sender.as_str().to_owned(),
        content: content(subject, mail),
        repeat_key: notice.email_id.clone(),
        conversation: ConversationKey::new(sender.as_str(), root_of(&metadata).as_deref()),
        details: thread.details(subject, sender),
        metadata,
        answer_secret: None,
        is_question: false,
        pairing: None,
        is_group: false,

        only_in_known_conversation: false,
        answers_in_response: false,
        acknowledge: None,
    }
}

/// Where a reply with this metadata goes: the thread whose mail they came with, else the sender.
pub fn destination(metadata: &Map<String, Value>) -> Option<Destination> {
    let chat = match metadata.get("senderAddress")? {
        Value::Null => return None,
        // What is no address is nobody's conversation either, and must not become somebody else's.
        Value::String(text) => {
            EmailAddress::parse(text).map_or_else(|_| text.clone(), |sender| sender.as_str().to_owned())
        }
        other => other.to_string(),
    };
    let key = ConversationKey::new(&chat, root_of(metadata).as_deref());
    Some(if key.thread.is_some() { Destination::Exactly(key) } else { Destination::Chat(key.chat) })
}

/// The mail that a thread began with, which is the same for every mail of the thread: the first of the references,
/// else the mail that was answered, else the mail itself.
fn root_of(metadata: &Map<String, Value>) -> Option<String> {
    let said = |name: &str| metadata.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let first = said("references").and_then(|references| message_ids(references).next());
    first.or_else(|| said("inReplyTo")).or_else(|| said("emailMessageId")).map(str::to_owned)
}

fn content(subject: &str, mail: Option<&FetchedMail>) -> String {
    let mut content = format!("Subject: {subject}\n\n");
    let Some(mail) = mail else { return content + NOT_FETCHED };
    content.push_str(&mail.text);
    let names = mail.attachments.iter().map(|name| format!("[attachment: {name}]"));
    let more = (mail.more_attachments > 0).then(|| format!("[{} more attachments]", mail.more_attachments));
    let notes: Vec<String> = names.chain(more).collect();
    if !notes.is_empty() && !mail.text.is_empty() {
        content.push_str("\n\n");
    }
    content + &notes.join("\n")
}

/// A message id as the metadata have it, on one line and cleaned, or `None` if nothing is left of it. A reply
/// finds its conversation by what is left, so it must not be empty.
fn shown_id(id: &str) -> Option<String> {
    let line = text::single_line(id);
    let clean = text::sanitise(text::truncate_plain(line.trim(), MAX_ODD_ID_CHARS));
    Some(clean.trim().to_owned()).filter(|id| !id.is_empty())
}

/// A mail's place among others.
struct Thread {
    /// Its own id, never empty: what it calls itself, else what Resend calls it.
    id: String,
    /// Its own id, if that is one that can stand in a header.
    message_id: Option<String>,
    in_reply_to: Option<String>,
    references: Option<String>,
}

impl Thread {
    fn of(notice: &ReceivedNotice, mail: Option<&FetchedMail>) -> Self {
        let header = |name: &str| mail.and_then(|mail| mail.headers.first(name)).unwrap_or_default();
        let named =
            mail.and_then(|mail| mail.message_id.as_deref()).or(notice.message_id.as_deref()).unwrap_or_default();
        let message_id = message_ids(named).next().map(str::to_owned);
        let own = shown_id(message_id.as_deref().unwrap_or(named));
        let references = chain(message_ids(header("references")), MAX_KEPT_OCTETS);
        Self {
            id: own.unwrap_or_else(|| notice.email_id.clone()),
            message_id,
            in_reply_to: message_ids(header("in-reply-to")).next().map(str::to_owned),
            references: (!references.is_empty()).then_some(references),
        }
    }

    /// What an answer to this mail needs. Its `references` are this mail's, or what it answers if it has none.
    fn details(&self, subject: &str, sender: &EmailAddress) -> Value {
        let before = self.references.as_deref().or(self.in_reply_to.as_deref()).unwrap_or_default();
        json!({
            "messageId": self.message_id,
            "references": chain(message_ids(before), MAX_SENT_OCTETS),
            "subject": subject,
            "sender": sender.as_written(),
        })
    }
}

#[cfg(test)]
mod tests;
