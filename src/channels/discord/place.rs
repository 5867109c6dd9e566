//! Where something was said.

use serde_json::{Map, Value};

use super::person::Person;
use super::snowflake;
use crate::domain::conversation::ConversationKey;

/// A group DM, as a channel's type.
const GROUP_DM: u64 = 3;
/// The context of an interaction in a private channel that is not the bot's own: a group DM, or the DM of two
/// people.
const PRIVATE_CHANNEL: u64 = 2;

/// A channel of Discord. Threads are channels too.
pub(super) struct Place {
    channel: String,
    guild: Option<String>,
    /// Whether others can read along there.
    pub(super) is_group: bool,
}

impl Place {
    /// Where the interaction or message `body` comes from. Sources: discord-api-docs
    /// `developers/interactions/receiving-and-responding.mdx`, `developers/events/gateway-events.mdx`.
    pub(super) fn read(body: &Value) -> Option<Self> {
        let channel = snowflake::read(&body["channel_id"]).or_else(|| snowflake::read(&body["channel"]["id"]))?;
        let guild = snowflake::read(&body["guild_id"]);
        let shared = body["channel"]["type"] == GROUP_DM || body["context"] == PRIVATE_CHANNEL;
        Some(Self { channel, is_group: guild.is_some() || shared, guild })
    }

    /// The conversation that takes place there.
    pub(super) fn conversation(&self) -> ConversationKey {
        ConversationKey::new(&self.channel, None)
    }

    /// The metadata of what `person` said there with this id, named `id_name`.
    pub(super) fn metadata(&self, person: &Person, id_name: &str, id: &str) -> Map<String, Value> {
        let mut metadata = Map::new();
        metadata.insert("discordChannelId".to_owned(), self.channel.as_str().into());
        metadata.insert("senderId".to_owned(), person.id.as_str().into());
        metadata.insert(id_name.to_owned(), id.into());
        if let Some(guild) = &self.guild {
            metadata.insert("guildId".to_owned(), guild.as_str().into());
        }
        metadata
    }
}
