//! What of HTML matters for its text: known tags, links, images, and what is hidden.

use std::collections::HashMap;
use std::convert::Infallible;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

/// What an element does to the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    Inline,
    /// Its content is no text for readers.
    Unseen,
    /// Ends the line.
    Break,
    /// Draws a line.
    Rule,
    /// Stands for its description.
    Image,
    /// Leads elsewhere.
    Link,
    /// A cell of a row.
    Cell,
    /// Stands on lines of its own.
    Line,
    /// Stands on lines of its own with a blank line around it.
    Paragraph,
    /// What somebody else wrote.
    Quote,
    /// Blanks and line breaks count.
    Preformatted,
    /// A list with bullets.
    Bullets,
    /// A numbered list.
    Numbers,
    /// An item of a list.
    Item,
}

/// Every element that is known; the others are as good as not there.
const ELEMENTS: [(&str, Kind); 71] = [
    ("a", Kind::Link),
    ("abbr", Kind::Inline),
    ("address", Kind::Line),
    ("article", Kind::Paragraph),
    ("aside", Kind::Paragraph),
    ("b", Kind::Inline),
    ("big", Kind::Inline),
    ("blockquote", Kind::Quote),
    ("body", Kind::Line),
    ("br", Kind::Break),
    ("caption", Kind::Line),
    ("center", Kind::Line),
    ("cite", Kind::Inline),
    ("code", Kind::Inline),
    ("dd", Kind::Line),
    ("del", Kind::Inline),
    ("div", Kind::Line),
    ("dl", Kind::Paragraph),
    ("dt", Kind::Line),
    ("em", Kind::Inline),
    ("fieldset", Kind::Line),
    ("figcaption", Kind::Line),
    ("figure", Kind::Paragraph),
    ("font", Kind::Inline),
    ("footer", Kind::Paragraph),
    ("form", Kind::Line),
    ("h1", Kind::Paragraph),
    ("h2", Kind::Paragraph),
    ("h3", Kind::Paragraph),
    ("h4", Kind::Paragraph),
    ("h5", Kind::Paragraph),
    ("h6", Kind::Paragraph),
    ("head", Kind::Unseen),
    ("header", Kind::Paragraph),
    ("hr", Kind::Rule),
    ("i", Kind::Inline),
    ("iframe", Kind::Unseen),
    ("img", Kind::Image),
    ("ins", Kind::Inline),
    ("label", Kind::Inline),
    ("legend", Kind::Line),
    ("li", Kind::Item),
    ("main", Kind::Line),
    ("nav", Kind::Line),
    ("noembed", Kind::Unseen),
    ("noframes", Kind::Unseen),
    ("ol", Kind::Numbers),
    ("p", Kind::Paragraph),
    ("pre", Kind::Preformatted),
    ("q", Kind::Inline),
    ("s", Kind::Inline),
    ("script", Kind::Unseen),
    ("section", Kind::Paragraph),
    ("small", Kind::Inline),
    ("span", Kind::Inline),
    ("strike", Kind::Inline),
    ("strong", Kind::Inline),
    ("style", Kind::Unseen),
    ("sub", Kind::Inline),
    ("sup", Kind::Inline),
    ("table", Kind::Paragraph),
    ("tbody", Kind::Line),
    ("td", Kind::Cell),
    ("template", Kind::Unseen),
    ("tfoot", Kind::Line),
    ("th", Kind::Cell),
    ("thead", Kind::Line),
    ("title", Kind::Unseen),
    ("tr", Kind::Line),
    ("u", Kind::Inline),
    ("ul", Kind::Bullets),
];

/// Elements that have no content and no end.
const VOID: [Kind; 3] = [Kind::Break, Kind::Rule, Kind::Image];

/// A part of the HTML.
#[derive(Debug)]
pub(super) enum Event {
    /// Text, with its entities decoded.
    Text(String),
    /// An element begins.
    Start {
        /// What it does.
        kind: Kind,
        /// Where a link leads; the description of an image.
        reference: Option<String>,
        /// Set when readers do not see the element: the index of the event behind it.
        unseen_until: Option<usize>,
    },
    /// An element ends.
    End(Kind),
}

/// Reads HTML.
pub(super) fn read(html: &str) -> Vec<Event> {
    let mut reading = Reading::default();
    let callback = |event: CallbackEvent<'_>, _: Span<()>| -> Option<Infallible> {
        reading.take(event);
        None
    };
    let mut emitter = CallbackEmitter::new(callback);
    emitter.naively_switch_states(true);
    // The callback keeps all events to itself, so this runs to the end of the text.
    Tokenizer::new_with_emitter(html, emitter).for_each(drop);
    reading.finish()
}

#[derive(Default)]
struct Reading {
    events: Vec<Event>,
    /// The start tag that is being read, and whether it hides its element.
    tag: Option<(usize, bool)>,
    reference: Option<String>,
    attribute: Vec<u8>,
    /// Elements that are open, by their place in [`ELEMENTS`]: the indices of their start, and whether they are
    /// hidden.
    open: HashMap<usize, Vec<(usize, bool)>>,
}

impl Reading {
    fn take(&mut self, event: CallbackEvent<'_>) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.tag = place(name).map(|place| (place, ELEMENTS[place].1 == Kind::Unseen));
                self.reference = None;
            }
            CallbackEvent::AttributeName { name } => {
                name.clone_into(&mut self.attribute);
                if let Some((_, is_hidden)) = &mut self.tag {
                    *is_hidden |= name == b"hidden";
                }
            }
            CallbackEvent::AttributeValue { value } => self.take_attribute(value),
            CallbackEvent::CloseStartTag { .. } => self.start(),
            CallbackEvent::EndTag { name } => self.end(name),
            CallbackEvent::String { value } => {
                self.events.push(Event::Text(String::from_utf8_lossy(value).into_owned()));
            }
            CallbackEvent::Comment { .. } | CallbackEvent::Doctype { .. } | CallbackEvent::Error(_) => {}
        }
    }

    fn take_attribute(&mut self, value: &[u8]) {
        let Some((place, is_hidden)) = &mut self.tag else { return };
        match (self.attribute.as_slice(), ELEMENTS[*place].1) {
            (b"style", _) => *is_hidden |= hides(value),
            (b"href", Kind::Link) | (b"alt", Kind::Image) if self.reference.is_none() => {
                self.reference = Some(String::from_utf8_lossy(value).into_owned());
            }
            _ => {}
        }
    }

    fn start(&mut self) {
        let Some((place, is_hidden)) = self.tag.take() else { return };
        let kind = ELEMENTS[place].1;
        let at = self.events.len();
        let is_void = VOID.contains(&kind);
        if !is_void {
            self.open.entry(place).or_default().push((at, is_hidden));
        }
        let unseen_until = (is_void && is_hidden).then_some(at + 1);
        self.events.push(Event::Start { kind, reference: self.reference.take(), unseen_until });
    }

    fn end(&mut self, name: &[u8]) {
        let Some(place) = place(name) else { return };
        self.events.push(Event::End(ELEMENTS[place].1));
        let behind = self.events.len();
        if let Some((at, true)) = self.open.get_mut(&place).and_then(Vec::pop) {
            self.conceal(at, behind);
        }
    }

    fn conceal(&mut self, at: usize, behind: usize) {
        if let Some(Event::Start { unseen_until, .. }) = self.events.get_mut(at) {
            *unseen_until = Some(behind);
        }
    }

    /// A hidden element that is never closed is shown: a reader of the page might see what follows it. But all that
    /// follows an open `<script>` or `<style>` is program text.
    fn finish(mut self) -> Vec<Event> {
        let program = ["script", "style"].map(|name| place(name.as_bytes()));
        let open: Vec<usize> =
            program.iter().flatten().filter_map(|place| self.open.get(place)?.first()).map(|(at, _)| *at).collect();
        for at in open {
            self.conceal(at, self.events.len());
        }
        self.events
    }
}

/// An element's place in [`ELEMENTS`].
fn place(name: &[u8]) -> Option<usize> {
    ELEMENTS.binary_search_by(|(known, _)| known.as_bytes().cmp(name)).ok()
}

/// Whether an inline style takes its element off the page.
fn hides(style: &[u8]) -> bool {
    let compact = String::from_utf8_lossy(style).to_ascii_lowercase().replace(|c: char| c.is_ascii_whitespace(), "");
    let declares = |wanted: &str| compact.split(';').any(|one| one.strip_suffix("!important").unwrap_or(one) == wanted);
    declares("display:none") || declares("visibility:hidden")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_element_is_found() {
        assert!(ELEMENTS.is_sorted_by(|a, b| a.0 < b.0));
        for (at, (name, _)) in ELEMENTS.iter().enumerate() {
            assert_eq!(place(name.as_bytes()), Some(at));
        }
        assert_eq!((place(b"blink"), place(b"")), (None, None));
    }

    #[test]
    fn a_style_hides_by_what_it_declares() {
        for style in ["display:none", "color:red; DISPLAY : none !important;", "visibility:hidden"] {
            assert!(hides(style.as_bytes()), "{style}");
        }
        for style in ["", "display:block", "x-display:none", "content:'display:none'", "visibility:visible"] {
            assert!(!hides(style.as_bytes()), "{style}");
        }
    }
}
