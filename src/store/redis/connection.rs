//! Connections to Redis that come back by themselves, and calls that always end.

mod cluster;
mod master;
mod sentinel;
mod single;
mod target;
mod tls;

use std::collections::{BTreeSet, HashSet};
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use redis::aio::{AsyncPushSender, ConnectionLike as _, ConnectionManager, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route as SlotRoute, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    Cmd, ConnectionInfo, ErrorKind, FromRedisValue as _, Pipeline, RedisError, RedisResult, Role, ServerErrorKind,
    Value,
};

pub use target::{InvalidRedisUrl, RedisTarget};
pub use tls::{InvalidPem, RedisCertificates};

use super::format::Agreement;
use super::script::{AGREE_ON_FORMAT, Script};
use crate::store::{CallObserver, StoreError};
use cluster::ClusterLink;
use master::MasterLink;
use sentinel::Sentinels;
use single::SingleLink;
use target::Form;

/// The longest any call may take, so that a request that makes two is answered within the three seconds
/// in which a caller is owed a 503.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_millis(1400);
/// How long a connection may leave a call without an answer before it is given up for a new one: a peer
/// that is gone without a word would be waited for in vain. Less than a call may take, since that also
/// covers the wait for a connection.
const SILENCE_MAX: Duration = Duration::from_millis(1200);
/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Calls that may wait for their turn to be written; more wait at the caller.
const PIPELINE_BUFFER: usize = 512;
/// How long a peer may leave data unacknowledged before the connection counts as dead.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);
/// When and how often an idle peer is probed, so that a half-open connection is noticed.
const KEEPALIVE: Duration = Duration::from_secs(5);

fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE).with_retries(3);
    TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(UNACKNOWLEDGED_MAX)
}

/// Where the links of one store lead. What is learned of a master is shared by all of them.
#[derive(Clone)]
pub(super) struct Route {
    way: Way,
    certificates: Option<RedisCertificates>,
    copies: u8,
    format: Arc<Agreement>,
    observer: Arc<OnceLock<CallObserver>>,
}

#[derive(Clone)]
enum Way {
    Single(Box<ConnectionInfo>),
    Cluster(Vec<ConnectionInfo>),
    Master(Arc<Sentinels>),
}

impl Route {
    pub(super) fn new(target: RedisTarget, format: Arc<Agreement>) -> Self {
        let certificates = target.certificates;
        let way = match target.form {
            Form::Single(info) => Way::Single(info),
            Form::Cluster(nodes) => Way::Cluster(nodes),
            Form::Sentinel(form) => Way::Master(Arc::new(Sentinels::new(*form, certificates.clone()))),
        };
        Self { way, certificates, copies: target.copies, format, observer: Arc::default() }
    }

    /// Has the calls of all links told.
    pub(super) fn observe(&self, observer: CallObserver) {
        // The first one stays.
        let _ = self.observer.set(observer);
    }

    /// How many replicas of Redis must have a write before it is acknowledged.
    pub(super) fn copies(&self) -> u8 {
        self.copies
    }

    /// Asks, where there are Sentinels, whether the master is still the same; all links follow to another.
    pub(super) async fn look_after(&self) {
        let Way::Master(sentinels) = &self.way else { return };
        match tokio::time::timeout(CALL_TIMEOUT, sentinels.look_after()).await {
            Ok(Ok(())) => {}
            // As long as the master serves, this is no trouble.
            Ok(Err(error)) => tracing::debug!(%error, "the Sentinels could not be asked"),
            Err(_) => tracing::debug!("the Sentinels took too long"),
        }
    }
}

/// One shared connection that many callers use at once. Made at the first call, on the runtime of its
/// caller, so that a worker's connection is driven by the worker's own thread.
pub(super) struct Link {
    form: LinkForm,
    observer: Arc<OnceLock<CallObserver>>,
    format: Arc<Agreement>,
}

enum LinkForm {
    Single(SingleLink),
    Cluster(ClusterLink),
    Master(MasterLink),
}

/// Takes what the server sends unasked.
pub(super) type PushSender = Arc<dyn Fn(redis::PushInfo) + Send + Sync>;

struct Forward(PushSender);

impl AsyncPushSender for Forward {
    fn send(&self, info: redis::PushInfo) -> Result<(), redis::aio::SendError> {
        (self.0)(info);
        Ok(())
    }
}

impl Link {
    /// A link for calls.
    pub(super) fn new(route: &Route) -> Self {
        Self::make(route, None)
    }

    /// A link for subscriptions. They end with the connection, which is told as a push of its own kind;
    /// whoever wants them makes them again.
    pub(super) fn with_push(route: &Route, push: PushSender) -> Self {
        Self::make(route, Some(push))
    }

    fn make(route: &Route, push: Option<PushSender>) -> Self {
        let certificates = route.certificates.clone();
        let form = match &route.way {
            Way::Single(info) => LinkForm::Single(SingleLink::new(info, certificates, push)),
            Way::Cluster(nodes) => LinkForm::Cluster(ClusterLink::new(nodes, certificates, push)),
            Way::Master(sentinels) => LinkForm::Master(MasterLink::new(sentinels.clone(), push)),
        };
        Self { form, format: route.format.clone(), observer: route.observer.clone() }
    }

    /// Does a call over this link in another way, and tells how it went.
    pub(super) fn observed<'a, T>(
        &'a self,
        name: &'static str,
        call: impl Future<Output = Result<T, StoreError>> + 'a,
    ) -> impl Future<Output = Result<T, StoreError>> + 'a {
        observed(&self.observer, name, call)
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.form, LinkForm::Cluster(_))
    }

    async fn connection(&self) -> RedisResult<Connection> {
        Ok(match &self.form {
            LinkForm::Single(link) => {
                let (connection, number) = link.connection()?;
                Connection::Single(connection, number)
            }
            // Boxed, like all below that is seldom or of one form only: else each call would carry room for it, some
            // KiB that are copied from future to future.
            LinkForm::Cluster(link) => Connection::Cluster(Box::pin(link.connection()).await?),
            LinkForm::Master(link) => {
                let (connection, number) = Box::pin(link.connection()).await;
                Connection::Master(connection, number)
            }
        })
    }

    /// A connection to records whose format is known to be for this relay.
    async fn sound_connection(&self) -> Result<Connection, StoreError> {
        let mut connection = self.connection().await?;
        if !self.format.is_reached() {
            Box::pin(self.ask_for_format(&mut connection)).await?;
        }
        Ok(connection)
    }

    async fn ask_for_format(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let answer = self.evaluate(connection, &AGREE_ON_FORMAT, &self.format.call()).await?;
        self.format.read(answer)
    }

    /// Asks for the format of the records, whether it is known or not.
    pub(super) async fn agree_on_format(&self) -> Result<(), StoreError> {
        in_time(async { self.ask_for_format(&mut self.connection().await?).await }).await
    }

    /// Gives a connection up if what came of a call says that it is of no use any more. (Those of a Cluster
    /// see to themselves.)
    fn judge(&self, connection: &Connection, error: &RedisError) {
        match (&self.form, connection) {
            (LinkForm::Single(link), Connection::Single(_, number)) => link.judge(*number, error),
            (LinkForm::Master(link), Connection::Master(_, number)) => link.judge(*number, error),
            _ => {}
        }
    }

    async fn run(&self, connection: &mut Connection, command: &Cmd) -> RedisResult<Value> {
        let answer = match connection {
            Connection::Single(connection, _) => connection.req_packed_command(command).await,
            Connection::Cluster(connection) => connection.req_packed_command(command).await,
            Connection::Master(connection, _) => connection.req_packed_command(command).await,
        };
        let answer = answer.and_then(Value::extract_error);
        answer.inspect_err(|error| self.judge(connection, error))
    }

    /// Why there is no connection, if one attempt finds out. The links themselves only ever wait.
    pub(super) async fn diagnose(&self) -> Option<String> {
        let attempt = async {
            match &self.form {
                LinkForm::Single(link) => link.try_once().await,
                LinkForm::Cluster(link) => link.try_once().await,
                LinkForm::Master(link) => link.try_once().await,
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
            Ok(Err(error)) => Some(error.to_string()),
            _ => None,
        }
    }

    /// Whether the server answers and, where a master was asked for, still is one.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let LinkForm::Master(link) = &self.form else {
            return in_time(async {
                let mut connection = self.connection().await?;
                Ok(self.run(&mut connection, &redis::cmd("PING")).await.map(drop)?)
            })
            .await;
        };
        in_time(async {
            // Not a call on the records: a master is asked for its role whatever they are.
            let mut connection = self.connection().await?;
            let role = self.run(&mut connection, &redis::cmd("ROLE")).await?;
            if matches!(Role::from_redis_value(role).map_err(RedisError::from)?, Role::Primary { .. }) {
                return Ok(());
            }
            if let Connection::Master(_, number) = connection {
                link.give_up(number);
            }
            Err(StoreError::Away("the master became a replica".to_owned()))
        })
        .await
    }

    /// Runs one command.
    pub(super) async fn command(&self, command: &Cmd) -> Result<Value, StoreError> {
        let call = in_time(async {
            let mut connection = self.sound_connection().await?;
            Ok(self.run(&mut connection, command).await?)
        });
        observed(&self.observer, "command", call).await
    }

    /// Runs a script by its digest, and by its source where the server does not know it (yet, or any more).
    pub(super) async fn script(&self, script: &Script, call: &Cmd) -> Result<Value, StoreError> {
        let run = in_time(async {
            let mut connection = self.sound_connection().await?;
            Ok(self.evaluate(&mut connection, script, call).await?)
        });
        observed(&self.observer, script.name, run).await
    }

    async fn evaluate(&self, connection: &mut Connection, script: &Script, call: &Cmd) -> RedisResult<Value> {
        match self.run(connection, call).await {
            Err(error) if is_unknown_script(&error) => self.run(connection, &script.with_source(call)).await,
            answer => answer,
        }
    }

    /// Runs one command on the primary that has this slot; on the server itself where there is no Cluster.
    pub(super) async fn on_node(&self, slot: u16, command: &Cmd) -> Result<Value, StoreError> {
        in_time(async {
            match self.sound_connection().await? {
                Connection::Cluster(mut cluster) => {
                    let node = SingleNodeRoutingInfo::SpecificNode(SlotRoute::new(slot, SlotAddr::Master));
                    Ok(cluster.route_command(command.clone(), RoutingInfo::SingleNode(node)).await?)
                }
                mut other => Ok(self.run(&mut other, command).await?),
            }
        })
        .await
    }

    /// Runs commands one right after the other on one connection, in a Cluster that of the slot which they
    /// share. Gives an answer for each.
    pub(super) async fn batch(&self, commands: &Pipeline) -> Result<Vec<RedisResult<Value>>, StoreError> {
        in_time(async {
            let mut connection = self.sound_connection().await?;
            let count = commands.len();
            let answers = match &mut connection {
                Connection::Single(connection, _) => connection.req_packed_commands(commands, 0, count).await,
                Connection::Cluster(connection) => connection.req_packed_commands(commands, 0, count).await,
                Connection::Master(connection, _) => connection.req_packed_commands(commands, 0, count).await,
            };
            let answers = answers.inspect_err(|error| self.judge(&connection, error))?;
            let answers = answers.into_iter().map(|answer| {
                let answer = answer.extract_error();
                answer.inspect_err(|error| self.judge(&connection, error))
            });
            Ok(answers.collect())
        })
        .await
    }

    /// A slot of each primary, in ascending order; one where there is no Cluster.
    pub(super) async fn primaries(&self) -> Result<Vec<u16>, StoreError> {
        if !self.is_cluster() {
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
            if let LinkForm::Cluster(link) = &self.form {
                return Ok(link.subscribe(channel, join).await?);
            }
            let mut connection = self.connection().await?;
            let mut command = redis::cmd(if join { "SSUBSCRIBE" } else { "SUNSUBSCRIBE" });
            command.arg(channel);
            Ok(self.run(&mut connection, &command).await.map(drop)?)
        })
        .await
    }
}

/// To be awaited at once: the call counts as begun. (No async function, like the next, since one keeps room for its
/// argument beside the room in which it awaits it, and each layer would double what a call takes.)
fn observed<'a, T>(
    observer: &'a OnceLock<CallObserver>,
    name: &'static str,
    call: impl Future<Output = Result<T, StoreError>> + 'a,
) -> impl Future<Output = Result<T, StoreError>> + 'a {
    let observer = observer.get().map(|observer| (observer, Instant::now()));
    call.inspect(move |answer| {
        if let Some((observer, begun)) = observer {
            observer(name, begun.elapsed(), answer.is_ok());
        }
    })
}

fn in_time<T>(call: impl Future<Output = Result<T, StoreError>>) -> impl Future<Output = Result<T, StoreError>> {
    tokio::time::timeout(CALL_TIMEOUT, call).map(|answer| {
        answer.unwrap_or_else(|_| Err(StoreError::Away(format!("no answer within {} ms", CALL_TIMEOUT.as_millis()))))
    })
}

/// The error of a call. What a server answers with an error (loading, read-only, out of memory) is as
/// good as its absence: the caller can only try again later. Arguments never appear in these texts.
impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        Self::Away(error.to_string())
    }
}

/// The same from a reference.
pub(super) fn away(error: &RedisError) -> StoreError {
    StoreError::Away(error.to_string())
}

/// Whether the server does not know a script (yet, or any more).
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Each kind of connection. Those that can be given up have a number.
enum Connection {
    Single(ConnectionManager, u64),
    Cluster(ClusterConnection),
    Master(MultiplexedConnection, u64),
}
