//! Splitting of replies. The first two bytes choose the limit.

use chaos_relay::domain::text::{Limit, Unit, split};

/// Limits beyond this one are those of platforms.
const LARGEST_MADE_UP: usize = 200;

pub fn check(input: &[u8]) {
    let [size, unit, text @ ..] = input else { return };
    let text = super::text(text);
    let unit = if unit % 2 == 0 { Unit::Utf16 } else { Unit::Chars };
    let limit = match usize::from(*size) {
        max if max <= LARGEST_MADE_UP => Limit { max, unit },
        other => [Limit::TELEGRAM, Limit::DISCORD, Limit::SLACK][other % 3],
    };
    let parts = split(&text, limit);
    let most = limit.max.max(Limit::SMALLEST);
    for part in &parts {
        assert!(!part.trim().is_empty(), "an empty part of {text:?}");
        assert!(limit.measure(part) <= most, "{} units in a part of {most}", limit.measure(part));
    }
    assert!(parts.len() <= text.chars().count());
    assert!(hold_all(&parts, &text), "{parts:?} do not hold all of {text:?}");
    if limit.measure(text.trim()) <= most && !text.contains(['`', '~']) {
        assert_eq!(parts.concat(), text.trim());
    }
}

/// Whether `parts` hold all of `text` in order; white space may go where a cut is, and between may stand what fences
/// repeat.
fn hold_all(parts: &[String], text: &str) -> bool {
    let essence = |c: &char| !c.is_whitespace() && !matches!(c, '`' | '~');
    let joined = parts.concat();
    let mut found = joined.chars().filter(essence);
    text.chars().filter(essence).all(|wanted| found.any(|c| c == wanted))
}
