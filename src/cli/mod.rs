//! What each command does.

pub mod check;
pub mod healthcheck;
pub mod reseal;
pub mod serve;
pub mod tail;

use std::process::ExitCode;

/// Ends a command with one line that says what is wrong.
fn fail(reason: impl std::fmt::Display) -> ExitCode {
    eprintln!("chaos-relay: {reason}");
    ExitCode::FAILURE
}
