//! What Discord knows of a channel: the endpoint that it calls, and the relay's two commands.

use secrecy::SecretString;

use super::Relay;
use super::error::Error;
use super::register_bot::UNHOOK_TIMEOUT;
use crate::channels::adapter::RegistrationError;
use crate::domain::connection::{Connection, DiscordApp};
use crate::domain::ids::ChannelId;

impl Relay {
    /// Makes the commands known, then the endpoint. An endpoint that Discord refuses is left to the owner to set:
    /// the answer says how. When Discord cannot be reached the channel is about to go, and Discord, which may have
    /// done what it did not get to answer, is not left with what belongs to it.
    pub(super) async fn hook_discord(
        &self,
        id: &ChannelId,
        app: &DiscordApp,
        token: &SecretString,
    ) -> Result<Option<String>, Error> {
        let url = format!("{}/discord/{id}", self.public_url()?);
        let outcome = self.set_up_discord(&url, app, token).await;
        if outcome.is_err() {
            match tokio::time::timeout(UNHOOK_TIMEOUT, self.take_back_from_discord(id, app, token)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::info!(channel = %id, %error, "Discord may have kept an endpoint"),
                Err(_) => {
                    tracing::info!(channel = %id, "Discord did not answer in time, and may have kept an endpoint")
                }
            }
        }
        outcome
    }

    async fn set_up_discord(&self, url: &str, app: &DiscordApp, token: &SecretString) -> Result<Option<String>, Error> {
        let platform = &self.shared.platforms.discord;
        for command in platform.commands(token, app) {
            platform.check(&self.call(command).await?)?;
        }
        match platform.check(&self.call(platform.set_endpoint(token, url)).await?) {
            Ok(()) => Ok(None),
            Err(RegistrationError::Refused(reason)) => Ok(Some(format!(
                "Discord did not take the interactions endpoint ({reason}). Set it by hand in the Developer Portal, \
                 General Information, Interactions Endpoint URL: {url}"
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes back what a registration that failed may have left, unless another channel has the bot.
    async fn take_back_from_discord(
        &self,
        id: &ChannelId,
        app: &DiscordApp,
        token: &SecretString,
    ) -> Result<(), Error> {
        let identity = Connection::Discord(app.clone()).identity();
        match self.store.identity_holder(&identity).await? {
            Some(_) => self.clear_endpoint(id, token).await,
            None => self.unhook_discord(id, app, token).await,
        }
    }

    /// Ends the endpoint first, so that nothing comes any more, then takes the relay's own commands away.
    pub(super) async fn unhook_discord(
        &self,
        id: &ChannelId,
        app: &DiscordApp,
        token: &SecretString,
    ) -> Result<(), Error> {
        self.clear_endpoint(id, token).await?;
        self.remove_commands(app, token).await
    }

    /// Clears the endpoint. Another program's is left alone, if Discord says that there is one.
    async fn clear_endpoint(&self, id: &ChannelId, token: &SecretString) -> Result<(), Error> {
        let platform = &self.shared.platforms.discord;
        let application = platform.read_application(&self.call(platform.get_application(token)).await?)?;
        // By its end: the relay may have been reached under another name when it was set.
        let is_another_s = application.endpoint.is_some_and(|url| !url.ends_with(&format!("/discord/{id}")));
        if !is_another_s {
            platform.check(&self.call(platform.clear_endpoint(token)).await?)?;
        }
        Ok(())
    }

    async fn remove_commands(&self, app: &DiscordApp, token: &SecretString) -> Result<(), Error> {
        let platform = &self.shared.platforms.discord;
        let listed = self.call(platform.list_commands(token, app)).await?;
        for command in platform.read_own_commands(&listed)? {
            platform.check(&self.call(platform.delete_command(token, app, &command)).await?)?;
        }
        Ok(())
    }
}
