//! Not there yet.

use async_trait::async_trait;

use super::RedisStore;
use crate::domain::digest::Digest;
use crate::domain::timestamp::Timestamp;
use crate::store::StoreError;
use crate::store::operator::{AdminAccessStore, AuditPage, NewAuditEntry};

#[async_trait]
impl AdminAccessStore for RedisStore {
    async fn open_admin_session(&self, _session: &Digest) -> Result<(), StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn has_admin_session(&self, _session: &Digest) -> Result<bool, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn close_admin_session(&self, _session: &Digest) -> Result<bool, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn close_all_admin_sessions(&self) -> Result<u64, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn audit(&self, _entry: &NewAuditEntry) -> Result<(), StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn audit_page(&self, _before: Option<Timestamp>, _count: usize) -> Result<AuditPage, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }
}
