//! Logins of operators and the audit.

use async_trait::async_trait;

use super::keys::{self, ADMINS, AUDIT};
use super::tables::{Tx, View};
use super::values::{Reader, Writing, expires};
use super::{EmbeddedStore, Fault};
use crate::domain::digest::Digest;
use crate::domain::timestamp::Timestamp;
use crate::store::StoreError;
use crate::store::operator::{
    ADMIN_SESSION_LIFE_MS, AUDIT_LIFE_MS, AdminAccessStore, AuditEntry, AuditPage, MAX_ADMIN_SESSIONS, MAX_AUDIT,
    NewAuditEntry,
};

/// The logins that are noted, by their end, the oldest first. Some may be over.
fn admins(view: &dyn View) -> Result<Vec<(u64, Vec<u8>)>, Fault> {
    let mut admins = Vec::new();
    for entry in view.range(ADMINS, &keys::end_of(ADMINS))? {
        let (key, value) = entry?;
        admins.push((expires(value.value())?, key.value().to_vec()));
    }
    admins.sort_unstable();
    Ok(admins)
}

fn open_session(tx: &mut Tx<'_>, session: &Digest) -> Result<(), Fault> {
    let key = keys::admin(session);
    let mut others = admins(tx)?;
    others.retain(|(_, other)| *other != key);
    // No two end at the same time, so that there always is an oldest.
    let newest = others.last().map_or(0, |(ends, _)| *ends);
    let ends = tx.now.saturating_add(ADMIN_SESSION_LIFE_MS).max(newest + 1);
    let surplus = (others.len() + 1).saturating_sub(MAX_ADMIN_SESSIONS);
    for (_, oldest) in &others[..surplus] {
        tx.remove(oldest)?;
    }
    tx.put(&key, &Writing::default().number(ends).done())?;
    tx.schedule(ends, &key)
}

/// Ends a login; says whether it held.
fn close_session(tx: &mut Tx<'_>, key: &[u8]) -> Result<bool, Fault> {
    let ends = tx.get(key)?.map(|value| expires(value.value())).transpose()?;
    tx.remove(key)?;
    Ok(ends.is_some_and(|ends| ends > tx.now))
}

/// The head of the audit.
#[derive(Default)]
struct Head {
    expires: u64,
    /// Instant of the newest entry.
    last: u64,
    len: u64,
}

fn head(view: &dyn View) -> Result<Option<Head>, Fault> {
    let Some(value) = view.get(AUDIT)? else { return Ok(None) };
    let mut reader = Reader::new("the head of the audit", value.value());
    Ok(Some(Head { expires: reader.number()?, last: reader.number()?, len: reader.number()? }))
}

/// The oldest entry's key.
fn oldest(view: &dyn View) -> Result<Option<Vec<u8>>, Fault> {
    let mut entries = view.range(&keys::audit_entry(0), &keys::end_of(AUDIT))?;
    Ok(entries.next().transpose()?.map(|(key, _)| key.value().to_vec()))
}

fn append(tx: &mut Tx<'_>, entry: &NewAuditEntry) -> Result<(), Fault> {
    let before = head(tx)?;
    let is_new = before.is_none();
    let mut head = before.unwrap_or_default();
    if !is_new && head.expires <= tx.now {
        // The audit was over, and waits for the sweep.
        tx.remove_range(&keys::audit_entry(0), &keys::end_of(AUDIT))?;
        head.len = 0;
    }
    head.last = tx.now.max(head.last + 1);
    let value = Writing::default().text(&entry.ip).text(&entry.action).text(&entry.subject).text(&entry.outcome);
    tx.put(&keys::audit_entry(head.last), &value.done())?;
    if head.len < MAX_AUDIT as u64 {
        head.len += 1;
    } else if let Some(oldest) = oldest(tx)? {
        tx.remove(&oldest)?;
    }
    head.expires = tx.now.saturating_add(AUDIT_LIFE_MS);
    tx.put(AUDIT, &Writing::default().number(head.expires).number(head.last).number(head.len).done())?;
    // The sweep looks at the head when its first time comes, and comes again later.
    if is_new { tx.schedule(head.expires, AUDIT) } else { Ok(()) }
}

/// Removes up to `budget` entries of an audit to which nothing was added for so long that it is over; gives how many
/// records it removed.
pub(super) fn expire_audit(tx: &mut Tx<'_>, budget: usize) -> Result<usize, Fault> {
    let Some(head) = head(tx)? else { return Ok(0) };
    if head.expires > tx.now {
        tx.schedule(head.expires, AUDIT)?;
        return Ok(0);
    }
    let mut removed = 0;
    while removed < budget {
        let Some(oldest) = oldest(tx)? else {
            tx.remove(AUDIT)?;
            return Ok(removed + 1);
        };
        tx.remove(&oldest)?;
        removed += 1;
    }
    tx.schedule(tx.now, AUDIT)?;
    Ok(removed)
}

fn read_page(view: &dyn View, before: Option<Timestamp>, count: usize) -> Result<AuditPage, Fault> {
    let mut entries = Vec::new();
    if head(view)?.is_some_and(|head| head.expires > view.now()) {
        let to = before.map_or_else(|| keys::end_of(AUDIT), |before| keys::audit_entry(before.millis()));
        // One more tells whether there are more.
        for entry in view.range(&keys::audit_entry(0), &to)?.rev().take(count.saturating_add(1)) {
            let (key, value) = entry?;
            let at = keys::audit_instant(key.value()).ok_or(Fault::Record("the key of an entry of the audit"))?;
            let mut reader = Reader::new("an entry of the audit", value.value());
            let mut text = || reader.text().map(str::to_owned);
            let what = NewAuditEntry { ip: text()?, action: text()?, subject: text()?, outcome: text()? };
            entries.push(AuditEntry { at: Timestamp::from_millis(at), what });
        }
    }
    Ok(AuditPage::of(entries, count))
}

#[async_trait]
impl AdminAccessStore for EmbeddedStore {
    async fn open_admin_session(&self, session: &Digest) -> Result<(), StoreError> {
        let session = *session;
        self.writer.run(move |tx| open_session(tx, &session)).await
    }

    async fn has_admin_session(&self, session: &Digest) -> Result<bool, StoreError> {
        let key = keys::admin(session);
        self.read(move |view| {
            let ends = view.get(&key)?.map(|value| expires(value.value())).transpose()?;
            Ok(ends.is_some_and(|ends| ends > view.now()))
        })
        .await
    }

    async fn close_admin_session(&self, session: &Digest) -> Result<bool, StoreError> {
        let key = keys::admin(session);
        self.writer.run(move |tx| close_session(tx, &key)).await
    }

    async fn close_all_admin_sessions(&self) -> Result<u64, StoreError> {
        self.writer
            .run(|tx| {
                let mut held = 0;
                for (_, key) in admins(tx)? {
                    held += u64::from(close_session(tx, &key)?);
                }
                Ok(held)
            })
            .await
    }

    async fn audit(&self, entry: &NewAuditEntry) -> Result<(), StoreError> {
        let entry = entry.shortened();
        self.writer.run(move |tx| append(tx, &entry)).await
    }

    async fn audit_page(&self, before: Option<Timestamp>, count: usize) -> Result<AuditPage, StoreError> {
        self.read(move |view| read_page(view, before, count.max(1))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::testing::Lab;

    fn login(n: u8) -> Digest {
        Digest::of(&[n])
    }

    fn entry(subject: &str) -> NewAuditEntry {
        NewAuditEntry { subject: subject.to_owned(), ..NewAuditEntry::default() }
    }

    async fn subjects(lab: &Lab) -> Vec<String> {
        let page = lab.store.audit_page(None, 10).await.unwrap();
        page.entries.into_iter().map(|entry| entry.what.subject).collect()
    }

    #[tokio::test]
    async fn a_login_survives_a_restart_and_ends_after_a_day() {
        let lab = Lab::new();
        lab.store.open_admin_session(&login(1)).await.unwrap();
        let lab = lab.reopen();
        lab.advance(ADMIN_SESSION_LIFE_MS - 1);
        assert!(lab.store.has_admin_session(&login(1)).await.unwrap());
        lab.advance(1);
        assert!(!lab.store.has_admin_session(&login(1)).await.unwrap());
        lab.store.open_admin_session(&login(2)).await.unwrap();
        assert_eq!(lab.store.close_all_admin_sessions().await.unwrap(), 1, "what is over does not count");
        assert_eq!(lab.rows().await.0, 0);
        lab.store.open_admin_session(&login(3)).await.unwrap();
        lab.advance(ADMIN_SESSION_LIFE_MS);
        assert!(!lab.store.close_admin_session(&login(3)).await.unwrap());
    }

    #[tokio::test]
    async fn logins_are_swept_when_they_are_over() {
        let lab = Lab::new();
        lab.store.open_admin_session(&login(1)).await.unwrap();
        lab.advance(1000);
        lab.store.open_admin_session(&login(2)).await.unwrap();
        lab.advance(ADMIN_SESSION_LIFE_MS - 1000);
        assert_eq!(lab.sweep(1000).await, (1, 1));
        lab.advance(1000);
        assert_eq!(lab.sweep(1000).await, (0, 0));
    }

    #[tokio::test]
    async fn the_audit_survives_a_restart_and_a_clock_that_goes_back() {
        let lab = Lab::new();
        for subject in ["a", "b"] {
            lab.store.audit(&entry(subject)).await.unwrap();
        }
        let lab = lab.reopen();
        lab.set_clock(1000);
        lab.store.audit(&entry("c")).await.unwrap();
        assert_eq!(subjects(&lab).await, ["c", "b", "a"]);
    }

    #[tokio::test]
    async fn the_audit_ends_as_a_whole_when_nothing_was_added_for_long() {
        let lab = Lab::new();
        lab.store.audit(&entry("a")).await.unwrap();
        lab.advance(AUDIT_LIFE_MS - 1);
        lab.store.audit(&entry("b")).await.unwrap();
        lab.advance(AUDIT_LIFE_MS - 1);
        lab.sweep(1).await;
        assert_eq!(subjects(&lab).await, ["b", "a"]);
        lab.advance(1);
        assert_eq!(subjects(&lab).await, Vec::<String>::new());
        assert_eq!(lab.sweep(1).await, (0, 0));
        lab.store.audit(&entry("c")).await.unwrap();
        assert_eq!(subjects(&lab).await, ["c"]);
    }

    #[tokio::test]
    async fn an_audit_that_is_over_and_not_swept_shows_nothing_old_again() {
        let lab = Lab::new();
        lab.store.audit(&entry("a")).await.unwrap();
        lab.advance(AUDIT_LIFE_MS);
        lab.store.audit(&entry("b")).await.unwrap();
        assert_eq!(subjects(&lab).await, ["b"]);
    }
}
