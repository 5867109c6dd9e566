//! Redis goes away, freezes, forgets or is cut off, and replicas die: callers are told in time, nothing
//! that was acknowledged is lost, and all is well again by itself.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::support::client::{Client, Webhook, contents, expect};
use crate::support::eventually_within;
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::relay::{Replica, Setup};
use crate::support::socket::Socket;
use crate::support::traffic::{
    Listener, RECOVERED_WITHIN, REFUSED_WITHIN, Traffic, assert_has_all, assert_in_order, assert_refused,
};

/// What is left of the time in which everything must be well again.
fn left(back: Instant) -> Duration {
    RECOVERED_WITHIN.saturating_sub(back.elapsed())
}

/// Posts until it is accepted, which must be in time.
async fn is_accepted_again(webhook: &Webhook, replica: &Replica, text: &str, back: Instant) {
    eventually_within(left(back), &format!("{text:?} is accepted"), || async {
        (webhook.post(replica, text).await.ok()?.status() == 200).then_some(())
    })
    .await;
}

async fn is_ready_again(replica: &Replica, back: Instant) {
    eventually_within(left(back), "the replica is ready", || async { replica.is_ready().await.then_some(()) }).await;
    let health = replica.health().await;
    assert_eq!((&health["status"], &health["kv"]), (&json!("ok"), &json!(true)));
}

/// Everything that needs the store is refused in time; health says so and nothing else.
async fn all_is_refused(replica: &Replica, client: &Client, webhook: &Webhook, socket: &mut Socket) {
    let began = Instant::now();
    let reply = json!({"channelId": webhook.id, "content": "too bad"});
    let register = reqwest::Client::new().post(format!("{}/auth/register", replica.url())).send();
    let responses = reqwest::get(format!("{}/responses/{}", replica.url(), webhook.id));
    let upgrade = format!("{}/ws?token={}", replica.ws_url(), client.api_key);
    let answers = async {
        tokio::join!(
            async { assert_refused(client.get(replica, "/messages?wait=5").await, began).await },
            async { assert_refused(client.post(replica, "/reply", &reply).await, began).await },
            async { assert_refused(client.get(replica, "/channels").await, began).await },
            async { assert_refused(client.post(replica, "/channels", &json!({})).await, began).await },
            async { assert_refused(register.await.unwrap(), began).await },
            async { assert_refused(responses.await.unwrap(), began).await },
            async {
                let refusal = Socket::try_open(&upgrade).await.err();
                assert_eq!(refusal.map(|(status, _)| status), Some(503));
                assert!(began.elapsed() < REFUSED_WITHIN, "an upgrade after {:?}", began.elapsed());
            },
        )
    };
    let on_the_socket = async {
        let frame = json!({"type": "reply", "channelId": webhook.id, "content": "too bad", "requestId": 1});
        socket.send(&frame).await;
        let error = socket.expect("error").await;
        assert!(began.elapsed() < REFUSED_WITHIN, "an error frame after {:?}", began.elapsed());
        assert_eq!(error["requestId"], 1);
        assert!(error["code"].is_string(), "{error}");
    };
    tokio::join!(answers, on_the_socket);
    eventually_within(REFUSED_WITHIN, "health is degraded", || async {
        let health = replica.health().await;
        (health["status"] == "degraded" && health["kv"] == false).then_some(())
    })
    .await;
    assert!(!replica.is_ready().await);
    assert_eq!(reqwest::get(format!("{}/health/live", replica.url())).await.unwrap().status(), 200);
}

/// The whole story of an outage under traffic.
async fn outage(go_away: impl FnOnce(&mut RedisServer), come_back: impl FnOnce(&mut RedisServer)) {
    let mut server = RedisServer::durable();
    let [a, b] = Setup::on_server(&server).start_many().await;
    let (alice, bob) = (Client::register_signed(&a).await, Client::register(&b).await);
    let (to_alice, to_bob) = (alice.make_webhook(&a, json!({})).await, bob.make_webhook(&b, json!({})).await);
    let listeners = [
        (Listener::on(alice.open(&a, "").await), &to_alice),
        (Listener::on(alice.open(&b, "").await), &to_alice),
        (Listener::on(bob.open(&a, "").await), &to_bob),
    ];
    // Carol has no socket yet; dave only replies on his.
    let (carol, dave) = (Client::register_signed(&a).await, Client::register(&b).await);
    let (to_carol, to_dave) = (carol.make_webhook(&a, json!({})).await, dave.make_webhook(&b, json!({})).await);
    let mut socket = dave.open(&a, "").await;
    let traffic = [Traffic::start(&to_alice, &[&a, &b]), Traffic::start(&to_bob, &[&b, &a])];
    for traffic in &traffic {
        traffic.acknowledged_more(10).await;
    }
    let reply = carol.reply(&a, &to_carol.id, "kept").await;

    go_away(&mut server);
    for traffic in &traffic {
        traffic.refused_more(1).await;
    }
    all_is_refused(&a, &carol, &to_carol, &mut socket).await;

    come_back(&mut server);
    let back = Instant::now();
    for (replica, name) in [(&a, "after, by a"), (&b, "after, by b")] {
        is_accepted_again(&to_alice, replica, name, back).await;
        is_accepted_again(&to_bob, replica, name, back).await;
        for (listener, _) in &listeners {
            listener.hears(left(back), name).await;
        }
        is_ready_again(replica, back).await;
    }
    socket.send(&json!({"type": "reply", "channelId": to_dave.id, "content": "well again"})).await;
    socket.expect("reply_ack").await;

    let status = carol.get(&b, &format!("/replies/{reply}")).await;
    assert_eq!(expect(status, 200).await["status"], "stored");
    for (traffic, (client, webhook)) in traffic.into_iter().zip([(&alice, &to_alice), (&bob, &to_bob)]) {
        traffic.acknowledged_more(10).await;
        let (acknowledged, unanswered) = traffic.stop().await;
        assert_eq!(unanswered, 0, "posts had no answer");
        let messages = client.poll_all(&b).await;
        assert_in_order(&messages);
        assert_has_all(&messages, &acknowledged);
        for (listener, _) in listeners.iter().filter(|(_, of)| of.id == webhook.id) {
            listener.heard_all(&acknowledged).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_under_traffic_loses_nothing_acknowledged_and_all_recovers_by_itself() {
    outage(RedisServer::kill, RedisServer::restart).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_frozen_under_traffic_loses_nothing_acknowledged_and_all_recovers_by_itself() {
    outage(|server| server.pause(), |server| server.resume()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_idle_during_an_outage_refuses_nothing_once_it_is_ready() {
    let mut server = RedisServer::durable();
    let replica = Setup::on_server(&server).start().await;
    let client = Client::register(&replica).await;
    // Enough at once, each on a connection of its own, that no worker of the replica is left out.
    let polls = async || {
        let request = || {
            let http = reqwest::Client::new().get(format!("{}/messages", replica.url()));
            http.bearer_auth(&client.api_key).send()
        };
        let answers = join_all((0..16).map(|_| request())).await;
        answers.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect::<Vec<_>>()
    };
    assert_eq!(polls().await, [200; 16]);
    server.kill();
    let not_ready = || async { (!replica.is_ready().await).then_some(()) };
    eventually_within(REFUSED_WITHIN, "the replica says that it is not ready", not_ready).await;
    server.restart();
    is_ready_again(&replica, Instant::now()).await;
    assert_eq!(polls().await, [200; 16]);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_connections_and_subscriptions_that_redis_drops_are_made_again() {
    let server = RedisServer::start();
    let [a, b] = Setup::on_server(&server).start_many().await;
    let client = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let listener = Listener::on(client.open(&b, "").await);
    let idle = Client::register(&a).await;
    let to_idle = idle.make_webhook(&a, json!({})).await;
    let to_idle_listener = Listener::on(idle.open(&b, "").await);
    let mut expected = Vec::new();
    for (n, command) in [
        &["SCRIPT", "FLUSH"][..],
        &["CLIENT", "KILL", "TYPE", "pubsub"],
        &["CLIENT", "KILL", "TYPE", "normal"],
        &["CLIENT", "KILL", "TYPE", "pubsub"],
        &["SCRIPT", "FLUSH"],
    ]
    .iter()
    .enumerate()
    {
        server.cli(command);
        let gone = Instant::now();
        let text = format!("{n}, after {}", command.join(" "));
        is_accepted_again(&webhook, &a, &text, gone).await;
        listener.hears(left(gone), &text).await;
        expected.push(text);
    }
    // Live, too, for one whom nothing was sent meanwhile.
    let posted = Instant::now();
    to_idle.deliver(&a, "hello?").await;
    to_idle_listener.hears(left(posted), "hello?").await;
    listener.heard_all(&expected).await;
    assert_eq!(contents(&listener.heard()), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_redis_lost_everything_clients_register_again_and_get_their_channels_back() {
    let mut server = RedisServer::start();
    let setup = Setup::on_server(&server);
    let [a, b] = setup.start_many().await;
    let before = Client::register_signed(&a).await;
    let webhook = before.make_webhook(&a, json!({})).await;
    webhook.deliver(&b, "lost with Redis").await;
    server.kill();
    server.restart();
    let back = Instant::now();
    is_ready_again(&a, back).await;
    is_ready_again(&b, back).await;
    let refused = before.get(&b, "/messages").await;
    assert_eq!(expect(refused, 401).await["code"], "unknown_token");

    let after = Client::register_with(&b, before.key).await;
    assert_eq!(after.user_id, before.user_id);
    let settings = json!({"id": webhook.id, "metadata": {"webhookSecret": webhook.secret}});
    let again = after.make_webhook(&a, settings).await;
    assert_eq!((&again.id, &again.secret), (&webhook.id, &webhook.secret));
    let mut socket = after.open(&b, "").await;
    webhook.deliver(&a, "to the same URL").await;
    assert_eq!(socket.content().await, "to the same URL");

    // A replica that starts now and those that ran on are still one deployment.
    let c = setup.start().await;
    let server_key = async |replica: &Replica| {
        let answer = reqwest::Client::new().post(format!("{}/auth/register", replica.url())).send().await.unwrap();
        expect(answer, 200).await["serverPublicKey"].clone()
    };
    assert_eq!(server_key(&a).await, server_key(&c).await);
    assert_eq!(server_key(&b).await, server_key(&c).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_starts_without_redis_says_so_and_comes_up_by_itself() {
    let mut server = RedisServer::start();
    server.kill();
    let replica = Setup::on_server(&server).start_unready();
    assert!(!replica.is_ready().await);
    let answer = reqwest::get(format!("{}/health", replica.url())).await.unwrap();
    let health = expect(answer, 200).await;
    assert_eq!((&health["status"], &health["kv"]), (&json!("degraded"), &json!(false)));
    assert!(replica.log().contains("cannot be reached"), "{}", replica.log());
    let began = Instant::now();
    let register = || reqwest::Client::new().post(format!("{}/auth/register", replica.url())).send();
    assert_refused(register().await.unwrap(), began).await;

    server.restart();
    let back = Instant::now();
    is_ready_again(&replica, back).await;
    let client = Client::register_signed(&replica).await;
    let webhook = client.make_webhook(&replica, json!({})).await;
    let mut socket = client.open(&replica, "").await;
    webhook.deliver(&replica, "all is well").await;
    assert_eq!(socket.content().await, "all is well");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_a_killed_replica_acknowledged_is_readable_elsewhere() {
    let [mut a, b] = Setup::on_redis().start_many().await;
    let client = Client::register_signed(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let listener = Listener::on(client.open(&b, "").await);
    let doomed: Vec<_> = (0..8).map(|_| Traffic::start(&webhook, &[&a])).collect();
    doomed[0].acknowledged_more(10).await;
    a.kill();
    let mut acknowledged = Vec::new();
    let mut broken = 0;
    for traffic in doomed {
        let (texts, unanswered) = traffic.stop().await;
        acknowledged.extend(texts);
        broken += unanswered;
    }
    assert!(broken > 0, "the replica died under traffic");
    let messages = client.poll_all(&b).await;
    assert_in_order(&messages);
    assert_has_all(&messages, &acknowledged);
    listener.heard_all(&acknowledged).await;
    let path = format!("/channels/{}", webhook.id);
    let answer = client.send(&b, Method::PATCH, &path, &json!({"name": "still mine"})).await;
    expect(answer, 200).await;
}

/// A replica whose way to Redis is broken, and one with a way of its own.
async fn broken_way(break_it: impl FnOnce(&Proxy)) {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let a = Setup::on(&proxy.url(), "chaos:").start().await;
    let b = Setup::on_server(&server).start().await;
    let client = Client::register_signed(&a).await;
    let webhook = client.make_webhook(&b, json!({})).await;
    let listener = Listener::on(client.open(&a, "").await);
    let through_a = Traffic::start(&webhook, &[&a]);
    let through_b = Traffic::start(&webhook, &[&b]);
    through_a.acknowledged_more(5).await;

    break_it(&proxy);
    through_a.refused_more(2).await;
    // The other replica does not care.
    through_b.acknowledged_more(5).await;
    let not_ready = || async { (!a.is_ready().await).then_some(()) };
    eventually_within(REFUSED_WITHIN, "the replica says that it is not ready", not_ready).await;

    proxy.heal();
    let back = Instant::now();
    is_accepted_again(&webhook, &a, "after, by the healed", back).await;
    is_accepted_again(&webhook, &b, "after, by the other", back).await;
    listener.hears(left(back), "after, by the healed").await;
    listener.hears(left(back), "after, by the other").await;
    is_ready_again(&a, back).await;

    through_a.acknowledged_more(5).await;
    let (mut acknowledged, _) = through_a.stop().await;
    acknowledged.extend(through_b.stop().await.0);
    let messages = client.poll_all(&b).await;
    assert_in_order(&messages);
    assert_has_all(&messages, &acknowledged);
    listener.heard_all(&acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_cut_off_from_redis_recovers_by_itself() {
    broken_way(Proxy::cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_connections_went_dead_without_a_word_makes_new_ones() {
    broken_way(Proxy::stall).await;
}
