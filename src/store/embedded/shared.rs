//! What the callers and the writer share: the database, the clock, and the sockets.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use redb::{Database, Durability, ReadableDatabase as _, StorageError};

use super::open::{FILE_NAME, open_database};
use super::places::Sockets;
use super::pulse::PulseMemory;
use super::tables::{Snapshot, Tx};
use super::{Fault, storage_fault};
use crate::domain::ids::UserId;
use crate::store::{CallObserver, StoreError, Wake};

/// Gives the present in microseconds since the epoch.
pub(super) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

pub(super) struct Shared {
    directory: PathBuf,
    /// None when the store is closed, or could not be opened again after a fault. Who reads it holds the
    /// lock, so that the file is free as soon as the database is taken out.
    database: RwLock<Option<Database>>,
    is_closed: std::sync::atomic::AtomicBool,
    clock: Clock,
    sockets: Mutex<Sockets>,
    pulse: Mutex<PulseMemory>,
    commits: AtomicU64,
    /// Who is told of calls.
    pub(super) observer: OnceLock<CallObserver>,
}

impl Shared {
    pub(super) fn new(directory: PathBuf, database: Database, clock: Clock) -> Self {
        Self {
            directory,
            database: RwLock::new(Some(database)),
            is_closed: false.into(),
            clock,
            sockets: Mutex::default(),
            pulse: Mutex::default(),
            commits: AtomicU64::new(0),
            observer: OnceLock::new(),
        }
    }

    /// Tells whoever wants to know of a call.
    pub(super) fn tell(&self, call: &'static str, begun: Instant, is_ok: bool) {
        if let Some(observer) = self.observer.get() {
            observer(call, begun.elapsed(), is_ok);
        }
    }

    /// Microseconds since the epoch.
    pub(super) fn now_micros(&self) -> u64 {
        (self.clock)()
    }

    /// Milliseconds since the epoch.
    pub(super) fn now(&self) -> u64 {
        self.now_micros() / 1000
    }

    /// The places of sockets and who is watched. Held for a moment only.
    pub(super) fn sockets(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the replica told of itself. Held for a moment only.
    pub(super) fn pulse(&self) -> MutexGuard<'_, PulseMemory> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Transactions that were committed so far.
    #[cfg(test)]
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Reads from a snapshot; waits for no write.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Snapshot) -> Result<T, Fault>) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(|| StoreError::Away("the store is closed".to_owned()))?;
        let transaction = database.begin_read().map_err(|error| Fault::Storage(storage_fault(error)))?;
        Ok(work(&Snapshot::new(&transaction, self.now())?)?)
    }

    /// Does `work` in one write transaction and syncs it; gives whom to wake. A transaction that wrote
    /// nothing costs no sync.
    pub(super) fn transact(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<(), StorageError>,
    ) -> Result<Vec<(UserId, Wake)>, StorageError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(StorageError::DatabaseClosed)?;
        let mut transaction = database.begin_write().map_err(storage_fault)?;
        transaction.set_durability(Durability::Immediate).map_err(storage_fault)?;
        let outcome = {
            let mut tx = Tx::new(&transaction)?;
            work(&mut tx)?;
            tx.finish()
        };
        if outcome.has_written {
            transaction.commit().map_err(storage_fault)?;
            self.commits.fetch_add(1, Ordering::Relaxed);
        } else {
            transaction.abort()?;
        }
        Ok(outcome.wakes)
    }

    /// Wakes whoever watches, in order, and forgets the sockets of sessions that are gone.
    pub(super) fn wake_all(&self, wakes: Vec<(UserId, Wake)>) {
        for (user, wake) in wakes {
            let sinks = {
                let mut sockets = self.sockets();
                if wake == Wake::SessionGone {
                    sockets.forget(&user);
                }
                sockets.sinks(&user)
            };
            let wake = Arc::new(wake);
            for sink in sinks {
                sink(&user, wake.clone());
            }
        }
    }

    /// Opens the file again after a fault, since the database takes no writes from then on: a disk that
    /// was full for a while must not end the relay.
    pub(super) fn reopen(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if self.is_closed.load(Ordering::Relaxed) {
            return;
        }
        drop(database.take());
        match open_database(&self.directory) {
            Ok(opened) => *database = Some(opened),
            Err(error) => tracing::error!(%error, "the store could not be opened again"),
        }
    }

    /// Bytes of the file, if the system says so.
    pub(super) fn file_bytes(&self) -> Option<u64> {
        std::fs::metadata(self.directory.join(FILE_NAME)).ok().map(|file| file.len())
    }

    /// Whether the database is open.
    pub(super) fn is_open(&self) -> bool {
        self.database.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Closes the database for good and frees the file. Waits for the reads in progress.
    pub(super) fn close(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        self.is_closed.store(true, Ordering::Relaxed);
        if let Some(database) = database.take()
            && let Err(error) = database.close()
        {
            tracing::error!(%error, "the store's file was not closed cleanly");
        }
    }
}
