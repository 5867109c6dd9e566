//! What is sealed in the file.

use async_trait::async_trait;

use super::keys::{self, DEPLOYMENT_KEY, Owned, SESSIONS};
use super::tables::{Tx, View};
use super::values::StoredChannel;
use super::{EmbeddedStore, Fault, channels, gate};
use crate::domain::ids::{ChannelId, UserId};
use crate::store::{ChannelRecord, SealedPage, SealedPlace, SealedRecord, SealedStore, StoreError};

/// Sessions that one call looks at, with all their channels.
const SESSIONS_A_PAGE: usize = 20;

fn places(view: &dyn View, after: Option<UserId>) -> Result<SealedPage, Fault> {
    // The first key behind another is that key and a zero byte.
    let from = after.map_or(SESSIONS.to_vec(), |user| [&keys::session(&user)[..], &[0]].concat());
    let mut users = Vec::new();
    for session in view.range(&from, &keys::end_of(SESSIONS))?.take(SESSIONS_A_PAGE) {
        users.extend(keys::session_user(session?.0.value()));
    }
    let next = (users.len() == SESSIONS_A_PAGE).then(|| users[SESSIONS_A_PAGE - 1].to_string());
    let mut places = Vec::new();
    for user in users {
        places.push(SealedPlace::ApiKey(user));
        // A session that cannot be read says so when its key is read.
        let Ok(Some(session)) = gate::live_session(view, &user) else { continue };
        let prefix = Owned(session.number).channels();
        for channel in view.range(&prefix, &keys::end_of(&prefix))? {
            let (key, _) = channel?;
            let id = std::str::from_utf8(&key.value()[prefix.len()..]).ok().and_then(|id| id.parse().ok());
            places.extend(id.map(|id| SealedPlace::Channel(user, id)));
        }
    }
    Ok(SealedPage { places, next })
}

fn channel(view: &dyn View, user: &UserId, id: &ChannelId) -> Result<Option<ChannelRecord>, Fault> {
    let Some(session) = gate::live_session(view, user)? else { return Ok(None) };
    let value = view.get(&Owned(session.number).channel(id))?;
    value.map(|value| StoredChannel::read(value.value())?.record()).transpose()
}

fn deployment_key(view: &dyn View) -> Result<Option<String>, Fault> {
    let Some(value) = view.get(DEPLOYMENT_KEY)? else { return Ok(None) };
    String::from_utf8(value.value().to_vec()).map(Some).map_err(|_| Fault::Record("the deployment's key"))
}

fn read(view: &dyn View, place: &SealedPlace) -> Result<Option<SealedRecord>, Fault> {
    Ok(match place {
        SealedPlace::DeploymentKey => deployment_key(view)?.map(SealedRecord::DeploymentKey),
        SealedPlace::ApiKey(user) => {
            gate::live_session(view, user)?.map(|session| SealedRecord::ApiKey(*user, session.record.sealed_api_key))
        }
        SealedPlace::Channel(user, id) => channel(view, user, id)?
            .filter(|record| record.channel.sealed_secret.is_some())
            .map(|record| SealedRecord::Channel(*user, Box::new(record))),
    })
}

fn replace(tx: &mut Tx<'_>, before: SealedRecord, sealed: String) -> Result<bool, Fault> {
    match before {
        SealedRecord::DeploymentKey(before) => {
            if deployment_key(tx)? != Some(before) {
                return Ok(false);
            }
            tx.put(DEPLOYMENT_KEY, sealed.as_bytes())?;
        }
        SealedRecord::ApiKey(user, before) => {
            let session = gate::live_session(tx, &user)?.filter(|session| session.record.sealed_api_key == before);
            let Some(mut session) = session else { return Ok(false) };
            session.record.sealed_api_key = sealed;
            tx.put(&keys::session(&user), &session.write())?;
        }
        SealedRecord::Channel(user, mut record) => {
            let Some(session) = gate::live_session(tx, &user)? else { return Ok(false) };
            let key = Owned(session.number).channel(&record.channel.id);
            if channels::revision(tx, &key)? != Some(record.revision) {
                return Ok(false);
            }
            record.channel.sealed_secret = Some(sealed);
            tx.put(&key, &StoredChannel::write(&record, record.revision + 1))?;
        }
    }
    Ok(true)
}

#[async_trait]
impl SealedStore for EmbeddedStore {
    async fn sealed_places(&self, from: Option<&str>) -> Result<SealedPage, StoreError> {
        let after = from
            .map(|from| from.parse().map_err(|_| StoreError::Corrupt("a place in a walk".to_owned())))
            .transpose()?;
        self.read(move |view| places(view, after)).await
    }

    async fn read_sealed(&self, place: &SealedPlace) -> Result<Option<SealedRecord>, StoreError> {
        let place = place.clone();
        self.read(move |view| read(view, &place)).await
    }

    async fn replace_sealed(&self, read: &SealedRecord, sealed: &str) -> Result<bool, StoreError> {
        let (read, sealed) = (read.clone(), sealed.to_owned());
        self.writer.run(move |tx| replace(tx, read, sealed)).await
    }
}
