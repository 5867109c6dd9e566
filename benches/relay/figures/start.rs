//! How soon a replica answers, and how large it is.

use std::time::{Duration, Instant};

use crate::Bench;
use crate::failure::Outcome;
use crate::process::{Keeps, Process, answers_200, free_port};
use crate::report::{Row, Target};

/// By when a replica should answer, in milliseconds.
const WITHIN_MS: f64 = 150.0;
/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// Measures the time from the start of the process to the first 200 on `/health`, on either store.
pub fn measure(bench: &Bench<'_>) -> Outcome<Vec<Row>> {
    let row = |store: &str| Row::new(format!("start: first 200, {store}"), "ms").aims_at(Target::AtMost(WITHIN_MS));
    let (mut on_redis, mut embedded) = (row("Redis"), row("embedded store"));
    let mut size = Row::new("start: size of the binary", "MiB");
    size.add(std::fs::metadata(bench.relay.binary)?.len() as f64 / (1024.0 * 1024.0));
    let redis = bench.redis()?;
    for _ in bench.runs("start") {
        on_redis.add(first_answer(bench, &Keeps::Redis(redis.port))?);
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        embedded.add(first_answer(bench, &Keeps::Embedded(dir.path()))?);
    }
    Ok(vec![on_redis, embedded, size])
}

fn first_answer(bench: &Bench<'_>, keeps: &Keeps<'_>) -> Outcome<f64> {
    let port = free_port()?;
    let begun = Instant::now();
    let _process = Process::start(bench.relay.binary, |command| bench.relay.prepare(command, port, keeps))?;
    while !answers_200(port, "/health") {
        std::thread::sleep(ASK_EVERY);
        if begun.elapsed() > Duration::from_secs(20) {
            return crate::failure::fail("a replica did not answer");
        }
    }
    Ok(begun.elapsed().as_secs_f64() * 1000.0)
}
