//! Who said something.

use serde_json::Value;

use super::snowflake;
use crate::domain::text;

/// Longest name, in characters. Discord allows 32.
const MAX_NAME_CHARS: usize = 200;

/// A user of Discord.
pub(super) struct Person {
    /// The user's id.
    pub(super) id: String,
    /// The user name, or the id where there is none.
    pub(super) name: String,
    /// Whether it is a bot or Discord itself.
    pub(super) is_bot: bool,
}

impl Person {
    /// Reads a user object. Source: discord-api-docs `developers/resources/user.mdx`.
    pub(super) fn read(user: &Value) -> Option<Self> {
        let id = snowflake::read(&user["id"])?;
        let line = text::single_line(user["username"].as_str().unwrap_or_default());
        let name = match text::truncate_plain(line.trim(), MAX_NAME_CHARS) {
            "" => id.clone(),
            name => name.to_owned(),
        };
        Some(Self { id, name, is_bot: user["bot"] == true || user["system"] == true })
    }
}
