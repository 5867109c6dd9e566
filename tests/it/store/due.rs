//! The list of channels with something due: who looks where, and when.

use std::time::Duration;

use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::ids::ChannelId;
use chaos_relay::store::{ReplyOutcome, Taken};
use tokio::time::sleep;

use super::bot::{Bot, LONG, SHORT, exactly, retry};
use super::{Bench, on_both_stores};
use crate::support::eventually;

on_both_stores! {
    a_claim_moves_a_channel_ahead_until_its_lease_ends,
    whoever_lost_a_claim_may_bring_the_next_look_forward,
    a_claim_is_for_one_type_and_so_many,
    a_released_channel_is_looked_at_when_it_is_time,
    a_release_does_not_undo_what_came_in_between,
    a_refused_reply_does_not_put_off_what_is_due,
}

async fn claimed(bench: &Bench, lease: u64) -> Vec<ChannelId> {
    let due = bench.store.claim_due(ChannelKind::Telegram, lease, 10).await.unwrap();
    due.into_iter().map(|due| due.channel).collect()
}

async fn a_claim_moves_a_channel_ahead_until_its_lease_ends(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    assert_eq!(claimed(&bench, LONG).await, []);
    bot.replies("a", "x").await;
    let due = bench.store.claim_due(ChannelKind::Telegram, SHORT, 10).await.unwrap();
    let [due] = &due[..] else { panic!("{due:?}") };
    assert_eq!((due.kind, due.user, &due.channel), (ChannelKind::Telegram, bot.session.user, &bot.id));
    assert_eq!(claimed(&bench, LONG).await, []);
    // Nobody released it: whoever claimed it died.
    let again = eventually("the claim lapses", || async {
        bench.store.claim_due(ChannelKind::Telegram, LONG, 10).await.unwrap().pop()
    })
    .await;
    assert_eq!(again.channel, bot.id);
    assert!(again.claim > due.claim);
    // The one who lost the claim can neither put the next look off nor end it.
    bench.store.release_due(due, Some(LONG)).await.unwrap();
    bench.store.release_due(due, None).await.unwrap();
    assert_eq!(claimed(&bench, LONG).await, []);
    bench.store.release_due(&again, Some(0)).await.unwrap();
    assert_eq!(claimed(&bench, LONG).await, std::slice::from_ref(&bot.id));
}

async fn whoever_lost_a_claim_may_bring_the_next_look_forward(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    for other_is_released in [true, false] {
        bot.replies("a", "x").await;
        let due = bench.store.claim_due(ChannelKind::Telegram, LONG, 10).await.unwrap().remove(0);
        let delivery = bot.takes().await;
        // A reply that follows makes another look, who finds that there is nothing to do for long.
        bot.replies("a", "y").await;
        let other = bench.store.claim_due(ChannelKind::Telegram, LONG, 10).await.unwrap().remove(0);
        let wait = bot.waits().await;
        if other_is_released {
            bench.store.release_due(&other, Some(wait)).await.unwrap();
        }
        assert!(bot.settle(&delivery, retry(0, "")).await);
        bench.store.release_due(&due, Some(LONG / 2)).await.unwrap();
        bench.store.release_due(&due, Some(0)).await.unwrap();
        if !other_is_released {
            bench.store.release_due(&other, Some(wait)).await.unwrap();
            bench.store.release_due(&other, None).await.unwrap();
        }
        let due = bench.store.claim_due(ChannelKind::Telegram, LONG, 10).await.unwrap();
        let [due] = &due[..] else { panic!("the retry is forgotten: {other_is_released}") };
        for _ in 0..2 {
            bot.delivers(&bot.takes().await).await;
        }
        bench.store.release_due(due, None).await.unwrap();
    }
}

async fn a_claim_is_for_one_type_and_so_many(bench: Bench) {
    let first = Bot::new(&bench.store).await;
    let second = Bot::of(&bench.store, &first.session).await;
    let third = Bot::new(&bench.store).await;
    for bot in [&first, &second, &third] {
        bot.hears("a").await;
        bot.replies("a", "x").await;
        bot.replies("a", "y").await;
        sleep(Duration::from_millis(3)).await;
    }
    for kind in [ChannelKind::Discord, ChannelKind::Slack, ChannelKind::Email] {
        assert_eq!(bench.store.claim_due(kind, LONG, 10).await.unwrap(), []);
    }
    let due = bench.store.claim_due(ChannelKind::Telegram, LONG, 2).await.unwrap();
    let channels: Vec<_> = due.iter().map(|due| &due.channel).collect();
    assert_eq!(channels, [&first.id, &second.id], "what is due longest comes first");
    assert_eq!(claimed(&bench, LONG).await, std::slice::from_ref(&third.id));
    assert_eq!(claimed(&bench, LONG).await, []);
}

async fn a_released_channel_is_looked_at_when_it_is_time(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    bot.replies("a", "x").await;
    let due = bench.store.claim_due(ChannelKind::Telegram, LONG, 10).await.unwrap().remove(0);
    bench.store.release_due(&due, Some(SHORT)).await.unwrap();
    assert_eq!(claimed(&bench, LONG).await, []);
    let due = eventually("the time comes", || async {
        bench.store.claim_due(ChannelKind::Telegram, 50, 10).await.unwrap().pop()
    })
    .await;
    bench.store.release_due(&due, None).await.unwrap();
    sleep(Duration::from_millis(80)).await;
    assert_eq!(claimed(&bench, LONG).await, [], "it left the list");
    bot.replies("a", "y").await;
    assert_eq!(claimed(&bench, LONG).await, std::slice::from_ref(&bot.id));
}

async fn a_release_does_not_undo_what_came_in_between(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    // Whether the claim ended already, and whether it ends sooner or later than the list names a channel ahead of
    // its reply.
    for lease in [1, SHORT, LONG] {
        for wait in [None, Some(LONG)] {
            bot.replies("a", "x").await;
            let due = bench.store.claim_due(ChannelKind::Telegram, lease, 10).await.unwrap().remove(0);
            let delivery = bot.takes().await;
            bot.delivers(&delivery).await;
            assert_eq!(bench.store.take_delivery(&due, LONG).await.unwrap(), Taken::Nothing);
            sleep(Duration::from_millis(5)).await;
            bot.replies("a", "y").await;
            bench.store.release_due(&due, wait).await.unwrap();
            let due = bench.store.claim_due(ChannelKind::Telegram, LONG, 10).await.unwrap();
            let [due] = &due[..] else { panic!("the channel is lost: {due:?}") };
            bot.delivers(&bot.takes().await).await;
            bench.store.release_due(due, None).await.unwrap();
        }
    }
}

async fn a_refused_reply_does_not_put_off_what_is_due(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    bot.replies("a", "x").await;
    let (_, outcome) = bot.reply_with("y", |delivery| delivery.destination = Some(exactly("b"))).await;
    assert_eq!(outcome, ReplyOutcome::UnknownDestination);
    assert_eq!(claimed(&bench, LONG).await, std::slice::from_ref(&bot.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_stays_listed_from_before_its_reply_is_stored_on_redis() {
    let bench = Bench::redis();
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    for lease in [SHORT, LONG] {
        bot.replies("a", "x").await;
        let due = bench.store.claim_due(ChannelKind::Telegram, lease, 10).await.unwrap().remove(0);
        bot.delivers(&bot.takes().await).await;
        // What a replica that dies between its two steps leaves: the channel is listed, for a few seconds later.
        let (_, outcome) = bot.reply_with("y", |delivery| delivery.destination = Some(exactly("b"))).await;
        assert_eq!(outcome, ReplyOutcome::UnknownDestination);
        bench.store.release_due(&due, None).await.unwrap();
        assert_eq!(bench.redis_cli(&["ZCARD", "{}{outbox:telegram}:due"]), "1");
    }
}
