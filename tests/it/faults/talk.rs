//! An agent on a platform that replies in several conversations at once, and what arrives there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::session::PATIENCE;
use super::watch::Watch;
use crate::delivery::line::{Fault, Line};
use crate::support::client::Client;
use crate::support::platforms::Call;
use crate::support::platforms::deployment::Platforms;
use crate::support::relay::Replica;

/// Conversations of each agent.
const TALKS: usize = 3;
/// Pause between two replies of a conversation: platforms want a second between messages.
const PAUSE: Duration = Duration::from_millis(1200);
/// How late platforms answer: so late that a replica which breaks has calls under way, as a rule.
const CALL_TAKES: Duration = Duration::from_millis(800);

pub struct Agent {
    client: Client,
    line: Line,
    /// What was said in each conversation.
    said: [Mutex<Vec<Reply>>; TALKS],
}

/// One reply, from the agent's side.
struct Reply {
    text: String,
    /// When it was tried first.
    begun: Instant,
    is_acknowledged: bool,
}

impl Agent {
    pub async fn register(platforms: &Platforms, front: &Replica, platform: &'static str) -> Self {
        let client = Client::register_signed(front).await;
        let line = Line::open(platforms, &client, front, platform, TALKS).await;
        let agent = Self { client, line, said: Default::default() };
        agent.behaves();
        agent
    }

    pub fn platform(&self) -> &'static str {
        self.line.platform
    }

    /// Lets the platform misbehave until it is told to behave.
    pub fn misbehaves(&self, fault: Fault) {
        self.line.behave();
        self.line.fault(fault, 0, None);
    }

    /// Lets the platform answer well, in its time.
    pub fn behaves(&self) {
        self.misbehaves(Fault::Slow(CALL_TAKES));
    }

    /// Replies in one conversation until the end.
    async fn talk(&self, talk: usize, front: &Replica, watch: &Watch) {
        for number in 0.. {
            sleep(PAUSE).await;
            if watch.is_over() {
                return;
            }
            let text = format!("reply {number}");
            let reply = Reply { text: text.clone(), begun: Instant::now(), is_acknowledged: false };
            self.said[talk].lock().unwrap().push(reply);
            let body = self.line.body(talk, &text).to_string();
            loop {
                let began = Instant::now();
                let request = self.client.request(front, Method::POST, "/reply", body.as_bytes());
                if watch.answered("a reply", began, request.timeout(PATIENCE).send().await).await.is_some() {
                    break;
                }
            }
            self.said[talk].lock().unwrap()[number].is_acknowledged = true;
        }
    }

    /// Whether every conversation was sent something that was said after this moment.
    pub fn was_heard_after(&self, moment: Instant) -> bool {
        let arrivals = self.arrivals();
        self.said.iter().enumerate().all(|(talk, said)| {
            let said = said.lock().unwrap();
            let later = said.iter().find(|reply| reply.begun >= moment && reply.is_acknowledged);
            later.is_some_and(|reply| arrivals.contains_key(&(talk, reply.text.clone())))
        })
    }

    /// How long the replies took that were under way between these moments.
    pub fn delays(&self, from: Instant, to: Instant) -> Vec<Duration> {
        let arrivals = self.arrivals();
        let of = |(talk, said): (usize, &Mutex<Vec<Reply>>)| {
            let said = said.lock().unwrap();
            let taken = said.iter().filter(|reply| reply.begun <= to).filter_map(|reply| {
                let at = *arrivals.get(&(talk, reply.text.clone()))?.first()?;
                (at >= from).then(|| at.saturating_duration_since(reply.begun))
            });
            taken.collect::<Vec<_>>()
        };
        self.said.iter().enumerate().flat_map(of).collect()
    }

    /// How many messages between these moments were there already.
    pub fn copies(&self, from: Instant, to: Instant) -> usize {
        let within = |at: &&Instant| (from..=to).contains(*at);
        self.arrivals().values().map(|times| times[1..].iter().filter(within).count()).sum()
    }

    /// Whether everything arrived that was acknowledged.
    pub fn has_arrived(&self) -> bool {
        let arrivals = self.arrivals();
        self.said.iter().enumerate().all(|(talk, said)| {
            let said = said.lock().unwrap();
            said.iter().all(|reply| arrivals.contains_key(&(talk, reply.text.clone())))
        })
    }

    /// Everything arrived in the order in which it was said; what came again has a reason to. Gives how many were said.
    pub fn is_complete(&self) -> usize {
        let mut count = 0;
        for (talk, said) in self.said.iter().enumerate() {
            let mut first = Vec::new();
            for text in self.line.sent(talk) {
                if !first.contains(&text) {
                    first.push(text);
                }
            }
            let said = said.lock().unwrap();
            let expected: Vec<_> = said.iter().map(|reply| reply.text.clone()).collect();
            assert_eq!(first, expected, "{} in conversation {talk}", self.platform());
            count += said.len();
        }
        count
    }

    /// When each text arrived in each conversation.
    fn arrivals(&self) -> HashMap<(usize, String), Vec<Instant>> {
        let mut arrivals: HashMap<_, Vec<Instant>> = HashMap::new();
        for talk in 0..TALKS {
            for call in self.line.calls(talk) {
                if call.answered.is_some_and(|status| status < 300) {
                    arrivals.entry((talk, text_of(&call))).or_default().push(call.at);
                }
            }
        }
        arrivals
    }
}

fn text_of(call: &Call) -> String {
    let text = call.body["text"].as_str().or(call.body["content"].as_str());
    text.unwrap_or_default().to_owned()
}

/// The tasks that an agent lives by, which end when all is over.
pub fn live(
    agent: &Arc<Agent>,
    front: &Arc<impl std::ops::Deref<Target = Replica> + Send + Sync + 'static>,
    watch: &Arc<Watch>,
) -> Vec<JoinHandle<()>> {
    let talking = (0..TALKS).map(|talk| {
        let (agent, front, watch) = (agent.clone(), front.clone(), watch.clone());
        tokio::spawn(async move { agent.talk(talk, &front, &watch).await })
    });
    talking.collect()
}
