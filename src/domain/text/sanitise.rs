//! Removal of markup from message text.

use std::borrow::Cow;

use memchr::memchr;

use super::hidden::strip_hidden;
use super::pass::{Outcome, Pass, work_allowed};

/// Removes everything from `text` that its reader would not see.
///
/// Removed are comments, tags of HTML, SVG and MathML elements, `script` and `style` with their
/// content, control characters other than newline and tab, and hidden characters. Cleaning is
/// repeated until nothing more goes, so cleaning twice equals cleaning once. Entities are not
/// decoded, tags of other names stay with all that is inside them, and a tag or comment without an
/// end is text. A `script` or `style` without an end tag loses its start tag only.
///
/// Borrows when nothing had to go. Time is bounded by a multiple of the length of `text`: text
/// built to cost more loses the `<` of everything that looks like a tag, and nothing else.
pub fn sanitise(text: &str) -> Cow<'_, str> {
    let visible = strip_hidden(text);
    match without_markup(&visible) {
        None => visible,
        Some(clean) => Cow::Owned(clean),
    }
}

/// `text` without its markup, or `None` if it has none.
fn without_markup(text: &str) -> Option<String> {
    let open = memchr(b'<', text.as_bytes())?;
    memchr(b'>', &text.as_bytes()[open..])?;
    let mut bytes = text.as_bytes().to_vec();
    let mut total_left = work_allowed(bytes.len());
    loop {
        // The last pass must fit the allowance of its own text too: it is all that cleaning the
        // result again does, and must not then run out of work.
        let mut pass = Pass::new(&mut bytes, total_left);
        let outcome = pass.run();
        total_left = total_left.saturating_sub(pass.work);
        match outcome {
            Outcome::Clean if bytes.len() == text.len() => return None,
            Outcome::Clean => break,
            Outcome::Shortened => {}
            Outcome::OutOfWork => {
                disarm(&mut bytes);
                break;
            }
        }
    }
    Some(String::from_utf8(bytes).expect("only whole tags and single `<` leave valid UTF-8"))
}

/// Removes each `<` that a tag or comment could begin with, in one walk from the end.
///
/// Going backwards, what follows a `<` is final when it is looked at, so none can come to stand
/// before a letter later.
fn disarm(bytes: &mut Vec<u8>) {
    // The kept end of the text is the part from `start` on.
    let mut start = bytes.len();
    for at in (0..bytes.len()).rev() {
        let byte = bytes[at];
        let begins_tag = byte == b'<'
            && match bytes[start..] {
                [b'!' | b'?', ..] => true,
                [b'/', letter, ..] | [letter, ..] => letter.is_ascii_alphabetic(),
                [] => false,
            };
        if !begins_tag {
            start -= 1;
            bytes[start] = byte;
        }
    }
    bytes.drain(..start);
}

#[cfg(test)]
mod tests {
    use super::super::elements::is_element;
    use super::*;
    use proptest::prelude::*;

    /// The end of the tag or comment at the start of `text`, read by hand instead of by the
    /// tokenizer, and whether it should have gone.
    fn read_by_hand(text: &str) -> Option<(usize, bool)> {
        if let Some(comment) = text.strip_prefix("<!--") {
            let plain = text[2..].find("-->").map(|at| at + 5);
            let odd = comment.find("--!>").map(|at| at + 8);
            return Some((plain.into_iter().chain(odd).min()?, true));
        }
        if text.starts_with("<!") || text.starts_with("<?") {
            return Some((text.find('>')? + 1, true));
        }
        let name = text[1..].strip_prefix('/').unwrap_or(&text[1..]);
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let name_end = name.find(['\t', '\n', ' ', '/', '>', '<'])?;
        if name[name_end..].starts_with('<') {
            return None;
        }
        let known = is_element(name[..name_end].to_ascii_lowercase().as_bytes());
        let offset = text.len() - name.len() + name_end;
        let mut quote = None;
        // A quote opens a value only right behind `=`, and `=` is part of a name that it begins.
        let (mut in_name, mut wants_value) = (false, false);
        for (at, c) in text[offset..].char_indices() {
            match (quote, c) {
                (Some(open), _) => {
                    if c == open {
                        quote = None;
                        (in_name, wants_value) = (false, false);
                    }
                }
                (None, '>') => return Some((offset + at + 1, known)),
                (None, '"' | '\'') if wants_value => quote = Some(c),
                (None, ' ' | '\t' | '\n') if wants_value => {}
                (None, '=') if in_name => (in_name, wants_value) = (false, true),
                (None, _) if wants_value => return by_hand_unquoted(text, offset + at, known),
                (None, ' ' | '\t' | '\n') => {
                    // `name =` still gives the name a value.
                    let rest = text[offset + at..].trim_start_matches([' ', '\t', '\n']);
                    in_name = in_name && rest.starts_with('=');
                }
                (None, '/') => in_name = false,
                (None, _) => in_name = true,
            }
        }
        None
    }

    /// Goes on behind a value without quotes, which ends at a blank or at `>`.
    fn by_hand_unquoted(text: &str, from: usize, known: bool) -> Option<(usize, bool)> {
        let end = from + text[from..].find(['\t', '\n', ' ', '>'])?;
        // What follows is read as if it stood in a tag of its own.
        let rest = format!("<b{}", &text[end..]);
        let (length, _) = read_by_hand(&rest)?;
        Some((end + length - 2, known))
    }

    fn has_removable(text: &str) -> bool {
        let mut at = 0;
        while let Some(open) = text[at..].find('<') {
            at += open;
            match read_by_hand(&text[at..]) {
                Some((_, true)) => return true,
                Some((end, false)) => at += end,
                None => at += 1,
            }
        }
        false
    }

    #[track_caller]
    fn assert_stays(text: &str) {
        assert!(matches!(sanitise(text), Cow::Borrowed(same) if same == text), "{text:?} became {:?}", sanitise(text));
    }

    #[test]
    fn text_that_only_looks_like_markup_stays_and_is_borrowed() {
        for text in [
            "",
            "a < b && c > d",
            "Vec<String>",
            "HashMap<String, Vec<u8>>",
            "<https://x.example>",
            "<t:1:R>",
            "<@123> <#456> <:wave:789>",
            "Ana <ana@x.example>",
            "1 </ 2 > </3> <> </> <3 <=> <é>",
            "&lt;b&gt; &amp;amp; &#60;b&#62;",
            "<String title='<b>'>",
            "tab\there\nnewline é 🦀",
        ] {
            assert_stays(text);
        }
    }

    #[test]
    fn a_tag_or_comment_without_an_end_is_text() {
        for text in ["<b hello", "<b", "a <!-- b > c", "<a href=\"x>", "<? x", "</b", "<!x"] {
            assert_stays(text);
        }
    }

    #[test]
    fn markup_goes_and_the_text_around_it_stays() {
        for (dirty, clean) in [
            ("<b>bold</b>", "bold"),
            ("<P CLASS='x'>a</P\n>b<br/>", "ab"),
            ("é<b>ñ</b>🦀<i title=\"ü>\">ö</i>", "éñ🦀ö"),
            ("a<!-- hidden > -->b<!---->c<!-->d<!--e--!>f", "abcdf"),
            ("<!DOCTYPE html><?xml version='1'?><![CDATA[x]]>y", "y"),
            ("<svg viewBox='0 0'><foreignObject>x</foreignObject></svg>", "x"),
            ("<math><mi>x</mi><annotation-xml>y</annotation-xml></math>", "xy"),
            ("<marquee><font>x</font></marquee><image>", "x"),
            ("<a href=\"<b>x</b>", "<a href=\"x"),
            ("Vec<String> <b>&lt;</b>", "Vec<String> &lt;"),
            ("one\r\ntwo\u{0}\u{7F}\u{85}\u{202E}\u{E0041}", "one\ntwo"),
            ("<\u{0}b>x<\u{2066}/b>", "x"),
        ] {
            assert_eq!(sanitise(dirty), clean, "{dirty:?}");
        }
    }

    #[test]
    fn script_and_style_go_with_their_content() {
        for (dirty, clean) in [
            ("a<script>if (a < b) { \"<b>\" }</script>b", "ab"),
            ("a<SCRIPT src='x>y'>z</sCript >b", "ab"),
            ("a<style media=x>p > b { }</style>b", "ab"),
            ("<script><!-- <script></script> --></script>x", "x"),
            ("<script>a</scripts></script>x", "x"),
            ("<style></script></style>x", "x"),
            ("<script>a<b>c</b>", "ac"),
            ("</script>a", "a"),
        ] {
            assert_eq!(sanitise(dirty), clean, "{dirty:?}");
        }
    }

    #[test]
    fn other_elements_swallow_no_text() {
        for name in ["textarea", "title", "plaintext", "xmp", "iframe", "noembed", "noscript"] {
            assert_eq!(sanitise(&format!("<{name}>a<b>c")), "ac", "{name}");
        }
    }

    #[test]
    fn what_a_removal_joins_is_looked_at_again() {
        for (dirty, clean) in [
            ("<<b>b>x", "x"),
            ("<<<b>b>b>x", "x"),
            ("</<i>b>x", "x"),
            ("<<b>!-- x -->y", "y"),
            ("<scr<script></script>ipt>x</script>y", "y"),
            ("<!-- -<b>->x", "x"),
            ("<b <!--c=\"-->>x", "x"),
            ("<foreign<b>Ob<i>ject>x", "x"),
        ] {
            assert_eq!(sanitise(dirty), clean, "{dirty:?}");
        }
    }

    #[test]
    fn deep_nesting_is_cleaned_exactly() {
        let deep = format!("Vec<u8>{}{}é", "<".repeat(100_000), "b>".repeat(100_000));
        assert_eq!(sanitise(&deep), "Vec<u8>é");
    }

    #[test]
    fn text_that_costs_too_much_keeps_no_tag() {
        let costly = format!("{}x=\"{}", "<a ".repeat(20_000), ">".repeat(20_000));
        let clean = sanitise(&costly);
        assert_eq!(clean, costly.replace('<', ""));
    }

    #[test]
    fn disarming_leaves_no_start_of_a_tag() {
        for (dirty, clean) in
            [("<b <<b </<b <<</b> <!-- <? <", "b b /b /b> !-- ? <"), ("a < b <3 </3 <é", "a < b <3 </3 <é")]
        {
            let mut bytes = dirty.as_bytes().to_vec();
            disarm(&mut bytes);
            assert_eq!(String::from_utf8(bytes).unwrap(), clean);
        }
    }

    fn hostile_text() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "<",
            "</",
            ">",
            "/",
            "<!",
            "<!--",
            "-->",
            "--!>",
            "-",
            "!",
            "<?",
            "b",
            "script",
            "style",
            "x",
            " ",
            "=",
            "\"",
            "'",
            "&amp;",
            "&#x41",
            "&l",
            "é",
            "\n",
            "\r",
            "\0",
            "\u{202E}",
            "<b>",
            "</b>",
            "<i x='",
            "<script>",
            "</script>",
            "<style>",
            "</style",
            "<x y=\"",
            "]]>",
            "<![CDATA[",
            "<!doctype",
            "foreignObject",
        ]);
        prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn cleaning_twice_equals_cleaning_once(text in hostile_text()) {
            let once = sanitise(&text).into_owned();
            prop_assert!(matches!(sanitise(&once), Cow::Borrowed(_)), "{:?}", once);
        }

        #[test]
        fn no_removable_markup_is_left_and_nothing_else_is_removed(text in hostile_text()) {
            let visible = strip_hidden(&text);
            let clean = sanitise(&visible);
            prop_assert!(!has_removable(&clean), "{:?} became {:?}", text, clean);
            prop_assert_eq!(
                matches!(clean, Cow::Borrowed(_)),
                !has_removable(&visible),
                "{:?}",
                text
            );
        }

        #[test]
        fn text_without_brackets_loses_only_hidden_characters(text in "[^<]*") {
            prop_assert_eq!(sanitise(&text), strip_hidden(&text));
        }
    }
}
