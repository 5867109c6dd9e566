//! Cleaning of text, and cutting it.

use std::borrow::Cow;

use chaos_relay::domain::text;
use serde_json::Value;

pub fn check(input: &[u8]) {
    let dirty = super::text(input);
    let clean = text::sanitise(&dirty);
    assert!(is_within(&clean, &dirty), "something was added");
    assert!(matches!(text::sanitise(&clean), Cow::Borrowed(_)), "cleaning twice is not cleaning once: {clean:?}");
    assert!(matches!(text::strip_hidden(&clean), Cow::Borrowed(_)), "something hidden is left");

    let line = text::single_line(&dirty);
    assert!(!line.contains(['\n', '\t', '\r', '\u{202E}', '\u{7F}']));
    assert_eq!(text::single_line(&line), line);

    for max in [0, 3, 64, 100] {
        let cut = text::truncate(Cow::Borrowed(&clean), max);
        assert!(cut.text.len() <= max);
        assert_eq!(cut.original_bytes, (clean.len() > max).then_some(clean.len()));
        assert!(text::truncate_plain(&clean, max).chars().count() <= max);
        assert!(text::preview(&clean, max).chars().count() <= max + 1);
    }

    if let Ok(value) = serde_json::from_slice::<Value>(input) {
        let clean = text::sanitise_json(value.clone());
        assert_eq!(count(&clean), count(&value), "a value was lost or made up");
        // Once more changes nothing but numbers behind names, and there are none to give: all names differ.
        assert_eq!(text::sanitise_json(clean.clone()), clean);
    }
}

/// Whether the characters of `part` are found in `whole`, in this order.
fn is_within(part: &str, whole: &str) -> bool {
    let mut rest = whole.chars();
    part.chars().all(|wanted| rest.any(|c| c == wanted))
}

/// How many values there are.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
        _ => 1,
    }
}
