//! The text of a mail that has none but HTML.
//!
//! Only the tokens of the HTML are used, no tree is built of them: the tree of a page that is made to be hostile
//! takes minutes and gigabytes to build, and all that a reader of text gains from one is the end of elements that
//! were not closed.

mod events;
mod layout;

use events::{Event, Kind};
use layout::Layout;

/// Most HTML that is read, in bytes. Content is cut at 64 KiB of text, and markup takes several times the room
/// of its text. Text longer than this is not made of it either.
const MAX_BYTES: usize = 512 * 1024;

/// The text that a reader of this HTML sees: paragraphs, lists, table rows and quotes as lines of text, links with
/// their URL behind them, images as their description. What the page hides with the `hidden` attribute or its inline
/// style is left out, for a person would answer without having read it.
///
/// Takes time and memory in proportion to the size of the HTML, of which the first 512 KiB count.
pub(super) fn to_text(html: &str) -> String {
    let mut cut = MAX_BYTES.min(html.len());
    while !html.is_char_boundary(cut) {
        cut -= 1;
    }
    let events = events::read(&html[..cut]);
    let mut layout = Layout::default();
    let mut next = 0;
    while let Some(event) = events.get(next) {
        next += 1;
        match event {
            Event::Text(text) => layout.text(text),
            Event::Start { unseen_until: Some(end), .. } => next = *end,
            Event::Start { kind, reference, .. } => start(&mut layout, *kind, reference.as_deref()),
            Event::End(kind) => end(&mut layout, *kind),
        }
        if layout.len() > MAX_BYTES {
            break;
        }
    }
    layout.finish()
}

fn start(layout: &mut Layout, kind: Kind, reference: Option<&str>) {
    match kind {
        Kind::Inline | Kind::Unseen => {}
        Kind::Break => layout.line_break(),
        Kind::Rule => layout.rule(),
        Kind::Image => layout.image(reference.unwrap_or_default()),
        Kind::Link => layout.open_link(reference),
        Kind::Cell => layout.cell(),
        Kind::Line => layout.line(),
        Kind::Paragraph => layout.paragraph(),
        Kind::Quote => layout.open_quote(),
        Kind::Preformatted => layout.open_preformatted(),
        Kind::Bullets => layout.open_list(false),
        Kind::Numbers => layout.open_list(true),
        Kind::Item => layout.item(),
    }
}

fn end(layout: &mut Layout, kind: Kind) {
    match kind {
        Kind::Inline | Kind::Unseen | Kind::Break | Kind::Rule | Kind::Image => {}
        Kind::Link => layout.close_link(),
        Kind::Cell => layout.cell(),
        Kind::Line | Kind::Item => layout.line(),
        Kind::Paragraph => layout.paragraph(),
        Kind::Quote => layout.close_quote(),
        Kind::Preformatted => layout.close_preformatted(),
        Kind::Bullets | Kind::Numbers => layout.close_list(),
    }
}

#[cfg(test)]
mod tests;
