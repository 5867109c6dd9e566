//! A TCP proxy that stands between a replica and Redis and can break what passes through it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

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
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(client, leads_to.load(Ordering::Relaxed), rules.subscribe()));
            }
        });
        Self { port, target, rule, accepting }
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
async fn carry(mut client: TcpStream, target: u16, mut rules: watch::Receiver<Rule>) {
    let rule = *rules.borrow_and_update();
    match rule.state {
        State::Refusing => return,
        State::Stalled => {}
        State::Passing => {
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => return,
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
