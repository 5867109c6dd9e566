//! What the relay costs, beside what it must cost at least.
//!
//! A private Redis, real replicas and the floors are processes of their own; this one makes the load. A figure and its
//! floor are measured in turn within one run, and only their ratio within that run is compared with a target, since
//! machines are noisy and differ. A run in which anything goes wrong prints no figures.

mod crowd;
mod failure;
mod figures;
mod floors;
mod http;
mod load;
mod paced;
mod process;
mod redis;
mod report;
mod sessions;
mod socket;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::failure::{Outcome, fail};
use crate::process::Relay;
use crate::redis::RedisServer;

/// Measure the relay: `cargo bench`, or `cargo bench -- <filter>` for some of the figures.
#[derive(Parser)]
#[command(name = "cargo bench --", disable_help_subcommand = true)]
struct Arguments {
    /// Measure only figures whose names contain one of these
    filters: Vec<String>,
    /// Measure everything so often, for the median
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    runs: u16,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Run once, small and short: to see that everything works, not for its figures
    #[arg(long)]
    quick: bool,
    /// Name the figures and end
    #[arg(long)]
    list: bool,
    /// Measure this binary in place of the one that was just built
    #[arg(long, value_name = "PATH", default_value = env!("CARGO_BIN_EXE_chaos-relay"))]
    relay: PathBuf,
    /// A setting for the replicas, such as LOG_LEVEL=warn; can be given more than once
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = read_setting)]
    settings: Vec<(String, String)>,
    /// Sent along by cargo.
    #[arg(long, hide = true)]
    bench: bool,
    /// Be one of the processes of a run.
    #[arg(long, hide = true)]
    role: Option<floors::Role>,
}

fn read_setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a setting is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What every figure is measured with.
pub struct Bench<'a> {
    relay: Relay<'a>,
    runs: u16,
    is_quick: bool,
    runtime: tokio::runtime::Runtime,
}

impl Bench<'_> {
    /// The numbers of the runs; tells whoever waits how far it is.
    fn runs(&self, name: &str) -> impl Iterator<Item = u16> {
        let (runs, name) = (self.runs, name.to_owned());
        (1..=runs).inspect(move |run| eprintln!("{name}: run {run} of {runs}"))
    }

    /// How long one stretch of load is measured.
    fn stretch(&self) -> Duration {
        if self.is_quick { Duration::from_millis(500) } else { Duration::from_secs(4) }
    }

    /// How long processes are left alone before what they need with nothing to do is measured.
    fn settling(&self) -> Duration {
        if self.is_quick { Duration::from_millis(200) } else { Duration::from_secs(2) }
    }

    /// This many, or a few when it only has to be seen that all works.
    fn many(&self, count: usize) -> usize {
        if self.is_quick { count.div_ceil(50) } else { count }
    }

    fn redis(&self) -> Outcome<RedisServer> {
        RedisServer::start()
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.role {
        Some(role) => role.play(),
        None => process::raise_file_limit().and_then(|()| measure(&arguments)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("no figures: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Outcome<()> {
    let is_wanted = |name: &str| {
        arguments.filters.is_empty() || arguments.filters.iter().any(|filter| name.contains(filter.as_str()))
    };
    let wanted: Vec<_> = figures::ALL.iter().filter(|figure| is_wanted(figure.name)).collect();
    if wanted.is_empty() {
        return fail("none has such a name; --list names them");
    }
    if arguments.list {
        wanted.iter().for_each(|figure| println!("{}: {}", figure.name, figure.about));
        return Ok(());
    }
    let bench = Bench {
        relay: Relay { binary: &arguments.relay, settings: &arguments.settings },
        runs: if arguments.quick { 1 } else { arguments.runs },
        is_quick: arguments.quick,
        runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
    };
    let mut rows = Vec::new();
    for figure in wanted {
        rows.extend((figure.measure)(&bench).map_err(|failure| failure.during(figure.name))?);
    }
    if arguments.json {
        println!("{:#}", report::to_json(&rows));
    } else {
        print!("{}", report::table(&rows));
    }
    Ok(())
}
