//! An HTTP/1.1 server with keep-alive that can also cut a connection or leave it without an answer.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A request as it came, with its whole body.
#[derive(Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

/// What comes back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// How an exchange ends.
pub enum Outcome {
    Answer(Answer),
    /// The connection is reset: the caller sees neither a status nor a proper end.
    Cut,
    /// Nothing ever comes. The connection stays open until the caller gives up.
    Silence,
}

impl Request {
    async fn read(request: hyper::Request<Incoming>) -> Result<Self, hyper::Error> {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: parts.headers,
            bytes: body.collect().await?.to_bytes(),
        })
    }

    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The media type without its parameters, in lower case.
    pub fn media_type(&self) -> Option<String> {
        let essence = self.header("content-type")?.split(';').next()?.trim().to_ascii_lowercase();
        (!essence.is_empty()).then_some(essence)
    }

    /// What follows this scheme in `Authorization`.
    pub fn authorization(&self, scheme: &str) -> Option<&str> {
        self.header("authorization")?.strip_prefix(scheme)?.strip_prefix(' ')
    }

    /// The body, if it is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.bytes).ok()
    }

    /// The fields of a form.
    pub fn form(&self) -> Map<String, Value> {
        form_urlencoded::parse(&self.bytes).map(|(name, value)| (name.into_owned(), value.into())).collect()
    }

    /// The body for people: JSON or a form's fields as such, anything else as text, null if there is none.
    pub fn value(&self) -> Value {
        if self.bytes.is_empty() {
            return Value::Null;
        }
        if self.media_type().as_deref() == Some("application/x-www-form-urlencoded") {
            return self.form().into();
        }
        self.json().unwrap_or_else(|| String::from_utf8_lossy(&self.bytes).into())
    }

    /// The parts of the path between slashes; nothing for the first slash.
    pub fn segments(&self) -> Vec<&str> {
        self.path.split('/').skip(1).collect()
    }
}

impl Answer {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", &body.to_string())
    }

    pub fn text(status: u16, media_type: &str, body: &str) -> Self {
        Self { status, headers: vec![("content-type".into(), media_type.into())], body: body.into() }
    }

    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    /// With one more header.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// What a front-end server says when there is nobody behind it.
    pub fn of_a_front_end(status: u16) -> Self {
        Self::text(status, "text/html", &format!("<html><head><title>{status}</title></head><body>nginx</body></html>"))
    }

    fn into_response(self) -> hyper::Response<Full<Bytes>> {
        let mut response = hyper::Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() = self.status.try_into().unwrap();
        for (name, value) in self.headers {
            let name: HeaderName = name.parse().unwrap();
            let value = HeaderValue::from_str(&value).unwrap();
            if name == CONTENT_TYPE {
                response.headers_mut().insert(name, value);
            } else {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// Serves on a free port for as long as the runtime lives; gives the port.
pub async fn serve<F, R>(handle: F) -> u16
where
    F: Fn(Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(converse(stream, handle.clone()));
        }
    });
    port
}

/// Answers on one connection until either side ends it.
async fn converse<F, R>(stream: TcpStream, handle: F)
where
    F: Fn(Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    let cut = Arc::new(Notify::new());
    let service = service_fn(|request| {
        let (handle, cut) = (handle.clone(), cut.clone());
        async move {
            let outcome = match Request::read(request).await {
                // In a task of its own: a platform goes on with what it has begun when its caller hangs up.
                Ok(request) => tokio::spawn(handle(request)).await.unwrap_or(Outcome::Cut),
                Err(_) => Outcome::Cut,
            };
            match outcome {
                Outcome::Answer(answer) => Ok::<_, Infallible>(answer.into_response()),
                Outcome::Silence => pending().await,
                Outcome::Cut => {
                    cut.notify_one();
                    pending().await
                }
            }
        }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = &mut connection => {}
        () = cut.notified() => {
            // Closed with this set, a socket sends RST instead of FIN.
            let _ = connection.into_parts().io.into_inner().set_zero_linger();
        }
    }
}
