//! Thousands of sockets lost at once, and all of them back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::Bench;
use crate::crowd::open_all;
use crate::failure::{Outcome, fail};
use crate::http::{Connection, sequence_of};
use crate::load::CONNECTIONS;
use crate::process::has_files_for;
use crate::report::{Row, Target};
use crate::sessions::{self, User};
use crate::socket::Socket;

use super::sockets::SOCKETS;

/// Messages that wait for each of them.
const WAITING: usize = 20;
/// By when all should have all, in seconds.
const WITHIN_S: f64 = 10.0;
/// After so long a storm counts as one that does not end.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What the relay asks for when it is too busy (503): the pause before the next try.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Kills a replica that holds all sockets, posts messages for each, then has all users connect to another replica at
/// the same moment. Measures until each of them has all messages, once and in order.
pub fn measure(bench: &Bench<'_>) -> Outcome<Vec<Row>> {
    let count = bench.many(SOCKETS);
    has_files_for(count)?;
    let mut time =
        Row::new(format!("storm: {count} sockets, {WAITING} messages each"), "s").aims_at(Target::AtMost(WITHIN_S));
    let mut refused = Row::new("storm: connections that were told to come again", "");
    let redis = bench.redis()?;
    let replicas = bench.relay.start_many(1, redis.port)?;
    let stays = &replicas[0];
    bench.runtime.block_on(async {
        let users = sessions::register(stays.port, count).await?;
        for _ in bench.runs("storm") {
            let mut dies = bench.relay.start_many(1, redis.port)?.remove(0);
            let places = users.iter().map(|user| (dies.port, user.socket_path_from_now()));
            let lost = open_all(places.collect()).await?;
            // Where each user goes on, as a client remembers it.
            let paths: Vec<_> = users.iter().map(User::socket_path_from_now).collect();
            dies.process.kill();
            drop(lost);
            post_to_all(stays.port, &users).await?;
            let begun = Instant::now();
            let (mut tasks, refusals) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
            for (n, path) in paths.into_iter().enumerate() {
                tasks.spawn(catch_up(stays.port, path, n * WAITING, refusals.clone()));
            }
            let all_back = async {
                let mut sockets = Vec::with_capacity(count);
                while let Some(done) = tasks.join_next().await {
                    sockets.push(done??);
                }
                Outcome::Ok(sockets)
            };
            let Ok(sockets) = timeout(TIMEOUT, all_back).await else { return fail("a storm did not end") };
            // They stay until the last one has everything.
            let sockets = sockets?;
            time.add(begun.elapsed().as_secs_f64());
            refused.add(refusals.load(Ordering::Relaxed) as f64);
            drop(sockets);
        }
        Outcome::Ok(())
    })?;
    Ok(vec![time, refused])
}

/// Posts the messages, each user's in order.
async fn post_to_all(port: u16, users: &[User]) -> Outcome<()> {
    let mut tasks = JoinSet::new();
    for first in 0..CONNECTIONS {
        let mut connection = Connection::open(port).await?;
        let mine = users.iter().enumerate().skip(first).step_by(CONNECTIONS);
        let mut webhooks: Vec<_> = mine.map(|(n, user)| (n, user.webhook())).collect();
        tasks.spawn(async move {
            for message in 0..WAITING {
                for (n, webhook) in &mut webhooks {
                    connection.exchange(webhook.numbered(*n * WAITING + message), 200).await?;
                }
            }
            Outcome::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Opens a socket, as often as it takes, and reads the messages, whose numbers begin with this one.
async fn catch_up(port: u16, path: String, first: usize, refusals: Arc<AtomicU64>) -> Outcome<Socket> {
    let mut socket = loop {
        match Socket::try_open(port, &path).await? {
            Ok(socket) => break socket,
            Err(503) => {
                refusals.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(RETRY_AFTER).await;
            }
            Err(status) => return fail(format!("a socket was answered {status}")),
        }
    };
    for expected in first..first + WAITING {
        let came = sequence_of(socket.next().await?);
        if came != Some(expected) {
            return fail(format!("message {came:?} came instead of {expected}"));
        }
    }
    Ok(socket)
}
