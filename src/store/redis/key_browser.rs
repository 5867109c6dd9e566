//! Not there yet.

use async_trait::async_trait;

use super::RedisStore;
use crate::store::StoreError;
use crate::store::operator::{KeyBrowserStore, KeyKinds, KeyPage, KeyView};

#[async_trait]
impl KeyBrowserStore for RedisStore {
    async fn key_kinds(&self) -> Result<KeyKinds, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn keys(&self, _kind: &str, _from: Option<&str>) -> Result<Option<KeyPage>, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn key(&self, _id: &str) -> Result<Option<KeyView>, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }
}
