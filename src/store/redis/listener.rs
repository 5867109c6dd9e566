//! Listening for wakes: one connection for the replica, what it is subscribed to, and whether it hears anything.
//!
//! A connection that answers may still be deaf, when a subscription was lost without a word or the server keeps
//! it from listening. So the replica has a channel to itself, and now and then listens for its own voice.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::watch;

use super::connection::{Link, Route};
use super::format::Agreement;
use super::keys::Keys;
use crate::domain::ids::{MessageId, UserId};
use crate::domain::message::StoredRecord;
use crate::domain::timestamp::Timestamp;
use crate::store::{Wake, WakeSink};

/// How long the replica waits for its own voice.
const ECHO_TIMEOUT: Duration = Duration::from_secs(1);

/// What listens for wakes: one connection for the replica, and whose channels it is subscribed to.
pub(super) struct Listener {
    pub(super) link: Link,
    pub(super) watched: Arc<Watched>,
    /// Names the replica's own channel; it is nobody's id.
    own: UserId,
    /// What was heard there last.
    heard: watch::Receiver<String>,
}

/// The users whose channels are subscribed to, as far as the server confirmed it.
#[derive(Default)]
pub(super) struct Watched(Mutex<HashSet<UserId>>);

impl Watched {
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut HashSet<UserId>) -> T) -> T {
        // No code under the lock can panic half-way.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Listener {
    pub(super) fn new(route: &Route, keys: &Keys, format: Arc<Agreement>, sink: WakeSink) -> Self {
        let watched = Arc::new(Watched::default());
        let own = UserId::random();
        let (voice, heard) = watch::channel(String::new());
        let (keys, pushed) = (keys.clone(), watched.clone());
        let own_channel = keys.echo(&own);
        let push = Arc::new(move |info: PushInfo| {
            if info.kind == PushKind::Disconnection {
                format.forget();
            }
            if info.kind == PushKind::SMessage
                && let [Value::BulkString(channel), Value::BulkString(text)] = &info.data[..]
                && channel == own_channel.as_bytes()
            {
                voice.send_replace(String::from_utf8_lossy(text).into_owned());
                return;
            }
            pass_on(&keys, &pushed, &sink, info);
        });
        Self { link: Link::with_push(route, push), watched, own, heard }
    }

    /// Publishes on the replica's own channel and waits to hear it. Gives how long that took; `None` if it was not
    /// heard in time.
    pub(super) async fn echo(&self, keys: &Keys, link: &Link) -> Option<Duration> {
        let channel = keys.echo(&self.own);
        // A subscription that broke was taken out of the watched; one that did not hear is made again.
        if self.watched.change(|watched| watched.insert(self.own)) && self.link.subscribe(&channel, true).await.is_err()
        {
            self.watched.change(|watched| watched.remove(&self.own));
            return None;
        }
        let word = MessageId::random().to_string();
        let mut publish = redis::cmd("SPUBLISH");
        publish.arg(&channel).arg(&word);
        let begun = Instant::now();
        let mut heard = self.heard.clone();
        let echo = async {
            link.command(&publish).await.ok()?;
            heard.wait_for(|heard| *heard == word).await.ok()?;
            Some(begun.elapsed())
        };
        let echo = tokio::time::timeout(ECHO_TIMEOUT, echo).await.ok().flatten();
        if echo.is_none() {
            self.watched.change(|watched| watched.remove(&self.own));
        }
        echo
    }
}

/// Turns what the server pushed into a wake for its user.
fn pass_on(keys: &Keys, watched: &Watched, sink: &WakeSink, info: PushInfo) {
    if info.kind == PushKind::Disconnection {
        // All of them went with the connection (of one node, in a Cluster; making one again does no harm).
        for user in watched.change(std::mem::take) {
            sink(&user, Wake::WatchLost);
        }
        return;
    }
    let mut data = info.data.into_iter();
    let Some(Value::BulkString(channel)) = data.next() else { return };
    let Some(user) = keys.user_of_wake(&channel) else { return };
    let wake = match info.kind {
        // What came before a subscription was not heard.
        PushKind::SSubscribe => Wake::Resync,
        // Not asked for: the slot moved to another node of the Cluster.
        PushKind::SUnsubscribe if watched.change(|watched| watched.remove(&user)) => Wake::WatchLost,
        PushKind::SMessage => match data.next() {
            // A text that cannot be read still says that something happened.
            Some(Value::BulkString(payload)) => read_wake(payload).unwrap_or(Wake::Resync),
            _ => return,
        },
        _ => return,
    };
    sink(&user, wake);
}

/// Reads what the scripts publish: `m<before> <id>\n<record>` (with a blank and the step of a trace after the id, where it is
/// recorded), `e<place>`, `d<frame>`, `s` or `c`.
fn read_wake(payload: Vec<u8>) -> Option<Wake> {
    let mut payload = String::from_utf8(payload).ok()?;
    match payload.as_bytes().first()? {
        b'm' => {
            let (before, id) = payload.get(1..payload.find('\n')?)?.split_once(' ')?;
            let (id, trace) = match id.split_once(' ') {
                Some((id, trace)) => (id, trace.parse().ok()),
                None => (id, None),
            };
            let before = Timestamp::from_millis(before.parse().ok()?);
            let at = Timestamp::from_millis(id.parse().ok()?);
            payload.drain(..=payload.find('\n')?);
            Some(Wake::Message { before, record: StoredRecord::new(at, payload)?.in_trace(trace) })
        }
        b'e' => Some(Wake::Evicted(payload.split_off(1))),
        b'd' => Some(Wake::Delivery(payload.split_off(1))),
        b's' => Some(Wake::SessionGone),
        b'c' => Some(Wake::Disconnected),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_publishes_is_read() {
        let Some(Wake::Message { before, record }) = read_wake(b"m0 5\na\nwebhook\nb\nc".to_vec()) else {
            panic!("a message")
        };
        assert_eq!((before.millis(), record.at.millis(), record.trace), (0, 5, None));
        let step = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for (said, trace) in [(step, step.parse().ok()), ("what a later relay says", None)] {
            let wake = read_wake(format!("m0 5 {said}\na\nwebhook\nb\nc").into_bytes());
            assert_eq!(wake, Some(Wake::Message { before, record: record.clone().in_trace(trace) }));
        }
        assert_eq!(read_wake(b"eplace".to_vec()), Some(Wake::Evicted("place".to_owned())));
        assert_eq!(read_wake(b"d{}".to_vec()), Some(Wake::Delivery("{}".to_owned())));
        assert_eq!(read_wake(b"s".to_vec()), Some(Wake::SessionGone));
        assert_eq!(read_wake(b"c".to_vec()), Some(Wake::Disconnected));
        for odd in [&b""[..], b"m", b"m1\n", b"m1 x\na\nb\nc\nd", b"m1 2\nno fragments", b"?", b"\xff"] {
            assert_eq!(read_wake(odd.to_vec()), None);
        }
    }
}
