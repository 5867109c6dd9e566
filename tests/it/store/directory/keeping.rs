//! How Redis keeps the directory beside the records: it heals, forgets, and costs little.

use std::time::{Duration, Instant};

use chaos_relay::domain::ids::{ChannelId, UserId};
use chaos_relay::store::operator::{ListCursor, SessionOrder, SessionQuery};
use chaos_relay::store::redis::{RedisStore, RedisTarget};
use chaos_relay::store::{RENEW_AFTER_MS, SESSION_LIFE_MS, TOUCH_AFTER_MS};
use futures_util::future::join_all;
use serde_json::json;

use super::{everything, list, sessions, users};
use crate::store::{Bench, gate, new_session};
use crate::support::redis::RedisServer;

fn search(text: &str) -> SessionQuery<'_> {
    SessionQuery { search: Some(text), ..everything(SessionOrder::LastSeen, false) }
}

/// Forgets the lists, as if relays that keep none had done all the work so far.
fn forget_lists(bench: &Bench) {
    for list in ["seen", "created", "names"] {
        bench.redis_cli(&["DEL", &format!("{{}}{{directory}}:{list}")]);
    }
}

/// Makes the last recorded use of a session so old.
fn grows_old(bench: &Bench, user: &UserId, age: u64) {
    let now: u64 = bench.redis_cli(&["TIME"]).lines().next().unwrap().parse().unwrap();
    let used = (now * 1000 - age).to_string();
    bench.redis_cli(&["HSET", &format!("{{}}{{{user}}}:session"), "n", &used]);
}

fn life(bench: &Bench, key: &str) -> u64 {
    bench.redis_cli(&["PTTL", key]).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_an_older_relay_is_listed_at_its_next_use() {
    let bench = Bench::redis();
    let (session, channel) = bench.session_with_channel().await;
    let (idle, _) = bench.session_with_channel().await;
    forget_lists(&bench);
    grows_old(&bench, &session.user, TOUCH_AFTER_MS + 1000);
    assert_eq!(list(&bench, &everything(SessionOrder::LastSeen, false)).await.total, 0);
    assert!(bench.store.authorize(&gate(&session)).await.unwrap().unwrap().touch_due);
    assert!(!bench.store.authorize(&gate(&session)).await.unwrap().unwrap().touch_due);
    bench.store.touch_session(&session.user).await.unwrap();
    for order in [SessionOrder::LastSeen, SessionOrder::Created] {
        assert_eq!(users(&list(&bench, &everything(order, false)).await), [session.user]);
    }
    assert_eq!(users(&list(&bench, &search(channel.as_str())).await), [session.user]);
    // So is one that makes a channel.
    let new = ChannelId::random();
    bench.put(&idle.user, &new, json!({"name": "new"})).await;
    for name in ["new", new.as_str(), &idle.user.to_string()] {
        assert_eq!(users(&list(&bench, &search(name)).await), [idle.user], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_is_listed_often_and_everything_renewed_seldom() {
    let bench = Bench::redis();
    let (session, channel) = bench.session_with_channel().await;
    let pointer = format!("{{}}channel:{channel}");
    bench.redis_cli(&["PEXPIRE", &pointer, "60000"]);
    grows_old(&bench, &session.user, TOUCH_AFTER_MS + 1000);
    let before = list(&bench, &everything(SessionOrder::LastSeen, false)).await.sessions.remove(0).last_seen;
    assert!(bench.store.authorize(&gate(&session)).await.unwrap().unwrap().touch_due);
    bench.store.touch_session(&session.user).await.unwrap();
    let shown = list(&bench, &everything(SessionOrder::LastSeen, false)).await.sessions.remove(0).last_seen;
    assert!(shown.millis() >= before.millis() + TOUCH_AFTER_MS);
    let listed = bench.redis_cli(&["ZSCORE", "{}{directory}:seen", &session.user.to_string()]);
    assert_eq!(listed, shown.millis().to_string());
    assert!(life(&bench, &pointer) <= 60_000, "the session has lost nothing of its life yet");

    let left = SESSION_LIFE_MS - RENEW_AFTER_MS - 1;
    bench.redis_cli(&["PEXPIRE", &format!("{{}}{{{}}}:session", session.user), &left.to_string()]);
    bench.store.touch_session(&session.user).await.unwrap();
    for key in [pointer, format!("{{}}{{{}}}:session", session.user), format!("{{}}{{directory}}:of:{}", session.user)]
    {
        assert!(life(&bench, &key) > SESSION_LIFE_MS - 60_000, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_listed_and_not_there_leaves_the_lists_when_it_is_read() {
    let bench = Bench::redis();
    let stays = bench.session().await;
    let (by_use, _) = bench.session_with_channel().await;
    let (by_name, channel) = bench.session_with_channel().await;
    for gone in [&by_use, &by_name] {
        bench.redis_cli(&["DEL", &format!("{{}}{{{}}}:session", gone.user)]);
    }
    assert_eq!(users(&list(&bench, &search(channel.as_str())).await), []);
    assert_eq!(bench.redis_cli(&["ZCARD", "{}{directory}:seen"]), "2");
    let page = list(&bench, &everything(SessionOrder::Created, false)).await;
    assert_eq!(users(&page), [stays.user]);
    let page = list(&bench, &everything(SessionOrder::LastSeen, false)).await;
    assert_eq!((users(&page), page.total), (vec![stays.user], 1));
    for set in ["seen", "created", "names"] {
        assert_eq!(bench.redis_cli(&["ZCARD", &format!("{{}}{{directory}}:{set}")]), "1", "{set}");
    }
    for gone in [&by_use, &by_name] {
        assert_eq!(bench.redis_cli(&["EXISTS", &format!("{{}}{{directory}}:of:{}", gone.user)]), "0");
    }
    // A name that its session has no more.
    let odd = format!("former\\000{}", stays.user);
    let add = format!("redis.call('ZADD', KEYS[1], 0, '{odd}') return 1");
    bench.redis_cli(&["EVAL", &add, "1", "{}{directory}:names"]);
    assert_eq!(bench.redis_cli(&["ZCARD", "{}{directory}:names"]), "2");
    assert_eq!(users(&list(&bench, &search("former")).await), []);
    assert_eq!(bench.redis_cli(&["ZCARD", "{}{directory}:names"]), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_went_unused_for_too_long_leave_the_lists_bit_by_bit() {
    let bench = Bench::redis();
    let mut made = Vec::new();
    for _ in 0..6 {
        made.push(bench.session_with_channel().await.0);
    }
    for lapsed in made {
        bench.redis_cli(&["DEL", &format!("{{}}{{{}}}:session", lapsed.user)]);
        bench.redis_cli(&["ZADD", "{}{directory}:seen", "1000", &lapsed.user.to_string()]);
    }
    // Names of which nobody knows whose they are.
    let strays = "for n = 1, 20 do redis.call('ZADD', KEYS[1], 0, n .. '\\0' .. string.rep('x', 36)) end return 1";
    bench.redis_cli(&["EVAL", strays, "1", "{}{directory}:names"]);
    assert_eq!(bench.redis_cli(&["ZCARD", "{}{directory}:names"]), "32");
    let first = bench.session().await;
    assert_eq!(bench.redis_cli(&["ZCARD", "{}{directory}:seen"]), "3", "four went");
    let second = bench.session().await;
    assert_eq!(bench.redis_cli(&["ZCARD", "{}{directory}:seen"]), "2");
    assert_eq!(bench.redis_cli(&["ZCARD", "{}{directory}:created"]), "2");
    let mut left = users(&list(&bench, &everything(SessionOrder::Created, true)).await);
    left.sort();
    let mut expected = [first.user, second.user];
    expected.sort();
    assert_eq!(left, expected);
    crate::support::eventually("the strays are found by chance", || async {
        bench.store.create_session(&new_session(&first.user)).await.unwrap();
        (bench.redis_cli(&["ZCARD", "{}{directory}:names"]) == "2").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_session_leaves_no_content_behind() {
    let bench = Bench::redis();
    let (session, id) = bench.session_with_channel().await;
    let bot = crate::store::bot::Bot::of(&bench.store, &session).await;
    bench.append(&session.user, &id, "said").await;
    bot.hears("a").await;
    let [arrived, failed, waits] =
        [bot.replies("a", "one").await, bot.replies("a", "two").await, bot.replies("a", "three").await];
    bot.delivers(&bot.takes().await).await;
    assert!(bot.settle(&bot.takes().await, crate::store::bot::failed("x")).await);
    let name = bot.channel().connection.unwrap().identity();
    let holder = chaos_relay::store::Holder { user: session.user, channel: bot.id.clone() };
    bench.store.hold_identity(&name, &holder, true).await.unwrap();
    assert!(bench.store.delete_session(&session.user).await.unwrap());
    for reply in [arrived, failed, waits] {
        assert_eq!(bench.redis_cli(&["EXISTS", &format!("{{}}{{{}}}:reply:{reply}", session.user)]), "0");
    }
    assert_eq!(bench.store.identity_holder(&name).await.unwrap(), None);
    let left = bench.redis_cli(&["--scan", "--pattern", &format!("{{}}*{}*", session.user)]);
    let left: Vec<_> = left.lines().filter(|key| !key.contains(":origin:")).collect();
    assert_eq!(left, [] as [&str; 0], "only where messages came from, for two days");
}

/// Calls of scripts that this server has run.
fn calls(server: &RedisServer) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let calls = |line: &str| line.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap();
    stats.lines().filter(|line| line.starts_with("cmdstat_eval")).map(calls).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_ten_thousand_sessions_costs_as_many_calls_as_it_has_entries() {
    const SESSIONS: usize = 10_000;
    const PAGE: usize = 50;
    let server = RedisServer::start();
    let target = RedisTarget::parse(&server.url()).unwrap();
    let bench = Bench::make(None, std::sync::Arc::new(RedisStore::new(target, "many:")));
    let mut made = Vec::new();
    for _ in 0..SESSIONS / 500 {
        made.extend(sessions(&bench, 500).await);
    }
    let some = &made[SESSIONS / 2];
    let middle = ListCursor { at: some.created.millis(), entry: some.user.to_string() };
    for (order, oldest_first) in [(SessionOrder::LastSeen, false), (SessionOrder::Created, true)] {
        let (set, rank) = if oldest_first { ("created", "ZRANK") } else { ("seen", "ZREVRANK") };
        let rank = server.cli(&[rank, &format!("many:{{directory}}:{set}"), &middle.entry]).parse::<u64>().unwrap();
        for (after, skipped) in [(None, 0), (Some(&middle), rank + 1)] {
            let query = SessionQuery { count: PAGE, after, ..everything(order, oldest_first) };
            // The server learns the scripts with their first calls.
            list(&bench, &query).await;
            let (before, began) = (calls(&server), Instant::now());
            let page = list(&bench, &query).await;
            assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
            assert_eq!(calls(&server) - before, PAGE as u64 + 1);
            assert_eq!((page.sessions.len(), page.total, page.skipped), (PAGE, SESSIONS as u64, skipped));
            assert!(page.next.is_some());
        }
    }
    let one = bench.session().await;
    list(&bench, &search("nobody")).await;
    let before = calls(&server);
    assert_eq!(users(&list(&bench, &search(&one.user.to_string())).await), [one.user]);
    assert_eq!(calls(&server) - before, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_that_write_at_once_leave_one_truth() {
    let bench = Bench::redis();
    let (session, id) = bench.session_with_channel().await;
    let work = (0..20).map(|n| {
        let (store, user, id) = (bench.store.for_worker(), session.user, id.clone());
        async move {
            let record = crate::store::channel_record(&id, json!({"name": format!("name {n}")}));
            store.put_channel(&user, &record).await.unwrap();
            store.touch_session(&user).await.unwrap();
        }
    });
    join_all(work).await;
    // Whatever the order in which they came, the next renewal lists what is there.
    bench.redis_cli(&["PEXPIRE", &format!("{{}}{{{}}}:session", session.user), "60000"]);
    bench.store.touch_session(&session.user).await.unwrap();
    let record = bench.store.read_channel(&session.user, &id).await.unwrap().unwrap();
    assert_eq!(users(&list(&bench, &search(&record.channel.name.unwrap())).await), [session.user]);
    assert_eq!(bench.redis_cli(&["ZCARD", "{}{directory}:names"]), "3", "the user, the channel's id, its name");
}
