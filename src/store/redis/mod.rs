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
mod format;
mod history;
mod key_browser;
mod keys;
mod kinds;
mod listener;
mod listing;
mod messages;
mod outbox;
mod pulse;
mod script;
mod sealed;
mod session_lists;
mod sessions;
mod sockets;
mod writes;

use std::sync::Arc;

use async_trait::async_trait;
use redis::Value;

pub use connection::{InvalidPem, InvalidRedisUrl, RedisCertificates, RedisTarget};

use super::{CallObserver, FORMAT, Ping, Store, StoreError, WakeSink};
use connection::{Link, Route};
use format::Agreement;
use keys::Keys;
use listener::Listener;
use writes::Writes;

/// How long the key of a probe lives if it is not deleted, in milliseconds.
const PROBE_LIFE_MS: u64 = 10_000;

/// The store on Redis. [`Store::for_worker`] gives each worker thread a connection of its own; the
/// connection that listens for wakes is one for the whole replica.
pub struct RedisStore {
    route: Route,
    keys: Keys,
    format: Arc<Agreement>,
    link: Arc<Link>,
    /// For what a caller is told about once it is done.
    writes: Writes,
    listener: Arc<Listener>,
}

impl RedisStore {
    /// A store that connects when it is first used. `prefix` starts every key, so that a server may be
    /// shared; wakes of watched users go to `sink`.
    pub fn new(target: RedisTarget, prefix: &str, sink: WakeSink) -> Self {
        Self::of_format(FORMAT, target, prefix, sink)
    }

    /// The same as a relay with another [`FORMAT`] has it.
    pub fn of_format(format: u64, target: RedisTarget, prefix: &str, sink: WakeSink) -> Self {
        let keys = Keys::new(prefix);
        let format = Arc::new(Agreement::new(&keys, format));
        let route = Route::new(target, format.clone());
        let listener = Arc::new(Listener::new(&route, &keys, format.clone(), sink));
        Self::with_links(route, keys, format, listener)
    }

    fn with_links(route: Route, keys: Keys, format: Arc<Agreement>, listener: Arc<Listener>) -> Self {
        let link = Arc::new(Link::new(&route));
        Self { writes: Writes::new(&route, &link), route, keys, format, link, listener }
    }
}

#[async_trait]
impl Store for RedisStore {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn for_worker(&self) -> Arc<dyn Store> {
        Arc::new(Self::with_links(self.route.clone(), self.keys.clone(), self.format.clone(), self.listener.clone()))
    }

    async fn ping(&self) -> Result<Ping, StoreError> {
        // The connection that listens has no other calls by which a silent end would show.
        let asked = async { tokio::join!(self.link.agree_on_format(), self.link.check(), self.listener.link.check()) };
        let ((agreed, called, heard), ()) = tokio::join!(asked, self.route.look_after());
        match agreed.and(called).and(heard) {
            Ok(()) => Ok(Ping { round_trip: self.listener.echo(&self.keys, &self.link).await }),
            Err(error @ StoreError::Away(_)) => {
                self.format.forget();
                Err(self.link.diagnose().await.map_or(error, StoreError::Away))
            }
            Err(error) => Err(error),
        }
    }

    fn observe(&self, observer: CallObserver) {
        self.route.observe(observer);
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
