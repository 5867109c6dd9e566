//! What callers may meet besides success, what they met, and when all is over.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use tokio::time::sleep;

use crate::support::traffic::assert_refused;

/// Pause of a caller whose request had no answer of the relay's.
const RETRY: Duration = Duration::from_millis(200);

/// How long the relay waits for its store: on a machine that is busy with something else, a store may take longer
/// without a fault, and is away then.
const BUSY: Duration = Duration::from_millis(1400);

/// How much later than the relay a refusal may be: a balancer is in between, and fifty callers are told at once. Other
/// tests hold replicas to their own time.
const IN_BETWEEN: Duration = Duration::from_secs(3);

/// Something that breaks, and what of it callers may notice. What is not excused here fails the test.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub name: &'static str,
    /// Whether requests may be answered 503.
    pub refuses: bool,
    /// Whether connections may break, and the balancer say so.
    pub breaks_off: bool,
    /// Whether what was never acknowledged may be forgotten, so that its repeat is another message.
    pub forgets: bool,
    /// With which codes sockets may be closed. 1006 is a connection that broke.
    pub closes_with: &'static [u16],
    /// How long it may take from its end until everybody is served as before.
    pub well_within: Duration,
}

impl Fault {
    /// One that nobody may notice except by a delay.
    pub const fn new(name: &'static str, well_within: Duration) -> Self {
        Self { name, refuses: false, breaks_off: false, forgets: false, closes_with: &[], well_within }
    }

    pub const fn refuses(mut self) -> Self {
        self.refuses = true;
        self
    }

    pub const fn breaks_off(mut self) -> Self {
        self.breaks_off = true;
        self
    }

    pub const fn forgets(mut self) -> Self {
        self.forgets = true;
        self
    }

    pub const fn closes_with(mut self, codes: &'static [u16]) -> Self {
        self.closes_with = codes;
        self
    }
}

/// How often something was noticed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Requests that were answered 503.
    pub refused: usize,
    /// Requests whose connection broke, also as the balancer says it.
    pub broken: usize,
    /// Sockets that were closed, and opened again.
    pub reconnects: usize,
}

/// What everybody shares.
pub struct Watch {
    /// The fault at the moment, and since when.
    now: Mutex<(Fault, Instant)>,
    refused: AtomicUsize,
    broken: AtomicUsize,
    reconnects: AtomicUsize,
    is_over: AtomicBool,
}

impl Watch {
    pub fn new() -> Self {
        let zero = || AtomicUsize::new(0);
        let nothing = Fault::new("nothing", Duration::ZERO);
        Self {
            now: Mutex::new((nothing, Instant::now())),
            refused: zero(),
            broken: zero(),
            reconnects: zero(),
            is_over: AtomicBool::new(false),
        }
    }

    /// From now on this is what is broken.
    pub fn set(&self, fault: Fault) {
        *self.now.lock().unwrap() = (fault, Instant::now());
    }

    /// What is broken at the moment, and since when.
    pub fn now(&self) -> (Fault, Instant) {
        *self.now.lock().unwrap()
    }

    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub fn counts(&self) -> Counts {
        let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        Counts { refused: read(&self.refused), broken: read(&self.broken), reconnects: read(&self.reconnects) }
    }

    /// The answer, if it is a 200. Anything else must be excused by what is broken, and in the agreed form; then there
    /// is none, and it is time to try again.
    pub async fn answered(
        &self,
        what: &str,
        began: Instant,
        how: Result<Response, reqwest::Error>,
    ) -> Option<Response> {
        let (fault, since) = self.now();
        let pause = match how {
            Ok(answer) if answer.status() == 200 => return Some(answer),
            Ok(answer) if answer.status() == 503 && (fault.refuses || fault.breaks_off || began.elapsed() > BUSY) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                let asked = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                // Who waited for a message before it broke is told so from then on.
                assert_refused(answer, began.max(since) + IN_BETWEEN).await;
                Duration::from_secs(asked.expect("it was looked at"))
            }
            Ok(answer) if fault.breaks_off && is_of_the_balancer(answer.status()) => self.broke(),
            Err(_) if fault.breaks_off => self.broke(),
            Ok(answer) => {
                let (status, took) = (answer.status(), began.elapsed());
                panic!("{what} was answered {status} after {took:?} of {:?}: {:?}", fault.name, answer.text().await)
            }
            Err(error) => panic!("{what} broke off by {:?}: {:?}", fault.name, error.without_url()),
        };
        sleep(pause).await;
        None
    }

    /// Notes how a socket ended, which must be excused.
    pub fn closed(&self, code: u16) {
        let (fault, _) = self.now();
        assert!(fault.closes_with.contains(&code), "a socket was closed with {code} by {:?}", fault.name);
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a socket could not be opened: the status of the refusal, or 0 without any.
    pub async fn not_opened(&self, status: u16, body: &str) {
        let (fault, _) = self.now();
        let is_excused = match status {
            503 => fault.refuses || fault.breaks_off,
            0 | 502 | 504 => fault.breaks_off,
            _ => false,
        };
        assert!(is_excused, "a socket was refused with {status} by {:?}: {body}", fault.name);
        let count = if status == 503 { &self.refused } else { &self.broken };
        count.fetch_add(1, Ordering::Relaxed);
        sleep(RETRY).await;
    }

    fn broke(&self) -> Duration {
        self.broken.fetch_add(1, Ordering::Relaxed);
        RETRY
    }
}

/// Whether it says of a replica that it broke off or took too long.
fn is_of_the_balancer(status: StatusCode) -> bool {
    status == 502 || status == 504
}
