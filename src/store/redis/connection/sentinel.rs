//! Asking Sentinels where the master is, and making sure that what they name is one.
//!
//! Each Sentinel is asked at every search: one that was cut off from the others still names the master
//! of before, and only the age of what it says tells. The newest word is tried first, and counts only if
//! the server itself says that it is a master.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisError,
    RedisResult, Role,
};

use super::target::SentinelForm;
use super::tls::{self, RedisCertificates};
use super::{Forward, PIPELINE_BUFFER, PushSender, SILENCE_MAX, tcp_settings};

/// How long a Sentinel may take to answer.
const ASK_TIMEOUT: Duration = Duration::from_millis(500);
/// How long the other Sentinels are waited for once one has answered.
const OTHERS_TIMEOUT: Duration = Duration::from_millis(150);
/// How long a server may take to be connected and to say what it is. With the time for the Sentinels it
/// is less than a call may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(700);

/// Where a server listens.
pub(super) type Address = (String, u16);

/// A connection to a server that said it is the master, and where that is.
pub(super) struct Found {
    pub(super) connection: MultiplexedConnection,
    pub(super) address: Address,
}

/// The Sentinels of a deployment, and the master that was found last. One for all links.
pub(super) struct Sentinels {
    form: SentinelForm,
    certificates: Option<RedisCertificates>,
    latest: Mutex<Option<Address>>,
}

impl Sentinels {
    pub(super) fn new(form: SentinelForm, certificates: Option<RedisCertificates>) -> Self {
        Self { form, certificates, latest: Mutex::default() }
    }

    fn latest(&self) -> MutexGuard<'_, Option<Address>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another server was found to be the master since this one was.
    pub(super) fn is_replaced(&self, address: &Address) -> bool {
        self.latest().as_ref().is_some_and(|latest| latest != address)
    }

    /// Finds the master and connects to it. Unasked messages of the server go to `push`.
    pub(super) async fn find(&self, push: Option<PushSender>) -> RedisResult<Found> {
        let mut failure = None;
        for address in self.named().await? {
            match tokio::time::timeout(CONNECT_TIMEOUT, self.connect(&address, push.clone())).await {
                Ok(Ok(connection)) => {
                    *self.latest() = Some(address.clone());
                    return Ok(Found { connection, address });
                }
                Ok(Err(error)) => failure = failure.or(Some(error)),
                Err(_) => failure = failure.or_else(|| Some(trouble("it does not answer", &address))),
            }
        }
        Err(failure.unwrap_or_else(|| failed("no Sentinel answers", self.form.master.clone())))
    }

    /// Asks whether the master is still the one that was found last, and finds the new one if not, so that
    /// every link learns of it. A master that was replaced while it could not be reached may not know.
    pub(super) async fn look_after(&self) -> RedisResult<()> {
        let latest = self.latest().clone();
        let named = self.named().await?;
        if latest.is_some() && latest.as_ref() != named.first() {
            self.find(None).await?;
        }
        Ok(())
    }

    /// The addresses that the Sentinels name, the newest word first.
    async fn named(&self) -> RedisResult<Vec<Address>> {
        let mut asked: FuturesUnordered<_> = self.form.sentinels.iter().map(|info| self.ask(info)).collect();
        let mut answers: Vec<(u64, Address)> = Vec::new();
        let mut failure = None;
        let mut patience = ASK_TIMEOUT;
        while let Ok(Some(answer)) = tokio::time::timeout(patience, asked.next()).await {
            match answer {
                Ok(answer) => {
                    answers.push(answer);
                    patience = OTHERS_TIMEOUT;
                }
                Err(error) => failure = Some(error),
            }
        }
        answers.sort_by_key(|(epoch, _)| std::cmp::Reverse(*epoch));
        let mut addresses: Vec<Address> = Vec::new();
        for (_, address) in answers {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        match failure {
            Some(error) if addresses.is_empty() => Err(failed("no Sentinel names the master", error.to_string())),
            None if addresses.is_empty() => Err(failed("no Sentinel answers", self.form.master.clone())),
            _ => Ok(addresses),
        }
    }

    /// What one Sentinel says, and of which age that is.
    async fn ask(&self, info: &redis::ConnectionInfo) -> RedisResult<(u64, Address)> {
        let client = tls::client(info.clone(), self.certificates.as_ref())?;
        let mut sentinel = client.get_multiplexed_async_connection().await?;
        let (address, facts): (Option<Address>, HashMap<String, String>) = redis::pipe()
            .cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.form.master)
            .cmd("SENTINEL")
            .arg("MASTER")
            .arg(&self.form.master)
            .query_async(&mut sentinel)
            .await?;
        let address = address.ok_or_else(|| failed("a Sentinel does not know", self.form.master.clone()))?;
        let epoch = facts.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or_default();
        Ok((epoch, address))
    }

    /// Connects to a server, which must say that it is a master.
    async fn connect(&self, address: &Address, push: Option<PushSender>) -> RedisResult<MultiplexedConnection> {
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(SILENCE_MAX))
            .set_pipeline_buffer_size(PIPELINE_BUFFER);
        if let Some(push) = push {
            config = config.set_push_sender(Forward(push));
        }
        let client = self.server(address)?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        match redis::cmd("ROLE").query_async(&mut connection).await? {
            Role::Primary { .. } => Ok(connection),
            _ => Err(trouble("it is no master", address)),
        }
    }

    fn server(&self, (host, port): &Address) -> RedisResult<Client> {
        let address = if self.form.is_tls {
            ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host.clone(), *port)
        };
        // With RESP3 a connection tells at once that it broke.
        let settings = self.form.settings.clone().set_protocol(ProtocolVersion::RESP3);
        let info = address.into_connection_info()?.set_redis_settings(settings).set_tcp_settings(tcp_settings());
        tls::client(info, self.certificates.as_ref())
    }
}

fn trouble(what: &str, (host, port): &Address) -> RedisError {
    failed("the Sentinels name a server that cannot be used", format!("{host}:{port}: {what}"))
}

fn failed(what: &'static str, detail: String) -> RedisError {
    (ErrorKind::Io, what, detail).into()
}
