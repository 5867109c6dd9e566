//! Samples of what replicas and Redis occupy, and whether they grow.

use std::time::Instant;

use super::traffic::Traffic;
use crate::support::redis::RedisServer;
use crate::support::relay::Replica;

const MIB: f64 = 1024.0 * 1024.0;
/// How much a process may grow over the second half: this share of what it has, and at least so much in MiB. A leak of
/// 20 bytes a message would be 17 MiB in half an hour's worth.
const GROWTH: f64 = 0.05;
const LEAST_GROWTH: f64 = 2.0;

/// Removes from one page of keys what a day would have removed: keys of repeats and nonces, and replies that are done.
/// Only what has a life that ends is removed: anything else is taken for growth.
const LAPSE: &str = "
local page = redis.call('SCAN', ARGV[1], 'COUNT', 1000)
for _, key in ipairs(page[2]) do
    local lapses = key:find(':once:', 1, true) or key:find(':nonce:', 1, true)
        or (key:find('}:reply:', 1, true) and redis.call('HEXISTS', key, 'b') == 0)
    if lapses and redis.call('PTTL', key) > 0 then
        redis.call('UNLINK', key)
    end
end
return page[1]
";

/// Figures of one moment, memory in MiB.
struct Sample {
    at: Instant,
    messages: usize,
    sockets: usize,
    replicas: Vec<f64>,
    redis: f64,
    keys: usize,
}

/// What was seen so far. Printed when it is dropped, however that comes.
#[derive(Default)]
pub struct Samples(Vec<Sample>);

impl Samples {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes one, once what has had its day in the store is gone from it.
    pub fn take(&mut self, traffic: &Traffic, replicas: &[Replica], redis: &RedisServer) {
        let mut cursor = "0".to_owned();
        loop {
            cursor = redis.cli(&["EVAL", LAPSE, "0", &cursor]);
            assert!(cursor.parse::<u64>().is_ok(), "{cursor}");
            if cursor == "0" {
                break;
            }
        }
        let info = redis.cli(&["INFO", "MEMORY"]);
        let used = info.lines().find_map(|line| line.trim().strip_prefix("used_memory:")?.parse::<f64>().ok());
        self.0.push(Sample {
            at: Instant::now(),
            messages: traffic.taken(),
            sockets: traffic.sockets(),
            replicas: replicas.iter().map(|replica| replica.resident_bytes() as f64 / MIB).collect(),
            redis: used.expect("Redis says what it uses") / MIB,
            keys: redis.cli(&["DBSIZE"]).parse().unwrap(),
        });
    }

    /// The second half must be flat.
    pub fn are_flat(&self) {
        let half = &self.0[self.0.len() / 2..];
        let replicas = (0..half[0].replicas.len()).map(|n| (format!("replica {n}"), growth(half, |it| it.replicas[n])));
        for (what, (grew, mean)) in replicas.chain([("Redis".to_owned(), growth(half, |it| it.redis))]) {
            println!("{what} grew by {grew:.2} MiB of {mean:.1} MiB in the second half");
            assert!(grew <= (GROWTH * mean).max(LEAST_GROWTH), "{what} grew by {grew:.2} MiB");
        }
    }
}

/// How much a figure rises from the first to the last sample on the line that fits best, and its mean.
fn growth(samples: &[Sample], figure: impl Fn(&Sample) -> f64) -> (f64, f64) {
    let time = |sample: &Sample| (sample.at - samples[0].at).as_secs_f64();
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / samples.len() as f64;
    let (mean_time, mean_figure) = (mean(&time), mean(&figure));
    let covariance = mean(&|it| (time(it) - mean_time) * (figure(it) - mean_figure));
    let variance = mean(&|it| (time(it) - mean_time).powi(2));
    (covariance / variance * time(&samples[samples.len() - 1]), mean_figure)
}

impl Drop for Samples {
    fn drop(&mut self) {
        let Some(first) = self.0.first() else { return };
        println!("\n| s | messages | sockets opened | replicas, MiB | Redis, MiB | keys |\n|---|---|---|---|---|---|");
        // About thirty lines, and the last one.
        let every = self.0.len().div_ceil(30);
        for sample in self.0.iter().enumerate().filter(|(n, _)| n % every == 0 || n + 1 == self.0.len()).map(|it| it.1)
        {
            let replicas: Vec<_> = sample.replicas.iter().map(|mib| format!("{mib:.1}")).collect();
            println!(
                "| {} | {} | {} | {} | {:.1} | {} |",
                (sample.at - first.at).as_secs(),
                sample.messages,
                sample.sockets,
                replicas.join(", "),
                sample.redis,
                sample.keys
            );
        }
        println!();
    }
}
