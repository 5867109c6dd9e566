//! Asks the store every second whether it is there, so that health answers need not.

use std::time::Duration;

use crate::services::Relay;
use crate::store::StoreError;

/// How often the store is asked.
const EVERY: Duration = Duration::from_secs(1);

/// Runs until the replica stops.
pub async fn run(relay: Relay) {
    let mut told = None;
    loop {
        let refusal = match check(&relay).await {
            Err(StoreError::Format(refusal)) => Some(refusal),
            _ => None,
        };
        if let Some(refusal) = &refusal
            && told.as_ref() != Some(refusal)
        {
            tracing::error!("{refusal}; requests are answered 503 until that changes");
        }
        told = refusal;
        if !relay.shared.shutdown.sleep(EVERY).await {
            return;
        }
    }
}

/// Asks once, notes the answer and gives it.
pub async fn check(relay: &Relay) -> Result<(), StoreError> {
    let answer = relay.store.ping().await;
    let is_news = relay.shared.store_health.set(answer.is_ok());
    match &answer {
        Ok(()) if is_news => tracing::info!("the store is reachable"),
        Err(StoreError::Format(_)) => {}
        Err(error) if is_news => {
            tracing::error!(%error, "the store is away; requests are answered 503 until it is back")
        }
        _ => {}
    }
    answer
}
