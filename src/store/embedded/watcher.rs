//! Watching users: wakes are calls within the process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::shared::Shared;
use crate::domain::ids::UserId;
use crate::store::{StoreError, WakeSink, Watcher};

pub(super) struct EmbeddedWatcher {
    pub(super) shared: Arc<Shared>,
    pub(super) sink: WakeSink,
}

#[async_trait]
impl Watcher for EmbeddedWatcher {
    async fn watch(&self, user: &UserId) -> Result<(), StoreError> {
        self.shared.sockets().watch(user, &self.sink);
        Ok(())
    }

    async fn unwatch(&self, user: &UserId) -> Result<(), StoreError> {
        self.shared.sockets().unwatch(user, &self.sink);
        Ok(())
    }

    async fn echo(&self) -> Result<Option<Duration>, StoreError> {
        Ok(Some(Duration::ZERO))
    }
}

impl Drop for EmbeddedWatcher {
    fn drop(&mut self) {
        self.shared.sockets().forget_sink(&self.sink);
    }
}
