//! Pairing: the first thing that a stranger can say is the code.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Relay;
use super::authenticate::Caller;
use super::error::Error;
use super::known_channel::KnownChannel;
use super::receive::{Counted, Judged, PlatformAnswer};
use crate::channels::adapter::{EventAdapter, Inbound};
use crate::domain::channel::{ChannelKind, InvalidSettings};
use crate::domain::connection::Pending;
use crate::domain::digest::Digest;
use crate::domain::limit::{Limit, LimitStatus};
use crate::domain::pairing::{Attempt, PairingCode, Request};
use crate::domain::timestamp::Timestamp;
use crate::store::LimitUse;

const HOUR: Duration = Duration::from_secs(60 * 60);
/// Tries of one sender for one code. Part of the wire contract.
const TRIES_PER_SENDER: Limit = Limit::new(5, HOUR);
/// Tries of all senders at a channel for one code. Part of the wire contract.
const TRIES_PER_CHANNEL: Limit = Limit::new(50, HOUR);
/// How often a stranger is told how to pair. Part of the wire contract.
const HINTS: Limit = Limit::new(1, HOUR);
/// How often a try is answered that comes as several events. They come within seconds, and again within minutes.
const ANSWERS: Limit = Limit::new(1, HOUR);

/// What a person who paired is told.
pub(super) const CONFIRMATION: &str = "You are paired. Whatever you write here now reaches the agent.";
const WRONG_CODE: &str = "This code is not right, or no longer. The owner finds the current one in the app.";
const TOO_MANY_TRIES: &str = "Too many tries. Please wait an hour, or ask the owner for a new code.";
const LIST_IS_FULL: &str = "The list of those who may write here is full. Its owner can remove somebody.";
const NOT_PAIRED: &str = "You are not paired with this bot.";

impl Relay {
    /// A person who may not write said something: a code, perhaps.
    pub(super) async fn hear_stranger(
        &self,
        channel: &Arc<KnownChannel>,
        adapter: &dyn EventAdapter,
        inbound: Inbound,
        event: Digest,
        admitted: &mut Option<LimitStatus>,
    ) -> Result<Judged, Error> {
        let counted = self.count(channel, admitted).await?;
        if !matches!(counted, Counted::Admitted) || inbound.only_in_known_conversation {
            return self.say(channel, adapter, &inbound, counted, None);
        }
        let attempt = match &inbound.pairing {
            Some(Request::Attempt(attempt)) => attempt.clone(),
            Some(Request::AskedHow) | None => {
                let hint = adapter.how_to_pair(&channel.connection, inbound.is_group);
                return self.hint(channel, adapter, &inbound, &hint).await;
            }
        };
        let tried = self.try_to_pair(channel, adapter, &inbound, &attempt, event).await?;
        // With the right code the other event of the same post comes this far as well, or finds the person paired.
        let is_right = matches!(tried, Tried::Paired | Tried::NoRoom);
        if is_right && !self.is_unanswered(channel, adapter, event).await? {
            return Ok(Judged::Done(PlatformAnswer::taken()));
        }
        match tried {
            Tried::Changed => Ok(Judged::Changed),
            Tried::Paired => self.say(channel, adapter, &inbound, Counted::Admitted, Some(CONFIRMATION)),
            Tried::Wrong => self.say(channel, adapter, &inbound, Counted::Admitted, Some(WRONG_CODE)),
            Tried::NoRoom => self.say(channel, adapter, &inbound, Counted::Admitted, Some(LIST_IS_FULL)),
            Tried::Answered => Ok(Judged::Done(PlatformAnswer::taken())),
            Tried::TooOften => self.hint(channel, adapter, &inbound, TOO_MANY_TRIES).await,
        }
    }

    /// Whether nobody was told yet what became of this try, which may have come as another event before. Asked only
    /// when there is something to tell: whoever asks first tells it.
    pub(super) async fn is_unanswered(
        &self,
        channel: &KnownChannel,
        adapter: &dyn EventAdapter,
        event: Digest,
    ) -> Result<bool, Error> {
        if !adapter.splits_events() {
            return Ok(true);
        }
        let counter = format!("try:{}:{}", channel.channel().id, &event.to_hex()[..32]);
        Ok(!self.store.count_use(&LimitUse { counter, limit: ANSWERS }).await?.is_exceeded())
    }

    /// Says something to a stranger, at most once an hour. A platform that waits for a response gets a short one.
    async fn hint(
        &self,
        channel: &Arc<KnownChannel>,
        adapter: &dyn EventAdapter,
        inbound: &Inbound,
        hint: &str,
    ) -> Result<Judged, Error> {
        let counter = format!("hint:{}:{}", channel.channel().id, sender_digest(&inbound.sender));
        let status = self.store.count_use(&LimitUse { counter, limit: HINTS }).await?;
        let said = match status.is_exceeded() {
            false => Some(hint),
            true => Some(NOT_PAIRED).filter(|_| inbound.answers_in_response),
        };
        self.say(channel, adapter, inbound, Counted::Admitted, said)
    }

    async fn try_to_pair(
        &self,
        channel: &Arc<KnownChannel>,
        adapter: &dyn EventAdapter,
        inbound: &Inbound,
        attempt: &Attempt,
        event: Digest,
    ) -> Result<Tried, Error> {
        let pending = channel.channel().pending.as_ref();
        let opens = pending.is_some_and(|pending| attempt.opens(&pending.digest, pending.issued, Timestamp::now()));
        // A wrong try counts once, however many events bring it.
        if !opens && !self.is_unanswered(channel, adapter, event).await? {
            return Ok(Tried::Answered);
        }
        // Each code has counters of its own, so that a stranger's tries do not outlast it.
        let code = pending.map_or(0, |pending| pending.issued.millis());
        let by_channel = format!("pair:{}:{code}", channel.channel().id);
        let by_sender = format!("{by_channel}:{}", sender_digest(&inbound.sender));
        for (counter, limit) in [(by_sender, TRIES_PER_SENDER), (by_channel, TRIES_PER_CHANNEL)] {
            if self.store.count_use(&LimitUse { counter, limit }).await?.is_exceeded() {
                return Ok(Tried::TooOften);
            }
        }
        if !opens {
            return Ok(Tried::Wrong);
        }
        let mut record = channel.record.clone();
        match record.channel.pair(inbound.sender.clone(), event) {
            Ok(()) => {}
            Err(InvalidSettings::MetadataTooLarge) => return Ok(Tried::NoRoom),
            Err(error) => return Err(error.into()),
        }
        // Of two senders at once one finds the channel changed, and then no code any more.
        let is_written = self.store.update_channel(&channel.user, &record).await?;
        self.forget_channel(&channel.channel().id);
        Ok(if is_written { Tried::Paired } else { Tried::Changed })
    }

    /// A new pairing code for one of the caller's channels, in place of an earlier one.
    pub async fn pairing_code(&self, caller: &Caller, id: &str) -> Result<Value, Error> {
        let (code, pending) = new_code();
        self.change_channel(caller, id, |channel| {
            if matches!(channel.kind, ChannelKind::Webhook | ChannelKind::Email) {
                return Err(Error::invalid("no_pairing", format!("a {} channel has no pairing code", channel.kind)));
            }
            channel.pending = Some(pending.clone());
            Ok(())
        })
        .await?;
        Ok(json!({"pairingCode": code.as_str()}))
    }
}

/// What became of a try.
enum Tried {
    Paired,
    Wrong,
    TooOften,
    NoRoom,
    /// Another event brought the same try, and was answered.
    Answered,
    Changed,
}

/// A new code, and what is stored of it.
pub(super) fn new_code() -> (PairingCode, Pending) {
    let code = PairingCode::generate();
    let pending = Pending { digest: code.digest(), issued: Timestamp::now() };
    (code, pending)
}

/// A sender in the name of a counter: short, and the same for an id as number or text.
fn sender_digest(sender: &Value) -> String {
    let text = match sender {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Digest::of(text.as_bytes()).to_hex()[..32].to_owned()
}
