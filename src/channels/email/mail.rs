//! A mail as it was fetched.

use serde_json::Value;

use super::headers::Headers;
use super::{html, read_subject, read_text};
use crate::channels::api::ApiAnswer;
use crate::domain::text::{single_line, truncate_plain};

/// Most attachments that are named.
const MAX_ATTACHMENTS: usize = 50;
/// Longest name of an attachment, in characters.
const MAX_FILE_NAME_CHARS: usize = 200;

/// What came of fetching a mail.
#[derive(Debug)]
pub enum Fetched {
    /// The mail.
    Mail(Box<FetchedMail>),
    /// It cannot be had, now or later. Says why.
    Gone(String),
    /// Not now. Says why.
    Later(String),
}

/// A mail as Resend gives it.
#[derive(Debug)]
pub struct FetchedMail {
    /// Its `From`.
    pub from: Option<String>,
    /// Its subject, on one line; `None` when it is not named.
    pub subject: Option<String>,
    /// Its `Message-ID`, as it stands there.
    pub message_id: Option<String>,
    /// The text part, else the text of the HTML part; empty when there is neither.
    pub text: String,
    /// What the attachments are called, as far as they are named.
    pub attachments: Vec<String>,
    /// Attachments that are not named, for there were too many.
    pub more_attachments: usize,
    /// Its headers.
    pub headers: Headers,
}

impl Fetched {
    /// Reads the answer to the call that fetches a mail.
    ///
    /// Source: resend.com/docs/api-reference/emails/retrieve-received-email.
    pub(super) fn read(answer: &ApiAnswer) -> Self {
        if !(200..300).contains(&answer.status) {
            return Self::refused(answer);
        }
        match serde_json::from_slice::<Value>(&answer.body) {
            Ok(mail @ Value::Object(_)) => Self::Mail(Box::new(FetchedMail::read(&mail))),
            // Of a body that is larger than the limit of the call the end is missing, and always will be.
            Err(error) if error.is_eof() && !answer.body.is_empty() => Self::Gone("the mail is too large".to_owned()),
            _ => Self::Later("the answer cannot be read".to_owned()),
        }
    }

    fn refused(answer: &ApiAnswer) -> Self {
        let body = answer.json();
        let name = body["name"].as_str().unwrap_or_default();
        let why = format!("{} {name}", answer.status);
        match answer.status {
            // The mail was deleted, or the id is not one that Resend knows.
            400 | 404 | 410 | 422 => Self::Gone(why),
            // It came in above the quota, and its content is kept back.
            403 if name == "email_above_quota" => Self::Gone(why),
            // The rest may be mended, the operator's key included; until then Resend delivers the event again.
            _ => Self::Later(why),
        }
    }
}

impl FetchedMail {
    fn read(mail: &Value) -> Self {
        let list = mail["attachments"].as_array().map(Vec::as_slice).unwrap_or_default();
        let attachments: Vec<String> = list.iter().take(MAX_ATTACHMENTS).map(attachment_name).collect();
        Self {
            from: read_text(&mail["from"]).map(str::to_owned),
            subject: mail["subject"].is_string().then(|| read_subject(&mail["subject"])),
            message_id: read_text(&mail["message_id"]).map(str::to_owned),
            text: match (read_text(&mail["text"]), read_text(&mail["html"])) {
                (Some(text), _) => text.trim_end().to_owned(),
                (None, Some(html)) => html::to_text(html),
                (None, None) => String::new(),
            },
            more_attachments: list.len() - attachments.len(),
            attachments,
            headers: Headers::read(&mail["headers"]),
        }
    }
}

fn attachment_name(attachment: &Value) -> String {
    let named = ["filename", "content_type"].into_iter().find_map(|field| read_text(&attachment[field]));
    // A bracket would end the note in which the name stands.
    let name = single_line(named.unwrap_or("without a name")).replace(['[', ']'], "_");
    truncate_plain(name.trim(), MAX_FILE_NAME_CHARS).to_owned()
}

#[cfg(test)]
mod tests;
