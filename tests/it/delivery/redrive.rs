//! Replies that failed for good, and that the operator sends again or gives up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::ids::{ChannelId, MessageId, UserId};
use chaos_relay::store::operator::{DropOutcome, RedriveOutcome};
use chaos_relay::store::redis::{RedisStore, RedisTarget};
use chaos_relay::store::{Store, embedded};
use futures_util::future::join;

use super::fate::{becomes, fate, listen, told};
use super::line::{ALL, Fault, Line};
use super::refusals::refuse;
use crate::support::client::Client;
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::telegram::Refusal;
use crate::support::platforms::{Misbehaviour, Rule};
use crate::support::redis;
use crate::support::relay::{Setup, data_dir};

/// The store of a deployment on Redis, as another replica would open it.
fn store_of(setup: &Setup) -> Arc<dyn Store> {
    let target = RedisTarget::parse(setup.variable("REDIS_URL").unwrap()).unwrap();
    Arc::new(RedisStore::new(target, setup.variable("CHAOS_REDIS_PREFIX").unwrap()))
}

/// What names a reply to the store.
struct Named {
    kind: ChannelKind,
    user: UserId,
    channel: ChannelId,
    response: MessageId,
}

impl Named {
    fn new(agent: &Client, line: &Line, response: &str) -> Self {
        Self {
            kind: ChannelKind::parse(line.platform).unwrap(),
            user: agent.user_id.parse().unwrap(),
            channel: line.id.parse().unwrap(),
            response: response.parse().unwrap(),
        }
    }

    async fn is_redriven(&self, store: &Arc<dyn Store>) -> RedriveOutcome {
        store.redrive(self.kind, &self.user, &self.channel, &self.response).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_failed_for_good_is_sent_again_and_arrives_once() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis();
    let [a, b] = setup.start_many().await;
    platforms.lead_to(&[&a, &b]);
    let store = store_of(&setup);
    let agent = Client::register(&a).await;
    for platform in ALL {
        let line = Line::open(&platforms, &agent, &a, platform, 1).await;
        let mut socket = listen(&agent, &b).await;
        let words = refuse(&platforms, platform, 0);
        let id = line.reply(&agent, &a, 0, "at last").await;
        let expected = ("failed".to_owned(), 1, Some(words.to_owned()));
        assert_eq!(told(&mut socket, &line.id, &id).await, expected, "{platform}");
        let named = Named::new(&agent, &line, &id);
        // Two operators at once.
        let (first, second) = join(named.is_redriven(&store), named.is_redriven(&store)).await;
        let redriven = [first, second].into_iter().filter(|outcome| *outcome == RedriveOutcome::Redriven).count();
        assert_eq!(redriven, 1, "{first:?} {second:?}");
        assert_eq!(told(&mut socket, &line.id, &id).await, ("delivered".to_owned(), 2, None), "{platform}");
        assert_eq!(fate(&becomes(&agent, &a, &id, "delivered").await), ("delivered".to_owned(), 2, None));
        assert_eq!(named.is_redriven(&store).await, RedriveOutcome::NothingToSend);
        let next = line.reply(&agent, &b, 0, "and on").await;
        assert_eq!(told(&mut socket, &line.id, &next).await.0, "delivered");
        assert_eq!((line.sent(0), line.calls(0).len()), (vec!["at last".to_owned(), "and on".to_owned()], 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_arrived_before_a_reply_failed_are_not_sent_again() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis();
    let [a] = setup.start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    platforms.telegram.rule(Rule::new(Misbehaviour::Refuse(Refusal::Blocked)).on("sendMessage").after(1));
    let paragraphs: Vec<_> = ["a", "b", "c"].iter().map(|letter| letter.repeat(3000)).collect();
    let id = line.reply(&agent, &a, 0, &paragraphs.join("\n\n")).await;
    becomes(&agent, &a, &id, "failed").await;
    assert_eq!(line.sent(0), paragraphs[..1]);
    let named = Named::new(&agent, &line, &id);
    assert_eq!(named.is_redriven(&store_of(&setup)).await, RedriveOutcome::Redriven);
    becomes(&agent, &a, &id, "delivered").await;
    assert_eq!(line.sent(0), paragraphs);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_waits_between_tries_begin_anew_when_a_reply_is_sent_again() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis();
    let [a] = setup.start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    refuse(&platforms, "telegram", 0);
    let id = line.reply(&agent, &a, 0, "x").await;
    becomes(&agent, &a, &id, "failed").await;
    // As if it had been tried for hours before.
    let key = format!("{}{{{}}}:reply:{id}", setup.variable("CHAOS_REDIS_PREFIX").unwrap(), agent.user_id);
    assert_eq!(redis::shared().cli(&["HSET", &key, "a", "9"]), "0");
    line.fault(Fault::Status(502), 2, None);
    let named = Named::new(&agent, &line, &id);
    assert_eq!(named.is_redriven(&store_of(&setup)).await, RedriveOutcome::Redriven);
    assert_eq!(becomes(&agent, &a, &id, "delivered").await["attempts"], 12);
    let calls = line.calls(0);
    let waits = [calls[2].at - calls[1].at, calls[3].at - calls[2].at];
    assert!(waits[0] >= Duration::from_millis(800) && waits[1] >= Duration::from_secs(4), "{waits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_gives_up_is_told_as_failed_and_the_next_one_goes() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis();
    let [a, b] = setup.start_many().await;
    platforms.lead_to(&[&a, &b]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    let mut socket = listen(&agent, &b).await;
    line.fault(Fault::TooMany(Duration::from_secs(600)), 1, None);
    let dropped = line.reply(&agent, &a, 0, "given up").await;
    assert_eq!(told(&mut socket, &line.id, &dropped).await.0, "retrying");
    let behind = line.reply(&agent, &a, 0, "behind").await;
    let Named { kind, user, channel, response } = Named::new(&agent, &line, &dropped);
    let asked = Instant::now();
    let outcome = store_of(&setup).drop_reply(kind, &user, &channel, &response, "dropped by the operator").await;
    assert_eq!(outcome.unwrap(), DropOutcome::Dropped);
    let expected = ("failed".to_owned(), 1, Some("dropped by the operator".to_owned()));
    assert_eq!(told(&mut socket, &line.id, &dropped).await, expected);
    assert_eq!(fate(&becomes(&agent, &a, &dropped, "failed").await), expected);
    assert_eq!(told(&mut socket, &line.id, &behind).await.0, "delivered");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!(line.sent(0), ["behind"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_failed_is_sent_again_from_the_embedded_store() {
    let dir = data_dir();
    let platforms = Platforms::start().await;
    let setup = platforms.embedded(dir.path());
    let mut a = setup.start().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    refuse(&platforms, "telegram", 0);
    let id = line.reply(&agent, &a, 0, "at last").await;
    becomes(&agent, &a, &id, "failed").await;
    // The file is one process's at a time.
    a.signal("TERM");
    assert!(a.ended().await);
    let store: Arc<dyn Store> = embedded::open(dir.path()).unwrap();
    assert_eq!(Named::new(&agent, &line, &id).is_redriven(&store).await, RedriveOutcome::Redriven);
    store.close().await;
    drop(store);
    let a = setup.start().await;
    platforms.lead_to(&[&a]);
    assert_eq!(fate(&becomes(&agent, &a, &id, "delivered").await), ("delivered".to_owned(), 2, None));
    assert_eq!(line.sent(0), ["at last"]);
}
