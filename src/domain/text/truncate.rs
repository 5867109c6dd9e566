//! Cutting of text that is longer than the relay carries.

use std::borrow::Cow;

/// Longest content of one message, in bytes of UTF-8, the marker of a cut included.
///
/// 64 KiB hold any message written by hand and keep one message a small part of a reader's
/// context.
pub const MAX_CONTENT_BYTES: usize = 64 * 1024;

/// A text within its limit, and how long it was if it had to be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncated {
    /// The text, at most as many bytes of UTF-8 as asked for.
    pub text: String,
    /// Length before the cut, in bytes of UTF-8; `None` when nothing was cut.
    pub original_bytes: Option<usize>,
}

/// The visible note at the end of a cut text; both numbers are bytes of the text itself.
fn marker(shown: usize, total: usize) -> String {
    format!("\n\n[cut by the relay: {shown} of {total} bytes shown]")
}

/// The longest start of `text` that has at most `max_bytes` bytes and ends between characters.
fn start_of(text: &str, max_bytes: usize) -> &str {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Cuts `text` to `max_bytes` bytes of UTF-8, between characters, with a visible marker.
///
/// The marker counts towards `max_bytes` and states how many bytes of how many are shown. A limit
/// too small for the marker gives the start of the text alone. Text within the limit is returned
/// as it is.
pub fn truncate(text: Cow<'_, str>, max_bytes: usize) -> Truncated {
    let total = text.len();
    if total <= max_bytes {
        return Truncated { text: text.into_owned(), original_bytes: None };
    }
    // Fewer bytes than `max_bytes` are shown, so no marker is longer than this one.
    let longest_marker = marker(max_bytes, total).len();
    let cut = match max_bytes.checked_sub(longest_marker) {
        None => start_of(&text, max_bytes).to_owned(),
        Some(room) => {
            let shown = start_of(&text, room);
            format!("{shown}{}", marker(shown.len(), total))
        }
    };
    Truncated { text: cut, original_bytes: Some(total) }
}

/// The first `max_chars` characters (Unicode scalar values) of `text`, with an ellipsis if that is not all.
pub fn preview(text: &str, max_chars: usize) -> Cow<'_, str> {
    let start = truncate_plain(text, max_chars);
    if start.len() == text.len() { text.into() } else { format!("{start}…").into() }
}

/// The first `max_chars` characters (Unicode scalar values) of `text`, without any marker.
///
/// Meant for name-like fields, in which a marker would read as part of the name.
pub fn truncate_plain(text: &str, max_chars: usize) -> &str {
    match text.char_indices().nth(max_chars) {
        None => text,
        Some((end, _)) => &text[..end],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str, max_bytes: usize) -> Truncated {
        truncate(Cow::Borrowed(text), max_bytes)
    }

    #[test]
    fn text_of_exactly_the_limit_stays() {
        let text = "x".repeat(MAX_CONTENT_BYTES);
        let whole = cut(&text, MAX_CONTENT_BYTES);
        assert_eq!(whole.text, text);
        assert_eq!(whole.original_bytes, None);
    }

    #[test]
    fn one_byte_more_is_cut_and_the_marker_counts() {
        let short = cut(&"x".repeat(65_537), MAX_CONTENT_BYTES);
        assert_eq!(short.original_bytes, Some(65_537));
        assert_eq!(short.text.len(), 65_536);
        let shown = short.text.bytes().take_while(|b| *b == b'x').count();
        let tail = format!("\n\n[cut by the relay: {shown} of 65537 bytes shown]");
        assert_eq!(&short.text[shown..], tail);
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        for lead in 0..4 {
            let text = format!("{}{}", "x".repeat(lead), "🦀".repeat(20_000));
            let short = cut(&text, MAX_CONTENT_BYTES);
            assert!(short.text.len() <= MAX_CONTENT_BYTES);
            assert!(short.text.len() > MAX_CONTENT_BYTES - 4);
            let end = short.text.find("\n\n[cut").unwrap();
            assert!(text.starts_with(&short.text[..end]));
            assert!(short.text[end..].contains(&format!("{end} of {} bytes", text.len())));
        }
    }

    #[test]
    fn a_limit_below_the_marker_gives_the_start_alone() {
        let short = cut("ééééé", 3);
        assert_eq!(short.text, "é");
        assert_eq!(short.original_bytes, Some(10));
        assert_eq!(cut("é", 0).text, "");
    }

    #[test]
    fn a_plain_cut_counts_characters() {
        assert_eq!(truncate_plain("añb🦀c", 4), "añb🦀");
        assert_eq!(truncate_plain("añb", 3), "añb");
        assert_eq!(truncate_plain("añb", 0), "");
    }

    proptest! {
        #[test]
        fn a_cut_text_is_within_its_limit_and_tells_true_numbers(
            text in "[aé🦀\n]{0,400}", limit in 0_usize..600
        ) {
            let short = cut(&text, limit);
            prop_assert!(short.text.len() <= limit);
            prop_assert_eq!(short.original_bytes.is_some(), text.len() > limit);
            if short.original_bytes.is_none() {
                prop_assert_eq!(&short.text, &text);
            } else if let Some(end) = short.text.find("\n\n[cut") {
                prop_assert!(text.starts_with(&short.text[..end]));
                prop_assert_eq!(&short.text[end..], marker(end, text.len()));
            } else {
                prop_assert!(text.starts_with(&short.text));
            }
        }
    }
}
