//! The pulse of a deployment, as its replicas beat it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chaos_relay::store::Store;
use chaos_relay::store::operator::{COUNTERS, Counter, Counts, Direction, Pulse, REPLICA_LIFE_MS};
use chaos_relay::store::redis::{RedisStore, RedisTarget};
use reqwest::Method;
use serde_json::json;

use crate::support::client::{Client, expect};
use crate::support::redis::RedisServer;
use crate::support::relay::{Replica, Setup};
use crate::support::{eventually, eventually_within};

/// How soon news of a replica must be seen: many times what it takes on a machine that is not busy.
const SOON: Duration = Duration::from_secs(5);

/// The store that replicas with this setup share.
pub fn store_of(setup: &Setup) -> Arc<dyn Store> {
    let target = RedisTarget::parse(setup.variable("REDIS_URL").unwrap()).unwrap();
    let prefix = setup.variable("CHAOS_REDIS_PREFIX").unwrap();
    Arc::new(RedisStore::new(target, prefix))
}

/// Waits until the pulse is as it should be.
pub async fn beats(store: &dyn Store, what: &str, is_so: impl Fn(&Pulse) -> bool) -> Pulse {
    eventually_within(SOON, what, || async { Some(store.pulse().await.unwrap()).filter(|pulse| is_so(pulse)) }).await
}

/// Everything that was counted in the last hour.
pub fn counted(pulse: &Pulse) -> Counts {
    let mut sum = Counts::default();
    pulse.minutes.iter().for_each(|minute| sum.add_all(&minute.counts));
    sum
}

async fn name(replica: &Replica) -> String {
    replica.health().await["replica"].as_str().unwrap()[..8].to_owned()
}

/// The sockets of a replica; `None` for one that is not alive.
fn sockets(pulse: &Pulse, name: &str) -> Option<u64> {
    pulse.replicas.iter().find(|status| status.info.id == name).map(|status| status.info.sockets)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_is_shown_with_its_sockets_until_it_ends_or_dies() {
    let setup = Setup::on_redis().with("HOSTNAME", "pod-7").with("CHAOS_DRAIN_SECONDS", "3");
    let store = store_of(&setup);
    let [a, mut b, mut c] = setup.start_many().await;
    let [of_a, of_b, of_c] = [name(&a).await, name(&b).await, name(&c).await];
    let pulse = beats(&*store, "three replicas", |pulse| pulse.replicas.len() == 3).await;
    for status in &pulse.replicas {
        let info = &status.info;
        assert_eq!((info.host.as_str(), info.version.as_str()), ("pod-7", env!("CARGO_PKG_VERSION")));
        assert!(info.uptime > 0 && info.uptime < 60_000 && !info.is_draining && info.sockets == 0, "{info:?}");
    }

    let client = Client::register(&a).await;
    let on_a = [client.open(&a, "").await, client.open(&a, "").await];
    let on_b = client.open(&b, "").await;
    beats(&*store, "the sockets of each", |pulse| {
        [&of_a, &of_b, &of_c].map(|name| sockets(pulse, name)) == [Some(2), Some(1), Some(0)]
    })
    .await;
    on_b.close().await;
    beats(&*store, "a socket less", |pulse| sockets(pulse, &of_b) == Some(0)).await;

    c.signal("TERM");
    beats(&*store, "one drains", |pulse| pulse.replicas.iter().any(|it| it.info.is_draining)).await;
    assert!(c.ended().await);
    assert_eq!(sockets(&store.pulse().await.unwrap(), &of_c), None, "it was struck off when it ended");

    let killed = Instant::now();
    b.kill();
    assert_eq!(sockets(&store.pulse().await.unwrap(), &of_b), Some(0), "nobody knows yet");
    eventually("the dead replica is gone", || async {
        let pulse = store.pulse().await.unwrap();
        sockets(&pulse, &of_b).is_none().then_some(())
    })
    .await;
    let (silent, life) = (killed.elapsed(), Duration::from_millis(REPLICA_LIFE_MS));
    assert!(silent + Duration::from_secs(3) > life && silent < life + SOON, "gone after {silent:?}");
    assert_eq!(sockets(&store.pulse().await.unwrap(), &of_a), Some(2));
    drop(on_a);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_replies_and_refusals_of_all_replicas_are_counted_once() {
    let setup = Setup::on_redis().with("CHAOS_RATE_WEBHOOK", "6/1m").with("CHAOS_RATE_REPLY", "2/1m");
    let store = store_of(&setup);
    let [a, b] = setup.start_many().await;
    let client = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let http = reqwest::Client::new();
    let once = |replica: &Replica| {
        http.post(format!("{}{}", replica.url(), webhook.path())).header("Idempotency-Key", "once").body("one")
    };
    expect(once(&a).send().await.unwrap(), 200).await;
    assert_eq!(expect(once(&b).send().await.unwrap(), 200).await["duplicate"], true);
    webhook.deliver(&b, "two").await;
    // A body of this size is admitted before it is read, which is no second message.
    webhook.deliver(&a, &"x".repeat(65 * 1024)).await;
    let wrong = format!("{}/webhook/{}?token=wrong", a.url(), webhook.id);
    assert_eq!(http.post(wrong).body("x").send().await.unwrap().status(), 401);
    assert_eq!(http.request(Method::GET, format!("{}/messages", b.url())).send().await.unwrap().status(), 401);
    for _ in 0..2 {
        webhook.deliver(&b, "more").await;
    }
    for replica in [&a, &b] {
        assert_eq!(webhook.post(replica, "too much").await.unwrap().status(), 429);
    }
    client.reply(&a, &webhook.id, "by HTTP").await;
    let mut socket = client.open(&b, &format!("&since={}", chaos_relay::domain::timestamp::Timestamp::now())).await;
    let reply = json!({"type": "reply", "channelId": webhook.id, "content": "by socket"});
    socket.send(&reply).await;
    socket.expect("reply_ack").await;
    socket.send(&reply).await;
    assert_eq!(socket.expect("error").await["code"], "rate_limited");

    let expected = |counter| match counter {
        Counter::MessagesIn => 5,
        Counter::RepliesOut | Counter::Unauthorized => 2,
        Counter::RateLimited => 3,
        Counter::Delivered | Counter::Retried | Counter::Failed => 0,
    };
    let is_complete = |pulse: &Pulse| COUNTERS.iter().all(|counter| counted(pulse).get(*counter) >= expected(*counter));
    let pulse = beats(&*store, "the counts", is_complete).await;
    for counter in COUNTERS {
        assert_eq!(counted(&pulse).get(counter), expected(counter), "{counter:?}");
    }

    // What is pointed at is there.
    let ways: Vec<_> = pulse.recent.iter().map(|pointer| pointer.direction).collect();
    assert_eq!(ways, [[Direction::Out; 2].as_slice(), [Direction::In; 5].as_slice()].concat());
    assert!(pulse.recent.iter().all(|it| it.channel.as_str() == webhook.id && it.user.to_string() == client.user_id));
    let messages = client.poll_all(&a).await;
    let responses = expect(http.get(format!("{}/responses/{}", a.url(), webhook.id)).send().await.unwrap(), 200).await;
    let stored = messages.iter().chain(responses["responses"].as_array().unwrap()).rev();
    let instants: Vec<_> = stored.map(|it| it["timestamp"].as_str().unwrap().to_owned()).collect();
    assert_eq!(pulse.recent.iter().map(|pointer| pointer.at.to_string()).collect::<Vec<_>>(), instants);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_while_redis_is_away_is_told_when_it_is_back() {
    let mut server = RedisServer::durable();
    let setup = Setup::on_server(&server);
    let store = store_of(&setup);
    let replica = setup.start().await;
    beats(&*store, "the replica", |pulse| pulse.replicas.len() == 1).await;
    server.kill();
    for _ in 0..3 {
        assert_eq!(reqwest::get(format!("{}/messages", replica.url())).await.unwrap().status(), 401);
    }
    // At least one heartbeat failed by then.
    eventually("the replica notices", || async { (replica.health().await["kv"] == json!(false)).then_some(()) }).await;
    server.restart();
    eventually("the counts come", || async {
        let pulse = store.pulse().await.ok()?;
        (pulse.replicas.len() == 1 && counted(&pulse).get(Counter::Unauthorized) == 3).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_last_is_told_before_a_replica_ends() {
    let setup = Setup::on_redis().with("CHAOS_DRAIN_SECONDS", "1");
    let store = store_of(&setup);
    let mut replica = setup.start().await;
    let client = Client::register(&replica).await;
    let webhook = client.make_webhook(&replica, json!({})).await;
    let mut sent = 0;
    replica.signal("TERM");
    while webhook.post(&replica, "on and on").await.is_ok_and(|answer| answer.status() == 200) {
        sent += 1;
    }
    assert!(replica.ended().await);
    let pulse = store.pulse().await.unwrap();
    assert_eq!(pulse.replicas, []);
    let counted = counted(&pulse).get(Counter::MessagesIn);
    // The last one may have been stored without its sender having heard of that.
    assert!(sent > 0 && (sent..=sent + 1).contains(&counted), "{sent} {counted}");
}
