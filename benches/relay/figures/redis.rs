//! What a message costs Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Bench;
use crate::failure::{Outcome, fail};
use crate::http::Connection;
use crate::load::{CONNECTIONS, WARM_UP, closed_loop};
use crate::process::Keeps;
use crate::redis::{RedisClient, RedisServer, pack};
use crate::report::{Row, Target};
use crate::sessions::{self, User};

/// Measures it beside the same script on the same arguments, called by a client that keeps as many calls under way as
/// there are webhooks, over as many connections as the replica has for them.
pub fn measure(bench: &Bench<'_>) -> Outcome<Vec<Row>> {
    let mut cost = Row::new("redis", "µs").beside("the script, pipelined").aims_at(Target::RatioAtMost(1.4));
    let redis = bench.redis()?;
    let replica = bench.relay.start(&Keeps::Redis(redis.port))?;
    bench.runtime.block_on(async {
        let users = sessions::register(replica.port, CONNECTIONS).await?;
        let calls = calls_of(&redis, replica.port, &users).await?;
        for _ in bench.runs("redis") {
            let costs = || Ok(vec![redis.process.cpu_us()?]);
            let webhooks = users.iter().map(User::webhook);
            let taken = closed_loop(replica.port, webhooks, bench.stretch(), costs).await?;
            let least = pipelined(&redis, &calls, bench.stretch())?;
            cost.add_beside(taken.costs[0], least);
        }
        Outcome::Ok(())
    })?;
    Ok(vec![cost])
}

/// The calls with which the replica stores a webhook of each of these users, as Redis saw them.
async fn calls_of(redis: &RedisServer, port: u16, users: &[User]) -> Outcome<Vec<Vec<u8>>> {
    let mut monitor = redis.client()?.monitor()?;
    let (mut connection, mut calls) = (Connection::open(port).await?, Vec::new());
    for user in users {
        connection.exchange(user.webhook().numbered(0), 200).await?;
        calls.push(pack(&monitor.script_call_with(&user.channel)?));
    }
    Ok(calls)
}

/// Microseconds of Redis for each of these calls, made again and again.
fn pipelined(redis: &RedisServer, calls: &[Vec<u8>], time: Duration) -> Outcome<f64> {
    // A replica has a connection for each of its workers, and as many workers as there are processors.
    let connections = std::thread::available_parallelism()?.get();
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut callers: Vec<JoinHandle<Outcome<()>>> = Vec::new();
    for calls in calls.chunks(calls.len().div_ceil(connections)) {
        let (mut client, calls) = (redis.client()?, calls.to_vec());
        let (stop, answered) = (stop.clone(), answered.clone());
        callers.push(std::thread::spawn(move || keep_under_way(&mut client, &calls, &stop, &answered)));
    }
    std::thread::sleep(WARM_UP);
    let (before, count) = (redis.process.cpu_us()?, answered.load(Ordering::Relaxed));
    std::thread::sleep(time);
    let spent = redis.process.cpu_us()? - before;
    let count = answered.load(Ordering::Relaxed) - count;
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        match caller.join() {
            Ok(done) => done?,
            Err(_) => return fail("a caller of Redis broke"),
        }
    }
    Ok(spent / count as f64)
}

/// Keeps all of these calls under way: each is made again as soon as one was answered.
fn keep_under_way(client: &mut RedisClient, calls: &[Vec<u8>], stop: &AtomicBool, answered: &AtomicU64) -> Outcome<()> {
    let mut next = calls.iter().cycle();
    client.send(&calls.concat())?;
    while !stop.load(Ordering::Relaxed) {
        let mut packed = Vec::new();
        // All answers that are there, then as many new calls in one write.
        loop {
            client.reply()?;
            answered.fetch_add(1, Ordering::Relaxed);
            packed.extend(next.next().into_iter().flatten());
            if !client.has_more() {
                break;
            }
        }
        client.send(&packed)?;
    }
    Ok(())
}
