//! Not there yet.

use async_trait::async_trait;

use super::EmbeddedStore;
use crate::domain::channel::ChannelKind;
use crate::domain::ids::ChannelId;
use crate::domain::ids::MessageId;
use crate::domain::ids::UserId;
use crate::store::StoreError;
use crate::store::operator::{
    DeliveryCounts, DeliveryDeskStore, DeliveryEntry, DeliveryPage, DeliveryQuery, DropOutcome, RedriveOutcome,
};

#[async_trait]
impl DeliveryDeskStore for EmbeddedStore {
    async fn delivery_counts(&self) -> Result<DeliveryCounts, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn deliveries(&self, _query: &DeliveryQuery<'_>) -> Result<DeliveryPage, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn find_delivery(&self, _response: &MessageId) -> Result<Option<DeliveryEntry>, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn failed_of_channel(
        &self,
        _kind: ChannelKind,
        _user: &UserId,
        _channel: &ChannelId,
        _count: usize,
    ) -> Result<Vec<MessageId>, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn redrive(
        &self,
        _kind: ChannelKind,
        _user: &UserId,
        _channel: &ChannelId,
        _response: &MessageId,
    ) -> Result<RedriveOutcome, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }

    async fn drop_reply(
        &self,
        _kind: ChannelKind,
        _user: &UserId,
        _channel: &ChannelId,
        _response: &MessageId,
        _error: &str,
    ) -> Result<DropOutcome, StoreError> {
        Err(StoreError::Away("not there yet".to_owned()))
    }
}
