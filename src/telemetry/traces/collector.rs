//! Posting to the collector, with the HTTP client that calls the platforms too.
//!
//! That client cannot leave its thread, so it has one here; posts are made one after the other.

use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use awc::error::{ConnectError, SendRequestError};
use awc::http::header::{HeaderName, HeaderValue, USER_AGENT};
use awc::{Client, Connector};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time::timeout;

/// The largest answer that is read, in bytes: one says how many spans were refused.
const MAX_ANSWER: usize = 64 * 1024;
/// Who posts.
const AGENT: &str = concat!("chaos-relay/", env!("CARGO_PKG_VERSION"));

/// Why the last post failed. Holds neither URL nor headers, nor anything that the collector said.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<String>);

impl Troubles {
    fn note(&self, reason: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    pub(super) fn last(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Posts to the collector. The thread ends with it.
#[derive(Debug)]
pub(super) struct Collector {
    posts: mpsc::Sender<Post>,
    troubles: Arc<Troubles>,
}

/// A post on its way to the thread.
#[derive(Debug)]
struct Post {
    request: Request<Bytes>,
    answer: oneshot::Sender<Result<Response<Bytes>, String>>,
}

impl Collector {
    /// Starts the thread. A post takes `longest` at most, from the look-up of the name to the end of the answer.
    pub(super) fn start(longest: Duration) -> io::Result<Self> {
        // A failure means that the process has a provider already, which does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Builder::new_current_thread().enable_all().thread_name("traces-lookup").build()?;
        let (posts, queue) = mpsc::channel(1);
        thread::Builder::new().name("traces".to_owned()).spawn(move || {
            LocalSet::new().block_on(&runtime, serve(queue, longest));
            // Not to wait for a look-up that hangs.
            runtime.shutdown_background();
        })?;
        Ok(Self { posts, troubles: Arc::default() })
    }

    pub(super) fn troubles(&self) -> Arc<Troubles> {
        self.troubles.clone()
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (answer, answered) = oneshot::channel();
        let posted = match self.posts.send(Post { request, answer }).await {
            Ok(()) => answered.await.ok(),
            Err(_) => None,
        };
        let posted = posted.unwrap_or_else(|| Err("the client stopped".to_owned()));
        match posted {
            Ok(response) if response.status().is_success() => Ok(response),
            Ok(response) => {
                self.troubles.note(format!("it answered {}", response.status().as_u16()));
                Ok(response)
            }
            Err(reason) => {
                self.troubles.note(reason.clone());
                Err(reason.into())
            }
        }
    }
}

async fn serve(mut queue: mpsc::Receiver<Post>, longest: Duration) {
    let client = Client::builder()
        .connector(Connector::new().timeout(longest).handshake_timeout(longest))
        .disable_redirects()
        // The whole post has a time-out around it.
        .disable_timeout()
        .finish();
    let client = Rc::new(client);
    while let Some(Post { request, answer }) = queue.recv().await {
        let made = timeout(longest, post(&client, request)).await;
        let made = made.unwrap_or_else(|_| Err(format!("no answer within {} ms", longest.as_millis())));
        let _ = answer.send(made);
    }
}

async fn post(client: &Client, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
    let (head, body) = request.into_parts();
    let mut post = client.post(head.uri.to_string()).insert_header((USER_AGENT, AGENT));
    for (name, value) in &head.headers {
        let (Ok(name), Ok(mut value)) =
            (HeaderName::from_bytes(name.as_str().as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        else {
            continue;
        };
        value.set_sensitive(true);
        post = post.insert_header((name, value));
    }
    let mut answer = post.send_body(body).await.map_err(|error| words(&error).to_owned())?;
    let status = answer.status().as_u16();
    let body = answer.body().limit(MAX_ANSWER).await.map_err(|_| "its answer broke off or is too large".to_owned())?;
    Response::builder().status(status).body(body).map_err(|_| "its answer has no status".to_owned())
}

/// Why a post was not answered. The client's own words may hold the URL.
fn words(error: &SendRequestError) -> &'static str {
    match error {
        SendRequestError::Connect(ConnectError::Timeout) => "it took no connection in time",
        SendRequestError::Connect(ConnectError::Resolver(_) | ConnectError::NoRecords | ConnectError::Unresolved) => {
            "its name could not be looked up"
        }
        SendRequestError::Connect(_) => "it took no connection, or its certificate is not trusted",
        _ => "the connection broke off",
    }
}
