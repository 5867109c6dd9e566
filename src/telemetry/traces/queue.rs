//! Spans on their way to the collector: bounded, so that one that is slow or away costs memory for so many and no
//! request its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use prometheus_client::metrics::counter::Counter;

use super::collector::Troubles;

/// Spans that may wait. Each takes about a kilobyte; a busy replica makes so many in half a second.
const MAX_WAITING: usize = 4096;
/// Spans of one post.
const MAX_BATCH: usize = 512;
/// How long spans wait for others to be posted with.
const EVERY: Duration = Duration::from_secs(1);
/// How often at most a line in the log says that spans are lost.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What became of spans.
#[derive(Debug, Clone, Default)]
pub struct SpanCounts {
    /// The collector took them.
    pub sent: Counter,
    /// They were thrown away: it did not take them, or too many waited for it.
    pub lost: Counter,
}

/// A processor that never blocks whoever ends a span.
pub(super) fn processor(
    exporter: OtlpExporter,
    counts: &SpanCounts,
    troubles: Arc<Troubles>,
) -> impl SpanProcessor + use<> {
    let waiting = Arc::new(AtomicUsize::new(0));
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(MAX_WAITING)
        .with_max_export_batch_size(MAX_BATCH)
        .with_scheduled_delay(EVERY);
    let told = Mutex::new(Told { at: None, lost: 0, is_bad: false });
    let exporter = Posting { exporter, waiting: waiting.clone(), counts: counts.clone(), troubles, told };
    let inner = BatchSpanProcessor::new(exporter, config.build());
    Bounded { inner, waiting, counts: counts.clone() }
}

/// Lets in as many spans as may wait. The queue behind it would do the same, but not say so.
#[derive(Debug)]
struct Bounded {
    inner: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    counts: SpanCounts,
}

impl SpanProcessor for Bounded {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counts.lost.inc();
        } else {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Posts batches, on a thread of its own, and counts them.
#[derive(Debug)]
struct Posting {
    exporter: OtlpExporter,
    waiting: Arc<AtomicUsize>,
    counts: SpanCounts,
    troubles: Arc<Troubles>,
    told: Mutex<Told>,
}

/// What the log was told last.
#[derive(Debug)]
struct Told {
    at: Option<Instant>,
    lost: u64,
    is_bad: bool,
}

impl SpanExporter for Posting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        let sent = self.exporter.export(batch).await;
        match &sent {
            Ok(()) => self.counts.sent.inc_by(count as u64),
            Err(_) => self.counts.lost.inc_by(count as u64),
        };
        self.tell(sent.is_ok());
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl Posting {
    /// Says now and then how many were lost and why, and that it is over where it was said that they are not taken.
    fn tell(&self, is_sent: bool) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = self.counts.lost.get();
        let since = lost - told.lost;
        if is_sent && told.is_bad {
            tracing::info!(lost = since, "traces: the collector takes spans again");
            *told = Told { at: told.at, lost, is_bad: false };
            return;
        }
        if since == 0 || told.at.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return;
        }
        if is_sent {
            tracing::warn!(lost = since, "traces: spans were lost, since the collector takes them too slowly");
        } else {
            let reason = self.troubles.last();
            tracing::warn!(lost = since, reason, "traces: spans were lost, since the collector did not take them");
        }
        *told = Told { at: Some(Instant::now()), lost, is_bad: !is_sent };
    }
}
