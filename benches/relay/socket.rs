//! WebSockets as clients hold them, thousands at a time: an idle one holds no buffer here.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::failure::{Outcome, fail};
use crate::http::{Answers, Request, connect};

/// How long an upgrade may take, with thousands of others at the same time.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(60);
/// What is read at once, in bytes.
const READ: usize = 16 * 1024;
/// First byte of a whole frame of this kind.
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// An open socket.
pub struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where what was not given out yet begins.
    start: usize,
}

impl Socket {
    /// Opens one at this path.
    pub async fn open(port: u16, path: &str) -> Outcome<Self> {
        let opened = Self::try_open(port, path).await?;
        opened.or_else(|status| fail(format!("a socket was answered {status}")))
    }

    /// Opens one at this path, or gives the status with which it was refused.
    pub async fn try_open(port: u16, path: &str) -> Outcome<Result<Self, u16>> {
        let upgrade = Self::upgrade(port, path);
        timeout(UPGRADE_TIMEOUT, upgrade).await.unwrap_or_else(|_| fail("a socket did not open"))
    }

    async fn upgrade(port: u16, path: &str) -> Outcome<Result<Self, u16>> {
        let headers = [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ];
        let mut request = Request::new("GET", path, &headers.map(str::to_owned), "");
        let mut stream = connect(port).await?;
        stream.write_all(request.numbered(0)).await?;
        let mut answers = Answers::new(stream);
        let status = answers.next().await?.status;
        if status != 101 {
            return Ok(Err(status));
        }
        let (stream, buffer) = answers.into_parts();
        Ok(Ok(Self { stream, buffer, start: 0 }))
    }

    /// Waits for the next text frame. Pings are answered on the way.
    pub async fn next(&mut self) -> Outcome<&[u8]> {
        loop {
            let Some((kind, payload, end)) = frame(&self.buffer[self.start..]) else {
                self.read().await?;
                continue;
            };
            let payload = self.start + payload..self.start + end;
            self.start += end;
            match kind {
                TEXT => return Ok(&self.buffer[payload]),
                PING => {
                    // Masked with zeros, which leaves it as it is.
                    let mut pong = vec![PONG, 0x80 | payload.len() as u8, 0, 0, 0, 0];
                    pong.extend_from_slice(&self.buffer[payload]);
                    self.stream.write_all(&pong).await?;
                }
                CLOSE => return fail("the relay closed a socket"),
                other => return fail(format!("a frame that begins with {other:#x}")),
            }
        }
    }

    async fn read(&mut self) -> Outcome<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        loop {
            self.stream.readable().await?;
            self.buffer.reserve(READ);
            match self.stream.try_read_buf(&mut self.buffer) {
                Ok(0) => return fail("a socket was cut"),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// First byte of a frame, and where its payload begins and ends; nothing as long as it is not whole.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (head, length) = match bytes.get(1)? {
        126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(*short)),
    };
    let end = head + usize::try_from(length).ok()?;
    (bytes.len() >= end).then_some((bytes[0], head, end))
}
