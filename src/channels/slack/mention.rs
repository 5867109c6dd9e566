//! Mentions of the bot in Slack's markup: `<@U1>`, in older clients `<@U1|name>`.

/// Whether `text` mentions the bot.
pub(super) fn mentions(text: &str, bot: &str) -> bool {
    text.match_indices("<@").any(|(at, _)| after_mention(&text[at..], bot).is_some())
}

/// `text` without the mentions of the bot that it begins with, nor the comma or colon behind them.
pub(super) fn without_address<'a>(text: &'a str, bot: &str) -> &'a str {
    let mut rest = text.trim_start();
    while let Some(after) = after_mention(rest, bot) {
        // Not every colon ends the address: `:wave:` is an emoji.
        let spoken =
            after.strip_prefix([',', ':']).filter(|left| left.is_empty() || left.starts_with(char::is_whitespace));
        rest = spoken.unwrap_or(after).trim_start();
    }
    rest
}

/// What follows the mention of the bot that `text` begins with.
fn after_mention<'a>(text: &'a str, bot: &str) -> Option<&'a str> {
    let rest = text.strip_prefix("<@")?.strip_prefix(bot)?;
    let rest = match rest.strip_prefix('|') {
        Some(named) => &named[named.find(['>', '<', '\n'])?..],
        None => rest,
    };
    rest.strip_prefix('>')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bot_is_mentioned_by_its_whole_id() {
        for text in ["<@UBOT>", "hi <@UBOT|helper>, <@U1>", "<<@UBOT>", "<@<@UBOT>", "a\n<@UBOT|>"] {
            assert!(mentions(text, "UBOT"), "{text}");
        }
        for text in
            ["", "UBOT", "@UBOT", "<@UBOT", "<@UBOT2>", "<@U1> UBOT>", "&lt;@UBOT&gt;", "<@UBOT|a<b>", "<@UBOT|\n>"]
        {
            assert!(!mentions(text, "UBOT"), "{text}");
        }
    }

    #[test]
    fn the_address_goes_and_other_mentions_stay() {
        for (text, rest) in [
            ("<@UBOT> hi", "hi"),
            (" <@UBOT>: hi ", "hi "),
            ("<@UBOT|helper>, hi <@UBOT>", "hi <@UBOT>"),
            ("<@UBOT> <@UBOT>hi", "hi"),
            ("<@UBOT>:wave:", ":wave:"),
            ("<@UBOT> : x", ": x"),
            ("<@UBOT>", ""),
            ("<@UBOT>,", ""),
            ("hi <@UBOT>", "hi <@UBOT>"),
            ("<@U1> hi", "<@U1> hi"),
        ] {
            assert_eq!(without_address(text, "UBOT"), rest, "{text}");
        }
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        let text = "<@UBOT|".repeat(1 << 16);
        assert!(!mentions(&text, "UBOT"));
        assert_eq!(without_address(&"<@UBOT>".repeat(1 << 16), "UBOT"), "");
    }
}
