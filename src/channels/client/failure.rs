//! Why a call came to nothing, in words for people.
//!
//! The client's own words are never passed on: they may hold the URL, and with it Telegram's token.

use std::io;
use std::time::Duration;

use actix_web::error::ParseError;
use awc::error::{ConnectError, SendRequestError};

use crate::channels::api::CallError;

pub(super) fn unreachable(words: impl Into<String>) -> CallError {
    CallError::Unreachable(words.into())
}

/// The thread is gone, or the call panicked.
pub(super) fn stopped() -> CallError {
    unreachable("the call ended without a result")
}

/// The URL or a header is none.
pub(super) fn cannot_be_sent() -> CallError {
    unreachable("the call cannot be sent: its address or a header is not valid")
}

pub(super) fn no_answer_within(limit: Duration) -> CallError {
    unreachable(format!("the platform did not answer within {} seconds", limit.as_secs_f64()))
}

pub(super) fn too_large(limit: usize) -> CallError {
    CallError::TooLarge(limit)
}

pub(super) fn broken_off() -> CallError {
    unreachable("the platform broke off the connection")
}

/// Why no answer began.
pub(super) fn of_sending(error: &SendRequestError, connect_timeout: Duration) -> CallError {
    match error {
        SendRequestError::Connect(error) => of_connecting(error, connect_timeout),
        SendRequestError::Send(error) | SendRequestError::Response(ParseError::Io(error)) => of_connection(error),
        SendRequestError::Response(ParseError::Incomplete) => broken_off(),
        SendRequestError::Response(_) => unreachable("the platform's answer is not HTTP"),
        SendRequestError::Url(_) | SendRequestError::Http(_) => cannot_be_sent(),
        _ => unreachable("the call failed"),
    }
}

fn of_connecting(error: &ConnectError, timeout: Duration) -> CallError {
    match error {
        ConnectError::Timeout => {
            unreachable(format!("the platform took no connection within {} seconds", timeout.as_secs_f64()))
        }
        ConnectError::Resolver(_) | ConnectError::NoRecords | ConnectError::Unresolved => {
            unreachable("the platform's name could not be looked up")
        }
        ConnectError::Io(error) => match error.kind() {
            // What rustls objects to, such as a certificate.
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                unreachable("no secure connection to the platform could be made")
            }
            _ => of_connection(error),
        },
        ConnectError::Disconnected => broken_off(),
        _ => unreachable("no connection to the platform could be made"),
    }
}

fn of_connection(error: &io::Error) -> CallError {
    use io::ErrorKind::{
        AddrNotAvailable, BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable,
        NetworkDown, NetworkUnreachable, NotConnected, TimedOut, UnexpectedEof, WriteZero,
    };
    match error.kind() {
        ConnectionRefused => unreachable("the platform refused the connection"),
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof | WriteZero | NotConnected => broken_off(),
        HostUnreachable | NetworkUnreachable | NetworkDown | AddrNotAvailable => {
            unreachable("the platform's network cannot be reached")
        }
        TimedOut => unreachable("the connection to the platform timed out"),
        _ => unreachable("the connection to the platform failed"),
    }
}
