//! Lines without colours, byte for byte those of `tracing-subscriber` but for control characters, at a third of their
//! cost: each request writes one.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::time::UNIX_EPOCH;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// The time as [`SystemTime`] writes it. It is asked once a second; in between only the fraction changes.
pub(super) struct Clock;

/// Up to where the second of a time reaches: `2026-11-24T05:00:00`.
const SECOND_BYTES: usize = 19;

thread_local! {
    /// A second since the epoch, and its text.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

fn seconds() -> Option<(u64, u32)> {
    let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some((now.as_secs(), now.subsec_micros()))
}

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let Some((now, micros)) = seconds() else { return SystemTime.format_time(writer) };
        SECOND.with_borrow_mut(|(second, text)| {
            if *second == now {
                writer.write_str(text)?;
                return write!(writer, ".{micros:06}Z");
            }
            text.clear();
            SystemTime.format_time(&mut Writer::new(text))?;
            writer.write_str(text)?;
            text.truncate(SECOND_BYTES);
            // The text may be of a later second than `now` is.
            *second = seconds().filter(|(after, _)| *after == now).map_or(0, |_| now);
            Ok(())
        })
    }
}

/// Writes `message name=value name=value`.
pub(super) struct PlainFields;

impl<'writer> FormatFields<'writer> for PlainFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Line { writer, is_empty: true, result: Ok(()) };
        fields.record(&mut line);
        line.result
    }
}

struct Line<'writer> {
    writer: Writer<'writer>,
    is_empty: bool,
    result: fmt::Result,
}

impl Line<'_> {
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Escaping<'_, '_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.begin(field).and_then(|()| value(&mut Escaping(&mut self.writer)));
        }
    }

    fn begin(&mut self, field: &Field) -> fmt::Result {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.writer.write_char(' ')?;
        }
        match field.name() {
            "message" => Ok(()),
            name => {
                self.writer.write_str(name.strip_prefix("r#").unwrap_or(name))?;
                self.writer.write_char('=')
            }
        }
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let is_plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
        self.field(field, |line| match field.name() {
            "message" => line.write_str(value),
            _ if is_plain => {
                line.0.write_char('"')?;
                line.0.write_str(value)?;
                line.0.write_char('"')
            }
            _ => write!(line, "{value:?}"),
        });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |line| write!(line.0, "{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field, |line| write!(line, "{value:?}"));
    }
}

/// Writes what a terminal or a reader of lines would obey in escaped form, so that nobody's words make up a line.
struct Escaping<'line, 'writer>(&'line mut Writer<'writer>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        // A control character is one byte below 0x20, 0x7f, or two bytes of which the first is 0xc2.
        while let Some(at) = rest.bytes().position(|byte| matches!(byte, ..b' ' | 0x7f | 0xc2)) {
            let (plain, from) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut after = from.chars();
            let character = after.next().expect("the position is that of a character");
            if character.is_control() {
                write!(self.0, "{}", character.escape_default())?;
            } else {
                self.0.write_char(character)?;
            }
            rest = after.as_str();
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// What the events look like without their time, here and as the library writes them.
    fn both(events: impl Fn()) -> [String; 2] {
        let lines = [Lines::default(), Lines::default()];
        let plain = tracing_subscriber::fmt().without_time().with_ansi(false).with_target(false);
        let ours = plain.fmt_fields(PlainFields).with_writer(lines[0].clone()).finish();
        tracing::subscriber::with_default(ours, &events);
        let plain = tracing_subscriber::fmt().without_time().with_ansi(false).with_target(false);
        tracing::subscriber::with_default(plain.with_writer(lines[1].clone()).finish(), &events);
        lines.map(|lines| lines.text())
    }

    #[test]
    fn lines_are_those_of_the_library() {
        let error = io::Error::other("a \"cause\"");
        let [ours, theirs] = both(|| {
            tracing::info!(method = %"POST", route = "/webhook/{user}", status = 200_u16, ms = 7_u64, "request");
            tracing::warn!(quoted = "a \"b\" \\ c", accents = "é\u{a0}ß", empty = "", r#type = ?Some("x"), "sent {}", 1);
            tracing::error!(error = %error, below = -1, share = 0.5, is_up = true, list = ?[1, 2]);
            tracing::info!(cause = &error as &dyn std::error::Error, text = %"plain words", "é and ü");
        });
        assert_eq!(ours, theirs);
        assert_eq!(ours.lines().next(), Some(" INFO request method=POST route=\"/webhook/{user}\" status=200 ms=7"));
    }

    #[test]
    fn nothing_in_a_line_ends_it_or_speaks_to_the_terminal() {
        let hostile = "a\nb\r\u{1b}[31m\u{7f}\u{9b}0m\0é\u{a0}\u{200b}";
        let [ours, _] = both(|| tracing::info!(shown = %hostile, text = hostile, debug = ?hostile, "{hostile}"));
        let (line, rest) = ours.split_once('\n').unwrap();
        assert!(rest.is_empty() && !line.contains(char::is_control), "{ours:?}");
        assert!(line.contains("shown=a\\nb\\r\\u{1b}[31m\\u{7f}\\u{9b}0m\\u{0}é\u{a0}\u{200b} "), "{line}");
    }

    #[test]
    fn times_are_those_of_the_library() {
        let written = |clock: &dyn FormatTime| {
            let mut text = String::new();
            clock.format_time(&mut Writer::new(&mut text)).unwrap();
            text
        };
        let until = std::time::Instant::now() + std::time::Duration::from_millis(1_200);
        while std::time::Instant::now() < until {
            let [before, ours, after] = [written(&SystemTime), written(&Clock), written(&SystemTime)];
            assert!(before <= ours && ours <= after && ours.len() == after.len(), "{before} {ours} {after}");
        }
    }
}
