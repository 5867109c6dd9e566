//! Registering bots and apps: the platform confirms the token, then learns where to send its events.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::Relay;
use super::authenticate::{Caller, Passed};
use super::channels::{new_secret, put_refusal};
use super::error::Error;
use super::pair::new_code;
use crate::channels::telegram::Telegram;
use crate::channels::{discord, slack};
use crate::domain::channel::{Channel, ChannelKind, PlatformSettings};
use crate::domain::connection::{Connection, ConnectionSecrets, DiscordApp, Pending};
use crate::domain::fields::{Fields, InvalidField};
use crate::domain::ids::{ChannelId, UserId};
use crate::domain::pairing::PairingCode;
use crate::domain::sealing::Owner;
use crate::store::{ChannelRecord, Holder, PutChannel};

/// Why the owner of an earlier registration finds it disabled.
const TAKEN_OVER: &str = "the bot was registered again, and belongs to another channel now";

/// What a registered bot's channel needs beside its bot.
struct NewBot {
    kind: ChannelKind,
    settings: PlatformSettings,
    connection: Connection,
    secrets: ConnectionSecrets,
}

impl Relay {
    /// Registers a Telegram bot.
    pub async fn register_telegram(
        &self,
        caller: &Caller,
        body: Result<Map<String, Value>, Error>,
    ) -> Result<Passed<Value>, Error> {
        let (fields, passed) = self.begin_registration(caller, body).await?;
        let token = secret_field(&fields, "botToken", Telegram::is_token, "a bot token as @BotFather gives it")?;
        let platform = &self.shared.platforms.telegram;
        let bot = platform.read_me(&self.call(platform.get_me(&token)).await?)?;
        let connection = Connection::Telegram(bot.clone());
        let secrets = ConnectionSecrets { token, events: new_secret() };
        let new = NewBot {
            kind: ChannelKind::Telegram,
            settings: PlatformSettings::from_json(&fields)?,
            connection: connection.clone(),
            secrets: secrets.clone(),
        };
        let (id, code) = self.store_bot(caller, new).await?;
        let connected = self.connect_telegram(caller, &id, &connection, &secrets).await;
        self.keep_or_undo(caller, &id, connected).await?;
        let answer = json!({
            "channelId": id,
            "botUsername": bot.bot_username,
            "pairingCode": code.as_str(),
            "pairingLink": Telegram::pairing_link(&bot, code.as_str()),
        });
        Ok(Passed { value: answer, limit: passed.limit })
    }

    /// Has Telegram send a bot's updates to a channel that is stored, and the channel have the bot.
    async fn connect_telegram(
        &self,
        caller: &Caller,
        id: &ChannelId,
        connection: &Connection,
        secrets: &ConnectionSecrets,
    ) -> Result<(), Error> {
        let earlier = self.store.identity_holder(&connection.identity()).await?;
        self.hook_telegram(id, connection, secrets).await?;
        let before = self.take_over(caller, id, connection).await?;
        if before != earlier {
            // Somebody else registered the bot meanwhile, and Telegram may have heard of that last.
            self.hook_telegram(id, connection, secrets).await?;
        }
        Ok(())
    }

    /// Registers a Discord application. Its channel is stored before Discord is told the endpoint, since Discord
    /// tries it out, on whichever replica, before it answers.
    pub async fn register_discord(
        &self,
        caller: &Caller,
        body: Result<Map<String, Value>, Error>,
    ) -> Result<Passed<Value>, Error> {
        let (fields, passed) = self.begin_registration(caller, body).await?;
        let token =
            secret_field(&fields, "botToken", discord::register::is_token, "the token of the application's bot")?;
        let app = self.discord_application(&token).await?;
        let new = NewBot {
            kind: ChannelKind::Discord,
            settings: PlatformSettings::from_json(&fields)?,
            connection: Connection::Discord(app.clone()),
            secrets: ConnectionSecrets { token: token.clone(), events: new_secret() },
        };
        let (id, code) = self.store_bot(caller, new).await?;
        let set_up = self.hook_discord(&id, &app, &token).await;
        let warning = self.keep_or_undo(caller, &id, set_up).await?;
        let taken_over = self.take_over(caller, &id, &Connection::Discord(app.clone())).await;
        self.keep_or_undo(caller, &id, taken_over).await?;
        let mut answer = json!({"channelId": id, "botUsername": app.bot_username, "pairingCode": code.as_str()});
        if let Some(warning) = warning {
            answer["warning"] = warning.into();
        }
        Ok(Passed { value: answer, limit: passed.limit })
    }

    async fn discord_application(&self, token: &SecretString) -> Result<DiscordApp, Error> {
        let platform = &self.shared.platforms.discord;
        let application = platform.read_application(&self.call(platform.get_application(token)).await?)?;
        let bot = match application.bot.clone() {
            Some(bot) => bot,
            None => platform.read_me(&self.call(platform.get_me(token)).await?)?,
        };
        Ok(application.with_bot(bot))
    }

    /// Registers a Slack app. Slack takes the events' URL from its owner only.
    pub async fn register_slack(
        &self,
        caller: &Caller,
        body: Result<Map<String, Value>, Error>,
    ) -> Result<Passed<Value>, Error> {
        let (fields, passed) = self.begin_registration(caller, body).await?;
        let token = secret_field(&fields, "botToken", slack::is_token, "a bot token, which starts with xoxb-")?;
        let signing = secret_field(
            &fields,
            "signingSecret",
            slack::is_signing_secret,
            "the signing secret of the app's Basic Information page",
        )?;
        let platform = &self.shared.platforms.slack;
        let app = platform.read_identity(&self.call(platform.auth_test(&token)).await?)?;
        let connection = Connection::Slack(app.clone());
        let new = NewBot {
            kind: ChannelKind::Slack,
            settings: PlatformSettings::from_json(&fields)?,
            connection: connection.clone(),
            secrets: ConnectionSecrets { token, events: signing },
        };
        let (id, code) = self.store_bot(caller, new).await?;
        let taken_over = self.take_over(caller, &id, &connection).await;
        self.keep_or_undo(caller, &id, taken_over).await?;
        let answer = json!({
            "channelId": id,
            "botUsername": app.bot_username,
            "teamName": app.team_name,
            "eventsUrl": format!("{}/slack/{id}", self.public_url()?),
            "pairingCode": code.as_str(),
        });
        Ok(Passed { value: answer, limit: passed.limit })
    }

    /// Opens the gate, counts the creation, and looks whether the relay has an address at all.
    pub(super) async fn begin_registration(
        &self,
        caller: &Caller,
        body: Result<Map<String, Value>, Error>,
    ) -> Result<(Map<String, Value>, Passed<()>), Error> {
        let gate = caller.limited_gate("channels", self.shared.limits.channels);
        let passed = self.passed(&gate, self.store.authorize(&gate).await)?;
        let fields = body?;
        self.public_url()?;
        Ok((fields, passed))
    }

    /// The relay's own address, as the operator set it. One that a request names must not get to a platform.
    pub(super) fn public_url(&self) -> Result<&str, Error> {
        self.shared.public_url.as_deref().ok_or(Error::NotConfigured(
            "the relay has no public address yet: its operator has to set CHAOS_PUBLIC_URL",
        ))
    }

    async fn store_bot(&self, caller: &Caller, new: NewBot) -> Result<(ChannelId, PairingCode), Error> {
        let (id, (code, pending)) = (ChannelId::random(), new_code());
        self.store_channel(caller, &id, new.kind, new.settings, new.connection, Some(&new.secrets), pending).await?;
        Ok((id, code))
    }

    /// Stores a channel that was just registered.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of one record")]
    pub(super) async fn store_channel(
        &self,
        caller: &Caller,
        id: &ChannelId,
        kind: ChannelKind,
        settings: PlatformSettings,
        connection: Connection,
        secrets: Option<&ConnectionSecrets>,
        pending: Pending,
    ) -> Result<(), Error> {
        let owner = caller.user.to_string();
        let sealed =
            secrets.map(|secrets| self.shared.keys.seal(Owner::Connection(&owner, id.as_str()), &secrets.to_text()));
        let channel = Channel::on_platform(id.clone(), kind, settings, connection, sealed, pending);
        let record = ChannelRecord { channel, secret: None, revision: 0 };
        match self.store.put_channel(&caller.user, &record).await? {
            PutChannel::Stored => Ok(()),
            refusal => Err(put_refusal(self, caller, id, refusal)),
        }
    }

    /// Leaves nothing behind of a registration that failed.
    pub(super) async fn keep_or_undo<T>(
        &self,
        caller: &Caller,
        id: &ChannelId,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        if outcome.is_err() {
            self.store.delete_channel(&caller.user, id).await?;
            self.forget_channel(id);
        }
        outcome
    }

    /// Makes this channel the one that has the bot. Whoever showed the token last has it: an earlier channel is
    /// disabled, for a reason that its owner can read. Gives which that was.
    async fn take_over(
        &self,
        caller: &Caller,
        id: &ChannelId,
        connection: &Connection,
    ) -> Result<Option<Holder>, Error> {
        let holder = Holder { user: caller.user, channel: id.clone() };
        let before = self.store.hold_identity(&connection.identity(), &holder, true).await?;
        let Some(before) = before.filter(|before| *before != holder) else { return Ok(None) };
        let disabled = self.change_stored(&before.user, &before.channel, |channel| {
            channel.taken_over = true;
            channel.disable(TAKEN_OVER);
            Ok(())
        });
        match disabled.await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(Some(before)),
            Err(error) => Err(error),
        }
    }

    /// Ends what a platform knows of a channel that is about to go: no more events come. Best effort, since a
    /// platform that is away, or a token that was revoked, must not keep a channel from being deleted.
    pub(super) async fn unhook(&self, user: UserId, record: &ChannelRecord) {
        let id = record.channel.id.clone();
        let Ok(Some(channel)) = self.unsealed(user, record.clone()) else { return };
        let identity = channel.connection.identity();
        let holder = Holder { user, channel: id.clone() };
        match self.store.identity_holder(&identity).await {
            // The bot is another channel's, whose hook it has.
            Ok(Some(other)) if other != holder => return,
            Ok(_) => {}
            Err(error) => return tracing::warn!(%error, "a channel's bot could not be looked up"),
        }
        let unhooked = match (&channel.connection, &channel.secrets) {
            (Connection::Telegram(_), Some(secrets)) => {
                tokio::time::timeout(UNHOOK_TIMEOUT, self.unhook_telegram(&id, &secrets.token)).await
            }
            (Connection::Discord(app), Some(secrets)) => {
                tokio::time::timeout(UNHOOK_TIMEOUT, self.unhook_discord(&id, app, &secrets.token)).await
            }
            _ => Ok(Ok(())),
        };
        match unhooked {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!(channel = %id, %error, "the platform kept what it knows of a channel"),
            Err(_) => tracing::info!(channel = %id, "the platform did not answer in time, and kept what it knows"),
        }
        if let Err(error) = self.store.drop_identity(&identity, &holder).await {
            tracing::warn!(%error, "a deleted channel's bot could not be freed; it lapses by itself");
        }
    }
}

/// How long a platform may keep somebody waiting when a channel goes.
pub(super) const UNHOOK_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(8);

/// A secret in a registration's body. The refusal does not repeat it.
fn secret_field(
    body: &Map<String, Value>,
    field: &'static str,
    is_form: impl Fn(&str) -> bool,
    expected: &'static str,
) -> Result<SecretString, Error> {
    let text = Fields::of(body).text(field)?.unwrap_or_default();
    let secret: SecretString = text.trim().to_owned().into();
    if is_form(secret.expose_secret()) { Ok(secret) } else { Err(InvalidField::new(field, expected).into()) }
}
