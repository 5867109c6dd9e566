//! An application as its owner sees it, the people who use it, and what they do.

use ed25519_dalek::Signer as _;
use serde_json::{Value, json};

use super::interaction::{Answered, Interaction, Open, first_response};
use super::verifying::{PATIENCE, Probe, post_signed};
use super::{AppState, Discord, commands, snowflake};
use crate::support::platforms::delivery::{self, Attempt};
use crate::support::platforms::random_hex;
use crate::support::secrets;

/// An application with its bot.
#[derive(Clone)]
pub struct App {
    pub(super) discord: Discord,
    pub(super) http: reqwest::Client,
    pub id: String,
    pub token: String,
    /// 64 hex digits, which the API calls `verify_key`.
    pub public_key: String,
}

/// A channel of a guild, or a private one.
#[derive(Clone, Debug)]
pub struct Channel {
    pub id: String,
    pub guild: Option<String>,
}

/// Somebody with an account.
#[derive(Clone, Debug)]
pub struct User {
    pub id: String,
    pub name: String,
}

impl User {
    pub fn new(name: &str) -> Self {
        Self { id: snowflake(), name: name.to_owned() }
    }

    /// How an event shows its author.
    pub fn show(&self) -> Value {
        json!({"id": self.id, "username": self.name.to_lowercase(), "global_name": self.name, "bot": false})
    }
}

impl App {
    fn state<T>(&self, use_it: impl FnOnce(&mut AppState) -> T) -> T {
        use_it(self.discord.state().apps.get_mut(&self.token).expect("the token is good"))
    }

    /// Adds the bot to a channel, where it may write from now on.
    pub fn joins(&self, channel: &Channel) {
        self.discord.state().channels.get_mut(&channel.id).unwrap().members.push(self.id.clone());
    }

    /// A command that the application has for its own ends.
    pub fn has_command(&self, name: &str) {
        let command = json!({"name": name, "type": 1, "description": "Of the owner's own"});
        let command = commands::stored(&self.id, &snowflake(), &command);
        self.state(|app| app.commands.push(command));
    }

    /// The names of its commands.
    pub fn commands(&self) -> Vec<String> {
        let name = |command: &Value| command["name"].as_str().unwrap().to_owned();
        self.state(|app| app.commands.iter().map(name).collect())
    }

    /// Where its interactions go.
    pub fn endpoint(&self) -> Option<String> {
        self.state(|app| app.endpoint.clone())
    }

    /// How endpoints did when they were saved.
    pub fn probes(&self) -> Vec<Probe> {
        self.state(|app| app.probes.clone())
    }

    /// Resets the token, as the developer portal does.
    pub fn revoke(&self) {
        self.discord.state().apps.remove(&self.token);
    }

    /// A command that somebody gives in a channel, with text options.
    pub fn command(&self, user: &User, channel: &Channel, name: &str, options: &[(&str, &str)]) -> Value {
        let options: Vec<_> =
            options.iter().map(|(name, value)| json!({"name": name, "type": 3, "value": value})).collect();
        let id = self.state(|app| app.commands.iter().find(|command| command["name"] == name).cloned());
        let id = id.map_or_else(snowflake, |command| command["id"].as_str().unwrap().to_owned());
        let token = format!("aW50ZXJhY3Rpb246{}", random_hex());
        secrets::note(&token);
        let mut interaction = json!({
            "type": 2, "id": snowflake(), "application_id": self.id, "token": token, "version": 1,
            "channel_id": channel.id, "locale": "en-US", "app_permissions": "442368", "entitlements": [],
            "attachment_size_limit": 10_485_760,
            "data": {"id": id, "name": name, "type": 1, "options": options},
        });
        match &channel.guild {
            Some(guild) => {
                interaction["context"] = 0.into();
                interaction["guild_id"] = guild.as_str().into();
                interaction["channel"] = json!({"id": channel.id, "type": 0});
                interaction["authorizing_integration_owners"] = json!({"0": guild});
                interaction["member"] = json!({"user": user.show(), "roles": [], "permissions": "0"});
            }
            None => {
                interaction["context"] = 1.into();
                interaction["channel"] = json!({"id": channel.id, "type": 1});
                interaction["authorizing_integration_owners"] = json!({"1": user.id});
                interaction["user"] = user.show();
            }
        }
        interaction
    }

    /// Sends an interaction to the endpoint, which must answer within 3 s, and takes the answer as Discord does.
    pub async fn interact(&self, body: &Value) -> Interaction {
        let url = self.endpoint().expect("the application has an endpoint");
        self.interact_at(&url, body).await
    }

    /// The same at an address that the application does not have, or not any more.
    pub async fn interact_at(&self, url: &str, body: &Value) -> Interaction {
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let token = text("token");
        let open = Open {
            app: self.id.clone(),
            app_token: self.token.clone(),
            channel: text("channel_id"),
            answered: Answered::Not,
            is_ephemeral: false,
            original: snowflake(),
            gone: None,
        };
        self.discord.state().interactions.entry(token.clone()).or_insert(open);
        let key = self.state(|app| app.key.clone());
        let attempt = post_signed(&self.http, url, &key, &body.to_string()).await;
        assert!(attempt.status.is_some() && attempt.elapsed < PATIENCE, "no answer within {PATIENCE:?}: {attempt:?}");
        first_response(&self.discord, &token, &attempt);
        Interaction { id: text("id"), token, body: body.clone(), attempt }
    }

    /// `/chat <message>` of somebody in a channel.
    pub async fn asks(&self, user: &User, channel: &Channel, message: &str) -> Interaction {
        self.interact(&self.command(user, channel, "chat", &[("message", message)])).await
    }

    /// Posts any body to an address, signed as the application's own.
    pub async fn post(&self, url: &str, body: &str) -> Attempt {
        let key = self.state(|app| app.key.clone());
        post_signed(&self.http, url, &key, body).await
    }

    /// The signature of a body that is sent at this time, in hex.
    pub fn signature(&self, timestamp: &str, body: &str) -> String {
        let signature = self.state(|app| app.key.sign(format!("{timestamp}{body}").as_bytes()));
        hex::encode(signature.to_bytes())
    }

    /// A message that somebody wrote in a channel, as the gateway shows it.
    pub fn message(&self, user: &User, channel: &Channel, content: &str) -> Value {
        let id = snowflake();
        self.discord.state().channels.get_mut(&channel.id).unwrap().messages.push(id.clone());
        let mut message = json!({
            "id": id, "channel_id": channel.id, "type": 0, "content": content, "author": user.show(),
            "timestamp": "2026-01-15T10:30:00.123000+00:00", "edited_timestamp": null, "tts": false,
            "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [], "embeds": [],
        });
        if let Some(guild) = &channel.guild {
            message["guild_id"] = guild.as_str().into();
        }
        message
    }

    /// Posts an event of the gateway to an address as a forwarder does: as it is, and not signed.
    pub async fn forward(&self, url: &str, event: &Value) -> Attempt {
        delivery::post(&self.http, url, &[], &event.to_string(), PATIENCE).await
    }
}
