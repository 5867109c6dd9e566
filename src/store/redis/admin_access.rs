//! Logins of operators and the audit on Redis.

use async_trait::async_trait;
use redis::Value;

use super::RedisStore;
use super::answer::{Answer, unexpected};
use super::script;
use crate::domain::digest::Digest;
use crate::domain::timestamp::Timestamp;
use crate::store::StoreError;
use crate::store::operator::{
    ADMIN_SESSION_LIFE_MS, AUDIT_LIFE_MS, AdminAccessStore, AuditEntry, AuditPage, MAX_ADMIN_SESSIONS, MAX_AUDIT,
    NewAuditEntry,
};

/// Names of an entry's fields, in the order in which they are written.
const FIELDS: [&str; 4] = ["ip", "action", "subject", "outcome"];

impl RedisStore {
    /// Ends a login, or all; gives how many held.
    async fn close_admins(&self, session: Option<&Digest>) -> Result<u64, StoreError> {
        let mut call = script::CLOSE_ADMIN_SESSIONS.call(&[self.keys.admins()]);
        call.arg(session.map(|session| session.to_hex()).unwrap_or_default());
        read_number(&self.link.script(&script::CLOSE_ADMIN_SESSIONS, &call).await?)
    }
}

fn read_number(value: &Value) -> Result<u64, StoreError> {
    match value {
        Value::Int(number) => Ok(u64::try_from(*number).unwrap_or(0)),
        other => Err(unexpected(other)),
    }
}

/// Reads an entry of the stream: `[id, [field, value, …]]`.
fn read_entry(row: Value) -> Result<AuditEntry, StoreError> {
    let mut row = Answer::new(row)?;
    let id = row.text()?;
    let at = id.split('-').next().and_then(|ms| ms.parse().ok()).map(Timestamp::from_millis);
    let at = at.ok_or_else(|| StoreError::Corrupt("the instant of an entry of the audit".to_owned()))?;
    let mut what = NewAuditEntry::default();
    let mut fields = row.list()?;
    while let Some(name) = fields.optional_text()? {
        let value = fields.text()?;
        match name.as_str() {
            "ip" => what.ip = value,
            "action" => what.action = value,
            "subject" => what.subject = value,
            "outcome" => what.outcome = value,
            // Written by another version.
            _ => {}
        }
    }
    Ok(AuditEntry { at, what })
}

#[async_trait]
impl AdminAccessStore for RedisStore {
    async fn open_admin_session(&self, session: &Digest) -> Result<(), StoreError> {
        let mut call = script::OPEN_ADMIN_SESSION.call(&[self.keys.admins()]);
        call.arg(session.to_hex()).arg(ADMIN_SESSION_LIFE_MS).arg(MAX_ADMIN_SESSIONS);
        self.link.script(&script::OPEN_ADMIN_SESSION, &call).await.map(drop)
    }

    async fn has_admin_session(&self, session: &Digest) -> Result<bool, StoreError> {
        let mut call = script::HAS_ADMIN_SESSION.call(&[self.keys.admins()]);
        call.arg(session.to_hex());
        Ok(read_number(&self.link.script(&script::HAS_ADMIN_SESSION, &call).await?)? == 1)
    }

    async fn close_admin_session(&self, session: &Digest) -> Result<bool, StoreError> {
        Ok(self.close_admins(Some(session)).await? == 1)
    }

    async fn close_all_admin_sessions(&self) -> Result<u64, StoreError> {
        self.close_admins(None).await
    }

    async fn audit(&self, entry: &NewAuditEntry) -> Result<(), StoreError> {
        let entry = entry.shortened();
        let mut call = script::AUDIT.call(&[self.keys.audit()]);
        call.arg(MAX_AUDIT).arg(AUDIT_LIFE_MS);
        for (name, value) in FIELDS.iter().zip([&entry.ip, &entry.action, &entry.subject, &entry.outcome]) {
            call.arg(name).arg(value);
        }
        self.link.script(&script::AUDIT, &call).await.map(drop)
    }

    async fn audit_page(&self, before: Option<Timestamp>, count: usize) -> Result<AuditPage, StoreError> {
        let count = count.max(1);
        let mut read = redis::cmd("XREVRANGE");
        read.arg(self.keys.audit());
        match before {
            // Up to the end of the millisecond before.
            Some(before) => read.arg(before.millis().saturating_sub(1)),
            None => read.arg("+"),
        };
        // One more tells whether there are more.
        read.arg("-").arg("COUNT").arg(count.saturating_add(1));
        let (mut rows, mut entries) = (Answer::new(self.link.command(&read).await?)?, Vec::new());
        while let Some(row) = rows.next() {
            entries.push(read_entry(row)?);
        }
        Ok(AuditPage::of(entries, count))
    }
}
