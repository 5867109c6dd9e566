//! Composition: settings become a running replica.

use std::fs;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App as ActixApp, HttpServer, web};
use secrecy::{ExposeSecret as _, SecretString};
use socket2::{SockRef, TcpKeepalive};
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use crate::channels::client::{ApiClient, ApiClientSettings};
use crate::config::{Config, StoreConfig};
use crate::domain::sealing::KeyRing;
use crate::http::{self, HttpSettings};
use crate::services::error::Error;
use crate::services::{Relay, Shared, reseal};
use crate::store::embedded::{self, EmbeddedStore};
use crate::store::redis::RedisStore;
use crate::store::{FormatError, Store, StoreError};
use crate::telemetry::traces::{Identity, Traces};
use crate::workers::{listening, outbox, pulse, store_health};

pub use crate::services::reseal::Resealed;

/// How long the head of a request may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: longer than the 60 s after which balancers drop theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a connection lingers after its last response, for the peer to read it and close. A WebSocket
/// client waits for the server to close after the close frames, so this must be short; bodies that are
/// refused before they are read are read out by the request's own code.
const LINGER: Duration = Duration::from_millis(300);
/// How long the worker threads may take to end when nothing is waited for any more.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the spans that are left may take to be sent at the end: what is left of the drain time, within these.
const TRACES_MIN: Duration = Duration::from_millis(500);
const TRACES_MAX: Duration = Duration::from_secs(5);
/// How long a peer may leave what it was sent unacknowledged, or its window closed, before the system ends the connection.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(60);
/// When and how often a silent peer is probed, so that half-open connections end.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Connections of one worker thread at a time; the rest wait in the backlog.
const CONNECTIONS_PER_WORKER: usize = 100_000;
/// Connections that may wait to be accepted, as when all clients of another replica come at once.
const BACKLOG: i32 = 4096;
/// Name of the file with the key that seals secrets, beside the embedded store's own.
const KEY_FILE: &str = "encryption.key";

/// Why a replica did not start. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener could not be made.
    #[error("cannot listen on {host}:{port}: {cause}. HOST and PORT say where; is another relay running there?")]
    Listen {
        /// What `HOST` says.
        host: String,
        /// What `PORT` says.
        port: u16,
        /// The system's word.
        cause: io::Error,
    },
    /// The embedded store could not be opened.
    #[error(transparent)]
    Store(#[from] embedded::OpenError),
    /// The store's records are not for this relay.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The file with the encryption key cannot be used.
    #[error(
        "{path} cannot be used: {cause}. It holds the key that seals secrets; CHAOS_ENCRYPTION_KEY can be set instead"
    )]
    KeyFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The store's secrets were sealed with another key.
    #[error("{0}")]
    Sealed(String),
    /// Traces were asked for, and there cannot be any.
    #[error("traces cannot be sent: {0}")]
    Traces(String),
    /// The server did not start.
    #[error("the server did not start: {0}")]
    Server(io::Error),
}

/// A replica that is ready to run.
pub struct App {
    server: Server,
    address: SocketAddr,
    metrics: Option<(Server, SocketAddr)>,
    relay: Relay,
    drain: Duration,
}

impl App {
    /// Opens the store, binds the listener (unless one is passed in) and prepares everything else. A Redis
    /// that is away does not keep a replica from starting: it is not ready until Redis is there. Nor do replicas
    /// whose format is older: it is not ready until they are gone.
    pub async fn build(config: &Config, listener: Option<TcpListener>) -> Result<Self, StartError> {
        let listener = match listener {
            Some(listener) => listener,
            None => listen(&config.host, config.port)?,
        };
        let address = listener.local_addr().map_err(StartError::Server)?;
        let timeouts = ApiClientSettings { call_timeout: config.delivery.call_timeout, ..ApiClientSettings::default() };
        let client = ApiClient::start(timeouts).map_err(StartError::Server)?;
        let (store, keys) = open_store(config)?;
        let replica = Uuid::new_v4();
        let traces = start_traces(config, replica, store.kind())?;
        let shared = Arc::new(Shared::new(config, keys, client, replica, traces));
        let relay = Relay { shared, store };
        if relay.shared.metrics.is_counted() || relay.shared.traces.is_on() {
            let shared = relay.shared.clone();
            relay.store.observe(Arc::new(move |call, time, is_ok| {
                shared.metrics.store_called(call, time, is_ok);
                shared.traces.store_called(call, time, is_ok);
            }));
        }
        if let Err(StoreError::Format(refusal)) = store_health::check(&relay).await
            && refusal.is_final()
        {
            relay.store.close().await;
            return Err(refusal.into());
        }
        if let Err(Error::Internal(cause)) = relay.public_key().await {
            relay.store.close().await;
            return Err(StartError::Sealed(cause));
        }
        let metrics = config.metrics.port.map(|port| serve_metrics(&relay, &config.host, port)).transpose()?;
        let server = serve(&relay, config, listener).map_err(StartError::Server)?;
        Ok(Self { server, address, metrics, relay, drain: config.drain })
    }

    /// Where the replica listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the metrics are, if they have a port of their own.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address)| *address)
    }

    /// Whether the store was reachable at the start.
    pub fn store_is_reachable(&self) -> bool {
        self.relay.shared.store_health.is_reachable()
    }

    /// Runs until `stop` completes, then takes leave: readiness fails at once, new connections are taken
    /// for a quarter of the drain time, sockets are closed evenly over half of it, and it ends when all
    /// is done or the time is up. `stop` says whether to be patient: without a balancer that has to
    /// notice, nothing is gained by waiting.
    pub async fn run_until_stopped(self, stop: impl Future<Output = Patience>) {
        let Self { server, metrics, relay, drain, .. } = self;
        let shared = relay.shared.clone();
        let handle = server.handle();
        let serving = actix_web::rt::spawn(server);
        let metrics = metrics.map(|(server, _)| (server.handle(), actix_web::rt::spawn(server)));
        let health = actix_web::rt::spawn(store_health::run(relay.clone()));
        let beating = actix_web::rt::spawn(pulse::run(relay.clone()));
        let worker = Relay { shared: shared.clone(), store: relay.store.for_worker() };
        let mut delivering = tokio::spawn(outbox::run(worker));

        let patience = stop.await;
        let drain = if patience == Patience::Drain { drain } else { drain.min(Duration::from_secs(1)) };
        let end = Instant::now() + drain;
        shared.shutdown.drain();
        tracing::info!(seconds = drain.as_secs(), sockets = shared.hubs.sockets(), "draining");
        let closing = shared.hubs.drain(drain / 2);
        let accepting = sleep(if patience == Patience::Drain { drain / 4 } else { Duration::ZERO });
        let stopping = async {
            accepting.await;
            handle.stop(true).await;
        };
        let all_done = async { tokio::join!(closing, stopping, &mut delivering) };
        if timeout_at(end, all_done).await.is_err() {
            tracing::warn!(sockets = shared.hubs.sockets(), "the drain time is up");
        }
        shared.shutdown.stop();
        // Nothing is waited for any more; this only ends the worker threads.
        let _ = timeout_at(end.max(Instant::now() + STOP_TIMEOUT), handle.stop(false)).await;
        serving.abort();
        delivering.abort();
        // It ends by itself, within a second or two even when the store is away.
        let _ = beating.await;
        health.abort();
        // The drain is watched to its end.
        if let Some((handle, serving)) = metrics {
            handle.stop(false).await;
            serving.abort();
        }
        relay.store.close().await;
        if shared.traces.is_on() {
            let left = end.saturating_duration_since(Instant::now()).clamp(TRACES_MIN, TRACES_MAX);
            // The thread that waits for the collector ends by then.
            let _ = tokio::task::spawn_blocking(move || shared.traces.finish(left)).await;
        }
        tracing::info!("stopped");
    }
}

/// How a replica takes leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// As an orchestrator's replica: the balancer needs time to notice.
    Drain,
    /// As a person's, who pressed Ctrl-C.
    Hurry,
}

/// Why a command could not do its work on the store.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It could not be opened.
    #[error(transparent)]
    Open(#[from] StartError),
    /// It could not be written or read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Opens the store these settings name, writes to it and reads back. Says which store it is.
pub async fn probe(config: &Config) -> Result<&'static str, ProbeError> {
    let (store, _) = open_store(config)?;
    store.probe().await?;
    store.close().await;
    Ok(store.kind())
}

/// Seals everything anew that is not sealed under the first of the keys, in the store these settings name; a `trial`
/// only looks. `watch` is told now and then how far it is. Replicas may be at work on the same store, but for the
/// embedded one, which a process has for itself.
pub async fn reseal(
    config: &Config,
    trial: bool,
    mut watch: impl FnMut(&ResealStep<'_>),
) -> Result<Resealed, ProbeError> {
    let (store, keys) = open_store(config)?;
    watch(&ResealStep::Begun { store: store.kind(), keys: &keys });
    let done = reseal::reseal(&*store, &keys, trial, |so_far| watch(&ResealStep::SoFar(so_far))).await;
    store.close().await;
    Ok(done?)
}

/// How far [`reseal`] is.
pub enum ResealStep<'a> {
    /// The store is open.
    Begun {
        /// Which store it is.
        store: &'static str,
        /// The keys in force.
        keys: &'a KeyRing,
    },
    /// So much is done.
    SoFar(&'a Resealed),
}

fn listen(host: &str, port: u16) -> Result<TcpListener, StartError> {
    use socket2::{Domain, Socket, Type};
    use std::net::ToSocketAddrs as _;

    let failed = |cause| StartError::Listen { host: host.to_owned(), port, cause };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = (bare, port)
        .to_socket_addrs()
        .map_err(failed)?
        .next()
        .ok_or_else(|| failed(io::Error::other("the name has no address")))?;
    let bind = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // A replica that was just stopped leaves connections behind that would keep the port for a minute.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    bind().map_err(failed)
}

fn start_traces(config: &Config, replica: Uuid, store: &'static str) -> Result<Traces, StartError> {
    let Some(traces) = &config.traces else { return Ok(Traces::default()) };
    let identity = Identity { replica: replica.to_string(), host_name: config.host_name.clone(), store };
    Traces::start(traces, identity).map_err(StartError::Traces)
}

fn open_store(config: &Config) -> Result<(Arc<dyn Store>, KeyRing), StartError> {
    match &config.store {
        StoreConfig::Redis { target, prefix } => {
            let keys = config.encryption.clone().expect("Config demands a key with Redis");
            Ok((Arc::new(RedisStore::new(target.clone(), prefix)), keys))
        }
        StoreConfig::Embedded { dir } => {
            let store: Arc<EmbeddedStore> = embedded::open(dir)?;
            let keys = match &config.encryption {
                Some(keys) => keys.clone(),
                None => key_beside(dir)?,
            };
            Ok((store, keys))
        }
    }
}

/// The key kept beside the embedded store; made when there is none. The store's lock is held, so nobody
/// else makes one at the same time.
fn key_beside(dir: &Path) -> Result<KeyRing, StartError> {
    let path = dir.join(KEY_FILE);
    let failed = |cause: String| StartError::KeyFile { path: path.display().to_string(), cause };
    let text: SecretString = match fs::read_to_string(&path) {
        Ok(text) => text.into(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = KeyRing::generate();
            write_key(&path, &key).map_err(|error| failed(error.to_string()))?;
            key
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    text.expose_secret().trim().parse().map_err(|error| failed(format!("it should hold {error}")))
}

/// Writes the key so that it is either there whole and safe, or not at all.
fn write_key(path: &Path, key: &SecretString) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{}", key.expose_secret())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn serve(relay: &Relay, config: &Config, listener: TcpListener) -> io::Result<Server> {
    let settings = web::Data::new(HttpSettings {
        public_url: config.public_url.clone(),
        trusted_proxies: config.trusted_proxies.clone().into(),
        metrics_token: config.metrics.token.clone(),
    });
    let relay = relay.clone();
    let server = HttpServer::new(move || {
        let worker = Relay { shared: relay.shared.clone(), store: relay.store.for_worker() };
        let hub = relay.shared.hubs.add();
        actix_web::rt::spawn(listening::run(relay.shared.clone(), hub.clone(), worker.store.watcher(hub.sink())));
        ActixApp::new()
            .app_data(web::Data::new(worker))
            .app_data(web::Data::from(hub))
            .app_data(settings.clone())
            .wrap(from_fn(http::edge))
            .configure(http::routes)
    })
    .listen(listener)?
    .client_request_timeout(HEAD_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .client_disconnect_timeout(LINGER)
    .max_connections(CONNECTIONS_PER_WORKER)
    .tcp_nodelay(true)
    .on_connect(|connection, _| {
        if let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() {
            let socket = SockRef::from(stream);
            let probes = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
            let tuned =
                socket.set_tcp_keepalive(&probes).and_then(|()| socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX)));
            if let Err(error) = tuned {
                tracing::debug!(%error, "a connection could not be given its timeouts");
            }
        }
    })
    .disable_signals()
    .shutdown_timeout(config.drain.as_secs().max(1))
    .run();
    Ok(server)
}

/// The listener of the metrics: what it answers is rare and small, so one thread does.
fn serve_metrics(relay: &Relay, host: &str, port: u16) -> Result<(Server, SocketAddr), StartError> {
    let listener = listen(host, port)?;
    let address = listener.local_addr().map_err(StartError::Server)?;
    let relay = relay.clone();
    let server = HttpServer::new(move || {
        let worker = Relay { shared: relay.shared.clone(), store: relay.store.for_worker() };
        ActixApp::new().app_data(web::Data::new(worker)).configure(http::metrics_routes)
    })
    .listen(listener)
    .map_err(StartError::Server)?
    .workers(1)
    .client_request_timeout(HEAD_TIMEOUT)
    .disable_signals()
    .run();
    Ok((server, address))
}
