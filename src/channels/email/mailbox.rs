//! Making a new address of the relay.

use super::address::EmailAddress;

/// Random characters of an address: 36^10 values, 51 bits. Nobody finds an address by trying.
const RANDOM_CHARS: usize = 10;
/// Longest readable part, in characters: with the random one it stays well below the 64 of a local part.
const MAX_SLUG_CHARS: usize = 30;
/// The readable part when no name gives one.
const DEFAULT_SLUG: &str = "agent";
/// What the random part is made of.
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// Random bytes from here on are drawn again: the largest multiple of the alphabet's length among the values
/// of a byte, without which some characters would be likelier than others.
const UNBIASED: usize = 256 / ALPHABET.len() * ALPHABET.len();

/// A new address at `domain`: a readable part from the channel's name, else from the name of the mailbox that
/// registers, and ten random characters.
pub fn new_inbound_address(domain: &str, channel_name: Option<&str>, user_email: &EmailAddress) -> String {
    let mailbox = user_email.local().split('+').next().unwrap_or_default();
    let slug = [channel_name.unwrap_or_default(), mailbox].into_iter().map(slug).find(|slug| !slug.is_empty());
    format!("{}-{}@{domain}", slug.as_deref().unwrap_or(DEFAULT_SLUG), random_part())
}

/// `name` in lower-case ASCII letters and digits, with one hyphen for each run of anything else.
fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(MAX_SLUG_CHARS);
    for c in name.chars() {
        if slug.len() == MAX_SLUG_CHARS {
            break;
        }
        match c.to_ascii_lowercase() {
            plain @ ('a'..='z' | '0'..='9') => slug.push(plain),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

fn random_part() -> String {
    let mut part = String::with_capacity(RANDOM_CHARS);
    while part.len() < RANDOM_CHARS {
        let mut bytes = [0_u8; RANDOM_CHARS];
        getrandom::fill(&mut bytes).expect("the system's random generator works");
        let fair = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < UNBIASED);
        part.extend(fair.map(|byte| char::from(ALPHABET[byte % ALPHABET.len()])).take(RANDOM_CHARS - part.len()));
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn slug_of(channel_name: Option<&str>, user_email: &str) -> String {
        let address =
            new_inbound_address("in.example.net", channel_name, &EmailAddress::parse_bare(user_email).unwrap());
        let (local, domain) = address.split_once('@').unwrap();
        assert_eq!(domain, "in.example.net");
        let (slug, random) = local.rsplit_once('-').unwrap();
        assert_eq!(random.len(), 10);
        assert!(random.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
        slug.to_owned()
    }

    #[test]
    fn the_readable_part_is_the_channels_name_or_else_the_mailboxs() {
        for (name, email, slug) in [
            (Some("Support"), "ana@example.com", "support"),
            (Some("My  Café_Bot 2!"), "ana@example.com", "my-caf-bot-2"),
            (Some("--a--"), "ana@example.com", "a"),
            (Some("日本"), "Ana.Lopez+x@example.com", "ana-lopez"),
            (Some(""), "ana@example.com", "ana"),
            (None, "ana_1@example.com", "ana-1"),
            (None, "___@example.com", "agent"),
            (None, "+tag@example.com", "agent"),
            (Some("a\r\nBcc: eve@evil.example"), "ana@example.com", "a-bcc-eve-evil-example"),
        ] {
            assert_eq!(slug_of(name, email), slug, "{name:?} {email}");
        }
    }

    #[test]
    fn the_readable_part_has_at_most_thirty_characters() {
        assert_eq!(slug_of(Some(&"x".repeat(200)), "a@b.example"), "x".repeat(30));
        assert_eq!(slug_of(Some(&format!("{} y", "x".repeat(29))), "a@b.example"), "x".repeat(29));
    }

    #[test]
    fn no_two_addresses_are_alike_and_every_character_comes_up() {
        let parts: HashSet<String> = (0..2_000).map(|_| random_part()).collect();
        assert_eq!(parts.len(), 2_000);
        let seen: HashSet<u8> = parts.iter().flat_map(|part| part.bytes()).collect();
        assert_eq!(seen.len(), ALPHABET.len());
    }

    proptest! {
        #[test]
        fn whatever_the_channel_is_called_the_address_is_one(name in ".*") {
            let email = EmailAddress::parse_bare("ana@example.com").unwrap();
            let address = new_inbound_address("in.example.net", Some(&name), &email);
            let read = EmailAddress::parse_bare(&address).unwrap();
            prop_assert_eq!(read.for_routing(), address);
        }
    }
}
