//! A deployment to show: one with everything in it, one with nothing, and one in which everybody is hostile.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::channel::{Channel, ChannelKind};
use crate::domain::ids::{ChannelId, MessageId, UserId};
use crate::domain::message::{NewRecord, StoredRecord, members};
use crate::domain::timestamp::Timestamp;
use crate::http::admin::views::{self, Page, Section};
use crate::services::operator::deliveries::DeliveriesQuery;
use crate::services::operator::overview::{Overview, Recent};
use crate::services::operator::sessions::SessionPage;
use crate::store::operator::{
    AuditEntry, AuditPage, Counts, DeliveryCounts, DeliveryEntry, DeliveryPage, DeliveryState, Direction,
    HistoryCursor, HistoryEntry, HistoryPage, HistoryQuery, KeyField, KeyInfo, KeyKind, KeyKinds, KeyPage, KeyView,
    ListCursor, MINUTES_KEPT, Minute, NewAuditEntry, OpenSocket, Pulse, RecentPointer, ReplicaInfo, ReplicaStatus,
    ReplyState, SessionList, SessionOrder, SessionQuery, SessionSummary,
};

/// What strangers might send: markup, text that turns its surroundings around, controls, and a lot of it.
pub(super) fn hostile() -> String {
    let start = "</div></details></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{ csrf }}\0\u{1b}[2J\u{202e}\
                 שלום עולם مرحبا 👩‍👩‍👧🏴‍☠️ ";
    start.repeat(64 * 1024 / start.len() + 1)
}

/// A page under its name.
pub(super) type Named = (&'static str, Option<Section>, Page);

fn at(text: &str) -> Timestamp {
    Timestamp::parse(&format!("2026-11-23T{text}Z")).unwrap()
}

fn user(n: u64) -> UserId {
    format!("{:08x}-5b1c-4a7e-9d20-3f6b8e1c{n:04x}", 0x7c9e_6679 + n * 7919).parse().unwrap()
}

fn response(n: u64) -> MessageId {
    format!("0e{n:06x}-93af-4c11-b6d8-52c0f7a9d3e4").parse().unwrap()
}

/// A channel of this type with these members more.
pub(in crate::http::admin::views) fn channel(id: &str, kind: &str, more: Value) -> Channel {
    let mut channel = json!({"id": id, "type": kind, "direction": "bidirectional", "enabled": true});
    for (name, value) in more.as_object().unwrap() {
        channel[name] = value.clone();
    }
    serde_json::from_value(channel).unwrap()
}

fn channels() -> Vec<Channel> {
    let pending = json!({"digest": "0".repeat(64), "issued": "2026-11-23T14:10:00.000Z"});
    let telegram = json!({"platform": "telegram", "botId": "7", "botUsername": "support_helper_bot", "readsAllGroupMessages": false});
    let slack = json!({
        "platform": "slack", "botUserId": "U1", "botId": null, "botUsername": "desk", "teamId": "T1", "teamName": "Acme",
    });
    let mail = |verified: bool| {
        json!({
            "platform": "email", "inboundAddress": "anna-k3v9q0x2la@mail.relay.example",
            "userEmail": "anna@example.org", "verified": verified,
        })
    };
    vec![
        channel("ci-builds", "webhook", json!({"name": "CI builds", "agentId": "build-doctor"})),
        channel(
            "3b0f6a52-1c9d-4d57-8a43-9e1f0c2b7d68",
            "telegram",
            json!({
                "name": "Support", "connection": telegram, "metadata": {"allowedUsers": [4_711, "815"]}
            }),
        ),
        channel("9d1f3c77-08be-4f0a-b2c5-6a7e4d90c1b2", "slack", json!({"connection": slack, "pending": pending})),
        channel("c2", "email", json!({"connection": mail(false), "pending": pending})),
        channel("c3", "email", json!({"connection": mail(true), "metadata": {"allowedSenders": ["anna@example.org"]}})),
        channel("c4", "discord", json!({"enabled": false, "disabledReason": "the platform refuses the bot's token"})),
        channel("c5", "webhook", json!({"enabled": false})),
    ]
}

fn record(when: Timestamp, kind: ChannelKind, from: &str, content: &str, metadata: Value) -> StoredRecord {
    let channel: ChannelId = "ci-builds".parse().unwrap();
    let new = NewRecord::new(user(1), &channel, from, content, members(metadata.as_object().unwrap()));
    StoredRecord::new(when, StoredRecord::join(&new, kind, r#""channelDirection":"inbound""#)).unwrap()
}

fn entry(when: &str, direction: Direction, kind: ChannelKind, from: &str, content: &str) -> HistoryEntry {
    let metadata = match direction {
        Direction::In => json!({"raw": {"build": 812, "status": "failed"}, "idempotencyKey": "b-812"}),
        Direction::Out => json!({"replyTo": "8c5a"}),
    };
    HistoryEntry { direction, record: record(at(when), kind, from, content, metadata) }
}

fn history() -> Vec<HistoryEntry> {
    use ChannelKind::{Discord, Slack, Telegram, Webhook};
    let long = "The nightly build failed in the step “integration tests”.\n\nFirst error:\n  assertion failed: left == right\n    left: 3\n   right: 4\n\n"
        .repeat(40);
    vec![
        entry(
            "15:58:41.007",
            Direction::Out,
            Telegram,
            "agent",
            "Your parcel is on its way. It should arrive on Thursday between 9 and 12. 📦",
        ),
        entry("15:58:12.512", Direction::In, Telegram, "Ana Souza", "Hi! Where is my parcel?"),
        entry(
            "15:44:03.120",
            Direction::Out,
            Discord,
            "agent",
            "The deployment of `web` finished; two pods were replaced.",
        ),
        entry("15:31:20.990", Direction::In, Webhook, "github", &long),
        entry("15:20:00.001", Direction::Out, Slack, "agent", "I could not find that file."),
        entry("15:12:59.431", Direction::In, Slack, "U02ABCDEF", "صباح الخير، هل يمكنك إرسال التقرير؟"),
        entry("15:02:11.000", Direction::In, Webhook, "webhook", ""),
        HistoryEntry {
            direction: Direction::In,
            record: StoredRecord::new(at("15:01:00.000"), "damaged\n\n\n".to_owned()).unwrap(),
        },
    ]
}

fn reply(status: &str, attempts: u32, error: Option<&str>) -> ReplyState {
    ReplyState {
        channel: "c4".to_owned(),
        status: status.to_owned(),
        attempts,
        error: error.map(str::to_owned),
        accepted: Some(at("15:40:00.000")),
        next_try: (status == "retrying").then(|| at("16:03:30.000")),
        has_content: status != "stored",
    }
}

fn replicas() -> Vec<ReplicaStatus> {
    let replica = |id: &str, host: &str, uptime: u64, sockets: u64, is_draining: bool| ReplicaStatus {
        info: ReplicaInfo {
            id: id.to_owned(),
            host: host.to_owned(),
            version: "0.1.0".to_owned(),
            uptime,
            sockets,
            is_draining,
        },
        heartbeat: at("16:03:17.250"),
    };
    vec![
        replica("4f7a01c9", "relay-7d9c6b5f4-x2kqp", 277_000_000, 1_204, false),
        replica("a8803e5d", "relay-7d9c6b5f4-m8wzt", 4_510_000, 1_187, false),
        replica("e09b77f2", "", 61_000, 3, true),
    ]
}

fn minutes() -> Vec<Minute> {
    let start = at("15:03:00.000").millis();
    let minute = |n: u64| {
        let wave = (n * 37 % 23) + (n * 11 % 17) + if (38..44).contains(&n) { 40 } else { 0 };
        let refused = if n % 19 == 7 { 3 } else { 0 };
        let failed = u64::from(n == 41);
        Minute {
            start: Timestamp::from_millis(start + n * 60_000),
            counts: Counts::new([
                wave,
                wave * 2 / 3,
                wave / 3,
                u64::from(n.is_multiple_of(20)),
                failed,
                refused,
                refused / 3,
            ]),
        }
    };
    (0..MINUTES_KEPT as u64).map(minute).collect()
}

fn overview(is_full: bool, hostile: Option<&str>) -> Overview {
    let now = at("16:03:20.000");
    let mut replicas = if is_full { replicas() } else { Vec::new() };
    let mut entries = if is_full { history() } else { Vec::new() };
    if let Some(text) = hostile {
        replicas[0].info.host = text.to_owned();
        replicas[0].info.version = text.to_owned();
        entries.push(entry("15:00:00.000", Direction::In, ChannelKind::Webhook, text, text));
    }
    let pointer = |entry: &HistoryEntry| RecentPointer {
        direction: entry.direction,
        user: user(1),
        channel: "ci-builds".parse().unwrap(),
        at: entry.record.at,
    };
    let minutes = if is_full { minutes() } else { Vec::new() };
    Overview {
        pulse: Pulse { now, replicas, minutes, recent: Vec::new(), sessions: if is_full { 100_000 } else { 0 } },
        deliveries: if is_full {
            DeliveryCounts { pending: 2, retrying: 14, failed: 3, overdue: 0 }
        } else {
            DeliveryCounts::default()
        },
        recent: entries.into_iter().map(|entry| Recent { pointer: pointer(&entry), entry }).collect(),
        store: "redis",
        store_time: Duration::from_micros(1_840),
        sockets: if is_full { 2_394 } else { 0 },
        replica: "a8803e5d".to_owned(),
        uptime: Duration::from_secs(4_510),
    }
}

fn sockets() -> Vec<OpenSocket> {
    let socket = |since: &str, replica: &str| OpenSocket { since: at(since), replica: replica.to_owned() };
    vec![
        socket("12:10:00.000", "4f7a01c9"),
        socket("15:10:00.000", "a8803e5d"),
        socket("15:11:00.000", "4f7a01c9"),
        socket("15:12:00.000", ""),
    ]
}

fn summary(n: u64) -> SessionSummary {
    let channels = channels();
    SessionSummary {
        user: user(n),
        created: at("09:12:44.000"),
        last_seen: at(&format!("{:02}:{:02}:09.000", 15 - n % 12, 60 - n % 50 - 1)),
        has_public_key: n % 2 == 1,
        channels: channels.into_iter().skip(n as usize % 7).take(7 - n as usize % 5).collect(),
        sockets: if n % 3 == 1 { sockets() } else { Vec::new() },
    }
}

fn empty_summary() -> SessionSummary {
    let (created, last_seen) = (Timestamp::EPOCH, Timestamp::EPOCH);
    SessionSummary {
        user: user(9),
        created,
        last_seen,
        has_public_key: false,
        channels: Vec::new(),
        sockets: Vec::new(),
    }
}

fn session(is_full: bool) -> SessionPage {
    let summary = if is_full { summary(1) } else { empty_summary() };
    let entries = if is_full { history() } else { Vec::new() };
    let states = [
        reply("delivered", 1, None),
        reply("retrying", 4, Some("429 Too Many Requests")),
        reply("failed", 2, Some("Forbidden: bot was blocked by the user")),
    ];
    let sent = entries.iter().filter(|entry| entry.direction == Direction::Out);
    let replies: HashMap<_, _> = sent.filter_map(|entry| entry.record.id()).zip(states).collect();
    let next = is_full.then(|| HistoryCursor { at: at("15:00:00.000"), response_on: Some("c5".parse().unwrap()) });
    SessionPage { summary, history: HistoryPage { entries, next }, replies }
}

fn undelivered() -> Vec<DeliveryEntry> {
    let entry = |n: u64, kind: ChannelKind, state: ReplyState| DeliveryEntry {
        kind,
        user: user(n),
        channel: "3b0f6a52-1c9d-4d57-8a43-9e1f0c2b7d68".parse().unwrap(),
        response: response(n),
        at: at(&format!("15:4{n}:10.000")),
        state,
    };
    let gone = ReplyState { has_content: false, ..reply("failed", 0, Some("dropped by the operator")) };
    vec![
        entry(1, ChannelKind::Telegram, reply("failed", 2, Some("Forbidden: bot was blocked by the user"))),
        entry(2, ChannelKind::Slack, reply("failed", 7, Some("channel_not_found"))),
        entry(3, ChannelKind::Email, reply("failed", 31, Some("no answer within 30 seconds; given up after 24 hours"))),
        entry(4, ChannelKind::Discord, gone),
    ]
}

fn key(shown: &str, ttl: Option<u64>) -> KeyInfo {
    KeyInfo { shown: shown.to_owned(), id: "k/+ 1&".to_owned(), form: "hash".to_owned(), ttl, bytes: 18_340 }
}

fn kinds(is_full: bool) -> KeyKinds {
    let kind = |name, pattern, what, life, about| KeyKind { name, pattern, what, life, about };
    let all = vec![
        kind("session", "{user}:session", "A user's session", "90 days after its last use", 98_412),
        kind("messages", "{user}:messages", "Messages to a user's agent", "500 entries, 24 hours", 40_119),
        kind("channel", "channel:<id>", "Who owns a channel", "as long as the channel", 201_377),
        kind("limit", "limit:<digest>", "Requests counted for a rate limit", "the limit's window", 0),
    ];
    if is_full {
        KeyKinds { kinds: all, total: 512_804, sampled: 4_000, bytes: Some(734_003_200) }
    } else {
        KeyKinds { kinds: Vec::new(), total: 0, sampled: 0, bytes: None }
    }
}

fn login_entry(when: &str, text: Option<&str>) -> AuditEntry {
    let text = |given: &str| text.unwrap_or(given).to_owned();
    let what = NewAuditEntry {
        ip: text("203.0.113.9"),
        action: text("delete session"),
        subject: text("7c9e6679-7425-40de-944b-e07fc1f90ae7"),
        outcome: text("deleted with 3 channels"),
    };
    AuditEntry { at: at(when), what }
}

/// Every page with all it can show.
pub(super) fn full() -> Vec<Named> {
    let after = ListCursor { at: 1, entry: "x".to_owned() };
    let summaries: Vec<_> = (1..=9).map(summary).collect();
    let list = SessionList { sessions: summaries, next: Some(after.clone()), total: 100_000, skipped: 50 };
    let query = SessionQuery {
        order: SessionOrder::LastSeen,
        oldest_first: false,
        search: None,
        after: Some(&after),
        count: 50,
    };
    let searched = SessionQuery { search: Some("supp"), after: None, ..query.clone() };
    let history_query = HistoryQuery { before: None, direction: None, channel: None, count: 50 };
    let page = DeliveryPage { entries: undelivered(), next: Some(after.clone()) };
    let failed = DeliveriesQuery { state: DeliveryState::Failed, kind: None, after: None, count: 50 };
    let counts = DeliveryCounts { pending: 2, retrying: 14, failed: 1_203, overdue: 0 };
    let keys = vec![key("{7c9e6679-7425-40de-944b-e07fc1f90ae7}:session", Some(277_000_000)), key("apikey:••••", None)];
    let fields = [("createdAt", "2026-11-23T09:12:44.000Z"), ("apiKey", "••••"), ("", "plain")];
    let fields = fields.map(|(name, value)| KeyField { name: name.to_owned(), value: value.to_owned(), bytes: 24 });
    let view =
        KeyView { kind: "session", info: key("{7c9e…}:session", Some(5_000)), fields: fields.into(), len: 512 };
    let entries = vec![login_entry("15:50:00.000", None), login_entry("15:49:59.999", None)];
    let audited = AuditPage { entries, next: Some(at("15:49:59.999")) };
    vec![
        ("login", None, views::login(Some("/admin/sessions?q=a&order=seen"), Some("The password is wrong."))),
        ("problem", Some(Section::Sessions), views::problem("Not found", "There is no such session.")),
        ("overview", Some(Section::Overview), views::overview(&overview(true, None))),
        ("sessions", Some(Section::Sessions), views::sessions(&list, &query, &replicas())),
        ("search", Some(Section::Sessions), views::sessions(&list, &searched, &replicas())),
        ("session", Some(Section::Sessions), views::session(&session(true), &history_query, &replicas())),
        ("delete", Some(Section::Sessions), views::confirm_deletion(&summary(1))),
        ("deliveries", Some(Section::Deliveries), views::deliveries(&counts, &page, &failed)),
        ("store", Some(Section::Store), views::key_kinds(&kinds(true))),
        ("keys", Some(Section::Store), views::keys("session", &KeyPage { keys, next: Some("a/ b".to_owned()) })),
        ("key", Some(Section::Store), views::key(&view)),
        ("audit", Some(Section::Audit), views::audit(&audited, Some(at("16:00:00.000")))),
    ]
}

/// Every page with nothing to show.
pub(super) fn empty() -> Vec<Named> {
    let list = SessionList { sessions: Vec::new(), next: None, total: 0, skipped: 0 };
    let query = SessionQuery { order: SessionOrder::Created, oldest_first: true, search: None, after: None, count: 50 };
    let searched = SessionQuery { search: Some("nobody"), ..query.clone() };
    let lost: ChannelId = "gone".parse().unwrap();
    let history_query = HistoryQuery { before: None, direction: None, channel: Some(&lost), count: 50 };
    let nothing = DeliveryPage { entries: Vec::new(), next: None };
    let counts = DeliveryCounts::default();
    let view = KeyView { kind: "limit", info: key("", None), fields: Vec::new(), len: 0 };
    let mut pages: Vec<Named> = vec![
        ("login", None, views::login(None, None)),
        ("problem", None, views::problem("", "")),
        ("overview", Some(Section::Overview), views::overview(&overview(false, None))),
        ("sessions", Some(Section::Sessions), views::sessions(&list, &query, &[])),
        ("search", Some(Section::Sessions), views::sessions(&list, &searched, &[])),
        ("session", Some(Section::Sessions), views::session(&session(false), &history_query, &[])),
        ("delete", Some(Section::Sessions), views::confirm_deletion(&empty_summary())),
        ("store", Some(Section::Store), views::key_kinds(&kinds(false))),
        ("keys", Some(Section::Store), views::keys("limit", &KeyPage { keys: Vec::new(), next: None })),
        ("key", Some(Section::Store), views::key(&view)),
        ("audit", Some(Section::Audit), views::audit(&AuditPage { entries: Vec::new(), next: None }, None)),
    ];
    for state in DeliveryState::ALL {
        let query = DeliveriesQuery { state, kind: Some(ChannelKind::Slack), after: None, count: 50 };
        pages.push((state.as_str(), Some(Section::Deliveries), views::deliveries(&counts, &nothing, &query)));
    }
    pages
}

/// Every page that shows what others wrote, with this text in every place that takes one.
pub(super) fn written_by(text: &str) -> Vec<Named> {
    let bot = json!({"platform": "telegram", "botId": "7", "botUsername": text, "readsAllGroupMessages": false});
    let all = json!({"name": text, "agentId": text, "connection": bot, "enabled": false, "disabledReason": text});
    let odd = channel("c", "telegram", all);
    let unnamed = Channel { name: None, ..odd.clone() };
    let summary = SessionSummary { channels: vec![odd, unnamed], ..summary(1) };
    let list = SessionList { sessions: vec![summary.clone()], next: None, total: 1, skipped: 0 };
    let query =
        SessionQuery { order: SessionOrder::LastSeen, oldest_first: false, search: Some(text), after: None, count: 50 };
    let entry = entry("15:00:00.000", Direction::Out, ChannelKind::Telegram, text, text);
    let state = ReplyState { status: text.to_owned(), ..reply("failed", 1, Some(text)) };
    let replies = entry.record.id().map(|id| (id, state.clone())).into_iter().collect();
    let history = HistoryPage { entries: vec![entry], next: None };
    let page = SessionPage { summary, history, replies };
    let history_query = HistoryQuery { before: None, direction: None, channel: None, count: 50 };
    let mut undelivered = undelivered();
    undelivered[0].state = state;
    let found = DeliveryPage { entries: undelivered, next: None };
    let failed = DeliveriesQuery { state: DeliveryState::Failed, kind: None, after: None, count: 50 };
    let mut info = key(text, None);
    (info.id, info.form) = (text.to_owned(), text.to_owned());
    let field = KeyField { name: text.to_owned(), value: text.to_owned(), bytes: 1_000_000 };
    let view = KeyView { kind: "session", info: info.clone(), fields: vec![field], len: 1 };
    let audited = AuditPage { entries: vec![login_entry("15:50:00.000", Some(text))], next: None };
    vec![
        ("login", None, views::login(Some(text), Some(text))),
        ("problem", None, views::problem(text, text)),
        ("overview", Some(Section::Overview), views::overview(&overview(true, Some(text)))),
        ("sessions", Some(Section::Sessions), views::sessions(&list, &query, &replicas())),
        ("session", Some(Section::Sessions), views::session(&page, &history_query, &replicas())),
        ("deliveries", Some(Section::Deliveries), views::deliveries(&DeliveryCounts::default(), &found, &failed)),
        ("keys", Some(Section::Store), views::keys("session", &KeyPage { keys: vec![info], next: None })),
        ("key", Some(Section::Store), views::key(&view)),
        ("audit", Some(Section::Audit), views::audit(&audited, None)),
    ]
}
