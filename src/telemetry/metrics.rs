//! Metrics in the form that Prometheus reads.
//!
//! They are counted only where somebody can read them; otherwise each call here is one look at an absent value.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::process::ProcessCollector;
use super::traces::SpanCounts;
use crate::domain::channel::ChannelKind;

/// Content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of the buckets for times, in seconds: from a call of the store to a slow client.
const TIMES: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl EncodeLabelValue for ChannelKind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        encoder.write_str(self.as_str())
    }
}

/// How a message reached its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// Pushed down a socket as it came in.
    Live,
    /// Pushed down a socket from the store.
    Replayed,
    /// In the answer to a poll.
    Polled,
}

impl EncodeLabelValue for Sent {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        encoder.write_str(match self {
            Self::Live => "live",
            Self::Replayed => "replayed",
            Self::Polled => "polled",
        })
    }
}

/// What became of a try to deliver a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// It arrived.
    Delivered,
    /// It failed and is tried again.
    Retried,
    /// It failed for good.
    Failed,
}

impl EncodeLabelValue for Attempt {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        encoder.write_str(match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Failed => "failed",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Type {
    r#type: ChannelKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SentLabels {
    r#type: ChannelKind,
    how: Sent,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    platform: ChannelKind,
    outcome: Attempt,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutboxLabels {
    platform: ChannelKind,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Platform {
    platform: ChannelKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    call: &'static str,
}

type Times<L> = Family<L, Histogram, fn() -> Histogram>;

fn times() -> Histogram {
    Histogram::new(TIMES)
}

/// What is read at the moment somebody asks.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Open WebSockets of this replica.
    pub sockets: u64,
    /// Whether the store answers.
    pub store_is_up: bool,
    /// Whether the replica takes leave.
    pub is_draining: bool,
    /// The last round trip through publish and subscribe.
    pub pubsub_round_trip: Option<Duration>,
    /// The outbox by platform.
    pub outbox: Vec<OutboxDepth>,
}

/// The outbox of one platform, over all replicas.
#[derive(Clone, Debug)]
pub struct OutboxDepth {
    /// The platform.
    pub platform: ChannelKind,
    /// Replies by state.
    pub replies: [(&'static str, u64); 3],
    /// For how long the reply that waits longest has been due.
    pub overdue: Duration,
}

/// The metrics of a replica.
#[derive(Default)]
pub struct Metrics(Option<Box<Known>>);

struct Known {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_times: Times<Route>,
    accepted: Family<Type, Counter>,
    sent: Family<SentLabels, Counter>,
    delays: Histogram,
    gaps: Counter,
    slow: Counter,
    replies: Family<Type, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    limited: Family<Route, Counter>,
    unauthorized: Family<Reason, Counter>,
    calls: Times<Call>,
    call_errors: Family<Call, Counter>,
    sockets: Gauge,
    store_up: Gauge,
    draining: Gauge,
    round_trip: Gauge<f64, std::sync::atomic::AtomicU64>,
    outbox: Family<OutboxLabels, Gauge>,
    overdue: Family<Platform, Gauge<f64, std::sync::atomic::AtomicU64>>,
}

impl Known {
    /// Makes the series that are known beforehand, so that each begins at zero and a first count shows as one.
    fn begin(&self) {
        for kind in ChannelKind::PLATFORMS.into_iter().chain([ChannelKind::Webhook]) {
            drop(self.accepted.get_or_create(&Type { r#type: kind }));
            drop(self.replies.get_or_create(&Type { r#type: kind }));
            for how in [Sent::Live, Sent::Replayed, Sent::Polled] {
                drop(self.sent.get_or_create(&SentLabels { r#type: kind, how }));
            }
        }
        for platform in ChannelKind::PLATFORMS {
            for outcome in [Attempt::Delivered, Attempt::Retried, Attempt::Failed] {
                drop(self.attempts.get_or_create(&AttemptLabels { platform, outcome }));
            }
        }
    }
}

impl Metrics {
    /// Metrics that are counted, since somebody can read them. `store` is the store's name; `spans` counts those of
    /// the traces, if there are any.
    pub fn counted(store: &'static str, spans: Option<&SpanCounts>) -> Self {
        let mut all = Registry::default();
        all.register_collector(Box::new(ProcessCollector));
        let registry = all.sub_registry_with_prefix("chaos");
        let mut known = Known {
            registry: Registry::default(),
            requests: Family::default(),
            request_times: Family::new_with_constructor(times),
            accepted: Family::default(),
            sent: Family::default(),
            delays: times(),
            gaps: Counter::default(),
            slow: Counter::default(),
            replies: Family::default(),
            attempts: Family::default(),
            limited: Family::default(),
            unauthorized: Family::default(),
            calls: Family::new_with_constructor(times),
            call_errors: Family::default(),
            sockets: Gauge::default(),
            store_up: Gauge::default(),
            draining: Gauge::default(),
            round_trip: Gauge::default(),
            outbox: Family::default(),
            overdue: Family::default(),
        };
        let build = Info::new([("version", env!("CARGO_PKG_VERSION")), ("store", store)]);
        registry.register("build", "Version and store of the replica", build);
        registry.register("http_requests", "Requests that were answered", known.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time to the answer, long polls and sockets excluded",
            Unit::Seconds,
            known.request_times.clone(),
        );
        registry.register("sockets", "Open WebSockets of the replica", known.sockets.clone());
        registry.register("messages_in", "Messages that were accepted", known.accepted.clone());
        registry.register("messages_sent", "Messages that were given to clients", known.sent.clone());
        registry.register_with_unit(
            "message_delay",
            "Time from the acceptance of a message to its way down a socket, where it was pushed live",
            Unit::Seconds,
            known.delays.clone(),
        );
        registry.register("wake_gaps_repaired", "Missed wakes that a read made up for", known.gaps.clone());
        registry.register(
            "slow_sockets_closed",
            "Sockets closed because their client did not read",
            known.slow.clone(),
        );
        registry.register("replies", "Replies that were accepted", known.replies.clone());
        registry.register("delivery_attempts", "Tries to deliver a reply to its platform", known.attempts.clone());
        registry.register("outbox_replies", "Undelivered replies of the deployment", known.outbox.clone());
        registry.register_with_unit(
            "outbox_overdue",
            "For how long the reply of the deployment that waits longest has been due",
            Unit::Seconds,
            known.overdue.clone(),
        );
        registry.register("rate_limited", "Requests refused by a rate limit", known.limited.clone());
        registry.register("auth_failures", "Requests refused by authentication", known.unauthorized.clone());
        registry.register("store_up", "1 while the store answers", known.store_up.clone());
        registry.register_with_unit(
            "store_call_duration",
            "Time of a call of the store",
            Unit::Seconds,
            known.calls.clone(),
        );
        registry.register("store_errors", "Calls of the store that failed", known.call_errors.clone());
        registry.register_with_unit(
            "pubsub_roundtrip",
            "Last round trip through publish and subscribe",
            Unit::Seconds,
            known.round_trip.clone(),
        );
        if let Some(spans) = spans {
            registry.register("trace_spans_sent", "Spans that the collector took", spans.sent.clone());
            registry.register(
                "trace_spans_lost",
                "Spans that it did not take, or for which there was no room",
                spans.lost.clone(),
            );
        }
        registry.register("draining", "1 while the replica takes leave", known.draining.clone());
        known.registry = all;
        known.begin();
        Self(Some(Box::new(known)))
    }

    /// Whether anything is counted.
    pub fn is_counted(&self) -> bool {
        self.0.is_some()
    }

    fn note(&self, note: impl FnOnce(&Known)) {
        if let Some(known) = &self.0 {
            note(known);
        }
    }

    /// A request was answered. `time` is left out where the wait is what was asked for.
    pub fn request(&self, route: &str, method: &str, status: u16, time: Option<Duration>) {
        self.note(|known| {
            let labels = RequestLabels { route: route.to_owned(), method: method.to_owned(), status };
            known.requests.get_or_create(&labels).inc();
            if let Some(time) = time {
                known.request_times.get_or_create(&Route { route: labels.route }).observe(time.as_secs_f64());
            }
        });
    }

    /// A message was accepted.
    pub fn message_accepted(&self, kind: ChannelKind) {
        self.note(|known| {
            known.accepted.get_or_create(&Type { r#type: kind }).inc();
        });
    }

    /// A message was given to a client.
    pub fn message_sent(&self, kind: ChannelKind, how: Sent) {
        self.note(|known| {
            known.sent.get_or_create(&SentLabels { r#type: kind, how }).inc();
        });
    }

    /// A message went down a socket so long after it was accepted, as far as two clocks agree.
    pub fn message_delay(&self, time: Duration) {
        self.note(|known| known.delays.observe(time.as_secs_f64()));
    }

    /// A read made up for a wake that was missed.
    pub fn gap_repaired(&self) {
        self.note(|known| {
            known.gaps.inc();
        });
    }

    /// A socket was closed because its client did not read.
    pub fn slow_socket_closed(&self) {
        self.note(|known| {
            known.slow.inc();
        });
    }

    /// A reply was accepted.
    pub fn reply_accepted(&self, kind: ChannelKind) {
        self.note(|known| {
            known.replies.get_or_create(&Type { r#type: kind }).inc();
        });
    }

    /// A reply was tried.
    pub fn delivery_tried(&self, platform: ChannelKind, outcome: Attempt) {
        self.note(|known| {
            known.attempts.get_or_create(&AttemptLabels { platform, outcome }).inc();
        });
    }

    /// A request was refused by a rate limit.
    pub fn rate_limited(&self, route: &str) {
        self.note(|known| {
            known.limited.get_or_create(&Route { route: route.to_owned() }).inc();
        });
    }

    /// A request was refused by authentication, for a reason with this word.
    pub fn unauthorized(&self, reason: &'static str) {
        self.note(|known| {
            known.unauthorized.get_or_create(&Reason { reason }).inc();
        });
    }

    /// The store was called.
    pub fn store_called(&self, call: &'static str, time: Duration, is_ok: bool) {
        self.note(|known| {
            known.calls.get_or_create(&Call { call }).observe(time.as_secs_f64());
            if !is_ok {
                known.call_errors.get_or_create(&Call { call }).inc();
            }
        });
    }

    /// Everything as text; `None` where nothing is counted.
    pub fn render(&self, now: &Snapshot) -> Option<String> {
        let known = self.0.as_ref()?;
        known.sockets.set(i64::try_from(now.sockets).unwrap_or(i64::MAX));
        known.store_up.set(now.store_is_up.into());
        known.draining.set(now.is_draining.into());
        known.round_trip.set(now.pubsub_round_trip.unwrap_or_default().as_secs_f64());
        for depth in &now.outbox {
            let platform = depth.platform;
            for (state, count) in depth.replies {
                let gauge = known.outbox.get_or_create(&OutboxLabels { platform, state });
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
            known.overdue.get_or_create(&Platform { platform }).set(depth.overdue.as_secs_f64());
        }
        let mut text = String::new();
        // Writing into a string fails only if a value cannot write itself, and ours all can.
        encode(&mut text, &known.registry).ok()?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_read_in_the_form_of_prometheus() {
        let metrics = Metrics::counted("redis", None);
        metrics.request("/webhook/{channel}", "POST", 200, Some(Duration::from_millis(2)));
        metrics.message_accepted(ChannelKind::Telegram);
        metrics.message_sent(ChannelKind::Webhook, Sent::Live);
        metrics.delivery_tried(ChannelKind::Slack, Attempt::Failed);
        metrics.store_called("append_message", Duration::from_micros(300), false);
        let replies = [("pending", 3), ("retrying", 2), ("failed", 1)];
        let overdue = Duration::from_secs(90);
        let outbox = vec![OutboxDepth { platform: ChannelKind::Email, replies, overdue }];
        let text = metrics.render(&Snapshot { sockets: 7, store_is_up: true, outbox, ..Snapshot::default() }).unwrap();
        for line in [
            r#"chaos_build_info{version="0.1.0",store="redis"} 1"#,
            r#"chaos_http_requests_total{route="/webhook/{channel}",method="POST",status="200"} 1"#,
            r#"chaos_http_request_duration_seconds_bucket{le="0.0025",route="/webhook/{channel}"} 1"#,
            "chaos_sockets 7",
            r#"chaos_messages_in_total{type="telegram"} 1"#,
            r#"chaos_messages_sent_total{type="webhook",how="live"} 1"#,
            r#"chaos_delivery_attempts_total{platform="slack",outcome="failed"} 1"#,
            r#"chaos_outbox_replies{platform="email",state="retrying"} 2"#,
            r#"chaos_outbox_overdue_seconds{platform="email"} 90.0"#,
            "chaos_store_up 1",
            r#"chaos_store_errors_total{call="append_message"} 1"#,
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn without_a_reader_nothing_is_counted() {
        let metrics = Metrics::default();
        metrics.request("/", "GET", 200, None);
        assert!(!metrics.is_counted());
        assert_eq!(metrics.render(&Snapshot::default()), None);
    }
}
