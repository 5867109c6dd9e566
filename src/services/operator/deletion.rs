//! Deleting a session with all it owns, here and on the platforms.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use crate::services::Relay;
use crate::services::error::Error;

use super::access::Operator;
use super::sessions::{no_session, parse_user};

/// Platforms that are told at the same time.
const UNHOOK_AT_ONCE: usize = 32;
/// How long all of them together may take. Then the session goes all the same: what a platform sends to a channel
/// that is gone is answered 404.
const UNHOOK_TIME: Duration = Duration::from_secs(15);

impl Relay {
    /// Deletes a session: its bots are told to send nothing any more, its sockets are closed on every replica, and
    /// nothing of it is kept.
    pub async fn delete_session(&self, operator: &Operator, user: &str) -> Result<(), Error> {
        let id = parse_user(user)?;
        let found = self.store.summaries(&[id]).await?.into_iter().flatten().next();
        let channels = found.map(|session| session.channels).unwrap_or_default();
        let on_platforms = channels.iter().filter(|channel| channel.connection.is_some());
        let unhooking = stream::iter(on_platforms).for_each_concurrent(UNHOOK_AT_ONCE, async |channel| {
            match self.store.read_channel(&id, &channel.id).await {
                Ok(Some(record)) => self.unhook(id, &record).await,
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "a channel of a session that is deleted could not be read"),
            }
        });
        if tokio::time::timeout(UNHOOK_TIME, unhooking).await.is_err() {
            tracing::warn!(user, "not every platform was told in time that a session is deleted");
        }
        let was_there = self.store.delete_session(&id).await?;
        for channel in &channels {
            self.forget_owner(&channel.id);
            self.forget_channel(&channel.id);
        }
        if !was_there {
            return Err(no_session(user));
        }
        self.audit(operator, "delete session", user, &format!("deleted with {} channels", channels.len())).await;
        Ok(())
    }
}
