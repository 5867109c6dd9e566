//! Mail addresses: reading them from headers and forms, and comparing them.

use std::fmt;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use mailparse::MailAddr;

/// Longest address, in octets: a path of 256 with its angle brackets (RFC 5321 §4.5.3.1.3).
const MAX_ADDRESS_OCTETS: usize = 254;
/// Longest local part, in octets (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL_OCTETS: usize = 64;
/// Longest text that is looked at for one address, in bytes: an address with a very long name.
const MAX_MAILBOX_BYTES: usize = 4096;

/// Why a text is not the address of one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// There is none.
    #[error("there is no mail address")]
    Missing,
    /// Longer than mail allows.
    #[error("the mail address is too long")]
    TooLong,
    /// More than one. It must not be enough that any one of them is known.
    #[error("there is more than one mail address")]
    Several,
    /// A group, with or without members.
    #[error("a group is no mail address")]
    Group,
    /// Anything else, and forms that hardly anybody uses: quoted local parts and numeric domains.
    #[error("the mail address is malformed")]
    Malformed,
}

/// The address of one person: `local@domain`.
///
/// Two addresses are equal when their normalised forms are. The local part is a dot-atom of ASCII
/// (RFC 5322 §3.2.3), the domain is a name of at least two labels in its IDNA A-label form.
#[derive(Clone)]
pub struct EmailAddress {
    /// The local part as it was written.
    local: String,
    /// Lower case throughout.
    normalised: String,
}

impl EmailAddress {
    /// Reads the text of a header that holds exactly one address: `addr` or `Name <addr>`.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        if text.len() > MAX_MAILBOX_BYTES {
            return Err(InvalidAddress::TooLong);
        }
        let Ok(list) = mailparse::addrparse(text) else { return Self::behind_unquoted_name(text) };
        match list.as_slice() {
            [] => Err(InvalidAddress::Missing),
            [MailAddr::Single(one)] => Self::parse_bare(&one.addr),
            several if several.iter().any(|one| matches!(one, MailAddr::Group(_))) => Err(InvalidAddress::Group),
            _ => Err(InvalidAddress::Several),
        }
    }

    /// Reads a bare address: no name, no brackets, no comment.
    pub fn parse_bare(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim_matches([' ', '\t']);
        if text.is_empty() {
            return Err(InvalidAddress::Missing);
        }
        // A U-label may be longer than its A-label; four times is more than any can be.
        if text.len() > 4 * MAX_ADDRESS_OCTETS {
            return Err(InvalidAddress::TooLong);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidAddress::Malformed)?;
        if !is_dot_atom(local) {
            return Err(InvalidAddress::Malformed);
        }
        let domain = ascii_domain(domain).ok_or(InvalidAddress::Malformed)?;
        let normalised = format!("{}@{domain}", local.to_ascii_lowercase());
        if local.len() > MAX_LOCAL_OCTETS || normalised.len() > MAX_ADDRESS_OCTETS {
            return Err(InvalidAddress::TooLong);
        }
        Ok(Self { local: local.to_owned(), normalised })
    }

    /// Reads the addresses of a header that may hold any number of them, groups included, and passes over
    /// what is none.
    pub fn parse_list(text: &str) -> Vec<Self> {
        let Ok(list) = mailparse::addrparse(text) else { return Self::parse(text).into_iter().collect() };
        let mut found = Vec::new();
        for entry in list.iter() {
            let members = match entry {
                MailAddr::Single(one) => std::slice::from_ref(one),
                MailAddr::Group(group) => &group.addrs,
            };
            // The parser takes a comma behind a group, or in place of an entry, for a part of the next one.
            let bare = members.iter().map(|one| one.addr.trim_start_matches([',', ' ']));
            found.extend(bare.filter_map(|address| Self::parse_bare(address).ok()));
        }
        found
    }

    /// Mail programs and providers write `Doe, John <john@example.com>` without the quotes that the comma
    /// needs. With a single `@` in the whole text there is but one address that this can mean.
    fn behind_unquoted_name(text: &str) -> Result<Self, InvalidAddress> {
        let (name, rest) = text.rsplit_once('<').ok_or(InvalidAddress::Malformed)?;
        let address = rest.trim_end().strip_suffix('>').ok_or(InvalidAddress::Malformed)?;
        if name.contains(['@', '<', '>', ':', ';']) {
            return Err(InvalidAddress::Malformed);
        }
        Self::parse_bare(address)
    }

    /// The normalised form: the domain as lower-case A-labels, the local part in lower case. Addresses are
    /// compared and stored in this form; all hosts that matter ignore the case of the local part.
    pub fn as_str(&self) -> &str {
        &self.normalised
    }

    /// The form to send to: the local part in the case it was written in, which is its host's business.
    pub fn as_written(&self) -> String {
        format!("{}@{}", self.local, self.domain())
    }

    /// What stands before the `@`, in lower case.
    pub fn local(&self) -> &str {
        &self.normalised[..self.local.len()]
    }

    /// The domain, as lower-case A-labels.
    pub fn domain(&self) -> &str {
        &self.normalised[self.local.len() + 1..]
    }

    /// The address by which a recipient is looked up: without the `+tag`, which people may add to an address
    /// of the relay as they like. Of a sender the tag says who it is, so it stays.
    pub fn for_routing(&self) -> String {
        match self.local().split_once('+') {
            Some((name, _)) if !name.is_empty() => format!("{name}@{}", self.domain()),
            _ => self.normalised.clone(),
        }
    }
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.normalised == other.normalised
    }
}

impl Eq for EmailAddress {}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({})", self.normalised)
    }
}

fn is_dot_atom(local: &str) -> bool {
    let atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(atext))
}

/// A domain name as lower-case A-labels; `None` for a single label, an address literal and whatever is no name.
///
/// A name in Unicode has to be in its normal form already: `ｅxample.com` with a full-width letter is read as
/// `example.com` by some software and as an unknown name by the software that checks who sent the mail.
pub(super) fn ascii_domain(domain: &str) -> Option<String> {
    let (std3, hyphens) = (AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    let ascii = Uts46::new().to_ascii(domain.as_bytes(), std3, hyphens, DnsLength::Verify).ok()?;
    if !domain.is_ascii() {
        let (unicode, valid) = Uts46::new().to_unicode(ascii.as_bytes(), std3, hyphens);
        if valid.is_err() || unicode != domain.to_lowercase() {
            return None;
        }
    }
    ascii.contains('.').then(|| ascii.into_owned())
}

#[cfg(test)]
mod tests;
