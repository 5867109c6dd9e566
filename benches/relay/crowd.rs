//! Crowds of connected users, in processes of their own: one process has too few file handles for all.

use std::io::BufRead as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::failure::{Outcome, fail};
use crate::floors::{Role, Worker};
use crate::sessions::User;
use crate::socket::Socket;

/// Sockets of one process.
const SOCKETS_EACH: usize = 10_000;
/// Sockets that are opened at the same time.
const OPENED_AT_ONCE: usize = 128;

/// Where a socket is opened: a port and a path.
#[derive(Serialize, Deserialize)]
struct Place(u16, String);

/// Users with a socket each. Dropped, their connections break.
pub struct Crowd {
    holders: Vec<Worker>,
    /// How many there are.
    pub size: usize,
}

impl Crowd {
    /// A crowd of nobody.
    pub fn new() -> Self {
        Self { holders: Vec::new(), size: 0 }
    }

    /// Opens a socket for each of these users, who are spread over these replicas.
    pub fn join(&mut self, ports: &[u16], users: &[User]) -> Outcome<()> {
        for users in users.chunks(SOCKETS_EACH) {
            let place = |(n, user): (usize, &User)| Place(ports[n % ports.len()], user.socket_path_from_now());
            let places: Vec<_> = users.iter().enumerate().map(place).collect();
            self.holders.push(Role::Hold.start_with(&serde_json::to_string(&places)?)?);
            self.size += users.len();
        }
        Ok(())
    }

    /// Messages that came to all of them so far.
    pub fn heard(&mut self) -> Outcome<usize> {
        let mut heard = 0;
        for holder in &mut self.holders {
            let answer = holder.ask("")?;
            heard += answer.parse::<usize>().map_or_else(|_| fail(answer.clone()), Ok)?;
        }
        Ok(heard)
    }
}

/// Opens the sockets that the first line of the input names; says at each line after it how many messages came.
pub fn hold() -> Outcome<()> {
    let mut lines = std::io::stdin().lock().lines();
    let places: Vec<Place> = serde_json::from_str(&lines.next().transpose()?.unwrap_or_default())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (heard, broken) = (Arc::new(AtomicU64::new(0)), Arc::new(OnceLock::new()));
    let sockets = runtime.block_on(open_all(places.into_iter().map(|Place(port, path)| (port, path)).collect()))?;
    for mut socket in sockets {
        let (heard, broken) = (heard.clone(), broken.clone());
        runtime.spawn(async move {
            loop {
                if let Err(failure) = socket.next().await.map(drop) {
                    // The first one is told.
                    let _ = broken.set(failure.to_string());
                    return;
                }
                heard.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    println!("ready");
    for line in lines {
        line?;
        match broken.get() {
            Some(failure) => println!("{failure}"),
            None => println!("{}", heard.load(Ordering::Relaxed)),
        }
    }
    Ok(())
}

/// Opens all of these, many at a time.
pub async fn open_all(places: Vec<(u16, String)>) -> Outcome<Vec<Socket>> {
    let (turns, mut tasks) = (Arc::new(Semaphore::new(OPENED_AT_ONCE)), JoinSet::new());
    for (port, path) in places {
        let turns = turns.clone();
        tasks.spawn(async move {
            let _turn = turns.acquire().await?;
            Socket::open(port, &path).await
        });
    }
    let mut sockets = Vec::with_capacity(tasks.len());
    while let Some(done) = tasks.join_next().await {
        sockets.push(done??);
    }
    Ok(sockets)
}
