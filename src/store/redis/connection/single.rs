//! A connection to one server.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ConnectionInfo, ErrorKind, ProtocolVersion, PushInfo, PushKind, RedisError, RedisResult};
use redis::{ServerErrorKind, Value};

use super::tls::{self, RedisCertificates};
use super::{CONNECT_TIMEOUT, Forward, PIPELINE_BUFFER, PushSender, SILENCE_MAX, tcp_settings};

/// Pauses between attempts to reconnect: back within a second of Redis' return, and gentle meanwhile.
const RECONNECT_MIN: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_millis(250);
/// A manager that runs out of attempts never comes back when it is idle: do not run out.
const RECONNECT_ATTEMPTS: usize = usize::MAX;

/// One connection to one server, which is made again whenever it breaks.
pub(in crate::store::redis) struct SingleLink {
    info: ConnectionInfo,
    certificates: Option<RedisCertificates>,
    push: Option<PushSender>,
    held: Mutex<Held>,
}

/// The connection, and how many there were before it.
#[derive(Default)]
struct Held {
    manager: Option<ConnectionManager>,
    number: u64,
}

impl SingleLink {
    pub(super) fn new(
        info: &ConnectionInfo,
        certificates: Option<RedisCertificates>,
        push: Option<PushSender>,
    ) -> Self {
        // With RESP3 a manager notices at once, and not with the next call, that its connection broke.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.clone().set_tcp_settings(tcp_settings()).set_redis_settings(settings);
        Self { info, certificates, push, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self) -> RedisResult<Client> {
        tls::client(self.info.clone(), self.certificates.as_ref())
    }

    /// The connection and its number.
    pub(super) fn connection(&self) -> RedisResult<(ConnectionManager, u64)> {
        let mut held = self.held();
        let manager = match &held.manager {
            Some(manager) => manager.clone(),
            None => held.manager.insert(self.make()?).clone(),
        };
        Ok((manager, held.number))
    }

    fn make(&self) -> RedisResult<ConnectionManager> {
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
        ConnectionManager::new_lazy_with_config(self.client()?, config)
    }

    /// Gives a connection up if it left a call without an answer, or leads to a server that became a
    /// replica: behind a name, a new connection may lead elsewhere. (One that is still to be made is not
    /// waited for in the same way, and not given up: it keeps trying.)
    pub(super) fn judge(&self, number: u64, error: &RedisError) {
        if !error.is_timeout() && error.kind() != ErrorKind::Server(ServerErrorKind::ReadOnly) {
            return;
        }
        let mut held = self.held();
        if held.number == number && held.manager.take().is_some() {
            held.number += 1;
            drop(held);
            if let Some(push) = &self.push {
                push(PushInfo { kind: PushKind::Disconnection, data: Vec::<Value>::new() });
            }
        }
    }

    /// Tries once to connect, and says what comes of it.
    pub(super) async fn try_once(&self) -> RedisResult<()> {
        self.client()?.get_multiplexed_async_connection().await.map(drop)
    }
}
