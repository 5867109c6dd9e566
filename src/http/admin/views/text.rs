//! What strangers and agents wrote, as an operator may look at it safely.

use serde::Serialize;

use super::format::bytes;

/// Characters of a content that are shown at once; the whole unfolds.
const PREVIEW_CHARS: usize = 300;
/// Lines of it that are shown at once.
const PREVIEW_LINES: usize = 8;
/// Characters of a name, a reason or an error that are shown. What the relay accepts as such is no longer.
const LINE_CHARS: usize = 300;

/// A text of any length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Body {
    /// All of it.
    text: String,
    /// Its beginning, if that is not all.
    preview: Option<String>,
    /// Its size.
    size: String,
}

impl Body {
    pub(super) fn new(raw: &str) -> Self {
        let text = visible(raw);
        let mut lines = 0;
        let end = text.char_indices().enumerate().find_map(|(n, (at, char))| {
            lines += usize::from(char == '\n');
            (n == PREVIEW_CHARS || lines == PREVIEW_LINES).then_some(at)
        });
        let preview = end.map(|end| format!("{} …", text[..end].trim_end()));
        Self { preview, size: bytes(raw.len() as u64), text }
    }
}

/// Makes visible what a reader could not see or be misled by: controls, and marks that turn the direction of the text
/// around them. Line breaks and tabs stay.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' | '\t' => shown.push(char),
            // The pictures of the controls stand in their order.
            '\0'..='\u{1f}' => shown.extend(char::from_u32(0x2400 + u32::from(char))),
            '\u{7f}' => shown.push('\u{2421}'),
            '\u{80}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}' => shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(char))),
            _ => shown.push(char),
        }
    }
    shown
}

/// What is short by its nature, such as a name, in one line; one that is not is cut.
pub(super) fn line(text: &str) -> String {
    snippet(text, LINE_CHARS)
}

/// The beginning of a text in one line, at most `limit` characters; what was cut ends in `…`.
pub(super) fn snippet(text: &str, limit: usize) -> String {
    // Of a long text no more is looked at than can be shown, blanks apart.
    let mut words = text.split_whitespace();
    let mut line = String::new();
    for word in words.by_ref() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.chars().nth(limit).is_some() {
            break;
        }
    }
    let cut = line.char_indices().nth(limit).map(|(at, _)| at);
    match cut {
        Some(at) => visible(&line[..at]) + "…",
        None => visible(&line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_made_visible_and_nothing_else_changes() {
        assert_eq!(visible("a\0b\u{1b}\u{7f}\u{85}\u{202e}c\n\t👩‍👩‍👧 שלום"), "a␀b␛␡⟨U+0085⟩⟨U+202E⟩c\n\t👩‍👩‍👧 שלום");
    }

    #[test]
    fn a_long_text_has_a_beginning_and_a_size() {
        let short = Body::new("hello");
        assert_eq!((short.preview, short.size.as_str()), (None, "5 B"));
        assert_eq!(Body::new(&"é".repeat(300)).preview, None);
        let long = Body::new(&"é".repeat(301));
        assert_eq!(long.preview.unwrap(), "é".repeat(300) + " …");
        assert_eq!((long.text.chars().count(), long.size.as_str()), (301, "602 B"));
        let tall = Body::new(&"line\n".repeat(20));
        assert_eq!(tall.preview.unwrap().lines().count(), PREVIEW_LINES);
    }

    #[test]
    fn a_snippet_is_one_line() {
        assert_eq!(snippet(" a\n\n b\tc ", 100), "a b c");
        assert_eq!(snippet("abc", 3), "abc");
        assert_eq!(snippet("abcd", 3), "abc…");
        assert_eq!(snippet("\0", 3), "␀");
        assert_eq!(snippet(&"x".repeat(65_536), 100).chars().count(), 101);
    }
}
