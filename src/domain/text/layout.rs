//! Lines of rendered Markdown: breaks, indents, quote signs and inline marks.

/// Blanks for each level of a list.
const INDENT: &str = "  ";

/// Levels that are indented. Deeper ones stay at this indent, so that the length of hostile text
/// does not grow with its square.
const MAX_LEVELS: usize = 8;

/// Text under construction, in which breaks are written only once more text follows.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// What has been written.
    pub(super) out: String,
    /// Line breaks to write before the next text.
    pending: usize,
    /// Whether lines begin with a quote sign.
    quoted: bool,
    /// Whether the pending lines stand before a quote rather than in it.
    before_quote: bool,
    /// Depth of lists.
    levels: usize,
    /// Inline marks that do not span lines on the platform and that are open now.
    marks: Vec<&'static str>,
}

impl Layout {
    /// Puts at least `lines` line breaks before the next text.
    pub(super) fn need(&mut self, lines: usize) {
        self.pending = self.pending.max(lines);
    }

    /// Forgets the pending breaks, at the end of a block that has a mark of its own.
    pub(super) fn drop_pending(&mut self) {
        self.pending = 0;
    }

    /// Begins or ends a quote in which each line has a sign.
    pub(super) fn set_quoted(&mut self, quoted: bool) {
        self.quoted = quoted;
        self.before_quote = quoted;
    }

    /// Goes into a list.
    pub(super) fn enter_list(&mut self) {
        self.levels += 1;
    }

    /// Goes out of a list.
    pub(super) fn leave_list(&mut self) {
        self.levels = self.levels.saturating_sub(1);
    }

    /// Depth of the lists around the next text.
    pub(super) fn levels(&self) -> usize {
        self.levels
    }

    /// Writes the pending breaks, with signs and `levels` levels of indent on the line begun.
    pub(super) fn begin(&mut self, levels: usize) {
        let first = self.out.is_empty();
        if self.pending == 0 && !first {
            return;
        }
        for mark in self.marks.iter().rev() {
            self.out.push_str(mark);
        }
        if !first {
            let blank = if self.quoted && !self.before_quote { "\n>" } else { "\n" };
            (1..self.pending).for_each(|_| self.out.push_str(blank));
            self.out.push('\n');
        }
        if self.quoted {
            self.out.push_str("> ");
        }
        (0..levels.min(MAX_LEVELS)).for_each(|_| self.out.push_str(INDENT));
        for mark in &self.marks {
            self.out.push_str(mark);
        }
        self.pending = 0;
        self.before_quote = false;
    }

    /// Writes the pending breaks alone, for text whose lines are shown as they are.
    pub(super) fn begin_bare(&mut self) {
        if !self.out.is_empty() {
            (0..self.pending).for_each(|_| self.out.push('\n'));
        }
        self.pending = 0;
    }

    /// Writes markup or text without line breaks.
    pub(super) fn write(&mut self, text: &str) {
        if !text.is_empty() {
            self.begin(self.levels);
            self.out.push_str(text);
        }
    }

    /// Opens an inline mark; `false` if it is open already.
    pub(super) fn open_mark(&mut self, mark: &'static str) -> bool {
        if self.marks.contains(&mark) {
            return false;
        }
        self.write(mark);
        self.marks.push(mark);
        true
    }

    /// Closes the inline mark opened last.
    pub(super) fn close_mark(&mut self) {
        if let Some(mark) = self.marks.pop() {
            self.out.push_str(mark);
        }
    }
}

/// Appends `text` with the characters escaped that the platforms read as markup: `&`, `<`, `>`,
/// and `"` if `quotes`.
pub(super) fn escape(text: &str, quotes: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if quotes => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
}

/// `url` if its scheme is one of `schemes` and something follows, with the characters percent-encoded
/// that would end it early on a platform.
pub(super) fn safe_url(url: &str, schemes: &[&str]) -> Option<String> {
    let known = |scheme: &&str| {
        url.len() > scheme.len() && url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    schemes.iter().find(|scheme| known(scheme))?;
    let mut safe = String::with_capacity(url.len());
    for c in url.chars() {
        match c {
            '<' | '>' | '|' | '"' | '`' | '\0'..=' ' | '\u{7F}' => safe.push_str(&format!("%{:02X}", u32::from(c))),
            _ => safe.push(c),
        }
    }
    Some(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_schemes_make_links() {
        let schemes = ["http://", "https://"];
        assert_eq!(safe_url("HTTPS://x.example/a b|c>", &schemes).as_deref(), Some("HTTPS://x.example/a%20b%7Cc%3E"));
        for url in ["javascript:alert(1)", "//x.example", "https://", "!channel", "@U1", "é"] {
            assert_eq!(safe_url(url, &schemes), None, "{url}");
        }
    }

    #[test]
    fn breaks_are_written_between_texts_only() {
        let mut layout = Layout::default();
        layout.need(2);
        layout.write("a");
        layout.need(1);
        layout.need(2);
        layout.write("b");
        layout.need(2);
        assert_eq!(layout.out, "a\n\nb");
    }

    #[test]
    fn marks_are_closed_at_the_end_of_a_line() {
        let mut layout = Layout::default();
        assert!(layout.open_mark("*"));
        assert!(!layout.open_mark("*"));
        layout.write("a");
        layout.need(1);
        layout.write("b");
        layout.close_mark();
        assert_eq!(layout.out, "*a*\n*b*");
    }
}
