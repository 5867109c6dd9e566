//! `chaos-relay healthcheck`: can the relay on this machine take traffic? For containers.

use std::process::ExitCode;
use std::time::Duration;

use chaos_relay::config::Config;

use super::fail;

/// How long the answer may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the relay that runs with the same settings whether it is ready.
pub async fn run() -> ExitCode {
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => return fail(error),
    };
    let host = match config.host.as_str() {
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" | "[::]" => "[::1]".to_owned(),
        host if host.contains(':') && !host.starts_with('[') => format!("[{host}]"),
        host => host.to_owned(),
    };
    let url = format!("http://{host}:{}/health/ready", config.port);
    match awc::Client::builder().timeout(TIMEOUT).finish().get(&url).send().await {
        Ok(answer) if answer.status().is_success() => ExitCode::SUCCESS,
        Ok(answer) => fail(format!("{url} answered {}", answer.status())),
        Err(error) => fail(format!("{url} cannot be reached: {error}")),
    }
}
