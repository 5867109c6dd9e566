//! Removing what expired, a little at a time.
//!
//! Readers never show what expired, so the sweep only keeps the file from growing. It follows a schedule
//! of keys by time and never searches. A record that lives on when its time comes is scheduled again.

use super::Fault;
use super::keys::{self, Expiring, Owned, Stream};
use super::sessions::end_session;
use super::tables::{Tx, View};
use super::values::{Owner, Session, expires};
use super::{admin_access, conversations, identities, listing, queues, streams};

/// Removes up to about `budget` records; says whether there may be more to do at once.
pub(super) fn pass(tx: &mut Tx<'_>, budget: usize) -> Result<bool, Fault> {
    let mut left = budget;
    let due = tx.take_due(budget)?;
    let is_full = due.len() == budget;
    for key in due {
        // A key that finds no budget left goes back to where it was: it stays due.
        if left == 0 {
            tx.schedule(tx.now, &key)?;
            continue;
        }
        let removed = match expire(tx, &key, left) {
            Ok(removed) => removed,
            Err(Fault::Record(what)) => {
                tracing::error!(what, "a record that cannot be read expired and is removed");
                tx.remove(&key)?;
                1
            }
            Err(fault) => return Err(fault),
        };
        left -= removed.clamp(1, left);
    }
    Ok(is_full || left == 0)
}

/// Handles one key that is due; gives how many records were removed.
fn expire(tx: &mut Tx<'_>, key: &[u8], budget: usize) -> Result<usize, Fault> {
    match Expiring::of(key) {
        Expiring::Session => expire_session(tx, key),
        Expiring::Remains(owned) => clear_remains(tx, owned, budget),
        Expiring::Stream => streams::expire(tx, &Stream::of_head(key), budget),
        Expiring::Conversation => conversations::expire(tx, key),
        Expiring::Reply => queues::expire_reply(tx, key),
        Expiring::Identity => identities::expire(tx, key),
        Expiring::Audit => admin_access::expire_audit(tx, budget),
        Expiring::Record => {
            let Some(until) = tx.get(key)?.map(|value| expires(value.value())).transpose()? else { return Ok(0) };
            if until > tx.now {
                tx.schedule(until, key)?;
                return Ok(0);
            }
            tx.remove(key)?;
            Ok(1)
        }
    }
}

fn expire_session(tx: &mut Tx<'_>, key: &[u8]) -> Result<usize, Fault> {
    let user = keys::session_user(key).ok_or(Fault::Record("the key of a session"))?;
    let Some(session) = tx.get(key)?.map(|value| Session::read(&user, value.value())).transpose()? else {
        return Ok(0);
    };
    if session.expires() > tx.now {
        tx.schedule(session.expires(), key)?;
        return Ok(0);
    }
    end_session(tx, &session)?;
    Ok(2)
}

/// Removes what a session left that ended, the pointers to its channels, what was due in them, and its replies from
/// their lists.
fn clear_remains(tx: &mut Tx<'_>, owned: Owned, budget: usize) -> Result<usize, Fault> {
    let prefix = owned.prefix();
    let mut remains = Vec::new();
    for entry in tx.range(&prefix, &keys::end_of(&prefix))?.take(budget) {
        remains.push(entry?.0.value().to_vec());
    }
    for key in &remains {
        tx.remove(key)?;
        if let Some(reply) = keys::owned_reply(key) {
            listing::unlist(tx, &reply)?;
        }
        if let Some(channel) = keys::owned_channel(key) {
            tx.remove(&owned.due(&channel))?;
            let pointer = keys::channel_owner(&channel);
            let owner = tx.get(&pointer)?.map(|value| Owner::read(value.value())).transpose()?;
            if owner.is_some_and(|owner| owner.session == owned.0) {
                tx.remove(&pointer)?;
            }
        }
    }
    if remains.len() == budget {
        tx.schedule(tx.now, &prefix)?;
    }
    Ok(remains.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;
    use crate::domain::signing::NONCE_LIFE_MS;
    use crate::store::embedded::testing::{Lab, START};
    use crate::store::{
        ChannelStore as _, CounterStore as _, KEEP_MS, LimitUse, SESSION_LIFE_MS, SessionStore as _, Store as _,
    };

    /// The number of the newest session, which is kept for ever.
    const FOR_EVER: u64 = 1;

    #[tokio::test]
    async fn every_kind_of_record_is_removed_when_it_expired_and_not_before() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        let lasting = lab.rows().await;
        lab.store.authorize(&client.gate_with_nonce("n")).await.unwrap().unwrap();
        lab.store.authorize(&client.gate_with_limit("poll", "1/1m")).await.unwrap().unwrap();
        lab.store.count_use(&LimitUse { counter: "ip".to_owned(), limit: "1/1m".parse().unwrap() }).await.unwrap();
        lab.store.probe().await.unwrap();
        lab.ingest_with(&client, "c", |ingest| ingest.idempotency = Some(Digest::of(b"once"))).await;
        lab.reply(&client, "c", None).await;
        // A nonce, three counters, a probe, an entry, its stream, its idempotency key, a response, its stream, its status.
        let all = lasting.0 + 11;
        for (passed, left) in [(9_999, all), (10_000, all - 1), (59_999, all - 1), (60_000, all - 4)] {
            lab.set_clock(START + passed);
            assert_eq!(lab.sweep(1000).await.0, left, "{passed}");
        }
        for (passed, left) in [(NONCE_LIFE_MS - 1, 7), (NONCE_LIFE_MS, 6), (KEEP_MS - 1, 6), (KEEP_MS, 2)] {
            lab.set_clock(START + passed);
            assert_eq!(lab.sweep(1000).await.0, lasting.0 + left, "{passed}");
        }
        assert_eq!(lab.rows().await, (lasting.0 + 2, lasting.1), "the heads of the two streams stay");
        lab.set_clock(START + SESSION_LIFE_MS);
        assert_eq!(lab.sweep(1000).await, (FOR_EVER, 0));
    }

    #[tokio::test]
    async fn a_session_in_use_is_left_alone_and_looked_at_again() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        lab.advance(SESSION_LIFE_MS - 1);
        lab.store.touch_session(&client.user).await.unwrap();
        lab.advance(1);
        let before = lab.rows().await;
        assert_eq!(lab.sweep(1000).await, before);
        lab.advance(SESSION_LIFE_MS - 1);
        assert_eq!(lab.sweep(1000).await, (FOR_EVER, 0));
    }

    #[tokio::test]
    async fn a_sweep_removes_no_more_than_its_budget_and_the_rest_follows() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        for n in 0..40 {
            lab.accepted(&client, "c").await;
            lab.store.authorize(&client.gate_with_nonce(&format!("n{n}"))).await.unwrap().unwrap();
        }
        lab.store.delete_session(&client.user).await.unwrap();
        lab.advance(KEEP_MS + 1000);
        let before = lab.rows().await.0;
        lab.store.writer.run(|tx| pass(tx, 10)).await.unwrap();
        let after = lab.rows().await.0;
        assert!((1..=20).contains(&(before - after)), "{before} {after}");
        assert_eq!(lab.sweep(10).await.0, FOR_EVER);
    }

    #[tokio::test]
    async fn what_a_deleted_session_left_is_cleared_while_the_next_one_stays() {
        let lab = Lab::new();
        let client = lab.channel("c").await;
        lab.accepted(&client, "c").await;
        lab.store.delete_session(&client.user).await.unwrap();
        lab.store.create_session(&client.new_session()).await.unwrap();
        lab.put(&client, "c").await;
        lab.sweep(1000).await;
        // The session, its key's pointer, its channel and the pointer to it; its three places in the directory, two
        // names of its channel, and how many are listed.
        assert_eq!(lab.rows().await.0, FOR_EVER + 4 + 6);
        assert_eq!(lab.store.channels(&client.gate()).await.unwrap().unwrap().value.len(), 1);
    }

    #[tokio::test]
    async fn a_counter_that_begins_again_is_swept_once_its_last_window_ended() {
        let lab = Lab::new();
        let counter = LimitUse { counter: "ip".to_owned(), limit: "5/1m".parse().unwrap() };
        for _ in 0..5 {
            lab.store.count_use(&counter).await.unwrap();
            lab.advance(60_000);
        }
        lab.advance(20_000);
        lab.store.count_use(&counter).await.unwrap();
        assert_eq!(lab.sweep(1000).await, (1, 1));
        lab.advance(60_000);
        assert_eq!(lab.sweep(1000).await, (0, 0));
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_is_removed_when_it_is_due() {
        let lab = Lab::new();
        lab.store
            .writer
            .run(|tx| {
                tx.put(&keys::counter("broken"), b"?")?;
                tx.schedule(tx.now, &keys::counter("broken"))
            })
            .await
            .unwrap();
        assert_eq!(lab.sweep(1000).await, (0, 0));
    }
}
