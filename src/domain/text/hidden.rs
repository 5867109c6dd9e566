//! Removal of control characters and of characters that hide text from its reader.

use std::borrow::Cow;

/// Whether `c` is a control character, or invisible and able to carry or reorder text unseen.
///
/// Newline and tab are the only controls that belong in a message.
fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        // Unicode tag characters spell out ASCII that no font draws.
        '\u{E0000}'..='\u{E007F}' => true,
        // Bidirectional embeddings, overrides and isolates show text in another order.
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => true,
        // C0, DEL and C1, carriage return included.
        _ => c.is_control(),
    }
}

/// Removes control characters and hidden characters; newline and tab stay.
///
/// Meant for fields that are plain text of several lines, such as a prompt. Tags are left alone.
/// Borrows when nothing had to go. Costs one scan, plus one copy when something goes.
pub fn strip_hidden(text: &str) -> Cow<'_, str> {
    // Most texts are of nothing but these, which a look at the bytes tells.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')) {
        return Cow::Borrowed(text);
    }
    match text.find(is_hidden) {
        None => Cow::Borrowed(text),
        Some(first) => {
            let mut kept = String::with_capacity(text.len());
            kept.push_str(&text[..first]);
            kept.extend(text[first..].chars().filter(|c| !is_hidden(*c)));
            Cow::Owned(kept)
        }
    }
}

/// Removes control characters and hidden characters, and turns each newline and tab into a blank.
///
/// Meant for name-like fields, which stand on one line. Tags are left alone, and blanks are
/// neither joined nor trimmed. Borrows when nothing had to change.
pub fn single_line(text: &str) -> Cow<'_, str> {
    let stripped = strip_hidden(text);
    if stripped.contains(['\n', '\t']) { Cow::Owned(stripped.replace(['\n', '\t'], " ")) } else { stripped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_but_newline_and_tab_goes() {
        for code in (0..0x20).chain(0x7F..0xA0) {
            let c = char::from_u32(code).unwrap();
            let expected = if c == '\n' || c == '\t' { format!("a{c}b") } else { "ab".to_owned() };
            assert_eq!(strip_hidden(&format!("a{c}b")), expected, "U+{code:04X}");
        }
    }

    #[test]
    fn tag_characters_and_bidirectional_controls_go() {
        let ranges = [(0xE0000, 0xE007F), (0x202A, 0x202E), (0x2066, 0x2069)];
        for (first, last) in ranges {
            for code in first..=last {
                let c = char::from_u32(code).unwrap();
                assert_eq!(strip_hidden(&format!("é{c}é")), "éé", "U+{code:04X}");
            }
        }
    }

    #[test]
    fn the_neighbours_of_the_hidden_ranges_stay() {
        let text = " ~\u{A0}\u{2029}\u{202F}\u{2065}\u{206A}\u{E0080}\u{E0100}\u{200D}";
        assert!(matches!(strip_hidden(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn a_carriage_return_goes_and_its_newline_stays() {
        assert_eq!(strip_hidden("one\r\ntwo\rthree"), "one\ntwothree");
    }

    #[test]
    fn hidden_text_between_visible_letters_goes_whole() {
        assert_eq!(strip_hidden("a\u{E0001}\u{E0068}\u{E0069}\u{E007F}b"), "ab");
    }

    #[test]
    fn tags_are_no_matter_of_hidden_characters() {
        assert_eq!(strip_hidden("<b>\u{0}</b>"), "<b></b>");
    }

    #[test]
    fn a_single_line_has_blanks_for_newlines_and_tabs() {
        assert_eq!(single_line("Ana\r\nMaria\tLopez\u{7F}"), "Ana Maria Lopez");
    }

    #[test]
    fn a_clean_line_is_borrowed() {
        assert!(matches!(single_line("Ana <ana@x.example>"), Cow::Borrowed(_)));
    }
}
