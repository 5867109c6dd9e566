//! Channels by platform: how what comes in is read, and how what goes out is sent.

pub mod adapter;
pub mod api;
pub mod client;
pub mod discord;
pub mod email;
mod parts;
pub mod slack;
pub mod telegram;
mod tokens;
pub mod webhook;

use crate::domain::channel::ChannelKind;
use crate::domain::conversation::Destination;
use serde_json::{Map, Value};

use adapter::{EventAdapter, SendAdapter};
use discord::Discord;
use email::Email;
use slack::Slack;
use telegram::Telegram;

/// The adapters of this deployment.
pub struct Platforms {
    /// Telegram bots.
    pub telegram: Telegram,
    /// Discord applications.
    pub discord: Discord,
    /// Slack apps.
    pub slack: Slack,
    /// Mail, where the operator set it up.
    pub email: Option<Email>,
}

impl Platforms {
    /// What reads this platform's events. Mail comes by another way, and webhooks are no platform.
    pub fn events(&self, kind: ChannelKind) -> Option<&dyn EventAdapter> {
        match kind {
            ChannelKind::Telegram => Some(&self.telegram),
            ChannelKind::Discord => Some(&self.discord),
            ChannelKind::Slack => Some(&self.slack),
            ChannelKind::Email | ChannelKind::Webhook => None,
        }
    }

    /// Where a reply with this metadata shall go, if they say. Mail has its conversations even while the relay
    /// cannot send any.
    pub fn destination(&self, kind: ChannelKind, metadata: &Map<String, Value>) -> Option<Destination> {
        match kind {
            ChannelKind::Email => email::destination(metadata),
            other => self.sender(other)?.destination(metadata),
        }
    }

    /// What sends to this platform, if the relay can.
    pub fn sender(&self, kind: ChannelKind) -> Option<&dyn SendAdapter> {
        match kind {
            ChannelKind::Telegram => Some(&self.telegram),
            ChannelKind::Discord => Some(&self.discord),
            ChannelKind::Slack => Some(&self.slack),
            ChannelKind::Email => self.email.as_ref().map(|email| email as &dyn SendAdapter),
            ChannelKind::Webhook => None,
        }
    }
}
