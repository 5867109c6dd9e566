//! Channels on platforms, as this replica last saw them.
//!
//! A remembered channel saves a round trip for each event. It can let nobody in who is not let in now: every
//! event is counted or stored in a step that names the revision it was judged by, and is judged again when the
//! channel has changed since.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::Relay;
use super::error::Error;
use super::register::unsealing_failed;
use crate::domain::channel::Channel;
use crate::domain::connection::{Connection, ConnectionSecrets};
use crate::domain::ids::{ChannelId, UserId};
use crate::domain::sealing::Owner;
use crate::store::ChannelRecord;

/// Channels that a replica remembers. An entry takes a few KiB: the lists and prompts of its owner.
const CHANNELS_CACHED: usize = 4_000;

/// Remembers channels on platforms by their id.
pub(super) struct ChannelCache(Cache<ChannelId, Arc<KnownChannel>>);

impl Default for ChannelCache {
    fn default() -> Self {
        Self(Cache::new(CHANNELS_CACHED))
    }
}

/// A channel on a platform with its secrets at hand.
pub struct KnownChannel {
    /// Whose it is.
    pub user: UserId,
    /// The channel at some revision.
    pub record: ChannelRecord,
    /// Its side on the platform.
    pub connection: Connection,
    /// What proves it; a mailbox has no secrets.
    pub secrets: Option<ConnectionSecrets>,
}

impl KnownChannel {
    /// The channel.
    pub fn channel(&self) -> &Channel {
        &self.record.channel
    }
}

impl Relay {
    /// A channel on a platform, from memory if possible; `None` if there is no such channel, and an error for
    /// one that is no platform's.
    pub(super) async fn known_channel(&self, id: &ChannelId) -> Result<Option<Arc<KnownChannel>>, Error> {
        match self.shared.channels.0.get(id) {
            Some(known) => Ok(Some(known)),
            None => self.load_channel(id).await,
        }
    }

    /// The same as it is now.
    pub(super) async fn load_channel(&self, id: &ChannelId) -> Result<Option<Arc<KnownChannel>>, Error> {
        self.forget_channel(id);
        let Some(user) = self.store.channel_owner(id).await? else { return Ok(None) };
        let Some(record) = self.store.read_channel(&user, id).await? else { return Ok(None) };
        let Some(known) = self.unsealed(user, record)? else { return Ok(None) };
        let known = Arc::new(known);
        self.shared.channels.0.insert(id.clone(), known.clone());
        Ok(Some(known))
    }

    /// Opens a channel's secrets; `None` for a generic webhook.
    pub(super) fn unsealed(&self, user: UserId, record: ChannelRecord) -> Result<Option<KnownChannel>, Error> {
        let Some(connection) = record.channel.connection.clone() else { return Ok(None) };
        let owner = user.to_string();
        let secrets = match &record.channel.sealed_secret {
            None => None,
            Some(sealed) => {
                let text = self
                    .shared
                    .keys
                    .unseal(Owner::Connection(&owner, record.channel.id.as_str()), sealed)
                    .map_err(|error| unsealing_failed(error, "the secrets of a channel"))?;
                let secrets = ConnectionSecrets::from_text(&text)
                    .ok_or_else(|| Error::Internal("the secrets of a channel cannot be read".to_owned()))?;
                Some(secrets)
            }
        };
        Ok(Some(KnownChannel { user, record, connection, secrets }))
    }

    /// What is remembered of a channel's type, without asking the store.
    pub(super) fn remembered_channel(&self, id: &ChannelId) -> Option<Arc<KnownChannel>> {
        self.shared.channels.0.get(id)
    }

    /// Forgets a channel that changed or is gone.
    pub(super) fn forget_channel(&self, id: &ChannelId) {
        self.shared.channels.0.remove(id);
    }
}
