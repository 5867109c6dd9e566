//! One call: from the request to the end of the answer's body.

use std::time::Duration;

use actix_tls::connect::{Connector as TcpConnector, Resolver};
use awc::http::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use awc::http::{Method as HttpMethod, Uri, Version};
use awc::{Client, ClientRequest, Connector};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;

use super::failure;
use super::lookup::Lookup;
use crate::channels::api::{ApiAnswer, ApiCall, CallError, Method};

/// Who calls. Resend refuses calls that do not say.
const AGENT: &str = concat!("chaos-relay/", env!("CARGO_PKG_VERSION"));

/// A client for one platform, with connections of its own that are used again.
pub(super) struct Exchange {
    client: Client,
    connect_timeout: Duration,
}

impl Exchange {
    /// With at most so many `connections` in use at a time. Needs a crypto provider for the process.
    pub(super) fn new(connect_timeout: Duration, connections: usize) -> Self {
        let connector = Connector::new()
            .connector(TcpConnector::new(Resolver::custom(Lookup::new())).service())
            .timeout(connect_timeout)
            .handshake_timeout(connect_timeout)
            .limit(connections);
        let client = Client::builder()
            .connector(connector)
            // One call a connection: what breaks one leaves the others alone.
            .max_http_version(Version::HTTP_11)
            .disable_redirects()
            // The whole call has a time-out around it.
            .disable_timeout()
            .finish();
        Self { client, connect_timeout }
    }

    /// Makes the call. Has no time-out but for connecting.
    pub(super) async fn make(&self, call: ApiCall) -> Result<ApiAnswer, CallError> {
        let request = self.request(&call).ok_or_else(failure::cannot_be_sent)?;
        let sent = match call.body {
            Some(body) => request.send_body(body).await,
            None => request.send().await,
        };
        let mut response = sent.map_err(|error| failure::of_sending(&error, self.connect_timeout))?;
        let declared = declared_length(response.headers());
        if declared.is_some_and(|length| length > call.max_body) {
            return Err(failure::too_large(call.max_body));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.next().await {
            let chunk = chunk.map_err(|_| failure::broken_off())?;
            if body.len() + chunk.len() > call.max_body {
                return Err(failure::too_large(call.max_body));
            }
            body.extend_from_slice(&chunk);
        }
        // The client takes a body that ends early for a whole one.
        if declared.is_some_and(|length| length != body.len()) {
            return Err(failure::broken_off());
        }
        let status = response.status().as_u16();
        Ok(ApiAnswer { status, headers: readable(response.headers()), body: body.freeze() })
    }

    /// The request; `None` when the URL or a header is none.
    fn request(&self, call: &ApiCall) -> Option<ClientRequest> {
        let uri = Uri::try_from(call.url.expose_secret()).ok().filter(has_clear_port)?;
        let mut request = self.client.request(http_method(call.method), uri);
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        }
        for (name, value) in &call.headers {
            let name = HeaderName::try_from(*name).ok()?;
            let mut value = HeaderValue::try_from(value.expose_secret()).ok()?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Some(request)
    }
}

/// Whether the port is a number or left out: the client takes one that is too large for none.
fn has_clear_port(uri: &Uri) -> bool {
    uri.authority().is_some_and(|authority| {
        let place = authority.as_str().rsplit('@').next().unwrap_or_default();
        authority.port().is_some() || place == authority.host()
    })
}

fn http_method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::GET,
        Method::Post => HttpMethod::POST,
        Method::Patch => HttpMethod::PATCH,
        Method::Delete => HttpMethod::DELETE,
    }
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// Headers as text; what is not UTF-8 is replaced.
fn readable(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}
