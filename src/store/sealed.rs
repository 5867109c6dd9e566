//! What a store keeps sealed, for whoever seals it anew under another key.
//!
//! The secrets with which single messages can be answered are left out: they are of no use after a day.

use crate::domain::ids::{ChannelId, UserId};

use super::{ChannelRecord, StoreError};

/// Where something sealed may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealedPlace {
    /// The deployment's own private key.
    DeploymentKey,
    /// The API key of this user's session.
    ApiKey(UserId),
    /// The secrets of this user's channel.
    Channel(UserId, ChannelId),
}

/// Some of these places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPage {
    /// The places, in no particular order. There may be none though more follow.
    pub places: Vec<SealedPlace>,
    /// Where to go on; `None` when all was seen.
    pub next: Option<String>,
}

/// Something sealed, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub enum SealedRecord {
    /// The deployment's own private key.
    DeploymentKey(String),
    /// The API key of this user's session.
    ApiKey(UserId, String),
    /// This user's channel, which has a sealed secret.
    Channel(UserId, Box<ChannelRecord>),
}

/// Sealed values: finding all of them, and replacing each.
#[async_trait::async_trait]
pub trait SealedStore: Send + Sync {
    /// Looks at a bounded number of records from `from` on (the beginning without it) and gives the places among
    /// them. A walk to the end gives every session and channel that is there all the while, some perhaps twice. The
    /// deployment's own key is not among them.
    async fn sealed_places(&self, from: Option<&str>) -> Result<SealedPage, StoreError>;

    /// What is there; `None` if it is gone or holds nothing sealed.
    async fn read_sealed(&self, place: &SealedPlace) -> Result<Option<SealedRecord>, StoreError>;

    /// Puts `sealed` in the place of what was read, if that is unchanged; says whether it was. Nothing lives longer
    /// for it. A channel is at another revision afterwards, so that no update made from the old one undoes this.
    async fn replace_sealed(&self, read: &SealedRecord, sealed: &str) -> Result<bool, StoreError>;
}
