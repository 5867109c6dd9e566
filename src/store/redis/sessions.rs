//! Sessions, gates and counters on Redis.

use async_trait::async_trait;
use futures_util::future::try_join_all;
use redis::{Cmd, Value};

use super::RedisStore;
use super::answer::{Answer, gated_answer, gated_call, millis};
use super::script;
use crate::domain::channel::Channel;
use crate::domain::digest::Digest;
use crate::domain::ids::{ChannelId, UserId};
use crate::domain::limit::LimitStatus;
use crate::domain::timestamp::Timestamp;
use crate::store::{
    ChannelStore as _, CounterStore, Gate, Gated, Holder, LimitUse, NewSession, RENEW_AFTER_MS, SESSION_LIFE_MS,
    SessionRecord, SessionStore, StoreError, TOUCH_AFTER_MS,
};

/// Life of what points at a user, in milliseconds: longer than the session's own, so that a session
/// never becomes unreachable while it lives.
pub(super) const POINTER_LIFE_MS: u64 = SESSION_LIFE_MS + 2 * 24 * 60 * 60 * 1000;

/// Channels that are deleted at once when their session is: enough not to wait for one after the other, and few
/// enough to leave the server time for others.
const DELETED_AT_ONCE: usize = 16;

/// What a session that is used says of itself.
struct InUse {
    api_key: Digest,
    /// When it was made, in milliseconds.
    created: u64,
    /// Its last recorded use, in milliseconds.
    used: u64,
    /// What is left of its life, in milliseconds.
    left: u64,
}

impl RedisStore {
    async fn session(&self, user: &UserId) -> Result<Option<SessionRecord>, StoreError> {
        let mut read = redis::cmd("HMGET");
        read.arg(self.keys.session(user)).arg(&["k", "a", "p", "c"]);
        read_session(user, &mut Answer::new(self.link.command(&read).await?)?)
    }

    /// Records a use unless there is a young one.
    async fn use_session(&self, user: &UserId) -> Result<Option<InUse>, StoreError> {
        let mut call = script::USE_SESSION.call(&[self.keys.session(user)]);
        call.arg(TOUCH_AFTER_MS);
        let mut answer = Answer::new(self.link.script(&script::USE_SESSION, &call).await?)?;
        let Some(api_key) = answer.optional_text()? else { return Ok(None) };
        let api_key = read_digest(&api_key)?;
        Ok(Some(InUse { api_key, created: answer.number()?, used: answer.number()?, left: answer.number()? }))
    }

    /// The ids of a user's channels.
    async fn channel_ids(&self, user: &UserId) -> Result<Vec<ChannelId>, StoreError> {
        let mut read = redis::cmd("SMEMBERS");
        read.arg(self.keys.channels(user));
        let mut answer = Answer::new(self.link.command(&read).await?)?;
        let mut ids = Vec::new();
        while let Some(id) = answer.optional_text()? {
            ids.extend(id.parse());
        }
        Ok(ids)
    }

    /// Name of the bot or address of a user's channel, and the channel, which may be gone or not be readable.
    async fn channel_notes(
        &self,
        user: &UserId,
        channel: &ChannelId,
    ) -> Result<(Option<String>, Option<Channel>), StoreError> {
        let mut read = redis::cmd("HMGET");
        read.arg(self.keys.channel(user, channel)).arg("i").arg("d");
        let mut answer = Answer::new(self.link.command(&read).await?)?;
        let identity = answer.optional_text()?.filter(|name| !name.is_empty());
        let channel = answer.optional_text()?.and_then(|json| serde_json::from_str(&json).ok());
        Ok((identity, channel))
    }

    /// Gives a session and all it owns a whole life, and lists all of it.
    async fn renew_session(&self, user: &UserId, session: &InUse) -> Result<(), StoreError> {
        let renew = |key: String, life: u64| -> Cmd {
            let mut renew = redis::cmd("PEXPIRE");
            renew.arg(key).arg(life);
            renew
        };
        let ids = self.channel_ids(user).await?;
        let notes = try_join_all(ids.iter().map(|id| self.channel_notes(user, id))).await?;
        let mut commands = vec![
            renew(self.keys.session(user), SESSION_LIFE_MS),
            renew(self.keys.channels(user), POINTER_LIFE_MS),
            renew(self.keys.api_key(&session.api_key), POINTER_LIFE_MS),
        ];
        let mut channels = Vec::with_capacity(ids.len());
        for (id, (identity, channel)) in ids.iter().zip(notes) {
            commands.push(renew(self.keys.channel(user, id), POINTER_LIFE_MS));
            commands.push(renew(self.keys.channel_pointer(id), POINTER_LIFE_MS));
            commands.extend(identity.map(|name| renew(self.keys.identity(&name), POINTER_LIFE_MS)));
            channels.extend(channel);
        }
        let renewed = try_join_all(commands.iter().map(|command| self.link.command(command)));
        let listed = self.list_session(user, session.used, session.created, &channels, true);
        tokio::try_join!(renewed, listed)?;
        Ok(())
    }

    /// Deletes a channel of a session that is deleted, with what became of its replies and the name of its bot.
    async fn delete_owned(&self, user: &UserId, id: &ChannelId) -> Result<(), StoreError> {
        if let (Some(identity), _) = self.channel_notes(user, id).await? {
            self.drop_identity(&identity, &Holder { user: *user, channel: id.clone() }).await?;
        }
        let mut forget = script::FORGET_REPLIES.call(&[self.keys.responses(user, id)]);
        forget.arg(self.keys.reply_stem(user));
        self.link.script(&script::FORGET_REPLIES, &forget).await?;
        self.remove_record(user, id).await.map(drop)
    }

    async fn point(&self, key: String, user: &UserId) -> Result<(), StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(user.to_string()).arg("PX").arg(POINTER_LIFE_MS);
        self.writes.command(&set).await.map(drop)
    }
}

fn read_digest(hex: &str) -> Result<Digest, StoreError> {
    Digest::from_hex(hex).ok_or_else(|| StoreError::Corrupt("the digest of an API key".to_owned()))
}

fn read_session(user: &UserId, fields: &mut Answer) -> Result<Option<SessionRecord>, StoreError> {
    let Some(api_key) = fields.optional_text()? else { return Ok(None) };
    Ok(Some(SessionRecord {
        user: *user,
        api_key: read_digest(&api_key)?,
        sealed_api_key: fields.text()?,
        public_key: Some(fields.text()?).filter(|key| !key.is_empty()),
        created: Timestamp::from_millis(fields.number()?),
    }))
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn create_session(&self, new: &NewSession) -> Result<SessionRecord, StoreError> {
        let mut call = script::CREATE_SESSION.call(&[self.keys.session(&new.user)]);
        call.arg(new.api_key.to_hex())
            .arg(&new.sealed_api_key)
            .arg(new.public_key.as_deref().unwrap_or_default())
            .arg(SESSION_LIFE_MS);
        let mut fields = Answer::new(self.writes.script(&script::CREATE_SESSION, &call).await?)?;
        let session = read_session(&new.user, &mut fields)?
            .ok_or_else(|| StoreError::Corrupt("a session that was just made".to_owned()))?;
        let used = fields.number()?;
        let point = self.point(self.keys.api_key(&session.api_key), &new.user);
        let created = session.created.millis();
        if session.api_key == new.api_key {
            let list = self.list_gently(self.list_session(&new.user, used, created, &[], false));
            // Written at each registration, so one that broke off here is mended by the next.
            tokio::join!(point, list).0?;
        } else {
            point.await?;
            let in_use = InUse { api_key: session.api_key, created, used, left: 0 };
            self.renew_session(&new.user, &in_use).await?;
        }
        Ok(session)
    }

    async fn find_session(&self, api_key: &Digest) -> Result<Option<SessionRecord>, StoreError> {
        let mut read = redis::cmd("GET");
        read.arg(self.keys.api_key(api_key));
        let Some(user) = read_user(self.link.command(&read).await?) else { return Ok(None) };
        let session = self.session(&user).await?;
        Ok(session.filter(|session| session.api_key == *api_key))
    }

    async fn authorize(&self, gate: &Gate) -> Result<Gated<()>, StoreError> {
        let call = gated_call(&self.keys, &script::AUTHORIZE, gate, &[]);
        let answer = self.link.script(&script::AUTHORIZE, &call).await?;
        gated_answer(gate, answer, |_| Ok(()))
    }

    async fn touch_session(&self, user: &UserId) -> Result<(), StoreError> {
        let Some(session) = self.use_session(user).await? else { return Ok(()) };
        if session.left > SESSION_LIFE_MS - RENEW_AFTER_MS && self.list_use(user, session.used).await? {
            return Ok(());
        }
        self.renew_session(user, &session).await
    }

    async fn delete_session(&self, user: &UserId) -> Result<bool, StoreError> {
        let session = self.session(user).await?;
        let ids = self.channel_ids(user).await?;
        for id in &ids {
            self.release_channel(user, id).await?;
        }
        // The session goes first: no gate opens and no channel can be stored from here on. The set of its channels
        // ends with the last of them, so that a deletion that broke off can be repeated.
        let mut delete = redis::cmd("DEL");
        delete.arg(&[self.keys.session(user), self.keys.messages(user), self.keys.last(user), self.keys.sockets(user)]);
        self.writes.command(&delete).await?;
        for some in ids.chunks(DELETED_AT_ONCE) {
            try_join_all(some.iter().map(|id| self.delete_owned(user, id))).await?;
        }
        if let Some(session) = &session {
            let mut delete = redis::cmd("DEL");
            delete.arg(self.keys.api_key(&session.api_key));
            self.writes.command(&delete).await?;
        }
        self.unlist_session(user, "*", &[]).await?;
        let mut publish = redis::cmd("SPUBLISH");
        publish.arg(self.keys.wake(user)).arg("s");
        self.link.command(&publish).await?;
        Ok(session.is_some())
    }

    async fn deployment_key(&self, candidate: &str) -> Result<String, StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys.deployment_key()).arg(candidate).arg("NX").arg("GET");
        match self.writes.command(&set).await? {
            Value::BulkString(first) => {
                String::from_utf8(first).map_err(|_| StoreError::Corrupt("the deployment's key".to_owned()))
            }
            _ => Ok(candidate.to_owned()),
        }
    }
}

/// A user id as pointers hold it; a claim that is not settled has a word after it.
pub(super) fn read_user(value: Value) -> Option<UserId> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(&bytes).ok()?.split(' ').next()?.parse().ok(),
        _ => None,
    }
}

#[async_trait]
impl CounterStore for RedisStore {
    async fn count_use(&self, counter: &LimitUse) -> Result<LimitStatus, StoreError> {
        let mut call = script::COUNT_USE.call(&[self.keys.limit(&counter.counter)]);
        call.arg(millis(counter.limit.window()));
        let answer = self.link.script(&script::COUNT_USE, &call).await?;
        Answer::new(answer)?.limit(counter.limit)
    }
}
