//! The store in one file of this machine, for a relay of one process.
//!
//! All writes go through one thread, which puts those that wait into one transaction and syncs it before
//! it answers: what was answered survives a kill and a loss of power. Reads look at snapshots and wait for
//! nobody. Sockets and watches end with the process and are kept in memory.

mod admin_access;
mod channels;
mod conversations;
mod delivery_desk;
mod directory;
mod gate;
mod history;
mod identities;
mod key_browser;
mod keys;
mod kinds;
mod listing;
mod messages;
mod open;
mod outbox;
mod places;
mod pulse;
mod queues;
mod replies;
mod sealed;
mod session_lists;
mod sessions;
mod shared;
mod sockets;
mod streams;
mod sweep;
mod tables;
#[cfg(test)]
mod testing;
mod values;
mod watcher;
mod writer;

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Instant, SystemTime};

use async_trait::async_trait;
use redb::StorageError;

pub use open::OpenError;

use super::{CallObserver, CounterStore, Denied, Gate, Gated, Granted, LimitUse, Store, StoreError, WakeSink, Watcher};
use crate::domain::ids::MessageId;
use crate::domain::limit::LimitStatus;
use keys::Owned;
use shared::{Clock, Shared};
use tables::{Snapshot, Tx, View};
use values::{Writing, expires};
use watcher::EmbeddedWatcher;
use writer::{Timing, Writer};

/// How long what a probe wrote is kept, in milliseconds: longer than reading it back takes.
const PROBE_LIFE_MS: u64 = 10_000;

/// Why a step on the records failed.
#[derive(Debug)]
enum Fault {
    /// The database failed: nothing of its transaction may be kept.
    Storage(StorageError),
    /// This record cannot be read; the others can.
    Record(&'static str),
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Storage(error) => store_error(&error),
            Fault::Record(what) => Self::Corrupt(what.to_owned()),
        }
    }
}

fn store_error(error: &StorageError) -> StoreError {
    match error {
        StorageError::Corrupted(what) => StoreError::Corrupt(what.clone()),
        other => StoreError::Away(other.to_string()),
    }
}

/// The storage's part of one of the database's errors; the others say that it is used in a wrong way.
fn storage_fault(error: impl Into<redb::Error>) -> StorageError {
    match error.into() {
        redb::Error::Io(error) => StorageError::Io(error),
        redb::Error::PreviousIo => StorageError::PreviousIo,
        redb::Error::DatabaseClosed => StorageError::DatabaseClosed,
        other => StorageError::Corrupted(other.to_string()),
    }
}

/// The embedded store. Dropping the last handle finishes what was begun and frees the file.
pub struct EmbeddedStore {
    this: Weak<Self>,
    shared: Arc<Shared>,
    writer: Arc<Writer>,
}

/// Opens the store in `directory`, which is made if it is missing.
pub fn open(directory: &Path) -> Result<Arc<EmbeddedStore>, OpenError> {
    open_with(directory, Arc::new(system_micros), Timing::default())
}

fn system_micros() -> u64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}

fn open_with(directory: &Path, clock: Clock, timing: Timing) -> Result<Arc<EmbeddedStore>, OpenError> {
    let database = open::open_database(directory)?;
    let shared = Arc::new(Shared::new(directory.to_owned(), database, clock));
    listing::adopt_all(&shared);
    let writer = Arc::new(Writer::start(shared.clone(), timing).map_err(OpenError::Writer)?);
    Ok(Arc::new_cyclic(|this| EmbeddedStore { this: this.clone(), shared, writer }))
}

/// How far a gated read came without writing.
enum Attempt<T, F> {
    Done(Gated<T>),
    /// The session's use has to be recorded.
    TouchDue(F),
}

impl EmbeddedStore {
    /// Reads from a snapshot, off the runtime's threads.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Snapshot) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (shared, begun) = (self.shared.clone(), Instant::now());
        let answer = tokio::task::spawn_blocking(move || shared.read(work))
            .await
            .unwrap_or_else(|_| Err(StoreError::Away("the read was broken off".to_owned())));
        self.shared.tell("read", begun, answer.is_ok());
        answer
    }

    /// Opens the gate and does `work` with what the session owns, in one transaction.
    async fn write_gated<T, F>(&self, gate: &Gate, work: F) -> Result<Gated<T>, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>, Owned) -> Result<T, Fault> + Send + 'static,
    {
        let gate = gate.clone();
        self.writer
            .run(move |tx| {
                let passed = match gate::open(tx, &gate)? {
                    Ok(passed) => passed,
                    Err(denied) => return Ok(Err(denied)),
                };
                let value = work(tx, passed.owned)?;
                Ok(Ok(Granted { value, limit: passed.limit, touch_due: passed.touch_due }))
            })
            .await
    }

    /// The same for work that only reads, which needs no write when the gate has nothing to record.
    async fn read_gated<T, F>(&self, gate: &Gate, work: F) -> Result<Gated<T>, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn View, Owned) -> Result<T, Fault> + Send + 'static,
    {
        if gate.nonce.is_some() || gate.limit.is_some() {
            return self.write_gated(gate, |tx, owned| work(tx, owned)).await;
        }
        let (user, api_key) = (gate.user, gate.api_key);
        let attempt = self
            .read(move |view| {
                let Some(session) = gate::session_with_key(view, &user, &api_key)? else {
                    return Ok(Attempt::Done(Err(Denied::UnknownSession)));
                };
                if gate::is_touch_due(view, &session) {
                    return Ok(Attempt::TouchDue(work));
                }
                let value = work(view, Owned(session.number))?;
                Ok(Attempt::Done(Ok(Granted { value, limit: None, touch_due: false })))
            })
            .await?;
        match attempt {
            Attempt::Done(answer) => Ok(answer),
            Attempt::TouchDue(work) => self.write_gated(gate, |tx, owned| work(tx, owned)).await,
        }
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn for_worker(&self) -> Arc<dyn Store> {
        self.this.upgrade().expect("a store is only ever made inside an Arc, and is borrowed here")
    }

    fn watcher(&self, sink: WakeSink) -> Box<dyn Watcher> {
        Box::new(EmbeddedWatcher { shared: self.shared.clone(), sink })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if self.writer.is_alive() && self.shared.is_open() {
            Ok(())
        } else {
            Err(StoreError::Away("the store is closed".to_owned()))
        }
    }

    fn observe(&self, observer: CallObserver) {
        // The first one stays.
        let _ = self.shared.observer.set(observer);
    }

    async fn probe(&self) -> Result<(), StoreError> {
        let key = keys::probe(&MessageId::random());
        let written = key.clone();
        let until = self
            .writer
            .run(move |tx| {
                let until = tx.now.saturating_add(PROBE_LIFE_MS);
                tx.put(&written, &Writing::default().number(until).done())?;
                tx.schedule(until, &written)?;
                Ok(until)
            })
            .await?;
        match self.read(move |view| view.get(&key)?.map(|value| expires(value.value())).transpose()).await? {
            Some(read) if read == until => Ok(()),
            _ => Err(StoreError::Corrupt("a value that was just written".to_owned())),
        }
    }

    async fn close(&self) {
        let (shared, writer) = (self.shared.clone(), self.writer.clone());
        let closing = tokio::task::spawn_blocking(move || {
            writer.stop();
            shared.close();
        });
        if closing.await.is_err() {
            tracing::error!("closing the store was broken off");
        }
    }
}

#[async_trait]
impl CounterStore for EmbeddedStore {
    async fn count_use(&self, counter: &LimitUse) -> Result<LimitStatus, StoreError> {
        let (key, limit) = (keys::counter(&counter.counter), counter.limit);
        self.writer.run(move |tx| gate::count_use(tx, &key, limit)).await
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.writer.stop();
        self.shared.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::testing::{Lab, START};
    use super::*;
    use crate::store::{MessageStore as _, SessionStore as _, Since, Wake};

    #[tokio::test]
    async fn everything_is_there_after_a_drop_and_a_reopen() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        let at = lab.accepted(&client, "c").await;
        let (_, reply) = lab.reply(&client, "c", None).await;
        lab.store.authorize(&client.gate_with_nonce("n")).await.unwrap().unwrap();
        assert_eq!(lab.store.deployment_key("first").await.unwrap(), "first");

        let lab = lab.reopen();
        assert_eq!(lab.store.find_session(&client.api_key).await.unwrap().unwrap().user, client.user);
        let page = lab.store.read_messages(&client.user, Since::After(at), 10).await.unwrap();
        assert_eq!((page.records.len(), page.cursor), (0, at));
        let page = lab.store.read_messages(&client.user, Since::Last(1000), 10).await.unwrap();
        assert_eq!(page.records.len(), 1);
        assert!(lab.store.reply_status(&client.gate(), &reply.id).await.unwrap().unwrap().value.is_some());
        let denied = lab.store.authorize(&client.gate_with_nonce("n")).await.unwrap();
        assert_eq!(denied.unwrap_err(), Denied::NonceUsed);
        assert_eq!(lab.store.deployment_key("second").await.unwrap(), "first");
        assert!(lab.accepted(&client, "c").await > at);
    }

    #[tokio::test]
    async fn a_closed_store_answers_that_it_is_away_and_frees_the_directory() {
        let lab = Lab::new();
        let client = lab.session().await;
        assert!(matches!(open(lab.directory.path()), Err(OpenError::InUse(_))));
        lab.store.ping().await.unwrap();
        lab.store.close().await;
        lab.store.close().await;
        let again = open_with(lab.directory.path(), Arc::new(|| START * 1000), Timing::default()).unwrap();
        assert!(matches!(lab.store.ping().await, Err(StoreError::Away(_))));
        assert!(matches!(lab.store.find_session(&client.api_key).await, Err(StoreError::Away(_))));
        assert!(matches!(lab.store.touch_session(&client.user).await, Err(StoreError::Away(_))));
        again.probe().await.unwrap();
        assert_eq!(again.find_session(&client.api_key).await.unwrap().unwrap().user, client.user);
    }

    #[tokio::test]
    async fn a_handle_for_a_worker_is_the_same_store() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        let handle = lab.store.for_worker();
        assert_eq!(handle.kind(), "embedded");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = heard.clone();
        let watcher = handle.watcher(Arc::new(move |user, _| hears.lock().unwrap().push(*user)));
        watcher.watch(&client.user).await.unwrap();
        lab.watcher.watch(&client.user).await.unwrap();
        lab.accepted(&client, "c").await;
        assert_eq!(*heard.lock().unwrap(), [client.user]);
        assert!(matches!(lab.take_wakes()[..], [(user, Wake::Message { .. })] if user == client.user));
        drop(watcher);
        lab.accepted(&client, "c").await;
        assert_eq!((heard.lock().unwrap().len(), lab.take_wakes().len()), (1, 1));
    }

    #[tokio::test]
    async fn a_counter_without_a_user_has_a_fixed_window() {
        let lab = Lab::new();
        let counter = LimitUse { counter: "ip".to_owned(), limit: "1/1m".parse().unwrap() };
        let mut uses = Vec::new();
        for at in [0, 59_999, 60_000] {
            lab.set_clock(START + at);
            let status = lab.store.count_use(&counter).await.unwrap();
            uses.push((status.used, status.is_exceeded(), status.reset.as_millis()));
        }
        assert_eq!(uses, [(1, false, 60_000), (2, true, 1), (1, false, 60_000)]);
    }
}
