//! Sessions and the deployment's key.

use async_trait::async_trait;

use super::keys::{self, DEPLOYMENT_KEY, NEWEST_SESSION, Owned};
use super::tables::{Tx, View};
use super::values::{Reader, Session, Writing};
use super::{EmbeddedStore, Fault, gate, session_lists};
use crate::domain::digest::Digest;
use crate::domain::ids::UserId;
use crate::domain::timestamp::Timestamp;
use crate::store::{Gate, Gated, NewSession, SessionRecord, SessionStore, StoreError, Wake};

/// Ends a session: nothing finds it or what it owned from here on, and the sweep clears it away.
pub(super) fn end_session(tx: &mut Tx<'_>, session: &Session) -> Result<(), Fault> {
    session_lists::unlist(tx, session)?;
    tx.remove(&keys::session(&session.record.user))?;
    tx.remove(&keys::api_key(&session.record.api_key))?;
    tx.schedule(tx.now, &Owned(session.number).prefix())
}

fn stored_session(view: &dyn View, user: &UserId) -> Result<Option<Session>, Fault> {
    view.get(&keys::session(user))?.map(|value| Session::read(user, value.value())).transpose()
}

fn create(tx: &mut Tx<'_>, new: NewSession) -> Result<SessionRecord, Fault> {
    if let Some(session) = gate::live_session(tx, &new.user)? {
        let record = session.record.clone();
        gate::touch(tx, session)?;
        return Ok(record);
    }
    let newest = tx.get(NEWEST_SESSION)?.map(|value| Reader::new("the newest session", value.value()).number());
    let number = newest.transpose()?.unwrap_or(0) + 1;
    if let Some(expired) = stored_session(tx, &new.user)? {
        end_session(tx, &expired)?;
    }
    let record = SessionRecord {
        user: new.user,
        api_key: new.api_key,
        sealed_api_key: new.sealed_api_key,
        public_key: new.public_key,
        created: Timestamp::from_millis(tx.now),
    };
    let session = Session { number, used: tx.now, record: record.clone() };
    let key = keys::session(&new.user);
    tx.put(NEWEST_SESSION, &Writing::default().number(number).done())?;
    tx.put(&key, &session.write())?;
    tx.put(&keys::api_key(&new.api_key), &Writing::default().text(&new.user.to_string()).done())?;
    tx.schedule(session.expires(), &key)?;
    session_lists::list(tx, &session)?;
    Ok(record)
}

#[async_trait]
impl SessionStore for EmbeddedStore {
    async fn create_session(&self, new: &NewSession) -> Result<SessionRecord, StoreError> {
        let new = new.clone();
        self.writer.run(move |tx| create(tx, new)).await
    }

    async fn find_session(&self, api_key: &Digest) -> Result<Option<SessionRecord>, StoreError> {
        let api_key = *api_key;
        self.read(move |view| {
            let Some(pointer) = view.get(&keys::api_key(&api_key))? else { return Ok(None) };
            let user = Reader::new("the user of an API key", pointer.value()).user()?;
            Ok(gate::session_with_key(view, &user, &api_key)?.map(|session| session.record))
        })
        .await
    }

    async fn authorize(&self, gate: &Gate) -> Result<Gated<()>, StoreError> {
        self.read_gated(gate, |_, _| Ok(())).await
    }

    async fn touch_session(&self, user: &UserId) -> Result<(), StoreError> {
        let user = *user;
        self.writer
            .run(move |tx| match gate::live_session(tx, &user)? {
                // A use that was just recorded has renewed its life: that costs no second write.
                Some(session) if gate::is_touch_due(tx, &session) => gate::touch(tx, session),
                _ => Ok(()),
            })
            .await
    }

    async fn delete_session(&self, user: &UserId) -> Result<bool, StoreError> {
        let user = *user;
        self.writer
            .run(move |tx| {
                let was_live = gate::live_session(tx, &user)?.is_some();
                if let Some(session) = stored_session(tx, &user)? {
                    end_session(tx, &session)?;
                }
                tx.wake(&user, Wake::SessionGone);
                Ok(was_live)
            })
            .await
    }

    async fn deployment_key(&self, candidate: &str) -> Result<String, StoreError> {
        let candidate = candidate.to_owned();
        self.writer
            .run(move |tx| {
                let first = tx.get(DEPLOYMENT_KEY)?.map(|value| value.value().to_vec());
                let Some(first) = first else {
                    tx.put(DEPLOYMENT_KEY, candidate.as_bytes())?;
                    return Ok(candidate);
                };
                String::from_utf8(first).map_err(|_| Fault::Record("the deployment's key"))
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::signing::NONCE_LIFE_MS;
    use crate::store::embedded::testing::{Lab, START};
    use crate::store::{
        ChannelStore as _, Denied, MessageStore as _, PutChannel, SESSION_LIFE_MS, Since, TOUCH_AFTER_MS,
    };

    #[tokio::test]
    async fn a_user_who_has_a_session_keeps_it_and_its_key() {
        let lab = Lab::new();
        let client = lab.session().await;
        let other_key = NewSession { api_key: Digest::of(b"other"), ..client.new_session() };
        lab.advance(5);
        let session = lab.store.create_session(&other_key).await.unwrap();
        assert_eq!((session.api_key, session.created.millis()), (client.api_key, START));
        assert_eq!(lab.store.find_session(&client.api_key).await.unwrap(), Some(session));
        assert_eq!(lab.store.find_session(&other_key.api_key).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_gate_asks_for_the_session_then_the_nonce_then_the_limit() {
        let lab = Lab::new();
        let client = lab.session().await;
        let mut gate = client.gate_with_nonce("n");
        gate.limit = client.gate_with_limit("poll", "1/1m").limit;
        let mut stranger = gate.clone();
        stranger.api_key = Digest::of(b"wrong");
        assert_eq!(lab.store.authorize(&stranger).await.unwrap().unwrap_err(), Denied::UnknownSession);
        let granted = lab.store.authorize(&gate).await.unwrap().unwrap();
        assert_eq!(granted.limit.unwrap().used, 1);
        assert_eq!(lab.store.authorize(&gate).await.unwrap().unwrap_err(), Denied::NonceUsed);
        gate.nonce = client.gate_with_nonce("m").nonce;
        let Denied::OverLimit(status) = lab.store.authorize(&gate).await.unwrap().unwrap_err() else { panic!() };
        assert_eq!((status.used, status.reset_seconds()), (2, 60));
        gate.limit = None;
        assert_eq!(lab.store.authorize(&gate).await.unwrap().unwrap_err(), Denied::NonceUsed, "it was claimed");
    }

    #[tokio::test]
    async fn a_nonce_is_forgotten_after_its_life() {
        let lab = Lab::new();
        let client = lab.session().await;
        let gate = client.gate_with_nonce("n");
        lab.store.authorize(&gate).await.unwrap().unwrap();
        lab.advance(NONCE_LIFE_MS - 1);
        assert!(lab.store.authorize(&gate).await.unwrap().is_err());
        lab.advance(1);
        assert!(lab.store.authorize(&gate).await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_use_is_recorded_when_the_last_one_is_old_and_one_caller_is_told() {
        let lab = Lab::new();
        let client = lab.session().await;
        lab.advance(TOUCH_AFTER_MS);
        assert!(!lab.store.authorize(&client.gate()).await.unwrap().unwrap().touch_due);
        lab.advance(1);
        assert!(lab.store.authorize(&client.gate()).await.unwrap().unwrap().touch_due);
        assert!(!lab.store.authorize(&client.gate()).await.unwrap().unwrap().touch_due);
    }

    #[tokio::test]
    async fn a_session_ends_with_all_it_owns_when_it_goes_unused() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        lab.accepted(&client, "c").await;
        lab.advance(SESSION_LIFE_MS - 1);
        lab.store.touch_session(&client.user).await.unwrap();
        lab.advance(SESSION_LIFE_MS - 1);
        assert!(lab.store.find_session(&client.api_key).await.unwrap().is_some());
        lab.advance(1);
        assert_eq!(lab.store.find_session(&client.api_key).await.unwrap(), None);
        assert_eq!(lab.store.channel_owner(&"c".parse().unwrap()).await.unwrap(), None);
        let other = lab.session().await;
        assert_eq!(lab.put(&other, "c").await, PutChannel::Stored, "the id is free");
    }

    #[tokio::test]
    async fn a_deleted_session_leaves_nothing_and_its_watchers_hear_of_it() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        lab.accepted(&client, "c").await;
        lab.watcher.watch(&client.user).await.unwrap();
        assert!(lab.store.delete_session(&client.user).await.unwrap());
        assert_eq!(lab.take_wakes(), [(client.user, Wake::SessionGone)]);
        assert!(!lab.store.delete_session(&client.user).await.unwrap());
        assert_eq!(lab.store.find_session(&client.api_key).await.unwrap(), None);

        lab.store.create_session(&client.new_session()).await.unwrap();
        let page = lab.store.read_messages(&client.user, Since::Last(1000), 10).await.unwrap();
        assert_eq!((page.records.len(), page.cursor), (0, Timestamp::EPOCH));
        assert_eq!(lab.store.channels(&client.gate()).await.unwrap().unwrap().value, []);
        assert_eq!(lab.put(&client, "c").await, PutChannel::Stored);
        lab.sweep(1000).await;
        assert_eq!(lab.store.channel_owner(&"c".parse().unwrap()).await.unwrap(), Some(client.user));
    }
}
