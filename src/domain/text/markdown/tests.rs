use super::*;
use proptest::prelude::*;

/// Takes the tags out of `html`, which must be balanced and of Telegram's own kinds.
fn visible(html: &str) -> String {
    let mut open: Vec<&str> = Vec::new();
    let mut shown = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        shown.push_str(&rest[..at]);
        let end = at + rest[at..].find('>').expect("a tag has an end");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{html}");
            continue;
        }
        let name = tag.split(' ').next().unwrap();
        let known = ["b", "i", "s", "code", "pre", "blockquote"].contains(&tag)
            || (tag.starts_with("a href=\"") && tag.ends_with('"') && tag.matches('"').count() == 2)
            || (tag.starts_with("code class=\"language-") && open.last() == Some(&"pre"));
        assert!(known && !open.contains(&name), "{tag} in {html}");
        open.push(name);
    }
    assert!(open.is_empty(), "{open:?} in {html}");
    shown.push_str(rest);
    assert!(!shown.contains(['>', '"']), "{html}");
    for (at, _) in shown.match_indices('&') {
        let known = ["&amp;", "&lt;", "&gt;", "&quot;"].iter().any(|entity| shown[at..].starts_with(entity));
        assert!(known, "{html}");
    }
    shown
}

/// Checks that each `<` in `mrkdwn` begins a link with an address and an end.
fn assert_only_links(mrkdwn: &str) {
    for (at, _) in mrkdwn.match_indices('<') {
        let inner = &mrkdwn[at + 1..];
        let end = inner.find('>').expect("a link has an end");
        let known = ["http://", "https://", "mailto:"].iter().any(|s| inner.to_ascii_lowercase().starts_with(s));
        assert!(known && !inner[..end].contains(['<', '\n']), "{mrkdwn}");
    }
}

#[test]
fn each_kind_of_markup_has_its_tag() {
    for (markdown, html) in [
        ("**b** *i* ~~s~~ `c<d`", "<b>b</b> <i>i</i> <s>s</s> <code>c&lt;d</code>"),
        ("# A *b* **c**\ntext", "<b>A <i>b</i> c</b>\n\ntext"),
        ("a\nb  \nc\n\nd", "a\nb\nc\n\nd"),
        (
            "```rust x\nlet a = \"<&>\";\n```",
            "<pre><code class=\"language-rust\">let a = &quot;&lt;&amp;&gt;&quot;;</code></pre>",
        ),
        ("```\na\n\nb\n```\nc", "<pre>a\n\nb</pre>\n\nc"),
        ("- a\n- b\n  1. c\n  2. d\n- e\n\nf", "• a\n• b\n  1. c\n  2. d\n• e\n\nf"),
        ("3. a\n\n4. b", "3. a\n\n4. b"),
        ("> a\n> > b\n\nc", "<blockquote>a\n\nb</blockquote>\n\nc"),
        ("[x](https://a.example/?b=\"&c=d)", "<a href=\"https://a.example/?b=%22&amp;c=d\">x</a>"),
        (
            "[x](javascript:y) [z](/p) <tg://resolve?domain=a>",
            "x z <a href=\"tg://resolve?domain=a\">tg://resolve?domain=a</a>",
        ),
        ("<a@x.example>", "a@x.example"),
        ("[write *me*](mailto:a@x.example) now", "write <i>me</i> (a@x.example) now"),
        ("![a *b*](https://i.example)", "<a href=\"https://i.example\">a b</a>"),
        ("[![a](https://i.example)](https://l.example)", "<a href=\"https://l.example\">a</a>"),
        ("[<a@x.example>](https://l.example)", "<a href=\"https://l.example\">a@x.example</a>"),
        ("a\n\n---\nb", "a\n\n———\n\nb"),
        ("<b>x</b> <script>\n\n<div>\ny", "&lt;b&gt;x&lt;/b&gt; &lt;script&gt;\n\n&lt;div&gt;\ny"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("", ""),
    ] {
        assert_eq!(to_telegram_html(markdown), html, "{markdown:?}");
    }
}

#[test]
fn each_kind_of_markup_has_its_mark_in_slack() {
    for (markdown, mrkdwn) in [
        ("**b** *i* ~~s~~ `c<d`", "*b* _i_ ~s~ `c&lt;d`"),
        ("# A *b* **c**\ntext", "*A _b_ c*\n\ntext"),
        ("**a\nb**", "*a*\n*b*"),
        ("```rust\na && b\n```", "```\na &amp;&amp; b\n```"),
        ("````\n```\n````", "```\n`` `\n```"),
        ("`` a`b ``", "a`b"),
        ("- a\n  - b\n    c\n- d", "• a\n  • b\n    c\n• d"),
        ("> a\n> b\n>\n> c\n\nd", "> a\n> b\n>\n> c\n\nd"),
        ("> > a", "> a"),
        ("a\n\n> b\n\n<!-- -->\n> c", "a\n\n> b\n\n&lt;!-- --&gt;\n\n> c"),
        ("[**x** | <y>](https://a.example/?b=1&c=%3E)", "<https://a.example/?b=1&amp;c=%3E|x | &lt;y&gt;>"),
        ("<https://a.example> [](https://b.example)", "<https://a.example> <https://b.example>"),
        ("![x](https://i.example) ![](/y)", "<https://i.example|x> image"),
        ("[x](!channel) [y](<@U1>) [z](tg://a)", "x y z"),
    ] {
        assert_eq!(to_slack_mrkdwn(markdown), mrkdwn, "{markdown:?}");
    }
}

#[test]
fn no_mention_can_be_made_from_text() {
    for text in
        ["<!channel>", "<@U1>", "&lt;!here>", "`<!channel>`", "```\n<@U1>\n```", "\\<!here\\>", "&#60;!here&#62;"]
    {
        let mrkdwn = to_slack_mrkdwn(text);
        assert!(!mrkdwn.contains('<') && mrkdwn.contains("&lt;"), "{mrkdwn}");
    }
}

#[test]
fn deep_nesting_stays_short() {
    for text in ["> ".repeat(30_000), "- ".repeat(30_000), "*".repeat(60_000), "[".repeat(60_000), "![".repeat(30_000)]
    {
        let text = text + "x";
        assert!(to_telegram_html(&text).len() <= 20 * text.len());
        assert!(to_slack_mrkdwn(&text).len() <= 20 * text.len());
    }
}

fn markdown_text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "b c",
        "é🦀",
        " ",
        "\n",
        "\n\n",
        "**",
        "*",
        "_",
        "~~",
        "`",
        "```",
        "\n```rust\n",
        "\n> ",
        "\n- ",
        "\n  1. ",
        "\n# ",
        "[",
        "](https://x.example)",
        "](!channel)",
        "](<@U1|x>)",
        "![",
        "<",
        ">",
        "<!channel>",
        "<https://x.example|y>",
        "<b>",
        "</b>",
        "<!--",
        "-->",
        "&",
        "&lt;",
        "\"",
        "\n---\n",
        "\n    ",
        "\\",
        "|",
        "<a@x.example>",
        "\n<div>\n",
        "[r]",
        "\n[r]: http://r\n",
    ]);
    prop::collection::vec(pieces, 0..50).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn html_is_balanced_and_of_known_tags(markdown in markdown_text()) {
        visible(&to_telegram_html(&markdown));
    }

    #[test]
    fn mrkdwn_has_no_brackets_but_those_of_links(markdown in markdown_text()) {
        assert_only_links(&to_slack_mrkdwn(&markdown));
    }

    #[test]
    fn words_are_never_lost(words in prop::collection::vec("[a-z]{1,8}", 1..30), marks in markdown_text()) {
        let text = words.join("\n\n");
        let markdown = format!("{text}\n\n{marks}");
        for rendered in [visible(&to_telegram_html(&markdown)), to_slack_mrkdwn(&markdown)] {
            prop_assert!(rendered.starts_with(words[0].as_str()));
            let mut rest = rendered.as_str();
            for word in &words[..words.len() - 1] {
                let at = rest.find(word.as_str());
                prop_assert!(at.is_some(), "{} in {}", word, rendered);
                rest = &rest[at.unwrap() + word.len()..];
            }
        }
    }
}
