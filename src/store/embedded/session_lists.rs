//! Keeping the directory of sessions, in the transactions that write the records.

use redb::{Database, ReadableDatabase as _, StorageError};

use super::keys::directory::{BY_CREATION, BY_USE, LISTED, listed, name};
use super::keys::{self, Owned, SESSIONS};
use super::tables::{META, Tx, View, table_fault};
use super::values::{Reader, Session, StoredChannel, Writing};
use super::{Fault, storage_fault};
use crate::domain::channel::Channel;
use crate::domain::ids::{ChannelId, UserId};
use crate::store::operator::names;

/// Says in the file that all its sessions are listed.
const MARK: &str = "directory";

/// How many sessions are listed.
pub(super) fn total(view: &dyn View) -> Result<u64, Fault> {
    let total = view.get(LISTED)?.map(|value| Reader::new("the number of sessions", value.value()).number());
    Ok(total.transpose()?.unwrap_or(0))
}

fn write_total(tx: &mut Tx<'_>, total: u64) -> Result<(), Fault> {
    match total {
        0 => tx.remove(LISTED).map(drop),
        total => tx.put(LISTED, &Writing::default().number(total).done()),
    }
}

/// Lists a new session, without channels.
pub(super) fn list(tx: &mut Tx<'_>, session: &Session) -> Result<(), Fault> {
    let user = &session.record.user;
    let text = user.to_string();
    tx.put(&listed(BY_USE, session.used, &text), &[])?;
    tx.put(&listed(BY_CREATION, session.record.created.millis(), &text), &[])?;
    tx.put(&name(&names::of_user(user), user, None), &[])?;
    let total = total(tx)?;
    write_total(tx, total.saturating_add(1))
}

/// Moves a session that was used.
pub(super) fn move_use(tx: &mut Tx<'_>, user: &UserId, from: u64, to: u64) -> Result<(), Fault> {
    let text = user.to_string();
    tx.remove(&listed(BY_USE, from, &text))?;
    tx.put(&listed(BY_USE, to, &text), &[])
}

/// Takes a session off all lists, with its channels.
pub(super) fn unlist(tx: &mut Tx<'_>, session: &Session) -> Result<(), Fault> {
    let (user, owned) = (&session.record.user, Owned(session.number));
    let text = user.to_string();
    for channel in channels(tx, owned)? {
        remove_names(tx, user, &channel)?;
    }
    tx.remove(&listed(BY_CREATION, session.record.created.millis(), &text))?;
    tx.remove(&name(&names::of_user(user), user, None))?;
    if tx.remove(&listed(BY_USE, session.used, &text))? {
        let total = total(tx)?;
        write_total(tx, total.saturating_sub(1))?;
    }
    Ok(())
}

fn remove_names(tx: &mut Tx<'_>, user: &UserId, channel: &Channel) -> Result<(), Fault> {
    for own in names::of_channel(channel) {
        tx.remove(&name(&own, user, Some(&channel.id)))?;
    }
    Ok(())
}

fn put_names(tx: &mut Tx<'_>, user: &UserId, channel: &Channel) -> Result<(), Fault> {
    for own in names::of_channel(channel) {
        tx.put(&name(&own, user, Some(&channel.id)), &[])?;
    }
    Ok(())
}

/// Lists a channel under its names in place of those it has, before it is written; `None` takes it off.
pub(super) fn list_channel(
    tx: &mut Tx<'_>,
    user: &UserId,
    owned: Owned,
    id: &ChannelId,
    channel: Option<&Channel>,
) -> Result<(), Fault> {
    let before = tx.get(&owned.channel(id))?.and_then(|value| readable(value.value()));
    if before.as_ref().map(names::of_channel) == channel.map(names::of_channel) {
        return Ok(());
    }
    if let Some(before) = before {
        remove_names(tx, user, &before)?;
    }
    channel.map_or(Ok(()), |channel| put_names(tx, user, channel))
}

/// The channel, if it can be read: one that cannot must not keep others from being listed.
fn readable(value: &[u8]) -> Option<Channel> {
    StoredChannel::read(value).and_then(|channel| channel.channel()).ok()
}

/// A session's channels that can be read, by id.
pub(super) fn channels(view: &dyn View, owned: Owned) -> Result<Vec<Channel>, Fault> {
    let prefix = owned.channels();
    let mut channels = Vec::new();
    for entry in view.range(&prefix, &keys::end_of(&prefix))? {
        channels.extend(readable(entry?.1.value()));
    }
    Ok(channels)
}

/// Lists what relays stored that kept no directory. Done once for a file, when it is opened.
pub(super) fn list_existing(database: &Database) -> Result<(), StorageError> {
    let read = database.begin_read().map_err(storage_fault)?;
    if read.open_table(META).map_err(table_fault)?.get(MARK)?.is_some() {
        return Ok(());
    }
    let transaction = database.begin_write().map_err(storage_fault)?;
    transaction.open_table(META).map_err(table_fault)?.insert(MARK, "complete")?;
    match list_all(&mut Tx::new(&transaction)?) {
        Ok(()) => {}
        Err(Fault::Storage(error)) => return Err(error),
        Err(Fault::Record(what)) => return Err(StorageError::Corrupted(what.to_owned())),
    }
    transaction.commit().map_err(storage_fault)
}

fn list_all(tx: &mut Tx<'_>) -> Result<(), Fault> {
    let mut sessions = Vec::new();
    for entry in tx.range(SESSIONS, &keys::end_of(SESSIONS))? {
        let (key, value) = entry?;
        sessions.extend(keys::session_user(key.value()).and_then(|user| Session::read(&user, value.value()).ok()));
    }
    for session in sessions {
        list(tx, &session)?;
        for channel in channels(tx, Owned(session.number))? {
            put_names(tx, &session.record.user, &channel)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::testing::{Client, Lab, START};
    use crate::store::operator::{DirectoryStore as _, SessionList, SessionOrder, SessionQuery};
    use crate::store::{ChannelStore as _, SESSION_LIFE_MS, SessionStore as _, Store as _, TOUCH_AFTER_MS};

    async fn list(lab: &Lab, order: SessionOrder, search: Option<&str>) -> SessionList {
        let query = SessionQuery { order, oldest_first: true, search, after: None, count: 100 };
        lab.store.list_sessions(&query).await.unwrap()
    }

    async fn users(lab: &Lab, order: SessionOrder, search: Option<&str>) -> Vec<UserId> {
        list(lab, order, search).await.sessions.into_iter().map(|session| session.user).collect()
    }

    /// The keys that list something.
    async fn keys_of_lists(lab: &Lab) -> Vec<Vec<u8>> {
        lab.store
            .read(|view| {
                let entries = view.range(LISTED, &keys::end_of(LISTED))?;
                entries.map(|entry| Ok(entry?.0.value().to_vec())).collect()
            })
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn what_a_file_of_before_holds_is_listed_when_it_is_opened() {
        let lab = Lab::new();
        let first = lab.channel("first").await;
        lab.advance(5);
        let second = lab.channel("second").await;
        let kept = keys_of_lists(&lab).await;
        assert_eq!(kept.len(), 1 + 2 * 5);
        let forget = |tx: &mut Tx<'_>| tx.remove_range(LISTED, &keys::end_of(LISTED));
        lab.store.writer.run(forget).await.unwrap();
        assert_eq!(list(&lab, SessionOrder::Created, None).await.total, 0);
        // The file says that its sessions are listed, so nobody looks again.
        let lab = lab.reopen();
        assert_eq!(keys_of_lists(&lab).await, [] as [Vec<u8>; 0]);

        // A file of a relay that kept no lists does not say so.
        lab.store.close().await;
        let database = Database::open(lab.directory.path().join("relay.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(META).unwrap().remove(MARK).unwrap();
        transaction.commit().unwrap();
        drop(database);
        let lab = lab.reopen();
        assert_eq!(keys_of_lists(&lab).await, kept);
        for order in [SessionOrder::Created, SessionOrder::LastSeen] {
            assert_eq!(users(&lab, order, None).await, [first.user, second.user]);
        }
        assert_eq!(users(&lab, SessionOrder::Created, Some("SEC")).await, [second.user]);
    }

    #[tokio::test]
    async fn a_use_is_listed_with_its_record_and_costs_one_write() {
        let lab = Lab::new();
        let (first, second) = (lab.session().await, lab.session().await);
        lab.advance(TOUCH_AFTER_MS + 1);
        let before = lab.store.shared.commits();
        assert!(lab.store.authorize(&first.gate()).await.unwrap().unwrap().touch_due);
        lab.store.touch_session(&first.user).await.unwrap();
        assert_eq!(lab.store.shared.commits() - before, 1, "the caller's touch finds it recorded");
        assert_eq!(users(&lab, SessionOrder::LastSeen, None).await, [second.user, first.user]);
        let seen = list(&lab, SessionOrder::LastSeen, None).await.sessions[1].last_seen;
        assert_eq!(seen.millis(), START + TOUCH_AFTER_MS + 1);
    }

    #[tokio::test]
    async fn a_session_that_expired_is_not_shown_and_leaves_the_lists_with_the_sweep() {
        let lab = Lab::new();
        lab.channel("idle").await;
        lab.advance(SESSION_LIFE_MS);
        assert_eq!(users(&lab, SessionOrder::LastSeen, None).await, []);
        assert_eq!(users(&lab, SessionOrder::Created, Some("idle")).await, []);
        lab.sweep(1000).await;
        assert_eq!(keys_of_lists(&lab).await, [] as [Vec<u8>; 0]);
        // Whoever comes back after that long is listed once.
        let client = lab.channel("again").await;
        lab.advance(SESSION_LIFE_MS);
        lab.store.create_session(&client.new_session()).await.unwrap();
        lab.put(&client, "other").await;
        assert_eq!(list(&lab, SessionOrder::Created, None).await.total, 1);
        assert_eq!(keys_of_lists(&lab).await.len(), 1 + 5);
    }

    #[tokio::test]
    async fn a_channel_that_cannot_be_read_hides_nobody() {
        let lab = Lab::new();
        let client: Client = lab.channel("broken").await;
        lab.put(&client, "whole").await;
        let user = client.user;
        lab.store
            .writer
            .run(move |tx| {
                let session = super::super::gate::live_session(tx, &user)?.unwrap();
                tx.put(&Owned(session.number).channel(&"broken".parse().unwrap()), b"?")
            })
            .await
            .unwrap();
        let shown = list(&lab, SessionOrder::Created, None).await.sessions.remove(0);
        assert_eq!(shown.channels.iter().map(|channel| channel.id.as_str()).collect::<Vec<_>>(), ["whole"]);
        assert_eq!(users(&lab, SessionOrder::Created, Some("broken")).await, []);
        assert!(lab.store.delete_session(&client.user).await.unwrap());
        assert_eq!(list(&lab, SessionOrder::Created, None).await.total, 0);
        assert!(!lab.store.delete_channel(&client.user, &"whole".parse().unwrap()).await.unwrap());
    }
}
