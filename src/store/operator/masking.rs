//! How values of the store are shown to an operator: shortened, in visible characters, and without secrets.
//!
//! What may be secret is recognised by its form wherever it stands, so that a record that gains a secret member does
//! not show it: sealed values, and SHA-256 digests in hex.

use std::borrow::Cow;

/// Bytes of a value that are read to show the beginning of it. More than are shown, since what is masked shrinks.
pub(in crate::store) const LOOKED_AT: usize = 2 * 1024;
/// Characters of a value that are shown.
const SHOWN_CHARS: usize = 400;
/// What stands for a secret that is known to be one.
pub(in crate::store) const MASKED: &str = "(masked)";
/// How sealed values begin.
const SEALED: &str = "s1.";
/// Hex digits of a digest, and how many of them are shown.
const DIGEST_LEN: usize = 64;
const DIGEST_SHOWN: usize = 8;
/// Members of stored JSON that hold secrets or what is derived from them.
const SECRET_MEMBERS: [&str; 3] = ["\"sealedSecret\":\"", "\"sealed\":\"", "\"digest\":\""];

/// The beginning of a value of `len` bytes, of which these are the first.
pub(in crate::store) fn shown(value: &[u8], len: u64) -> String {
    let is_cut = len > value.len() as u64;
    let whole = match std::str::from_utf8(value) {
        Err(error) if is_cut && error.error_len().is_none() => &value[..error.valid_up_to()],
        _ => value,
    };
    let masked = masked(&String::from_utf8_lossy(whole), is_cut);
    let (mut shown, mut chars) = (String::new(), masked.chars());
    for c in chars.by_ref().take(SHOWN_CHARS) {
        if is_visible(c) { shown.push(c) } else { shown.extend(c.escape_default()) }
    }
    if is_cut || chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Whether a character shows itself, and nothing else in another way: no control, no mark of direction, no tag.
fn is_visible(c: char) -> bool {
    let is_mark = matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}');
    !(c.is_control() || is_mark || matches!(c, '\u{E0000}'..='\u{E0FFF}'))
}

/// The text with everything masked that has the form of a secret. The end of a text that was cut may be part of one.
fn masked(text: &str, is_cut: bool) -> String {
    let mut text = Cow::Borrowed(text);
    for member in SECRET_MEMBERS {
        if text.contains(member) {
            text = Cow::Owned(mask_member(&text, member));
        }
    }
    mask_digests(&mask_sealed(&text), is_cut)
}

fn mask_member(text: &str, start: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(start) {
        let value = at + start.len();
        out.push_str(&rest[..value]);
        out.push_str(MASKED);
        rest = &rest[value..];
        rest = &rest[rest.find('"').unwrap_or(rest.len())..];
    }
    out + rest
}

fn mask_sealed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(SEALED) {
        out.push_str(&rest[..at + SEALED.len()]);
        rest = rest[at + SEALED.len()..]
            .trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        out.push('…');
    }
    out + rest
}

fn mask_digests(text: &str, is_cut: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        let may_go_on = is_cut && end == rest.len();
        if end >= DIGEST_LEN || (may_go_on && end > DIGEST_SHOWN) {
            out.push_str(&rest[..DIGEST_SHOWN]);
            out.push('…');
        } else {
            out.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;
    use crate::domain::sealing::{KeyRing, Owner};
    use secrecy::ExposeSecret as _;

    fn whole(text: &str) -> String {
        shown(text.as_bytes(), text.len() as u64)
    }

    #[test]
    fn digests_and_sealed_values_are_masked_wherever_they_stand() {
        let digest = Digest::of(b"secret").to_hex();
        let keys: KeyRing = KeyRing::generate().expose_secret().parse().unwrap();
        let sealed = keys.seal(Owner::Deployment, &"secret".to_owned().into());
        let text = format!(r#"{{"a":"{digest}","b":"{sealed}","c":["{sealed}{digest}"],"d":"plain"}} {digest} "#);
        let shown = whole(&text);
        let short = &digest[..8];
        assert_eq!(shown, format!(r#"{{"a":"{short}…","b":"s1.…","c":["s1.…"],"d":"plain"}} {short}… "#));
        assert_eq!(whole(&digest.to_uppercase()), format!("{}…", short.to_uppercase()));
    }

    #[test]
    fn members_that_hold_secrets_are_masked_whatever_their_form() {
        assert_eq!(
            whole(r#"{"sealedSecret":"abc","x":1,"digest":"","sealed":"never ends"#),
            r#"{"sealedSecret":"(masked)","x":1,"digest":"(masked)","sealed":"(masked)"#
        );
    }

    #[test]
    fn a_secret_at_the_end_of_what_was_read_is_masked_too() {
        let digest = Digest::of(b"secret").to_hex();
        for len in 0..digest.len() {
            let shown = shown(format!("x {}", &digest[..len]).as_bytes(), 5000);
            assert!(!shown.contains(&digest[..9]), "{shown}");
            assert!(shown.ends_with('…'));
        }
        assert_eq!(shown(b"s1.abc", 5000), "s1.……");
        assert_eq!(shown(b"s1.abc\",", 5000), "s1.…\",…");
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        for plain in ["", "0123456789abcdef", "files1 and s1", "cafe, deadbeef", "🦊 ä", "\u{a0}"] {
            assert_eq!(whole(plain), plain);
        }
    }

    #[test]
    fn what_does_not_show_itself_is_made_visible() {
        assert_eq!(whole("a\nb\tc\0d\u{7f}"), "a\\nb\\tc\\u{0}d\\u{7f}");
        assert_eq!(whole("x\u{202e}y\u{200b}z\u{e0041}"), "x\\u{202e}y\\u{200b}z\\u{e0041}");
        assert_eq!(shown(&[b'a', 0xff, b'b'], 3), "a\u{fffd}b");
    }

    #[test]
    fn a_value_is_cut_between_characters() {
        let long = "ä".repeat(SHOWN_CHARS + 1);
        assert_eq!(whole(&long), "ä".repeat(SHOWN_CHARS) + "…");
        assert_eq!(shown(&long.as_bytes()[..101], long.len() as u64), "ä".repeat(50) + "…");
    }
}
