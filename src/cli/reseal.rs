//! `chaos-relay reseal`: every secret in the store comes under the first key.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use chaos_relay::app::{self, ProbeError, ResealStep, Resealed};
use chaos_relay::config::Config;
use clap::Args;

use super::fail;

/// How often it says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// What `reseal` is told. Replicas may be at work meanwhile, all with the same list of keys; the embedded store's must
/// be stopped. A run that broke off is made good by another.
#[derive(Args)]
pub struct ResealArguments {
    /// Change nothing: count by key what is sealed, and try whether it opens
    #[arg(long)]
    dry_run: bool,
}

/// Seals anew what is not under the first key, and says what it found. It fails if anything could not be opened.
pub async fn run(arguments: ResealArguments) -> ExitCode {
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => return fail(error),
    };
    let mut first = String::new();
    let mut said = Instant::now();
    let done = app::reseal(&config, arguments.dry_run, |step| match step {
        ResealStep::Begun { store, keys } => {
            let (sealing, others) = keys.ids();
            first = sealing.to_owned();
            let others: Vec<_> = others.collect();
            let also = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
            println!("store: {store}; key that seals: {first}; others that open: {also}");
        }
        ResealStep::SoFar(so_far) if said.elapsed() >= PROGRESS_EVERY => {
            said = Instant::now();
            println!("{} looked at, {} of them older", so_far.total(), so_far.anew);
        }
        ResealStep::SoFar(_) => {}
    })
    .await;
    match done {
        Ok(done) => conclude(&done, &first, arguments.dry_run),
        Err(ProbeError::Store(error)) => fail(format!("{error}; what was done is done, run it again for the rest")),
        Err(error) => fail(error),
    }
}

fn conclude(done: &Resealed, first: &str, dry_run: bool) -> ExitCode {
    for (key, count) in &done.keys {
        println!("found under key {key}: {count}");
    }
    let kinds: Vec<_> = done.unopened.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
    let unopened: u64 = done.unopened.values().sum();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    let anew = if dry_run { "to be sealed anew" } else { "sealed anew" };
    println!("{} {anew}, {} already under key {first}, {unopened} could not be opened{kinds}", done.anew, done.already);
    if done.contested > 0 {
        println!("{} changed all the while and were left: run it again", done.contested);
    }
    if !dry_run && done.anew > 0 {
        println!(
            "What answers a single message stays under the key it was sealed with, and is of no use after a day: wait a \
             day before the old key leaves the list, and run `chaos-relay reseal --dry-run` first."
        );
    }
    if !done.is_whole() {
        return fail("not everything is under the first key; an older key may be missing in CHAOS_ENCRYPTION_KEY");
    }
    ExitCode::SUCCESS
}
