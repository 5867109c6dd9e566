//! Text as a string within JSON.

/// Appends the text in quotes, escaped where JSON asks for it: what `serde_json` writes, in half the time for text
/// that is JSON itself and so has a quote every few bytes.
pub fn write_json_string(text: &str, out: &mut Vec<u8>) {
    let is_escaped = |byte: u8| matches!(byte, b'"' | b'\\');
    if text.bytes().any(|byte| byte < b' ') {
        serde_json::to_writer(out, text).expect("a string is JSON, and a vector takes it");
        return;
    }
    let escapes = text.bytes().filter(|byte| is_escaped(*byte)).count();
    let start = out.len();
    // Quotes at both ends, and room in between.
    out.resize(start + 1 + text.len() + escapes + 1, b'"');
    let room = &mut out[start + 1..];
    let mut at = 0;
    for byte in text.bytes() {
        // Overwritten at once, unless it is needed. Without a branch nothing is mispredicted.
        room[at] = b'\\';
        at += usize::from(is_escaped(byte));
        room[at] = byte;
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let mut out = b"before ".to_vec();
        write_json_string(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn expected(text: &str) -> String {
        format!("before {}", serde_json::to_string(text).unwrap())
    }

    #[test]
    fn each_character_is_written_as_by_serde_json() {
        for character in ('\0'..='\u{3000}').chain(['\u{fffd}', '\u{10ffff}']) {
            for text in [character.to_string(), format!("a{character}\"{character}\\")] {
                assert_eq!(written(&text), expected(&text));
            }
        }
        assert_eq!(written(""), "before \"\"");
    }

    proptest! {
        #[test]
        fn text_is_written_as_by_serde_json(text in r#"([a-z"\\]|\PC|[\n\t{}:,])*"#) {
            prop_assert_eq!(written(&text), expected(&text));
        }
    }
}
