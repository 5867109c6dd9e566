//! The state of a socket: what it has been sent, what it must be sent, and what it owes.
//!
//! Knows no socket, store or clock of its own, so that everything here can be tried out in a test.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::message::{Page, StoredRecord};
use crate::domain::timestamp::Timestamp;
use crate::hub::Notice;
use crate::store::Wake;

/// How often the server pings. Part of the wire contract; below the 60 s at which balancers give up.
const PING_EVERY: Duration = Duration::from_secs(25);
/// A peer that was silent for this long is gone. Part of the wire contract.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Bytes of messages that may be under way without the peer having shown that it reads.
const WINDOW: usize = 512 * 1024;
/// After so many bytes the peer is asked (by a ping) to show that it reads: half a window, so that a
/// peer that does never stands still.
const ASK_AFTER: usize = WINDOW / 2;
/// A peer that shows no progress for this long is too slow. Part of the wire contract.
const STALL_MAX: Duration = Duration::from_secs(30);
/// With more than this waiting for it ...
const WAITING_MAX: usize = 1024 * 1024;
/// ... a peer is given up as soon as it has made no progress for this long. A healthy one, even over a bad
/// network, shows some.
const STALL_WITH_MUCH_WAITING: Duration = Duration::from_secs(3);

/// What to do after a notice.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Send this message: it is the next one.
    Send(&'a StoredRecord),
    /// Send this frame: what became of a reply.
    Tell(&'a str),
    /// Nothing now; perhaps [`SocketState::must_read`].
    Nothing,
    /// This place was given up; is it the socket's own?
    Evicted(&'a str),
    /// The session is gone.
    Gone,
    /// The operator closes the socket.
    Disconnect,
    /// The replica takes leave.
    Leave,
}

/// What is due by the clock.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// Send a ping.
    Ping,
    /// The peer is gone.
    Silent,
    /// The peer is too slow.
    TooSlow,
}

/// What a socket has been sent and shown to have read, and when it is due for something.
pub struct SocketState {
    /// The instant of the last message sent, or what the store gave in its place.
    cursor: Timestamp,
    /// Messages after the cursor may be in the store.
    is_behind: bool,
    /// Bytes sent that the peer has not shown to have read.
    under_way: usize,
    /// Of these, those that the last question covers; 0 when there is no open question.
    asked_for: usize,
    /// When the peer last showed progress while bytes were under way.
    progress: Instant,
    /// Bytes of messages that were not sent since the peer stopped showing progress.
    waiting: usize,
    heard: Instant,
    ping_at: Instant,
}

impl SocketState {
    /// A socket that is about to be sent this page.
    pub fn new(now: Instant) -> Self {
        Self {
            cursor: Timestamp::EPOCH,
            is_behind: false,
            under_way: 0,
            asked_for: 0,
            progress: now,
            waiting: 0,
            heard: now,
            ping_at: now + PING_EVERY,
        }
    }

    /// Where the next read begins: the instant of the last message sent, or what the store gave in its place.
    pub fn cursor(&self) -> Timestamp {
        self.cursor
    }

    /// A read is to be sent record by record. Says how many of its records are new: others were pushed
    /// while the read was under way.
    pub fn begin_page(&mut self, page: &Page) -> usize {
        self.is_behind = page.more;
        if page.records.is_empty() {
            // The store's cursor may lie before a cursor from the client's future, and must then be taken.
            self.cursor = page.cursor;
        }
        page.records.iter().position(|record| record.at > self.cursor).unwrap_or(page.records.len())
    }

    /// There may be more in the store, and the peer can take it.
    pub fn must_read(&self) -> bool {
        self.is_behind && self.has_room()
    }

    /// Whether more may be sent before the peer shows progress.
    pub fn has_room(&self) -> bool {
        self.under_way < WINDOW
    }

    /// What a notice means for this socket. While a page is being sent, messages wait behind it.
    pub fn notice<'a>(&mut self, notice: &'a Notice, is_sending: bool) -> Step<'a> {
        match notice {
            Notice::End => Step::Leave,
            Notice::Missed(bytes) => {
                self.waiting += bytes;
                self.is_behind = true;
                Step::Nothing
            }
            Notice::Wake(wake) => match &**wake {
                Wake::SessionGone => Step::Gone,
                Wake::Disconnected => Step::Disconnect,
                Wake::Evicted(place) => Step::Evicted(place),
                Wake::Delivery(frame) => Step::Tell(frame),
                Wake::Resync | Wake::WatchLost => {
                    self.is_behind = true;
                    Step::Nothing
                }
                Wake::Message { record, .. } if record.at <= self.cursor => Step::Nothing,
                Wake::Message { before, record } => {
                    if !is_sending && !self.is_behind && *before <= self.cursor && self.has_room() {
                        Step::Send(record)
                    } else {
                        self.waiting += record.size();
                        self.is_behind = true;
                        Step::Nothing
                    }
                }
            },
        }
    }

    /// A message of this size was sent. Says whether to ask the peer to show that it reads.
    pub fn sent(&mut self, at: Timestamp, bytes: usize, now: Instant) -> bool {
        self.cursor = at;
        if self.under_way == 0 {
            self.progress = now;
        }
        self.under_way += bytes;
        let ask = self.asked_for == 0 && self.under_way >= ASK_AFTER;
        if ask {
            self.asked_for = self.under_way;
        }
        ask
    }

    /// A frame of the peer came.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// A pong came. Says whether to ask again.
    pub fn pong(&mut self, now: Instant) -> bool {
        self.under_way -= self.asked_for;
        self.asked_for = 0;
        self.progress = now;
        self.waiting = 0;
        let ask = self.under_way >= ASK_AFTER;
        if ask {
            self.asked_for = self.under_way;
        }
        ask
    }

    /// What is due.
    pub fn due(&mut self, now: Instant) -> Due {
        if now >= self.heard + SILENCE_MAX {
            return Due::Silent;
        }
        if !self.has_room() && now >= self.stalls_at() {
            return Due::TooSlow;
        }
        if now >= self.ping_at {
            self.ping_at = now + PING_EVERY;
            return Due::Ping;
        }
        Due::Nothing
    }

    fn stalls_at(&self) -> Instant {
        let much = self.under_way + self.waiting > WAITING_MAX;
        self.progress + if much { STALL_WITH_MUCH_WAITING } else { STALL_MAX }
    }

    /// When [`SocketState::due`] is to be asked next.
    pub fn next_due(&self) -> Instant {
        let next = self.ping_at.min(self.heard + SILENCE_MAX);
        if self.has_room() { next } else { next.min(self.stalls_at()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn record(at: u64, size: usize) -> StoredRecord {
        StoredRecord::new(Timestamp::from_millis(at), format!("{}\n\n\n", "x".repeat(size))).unwrap()
    }

    fn wake(before: u64, at: u64) -> Notice {
        Notice::Wake(Arc::new(Wake::Message { before: Timestamp::from_millis(before), record: record(at, 10) }))
    }

    fn at_cursor(cursor: u64) -> SocketState {
        let mut state = SocketState::new(Instant::now());
        state.begin_page(&Page { records: vec![], cursor: Timestamp::from_millis(cursor), more: false });
        state
    }

    #[test]
    fn only_a_message_that_continues_the_cursor_is_pushed() {
        let mut state = at_cursor(5);
        assert_eq!(state.notice(&wake(5, 6), false), Step::Send(&record(6, 10)));
        state.sent(Timestamp::from_millis(6), 10, Instant::now());
        assert_eq!(state.notice(&wake(5, 6), false), Step::Nothing);
        assert!(!state.must_read());
        assert_eq!(state.notice(&wake(7, 8), false), Step::Nothing);
        assert!(state.must_read());
        // While it is behind, even the right one waits for the read: it would pass others.
        assert_eq!(state.notice(&wake(6, 7), false), Step::Nothing);
    }

    #[test]
    fn a_page_is_sent_from_where_pushes_left_off() {
        let mut state = at_cursor(5);
        state.sent(Timestamp::from_millis(7), 10, Instant::now());
        let page = Page {
            records: vec![record(6, 1), record(7, 1), record(8, 1)],
            cursor: Timestamp::from_millis(8),
            more: true,
        };
        assert_eq!(state.begin_page(&page), 2);
        assert!(state.must_read());
    }

    #[test]
    fn a_peer_that_does_not_read_is_sent_one_window_and_then_given_up() {
        let now = Instant::now();
        let mut state = at_cursor(0);
        assert!(!state.sent(Timestamp::from_millis(1), ASK_AFTER - 1, now));
        assert!(state.sent(Timestamp::from_millis(2), 1, now));
        assert!(!state.sent(Timestamp::from_millis(3), ASK_AFTER, now));
        assert!(!state.has_room());
        state.notice(&Notice::Missed(1), false);
        assert!(!state.must_read());
        state.heard(now + STALL_MAX);
        assert_ne!(state.due(now + STALL_MAX - Duration::from_millis(1)), Due::TooSlow);
        assert_eq!(state.due(now + STALL_MAX), Due::TooSlow);
        state.notice(&Notice::Missed(WAITING_MAX), false);
        assert_eq!(state.due(now + STALL_WITH_MUCH_WAITING), Due::TooSlow);
    }

    #[test]
    fn a_peer_that_shows_progress_is_sent_more() {
        let now = Instant::now();
        let mut state = at_cursor(0);
        assert!(state.sent(Timestamp::from_millis(1), WINDOW, now));
        assert!(!state.has_room());
        assert!(!state.pong(now));
        assert!(state.has_room());
        assert_eq!(state.due(now + Duration::from_secs(24)), Due::Nothing);
    }

    #[test]
    fn the_server_pings_every_25_seconds_and_gives_up_after_60_of_silence() {
        let now = Instant::now();
        let mut state = SocketState::new(now);
        assert_eq!(state.next_due(), now + PING_EVERY);
        assert_eq!(state.due(now + PING_EVERY), Due::Ping);
        assert_eq!(state.due(now + PING_EVERY), Due::Nothing);
        assert_eq!(state.due(now + Duration::from_secs(50)), Due::Ping);
        assert_eq!(state.due(now + SILENCE_MAX), Due::Silent);
        state.heard(now + SILENCE_MAX);
        assert_eq!(state.due(now + SILENCE_MAX), Due::Nothing);
    }
}
