//! Laying text out in lines.

use url::Url;

/// Deepest quote and list that is shown as such. Each level takes room on every line.
const MAX_DEPTH: usize = 8;
/// Longest URL that is shown, in bytes. Longer ones carry data and lead nowhere that a reader could name.
const MAX_URL_BYTES: usize = 2048;
/// Where links may lead that are of use in a text.
const SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];

/// What is between the last text and the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Blank,
    Cell,
    Line,
    Paragraph,
}

/// A list that is open.
#[derive(Clone, Copy, Debug)]
enum List {
    Bullets,
    /// The number of the last item.
    Numbers(u32),
}

/// Text as it takes shape.
#[derive(Debug, Default)]
pub(super) struct Layout {
    out: String,
    /// What comes before the next text, if there is any.
    gap: Gap,
    /// What the next line of a list begins with.
    marker: Option<String>,
    quotes: usize,
    /// Depth of quotes at the last text.
    last_quotes: usize,
    lists: Vec<List>,
    /// Lists inside the innermost one that is kept.
    lists_beyond: usize,
    preformatted: usize,
    link: Option<Link>,
}

#[derive(Debug)]
struct Link {
    url: String,
    /// Where its text begins, once there is any.
    start: Option<usize>,
}

impl Layout {
    /// Length so far, in bytes.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// The text without blanks and blank lines at its ends.
    pub(super) fn finish(mut self) -> String {
        self.close_link();
        self.out.truncate(self.out.trim_end().len());
        self.out
    }

    /// Text of the page. Runs of blanks are one blank, unless the text is preformatted.
    pub(super) fn text(&mut self, text: &str) {
        if self.preformatted > 0 {
            for (at, line) in text.split('\n').enumerate() {
                if at > 0 {
                    self.line_break();
                }
                let line = line.trim_end_matches('\r');
                if !line.is_empty() {
                    self.write(line);
                }
            }
            return;
        }
        if text.starts_with(char::is_whitespace) {
            self.widen(Gap::Blank);
        }
        let mut words = text.split_whitespace().filter(|word| !word.chars().all(is_filler));
        if let Some(first) = words.next() {
            self.write(first);
            for word in words {
                self.out.push(' ');
                self.out.push_str(word);
            }
        }
        if text.ends_with(char::is_whitespace) {
            self.widen(Gap::Blank);
        }
    }

    /// Ends the line; a second one in a row makes a blank line.
    pub(super) fn line_break(&mut self) {
        self.gap = if self.gap >= Gap::Line { Gap::Paragraph } else { Gap::Line };
    }

    /// What follows stands on a line of its own.
    pub(super) fn line(&mut self) {
        self.widen(Gap::Line);
    }

    /// What follows stands behind a blank line.
    pub(super) fn paragraph(&mut self) {
        self.widen(Gap::Paragraph);
    }

    /// What follows is another cell of the row.
    pub(super) fn cell(&mut self) {
        self.widen(Gap::Cell);
    }

    /// A line across the page.
    pub(super) fn rule(&mut self) {
        self.line();
        self.write("---");
        self.line();
    }

    /// An image with this description; without one it is an ornament.
    pub(super) fn image(&mut self, description: &str) {
        let words: Vec<&str> = description.split_whitespace().collect();
        if !words.is_empty() {
            self.write(&format!("[image: {}]", words.join(" ")));
        }
    }

    /// A link begins. There are no links in links: the one that is open ends.
    pub(super) fn open_link(&mut self, href: Option<&str>) {
        self.close_link();
        self.link = href.and_then(link_url).map(|url| Link { url, start: None });
    }

    /// A link ends: its URL goes behind its text, unless the text is the URL.
    pub(super) fn close_link(&mut self) {
        let Some(Link { url, start }) = self.link.take() else { return };
        let Some(start) = start else { return self.write(&url) };
        if !is_same(&self.out[start..], &url) {
            self.out.push_str(" (");
            self.out.push_str(&url);
            self.out.push(')');
        }
    }

    /// A quote begins.
    pub(super) fn open_quote(&mut self) {
        self.paragraph();
        self.quotes += 1;
    }

    /// A quote ends.
    pub(super) fn close_quote(&mut self) {
        self.paragraph();
        self.quotes = self.quotes.saturating_sub(1);
    }

    /// Preformatted text begins.
    pub(super) fn open_preformatted(&mut self) {
        self.paragraph();
        self.preformatted += 1;
    }

    /// Preformatted text ends.
    pub(super) fn close_preformatted(&mut self) {
        self.paragraph();
        self.preformatted = self.preformatted.saturating_sub(1);
    }

    /// A list begins. One within another has no blank line around it.
    pub(super) fn open_list(&mut self, is_numbered: bool) {
        self.widen(if self.lists.is_empty() { Gap::Paragraph } else { Gap::Line });
        if self.lists.len() == MAX_DEPTH {
            self.lists_beyond += 1;
        } else {
            self.lists.push(if is_numbered { List::Numbers(0) } else { List::Bullets });
        }
    }

    /// A list ends.
    pub(super) fn close_list(&mut self) {
        self.marker = None;
        if self.lists_beyond > 0 {
            self.lists_beyond -= 1;
        } else {
            self.lists.pop();
        }
        self.widen(if self.lists.is_empty() { Gap::Paragraph } else { Gap::Line });
    }

    /// An item begins.
    pub(super) fn item(&mut self) {
        self.line();
        self.marker = Some(match self.lists.last_mut() {
            Some(List::Numbers(number)) => {
                *number = number.saturating_add(1);
                format!("{number}. ")
            }
            _ => "- ".to_owned(),
        });
    }

    fn widen(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    /// Appends `text` behind the gap that is due.
    fn write(&mut self, text: &str) {
        if self.out.is_empty() {
            self.begin_line();
        } else {
            match self.gap {
                Gap::None => {}
                Gap::Blank => self.out.push(' '),
                Gap::Cell => self.out.push_str(" | "),
                Gap::Line => self.break_line(),
                Gap::Paragraph => {
                    self.out.push('\n');
                    let shared = self.quotes.min(self.last_quotes).min(MAX_DEPTH);
                    self.out.push_str("> ".repeat(shared).trim_end());
                    self.break_line();
                }
            }
        }
        self.gap = Gap::None;
        self.last_quotes = self.quotes;
        if let Some(link) = &mut self.link {
            link.start.get_or_insert(self.out.len());
        }
        self.out.push_str(text);
    }

    fn break_line(&mut self) {
        self.out.push('\n');
        self.begin_line();
    }

    fn begin_line(&mut self) {
        self.out.push_str(&"> ".repeat(self.quotes.min(MAX_DEPTH)));
        let marker = self.marker.take();
        let indented = if marker.is_some() { self.lists.len().saturating_sub(1) } else { self.lists.len() };
        self.out.push_str(&"  ".repeat(indented));
        self.out.push_str(marker.as_deref().unwrap_or_default());
    }
}

/// Characters without width, which newsletters fill the preview of a mail with.
fn is_filler(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{34F}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}')
}

/// The URL to show for a link: absolute, of a scheme that is of use, and on one line.
fn link_url(href: &str) -> Option<String> {
    if href.len() > MAX_URL_BYTES {
        return None;
    }
    let url = Url::parse(href).ok().filter(|url| SCHEMES.contains(&url.scheme()))?;
    let is_short = url.as_str().len() <= MAX_URL_BYTES;
    is_short.then(|| url.into())
}

/// Whether the text of a link says where it leads already.
fn is_same(text: &str, url: &str) -> bool {
    let bare = |text: &str| {
        let behind_scheme =
            ["https://", "http://", "mailto:", "tel:"].iter().find_map(|scheme| text.strip_prefix(scheme));
        behind_scheme.unwrap_or(text).trim_end_matches('/').to_ascii_lowercase()
    };
    bare(text) == bare(url)
}
