//! What the relay does, a verb a file. Transport knows these and nothing below them.

pub mod authenticate;
pub mod channels;
pub mod deliver;
mod discord_hook;
pub mod error;
pub mod ingest;
pub mod known_channel;
pub mod mail;
pub mod operator;
pub mod outbox_signal;
pub mod pair;
pub mod platform_call;
pub mod poll;
pub mod receive;
pub mod register;
pub mod register_bot;
pub mod register_mailbox;
pub mod reply;
pub mod reseal;
pub mod responses;
pub mod speak;
pub mod tally;
mod telegram_hook;
pub mod typing;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::channels::Platforms;
use crate::channels::client::ApiClient;
use crate::channels::discord::Discord;
use crate::channels::email::Email;
use crate::channels::slack::Slack;
use crate::channels::telegram::Telegram;
use crate::config::{Config, DeliveryConfig, Limits, StoreConfig};
use crate::domain::channel::ChannelKind;
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::message::{NewRecord, StoredRecord};
use crate::domain::public_key::Jwk;
use crate::domain::sealing::KeyRing;
use crate::domain::timestamp::Timestamp;
use crate::hub::Hubs;
use crate::shutdown::Shutdown;
use crate::store::{IngestOutcome, Store};
use crate::telemetry::metrics::{Metrics, Sent};
use crate::telemetry::traces::{Span, SpanKind, Traces};

use authenticate::SessionCache;
use known_channel::ChannelCache;
use mail::MailSettings;
use operator::access::AdminKey;
use outbox_signal::OutboxSignal;
use platform_call::CallGuards;
use tally::Tally;
use typing::ShownSigns;

/// Channels whose owner a replica remembers. An entry takes about 100 bytes.
const OWNERS_CACHED: usize = 50_000;

/// What all workers of a replica share.
pub struct Shared {
    /// Seals and opens secrets.
    pub keys: KeyRing,
    /// Rate limits.
    pub limits: Limits,
    /// WebSockets per session, over all replicas.
    pub sockets_per_session: usize,
    /// Whether `GET /responses` needs the channel's token.
    pub responses_require_token: bool,
    /// The relay's own address, as the operator set it, without a slash at the end.
    pub public_url: Option<String>,
    /// The adapters of the platforms.
    pub platforms: Platforms,
    /// Makes the calls of their APIs.
    pub client: ApiClient,
    /// What must be heeded before a call.
    pub call_guards: CallGuards,
    /// How replies are delivered.
    pub delivery: DeliveryConfig,
    /// Tells the workers that a reply was queued.
    pub outbox: OutboxSignal,
    /// The operator's password; `None` keeps the admin pages closed.
    pub admin_key: Option<AdminKey>,
    /// What is counted for those who watch.
    pub metrics: Metrics,
    /// Where what is done is traced.
    pub traces: Traces,
    /// What inbound mail is verified with.
    pub mail: MailSettings,
    /// Who listens here, by worker threads.
    pub hubs: Hubs,
    /// When to take leave.
    pub shutdown: Shutdown,
    /// Whether the store answered when it was last asked.
    pub store_health: StoreHealth,
    /// What is counted here between two heartbeats.
    pub tally: Tally,
    /// Name of the machine this replica runs on; may be empty.
    pub host_name: String,
    /// This replica, new with each start.
    pub replica: Uuid,
    replica_name: Arc<str>,
    started: Instant,
    sessions: SessionCache,
    owners: Cache<ChannelId, UserId>,
    channels: ChannelCache,
    signs: ShownSigns,
    /// The deployment's own key, sealed as the store has it, and its public half.
    public_key: Mutex<Option<(String, Jwk)>>,
}

impl Shared {
    /// Starts with empty caches and the clock at zero.
    pub fn new(config: &Config, keys: KeyRing, client: ApiClient, replica: Uuid, traces: Traces) -> Self {
        let bases = &config.api_bases;
        let email = config.email.domain.clone().zip(config.email.api_key.clone());
        Self {
            keys,
            limits: config.limits,
            sockets_per_session: config.sockets_per_session,
            responses_require_token: config.responses_require_token,
            public_url: config.public_url.clone(),
            platforms: Platforms {
                telegram: Telegram::new(&bases.telegram),
                discord: Discord::new(&bases.discord),
                slack: Slack::new(&bases.slack),
                email: email.map(|(domain, api_key)| Email::new(&bases.resend, api_key, &domain)),
            },
            client,
            call_guards: CallGuards::default(),
            delivery: config.delivery,
            outbox: OutboxSignal::default(),
            admin_key: config.admin_key.clone().map(AdminKey::new),
            metrics: match &config.store {
                _ if !config.metrics.is_on() => Metrics::default(),
                StoreConfig::Redis { .. } => Metrics::counted("redis", traces.counts()),
                StoreConfig::Embedded { .. } => Metrics::counted("embedded", traces.counts()),
            },
            traces,
            mail: MailSettings {
                secrets: config.email.webhook_secrets.clone(),
                allow_unsigned: config.email.allow_unsigned,
            },
            hubs: Hubs::default(),
            shutdown: Shutdown::default(),
            store_health: StoreHealth::default(),
            tally: Tally::default(),
            host_name: config.host_name.clone(),
            replica,
            replica_name: replica.as_simple().to_string()[..8].into(),
            started: Instant::now(),
            sessions: SessionCache::default(),
            owners: Cache::new(OWNERS_CACHED),
            channels: ChannelCache::default(),
            signs: ShownSigns::default(),
            public_key: Mutex::default(),
        }
    }

    /// The first eight hex digits of this replica's id: what it is called where many are listed.
    pub fn replica_name(&self) -> &Arc<str> {
        &self.replica_name
    }

    /// Counts a message that was given to a client.
    pub fn note_sent(&self, record: &StoredRecord, how: Sent) {
        if !self.metrics.is_counted() {
            return;
        }
        if let Some(kind) = record.kind() {
            self.metrics.message_sent(kind, how);
        }
        if how == Sent::Live {
            let late = Timestamp::now().millis().saturating_sub(record.at.millis());
            self.metrics.message_delay(Duration::from_millis(late));
        }
    }

    /// Begins to accept a message that came in on this channel, if that is traced. Pushing it continues this step.
    fn ingest_step(&self, record: &mut NewRecord, channel: &ChannelId, kind: ChannelKind) -> Span {
        let mut step = self.traces.step(SpanKind::Producer, || format!("ingest {kind}"));
        describe(&mut step, "send", &record.id, kind);
        step.set("messaging.destination.name", || channel.to_string());
        record.trace = step.context();
        step
    }

    /// Begins to push a message to a socket, if it was accepted in a trace.
    pub fn push_step(&self, record: &StoredRecord, how: Sent) -> Span {
        if record.trace.is_none() {
            return Span::default();
        }
        let kind = record.kind().map_or("message", ChannelKind::as_str);
        let mut step = self.traces.resume(record.trace, || format!("push {kind}"));
        step.set("messaging.system", || MESSAGING);
        step.set("messaging.operation.type", || "process");
        step.set("messaging.message.id", || record.id().map(|id| id.to_string()).unwrap_or_default());
        step.set("chaos.push.how", || if how == Sent::Live { "live" } else { "replayed" });
        step
    }

    /// Counts what an ingest stored.
    fn note_ingested(&self, outcome: &IngestOutcome, user: UserId, channel: &ChannelId, kind: ChannelKind) {
        self.tally.ingested(outcome, user, channel);
        if matches!(outcome, IngestOutcome::Accepted(..)) {
            self.metrics.message_accepted(kind);
        }
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

/// What messages are handled by, as traces name it.
const MESSAGING: &str = "chaos_relay";

/// Says of a step which message it is about.
fn describe(step: &mut Span, operation: &'static str, id: &MessageId, kind: ChannelKind) {
    step.set("messaging.system", || MESSAGING);
    step.set("messaging.operation.type", || operation);
    step.set("messaging.message.id", || id.to_string());
    step.set("chaos.channel.type", || kind.as_str());
}

/// Whether the store answered when it was last asked. Written by the worker that asks, read by health answers.
#[derive(Debug)]
pub struct StoreHealth {
    is_reachable: AtomicBool,
    /// Whether wakes come, as it was told last.
    hears: AtomicBool,
}

impl Default for StoreHealth {
    /// As if it had answered: a store that does not at the start is news, and its reason is told.
    fn default() -> Self {
        Self { is_reachable: AtomicBool::new(true), hears: AtomicBool::new(true) }
    }
}

impl StoreHealth {
    /// Notes whether wakes come; says whether it is news.
    pub fn set_hears(&self, hears: bool) -> bool {
        self.hears.swap(hears, Ordering::Relaxed) != hears
    }

    /// Notes what was found; says whether it is news.
    pub fn set(&self, is_reachable: bool) -> bool {
        self.is_reachable.swap(is_reachable, Ordering::Relaxed) != is_reachable
    }

    /// What was last found.
    pub fn is_reachable(&self) -> bool {
        self.is_reachable.load(Ordering::Relaxed)
    }
}

/// The relay as one worker thread sees it: what all share, and this thread's handle of the store.
#[derive(Clone)]
pub struct Relay {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// This worker's handle of the store.
    pub store: Arc<dyn Store>,
}

impl Relay {
    /// Whose channel it is, from memory if possible. See [`Relay::forget_owner`].
    async fn channel_owner(&self, channel: &ChannelId) -> Result<Option<UserId>, error::Error> {
        if let Some(owner) = self.shared.owners.get(channel) {
            return Ok(Some(owner));
        }
        let owner = self.store.channel_owner(channel).await?;
        if let Some(owner) = owner {
            self.shared.owners.insert(channel.clone(), owner);
        }
        Ok(owner)
    }

    /// Forgets an owner who turned out not to have the channel; says whether it was remembered, in which
    /// case somebody else may have it now.
    fn forget_owner(&self, channel: &ChannelId) -> bool {
        self.shared.owners.remove(channel).is_some()
    }
}
