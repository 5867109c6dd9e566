//! What `tail` writes: messages to stdout, and lines for people to where they are not in the way.

use std::fmt::{Display, Write as _};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;

use serde_json::Value;
use tokio::io::Interest;
use tokio::net::unix::pipe;

use chaos_relay::domain::text::{single_line, strip_hidden};
use chaos_relay::domain::timestamp::Timestamp;

/// Blanks before the second and every further line of a message: as wide as the time and its gap.
const INDENT: &str = "          ";

/// The type of channel that needs no mention, since its messages say it themselves.
pub const WEBHOOK: &str = "webhook";

/// Where everything goes.
#[derive(Clone, Copy)]
pub struct Screen {
    is_for_people: bool,
}

impl Screen {
    /// Writes for people if stdout is a terminal and nobody asked for JSON.
    pub fn new(json: bool) -> Self {
        Self { is_for_people: !json && io::stdout().is_terminal() }
    }

    /// Shows a line for people. Nothing depends on it, so a stream that is closed is no failure.
    pub fn note(&self, line: impl Display) {
        if self.is_for_people {
            let mut out = io::stdout().lock();
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        } else {
            self.complain(line);
        }
    }

    /// Writes a line to stderr.
    pub fn complain(&self, line: impl Display) {
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// Tells the fate of a reply on its platform, given its type if that is known.
    pub fn delivery(&self, frame: &Value, platform: Option<&str>) {
        if let Some(line) = fate(frame, platform) {
            self.complain(line);
        }
    }

    /// Shows a message at once.
    pub fn message(&self, message: &Value) -> io::Result<()> {
        let text = if self.is_for_people { pretty(message) } else { one_line_of_json(message) };
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

/// Waits until whoever reads stdout has gone; for ever where that cannot be known, as with a file.
///
/// A write would find out as well, but only when the next message comes.
pub async fn reader_gone() {
    if let Ok(pipe) = io::stdout().as_fd().try_clone_to_owned()
        && let Ok(pipe) = pipe::Sender::from_owned_fd_unchecked(pipe)
        && pipe.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// `10:30:00  webhook  Hello` or, from a platform, `10:30:00  telegram  ana  Hello`; further lines indented. The relay cleans all text, but a terminal must
/// not depend on that.
fn pretty(message: &Value) -> String {
    let member = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default();
    let at = Timestamp::parse(member("timestamp")).map(|at| at.to_string());
    let time = at.as_deref().and_then(|at| at.get(11..19)).unwrap_or("--:--:--");
    let content = strip_hidden(member("content"));
    let mut lines = content.lines();
    let from = single_line(member("from"));
    let first = lines.next().unwrap_or_default();
    let mut text = match member("channelType") {
        "" | WEBHOOK => format!("{time}  {from}  {first}\n"),
        platform => format!("{time}  {}  {from}  {first}\n", single_line(platform)),
    };
    for line in lines {
        let _ = writeln!(text, "{INDENT}{line}");
    }
    text
}

/// `Delivered (telegram).` and the like; nothing for a status that is not known.
fn fate(frame: &Value, platform: Option<&str>) -> Option<String> {
    let member = |name: &str| frame.get(name).and_then(Value::as_str);
    let platform = platform.map(|platform| format!(" ({})", single_line(platform))).unwrap_or_default();
    let reason = single_line(member("error").unwrap_or("no reason was given"));
    match member("status")? {
        "delivered" => Some(format!("Delivered{platform}.")),
        "retrying" => Some(format!("Not delivered yet, trying again{platform}: {reason}")),
        "failed" => Some(format!("Not delivered{platform}: {reason}")),
        _ => None,
    }
}

/// JSON escapes some controls only, and this may reach a terminal too.
fn one_line_of_json(message: &Value) -> String {
    let mut line = single_line(&message.to_string()).into_owned();
    line.push('\n');
    line
}

/// The command that sends a message to a webhook, ready to be pasted into a shell.
///
/// Without the content type curl would announce a form.
pub fn curl_command(url: &str) -> String {
    format!("curl -H 'Content-Type: text/plain' -d 'Hello' {}", shell_quoted(url))
}

/// One word for any POSIX shell, whatever is in it.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(content: &str) -> Value {
        json!({"from": "ana", "content": content, "timestamp": "2026-01-15T10:30:00.123Z"})
    }

    #[test]
    fn a_quoted_word_holds_whatever_is_in_it() {
        assert_eq!(
            shell_quoted("https://x.example/webhook/a?token=b&c=$d"),
            "'https://x.example/webhook/a?token=b&c=$d'"
        );
        assert_eq!(shell_quoted("it's; `rm`"), r"'it'\''s; `rm`'");
    }

    #[test]
    fn a_message_starts_with_its_time_and_sender() {
        assert_eq!(pretty(&message("Hello")), "10:30:00  ana  Hello\n");
    }

    #[test]
    fn a_message_from_a_platform_names_it() {
        for (kind, line) in [("webhook", "10:30:00  ana  Hello\n"), ("telegram", "10:30:00  telegram  ana  Hello\n")] {
            let mut message = message("Hello");
            message["channelType"] = kind.into();
            assert_eq!(pretty(&message), line);
        }
    }

    #[test]
    fn the_fate_of_a_reply_is_one_sentence_with_its_platform_and_reason() {
        for (status, error, platform, line) in [
            ("delivered", None, Some("slack"), Some("Delivered (slack).")),
            ("delivered", None, None, Some("Delivered.")),
            (
                "retrying",
                Some("too\u{1b} fast"),
                Some("telegram"),
                Some("Not delivered yet, trying again (telegram): too fast"),
            ),
            ("failed", Some("bot was blocked"), None, Some("Not delivered: bot was blocked")),
            ("failed", None, Some("email"), Some("Not delivered (email): no reason was given")),
            ("lost", None, None, None),
        ] {
            assert_eq!(fate(&json!({"status": status, "error": error}), platform).as_deref(), line, "{status}");
        }
        assert_eq!(fate(&json!({}), None), None);
    }

    #[test]
    fn further_lines_are_indented() {
        assert_eq!(pretty(&message("one\n\n two\n")), "10:30:00  ana  one\n          \n           two\n");
    }

    #[test]
    fn a_message_without_the_usual_members_is_shown_all_the_same() {
        assert_eq!(pretty(&json!({"content": 7})), "--:--:--    \n");
    }

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        let text = "a\u{1b}[2J\u{9b}b\u{202e}\rc";
        assert_eq!(pretty(&message(text)), "10:30:00  ana  a[2Jbc\n");
        let line = one_line_of_json(&message(text));
        assert!(
            line.ends_with('\n') && !line.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{line:?}"
        );
        assert!(serde_json::from_str::<Value>(&line).is_ok());
    }
}
