//! The loop that owns one socket: what comes in, what the hub says, what the clock says.

use std::time::Duration;

use actix_web::error::PayloadError;
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, Closed, ProtocolError, Session};
use tokio::time::{Instant, sleep_until, timeout};

use super::protocol::{self, ClientFrame, PONG};
use super::session::{Due, SocketState, Step};
use super::{MAX_FRAME, PAGE};
use crate::domain::message::{Page, StoredRecord};
use crate::hub::{Listener, Notice};
use crate::services::Relay;
use crate::services::authenticate::Caller;
use crate::services::error::Error;
use crate::store::operator::Counter;
use crate::store::{Since, SocketLease, SocketOutcome};
use crate::telemetry::metrics::Sent;
use crate::telemetry::traces::within;

/// A socket renews its place, and reads once without having been woken, at a time drawn from this range:
/// well within a lease, even if one renewal fails, and not all sockets at once.
const RENEW_MIN: Duration = Duration::from_secs(9);
const RENEW_SPREAD_MS: u64 = 4000;
/// Pause before a read that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How long a frame may wait for room towards the peer. Part of the wire contract.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the close frame may take to leave.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The peer closed, or its connection broke.
    Peer,
    /// The peer said nothing for too long.
    Silent,
    /// A newer socket took the place.
    Replaced,
    /// The session was deleted.
    SessionGone,
    /// The operator closes the socket.
    Disconnected,
    /// The replica takes leave.
    Leaving,
    /// The peer does not read.
    TooSlow,
    /// A binary frame.
    Binary,
    /// A frame beyond the limit.
    TooLarge,
    /// A text frame that is not text.
    NotText,
    /// Something that is not WebSocket.
    Protocol,
}

impl End {
    /// Close code and reason; `None` where there is nobody to tell.
    fn close(self) -> Option<(CloseCode, &'static str)> {
        Some(match self {
            Self::Peer => (CloseCode::Normal, ""),
            Self::Silent => return None,
            Self::Replaced => (CloseCode::Other(4001), "a newer socket of this session took the place"),
            Self::SessionGone => (CloseCode::Policy, "the session was deleted"),
            Self::Disconnected => (CloseCode::Restart, "disconnected by the operator: connect again"),
            Self::Leaving => (CloseCode::Restart, "this replica is going away: connect again"),
            Self::TooSlow => (CloseCode::Again, "too slow: connect again with since"),
            Self::Binary => (CloseCode::Unsupported, "only text frames"),
            Self::TooLarge => (CloseCode::Size, "a frame may have at most 1 MiB"),
            Self::NotText => (CloseCode::Invalid, "a text frame must be UTF-8"),
            Self::Protocol => (CloseCode::Protocol, ""),
        })
    }
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        Self::Peer
    }
}

pub(super) struct Pump {
    relay: Relay,
    caller: Caller,
    lease: SocketLease,
    listener: Listener,
    session: Session,
    frames: AggregatedMessageStream,
    state: SocketState,
    /// What is being sent, when the peer had no room for all of it.
    page: Option<(Page, usize)>,
    renew_at: Instant,
    /// Reads failed: not before then.
    read_at: Instant,
}

fn next_renewal() -> Instant {
    let spread = getrandom::u64().map_or(0, |random| random % RENEW_SPREAD_MS);
    Instant::now() + RENEW_MIN + Duration::from_millis(spread)
}

impl Pump {
    /// A pump that begins by sending `page`.
    pub(super) fn new(
        relay: Relay,
        caller: Caller,
        lease: SocketLease,
        listener: Listener,
        session: Session,
        frames: AggregatedMessageStream,
        page: Page,
    ) -> Box<Self> {
        let now = Instant::now();
        // Boxed, so that the task's own frames hold a pointer and no copies.
        let mut pump = Box::new(Self {
            relay,
            caller,
            lease,
            listener,
            session,
            frames,
            state: SocketState::new(now),
            page: None,
            renew_at: next_renewal(),
            read_at: now,
        });
        pump.take_page(page);
        pump
    }

    /// Runs until the socket ends, then gives everything back.
    pub(super) async fn run(mut self: Box<Self>) {
        let end = loop {
            if let Err(end) = self.turn().await {
                break end;
            }
        };
        tracing::debug!(?end, "a socket ended");
        if end == End::TooSlow {
            self.relay.shared.metrics.slow_socket_closed();
        }
        Box::pin(self.leave(end)).await;
    }

    /// Gives the place back and closes the socket. Whoever waits for this replica's sockets to end waits
    /// for the close frame too: the listener is dropped last.
    async fn leave(self: Box<Self>, end: End) {
        if let Some(place) = &self.lease.place
            && let Err(error) = self.relay.store.release_socket(&self.lease.user, place).await
        {
            tracing::debug!(%error, "a socket's place could not be given back; it lapses by itself");
        }
        if let Some((code, reason)) = end.close() {
            let reason = CloseReason { code, description: Some(reason.to_owned()).filter(|text| !text.is_empty()) };
            let _ = timeout(CLOSE_TIMEOUT, self.session.clone().close(Some(reason))).await;
        }
    }

    /// Waits for one thing and deals with it.
    async fn turn(&mut self) -> Result<(), End> {
        let now = Instant::now();
        match self.state.due(now) {
            Due::Nothing => {}
            Due::Ping => self.ping().await?,
            Due::Silent => return Err(End::Silent),
            Due::TooSlow => return Err(End::TooSlow),
        }
        if now >= self.renew_at {
            self.renew().await?;
        }
        let can_send = self.page.is_some() && self.state.has_room();
        let must_read = self.page.is_none() && self.state.must_read();
        let may_read = must_read && now >= self.read_at;
        let mut wake_at = self.state.next_due().min(self.renew_at);
        if must_read {
            wake_at = wake_at.min(self.read_at);
        }
        tokio::select! {
            biased;
            frame = self.frames.recv() => self.frame(frame).await,
            notice = self.listener.next() => self.notice(notice).await,
            () = std::future::ready(()), if can_send => self.send_next().await,
            () = std::future::ready(()), if may_read => {
                self.read().await;
                Ok(())
            }
            () = sleep_until(wake_at) => Ok(()),
        }
    }

    async fn frame(&mut self, frame: Option<Result<AggregatedMessage, ProtocolError>>) -> Result<(), End> {
        let frame = match frame {
            None => return Err(End::Peer),
            Some(Err(error)) => return Err(protocol_end(&error)),
            Some(Ok(frame)) => frame,
        };
        self.state.heard(Instant::now());
        match frame {
            AggregatedMessage::Text(text) if text.len() > MAX_FRAME => Err(End::TooLarge),
            AggregatedMessage::Text(text) => self.text(&text).await,
            AggregatedMessage::Binary(_) => Err(End::Binary),
            AggregatedMessage::Ping(payload) => in_time(self.session.pong(&payload)).await,
            AggregatedMessage::Pong(_) => {
                if self.state.pong(Instant::now()) {
                    self.ping().await?;
                }
                Ok(())
            }
            AggregatedMessage::Close(_) => Err(End::Peer),
        }
    }

    /// Answers a frame. One after the other, so that acks keep the order of the replies.
    async fn text(&mut self, text: &str) -> Result<(), End> {
        let answer = match protocol::read(text) {
            Ok(ClientFrame::Ping) => PONG.to_owned(),
            // Boxed, since every idle socket would carry the room for it.
            Ok(ClientFrame::Reply { body, request_id }) => {
                let step = self.relay.shared.traces.begin("ws reply", || None);
                match Box::pin(within(step.context(), self.relay.reply(&self.caller, Ok(body)))).await {
                    Ok(passed) => protocol::reply_ack(&passed.value, request_id),
                    Err(error) => {
                        error.log();
                        if matches!(error, Error::Limited(_)) {
                            self.relay.shared.tally.count(Counter::RateLimited);
                        }
                        protocol::error(error.code(), &error.sentence(), request_id)
                    }
                }
            }
            Err(mistake) => protocol::error(mistake.code(), &mistake.to_string(), None),
        };
        in_time(self.session.text(answer)).await
    }

    async fn notice(&mut self, notice: Notice) -> Result<(), End> {
        match self.state.notice(&notice, self.page.is_some()) {
            Step::Send(record) => {
                let record = record.clone();
                self.send(&record, Sent::Live).await
            }
            Step::Tell(frame) => in_time(self.session.text(frame.to_owned())).await,
            step => self.ending(&step),
        }
    }

    fn ending(&self, step: &Step<'_>) -> Result<(), End> {
        match step {
            Step::Gone => Err(End::SessionGone),
            Step::Disconnect => Err(End::Disconnected),
            Step::Leave => Err(End::Leaving),
            Step::Evicted(place) if self.lease.place.as_deref() == Some(place) => Err(End::Replaced),
            _ => Ok(()),
        }
    }

    fn take_page(&mut self, page: Page) {
        let first = self.state.begin_page(&page);
        self.page = (first < page.records.len()).then_some((page, first));
    }

    /// Sends the next record of the page.
    async fn send_next(&mut self) -> Result<(), End> {
        let Some((page, next)) = self.page.take() else { return Ok(()) };
        let sent = self.send(&page.records[next], Sent::Replayed).await;
        self.page = (next + 1 < page.records.len()).then_some((page, next + 1));
        sent
    }

    async fn send(&mut self, record: &StoredRecord, how: Sent) -> Result<(), End> {
        let frame = protocol::message(record);
        let size = frame.len();
        let mut step = self.relay.shared.push_step(record, how);
        in_time(self.session.text(frame)).await.inspect_err(|_| step.failed("not_taken"))?;
        drop(step);
        self.relay.shared.note_sent(record, how);
        if self.state.sent(record.at, size, Instant::now()) {
            self.ping().await?;
        }
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), End> {
        in_time(self.session.ping(b"")).await
    }

    async fn read(&mut self) {
        let since = Since::After(self.state.cursor());
        match self.relay.store.read_messages(&self.lease.user, since, PAGE).await {
            Ok(page) => {
                if !page.records.is_empty() {
                    self.relay.shared.metrics.gap_repaired();
                }
                self.take_page(page);
            }
            Err(error) => {
                tracing::debug!(%error, "a socket could not read; it tries again");
                self.read_at = Instant::now() + RETRY_AFTER;
            }
        }
    }

    /// Renews the place. The read that comes with it makes up for any wake that was lost.
    async fn renew(&mut self) -> Result<(), End> {
        self.renew_at = next_renewal();
        let since = Since::After(self.state.cursor());
        match self.relay.store.hold_socket(&self.lease, since, PAGE).await {
            Ok(SocketOutcome::Held { place, page, touch_due }) => {
                self.lease.place = Some(place);
                if touch_due {
                    self.relay.touch(self.lease.user);
                }
                if self.page.is_none() {
                    self.take_page(page);
                }
                Ok(())
            }
            Ok(SocketOutcome::Evicted) => Err(End::Replaced),
            Ok(SocketOutcome::NoSession) => Err(End::SessionGone),
            Err(error) => {
                tracing::debug!(%error, "a socket could not renew its place; it tries again");
                self.renew_at = Instant::now() + 2 * RETRY_AFTER;
                Ok(())
            }
        }
    }
}

/// Waits for a frame to be taken towards the peer, within what a peer may take.
///
/// Boxed, since the room for it would otherwise be part of every idle socket, half a KiB each.
fn in_time(sending: impl Future<Output = Result<(), Closed>>) -> impl Future<Output = Result<(), End>> {
    let sending = Box::pin(timeout(SEND_TIMEOUT, sending));
    async {
        match sending.await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(End::TooSlow),
        }
    }
}

fn protocol_end(error: &ProtocolError) -> End {
    match error {
        ProtocolError::Overflow => End::TooLarge,
        ProtocolError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => End::NotText,
        ProtocolError::Io(error) if error.get_ref().is_some_and(|cause| cause.is::<PayloadError>()) => End::Peer,
        // What is left is the complaint about a message whose parts add up to too much.
        ProtocolError::Io(_) => End::TooLarge,
        _ => End::Protocol,
    }
}
