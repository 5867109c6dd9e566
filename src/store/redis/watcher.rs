//! Watching users: a connection that listens for their wakes, what it is subscribed to, and whether it hears anything.
//!
//! A connection that answers may still be deaf, when a subscription was lost without a word or the server keeps
//! it from listening. So each watcher has a channel to itself, and now and then listens for its own voice.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::watch;

use super::connection::{Link, Route};
use super::format::Agreement;
use super::keys::Keys;
use crate::domain::ids::{MessageId, UserId};
use crate::domain::message::StoredRecord;
use crate::domain::timestamp::Timestamp;
use crate::store::{StoreError, Wake, WakeSink, Watcher};

/// How long a watcher waits for its own voice.
const ECHO_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection that listens, and whose channels it is subscribed to.
pub(super) struct RedisWatcher {
    keys: Keys,
    listening: Link,
    /// The worker's own, for calls.
    calls: Arc<Link>,
    watched: Arc<Watched>,
    /// Names the watcher's own channel; it is nobody's id.
    own: UserId,
    /// What was heard there last.
    heard: watch::Receiver<String>,
}

/// The users whose channels are subscribed to, as far as the server confirmed it.
#[derive(Default)]
struct Watched(Mutex<HashSet<UserId>>);

impl Watched {
    fn change<T>(&self, change: impl FnOnce(&mut HashSet<UserId>) -> T) -> T {
        // No code under the lock can panic half-way.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl RedisWatcher {
    pub(super) fn new(route: &Route, keys: &Keys, format: Arc<Agreement>, calls: Arc<Link>, sink: WakeSink) -> Self {
        let watched = Arc::new(Watched::default());
        let own = UserId::random();
        let (voice, heard) = watch::channel(String::new());
        let own_channel = keys.echo(&own);
        let (pushed_keys, pushed) = (keys.clone(), watched.clone());
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
            pass_on(&pushed_keys, &pushed, &sink, info);
        });
        Self { keys: keys.clone(), listening: Link::with_push(route, push), calls, watched, own, heard }
    }

    async fn subscribe_to_itself(&self, channel: &str) -> Result<(), StoreError> {
        // A subscription that broke was taken out of the watched; one that did not hear is made again.
        if !self.watched.change(|watched| watched.insert(self.own)) {
            return Ok(());
        }
        let done = self.listening.subscribe(channel, true).await;
        if done.is_err() {
            self.watched.change(|watched| watched.remove(&self.own));
        }
        done
    }
}

#[async_trait]
impl Watcher for RedisWatcher {
    async fn watch(&self, user: &UserId) -> Result<(), StoreError> {
        // Noted first: should the connection break right after the confirmation, that is told.
        self.watched.change(|watched| watched.insert(*user));
        self.listening.subscribe(&self.keys.wake(user), true).await
    }

    async fn unwatch(&self, user: &UserId) -> Result<(), StoreError> {
        self.watched.change(|watched| watched.remove(user));
        self.listening.subscribe(&self.keys.wake(user), false).await
    }

    async fn echo(&self) -> Result<Option<Duration>, StoreError> {
        // The connection that listens has no other calls by which a silent end would show.
        self.listening.check().await?;
        let channel = self.keys.echo(&self.own);
        self.subscribe_to_itself(&channel).await?;
        let word = MessageId::random().to_string();
        let mut publish = redis::cmd("SPUBLISH");
        publish.arg(&channel).arg(&word);
        let begun = Instant::now();
        let mut heard = self.heard.clone();
        let echo = async {
            self.calls.command(&publish).await?;
            let said = heard.wait_for(|heard| *heard == word).await;
            Ok(said.ok().map(|_| begun.elapsed()))
        };
        let echo = tokio::time::timeout(ECHO_TIMEOUT, echo).await.unwrap_or(Ok(None));
        if !matches!(echo, Ok(Some(_))) {
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
            sink(&user, Arc::new(Wake::WatchLost));
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
    sink(&user, Arc::new(wake));
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
