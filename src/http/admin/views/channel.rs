//! A channel and its state, in words.

use serde::Serialize;

use super::format::{Badge, Instant, Tone, counted, link, platform};
use super::text::line;
use crate::domain::channel::{Channel, ChannelKind};
use crate::domain::connection::Connection;
use crate::domain::ids::UserId;

/// A channel as the pages show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ChannelView {
    id: String,
    /// Its messages.
    href: String,
    platform: &'static str,
    /// The name its owner gave it.
    name: Option<String>,
    /// The bot or the address behind it.
    account: Option<String>,
    agent: String,
    state: Badge,
    /// When the code was given out that nobody used yet.
    pending: Option<Instant>,
    allowed: Option<String>,
}

impl ChannelView {
    pub(super) fn new(channel: &Channel, user: &UserId) -> Self {
        Self {
            id: channel.id.to_string(),
            href: link(&format!("/admin/sessions/{user}"), &[("channel", channel.id.as_str())]),
            platform: platform(channel.kind),
            name: channel.name.as_deref().map(line).filter(|name| !name.is_empty()),
            account: channel.connection.as_ref().map(account),
            agent: line(&channel.agent_id),
            state: state(channel),
            pending: channel.pending.as_ref().map(|pending| pending.issued.into()),
            allowed: allowed(channel),
        }
    }
}

fn account(connection: &Connection) -> String {
    let name = match connection {
        Connection::Telegram(bot) => format!("@{}", bot.bot_username),
        Connection::Discord(app) => app.bot_username.clone(),
        Connection::Slack(app) => format!("{} in {}", app.bot_username, app.team_name),
        Connection::Email(mailbox) => mailbox.inbound_address.clone(),
    };
    line(&name)
}

fn listed(channel: &Channel, name: &str) -> u64 {
    channel.metadata.get(name).and_then(|list| list.as_array()).map_or(0, |list| list.len() as u64)
}

/// Whether the channel does what it is there for, and if not, what is missing.
fn state(channel: &Channel) -> Badge {
    if !channel.enabled {
        return match &channel.disabled_reason {
            Some(reason) => Badge::new(Tone::Bad, format!("disabled: {}", line(reason))),
            None => Badge::new(Tone::Plain, "disabled"),
        };
    }
    match (channel.kind, &channel.connection) {
        (ChannelKind::Webhook, _) => Badge::new(Tone::Good, "on"),
        (_, Some(Connection::Email(mailbox))) if mailbox.verified => Badge::new(Tone::Good, "verified"),
        (ChannelKind::Email, _) => Badge::new(Tone::Wait, "waiting for verification"),
        _ => match listed(channel, "allowedUsers") {
            0 => Badge::new(Tone::Wait, "waiting for pairing"),
            paired => Badge::new(Tone::Good, format!("paired with {paired}")),
        },
    }
}

/// Who may write, where that is not the number of those who paired.
fn allowed(channel: &Channel) -> Option<String> {
    (channel.kind == ChannelKind::Email).then(|| counted(listed(channel, "allowedSenders"), "allowed sender"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::admin::views::tests::samples::channel;

    fn shown(kind: &str, more: Value) -> Badge {
        state(&channel("c", kind, more))
    }

    #[test]
    fn the_state_of_a_channel_says_what_is_missing() {
        assert_eq!(shown("webhook", json!({})), Badge::new(Tone::Good, "on"));
        assert_eq!(shown("telegram", json!({})), Badge::new(Tone::Wait, "waiting for pairing"));
        let paired = json!({"metadata": {"allowedUsers": [1, "2"]}});
        assert_eq!(shown("slack", paired), Badge::new(Tone::Good, "paired with 2"));
        let mailbox = |verified: bool| {
            json!({"connection": {
                "platform": "email", "inboundAddress": "a@x", "userEmail": "b@y", "verified": verified,
            }})
        };
        assert_eq!(shown("email", mailbox(false)), Badge::new(Tone::Wait, "waiting for verification"));
        assert_eq!(shown("email", mailbox(true)), Badge::new(Tone::Good, "verified"));
        assert_eq!(shown("webhook", json!({"enabled": false})), Badge::new(Tone::Plain, "disabled"));
        let refused = json!({"enabled": false, "disabledReason": "token revoked"});
        assert_eq!(shown("discord", refused), Badge::new(Tone::Bad, "disabled: token revoked"));
    }
}
