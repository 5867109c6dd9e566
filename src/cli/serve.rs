//! `chaos-relay serve`: a replica, from start to stop.

use std::process::ExitCode;

use chaos_relay::app::{App, Patience};
use chaos_relay::config::{Config, EmailConfig, StoreConfig};
use chaos_relay::telemetry;
use tokio::signal::unix::{SignalKind, signal};

use super::fail;

/// Runs until it is told to stop.
pub async fn run() -> ExitCode {
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => return fail(error),
    };
    telemetry::logs::init(config.log);
    let (mut terminate, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(error), _) | (_, Err(error)) => return fail(format!("signals cannot be received: {error}")),
    };
    let app = match App::build(&config, None).await {
        Ok(app) => app,
        Err(error) => return fail(error),
    };
    announce(&config, &app);
    let stop = async {
        tokio::select! {
            Some(()) = terminate.recv() => Patience::Drain,
            Some(()) = interrupt.recv() => Patience::Hurry,
        }
    };
    app.run_until_stopped(stop).await;
    ExitCode::SUCCESS
}

/// Says in a few lines what runs where and what is not configured.
fn announce(config: &Config, app: &App) {
    let address = app.address();
    let (place, note) = if address.ip().is_unspecified() {
        (format!("http://localhost:{}", address.port()), " (every address of this machine)")
    } else {
        (format!("http://{address}"), "")
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), port = address.port(), "listening on {place}{note}");
    match &config.store {
        StoreConfig::Embedded { dir } => {
            tracing::info!("store: embedded, in {}; one replica only (REDIS_URL is not set)", dir.display());
        }
        StoreConfig::Redis { target, .. } if app.store_is_reachable() => {
            tracing::info!("store: Redis at {}", target.describe())
        }
        StoreConfig::Redis { target, .. } => {
            tracing::warn!(
                "store: Redis at {}, which cannot be reached yet; not ready until it can",
                target.describe()
            );
        }
    }
    if config.public_url.is_none() {
        tracing::info!(
            "CHAOS_PUBLIC_URL is not set: webhook URLs carry the host each client used, and no bot or mailbox can be \
             registered"
        );
    }
    match &config.email {
        EmailConfig { domain: Some(domain), api_key: Some(_), webhook_secrets, allow_unsigned } => {
            if webhook_secrets.is_empty() && !allow_unsigned {
                tracing::warn!("mail: sent from {domain}, but RESEND_WEBHOOK_SECRET is not set, so none comes in");
            } else if webhook_secrets.is_empty() {
                tracing::warn!(
                    "mail: {domain}; anybody can pretend to be the mail provider (CHAOS_EMAIL_ALLOW_UNSIGNED)"
                );
            } else {
                tracing::info!("mail: {domain}");
            }
        }
        _ => tracing::info!("mail: none (CHAOS_EMAIL_DOMAIN and RESEND_API_KEY are not both set)"),
    }
    match &config.admin_key {
        Some(_) => tracing::info!("operator's pages: {place}/admin"),
        None => tracing::info!("operator's pages: closed (CHAOS_ADMIN_KEY is not set)"),
    }
    match (app.metrics_address(), &config.metrics.token) {
        (Some(address), _) => tracing::info!(metrics_port = address.port(), "metrics: http://{address}/metrics"),
        (None, Some(_)) => tracing::info!("metrics: {place}/metrics, with the token"),
        (None, None) => tracing::info!("metrics: none (neither CHAOS_METRICS_PORT nor CHAOS_METRICS_TOKEN is set)"),
    }
    if let Some(traces) = &config.traces {
        tracing::info!("traces go to {}", traces.place);
    }
    if config.trusted_proxies.is_empty() {
        tracing::info!("CHAOS_TRUSTED_PROXIES is not set: X-Forwarded-* headers are not believed");
    }
}
