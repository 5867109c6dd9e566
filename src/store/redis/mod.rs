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
mod listing;
mod messages;
mod outbox;
mod pulse;
mod script;
mod sealed;
mod session_lists;
mod sessions;
mod sockets;
mod watcher;
mod writes;

use std::sync::Arc;

use async_trait::async_trait;
use redis::Value;

pub use connection::{InvalidPem, InvalidRedisUrl, RedisCertificates, RedisTarget};

use super::{CallObserver, FORMAT, Store, StoreError, WakeSink, Watcher};
use connection::{Link, Route};
use format::Agreement;
use keys::Keys;
use watcher::RedisWatcher;
use writes::Writes;

/// How long the key of a probe lives if it is not deleted, in milliseconds.
const PROBE_LIFE_MS: u64 = 10_000;

/// The store on Redis. [`Store::for_worker`] gives each worker thread connections of its own, and
/// [`Store::watcher`] one that listens for wakes.
pub struct RedisStore {
    route: Route,
    keys: Keys,
    format: Arc<Agreement>,
    link: Arc<Link>,
    /// For what a caller is told about once it is done.
    writes: Writes,
}

impl RedisStore {
    /// A store that connects when it is first used. `prefix` starts every key, so that a server may be
    /// shared.
    pub fn new(target: RedisTarget, prefix: &str) -> Self {
        Self::of_format(FORMAT, target, prefix)
    }

    /// The same as a relay with another [`FORMAT`] has it.
    pub fn of_format(format: u64, target: RedisTarget, prefix: &str) -> Self {
        let keys = Keys::new(prefix);
        let format = Arc::new(Agreement::new(&keys, format));
        let route = Route::new(target, format.clone());
        Self::with_links(route, keys, format)
    }

    fn with_links(route: Route, keys: Keys, format: Arc<Agreement>) -> Self {
        let link = Arc::new(Link::new(&route));
        Self { writes: Writes::new(&route, &link), route, keys, format, link }
    }
}

#[async_trait]
impl Store for RedisStore {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn for_worker(&self) -> Arc<dyn Store> {
        Arc::new(Self::with_links(self.route.clone(), self.keys.clone(), self.format.clone()))
    }

    fn watcher(&self, sink: WakeSink) -> Box<dyn Watcher> {
        Box::new(RedisWatcher::new(&self.route, &self.keys, self.format.clone(), self.link.clone(), sink))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let asked = async { tokio::join!(self.link.agree_on_format(), self.link.check()) };
        let ((agreed, called), ()) = tokio::join!(asked, self.route.look_after());
        match agreed.and(called) {
            Err(error @ StoreError::Away(_)) => {
                self.format.forget();
                Err(self.link.diagnose().await.map_or(error, StoreError::Away))
            }
            answer => answer,
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
