//! Mail through Resend: one address of the relay for each channel.
//!
//! An event tells of a mail, which is then fetched with the operator's key; answers go out under the address that
//! was written to. There is one key for all channels, so what it may not do is no channel's fault.

mod address;
mod authentication;
mod automatic;
mod headers;
mod html;
mod inbound;
mod mail;
pub mod mailbox;
mod notice;
mod send;
mod threading;
mod verdict;
mod verification;

use secrecy::SecretString;
use serde_json::Value;

pub use address::{EmailAddress, InvalidAddress};
pub use authentication::Authentication;
pub use inbound::destination;
pub use mail::{Fetched, FetchedMail};
pub use mailbox::new_inbound_address;
pub use notice::{Notice, ReceivedNotice};

use super::adapter::Inbound;
use super::api::{ApiAnswer, ApiCall, Method};
use crate::domain::channel::ChannelKind;
use crate::domain::text::{single_line, truncate_plain};

/// Resend refuses requests that do not name their program (403, `error code: 1010`).
const USER_AGENT: &str = concat!("chaos-relay/", env!("CARGO_PKG_VERSION"));
/// Largest mail that is fetched, in bytes of JSON, its attachments left out. Text beyond 64 KiB is cut anyway.
const MAX_MAIL_BYTES: usize = 4 * 1024 * 1024;
/// Longest subject, in characters: a line of mail (RFC 5322 §2.1.1).
const MAX_SUBJECT_CHARS: usize = 998;

/// The relay's side of Resend.
#[derive(Debug)]
pub struct Email {
    /// Base URL of the API, without a slash at its end.
    base: String,
    api_key: SecretString,
    /// The domain of the relay's addresses, as lower-case A-labels.
    domain: String,
}

impl Email {
    /// With the API at `base`, such as `https://api.resend.com`, and addresses at `domain`.
    pub fn new(base: &str, api_key: SecretString, domain: &str) -> Self {
        let domain = address::ascii_domain(domain).unwrap_or_else(|| domain.to_ascii_lowercase());
        Self { base: base.trim_end_matches('/').to_owned(), api_key, domain }
    }

    /// The domain of the relay's addresses, as lower-case A-labels.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Reads a verified event. No body is an error: whatever cannot be read is none of the relay's business.
    pub fn read_notice(&self, body: &[u8]) -> Notice {
        Notice::read(body, &self.domain)
    }

    /// Why a mail is not wanted, as far as its event tells.
    pub fn judge_notice(&self, notice: &ReceivedNotice) -> Option<&'static str> {
        match &notice.from {
            Ok(sender) => automatic::by_sender(sender, &self.domain),
            Err(_) => Some("it does not say who one sender is"),
        }
    }

    /// The call that fetches a mail. `email_id` is one of a [`ReceivedNotice`].
    ///
    /// Images stay references; the default puts them into the HTML.
    /// Source: resend.com/docs/api-reference/emails/retrieve-received-email.
    pub fn fetch(&self, email_id: &str) -> ApiCall {
        self.call("retrieve received email", Method::Get, &format!("/emails/receiving/{email_id}?html_format=cid"))
            .max_body(MAX_MAIL_BYTES)
    }

    /// Reads the answer to that call.
    pub fn read_fetched(&self, answer: &ApiAnswer) -> Fetched {
        match Fetched::read(answer) {
            Fetched::Gone(why) => Fetched::Gone(self.shown_reason(&why)),
            Fetched::Later(why) => Fetched::Later(self.shown_reason(&why)),
            mail @ Fetched::Mail(_) => mail,
        }
    }

    /// Why a mail that says to be from `sender` is not wanted: a machine wrote it, or somebody else.
    pub fn judge_mail(&self, sender: &EmailAddress, mail: &FetchedMail) -> Option<&'static str> {
        automatic::by_sender(sender, &self.domain)
            .or_else(|| automatic::by_headers(&mail.headers))
            .or_else(|| names_another_sender(sender, mail).then_some("its header names another sender"))
            .or_else(|| {
                let is_forged = Authentication::read(&mail.headers, sender).is_forged();
                is_forged.then_some("its sender is forged (DMARC)")
            })
    }

    /// The message that a mail makes for the channel with the address `to`. Without a `mail`, which could not be
    /// fetched, it has the subject and a note.
    pub fn to_inbound(
        &self,
        notice: &ReceivedNotice,
        sender: &EmailAddress,
        mail: Option<&FetchedMail>,
        to: &str,
    ) -> Inbound {
        inbound::to_inbound(notice, sender, mail, to)
    }

    fn call(&self, name: &'static str, method: Method, path: &str) -> ApiCall {
        ApiCall::new(ChannelKind::Email, name, method, format!("{}{path}", self.base))
            .authorization("Bearer", &self.api_key)
            .header("User-Agent", USER_AGENT)
    }
}

/// Whether the mail itself names somebody else, or more than one. A second `From` is a known way around checks
/// that look at the first, and readers show either.
fn names_another_sender(sender: &EmailAddress, mail: &FetchedMail) -> bool {
    let is_other = |text: &str| match EmailAddress::parse(text) {
        Ok(named) => named != *sender,
        Err(InvalidAddress::Several | InvalidAddress::Group) => true,
        // Nothing can be made of it; the sender was read from what Resend made of it.
        Err(_) => false,
    };
    mail.from.as_deref().into_iter().chain(mail.headers.all("from")).any(is_other)
        || mail.headers.all("from").count() > 1
}

/// A text that says something.
fn read_text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.trim().is_empty())
}

/// A subject on one line, within its limit; empty if there is none.
fn read_subject(value: &Value) -> String {
    let line = single_line(value.as_str().unwrap_or_default());
    truncate_plain(line.trim(), MAX_SUBJECT_CHARS).to_owned()
}

#[cfg(test)]
mod tests;
