//! Splitting of long replies into parts that a platform takes.

use memchr::memchr;

use super::fence::{Fence, begins_run, dedent};

/// What a platform counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// UTF-16 code units: a character outside the Basic Multilingual Plane counts twice.
    Utf16,
    /// Unicode scalar values.
    Chars,
}

/// Longest part that a platform takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Greatest length of a part, in units; less than [`Limit::SMALLEST`] counts as that.
    pub max: usize,
    /// What `max` counts.
    pub unit: Unit,
}

impl Limit {
    /// Smallest limit, in units: any character fits.
    pub const SMALLEST: usize = 2;
    /// Telegram `sendMessage.text`: 4096 "characters" after entity parsing; counted in UTF-16 units
    /// it is safe whatever is meant. Source: core.telegram.org/bots/api#sendmessage.
    pub const TELEGRAM: Self = Self { max: 4096, unit: Unit::Utf16 };
    /// Discord `content`: 2000 "characters", the unit is not defined.
    /// Source: discord-api-docs `developers/resources/message.mdx`.
    pub const DISCORD: Self = Self { max: 2000, unit: Unit::Utf16 };
    /// Slack `text`: 4000 characters recommended; longer text is split by Slack itself.
    /// Source: docs.slack.dev/reference/methods/chat.postMessage.
    pub const SLACK: Self = Self { max: 4000, unit: Unit::Chars };

    /// The same unit with `units` fewer in a part, for what rendering adds.
    #[must_use]
    pub fn less(self, units: usize) -> Self {
        Self { max: self.max.saturating_sub(units), ..self }
    }

    /// Length of `text` in this limit's unit.
    pub fn measure(self, text: &str) -> usize {
        match self.unit {
            Unit::Utf16 => text.chars().map(char::len_utf16).sum(),
            Unit::Chars => text.chars().count(),
        }
    }

    /// Length of one character in this limit's unit.
    fn width(self, c: char) -> usize {
        match self.unit {
            Unit::Utf16 => c.len_utf16(),
            Unit::Chars => 1,
        }
    }
}

/// A part is cut at the best place that leaves no less than this fraction of it filled. Without
/// it one early blank line would make tiny parts, and hostile text very many.
const LEAST_FILL: usize = 4;

/// A fence is repeated in each part if that takes at most this fraction of the part.
const MOST_FENCE: usize = 2;

/// Most bytes of UTF-8 that a unit of either kind stands for.
const MOST_BYTES_PER_UNIT: usize = 4;

/// Kinds of places to cut at, best first.
#[derive(Clone, Copy)]
enum Place {
    Paragraph,
    Line,
    /// A blank line in code: worse than any line outside, since code is better kept in one piece.
    CodeParagraph,
    CodeLine,
    Sentence,
    Word,
    /// Between two characters as a reader sees them.
    Character,
    /// Between any two code points, or where code would be left empty.
    Anywhere,
}

/// Number of kinds in [`Place`].
const PLACES: usize = Place::Anywhere as usize + 1;

/// A place to cut at.
#[derive(Clone, Copy)]
struct Cut<'a> {
    /// Offset in bytes where the part ends.
    at: usize,
    /// The fence that is open there.
    fence: Option<Fence<'a>>,
    /// Length of the part's own text up to there, in units.
    filled: usize,
}

/// Splits `text` into parts of at most `limit`, at the end of a paragraph if possible, else of a
/// line, a sentence or a word, else between characters, and never inside a code point.
///
/// A code fence that is open where a part ends is closed there and opened again, with the same
/// marker and info string, at the start of the next part; both count towards the limit. An info
/// string that would take up too much of a part is not repeated, and a fence whose marker would is
/// cut like other text. Nothing is lost except white space where the cuts are and the indent that
/// a fence had from a list which stayed in an earlier part. Blank text gives no parts. Time is
/// proportional to the length of `text`.
pub fn split(text: &str, limit: Limit) -> Vec<String> {
    let limit = Limit { max: limit.max.max(Limit::SMALLEST), ..limit };
    let mut parts = Vec::new();
    let mut fence = None;
    let mut next = next_start(text, 0, None);
    while let Some((start, dropped)) = next {
        let (cut, code_end) = Part::new(text, limit, start, dropped, fence).cut();
        parts.push(assemble(text, start, dropped, fence, cut, code_end));
        fence = cut.fence.map(|open| open.carried());
        next = next_start(text, cut.at, fence);
    }
    parts
}

/// Where the part behind `from` starts and the columns of blanks dropped before it on its line;
/// `None` at the end of the text. Code keeps the indent of its first line.
fn next_start(text: &str, from: usize, fence: Option<Fence<'_>>) -> Option<(usize, usize)> {
    let rest = &text[from..];
    let blank = &rest[..rest.len() - rest.trim_start().len()];
    if blank.len() == rest.len() {
        return None;
    }
    let line = blank.rfind('\n').map_or(0, |at| at + 1);
    Some(match fence {
        Some(_) if line > 0 => (from + line, 0),
        _ => (from + blank.len(), blank[line..].bytes().map(|b| if b == b'\t' { 4 } else { 1 }).sum()),
    })
}

/// The part from `start` to `cut` with the fences it needs.
fn assemble<'a>(
    text: &'a str,
    start: usize,
    dropped: usize,
    reopened: Option<Fence<'a>>,
    cut: Cut<'a>,
    code_end: usize,
) -> String {
    let mut part = String::new();
    let mut indent = dropped;
    if let Some(fence) = reopened {
        part.push_str(&fence.opening_line());
        part.push('\n');
        indent = fence.indent();
    }
    let code_end = code_end.min(cut.at);
    if indent > 0 && code_end > start {
        // The list that gave the code its indent is not in this part.
        let whole_first = reopened.is_some() && (start == 0 || text.as_bytes()[start - 1] == b'\n');
        part.push_str(&dedent(&text[start..code_end], indent, whole_first));
        part.push_str(&text[code_end..cut.at]);
    } else {
        part.push_str(&text[start..cut.at]);
    }
    if let Some(fence) = cut.fence {
        part.push('\n');
        part.push_str(&fence.closing_line());
    }
    part
}

/// The search for the end of one part.
struct Part<'a> {
    text: &'a str,
    limit: Limit,
    start: usize,
    /// Units of the fence that is opened again.
    prefix: usize,
    /// Units from the start of the part to `at`, `prefix` included.
    used: usize,
    at: usize,
    fence: Option<Fence<'a>>,
    /// Up to here no cut is possible: the marker of a fence.
    protected: usize,
    /// Up to here a cut is the last resort: the opening line of a fence.
    quiet: usize,
    /// End of the code that the part begins with.
    code_end: usize,
    best: [Option<Cut<'a>>; PLACES],
}

impl<'a> Part<'a> {
    fn new(text: &'a str, limit: Limit, start: usize, dropped: usize, fence: Option<Fence<'a>>) -> Self {
        let mut part = Self {
            text,
            limit,
            start,
            prefix: 0,
            used: 0,
            at: start,
            fence,
            protected: start,
            quiet: start,
            code_end: start,
            best: [None; PLACES],
        };
        if let Some(open) = fence {
            part.prefix = limit.measure(&open.opening_line()) + 1;
            part.used = part.prefix;
            part.code_end = usize::MAX;
        }
        part.read_line(start, dropped);
        if fence.is_none() && part.fence.is_some() {
            part.code_end = usize::MAX;
        }
        part
    }

    /// The line that begins at `from`, without its end. What is too long for one part is left out:
    /// it cannot matter to this part, and reading it for each part would cost quadratic time.
    fn line(&self, from: usize) -> &'a str {
        let rest = &self.text[from..];
        let mut seen = rest.len().min(MOST_BYTES_PER_UNIT.saturating_mul(self.limit.max));
        while !rest.is_char_boundary(seen) {
            seen -= 1;
        }
        &rest[..memchr(b'\n', &rest.as_bytes()[..seen]).unwrap_or(seen)]
    }

    /// Whether the marker of `fence` is short enough to be repeated in each part.
    fn repeatable(&self, fence: Fence<'_>) -> bool {
        2 * fence.closing_width() + 2 <= self.limit.max / MOST_FENCE
    }

    /// Notes what the line that begins at `from` does to the fence.
    fn read_line(&mut self, from: usize, dropped: usize) {
        let line = self.line(from);
        let end = from + line.len();
        if let Some(fence) = self.fence {
            if fence.closed_by(line) {
                self.fence = None;
                self.code_end = self.code_end.min(end);
                let closing = line.trim_end().len();
                // A longer one cannot be kept in one piece.
                if closing <= self.limit.max / MOST_FENCE {
                    self.protected = from + closing;
                }
            }
        } else if let Some(fence) = Fence::opened_by(line, dropped).filter(|f| self.repeatable(*f)) {
            self.protected = from + fence.marker_end();
            self.quiet = (end + 1).min(self.text.len());
            let room = self.limit.max / MOST_FENCE;
            let whole = self.limit.measure(&line[fence.marker_end()..]) + 2 * fence.closing_width() + 2;
            self.fence = Some(if whole <= room { fence } else { fence.bare() });
        }
    }

    /// Notes that the part could end here.
    fn consider(&mut self, place: Place) {
        let closing = self.fence.map_or(0, |fence| fence.closing_width() + 1);
        if self.at > self.start && self.at >= self.protected && self.used + closing <= self.limit.max {
            let place = if self.at < self.quiet { Place::Anywhere } else { place };
            self.best[place as usize] = Some(Cut { at: self.at, fence: self.fence, filled: self.used - self.prefix });
        }
    }

    /// Takes the white space at `at`; `previous` is the character before it.
    fn take_blank(&mut self, previous: char) {
        let rest = &self.text[self.at..];
        let blank = &rest[..rest.len() - rest.trim_start().len()];
        let end = self.at + blank.len();
        let lines = blank.bytes().filter(|b| *b == b'\n').count();
        if let Some(last) = blank.rfind('\n') {
            let line_start = self.at + last + 1;
            let line = self.line(line_start);
            if self.fence.is_some_and(|fence| fence.left_by(line) || (lines > 1 && fence.left_by(""))) {
                self.fence = None;
                self.code_end = self.code_end.min(self.at);
            }
            let place = match self.fence {
                // The part would end with an empty block of code, or the next begin with one.
                Some(fence) if self.at < self.quiet || fence.closed_by(line) => Place::Anywhere,
                Some(_) if lines > 1 => Place::CodeParagraph,
                Some(_) => Place::CodeLine,
                None if lines > 1 => Place::Paragraph,
                None => Place::Line,
            };
            self.consider(place);
            self.used += self.limit.measure(blank);
            self.at = end;
            self.read_line(line_start, 0);
        } else {
            let place = match previous {
                _ if begins_run(&self.text[end..]) => Place::Anywhere,
                '.' | '!' | '?' | '…' | ':' | ';' => Place::Sentence,
                _ => Place::Word,
            };
            self.consider(place);
            self.used += self.limit.measure(blank);
            self.at = end;
        }
    }

    /// Finds where the part ends, and where the code ends that it begins with.
    fn cut(mut self) -> (Cut<'a>, usize) {
        let mut previous = '\n';
        let mut flags = 0_usize;
        while self.used <= self.limit.max {
            let Some(c) = self.text[self.at..].chars().next() else { break };
            if c.is_whitespace() {
                // Code may begin with an indent, which is no place to cut.
                if self.at > self.start {
                    self.take_blank(previous);
                } else {
                    self.used += self.limit.width(c);
                    self.at += c.len_utf8();
                }
                previous = c;
                continue;
            }
            let place = match previous {
                _ if joins(previous, c, flags) || begins_run(&self.text[self.at..]) => Place::Anywhere,
                '。' | '！' | '？' => Place::Sentence,
                _ => Place::Character,
            };
            // Behind white space the better place is before it.
            if !previous.is_whitespace() {
                self.consider(place);
            }
            flags = if is_flag_letter(c) { flags + 1 } else { 0 };
            self.used += self.limit.width(c);
            self.at += c.len_utf8();
            previous = c;
        }
        let closing = self.fence.map_or(0, |fence| fence.closing_width() + 1);
        let ended = self.text[self.at..].trim_start().is_empty();
        if ended && self.used + closing <= self.limit.max {
            let end = self.start + self.text[self.start..].trim_end().len();
            return (Cut { at: end, fence: self.fence, filled: self.used }, self.code_end);
        }
        // White space at the end of the text counts for nothing, and was considered before it.
        if let Some(cut) = self.best.iter().flatten().find(|cut| self.text[cut.at..].trim_start().is_empty()) {
            return (*cut, self.code_end);
        }
        let least = (self.limit.max - self.prefix) / LEAST_FILL;
        let full = self.best.iter().flatten().find(|cut| cut.filled >= least);
        let fullest = || self.best.iter().flatten().max_by_key(|cut| cut.filled);
        let cut = full.or_else(fullest).copied().unwrap_or_else(|| {
            let first = self.text[self.start..].chars().next().map_or(0, char::len_utf8);
            Cut { at: self.start + first, fence: None, filled: 0 }
        });
        (cut, self.code_end)
    }
}

/// Whether `c` is one of the letters that make a flag in pairs.
fn is_flag_letter(c: char) -> bool {
    ('\u{1F1E6}'..='\u{1F1FF}').contains(&c)
}

/// Whether a reader sees `c` as one with the character before it. Covers the usual cases, not all
/// of Unicode's grapheme clusters; `flags` is the number of flag letters before `c`.
fn joins(before: char, c: char, flags: usize) -> bool {
    before == '\u{200D}'
        || (flags % 2 == 1 && is_flag_letter(c))
        || matches!(c,
            '\u{200D}' | '\u{0300}'..='\u{036F}' | '\u{0483}'..='\u{0489}' | '\u{0591}'..='\u{05BD}'
            | '\u{064B}'..='\u{065F}' | '\u{093A}'..='\u{094F}' | '\u{0E31}' | '\u{0E34}'..='\u{0E3A}'
            | '\u{0E47}'..='\u{0E4E}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
            | '\u{20D0}'..='\u{20FF}' | '\u{3099}' | '\u{309A}' | '\u{FE00}'..='\u{FE0F}'
            | '\u{FE20}'..='\u{FE2F}' | '\u{1F3FB}'..='\u{1F3FF}' | '\u{E0020}'..='\u{E007F}'
            | '\u{E0100}'..='\u{E01EF}')
}

#[cfg(test)]
mod tests;
