//! Which channel has which bot or address.

use super::Fault;
use super::channels::live_owner;
use super::keys::{self, Owned};
use super::tables::{Tx, View};
use super::values::{Reader, StoredChannel, Writing, expires};
use super::{EmbeddedStore, gate};
use crate::domain::connection::Connection;
use crate::store::{Holder, SESSION_LIFE_MS, StoreError};

/// How long a note lives before it is looked at whether its channel is there, in milliseconds.
const NOTE_LIFE_MS: u64 = SESSION_LIFE_MS;

fn holder(view: &dyn View, key: &[u8]) -> Result<Option<Holder>, Fault> {
    let Some(value) = view.get(key)? else { return Ok(None) };
    let mut reader = Reader::new("the holder of a bot or address", value.value());
    reader.number()?;
    Ok(Some(Holder { user: reader.user()?, channel: reader.parsed()? }))
}

fn write(tx: &mut Tx<'_>, key: &[u8], holder: &Holder) -> Result<(), Fault> {
    let until = tx.now.saturating_add(NOTE_LIFE_MS);
    let note = Writing::default().number(until).text(&holder.user.to_string()).text(holder.channel.as_str());
    tx.put(key, &note.done())?;
    tx.schedule(until, key)
}

/// Whether the channel is there and has the bot or address of this name.
fn is_held(view: &dyn View, name: &str, holder: &Holder) -> Result<bool, Fault> {
    if live_owner(view, &holder.channel)? != Some(holder.user) {
        return Ok(false);
    }
    let Some(session) = gate::live_session(view, &holder.user)? else { return Ok(false) };
    let Some(value) = view.get(&Owned(session.number).channel(&holder.channel))? else { return Ok(false) };
    let channel = StoredChannel::read(value.value())?.channel()?;
    Ok(channel.connection.as_ref().map(Connection::identity).as_deref() == Some(name))
}

/// Removes a note whose channel is gone, or looks again later; gives how many records went.
pub(super) fn expire(tx: &mut Tx<'_>, key: &[u8]) -> Result<usize, Fault> {
    let Some(until) = tx.get(key)?.map(|value| expires(value.value())).transpose()? else {
        return Ok(0);
    };
    if until > tx.now {
        tx.schedule(until, key)?;
        return Ok(0);
    }
    if let Some(holder) = holder(tx, key)?
        && let Some(name) = keys::identity_of(key)
        && is_held(tx, name, &holder)?
    {
        write(tx, key, &holder)?;
        return Ok(0);
    }
    tx.remove(key)?;
    Ok(1)
}

impl EmbeddedStore {
    pub(super) async fn hold(&self, identity: &str, by: &Holder, replaces: bool) -> Result<Option<Holder>, StoreError> {
        let (key, by) = (keys::identity(identity), by.clone());
        self.writer
            .run(move |tx| {
                let before = holder(tx, &key)?;
                if replaces || before.as_ref().is_none_or(|before| *before == by) {
                    write(tx, &key, &by)?;
                }
                Ok(before)
            })
            .await
    }

    pub(super) async fn holder(&self, identity: &str) -> Result<Option<Holder>, StoreError> {
        let key = keys::identity(identity);
        self.read(move |view| holder(view, &key)).await
    }

    pub(super) async fn drop_held(&self, identity: &str, by: &Holder) -> Result<(), StoreError> {
        let (key, by) = (keys::identity(identity), by.clone());
        self.writer
            .run(move |tx| {
                if holder(tx, &key)?.is_some_and(|holder| holder == by) {
                    tx.remove(&key)?;
                }
                Ok(())
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::testing::{Client, Lab};
    use crate::store::{ChannelStore as _, SessionStore as _};

    async fn hold(lab: &Lab, client: &Client, name: &str) {
        let holder = Holder { user: client.user, channel: "c".parse().unwrap() };
        lab.store.hold_identity(name, &holder, true).await.unwrap();
    }

    /// Lets the life of a note pass twice, while the session is used.
    async fn long_after(lab: &Lab, client: &Client) {
        for _ in 0..4 {
            lab.advance(NOTE_LIFE_MS / 2);
            lab.store.touch_session(&client.user).await.unwrap();
            lab.sweep(1000).await;
        }
    }

    #[tokio::test]
    async fn a_note_lives_as_long_as_its_channel_has_the_bot() {
        let lab = Lab::new();
        let client = lab.bot("c").await;
        hold(&lab, &client, "telegram:c").await;
        hold(&lab, &client, "telegram:former").await;
        long_after(&lab, &client).await;
        assert!(lab.store.identity_holder("telegram:c").await.unwrap().is_some());
        assert_eq!(lab.store.identity_holder("telegram:former").await.unwrap(), None);
        let rows = lab.rows().await;
        long_after(&lab, &client).await;
        assert_eq!(lab.rows().await, rows, "it is looked at once each time");
        assert!(lab.store.delete_channel(&client.user, &"c".parse().unwrap()).await.unwrap());
        long_after(&lab, &client).await;
        assert_eq!(lab.store.identity_holder("telegram:c").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_note_without_a_channel_or_a_session_ends() {
        let lab = Lab::new();
        let client = lab.bot("c").await;
        hold(&lab, &client, "telegram:c").await;
        let stranger = Client { user: crate::domain::ids::UserId::random(), ..client };
        hold(&lab, &stranger, "telegram:other").await;
        // The session goes unused.
        lab.advance(2 * NOTE_LIFE_MS);
        lab.sweep(1000).await;
        for name in ["telegram:c", "telegram:other"] {
            assert_eq!(lab.store.identity_holder(name).await.unwrap(), None, "{name}");
        }
        assert_eq!(lab.rows().await, (1, 0), "the number of the newest session");
    }
}
