//! Who is logged in as operator, and what operators did.

use crate::domain::digest::Digest;
use crate::domain::text::truncate_plain;
use crate::domain::timestamp::Timestamp;
use crate::store::StoreError;

/// How long an operator stays logged in, in milliseconds. Part of the wire contract.
pub const ADMIN_SESSION_LIFE_MS: u64 = 24 * 60 * 60 * 1000;
/// Operators logged in at the same time; beyond, the login that is oldest ends.
pub const MAX_ADMIN_SESSIONS: usize = 100;
/// Entries of the audit that are kept, the newest.
pub const MAX_AUDIT: usize = 5_000;
/// How long they are kept after the last of them, in milliseconds.
pub const AUDIT_LIFE_MS: u64 = 90 * 24 * 60 * 60 * 1000;

/// Characters of each text of an entry that are kept, which bounds what strangers can have written.
pub const MAX_AUDIT_TEXT: usize = 200;

/// Something that an operator did, or somebody who wanted to be one. Texts beyond [`MAX_AUDIT_TEXT`] are cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// From where; empty if that is not known.
    pub ip: String,
    /// A word for what was done, such as `login`.
    pub action: String,
    /// To what, such as a user's id; may be empty.
    pub subject: String,
    /// What became of it, in a few words.
    pub outcome: String,
}

impl NewAuditEntry {
    /// The entry as it is kept.
    pub(in crate::store) fn shortened(&self) -> Self {
        let cut = |text: &str| truncate_plain(text, MAX_AUDIT_TEXT).to_owned();
        Self { ip: cut(&self.ip), action: cut(&self.action), subject: cut(&self.subject), outcome: cut(&self.outcome) }
    }
}

/// An entry with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, by the store's clock. No two entries have the same.
    pub at: Timestamp,
    /// What was done.
    pub what: NewAuditEntry,
}

/// A page of the audit, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<Timestamp>,
}

impl AuditPage {
    /// A page of `count` entries, from one more than that if there are more.
    pub(in crate::store) fn of(mut entries: Vec<AuditEntry>, count: usize) -> Self {
        let has_more = entries.len() > count;
        entries.truncate(count);
        Self { next: entries.last().map(|last| last.at).filter(|_| has_more), entries }
    }
}

/// Logins of operators, and the audit.
#[async_trait::async_trait]
pub trait AdminAccessStore: Send + Sync {
    /// Notes a login under this digest, for [`ADMIN_SESSION_LIFE_MS`].
    async fn open_admin_session(&self, session: &Digest) -> Result<(), StoreError>;

    /// Whether this login holds.
    async fn has_admin_session(&self, session: &Digest) -> Result<bool, StoreError>;

    /// Ends a login, on every replica at once; says whether it held.
    async fn close_admin_session(&self, session: &Digest) -> Result<bool, StoreError>;

    /// Ends all logins; gives how many held.
    async fn close_all_admin_sessions(&self) -> Result<u64, StoreError>;

    /// Adds to the audit. The oldest entries make room.
    async fn audit(&self, entry: &NewAuditEntry) -> Result<(), StoreError>;

    /// A page of the audit: at most `count` entries older than `before`.
    async fn audit_page(&self, before: Option<Timestamp>, count: usize) -> Result<AuditPage, StoreError>;
}
