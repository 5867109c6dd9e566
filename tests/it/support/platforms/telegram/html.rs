//! Telegram's HTML: what of it is text, what is formatting, and what is an error.
//!
//! Sources: core.telegram.org/bots/api#html-style; tdlib/td `td/telegram/MessageEntity.cpp`.

use serde_json::{Value, json};

/// Tags that exist, with the kind of entity each makes.
const TAGS: [(&str, &str); 16] = [
    ("b", "bold"),
    ("strong", "bold"),
    ("i", "italic"),
    ("em", "italic"),
    ("u", "underline"),
    ("ins", "underline"),
    ("s", "strikethrough"),
    ("strike", "strikethrough"),
    ("del", "strikethrough"),
    ("tg-spoiler", "spoiler"),
    ("span", "spoiler"),
    ("a", "text_link"),
    ("code", "code"),
    ("pre", "pre"),
    ("blockquote", "blockquote"),
    ("tg-emoji", "custom_emoji"),
];

/// A text without its markup.
#[derive(Debug, PartialEq)]
pub struct Formatted {
    pub text: String,
    pub entities: Vec<Value>,
}

/// A tag that is not closed yet.
struct Open {
    name: String,
    kind: &'static str,
    /// The attribute that matters for this tag.
    argument: Option<String>,
    /// Where the entity begins, in UTF-16 units.
    offset: usize,
    /// Where its text begins, in bytes.
    start: usize,
}

struct Reader<'a> {
    html: &'a str,
    at: usize,
    text: String,
    /// Length of the text in UTF-16 units.
    units: usize,
    open: Vec<Open>,
    entities: Vec<Value>,
}

/// Reads HTML. The error is what follows `can't parse entities: `.
pub fn parse(html: &str) -> Result<Formatted, String> {
    let mut reader = Reader { html, at: 0, text: String::new(), units: 0, open: Vec::new(), entities: Vec::new() };
    while let Some(c) = reader.peek() {
        match c {
            '<' => reader.tag()?,
            '&' => {
                let c = reader.reference().unwrap_or('&');
                reader.push(c);
            }
            c => {
                reader.at += c.len_utf8();
                reader.push(c);
            }
        }
    }
    if let Some(open) = reader.open.last() {
        return Err(format!("Can't find end tag corresponding to start tag \"{}\"", open.name));
    }
    let position = |entity: &Value| (entity["offset"].as_u64(), std::cmp::Reverse(entity["length"].as_u64()));
    reader.entities.sort_by_key(position);
    Ok(Formatted { text: reader.text, entities: reader.entities })
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.html[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, c: char) {
        self.text.push(c);
        self.units += c.len_utf16();
    }

    /// Takes everything up to the first character of which this is true.
    fn take_until(&mut self, ends: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let taken = rest[..rest.find(ends).unwrap_or(rest.len())].to_owned();
        self.at += taken.len();
        taken
    }

    fn skip_blanks(&mut self) {
        self.take_until(|c| !c.is_ascii_whitespace());
    }

    /// Takes the character reference at hand. Only four names are known; all else is text, which begins with `&`.
    fn reference(&mut self) -> Option<char> {
        let rest = &self.rest()[1..];
        let number = |digits: &str, radix| char::from_u32(u32::from_str_radix(digits, radix).ok()?);
        let (c, length) = if let Some(hex) = rest.strip_prefix("#x") {
            let digits = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
            (number(&hex[..digits], 16), 2 + digits)
        } else if let Some(decimal) = rest.strip_prefix('#') {
            let digits = decimal.find(|c: char| !c.is_ascii_digit()).unwrap_or(decimal.len());
            (number(&decimal[..digits], 10), 1 + digits)
        } else {
            let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let known = [("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"')];
            (known.iter().find(|(name, _)| *name == &rest[..letters]).map(|(_, c)| *c), letters)
        };
        let Some(c) = c.filter(|c| *c != '\0') else {
            self.at += 1;
            return None;
        };
        let ends_well = rest[length..].starts_with(';');
        self.at += 1 + length + usize::from(ends_well);
        Some(c)
    }

    fn tag(&mut self) -> Result<(), String> {
        let begin = self.at;
        self.at += 1;
        match self.peek() {
            Some('/') => self.end_tag(begin),
            _ => self.start_tag(begin),
        }
    }

    fn start_tag(&mut self, begin: usize) -> Result<(), String> {
        let name = self.take_until(|c| c.is_ascii_whitespace() || c == '>').to_ascii_lowercase();
        let unclosed = || format!("Unclosed start tag \"{name}\" at byte offset {begin}");
        if self.peek().is_none() {
            return Err(unclosed());
        }
        let Some((_, kind)) = TAGS.iter().find(|(known, _)| *known == name) else {
            return Err(format!("Unsupported start tag \"{name}\" at byte offset {begin}"));
        };
        let mut argument = None;
        loop {
            self.skip_blanks();
            match self.peek() {
                None => return Err(unclosed()),
                Some('>') => break,
                Some(_) => {}
            }
            let attribute = self.take_until(|c| c.is_ascii_whitespace() || c == '=' || c == '>').to_ascii_lowercase();
            if attribute.is_empty() {
                return Err(format!("Empty attribute name in the tag \"{name}\" at byte offset {begin}"));
            }
            let value = self.attribute_value(&name, &attribute, begin)?;
            match (name.as_str(), attribute.as_str()) {
                ("a", "href") | ("tg-emoji", "emoji-id") | ("blockquote", "expandable") | ("span", "class") => {
                    argument = Some(value);
                }
                ("code", "class") => argument = value.strip_prefix("language-").map(str::to_owned),
                _ => {}
            }
        }
        self.at += 1;
        if name == "span" && argument.as_deref() != Some("tg-spoiler") {
            return Err(format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {begin}"));
        }
        if name == "tg-emoji" && argument.as_deref().is_none_or(|id| id.parse::<u64>().is_err()) {
            return Err("Invalid custom emoji identifier specified".to_owned());
        }
        if name == "blockquote" && self.open.iter().any(|open| open.name == name) {
            return Err(format!("Blockquotes can't be nested at byte offset {begin}"));
        }
        let (offset, start) = (self.units, self.text.len());
        self.open.push(Open { name, kind, argument, offset, start });
        Ok(())
    }

    fn attribute_value(&mut self, tag: &str, attribute: &str, begin: usize) -> Result<String, String> {
        self.skip_blanks();
        if self.peek() != Some('=') {
            return match (tag, attribute) {
                ("blockquote", "expandable") => Ok(String::new()),
                _ => Err(format!(
                    "Expected equal sign in declaration of an attribute of the tag \"{tag}\" at byte offset {begin}"
                )),
            };
        }
        self.at += 1;
        self.skip_blanks();
        let Some(quote @ ('"' | '\'')) = self.peek() else {
            let value = self.take_until(|c| !c.is_ascii_alphanumeric() && c != '.' && c != '-');
            return match self.peek() {
                Some(c) if !c.is_ascii_whitespace() && c != '>' => {
                    Err(format!("Unexpected end of name token at byte offset {}", self.at))
                }
                _ => Ok(value.to_ascii_lowercase()),
            };
        };
        self.at += 1;
        let mut value = String::new();
        while let Some(c) = self.peek().filter(|c| *c != quote) {
            if c == '&' {
                value.push(self.reference().unwrap_or('&'));
            } else {
                self.at += c.len_utf8();
                value.push(c);
            }
        }
        if self.peek().is_some() {
            self.at += 1;
        }
        Ok(value)
    }

    fn end_tag(&mut self, begin: usize) -> Result<(), String> {
        self.at += 1;
        let name = self.take_until(|c| c.is_ascii_whitespace() || c == '>').to_ascii_lowercase();
        self.skip_blanks();
        let Some(open) = self.open.pop() else {
            return Err(format!("Unexpected end tag at byte offset {begin}"));
        };
        if self.peek() != Some('>') {
            return Err(format!("Unclosed end tag at byte offset {begin}"));
        }
        self.at += 1;
        if !name.is_empty() && name != open.name {
            let expected = open.name;
            return Err(format!(
                "Unmatched end tag at byte offset {begin}, expected \"</{expected}>\", found \"</{name}>\""
            ));
        }
        self.close(open);
        Ok(())
    }

    fn close(&mut self, open: Open) {
        let length = self.units - open.offset;
        // In code there is no other formatting; it is dropped without a word.
        if length == 0 || (self.open.iter().any(|outer| outer.name == "code")) {
            return;
        }
        let is_in_pre = self.open.iter().any(|outer| outer.name == "pre");
        let mut entity = json!({"type": open.kind, "offset": open.offset, "length": length});
        match open.name.as_str() {
            "code" if is_in_pre => entity["language"] = open.argument.into(),
            _ if is_in_pre => return,
            "pre" | "code" => {
                let inner = |found: &Value| found["offset"].as_u64() >= Some(open.offset as u64);
                let code = self.entities.iter().rfind(|found| {
                    found["type"] == "code" && found["offset"] == open.offset && found["length"] == length
                });
                let language = code.and_then(|code| code["language"].as_str()).map(str::to_owned);
                self.entities.retain(|found| !inner(found));
                if let Some(language) = language {
                    entity["language"] = language.into();
                }
            }
            "a" => {
                let url = open.argument.filter(|url| !url.is_empty());
                let Some(url) = link(&url.unwrap_or_else(|| self.text[open.start..].to_owned())) else { return };
                entity["url"] = url.into();
            }
            "blockquote" if open.argument.is_some() => entity["type"] = "expandable_blockquote".into(),
            "tg-emoji" => entity["custom_emoji_id"] = open.argument.into(),
            _ => {}
        }
        self.entities.push(entity);
    }
}

/// The address that a link leads to: everything without a scheme that Telegram knows is taken for a host.
/// `None` for what cannot be one; such a link is dropped without a word.
fn link(address: &str) -> Option<String> {
    let known = ["http://", "https://", "tg:", "ton:", "tonsite:"];
    let lower = address.to_ascii_lowercase();
    let whole = if known.iter().any(|scheme| lower.starts_with(scheme)) {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    let url = url::Url::parse(&whole).ok()?;
    let is_web = url.scheme().starts_with("http");
    (!is_web || url.host_str().is_some_and(|host| host.contains('.'))).then_some(whole)
}
