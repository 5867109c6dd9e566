//! Looking at the store's own keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use chaos_relay::domain::conversation::{ConversationKey, Origin};
use chaos_relay::domain::digest::Digest;
use chaos_relay::domain::ids::{ChannelId, SocketId, UserId};
use chaos_relay::domain::limit::Limit;
use chaos_relay::domain::sealing::{KeyRing, Owner};
use chaos_relay::domain::signing::Nonce;
use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::store::operator::{
    Beat, Counts, Direction, KeyField, KeyInfo, KeyView, NewAuditEntry, RecentPointer, ReplicaInfo,
};
use chaos_relay::store::redis::{RedisStore, RedisTarget};
use chaos_relay::store::{Gate, Holder, LimitUse, NewSession, SessionRecord, Since, SocketLease, Store};
use futures_util::future::join_all;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::bot::Bot;
use super::{AMPLE, Bench, gate, new_session, on_both_stores};
use crate::support::cluster::RedisCluster;
use crate::support::redis::RedisServer;

on_both_stores! {
    every_kind_is_named_and_described_once,
    following_next_shows_every_key_of_a_kind,
    what_is_unknown_is_told_from_what_is_empty,
    a_key_shows_the_first_parts_of_its_value,
    a_long_value_is_shown_in_part_with_its_length,
    no_secret_is_in_anything_that_is_shown,
}

/// More pages than any kind of a test has.
const PAGES: usize = 2_000;

/// Every key of a kind, page by page.
async fn all(store: &dyn Store, kind: &str) -> Vec<KeyInfo> {
    let (mut found, mut from) = (Vec::new(), None);
    for _ in 0..PAGES {
        let page = store.keys(kind, from.as_deref()).await.unwrap().expect("a kind and a place that were given");
        assert!(page.keys.len() <= 250, "{} keys of {kind} at once", page.keys.len());
        found.extend(page.keys);
        from = page.next;
        if from.is_none() {
            return found;
        }
    }
    panic!("the pages of {kind} do not end");
}

async fn open(store: &dyn Store, info: &KeyInfo) -> KeyView {
    store.key(&info.id).await.unwrap().unwrap_or_else(|| panic!("{info:?} cannot be opened"))
}

/// The one key of a kind whose shown form holds this.
async fn find(bench: &Bench, kind: &str, part: &str) -> KeyView {
    let found: Vec<_> = all(&*bench.store, kind).await.into_iter().filter(|info| info.shown.contains(part)).collect();
    assert_eq!(found.len(), 1, "{kind} {part}: {found:?}");
    let view = open(&*bench.store, &found[0]).await;
    assert_eq!((view.kind, &view.info.shown), (kind, &found[0].shown));
    view
}

fn values(view: &KeyView) -> Vec<&str> {
    view.fields.iter().map(|field| field.value.as_str()).collect()
}

fn field<'a>(view: &'a KeyView, name: &str) -> &'a KeyField {
    view.fields.iter().find(|field| field.name == name).unwrap_or_else(|| panic!("{name} in {view:?}"))
}

async fn every_kind_is_named_and_described_once(bench: Bench) {
    let kinds = bench.store.key_kinds().await.unwrap();
    let names: BTreeSet<_> = kinds.kinds.iter().map(|kind| kind.name).collect();
    assert_eq!(names.len(), kinds.kinds.len());
    assert!(kinds.kinds.iter().all(|kind| !(kind.pattern.is_empty() || kind.what.is_empty() || kind.life.is_empty())));
    assert!(["session", "channel", "apikey", "nonce", "reply"].iter().all(|name| names.contains(name)));
    assert!(kinds.bytes.unwrap() > 1000 && kinds.sampled <= kinds.total);
}

async fn following_next_shows_every_key_of_a_kind(bench: Bench) {
    let mut nonces = 0;
    let mut users = BTreeSet::new();
    for n in 0..130 {
        let session = bench.session().await;
        users.insert(session.user.to_string());
        bench.put(&session.user, &ChannelId::random(), json!({})).await;
        // Many of one session, none of most.
        let many = [0, 250, 3].get(n).copied().unwrap_or(0);
        join_all((0..many).map(|n| use_nonce(&bench, &session, format!("nonce{n}")))).await;
        nonces += many;
    }
    for kind in ["session", "channel", "channel-owner", "apikey"] {
        let keys = all(&*bench.store, kind).await;
        let shown: BTreeSet<_> = keys.iter().map(|info| &info.shown).collect();
        assert_eq!((shown.len(), keys.len()), (users.len(), users.len()), "{kind}");
    }
    assert_eq!(all(&*bench.store, "nonce").await.len(), nonces);
    let sessions = all(&*bench.store, "session").await;
    assert!(users.iter().all(|user| sessions.iter().any(|info| info.shown.contains(user))));
    // Whose an API key is.
    let owners = join_all(all(&*bench.store, "apikey").await.iter().map(|info| open_owned(&bench, info.clone()))).await;
    assert_eq!(owners.into_iter().collect::<BTreeSet<_>>(), users);
}

async fn use_nonce(bench: &Bench, session: &SessionRecord, nonce: String) {
    let gate = Gate { nonce: Nonce::parse(&nonce), ..gate(session) };
    bench.store.authorize(&gate).await.unwrap().unwrap();
}

async fn open_owned(bench: &Bench, info: KeyInfo) -> String {
    let view = open(&*bench.store, &info).await;
    assert_eq!(view.info, KeyInfo { ttl: view.info.ttl, ..info });
    view.fields[0].value.clone()
}

async fn what_is_unknown_is_told_from_what_is_empty(bench: Bench) {
    assert_eq!(bench.store.keys("nothing", None).await.unwrap(), None);
    for odd in ["", "x", "-1", "0.x", "99999.0", "zz", "73.", "00", "+", "00+x", "00+999999999", "é"] {
        assert_eq!(bench.store.keys("session", Some(odd)).await.unwrap(), None, "{odd:?}");
    }
    assert_eq!(all(&*bench.store, "deployment-key").await, []);
    assert_eq!(all(&*bench.store, "session").await, []);
    for odd in ["", "x", "zz", "session", "{x}:session", "apikey:", "00", "+", "é"] {
        assert_eq!(bench.store.key(odd).await.unwrap(), None, "{odd:?}");
    }
    let session = bench.session().await;
    let info = all(&*bench.store, "session").await.remove(0);
    bench.store.delete_session(&session.user).await.unwrap();
    assert_eq!(bench.store.key(&info.id).await.unwrap(), None, "it is gone");
}

async fn a_key_shows_the_first_parts_of_its_value(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    bench.change(&session, &id, json!({"name": "door\u{202e}"})).await;
    bench.append(&session.user, &id, "a message\u{7}").await;
    let view = find(&bench, "session", &session.user.to_string()).await;
    assert!(view.info.bytes > 50 && view.len >= 5 && view.fields.len() as u64 == view.len);
    let view = find(&bench, "channel", id.as_str()).await;
    assert!(values(&view).iter().any(|value| value.contains(r#""channelDirection":"inbound""#)), "{view:?}");
    let view = find(&bench, "channel-owner", id.as_str()).await;
    assert!(values(&view).contains(&session.user.to_string().as_str()));
    let messages = if bench.store.kind() == "redis" { "messages" } else { "entry" };
    let messages = all(&*bench.store, messages).await;
    assert_eq!(messages.len(), 1);
    let view = open(&*bench.store, &messages[0]).await;
    assert!(view.len == 1 && view.fields[0].value.contains("a message"), "{view:?}");
    assert!(!view.fields[0].value.contains('\n'), "control characters are made visible");
    let counter = LimitUse { counter: "register:192.0.2.7".to_owned(), limit: "5/1m".parse().unwrap() };
    bench.store.count_use(&counter).await.unwrap();
    let view = find(&bench, "limit", "register:192.0.2.7").await;
    assert!((1..=60_000).contains(&view.info.ttl.unwrap()), "{view:?}");
    assert!(values(&view).contains(&"1"));
}

async fn a_long_value_is_shown_in_part_with_its_length(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    bench.append(&session.user, &id, &"ä".repeat(30_000)).await;
    let kind = if bench.store.kind() == "redis" { "messages" } else { "entry" };
    let view = open(&*bench.store, &all(&*bench.store, kind).await[0]).await;
    let KeyField { value, bytes, .. } = &view.fields[0];
    assert!(*bytes > 60_000 && view.info.bytes > 60_000, "{bytes}");
    assert!(value.ends_with("ä…") && value.chars().count() < 600, "{value}");
}

/// A session with everything that is secret, in every place that holds secrets; gives what must not be shown.
async fn full_of_secrets(bench: &Bench) -> Vec<String> {
    let keys: KeyRing = KeyRing::generate().expose_secret().parse().unwrap();
    let mut secrets = Vec::new();
    let mut seal = |owner: Owner<'_>, secret: &str| {
        let sealed = keys.seal(owner, &secret.to_owned().into());
        secrets.extend([secret.to_owned(), sealed.rsplit('.').next().unwrap().to_owned()]);
        sealed
    };
    let user = UserId::random();
    let sealed_api_key = seal(Owner::ApiKey("u"), "the-api-key-itself");
    // Whoever knows a public key is given its session's API key.
    let public_key = Some("the-public-key".to_owned());
    let new = NewSession { user, api_key: Digest::of(b"the-api-key-itself"), sealed_api_key, public_key };
    let session: SessionRecord = bench.store.create_session(&new).await.unwrap();
    let bot = Bot { store: bench.store.clone(), session, id: ChannelId::random() };
    let mut channel = bot.channel();
    channel.sealed_secret = Some(seal(Owner::Connection("u", "c"), "the-bot-token-itself"));
    channel.pending.as_mut().unwrap().digest = Digest::of(b"pairing-code");
    channel.paired_by = vec![Digest::of(b"paired-by")];
    bot.put(&channel).await;
    // With the secret that an answer needs, as a question and in the conversation, and a reply under way.
    let details = json!({"sealed": seal(Owner::Answer("u", "c"), "the-answer-token")});
    let origin = Origin { conversation: ConversationKey::new("chat", Some("thread")), details, is_question: true };
    bot.ingest(&origin, |ingest| ingest.idempotency = Some(Digest::of(b"once"))).await;
    bot.ingest(&origin, |_| {}).await;
    let (id, _) = bot.reply_with("an answer", |_| {}).await;
    assert!(bot.status(&id).await.is_some());
    let deployment = seal(Owner::Deployment, "the-deployment-key");
    bench.store.deployment_key(&deployment).await.unwrap();
    let limit =
        Some(LimitUse { counter: "reply".to_owned(), limit: Limit::new(9, std::time::Duration::from_secs(60)) });
    let nonce = Nonce::parse("the-nonce-that-was-used");
    bench.store.authorize(&Gate { nonce, limit, ..gate(&bot.session) }).await.unwrap().unwrap();
    bench.store.count_use(&LimitUse { counter: "ip".to_owned(), limit: AMPLE }).await.unwrap();
    bench.store.open_admin_session(&Digest::of(b"the-admin-login")).await.unwrap();
    let entry = NewAuditEntry { action: "login".to_owned(), ..NewAuditEntry::default() };
    bench.store.audit(&entry).await.unwrap();
    let holder = Holder { user, channel: bot.id.clone() };
    bench.store.hold_identity("telegram:7", &holder, true).await.unwrap();
    let lease = SocketLease {
        user,
        api_key: bot.session.api_key,
        socket: SocketId::random(),
        replica: "00000000".into(),
        place: None,
        cap: 5,
    };
    bench.store.hold_socket(&lease, Since::Last(0), 1).await.unwrap();
    let info = ReplicaInfo {
        id: "aaaaaaaa".to_owned(),
        host: String::new(),
        version: String::new(),
        uptime: 0,
        sockets: 1,
        is_draining: false,
    };
    let pointer = RecentPointer { direction: Direction::In, user, channel: bot.id.clone(), at: Timestamp::now() };
    let counts = Counts::new([1; 7]);
    bench.store.beat(&Beat { replica: &info, counts, recent: &[pointer] }).await.unwrap();
    bench.store.retire("bbbbbbbb").await.unwrap();
    secrets.extend(["the-nonce-that-was-used", "the-public-key"].map(str::to_owned));
    for known in ["the-api-key-itself", "secret", "pairing-code", "the-admin-login"] {
        secrets.push(Digest::of(known.as_bytes()).to_hex());
    }
    // None of them as hex either, as in a key of bytes.
    let as_hex: Vec<_> = secrets.iter().map(hex::encode).collect();
    secrets.extend(as_hex);
    secrets
}

async fn no_secret_is_in_anything_that_is_shown(bench: Bench) {
    let secrets = full_of_secrets(&bench).await;
    let kinds = bench.store.key_kinds().await.unwrap();
    let (mut given, mut seen) = (format!("{kinds:?}"), BTreeSet::new());
    for kind in &kinds.kinds {
        let mut from: Option<String> = None;
        loop {
            let page = bench.store.keys(kind.name, from.as_deref()).await.unwrap().unwrap();
            given.push_str(&format!("{page:?}\n"));
            for info in page.keys {
                seen.insert(kind.name);
                // A nonce of Redis has no name that could be shown.
                if !info.id.is_empty() {
                    given.push_str(&format!("{:?}\n", open(&*bench.store, &info).await));
                }
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    let expected = match bench.store.kind() {
        "redis" => [
            "session",
            "channels",
            "channel",
            "messages",
            "last",
            "responses",
            "responses-last",
            "reply",
            "conversations",
            "newest",
            "origin",
            "questions",
            "queues",
            "queue",
            "nonce",
            "once",
            "sockets",
            "apikey",
            "channel-owner",
            "identity",
            "limit",
            "deployment-key",
            "replicas",
            "replica-info",
            "minute",
            "recent",
            "admins",
            "audit",
        ]
        .as_slice(),
        _ => &[
            "session",
            "apikey",
            "channel-owner",
            "limit",
            "identity",
            "newest-session",
            "admin",
            "audit-head",
            "audit",
            "pulse",
            "due",
            "deployment-key",
            "channel",
            "stream",
            "entry",
            "counter",
            "origin",
            "nonce",
            "once",
            "parcel",
            "question",
            "reply",
            "conversation",
            "heard",
            "queue",
        ],
    };
    let missing: Vec<_> = expected.iter().filter(|kind| !seen.contains(*kind)).collect();
    assert!(missing.is_empty(), "there is none of {missing:?}");
    for secret in &secrets {
        assert!(!given.contains(secret.as_str()), "{secret} in {given}");
    }
    assert!(given.contains("(masked)"), "there was something to mask");
}

/// A store on this server.
fn on(url: &str) -> Arc<dyn Store> {
    Arc::new(RedisStore::new(RedisTarget::parse(url).unwrap(), "chaos:"))
}

/// How often a command was called.
fn calls(server: &RedisServer, command: &str) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn among_20_000_keys_a_look_costs_a_few_commands_on_redis() {
    let server = RedisServer::start();
    let store = on(&server.url());
    let fill = "for n = 1, 20000 do redis.call('SET', 'chaos:' .. ARGV[n % 2 + 1] .. n, 'x') end";
    server.cli(&["EVAL", fill, "0", "limit:", "channel:"]);
    for _ in 0..3 {
        store.create_session(&new_session(&UserId::random())).await.unwrap();
    }
    for (kind, count) in [("limit", 10_000), ("session", 3), ("identity", 0)] {
        server.cli(&["CONFIG", "RESETSTAT"]);
        let began = std::time::Instant::now();
        store.keys(kind, None).await.unwrap().unwrap();
        let took = began.elapsed();
        assert!(calls(&server, "scan") <= 6 && calls(&server, "evalsha") <= 200, "{kind}");
        assert!(took < std::time::Duration::from_secs(1), "{kind} took {took:?}");
        let keys: BTreeSet<_> = all(&*store, kind).await.into_iter().map(|info| info.shown).collect();
        assert_eq!(keys.len(), count, "{kind}");
    }
    server.cli(&["CONFIG", "RESETSTAT"]);
    let kinds = store.key_kinds().await.unwrap();
    assert_eq!((calls(&server, "scan"), calls(&server, "keys")), (1, 0));
    assert!(kinds.total >= 20_006 && (1_000..5_000).contains(&kinds.sampled), "{kinds:?}");
    for name in ["limit", "channel-owner"] {
        let about = kinds.kinds.iter().find(|kind| kind.name == name).unwrap().about;
        assert!((9_000..11_000).contains(&about), "{about} keys of {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_of_few_keys_are_exact_and_others_keys_are_not_shown_on_redis() {
    let server = RedisServer::start();
    let store = on(&server.url());
    for _ in 0..5 {
        store.create_session(&new_session(&UserId::random())).await.unwrap();
    }
    store.deployment_key("s1.x.y").await.unwrap();
    for other in ["other:deployment-key", "chaos:session", "chaos:{x}:session", "chaos:{deployment}:more", "session"] {
        server.cli(&["SET", other, "theirs"]);
    }
    let kinds = store.key_kinds().await.unwrap();
    let size: u64 = server.cli(&["DBSIZE"]).parse().unwrap();
    assert_eq!((kinds.total, kinds.sampled), (size, size));
    let about = |name| kinds.kinds.iter().find(|kind| kind.name == name).unwrap().about;
    assert_eq!((about("session"), about("apikey"), about("deployment-key"), about("audit")), (5, 5, 1, 0));
    for id in ["session", "{x}:session", "{deployment}:more", "other:deployment-key", "../session"] {
        assert_eq!(store.key(id).await.unwrap(), None, "{id}");
    }
    assert_eq!(all(&*store, "session").await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_a_value_is_shown_on_redis() {
    let server = RedisServer::start();
    let store = on(&server.url());
    let user = UserId::random();
    let fill = |key: &str, command: &[&str]| {
        let key = format!("chaos:{{{user}}}:{key}");
        server.cli(&[&command[..1], &[key.as_str()], &command[1..]].concat());
    };
    fill("session", &["HSET", "c", "1", "n", "two"]);
    fill("channels", &["SADD", "one", "two"]);
    fill("messages", &["XADD", "1-0", "d", "first"]);
    fill("messages", &["XADD", "2-0", "d", "second"]);
    fill("last", &["SET", "12"]);
    fill("sockets", &["ZADD", "5", "place"]);
    fill("queue:c:d", &["RPUSH", "first", "second"]);
    fill("last", &["PEXPIRE", "60000"]);
    for (kind, form, expected) in [
        ("session", "hash", [("c", "1"), ("n", "two")].as_slice()),
        ("channels", "set", &[("", "one"), ("", "two")]),
        ("messages", "stream", &[("2-0", "d: second"), ("1-0", "d: first")]),
        ("last", "string", &[("", "12")]),
        ("sockets", "zset", &[("5", "place")]),
        ("queue", "list", &[("1", "first"), ("2", "second")]),
    ] {
        let view = open(&*store, &all(&*store, kind).await[0]).await;
        assert_eq!((view.info.form.as_str(), view.len), (form, expected.len() as u64));
        assert_eq!(view.info.ttl.is_some(), kind == "last");
        let mut parts: Vec<_> = view.fields.iter().map(|it| (it.name.as_str(), it.value.as_str())).collect();
        if form == "set" {
            parts.sort_unstable();
        }
        assert_eq!(parts, expected, "{kind}");
        assert_eq!(view.fields[0].bytes as usize, view.fields[0].value.len());
    }
    for n in 0..1_000 {
        fill("channels", &["SADD", &format!("channel {n}")]);
    }
    let view = open(&*store, &all(&*store, "channels").await[0]).await;
    assert_eq!((view.len, view.fields.len()), (1_002, 100));
    assert_eq!(field(&view, "").name, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_all_nodes_of_a_cluster_are_counted_and_found() {
    let cluster = RedisCluster::start().await;
    let store = on(&cluster.url());
    let users: BTreeSet<_> = (0..40).map(|_| UserId::random()).collect();
    for user in &users {
        store.create_session(&new_session(user)).await.unwrap();
    }
    store.audit(&NewAuditEntry::default()).await.unwrap();
    let kinds = store.key_kinds().await.unwrap();
    assert_eq!(kinds.total, kinds.sampled);
    let about = |name| kinds.kinds.iter().find(|kind| kind.name == name).unwrap().about;
    assert_eq!((about("session"), about("apikey"), about("audit")), (40, 40, 1));
    for kind in ["session", "apikey"] {
        assert_eq!(all(&*store, kind).await.len(), 40, "{kind}");
    }
    for info in all(&*store, "apikey").await {
        let owner = open(&*store, &info).await.fields[0].value.parse().unwrap();
        assert!(users.contains(&owner));
    }
    assert_eq!(all(&*store, "audit").await.len(), 1);
}
