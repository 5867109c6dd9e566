//! Events on their way to the relay.

use std::time::{Duration, Instant};

use hyper::header::HeaderMap;
use serde_json::Value;

/// One attempt to deliver an event.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// `None` when no answer came in time, or none at all.
    pub status: Option<u16>,
    pub headers: HeaderMap,
    pub body: String,
    pub elapsed: Duration,
}

impl Attempt {
    /// Whether the receiver took the event.
    pub fn is_accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What the receiver asks to wait, in seconds.
    pub fn retry_after(&self) -> Option<u64> {
        self.header("retry-after")?.parse().ok()
    }

    /// The body; null when it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// All attempts to deliver one event.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The event's own id, the same in every attempt.
    pub id: String,
    /// The event as it was sent.
    pub event: Value,
    /// Where to.
    pub url: String,
    pub attempts: Vec<Attempt>,
    /// Why the platform did not even try.
    pub withheld: Option<&'static str>,
}

impl Delivery {
    /// Whether an attempt was taken.
    pub fn is_accepted(&self) -> bool {
        self.attempts.last().is_some_and(Attempt::is_accepted)
    }

    /// The statuses of all attempts.
    pub fn statuses(&self) -> Vec<Option<u16>> {
        self.attempts.iter().map(|attempt| attempt.status).collect()
    }

    /// The delivery, which must have been taken.
    #[track_caller]
    pub fn accepted(self) -> Self {
        assert!(self.is_accepted(), "not taken: {self:?}");
        self
    }
}

/// A client that delivers events: follows no redirects and knows no proxies.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

/// Posts JSON once.
pub async fn post(
    http: &reqwest::Client,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
    patience: Duration,
) -> Attempt {
    let began = Instant::now();
    let mut request = http.post(url).timeout(patience).header("Content-Type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = async {
        let answer = request.body(body.to_owned()).send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok::<_, reqwest::Error>((status, headers, answer.text().await?))
    };
    let answer = answer.await;
    let elapsed = began.elapsed();
    match answer {
        Ok((status, headers, body)) => Attempt { status: Some(status), headers, body, elapsed },
        Err(_) => Attempt { status: None, headers: HeaderMap::new(), body: String::new(), elapsed },
    }
}
