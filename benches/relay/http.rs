//! HTTP as the load needs it: requests made beforehand, answers of which only status and body count.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::failure::{Outcome, fail};

/// How long an answer may take before a run counts as broken.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Digits of a sequence number, which keep every body at the same length.
pub const SEQUENCE_DIGITS: usize = 10;

/// A request as it is sent, with a place for a number that tells it from others.
#[derive(Clone)]
pub struct Request {
    bytes: Vec<u8>,
    sequence_at: Option<usize>,
}

impl Request {
    /// Makes one. Headers are lines without their ends; a body with [`no_sequence`] in it is numbered.
    pub fn new(method: &str, path: &str, headers: &[String], body: &str) -> Self {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: relay.example.org\r\nUser-Agent: bench\r\n");
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        if method != "GET" {
            text.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body);
        let sequence_at = text.find(&no_sequence());
        Self { bytes: text.into_bytes(), sequence_at }
    }

    /// What is sent, numbered.
    pub fn numbered(&mut self, sequence: usize) -> &[u8] {
        if let Some(at) = self.sequence_at {
            let digits = format!("{sequence:0SEQUENCE_DIGITS$}");
            self.bytes[at..at + SEQUENCE_DIGITS].copy_from_slice(digits.as_bytes());
        }
        &self.bytes
    }
}

/// What stands in a body where its number goes.
pub fn no_sequence() -> String {
    "0".repeat(SEQUENCE_DIGITS)
}

/// The number in the content of a message; its quotes may have been escaped on the way.
pub fn sequence_of(text: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"sequence";
    let rest = &text[memchr::memmem::find(text, NAME)? + NAME.len()..];
    let rest = &rest[rest.iter().position(u8::is_ascii_digit)?..];
    std::str::from_utf8(rest.get(..SEQUENCE_DIGITS)?).ok()?.parse().ok()
}

/// What an external service posts: about 200 bytes, as an order or a build would be told of.
pub fn webhook_body() -> String {
    format!(
        r#"{{"event":"order.paid","sequence":"{}","createdAt":"2026-01-15T10:30:00Z","order":{{"id":"A-10482","total":129.9,"currency":"EUR","items":3}},"customer":{{"name":"Ana Muster","email":"ana@example.org"}}}}"#,
        no_sequence()
    )
}

/// An answer.
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: &'a [u8],
}

/// A keep-alive connection's answers.
pub struct Answers<R> {
    stream: R,
    buffer: Vec<u8>,
    /// Where what was not given out yet begins.
    start: usize,
}

impl<R: tokio::io::AsyncRead + Unpin> Answers<R> {
    /// Reads from this.
    pub fn new(stream: R) -> Self {
        Self { stream, buffer: Vec::with_capacity(4096), start: 0 }
    }

    /// Where requests go.
    pub fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The stream, and what of it was read beyond the last answer.
    pub fn into_parts(mut self) -> (R, Vec<u8>) {
        self.buffer.drain(..self.start);
        (self.stream, self.buffer)
    }

    /// Waits for the next answer.
    pub async fn next(&mut self) -> Outcome<Answer<'_>> {
        loop {
            if let Some((status, head, whole)) = measure(&self.buffer[self.start..])? {
                let body = self.start + head..self.start + whole;
                self.start += whole;
                return Ok(Answer { status, body: &self.buffer[body] });
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return fail("a connection was closed before its answer was there");
            }
        }
    }
}

/// Status, length of the head and of the whole of an answer; nothing as long as it is not whole.
fn measure(bytes: &[u8]) -> Outcome<Option<(u16, usize, usize)>> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?;
    let status = head.get(9..12).and_then(|digits| digits.parse().ok());
    let Some(status) = status else { return fail(format!("no answer of HTTP: {head:?}")) };
    let mut length = 0;
    for line in head.lines().skip(1) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
    }
    let whole = end + 4 + length;
    Ok((bytes.len() >= whole).then_some((status, end + 4, whole)))
}

/// Connects without waiting for small writes to become larger ones.
pub async fn connect(port: u16) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A keep-alive connection on which one request follows the other.
pub struct Connection(Answers<TcpStream>);

impl Connection {
    /// Connects.
    pub async fn open(port: u16) -> Outcome<Self> {
        Ok(Self(Answers::new(connect(port).await?)))
    }

    /// Sends a request and waits for the answer, which must have this status.
    pub async fn exchange(&mut self, request: &[u8], status: u16) -> Outcome<&[u8]> {
        self.0.stream().write_all(request).await?;
        let Ok(answer) = timeout(ANSWER_TIMEOUT, self.0.next()).await else {
            return fail(format!("a request was not answered within {} s", ANSWER_TIMEOUT.as_secs()));
        };
        let answer = answer?;
        if answer.status == status {
            return Ok(answer.body);
        }
        let body = String::from_utf8_lossy(answer.body);
        fail(format!("a request was answered {} instead of {status}: {body}", answer.status))
    }

    /// Posts JSON and reads JSON.
    pub async fn post(&mut self, path: &str, headers: &[String], body: &Value, status: u16) -> Outcome<Value> {
        let mut request = Request::new("POST", path, headers, &body.to_string());
        Ok(serde_json::from_slice(self.exchange(request.numbered(0), status).await?)?)
    }
}
