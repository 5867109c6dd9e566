//! The store on Redis 7 or Valkey: one server, a master that Sentinels name, or a Cluster, shared by all replicas.
//!
//! Nothing is remembered about the server: connections, scripts and subscriptions are made again
//! whenever they turn out to be gone.

mod admin_access;
mod answer;
mod channels;
mod connection;
mod delivery_desk;
mod directory;
mod history;
mod key_browser;
mod keys;
mod kinds;
mod listing;
mod messages;
mod outbox;
mod pulse;
mod script;
mod session_lists;
mod sessions;
mod sockets;
mod writes;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use redis::{PushInfo, PushKind, Value};

pub use connection::{InvalidPem, InvalidRedisUrl, RedisCertificates, RedisTarget};

use super::{Store, StoreError, Wake, WakeSink};
use crate::domain::ids::UserId;
use crate::domain::message::StoredRecord;
use crate::domain::timestamp::Timestamp;
use connection::{Link, Route};
use keys::Keys;
use writes::Writes;

/// How long the key of a probe lives if it is not deleted, in milliseconds.
const PROBE_LIFE_MS: u64 = 10_000;

/// The store on Redis. [`Store::for_worker`] gives each worker thread a connection of its own; the
/// connection that listens for wakes is one for the whole replica.
pub struct RedisStore {
    route: Route,
    keys: Keys,
    link: Arc<Link>,
    /// For what a caller is told about once it is done.
    writes: Writes,
    listener: Arc<Listener>,
}

/// What listens for wakes: one connection for the replica, and whose channels it is subscribed to.
struct Listener {
    link: Link,
    watched: Arc<Watched>,
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

impl RedisStore {
    /// A store that connects when it is first used. `prefix` starts every key, so that a server may be
    /// shared; wakes of watched users go to `sink`.
    pub fn new(target: RedisTarget, prefix: &str, sink: WakeSink) -> Self {
        let keys = Keys::new(prefix);
        let watched = Arc::new(Watched::default());
        let (push_keys, push_watched) = (keys.clone(), watched.clone());
        let push = Arc::new(move |info: PushInfo| pass_on(&push_keys, &push_watched, &sink, info));
        let route = Route::new(target);
        let listener = Arc::new(Listener { link: Link::with_push(&route, push), watched });
        Self::with_links(route, keys, listener)
    }

    fn with_links(route: Route, keys: Keys, listener: Arc<Listener>) -> Self {
        let link = Arc::new(Link::new(&route));
        Self { writes: Writes::new(&route, &link), route, keys, link, listener }
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

/// Reads what the scripts publish: `m<before> <id>\n<record>`, `e<place>`, `d<frame>`, `s` or `c`.
fn read_wake(payload: Vec<u8>) -> Option<Wake> {
    let mut payload = String::from_utf8(payload).ok()?;
    match payload.as_bytes().first()? {
        b'm' => {
            let (before, id) = payload.get(1..payload.find('\n')?)?.split_once(' ')?;
            let before = Timestamp::from_millis(before.parse().ok()?);
            let at = Timestamp::from_millis(id.parse().ok()?);
            payload.drain(..=payload.find('\n')?);
            Some(Wake::Message { before, record: StoredRecord::new(at, payload)? })
        }
        b'e' => Some(Wake::Evicted(payload.split_off(1))),
        b'd' => Some(Wake::Delivery(payload.split_off(1))),
        b's' => Some(Wake::SessionGone),
        b'c' => Some(Wake::Disconnected),
        _ => None,
    }
}

#[async_trait]
impl Store for RedisStore {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn for_worker(&self) -> Arc<dyn Store> {
        Arc::new(Self::with_links(self.route.clone(), self.keys.clone(), self.listener.clone()))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // The connection that listens has no other calls by which a silent end would show.
        let checks = async { tokio::join!(self.link.check(), self.listener.link.check()) };
        let ((called, heard), ()) = tokio::join!(checks, self.route.look_after());
        match called.and(heard) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.link.diagnose().await.map_or(error, StoreError::Away)),
        }
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.ping().await?;
        let key = self.keys.probe();
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(&key).arg("PX").arg(PROBE_LIFE_MS);
        self.writes.command(&set).await?;
        let mut get = redis::cmd("GET");
        get.arg(&key);
        let read = self.link.command(&get).await?;
        let mut del = redis::cmd("DEL");
        del.arg(&key);
        self.link.command(&del).await?;
        if read == Value::BulkString(key.into_bytes()) {
            Ok(())
        } else {
            Err(StoreError::Corrupt("a value that was just written".to_owned()))
        }
    }

    async fn close(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_publishes_is_read() {
        let Some(Wake::Message { before, record }) = read_wake(b"m0 5\na\nwebhook\nb\nc".to_vec()) else {
            panic!("a message")
        };
        assert_eq!((before.millis(), record.at.millis()), (0, 5));
        assert_eq!(read_wake(b"eplace".to_vec()), Some(Wake::Evicted("place".to_owned())));
        assert_eq!(read_wake(b"d{}".to_vec()), Some(Wake::Delivery("{}".to_owned())));
        assert_eq!(read_wake(b"s".to_vec()), Some(Wake::SessionGone));
        assert_eq!(read_wake(b"c".to_vec()), Some(Wake::Disconnected));
        for odd in [&b""[..], b"m", b"m1\n", b"m1 x\na\nb\nc\nd", b"m1 2\nno fragments", b"?", b"\xff"] {
            assert_eq!(read_wake(odd.to_vec()), None);
        }
    }
}
