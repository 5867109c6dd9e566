//! The mail that asks a person to confirm that a mailbox is theirs.

use serde_json::json;

use super::Email;
use super::address::EmailAddress;
use super::send::with_name;
use crate::channels::adapter::{RegistrationError, Verdict};
use crate::channels::api::{ApiAnswer, ApiCall};
use crate::domain::digest::Digest;
use crate::domain::text::truncate_plain;

/// Who the mail is from.
const SENDER_NAME: &str = "CHAOS relay";
/// The local part of that address. Nobody reads what comes to it.
const SENDER_LOCAL: &str = "no-reply";
/// Its subject.
const SUBJECT: &str = "Confirm your address";
/// Longest channel name that is repeated, in characters.
const MAX_LABEL_CHARS: usize = 64;

impl Email {
    /// The mail with the link that confirms `to` for the new address `inbound_address`. The link is a secret until
    /// it is used. The same link is mailed once, however often the call is made within 24 hours.
    pub fn verification_mail(
        &self,
        to: &EmailAddress,
        inbound_address: &str,
        link: &str,
        channel_label: &str,
    ) -> ApiCall {
        let domain = inbound_address.rsplit('@').next().unwrap_or(&self.domain);
        let label = harmless(channel_label);
        let body = json!({
            "from": with_name(SENDER_NAME, &format!("{SENDER_LOCAL}@{domain}")),
            "to": [to.as_written()],
            "subject": SUBJECT,
            "text": text(inbound_address, link, &label),
            "html": html(inbound_address, link, &label),
            "headers": {"Auto-Submitted": "auto-generated"},
        });
        let digest = Digest::of(link.as_bytes()).to_hex();
        self.send(&format!("chaos-verify-{digest}"), &body)
    }

    /// Whether that mail was taken.
    pub fn read_sent(&self, answer: &ApiAnswer) -> Result<(), RegistrationError> {
        match self.verdict(answer) {
            Verdict::Arrived { .. } | Verdict::Reformed => Ok(()),
            Verdict::Later { reason, .. } | Verdict::QuotaSpent { reason, .. } => {
                Err(RegistrationError::Unavailable(reason))
            }
            Verdict::Refused { reason } | Verdict::Revoked { reason } => Err(RegistrationError::Refused(reason)),
        }
    }
}

fn text(inbound_address: &str, link: &str, label: &str) -> String {
    format!(
        "Somebody, probably you, connected this mail address to the channel \"{label}\" of a CHAOS relay.\n\n\
         Confirm it here within 24 hours:\n{link}\n\n\
         After that, mail from you to {inbound_address} reaches your agent.\n\n\
         If this was not you, ignore this mail: nothing happens then.\n"
    )
}

fn html(inbound_address: &str, link: &str, label: &str) -> String {
    let [inbound_address, link, label] = [inbound_address, link, label].map(escape);
    format!(
        "<p>Somebody, probably you, connected this mail address to the channel &quot;{label}&quot; of a CHAOS relay.</p>\
         <p><a href=\"{link}\">Confirm it</a> within 24 hours.</p>\
         <p>After that, mail from you to {inbound_address} reaches your agent.</p>\
         <p>If this was not you, ignore this mail: nothing happens then.</p>"
    )
}

/// A channel's name as words. Whoever registers chooses both the name and who gets the mail, so there must be no
/// link in it, nor anything that mail programs make one of.
fn harmless(label: &str) -> String {
    let words = label.split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_' | '\'' | '&' | '+'));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    truncate_plain(&words.join(" "), MAX_LABEL_CHARS).trim_end().to_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests;
