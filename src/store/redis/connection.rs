//! Connections to Redis that come back by themselves, and calls that always end.

use std::collections::{BTreeSet, HashSet};
use std::future::Future;
use std::sync::PoisonError;
use std::time::Duration;

use redis::aio::{AsyncPushSender, ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    Client, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline, ProtocolVersion, RedisError, RedisFuture,
    RedisResult, ServerErrorKind, Value,
};
use tokio::sync::{Mutex, OnceCell};

use super::script::Script;
use crate::store::StoreError;

/// The longest any call may take, so that a request that makes two is answered within the three seconds
/// in which a caller is owed a 503.
const CALL_TIMEOUT: Duration = Duration::from_millis(1400);
/// How long a connection may leave a call without an answer before it is given up for a new one: a peer
/// that is gone without a word would be waited for in vain. Less than a call may take, since that also
/// covers the wait for a connection.
const SILENCE_MAX: Duration = Duration::from_millis(1200);
/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Pauses between attempts to reconnect: back within a second of Redis' return, and gentle meanwhile.
const RECONNECT_MIN: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_millis(250);
/// A manager that runs out of attempts never comes back when it is idle: do not run out.
const RECONNECT_ATTEMPTS: usize = usize::MAX;
/// Calls that may wait for their turn to be written; more wait at the caller.
const PIPELINE_BUFFER: usize = 512;
/// How long a peer may leave data unacknowledged before the connection counts as dead.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);
/// When and how often an idle peer is probed, so that a half-open connection is noticed.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Where Redis is, in one of the forms it can take.
#[derive(Clone, Debug)]
pub enum RedisTarget {
    /// One server.
    Single(Box<ConnectionInfo>),
    /// Some nodes of a Cluster.
    Cluster(Vec<ConnectionInfo>),
}

/// Why a `REDIS_URL` cannot be used. Never repeats the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedisUrl {
    /// The scheme is none of those known.
    #[error("redis://, rediss://, unix:// or redis+cluster://host:port,host:port")]
    Form,
    /// Not a URL that the client understands.
    #[error("a Redis URL such as redis://user:password@host:6379/0 ({0})")]
    Url(String),
}

impl RedisTarget {
    /// Reads a `REDIS_URL`.
    pub fn parse(url: &str) -> Result<Self, InvalidRedisUrl> {
        let info =
            |url: &str| url.into_connection_info().map_err(|error| InvalidRedisUrl::Url(error.category().to_owned()));
        let (scheme, rest) = url.split_once("://").ok_or(InvalidRedisUrl::Form)?;
        match scheme {
            "redis" | "rediss" | "unix" | "redis+unix" => Ok(Self::Single(Box::new(info(url)?))),
            "redis+cluster" | "rediss+cluster" => {
                let scheme = scheme.trim_end_matches("+cluster");
                // Credentials stand once, before the first host, and hold for every node.
                let (credentials, hosts) = rest.rsplit_once('@').map_or(("", rest), |(c, h)| (c, h));
                let at = if credentials.is_empty() { "" } else { "@" };
                let hosts = hosts.trim_end_matches('/').split(',');
                let nodes = hosts.map(|host| info(&format!("{scheme}://{credentials}{at}{host}")));
                Ok(Self::Cluster(nodes.collect::<Result<_, _>>()?))
            }
            _ => Err(InvalidRedisUrl::Form),
        }
    }

    /// Host and port for people, without credentials.
    pub fn describe(&self) -> String {
        match self {
            Self::Single(info) => info.addr().to_string(),
            Self::Cluster(nodes) => {
                let nodes: Vec<_> = nodes.iter().map(|node| node.addr().to_string()).collect();
                format!("cluster {}", nodes.join(","))
            }
        }
    }
}

fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE).with_retries(3);
    TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(UNACKNOWLEDGED_MAX)
}

/// One shared connection that many callers use at once. Made at the first call, on the runtime of its
/// caller, so that a worker's connection is driven by the worker's own thread.
pub(super) struct Link {
    target: RedisTarget,
    push: Option<PushSender>,
    single: std::sync::Mutex<Single>,
    cluster: OnceCell<ClusterConnection>,
    turn: Mutex<()>,
}

/// The connection to a single server, and how many there were before it.
#[derive(Default)]
struct Single {
    manager: Option<ConnectionManager>,
    given_up: u64,
}

/// Takes what the server sends unasked.
pub(super) type PushSender = std::sync::Arc<dyn Fn(redis::PushInfo) + Send + Sync>;

struct Forward(PushSender);

impl AsyncPushSender for Forward {
    fn send(&self, info: redis::PushInfo) -> Result<(), redis::aio::SendError> {
        (self.0)(info);
        Ok(())
    }
}

impl Link {
    /// A link for calls.
    pub(super) fn new(target: RedisTarget) -> Self {
        Self { target, push: None, single: std::sync::Mutex::default(), cluster: OnceCell::new(), turn: Mutex::new(()) }
    }

    /// A link for subscriptions. They end with the connection, which is told as a push of its own kind;
    /// whoever wants them makes them again.
    pub(super) fn with_push(target: RedisTarget, push: PushSender) -> Self {
        Self { push: Some(push), ..Self::new(target) }
    }

    async fn connection(&self) -> RedisResult<Connection> {
        match &self.target {
            RedisTarget::Single(info) => {
                let mut single = self.single();
                let manager = match &single.manager {
                    Some(manager) => manager.clone(),
                    None => single.manager.insert(self.make_manager(info)?).clone(),
                };
                Ok(Connection::Single(manager, single.given_up))
            }
            RedisTarget::Cluster(nodes) => {
                let connection = self.cluster.get_or_try_init(|| self.make_cluster(nodes)).await?;
                Ok(Connection::Cluster(connection.clone()))
            }
        }
    }

    fn single(&self) -> std::sync::MutexGuard<'_, Single> {
        self.single.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a connection up if it left a call without an answer. (One that is still to be made is not
    /// waited for in the same way, and not given up: it keeps trying.)
    fn judge(&self, made: u64, answer: &RedisResult<Value>) {
        if !answer.as_ref().is_err_and(RedisError::is_timeout) {
            return;
        }
        let mut single = self.single();
        if single.given_up == made && single.manager.take().is_some() {
            single.given_up += 1;
            drop(single);
            if let Some(push) = &self.push {
                push(redis::PushInfo { kind: redis::PushKind::Disconnection, data: Vec::new() });
            }
        }
    }

    async fn run(&self, connection: &mut Connection, command: &Cmd) -> RedisResult<Value> {
        let answer = connection.req_packed_command(command).await.and_then(Value::extract_error);
        if let Connection::Single(_, made) = connection {
            self.judge(*made, &answer);
        }
        answer
    }

    fn make_manager(&self, info: &ConnectionInfo) -> RedisResult<ConnectionManager> {
        // With RESP3 a manager notices at once, and not with the next call, that its connection broke.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.clone().set_tcp_settings(tcp_settings()).set_redis_settings(settings);
        let mut config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(SILENCE_MAX))
            .set_min_delay(RECONNECT_MIN)
            .set_max_delay(RECONNECT_MAX)
            .set_number_of_retries(RECONNECT_ATTEMPTS)
            .set_pipeline_buffer_size(PIPELINE_BUFFER);
        if let Some(push) = &self.push {
            config = config.set_push_sender(Forward(push.clone()));
        }
        ConnectionManager::new_lazy_with_config(Client::open(info)?, config)
    }

    async fn make_cluster(&self, nodes: &[ConnectionInfo]) -> RedisResult<ClusterConnection> {
        let mut builder: ClusterClientBuilder = ClusterClient::builder(nodes.to_vec())
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(CALL_TIMEOUT)
            .use_protocol(ProtocolVersion::RESP3)
            .tcp_settings(tcp_settings());
        if let Some(push) = &self.push {
            builder = builder.push_sender(Forward(push.clone()));
        }
        builder.build()?.get_async_connection().await
    }

    /// Why there is no connection, if one attempt finds out. The links themselves only ever wait.
    pub(super) async fn diagnose(&self) -> Option<String> {
        let attempt = async {
            match &self.target {
                RedisTarget::Single(info) => {
                    let client = Client::open(info.as_ref().clone())?;
                    client.get_multiplexed_async_connection().await.map(drop)
                }
                RedisTarget::Cluster(nodes) => self.make_cluster(nodes).await.map(drop),
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
            Ok(Err(error)) => Some(error.to_string()),
            _ => None,
        }
    }

    /// Runs one command.
    pub(super) async fn command(&self, command: &Cmd) -> Result<Value, StoreError> {
        in_time(async {
            let mut connection = self.connection().await?;
            self.run(&mut connection, command).await
        })
        .await
    }

    /// Runs a script by its digest, and by its source where the server does not know it (yet, or any more).
    pub(super) async fn script(&self, script: &Script, call: &Cmd) -> Result<Value, StoreError> {
        in_time(async {
            let mut connection = self.connection().await?;
            match self.run(&mut connection, call).await {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    self.run(&mut connection, &script.with_source(call)).await
                }
                answer => answer,
            }
        })
        .await
    }

    /// Runs one command on the primary that has this slot; on the server itself where there is no Cluster.
    pub(super) async fn on_node(&self, slot: u16, command: &Cmd) -> Result<Value, StoreError> {
        in_time(async {
            match self.connection().await? {
                Connection::Cluster(mut cluster) => {
                    let node = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
                    cluster.route_command(command.clone(), RoutingInfo::SingleNode(node)).await
                }
                mut single @ Connection::Single(..) => self.run(&mut single, command).await,
            }
        })
        .await
    }

    /// A slot of each primary, in ascending order; one where there is no Cluster.
    pub(super) async fn primaries(&self) -> Result<Vec<u16>, StoreError> {
        if let RedisTarget::Single(_) = self.target {
            return Ok(vec![0]);
        }
        let Value::Array(ranges) = self.on_node(0, redis::cmd("CLUSTER").arg("SLOTS")).await? else {
            return Err(StoreError::Corrupt("the slots of a Cluster".to_owned()));
        };
        let (mut seen, mut first) = (HashSet::new(), BTreeSet::new());
        for range in ranges {
            // First and last slot, then the primary: its host and port, and its id.
            let Value::Array(range) = range else { continue };
            let (Some(Value::Int(slot)), Some(Value::Array(primary))) = (range.first(), range.get(2)) else { continue };
            let Some(Value::BulkString(id)) = primary.get(2) else { continue };
            if seen.insert(id.clone()) {
                first.extend(u16::try_from(*slot));
            }
        }
        Ok(first.into_iter().collect())
    }

    /// Subscribes to, or leaves, a sharded channel.
    pub(super) async fn subscribe(&self, channel: &str, join: bool) -> Result<(), StoreError> {
        in_time(async {
            match (self.connection().await?, join) {
                // One after the other: calls that find a node's connection broken make a new one each, of which
                // the last is kept, and what the others subscribed to would be lost without a word.
                (Connection::Cluster(mut cluster), join) => {
                    let _turn = self.turn.lock().await;
                    if join { cluster.ssubscribe(channel).await } else { cluster.sunsubscribe(channel).await }
                }
                (mut single @ Connection::Single(..), join) => {
                    let verb = if join { "SSUBSCRIBE" } else { "SUNSUBSCRIBE" };
                    let mut command = redis::cmd(verb);
                    command.arg(channel);
                    self.run(&mut single, &command).await.map(drop)
                }
            }
        })
        .await
    }
}

async fn in_time<T>(call: impl Future<Output = RedisResult<T>>) -> Result<T, StoreError> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(|error| away(&error)),
        Err(_) => Err(StoreError::Away(format!("no answer within {} ms", CALL_TIMEOUT.as_millis()))),
    }
}

/// The error of a call. What a server answers with an error (loading, read-only, out of memory) is as
/// good as its absence: the caller can only try again later. Arguments never appear in these texts.
fn away(error: &RedisError) -> StoreError {
    StoreError::Away(error.to_string())
}

/// Either kind of connection, as one.
enum Connection {
    Single(ConnectionManager, u64),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection, _) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection, _) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection, _) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_url_is_read() {
        for (url, description) in [
            ("redis://127.0.0.1:6380/3", "127.0.0.1:6380"),
            ("redis+cluster://a:1,b:2", "cluster a:1,b:2"),
            ("redis+cluster://user:pass@a:1,b:2/", "cluster a:1,b:2"),
            ("unix:///run/redis.sock", "/run/redis.sock"),
        ] {
            let target = RedisTarget::parse(url).unwrap();
            assert_eq!(target.describe(), description);
        }
        let RedisTarget::Cluster(nodes) = RedisTarget::parse("redis+cluster://u:p@a:1,b:2").unwrap() else {
            panic!("a cluster")
        };
        assert!(nodes.iter().all(|node| node.redis_settings().password() == Some("p")));
    }

    #[test]
    fn a_wrong_url_is_refused_without_being_repeated() {
        for url in ["localhost:6379", "http://secret@host", "redis://:secret@host:port", ""] {
            let refusal = RedisTarget::parse(url).unwrap_err().to_string();
            assert!(!refusal.contains("secret"), "{refusal}");
        }
    }
}
