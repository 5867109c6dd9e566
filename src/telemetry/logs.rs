//! Logs: to standard output, a line an event.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use self::plain::{Clock, PlainFields};
use crate::config::{LogConfig, LogFormat};

mod plain;

/// Starts logging for the whole process. Libraries are heard from `warn` on, the relay from the level set.
/// A second call changes nothing.
pub fn init(log: LogConfig) {
    let libraries = log.level.min(tracing::Level::WARN);
    // What is not HTTP is an error of its sender, who is told; it is no line in the log, let alone one of an error.
    let filter = EnvFilter::new(format!("{libraries},actix_http::h1=off,chaos_relay={}", log.level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    // A failure means that logging was started before, which is fine.
    let _ = match log.format {
        LogFormat::Pretty if std::io::stdout().is_terminal() => lines.try_init(),
        LogFormat::Pretty => lines.with_ansi(false).with_timer(Clock).fmt_fields(PlainFields).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
}
