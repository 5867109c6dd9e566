//! The command line.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A self-hostable message relay that gives personal AI agents a public address.
///
/// Settings come from the environment; the README lists them. Without a command it serves.
#[derive(Parser)]
#[command(name = "chaos-relay", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the relay (the default)
    Serve,
    /// Print the settings in force and prove that the store can be written and read
    Check,
    /// Exit 0 if the relay on this machine can take traffic, else 1
    Healthcheck,
    /// Seal every secret in the store anew, under the first key of CHAOS_ENCRYPTION_KEY
    Reseal(cli::reseal::ResealArguments),
    /// Make a webhook, or register a bot or a mailbox, and print every message that comes in
    Tail(cli::tail::TailArguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Everything runs on actix's runtime, since its HTTP client knows no other.
    actix_web::rt::System::new().block_on(async {
        match arguments.command.unwrap_or(Command::Serve) {
            Command::Serve => cli::serve::run().await,
            Command::Check => cli::check::run().await,
            Command::Healthcheck => cli::healthcheck::run().await,
            Command::Reseal(arguments) => cli::reseal::run(arguments).await,
            Command::Tail(arguments) => cli::tail::run(arguments).await,
        }
    })
}
