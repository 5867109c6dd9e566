//! Cleaning of every text inside a JSON value.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::sanitise::sanitise;

/// Deepest nesting of what a message carries in its metadata, in levels. Readers of JSON refuse a text as a whole that
/// is nested too deep, many from 64 levels on, and a page of messages adds five; honest data has a dozen.
pub const MAX_NESTING: usize = 48;

/// Whether `value` has objects and lists in each other to more than `levels` levels.
pub fn is_nested_deeper(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else { return value.is_array() || value.is_object() };
    match value {
        Value::Array(items) => items.iter().any(|item| is_nested_deeper(item, below)),
        Value::Object(members) => members.values().any(|member| is_nested_deeper(member, below)),
        _ => false,
    }
}

/// Cleans every string and every object key inside `value`, as [`sanitise`] does.
///
/// The order of keys is kept. Keys that become equal by cleaning lose nothing: the later one is
/// kept with ` (2)`, ` (3)` and so on appended. Recurses once per level, so the value must come
/// from a parser that bounds nesting (`serde_json` stops at 128 levels). What is clean already, as
/// nearly everything is, comes back as it was.
pub fn sanitise_json(value: Value) -> Value {
    if is_clean(&value) { value } else { cleaned_value(value) }
}

fn is_clean(value: &Value) -> bool {
    let is_clean_text = |text: &str| matches!(sanitise(text), Cow::Borrowed(_));
    match value {
        Value::String(text) => is_clean_text(text),
        Value::Array(items) => items.iter().all(is_clean),
        Value::Object(fields) => fields.iter().all(|(key, value)| is_clean_text(key) && is_clean(value)),
        _ => true,
    }
}

fn cleaned_value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(cleaned(text)),
        Value::Array(items) => Value::Array(items.into_iter().map(cleaned_value).collect()),
        Value::Object(fields) => Value::Object(cleaned_object(fields)),
        other => other,
    }
}

/// The clean form of `text`, without a copy when it is clean already.
fn cleaned(text: String) -> String {
    let changed = match sanitise(&text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(clean) => Some(clean),
    };
    changed.unwrap_or(text)
}

/// Cleans keys and values of one object and numbers keys that have become equal.
fn cleaned_object(fields: Map<String, Value>) -> Map<String, Value> {
    let mut clean = Map::with_capacity(fields.len());
    // The next number to try for each key met twice: without it, n equal keys cost n² look-ups.
    let mut next_number: HashMap<String, usize> = HashMap::new();
    for (key, value) in fields {
        let mut name = cleaned(key);
        if clean.contains_key(&name) {
            let number = next_number.entry(name.clone()).or_insert(2);
            let mut numbered = format!("{name} ({number})");
            while clean.contains_key(&numbered) {
                *number += 1;
                numbered = format!("{name} ({number})");
            }
            *number += 1;
            name = numbered;
        }
        clean.insert(name, cleaned_value(value));
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn every_string_and_key_is_cleaned_at_any_depth() {
        let dirty = json!({"<b>k</b>": ["<i>v</i>", {"in\u{7F}ner": "\u{202E}x"}], "n": 1.5});
        let clean = json!({"k": ["v", {"inner": "x"}], "n": 1.5});
        assert_eq!(sanitise_json(dirty), clean);
    }

    #[test]
    fn values_that_are_no_text_are_untouched() {
        let value = json!([null, true, -7, 0.25, [], {}]);
        assert_eq!(sanitise_json(value.clone()), value);
    }

    #[test]
    fn keys_that_become_equal_are_numbered_in_order() {
        let dirty = json!({"a<b>": 1, "a": 2, "<i>a": 3, "a (2)": 4, "z": 5});
        let clean = sanitise_json(dirty);
        let pairs: Vec<_> = clean.as_object().unwrap().iter().collect();
        let expected = [("a", 1), ("a (2)", 2), ("a (3)", 3), ("a (2) (2)", 4), ("z", 5)];
        assert_eq!(pairs.len(), expected.len());
        for ((key, value), (name, number)) in pairs.into_iter().zip(expected) {
            assert_eq!((key.as_str(), value), (name, &json!(number)));
        }
    }

    #[test]
    fn a_number_that_is_taken_is_passed_over() {
        let dirty = json!({"a (2)": 1, "a": 2, "a<b>": 3, "a<i>": 4});
        let clean = json!({"a (2)": 1, "a": 2, "a (3)": 3, "a (4)": 4});
        assert_eq!(sanitise_json(dirty), clean);
    }

    #[test]
    fn the_order_of_keys_is_kept() {
        let clean = sanitise_json(json!({"z": 1, "<b>a": 2, "m": 3}));
        let keys: Vec<_> = clean.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["z", "a", "m"]);
    }

    #[test]
    fn nesting_is_counted_by_the_innermost_list_or_object() {
        for (value, levels) in
            [(json!(1), 0), (json!([]), 1), (json!({"a": 1, "b": [1]}), 2), (json!([[], {"a": []}]), 3)]
        {
            assert!(!is_nested_deeper(&value, levels), "{value}");
            assert!(levels == 0 || is_nested_deeper(&value, levels - 1), "{value}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let text = "[a-c<>/ b\\n\u{202E}]{0,8}";
        let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), text.prop_map(Value::from)];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let members = prop::collection::vec((text, inner.clone()), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(Value::from),
                members.prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn count(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
            Value::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
            _ => 1,
        }
    }

    proptest! {
        #[test]
        fn no_value_is_lost_and_cleaning_twice_equals_cleaning_once(value in any_json()) {
            let clean = sanitise_json(value.clone());
            prop_assert_eq!(count(&clean), count(&value));
            prop_assert_eq!(sanitise_json(clean.clone()), clean);
        }
    }
}
