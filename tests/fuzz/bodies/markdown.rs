//! Rendering of replies for each platform, and reading of Slack's text.

use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::text::{
    MAX_CONTENT_BYTES, from_slack_mrkdwn, sanitise, to_slack_mrkdwn, to_telegram_html, truncate,
};

use super::calls::{PLATFORMS, check_parts};

pub fn check(input: &[u8]) {
    let text = super::text(input);
    check_telegram_html(&to_telegram_html(&text));
    check_slack_mrkdwn(&to_slack_mrkdwn(&text));
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    assert_eq!(from_slack_mrkdwn(&escaped), text);
    let read = from_slack_mrkdwn(&text);
    assert!(read.len() <= 2 * text.len());
    // A reply as the relay takes it.
    let content = truncate(sanitise(&text), MAX_CONTENT_BYTES).text;
    for kind in ChannelKind::PLATFORMS {
        check_parts(kind, &PLATFORMS, &content);
    }
}

/// Telegram refuses a message whose tags are not those that it knows, or do not close in order. Gives the visible text.
pub fn check_telegram_html(html: &str) -> String {
    let (mut shown, mut open, mut rest) = (String::new(), Vec::new(), html);
    while let Some(at) = rest.find(['<', '>', '&']) {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = match &rest[..1] {
            "<" => rest.find('>').expect("a tag has an end"),
            "&" => rest.find(';').expect("an entity has an end"),
            _ => panic!("a bare > in {html:?}"),
        };
        let piece = &rest[..=end];
        rest = &rest[end + 1..];
        match piece {
            "&lt;" => shown.push('<'),
            "&gt;" => shown.push('>'),
            "&amp;" => shown.push('&'),
            "&quot;" => shown.push('"'),
            closing if closing.starts_with("</") => {
                let name = open.pop().expect("what closes was open");
                assert_eq!(closing, format!("</{name}>"), "{html:?}");
            }
            opening if opening.starts_with('<') => {
                let tag = &opening[1..opening.len() - 1];
                let name = tag.split(' ').next().unwrap_or_default();
                let attribute = &tag[name.len()..];
                let is_known = match name {
                    "b" | "i" | "s" | "pre" | "blockquote" => attribute.is_empty(),
                    "code" => attribute.is_empty() || is_attribute(attribute, "class=\"language-"),
                    "a" => is_attribute(attribute, "href=\""),
                    _ => false,
                };
                assert!(is_known, "{opening} in {html:?}");
                assert!(!matches!(name, "blockquote" | "a" | "b" | "i" | "s") || !open.contains(&name), "{html:?}");
                open.push(name);
            }
            other => panic!("{other} in {html:?}"),
        }
    }
    shown.push_str(rest);
    assert!(open.is_empty(), "{open:?} left open in {html:?}");
    shown
}

/// Whether ` start…"` is all there is.
fn is_attribute(text: &str, start: &str) -> bool {
    let value =
        text.strip_prefix(' ').and_then(|text| text.strip_prefix(start)).and_then(|text| text.strip_suffix('"'));
    value.is_some_and(|value| !value.is_empty() && !value.contains(['"', '\n', ' ']))
}

/// What stands in angle brackets is a link and nothing that calls people; everything else is escaped.
fn check_slack_mrkdwn(mrkdwn: &str) {
    let mut rest = mrkdwn;
    while let Some(at) = rest.find(['<', '&']) {
        rest = &rest[at..];
        if rest.starts_with('<') {
            let link = &rest[1..rest.find('>').expect("a link has an end")];
            let url = link.split('|').next().unwrap_or_default().to_ascii_lowercase();
            assert!(["http://", "https://", "mailto:"].iter().any(|scheme| url.starts_with(scheme)), "{link:?}");
            assert!(!link.contains(['<', '\n']), "{link:?}");
            rest = &rest[link.len() + 2..];
        } else {
            assert!(["&lt;", "&gt;", "&amp;"].iter().any(|entity| rest.starts_with(entity)), "{mrkdwn:?}");
            rest = &rest[1..];
        }
    }
}
