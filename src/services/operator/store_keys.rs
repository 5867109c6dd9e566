//! Looking at the store's own keys.

use crate::services::Relay;
use crate::services::error::Error;
use crate::store::operator::{KeyKinds, KeyPage, KeyView};

impl Relay {
    /// The kinds of keys there are.
    pub async fn key_kinds(&self) -> Result<KeyKinds, Error> {
        Ok(self.store.key_kinds().await?)
    }

    /// Some keys of a kind.
    pub async fn keys_of_kind(&self, kind: &str, from: Option<&str>) -> Result<KeyPage, Error> {
        self.store.keys(kind, from).await?.ok_or_else(|| Error::NotFound {
            code: "unknown_kind",
            message: "there is no such kind of key, or no such place among them".to_owned(),
        })
    }

    /// A key and its value.
    pub async fn key_view(&self, id: &str) -> Result<KeyView, Error> {
        self.store.key(id).await?.ok_or_else(|| Error::NotFound {
            code: "unknown_key",
            message: "there is no such key (any more)".to_owned(),
        })
    }
}
