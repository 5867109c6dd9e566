//! A worker thread's ears: keeps what its hub watches, and every second has the store say something that it must hear.

use std::sync::Arc;
use std::time::Duration;

use crate::hub::{Echo, Hub};
use crate::services::Shared;
use crate::store::Watcher;

/// How often the store is asked for an echo.
const EVERY: Duration = Duration::from_secs(1);

/// Runs until it is dropped. Spawned on the worker's own thread, so that the watcher's connection lives there.
pub async fn run(shared: Arc<Shared>, hub: Arc<Hub>, watcher: Box<dyn Watcher>) {
    tokio::join!(hub.run(&*watcher), listen(&shared, &hub, &*watcher));
}

async fn listen(shared: &Shared, hub: &Hub, watcher: &dyn Watcher) {
    loop {
        let answer = watcher.echo().await;
        if let Err(error) = &answer {
            tracing::debug!(%error, "the store could not be asked for an echo");
        }
        hub.note_echo(match answer {
            Ok(Some(time)) => Echo::Heard(time),
            // That the store is away is told of it as a whole.
            Err(_) if !shared.store_health.is_reachable() => Echo::Awaited,
            Ok(None) | Err(_) => Echo::Lost,
        });
        match shared.hubs.echo() {
            Echo::Lost if shared.store_health.set_hears(false) => {
                tracing::error!("what is published is not heard: sockets are not woken; not ready until they are");
            }
            Echo::Heard(_) if shared.store_health.set_hears(true) => tracing::info!("what is published is heard again"),
            _ => {}
        }
        if !shared.shutdown.sleep(EVERY).await {
            return;
        }
    }
}
