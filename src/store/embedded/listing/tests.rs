//! The lists by a clock that can be moved, and in files of relays that did not have them.

use std::time::Duration;

use super::*;
use crate::store::embedded::queues::QUEUED_LIFE_MS;
use crate::store::embedded::testing::{Client, Lab};
use crate::store::embedded::writer::Timing;
use crate::store::operator::{DeliveryCounts, DeliveryDeskStore as _, DeliveryQuery, RedriveOutcome};
use crate::store::{ChannelStore as _, DEAD_LETTER_LIFE_MS, KEEP_MS, SessionStore as _, Settlement};

const KIND: ChannelKind = ChannelKind::Telegram;

fn failed_reply() -> Settlement {
    Settlement::Failed { error: "bot was blocked".to_owned() }
}

fn retried(wait: u64) -> Settlement {
    Settlement::Retry { wait, error: "later".to_owned(), progress: String::new() }
}

async fn counts(lab: &Lab) -> (u64, u64, u64) {
    let DeliveryCounts { pending, retrying, failed, .. } = lab.store.delivery_counts(KIND).await.unwrap();
    (pending, retrying, failed)
}

async fn listed(lab: &Lab, state: DeliveryState) -> Vec<(MessageId, u64)> {
    let query = DeliveryQuery { state, kind: KIND, after: None, count: 100 };
    let page = lab.store.deliveries(&query).await.unwrap();
    page.entries.into_iter().map(|entry| (entry.response, entry.at.millis())).collect()
}

/// A reply of the bot `c`, with what became of its first try.
async fn reply(lab: &Lab, client: &Client, chat: &str, settlement: Option<Settlement>) -> MessageId {
    lab.hears(client, "c", chat, false).await;
    let (id, _) = lab.replies(client, "c", None).await;
    if let Some(settlement) = settlement {
        assert!(lab.settle(&lab.taken(client, "c").await, settlement).await);
    }
    id
}

async fn owned(lab: &Lab, client: &Client) -> Owned {
    let user = client.user;
    lab.store.read(move |view| Ok(Owned(gate::live_session(view, &user)?.unwrap().number))).await.unwrap()
}

#[tokio::test]
async fn what_expires_leaves_its_list() {
    let lab = Lab::new();
    let client = lab.bot("c").await;
    reply(&lab, &client, "a", Some(failed_reply())).await;
    reply(&lab, &client, "b", Some(retried(1000))).await;
    reply(&lab, &client, "c", None).await;
    assert_eq!(counts(&lab).await, (1, 1, 1));
    lab.advance(QUEUED_LIFE_MS);
    assert_eq!(listed(&lab, DeliveryState::Pending).await, []);
    assert_eq!(listed(&lab, DeliveryState::Retrying).await, []);
    lab.sweep(1000).await;
    assert_eq!(counts(&lab).await, (0, 0, 1));
    lab.advance(DEAD_LETTER_LIFE_MS - QUEUED_LIFE_MS - 1);
    lab.sweep(1000).await;
    assert_eq!(listed(&lab, DeliveryState::Failed).await.len(), 1);
    lab.advance(1);
    assert_eq!(listed(&lab, DeliveryState::Failed).await, []);
    lab.sweep(1000).await;
    assert_eq!(counts(&lab).await, (0, 0, 0));
}

#[tokio::test]
async fn a_session_that_ends_takes_its_replies_off_the_lists() {
    let lab = Lab::new();
    let client = lab.bot("c").await;
    reply(&lab, &client, "a", Some(failed_reply())).await;
    reply(&lab, &client, "b", Some(retried(1000))).await;
    let pending = reply(&lab, &client, "c", None).await;
    lab.store.delete_session(&client.user).await.unwrap();
    for state in DeliveryState::ALL {
        assert_eq!(listed(&lab, state).await, []);
    }
    assert_eq!(lab.store.find_delivery(&pending).await.unwrap(), None);
    lab.sweep(1000).await;
    assert_eq!(counts(&lab).await, (0, 0, 0));
    assert_eq!(lab.rows().await.0, 1, "the number of the newest session");
}

#[tokio::test]
async fn a_deleted_channel_leaves_nothing_on_the_lists() {
    let lab = Lab::new();
    let client = lab.bot("c").await;
    lab.put_bot(&client, "d").await;
    let before = lab.rows().await.0;
    reply(&lab, &client, "a", Some(failed_reply())).await;
    reply(&lab, &client, "b", Some(retried(1000))).await;
    reply(&lab, &client, "c", None).await;
    lab.hears(&client, "d", "a", false).await;
    let (elsewhere, _) = lab.replies(&client, "d", None).await;
    assert!(lab.settle(&lab.taken(&client, "d").await, failed_reply()).await);
    assert!(lab.store.delete_channel(&client.user, &"c".parse().unwrap()).await.unwrap());
    assert_eq!(counts(&lab).await, (0, 0, 1));
    assert_eq!(listed(&lab, DeliveryState::Failed).await[0].0, elsewhere);
    assert!(lab.store.delete_channel(&client.user, &"d".parse().unwrap()).await.unwrap());
    lab.advance(DEAD_LETTER_LIFE_MS);
    lab.sweep(1000).await;
    assert_eq!(counts(&lab).await, (0, 0, 0));
    // The two channels with their pointers and the four names of each went, and the head of the stream of messages came.
    assert_eq!(lab.rows().await.0, before - 4 - 8 + 1);
}

#[tokio::test]
async fn a_reply_that_is_sent_again_after_days_lives_as_long_as_a_new_one() {
    let lab = Lab::new();
    let client = lab.bot("c").await;
    let id = reply(&lab, &client, "a", Some(failed_reply())).await;
    lab.advance(3 * KEEP_MS);
    lab.sweep(1000).await;
    let outcome = lab.store.redrive(KIND, &client.user, &"c".parse().unwrap(), &id).await.unwrap();
    assert_eq!(outcome, RedriveOutcome::Redriven);
    lab.advance(QUEUED_LIFE_MS - 1);
    lab.sweep(1000).await;
    let again = lab.taken(&client, "c").await;
    assert_eq!((again.response, again.now.distance(again.accepted)), (id, QUEUED_LIFE_MS - 1));
    assert!(lab.settle(&again, retried(0)).await);
    lab.advance(1);
    lab.sweep(1000).await;
    assert_eq!((counts(&lab).await, lab.status(&client, &id).await), ((0, 0, 0), None));
}

#[tokio::test]
async fn the_newest_failures_are_listed_and_older_ones_make_room() {
    // So many at once take their time on a slow machine.
    let lab = Lab::with_timing(Timing { answer: Duration::from_secs(60), ..Timing::default() });
    let client = lab.bot("c").await;
    let session = owned(&lab, &client).await.0;
    let fail = |count: usize| {
        let listed = move |tx: &mut Tx<'_>| {
            let channel: ChannelId = "c".parse().unwrap();
            let (state, at) = (DeliveryState::Failed, tx.now);
            let listing = Listing { kind: KIND, state, at, session, user: client.user, channel };
            let ids: Vec<_> = (0..count).map(|_| MessageId::random()).collect();
            ids.iter().try_for_each(|id| list(tx, id, &listing))?;
            Ok(ids)
        };
        lab.store.writer.run(listed)
    };
    let oldest = fail(2).await.unwrap();
    lab.advance(1);
    fail(MAX_DEAD_LETTERS - 2).await.unwrap();
    let full = lab.rows().await.0;
    lab.advance(1);
    let newest = fail(2).await.unwrap();
    assert_eq!((lab.rows().await.0, counts(&lab).await.2), (full, MAX_DEAD_LETTERS as u64));
    let find = |id| lab.store.read(move |view| find(view, &id));
    for (old, new) in oldest.into_iter().zip(newest) {
        assert_eq!(find(old).await.unwrap(), None);
        assert!(find(new).await.unwrap().is_some());
    }
}

/// Makes the file look as if a relay had written it that listed nothing but failures, in places of their own.
async fn forget_lists(lab: &Lab, letters: Vec<(u64, UserId, MessageId)>) {
    let older = move |tx: &mut Tx<'_>| {
        tx.remove_range(UNDELIVERED, &keys::end_of(UNDELIVERED))?;
        let until = tx.now + DEAD_LETTER_LIFE_MS;
        for (slot, (at, user, response)) in (0..).zip(&letters) {
            let letter = Writing::default().number(until).number(*at);
            let letter = letter.text(&user.to_string()).text(&response.to_string()).done();
            tx.put(&keys::dead_letter(slot), &letter)?;
            tx.schedule(until, &keys::dead_letter(slot))?;
        }
        tx.put(UNDELIVERED, &Writing::default().number(until).number(letters.len() as u64).done())?;
        tx.schedule(until, UNDELIVERED)
    };
    lab.store.writer.run(older).await.unwrap();
}

#[tokio::test]
async fn a_file_of_a_relay_without_lists_has_them_once_it_is_opened() {
    let lab = Lab::new();
    let client = lab.bot("c").await;
    let lost = reply(&lab, &client, "a", Some(failed_reply())).await;
    let failed_at = lab.store.shared.now();
    lab.advance(5);
    let retrying = reply(&lab, &client, "b", Some(retried(60_000))).await;
    let behind = reply(&lab, &client, "b", None).await;
    let arrived = reply(&lab, &client, "c", Some(Settlement::Delivered { pause: 0 })).await;
    let now = lab.store.shared.now();
    let before = (lab.rows().await.0, counts(&lab).await);
    let strangers = [(now, UserId::random(), MessageId::random()), (now, client.user, arrived)];
    forget_lists(&lab, [vec![(failed_at, client.user, lost)], strangers.into()].concat()).await;
    assert_eq!(counts(&lab).await, (0, 0, 0));

    let lab = lab.reopen();
    assert_eq!((lab.rows().await.0, counts(&lab).await), before);
    assert_eq!(listed(&lab, DeliveryState::Failed).await, [(lost, failed_at)]);
    assert_eq!(listed(&lab, DeliveryState::Retrying).await, [(retrying, now + 60_000)]);
    assert_eq!(listed(&lab, DeliveryState::Pending).await, [(behind, now)]);
    let lab = lab.reopen();
    assert_eq!((lab.rows().await.0, counts(&lab).await), before, "once is enough");
    lab.advance(DEAD_LETTER_LIFE_MS + KEEP_MS);
    lab.sweep(1000).await;
    assert_eq!(counts(&lab).await, (0, 0, 0));
}

#[tokio::test]
async fn a_reply_that_cannot_be_read_hides_no_other() {
    let lab = Lab::new();
    let client = lab.bot("c").await;
    let [first, second] = [reply(&lab, &client, "a", None).await, reply(&lab, &client, "b", None).await];
    let key = owned(&lab, &client).await.reply(&first);
    lab.store.writer.run(move |tx| tx.put(&key, b"?")).await.unwrap();
    let seen: Vec<_> = listed(&lab, DeliveryState::Pending).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(seen, [second]);
}

#[test]
fn a_listing_reads_back_as_it_was_written() {
    for state in DeliveryState::ALL {
        let (user, channel, response) = (UserId::random(), "c".parse().unwrap(), MessageId::random());
        let listing = Listing { kind: KIND, state, at: 7, session: 3, user, channel };
        let value = listing.write();
        let (id, read) = read_row(&listing.key(&response), &value).unwrap();
        assert_eq!((id, read), (response, listing));
        for len in 0..value.len() {
            assert!(Listing::read(&value[..len]).is_err(), "{len}");
        }
    }
}
