//! Reads a page as a browser does, and says what is wrong with it.

use std::collections::{BTreeMap, HashSet};

use html5gum::{Token, Tokenizer};

/// An element's start with its attributes.
struct Start {
    name: String,
    attributes: BTreeMap<String, String>,
}

impl Start {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

/// Elements without an end.
const VOID: [&str; 6] = ["meta", "link", "input", "img", "br", "hr"];
/// Elements that some references name.
const REFERENCES: [&str; 4] = ["for", "aria-describedby", "aria-labelledby", "aria-controls"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Checks a whole page, and gives the text that a reader sees.
pub(super) fn check(html: &str) -> Result<String, String> {
    let mut starts = Vec::new();
    let mut open: Vec<(String, usize)> = Vec::new();
    let mut forms: Vec<(usize, bool)> = Vec::new();
    let mut seen = String::new();
    for token in Tokenizer::new(html) {
        let Ok(token) = token;
        match token {
            Token::Error(error) => return Err(format!("not well-formed: {error:?}")),
            Token::StartTag(tag) => {
                let attributes = tag.attributes.iter().map(|(name, value)| (text(name), text(value))).collect();
                let start = Start { name: text(&tag.name), attributes };
                attributes_are_harmless(&start)?;
                if start.name == "form" && start.get("method") == Some("post") {
                    forms.push((starts.len(), start.get("action") == Some("/admin/login")));
                }
                if start.name == "input" && start.get("name") == Some("csrf") {
                    if start.get("type") != Some("hidden") || start.get("value").is_none_or(str::is_empty) {
                        return Err("a csrf field without a value".to_owned());
                    }
                    forms.last_mut().ok_or("a csrf field outside of a form that posts")?.1 = true;
                }
                let is_closed = tag.self_closing || VOID.contains(&start.name.as_str());
                if !is_closed {
                    open.push((start.name.clone(), starts.len()));
                }
                starts.push(start);
            }
            Token::EndTag(tag) => {
                let name = text(&tag.name);
                match open.pop() {
                    Some((opened, _)) if opened == name => {}
                    other => return Err(format!("</{name}> closes {other:?}")),
                }
            }
            Token::String(part) => seen.push_str(&text(&part)),
            Token::Comment(_) => return Err("a comment".to_owned()),
            Token::Doctype(_) => {}
        }
    }
    if let Some(left) = open.pop() {
        return Err(format!("{left:?} is never closed"));
    }
    if let Some((form, _)) = forms.iter().find(|(_, has_token)| !has_token) {
        return Err(format!("the form to {:?} has no csrf field", starts[*form].get("action")));
    }
    references_hold(&starts)?;
    fields_are_labelled(&starts)?;
    let headings = starts.iter().filter(|start| start.name == "h1").count();
    if headings != 1 { Err(format!("{headings} headings of the first level")) } else { Ok(seen) }
}

/// What the pages' policy forbids is not there in the first place.
fn attributes_are_harmless(start: &Start) -> Result<(), String> {
    for (name, value) in &start.attributes {
        if name.starts_with("on") || name == "style" {
            return Err(format!("{name}={value:?} on <{}>", start.name));
        }
        let is_address = ["href", "src", "action", "formaction"].contains(&name.as_str());
        if is_address && !(value.starts_with("/admin") || value == "#main") {
            return Err(format!("{name} leads to {value:?}"));
        }
    }
    match start.name.as_str() {
        "script" if start.get("src").is_none() => Err("a script in the page".to_owned()),
        "style" | "iframe" | "object" | "embed" | "base" => Err(format!("<{}>", start.name)),
        _ => Ok(()),
    }
}

fn references_hold(starts: &[Start]) -> Result<(), String> {
    let mut ids = HashSet::new();
    for id in starts.iter().filter_map(|start| start.get("id")) {
        if !ids.insert(id) {
            return Err(format!("the id {id:?} is there twice"));
        }
    }
    for start in starts {
        for wanted in REFERENCES.iter().filter_map(|name| start.get(name)).flat_map(str::split_whitespace) {
            if !ids.contains(wanted) {
                return Err(format!("<{}> refers to {wanted:?}, which is not there", start.name));
            }
        }
    }
    Ok(())
}

fn fields_are_labelled(starts: &[Start]) -> Result<(), String> {
    let labelled: HashSet<_> =
        starts.iter().filter(|start| start.name == "label").filter_map(|start| start.get("for")).collect();
    for field in starts.iter().filter(|start| ["input", "select", "textarea"].contains(&start.name.as_str())) {
        let is_hidden = field.get("type") == Some("hidden") || field.get("hidden").is_some();
        if !is_hidden && field.get("id").is_none_or(|id| !labelled.contains(id)) {
            return Err(format!("the field {:?} has no label", field.get("name")));
        }
    }
    Ok(())
}

#[test]
fn what_is_wrong_with_a_page_is_found() {
    assert!(check("<h1>a</h1>").is_ok());
    for wrong in [
        "<p>no heading</p>",
        "<h1>a</h1><p",
        "<h1>a</h1><p>",
        "<h1>a</h1></p>",
        "<h1 onclick=\"a\">a</h1>",
        "<h1 style=\"a\">a</h1>",
        "<h1>a</h1><script>a</script>",
        "<h1>a</h1><a href=\"https://x.example\">a</a>",
        "<h1>a</h1><form method=\"post\" action=\"/admin/x\"></form>",
        "<h1 id=\"a\">a</h1><p id=\"a\"></p>",
        "<h1 aria-describedby=\"b\">a</h1>",
        "<h1>a</h1><input name=\"a\">",
    ] {
        assert!(check(wrong).is_err(), "{wrong}");
    }
}
