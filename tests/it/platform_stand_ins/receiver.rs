//! An endpoint that takes what platforms deliver, and answers as a test wants it.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::platforms::server::{Answer, Outcome, Request, serve};

/// An endpoint and what came to it.
pub struct Receiver {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    /// Answers the nth request (from 0) with whatever this gives.
    pub async fn answering(answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Self {
        let (requests, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let kept = requests.clone();
        let port = serve(move |request: Request| {
            let number = {
                let mut kept = kept.lock().unwrap();
                kept.push(request.clone());
                kept.len() - 1
            };
            let answer = answer(number, &request);
            async move { Outcome::Answer(answer) }
        })
        .await;
        Self { url: format!("http://127.0.0.1:{port}/events"), requests }
    }

    /// Answers with these statuses, and then with 200.
    pub async fn with_statuses(statuses: &'static [u16]) -> Self {
        Self::answering(|number, _| Answer::empty(statuses.get(number).copied().unwrap_or(200))).await
    }

    /// Takes everything.
    pub async fn willing() -> Self {
        Self::with_statuses(&[]).await
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The bodies that came.
    pub fn bodies(&self) -> Vec<Value> {
        self.requests().iter().map(Request::value).collect()
    }
}
