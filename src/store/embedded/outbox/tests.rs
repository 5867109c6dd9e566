//! The outbox of this store, by a clock that can be moved.

use super::*;
use crate::store::embedded::queues::QUEUED_LIFE_MS;
use crate::store::embedded::tables::Snapshot;
use crate::store::embedded::testing::{Client, Lab};
use crate::store::{ChannelStore as _, SESSION_LIFE_MS, SessionStore as _};

const DELIVERED: Settlement = Settlement::Delivered { pause: 0 };

fn failed() -> Settlement {
    Settlement::Failed { error: "bot was blocked".to_owned() }
}

async fn claimed(lab: &Lab, lease: u64) -> Vec<DueChannel> {
    lab.store.claim_due(ChannelKind::Telegram, lease, 10).await.unwrap()
}

/// Looks at what is kept of the client's session.
async fn look<T: Send + 'static>(
    lab: &Lab,
    client: &Client,
    at: impl FnOnce(&dyn View, Owned) -> Result<T, Fault> + Send + 'static,
) -> T {
    let user = client.user;
    let read = move |view: &Snapshot| at(view, Owned(gate::live_session(view, &user)?.unwrap().number));
    lab.store.read(read).await.unwrap()
}

async fn has_parcel(lab: &Lab, client: &Client, reply: &MessageId) -> bool {
    let reply = *reply;
    look(lab, client, move |view, owned| Ok(view.get(&owned.parcel(&reply))?.is_some())).await
}

async fn progress(lab: &Lab, client: &Client, reply: &MessageId) -> Option<String> {
    let reply = *reply;
    look(lab, client, move |view, owned| Ok(replies::live(view, &owned.reply(&reply))?.map(|reply| reply.progress)))
        .await
}

#[tokio::test]
async fn replies_under_way_survive_a_reopen_with_their_leases() {
    let lab = Lab::new();
    let client = lab.bot("c").await;
    lab.hears(&client, "c", "a", false).await;
    let (id, _) = lab.replies(&client, "c", None).await;
    let taken = lab.taken(&client, "c").await;
    let due = claimed(&lab, 60_000).await;
    let lab = lab.reopen();
    assert_eq!(lab.take(&client, "c").await, Taken::Wait(60_000));
    assert_eq!(claimed(&lab, 60_000).await, []);
    lab.advance(60_000);
    assert_eq!(claimed(&lab, 60_000).await[0].channel, due[0].channel);
    let again = lab.taken(&client, "c").await;
    assert_eq!((again.response, &again.content, again.accepted), (id, &taken.content, taken.accepted));
    assert!(!lab.settle(&taken, DELIVERED).await);
    assert!(lab.settle(&again, DELIVERED).await);
}

#[tokio::test]
async fn what_arrived_is_forgotten_and_what_failed_can_be_sent_again_for_a_week() {
    let lab = Lab::new();
    let client = lab.bot("c").await;
    lab.hears(&client, "c", "a", false).await;
    let [(arrived, _), (lost, _)] = [lab.replies(&client, "c", None).await, lab.replies(&client, "c", None).await];
    lab.advance(1000);
    for settlement in [DELIVERED, failed()] {
        let taken = lab.taken(&client, "c").await;
        assert!(lab.settle(&taken, Settlement::Part { progress: "half".to_owned(), lease: 60_000 }).await);
        assert!(lab.settle(&taken, settlement).await);
    }
    assert_eq!(progress(&lab, &client, &arrived).await.as_deref(), Some(""));
    assert_eq!(progress(&lab, &client, &lost).await.as_deref(), Some("half"));
    let listed = |id| look(&lab, &client, move |view, _| Ok(listing::find(view, &id)?.map(|listing| listing.state)));
    assert_eq!((listed(arrived).await, listed(lost).await), (None, Some(DeliveryState::Failed)));
    assert!(!has_parcel(&lab, &client, &arrived).await);
    for (passed, of_arrived, of_lost) in [
        (KEEP_MS - 1, Some("delivered"), Some("failed")),
        (1, None, Some("failed")),
        (DEAD_LETTER_LIFE_MS - KEEP_MS - 1, None, Some("failed")),
        (1, None, None),
    ] {
        lab.advance(passed);
        lab.sweep(1000).await;
        assert_eq!(lab.status(&client, &arrived).await.as_deref(), of_arrived);
        assert_eq!(lab.status(&client, &lost).await.as_deref(), of_lost);
        assert_eq!(has_parcel(&lab, &client, &lost).await, of_lost.is_some());
        assert_eq!(listed(lost).await.is_some(), of_lost.is_some());
    }
}

#[tokio::test]
async fn replies_that_nobody_took_make_way_for_later_ones() {
    let lab = Lab::new();
    let client = lab.bot("c").await;
    lab.hears(&client, "c", "a", false).await;
    let (old, _) = lab.replies(&client, "c", None).await;
    lab.advance(QUEUED_LIFE_MS - 1);
    let (new, _) = lab.replies(&client, "c", None).await;
    assert_eq!(lab.status(&client, &old).await.as_deref(), Some("pending"));
    lab.advance(1);
    assert_eq!(lab.status(&client, &old).await, None);
    for _ in 0..2 {
        let taken = lab.taken(&client, "c").await;
        assert_eq!(taken.response, new);
        assert!(lab.settle(&taken, Settlement::Postponed { wait: 0 }).await);
        assert!(has_parcel(&lab, &client, &new).await);
        lab.sweep(1000).await;
    }
    assert!(!has_parcel(&lab, &client, &old).await);
    lab.advance(QUEUED_LIFE_MS);
    assert_eq!(lab.take(&client, "c").await, Taken::Nothing);
}

#[tokio::test]
async fn what_became_of_a_reply_whose_channel_was_deleted_is_told_for_a_day() {
    let lab = Lab::new();
    let client = lab.bot("c").await;
    lab.hears(&client, "c", "a", false).await;
    let (id, _) = lab.replies(&client, "c", None).await;
    lab.advance(QUEUED_LIFE_MS - 1);
    assert!(lab.store.delete_channel(&client.user, &"c".parse().unwrap()).await.unwrap());
    for (passed, status) in [(KEEP_MS - 1, Some("failed")), (1, None)] {
        lab.advance(passed);
        lab.sweep(1000).await;
        assert_eq!(lab.status(&client, &id).await.as_deref(), status);
    }
}

#[tokio::test]
async fn everything_of_the_outbox_has_an_end() {
    let lab = Lab::new();
    let client = lab.bot("c").await;
    let before = lab.rows().await;
    lab.hears(&client, "c", "a", true).await;
    for settlement in [Some(DELIVERED), Some(failed()), Some(Settlement::Delivered { pause: 60_000 }), None] {
        lab.replies(&client, "c", None).await;
        if let Some(settlement) = settlement {
            assert!(lab.settle(&lab.taken(&client, "c").await, settlement).await);
        }
    }
    lab.advance(crate::store::CONVERSATION_LIFE_MS);
    lab.sweep(1000).await;
    // The heads of the two streams, and the channel's place on the list, where nobody looked.
    assert_eq!(lab.rows().await, (before.0 + 3, before.1));
    let due = claimed(&lab, 60_000).await.remove(0);
    assert_eq!(lab.take(&client, "c").await, Taken::Nothing);
    lab.store.release_due(&due, None).await.unwrap();
    assert_eq!(lab.rows().await, (before.0 + 2, before.1));
}

#[tokio::test]
async fn what_is_due_goes_with_its_channel_and_its_session() {
    let lab = Lab::new();
    let client = lab.bot("c").await;
    let other = lab.bot("d").await;
    for (client, id) in [(&client, "c"), (&other, "d")] {
        lab.hears(client, id, "a", false).await;
        lab.replies(client, id, None).await;
    }
    assert!(lab.store.delete_channel(&client.user, &"c".parse().unwrap()).await.unwrap());
    let due = claimed(&lab, 1).await;
    assert_eq!((due.len(), due[0].user), (1, other.user));
    lab.store.delete_session(&other.user).await.unwrap();
    lab.advance(1);
    assert_eq!(lab.take(&other, "d").await, Taken::Nothing);
    lab.sweep(1000).await;
    assert_eq!(claimed(&lab, 1).await, []);
    lab.advance(SESSION_LIFE_MS);
    assert_eq!(lab.sweep(1000).await, (1, 0), "the number of the newest session");
}
