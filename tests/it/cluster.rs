//! The relay on a Redis Cluster: users are spread over three masters, and nobody notices.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::ids::UserId;
use chaos_relay::store::operator::{
    DeliveryQuery, DeliveryState, HistoryQuery, RedriveOutcome, SessionOrder, SessionQuery,
};
use chaos_relay::store::redis::{RedisStore, RedisTarget};
use chaos_relay::store::{Holder, ReplyOutcome, Store, Taken, Wake};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::store::bot::{Bot, LONG, delivered, failed};
use crate::support::client::{Client, Webhook, contents, expect};
use crate::support::cluster::RedisCluster;
use crate::support::relay::{Replica, Setup};
use crate::support::socket::Socket;
use crate::support::traffic::{Listener, RECOVERED_WITHIN, Traffic, assert_has_all, assert_in_order};
use crate::support::{eventually, eventually_within};

/// Enough that no master is left without users by chance.
const USERS: usize = 24;
/// Far below the ticks that back up a lost wake.
const AT_ONCE: Duration = Duration::from_secs(3);

async fn start() -> (RedisCluster, [Replica; 3]) {
    let cluster = RedisCluster::start().await;
    let replicas = Setup::on(&cluster.url(), "chaos:").start_many().await;
    (cluster, replicas)
}

/// Users with a webhook and an open socket each, on all three masters.
async fn users(cluster: &RedisCluster, replicas: &[Replica]) -> Vec<(Client, Webhook, Socket)> {
    let users = join_all((0..USERS).map(|n| async move {
        let [first, second, third] = [0, 1, 2].map(|step| &replicas[(n + step) % replicas.len()]);
        let client = Client::register_signed(first).await;
        let webhook = client.make_webhook(second, json!({"name": format!("user {n}")})).await;
        let socket = client.open(third, "").await;
        (client, webhook, socket)
    }))
    .await;
    let mut held: HashMap<u16, usize> = HashMap::new();
    for (client, ..) in &users {
        *held.entry(cluster.node_of(&client.user_id).port()).or_default() += 1;
    }
    assert_eq!(held.len(), 3, "every master holds users: {held:?}");
    users
}

/// Everyone is sent something, and it arrives at once.
async fn all_hear(users: &mut [(Client, Webhook, Socket)], replica: &Replica, text: &str) {
    let posted = Instant::now();
    join_all(users.iter().map(|(_, webhook, _)| webhook.deliver(replica, text))).await;
    for (_, _, socket) in users {
        assert_eq!(socket.content().await, text);
    }
    assert!(posted.elapsed() < AT_ONCE, "woken only by the clock: {:?}", posted.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_of_many_users_touch_every_replica_and_every_master() {
    let (cluster, replicas) = start().await;
    let mut users = users(&cluster, &replicas).await;
    for node in cluster.nodes() {
        assert!(node.cli(&["DBSIZE"]).parse::<u32>().unwrap() > 0);
    }
    all_hear(&mut users, &replicas[0], "from a").await;
    all_hear(&mut users, &replicas[1], "from b").await;
    for (n, (client, webhook, socket)) in users.iter_mut().enumerate() {
        let [first, second] = [n, n + 1].map(|n| &replicas[n % 3]);
        let frame = json!({"type": "reply", "channelId": webhook.id, "content": "heard", "requestId": n});
        socket.send(&frame).await;
        let ack = socket.expect("reply_ack").await;
        assert_eq!(ack["requestId"], n);
        client.reply(first, &webhook.id, "heard again").await;
        let responses = reqwest::get(format!("{}/responses/{}", second.url(), webhook.id)).await.unwrap();
        let responses = expect(responses, 200).await["responses"].as_array().unwrap().clone();
        assert_eq!(contents(&responses), ["heard", "heard again"]);
        let messages = client.poll_all(second).await;
        assert_eq!(contents(&messages), ["from a", "from b"]);
        assert!(messages.iter().all(|message| message["userId"] == json!(client.user_id)));
        let channels = expect(client.get(first, "/channels").await, 200).await;
        assert_eq!(channels["channels"].as_array().unwrap().len(), 1);
        let path = format!("/channels/{}", webhook.id);
        expect(client.send(second, reqwest::Method::DELETE, &path, &json!({})).await, 200).await;
        let answer = webhook.post(first, "too late").await.unwrap();
        assert_eq!(answer.status(), 404);
        socket.nothing_more().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_live_with_its_user_works_across_masters_and_replicas() {
    let cluster = RedisCluster::start().await;
    let setup = Setup::on(&cluster.url(), "chaos:").with("CHAOS_RATE_WEBHOOK", "20/1h");
    let [a, b, c]: [Replica; 3] = setup.start_many().await;
    let clients = join_all((0..USERS).map(|_| Client::register_signed(&a))).await;
    for client in clients {
        // The same key gives the same session back, wherever its records are.
        let again = Client::register_with(&b, client.key).await;
        assert_eq!((&again.user_id, &again.api_key), (&client.user_id, &client.api_key));

        // An id has one owner, though its pointer lives elsewhere than either of them.
        let settings =
            json!({"id": format!("of-{}", again.user_id), "metadata": {"webhookSecret": "0123456789abcdef"}});
        let webhook = again.make_webhook(&c, settings.clone()).await;
        let thief = Client::register(&a).await;
        let refusal = thief.post(&b, "/channels", &settings).await;
        expect(refusal, 409).await;
        again.make_webhook(&a, settings).await;
        webhook.deliver(&b, "to its owner").await;
        assert_eq!(contents(&again.poll_all(&c).await), ["to its owner"]);
        assert_eq!(thief.poll_all(&c).await, [] as [Value; 0]);
    }
    // A limit is one for the deployment.
    let client = Client::register(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let replicas = [&a, &b, &c];
    let posts = join_all((0..30).map(|n| webhook.post(replicas[n % 3], "x"))).await;
    let accepted = posts.iter().filter(|answer| answer.as_ref().unwrap().status() == 200).count();
    let limited = posts.iter().filter(|answer| answer.as_ref().unwrap().status() == 429).count();
    assert_eq!((accepted, limited), (20, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_one_master_drops_are_made_again() {
    let (cluster, replicas) = start().await;
    let mut users = users(&cluster, &replicas).await;
    for (n, node) in cluster.nodes().iter().enumerate() {
        for kind in ["pubsub", "normal"] {
            node.cli(&["CLIENT", "KILL", "TYPE", kind]);
            let gone = Instant::now();
            let text = format!("after {kind} connections of master {n} were killed");
            for (_, webhook, socket) in &mut users {
                let left = RECOVERED_WITHIN.saturating_sub(gone.elapsed());
                eventually_within(left, "the post is accepted", || async {
                    (webhook.post(&replicas[n], &text).await.unwrap().status() == 200).then_some(())
                })
                .await;
                assert_eq!(socket.content().await, text);
                assert!(gone.elapsed() < RECOVERED_WITHIN, "{text}: only after {:?}", gone.elapsed());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_moves_to_another_master_takes_its_users_along() {
    let (cluster, [a, b, _c]) = start().await;
    let client = Client::register_signed(&a).await;
    let webhook = client.make_webhook(&a, json!({})).await;
    let listener = Listener::on(client.open(&b, "").await);
    let from = cluster.node_of(&client.user_id);
    let to = cluster.nodes().iter().find(|node| node.port() != from.port()).unwrap();
    let traffic = Traffic::start(&webhook, &[&a, &b]);
    traffic.acknowledged_more(5).await;
    cluster.move_slot(cluster.slot_of(&client.user_id), from, to).await;
    let moved = Instant::now();
    let left = || RECOVERED_WITHIN.saturating_sub(moved.elapsed());
    assert_eq!(cluster.node_of(&client.user_id).port(), to.port());
    for replica in [&a, &b] {
        let text = format!("after the move, by {}", replica.port());
        eventually_within(left(), "the post is accepted", || async {
            (webhook.post(replica, &text).await.unwrap().status() == 200).then_some(())
        })
        .await;
        listener.hears(left(), &text).await;
    }
    traffic.acknowledged_more(5).await;
    let (acknowledged, unanswered) = traffic.stop().await;
    assert_eq!(unanswered, 0);
    let messages = client.poll_all(&a).await;
    assert_in_order(&messages);
    assert_has_all(&messages, &acknowledged);
    listener.heard_all(&acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_are_delivered_wherever_their_users_are_kept() {
    let cluster = RedisCluster::start().await;
    let target = RedisTarget::parse(&cluster.url()).unwrap();
    let frames = Arc::new(Mutex::new(HashMap::new()));
    let heard = frames.clone();
    let sink = move |user: &UserId, wake| {
        if let Wake::Delivery(frame) = Arc::unwrap_or_clone(wake) {
            heard.lock().unwrap().insert(*user, frame);
        }
    };
    let store: Arc<dyn Store> = Arc::new(RedisStore::new(target, "chaos:"));
    let watcher = store.watcher(Arc::new(sink));
    let bots = join_all((0..USERS).map(|_| Bot::new(&store))).await;
    let masters: HashSet<_> = bots.iter().map(|bot| cluster.node_of(&bot.session.user.to_string()).port()).collect();
    assert_eq!(masters.len(), 3, "every master holds users");
    let mut replies = HashMap::new();
    for bot in &bots {
        watcher.watch(&bot.session.user).await.unwrap();
        bot.is_asked("a").await;
        let (id, outcome) = bot.reply_with("x", |_| {}).await;
        assert!(matches!(outcome, ReplyOutcome::Stored(_)), "{outcome:?}");
        replies.insert(bot.session.user, id);
    }
    // The list of what is due is one for all of them.
    let due = store.claim_due(ChannelKind::Telegram, LONG, 2 * USERS).await.unwrap();
    assert_eq!(due.len(), USERS);
    for due in &due {
        let Taken::Delivery(taken) = store.take_delivery(due, LONG).await.unwrap() else { panic!("it is due") };
        assert_eq!((taken.response, taken.completes_question), (replies[&due.user], true));
        let frame = taken.response.to_string();
        assert!(store.settle_delivery(&taken, &delivered(0), Some(&frame)).await.unwrap());
        assert!(!store.settle_delivery(&taken, &failed("x"), None).await.unwrap());
        assert_eq!(store.take_delivery(due, LONG).await.unwrap(), Taken::Nothing);
        store.release_due(due, None).await.unwrap();
    }
    assert_eq!(store.claim_due(ChannelKind::Telegram, LONG, 1).await.unwrap(), []);
    eventually("every user hears of it", || async {
        let frames = frames.lock().unwrap();
        replies.iter().all(|(user, id)| frames.get(user) == Some(&id.to_string())).then_some(())
    })
    .await;
    // A bot's name lives elsewhere than its channel, and a failure is listed elsewhere than its reply.
    for bot in &bots {
        bot.has_status(&replies[&bot.session.user], "delivered", 1, None).await;
        let holder = Holder { user: bot.session.user, channel: bot.id.clone() };
        let name = format!("telegram:{}", bot.id);
        assert_eq!(store.hold_identity(&name, &holder, false).await.unwrap(), None);
        assert_eq!(store.identity_holder(&name).await.unwrap(), Some(holder));
        let lost = bot.replies("a", "y").await;
        assert!(bot.settle(&bot.takes().await, failed("bot was blocked")).await);
        bot.has_status(&lost, "failed", 1, Some("bot was blocked")).await;
        assert_eq!(store.find_delivery(&lost).await.unwrap().unwrap().user, bot.session.user);
        assert_eq!(bot.redrives(&lost).await, RedriveOutcome::Redriven);
        let again = bot.takes().await;
        assert_eq!((again.response, again.earlier_attempts), (lost, 1));
        assert!(bot.settle(&again, failed("bot was blocked")).await);
        bot.replies("a", "z").await;
        bot.is_deleted().await;
        assert_eq!(bot.take(LONG).await, Taken::Nothing);
    }
    let counts = store.delivery_counts(ChannelKind::Telegram).await.unwrap();
    assert_eq!((counts.pending, counts.retrying, counts.failed), (0, 0, USERS as u64));
    let query =
        DeliveryQuery { state: DeliveryState::Failed, kind: ChannelKind::Telegram, after: None, count: 2 * USERS };
    assert_eq!(store.deliveries(&query).await.unwrap().entries, [], "their channels are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_found_wherever_they_are_kept() {
    let cluster = RedisCluster::start().await;
    let target = RedisTarget::parse(&cluster.url()).unwrap();
    let store: Arc<dyn Store> = Arc::new(RedisStore::new(target, "chaos:"));
    let bots = join_all((0..USERS).map(|_| Bot::new(&store))).await;
    let masters: HashSet<_> = bots.iter().map(|bot| cluster.node_of(&bot.session.user.to_string()).port()).collect();
    assert_eq!(masters.len(), 3, "every master holds users");
    let query =
        |search| SessionQuery { order: SessionOrder::LastSeen, oldest_first: true, search, after: None, count: 7 };
    for search in [None, Some("@A_BOT")] {
        let (mut seen, mut after) = (HashSet::new(), None);
        loop {
            let page = store.list_sessions(&SessionQuery { after: after.as_ref(), ..query(search) }).await.unwrap();
            assert_eq!(page.total, USERS as u64);
            assert!(page.sessions.iter().all(|session| seen.insert(session.user) && session.channels.len() == 1));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), USERS);
    }
    for bot in &bots {
        let user = bot.session.user;
        bot.hears("a").await;
        let reply = bot.replies("a", "x").await;
        let all = HistoryQuery { before: None, direction: None, channel: None, count: 10 };
        assert_eq!(store.history(&user, &all).await.unwrap().unwrap().entries.len(), 2);
        assert_eq!(store.reply_states(&user, &[reply]).await.unwrap()[0].as_ref().unwrap().status, "pending");
        assert_eq!(store.disconnect(&user).await.unwrap(), 0);
        store.touch_session(&user).await.unwrap();
        assert!(store.delete_session(&user).await.unwrap());
    }
    let page = store.list_sessions(&query(None)).await.unwrap();
    assert_eq!((page.sessions, page.total), (vec![], 0));
}
