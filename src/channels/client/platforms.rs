//! Something of which every platform has its own.

use crate::domain::channel::ChannelKind;

/// How many platforms there are.
pub(super) const PLATFORMS: usize = 5;

/// One `T` for each platform.
pub(super) struct Platforms<T> {
    webhook: T,
    telegram: T,
    discord: T,
    slack: T,
    email: T,
}

impl<T> Platforms<T> {
    /// As many as there are platforms, each made anew.
    pub(super) fn new(make: impl Fn() -> T) -> Self {
        Self { webhook: make(), telegram: make(), discord: make(), slack: make(), email: make() }
    }

    /// The platform's own.
    pub(super) fn of(&self, platform: ChannelKind) -> &T {
        match platform {
            ChannelKind::Webhook => &self.webhook,
            ChannelKind::Telegram => &self.telegram,
            ChannelKind::Discord => &self.discord,
            ChannelKind::Slack => &self.slack,
            ChannelKind::Email => &self.email,
        }
    }
}
