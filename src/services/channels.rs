//! Channels: make, list, change, delete.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::Relay;
use super::authenticate::{Caller, Passed};
use super::error::Error;
use super::register::unsealing_failed;
use crate::domain::channel::{Channel, ChannelKind, ChannelUpdate, NewChannel};
use crate::domain::digest::Digest;
use crate::domain::ids::ChannelId;
use crate::domain::sealing::Owner;
use crate::store::{ChannelRecord, MAX_CHANNELS, PutChannel};

/// Random bytes of a webhook secret that the relay makes: 192 bits.
const SECRET_BYTES: usize = 24;
/// How often an update starts again when somebody else was faster.
pub(super) const UPDATE_TRIES: usize = 5;

/// A new secret of the relay's own.
pub(super) fn new_secret() -> SecretString {
    let mut bytes = [0_u8; SECRET_BYTES];
    getrandom::fill(&mut bytes).expect("the system's random generator works");
    URL_SAFE_NO_PAD.encode(bytes).into()
}

impl Relay {
    /// Makes a webhook channel, or replaces the caller's own of the same id. `base_url` starts the URL
    /// that is given out. A body that is wrong is refused only behind the gate.
    pub async fn create_channel(
        &self,
        caller: &Caller,
        body: Result<Map<String, Value>, Error>,
        base_url: &str,
    ) -> Result<Passed<Value>, Error> {
        let gate = caller.limited_gate("channels", self.shared.limits.channels);
        let passed = self.passed(&gate, self.store.authorize(&gate).await)?;
        let new = NewChannel::from_json(&body?)?;
        check_kind(new.kind.as_deref())?;
        let user = caller.user.to_string();
        let may_replace = new.id.is_some();
        let id = new.id.clone().unwrap_or_else(ChannelId::random);
        let secret = new.secret.clone().unwrap_or_else(new_secret);
        let sealed = self.shared.keys.seal(Owner::WebhookSecret(&user, id.as_str()), &secret);
        let record = ChannelRecord {
            channel: new.into_channel(id.clone(), sealed),
            secret: Some(Digest::of(secret.expose_secret().as_bytes())),
            revision: 0,
        };
        if may_replace
            && let Some(before) = self.store.read_channel(&caller.user, &id).await?
            && before.channel.connection.is_some()
        {
            // What it was on its platform ends; its conversations are not the new channel's.
            self.unhook(caller.user, &before).await;
            self.store.delete_channel(&caller.user, &id).await?;
            self.forget_channel(&id);
        }
        match self.store.put_channel(&caller.user, &record).await? {
            PutChannel::Stored => {}
            refusal => return Err(put_refusal(self, caller, &id, refusal)),
        }
        let token: String = url::form_urlencoded::byte_serialize(secret.expose_secret().as_bytes()).collect();
        let value = json!({
            "channel": record.channel.view(Some(&secret)),
            "webhookUrl": format!("{base_url}/webhook/{id}?token={token}"),
        });
        Ok(Passed { value, limit: passed.limit })
    }

    /// The caller's channels.
    pub async fn list_channels(&self, caller: &Caller) -> Result<Value, Error> {
        let gate = caller.gate();
        let mut records = self.passed(&gate, self.store.channels(&gate).await)?.value;
        records.sort_by(|a, b| a.channel.id.as_str().cmp(b.channel.id.as_str()));
        let views = records.iter().map(|record| self.view(caller, record)).collect::<Result<Vec<_>, _>>()?;
        Ok(json!({ "channels": views }))
    }

    /// Changes some settings of one of the caller's channels.
    pub async fn update_channel(
        &self,
        caller: &Caller,
        id: &str,
        body: Result<Map<String, Value>, Error>,
    ) -> Result<Value, Error> {
        let update = match body.and_then(|body| ChannelUpdate::from_json(&body).map_err(Error::from)) {
            Ok(update) => update,
            Err(refusal) => {
                self.own_channel(caller, id).await?;
                return Err(refusal);
            }
        };
        let record =
            self.change_channel(caller, id, |channel| channel.update(update.clone()).map_err(Error::from)).await?;
        Ok(json!({"ok": true, "channel": self.view(caller, &record)?}))
    }

    /// Changes one of the caller's channels, again and again until nobody else was faster.
    pub(super) async fn change_channel(
        &self,
        caller: &Caller,
        id: &str,
        change: impl Fn(&mut Channel) -> Result<(), Error>,
    ) -> Result<ChannelRecord, Error> {
        let mut record = self.own_channel(caller, id).await?;
        let caller = caller.after_gate();
        for _ in 0..UPDATE_TRIES {
            change(&mut record.channel)?;
            if self.store.update_channel(&caller.user, &record).await? {
                self.forget_channel(&record.channel.id);
                return Ok(record);
            }
            record = self.own_channel(&caller, id).await?;
        }
        Err(busy())
    }

    /// Deletes one of the caller's channels.
    pub async fn delete_channel(&self, caller: &Caller, id: &str) -> Result<Value, Error> {
        let record = self.own_channel(caller, id).await?;
        let channel = &record.channel;
        if channel.connection.is_some() {
            self.unhook(caller.user, &record).await;
        }
        self.store.delete_channel(&caller.user, &channel.id).await?;
        self.forget_owner(&channel.id);
        self.forget_channel(&channel.id);
        Ok(json!({"ok": true}))
    }

    /// One of the caller's channels, behind the gate.
    pub(super) async fn own_channel(&self, caller: &Caller, id: &str) -> Result<ChannelRecord, Error> {
        let gate = caller.gate();
        let Ok(parsed) = id.parse::<ChannelId>() else {
            return Err(self.refuse(&gate, Error::no_channel(id)).await);
        };
        let found = self.passed(&gate, self.store.channel(&gate, &parsed).await)?.value;
        found.ok_or_else(|| Error::no_channel(id))
    }

    fn view(&self, caller: &Caller, record: &ChannelRecord) -> Result<Value, Error> {
        let channel = &record.channel;
        if channel.connection.is_some() {
            return self.view_of_platform(caller, record);
        }
        let owner = caller.user.to_string();
        let secret = channel
            .sealed_secret
            .as_ref()
            .map(|sealed| self.shared.keys.unseal(Owner::WebhookSecret(&owner, channel.id.as_str()), sealed))
            .transpose()
            .map_err(|error| unsealing_failed(error, "a webhook secret"))?;
        Ok(channel.view(secret.as_ref()))
    }

    /// A platform's channel has no secret to show; where its platform sends events to is its owner's business.
    fn view_of_platform(&self, caller: &Caller, record: &ChannelRecord) -> Result<Value, Error> {
        let mut view = record.channel.view(None);
        let (id, Ok(base)) = (&record.channel.id, self.public_url()) else { return Ok(view) };
        match record.channel.kind {
            ChannelKind::Slack => view["metadata"]["eventsUrl"] = format!("{base}/slack/{id}").into(),
            ChannelKind::Discord => {
                let known = self.unsealed(caller.user, record.clone())?;
                if let Some(secrets) = known.and_then(|known| known.secrets) {
                    let secret = secrets.events.expose_secret();
                    view["metadata"]["eventsUrl"] = format!("{base}/discord/{id}?secret={secret}").into();
                }
            }
            _ => {}
        }
        Ok(view)
    }
}

/// The refusal of a channel that could not be stored.
pub(super) fn put_refusal(relay: &Relay, caller: &Caller, id: &ChannelId, refusal: PutChannel) -> Error {
    match refusal {
        PutChannel::TooMany => Error::Conflict {
            code: "too_many_channels",
            message: format!("a session has at most {MAX_CHANNELS} channels: delete one first"),
        },
        PutChannel::NoSession => {
            relay.forget_session(&caller.api_key);
            Error::Unauthorized { code: "unknown_token", message: "the session is gone: register again" }
        }
        PutChannel::Taken | PutChannel::Stored => Error::Conflict {
            code: "channel_taken",
            message: format!("the channel id {:?} belongs to another session", id.as_str()),
        },
    }
}

/// The refusal when others change a channel all the time.
pub(super) fn busy() -> Error {
    Error::Conflict {
        code: "busy",
        message: "the channel is being changed by others at this moment: try again".to_owned(),
    }
}

/// Refuses a type that this way cannot make, naming the way that can.
fn check_kind(kind: Option<&str>) -> Result<(), Error> {
    let Some(name) = kind else { return Ok(()) };
    match ChannelKind::parse(name) {
        Some(ChannelKind::Webhook) => Ok(()),
        Some(other) => Err(Error::invalid(
            "wrong_endpoint",
            format!("type must be \"webhook\" here; a {other} channel is made by POST /channels/{other}/register"),
        )),
        None => Err(Error::invalid("invalid_field", "type must be \"webhook\"")),
    }
}

/// Refuses a client that believes a channel to be of another type than it is.
pub(super) fn check_type(believed: Option<&str>, actual: ChannelKind) -> Result<(), Error> {
    match believed {
        Some(believed) if believed != actual.as_str() => Err(wrong_type(believed, actual)),
        _ => Ok(()),
    }
}

/// The refusal of a wrong belief, naming both types.
pub(super) fn wrong_type(believed: &str, actual: ChannelKind) -> Error {
    let shown: String = believed.chars().take(32).collect();
    Error::invalid("wrong_channel_type", format!("channelType is {shown:?}, but the channel is of type \"{actual}\""))
}
