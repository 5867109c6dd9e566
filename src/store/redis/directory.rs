//! The directory of sessions on Redis.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::RedisStore;
use super::answer::{Answer, unexpected};
use super::script;
use crate::domain::channel::Channel;
use crate::domain::ids::UserId;
use crate::domain::timestamp::Timestamp;
use crate::store::StoreError;
use crate::store::operator::{
    DirectoryStore, ListCursor, OpenSocket, SessionList, SessionOrder, SessionQuery, SessionSummary, names,
};

/// How often a search goes on when what it found is not to be shown, before it gives the page it has.
const SEARCH_ROUNDS: usize = 4;

/// A row of a list.
struct Row {
    user: UserId,
    /// Score or member, as the list has it.
    entry: String,
    /// The user's last use as it is listed; empty if it is not.
    seen: String,
}

/// Some rows of a list, with how many users there are and how many rows come before.
struct Rows {
    total: u64,
    skipped: u64,
    rows: Vec<Row>,
}

fn read_rows(answer: &mut Answer) -> Result<Rows, StoreError> {
    let (total, skipped) = (answer.number()?, answer.number()?);
    let mut rows = Vec::new();
    while let Some(row) = answer.next() {
        let mut row = Answer::new(row)?;
        let user = row.text()?.parse().map_err(|_| StoreError::Corrupt("the directory of sessions".to_owned()))?;
        rows.push(Row { user, entry: row.text()?, seen: row.text()? });
    }
    Ok(Rows { total, skipped, rows })
}

fn read_summary(user: &UserId, answer: &mut Answer) -> Result<Option<SessionSummary>, StoreError> {
    let Some(created) = answer.optional_text()? else { return Ok(None) };
    let millis = |text: &str| {
        text.parse().map(Timestamp::from_millis).map_err(|_| StoreError::Corrupt("a time of a session".to_owned()))
    };
    let (created, last_seen) = (millis(&created)?, millis(&answer.text()?)?);
    let has_public_key = !answer.text()?.is_empty();
    let (mut texts, mut channels) = (answer.list()?, Vec::new());
    while let Some(json) = texts.optional_text()? {
        // One that cannot be read hides neither the others nor other sessions.
        let channel = serde_json::from_str(&json).ok();
        channels.extend(channel.map(|channel| Channel { sealed_secret: None, ..channel }));
    }
    channels.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
    let (mut texts, mut places) = (answer.list()?, Vec::new());
    while let Some(place) = texts.optional_text()? {
        places.push(place);
    }
    places.sort_unstable();
    let sockets = places.iter().filter_map(|place| OpenSocket::of_place(place)).collect();
    Ok(Some(SessionSummary { user: *user, created, last_seen, has_public_key, channels, sockets }))
}

impl RedisStore {
    async fn summary(&self, user: &UserId) -> Result<Option<SessionSummary>, StoreError> {
        let mut call =
            script::SUMMARY.call(&[self.keys.session(user), self.keys.channels(user), self.keys.sockets(user)]);
        call.arg(self.keys.channel_stem(user));
        read_summary(user, &mut Answer::new(self.link.script(&script::SUMMARY, &call).await?)?)
    }

    async fn sorted_page(&self, query: &SessionQuery<'_>) -> Result<SessionList, StoreError> {
        let list = match query.order {
            SessionOrder::LastSeen => self.keys.directory_seen(),
            SessionOrder::Created => self.keys.directory_created(),
        };
        let mut call = script::LIST_PAGE.call(&[list, self.keys.directory_seen()]);
        call.arg(if query.oldest_first { "" } else { "1" });
        match query.after {
            Some(after) => call.arg(after.at).arg(&after.entry),
            None => call.arg("").arg(""),
        };
        // One more than is shown says whether there are more.
        call.arg(query.count.saturating_add(1));
        let found = self.link.script(&script::LIST_PAGE, &call).await?;
        let Rows { total, skipped, mut rows } = read_rows(&mut Answer::new(found)?)?;
        let has_more = rows.len() > query.count;
        rows.truncate(query.count);
        let next = match rows.last().filter(|_| has_more) {
            Some(last) => Some(ListCursor { at: read_score(&last.entry)?, entry: last.user.to_string() }),
            None => None,
        };
        let users: Vec<_> = rows.iter().map(|row| row.user).collect();
        let summaries = self.summaries(&users).await?;
        let gone = rows.iter().zip(&summaries).filter(|(_, summary)| summary.is_none());
        try_join_all(gone.map(|(row, _)| self.unlist_session(&row.user, &row.seen, &[]))).await?;
        Ok(SessionList { sessions: summaries.into_iter().flatten().collect(), next, total, skipped })
    }

    /// One round of a search: rows after an entry of the list, or from the beginning.
    async fn find_names(&self, prefix: &str, after: &str, count: usize) -> Result<Rows, StoreError> {
        let mut call = script::FIND_NAMES.call(&[self.keys.directory_names(), self.keys.directory_seen()]);
        call.arg(prefix).arg(after).arg(count);
        read_rows(&mut Answer::new(self.link.script(&script::FIND_NAMES, &call).await?)?)
    }

    async fn found_page(&self, query: &SessionQuery<'_>, prefix: &str) -> Result<SessionList, StoreError> {
        let mut list = SessionList { sessions: Vec::new(), next: None, total: 0, skipped: 0 };
        let mut after = query.after.map(|after| {
            let (name, user) = names::name_and_user(&after.entry);
            format!("{name}\0{user}")
        });
        for _ in 0..SEARCH_ROUNDS {
            let room = query.count.saturating_sub(list.sessions.len());
            let found = self.find_names(prefix, after.as_deref().unwrap_or_default(), room.saturating_add(1)).await?;
            let Rows { total, mut rows, .. } = found;
            list.total = total;
            let has_more = rows.len() > room;
            rows.truncate(room);
            after = rows.last().map(|row| row.entry.clone()).filter(|_| has_more);
            self.show(prefix, rows, &mut list.sessions).await?;
            if after.is_none() || list.sessions.len() * 2 >= query.count {
                break;
            }
        }
        list.next = after.map(|after| {
            let (name, user) = after.split_once('\0').unwrap_or((&after, ""));
            ListCursor { at: 0, entry: names::entry(name, user) }
        });
        Ok(list)
    }

    /// Adds the sessions of rows that were found by their names: each under the first of its names only, so that
    /// none is shown twice. Rows that name what is gone leave the list.
    async fn show(&self, prefix: &str, rows: Vec<Row>, sessions: &mut Vec<SessionSummary>) -> Result<(), StoreError> {
        let mut users: Vec<_> = rows.iter().map(|row| row.user).collect();
        users.sort_unstable();
        users.dedup();
        let summaries = self.summaries(&users).await?;
        let mut found: HashMap<UserId, Option<SessionSummary>> = users.into_iter().zip(summaries).collect();
        for row in rows {
            let name = row.entry.split_once('\0').map_or("", |(name, _)| name);
            match found.get_mut(&row.user) {
                Some(shown @ Some(_)) => {
                    let session = shown.as_ref().expect("the pattern says so");
                    if !names::has(session, name) {
                        let mut remove = redis::cmd("ZREM");
                        remove.arg(self.keys.directory_names()).arg(&row.entry);
                        self.link.command(&remove).await?;
                    } else if names::first_with(session, prefix).as_deref() == Some(name) {
                        sessions.extend(shown.clone());
                    }
                }
                _ => self.unlist_session(&row.user, &row.seen, std::slice::from_ref(&row.entry)).await?,
            }
        }
        Ok(())
    }
}

fn read_score(score: &str) -> Result<u64, StoreError> {
    score.parse().map_err(|_| StoreError::Corrupt("a time in the directory of sessions".to_owned()))
}

#[async_trait]
impl DirectoryStore for RedisStore {
    async fn list_sessions(&self, query: &SessionQuery<'_>) -> Result<SessionList, StoreError> {
        match query.search.map(names::prefix) {
            None => self.sorted_page(query).await,
            Some(Some(prefix)) => self.found_page(query, &prefix).await,
            Some(None) => {
                let mut count = redis::cmd("ZCARD");
                count.arg(self.keys.directory_seen());
                let total = match self.link.command(&count).await? {
                    redis::Value::Int(total) => u64::try_from(total).unwrap_or(0),
                    other => return Err(unexpected(&other)),
                };
                Ok(SessionList { sessions: Vec::new(), next: None, total, skipped: 0 })
            }
        }
    }

    async fn summaries(&self, users: &[UserId]) -> Result<Vec<Option<SessionSummary>>, StoreError> {
        try_join_all(users.iter().map(|user| self.summary(user))).await
    }

    async fn disconnect(&self, user: &UserId) -> Result<u64, StoreError> {
        let call = script::DISCONNECT.call(&[self.keys.sockets(user), self.keys.wake(user)]);
        match self.link.script(&script::DISCONNECT, &call).await? {
            redis::Value::Int(count) => Ok(u64::try_from(count).unwrap_or(0)),
            other => Err(unexpected(&other)),
        }
    }
}
