//! A channel's side on its platform: who the bot, app or mailbox is, and the secrets that prove it.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::digest::Digest;
use super::timestamp::Timestamp;

/// Who a channel is on its platform. Nothing here is secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "platform", rename_all = "lowercase")]
pub enum Connection {
    /// A Telegram bot.
    Telegram(TelegramBot),
    /// A Discord application with its bot.
    Discord(DiscordApp),
    /// A Slack app in one workspace.
    Slack(SlackApp),
    /// A mail address of the relay, and whose mailbox it answers to.
    Email(Mailbox),
}

/// A Telegram bot, as `getMe` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TelegramBot {
    /// The bot's user id.
    pub bot_id: String,
    /// User name without `@`.
    pub bot_username: String,
    /// Whether the bot sees every message of its groups (privacy mode is off).
    pub reads_all_group_messages: bool,
}

/// A Discord application, as `/applications/@me` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscordApp {
    /// The application's id.
    pub application_id: String,
    /// Ed25519 key that verifies its interactions: 64 hex digits.
    pub verify_key: String,
    /// The bot's user id.
    pub bot_id: String,
    /// The bot's user name.
    pub bot_username: String,
}

/// A Slack app, as `auth.test` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlackApp {
    /// User id under which the bot posts.
    pub bot_user_id: String,
    /// Id of the bot itself, which older messages carry.
    pub bot_id: Option<String>,
    /// The bot's user name.
    pub bot_username: String,
    /// The workspace.
    pub team_id: String,
    /// Its name.
    pub team_name: String,
}

/// A mail address of the relay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mailbox {
    /// The address that people write to.
    pub inbound_address: String,
    /// The address of the person who registered.
    pub user_email: String,
    /// Whether that person followed the link in the verification mail.
    pub verified: bool,
}

impl Connection {
    /// Name under which this bot or address is known once for the whole deployment, whichever channel has it.
    pub fn identity(&self) -> String {
        match self {
            Self::Telegram(bot) => format!("telegram:{}", bot.bot_id),
            Self::Discord(app) => format!("discord:{}", app.application_id),
            Self::Slack(app) => format!("slack:{}:{}", app.team_id, app.bot_user_id),
            Self::Email(mailbox) => format!("email:{}", mailbox.inbound_address),
        }
    }

    /// The name to show for a channel that has none of its own.
    pub fn label(&self) -> &str {
        match self {
            Self::Telegram(bot) => &bot.bot_username,
            Self::Discord(app) => &app.bot_username,
            Self::Slack(app) => &app.bot_username,
            Self::Email(mailbox) => &mailbox.inbound_address,
        }
    }

    /// The names by which people look for it: of the bot (as it is and with `@`), of its workspace, and addresses.
    pub fn names(&self) -> Vec<String> {
        let bot = |name: &str| vec![name.to_owned(), format!("@{name}")];
        match self {
            Self::Telegram(telegram) => bot(&telegram.bot_username),
            Self::Discord(app) => bot(&app.bot_username),
            Self::Slack(app) => [bot(&app.bot_username), vec![app.team_name.clone()]].concat(),
            Self::Email(mailbox) => vec![mailbox.inbound_address.clone(), mailbox.user_email.clone()],
        }
    }

    /// Members that the channel's metadata shows to its owner.
    pub fn view(&self) -> Map<String, Value> {
        let view = match self {
            Self::Telegram(bot) => json!({"botUsername": bot.bot_username}),
            Self::Discord(app) => json!({"botUsername": app.bot_username, "applicationId": app.application_id}),
            Self::Slack(app) => json!({"botUsername": app.bot_username, "teamName": app.team_name}),
            Self::Email(mailbox) => json!({
                "inboundAddress": mailbox.inbound_address,
                "userEmail": mailbox.user_email,
                "verified": mailbox.verified,
            }),
        };
        match view {
            Value::Object(view) => view,
            _ => Map::new(),
        }
    }
}

/// The secrets of a connection. Sealed at rest as one text, and never shown to anybody.
#[derive(Clone, Debug)]
pub struct ConnectionSecrets {
    /// The bot token.
    pub token: SecretString,
    /// What proves an event: Telegram's secret token, Slack's signing secret, or the secret in the URL to
    /// which a gateway relay forwards Discord's events.
    pub events: SecretString,
}

#[derive(Serialize, Deserialize)]
struct SecretsForm {
    token: String,
    events: String,
}

impl ConnectionSecrets {
    /// The form that is sealed.
    pub fn to_text(&self) -> SecretString {
        let form = SecretsForm {
            token: self.token.expose_secret().to_owned(),
            events: self.events.expose_secret().to_owned(),
        };
        serde_json::to_string(&form).expect("two strings serialise").into()
    }

    /// Reads it back.
    pub fn from_text(text: &SecretString) -> Option<Self> {
        let form: SecretsForm = serde_json::from_str(text.expose_secret()).ok()?;
        Some(Self { token: form.token.into(), events: form.events.into() })
    }
}

/// A one-time code or token that was given out and not yet used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// Digest of the code.
    pub digest: Digest,
    /// When it was given out.
    pub issued: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_read_back_and_do_not_print_themselves() {
        let secrets = ConnectionSecrets { token: "12:s3cret".into(), events: "s1gn".into() };
        let read = ConnectionSecrets::from_text(&secrets.to_text()).unwrap();
        assert_eq!((read.token.expose_secret(), read.events.expose_secret()), ("12:s3cret", "s1gn"));
        assert!(!format!("{secrets:?}").contains("s3cret"));
        assert!(ConnectionSecrets::from_text(&"{}".into()).is_none());
    }
}
