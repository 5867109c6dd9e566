//! One walk through a text that removes the markup it meets.

use std::ops::Range;

use memchr::memmem::{rfind, rfind_iter};
use memchr::{memchr, memrchr};

use super::elements::LONGEST_NAME;
use super::markup::{Markup, Raw, look, look_for_end};

/// Bytes of work allowed per byte of text. Honest text needs two or three.
const WORK_PER_BYTE: usize = 10;

/// Bytes of work allowed in addition: any text below about a kilobyte is cleaned exactly.
const WORK_AT_LEAST: usize = 256 * 1024;

/// Bytes of work that starting the tokenizer stands for; measured, and rounded up.
const WORK_PER_START: usize = 8;

/// Longest kept text, in bytes, that is read again once a removal has joined it with what follows:
/// `</` and a name.
const LONGEST_JOINT: usize = LONGEST_NAME + 2;

/// The work allowed for a text of `length` bytes, in bytes read or moved.
pub(super) fn work_allowed(length: usize) -> usize {
    length.saturating_mul(WORK_PER_BYTE).saturating_add(WORK_AT_LEAST)
}

/// How one pass over a text has ended.
pub(super) enum Outcome {
    /// Nothing was removed.
    Clean,
    /// Something was removed, so there may be more to remove now.
    Shortened,
    /// The work allowed was used up before the end.
    OutOfWork,
}

/// One pass over a text, which it shortens in place.
///
/// The bytes up to `write` are kept, those from `read` on are still to be read, and those between
/// are dead. So the end of the kept text can be moved up to what follows a removal and be read
/// again together with it, which makes one pass enough for tags nested in tags.
pub(super) struct Pass<'a> {
    bytes: &'a mut Vec<u8>,
    write: usize,
    read: usize,
    /// Bytes read or moved so far.
    pub(super) work: usize,
    work_allowed: usize,
    /// Offset of the last `>`: no tag or comment that starts behind it has an end.
    last_bracket: usize,
    /// Offset of the last text that can end a comment, none if there is no such text.
    last_comment_end: Option<usize>,
    /// Offsets of the last text that can end a script and a style, each found when first needed.
    last_raw_end: [Option<Option<usize>>; 2],
}

impl<'a> Pass<'a> {
    /// A pass over `bytes` that may cost `total_left` bytes of work, and no more than
    /// [`work_allowed`] for the length of `bytes`.
    pub(super) fn new(bytes: &'a mut Vec<u8>, total_left: usize) -> Self {
        Pass {
            work: bytes.len(),
            work_allowed: total_left.min(work_allowed(bytes.len())),
            last_bracket: memrchr(b'>', bytes).unwrap_or(0),
            last_comment_end: rfind(bytes, b"-->").max(rfind(bytes, b"--!>")),
            last_raw_end: [None; 2],
            write: 0,
            read: 0,
            bytes,
        }
    }

    /// Walks through the text once. On return the text is whole again, however far it got.
    pub(super) fn run(&mut self) -> Outcome {
        let length = self.bytes.len();
        let mut outcome = Outcome::Clean;
        while let Some(ahead) = memchr(b'<', &self.bytes[self.read..]) {
            if self.work > self.work_allowed {
                outcome = Outcome::OutOfWork;
                break;
            }
            self.keep(ahead);
            if self.read > self.last_bracket {
                break;
            }
            match self.look_ahead() {
                Markup::Text => self.keep(1),
                Markup::Unknown { end } => self.keep(end),
                Markup::Removable { end, raw } => {
                    outcome = Outcome::Shortened;
                    self.read += end;
                    if let Some(raw) = raw {
                        self.skip_content(raw);
                    }
                    self.step_back();
                }
            }
        }
        self.keep(length - self.read);
        self.bytes.truncate(self.write);
        outcome
    }

    /// Keeps the next `count` bytes.
    fn keep(&mut self, count: usize) {
        let kept = self.read..self.read + count;
        self.move_to(kept, self.write);
        self.read += count;
        self.write += count;
    }

    fn move_to(&mut self, from: Range<usize>, to: usize) {
        if from.start != to {
            self.bytes.copy_within(from, to);
        }
    }

    /// What stands at the next byte, which is a `<`.
    fn look_ahead(&mut self) -> Markup {
        let ahead = &self.bytes[self.read..];
        // A comment ends behind its own `<!` at the earliest, as in `<!-->`.
        if ahead.starts_with(b"<!--") && self.last_comment_end < Some(self.read + 2) {
            return Markup::Text;
        }
        let (markup, read) = look(ahead);
        self.work += read;
        if read > 1 {
            self.work += WORK_PER_START;
        }
        markup
    }

    /// Passes over the content and the end tag of a script or style, if there is an end tag.
    fn skip_content(&mut self, raw: Raw) {
        let last_end = *self.last_raw_end[raw as usize]
            .get_or_insert_with(|| last_end_tag(&self.bytes[self.read..], raw).map(|at| at + self.read));
        if last_end < Some(self.read) {
            return;
        }
        let (end, read) = look_for_end(&self.bytes[self.read..], raw);
        self.work += read + WORK_PER_START;
        self.read += end.unwrap_or(0);
    }

    /// Takes the end of the kept text back for reading if the removal may have made it a tag.
    fn step_back(&mut self) {
        let nearest = self.write.saturating_sub(LONGEST_JOINT);
        let Some(open) = memrchr(b'<', &self.bytes[nearest..self.write]) else {
            return;
        };
        let open = nearest + open;
        if !may_begin_tag(&self.bytes[open + 1..self.write]) {
            return;
        }
        let start = self.read - (self.write - open);
        self.move_to(open..self.write, start);
        self.work += self.write - open;
        self.write = open;
        self.read = start;
    }
}

/// Whether a tag or comment can begin with `<`, `rest` and more text.
///
/// `<!` and `<?` are only kept where no `>` follows, so no removal can come after them. The rare
/// open `<!--` is left to the next pass.
fn may_begin_tag(rest: &[u8]) -> bool {
    let name = rest.strip_prefix(b"/").unwrap_or(rest);
    name.first().is_none_or(u8::is_ascii_alphabetic) && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

/// Offset of the last text that can be the end tag of `raw`, in any case of letters.
fn last_end_tag(bytes: &[u8], raw: Raw) -> Option<usize> {
    rfind_iter(bytes, b"</")
        .find(|at| bytes[at + 2..].get(..raw.name().len()).is_some_and(|name| name.eq_ignore_ascii_case(raw.name())))
}
