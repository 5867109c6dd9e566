//! Channels, and whose they are.

use async_trait::async_trait;

use super::keys::{self, Owned};
use super::tables::{Tx, View};
use super::values::{Owner, StoredChannel};
use super::{EmbeddedStore, Fault, conversations, gate, listing, queues, session_lists};
use crate::domain::ids::{ChannelId, UserId};
use crate::store::{ChannelRecord, ChannelStore, Gate, Gated, Holder, MAX_CHANNELS, PutChannel, StoreError};

/// The channel's owner, if the session that has the channel is alive.
pub(super) fn live_owner(view: &dyn View, channel: &ChannelId) -> Result<Option<UserId>, Fault> {
    let owner = view.get(&keys::channel_owner(channel))?.map(|value| Owner::read(value.value())).transpose()?;
    let Some(owner) = owner else { return Ok(None) };
    let session = gate::live_session(view, &owner.user)?;
    Ok(session.filter(|session| session.number == owner.session).map(|_| owner.user))
}

pub(super) fn revision(view: &dyn View, key: &[u8]) -> Result<Option<u64>, Fault> {
    view.get(key)?.map(|value| Ok(StoredChannel::read(value.value())?.revision)).transpose()
}

fn put(tx: &mut Tx<'_>, user: UserId, record: &ChannelRecord) -> Result<PutChannel, Fault> {
    let id = &record.channel.id;
    if live_owner(tx, id)?.is_some_and(|owner| owner != user) {
        return Ok(PutChannel::Taken);
    }
    let Some(session) = gate::live_session(tx, &user)? else { return Ok(PutChannel::NoSession) };
    let owned = Owned(session.number);
    let key = owned.channel(id);
    let before = revision(tx, &key)?;
    if before.is_none() {
        let prefix = owned.channels();
        let mut count = 0;
        for channel in tx.range(&prefix, &keys::end_of(&prefix))? {
            channel?;
            count += 1;
        }
        if count >= MAX_CHANNELS {
            return Ok(PutChannel::TooMany);
        }
    }
    session_lists::list_channel(tx, &user, owned, id, Some(&record.channel))?;
    tx.put(&key, &StoredChannel::write(record, before.unwrap_or(0) + 1))?;
    tx.put(&keys::channel_owner(id), &Owner { user, session: session.number }.write())?;
    Ok(PutChannel::Stored)
}

fn update(tx: &mut Tx<'_>, user: &UserId, record: &ChannelRecord) -> Result<bool, Fault> {
    let Some(session) = gate::live_session(tx, user)? else { return Ok(false) };
    let owned = Owned(session.number);
    let key = owned.channel(&record.channel.id);
    if revision(tx, &key)? != Some(record.revision) {
        return Ok(false);
    }
    session_lists::list_channel(tx, user, owned, &record.channel.id, Some(&record.channel))?;
    tx.put(&key, &StoredChannel::write(record, record.revision + 1))?;
    Ok(true)
}

fn delete(tx: &mut Tx<'_>, user: &UserId, channel: &ChannelId) -> Result<bool, Fault> {
    let Some(session) = gate::live_session(tx, user)? else { return Ok(false) };
    let owned = Owned(session.number);
    session_lists::list_channel(tx, user, owned, channel, None)?;
    let key = owned.channel(channel);
    let kind = match tx.get(&key)? {
        Some(value) => StoredChannel::read(value.value()).ok().map(|stored| stored.kind),
        None => return Ok(false),
    };
    tx.remove(&key)?;
    tx.remove(&keys::channel_owner(channel))?;
    let responses = owned.responses(channel);
    tx.remove(&responses.head)?;
    tx.remove_range(&responses.entry(0), &responses.end())?;
    queues::fail_all(tx, owned, channel, "the channel was deleted")?;
    if let Some(kind) = kind {
        listing::unlist_failed(tx, kind, owned, channel)?;
    }
    conversations::forget(tx, owned, channel)?;
    tx.remove(&owned.due(channel))?;
    Ok(true)
}

#[async_trait]
impl ChannelStore for EmbeddedStore {
    async fn channel_owner(&self, channel: &ChannelId) -> Result<Option<UserId>, StoreError> {
        let channel = channel.clone();
        self.read(move |view| live_owner(view, &channel)).await
    }

    async fn put_channel(&self, user: &UserId, record: &ChannelRecord) -> Result<PutChannel, StoreError> {
        let (user, record) = (*user, record.clone());
        self.writer.run(move |tx| put(tx, user, &record)).await
    }

    async fn channels(&self, gate: &Gate) -> Result<Gated<Vec<ChannelRecord>>, StoreError> {
        self.read_gated(gate, |view, owned| {
            let prefix = owned.channels();
            view.range(&prefix, &keys::end_of(&prefix))?
                .map(|channel| StoredChannel::read(channel?.1.value())?.record())
                .collect()
        })
        .await
    }

    async fn channel(&self, gate: &Gate, channel: &ChannelId) -> Result<Gated<Option<ChannelRecord>>, StoreError> {
        let channel = channel.clone();
        self.read_gated(gate, move |view, owned| {
            view.get(&owned.channel(&channel))?.map(|value| StoredChannel::read(value.value())?.record()).transpose()
        })
        .await
    }

    async fn read_channel(&self, user: &UserId, channel: &ChannelId) -> Result<Option<ChannelRecord>, StoreError> {
        let (user, channel) = (*user, channel.clone());
        self.read(move |view| {
            let Some(session) = gate::live_session(view, &user)? else { return Ok(None) };
            let value = view.get(&Owned(session.number).channel(&channel))?;
            value.map(|value| StoredChannel::read(value.value())?.record()).transpose()
        })
        .await
    }

    async fn hold_identity(
        &self,
        identity: &str,
        holder: &Holder,
        replaces: bool,
    ) -> Result<Option<Holder>, StoreError> {
        self.hold(identity, holder, replaces).await
    }

    async fn identity_holder(&self, identity: &str) -> Result<Option<Holder>, StoreError> {
        self.holder(identity).await
    }

    async fn drop_identity(&self, identity: &str, holder: &Holder) -> Result<(), StoreError> {
        self.drop_held(identity, holder).await
    }

    async fn update_channel(&self, user: &UserId, record: &ChannelRecord) -> Result<bool, StoreError> {
        let (user, record) = (*user, record.clone());
        self.writer.run(move |tx| update(tx, &user, &record)).await
    }

    async fn delete_channel(&self, user: &UserId, channel: &ChannelId) -> Result<bool, StoreError> {
        let (user, channel) = (*user, channel.clone());
        self.writer.run(move |tx| delete(tx, &user, &channel)).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::timestamp::Timestamp;
    use crate::store::embedded::testing::{Lab, WIDE, channel};
    use crate::store::embedded::writer::Timing;
    use crate::store::{MessageStore as _, ResponsesOutcome, ResponsesQuery, Secret, Since};

    async fn stored(lab: &Lab, gate: &Gate, id: &str) -> Option<ChannelRecord> {
        lab.store.channel(gate, &id.parse().unwrap()).await.unwrap().unwrap().value
    }

    async fn responses(lab: &Lab, user: UserId, id: &str) -> ResponsesOutcome {
        let id = id.parse().unwrap();
        let since = Since::After(Timestamp::EPOCH);
        let query = ResponsesQuery { user, channel: &id, secret: Secret::Verified, limit: WIDE, since, count: 10 };
        lab.store.read_responses(&query).await.unwrap()
    }

    #[tokio::test]
    async fn an_id_belongs_to_one_user_until_the_channel_is_deleted() {
        let lab = Lab::new();
        let (client, other) = (lab.channel("c").await, lab.session().await);
        let id = "c".parse().unwrap();
        assert_eq!(lab.store.channel_owner(&id).await.unwrap(), Some(client.user));
        assert_eq!(lab.put(&other, "c").await, PutChannel::Taken);
        assert!(!lab.store.delete_channel(&other.user, &id).await.unwrap());
        assert!(lab.store.delete_channel(&client.user, &id).await.unwrap());
        assert!(!lab.store.delete_channel(&client.user, &id).await.unwrap());
        assert_eq!(lab.store.channel_owner(&id).await.unwrap(), None);
        assert_eq!(lab.put(&other, "c").await, PutChannel::Stored);
        assert_eq!(stored(&lab, &client.gate(), "c").await, None);
    }

    #[tokio::test]
    async fn a_channel_reads_back_whole_and_an_update_names_its_revision() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        let mut record = stored(&lab, &client.gate(), "c").await.unwrap();
        assert_eq!(record, ChannelRecord { revision: record.revision, ..channel("c") });
        record.channel.enabled = false;
        assert!(lab.store.update_channel(&client.user, &record).await.unwrap());
        assert!(!lab.store.update_channel(&client.user, &record).await.unwrap(), "the revision is old");
        let changed = stored(&lab, &client.gate(), "c").await.unwrap();
        assert!(!changed.channel.enabled && changed.revision > record.revision);
        assert_eq!(lab.put(&client, "c").await, PutChannel::Stored);
        let replaced = stored(&lab, &client.gate(), "c").await.unwrap();
        assert!(replaced.channel.enabled && replaced.revision > changed.revision);
    }

    #[tokio::test]
    async fn a_replaced_channel_keeps_its_responses_and_a_deleted_one_does_not() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        lab.reply(&client, "c", None).await;
        lab.put(&client, "c").await;
        let ResponsesOutcome::Page(page, _) = responses(&lab, client.user, "c").await else { panic!() };
        assert_eq!(page.records.len(), 1);
        lab.store.delete_channel(&client.user, &"c".parse().unwrap()).await.unwrap();
        assert_eq!(responses(&lab, client.user, "c").await, ResponsesOutcome::NoChannel);
        lab.put(&client, "c").await;
        let ResponsesOutcome::Page(page, _) = responses(&lab, client.user, "c").await else { panic!() };
        assert_eq!((page.records.len(), page.cursor), (0, Timestamp::EPOCH));
    }

    #[tokio::test]
    async fn a_session_has_a_bounded_number_of_channels() {
        // So many at once take their time on a slow machine.
        let lab = Lab::with_timing(Timing { answer: Duration::from_secs(60), ..Timing::default() });
        let client = lab.session().await;
        let user = client.user;
        let fill = move |tx: &mut Tx<'_>| {
            (0..MAX_CHANNELS).try_for_each(|n| put(tx, user, &channel(&format!("c{n}"))).map(drop))
        };
        lab.store.writer.run(fill).await.unwrap();
        assert_eq!(lab.put(&client, "one-more").await, PutChannel::TooMany);
        assert_eq!(lab.put(&client, "c0").await, PutChannel::Stored);
        let all = lab.store.channels(&client.gate()).await.unwrap().unwrap().value;
        assert_eq!(all.len(), MAX_CHANNELS);
    }

    #[tokio::test]
    async fn a_user_without_a_session_gets_no_channel() {
        let lab = Lab::new();
        let user = UserId::random();
        assert_eq!(lab.store.put_channel(&user, &channel("c")).await.unwrap(), PutChannel::NoSession);
        assert!(!lab.store.update_channel(&user, &channel("c")).await.unwrap());
    }
}
