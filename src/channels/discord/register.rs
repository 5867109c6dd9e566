//! Registering a bot: who it is, where its interactions go, and which commands it knows.
//!
//! Sources: discord-api-docs `developers/resources/application.mdx`,
//! `developers/interactions/application-commands.mdx`.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::answer::{Failure, is_success};
use super::{Discord, snowflake};
use crate::channels::adapter::RegistrationError;
use crate::channels::api::{ApiAnswer, ApiCall, Method};
use crate::domain::connection::DiscordApp;
use crate::domain::event_signature::check_discord_key;
use crate::domain::text;
use crate::domain::timestamp::Timestamp;

/// The command that speaks to the agent.
pub(super) const CHAT: &str = "chat";
/// What it says.
pub(super) const MESSAGE_OPTION: &str = "message";
/// The command that pairs.
pub(super) const PAIR: &str = "pair";
/// The code for it.
pub(super) const CODE_OPTION: &str = "code";

/// Longest message of a command, in characters: the most that Discord allows.
const MAX_COMMAND_CHARS: u32 = 6000;
/// Characters of a bot token. Today's have about 70.
const TOKEN_CHARS: std::ops::RangeInclusive<usize> = 10..=200;
/// Longest user name that is kept, in characters. Discord allows 32.
const MAX_NAME_CHARS: usize = 200;

/// Whether `text` can be a bot token: 10 to 200 visible ASCII characters. Anything else is no token, and could
/// not stand in a header.
pub fn is_token(text: &str) -> bool {
    TOKEN_CHARS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An application, as it shows itself to its own bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The application's id.
    pub id: String,
    /// Ed25519 key that verifies its interactions: 64 hex digits.
    pub verify_key: String,
    /// Its bot. Where the answer leaves it out, [`Discord::get_me`] tells.
    pub bot: Option<BotUser>,
    /// Where its interactions go, if anywhere.
    pub endpoint: Option<String>,
}

/// A bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotUser {
    /// Its user id.
    pub id: String,
    /// Its user name.
    pub username: String,
}

impl Application {
    /// What is kept of the application, with `bot` as its bot.
    pub fn with_bot(self, bot: BotUser) -> DiscordApp {
        DiscordApp { application_id: self.id, verify_key: self.verify_key, bot_id: bot.id, bot_username: bot.username }
    }
}

impl BotUser {
    fn read(user: &Value) -> Option<Self> {
        let line = text::single_line(user["username"].as_str()?);
        let username = text::truncate_plain(line.trim(), MAX_NAME_CHARS).to_owned();
        Some(Self { id: snowflake::read(&user["id"])?, username }).filter(|bot| !bot.username.is_empty())
    }
}

impl Discord {
    /// Asks which application the token belongs to; for [`Discord::read_application`].
    pub fn get_application(&self, token: &SecretString) -> ApiCall {
        self.bot_call("getCurrentApplication", Method::Get, "/applications/@me", token)
    }

    /// Reads the application. A key that could not verify anything is an unreadable answer.
    pub fn read_application(&self, answer: &ApiAnswer) -> Result<Application, RegistrationError> {
        self.check(answer)?;
        let body = answer.json();
        let id = snowflake::read(&body["id"]).ok_or_else(unreadable)?;
        let verify_key = body["verify_key"].as_str().ok_or_else(unreadable)?;
        check_discord_key(verify_key).map_err(|_| unreadable())?;
        let endpoint = body["interactions_endpoint_url"].as_str().map(str::to_owned);
        Ok(Application { id, verify_key: verify_key.to_owned(), bot: BotUser::read(&body["bot"]), endpoint })
    }

    /// Asks which bot the token belongs to; for [`Discord::read_me`].
    pub fn get_me(&self, token: &SecretString) -> ApiCall {
        self.bot_call("getCurrentUser", Method::Get, "/users/@me", token)
    }

    /// Reads the bot.
    pub fn read_me(&self, answer: &ApiAnswer) -> Result<BotUser, RegistrationError> {
        self.check(answer)?;
        BotUser::read(&answer.json()).ok_or_else(unreadable)
    }

    /// Has the application's interactions sent to `url`, wherever they went before. During the call Discord tries
    /// the URL out, with right and with wrong signatures.
    pub fn set_endpoint(&self, token: &SecretString, url: &str) -> ApiCall {
        self.edit_application(token, &json!({"interactions_endpoint_url": url}))
    }

    /// Has the application's interactions sent nowhere.
    pub fn clear_endpoint(&self, token: &SecretString) -> ApiCall {
        self.edit_application(token, &json!({"interactions_endpoint_url": null}))
    }

    fn edit_application(&self, token: &SecretString, changes: &Value) -> ApiCall {
        self.bot_call("editCurrentApplication", Method::Patch, "/applications/@me", token).json(changes)
    }

    /// Makes the relay's commands known, a call each: that leaves the application's other commands alone, where
    /// setting the whole list would remove them.
    pub fn commands(&self, token: &SecretString, app: &DiscordApp) -> Vec<ApiCall> {
        let path = commands_path(app);
        let upsert = |command| self.bot_call("createCommand", Method::Post, &path, token).json(&command);
        own_commands().map(upsert).into()
    }

    /// Asks for the application's commands; for [`Discord::read_own_commands`].
    pub fn list_commands(&self, token: &SecretString, app: &DiscordApp) -> ApiCall {
        self.bot_call("listCommands", Method::Get, &commands_path(app), token)
    }

    /// Ids of the commands that the relay made: those of its names with its descriptions.
    pub fn read_own_commands(&self, answer: &ApiAnswer) -> Result<Vec<String>, RegistrationError> {
        self.check(answer)?;
        let own = own_commands();
        let is_own = |listed: &&Value| {
            own.iter().any(|command| ["name", "description"].iter().all(|name| listed[name] == command[name]))
        };
        let body = answer.json();
        let listed = body.as_array().ok_or_else(unreadable)?;
        Ok(listed.iter().filter(is_own).filter_map(|command| snowflake::read(&command["id"])).collect())
    }

    /// Removes a command.
    pub fn delete_command(&self, token: &SecretString, app: &DiscordApp, command: &str) -> ApiCall {
        self.bot_call("deleteCommand", Method::Delete, &format!("{}/{command}", commands_path(app)), token)
    }

    /// Whether a call of the registration did what it was to do.
    pub fn check(&self, answer: &ApiAnswer) -> Result<(), RegistrationError> {
        if is_success(answer) {
            return Ok(());
        }
        let Failure { reason, .. } = Failure::read(answer, Timestamp::EPOCH);
        let is_final = (400..500).contains(&answer.status) && answer.status != 429;
        Err(if is_final { RegistrationError::Refused(reason) } else { RegistrationError::Unavailable(reason) })
    }
}

fn commands_path(app: &DiscordApp) -> String {
    format!("/applications/{}/commands", app.application_id)
}

/// The relay's commands: for servers and users that installed the application (0, 1), in servers, in the bot's
/// DMs and in other private channels (0, 1, 2).
fn own_commands() -> [Value; 2] {
    let command = |name: &str, description: &str, option: Value| {
        json!({
            "name": name, "type": 1, "description": description, "options": [option],
            "integration_types": [0, 1], "contexts": [0, 1, 2],
        })
    };
    [
        command(
            CHAT,
            "Send a message to the agent",
            json!({
                "type": 3, "name": MESSAGE_OPTION, "description": "What to say", "required": true,
                "max_length": MAX_COMMAND_CHARS,
            }),
        ),
        command(
            PAIR,
            "Pair this account with the agent",
            json!({"type": 3, "name": CODE_OPTION, "description": "The code that your app shows", "required": true}),
        ),
    ]
}

fn unreadable() -> RegistrationError {
    RegistrationError::Unavailable("Discord's answer could not be read".to_owned())
}

#[cfg(test)]
mod tests;
