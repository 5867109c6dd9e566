//! Finding where one tag or comment ends, by the rules of the HTML tokenizer.

use html5gum::{Emitter, Error, State, Tokenizer};

use super::elements::{LONGEST_NAME, is_element};

/// What stands at a `<`. Offsets count from that `<`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Markup {
    /// The `<` is text: no tag or comment begins there, or its end is missing.
    Text,
    /// A whole tag whose name is no element's, up to `end`.
    Unknown {
        /// Offset behind the closing `>`.
        end: usize,
    },
    /// A comment, or the tag of an element, up to `end`.
    Removable {
        /// Offset behind the closing `>`.
        end: usize,
        /// Set for the start tag of an element whose content goes with it.
        raw: Option<Raw>,
    },
}

/// Elements whose content is program text and goes with their tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Raw {
    /// The content of `<script>`.
    Script,
    /// The content of `<style>`.
    Style,
}

impl Raw {
    /// The name of the element, in lower case.
    pub(super) fn name(self) -> &'static [u8] {
        match self {
            Raw::Script => b"script",
            Raw::Style => b"style",
        }
    }

    fn state(self) -> State {
        match self {
            Raw::Script => State::ScriptData,
            Raw::Style => State::RawText,
        }
    }
}

/// Looks at the `<` that `text` begins with. Returns what stands there and the bytes read.
pub(super) fn look(text: &[u8]) -> (Markup, usize) {
    let name_start = match text {
        [b'<', b'!' | b'?', ..] => None,
        [b'<', b'/', letter, ..] if letter.is_ascii_alphabetic() => Some(2),
        [b'<', letter, ..] if letter.is_ascii_alphabetic() => Some(1),
        // The tokenizer would drop `</>` and take `</3>` for a comment; in a message they are text.
        _ => return (Markup::Text, 1),
    };
    if let Some(start) = name_start
        && is_cut_open(&text[start..])
    {
        return (Markup::Text, 1);
    }
    let (token, read) = first_token(text, State::Data, b"");
    let markup = match token {
        None => Markup::Text,
        Some(Token::Comment) => Markup::Removable { end: read, raw: None },
        Some(Token::Tag { is_start, name }) if name.is_element() => {
            let raw = [Raw::Script, Raw::Style].into_iter().find(|raw| is_start && raw.name() == name.bytes());
            Markup::Removable { end: read, raw }
        }
        Some(Token::Tag { .. }) => Markup::Unknown { end: read },
    };
    (markup, read)
}

/// Reads the content of a `raw` element that starts at `text`, up to and with its end tag.
///
/// Returns the offset behind the end tag, if there is one, and the bytes read.
pub(super) fn look_for_end(text: &[u8], raw: Raw) -> (Option<usize>, usize) {
    let (token, read) = first_token(text, raw.state(), raw.name());
    (token.map(|_| read), read)
}

/// Whether the tag name that `text` begins with holds a `<`.
///
/// A tokenizer reads `<scr<b>` as one tag named `scr<b`. Here such a name is taken for a tag that
/// another one has been put into, so that the inner tag is found and the outer one after it.
fn is_cut_open(text: &[u8]) -> bool {
    text.iter().find(|byte| matches!(byte, b'\t' | b'\n' | b'\x0C' | b' ' | b'/' | b'>' | b'<')) == Some(&b'<')
}

/// Runs the tokenizer until the first tag or comment is complete.
///
/// Returns that token, or `None` when the text ends before it does, and the bytes read. The token
/// is the first one of `text` only if `text` begins with it, so `text` must begin with `<` in the
/// data state.
fn first_token(text: &[u8], state: State, raw_name: &'static [u8]) -> (Option<Token>, usize) {
    let mut read = 0;
    let emitter = FirstToken { read: &mut read, raw_name, is_start: false, name: Name::default(), token: None };
    let mut tokenizer = Tokenizer::new_with_emitter(text, emitter);
    tokenizer.set_state(state);
    let token = tokenizer.next().map(|Ok(token)| token);
    drop(tokenizer);
    debug_assert!(token.is_none() || text[..read].ends_with(b">"));
    (token, read)
}

/// A complete tag or comment.
#[derive(Debug, Clone, Copy)]
enum Token {
    Comment,
    Tag { is_start: bool, name: Name },
}

/// A tag name, kept as far as an element's name can reach.
#[derive(Debug, Clone, Copy, Default)]
struct Name {
    bytes: [u8; LONGEST_NAME],
    /// Length of the whole name, which may be longer than what is kept.
    length: usize,
}

impl Name {
    fn push(&mut self, part: &[u8]) {
        if let Some(rest) = self.bytes.get_mut(self.length..) {
            let kept = part.len().min(rest.len());
            rest[..kept].copy_from_slice(&part[..kept]);
        }
        self.length += part.len();
    }

    /// The name, or nothing if it is longer than any element's.
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn is_element(&self) -> bool {
        is_element(self.bytes())
    }
}

/// Hands out the first complete tag or comment and counts the bytes read up to there.
///
/// Attributes, text and errors are of no interest and are not stored.
struct FirstToken<'a> {
    read: &'a mut usize,
    /// The element whose end tag is looked for in a raw text state, empty in the data state.
    raw_name: &'static [u8],
    is_start: bool,
    name: Name,
    token: Option<Token>,
}

impl Emitter for FirstToken<'_> {
    type Token = Token;

    fn emit_eof(&mut self) {
        // At the end of the text the tokenizer completes what was left open, and reports the end
        // right after, before the token is taken: such a tag or comment has no end of its own.
        self.token = None;
    }

    fn pop_token(&mut self) -> Option<Token> {
        self.token.take()
    }

    fn move_position(&mut self, offset: isize) {
        *self.read = self.read.saturating_add_signed(offset);
    }

    fn init_start_tag(&mut self) {
        self.is_start = true;
        self.name = Name::default();
    }

    fn init_end_tag(&mut self) {
        self.is_start = false;
        self.name = Name::default();
    }

    fn push_tag_name(&mut self, part: &[u8]) {
        self.name.push(part);
    }

    fn emit_current_tag(&mut self) -> Option<State> {
        self.token = Some(Token::Tag { is_start: self.is_start, name: self.name });
        None
    }

    fn emit_current_comment(&mut self) {
        self.token = Some(Token::Comment);
    }

    fn emit_current_doctype(&mut self) {
        self.token = Some(Token::Comment);
    }

    fn current_is_appropriate_end_tag_token(&mut self) -> bool {
        !self.is_start && self.name.bytes() == self.raw_name
    }

    fn should_emit_errors(&mut self) -> bool {
        false
    }

    fn set_last_start_tag(&mut self, _: Option<&[u8]>) {}
    fn emit_error(&mut self, _: Error) {}
    fn emit_string(&mut self, _: &[u8]) {}
    fn init_comment(&mut self) {}
    fn push_comment(&mut self, _: &[u8]) {}
    fn init_doctype(&mut self) {}
    fn push_doctype_name(&mut self, _: &[u8]) {}
    fn set_doctype_public_identifier(&mut self, _: &[u8]) {}
    fn set_doctype_system_identifier(&mut self, _: &[u8]) {}
    fn push_doctype_public_identifier(&mut self, _: &[u8]) {}
    fn push_doctype_system_identifier(&mut self, _: &[u8]) {}
    fn set_force_quirks(&mut self) {}
    fn set_self_closing(&mut self) {}
    fn init_attribute(&mut self) {}
    fn push_attribute_name(&mut self, _: &[u8]) {}
    fn push_attribute_value(&mut self, _: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removable(end: usize) -> Markup {
        Markup::Removable { end, raw: None }
    }

    #[test]
    fn a_tag_ends_behind_its_own_bracket() {
        for tag in [
            "<b>",
            "</B >",
            "<a href='>' title=\">\" é=ñ>",
            "<img src=x&amp;y&lt=&#x41 &#65;/>",
            "<feComponentTransfer\n\tx>",
            "<!-- > -- -> <b> --!>",
            "<!---->",
            "<!-->",
            "<!doctype html public \"x\">",
            "<![CDATA[ x>",
            "<?xml version='1.0'?>",
        ] {
            let text = format!("{tag}é> more --> <b>");
            assert_eq!(look(text.as_bytes()), (removable(tag.len()), tag.len()), "{tag}");
        }
    }

    #[test]
    fn a_tag_without_an_end_is_text() {
        for text in ["<b", "<b x='>", "<!-- >", "<!-- --", "<!x", "<!doctype '", "<?x", "</b "] {
            assert_eq!(look(text.as_bytes()), (Markup::Text, text.len()), "{text}");
        }
    }

    #[test]
    fn what_cannot_begin_a_tag_is_text() {
        for text in ["<", "<3>", "< b>", "</>", "</3>", "</", "<>", "<é>", "<b<i>", "</b<i>"] {
            assert_eq!(look(text.as_bytes()), (Markup::Text, 1), "{text}");
        }
    }

    #[test]
    fn a_tag_of_no_element_is_unknown() {
        for tag in ["<String>", "<ana@x.example>", "<bb x='<b>'>", "<feComponentTransfers>"] {
            let end = tag.len();
            assert_eq!(look(tag.as_bytes()), (Markup::Unknown { end }, end), "{tag}");
        }
    }

    #[test]
    fn script_and_style_end_at_their_own_end_tag() {
        let (markup, _) = look(b"<SCRIPT src=x>");
        let raw = Some(Raw::Script);
        assert_eq!(markup, Markup::Removable { end: 14, raw });
        assert_eq!(look_for_end(b"a</b></scripts></Script >b", Raw::Script).0, Some(25));
        assert_eq!(look_for_end(b"<!-- </style> -->", Raw::Style).0, Some(13));
        assert_eq!(look_for_end(b"a</script", Raw::Script).0, None);
        assert_eq!(look_for_end(b"a</script>", Raw::Style).0, None);
    }
}
