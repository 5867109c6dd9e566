//! Sessions as an operator sees them.

use std::collections::HashMap;

use crate::domain::ids::{MessageId, UserId};
use crate::services::Relay;
use crate::services::error::Error;
use crate::store::operator::{
    Direction, HistoryPage, HistoryQuery, ReplyState, SessionList, SessionQuery, SessionSummary,
};

use super::access::Operator;

/// Pages of a history that one request reads at most to fill a page that is filtered.
const FILTER_READS: usize = 8;

/// A session with a page of what was said in it.
pub struct SessionPage {
    /// The session.
    pub summary: SessionSummary,
    /// What was said.
    pub history: HistoryPage,
    /// How far its replies are.
    pub replies: HashMap<MessageId, ReplyState>,
}

pub(super) fn no_session(user: &str) -> Error {
    // An id is shown as it was sent, but no more of it than an id can have.
    let shown: String = user.chars().take(36).collect();
    Error::NotFound { code: "unknown_session", message: format!("there is no session {shown:?}") }
}

/// Reads a user's id from a path.
pub(super) fn parse_user(user: &str) -> Result<UserId, Error> {
    user.parse().map_err(|_| no_session(user))
}

impl Relay {
    /// A page of the sessions.
    pub async fn list_sessions(&self, query: &SessionQuery<'_>) -> Result<SessionList, Error> {
        Ok(self.store.list_sessions(query).await?)
    }

    /// A page of what was said in a session.
    pub async fn session_history(&self, user: &str, query: &HistoryQuery<'_>) -> Result<HistoryPage, Error> {
        let id = parse_user(user)?;
        let mut page = self.store.history(&id, query).await?.ok_or_else(|| no_session(user))?;
        for _ in 1..FILTER_READS {
            let room = query.count - page.entries.len().min(query.count);
            let Some(next) = page.next.take_if(|_| room > 0) else { break };
            let rest = HistoryQuery { before: Some(&next), count: room, ..query.clone() };
            let Some(more) = self.store.history(&id, &rest).await? else { break };
            page.entries.extend(more.entries);
            page.next = more.next;
        }
        Ok(page)
    }

    /// A session with a page of what was said in it.
    pub async fn open_session(&self, user: &str, query: &HistoryQuery<'_>) -> Result<SessionPage, Error> {
        let (summary, history) = tokio::try_join!(self.session_summary(user), self.session_history(user, query))?;
        let sent = history.entries.iter().filter(|entry| entry.direction == Direction::Out);
        let ids: Vec<_> = sent.filter_map(|entry| entry.record.id()).collect();
        let states = self.store.reply_states(&summary.user, &ids).await?;
        let replies = ids.into_iter().zip(states).filter_map(|(id, state)| Some((id, state?))).collect();
        Ok(SessionPage { summary, history, replies })
    }

    /// A session.
    pub async fn session_summary(&self, user: &str) -> Result<SessionSummary, Error> {
        let found = self.store.summaries(&[parse_user(user)?]).await?.into_iter().flatten().next();
        found.ok_or_else(|| no_session(user))
    }

    /// Closes the sockets of a session, wherever they are. Gives how many there were.
    pub async fn disconnect_session(&self, operator: &Operator, user: &str) -> Result<u64, Error> {
        let session = self.session_summary(user).await?;
        let sockets = self.store.disconnect(&session.user).await?;
        self.audit(operator, "disconnect", user, &format!("{sockets} sockets closed")).await;
        Ok(sockets)
    }
}
