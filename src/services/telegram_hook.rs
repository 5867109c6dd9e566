//! Where Telegram sends a bot's updates. A bot has one webhook: it leads to the channel that has the bot, or
//! nowhere.

use secrecy::SecretString;

use super::Relay;
use super::error::Error;
use super::known_channel::KnownChannel;
use super::register_bot::UNHOOK_TIMEOUT;
use crate::channels::api::ApiCall;
use crate::domain::connection::{Connection, ConnectionSecrets};
use crate::domain::ids::ChannelId;

impl Relay {
    /// Has Telegram send the bot's updates to this channel. When that fails the channel is about to go, and
    /// Telegram, which may have set the webhook without getting to say so, is not left with its URL.
    pub(super) async fn hook_telegram(
        &self,
        id: &ChannelId,
        connection: &Connection,
        secrets: &ConnectionSecrets,
    ) -> Result<(), Error> {
        let url = self.telegram_url(id)?;
        let set = self.shared.platforms.telegram.set_webhook(&secrets.token, &url, &secrets.events);
        let outcome = self.done_by_telegram(set).await;
        if let Err(Error::PlatformUnreachable(_)) = &outcome {
            let taken_back = self.take_back_hook(&url, connection, &secrets.token);
            match tokio::time::timeout(UNHOOK_TIMEOUT, taken_back).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::info!(channel = %id, %error, "Telegram may have kept a webhook"),
                Err(_) => tracing::info!(channel = %id, "Telegram did not answer in time, and may have kept a webhook"),
            }
        }
        outcome
    }

    /// Has Telegram send the bot's updates nowhere. Another program's webhook is left alone, if Telegram says that
    /// there is one.
    pub(super) async fn unhook_telegram(&self, id: &ChannelId, token: &SecretString) -> Result<(), Error> {
        let platform = &self.shared.platforms.telegram;
        let set = match self.call(platform.get_webhook_info(token)).await {
            Ok(answer) => platform.read_webhook_url(&answer).unwrap_or_default(),
            Err(error) => return Err(error.into()),
        };
        // By its end: the relay may have been reached under another name when it was set.
        let is_another_s = !set.is_empty() && !set.ends_with(&format!("/telegram/{id}"));
        if is_another_s { Ok(()) } else { self.delete_webhook(token).await }
    }

    async fn delete_webhook(&self, token: &SecretString) -> Result<(), Error> {
        self.done_by_telegram(self.shared.platforms.telegram.delete_webhook(token)).await
    }

    /// If this is the URL that Telegram has, it gets that of the channel that has the bot, or none. Another
    /// program's is left alone.
    async fn take_back_hook(&self, url: &str, connection: &Connection, token: &SecretString) -> Result<(), Error> {
        let platform = &self.shared.platforms.telegram;
        let set = platform.read_webhook_url(&self.call(platform.get_webhook_info(token)).await?)?;
        if set != url {
            return Ok(());
        }
        let holder = self.holder_of(connection).await?;
        match holder.as_ref().and_then(|holder| Some((holder, holder.secrets.as_ref()?))) {
            Some((holder, secrets)) => {
                let url = self.telegram_url(&holder.channel().id)?;
                self.done_by_telegram(platform.set_webhook(token, &url, &secrets.events)).await
            }
            None => self.delete_webhook(token).await,
        }
    }

    /// The channel that has this bot.
    async fn holder_of(&self, connection: &Connection) -> Result<Option<KnownChannel>, Error> {
        let Some(holder) = self.store.identity_holder(&connection.identity()).await? else { return Ok(None) };
        let Some(record) = self.store.read_channel(&holder.user, &holder.channel).await? else { return Ok(None) };
        self.unsealed(holder.user, record)
    }

    async fn done_by_telegram(&self, call: ApiCall) -> Result<(), Error> {
        Ok(self.shared.platforms.telegram.check(&self.call(call).await?)?)
    }

    fn telegram_url(&self, id: &ChannelId) -> Result<String, Error> {
        Ok(format!("{}/telegram/{id}", self.public_url()?))
    }
}
