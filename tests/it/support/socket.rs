//! A WebSocket, as a client holds one.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::DEADLINE;

/// An open socket.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens one; it must succeed.
    pub async fn open(url: &str) -> Self {
        match Self::try_open(url).await {
            Ok(socket) => socket,
            Err(error) => panic!("the socket did not open: {error:?}"),
        }
    }

    /// Tries to open one; gives the HTTP status and body of a refusal.
    pub async fn try_open(url: &str) -> Result<Self, (u16, String)> {
        match timeout(DEADLINE, connect_async(url)).await.expect("an answer to the handshake") {
            Ok((stream, _)) => Ok(Self(stream)),
            Err(Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                Err((answer.status().as_u16(), String::from_utf8_lossy(body).into_owned()))
            }
            Err(error) => Err((0, error.to_string())),
        }
    }

    pub async fn send(&mut self, frame: &Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub async fn send_binary(&mut self, bytes: Vec<u8>) {
        self.0.send(Message::binary(bytes)).await.unwrap();
    }

    /// The next text frame, or the code of the close; pings are answered on the way.
    pub async fn next(&mut self) -> Result<Value, u16> {
        timeout(DEADLINE, self.next_ever()).await.expect("a frame within the deadline")
    }

    async fn next_ever(&mut self) -> Result<Value, u16> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => return Err(frame.code.into()),
                // 1006 is what browsers report for a connection that broke without a close frame.
                Some(Ok(Message::Close(None))) => return Err(1005),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// The next frame, which must have this type.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let frame = self.next().await.unwrap_or_else(|code| panic!("closed with {code} instead of {kind}"));
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    /// The next frame, which must be a message.
    pub async fn message(&mut self) -> Value {
        self.expect("message").await["message"].clone()
    }

    /// The content of the next message.
    pub async fn content(&mut self) -> String {
        self.message().await["content"].as_str().unwrap().to_owned()
    }

    /// The code with which the server closes; frames before are skipped.
    pub async fn closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }

    /// Makes sure that nothing else was under way: whatever was pushed before comes before the pong.
    pub async fn nothing_more(&mut self) {
        self.send_text(r#"{"type":"ping"}"#).await;
        self.expect("pong").await;
    }

    pub async fn close(mut self) {
        let _ = self.0.close(None).await;
    }

    /// The stream itself.
    pub fn into_inner(self) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
        self.0
    }
}
