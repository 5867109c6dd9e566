//! Replies that the operator sends again, or drops.

use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::ids::{ChannelId, MessageId, UserId};
use chaos_relay::store::operator::{DeliveryState, DropOutcome, RedriveOutcome};
use chaos_relay::store::{Delivery, DueChannel, MAX_QUEUED, ReplyRecord, SessionRecord, Settlement, Taken, Wake};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::bot::{Bot, LONG, SHORT, delivered, failed, retry};
use super::desk::{A_MOMENT, counts, listed};
use super::{Bench, gate, message, on_both_stores};
use crate::support::eventually;

on_both_stores! {
    a_failed_reply_is_sent_again_from_where_it_stopped,
    a_reply_that_is_sent_again_goes_after_what_waits,
    a_reply_that_is_sent_again_can_fail_and_be_sent_again,
    many_who_send_one_reply_again_send_it_once,
    a_retry_can_be_had_at_once,
    what_is_under_way_or_waits_is_left_alone,
    a_lease_that_lapsed_holds_nothing_back,
    what_is_not_there_is_not_sent,
    nothing_is_sent_for_a_channel_that_takes_no_replies,
    a_full_conversation_takes_no_reply_again,
    a_dropped_reply_makes_way_at_once,
    a_dropped_reply_leaves_what_is_before_it_alone,
    a_drop_keeps_the_pause_that_the_platform_wants,
    a_dropped_reply_is_told_of_and_gone,
    a_failed_reply_that_is_dropped_keeps_its_reason,
    what_is_under_way_is_not_dropped,
    what_is_not_there_is_not_dropped,
}

const KIND: ChannelKind = ChannelKind::Telegram;
const WHY: &str = "the operator dropped it";

impl Bot {
    async fn drops(&self, response: &MessageId) -> DropOutcome {
        self.store.drop_reply(KIND, &self.session.user, &self.id, response, WHY).await.unwrap()
    }

    /// Looks after the channel until there is nothing due, so that its next look lies far ahead.
    async fn rests(&self) {
        for due in self.claims().await {
            self.store.release_due(&due, Some(LONG)).await.unwrap();
        }
        assert_eq!(self.claims().await, []);
    }

    async fn claims(&self) -> Vec<DueChannel> {
        self.store.claim_due(KIND, LONG, 10).await.unwrap()
    }

    /// The list of what is due names the channel now.
    async fn is_due(&self) {
        let due = self.claims().await;
        assert_eq!(due.iter().map(|due| &due.channel).collect::<Vec<_>>(), [&self.id]);
    }
}

async fn a_failed_reply_is_sent_again_from_where_it_stopped(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let (question, _) = bot.is_asked("a").await;
    let (id, _) = bot.reply_with("a\n\"b\" 🦊", |delivery| delivery.reply_to = Some(question)).await;
    assert!(bot.settle(&bot.takes().await, retry(0, "")).await);
    let first = bot.takes().await;
    assert!(bot.settle(&first, Settlement::Part { progress: "half".to_owned(), lease: LONG }).await);
    assert!(bot.settle(&first, failed("bot was blocked")).await);
    bot.has_status(&id, "failed", 2, Some("bot was blocked")).await;
    bot.rests().await;
    sleep(A_MOMENT).await;

    assert_eq!(bot.redrives(&id).await, RedriveOutcome::Redriven);
    bot.has_status(&id, "pending", 2, Some("bot was blocked")).await;
    bot.is_due().await;
    let again = bot.takes().await;
    assert!(again.accepted > first.accepted, "it has another day");
    assert_ne!(again.lease, first.lease);
    let expected = Delivery {
        lease: again.lease.clone(),
        progress: "half".to_owned(),
        attempts: 2,
        earlier_attempts: 2,
        accepted: again.accepted,
        now: again.now,
        ..first.clone()
    };
    assert_eq!(again, expected);
    assert!(!bot.settle(&first, delivered(0)).await);
    assert!(bot.settle(&again, retry(0, "more")).await);
    let last = bot.takes().await;
    assert_eq!((last.attempts, last.earlier_attempts, last.progress.as_str()), (3, 2, "more"));
    bot.delivers(&last).await;
    bot.has_status(&id, "delivered", 4, None).await;
    assert_eq!(bot.take(LONG).await, Taken::Nothing);
    // A reply of its own begins at its beginning.
    bot.replies("a", "y").await;
    assert_eq!(bot.takes().await.earlier_attempts, 0);
}

async fn a_reply_that_is_sent_again_goes_after_what_waits(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    for place in ["a", "b"] {
        bot.hears(place).await;
    }
    let lost = bot.ends("a", failed("x")).await;
    let retried = bot.ends("a", retry(LONG, "")).await;
    let waiting = bot.replies("a", "y").await;
    assert_eq!(bot.redrives(&lost).await, RedriveOutcome::Redriven);
    assert!(bot.waits().await > SHORT, "the retry keeps its time");
    assert_eq!(bot.redrives(&lost).await, RedriveOutcome::Waits);
    assert_eq!(bot.redrives(&retried).await, RedriveOutcome::Hastened);
    for id in [retried, waiting, lost] {
        let delivery = bot.takes().await;
        assert_eq!(delivery.response, id);
        bot.delivers(&delivery).await;
    }
    // A pause after the last reply holds it back too.
    let lost = bot.ends("b", failed("x")).await;
    bot.ends("b", delivered(SHORT)).await;
    assert_eq!(bot.redrives(&lost).await, RedriveOutcome::Redriven);
    assert!((1..=SHORT).contains(&bot.waits().await));
    assert_eq!(bot.takes_later().await.response, lost);
}

async fn a_reply_that_is_sent_again_can_fail_and_be_sent_again(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let id = bot.ends("a", failed("0")).await;
    for n in 1..4 {
        assert_eq!(bot.redrives(&id).await, RedriveOutcome::Redriven);
        let again = bot.takes().await;
        assert_eq!((again.response, again.attempts, again.earlier_attempts), (id, n, n));
        assert!(bot.settle(&again, failed(&n.to_string())).await);
        bot.has_status(&id, "failed", n + 1, Some(&n.to_string())).await;
        assert_eq!((counts(&bench).await, listed(&bench, DeliveryState::Failed).await), ((0, 0, 1), vec![id]));
    }
    assert_eq!(bot.take(LONG).await, Taken::Nothing);
}

async fn many_who_send_one_reply_again_send_it_once(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    for _ in 0..3 {
        let id = bot.ends("a", failed("x")).await;
        let outcomes = join_all((0..8).map(|_| bot.redrives(&id))).await;
        let redriven = outcomes.iter().filter(|outcome| **outcome == RedriveOutcome::Redriven).count();
        assert_eq!(redriven, 1, "{outcomes:?}");
        assert_eq!((counts(&bench).await, listed(&bench, DeliveryState::Pending).await), ((1, 0, 0), vec![id]));
        let delivery = bot.takes().await;
        assert_eq!((delivery.response, delivery.earlier_attempts), (id, 1));
        bot.delivers(&delivery).await;
        assert_eq!((bot.take(LONG).await, counts(&bench).await), (Taken::Nothing, (0, 0, 0)));
    }
}

async fn a_retry_can_be_had_at_once(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    for place in ["a", "b"] {
        bot.hears(place).await;
    }
    let later = bot.ends("b", retry(LONG, "")).await;
    let id = bot.ends("a", retry(2 * LONG, "half")).await;
    bot.rests().await;
    assert_eq!(listed(&bench, DeliveryState::Retrying).await, [later, id]);
    assert_eq!(bot.redrives(&id).await, RedriveOutcome::Hastened);
    bot.is_due().await;
    assert_eq!(listed(&bench, DeliveryState::Retrying).await, [id, later]);
    bot.has_status(&id, "retrying", 1, Some("try later")).await;
    let delivery = bot.takes().await;
    assert_eq!((delivery.response, delivery.attempts, delivery.earlier_attempts), (id, 1, 0));
    assert_eq!(delivery.progress, "half");
    assert!(bot.waits().await > SHORT, "the other keeps its time");
}

async fn what_is_under_way_or_waits_is_left_alone(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let [first, second] = [bot.replies("a", "1").await, bot.replies("a", "2").await];
    let delivery = bot.takes().await;
    assert_eq!(bot.redrives(&first).await, RedriveOutcome::UnderWay);
    assert_eq!(bot.redrives(&second).await, RedriveOutcome::Waits);
    assert!(bot.waits().await > SHORT);
    assert!(bot.settle(&delivery, Settlement::Part { progress: "half".to_owned(), lease: LONG }).await);
    assert_eq!(bot.redrives(&first).await, RedriveOutcome::UnderWay);
    bot.delivers(&delivery).await;
    assert_eq!(bot.takes().await.response, second);
    assert_eq!(counts(&bench).await, (1, 0, 0));
}

async fn a_lease_that_lapsed_holds_nothing_back(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let [first, second] = [bot.replies("a", "1").await, bot.replies("a", "2").await];
    let Taken::Delivery(gone) = bot.take(1).await else { panic!("it is due") };
    eventually("the lease lapses", || async { (bot.redrives(&first).await == RedriveOutcome::Hastened).then_some(()) })
        .await;
    assert_eq!(bot.drops(&first).await, DropOutcome::Dropped);
    assert!(!bot.settle(&gone, delivered(0)).await);
    bot.has_status(&first, "failed", 0, Some(WHY)).await;
    assert_eq!(bot.takes().await.response, second);
}

async fn what_is_not_there_is_not_sent(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let other = Bot::of(&bench.store, &bot.session).await;
    bot.hears("a").await;
    let arrived = bot.ends("a", delivered(0)).await;
    let lost = bot.ends("a", failed("x")).await;
    assert_eq!(bot.redrives(&arrived).await, RedriveOutcome::NothingToSend);
    assert_eq!(bot.redrives(&MessageId::random()).await, RedriveOutcome::Unknown);
    assert_eq!(other.redrives(&lost).await, RedriveOutcome::Unknown);
    let stranger = UserId::random();
    let outcome = bench.store.redrive(KIND, &stranger, &bot.id, &lost).await.unwrap();
    assert_eq!(outcome, RedriveOutcome::Unknown);
    assert_eq!(bot.drops(&lost).await, DropOutcome::Dropped);
    assert_eq!(bot.redrives(&lost).await, RedriveOutcome::NothingToSend);

    let (session, webhook) = bench.session_with_channel().await;
    let stored = stored_on(&bench, &session, &webhook).await;
    let outcome = bench.store.redrive(KIND, &session.user, &webhook, &stored).await.unwrap();
    assert_eq!(outcome, RedriveOutcome::NothingToSend);
    assert_eq!((bot.take(LONG).await, counts(&bench).await), (Taken::Nothing, (0, 0, 0)));
}

/// A reply that is only stored, on a webhook channel.
async fn stored_on(bench: &Bench, session: &SessionRecord, webhook: &ChannelId) -> MessageId {
    let record = message(&session.user, webhook, "x");
    let reply = ReplyRecord { channel: webhook, kind: None, record: &record, delivery: None };
    bench.store.append_reply(&gate(session), &reply).await.unwrap().unwrap();
    record.id
}

async fn nothing_is_sent_for_a_channel_that_takes_no_replies(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let lost = bot.ends("a", failed("x")).await;
    let retried = bot.ends("a", retry(LONG, "")).await;
    let mut disabled = bot.channel();
    disabled.enabled = false;
    bot.put(&disabled).await;
    for id in [lost, retried] {
        assert_eq!(bot.redrives(&id).await, RedriveOutcome::NoChannel);
    }
    let outcome = bench.store.redrive(ChannelKind::Slack, &bot.session.user, &bot.id, &lost).await.unwrap();
    assert_eq!(outcome, RedriveOutcome::NoChannel);
    bot.has_status(&lost, "failed", 1, Some("x")).await;
    assert_eq!(counts(&bench).await, (0, 1, 1));
    bot.put(&bot.channel()).await;
    assert_eq!(bot.redrives(&lost).await, RedriveOutcome::Redriven);
    let lost = bot.replies("a", "y").await;
    bot.is_deleted().await;
    assert_eq!(bot.redrives(&lost).await, RedriveOutcome::NothingToSend, "it went with its channel");

    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let lost = bot.ends("a", failed("x")).await;
    bot.is_deleted().await;
    assert_eq!(bot.redrives(&lost).await, RedriveOutcome::NoChannel);
}

async fn a_full_conversation_takes_no_reply_again(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let lost = bot.ends("a", failed("x")).await;
    join_all((0..MAX_QUEUED).map(|_| bot.replies("a", "x"))).await;
    assert_eq!(bot.redrives(&lost).await, RedriveOutcome::QueueFull);
    bot.has_status(&lost, "failed", 1, Some("x")).await;
    assert_eq!(listed(&bench, DeliveryState::Failed).await, [lost]);
    bot.delivers(&bot.takes().await).await;
    assert_eq!(bot.redrives(&lost).await, RedriveOutcome::Redriven);
}

async fn a_dropped_reply_makes_way_at_once(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let retried = bot.ends("a", retry(LONG, "half")).await;
    let [second, third] = [bot.replies("a", "2").await, bot.replies("a", "3").await];
    bot.rests().await;
    assert_eq!(bot.drops(&retried).await, DropOutcome::Dropped);
    bot.has_status(&retried, "failed", 1, Some(WHY)).await;
    bot.is_due().await;
    assert_eq!((counts(&bench).await, listed(&bench, DeliveryState::Failed).await), ((2, 0, 0), vec![]));
    assert_eq!(bot.drops(&second).await, DropOutcome::Dropped);
    bot.has_status(&second, "failed", 0, Some(WHY)).await;
    let delivery = bot.takes().await;
    assert_eq!((delivery.response, delivery.progress.as_str()), (third, ""));
    bot.delivers(&delivery).await;
    // And when nothing waits behind it.
    let alone = bot.ends("a", retry(LONG, "")).await;
    assert_eq!(bot.drops(&alone).await, DropOutcome::Dropped);
    assert_eq!(bot.take(LONG).await, Taken::Nothing);
    let next = bot.replies("a", "4").await;
    assert_eq!(bot.takes().await.response, next);
    assert_eq!(counts(&bench).await, (1, 0, 0));
}

async fn a_dropped_reply_leaves_what_is_before_it_alone(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let [first, second, third] =
        [bot.replies("a", "1").await, bot.replies("a", "2").await, bot.replies("a", "3").await];
    let delivery = bot.takes().await;
    assert_eq!(bot.drops(&second).await, DropOutcome::Dropped);
    assert!(bot.waits().await > SHORT);
    assert!(bot.settle(&delivery, retry(LONG, "")).await);
    assert_eq!(bot.drops(&third).await, DropOutcome::Dropped);
    assert!(bot.waits().await > SHORT, "the retry keeps its time");
    bot.has_status(&first, "retrying", 1, Some("try later")).await;
    assert_eq!(counts(&bench).await, (0, 1, 0));
}

async fn a_drop_keeps_the_pause_that_the_platform_wants(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    bot.ends("a", delivered(LONG)).await;
    let [first, second] = [bot.replies("a", "1").await, bot.replies("a", "2").await];
    assert_eq!(bot.drops(&first).await, DropOutcome::Dropped);
    assert!(bot.waits().await > SHORT);
    assert_eq!(bot.drops(&second).await, DropOutcome::Dropped);
    bot.replies("a", "3").await;
    assert!(bot.waits().await > SHORT);
}

async fn a_dropped_reply_is_told_of_and_gone(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let id = bot.ends("a", retry(LONG, "")).await;
    bench.watcher.watch(&bot.session.user).await.unwrap();
    assert_eq!(bot.drops(&id).await, DropOutcome::Dropped);
    let [Wake::Delivery(frame)] = &bench.heard(&bot.session.user, 1).await[..] else { panic!("one frame") };
    let expected = json!({"type": "delivery", "responseId": id.to_string(), "channelId": bot.id.as_str(),
        "status": "failed", "attempts": 1, "error": WHY});
    assert_eq!(serde_json::from_str::<Value>(frame).unwrap(), expected);
    assert_eq!(bench.store.find_delivery(&id).await.unwrap(), None);
    assert_eq!(bot.drops(&id).await, DropOutcome::NothingToDrop);
    bot.hears("a").await;
    let heard = bench.heard(&bot.session.user, 2).await;
    assert!(matches!(heard[1], Wake::Message { .. }), "it is told once: {heard:?}");
}

async fn a_failed_reply_that_is_dropped_keeps_its_reason(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let id = bot.ends("a", failed("bot was blocked")).await;
    bench.watcher.watch(&bot.session.user).await.unwrap();
    assert_eq!(bot.drops(&id).await, DropOutcome::Dropped);
    bot.has_status(&id, "failed", 1, Some("bot was blocked")).await;
    assert_eq!((counts(&bench).await, bench.store.find_delivery(&id).await.unwrap()), ((0, 0, 0), None));
    assert_eq!(bot.drops(&id).await, DropOutcome::NothingToDrop);
    assert_eq!(bot.redrives(&id).await, RedriveOutcome::NothingToSend);
    bot.hears("a").await;
    let heard = bench.heard(&bot.session.user, 1).await;
    assert!(matches!(heard[0], Wake::Message { .. }), "its end was told before: {heard:?}");
}

async fn what_is_under_way_is_not_dropped(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let id = bot.replies("a", "x").await;
    let delivery = bot.takes().await;
    assert_eq!(bot.drops(&id).await, DropOutcome::UnderWay);
    bot.has_status(&id, "pending", 0, None).await;
    bot.delivers(&delivery).await;
    bot.has_status(&id, "delivered", 1, None).await;
}

async fn what_is_not_there_is_not_dropped(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let other = Bot::of(&bench.store, &bot.session).await;
    bot.hears("a").await;
    let arrived = bot.ends("a", delivered(0)).await;
    let waiting = bot.replies("a", "x").await;
    assert_eq!(bot.drops(&arrived).await, DropOutcome::NothingToDrop);
    assert_eq!(bot.drops(&MessageId::random()).await, DropOutcome::Unknown);
    assert_eq!(other.drops(&waiting).await, DropOutcome::Unknown);
    let (session, webhook) = bench.session_with_channel().await;
    let stored = stored_on(&bench, &session, &webhook).await;
    let outcome = bench.store.drop_reply(KIND, &session.user, &webhook, &stored, WHY).await.unwrap();
    assert_eq!(outcome, DropOutcome::NothingToDrop);
    bot.has_status(&arrived, "delivered", 1, None).await;
    assert_eq!(counts(&bench).await, (1, 0, 0));
    bot.delivers(&bot.takes().await).await;
}
