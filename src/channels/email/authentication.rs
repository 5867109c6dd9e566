//! What the host that took a mail found out about its sender: the `Authentication-Results` header.
//!
//! Anyone can write any `From` and can put this header into a mail. Only the instance that the receiving host
//! added counts: the topmost one, with that host's name in it (RFC 8601 §1.2, §5).

mod results;

use serde_json::{Map, Value};

use super::address::{EmailAddress, ascii_domain};
use super::headers::Headers;
use results::AuthenticationResults;

/// Name of the host that takes the mail for Resend, as it signs its results.
///
/// Resend documents neither the name nor the header; it runs on Amazon SES, which writes
/// `Authentication-Results: amazonses.com; spf=pass …; dkim=pass …; dmarc=pass header.from=…`.
/// Source: docs.aws.amazon.com/ses/latest/dg/receiving-email-concepts.html.
const TRUSTED_HOST: &str = "amazonses.com";
/// The header, in lower case.
const HEADER: &str = "authentication-results";

/// The verdicts about one mail, each as the receiving host named it (`pass`, `fail`, `none` and so on).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authentication {
    spf: Option<String>,
    dkim: Option<String>,
    dmarc: Option<String>,
    is_forged: bool,
}

impl Authentication {
    /// Reads the verdicts about a mail that says to be from `sender`.
    ///
    /// Verdicts are taken from the topmost instance, and from none when it is not the receiving host's or when
    /// the order is not known. A failure counts wherever the host's name stands on it: a forger gains nothing by
    /// adding one, but could otherwise hide the true one behind an instance of their own.
    pub fn read(headers: &Headers, sender: &EmailAddress) -> Self {
        let is_forged = headers.all(HEADER).any(|text| match AuthenticationResults::parse(text) {
            Some(found) => found.is_by(TRUSTED_HOST) && denies(&found, sender),
            // What the sender chose may stand in it, a name that upsets the reading for instance.
            None => text.to_ascii_lowercase().contains("dmarc=fail"),
        });
        let trusted = |text| AuthenticationResults::parse(text).filter(|found| found.is_by(TRUSTED_HOST));
        match headers.topmost(HEADER).and_then(trusted) {
            None => Self { is_forged, ..Self::default() },
            Some(found) => Self {
                spf: found.verdict("spf").map(str::to_owned),
                dkim: found.verdict("dkim").map(str::to_owned),
                dmarc: found.verdict("dmarc").map(str::to_owned),
                is_forged,
            },
        }
    }

    /// Whether the mail is certainly not from whom it says: DMARC failed, or passed for another domain.
    pub fn is_forged(&self) -> bool {
        self.is_forged
    }

    /// The `authentication` of a message's metadata; `None` when nothing is known.
    pub fn to_json(&self) -> Option<Value> {
        let verdicts = [("spf", &self.spf), ("dkim", &self.dkim), ("dmarc", &self.dmarc)];
        let known = |(name, verdict): (&str, &Option<String>)| Some((name.to_owned(), verdict.clone()?.into()));
        let members: Map<String, Value> = verdicts.into_iter().filter_map(known).collect();
        (!members.is_empty()).then_some(Value::Object(members))
    }
}

fn denies(found: &AuthenticationResults, sender: &EmailAddress) -> bool {
    let mut results = found.results_of("dmarc");
    results.any(|result| match result.verdict() {
        "fail" => true,
        "pass" => result.property("header.from").is_some_and(|from| !is_domain_of(from, sender)),
        _ => false,
    })
}

/// Whether `from`, a domain or an address, is the sender's domain or stands above it: a policy may be that of
/// the organisation's domain, and a domain that can pass for itself can pass for those below.
fn is_domain_of(from: &str, sender: &EmailAddress) -> bool {
    let domain = from.rsplit('@').next().unwrap_or_default().trim_end_matches('.');
    let Some(domain) = ascii_domain(domain) else { return false };
    let above = sender.domain().strip_suffix(domain.as_str());
    above.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests;
