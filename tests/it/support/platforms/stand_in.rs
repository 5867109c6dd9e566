//! What all stand-ins have in common: they note every call, keep what was sent, and can be waited for.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::header::HeaderMap;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::misbehaviour::{self, Misbehaviour, Rule};
use super::server::{self, Answer, Outcome, Request};
use crate::support::DEADLINE;

/// The rules of one platform.
pub trait Platform: Sized + Send + Sync + 'static {
    /// A message that went out, as a person on the platform would see it.
    type Sent: Clone + fmt::Debug + Send + 'static;
    /// What only this platform says when it refuses.
    type Refusal: Clone + fmt::Debug + Send + 'static;
    /// The path that every call begins with.
    const BASE_PATH: &'static str;

    /// What the platform's documentation calls this method.
    fn name_of(request: &Request) -> String;

    /// Does what the call asks for, or says why not.
    fn process(here: &StandIn<Self>, request: Request) -> impl Future<Output = Answer> + Send;

    /// Refuses a call.
    fn refuse(here: &StandIn<Self>, refusal: &Self::Refusal, request: &Request) -> Answer;

    /// Refuses a call because there were too many.
    fn too_many_requests(retry_after: Duration) -> Answer;

    /// Breaks down.
    fn server_error(status: u16) -> Answer;
}

/// A call that came in.
#[derive(Clone)]
pub struct Call {
    pub at: Instant,
    /// What the platform calls it, such as `sendMessage`.
    pub name: String,
    /// HTTP's method.
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    /// JSON, a form's fields as an object, null, or text.
    pub body: Value,
    /// The status of the answer; `None` while there is none, and for ever if the connection was cut.
    pub answered: Option<u16>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} → {:?}", self.name, self.body, self.answered)
    }
}

/// A running stand-in. Clones are the same one. Gives access to the platform's rules by dereferencing.
pub struct StandIn<P: Platform>(Arc<Inner<P>>);

struct Inner<P: Platform> {
    platform: P,
    port: Mutex<u16>,
    record: Mutex<Record<P>>,
    changed: watch::Sender<()>,
}

struct Record<P: Platform> {
    calls: Vec<Call>,
    sent: Vec<P::Sent>,
    rules: Vec<Rule<P::Refusal>>,
}

impl<P: Platform> Clone for StandIn<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: Platform> Deref for StandIn<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0.platform
    }
}

impl<P: Platform> StandIn<P> {
    /// Starts with these rules on a free port.
    pub async fn start_with(platform: P) -> Self {
        let record = Record { calls: Vec::new(), sent: Vec::new(), rules: Vec::new() };
        let (port, changed) = (Mutex::new(0), watch::Sender::new(()));
        let here = Self(Arc::new(Inner { platform, port, record: Mutex::new(record), changed }));
        let server = here.clone();
        let port = server::serve(move |request| server.clone().take(request)).await;
        *here.0.port.lock().unwrap() = port;
        here
    }

    /// What the relay is told as the address of the platform's API.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.0.port.lock().unwrap(), P::BASE_PATH)
    }

    /// Every call so far, in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.0.record.lock().unwrap().calls.clone()
    }

    /// The calls of one method.
    pub fn calls_of(&self, method: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.name == method).collect()
    }

    /// Everything that was sent and processed, in that order.
    pub fn sent(&self) -> Vec<P::Sent> {
        self.0.record.lock().unwrap().sent.clone()
    }

    /// Misbehaves at the next call.
    pub fn misbehave(&self, behaviour: Misbehaviour<P::Refusal>) {
        self.rule(Rule::new(behaviour));
    }

    /// Misbehaves at the next call of this method.
    pub fn misbehave_on(&self, method: &str, behaviour: Misbehaviour<P::Refusal>) {
        self.rule(Rule::new(behaviour).on(method));
    }

    /// Misbehaves by a rule, after those that were given before.
    pub fn rule(&self, rule: Rule<P::Refusal>) {
        self.0.record.lock().unwrap().rules.push(rule);
    }

    /// Forgets every misbehaviour that is still to come.
    pub fn behave(&self) {
        self.0.record.lock().unwrap().rules.clear();
    }

    /// Rules that still wait for a call. A test that expects its faults to have happened finds none.
    pub fn rules_left(&self) -> usize {
        self.0.record.lock().unwrap().rules.len()
    }

    /// Waits until the question has an answer. It is asked at once and whenever something came in.
    pub async fn wait_for<T>(&self, what: &str, ask: impl Fn(&Self) -> Option<T>) -> T {
        let mut changes = self.0.changed.subscribe();
        let answer = async {
            loop {
                if let Some(answer) = ask(self) {
                    return answer;
                }
                changes.changed().await.unwrap();
            }
        };
        timeout(DEADLINE, answer)
            .await
            .unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}; there were {:#?}", self.calls()))
    }

    /// Waits until so many messages were sent; gives all that were.
    pub async fn wait_for_sent(&self, count: usize) -> Vec<P::Sent> {
        self.wait_for(&format!("{count} messages are sent"), |here| Some(here.sent()).filter(|all| all.len() >= count))
            .await
    }

    /// Waits until so many calls of a method came in; gives all of that method, answered or not.
    pub async fn wait_for_calls(&self, method: &str, count: usize) -> Vec<Call> {
        let all = |here: &Self| Some(here.calls_of(method)).filter(|calls| calls.len() >= count);
        self.wait_for(&format!("{count} calls of {method}"), all).await
    }

    /// Notes a message that went out.
    pub fn note_sent(&self, sent: P::Sent) {
        self.0.record.lock().unwrap().sent.push(sent);
        self.0.changed.send_replace(());
    }

    /// Takes a call: notes it, misbehaves if it shall, and otherwise processes it.
    pub async fn take(self, request: Request) -> Outcome {
        let call = Call {
            at: Instant::now(),
            name: P::name_of(&request),
            method: request.method.clone(),
            path: request.path.clone(),
            headers: request.headers.clone(),
            body: request.value(),
            answered: None,
        };
        let (index, behaviour) = {
            let record = &mut *self.0.record.lock().unwrap();
            let behaviour = misbehaviour::next(&mut record.rules, &call);
            record.calls.push(call);
            (record.calls.len() - 1, behaviour)
        };
        self.0.changed.send_replace(());
        let outcome = self.answer(request, behaviour).await;
        if let Outcome::Answer(answer) = &outcome {
            self.0.record.lock().unwrap().calls[index].answered = Some(answer.status);
            self.0.changed.send_replace(());
        }
        outcome
    }

    async fn answer(&self, request: Request, behaviour: Option<Misbehaviour<P::Refusal>>) -> Outcome {
        Outcome::Answer(match behaviour {
            None => P::process(self, request).await,
            Some(Misbehaviour::TooManyRequests { retry_after }) => P::too_many_requests(retry_after),
            Some(Misbehaviour::ServerError(status)) => P::server_error(status),
            Some(Misbehaviour::Refuse(refusal)) => P::refuse(self, &refusal, &request),
            Some(Misbehaviour::Garbage) => {
                Answer::text(200, "text/html; charset=utf-8", "<!DOCTYPE html><title>Sign in</title><p>Please wait")
            }
            Some(Misbehaviour::Slow(time)) => {
                let answer = P::process(self, request).await;
                sleep(time).await;
                answer
            }
            Some(Misbehaviour::AnswerLost) => {
                P::process(self, request).await;
                return Outcome::Cut;
            }
            Some(Misbehaviour::Reset) => return Outcome::Cut,
            Some(Misbehaviour::Hang) => return Outcome::Silence,
        })
    }
}
