//! Making the calls of the platforms' APIs.
//!
//! The clients cannot leave their thread, so there is one thread for all of them. Platforms share this thread
//! and nothing that could fill up: each has its own places for calls, its own connections and its own look-ups
//! of names, and a platform that is down slows no other.

mod exchange;
mod failure;
mod lookup;
mod platforms;

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, timeout_at};

use super::api::{ApiAnswer, ApiCall, CallError};
use exchange::Exchange;
use platforms::{PLATFORMS, Platforms};

/// Calls of one platform that are under way at a time. Enough for some hundred replies a second.
const UNDER_WAY: usize = 32;
/// Calls of one platform that wait for the others. More could hardly be made before their time is up.
const WAITING: usize = 256;

/// How long calls may take.
#[derive(Clone, Copy, Debug)]
pub struct ApiClientSettings {
    /// Finding and reaching the platform; once more for the handshake of TLS.
    pub connect_timeout: Duration,
    /// The whole call, from waiting for a place to the end of the answer's body.
    pub call_timeout: Duration,
}

impl Default for ApiClientSettings {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), call_timeout: Duration::from_secs(30) }
    }
}

/// Makes calls. All clones share one thread, which ends with the last of them.
///
/// Redirects are not followed but given back, since they would carry a token to another host. Proxies are not
/// used, nor is compression, which could make a small answer a large one.
#[derive(Clone)]
pub struct ApiClient {
    places: Arc<Platforms<Arc<Semaphore>>>,
    jobs: mpsc::Sender<Job>,
    call_timeout: Duration,
}

/// A call on its way to the thread.
struct Job {
    call: ApiCall,
    deadline: Instant,
    place: OwnedSemaphorePermit,
    answer: oneshot::Sender<Result<ApiAnswer, CallError>>,
}

impl ApiClient {
    /// Starts the thread.
    pub fn start(settings: ApiClientSettings) -> io::Result<Self> {
        // A failure means that the process has a provider already, which does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Builder::new_current_thread().enable_all().thread_name("platform-lookup").build()?;
        // Whatever is in the queue holds a place, so the queue is never full.
        let (jobs, queue) = mpsc::channel(PLATFORMS * (UNDER_WAY + WAITING));
        thread::Builder::new().name("platform-calls".to_owned()).spawn(move || {
            LocalSet::new().block_on(&runtime, serve(queue, settings));
            // Not to wait for a look-up that hangs.
            runtime.shutdown_background();
        })?;
        let places = Platforms::new(|| Arc::new(Semaphore::new(UNDER_WAY + WAITING)));
        Ok(Self { places: Arc::new(places), jobs, call_timeout: settings.call_timeout })
    }

    /// Makes a call. To drop the future is to break the call off.
    ///
    /// [`CallError::Busy`]: the platform has no place for it, or none became free in time; the call was not made.
    pub async fn call(&self, call: ApiCall) -> Result<ApiAnswer, CallError> {
        let places = Arc::clone(self.places.of(call.platform));
        let place = places.try_acquire_owned().map_err(|_| CallError::Busy)?;
        let deadline = Instant::now() + self.call_timeout;
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(Job { call, deadline, place, answer }).map_err(|_| failure::stopped())?;
        answered.await.unwrap_or_else(|_| Err(failure::stopped()))
    }
}

/// One platform's share of the thread.
struct Lane {
    under_way: Semaphore,
    exchange: Exchange,
    call_timeout: Duration,
}

impl Lane {
    fn new(settings: &ApiClientSettings) -> Self {
        let exchange = Exchange::new(settings.connect_timeout, UNDER_WAY);
        Self { under_way: Semaphore::new(UNDER_WAY), exchange, call_timeout: settings.call_timeout }
    }

    async fn make(&self, call: ApiCall, deadline: Instant) -> Result<ApiAnswer, CallError> {
        let Ok(Ok(_permit)) = timeout_at(deadline, self.under_way.acquire()).await else {
            return Err(CallError::Busy);
        };
        // Others may have made room only by running out of time themselves.
        if Instant::now() >= deadline {
            return Err(CallError::Busy);
        }
        let answered = timeout_at(deadline, self.exchange.make(call)).await;
        answered.unwrap_or_else(|_| Err(failure::no_answer_within(self.call_timeout)))
    }
}

/// Takes jobs until the last client is gone.
async fn serve(mut queue: mpsc::Receiver<Job>, settings: ApiClientSettings) {
    let lanes = Platforms::new(|| Rc::new(Lane::new(&settings)));
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            job = queue.recv() => match job {
                Some(job) => drop(calls.spawn_local(carry_out(Rc::clone(lanes.of(job.call.platform)), job))),
                None => break,
            },
            Some(ended) = calls.join_next() => {
                if ended.is_err() {
                    // What it says could hold anything, a token included.
                    tracing::error!("a call of a platform panicked");
                }
            }
        }
    }
    calls.shutdown().await;
}

async fn carry_out(lane: Rc<Lane>, job: Job) {
    let Job { call, deadline, place, mut answer } = job;
    let made = tokio::select! {
        // Nobody waits for it any more.
        () = answer.closed() => return,
        made = lane.make(call, deadline) => made,
    };
    // Free before the answer is known, so that the next call finds it.
    drop(place);
    let _ = answer.send(made);
}

#[cfg(test)]
mod tests;
