//! Reading of the text that Slack delivers.

use memchr::memchr;

/// `text` of a Slack event as a person would read it.
///
/// Links become `label (url)`, mentions `@name`, channels `#name`, special mentions `@here`, dates
/// their fallback; an id stands where Slack gives no name. `&lt;`, `&gt;` and `&amp;` are decoded
/// once. The marks of mrkdwn stay. Slack escapes every `<` that a person typed, so what stands in
/// angle brackets is Slack's own.
pub fn from_slack_mrkdwn(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = memchr(b'<', rest.as_bytes()) {
        decode(&rest[..open], &mut plain);
        let inner = &rest[open + 1..];
        // A newline or another `<` cannot be in a control sequence, so this `<` begins none.
        match inner.find(['>', '<', '\n']) {
            Some(end) if inner.as_bytes()[end] == b'>' && end > 0 => {
                control(&inner[..end], &mut plain);
                rest = &inner[end + 1..];
            }
            _ => {
                plain.push('<');
                rest = inner;
            }
        }
    }
    decode(rest, &mut plain);
    plain
}

/// Appends what the control sequence `<inner>` stands for.
fn control(inner: &str, plain: &mut String) {
    let (target, label) = inner.split_once('|').unwrap_or((inner, ""));
    let kind = target.as_bytes().first().copied().unwrap_or_default();
    let sign = match kind {
        b'@' | b'!' => '@',
        b'#' => '#',
        _ => return link(target, label, plain),
    };
    let name = if label.is_empty() { bare_name(kind, &target[1..]) } else { label };
    // The label of a date is a sentence, not a name.
    if !name.starts_with(sign) && !target.starts_with("!date^") {
        plain.push(sign);
    }
    decode(name, plain);
}

/// The name of a mention without a label: `here`, or the id in `subteam^S1`.
fn bare_name(kind: u8, target: &str) -> &str {
    match target.split_once('^') {
        Some((_, id)) if kind == b'!' => id,
        _ => target,
    }
}

/// Appends a link; a label that repeats the address is left out.
fn link(url: &str, label: &str, plain: &mut String) {
    let address = url.strip_prefix("mailto:").or_else(|| url.strip_prefix("tel:")).unwrap_or(url);
    if label.is_empty() || label == url {
        decode(url, plain);
    } else if label == address {
        decode(label, plain);
    } else {
        decode(label, plain);
        plain.push_str(" (");
        decode(url, plain);
        plain.push(')');
    }
}

/// Appends `text` with Slack's three entities decoded once.
fn decode(text: &str, plain: &mut String) {
    let mut rest = text;
    while let Some(at) = memchr(b'&', rest.as_bytes()) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = [("&lt;", '<'), ("&gt;", '>'), ("&amp;", '&')];
        let (length, c) = known
            .iter()
            .find(|(entity, _)| rest.starts_with(entity))
            .map_or((1, '&'), |(entity, c)| (entity.len(), *c));
        plain.push(c);
        rest = &rest[length..];
    }
    plain.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn links_and_mentions_become_readable() {
        for (slack, plain) in [
            (
                "see <https://x.example/a?b=1&amp;c=2|the &lt;docs&gt;>!",
                "see the <docs> (https://x.example/a?b=1&c=2)!",
            ),
            ("<https://x.example>", "https://x.example"),
            ("<https://x.example|https://x.example>", "https://x.example"),
            ("<mailto:a@x.example|a@x.example>", "a@x.example"),
            ("<@U1> <@U1|ana> <@U1|>", "@U1 @ana @U1"),
            ("<#C1|general> <#C1>", "#general #C1"),
            ("<!here> <!channel|channel> <!everyone|@everyone>", "@here @channel @everyone"),
            ("<!subteam^S1|@team> <!subteam^S1>", "@team @S1"),
            ("<!date^1767225600^{date}|1 January>", "1 January"),
            ("*b* _i_ ~s~ `c`", "*b* _i_ ~s~ `c`"),
        ] {
            assert_eq!(from_slack_mrkdwn(slack), plain);
        }
    }

    #[test]
    fn entities_are_decoded_once() {
        assert_eq!(from_slack_mrkdwn("&amp;lt; &lt;@U1&gt; &quot; & &am"), "&lt; <@U1> &quot; & &am");
    }

    #[test]
    fn what_is_no_control_sequence_stays() {
        for text in ["<", "<>", "a < b", "<a\nb>", "<<<", ">"] {
            assert_eq!(from_slack_mrkdwn(text), text);
        }
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        let open = "<".repeat(1 << 20);
        assert_eq!(from_slack_mrkdwn(&open), open);
        assert_eq!(from_slack_mrkdwn(&"&".repeat(1 << 20)).len(), 1 << 20);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[<>|@#!&;a-zé^\n]{0,80}") {
            from_slack_mrkdwn(&text);
        }

        #[test]
        fn escaped_text_comes_back(text in ".{0,80}") {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            prop_assert_eq!(from_slack_mrkdwn(&escaped), text);
        }
    }
}
