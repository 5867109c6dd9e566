//! `chaos-relay check`: are the settings right, and does the store work?

use std::process::ExitCode;
use std::time::Instant;

use chaos_relay::app;
use chaos_relay::config::Config;

use super::fail;

/// Prints the settings in force, secrets masked, then writes to the store and reads it back.
pub async fn run() -> ExitCode {
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => return fail(error),
    };
    for setting in &config.effective {
        let (value, origin) = match (setting.value.as_str(), setting.is_set) {
            ("", _) => ("(not set)", ""),
            (value, true) => (value, ""),
            (value, false) => (value, "  (default)"),
        };
        println!("{:<30} {value}{origin}", setting.name);
    }
    let started = Instant::now();
    match app::probe(&config).await {
        Ok(store) => {
            println!("\nstore: {store}, written and read in {} ms", started.elapsed().as_millis());
            ExitCode::SUCCESS
        }
        Err(error) => fail(error),
    }
}
