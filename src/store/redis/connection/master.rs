//! A connection to whatever server is the master now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, PushInfo, PushKind, RedisError, RedisResult, ServerErrorKind};

use super::PushSender;
use super::sentinel::{Address, Found, Sentinels};

/// Pause between two searches for a master: one is chosen within seconds, not sooner.
const SEARCH_AGAIN: Duration = Duration::from_millis(150);

/// One connection to the master, made when it is needed and given up when it turns out to be gone, to
/// leave a call without an answer, or to lead to a server that is no master any more.
pub(in crate::store::redis) struct MasterLink {
    sentinels: Arc<Sentinels>,
    push: Option<PushSender>,
    held: Arc<Mutex<Held>>,
    /// One search at a time; the others wait for what it finds.
    search: tokio::sync::Mutex<()>,
}

/// The connection, and how many there were before it.
#[derive(Default)]
struct Held {
    connection: Option<(MultiplexedConnection, Address)>,
    number: u64,
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    // No code under the lock can panic half-way.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MasterLink {
    pub(super) fn new(sentinels: Arc<Sentinels>, push: Option<PushSender>) -> Self {
        Self { sentinels, push, held: Arc::default(), search: tokio::sync::Mutex::default() }
    }

    /// The connection and its number. Searches until there is one; the caller bounds the time.
    pub(super) async fn connection(&self) -> (MultiplexedConnection, u64) {
        loop {
            if let Some(held) = self.held() {
                return held;
            }
            let _turn = self.search.lock().await;
            if let Some(held) = self.held() {
                return held;
            }
            match self.connect().await {
                Ok(held) => return held,
                Err(error) => tracing::debug!(%error, "there is no master yet"),
            }
            tokio::time::sleep(SEARCH_AGAIN).await;
        }
    }

    fn held(&self) -> Option<(MultiplexedConnection, u64)> {
        let held = lock(&self.held);
        let (connection, address) = held.connection.as_ref()?;
        if !self.sentinels.is_replaced(address) {
            return Some((connection.clone(), held.number));
        }
        let number = held.number;
        drop(held);
        self.give_up(number);
        None
    }

    async fn connect(&self) -> RedisResult<(MultiplexedConnection, u64)> {
        let number = lock(&self.held).number;
        let held = Arc::downgrade(&self.held);
        let push = self.push.clone();
        // What an earlier connection still says does not count any more.
        let forward: PushSender = Arc::new(move |info: PushInfo| {
            let Some(held) = held.upgrade() else { return };
            let mut current = lock(&held);
            if current.number != number {
                return;
            }
            if info.kind == PushKind::Disconnection {
                *current = Held { connection: None, number: number + 1 };
            }
            drop(current);
            if let Some(push) = &push {
                push(info);
            }
        });
        let Found { connection, address } = self.sentinels.find(Some(forward)).await?;
        let mut current = lock(&self.held);
        if current.number != number {
            return Err((ErrorKind::Io, "the master went away at once").into());
        }
        tracing::debug!(host = address.0, port = address.1, "connected to the master");
        current.connection = Some((connection.clone(), address));
        Ok((connection, number))
    }

    /// Gives a connection up if what came of a call says that it is of no use any more.
    pub(super) fn judge(&self, number: u64, error: &RedisError) {
        if is_of_no_use(error) {
            self.give_up(number);
        }
    }

    /// Gives the connection of this number up; the next call searches for the master again.
    pub(super) fn give_up(&self, number: u64) {
        let mut held = lock(&self.held);
        if held.number != number || held.connection.is_none() {
            return;
        }
        *held = Held { connection: None, number: number + 1 };
        drop(held);
        if let Some(push) = &self.push {
            push(PushInfo { kind: PushKind::Disconnection, data: Vec::new() });
        }
    }

    /// Tries once to connect, and says what comes of it.
    pub(super) async fn try_once(&self) -> RedisResult<()> {
        self.sentinels.find(None).await.map(drop)
    }
}

/// Whether an error says that a connection is of no use any more: it broke, it leaves calls without an
/// answer, or its server became a replica.
fn is_of_no_use(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
}
