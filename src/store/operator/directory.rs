//! Sessions as the operator lists, searches and opens them.

use crate::domain::channel::Channel;
use crate::domain::ids::UserId;
use crate::domain::timestamp::Timestamp;
use crate::store::StoreError;

/// Length of a socket's id as text.
const SOCKET_ID_LEN: usize = 36;

/// By what sessions are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionOrder {
    /// By their last recorded use.
    LastSeen,
    /// By when they were made.
    Created,
}

/// Where a page of a list ended. Lists change while somebody pages through them: the next page starts after this
/// entry, or where it would be, so that what stays in the list is neither skipped nor shown twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListCursor {
    /// By what the list is sorted, in milliseconds since the epoch; 0 in a search.
    pub at: u64,
    /// The entry: a user, or in a search the term that was found with its user.
    pub entry: String,
}

/// Which sessions to list.
#[derive(Debug, Clone)]
pub struct SessionQuery<'a> {
    /// How they are sorted. A search sorts by what was found.
    pub order: SessionOrder,
    /// The oldest first.
    pub oldest_first: bool,
    /// Only those of which a name starts with this, in any case: the user's id, the id of a channel, the name or
    /// user name of a bot, an address of a mailbox.
    pub search: Option<&'a str>,
    /// The end of the page before.
    pub after: Option<&'a ListCursor>,
    /// At most so many; at least 1.
    pub count: usize,
}

/// A socket that is open somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSocket {
    /// When it was opened.
    pub since: Timestamp,
    /// The replica that holds it, as [`super::ReplicaInfo::id`]; empty if that is not known.
    pub replica: String,
}

impl OpenSocket {
    /// Reads the place of a socket: `<microseconds>-<socket>-<replica>`. Older relays did not name the replica.
    pub(in crate::store) fn of_place(place: &str) -> Option<Self> {
        let (micros, rest) = place.split_once('-')?;
        let since = Timestamp::from_millis(micros.parse::<u64>().ok()? / 1000);
        let replica = rest.get(SOCKET_ID_LEN..).and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
        Some(Self { since, replica: replica.to_owned() })
    }
}

/// A session with what it owns, without secrets that could be used.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionSummary {
    /// Whose it is.
    pub user: UserId,
    /// When it was made.
    pub created: Timestamp,
    /// Its last recorded use.
    pub last_seen: Timestamp,
    /// Whether it signs with a key of its own.
    pub has_public_key: bool,
    /// Its channels, by id.
    pub channels: Vec<Channel>,
    /// Its open sockets, the oldest first.
    pub sockets: Vec<OpenSocket>,
}

/// A page of sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionList {
    /// The sessions. There may be fewer than were asked for though more follow.
    pub sessions: Vec<SessionSummary>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<ListCursor>,
    /// Sessions there are in all, whatever was searched for.
    pub total: u64,
    /// How many come before this page; 0 in a search.
    pub skipped: u64,
}

/// The directory of sessions.
#[async_trait::async_trait]
pub trait DirectoryStore: Send + Sync {
    /// A page of the sessions. A session is listed from its making, or at the latest from its next use.
    async fn list_sessions(&self, query: &SessionQuery<'_>) -> Result<SessionList, StoreError>;

    /// These sessions, in this order; `None` for a user without one.
    async fn summaries(&self, users: &[UserId]) -> Result<Vec<Option<SessionSummary>>, StoreError>;

    /// Closes the user's open sockets wherever they are, by [`crate::store::Wake::Disconnected`], and frees their
    /// places. Gives how many there were. Clients come back.
    async fn disconnect(&self, user: &UserId) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_says_since_when_and_where_a_socket_is_open() {
        let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let socket = |replica: &str| OpenSocket { since: Timestamp::from_millis(1_000), replica: replica.to_owned() };
        assert_eq!(OpenSocket::of_place(&format!("0000000001000999-{id}-12ab34cd")), Some(socket("12ab34cd")));
        assert_eq!(OpenSocket::of_place(&format!("0000000001000999-{id}")), Some(socket("")), "of an older relay");
        for odd in ["", "1", "x-y", &format!("-{id}")] {
            assert_eq!(OpenSocket::of_place(odd), None, "{odd}");
        }
        assert_eq!(OpenSocket::of_place("0000000001000999-short"), Some(socket("")));
    }
}
