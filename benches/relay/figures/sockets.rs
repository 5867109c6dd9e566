//! What an idle socket takes in memory.

use std::time::Duration;

use crate::Bench;
use crate::crowd::open_all;
use crate::failure::{Outcome, fail};
use crate::floors::Role;
use crate::process::{Keeps, Process, has_files_for};
use crate::redis::RedisServer;
use crate::report::{Row, Target};
use crate::sessions::{self, User};

/// How many there are.
pub const SOCKETS: usize = 10_000;
/// How long sockets are left alone before they are measured: each has renewed its place by then.
const SETTLE: Duration = Duration::from_secs(14);
/// How long the replica may take to give everything back.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Measures replica and Redis with as many sessions as sockets, beside sockets that nobody sends anything.
pub fn measure(bench: &Bench<'_>) -> Outcome<Vec<Row>> {
    let count = bench.many(SOCKETS);
    has_files_for(count)?;
    let mut replica_row =
        Row::new(format!("sockets: replica, each of {count}"), "KiB").beside("actix-ws").aims_at(Target::AtMost(17.0));
    let mut redis_row = Row::new(format!("sockets: Redis, each of {count}"), "KiB").aims_at(Target::AtMost(1.0));
    let redis = bench.redis()?;
    let registrar = bench.relay.start(&Keeps::Redis(redis.port))?;
    bench.runtime.block_on(async {
        let users = sessions::register(registrar.port, count).await?;
        for _ in bench.runs("sockets") {
            // What a process has allocated once it keeps, so each run has its own.
            let replica = bench.relay.start(&Keeps::Redis(redis.port))?;
            let floor = Role::Push.start()?;
            let (keys, used) = (redis.keys()?, redis.used_memory()?);
            let paths = users.iter().map(User::socket_path_from_now);
            let taken = memory_of(bench, &replica.process, replica.port, paths.collect(), async || {
                redis_row.add((redis.used_memory()? - used) / count as f64 / 1024.0);
                Ok(())
            });
            let taken = taken.await?;
            everything_is_given_back(&redis, keys).await?;
            let paths = vec!["/idle".to_owned(); count];
            let least = memory_of(bench, &floor.process, floor.port, paths, async || Ok(())).await?;
            replica_row.add_beside(taken, least);
        }
        Outcome::Ok(())
    })?;
    Ok(vec![replica_row, redis_row])
}

/// KiB of a process for each of some sockets that are opened at it. `meanwhile` is done while they are open.
async fn memory_of(
    bench: &Bench<'_>,
    process: &Process,
    port: u16,
    paths: Vec<String>,
    meanwhile: impl AsyncFnOnce() -> Outcome<()>,
) -> Outcome<f64> {
    let (count, before) = (paths.len(), process.memory()?);
    let sockets = open_all(paths.into_iter().map(|path| (port, path)).collect()).await?;
    tokio::time::sleep(if bench.is_quick { Duration::from_secs(1) } else { SETTLE }).await;
    let taken = process.memory()? - before;
    meanwhile().await?;
    drop(sockets);
    Ok(taken / count as f64 / 1024.0)
}

/// Waits until Redis has no more keys than it had.
async fn everything_is_given_back(redis: &RedisServer, keys: usize) -> Outcome<()> {
    let end = tokio::time::Instant::now() + LEAVE_TIMEOUT;
    while redis.keys()? > keys {
        if tokio::time::Instant::now() > end {
            return fail("a replica did not give back the places of its sockets");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
