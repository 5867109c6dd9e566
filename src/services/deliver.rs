//! Delivering replies to their platforms.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::error::Error;
use super::known_channel::KnownChannel;
use super::{Relay, describe};
use crate::channels::adapter::{Outgoing, Progress, SendAdapter, Verdict};
use crate::channels::api::CallError;
use crate::domain::channel::Channel;
use crate::domain::ids::{ChannelId, UserId};
use crate::domain::reply::delivery_frame;
use crate::domain::retry;
use crate::domain::timestamp::Timestamp;
use crate::store::operator::Counter;
use crate::store::{Delivery, DueChannel, Settlement, StoreError, Taken};
use crate::telemetry::metrics::Attempt;
use crate::telemetry::traces::{Span, within};

/// Conversations of one channel that are worked on at once.
const PARALLEL: usize = 8;
/// When a channel is looked at again after the store was away, in milliseconds.
const STORE_RETRY_MS: u64 = 2_000;
/// When a reply is due again for which there was no room among the calls, in milliseconds.
const BUSY_WAIT_MS: u64 = 1_000;
/// How often a part may change its form before it counts as refused.
const MAX_FORMS: usize = 4;
/// Pauses up to this are slept out between the parts of a reply; longer ones give the reply back.
const SHORT_PAUSE: Duration = Duration::from_secs(3);
/// Pause before an outcome that could not be noted is noted again.
const SETTLE_RETRY: Duration = Duration::from_millis(500);

/// The end of a try.
struct Outcome {
    settlement: Settlement,
    /// What the session's sockets are told; nothing for a reply that was put off.
    status: Option<&'static str>,
}

impl Outcome {
    fn delivered(pause: Option<Duration>) -> Self {
        Self { settlement: Settlement::Delivered { pause: pause.map_or(0, millis) }, status: Some("delivered") }
    }

    fn failed(error: impl Into<String>) -> Self {
        Self { settlement: Settlement::Failed { error: error.into() }, status: Some("failed") }
    }

    fn postponed(wait: u64) -> Self {
        Self { settlement: Settlement::Postponed { wait }, status: None }
    }

    /// What it is counted as.
    fn counted(&self) -> Option<(Counter, Attempt)> {
        match self.settlement {
            Settlement::Delivered { .. } => Some((Counter::Delivered, Attempt::Delivered)),
            Settlement::Retry { .. } => Some((Counter::Retried, Attempt::Retried)),
            Settlement::Failed { .. } => Some((Counter::Failed, Attempt::Failed)),
            Settlement::Part { .. } | Settlement::Postponed { .. } => None,
        }
    }
}

impl Relay {
    /// Delivers what is due for a claimed channel, several conversations at once, then ends the claim.
    pub async fn work_off(&self, due: DueChannel) {
        let mut under_way = FuturesUnordered::new();
        let wait = loop {
            let mut wait = None;
            while under_way.len() < PARALLEL && !self.shared.shutdown.is_draining() {
                match self.store.take_delivery(&due, millis(self.shared.delivery.lease)).await {
                    Ok(Taken::Delivery(delivery)) => under_way.push(self.deliver(*delivery)),
                    Ok(Taken::Wait(time)) => {
                        wait = Some(time);
                        break;
                    }
                    Ok(Taken::Nothing) => break,
                    Err(error) => {
                        tracing::warn!(%error, "a reply could not be taken; it is tried again");
                        wait = Some(STORE_RETRY_MS);
                        break;
                    }
                }
            }
            // What is due meanwhile does not wait for a call that takes its time.
            let ended = match wait {
                Some(wait) => timeout(Duration::from_millis(wait), under_way.next()).await.unwrap_or(Some(())),
                None => under_way.next().await,
            };
            if ended.is_none() {
                // What this replica did not begin any more is another's at once.
                break if self.shared.shutdown.is_draining() { Some(wait.unwrap_or(0)) } else { wait };
            }
        };
        if let Err(error) = self.store.release_due(&due, wait).await {
            tracing::debug!(%error, "a claim could not be ended; it lapses by itself");
        }
    }

    async fn deliver(&self, delivery: Delivery) {
        let kind = delivery.record.channel.kind;
        let mut step = self.shared.traces.resume(delivery.trace, || format!("deliver {kind}"));
        describe(&mut step, "process", &delivery.response, kind);
        step.set("messaging.destination.name", || delivery.record.channel.id.to_string());
        step.set("chaos.delivery.attempt", || i64::from(delivery.attempts) + 1);
        within(step.context(), self.deliver_in(&delivery, &mut step)).await;
    }

    async fn deliver_in(&self, delivery: &Delivery, step: &mut Span) {
        let begun = Instant::now();
        let outcome = match self.try_delivery(delivery, begun).await {
            Some(outcome) => outcome,
            // The lease was lost: the reply is another's now.
            None => return,
        };
        step.set("chaos.delivery.outcome", || outcome.status.unwrap_or("postponed"));
        if let Some(status @ ("retrying" | "failed")) = outcome.status {
            step.failed(status);
        }
        let frame = outcome.status.map(|status| frame(delivery, status, &outcome.settlement));
        // Nothing is noted for whoever lost the lease, so noting what happened is worth some tries.
        let ended = Instant::now();
        loop {
            match self.store.settle_delivery(delivery, &outcome.settlement, frame.as_deref()).await {
                Ok(is_noted) => {
                    let status = outcome.status.unwrap_or("postponed");
                    tracing::debug!(response = %delivery.response, status, is_noted, "a try to deliver ended");
                    if let Some((counter, attempt)) = outcome.counted().filter(|_| is_noted) {
                        self.shared.tally.count(counter);
                        self.shared.metrics.delivery_tried(delivery.record.channel.kind, attempt);
                    }
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, response = %delivery.response, "what became of a reply could not be noted");
                    if ended.elapsed() >= self.shared.delivery.lease {
                        return;
                    }
                    tokio::time::sleep(SETTLE_RETRY).await;
                }
            }
        }
    }

    /// Tries once. `None` when the lease was lost on the way.
    async fn try_delivery(&self, delivery: &Delivery, begun: Instant) -> Option<Outcome> {
        let now = || Timestamp::from_millis(delivery.now.millis() + millis(begun.elapsed()));
        if let Some(reason) = why_never(&delivery.record.channel) {
            return Some(Outcome::failed(reason));
        }
        if now().distance(delivery.accepted) >= retry::GIVE_UP_AFTER_MS {
            return Some(Outcome::failed("it could not be delivered within 24 hours"));
        }
        let channel = match self.unsealed(delivery.user, delivery.record.clone()) {
            Ok(Some(channel)) => channel,
            Ok(None) => return Some(Outcome::failed("the channel is not one of a platform")),
            Err(error) => {
                error.log();
                return Some(Self::again(delivery, &Progress::default(), now(), None, &error.sentence()));
            }
        };
        let Some(adapter) = self.shared.platforms.sender(channel.channel().kind) else {
            let reason = "the relay is not set up to send mail";
            return Some(Self::again(delivery, &Progress::default(), now(), None, reason));
        };
        if let Some(wait) = self.shared.call_guards.held_for(&channel.connection.identity()) {
            return Some(Outcome::postponed(millis(wait)));
        }
        let details: Value = serde_json::from_str(&delivery.details).unwrap_or(Value::Null);
        let secret = self.unseal_answer(&channel, &details);
        let parts = Parts { delivery, channel: &channel, adapter, details: &details, secret: secret.as_ref() };
        self.send_parts(&parts, &now).await
    }

    async fn send_parts(&self, parts: &Parts<'_>, now: &(dyn Fn() -> Timestamp + Sync)) -> Option<Outcome> {
        let delivery = parts.delivery;
        let mut progress: Progress = serde_json::from_str(&delivery.progress).unwrap_or_default();
        let mut forms = 0;
        let mut pause = None;
        loop {
            let outgoing = parts.outgoing(now());
            let Some(call) = parts.adapter.next_call(&outgoing, &progress) else {
                return Some(Outcome::delivered(pause));
            };
            let answer = match self.call(call).await {
                Ok(answer) => answer,
                Err(CallError::Busy) => return Some(Outcome::postponed(BUSY_WAIT_MS)),
                Err(CallError::Held(wait)) => return Some(Outcome::postponed(millis(wait))),
                Err(error) => return Some(Self::again(delivery, &progress, now(), None, &error.to_string())),
            };
            match parts.adapter.interpret(&outgoing, &mut progress, &answer) {
                Verdict::Arrived { pause: wanted } => {
                    forms = 0;
                    pause = wanted;
                    if parts.adapter.next_call(&parts.outgoing(now()), &progress).is_none() {
                        return Some(Outcome::delivered(pause));
                    }
                    if !self.note_progress(delivery, &progress).await {
                        return None;
                    }
                    match wanted {
                        Some(wait) if wait > SHORT_PAUSE => return Some(Outcome::postponed(millis(wait))),
                        Some(wait) => tokio::time::sleep(wait).await,
                        None => {}
                    }
                }
                Verdict::Reformed if forms < MAX_FORMS => {
                    forms += 1;
                    // The lease is long enough for one call.
                    if !self.note_progress(delivery, &progress).await {
                        return None;
                    }
                }
                Verdict::Reformed => return Some(Outcome::failed("the platform takes the message in no form")),
                Verdict::Later { after, reason, whole_bot } => {
                    if whole_bot {
                        let time = after.unwrap_or(Duration::from_secs(1));
                        self.shared.call_guards.hold(parts.channel.connection.identity(), time);
                    }
                    return Some(Self::again(delivery, &progress, now(), after, &reason));
                }
                Verdict::QuotaSpent { after, reason } => {
                    let next = retry::next_quota_try(after, delivery.accepted, now(), jitter());
                    return Some(Self::retry_or_fail(&progress, now(), next, &reason));
                }
                Verdict::Refused { reason } => return Some(Outcome::failed(reason)),
                Verdict::Revoked { reason } => {
                    self.disable(&delivery.user, &parts.channel.channel().id, &reason).await;
                    return Some(Outcome::failed(reason));
                }
            }
        }
    }

    /// Notes how far it came, and renews the lease; false when that was lost. If the store is away a part may arrive
    /// twice.
    async fn note_progress(&self, delivery: &Delivery, progress: &Progress) -> bool {
        let lease = millis(self.shared.delivery.lease);
        let part = Settlement::Part { progress: to_text(progress), lease };
        match self.store.settle_delivery(delivery, &part, None).await {
            Ok(is_held) => is_held,
            Err(error) => {
                tracing::warn!(%error, response = %delivery.response, "the progress of a reply could not be noted");
                true
            }
        }
    }

    fn again(
        delivery: &Delivery,
        progress: &Progress,
        now: Timestamp,
        after: Option<Duration>,
        reason: &str,
    ) -> Outcome {
        let tries = delivery.attempts.saturating_sub(delivery.earlier_attempts).saturating_add(1);
        let next = retry::next_try(tries, after, delivery.accepted, now, jitter());
        Self::retry_or_fail(progress, now, next, reason)
    }

    fn retry_or_fail(progress: &Progress, now: Timestamp, next: Option<Timestamp>, reason: &str) -> Outcome {
        match next {
            Some(next) => Outcome {
                settlement: Settlement::Retry {
                    wait: next.distance(now),
                    error: reason.to_owned(),
                    progress: to_text(progress),
                },
                status: Some("retrying"),
            },
            None => Outcome::failed(format!("it could not be delivered within 24 hours: {reason}")),
        }
    }

    /// Takes a channel out of service whose platform does not know its token any more.
    pub(super) async fn disable(&self, user: &UserId, id: &ChannelId, reason: &str) {
        let reason = format!("{reason}. Register the bot again with a token that is good.");
        let disabled = self.change_stored(user, id, |channel| {
            channel.disable(&reason);
            Ok(())
        });
        match disabled.await {
            Ok(_) => tracing::info!(channel = %id, "a channel was disabled: its platform does not know the token"),
            Err(error) => error.log(),
        }
    }
}

/// Why nothing more is sent for a channel in this state.
fn why_never(channel: &Channel) -> Option<String> {
    if channel.taken_over {
        return Some("the bot was registered to another channel".to_owned());
    }
    channel.disabled_reason.clone().filter(|_| !channel.enabled)
}

/// What makes the calls of one reply.
struct Parts<'a> {
    delivery: &'a Delivery,
    channel: &'a KnownChannel,
    adapter: &'a dyn SendAdapter,
    details: &'a Value,
    secret: Option<&'a SecretString>,
}

impl Parts<'_> {
    fn outgoing(&self, now: Timestamp) -> Outgoing<'_> {
        let delivery = self.delivery;
        Outgoing {
            response: delivery.response,
            connection: &self.channel.connection,
            secrets: self.channel.secrets.as_ref(),
            label: self.channel.channel().label(),
            conversation: &delivery.conversation,
            details: self.details,
            answer_secret: self.secret,
            is_reply_to: delivery.is_reply_to,
            completes_question: delivery.completes_question,
            asked_at: delivery.asked_at,
            content: &delivery.content,
            now,
        }
    }
}

/// What the session's sockets are told.
fn frame(delivery: &Delivery, status: &str, settlement: &Settlement) -> String {
    let error = match settlement {
        Settlement::Retry { error, .. } | Settlement::Failed { error } => Some(error.as_str()),
        _ => None,
    };
    let attempts = delivery.attempts.saturating_add(1);
    delivery_frame(&delivery.response, &delivery.record.channel.id, status, attempts, error)
}

fn to_text(progress: &Progress) -> String {
    serde_json::to_string(progress).expect("numbers, flags and texts serialise")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A random number from 0 to 1; its middle when the system gives none.
fn jitter() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}

impl Relay {
    /// Changes a channel as it is stored, again and again until nobody else was faster.
    pub(super) async fn change_stored(
        &self,
        user: &UserId,
        id: &ChannelId,
        change: impl Fn(&mut Channel) -> Result<(), Error> + Send + Sync,
    ) -> Result<(), Error> {
        for _ in 0..super::channels::UPDATE_TRIES {
            let Some(mut record) = self.store.read_channel(user, id).await? else {
                return Err(Error::no_channel(id.as_str()));
            };
            change(&mut record.channel)?;
            if self.store.update_channel(user, &record).await.map_err(|error: StoreError| Error::from(error))? {
                self.forget_channel(id);
                return Ok(());
            }
        }
        Err(super::channels::busy())
    }
}
