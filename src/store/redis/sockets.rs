//! Places of sockets on Redis.

use async_trait::async_trait;

use super::RedisStore;
use super::answer::{Answer, add_since};
use super::script;
use crate::domain::ids::UserId;
use crate::store::{
    MAX_MESSAGES, SOCKET_LEASE_MS, Since, SocketLease, SocketOutcome, SocketStore, StoreError, TOUCH_AFTER_MS,
};

#[async_trait]
impl SocketStore for RedisStore {
    async fn hold_socket(&self, lease: &SocketLease, since: Since, count: usize) -> Result<SocketOutcome, StoreError> {
        let user = &lease.user;
        let mut call = script::HOLD_SOCKET.call(&[
            self.keys.session(user),
            self.keys.sockets(user),
            self.keys.last(user),
            self.keys.messages(user),
            self.keys.wake(user),
        ]);
        call.arg(lease.api_key.to_hex())
            .arg(lease.place.as_deref().unwrap_or_default())
            .arg(lease.socket.to_string())
            .arg(SOCKET_LEASE_MS)
            .arg(lease.cap);
        add_since(&mut call, since);
        call.arg(count).arg(MAX_MESSAGES).arg(TOUCH_AFTER_MS).arg(&*lease.replica);
        let mut answer = Answer::new(self.link.script(&script::HOLD_SOCKET, &call).await?)?;
        let word = answer.text()?;
        Ok(match word.as_str() {
            "session" => SocketOutcome::NoSession,
            "evicted" => SocketOutcome::Evicted,
            _ => SocketOutcome::Held {
                place: answer.text()?,
                touch_due: answer.number()? == 1,
                page: answer.page(count)?,
            },
        })
    }

    async fn release_socket(&self, user: &UserId, place: &str) -> Result<(), StoreError> {
        let mut remove = redis::cmd("ZREM");
        remove.arg(self.keys.sockets(user)).arg(place);
        self.link.command(&remove).await.map(drop)
    }
}
