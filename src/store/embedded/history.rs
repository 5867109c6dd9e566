//! Not there yet.

use async_trait::async_trait;

use super::EmbeddedStore;
use crate::domain::ids::MessageId;
use crate::domain::ids::UserId;
use crate::store::StoreError;
use crate::store::operator::{HistoryEntry, HistoryPage, HistoryQuery, HistoryStore, RecentPointer, ReplyState};

#[async_trait]
impl HistoryStore for EmbeddedStore {
    async fn history(&self, _user: &UserId, _query: &HistoryQuery<'_>) -> Result<Option<HistoryPage>, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn reply_states(
        &self,
        _user: &UserId,
        _responses: &[MessageId],
    ) -> Result<Vec<Option<ReplyState>>, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn entries(&self, _wanted: &[RecentPointer]) -> Result<Vec<Option<HistoryEntry>>, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }
}
