use super::*;
use proptest::prelude::*;
use pulldown_cmark::{Event, Parser, Tag, TagEnd};

fn chars(max: usize) -> Limit {
    Limit { max, unit: Unit::Chars }
}

/// Whether a Markdown reader finds code still open at the end of `part`.
fn leaves_code_open(part: &str) -> bool {
    let continued = format!("{part}\n\nzq");
    let mut in_code = false;
    for event in Parser::new(&continued) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Text(text) if text.contains("zq") => return in_code,
            _ => {}
        }
    }
    panic!("the end of {continued:?} is not shown");
}

/// The characters of `text` that neither a cut nor a fence may take away.
fn essence(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '`' | '~'))
}

/// Whether `parts` hold all of `text` in order; between it may stand what fences repeat.
fn hold_all(parts: &[String], text: &str) -> bool {
    let joined = parts.concat();
    let mut found = essence(&joined);
    essence(text).all(|wanted| found.any(|c| c == wanted))
}

#[test]
fn blank_text_has_no_parts() {
    for text in ["", " ", "\n\n\t \r\n"] {
        assert_eq!(split(text, Limit::TELEGRAM), Vec::<String>::new());
    }
}

#[test]
fn text_within_the_limit_is_one_part() {
    assert_eq!(split("a\n\nb", chars(4)), ["a\n\nb"]);
    assert_eq!(split("  a b \n", chars(3)), ["a b"]);
    assert_eq!(split(&"x".repeat(4096), Limit::TELEGRAM).len(), 1);
}

#[test]
fn the_best_place_is_taken() {
    assert_eq!(split("one two\n\nthree\nfour", chars(14)), ["one two", "three\nfour"]);
    assert_eq!(split("one two\nthree. four", chars(15)), ["one two", "three. four"]);
    assert_eq!(split("one two. three four", chars(15)), ["one two.", "three four"]);
    assert_eq!(split("one two three", chars(9)), ["one two", "three"]);
    assert_eq!(split("abcdefghij", chars(4)), ["abcd", "efgh", "ij"]);
    assert_eq!(split("一二。三四五", chars(5)), ["一二。", "三四五"]);
}

#[test]
fn an_early_break_does_not_make_a_tiny_part() {
    assert_eq!(split("a\n\nbcd efg hij klm", chars(13)), ["a\n\nbcd efg", "hij klm"]);
}

#[test]
fn surrogate_pairs_and_joined_characters_stay_whole() {
    let utf16 = Limit { max: 3, unit: Unit::Utf16 };
    assert_eq!(split("🦀🦀a", utf16), ["🦀", "🦀a"]);
    assert_eq!(split("abe\u{301}x", chars(3)), ["ab", "e\u{301}x"]);
    assert_eq!(split("ab👩\u{200D}💻", chars(4)), ["ab", "👩\u{200D}💻"]);
    assert_eq!(split("a🇩🇪🇫🇷", chars(4)), ["a🇩🇪", "🇫🇷"]);
    assert_eq!(split("🦀🦀", Limit { max: 0, unit: Unit::Utf16 }), ["🦀", "🦀"]);
}

#[test]
fn code_is_closed_and_opened_again() {
    let text = "```rust\nlet a = 1;\nlet b = 2;\nlet c = 3;\n```\nend";
    assert_eq!(split(text, chars(34)), ["```rust\nlet a = 1;\nlet b = 2;\n```", "```rust\nlet c = 3;\n```\nend"]);
    assert_eq!(split("~~~~\nabcdefghijklmnopqrst", chars(20)), ["~~~~\nabcdefghij\n~~~~", "~~~~\nklmnopqrst\n~~~~"]);
}

#[test]
fn code_that_was_never_closed_is_closed() {
    assert_eq!(split("```\na", chars(40)), ["```\na\n```"]);
}

#[test]
fn a_part_ends_before_code_rather_than_in_it() {
    let text = "Some text here\n```sh\nls -l\n\ncd ..\n```";
    assert_eq!(split(text, chars(36)), ["Some text here", "```sh\nls -l\n\ncd ..\n```"]);
}

#[test]
fn the_indent_of_code_stays() {
    let text = "```\nif a:\n    bcdef\n    ghijk\n```";
    assert_eq!(split(text, chars(24)), ["```\nif a:\n    bcdef\n```", "```\n    ghijk\n```"]);
}

#[test]
fn code_from_a_list_is_moved_to_the_margin() {
    let text = "1. do\n   ```sh\n   ls a\n   ls b\n   ```\n   and then";
    assert_eq!(split(text, chars(34)), ["1. do\n   ```sh\n   ls a\n   ```", "```sh\nls b\n```\n   and then"]);
    assert_eq!(split("- ```\n  ab cd\n  ef gh\n  ```", chars(24)), ["- ```\n  ab cd\n  ```", "```\nef gh\n```"]);
}

#[test]
fn code_in_a_quote_stays_in_it_and_ends_with_it() {
    assert_eq!(split("> ```\n> abcd\n> efgh\n> ```", chars(24)), ["> ```\n> abcd\n> ```", "> ```\n> efgh\n> ```"]);
    assert_eq!(split("> ```\n> abc\n\nxyzxyzxyz\nxyz", chars(24)), ["> ```\n> abc", "xyzxyzxyz\nxyz"]);
}

#[test]
fn a_fence_that_leaves_no_room_is_cut_like_text() {
    for text in ["```rust\nabc\n```", "``````````\nabc def\n``````````"] {
        for max in 0..30 {
            let parts = split(text, chars(max));
            assert!(parts.iter().all(|part| chars(max.max(2)).measure(part) <= max.max(2)), "{max}: {parts:?}");
            assert!(hold_all(&parts, text), "{max}: {parts:?}");
        }
    }
}

#[test]
fn a_long_info_string_is_not_repeated() {
    let text = format!("```{}\nab cd ef gh ij kl mn op", "λ".repeat(14));
    let parts = split(&text, chars(30));
    assert!(parts[0].starts_with("```λ") && parts[1].starts_with("```\n"), "{parts:?}");
}

#[test]
fn hostile_text_is_split_in_linear_time() {
    const MIB: usize = 1 << 20;
    let texts = [
        "x".repeat(MIB),
        "🦀".repeat(MIB / 4),
        "`".repeat(MIB),
        "```\n".repeat(100_000),
        "```\nx\n\n".repeat(100_000),
        "~~~~a\n```b\n".repeat(50_000),
        "> ".repeat(MIB / 2),
        "- ".repeat(MIB / 2),
        "\u{301}".repeat(MIB / 2),
        " ".repeat(MIB) + "x",
        format!("```\n{}x", " ".repeat(MIB)),
        "a\n\n".repeat(MIB / 3),
        format!("```{}", "a".repeat(MIB)),
        "aaaaaaaaaaaaaaa```".repeat(MIB / 18),
    ];
    let begun = std::time::Instant::now();
    for text in &texts {
        for limit in [Limit::TELEGRAM, chars(40)] {
            let parts = split(text, limit);
            assert!(parts.iter().all(|part| limit.measure(part) <= limit.max));
            assert!(parts.iter().map(String::len).sum::<usize>() <= 8 * text.len() + 100);
            assert!(hold_all(&parts, text), "{:?} {limit:?}", &text[..20.min(text.len())]);
        }
    }
    // Quadratic work would take hours; the bound leaves room for slow machines.
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

fn pieces(from: Vec<&'static str>) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(from), 0..60).prop_map(|pieces| pieces.concat())
}

fn hostile_text() -> impl Strategy<Value = String> {
    pieces(vec![
        "a",
        "word ",
        "é",
        "🦀",
        "e\u{301}",
        "👩\u{200D}💻",
        "🇩🇪",
        "。",
        ". ",
        " ",
        "   ",
        "\t",
        "\n",
        "\n\n",
        "\r\n",
        "```",
        "\n```\n",
        "\n```λ\n",
        "~~~",
        "\n~~~~\n",
        "\n> ```\n> ",
        "\n- ```λ\n  ",
        "\n    ```\n    ",
        "`",
        "> ",
        "1. ",
    ])
}

fn top_level_text() -> impl Strategy<Value = String> {
    pieces(vec![
        "a",
        "word ",
        "é 🦀",
        "some more text ",
        ". ",
        "\n",
        "\n\n",
        "\n```\n",
        "\n```λ\n",
        "\n~~~~\n",
        "\n~~~λ\n",
        "\n`````\n",
        "b\n",
    ])
}

fn any_limit() -> impl Strategy<Value = Limit> {
    (2_usize..120, prop::bool::ANY)
        .prop_map(|(max, utf16)| Limit { max, unit: if utf16 { Unit::Utf16 } else { Unit::Chars } })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn every_part_is_within_the_limit_and_nothing_is_lost(text in hostile_text(), limit in any_limit()) {
        let parts = split(&text, limit);
        for part in &parts {
            prop_assert!(!part.trim().is_empty());
            prop_assert!(limit.measure(part) <= limit.max, "{:?}", part);
        }
        prop_assert!(hold_all(&parts, &text), "{:?}", parts);
    }

    #[test]
    fn text_without_fences_loses_only_white_space(text in "[a-zé🦀 .\n]{0,200}", limit in any_limit()) {
        let solid = |text: &str| text.split_whitespace().collect::<String>();
        prop_assert_eq!(solid(&split(&text, limit).concat()), solid(&text));
    }

    #[test]
    fn no_part_leaves_code_open(text in top_level_text(), max in 30_usize..120) {
        for part in split(&text, chars(max)) {
            prop_assert!(!leaves_code_open(&part), "{:?}", part);
        }
    }
}
