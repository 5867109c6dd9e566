//! Not there yet.

use async_trait::async_trait;

use super::RedisStore;
use crate::store::StoreError;
use crate::store::operator::{Beat, Pulse, PulseStore};

#[async_trait]
impl PulseStore for RedisStore {
    async fn beat(&self, _beat: &Beat<'_>) -> Result<(), StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn retire(&self, _replica: &str) -> Result<(), StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn pulse(&self) -> Result<Pulse, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }
}
