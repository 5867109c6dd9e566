//! Logins of operators, and the audit.

use chaos_relay::domain::digest::Digest;
use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::store::operator::{
    ADMIN_SESSION_LIFE_MS, AUDIT_LIFE_MS, AuditEntry, MAX_ADMIN_SESSIONS, MAX_AUDIT, MAX_AUDIT_TEXT, NewAuditEntry,
};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};

use super::{Bench, on_both_stores};

on_both_stores! {
    a_login_holds_on_every_handle_until_it_is_ended,
    all_logins_end_at_once,
    one_login_too_many_ends_the_oldest,
    the_audit_is_read_newest_first_in_pages,
    no_two_entries_of_the_audit_have_the_same_instant,
    the_audit_keeps_the_newest,
    the_audit_keeps_every_text_as_it_is_up_to_a_bound,
}

fn login(n: usize) -> Digest {
    Digest::of(format!("login {n}").as_bytes())
}

async fn open(bench: &Bench, logins: std::ops::Range<usize>) {
    for n in logins {
        bench.store.open_admin_session(&login(n)).await.unwrap();
    }
}

/// Which of the first so many logins hold.
async fn holding(bench: &Bench, count: usize) -> Vec<usize> {
    let asked = join_all((0..count).map(|n| async move { bench.store.has_admin_session(&login(n)).await.unwrap() }));
    (0..).zip(asked.await).filter(|(_, holds)| *holds).map(|(n, _)| n).collect()
}

async fn a_login_holds_on_every_handle_until_it_is_ended(bench: Bench) {
    assert_eq!(holding(&bench, 3).await, [] as [usize; 0]);
    open(&bench, 0..3).await;
    let elsewhere = bench.store.for_worker();
    assert!(elsewhere.has_admin_session(&login(1)).await.unwrap());
    assert!(elsewhere.close_admin_session(&login(1)).await.unwrap());
    assert!(!bench.store.close_admin_session(&login(1)).await.unwrap(), "it does not hold any more");
    assert!(!bench.store.close_admin_session(&login(7)).await.unwrap(), "it never did");
    assert_eq!(holding(&bench, 8).await, [0, 2]);
}

async fn all_logins_end_at_once(bench: Bench) {
    assert_eq!(bench.store.close_all_admin_sessions().await.unwrap(), 0);
    open(&bench, 0..5).await;
    bench.store.close_admin_session(&login(4)).await.unwrap();
    assert_eq!(bench.store.close_all_admin_sessions().await.unwrap(), 4);
    assert_eq!(holding(&bench, 5).await, [] as [usize; 0]);
    open(&bench, 2..3).await;
    assert_eq!(holding(&bench, 5).await, [2]);
}

async fn one_login_too_many_ends_the_oldest(bench: Bench) {
    open(&bench, 0..MAX_ADMIN_SESSIONS).await;
    assert_eq!(holding(&bench, MAX_ADMIN_SESSIONS).await.len(), MAX_ADMIN_SESSIONS);
    // One that is noted again is not the oldest any more, and takes nobody's place.
    open(&bench, 0..1).await;
    assert_eq!(holding(&bench, MAX_ADMIN_SESSIONS).await.len(), MAX_ADMIN_SESSIONS);
    open(&bench, MAX_ADMIN_SESSIONS..MAX_ADMIN_SESSIONS + 3).await;
    let expected: Vec<_> = std::iter::once(0).chain(4..MAX_ADMIN_SESSIONS + 3).collect();
    assert_eq!(holding(&bench, MAX_ADMIN_SESSIONS + 3).await, expected);
}

fn entry(subject: impl ToString) -> NewAuditEntry {
    let (ip, action, outcome) = ("192.0.2.7".to_owned(), "delete".to_owned(), "done".to_owned());
    NewAuditEntry { ip, action, subject: subject.to_string(), outcome }
}

async fn audit(bench: &Bench, entry: &NewAuditEntry) {
    bench.store.audit(entry).await.unwrap();
}

/// Follows the pages to the end.
async fn all(bench: &Bench, count: usize) -> Vec<AuditEntry> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = bench.store.audit_page(before, count).await.unwrap();
        assert!(page.entries.len() == count || page.next.is_none(), "a page that is not the last is full");
        all.extend(page.entries);
        before = page.next;
        if before.is_none() {
            return all;
        }
    }
}

fn subjects(entries: &[AuditEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.what.subject.as_str()).collect()
}

async fn the_audit_is_read_newest_first_in_pages(bench: Bench) {
    let empty = bench.store.audit_page(None, 10).await.unwrap();
    assert_eq!((empty.entries, empty.next), (Vec::new(), None));
    for n in 1..=4 {
        audit(&bench, &entry(n)).await;
    }
    for count in 1..=5 {
        assert_eq!(subjects(&all(&bench, count).await), ["4", "3", "2", "1"], "in pages of {count}");
    }
    let first = bench.store.audit_page(None, 2).await.unwrap();
    // What comes meanwhile is on no later page.
    audit(&bench, &entry(5)).await;
    let second = bench.store.audit_page(first.next, 2).await.unwrap();
    assert_eq!((subjects(&second.entries), second.next), (vec!["2", "1"], None));
    let nothing = bench.store.audit_page(Some(Timestamp::EPOCH), 2).await.unwrap();
    assert_eq!((nothing.entries, nothing.next), (Vec::new(), None));
}

async fn no_two_entries_of_the_audit_have_the_same_instant(bench: Bench) {
    join_all((0..50).map(|n| audit_one(&bench, n))).await;
    let entries = all(&bench, 7).await;
    assert_eq!(entries.len(), 50);
    assert!(entries.is_sorted_by(|newer, older| newer.at > older.at));
}

async fn audit_one(bench: &Bench, n: usize) {
    audit(bench, &entry(n)).await;
}

async fn the_audit_keeps_the_newest(bench: Bench) {
    for _ in 0..3 {
        audit(&bench, &entry("old")).await;
    }
    stream::iter(0..MAX_AUDIT - 1).map(|n| audit_one(&bench, n)).buffer_unordered(100).collect::<Vec<_>>().await;
    audit(&bench, &entry("last")).await;
    let entries = all(&bench, 1000).await;
    assert_eq!((entries.len(), entries[0].what.subject.as_str()), (MAX_AUDIT, "last"));
    assert!(!subjects(&entries).contains(&"old"));
}

async fn the_audit_keeps_every_text_as_it_is_up_to_a_bound(bench: Bench) {
    let odd = ["", "a \"b\"\n\0 <c>", "🦊", &"ä".repeat(MAX_AUDIT_TEXT)].map(str::to_owned);
    let [ip, action, subject, outcome] = odd.clone();
    audit(&bench, &NewAuditEntry { ip, action, subject, outcome }).await;
    let [action, subject, outcome, ip] = odd;
    audit(&bench, &NewAuditEntry { ip: ip.clone() + "more", action, subject, outcome }).await;
    let entries = all(&bench, 10).await;
    let what = &entries[1].what;
    assert_eq!([&what.ip, &what.action, &what.subject, &what.outcome], ["", "a \"b\"\n\0 <c>", "🦊", &ip]);
    let what = &entries[0].what;
    assert_eq!([&what.ip, &what.action, &what.subject, &what.outcome], [&ip, "", "a \"b\"\n\0 <c>", "🦊"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_over_does_not_hold_on_redis() {
    let bench = Bench::redis();
    open(&bench, 0..3).await;
    let now = Timestamp::now().millis();
    for (n, ends) in [(0, now - 1000), (1, now + 60_000)] {
        bench.redis_cli(&["ZADD", "{}{deployment}:admins", &ends.to_string(), &login(n).to_hex()]);
    }
    assert_eq!(holding(&bench, 3).await, [1, 2]);
    assert!(!bench.store.close_admin_session(&login(0)).await.unwrap());
    assert_eq!(bench.store.close_all_admin_sessions().await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_and_audit_expire_on_redis() {
    let bench = Bench::redis();
    open(&bench, 0..2).await;
    audit(&bench, &entry("x")).await;
    for (key, life) in [("admins", ADMIN_SESSION_LIFE_MS), ("audit", AUDIT_LIFE_MS)] {
        let left: u64 = bench.redis_cli(&["PTTL", &format!("{{}}{{deployment}}:{key}")]).parse().unwrap();
        assert!(left > life - 60_000 && left <= life + 1, "{key} lives {left} ms");
    }
}
