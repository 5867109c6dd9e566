//! The socket of a session.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use actix_ws::Item;
use awc::error::WsProtocolError;
use awc::ws::{CloseCode, Frame, Message};
use bytes::Bytes;
use futures_util::{Sink, Stream};

/// Largest text that the relay may send, whole or in parts, in bytes. Part of the wire contract.
pub const MAX_FRAME: usize = 1024 * 1024;

/// Both directions of a WebSocket; awc's own type for it has no name outside.
pub trait Frames:
    Stream<Item = Result<Frame, WsProtocolError>> + Sink<Message, Error = WsProtocolError> + Unpin
{
}
impl<T> Frames for T where
    T: Stream<Item = Result<Frame, WsProtocolError>> + Sink<Message, Error = WsProtocolError> + Unpin
{
}

/// What comes out of a socket.
pub enum Incoming {
    /// A text.
    Text(Bytes),
    /// A sign of life and no more.
    Alive,
    /// The end, with the relay's reason if it gave one.
    Closed(Option<CloseCode>),
}

/// An open socket.
pub struct Socket {
    frames: Box<dyn Frames>,
    queue: VecDeque<Message>,
    /// The beginning of a text that comes in parts, as a proxy may cut it.
    parts: Vec<u8>,
}

impl Socket {
    /// The socket over these frames.
    pub fn new(frames: impl Frames + 'static) -> Self {
        Self { frames: Box::new(frames), queue: VecDeque::new(), parts: Vec::new() }
    }

    /// Puts a text in the queue, which [`Socket::next`] sends.
    pub fn send(&mut self, text: &str) {
        self.queue.push_back(Message::Text(text.into()));
    }

    /// Waits for what comes next while sending what is queued. What was not taken for lack of time is not lost.
    pub async fn next(&mut self) -> Incoming {
        match self.frame().await {
            Some(Frame::Text(text)) => Incoming::Text(text),
            Some(Frame::Continuation(part)) => self.part(part),
            Some(Frame::Ping(payload)) => {
                self.queue.push_back(Message::Pong(payload));
                Incoming::Alive
            }
            Some(Frame::Pong(_) | Frame::Binary(_)) => Incoming::Alive,
            Some(Frame::Close(reason)) => Incoming::Closed(reason.map(|reason| reason.code)),
            None => Incoming::Closed(None),
        }
    }

    fn part(&mut self, part: Item) -> Incoming {
        let (bytes, is_last) = match part {
            Item::FirstText(bytes) | Item::FirstBinary(bytes) | Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
        };
        if self.parts.len() + bytes.len() > MAX_FRAME {
            return Incoming::Closed(None);
        }
        self.parts.extend_from_slice(&bytes);
        if is_last { Incoming::Text(std::mem::take(&mut self.parts).into()) } else { Incoming::Alive }
    }

    /// Sends and receives at once, since two peers that each wait to be read would wait for ever.
    async fn frame(&mut self) -> Option<Frame> {
        poll_fn(|context| {
            let mut frames = Pin::new(&mut *self.frames);
            while !self.queue.is_empty() {
                match frames.as_mut().poll_ready(context) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(None),
                }
                if let Some(frame) = self.queue.pop_front()
                    && frames.as_mut().start_send(frame).is_err()
                {
                    return Poll::Ready(None);
                }
            }
            if let Poll::Ready(Err(_)) = frames.as_mut().poll_flush(context) {
                return Poll::Ready(None);
            }
            frames.as_mut().poll_next(context).map(|frame| frame.and_then(Result::ok))
        })
        .await
    }
}
