//! Code fences of Markdown, read line by line.

/// Shortest run of marker characters that makes a fence (CommonMark, "Fenced code blocks").
const MIN_RUN: usize = 3;

/// How many columns further in than its opening line a closing fence may stand (CommonMark).
const CLOSING_SLACK: usize = 3;

/// Columns that a tab counts for. Tab stops would be more exact than fences in chat text need.
const TAB_COLUMNS: usize = 4;

/// A code fence that has been opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fence<'a> {
    /// What stands before the marker: blanks, quote signs, list markers.
    container: &'a str,
    /// The run of backticks or tildes.
    run: &'a str,
    /// What follows the run, usually the language.
    info: &'a str,
    /// Columns before the marker in the whole text.
    indent: usize,
    /// How many block quotes the fence is in.
    quotes: usize,
}

/// Number of columns that a blank takes, `None` for other characters.
fn columns(byte: u8) -> Option<usize> {
    match byte {
        b' ' => Some(1),
        b'\t' => Some(TAB_COLUMNS),
        _ => None,
    }
}

/// Length in bytes of the list marker at the start of `line`, its blank not included.
fn list_marker(line: &[u8]) -> Option<usize> {
    // CommonMark: at most nine digits.
    let digits = line.iter().take(9).take_while(|b| b.is_ascii_digit()).count();
    let sign = line.get(digits)?;
    let known = if digits == 0 { matches!(sign, b'-' | b'*' | b'+') } else { matches!(sign, b'.' | b')') };
    (known && columns(*line.get(digits + 1)?).is_some()).then_some(digits + 1)
}

/// Length of what stands before the content of `line` in bytes, in columns, and its quote signs.
fn container(line: &str, with_lists: bool) -> (usize, usize, usize) {
    let bytes = line.as_bytes();
    let (mut at, mut width, mut quotes) = (0, 0, 0);
    while let Some(&byte) = bytes.get(at) {
        if let Some(blank) = columns(byte) {
            (at, width) = (at + 1, width + blank);
        } else if byte == b'>' {
            (at, width, quotes) = (at + 1, width + 1, quotes + 1);
        } else if let Some(marker) = list_marker(&bytes[at..]).filter(|_| with_lists) {
            (at, width) = (at + marker, width + marker);
        } else {
            break;
        }
    }
    (at, width, quotes)
}

/// Whether `text` begins with a run that could be read as a fence.
pub(super) fn begins_run(text: &str) -> bool {
    text.starts_with("```") || text.starts_with("~~~")
}

/// The run of marker characters at the start of `text`, empty if there is none.
fn run_at(text: &str) -> &str {
    match text.bytes().next() {
        Some(marker @ (b'`' | b'~')) => &text[..text.bytes().take_while(|b| *b == marker).count()],
        _ => "",
    }
}

impl<'a> Fence<'a> {
    /// The fence that `line` opens; `dropped` columns of blanks before it are already gone.
    pub(super) fn opened_by(line: &'a str, dropped: usize) -> Option<Self> {
        let (start, width, quotes) = container(line, true);
        let (container, rest) = line.split_at(start);
        let run = run_at(rest);
        let info = rest[run.len()..].trim();
        // Backticks behind backticks make inline code instead.
        if run.len() < MIN_RUN || (run.starts_with('`') && info.contains('`')) {
            return None;
        }
        Some(Self { container, run, info, indent: dropped + width, quotes })
    }

    /// Length of the opening line up to the end of its run, in bytes.
    pub(super) fn marker_end(&self) -> usize {
        self.container.len() + self.run.len()
    }

    /// Columns before the marker in the whole text; none inside a quote, whose signs stay.
    pub(super) fn indent(&self) -> usize {
        if self.quotes == 0 { self.indent } else { 0 }
    }

    /// Whether `line` closes this fence.
    pub(super) fn closed_by(&self, line: &str) -> bool {
        let (start, width, _) = container(line, false);
        let run = run_at(&line[start..]);
        run.len() >= self.run.len()
            && run.starts_with(&self.run[..1])
            && width <= self.indent + CLOSING_SLACK
            && line[start + run.len()..].trim().is_empty()
    }

    /// Whether `line` stands outside the quote that this fence is in, which ends the fence.
    pub(super) fn left_by(&self, line: &str) -> bool {
        self.quotes > 0 && container(line, false).2 < self.quotes
    }

    /// The line that closes this fence.
    pub(super) fn closing_line(&self) -> String {
        let mut line = String::with_capacity(self.marker_end());
        for byte in self.container.bytes() {
            // A second list marker would begin another item; the item's text is only indented.
            line.push(if matches!(byte, b'>' | b'\t') { char::from(byte) } else { ' ' });
        }
        line.push_str(self.run);
        line
    }

    /// Length of the closing line in characters, all of them ASCII.
    pub(super) fn closing_width(&self) -> usize {
        self.marker_end()
    }

    /// The same fence as the next part has it: without the list that it was in.
    pub(super) fn carried(&self) -> Self {
        Self { container: if self.quotes == 0 { "" } else { self.container }, ..*self }
    }

    /// The same fence without its info string.
    pub(super) fn bare(&self) -> Self {
        Self { info: "", ..*self }
    }

    /// The line that opens this fence again.
    pub(super) fn opening_line(&self) -> String {
        self.closing_line() + self.info
    }
}

/// `code` with up to `indent` columns of blanks taken from the start of each line; the first line
/// counts only if `whole_first`.
pub(super) fn dedent(code: &str, indent: usize, whole_first: bool) -> String {
    let mut shifted = String::with_capacity(code.len());
    for (number, line) in code.split_inclusive('\n').enumerate() {
        let mut left = if number == 0 && !whole_first { 0 } else { indent };
        let mut start = 0;
        while let Some(width) = line.as_bytes().get(start).and_then(|b| columns(*b)).filter(|w| *w <= left) {
            (start, left) = (start + 1, left - width);
        }
        shifted.push_str(&line[start..]);
    }
    shifted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_are_told_from_inline_code() {
        for line in ["```", "~~~~ x`y", "  ```rust", "> ```", "- ```sh", "12) > ~~~"] {
            assert!(Fence::opened_by(line, 0).is_some(), "{line}");
        }
        for line in ["``", "```a```", "x ```", "-```", "1234567890. ```", ""] {
            assert!(Fence::opened_by(line, 0).is_none(), "{line}");
        }
    }

    #[test]
    fn only_a_long_enough_run_of_the_same_marker_closes() {
        let fence = Fence::opened_by("````x", 0).unwrap();
        assert!(fence.closed_by("````") && fence.closed_by("   ``````  "));
        assert!(!fence.closed_by("```") && !fence.closed_by("~~~~") && !fence.closed_by("```` x"));
        assert!(!fence.closed_by("    ````"));
    }

    #[test]
    fn a_closing_line_stays_in_its_list_and_quote() {
        assert_eq!(Fence::opened_by("- ```sh", 0).unwrap().closing_line(), "  ```");
        assert_eq!(Fence::opened_by("> ~~~ sh", 0).unwrap().carried().opening_line(), "> ~~~sh");
        assert_eq!(Fence::opened_by("    ```sh", 0).unwrap().carried().opening_line(), "```sh");
        assert!(Fence::opened_by("> ```", 0).unwrap().left_by("x"));
    }

    #[test]
    fn blanks_are_taken_off_only_up_to_the_indent() {
        assert_eq!(dedent("    a\n  b\n\tc\n\n      d", 4, true), "a\nb\nc\n\n  d");
        assert_eq!(dedent("  a\n  b", 2, false), "  a\nb");
    }
}
