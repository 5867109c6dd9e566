//! The directory of sessions.

use std::collections::HashMap;

use async_trait::async_trait;

use super::keys::directory::{BY_CREATION, BY_NAME, BY_USE, listed, listed_user, name_of, named_user};
use super::keys::{self, Owned};
use super::shared::Shared;
use super::tables::View;
use super::{EmbeddedStore, Fault, gate, session_lists};
use crate::domain::channel::Channel;
use crate::domain::ids::UserId;
use crate::domain::timestamp::Timestamp;
use crate::store::operator::{
    DirectoryStore, ListCursor, SessionList, SessionOrder, SessionQuery, SessionSummary, names,
};
use crate::store::{StoreError, Wake};

/// The most names a search looks at before it gives the page it has.
const MAX_LOOKED_AT: usize = 500;

/// A [`SessionQuery`] that a reading thread can keep.
struct OwnedQuery {
    order: SessionOrder,
    oldest_first: bool,
    search: Option<String>,
    after: Option<ListCursor>,
    count: usize,
}

impl From<&SessionQuery<'_>> for OwnedQuery {
    fn from(query: &SessionQuery<'_>) -> Self {
        Self {
            order: query.order,
            oldest_first: query.oldest_first,
            search: query.search.map(str::to_owned),
            after: query.after.cloned(),
            count: query.count,
        }
    }
}

/// The session with what it owns; `None` also for one that cannot be read, which must not hide the others.
fn summary(view: &dyn View, shared: &Shared, user: &UserId) -> Result<Option<SessionSummary>, Fault> {
    let session = match gate::live_session(view, user) {
        Ok(Some(session)) => session,
        Ok(None) | Err(Fault::Record(_)) => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let channels = session_lists::channels(view, Owned(session.number))?;
    Ok(Some(SessionSummary {
        user: *user,
        created: session.record.created,
        last_seen: Timestamp::from_millis(session.used),
        has_public_key: session.record.public_key.is_some(),
        channels: channels.into_iter().map(|channel| Channel { sealed_secret: None, ..channel }).collect(),
        sockets: shared.sockets().open(user, view.now()),
    }))
}

fn sorted_page(view: &dyn View, shared: &Shared, query: &OwnedQuery) -> Result<SessionList, Fault> {
    let list = match query.order {
        SessionOrder::LastSeen => BY_USE,
        SessionOrder::Created => BY_CREATION,
    };
    let (start, end) = (list.to_vec(), keys::end_of(list));
    let after = query.after.as_ref().map(|after| listed(list, after.at, &after.entry));
    // The keys of the page, and those before it.
    let (page, before) = match (after, query.oldest_first) {
        (None, _) => ((start.clone(), end), (start.clone(), start)),
        // The first key behind another is that key and a zero byte.
        (Some(after), true) => {
            let from = [&after[..], &[0]].concat();
            ((from.clone(), end), (start, from))
        }
        (Some(after), false) => ((start, after.clone()), (after, end)),
    };
    let mut found = SessionList { sessions: Vec::new(), next: None, total: session_lists::total(view)?, skipped: 0 };
    found.skipped = view.range(&before.0, &before.1)?.count() as u64;
    let mut entries = view.range(&page.0, &page.1)?;
    let mut seen = 0;
    let mut last = None;
    while let Some(entry) = if query.oldest_first { entries.next() } else { entries.next_back() } {
        if seen == query.count {
            found.next = last;
            break;
        }
        seen += 1;
        let (at, user) = listed_user(list, entry?.0.value()).ok_or(Fault::Record("the directory of sessions"))?;
        found.sessions.extend(summary(view, shared, &user)?);
        last = Some(ListCursor { at, entry: user.to_string() });
    }
    Ok(found)
}

fn found_page(view: &dyn View, shared: &Shared, query: &OwnedQuery, prefix: &str) -> Result<SessionList, Fault> {
    let mut found = SessionList { sessions: Vec::new(), next: None, total: session_lists::total(view)?, skipped: 0 };
    let start = [BY_NAME, prefix.as_bytes()].concat();
    let end = keys::end_of(&start);
    let after = query.after.as_ref().map(|after| {
        let (name, user) = names::name_and_user(&after.entry);
        keys::end_of(&name_of(name, user))
    });
    let from = after.filter(|after| *after > start).unwrap_or(start);
    if from >= end {
        return Ok(found);
    }
    let mut summaries: HashMap<UserId, Option<SessionSummary>> = HashMap::new();
    let mut last: Option<ListCursor> = None;
    for (looked_at, entry) in view.range(&from, &end)?.enumerate() {
        let entry = entry?;
        let (name, user) = named_user(entry.0.value()).ok_or(Fault::Record("the directory of sessions"))?;
        let place = names::entry(name, &user.to_string());
        // A user's channels of one name stand together, and are one place.
        if last.as_ref().is_some_and(|last| last.entry == place) {
            continue;
        }
        if found.sessions.len() == query.count || looked_at >= MAX_LOOKED_AT {
            found.next = last;
            break;
        }
        let session = match summaries.entry(user) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => new.insert(summary(view, shared, &user)?),
        };
        // Each session is shown under the first of its names, so that none is shown twice.
        if session.as_ref().and_then(|session| names::first_with(session, prefix)).as_deref() == Some(name) {
            found.sessions.extend(session.clone());
        }
        last = Some(ListCursor { at: 0, entry: place });
    }
    Ok(found)
}

#[async_trait]
impl DirectoryStore for EmbeddedStore {
    async fn list_sessions(&self, query: &SessionQuery<'_>) -> Result<SessionList, StoreError> {
        let (shared, query) = (self.shared.clone(), OwnedQuery::from(query));
        self.read(move |view| match query.search.as_deref().map(names::prefix) {
            None => sorted_page(view, &shared, &query),
            Some(Some(prefix)) => found_page(view, &shared, &query, &prefix),
            Some(None) => {
                Ok(SessionList { sessions: Vec::new(), next: None, total: session_lists::total(view)?, skipped: 0 })
            }
        })
        .await
    }

    async fn summaries(&self, users: &[UserId]) -> Result<Vec<Option<SessionSummary>>, StoreError> {
        let (shared, users) = (self.shared.clone(), users.to_vec());
        self.read(move |view| users.iter().map(|user| summary(view, &shared, user)).collect()).await
    }

    async fn disconnect(&self, user: &UserId) -> Result<u64, StoreError> {
        let count = {
            let mut sockets = self.shared.sockets();
            let open = sockets.open(user, self.shared.now()).len();
            sockets.forget(user);
            open as u64
        };
        self.shared.wake_all(vec![(*user, Wake::Disconnected)]);
        Ok(count)
    }
}
