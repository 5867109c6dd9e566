//! A TCP proxy that stands between a replica and Redis and can break what passes through it, or hold it up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Pieces that may be on their way in one direction of a connection.
const PIECES_UNDER_WAY: usize = 1024;

/// What happens to connections. Each one lives under the epoch in which it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Passing,
    Refusing,
    Stalled,
}

#[derive(Clone, Copy)]
struct Rule {
    state: State,
    /// Connections of earlier epochs end, or (if `keeps_old`) stay as they are: open and dead.
    epoch: usize,
    keeps_old: bool,
}

/// A proxy on a free port; ends when it is dropped.
pub struct Proxy {
    port: u16,
    target: Arc<AtomicU16>,
    /// How long everything takes to the other side, in milliseconds.
    lag: Arc<AtomicU64>,
    rule: Arc<watch::Sender<Rule>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy to a local port, which lets everything pass.
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let rule = Arc::new(watch::Sender::new(Rule { state: State::Passing, epoch: 0, keeps_old: false }));
        let rules = rule.clone();
        let target = Arc::new(AtomicU16::new(target));
        let leads_to = target.clone();
        let lag = Arc::new(AtomicU64::new(0));
        let lags = lag.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(client, leads_to.load(Ordering::Relaxed), lags.clone(), rules.subscribe()));
            }
        });
        Self { port, target, lag, rule, accepting }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// New connections lead to this port; those that are there stay.
    pub fn leads_to(&self, port: u16) {
        self.target.store(port, Ordering::Relaxed);
    }

    /// Cuts all connections, and every new one at once.
    pub fn cut(&self) {
        self.set(State::Refusing, false);
    }

    /// From now on nothing is taken and nothing answered, on old connections and new ones.
    pub fn stall(&self) {
        self.set(State::Stalled, true);
    }

    /// New connections pass. Those that were stalled stay open and dead for ever, as when the other
    /// side was replaced and nobody said so.
    pub fn heal(&self) {
        self.set(State::Passing, true);
    }

    /// From now on everything takes this much longer, each way, on old connections and new ones.
    pub fn delay(&self, time: Duration) {
        self.lag.store(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    fn set(&self, state: State, keeps_old: bool) {
        self.rule.send_modify(|rule| *rule = Rule { state, epoch: rule.epoch + 1, keeps_old });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

/// Carries one connection for as long as the rule lasts under which it was made.
async fn carry(mut client: TcpStream, target: u16, lag: Arc<AtomicU64>, mut rules: watch::Receiver<Rule>) {
    let rule = *rules.borrow_and_update();
    match rule.state {
        State::Refusing => return,
        State::Stalled => {}
        State::Passing => {
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
            let (from_client, to_client) = client.split();
            let (from_server, to_server) = server.split();
            let passing =
                async { tokio::join!(pass(from_client, to_server, &lag), pass(from_server, to_client, &lag)) };
            tokio::select! {
                _ = passing => return,
                _ = rules.changed() => {}
            }
        }
    }
    // The rule changed: held open without a reader, or cut.
    while rules.borrow_and_update().keeps_old {
        if rules.changed().await.is_err() {
            return;
        }
    }
}

/// Passes bytes on, each piece as late as the lag was when it came, until there are no more.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, lag: &AtomicU64) {
    let (under_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_UNDER_WAY);
    let taking = async move {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            let due = Instant::now() + Duration::from_millis(lag.load(Ordering::Relaxed));
            if under_way.send((due, bytes[..count].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let giving = async move {
        while let Some((due, bytes)) = arriving.recv().await {
            // A timer would round up to the next millisecond.
            if due > Instant::now() {
                sleep_until(due).await;
            }
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(taking, giving);
}
