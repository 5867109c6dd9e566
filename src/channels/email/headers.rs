//! The headers of a fetched mail, by name.

use serde_json::{Map, Value};

/// One member of the object that Resend gives.
#[derive(Clone, Debug)]
struct Member {
    /// The header's name, in lower case.
    name: String,
    /// Each instance of the header, in the order of the list when there is one.
    instances: Vec<String>,
}

/// The headers of a mail. Names are looked up in any case.
///
/// Resend gives an object from names to strings; a header that occurs more than once has been seen as a list
/// and as a string that holds a JSON list. Source: resend.com/docs/api-reference/emails/retrieve-received-email.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    members: Vec<Member>,
}

impl Headers {
    /// Reads the `headers` of a mail; whatever is no header is passed over.
    pub fn read(headers: &Value) -> Self {
        let empty = Map::new();
        let object = headers.as_object().unwrap_or(&empty);
        let member = |(name, value): (&String, &Value)| {
            let instances = instances(value);
            (!instances.is_empty()).then(|| Member { name: name.trim().to_ascii_lowercase(), instances })
        };
        Self { members: object.iter().filter_map(member).collect() }
    }

    /// Every instance of a header; `name` in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.members.iter().filter(move |member| member.name == name);
        named.flat_map(|member| member.instances.iter().map(String::as_str))
    }

    /// The first instance of a header; `name` in lower case.
    pub fn first(&self, name: &str) -> Option<&str> {
        let member = self.members.iter().find(|member| member.name == name)?;
        member.instances.first().map(String::as_str)
    }

    /// The instance that stands topmost in the mail, if that can be told: of several members that differ in
    /// the case of their names nobody knows the order. `name` in lower case.
    pub fn topmost(&self, name: &str) -> Option<&str> {
        let mut named = self.members.iter().filter(|member| member.name == name);
        let only = named.next()?;
        if named.next().is_some() { None } else { only.instances.first().map(String::as_str) }
    }

    /// Whether there is a header whose name begins with this; in lower case.
    pub fn any_begins_with(&self, start: &str) -> bool {
        self.members.iter().any(|member| member.name.starts_with(start))
    }
}

fn instances(value: &Value) -> Vec<String> {
    let texts = |list: &[Value]| list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    match value {
        Value::Array(list) => texts(list),
        Value::String(text) => match serde_json::from_str(text) {
            // An ordinary value may begin with a bracket too; only a list of nothing but strings is meant.
            Ok(Value::Array(list)) if !list.is_empty() && list.iter().all(Value::is_string) => texts(&list),
            _ => vec![text.clone()],
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all<'a>(headers: &'a Headers, name: &'a str) -> Vec<&'a str> {
        headers.all(name).collect()
    }

    #[test]
    fn a_header_is_a_string_a_list_or_a_list_in_a_string() {
        let headers = Headers::read(&json!({
            "in-reply-to": "<a@x>", "Received": ["one", 2, "two"], "X-Tag": "[\"a\",\"b\"]", "x-odd": "[1]",
            "x-empty": "[]", "x-null": null, "x-number": 5, "x-open": "[\"a\"",
        }));
        assert_eq!(all(&headers, "in-reply-to"), ["<a@x>"]);
        assert_eq!(all(&headers, "received"), ["one", "two"]);
        assert_eq!(all(&headers, "x-tag"), ["a", "b"]);
        assert_eq!(headers.first("x-odd"), Some("[1]"));
        assert_eq!(headers.first("x-empty"), Some("[]"));
        assert_eq!(headers.first("x-open"), Some("[\"a\""));
        assert_eq!((headers.first("x-null"), headers.first("x-number"), headers.first("absent")), (None, None, None));
    }

    #[test]
    fn names_in_different_cases_are_one_header_of_unknown_order() {
        let headers = Headers::read(&json!({"X-A": "1", "x-a": "2", "List-Id": "l"}));
        assert_eq!(all(&headers, "x-a"), ["1", "2"]);
        assert_eq!(headers.topmost("x-a"), None);
        assert_eq!(headers.topmost("list-id"), Some("l"));
        assert!(headers.any_begins_with("list-") && !headers.any_begins_with("list-x"));
    }

    #[test]
    fn headers_that_are_no_object_are_none() {
        for odd in [json!(null), json!("a: b"), json!([1]), json!(5)] {
            assert_eq!(Headers::read(&odd).first("a"), None);
        }
    }
}
