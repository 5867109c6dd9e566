//! Discord's ids.

use serde_json::Value;

/// Most digits of a 64-bit number.
const MAX_DIGITS: usize = 20;

/// Reads an id. Discord writes them as strings; programs that forward its events may have made numbers of them.
///
/// Ids go into URLs, so nothing but digits is one. Source: discord-api-docs `developers/reference.mdx`.
pub(super) fn read(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => is_id(text).then(|| text.clone()),
        Value::Number(number) => number.as_u64().map(|id| id.to_string()),
        _ => None,
    }
}

/// Whether `text` is an id.
pub(super) fn is_id(text: &str) -> bool {
    (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_id_is_digits_in_a_string_or_a_whole_number() {
        assert_eq!(read(&json!("1300000000000000001")).as_deref(), Some("1300000000000000001"));
        assert_eq!(read(&json!(1_300_000_000_000_000_001_u64)).as_deref(), Some("1300000000000000001"));
        for bad in [json!(""), json!("12a"), json!("../1"), json!("１"), json!("1".repeat(21)), json!(-1), json!(1.5)]
        {
            assert_eq!(read(&bad), None, "{bad}");
        }
        assert_eq!(read(&json!(["1"])), None);
    }
}
