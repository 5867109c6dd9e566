//! Traces: what one request sets going, over all replicas, as spans that are sent to a collector by OTLP.
//!
//! Without a collector there are none: every function here looks whether there is one before it does anything else,
//! and a [`Span`] is then an empty place. With one, what is not sampled costs the decision and no more. A span never
//! holds a secret, content or an address of a person.

mod collector;
mod queue;

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use futures_util::future::Either;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue, Value};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span as SdkSpan};
use secrecy::ExposeSecret as _;
use tokio::task::futures::TaskLocalFuture;

use crate::config::{Sampling, TracesConfig};
use crate::domain::trace::TraceParent;
use collector::Collector;

pub use opentelemetry::trace::SpanKind;
pub use queue::SpanCounts;

/// What the relay is called in traces unless the operator says otherwise.
const SERVICE: &str = "chaos-relay";

tokio::task_local! {
    /// The step that this task is in.
    static CURRENT: TraceParent;
}

/// Does something as a part of a step, so that the steps within it are that one's children.
pub fn within<F: Future>(step: Option<TraceParent>, work: F) -> Either<F, TaskLocalFuture<TraceParent, F>> {
    match step {
        None => Either::Left(work),
        Some(step) => Either::Right(CURRENT.scope(step, work)),
    }
}

/// Who says so.
#[derive(Debug)]
pub struct Identity {
    /// This replica's id.
    pub replica: String,
    /// Name of its machine; may be empty.
    pub host_name: String,
    /// Name of its store.
    pub store: &'static str,
}

/// The traces of a replica.
#[derive(Default)]
pub struct Traces(Option<Box<Running>>);

struct Running {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    store: &'static str,
    counts: SpanCounts,
}

impl Traces {
    /// Traces that go to a collector, which need not be there. The error says why they cannot be sent at all.
    pub fn start(config: &TracesConfig, identity: Identity) -> Result<Self, String> {
        let counts = SpanCounts::default();
        let collector = Collector::start(config.timeout).map_err(|error| error.to_string())?;
        let troubles = collector.troubles();
        let headers = config.headers.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .with_endpoint(config.url.expose_secret())
            .with_headers(headers.collect())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(config.timeout)
            // A batch that is not taken is given up: others wait behind it.
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            // Its own text may hold the URL.
            .map_err(|_| "the exporter does not take the URL".to_owned())?;
        let store = identity.store;
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler(config.sampling))
            .with_resource(resource(config, identity))
            .with_span_processor(queue::processor(exporter, &counts, troubles))
            .build();
        let scope = InstrumentationScope::builder(SERVICE).with_version(env!("CARGO_PKG_VERSION")).build();
        let tracer = provider.tracer_with_scope(scope);
        Ok(Self(Some(Box::new(Running { tracer, provider, store, counts }))))
    }

    /// Whether there are any.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What became of the spans, for the metrics.
    pub fn counts(&self) -> Option<&SpanCounts> {
        self.0.as_ref().map(|running| &running.counts)
    }

    /// Begins what somebody outside asked for, who may have named the step that it belongs to. A name that is
    /// malformed counts as none.
    pub fn begin(&self, name: &'static str, caller: impl FnOnce() -> Option<TraceParent>) -> Span {
        match &self.0 {
            Some(running) => running.span(name.into(), SpanKind::Server, caller().map(remote), None),
            None => Span(None),
        }
    }

    /// Begins a step of what this task is doing; none if that is not traced.
    pub fn step<N: Into<Cow<'static, str>>>(&self, kind: SpanKind, name: impl FnOnce() -> N) -> Span {
        let (Some(running), Some(parent)) = (&self.0, self.current()) else { return Span(None) };
        running.span(name().into(), kind, Some(context(parent, false)), None)
    }

    /// Goes on with what was stored in this step, perhaps by another replica; none if that was not traced.
    pub fn resume<N: Into<Cow<'static, str>>>(&self, from: Option<TraceParent>, name: impl FnOnce() -> N) -> Span {
        let (Some(running), Some(from)) = (&self.0, from) else { return Span(None) };
        running.span(name().into(), SpanKind::Consumer, Some(remote(from)), None)
    }

    /// The step that this task is in.
    fn current(&self) -> Option<TraceParent> {
        CURRENT.try_with(|step| *step).ok()
    }

    /// Notes a call of the store that just ended, if it was made in a step.
    pub fn store_called(&self, call: &'static str, time: Duration, is_ok: bool) {
        let (Some(running), Some(parent)) = (&self.0, self.current()) else { return };
        let begun = SystemTime::now().checked_sub(time);
        let mut span = running.span(call.into(), SpanKind::Client, Some(context(parent, false)), begun);
        span.set("db.system.name", || running.store);
        span.set("db.operation.name", || call);
        if !is_ok {
            span.failed("store_error");
        }
    }

    /// Sends what waits, for so long at most; later spans are lost. Blocks its thread.
    pub fn finish(&self, within: Duration) {
        // What could not be sent in time was counted, or is at the collector's door.
        if let Some(running) = &self.0 {
            let _ = running.provider.shutdown_with_timeout(within);
        }
    }
}

impl Running {
    fn span(
        &self,
        name: Cow<'static, str>,
        kind: SpanKind,
        parent: Option<SpanContext>,
        begun: Option<SystemTime>,
    ) -> Span {
        let parent = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let builder = SpanBuilder { name, span_kind: Some(kind), start_time: begun, ..SpanBuilder::default() };
        let span = self.tracer.build_with_context(builder, &parent);
        Span(span.is_recording().then(|| Box::new(span)))
    }
}

fn context(step: TraceParent, is_remote: bool) -> SpanContext {
    let flags = if step.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let (trace, span) = (TraceId::from_bytes(step.trace), SpanId::from_bytes(step.span));
    SpanContext::new(trace, span, flags, is_remote, TraceState::NONE)
}

fn remote(step: TraceParent) -> SpanContext {
    context(step, true)
}

fn sampler(sampling: Sampling) -> Sampler {
    let root = match sampling.share {
        1.0 => Sampler::AlwaysOn,
        0.0 => Sampler::AlwaysOff,
        share => Sampler::TraceIdRatioBased(share),
    };
    if sampling.is_parent_based { Sampler::ParentBased(Box::new(root)) } else { root }
}

fn resource(config: &TracesConfig, identity: Identity) -> Resource {
    let own = [
        ("service.name", SERVICE.to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", identity.replica),
        ("host.name", identity.host_name),
    ];
    let own = own.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| KeyValue::new(name, value));
    let said = config.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    // What comes later takes the place of what came before.
    let named = config.service_name.iter().map(|name| KeyValue::new("service.name", name.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(own)
        .with_attributes(said)
        .with_attributes(named)
        .build()
}

/// A step of a trace, which ends when this is dropped; or the place where one would be.
#[derive(Default)]
pub struct Span(Option<Box<SdkSpan>>);

impl Span {
    /// Whether there is a step.
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// What continues this step names; none where there is no step.
    pub fn context(&self) -> Option<TraceParent> {
        let context = self.0.as_ref()?.span_context();
        let (trace, span) = (context.trace_id().to_bytes(), context.span_id().to_bytes());
        context.is_sampled().then_some(TraceParent { trace, span, is_sampled: true })
    }

    /// Says something of the step. The value is made only where there is one.
    pub fn set<V: Into<Value>>(&mut self, name: &'static str, value: impl FnOnce() -> V) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(name, value()));
        }
    }

    /// Names the step by what is known of it now.
    pub fn rename(&mut self, name: impl FnOnce() -> String) {
        if let Some(span) = &mut self.0 {
            span.update_name(name());
        }
    }

    /// The step failed, for a reason of which there are few.
    pub fn failed(&mut self, reason: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new("error.type", reason.into()));
            span.set_status(Status::error(""));
        }
    }
}
