//! Whether a message costs the same however many replicas there are, and however many users are connected.

use std::time::{Duration, Instant};

use crate::Bench;
use crate::crowd::Crowd;
use crate::failure::{Outcome, fail};
use crate::load::{CONNECTIONS, Load, WARM_UP, all_once};
use crate::process::{Replica, cpu_of, has_files_for};
use crate::redis::RedisServer;
use crate::report::{Row, Target};
use crate::sessions::{self, User};

/// How many replicas there are, from one time to the next.
const REPLICAS: [usize; 4] = [1, 2, 4, 8];
/// Users who are connected while the replicas become more.
const USERS: usize = 1000;
/// How many users are connected, from one time to the next.
const CONNECTED: [usize; 3] = [1000, 10_000, 50_000];
/// Replicas that hold them: none needs more file handles than a system usually gives.
const HOLDERS: usize = 4;
/// How much more a message may cost than with the fewest.
const FLAT: f64 = 1.15;
/// In this time each idle socket renews its place once, on average: so long is measured where they are many.
const RENEWAL: Duration = Duration::from_secs(11);
/// How long the last messages may take.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(20);

/// Rows of costs, each beside the first.
struct Rows {
    busy: Vec<Row>,
    idle: Vec<Row>,
}

impl Rows {
    fn new(names: &[String], first: &'static str) -> Self {
        let busy = |name: &String| {
            let row = Row::new(format!("scale: a message with {name}"), "µs").beside(first);
            if *name == names[0] { row } else { row.aims_at(Target::RatioAtMost(FLAT)) }
        };
        let idle = |name: &String| Row::new(format!("scale: idle with {name}"), "ms/s");
        Self { busy: names.iter().map(busy).collect(), idle: names.iter().map(idle).collect() }
    }

    fn add(&mut self, costs: &[Cost]) {
        for (n, cost) in costs.iter().enumerate() {
            self.busy[n].add_beside(cost.message, costs[0].message);
            self.idle[n].add(cost.idle);
        }
    }

    fn into_rows(self) -> impl Iterator<Item = Row> {
        self.busy.into_iter().chain(self.idle)
    }
}

/// Measures both.
pub fn measure(bench: &Bench<'_>) -> Outcome<Vec<Row>> {
    let replicas = by_replicas(bench)?;
    let users = by_users(bench)?;
    Ok(replicas.into_rows().chain(users.into_rows()).collect())
}

fn by_replicas(bench: &Bench<'_>) -> Outcome<Rows> {
    let mut rows =
        Rows::new(&REPLICAS.map(|count| format!("{count} replica{}", if count == 1 { "" } else { "s" })), "1 replica");
    let redis = bench.redis()?;
    let users = {
        let registrar = bench.relay.start_many(1, redis.port)?;
        bench.runtime.block_on(sessions::register(registrar[0].port, bench.many(USERS)))?
    };
    for _ in bench.runs("scale, by replicas") {
        let mut costs = Vec::new();
        for count in REPLICAS {
            let replicas = bench.relay.start_many(count, redis.port)?;
            let mut crowd = Crowd::new();
            crowd.join(&ports_of(&replicas), &users)?;
            costs.push(cost(bench, &redis, &replicas, &mut crowd, &users, bench.stretch())?);
            // Dropped first, for a replica to give its places back before it is killed.
            drop(crowd);
            std::thread::sleep(bench.settling());
        }
        rows.add(&costs);
    }
    Ok(rows)
}

fn by_users(bench: &Bench<'_>) -> Outcome<Rows> {
    let counts = CONNECTED.map(|count| bench.many(count));
    has_files_for(counts[counts.len() - 1].div_ceil(HOLDERS))?;
    let mut rows = Rows::new(&counts.map(|count| format!("{count} users")), "the fewest users");
    let window = if bench.is_quick { bench.stretch() } else { RENEWAL };
    let redis = bench.redis()?;
    let replicas = bench.relay.start_many(HOLDERS, redis.port)?;
    let users = bench.runtime.block_on(sessions::register(replicas[0].port, counts[counts.len() - 1]))?;
    for _ in bench.runs("scale, by users") {
        let (mut costs, mut crowd) = (Vec::new(), Crowd::new());
        for count in counts {
            let joined = crowd.size;
            crowd.join(&ports_of(&replicas), &users[joined..count])?;
            costs.push(cost(bench, &redis, &replicas, &mut crowd, &users[..count], window)?);
        }
        rows.add(&costs);
        drop(crowd);
        std::thread::sleep(bench.settling());
    }
    Ok(rows)
}

fn ports_of(replicas: &[Replica]) -> Vec<u16> {
    replicas.iter().map(|replica| replica.port).collect()
}

/// What all replicas and Redis need together.
struct Cost {
    /// For one message, in microseconds, without what they need anyway.
    message: f64,
    /// With nothing to do, in milliseconds of processor time a second.
    idle: f64,
}

/// Measures it with messages to all of these users in turn, in a closed loop with as many connections to each replica,
/// so that a replica has as much to do at a time whether there are others or not. A webhook comes in at another replica
/// than the one that holds the user's socket, where there is another.
fn cost(
    bench: &Bench<'_>,
    redis: &RedisServer,
    replicas: &[Replica],
    crowd: &mut Crowd,
    users: &[User],
    window: Duration,
) -> Outcome<Cost> {
    let mut lists = Vec::new();
    for (place, port) in ports_of(replicas).into_iter().enumerate() {
        // The next replica's users.
        let first = (place + 1) % replicas.len();
        let there: Vec<_> = users.iter().skip(first).step_by(replicas.len()).map(User::webhook).collect();
        lists.extend(there.chunks(there.len().div_ceil(CONNECTIONS)).map(|list| (port, list.to_vec())));
    }
    let spent = || cpu_of(replicas.iter().map(|replica| &replica.process).chain([&redis.process]));
    bench.runtime.block_on(async {
        // The first message to a user costs more than those after it.
        all_once(lists.clone()).await?;
        tokio::time::sleep(bench.settling()).await;
        let (begun, before) = (Instant::now(), spent()?);
        tokio::time::sleep(window).await;
        let idle = (spent()? - before) / begun.elapsed().as_secs_f64();

        let heard = crowd.heard()?;
        let load = Load::start_lists(lists).await?;
        tokio::time::sleep(WARM_UP).await;
        let (begun, before, answered) = (Instant::now(), spent()?, load.answered());
        tokio::time::sleep(window).await;
        let busy = spent()? - before - idle * begun.elapsed().as_secs_f64();
        let count = (load.answered() - answered) as f64;
        let posted = load.stop().await?;
        all_heard(crowd, heard + usize::try_from(posted)?)?;
        Ok(Cost { message: busy / count, idle: idle / 1000.0 })
    })
}

fn all_heard(crowd: &mut Crowd, count: usize) -> Outcome<()> {
    let end = Instant::now() + ARRIVAL_TIMEOUT;
    loop {
        let heard = crowd.heard()?;
        if heard == count {
            return Ok(());
        }
        if heard > count || Instant::now() > end {
            return fail(format!("{heard} messages came instead of {count}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
