//! Generic webhooks: any body of any type becomes a message.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::domain::text;

/// Largest `raw` or `form` in a message's metadata, in bytes of compact JSON.
const MAX_RAW_BYTES: usize = 16 * 1024;
/// Longest `from`, in characters.
const MAX_FROM_CHARS: usize = 200;

/// What a body says.
#[derive(Debug, Clone, PartialEq)]
pub struct Inbound {
    /// Cleaned and cut.
    pub content: String,
    /// What goes with it: JSON members of the metadata.
    pub extra: String,
}

/// Who sent it: what `X-Webhook-Source` says, else `webhook`.
pub fn sender(source: Option<&str>) -> String {
    let cleaned = text::single_line(source.unwrap_or_default());
    match text::truncate_plain(cleaned.trim(), MAX_FROM_CHARS) {
        "" => "webhook".to_owned(),
        name => name.to_owned(),
    }
}

/// Reads a body by its content type. There is no body that cannot be read.
pub fn parse(content_type: &str, body: &[u8]) -> Inbound {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if is_json(&media_type) {
        return from_json(without_mark(body)).unwrap_or_else(|| {
            let mut inbound = from_text(body);
            inbound.extra.push_str(r#","parseError":true"#);
            inbound
        });
    }
    if media_type == "application/x-www-form-urlencoded" { from_form(body) } else { from_text(body) }
}

fn is_json(media_type: &str) -> bool {
    matches!(media_type, "application/json" | "text/json")
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// Some senders start JSON with a byte order mark, which RFC 8259 §8.1 allows to ignore.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

/// `None` if it is not JSON.
fn from_json(body: &[u8]) -> Option<Inbound> {
    if let Some(json) = text::compact_clean_json(body)
        && !json.text.starts_with('"')
    {
        let raw = member("raw", &json.text, json.levels > text::MAX_NESTING);
        return Some(inbound(json.text, raw));
    }
    let value = text::sanitise_json(serde_json::from_slice(body).ok()?);
    let json = value.to_string();
    let raw = member("raw", &json, text::is_nested_deeper(&value, text::MAX_NESTING));
    let content = match value {
        Value::String(content) => content,
        _ => json,
    };
    Some(inbound(content, raw))
}

fn from_form(body: &[u8]) -> Inbound {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        let value = Value::from(value);
        match fields.get_mut(name.as_ref()) {
            None => drop(fields.insert(name.into_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    let fields = text::sanitise_json(Value::Object(fields));
    let content = fields.to_string();
    let form = member("form", &content, false);
    inbound(content, form)
}

fn from_text(body: &[u8]) -> Inbound {
    let content = text::sanitise(&String::from_utf8_lossy(body)).into_owned();
    let raw = member("raw", &Value::from(content.as_str()).to_string(), false);
    inbound(content, raw)
}

/// The body itself as a member of the metadata, unless it is too large or nested too deep for readers.
fn member(name: &str, json: &str, is_deep: bool) -> String {
    if json.len() > MAX_RAW_BYTES || is_deep {
        return r#""rawOmitted":true"#.to_owned();
    }
    ["\"", name, "\":", json].concat()
}

fn inbound(content: String, mut extra: String) -> Inbound {
    let cut = text::truncate(content.into(), text::MAX_CONTENT_BYTES);
    if let Some(original) = cut.original_bytes {
        write!(extra, r#","truncated":true,"originalContentBytes":{original}"#).expect("a String takes all");
    }
    Inbound { content: cut.text, extra }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(content_type: &str, body: impl AsRef<[u8]>) -> (String, Value) {
        let Inbound { content, extra } = parse(content_type, body.as_ref());
        (content, serde_json::from_str(&format!("{{{extra}}}")).unwrap())
    }

    #[test]
    fn json_is_its_own_content_and_raw() {
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"] {
            let (content, metadata) = read(kind, r#" {"b": 1, "a": "<b>x</b>"} "#);
            assert_eq!(content, r#"{"b":1,"a":"x"}"#);
            assert_eq!(metadata, json!({"raw": {"b": 1, "a": "x"}}));
        }
        assert_eq!(read("application/json", r#""hello""#), ("hello".to_owned(), json!({"raw": "hello"})));
        assert_eq!(read("application/json", "\u{feff}[1]").0, "[1]");
        assert_eq!(read("application/json", "null"), ("null".to_owned(), json!({"raw": null})));
    }

    #[test]
    fn what_claims_to_be_json_and_is_not_is_kept_as_text() {
        assert_eq!(
            read("application/json", "{oops"),
            ("{oops".to_owned(), json!({"raw": "{oops", "parseError": true}))
        );
        assert_eq!(read("application/json", ""), (String::new(), json!({"raw": "", "parseError": true})));
        let deep = "[".repeat(100_000);
        assert_eq!(read("application/json", &deep).1["parseError"], true);
    }

    #[test]
    fn a_form_becomes_an_object_and_repeated_fields_a_list() {
        let (content, metadata) = read("application/x-www-form-urlencoded", "a=1&b=x+y&a=2&a=%3Cb%3E3&=");
        assert_eq!(content, r#"{"a":["1","2","3"],"b":"x y","":""}"#);
        assert_eq!(metadata, json!({"form": {"a": ["1", "2", "3"], "b": "x y", "": ""}}));
    }

    #[test]
    fn anything_else_is_text() {
        assert_eq!(read("text/plain", "a < b"), ("a < b".to_owned(), json!({"raw": "a < b"})));
        assert_eq!(read("", b"\xff\x00ok"), ("\u{fffd}ok".to_owned(), json!({"raw": "\u{fffd}ok"})));
        assert_eq!(read("application/octet-stream", ""), (String::new(), json!({"raw": ""})));
    }

    #[test]
    fn raw_is_left_out_beyond_sixteen_kib_of_json() {
        let fits = "x".repeat(16 * 1024 - 2);
        assert_eq!(read("text/plain", &fits).1, json!({"raw": fits}));
        assert_eq!(read("text/plain", format!("{fits}x")).1, json!({"rawOmitted": true}));
    }

    #[test]
    fn raw_is_left_out_when_it_is_nested_deeper_than_readers_of_messages_go() {
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read("application/json", nested(48)).1["raw"].is_array());
        assert_eq!(read("application/json", nested(49)), (nested(49), json!({"rawOmitted": true})));
    }

    #[test]
    fn long_content_is_cut_and_says_so() {
        let (content, metadata) = read("text/plain", "x".repeat(70_000));
        assert!(content.len() <= 64 * 1024);
        assert_eq!(metadata, json!({"rawOmitted": true, "truncated": true, "originalContentBytes": 70_000}));
        assert_eq!(read("text/plain", "x".repeat(65_536)).1, json!({"rawOmitted": true}));
    }

    #[test]
    fn the_sender_names_itself_in_one_short_line() {
        assert_eq!(sender(None), "webhook");
        assert_eq!(sender(Some(" ")), "webhook");
        assert_eq!(sender(Some("git\u{202e}hub")), "github");
        assert_eq!(sender(Some(&"ä".repeat(300))).chars().count(), 200);
    }
}
