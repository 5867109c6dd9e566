//! What the operator's pages ask of a store. Nothing here is on the path of a message.
//!
//! Each method costs a bounded number of round trips and a bounded amount of work, however large the deployment is.
//! Lists are kept beside the records they name, so they may name what is gone and never hide what is there for long:
//! whoever reads a list looks at the records and drops what has none.

mod admin_access;
mod deliveries;
mod directory;
mod history;
mod key_browser;
pub(in crate::store) mod masking;
pub(in crate::store) mod names;
mod pulse;

pub use admin_access::{
    ADMIN_SESSION_LIFE_MS, AUDIT_LIFE_MS, AdminAccessStore, AuditEntry, AuditPage, MAX_ADMIN_SESSIONS, MAX_AUDIT,
    MAX_AUDIT_TEXT, NewAuditEntry,
};
pub use deliveries::{
    DeliveryCounts, DeliveryDeskStore, DeliveryEntry, DeliveryPage, DeliveryQuery, DeliveryState, DropOutcome,
    RedriveOutcome,
};
pub use directory::{DirectoryStore, ListCursor, OpenSocket, SessionList, SessionOrder, SessionQuery, SessionSummary};
pub use history::{Direction, HistoryCursor, HistoryEntry, HistoryPage, HistoryQuery, HistoryStore, ReplyState};
pub use key_browser::{KeyBrowserStore, KeyField, KeyInfo, KeyKind, KeyKinds, KeyPage, KeyView};
pub use pulse::{
    Beat, COUNTERS, Counter, Counts, MAX_RECENT, MINUTES_KEPT, Minute, Pulse, PulseStore, REPLICA_LIFE_MS,
    RecentPointer, ReplicaInfo, ReplicaStatus,
};
