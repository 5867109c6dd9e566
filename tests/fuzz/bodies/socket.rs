//! The state of a socket, driven by whatever can happen to it: messages that come in, wakes that are lost, doubled or
//! late, reads that race with them, a peer that reads or does not, and the clock. Every two bytes are one event.

use std::sync::Arc;
use std::time::Duration;

use chaos_relay::domain::message::{Page, StoredRecord};
use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::hub::Notice;
use chaos_relay::store::Wake;
use chaos_relay::ws::session::{Due, SocketState, Step};
use tokio::time::Instant;

/// Bytes that may be under way to a peer that shows no progress.
const WINDOW: usize = 512 * 1024;
/// Records of one read.
const PAGE: usize = 5;
/// Most events of one input; beyond them is nothing new.
const MOST_EVENTS: usize = 4096;

/// The store, the peer, and the loop that owns the socket.
struct World {
    state: SocketState,
    now: Instant,
    stored: Vec<StoredRecord>,
    /// Wakes that are on their way, and the last that came.
    wakes: Vec<Notice>,
    last: Option<Notice>,
    /// What is being sent.
    page: Option<(Page, usize)>,
    /// How many of what is stored were sent: always the first ones.
    sent: usize,
    unproven: usize,
    asked: usize,
    is_over: bool,
}

pub fn check(input: &[u8]) {
    let now = Instant::now();
    let mut world = World {
        state: SocketState::new(now),
        now,
        stored: Vec::new(),
        wakes: Vec::new(),
        last: None,
        page: None,
        sent: 0,
        unproven: 0,
        asked: 0,
        is_over: false,
    };
    for event in input.chunks_exact(2).take(MOST_EVENTS) {
        world.happen(event[0], event[1]);
        if world.is_over {
            return;
        }
    }
    world.settle();
}

impl World {
    fn happen(&mut self, what: u8, how: u8) {
        match what % 12 {
            // Most wakes arrive.
            0..=2 => {
                self.store(how);
                self.hear_next(0);
            }
            3 => self.store(how),
            4 => self.hear_next(usize::from(how)),
            5 => drop(self.wakes.pop()),
            6 => {
                if let Some(notice) = self.last.clone() {
                    self.hear(&notice);
                }
            }
            7 => match how % 4 {
                0 => self.hear(&Notice::Wake(Arc::new(Wake::Resync))),
                1 => self.hear(&Notice::Missed(usize::from(how) * 4096)),
                2 => self.hear(&Notice::Wake(Arc::new(Wake::Delivery("{}".to_owned())))),
                _ => self.hear(&Notice::Wake(Arc::new(Wake::Evicted("another".to_owned())))),
            },
            8 if self.state.must_read() => self.read(how),
            // Once in a while every socket reads without having been woken.
            9 => self.read(how),
            8 | 10 => self.send_next(),
            _ => self.pass_time(how),
        }
    }

    fn store(&mut self, size: u8) {
        let before = self.stored.last().map_or(Timestamp::EPOCH, |record| record.at);
        let at = Timestamp::from_millis(before.millis() + 1 + u64::from(size % 3));
        // Few are large: what is small costs little to try, and a window holds both many and few.
        let length = if size >= 240 { 64 * 1024 } else { usize::from(size) * 16 };
        let record = StoredRecord::new(at, format!("{}\n\n\n", "x".repeat(length))).expect("four");
        self.stored.push(record.clone());
        self.wakes.push(Notice::Wake(Arc::new(Wake::Message { before, record })));
    }

    /// Hears a wake; `which` is how far it has fallen behind others.
    fn hear_next(&mut self, which: usize) {
        if !self.wakes.is_empty() {
            let which = self.wakes.len() - 1 - which % self.wakes.len();
            let notice = self.wakes.remove(which);
            self.hear(&notice);
        }
    }

    fn hear(&mut self, notice: &Notice) {
        self.last = Some(notice.clone());
        let to_send = match self.state.notice(notice, self.page.is_some()) {
            Step::Send(record) => Some(record.clone()),
            Step::Gone | Step::Disconnect | Step::Leave => panic!("nobody said so"),
            Step::Tell(_) | Step::Evicted(_) | Step::Nothing => None,
        };
        if let Some(record) = to_send {
            self.send(&record);
        }
    }

    /// Reads, unless something is being sent. Meanwhile one more message may come in, whose wake is heard later.
    fn read(&mut self, how: u8) {
        if self.page.is_some() {
            return;
        }
        let page = self.page_after(self.state.cursor());
        if how % 2 == 1 {
            self.store(how);
        }
        let first = self.state.begin_page(&page);
        self.page = (first < page.records.len()).then_some((page, first));
    }

    fn page_after(&self, cursor: Timestamp) -> Page {
        let mut after = self.stored.iter().filter(|record| record.at > cursor);
        let records: Vec<_> = after.by_ref().take(PAGE).cloned().collect();
        let newest = self.stored.last().map_or(Timestamp::EPOCH, |record| record.at);
        let cursor = records.last().map_or(newest, |record| record.at);
        Page { records, cursor, more: after.next().is_some() }
    }

    fn send_next(&mut self) {
        if !self.state.has_room() {
            return;
        }
        let Some((page, next)) = self.page.take() else { return };
        let record = page.records[next].clone();
        self.send(&record);
        self.page = (next + 1 < page.records.len()).then_some((page, next + 1));
    }

    /// Nothing is sent twice, left out or out of order, nor to a peer that shows no progress beyond its window.
    fn send(&mut self, record: &StoredRecord) {
        assert_eq!(self.stored.get(self.sent), Some(record), "not the next message");
        assert!(self.unproven < WINDOW, "{} bytes are under way", self.unproven);
        self.sent += 1;
        self.unproven += record.size();
        if self.state.sent(record.at, record.size(), self.now) {
            self.ask();
        }
        assert_eq!(self.state.cursor(), record.at);
    }

    fn ask(&mut self) {
        assert_eq!(self.asked, 0, "there is an open question");
        self.asked = self.unproven;
    }

    /// The peer answers the last ping, or sends any frame, or the clock goes on.
    fn pass_time(&mut self, how: u8) {
        match how % 4 {
            0 => {
                self.state.heard(self.now);
                self.unproven -= std::mem::take(&mut self.asked);
                if self.state.pong(self.now) {
                    self.ask();
                }
            }
            1 => self.state.heard(self.now),
            _ => {
                self.now += Duration::from_millis(u64::from(how) * 50);
                assert!(self.state.next_due() >= self.now || self.state.due(self.now) != Due::Nothing);
                self.is_over = matches!(self.state.due(self.now), Due::Silent | Due::TooSlow);
            }
        }
    }

    /// With a peer that reads and a last wake that is not lost, everything that is stored arrives.
    fn settle(&mut self) {
        self.hear(&Notice::Wake(Arc::new(Wake::Resync)));
        for _ in 0..4 * self.stored.len() + 16 {
            self.pass_time(0);
            if self.page.is_some() {
                self.send_next();
            } else if self.state.must_read() {
                self.read(0);
            }
        }
        assert_eq!(self.sent, self.stored.len(), "messages are left behind");
        assert!(!self.state.must_read() && self.page.is_none());
    }
}
