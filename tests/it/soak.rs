//! An hour's worth of mixed traffic as fast as the machine takes it: nothing fails, nothing is lost, and neither
//! replicas nor Redis grow with what has passed through them.
//!
//! `tests/run soak` runs it. A few seconds of it are tried with the other tests, which show that the traffic flows; they
//! say nothing about memory.

mod memory;
mod traffic;

use std::time::{Duration, Instant};

use memory::Samples;
use tokio::time::sleep;
use traffic::Traffic;

use crate::support::balancer::Deployment;
use crate::support::operator::with_password;
use crate::support::redis::RedisServer;
use crate::support::relay::Setup;

/// Messages of an hour at 500 a second.
const HOUR: usize = 3600 * 500;
/// Says how many minutes it shall last, instead of an hour's worth of messages. Set by `tests/run soak <minutes>`.
const MINUTES: &str = "SOAK_MINUTES";
/// Pause between two samples of memory.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// Samples that are needed to say whether something grows.
const LEAST_SAMPLES: usize = 10;

/// Lets everybody go on until so many messages were taken or the time is up.
async fn soak(messages: usize, at_most: Duration, samples: &mut Samples) {
    let redis = RedisServer::start();
    // What a replica logs of every request would be the tests' to keep.
    let setup = with_password(Setup::on_server(&redis)).with("LOG_LEVEL", "warn");
    let Deployment { front, replicas, .. } = Deployment::start(setup).await;
    let traffic = Traffic::start(front).await;
    let began = Instant::now();
    while traffic.taken() < messages && began.elapsed() < at_most {
        traffic.is_at_work();
        samples.take(&traffic, &replicas, &redis);
        let left = at_most.saturating_sub(began.elapsed());
        sleep(left.min(SAMPLE_EVERY)).await;
    }
    traffic.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hours_worth_of_mixed_traffic_flows_for_a_few_seconds() {
    soak(HOUR, Duration::from_secs(4), &mut Samples::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes many minutes: `tests/run soak` runs it"]
async fn an_hours_worth_of_mixed_traffic_leaves_memory_flat() {
    let minutes = std::env::var(MINUTES).ok().filter(|text| !text.is_empty());
    let minutes = minutes.map(|text| text.parse::<u64>().expect("SOAK_MINUTES is a number"));
    let (messages, at_most) = match minutes {
        Some(minutes) => (usize::MAX, Duration::from_secs(60 * minutes)),
        None => (HOUR, Duration::MAX),
    };
    let mut samples = Samples::default();
    soak(messages, at_most, &mut samples).await;
    assert!(samples.len() >= LEAST_SAMPLES, "too short to say anything about memory");
    samples.are_flat();
}
