//! Finding sessions by name.

use chaos_relay::domain::channel::Channel;
use chaos_relay::domain::channel::{ChannelKind, PlatformSettings};
use chaos_relay::domain::connection::{Connection, DiscordApp, Mailbox, Pending, SlackApp, TelegramBot};
use chaos_relay::domain::digest::Digest;
use chaos_relay::domain::ids::{ChannelId, UserId};
use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::store::operator::{ListCursor, SessionOrder, SessionQuery};
use chaos_relay::store::{ChannelRecord, PutChannel, SessionRecord};
use serde_json::json;

use super::{everything, list, users, walk};
use crate::store::{Bench, on_both_stores};

on_both_stores! {
    a_session_is_found_by_each_of_its_names,
    what_looks_like_a_pattern_is_a_character_like_any_other,
    a_search_shows_each_session_once_however_many_names_match,
    a_search_goes_on_page_by_page_while_sessions_go,
    a_name_is_found_as_long_as_a_channel_has_it,
    an_empty_search_finds_everybody,
    a_full_page_is_not_spoilt_by_one_session_with_many_names,
}

fn search(text: &str) -> SessionQuery<'_> {
    SessionQuery { search: Some(text), ..everything(SessionOrder::LastSeen, false) }
}

async fn found(bench: &Bench, text: &str) -> Vec<UserId> {
    let page = list(bench, &search(text)).await;
    assert_eq!((&page.next, page.skipped), (&None, 0));
    users(&page)
}

async fn named(bench: &Bench, name: &str) -> (SessionRecord, ChannelId) {
    let (session, id) = (bench.session().await, ChannelId::random());
    assert_eq!(bench.put(&session.user, &id, json!({"name": name})).await, PutChannel::Stored);
    (session, id)
}

async fn connected(bench: &Bench, kind: ChannelKind, connection: Connection) -> (SessionRecord, ChannelId) {
    let (session, id) = (bench.session().await, ChannelId::random());
    let settings = PlatformSettings { name: None, agent_id: String::new() };
    let pending = Pending { digest: Digest::of(b"code"), issued: Timestamp::from_millis(1) };
    let channel = Channel::on_platform(id.clone(), kind, settings, connection, Some("sealed".to_owned()), pending);
    let record = ChannelRecord { channel, secret: None, revision: 0 };
    assert_eq!(bench.store.put_channel(&session.user, &record).await.unwrap(), PutChannel::Stored);
    (session, id)
}

async fn a_session_is_found_by_each_of_its_names(bench: Bench) {
    let telegram = TelegramBot { bot_id: "1".into(), bot_username: "Owl_Bot".into(), reads_all_group_messages: false };
    let discord = DiscordApp {
        application_id: "2".into(),
        verify_key: "00".into(),
        bot_id: "3".into(),
        bot_username: "Raven".into(),
    };
    let slack = SlackApp {
        bot_user_id: "U1".into(),
        bot_id: None,
        bot_username: "crow".into(),
        team_id: "T1".into(),
        team_name: "Nest & Sons".into(),
    };
    let mailbox = Mailbox {
        inbound_address: "finch-abc@mail.example".into(),
        user_email: "Ana@Example.org".into(),
        verified: false,
    };
    let webhook = named(&bench, "\u{c4}rger im B\u{fc}ro").await;
    let telegram = connected(&bench, ChannelKind::Telegram, Connection::Telegram(telegram)).await;
    let discord = connected(&bench, ChannelKind::Discord, Connection::Discord(discord)).await;
    let slack = connected(&bench, ChannelKind::Slack, Connection::Slack(slack)).await;
    let email = connected(&bench, ChannelKind::Email, Connection::Email(mailbox)).await;
    for ((session, channel), names) in [
        (&webhook, &["\u{e4}rger im b\u{fc}ro", "\u{c4}RGER", "\u{e4}rger im"][..]),
        (&telegram, &["owl_bot", "OWL", "@owl_bot", "@Owl"]),
        (&discord, &["raven", "@RAVEN"]),
        (&slack, &["crow", "@cr", "nest & sons", "Nest &"]),
        (&email, &["finch-", "FINCH-abc@mail.example", "ana@", "ANA@EXAMPLE.ORG"]),
    ] {
        let user = session.user.to_string();
        let ids = [user.as_str(), &user[..13], channel.as_str(), &channel.as_str()[..13]];
        for name in ids.iter().chain(names) {
            for name in [name.to_string(), name.to_uppercase()] {
                assert_eq!(found(&bench, &name).await, [session.user], "{name}");
            }
        }
        // A name is found by its beginning only, and by no more than it has.
        for name in names.iter().chain(&ids) {
            assert_eq!(found(&bench, &format!("{name}?")).await, [], "{name}");
        }
    }
    for stranger in ["wl_bot", "sons", "example.org", "nobody", " owl", "@@owl", "owl_bot\n"] {
        assert_eq!(found(&bench, stranger).await, [], "{stranger}");
    }
}

async fn what_looks_like_a_pattern_is_a_character_like_any_other(bench: Bench) {
    let names = [
        "[a]",
        "(b)",
        "\\c\\",
        "*",
        "?d",
        "-",
        "+inf",
        "two words",
        "\u{1f980}\u{200d}x",
        "%e",
        "'f'",
        "\"g\"",
        "{h}",
        "\u{ff}i",
    ];
    let mut all = Vec::new();
    for name in names {
        all.push((name, named(&bench, name).await.0.user));
    }
    for (name, user) in &all {
        assert_eq!(found(&bench, name).await, [*user], "{name}");
        let first: String = name.chars().take(1).collect();
        assert!(found(&bench, &first).await.contains(user), "{first}");
    }
    // What could not be in any name: not even the character that separates names from users.
    for odd in ["\0", "*\0", "two words\0", "\n", "\u{7f}", "[a]\u{10ffff}", &"x".repeat(5000)] {
        assert_eq!(found(&bench, odd).await, [], "{odd:?}");
    }
    for after in ["", "x", "\0", "[ user", "a\0b \0"] {
        let after = ListCursor { at: 7, entry: after.to_owned() };
        list(&bench, &SessionQuery { after: Some(&after), ..search("[") }).await;
    }
}

async fn a_search_shows_each_session_once_however_many_names_match(bench: Bench) {
    let (one, _) = named(&bench, "alpha").await;
    for name in ["alpha", "Alphabet", "alpha two", "beta"] {
        bench.put(&one.user, &ChannelId::random(), json!({"name": name})).await;
    }
    let (other, _) = named(&bench, "alpha one").await;
    let mut expected = [one.user, other.user];
    expected.sort();
    let in_order = |mut users: Vec<UserId>| {
        users.sort();
        users
    };
    assert_eq!(in_order(found(&bench, "alp").await), expected);
    for count in [1, 2, 3] {
        let query = SessionQuery { count, ..search("ALPHA") };
        assert_eq!(in_order(walk(&bench, &query, None).await), expected, "pages of {count}");
    }
    assert_eq!(found(&bench, "alpha o").await, [other.user]);
    assert_eq!(found(&bench, "alphab").await, [one.user]);
}

async fn a_search_goes_on_page_by_page_while_sessions_go(bench: Bench) {
    let mut team = Vec::new();
    for n in 0..12 {
        // Some have the very same name.
        team.push(named(&bench, &format!("team {}", n % 4)).await.0.user);
    }
    let query = SessionQuery { count: 5, ..search("team") };
    let all = users(&list(&bench, &SessionQuery { count: 100, ..search("team") }).await);
    assert_eq!(all.len(), 12);
    assert!(team.iter().all(|user| all.contains(user)));
    for count in [1, 4, 12, 13] {
        assert_eq!(walk(&bench, &SessionQuery { count, ..query.clone() }, None).await, all, "pages of {count}");
    }
    let first = list(&bench, &query).await;
    assert_eq!((users(&first), first.total), (all[..5].to_vec(), 12));
    // The last that was shown goes, and one that was not.
    for gone in [all[4], all[7]] {
        assert!(bench.store.delete_session(&gone).await.unwrap());
    }
    let (new, _) = named(&bench, "team 9").await;
    let rest = walk(&bench, &query, first.next).await;
    let expected: Vec<_> = all[5..].iter().copied().filter(|user| *user != all[7]).chain([new.user]).collect();
    assert_eq!(rest, expected);
}

async fn a_name_is_found_as_long_as_a_channel_has_it(bench: Bench) {
    let (session, first) = named(&bench, "shared name").await;
    let second = ChannelId::random();
    bench.put(&session.user, &second, json!({"name": "Shared name"})).await;
    bench.change(&session, &first, json!({"name": "its own"})).await;
    assert_eq!(found(&bench, "shared name").await, [session.user], "the other channel has it");
    assert_eq!(found(&bench, "its own").await, [session.user]);
    assert!(bench.store.delete_channel(&session.user, &second).await.unwrap());
    for gone in ["shared name", second.as_str()] {
        assert_eq!(found(&bench, gone).await, [], "{gone}");
    }
    // Made again under its id, with another name.
    bench.put(&session.user, &first, json!({"name": "anew"})).await;
    assert_eq!(found(&bench, "its own").await, []);
    assert_eq!(found(&bench, "anew").await, [session.user]);
    assert_eq!(found(&bench, first.as_str()).await, [session.user]);
    assert!(bench.store.delete_channel(&session.user, &first).await.unwrap());
    assert_eq!(found(&bench, "anew").await, []);
    assert_eq!(found(&bench, &session.user.to_string()).await, [session.user]);
}

async fn an_empty_search_finds_everybody(bench: Bench) {
    let (one, other) = (named(&bench, "a").await.0, bench.session().await);
    let mut expected = [one.user, other.user];
    let mut all = found(&bench, "").await;
    expected.sort();
    all.sort();
    assert_eq!(all, expected);
}

async fn a_full_page_is_not_spoilt_by_one_session_with_many_names(bench: Bench) {
    let (many, _) = named(&bench, "x 00").await;
    for n in 1..40 {
        bench.put(&many.user, &ChannelId::random(), json!({"name": format!("x {n:02}")})).await;
    }
    let (last, _) = named(&bench, "x 99").await;
    let page = list(&bench, &SessionQuery { count: 2, ..search("x ") }).await;
    assert_eq!(page.sessions[0].user, many.user);
    let query = SessionQuery { count: 2, ..search("x ") };
    assert_eq!(walk(&bench, &query, None).await, [many.user, last.user]);
}
