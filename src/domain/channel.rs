//! Channels: one way in and out for one user.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::connection::{Connection, Pending};
use super::digest::Digest;
use super::fields::{Change, Fields, InvalidField};
use super::ids::ChannelId;
use super::text;

mod platform;

pub use platform::PlatformSettings;

/// What a channel connects to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// Anybody who has its URL and token.
    Webhook,
    /// A Telegram bot.
    Telegram,
    /// A Discord application.
    Discord,
    /// A Slack app.
    Slack,
    /// A mail address.
    Email,
}

impl ChannelKind {
    /// The kinds that replies are delivered to.
    pub const PLATFORMS: [Self; 4] = [Self::Telegram, Self::Discord, Self::Slack, Self::Email];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Telegram => "telegram",
            Self::Discord => "discord",
            Self::Slack => "slack",
            Self::Email => "email",
        }
    }

    /// Reads the name on the wire; `None` for any other text.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Webhook, Self::Telegram, Self::Discord, Self::Slack, Self::Email]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }

    fn default_direction(self) -> Direction {
        match self {
            Self::Webhook => Direction::Inbound,
            _ => Direction::Bidirectional,
        }
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A hint for clients whether replies are expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Messages come in.
    Inbound,
    /// Messages come in and replies go out.
    Bidirectional,
}

impl Direction {
    fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Bidirectional => "bidirectional",
        }
    }
}

/// Longest `name` and `agentId`, in characters.
const MAX_NAME_CHARS: usize = 200;
/// Longest `prompt`, in bytes of UTF-8.
const MAX_PROMPT_BYTES: usize = 8 * 1024;
/// Largest client metadata, in bytes of its compact JSON.
pub const MAX_METADATA_BYTES: usize = 4 * 1024;
/// Shortest webhook secret that a client may choose, in characters.
const MIN_SECRET_CHARS: usize = 16;
/// Name of the metadata member that carries a webhook channel's secret.
const SECRET_FIELD: &str = "webhookSecret";

/// Why settings for a channel were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// One member is not what it should be.
    #[error(transparent)]
    Field(#[from] InvalidField),
    /// The client's metadata is too large.
    #[error("metadata must be at most {MAX_METADATA_BYTES} bytes of JSON")]
    MetadataTooLarge,
    /// The channel's bot belongs to another channel now.
    #[error("the bot belongs to another channel now: register it again to get a new channel for it")]
    TakenOver,
}

/// A channel as it is stored. Its secrets are sealed; [`Channel::view`] shows a webhook's to the owner.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Channel {
    /// Public name.
    pub id: ChannelId,
    /// What it connects to.
    #[serde(rename = "type")]
    pub kind: ChannelKind,
    /// Whether replies are expected.
    pub direction: Direction,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Instructions for the agent, passed along with each message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The agent that should answer; empty for the client's default.
    #[serde(default)]
    pub agent_id: String,
    /// Whether messages are taken.
    pub enabled: bool,
    /// Whether the client should work without showing itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_in_background: Option<bool>,
    /// Whether the client should tell its person when it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_on_complete: Option<bool>,
    /// The client's own metadata, without the secret.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// The webhook secret, or the secrets of the connection, sealed for this channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_secret: Option<String>,
    /// The channel's side on its platform; a webhook channel has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// The pairing code, or for mail the verification token, that was given out and not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Digests of the last events that paired somebody: a redelivery is answered like the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paired_by: Vec<Digest>,
    /// Why the relay itself disabled the channel, for its owner to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
    /// The bot belongs to another channel now; this one cannot be enabled again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_over: bool,
}

impl Channel {
    /// The name to show for the channel: its own, else its bot's or address, else its type.
    pub fn label(&self) -> &str {
        let bot = self.connection.as_ref().map(Connection::label);
        self.name.as_deref().or(bot).unwrap_or(self.kind.as_str())
    }

    /// The part of each message's metadata that tells a client how to route it: JSON members without
    /// the braces, never empty, and without a line break.
    pub fn routing_members(&self) -> String {
        let mut members = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        };
        set("channelDirection", Some(self.direction.as_str().into()));
        set("channelName", self.name.clone().map(Value::from));
        set("channelPrompt", self.prompt.clone().map(Value::from));
        set("channelAgentId", Some(&self.agent_id).filter(|id| !id.is_empty()).cloned().map(Value::from));
        set("channelRunInBackground", self.run_in_background.filter(|run| *run).map(Value::from));
        set("channelNotifyOnComplete", self.notify_on_complete.map(Value::from));
        let object = Value::Object(members).to_string();
        object[1..object.len() - 1].to_owned()
    }

    /// The same for responses, which an external service reads: what is the owner's own business (name,
    /// prompt, agent) stays out.
    pub fn response_members(&self) -> String {
        format!(r#""channelDirection":"{}""#, self.direction.as_str())
    }

    /// The channel as its owner sees it.
    pub fn view(&self, secret: Option<&SecretString>) -> Value {
        let mut metadata = self.metadata.clone();
        if let Some(secret) = secret {
            metadata.insert(SECRET_FIELD.to_owned(), secret.expose_secret().into());
        }
        if let Some(connection) = &self.connection {
            metadata.extend(connection.view());
        }
        if let Some(reason) = &self.disabled_reason {
            metadata.insert("disabledReason".to_owned(), reason.as_str().into());
        }
        let mut view = json!({
            "id": self.id,
            "type": self.kind,
            "direction": self.direction,
            "agentId": self.agent_id,
            "enabled": self.enabled,
            "metadata": metadata,
        });
        for (name, value) in [
            ("name", self.name.clone().map(Value::from)),
            ("prompt", self.prompt.clone().map(Value::from)),
            ("runInBackground", self.run_in_background.map(Value::from)),
            ("notifyOnComplete", self.notify_on_complete.map(Value::from)),
        ] {
            if let Some(value) = value {
                view[name] = value;
            }
        }
        view
    }

    /// Applies a partial update; on an error nothing has changed.
    pub fn update(&mut self, update: ChannelUpdate) -> Result<(), InvalidSettings> {
        let mut metadata = self.metadata.clone();
        for (name, change) in [("allowedUsers", update.allowed_users), ("allowedSenders", update.allowed_senders)] {
            match change {
                Change::Keep => {}
                Change::Clear => drop(metadata.shift_remove(name)),
                Change::Set(list) => drop(metadata.insert(name.to_owned(), Value::Array(list))),
            }
        }
        check_metadata_size(&metadata)?;
        let enables = matches!(update.enabled, Change::Clear | Change::Set(true));
        if enables && self.taken_over {
            return Err(InvalidSettings::TakenOver);
        }
        if enables {
            self.disabled_reason = None;
        }
        self.metadata = metadata;
        update.name.apply(&mut self.name);
        update.prompt.apply(&mut self.prompt);
        update.agent_id.apply_or(&mut self.agent_id, String::new());
        update.direction.apply_or(&mut self.direction, self.kind.default_direction());
        update.enabled.apply_or(&mut self.enabled, true);
        update.run_in_background.apply(&mut self.run_in_background);
        update.notify_on_complete.apply(&mut self.notify_on_complete);
        Ok(())
    }
}

/// Settings for a new webhook channel, as a client sends them.
#[derive(Debug)]
pub struct NewChannel {
    /// The id the client chose, if it did.
    pub id: Option<ChannelId>,
    /// The type the client named, if it did: only `webhook` can be made this way.
    pub kind: Option<String>,
    /// The secret the client chose, if it did.
    pub secret: Option<SecretString>,
    settings: ChannelUpdate,
    metadata: Map<String, Value>,
}

impl NewChannel {
    /// Reads the body of a creation.
    pub fn from_json(body: &Map<String, Value>) -> Result<Self, InvalidSettings> {
        let fields = Fields::of(body);
        let id = fields
            .text("id")?
            .map(|id| id.parse().map_err(|_| InvalidField::new("id", "1 to 64 characters of A-Z, a-z, 0-9, _ and -")))
            .transpose()?;
        let kind = fields.text("type")?.map(str::to_owned);
        let mut metadata = fields.object("metadata")?.cloned().unwrap_or_default();
        check_metadata_size(&metadata)?;
        if metadata.values().any(|value| text::is_nested_deeper(value, text::MAX_NESTING)) {
            return Err(
                InvalidField::new("metadata", "an object whose members are nested at most 48 levels deep").into()
            );
        }
        let secret = match metadata.shift_remove(SECRET_FIELD) {
            None | Some(Value::Null) => None,
            Some(Value::String(secret)) if secret.chars().count() >= MIN_SECRET_CHARS => Some(secret.into()),
            Some(_) => {
                return Err(InvalidField::new("metadata.webhookSecret", "a string of at least 16 characters").into());
            }
        };
        let mut settings = ChannelUpdate::from_json(body)?;
        // The lists stay in the metadata as they came; only an update replaces them one by one.
        settings.allowed_users = Change::Keep;
        settings.allowed_senders = Change::Keep;
        Ok(Self { id, kind, secret, settings, metadata })
    }

    /// The channel these settings make, under the given id and with its secret sealed.
    pub fn into_channel(self, id: ChannelId, sealed_secret: String) -> Channel {
        let kind = ChannelKind::Webhook;
        let ChannelUpdate { name, prompt, agent_id, direction, enabled, run_in_background, notify_on_complete, .. } =
            self.settings;
        Channel {
            id,
            kind,
            direction: direction.set().unwrap_or(kind.default_direction()),
            name: name.set(),
            prompt: prompt.set(),
            agent_id: agent_id.set().unwrap_or_default(),
            enabled: enabled.set().unwrap_or(true),
            run_in_background: run_in_background.set(),
            notify_on_complete: notify_on_complete.set(),
            metadata: self.metadata,
            sealed_secret: Some(sealed_secret),
            connection: None,
            pending: None,
            paired_by: Vec::new(),
            disabled_reason: None,
            taken_over: false,
        }
    }
}

/// A partial update of a channel, as a client sends it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelUpdate {
    name: Change<String>,
    prompt: Change<String>,
    agent_id: Change<String>,
    direction: Change<Direction>,
    enabled: Change<bool>,
    run_in_background: Change<bool>,
    notify_on_complete: Change<bool>,
    allowed_users: Change<Vec<Value>>,
    allowed_senders: Change<Vec<Value>>,
}

impl ChannelUpdate {
    /// Reads the body of an update. Members that are the server's business are ignored.
    pub fn from_json(body: &Map<String, Value>) -> Result<Self, InvalidField> {
        let fields = Fields::of(body);
        let empty = Map::new();
        let metadata = Fields::of(fields.object("metadata")?.unwrap_or(&empty));
        Ok(Self {
            name: fields.change("name", name)?,
            prompt: fields.change("prompt", prompt)?,
            agent_id: fields.change("agentId", name)?,
            direction: fields.change("direction", direction)?,
            enabled: fields.change("enabled", Fields::flag)?,
            run_in_background: fields.change("runInBackground", Fields::flag)?,
            notify_on_complete: fields.change("notifyOnComplete", Fields::flag)?,
            allowed_users: metadata.change("allowedUsers", |f, _| list(f, "allowedUsers", "metadata.allowedUsers"))?,
            allowed_senders: metadata
                .change("allowedSenders", |f, _| list(f, "allowedSenders", "metadata.allowedSenders"))?,
        })
    }
}

fn name(fields: &Fields<'_>, field: &'static str) -> Result<Option<String>, InvalidField> {
    let Some(raw) = fields.text(field)? else { return Ok(None) };
    if raw.chars().count() > MAX_NAME_CHARS {
        return Err(InvalidField::new(field, "at most 200 characters"));
    }
    Ok(Some(text::single_line(raw).into_owned()))
}

fn prompt(fields: &Fields<'_>, field: &'static str) -> Result<Option<String>, InvalidField> {
    let Some(raw) = fields.text(field)? else { return Ok(None) };
    if raw.len() > MAX_PROMPT_BYTES {
        return Err(InvalidField::new(field, "at most 8 KiB of UTF-8"));
    }
    Ok(Some(text::strip_hidden(raw).into_owned()))
}

fn direction(fields: &Fields<'_>, field: &'static str) -> Result<Option<Direction>, InvalidField> {
    match fields.text(field)? {
        None => Ok(None),
        Some("inbound") => Ok(Some(Direction::Inbound)),
        Some("bidirectional") => Ok(Some(Direction::Bidirectional)),
        Some(_) => Err(InvalidField::new(field, "\"inbound\" or \"bidirectional\"")),
    }
}

fn list(metadata: &Fields<'_>, field: &str, full_name: &'static str) -> Result<Option<Vec<Value>>, InvalidField> {
    let is_id = |value: &Value| value.is_string() || value.is_number();
    match metadata.get(field) {
        None => Ok(None),
        Some(Value::Array(list)) if list.iter().all(is_id) => Ok(Some(list.clone())),
        Some(_) => Err(InvalidField::new(full_name, "a list of strings or numbers")),
    }
}

fn check_metadata_size(metadata: &Map<String, Value>) -> Result<(), InvalidSettings> {
    let size = serde_json::to_string(metadata).expect("a map with string keys serialises").len();
    if size > MAX_METADATA_BYTES { Err(InvalidSettings::MetadataTooLarge) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
