//! Where traces go, by the variables that OpenTelemetry has for it.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{ConfigError, Variables, plain_url, wrong, wrong_secret};

/// Where spans are sent, and which.
#[derive(Clone, Debug)]
pub struct TracesConfig {
    /// Where batches of spans are posted: the whole URL. Its path may hold a token.
    pub url: SecretString,
    /// Scheme, host and port of that, which may be shown.
    pub place: String,
    /// Headers of each post.
    pub headers: Vec<(String, SecretString)>,
    /// How long a post may take.
    pub timeout: Duration,
    /// What the relay is called in traces; `None` leaves it to `attributes`, or else to the relay.
    pub service_name: Option<String>,
    /// What else is said of this replica with its spans.
    pub attributes: Vec<(String, String)>,
    /// Which traces are recorded.
    pub sampling: Sampling,
}

/// Which traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Whether a caller that names a trace says whether it is recorded.
    pub is_parent_based: bool,
    /// The share of the others, from 0 to 1.
    pub share: f64,
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const COMPRESSION: &str = "OTEL_EXPORTER_OTLP_COMPRESSION";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";

/// The only protocol that is spoken.
const HTTP_PROTOBUF: &str = "http/protobuf";
/// The longest that a post may take, in milliseconds.
const MAX_TIMEOUT_MS: u64 = 60_000;
/// Where a collector takes spans, below the endpoint. Source: the specification of OTLP.
const PATH: &str = "/v1/traces";

/// Reads them. Without an endpoint there are no traces, and the other variables mean nothing.
pub(super) fn read_traces(vars: &mut Variables<'_>) -> Result<Option<TracesConfig>, ConfigError> {
    let Some(endpoint) = vars.raw(ENDPOINT) else {
        vars.note(ENDPOINT, "", false);
        return Ok(None);
    };
    let wrong_endpoint = || {
        let expected = "an http or https URL without query or credentials, such as http://collector:4318; \
                        credentials go into OTEL_EXPORTER_OTLP_HEADERS";
        wrong_secret(ENDPOINT, &expected)
    };
    let url = plain_url(&endpoint).ok_or_else(wrong_endpoint)?;
    let place = Url::parse(&url).ok().map(|url| url.origin().ascii_serialization()).ok_or_else(wrong_endpoint)?;
    vars.note(ENDPOINT, format!("{place} (path masked)"), true);
    let protocol = vars.text(PROTOCOL, HTTP_PROTOBUF);
    if protocol != HTTP_PROTOBUF {
        return Err(wrong(PROTOCOL, &protocol, &"http/protobuf, which collectors take on port 4318"));
    }
    let compression = vars.text(COMPRESSION, "none");
    if compression != "none" {
        return Err(wrong(COMPRESSION, &compression, &"none: spans are sent as they are"));
    }
    let headers = vars.secret(HEADERS);
    let headers = headers.as_ref().map_or(Some(Vec::new()), |text| pairs(text.expose_secret()));
    let headers = headers.filter(|headers| headers.iter().all(|(name, value)| is_header(name, value)));
    let headers = headers.ok_or_else(|| wrong_secret(HEADERS, &"a list of headers, such as name=value,other=value"))?;
    let timeout = vars.within("OTEL_EXPORTER_OTLP_TIMEOUT", "10000", 1, MAX_TIMEOUT_MS)?;
    let service_name = vars.optional("OTEL_SERVICE_NAME");
    let attributes = vars.optional(ATTRIBUTES).unwrap_or_default();
    let attributes = pairs(&attributes)
        .ok_or_else(|| wrong(ATTRIBUTES, &attributes, &"a list of attributes, such as name=value,other=value"))?;
    Ok(Some(TracesConfig {
        url: format!("{url}{PATH}").into(),
        place,
        headers: headers.into_iter().map(|(name, value)| (name, value.into())).collect(),
        timeout: Duration::from_millis(timeout),
        service_name,
        attributes,
        sampling: read_sampling(vars)?,
    }))
}

fn read_sampling(vars: &mut Variables<'_>) -> Result<Sampling, ConfigError> {
    let sampler = vars.text(SAMPLER, "parentbased_always_on");
    let (is_parent_based, root) = match sampler.strip_prefix("parentbased_") {
        Some(root) => (true, root),
        None => (false, sampler.as_str()),
    };
    let share = match root {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => {
            let text = vars.text(SAMPLER_ARG, "1.0");
            let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
            share.ok_or_else(|| wrong(SAMPLER_ARG, &text, &"a number from 0 to 1"))?
        }
        _ => {
            let expected = "always_on, always_off, traceidratio, or one of them after parentbased_";
            return Err(wrong(SAMPLER, &sampler, &expected));
        }
    };
    Ok(Sampling { is_parent_based, share })
}

/// Reads `name=value,other=value`, where values may be percent-encoded.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=')?;
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            Some((name.trim().to_owned(), value.into_owned())).filter(|(name, _)| !name.is_empty())
        })
        .collect()
}

fn is_header(name: &str, value: &str) -> bool {
    use actix_web::http::header::{HeaderName, HeaderValue};
    HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok()
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigError};

    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(|name| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    fn traces(vars: &[(&str, &str)]) -> TracesConfig {
        let endpoint = (ENDPOINT, "https://collector.example:4318/tok3n/");
        read(&[&[endpoint], vars].concat()).unwrap().traces.unwrap()
    }

    #[test]
    fn the_standard_variables_are_read() {
        let config = traces(&[
            (HEADERS, "authorization=Bearer%20s3cret, x-team = a"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_SERVICE_NAME", "relay"),
            (ATTRIBUTES, "deployment.environment.name=test,k8s.pod.name=a%2Cb"),
            (SAMPLER, "parentbased_traceidratio"),
            (SAMPLER_ARG, "0.25"),
        ]);
        assert_eq!(config.url.expose_secret(), "https://collector.example:4318/tok3n/v1/traces");
        let headers: Vec<_> = config.headers.iter().map(|(name, value)| (&**name, value.expose_secret())).collect();
        assert_eq!(headers, [("authorization", "Bearer s3cret"), ("x-team", "a")]);
        assert_eq!((config.timeout, config.service_name.as_deref()), (Duration::from_millis(2500), Some("relay")));
        assert_eq!(config.attributes[1], ("k8s.pod.name".to_owned(), "a,b".to_owned()));
        assert_eq!(config.sampling, Sampling { is_parent_based: true, share: 0.25 });
        assert_eq!(traces(&[(SAMPLER, "always_off")]).sampling, Sampling { is_parent_based: false, share: 0.0 });
    }

    #[test]
    fn without_an_endpoint_there_are_no_traces() {
        assert!(read(&[(HEADERS, "a=b"), (PROTOCOL, "grpc")]).unwrap().traces.is_none());
    }

    #[test]
    fn what_cannot_be_right_is_refused_by_name_and_without_its_secrets() {
        let endpoint = (ENDPOINT, "http://collector:4318");
        for (vars, expected) in [
            (&[endpoint, (PROTOCOL, "grpc")][..], "\"grpc\", but must be http/protobuf"),
            (&[endpoint, (COMPRESSION, "gzip")], "\"gzip\", but must be none"),
            (&[endpoint, (SAMPLER, "jaeger_remote")], "\"jaeger_remote\", but must be always_on"),
            (&[endpoint, (SAMPLER, "traceidratio"), (SAMPLER_ARG, "2")], "\"2\", but must be a number"),
            (&[endpoint, (ATTRIBUTES, "odd")], "\"odd\", but must be a list"),
            (&[endpoint, (HEADERS, "s3cret")], "(masked), but must be a list"),
            (&[endpoint, (HEADERS, "a=s3cret%0A")], "(masked), but must be a list"),
            (&[(ENDPOINT, "collector:4318")], "(masked), but must be an http"),
            (&[(ENDPOINT, "http://u:s3cret@collector:4318")], "(masked), but must be an http"),
        ] {
            let refusal = read(vars).unwrap_err().to_string();
            assert!(refusal.contains(expected) && !refusal.contains("s3cret"), "{refusal}");
        }
    }

    #[test]
    fn neither_headers_nor_path_are_shown() {
        let vars = [(ENDPOINT, "https://collector.example/tok3n"), (HEADERS, "authorization=s3cret")];
        let shown = format!("{:?}", read(&vars).unwrap());
        assert!(shown.contains("https://collector.example (path masked)"), "{shown}");
        assert!(!shown.contains("tok3n") && !shown.contains("s3cret"), "{shown}");
    }
}
