//! A reply as the messages that Telegram takes.

use html5gum::{Token, Tokenizer};

use crate::domain::text::{self, Limit};

/// Longest `text` of a call, in bytes before its markup is taken out. Beyond it the Bot API server does not
/// look at the markup at all. Source: tdlib/telegram-bot-api `Client.cpp` ("text is too long").
const MAX_HTML_BYTES: usize = 32_768;

/// A part whose markup does not fit is cut again down to pieces of this fraction of a message. Text that
/// grows fourfold by being rendered is no text that a person would miss the markup of.
const SMALLEST_PIECE: usize = 4;

/// One message of a reply.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// What the author wrote: at most [`Limit::TELEGRAM`].
    pub(super) source: String,
    /// The same with Telegram's markup, whose visible text is at most [`Limit::TELEGRAM`] too. `None` when
    /// only the source can be sent: what is rendered shows nothing, or too much.
    pub(super) html: Option<String>,
}

/// All parts of `content`.
///
/// `content` is split as it was written, so that each part is Markdown that stands by itself. Rendering can
/// make text longer, by the indent of lists for instance: a part that no longer fits is split again at half
/// the length, and goes out as it was written when even a quarter of a message is too much. So both forms of
/// every part fit whatever the content is, and which parts there are depends on the content alone.
pub(super) fn parts(content: &str) -> Vec<Part> {
    text::split(content, Limit::TELEGRAM).into_iter().flat_map(|source| fitting(source, Limit::TELEGRAM)).collect()
}

/// `source`, which is at most `limit` long, as one part or as several.
fn fitting(source: String, limit: Limit) -> Vec<Part> {
    let html = text::to_telegram_html(&source);
    let shown = visible(&html);
    if shown.trim().is_empty() {
        return vec![Part { source, html: None }];
    }
    if html.len() <= MAX_HTML_BYTES && Limit::TELEGRAM.measure(&shown) <= Limit::TELEGRAM.max {
        return vec![Part { source, html: Some(html) }];
    }
    let half = limit.less(limit.max / 2);
    if half.max < Limit::TELEGRAM.max / SMALLEST_PIECE {
        return vec![Part { source, html: None }];
    }
    text::split(&source, half).into_iter().flat_map(|piece| fitting(piece, half)).collect()
}

/// The text that a reader of `html` sees.
fn visible(html: &str) -> String {
    let mut shown = String::with_capacity(html.len());
    for Ok(token) in Tokenizer::new(html) {
        if let Token::String(text) = token {
            shown.push_str(&String::from_utf8_lossy(&text));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Units of the text that is left of `html` without its tags and entities, counted in another way.
    fn shown_units(html: &str) -> usize {
        let (mut units, mut in_tag, mut in_entity) = (0, false, false);
        for c in html.chars() {
            match c {
                '<' => in_tag = true,
                '>' if in_tag => in_tag = false,
                _ if in_tag => {}
                '&' => (in_entity, units) = (true, units + 1),
                ';' if in_entity => in_entity = false,
                _ if in_entity => {}
                c => units += c.len_utf16(),
            }
        }
        units
    }

    /// All parts of `content`, which have to keep what is promised of them.
    fn checked_parts(content: &str) -> Vec<Part> {
        let parts = parts(content);
        for Part { source, html } in &parts {
            assert!(source.encode_utf16().count() <= 4096 && !source.trim().is_empty());
            if let Some(html) = html {
                assert!(shown_units(html) <= 4096, "{} units shown", shown_units(html));
                assert!(shown_units(html) > 0 && html.len() <= 32_768);
            }
        }
        parts
    }

    #[test]
    fn a_short_reply_is_one_part_with_markup() {
        let expected = Part { source: "**done** <x>".into(), html: Some("<b>done</b> &lt;x&gt;".into()) };
        assert_eq!(parts("**done** <x>\n"), [expected]);
        assert_eq!(parts(" \n"), []);
    }

    #[test]
    fn markup_does_not_count() {
        let parts = checked_parts(&"\"".repeat(4096));
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].html.as_ref().map(String::len), Some(4096 * "&quot;".len()));
    }

    #[test]
    fn what_shows_nothing_goes_out_as_it_was_written() {
        for content in ["[r]: https://x.example", "#", ">", "```\n```"] {
            assert_eq!(checked_parts(content), [Part { source: content.into(), html: None }], "{content}");
        }
    }

    #[test]
    fn a_long_reply_with_code_is_split_into_parts_that_fit() {
        let paragraph = "Look at **this** & <that>, `a < b`, [a link](https://x.example/?a=1&b=2) and 🦀🦀🦀.\n\n";
        let code = format!("```rust\n{}```\n\n- one\n  - two\n\n", "let s = \"<&>\"; // 🦀 ünïcode\n".repeat(120));
        let mut content = format!("{}{code}", paragraph.repeat(30)).repeat(12);
        content.truncate((0..=65_536).rev().find(|at| content.is_char_boundary(*at)).unwrap());
        assert!(content.len() > 65_530);
        let parts = checked_parts(&content);
        assert!((16..30).contains(&parts.len()), "{}", parts.len());
        let html = || parts.iter().filter_map(|part| part.html.as_deref());
        assert_eq!(html().count(), parts.len());
        assert!(html().any(|html| html.ends_with("</code></pre>")));
        assert!(html().all(|html| html.matches("<pre>").count() == html.matches("</pre>").count()));
        let crabs: usize = html().map(|html| html.matches('🦀').count()).sum();
        assert_eq!(crabs, content.matches('🦀').count());
    }

    #[test]
    fn a_part_that_grows_by_being_rendered_is_split_again() {
        let items = "- a\nb\nc\n".repeat(500);
        assert_eq!(text::split(&items, Limit::TELEGRAM).len(), 1);
        let parts = checked_parts(&items);
        assert_eq!(parts.len(), 2);
        assert!(parts.iter().all(|part| part.html.is_some()));
        let found: usize =
            parts.iter().filter_map(|part| part.html.as_ref()).map(|html| html.matches('•').count()).sum();
        assert_eq!(found, 500);
    }

    #[test]
    fn absurd_markup_goes_out_as_it_was_written_in_few_parts() {
        let links = format!("{}\n\n[a]: https://x.example/{}", "[a]".repeat(600), "y".repeat(2000));
        let numbers = format!("999999999. a\n{}", "0. a\n".repeat(12_000));
        for content in ["- ".repeat(32_000) + "x", links, numbers, "> ".repeat(32_000) + "x", "- a\n".repeat(16_000)] {
            let parts = checked_parts(&content);
            assert!(parts.len() <= 4 * content.len().div_ceil(3000), "{} parts of {content:.20}", parts.len());
        }
        assert!(checked_parts(&("- ".repeat(2_000) + "x")).iter().any(|part| part.html.is_none()));
    }

    fn pieces() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "word ",
            "🦀",
            "é",
            "\n",
            "\n\n",
            "- ",
            "\n- a\nb",
            "1. ",
            "\n999999999. ",
            "> ",
            "\n# ",
            "```\n",
            "`",
            "**",
            "***\n",
            "[a]",
            "](https://x.example)",
            "\n[a]: https://x.example/yyyyyyyy\n",
            "<b>",
            "&amp;",
            "\"",
            "\t",
        ]);
        (prop::collection::vec((pieces, 1..400_usize), 1..20))
            .prop_map(|pieces| pieces.into_iter().map(|(piece, times)| piece.repeat(times)).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn both_forms_of_every_part_fit(content in pieces()) {
            checked_parts(&content);
        }
    }
}
