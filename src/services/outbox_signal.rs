//! Tells this replica's workers that a reply was queued here, so that it need not wait for their next look.

use tokio::sync::Notify;

use crate::domain::channel::ChannelKind;

/// One signal for each platform.
#[derive(Default)]
pub struct OutboxSignal {
    telegram: Notify,
    discord: Notify,
    slack: Notify,
    email: Notify,
}

impl OutboxSignal {
    fn of(&self, kind: ChannelKind) -> Option<&Notify> {
        match kind {
            ChannelKind::Telegram => Some(&self.telegram),
            ChannelKind::Discord => Some(&self.discord),
            ChannelKind::Slack => Some(&self.slack),
            ChannelKind::Email => Some(&self.email),
            ChannelKind::Webhook => None,
        }
    }

    /// A reply was queued.
    pub(super) fn announce(&self, kind: ChannelKind) {
        if let Some(signal) = self.of(kind) {
            signal.notify_one();
        }
    }

    /// Completes when a reply of this platform was queued since it last did.
    pub async fn due(&self, kind: ChannelKind) {
        match self.of(kind) {
            Some(signal) => signal.notified().await,
            None => std::future::pending().await,
        }
    }
}
