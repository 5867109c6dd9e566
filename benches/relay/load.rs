//! Closed-loop load: each of some connections sends its next request when the last one is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::failure::{Outcome, fail};
use crate::http::{Connection, Request};

/// Requests that are under way at the same time, each on a connection of its own.
pub const CONNECTIONS: usize = 64;
/// How long a load runs before it is measured.
pub const WARM_UP: Duration = Duration::from_millis(500);

/// A load that runs until it is stopped.
pub struct Load {
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Outcome<()>>,
}

impl Load {
    /// Begins to send these requests, each again and again on a connection of its own.
    pub async fn start(port: u16, requests: impl IntoIterator<Item = Request>) -> Outcome<Self> {
        Self::start_lists(requests.into_iter().map(|request| (port, vec![request]))).await
    }

    /// The same with a list for each connection, and the port that it leads to. What is in one list is sent in turn.
    pub async fn start_lists(lists: impl IntoIterator<Item = (u16, Vec<Request>)>) -> Outcome<Self> {
        let (answered, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for (port, mut requests) in lists {
            let mut connection = Connection::open(port).await?;
            let (answered, stop) = (answered.clone(), stop.clone());
            tasks.spawn(async move {
                let count = requests.len();
                for sequence in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    connection.exchange(requests[sequence % count].numbered(sequence), 200).await?;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        Ok(Self { answered, stop, tasks })
    }

    /// Requests that were answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends it. Whatever went wrong on any connection is told now. Gives how many requests were answered in all.
    pub async fn stop(mut self) -> Outcome<u64> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(done) = self.tasks.join_next().await {
            done??;
        }
        Ok(self.answered())
    }
}

/// What a stretch of a load came to.
pub struct Stretch {
    /// Requests answered in a second.
    pub rate: f64,
    /// For each of the costs that were asked for, how much of it one request took.
    pub costs: Vec<f64>,
}

/// Runs these requests in a closed loop, and measures what `costs` tells before and after `time`.
pub async fn closed_loop(
    port: u16,
    requests: impl IntoIterator<Item = Request>,
    time: Duration,
    costs: impl Fn() -> Outcome<Vec<f64>>,
) -> Outcome<Stretch> {
    let load = Load::start(port, requests).await?;
    tokio::time::sleep(WARM_UP).await;
    let (before, answered, begun) = (costs()?, load.answered(), Instant::now());
    tokio::time::sleep(time).await;
    let (after, elapsed) = (costs()?, begun.elapsed());
    let count = (load.answered() - answered) as f64;
    load.stop().await?;
    if count == 0.0 {
        return fail("nothing was answered");
    }
    let costs = after.iter().zip(&before).map(|(after, before)| (after - before) / count).collect();
    Ok(Stretch { rate: count / elapsed.as_secs_f64(), costs })
}

/// Sends each of these requests once, to the ports of their lists: the lists side by side, what is in one list one after
/// the other.
pub async fn all_once(lists: Vec<(u16, Vec<Request>)>) -> Outcome<()> {
    let mut tasks = JoinSet::new();
    for (port, list) in lists {
        let mut connection = Connection::open(port).await?;
        tasks.spawn(async move {
            for (sequence, mut request) in list.into_iter().enumerate() {
                connection.exchange(request.numbered(sequence), 200).await?;
            }
            Outcome::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}
