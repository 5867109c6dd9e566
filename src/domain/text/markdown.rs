//! Rendering of the Markdown that agents write for platforms that have markup of their own.

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};

use super::layout::{Layout, escape, safe_url};

/// What stands for a thematic break.
const RULE: &str = "———";

/// What stands for an image without a description.
const NAMELESS_IMAGE: &str = "image";

/// Whose markup is written.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    #[default]
    Telegram,
    Slack,
}

impl Dialect {
    /// Starts of the addresses that become links.
    fn schemes(self) -> &'static [&'static str] {
        match self {
            // Its server takes `mailto:a@b` for a host with a user name, and finds bare addresses by itself.
            // Source: tdlib/td `td/telegram/LinkManager.cpp`.
            Self::Telegram => &["http://", "https://", "tg://"],
            Self::Slack => &["http://", "https://", "mailto:"],
        }
    }
}

/// `markdown` as the HTML that Telegram's `parse_mode` `HTML` reads.
///
/// Written are the tags `b`, `i`, `s`, `code`, `pre`, `a` and `blockquote`, always balanced, with
/// quotes never in each other, which Telegram refuses. Headings become bold lines, list items
/// begin with `• ` or their number, images become links, and only `http`, `https` and `tg`
/// addresses do; a mail address stands behind its label. Raw HTML and tables are shown as they were written. The visible text can
/// be a little longer than `markdown`, so split with room to spare; it is empty if there is
/// nothing to show, such as for a definition of a link alone.
/// Source: core.telegram.org/bots/api#formatting-options.
pub fn to_telegram_html(markdown: &str) -> String {
    Renderer::new(Dialect::Telegram).render(markdown)
}

/// `markdown` as the mrkdwn that Slack reads in `text`.
///
/// Headings become bold lines, list items begin with `• ` or their number, quotes have one `>` at
/// whatever depth, images become links, and only `http`, `https` and `mailto` addresses do. `&`,
/// `<` and `>` are escaped, so text cannot become a mention. mrkdwn has no way to escape `*`, `_`,
/// `~` and backticks: literal ones stay as they are, and code that holds backticks is shown without
/// marks or, in a block, with a blank between them. The result can be longer than `markdown`.
/// Source: docs.slack.dev/reference/methods/chat.postMessage.
pub fn to_slack_mrkdwn(markdown: &str) -> String {
    Renderer::new(Dialect::Slack).render(markdown)
}

/// A link or image whose label is being read.
struct Labelled {
    /// The address, unless it must not become a link.
    url: Option<String>,
    label: String,
}

/// The walk over one text.
#[derive(Default)]
struct Renderer {
    dialect: Dialect,
    layout: Layout,
    /// Next number of each list around, `None` in lists without numbers.
    lists: Vec<Option<u64>>,
    /// Inline tags around; `None` for one that is open further out already.
    tags: Vec<Option<&'static str>>,
    /// Depth of quotes.
    quotes: usize,
    /// Length of the output right behind the marker of an item.
    item_end: Option<usize>,
    /// Content and language of the code block being read.
    code: Option<(String, String)>,
    /// How many links are around: a reader finds addresses in angle brackets inside of links too.
    links: usize,
    /// The link being read on Slack, whose labels take no marks.
    link: Option<Labelled>,
    /// Whether the link being read has a tag on Telegram.
    link_tag: bool,
    /// The mail address that the label being read on Telegram is for.
    mail: Option<String>,
    /// The image being read, and how many images are around.
    image: Option<Labelled>,
    images: usize,
}

impl Renderer {
    fn new(dialect: Dialect) -> Self {
        Self { dialect, ..Self::default() }
    }

    fn render(mut self, markdown: &str) -> String {
        for event in Parser::new_ext(markdown, Options::ENABLE_STRIKETHROUGH) {
            match event {
                Event::Start(tag) => self.start(tag),
                Event::End(tag) => self.end(tag),
                Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.text(&text),
                Event::Code(code) => self.inline_code(&code),
                Event::SoftBreak | Event::HardBreak => self.text("\n"),
                Event::Rule => {
                    self.begin_block();
                    self.layout.write(RULE);
                    self.end_block();
                }
                // Parts of extensions that are not enabled.
                _ => {}
            }
        }
        self.layout.out
    }

    /// Puts a block on a line of its own, except right behind the marker of an item.
    fn begin_block(&mut self) {
        if self.item_end != Some(self.layout.out.len()) {
            self.layout.need(1);
        }
    }

    /// Sets a block apart from what follows.
    fn end_block(&mut self) {
        self.layout.need(if self.lists.is_empty() { 2 } else { 1 });
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Image { dest_url, .. } => {
                self.images += 1;
                if self.images == 1 {
                    let url = safe_url(&dest_url, self.dialect.schemes());
                    self.image = Some(Labelled { url, label: String::new() });
                }
            }
            // The description of an image is text alone.
            _ if self.images > 0 => {}
            Tag::Heading { .. } => {
                self.begin_block();
                self.open("b", "*");
            }
            Tag::Strong => self.open("b", "*"),
            Tag::Emphasis => self.open("i", "_"),
            Tag::Strikethrough => self.open("s", "~"),
            Tag::Link { link_type, dest_url, .. } => self.start_link(link_type, &dest_url),
            Tag::BlockQuote(_) => self.start_quote(),
            Tag::CodeBlock(kind) => self.code = Some((String::new(), language(&kind))),
            Tag::HtmlBlock => self.begin_block(),
            Tag::List(first) => {
                self.layout.need(1);
                self.layout.enter_list();
                self.lists.push(first);
            }
            Tag::Item => self.start_item(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Image => {
                self.images = self.images.saturating_sub(1);
                if self.images == 0 {
                    self.end_image();
                }
            }
            _ if self.images > 0 => {}
            TagEnd::Heading(_) => {
                self.close();
                self.end_block();
            }
            TagEnd::Strong | TagEnd::Emphasis | TagEnd::Strikethrough => self.close(),
            TagEnd::Link => self.end_link(),
            TagEnd::BlockQuote(_) => self.end_quote(),
            TagEnd::CodeBlock => self.end_code_block(),
            TagEnd::HtmlBlock => self.end_block(),
            // Only items with blank lines between them have paragraphs.
            TagEnd::Paragraph => self.layout.need(2),
            TagEnd::List(_) => {
                self.lists.pop();
                self.layout.leave_list();
                self.end_block();
            }
            TagEnd::Item => self.layout.need(1),
            _ => {}
        }
    }

    /// Opens an inline tag or mark, unless it is open already.
    fn open(&mut self, tag: &'static str, mark: &'static str) {
        let is_new = match self.dialect {
            _ if self.link.is_some() || self.tags.contains(&Some(tag)) => false,
            Dialect::Slack => self.layout.open_mark(mark),
            Dialect::Telegram => {
                self.layout.write("<");
                self.layout.out.push_str(tag);
                self.layout.out.push('>');
                true
            }
        };
        self.tags.push(is_new.then_some(tag));
    }

    /// Closes the inline tag or mark opened last.
    fn close(&mut self) {
        let Some(tag) = self.tags.pop().flatten() else { return };
        match self.dialect {
            Dialect::Slack => self.layout.close_mark(),
            Dialect::Telegram => {
                self.layout.out.push_str("</");
                self.layout.out.push_str(tag);
                self.layout.out.push('>');
            }
        }
    }

    fn start_item(&mut self) {
        self.layout.need(1);
        self.layout.begin(self.layout.levels().saturating_sub(1));
        match self.lists.last_mut() {
            Some(Some(number)) => {
                self.layout.out.push_str(&format!("{number}. "));
                *number = number.saturating_add(1);
            }
            _ => self.layout.out.push_str("• "),
        }
        self.item_end = Some(self.layout.out.len());
    }

    fn start_quote(&mut self) {
        self.quotes += 1;
        self.begin_block();
        if self.quotes == 1 {
            match self.dialect {
                Dialect::Slack => self.layout.set_quoted(true),
                Dialect::Telegram => self.layout.write("<blockquote>"),
            }
            self.item_end = Some(self.layout.out.len()).filter(|_| self.dialect == Dialect::Telegram);
        }
    }

    fn end_quote(&mut self) {
        self.quotes = self.quotes.saturating_sub(1);
        if self.quotes == 0 {
            match self.dialect {
                Dialect::Slack => self.layout.set_quoted(false),
                Dialect::Telegram => {
                    self.layout.drop_pending();
                    self.layout.out.push_str("</blockquote>");
                }
            }
        }
        self.end_block();
    }

    fn end_code_block(&mut self) {
        let Some((code, language)) = self.code.take() else { return };
        let code = code.strip_suffix('\n').unwrap_or(&code);
        self.begin_block();
        // An indent or quote sign would show in the code.
        self.layout.begin_bare();
        let out = &mut self.layout.out;
        match self.dialect {
            Dialect::Slack => {
                out.push_str("```\n");
                // Three backticks would end the block.
                escape(&code.replace("```", "`` `"), false, out);
                out.push_str("\n```");
            }
            Dialect::Telegram if language.is_empty() => {
                out.push_str("<pre>");
                escape(code, true, out);
                out.push_str("</pre>");
            }
            Dialect::Telegram => {
                out.push_str(&format!("<pre><code class=\"language-{language}\">"));
                escape(code, true, out);
                out.push_str("</code></pre>");
            }
        }
        self.end_block();
    }

    fn start_link(&mut self, link_type: LinkType, dest: &str) {
        self.links += 1;
        if self.links > 1 {
            return;
        }
        let dest = if link_type == LinkType::Email { format!("mailto:{dest}") } else { dest.to_owned() };
        let url = safe_url(&dest, self.dialect.schemes());
        match (self.dialect, url) {
            (Dialect::Slack, Some(url)) => self.link = Some(Labelled { url: Some(url), label: String::new() }),
            (Dialect::Telegram, Some(url)) => {
                self.link_tag = true;
                self.open_anchor(&url);
            }
            (Dialect::Telegram, None) if link_type != LinkType::Email => {
                self.mail = dest.strip_prefix("mailto:").map(str::to_owned);
            }
            (_, None) => {}
        }
    }

    fn open_anchor(&mut self, url: &str) {
        self.layout.write("<a href=\"");
        escape(url, true, &mut self.layout.out);
        self.layout.out.push_str("\">");
    }

    fn end_link(&mut self) {
        self.links = self.links.saturating_sub(1);
        if self.links > 0 {
            return;
        }
        if self.link_tag {
            self.link_tag = false;
            self.layout.out.push_str("</a>");
        }
        if let Some(address) = self.mail.take() {
            self.text(&format!(" ({address})"));
        }
        if let Some(link) = self.link.take() {
            self.write_link(link);
        }
    }

    fn end_image(&mut self) {
        let Some(mut image) = self.image.take() else { return };
        if image.label.trim().is_empty() {
            NAMELESS_IMAGE.clone_into(&mut image.label);
        }
        // A link holds no link.
        if self.link.is_some() || self.link_tag || image.url.is_none() {
            self.text(&image.label);
        } else {
            self.write_link(image);
        }
    }

    /// Writes a link whose label is plain text.
    fn write_link(&mut self, link: Labelled) {
        let Some(url) = link.url else { return self.text(&link.label) };
        match self.dialect {
            Dialect::Telegram => {
                self.open_anchor(&url);
                escape(&link.label, true, &mut self.layout.out);
                self.layout.out.push_str("</a>");
            }
            Dialect::Slack => {
                self.layout.write("<");
                escape(&url, false, &mut self.layout.out);
                if !link.label.trim().is_empty() && link.label != url {
                    self.layout.out.push('|');
                    escape(&link.label, false, &mut self.layout.out);
                }
                self.layout.out.push('>');
            }
        }
    }

    /// The label being read, if any.
    fn label(&mut self) -> Option<&mut String> {
        self.image.as_mut().or(self.link.as_mut()).map(|labelled| &mut labelled.label)
    }

    fn text(&mut self, text: &str) {
        if let Some((code, _)) = &mut self.code {
            code.push_str(text);
        } else if let Some(label) = self.label() {
            label.extend(text.chars().map(|c| if c == '\n' { ' ' } else { c }));
        } else {
            for (number, line) in text.split('\n').enumerate() {
                if number > 0 {
                    self.layout.need(1);
                }
                let mut escaped = String::with_capacity(line.len());
                escape(line, self.dialect == Dialect::Telegram, &mut escaped);
                self.layout.write(&escaped);
            }
        }
    }

    fn inline_code(&mut self, code: &str) {
        if self.label().is_some() || (self.dialect == Dialect::Slack && code.contains('`')) {
            return self.text(code);
        }
        let (open, close) = match self.dialect {
            Dialect::Telegram => ("<code>", "</code>"),
            Dialect::Slack => ("`", "`"),
        };
        self.layout.write(open);
        escape(code, self.dialect == Dialect::Telegram, &mut self.layout.out);
        self.layout.out.push_str(close);
    }
}

/// The language of a code block, of characters that need no escape.
fn language(kind: &CodeBlockKind<'_>) -> String {
    let CodeBlockKind::Fenced(info) = kind else { return String::new() };
    let word = info.split_whitespace().next().unwrap_or_default();
    word.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '_' | '#' | '.')).collect()
}

#[cfg(test)]
mod tests;
