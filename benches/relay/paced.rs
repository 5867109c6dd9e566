//! Load at a fixed rate: each message is due at its own instant, whatever became of those before it. How long it took
//! counts from then, so that a relay that stands still is not spared the messages of that time.

use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};

use crate::failure::{Outcome, fail};
use crate::http::{Answers, Request, connect, sequence_of};
use crate::load::CONNECTIONS;
use crate::socket::Socket;

/// How long the last message of a load may take to arrive before it counts as lost.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(20);
/// Time between the making of a schedule and its first message, for everything to be in place.
const LEAD: Duration = Duration::from_millis(50);

/// When each of some messages is due.
#[derive(Clone, Copy)]
pub struct Schedule {
    begin: Instant,
    /// Messages a second.
    pub rate: f64,
    /// How many there are.
    pub count: usize,
}

impl Schedule {
    /// One that begins in a moment.
    pub fn new(rate: f64, time: Duration) -> Self {
        Self { begin: Instant::now() + LEAD, rate, count: (rate * time.as_secs_f64()) as usize }
    }

    fn due(&self, number: usize) -> Instant {
        self.begin + Duration::from_secs_f64(number as f64 / self.rate)
    }
}

/// Sends the messages of a schedule from a thread of its own, which sleeps more exactly than a runtime does. It ends
/// when all are sent, and gives how late each was.
fn pace(schedule: Schedule, mut send: impl FnMut(usize) -> Outcome<()> + Send + 'static) -> Sender {
    std::thread::spawn(move || {
        let mut late = Vec::with_capacity(schedule.count);
        for number in 0..schedule.count {
            let due = schedule.due(number);
            let wait = due.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
            late.push(milliseconds_since(due, Instant::now()));
            send(number)?;
        }
        late.sort_by(f64::total_cmp);
        Ok(late)
    })
}

type Sender = JoinHandle<Outcome<Vec<f64>>>;

fn milliseconds_since(due: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(due).as_secs_f64() * 1000.0
}

/// A load that is under way.
pub struct Paced {
    sender: Sender,
    answers: JoinSet<Outcome<()>>,
}

impl Paced {
    /// Posts requests on schedule, over connections to these replicas in turn. The message of each number goes to the
    /// request that `which` names, and is known by `base` and its number. Answers are not waited for before the next
    /// request goes out, but all must be there and be 200.
    pub async fn post(
        ports: &[u16],
        mut requests: Vec<Request>,
        which: impl Fn(usize) -> usize + Send + 'static,
        base: usize,
        schedule: Schedule,
    ) -> Outcome<Self> {
        let (mut writers, mut answers) = (Vec::new(), JoinSet::new());
        for n in 0..CONNECTIONS {
            let stream = connect(ports[n % ports.len()]).await?.into_std()?;
            writers.push(stream.try_clone()?);
            let reader = TcpStream::from_std(stream)?;
            let expected = (schedule.count + CONNECTIONS - 1 - n) / CONNECTIONS;
            answers.spawn(read_answers(reader, expected));
        }
        let sender = pace(schedule, move |number| {
            let request = requests[which(number)].numbered(base + number);
            // There is room for many requests on a connection; that it is used up is a failure like any other.
            Ok(writers[number % CONNECTIONS].write_all(request)?)
        });
        Ok(Self { sender, answers })
    }

    /// Sends something else on schedule, which is not answered.
    pub fn send(schedule: Schedule, send: impl FnMut(usize) -> Outcome<()> + Send + 'static) -> Self {
        Self { sender: pace(schedule, send), answers: JoinSet::new() }
    }

    /// Waits until all is sent and answered. Gives how late each message was sent, in milliseconds, in ascending order:
    /// the load's own share of the time that a message takes.
    pub async fn done(mut self) -> Outcome<Vec<f64>> {
        while let Some(done) = self.answers.join_next().await {
            done??;
        }
        while !self.sender.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.sender.join().unwrap_or_else(|_| fail("the sender of the load broke"))
    }
}

async fn read_answers(stream: TcpStream, count: usize) -> Outcome<()> {
    let mut answers = Answers::new(stream);
    for _ in 0..count {
        let answer = answers.next().await?;
        if answer.status != 200 {
            return fail(format!("answered {}: {}", answer.status, String::from_utf8_lossy(answer.body)));
        }
    }
    Ok(())
}

/// What came down some sockets.
#[derive(Default)]
pub struct Inbox(Mutex<Arrivals>);

#[derive(Default)]
struct Arrivals {
    /// The schedule that is measured, and the number of its first message.
    expected: Option<(Schedule, usize)>,
    /// For each of its messages how long it took, once it came, in milliseconds.
    took: Vec<Option<f64>>,
    /// Of these, those that came.
    arrived: usize,
    /// All frames that ever came.
    frames: usize,
    /// Bytes of the last one.
    size: usize,
    broken: Option<String>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Arrivals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens on these sockets until the listeners are dropped.
    pub fn listen(self: &Arc<Self>, sockets: Vec<Socket>) -> Listeners {
        let listen = |mut socket: Socket| {
            let inbox = self.clone();
            let task = tokio::spawn(async move {
                loop {
                    match socket.next().await {
                        Ok(frame) => inbox.lock().take(frame, Instant::now()),
                        Err(failure) => break inbox.lock().broken = Some(failure.to_string()),
                    }
                }
            });
            task.abort_handle()
        };
        Listeners(sockets.into_iter().map(listen).collect())
    }

    /// Expects the messages of this schedule from now on.
    pub fn expect(&self, schedule: Schedule, base: usize) {
        let mut arrivals = self.lock();
        arrivals.took = vec![None; schedule.count];
        arrivals.arrived = 0;
        arrivals.expected = Some((schedule, base));
    }

    /// Waits until every message came that is expected. Gives how long they took, in milliseconds, in ascending order.
    pub async fn all(&self) -> Outcome<Vec<f64>> {
        let expected = self.lock().took.len();
        self.until(|arrivals| arrivals.arrived, expected).await?;
        let mut took: Vec<_> = self.lock().took.iter().flatten().copied().collect();
        took.sort_by(f64::total_cmp);
        Ok(took)
    }

    /// Frames that came so far.
    pub fn frames(&self) -> usize {
        self.lock().frames
    }

    /// Bytes of the last frame.
    pub fn frame_size(&self) -> usize {
        self.lock().size
    }

    /// Waits until so many frames came in all.
    pub async fn has_frames(&self, count: usize) -> Outcome<()> {
        self.until(|arrivals| arrivals.frames, count).await
    }

    async fn until(&self, arrived: impl Fn(&Arrivals) -> usize, expected: usize) -> Outcome<()> {
        let end = Instant::now() + ARRIVAL_TIMEOUT;
        loop {
            let arrived = {
                let mut arrivals = self.lock();
                if let Some(broken) = arrivals.broken.take() {
                    return fail(broken);
                }
                arrived(&arrivals)
            };
            if arrived >= expected {
                return if arrived == expected { Ok(()) } else { fail("a message came twice") };
            }
            if Instant::now() > end {
                return fail(format!("{} of {expected} messages did not arrive", expected - arrived));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Arrivals {
    fn take(&mut self, frame: &[u8], now: Instant) {
        self.frames += 1;
        self.size = frame.len();
        let Some((schedule, base)) = self.expected else { return };
        let number = sequence_of(frame).and_then(|sequence| sequence.checked_sub(base));
        let Some(place) = number.and_then(|number| self.took.get_mut(number)) else {
            self.broken = Some("a message came that was not sent".to_owned());
            return;
        };
        if place.is_some() {
            self.broken = Some("a message came twice".to_owned());
            return;
        }
        *place = Some(milliseconds_since(schedule.due(number.unwrap_or_default()), now));
        self.arrived += 1;
    }
}

/// Those who listen on sockets. Dropped, they close them.
pub struct Listeners(Vec<AbortHandle>);

impl Drop for Listeners {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}
