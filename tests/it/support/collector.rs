//! A stand-in for a collector of traces: takes spans over HTTP, or fails in one of the ways that collectors do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message as _;

use super::platforms::server::{Answer, Outcome, Request, serve};
use super::relay::Setup;
use super::{eventually, secrets};

/// How it treats what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Takes,
    Refuses,
    Hangs,
}

/// A span as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty where there is none.
    pub parent: String,
    /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    pub is_error: bool,
    pub attributes: BTreeMap<String, String>,
    /// What is said of whoever sent it.
    pub resource: BTreeMap<String, String>,
}

#[derive(Default)]
struct State {
    spans: Vec<Seen>,
    requests: Vec<Request>,
}

/// Looks for known secrets in all it was sent when it is dropped.
pub struct Collector {
    port: u16,
    state: Arc<Mutex<State>>,
    mood: Arc<Mutex<Mood>>,
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}

fn read(body: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for of_one in ExportTraceServiceRequest::decode(body).expect("protobuf of OTLP").resource_spans {
        let resource = texts(of_one.resource.unwrap_or_default().attributes);
        for span in of_one.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
            seen.push(Seen {
                name: span.name,
                trace: hex::encode(span.trace_id),
                id: hex::encode(span.span_id),
                parent: hex::encode(span.parent_span_id),
                kind: span.kind,
                is_error: span.status.is_some_and(|status| status.code == 2),
                attributes: texts(span.attributes),
                resource: resource.clone(),
            });
        }
    }
    seen
}

impl Collector {
    pub async fn start() -> Self {
        let (state, mood) = (Arc::<Mutex<State>>::default(), Arc::new(Mutex::new(Mood::Takes)));
        let (of_server, mood_now) = (state.clone(), mood.clone());
        let port = serve(move |request: Request| {
            let (state, mood) = (of_server.clone(), *mood_now.lock().unwrap());
            async move {
                let mut state = state.lock().unwrap();
                let spans = read(&request.bytes);
                state.requests.push(request);
                match mood {
                    Mood::Takes => {
                        state.spans.extend(spans);
                        Outcome::Answer(Answer::text(200, "application/x-protobuf", ""))
                    }
                    Mood::Refuses => Outcome::Answer(Answer::of_a_front_end(503)),
                    Mood::Hangs => Outcome::Silence,
                }
            }
        });
        Self { port: port.await, state, mood }
    }

    /// Lets replicas with this setup send their spans here.
    pub fn known_to(&self, setup: Setup) -> Setup {
        setup.with("OTEL_EXPORTER_OTLP_ENDPOINT", &self.url())
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<Seen> {
        self.state.lock().unwrap().spans.clone()
    }

    /// Waits until this trace has spans of all these names, and gives the first of each.
    pub async fn trace<const N: usize>(&self, trace: &str, names: [&str; N]) -> [Seen; N] {
        let of_trace = || self.spans().into_iter().filter(|span| span.trace == trace).collect::<Vec<_>>();
        let what = format!("{trace} has {names:?}");
        let found = eventually(&what, || async {
            let spans = of_trace();
            let first = |name: &&str| spans.iter().find(|span| span.name == *name).cloned();
            names.iter().map(first).collect::<Option<Vec<_>>>()
        });
        found.await.try_into().unwrap()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for span in self.spans() {
                eprintln!("{span:?}");
            }
            return;
        }
        for request in self.requests() {
            if let Some(secret) = secrets::find_in(&String::from_utf8_lossy(&request.bytes)) {
                panic!("a span contains the secret {secret}");
            }
        }
    }
}
