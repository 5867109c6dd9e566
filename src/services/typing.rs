//! The sign that an agent is at work.

use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use serde_json::{Map, Value, json};

use super::Relay;
use super::authenticate::Caller;
use super::channels::check_type;
use super::error::Error;
use super::reply::unknown_destination;
use crate::channels::adapter::SendAdapter;
use crate::domain::conversation::ConversationKey;
use crate::domain::fields::{Fields, InvalidField};
use crate::domain::ids::ChannelId;

/// The sign is shown for 5 s by Telegram and 10 s by Discord. What a client asks for more often is not passed on.
const AT_MOST_EVERY: Duration = Duration::from_secs(3);
/// Conversations whose last sign is remembered. An entry takes about 200 bytes.
const REMEMBERED: usize = 5_000;

/// When which conversation was shown the sign.
pub(super) struct ShownSigns(Cache<(ChannelId, ConversationKey), Instant>);

impl Default for ShownSigns {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl ShownSigns {
    /// Whether the sign is due; it counts as shown from now on.
    fn is_due(&self, channel: &ChannelId, conversation: &ConversationKey) -> bool {
        let key = (channel.clone(), conversation.clone());
        let is_due = self.0.get(&key).is_none_or(|shown| shown.elapsed() >= AT_MOST_EVERY);
        if is_due {
            self.0.insert(key, Instant::now());
        }
        is_due
    }
}

impl Relay {
    /// Shows that the agent is at work, where the channel's platform has such a sign.
    pub async fn typing(&self, caller: &Caller, body: Result<Map<String, Value>, Error>) -> Result<Value, Error> {
        let asked = body.and_then(|body| {
            let fields = Fields::of(&body);
            let id = fields.text("channelId")?.filter(|id| !id.is_empty());
            let id = id.ok_or(InvalidField::new("channelId", "a string that is not empty"))?.to_owned();
            let kind = fields.text("channelType")?.map(str::to_owned);
            Ok((id, kind, fields.object("metadata")?.cloned().unwrap_or_default()))
        });
        let (id, kind, metadata) = match asked {
            Ok(asked) => asked,
            Err(refusal) => return Err(self.refuse(&caller.gate(), refusal).await),
        };
        let record = self.own_channel(caller, &id).await?;
        check_type(kind.as_deref(), record.channel.kind)?;
        let shown = json!({"ok": true});
        let Some(adapter) = self.shared.platforms.sender(record.channel.kind) else { return Ok(shown) };
        if record.channel.enabled && !record.channel.taken_over {
            self.show_sign(caller, record, adapter, &metadata).await?;
        }
        Ok(shown)
    }

    async fn show_sign(
        &self,
        caller: &Caller,
        record: crate::store::ChannelRecord,
        adapter: &dyn SendAdapter,
        metadata: &Map<String, Value>,
    ) -> Result<(), Error> {
        let Some(channel) = self.unsealed(caller.user, record)? else { return Ok(()) };
        let Some(secrets) = &channel.secrets else { return Ok(()) };
        let id = &channel.channel().id;
        let destination = adapter.destination(metadata);
        let found = self.store.find_conversation(&caller.user, id, destination.as_ref()).await?;
        let Some(conversation) = found else {
            // Nobody wrote yet, so there is nobody to show it to; but a chat that was named must be one's own.
            return if destination.is_some() { Err(unknown_destination()) } else { Ok(()) };
        };
        if let Some(call) = adapter.typing(&channel.connection, secrets, &conversation)
            && self.shared.signs.is_due(id, &conversation)
        {
            let relay = self.clone();
            tokio::spawn(async move {
                let Ok(answer) = relay.call(call).await else { return };
                let kind = channel.channel().kind;
                if let Some(reason) = relay.shared.platforms.sender(kind).and_then(|adapter| adapter.revoked(&answer)) {
                    relay.disable(&channel.user, &channel.channel().id, &reason).await;
                }
            });
        }
        Ok(())
    }
}
