//! Three replicas behind the balancer, the platforms, and a crowd that uses them all the time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::session::{self, Session, Way};
use super::table::{Outcome, Table};
use super::talk::{self, Agent};
use super::watch::{Counts, Fault, Watch};
use crate::delivery::line::hasty;
use crate::support::balancer::{Balancer, Deployment};
use crate::support::eventually_within;
use crate::support::platforms::deployment::Platforms;
use crate::support::relay::{Replica, Setup};

/// What replicas are given to take leave: the least that the balancer's checks allow.
const DRAIN: &str = "8";
/// By when replies arrive again: what a dead replica held is another's seven seconds later, and a try that failed twice
/// is made again after five.
const REPLIES_WELL_WITHIN: Duration = Duration::from_secs(20);
/// By when everything has arrived once nobody sends any more.
const DRAINED_WITHIN: Duration = Duration::from_secs(30);

/// How large it is.
#[derive(Clone, Copy)]
pub struct Size {
    pub sessions: usize,
    /// Mean pause between two messages of a session. It keeps the newest 500, and all are counted in the end.
    pub pause: Duration,
}

pub struct Scene {
    /// Where everybody goes.
    front: Arc<Balancer>,
    /// The balancer's successor on the same port, once there is one.
    successor: Option<Balancer>,
    pub setups: [Setup; 3],
    pub replicas: [Replica; 3],
    pub agents: Vec<Arc<Agent>>,
    sessions: Vec<Arc<Session>>,
    watch: Arc<Watch>,
    sending: Vec<JoinHandle<()>>,
    receiving: Vec<JoinHandle<()>>,
    table: Table,
    _platforms: Platforms,
}

impl Scene {
    /// Starts with replicas of this setup, and waits until everybody was served.
    pub async fn start(title: &'static str, setup: Setup, size: Size) -> Self {
        let platforms = Platforms::start().await;
        let setup = hasty(platforms.known_to(setup)).with("CHAOS_DRAIN_SECONDS", DRAIN);
        let Deployment { front, setups, replicas } = Deployment::start(setup).await;
        platforms.lead_to(&[&front]);
        let front = Arc::new(front);
        let register = async |number: usize| {
            // Half have sockets, one in ten both and more; one in ten signs what it sends.
            let ways: &[Way] = match number % 10 {
                0..5 => &[Way::Socket],
                5 => &[Way::Socket, Way::Socket, Way::Poll],
                _ => &[Way::Poll],
            };
            Arc::new(Session::register(&front, number, number % 10 == 6, ways).await)
        };
        let sessions = join_all((0..size.sessions).map(register)).await;
        let agent = async |platform| Arc::new(Agent::register(&platforms, &front, platform).await);
        let agents = join_all(["telegram", "discord", "slack"].map(agent)).await;

        let watch = Arc::new(Watch::new());
        let (mut sending, mut receiving) = (Vec::new(), Vec::new());
        for session in &sessions {
            let (sender, receivers) = session::live(session, &front, &watch, size.pause);
            sending.push(sender);
            receiving.extend(receivers);
        }
        sending.extend(agents.iter().flat_map(|agent| talk::live(agent, &front, &watch)));
        let scene = Self {
            front,
            successor: None,
            setups,
            replicas,
            agents,
            sessions,
            watch,
            sending,
            receiving,
            table: Table::new(title),
            _platforms: platforms,
        };
        scene.is_well(Instant::now(), REPLIES_WELL_WITHIN).await;
        scene
    }

    /// The balancer as it is at the moment.
    pub fn balancer(&self) -> &Balancer {
        self.successor.as_ref().unwrap_or(&self.front)
    }

    /// Ends the balancer and, after this time, starts it again.
    pub async fn restart_balancer(&mut self, after: Duration) {
        self.balancer().break_off();
        sleep(after).await;
        self.successor = Some(self.balancer().start_again(&self.replicas).await);
    }

    /// Starts a replica again that the balancer misses or is about to.
    pub async fn replace(&mut self, n: usize, setup: &Setup) {
        self.balancer().misses(n).await;
        self.replicas[n] = self.balancer().welcomes(n, setup).await;
    }

    /// Breaks something and mends it again, and makes sure that nobody noticed what may not be noticed and that all is
    /// well in time. That becomes a row of the table.
    pub async fn suffers(&mut self, fault: Fault, break_and_mend: impl AsyncFnOnce(&mut Self)) {
        self.table.begin(fault);
        let outcome = self.undergoes(fault, break_and_mend).await;
        let copies = outcome.copies;
        self.table.end(outcome);
        // Where an acknowledgement or the note of a delivery may be lost, a reply may go out again; nowhere else.
        let may_repeat = fault.refuses || fault.breaks_off;
        assert!(may_repeat || copies == 0, "{copies} replies were sent again after {:?}", fault.name);
    }

    /// The same without a row.
    pub async fn undergoes(&mut self, fault: Fault, break_and_mend: impl AsyncFnOnce(&mut Self)) -> Outcome {
        let before = self.watch.counts();
        self.watch.set(fault);
        let began = Instant::now();
        break_and_mend(self).await;
        let mended = Instant::now();
        let well = self.is_well(mended, fault.well_within).await;
        let replied = Instant::now();
        // Whatever comes now is nobody's fault.
        self.watch.set(Fault::new("nothing", Duration::ZERO));
        let after = self.watch.counts();
        let messages: Vec<_> = self.sessions.iter().flat_map(|session| session.under_way(began, well)).collect();
        let longest = |times: Vec<Duration>| times.into_iter().max().unwrap_or_default();
        let tries = messages.iter().filter_map(|(post, _)| Some(post.acknowledged? - post.begun)).collect();
        let since_acknowledged =
            messages.iter().filter_map(|(post, heard)| Some(heard.saturating_duration_since(post.acknowledged?)));
        Outcome {
            lasted: mended - began,
            well_after: well.saturating_duration_since(mended),
            longest: longest(messages.iter().map(|(post, heard)| *heard - post.begun).collect()),
            longest_try: longest(tries),
            longest_acknowledged: longest(since_acknowledged.collect()),
            longest_reply: longest(self.agents.iter().flat_map(|agent| agent.delays(began, replied)).collect()),
            copies: self.agents.iter().map(|agent| agent.copies(began, replied)).sum(),
            counts: Counts {
                refused: after.refused - before.refused,
                broken: after.broken - before.broken,
                reconnects: after.reconnects - before.reconnects,
            },
        }
    }

    /// Waits until everybody had something that was sent after this moment; gives when all had messages.
    async fn is_well(&self, after: Instant, within: Duration) -> Instant {
        let well = eventually_within(within, "all sessions are served again", || async {
            self.all_are_at_work();
            let times: Option<Vec<_>> = self.sessions.iter().map(|session| session.was_served_after(after)).collect();
            times?.into_iter().max()
        })
        .await;
        eventually_within(REPLIES_WELL_WITHIN, "replies arrive again", || async {
            self.all_are_at_work();
            self.agents.iter().all(|agent| agent.was_heard_after(after)).then_some(())
        })
        .await;
        well
    }

    /// Fails if somebody gave up; why, they have said themselves.
    fn all_are_at_work(&self) {
        let mut tasks = self.sending.iter().chain(&self.receiving);
        assert!(!tasks.any(JoinHandle::is_finished), "somebody met what nobody may meet, or something was lost");
    }

    /// Lets everybody come to an end, and counts: what was acknowledged is what was received and is kept, and all
    /// replies arrived.
    pub async fn ends(mut self) {
        self.watch.end();
        for sender in std::mem::take(&mut self.sending) {
            sender.await.expect("senders end well");
        }
        eventually_within(DRAINED_WITHIN, "everything has arrived", || async {
            self.all_are_at_work();
            let all_heard = self.sessions.iter().all(|session| session.has_heard_all());
            (all_heard && self.agents.iter().all(|agent| agent.has_arrived())).then_some(())
        })
        .await;
        let mut messages = 0;
        for session in &self.sessions {
            messages += session.is_complete(self.balancer()).await;
        }
        let replies: usize = self.agents.iter().map(|agent| agent.is_complete()).sum();
        println!("{messages} messages and {replies} replies were acknowledged, and all arrived in order");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for task in self.sending.iter().chain(&self.receiving) {
            task.abort();
        }
    }
}
