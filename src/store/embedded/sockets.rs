//! Sockets: their places, and the pages they start from.

use async_trait::async_trait;

use super::keys::Owned;
use super::{EmbeddedStore, gate, streams};
use crate::domain::ids::UserId;
use crate::store::{Since, SocketLease, SocketOutcome, SocketStore, StoreError, Wake};

#[async_trait]
impl SocketStore for EmbeddedStore {
    async fn hold_socket(&self, lease: &SocketLease, since: Since, count: usize) -> Result<SocketOutcome, StoreError> {
        let (shared, lease) = (self.shared.clone(), lease.clone());
        let user = lease.user;
        let outcome = self
            .read(move |view| {
                let Some(session) = gate::session_with_key(view, &lease.user, &lease.api_key)? else {
                    return Ok(SocketOutcome::NoSession);
                };
                let page = streams::page(view, &Owned(session.number).messages(), since, count)?;
                let touch_due = gate::is_touch_due(view, &session);
                let claimed = shared.sockets().claim(&lease, shared.now_micros());
                let evicted = claimed.evicted.into_iter().map(|place| (lease.user, Wake::Evicted(place)));
                shared.wake_all(evicted.collect());
                Ok(match claimed.place {
                    Some(place) => SocketOutcome::Held { place, page, touch_due },
                    None => SocketOutcome::Evicted,
                })
            })
            .await?;
        let SocketOutcome::Held { place, page, touch_due: true } = outcome else { return Ok(outcome) };
        // Somebody else may have recorded a use since the page was read.
        let touch_due = self
            .writer
            .run(move |tx| match gate::live_session(tx, &user)? {
                Some(session) if gate::is_touch_due(tx, &session) => gate::touch(tx, session).map(|()| true),
                _ => Ok(false),
            })
            .await?;
        Ok(SocketOutcome::Held { place, page, touch_due })
    }

    async fn release_socket(&self, user: &UserId, place: &str) -> Result<(), StoreError> {
        self.shared.sockets().release(user, place);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;
    use crate::domain::ids::SocketId;
    use crate::domain::timestamp::Timestamp;
    use crate::store::embedded::testing::{Client, Lab, START};
    use crate::store::{SOCKET_LEASE_MS, SessionStore as _, TOUCH_AFTER_MS};

    async fn hold(lab: &Lab, client: &Client, place: Option<&str>, cap: usize) -> SocketOutcome {
        let place = place.map(str::to_owned);
        let (socket, replica) = (SocketId::random(), "00000000".into());
        let lease = SocketLease { user: client.user, api_key: client.api_key, socket, replica, place, cap };
        lab.store.hold_socket(&lease, Since::After(Timestamp::EPOCH), 10).await.unwrap()
    }

    async fn held(lab: &Lab, client: &Client, place: Option<&str>, cap: usize) -> String {
        match hold(lab, client, place, cap).await {
            SocketOutcome::Held { place, .. } => place,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_socket_gets_its_place_and_what_it_missed() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        let at = lab.accepted(&client, "c").await;
        let SocketOutcome::Held { place, page, touch_due } = hold(&lab, &client, None, 1).await else { panic!() };
        assert!(place.starts_with(&format!("{START}000-")), "{place}");
        assert_eq!((page.records.len(), page.cursor, touch_due), (1, at, false));
        assert_eq!(held(&lab, &client, Some(&place), 1).await, place);
        let stranger = Client { api_key: Digest::of(b"wrong"), ..client };
        assert_eq!(hold(&lab, &stranger, None, 1).await, SocketOutcome::NoSession);
    }

    #[tokio::test]
    async fn the_oldest_socket_beyond_the_cap_is_told_to_go() {
        let lab = Lab::new();
        let client = lab.session().await;
        lab.watcher.watch(&client.user).await.unwrap();
        let first = held(&lab, &client, None, 2).await;
        let second = held(&lab, &client, None, 2).await;
        let third = held(&lab, &client, None, 2).await;
        assert_eq!(lab.take_wakes(), [(client.user, Wake::Evicted(first.clone()))]);
        assert_eq!(hold(&lab, &client, Some(&first), 2).await, SocketOutcome::Evicted);
        lab.store.release_socket(&client.user, &second).await.unwrap();
        held(&lab, &client, None, 2).await;
        assert_eq!(lab.take_wakes(), []);
        assert!(first < second && second < third);
    }

    #[tokio::test]
    async fn a_place_that_was_not_renewed_is_free() {
        let lab = Lab::new();
        let client = lab.session().await;
        lab.watcher.watch(&client.user).await.unwrap();
        let old = held(&lab, &client, None, 1).await;
        lab.advance(SOCKET_LEASE_MS + 1);
        let new = held(&lab, &client, None, 1).await;
        assert_eq!(lab.take_wakes(), []);
        lab.store.release_socket(&client.user, &new).await.unwrap();
        assert_eq!(held(&lab, &client, Some(&old), 1).await, old);
    }

    #[tokio::test]
    async fn a_socket_keeps_its_session_alive() {
        let lab = Lab::new();
        let client = lab.session().await;
        lab.advance(TOUCH_AFTER_MS + 1);
        let due = |outcome| matches!(outcome, SocketOutcome::Held { touch_due: true, .. });
        assert!(due(hold(&lab, &client, None, 9).await));
        assert!(!due(hold(&lab, &client, None, 9).await));
        assert!(!lab.store.authorize(&client.gate()).await.unwrap().unwrap().touch_due);
    }

    #[tokio::test]
    async fn a_deleted_session_has_no_places() {
        let lab = Lab::new();
        let client = lab.session().await;
        lab.watcher.watch(&client.user).await.unwrap();
        let place = held(&lab, &client, None, 1).await;
        lab.store.delete_session(&client.user).await.unwrap();
        assert_eq!(hold(&lab, &client, Some(&place), 1).await, SocketOutcome::NoSession);
        lab.store.create_session(&client.new_session()).await.unwrap();
        held(&lab, &client, None, 1).await;
        assert_eq!(lab.take_wakes(), [(client.user, Wake::SessionGone)]);
    }
}
