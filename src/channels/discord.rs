//! Discord: commands that people use, messages that a gateway relay forwards, and replies to both.
//!
//! Discord itself calls the relay for interactions only, and signs them. Ordinary messages come over its
//! gateway, from which a program of the channel's owner forwards them.

mod answer;
mod event;
mod interaction;
pub mod invalid_requests;
mod message;
mod person;
mod place;
pub mod register;
mod send;
mod snowflake;
#[cfg(test)]
mod testing;
mod verdict;

use secrecy::SecretString;

use super::api::{ApiCall, Method};
use super::parts::RecentParts;
use crate::domain::channel::ChannelKind;

/// Who calls. Discord's edge turns away whoever does not say it in this form.
/// Source: discord-api-docs `developers/reference.mdx`.
const USER_AGENT: &str =
    concat!("DiscordBot (https://github.com/chaos-relay/chaos-relay, ", env!("CARGO_PKG_VERSION"), ")");

/// Discord's API.
#[derive(Clone, Debug)]
pub struct Discord {
    base: String,
    parts: RecentParts<String>,
}

impl Discord {
    /// Discord's API at `base`, which has its version and no slash at the end, such as `https://discord.com/api/v10`.
    pub fn new(base: impl Into<String>) -> Self {
        Self { base: base.into(), parts: RecentParts::new() }
    }

    /// A call that needs no bot: the secret is in `path`, which begins with a slash.
    fn call(&self, name: &'static str, method: Method, path: &str) -> ApiCall {
        let url = format!("{}{path}", self.base);
        ApiCall::new(ChannelKind::Discord, name, method, url).header("User-Agent", USER_AGENT)
    }

    /// A call in the name of the bot whose token this is.
    fn bot_call(&self, name: &'static str, method: Method, path: &str, token: &SecretString) -> ApiCall {
        self.call(name, method, path).authorization("Bot", token)
    }
}
