//! JSON that needs no cleaning, brought into its compact form without a tree in between.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::sanitise::sanitise;

/// The most members of an object that are compared with each other; larger objects take the way over a tree.
const MAX_MEMBERS: usize = 32;

/// JSON in its compact form.
#[derive(Debug, PartialEq, Eq)]
pub struct CompactJson {
    /// The JSON.
    pub text: String,
    /// How deep its objects and lists are nested, in levels.
    pub levels: usize,
}

/// The compact form of JSON with nothing to clean, which nearly all is. `None` for all else: what is not JSON, has a text
/// or key that [`sanitise`] would change, a key twice in one object, or very many of them. Those are read into a
/// tree and cleaned by [`sanitise_json`](super::sanitise_json), which for the rest would come to the same text at
/// several times the cost.
pub fn compact_clean_json(json: &[u8]) -> Option<CompactJson> {
    let json = std::str::from_utf8(json).ok()?;
    let mut writer = Writer {
        out: Vec::with_capacity(json.len()),
        keys: Vec::new(),
        depth: 0,
        levels: 0,
        is_plain: json
            .bytes()
            .all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~') && !b"<\\".contains(&byte)),
    };
    let mut parser = serde_json::Deserializer::from_str(json);
    writer.deserialize(&mut parser).ok()?;
    parser.end().ok()?;
    let text = String::from_utf8(writer.out).expect("serde_json writes UTF-8");
    Some(CompactJson { text, levels: writer.levels })
}

/// Writes each value as soon as it is read.
struct Writer<'j> {
    out: Vec<u8>,
    /// The keys of all objects that are not ended, outermost first.
    keys: Vec<Cow<'j, str>>,
    depth: usize,
    levels: usize,
    /// The whole JSON is visible ASCII and blanks with nothing escaped, nor any tag: each text in it is clean, and is
    /// written as it was read.
    is_plain: bool,
}

impl Writer<'_> {
    fn put<E: Error>(&mut self, value: &(impl serde::Serialize + ?Sized)) -> Result<(), E> {
        serde_json::to_writer(&mut self.out, value).map_err(E::custom)
    }

    fn put_clean<E: Error>(&mut self, text: &str) -> Result<(), E> {
        if self.is_plain {
            self.out.push(b'"');
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(b'"');
            return Ok(());
        }
        match sanitise(text) {
            Cow::Borrowed(_) => self.put(text),
            Cow::Owned(_) => Err(E::custom("not clean")),
        }
    }

    fn open(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.depth += 1;
        self.levels = self.levels.max(self.depth);
    }

    /// Ends an object or list, each of whose members left a comma behind.
    fn close(&mut self, bracket: u8) {
        if self.out.last() == Some(&b',') {
            self.out.pop();
        }
        self.out.push(bracket);
        self.depth -= 1;
    }
}

impl<'j> DeserializeSeed<'j> for &mut Writer<'j> {
    type Value = ();

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'j> Visitor<'j> for &mut Writer<'j> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.put(&())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.put_clean(text)
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut items: A) -> Result<(), A::Error> {
        self.open(b'[');
        while items.next_element_seed(&mut *self)?.is_some() {
            self.out.push(b',');
        }
        self.close(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'j>>(self, mut members: A) -> Result<(), A::Error> {
        let first = self.keys.len();
        self.open(b'{');
        while let Some(key) = members.next_key_seed(Key)? {
            let others = &self.keys[first..];
            if others.len() == MAX_MEMBERS || others.contains(&key) {
                return Err(A::Error::custom("too many members, or one twice"));
            }
            self.put_clean(&key)?;
            self.keys.push(key);
            self.out.push(b':');
            members.next_value_seed(&mut *self)?;
            self.out.push(b',');
        }
        self.keys.truncate(first);
        self.close(b'}');
        Ok(())
    }
}

/// A key, borrowed from the text unless it is escaped there.
struct Key;

impl<'j> DeserializeSeed<'j> for Key {
    type Value = Cow<'j, str>;

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<Cow<'j, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'j> Visitor<'j> for Key {
    type Value = Cow<'j, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'j str) -> Result<Cow<'j, str>, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Cow<'j, str>, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::{is_nested_deeper, sanitise_json};
    use proptest::prelude::*;
    use serde_json::Value;

    fn compact(json: &str) -> Option<String> {
        compact_clean_json(json.as_bytes()).map(|compact| compact.text)
    }

    #[test]
    fn blanks_between_values_go_and_all_else_stays() {
        for (json, expected) in [
            (" { \"b\" : [ 1 , -2.50 , 1e3 ] , \"a\" : { } } ", r#"{"b":[1,-2.5,1000.0],"a":{}}"#),
            ("[]", "[]"),
            ("[[],[ ]]", "[[],[]]"),
            ("-0", "-0.0"),
            (r#"[null, true,"\u00e4\n"]"#, r#"[null,true,"ä\n"]"#),
            (r#"{"\u0061":1,"b":{"a":2}}"#, r#"{"a":1,"b":{"a":2}}"#),
            (r#"[",","}"]"#, r#"[",","}"]"#),
        ] {
            assert_eq!(compact(json).as_deref(), Some(expected), "{json}");
        }
    }

    #[test]
    fn what_has_to_be_cleaned_or_decided_is_left_to_others() {
        for json in [r#"{"a":1,"\u0061":2}"#, r#"["<b>x"]"#, r#"{"<b>":1}"#, r#""\u202e""#, "{", "", "1 2", "[1,]"] {
            assert_eq!(compact(json), None, "{json}");
        }
        let members = |count| {
            let members: Vec<_> = (0..count).map(|n| format!("\"{n}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert_eq!(compact(&members(32)), Some(members(32)));
        assert_eq!(compact(&members(33)), None);
        assert_eq!(compact(&"[".repeat(100_000)), None);
    }

    fn any_text() -> impl Strategy<Value = String> {
        let word = r#"[a-c<>/ b\\\\n\u{202E}\u{7f}äÿ]{0,6}"#;
        let number = prop_oneof![any::<i64>().prop_map(|n| n.to_string()), any::<f64>().prop_map(|n| format!("{n:e}"))];
        let quoted = word.prop_map(|text| Value::from(text).to_string());
        let leaf = prop_oneof![Just("null".to_owned()), Just("true".to_owned()), number, quoted.clone()];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let member = (quoted.clone(), inner.clone()).prop_map(|(key, value)| format!("{key} : {value}"));
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(|items| format!("[ {} ]", items.join(" ,"))),
                prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(", "))),
            ]
        })
    }

    proptest! {
        #[test]
        fn both_ways_come_to_the_same_text(json in any_text()) {
            if let Some(compact) = compact_clean_json(json.as_bytes()) {
                let tree = sanitise_json(serde_json::from_str(&json).unwrap());
                prop_assert_eq!(&compact.text, &tree.to_string());
                prop_assert!(!is_nested_deeper(&tree, compact.levels));
                prop_assert!(compact.levels == 0 || is_nested_deeper(&tree, compact.levels - 1));
            }
        }

        #[test]
        fn no_input_upsets_it(json in any::<Vec<u8>>()) {
            compact_clean_json(&json);
        }
    }
}
