//! HTTP as it is on the wire, for requests that no well-behaved client can send.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::DEADLINE;
use crate::support::relay::Replica;

/// A request, header by header.
#[derive(Clone)]
pub struct Request {
    pub method: String,
    head: Vec<u8>,
    body: Vec<u8>,
    is_chunked: bool,
}

impl Request {
    pub fn new(method: &str, path: impl AsRef<str>) -> Self {
        let head = format!("{method} {} HTTP/1.1\r\nHost: relay.test\r\n", path.as_ref());
        Self { method: method.to_owned(), head: head.into_bytes(), body: Vec::new(), is_chunked: false }
    }

    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.extend_from_slice(name.as_bytes());
        self.head.extend_from_slice(b": ");
        self.head.extend_from_slice(value.as_ref());
        self.head.extend_from_slice(b"\r\n");
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    /// Sends the body in chunks, so that its length is not known before its end.
    pub fn chunked(mut self) -> Self {
        self.is_chunked = true;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        if self.is_chunked {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in self.body.chunks(60_000) {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }

    /// Sends it; there must be an answer.
    pub async fn send(&self, replica: &Replica) -> Answer {
        let answer = exchange(replica, &self.bytes()).await.expect("a connection that works");
        answer.expect("an answer instead of a close")
    }
}

/// What the relay answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends these bytes on a connection of their own and reads one answer; `None` when the relay closed instead.
pub async fn exchange(replica: &Replica, bytes: &[u8]) -> io::Result<Option<Answer>> {
    let mut stream = TcpStream::connect(("127.0.0.1", replica.port())).await?;
    let (mut reader, mut writer) = stream.split();
    let is_head = bytes.starts_with(b"HEAD ");
    let talk = async {
        // A refusal may come before everything was sent; writing what is left then fails, and need not work.
        let (_, answer) = tokio::join!(writer.write_all(bytes), read_answer(&mut reader, is_head));
        answer
    };
    timeout(DEADLINE, talk).await.expect("an answer or a close within the deadline")
}

/// Sends these requests on one connection without waiting, and gives all that the relay says until it closes.
pub async fn conversation(replica: &Replica, requests: &[Request]) -> String {
    let bytes: Vec<u8> = requests.iter().flat_map(Request::bytes).collect();
    let mut stream = TcpStream::connect(("127.0.0.1", replica.port())).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut said = Vec::new();
    // Both may fail where the relay hangs up first; what it said before counts.
    let talk = async { tokio::join!(writer.write_all(&bytes), reader.read_to_end(&mut said)) };
    let _ = timeout(DEADLINE, talk).await.expect("a close within the deadline");
    String::from_utf8_lossy(&said).into_owned()
}

async fn read_answer(reader: &mut (impl tokio::io::AsyncRead + Unpin), is_head: bool) -> io::Result<Option<Answer>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(answer) = parse(&bytes, is_head) {
            return Ok(Some(answer));
        }
        if reader.read_buf(&mut bytes).await? == 0 {
            assert!(bytes.is_empty(), "half an answer: {}", String::from_utf8_lossy(&bytes));
            return Ok(None);
        }
    }
}

/// The answer, once all of it is there. The relay always says how long its answers are.
fn parse(bytes: &[u8], is_head: bool) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer { status, headers, body: bytes[end + 4..].to_vec() };
    let length = answer.header("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
    if !is_head {
        if answer.body.len() < length {
            return None;
        }
        answer.body.truncate(length);
    }
    Some(answer)
}
