//! The one thread that writes.
//!
//! It takes all jobs that wait into one transaction, syncs once, and only then answers them: callers at
//! the same time share a sync, and a lone caller waits for nobody. Between batches it sweeps.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use redb::StorageError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::shared::Shared;
use super::tables::Tx;
use super::{Fault, sweep};
use crate::store::StoreError;

/// The most jobs in one transaction, which bounds how long the first of them waits for the others.
const MAX_BATCH: usize = 256;
/// The most jobs that wait. Beyond it callers wait for room, which bounds the memory.
const QUEUE_LEN: usize = 1024;
/// About the most records one sweep removes, so that it delays no batch by much.
const SWEEP_BUDGET: usize = 1000;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// A caller waits so long for room in the queue before it is told that the store is away.
    pub(super) room: Duration,
    /// And so long for its answer: a disk that takes longer is as good as away.
    pub(super) answer: Duration,
    /// Between two sweeps when there is little to do.
    pub(super) sweep: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { room: Duration::from_millis(500), answer: Duration::from_secs(2), sweep: Duration::from_secs(3) }
    }
}

/// Something to be done in the transaction of a batch, and its caller.
pub(super) trait Job: Send {
    /// Does it. An error is the whole batch's; what concerns this job alone is kept for its answer.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StorageError>;

    /// Answers the caller: with what `run` found, or with why the batch failed.
    fn answer(self: Box<Self>, failure: Option<&StorageError>);
}

struct Call<T, F> {
    work: Option<F>,
    answer: Option<Result<T, StoreError>>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Call<T, F>
where
    T: Send,
    F: FnOnce(&mut Tx<'_>) -> Result<T, Fault> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StorageError> {
        let Some(work) = self.work.take() else { return Ok(()) };
        self.answer = Some(match work(tx) {
            Err(Fault::Storage(error)) => return Err(error),
            other => other.map_err(StoreError::from),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<&StorageError>) {
        let answer = match failure {
            Some(error) => Some(Err(super::store_error(error))),
            None => self.answer,
        };
        if let Some(answer) = answer {
            // A caller that gave up is not there to be told.
            let _ = self.caller.send(answer);
        }
    }
}

/// The way to the thread that writes.
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    timing: Timing,
    stop: Arc<Notify>,
    thread: Mutex<Option<JoinHandle<()>>>,
    shared: Arc<Shared>,
}

impl Writer {
    pub(super) fn start(shared: Arc<Shared>, timing: Timing) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE_LEN);
        let stop = Arc::new(Notify::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (stopped, written) = (stop.clone(), shared.clone());
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write(&runtime, &written, queue, &stopped, timing.sweep))?;
        Ok(Self { jobs, timing, stop, thread: Mutex::new(Some(thread)), shared })
    }

    /// Does `work` in a transaction and answers when it is on disk.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let begun = std::time::Instant::now();
        let answer = self.call(work).await;
        self.shared.tell("write", begun, answer.is_ok());
        answer
    }

    async fn call<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let job = Box::new(Call { work: Some(work), answer: None, caller });
        let room = match timeout(self.timing.room, self.jobs.reserve()).await {
            Ok(Ok(room)) => room,
            Ok(Err(_)) => return Err(StoreError::Away("the store is closed".to_owned())),
            Err(_) => return Err(StoreError::Away("too many writes are waiting".to_owned())),
        };
        room.send(job);
        match timeout(self.timing.answer, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Away("the write was broken off".to_owned())),
            Err(_) => Err(StoreError::Away("the disk takes too long".to_owned())),
        }
    }

    /// Whether the thread is there.
    pub(super) fn is_alive(&self) -> bool {
        !self.jobs.is_closed()
    }

    /// Has the thread finish what waits, and waits for its end.
    pub(super) fn stop(&self) {
        self.stop.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The last handle may be dropped by a wake, which is on the thread itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
    }
}

enum Event {
    Jobs,
    Sweep,
    Stop,
    End,
}

fn write(
    runtime: &tokio::runtime::Runtime,
    shared: &Shared,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    stop: &Notify,
    pace: Duration,
) {
    let mut batch: Vec<Box<dyn Job>> = Vec::with_capacity(MAX_BATCH);
    let mut last_len = 0;
    let mut sweep_at = Instant::now() + pace;
    loop {
        let event = runtime.block_on(async {
            tokio::select! {
                biased;
                () = stop.notified() => Event::Stop,
                count = queue.recv_many(&mut batch, MAX_BATCH) => if count == 0 { Event::End } else { Event::Jobs },
                () = sleep_until(sweep_at) => Event::Sweep,
            }
        });
        match event {
            Event::Jobs => {
                gather(&mut queue, &mut batch, last_len);
                last_len = batch.len();
                survive(|| commit(shared, std::mem::take(&mut batch)));
            }
            Event::Sweep => {}
            Event::Stop => queue.close(),
            Event::End => return,
        }
        if Instant::now() >= sweep_at {
            let mut is_behind = false;
            survive(|| is_behind = sweep(shared));
            sweep_at = Instant::now() + if is_behind { Duration::ZERO } else { pace };
        }
    }
}

/// Takes what callers of the last batch, who were answered a moment ago, are just sending: as long as each
/// turn of the other threads brings more. Without it, batches are alternately tiny and large.
fn gather(queue: &mut mpsc::Receiver<Box<dyn Job>>, batch: &mut Vec<Box<dyn Job>>, last_len: usize) {
    while batch.len() < last_len {
        thread::yield_now();
        let before = batch.len();
        while batch.len() < MAX_BATCH
            && let Ok(job) = queue.try_recv()
        {
            batch.push(job);
        }
        if batch.len() == before {
            return;
        }
    }
}

/// Runs a step so that a panic in it ends neither the thread nor what other callers wait for.
fn survive(step: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(step)).is_err() {
        tracing::error!("a step of the store's writer panicked; its transaction was dropped");
    }
}

fn commit(shared: &Shared, mut batch: Vec<Box<dyn Job>>) {
    let result = shared.transact(|tx| {
        batch.iter_mut().try_for_each(|job| {
            tx.now = shared.now();
            job.run(tx)
        })
    });
    match result {
        Ok(wakes) => {
            shared.wake_all(wakes);
            batch.into_iter().for_each(|job| job.answer(None));
        }
        Err(error) => {
            tracing::error!(%error, jobs = batch.len(), "a transaction of the store failed");
            batch.into_iter().for_each(|job| job.answer(Some(&error)));
            // A database that could not be opened again is tried by the sweep, at its slower pace.
            if shared.is_open() {
                shared.reopen();
            }
        }
    }
}

/// One sweep; says whether the next should come at once.
fn sweep(shared: &Shared) -> bool {
    shared.sockets().drop_lapsed(shared.now());
    let mut is_behind = false;
    let swept = shared.transact(|tx| {
        tx.now = shared.now();
        match sweep::pass(tx, SWEEP_BUDGET) {
            Ok(behind) => is_behind = behind,
            Err(Fault::Storage(error)) => return Err(error),
            Err(fault) => tracing::error!(error = %StoreError::from(fault), "a sweep of the store failed"),
        }
        Ok(())
    });
    if let Err(error) = swept {
        tracing::error!(%error, "a sweep of the store failed");
        shared.reopen();
        return false;
    }
    is_behind
}

#[cfg(test)]
mod tests;
