//! Not there yet.

use async_trait::async_trait;

use super::EmbeddedStore;
use crate::domain::ids::UserId;
use crate::store::StoreError;
use crate::store::operator::{DirectoryStore, SessionList, SessionQuery, SessionSummary};

#[async_trait]
impl DirectoryStore for EmbeddedStore {
    async fn list_sessions(&self, _query: &SessionQuery<'_>) -> Result<SessionList, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn summaries(&self, _users: &[UserId]) -> Result<Vec<Option<SessionSummary>>, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn disconnect(&self, _user: &UserId) -> Result<u64, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }
}
