//! Keeping the directory of sessions: the lists lie in another slot than the records they name.
//!
//! Records are written first, lists right after. What breaks off in between is put right when the session is
//! renewed, which lists all of it anew; what is listed and not there is dropped by whoever reads the list.

use super::RedisStore;
use super::script;
use super::sessions::POINTER_LIFE_MS;
use crate::domain::channel::Channel;
use crate::domain::ids::{ChannelId, UserId};
use crate::store::operator::names;
use crate::store::{SESSION_LIFE_MS, SessionStore as _, StoreError};

/// The names of a channel as the scripts read them.
fn lines(channel: &Channel) -> String {
    names::of_channel(channel).join("\n")
}

impl RedisStore {
    /// Lists a session with its last use and its creation, in milliseconds, and these channels: all there are, or
    /// some.
    pub(super) async fn list_session(
        &self,
        user: &UserId,
        used: u64,
        created: u64,
        channels: &[Channel],
        are_all: bool,
    ) -> Result<(), StoreError> {
        let mut call = script::LIST_SESSION.call(&[
            self.keys.directory_seen(),
            self.keys.directory_created(),
            self.keys.directory_names(),
            self.keys.directory_of(user),
        ]);
        call.arg(user.to_string())
            .arg(used)
            .arg(created)
            .arg(POINTER_LIFE_MS)
            .arg(SESSION_LIFE_MS)
            .arg(self.keys.directory_stem())
            .arg(if are_all { "1" } else { "" })
            .arg("")
            .arg(names::of_user(user));
        for channel in channels {
            call.arg(channel.id.as_str()).arg(lines(channel));
        }
        self.link.script(&script::LIST_SESSION, &call).await.map(drop)
    }

    /// Lists a session's last use; says whether the session is listed at all.
    pub(super) async fn list_use(&self, user: &UserId, used: u64) -> Result<bool, StoreError> {
        let mut call = script::LIST_USE.call(&[self.keys.directory_seen()]);
        call.arg(user.to_string()).arg(used);
        Ok(self.link.script(&script::LIST_USE, &call).await? == redis::Value::Int(1))
    }

    /// Lists a channel as it is now.
    pub(super) async fn list_channel(&self, user: &UserId, channel: &Channel) -> Result<(), StoreError> {
        if self.write_names(user, &channel.id, &lines(channel)).await? {
            return Ok(());
        }
        // The session is one of an older relay, or it ended in the meantime.
        self.touch_session(user).await
    }

    /// Takes a channel off the lists.
    pub(super) async fn unlist_channel(&self, user: &UserId, channel: &ChannelId) -> Result<(), StoreError> {
        self.write_names(user, channel, "").await.map(drop)
    }

    /// Says whether the session is listed.
    async fn write_names(&self, user: &UserId, channel: &ChannelId, lines: &str) -> Result<bool, StoreError> {
        let mut call = script::LIST_CHANNEL.call(&[
            self.keys.directory_seen(),
            self.keys.directory_names(),
            self.keys.directory_of(user),
        ]);
        call.arg(user.to_string()).arg(channel.as_str()).arg(lines).arg(POINTER_LIFE_MS);
        Ok(self.link.script(&script::LIST_CHANNEL, &call).await? == redis::Value::Int(1))
    }

    /// Takes a session off all lists, and these entries off that of the names. `seen` is its last use as it was
    /// listed when the session was not found, empty if it was not listed: should it be there again, it stays.
    /// `*` takes it off in any case.
    pub(super) async fn unlist_session(&self, user: &UserId, seen: &str, entries: &[String]) -> Result<(), StoreError> {
        let mut call = script::UNLIST_SESSION.call(&[
            self.keys.directory_seen(),
            self.keys.directory_created(),
            self.keys.directory_names(),
            self.keys.directory_of(user),
        ]);
        call.arg(user.to_string()).arg(seen).arg(entries);
        self.link.script(&script::UNLIST_SESSION, &call).await.map(drop)
    }

    /// Runs to its end what keeps the lists. The records are safe by then, and it is made up for when the session
    /// is renewed: an error is nobody's but the operator's.
    pub(super) async fn list_gently(&self, listing: impl Future<Output = Result<(), StoreError>>) {
        if let Err(error) = listing.await {
            tracing::debug!(%error, "the directory of sessions could not be kept; it is put right later");
        }
    }
}
