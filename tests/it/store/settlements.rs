//! How the delivery of a reply ends, or goes on.

use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::ids::MessageId;
use chaos_relay::store::{Delivery, Settlement, Taken, Wake};

use super::bot::{Bot, LONG, SHORT, delivered, failed, retry};
use super::{Bench, new_session, on_both_stores};
use crate::support::eventually;

on_both_stores! {
    a_retry_holds_its_followers_back_and_nobody_else,
    what_was_not_tried_keeps_its_place,
    a_pause_holds_back_what_follows,
    a_reply_that_failed_makes_way_for_the_next,
    the_status_tells_of_the_last_try,
    replies_of_a_deleted_channel_fail,
    replies_of_a_deleted_session_are_gone,
    what_became_of_a_reply_is_published,
}

async fn a_retry_holds_its_followers_back_and_nobody_else(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    bot.hears("b").await;
    let first = bot.replies("a", "first").await;
    let second = bot.replies("a", "second").await;
    let other = bot.replies("b", "other").await;
    let delivery = bot.takes().await;
    assert_eq!(delivery.response, first);
    assert!(bot.settle(&delivery, retry(SHORT, "")).await);
    bot.has_status(&first, "retrying", 1, Some("try later")).await;
    let elsewhere = bot.takes().await;
    assert_eq!(elsewhere.response, other);
    bot.delivers(&elsewhere).await;
    assert!((1..=SHORT).contains(&bot.waits().await));
    let again = bot.takes_later().await;
    assert_eq!((again.response, again.attempts), (first, 1));
    assert!(again.now.millis() >= delivery.now.millis() + SHORT);
    bot.has_status(&second, "pending", 0, None).await;
    bot.delivers(&again).await;
    bot.has_status(&first, "delivered", 2, None).await;
    assert_eq!(bot.takes().await.response, second);
}

async fn what_was_not_tried_keeps_its_place(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let first = bot.replies("a", "first").await;
    bot.replies("a", "second").await;
    let delivery = bot.takes().await;
    assert!(bot.settle(&delivery, Settlement::Postponed { wait: SHORT }).await);
    bot.has_status(&first, "pending", 0, None).await;
    assert!((1..=SHORT).contains(&bot.waits().await));
    let again = bot.takes_later().await;
    assert_eq!((again.response, again.attempts), (first, 0));
    assert!(!bot.settle(&delivery, delivered(0)).await, "the lease ended with the settlement");
    assert!(bot.settle(&again, delivered(0)).await);
}

async fn a_pause_holds_back_what_follows(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    bot.hears("b").await;
    bot.replies("a", "first").await;
    bot.replies("a", "second").await;
    let first = bot.takes().await;
    assert!(bot.settle(&first, delivered(SHORT)).await);
    assert!((1..=SHORT).contains(&bot.waits().await));
    bot.replies("b", "elsewhere").await;
    let elsewhere = bot.takes().await;
    assert_eq!(elsewhere.content, "elsewhere");
    bot.delivers(&elsewhere).await;
    let second = bot.takes_later().await;
    assert!(second.now.millis() >= first.now.millis() + SHORT);
    // It holds even when there was nothing else to send.
    assert!(bot.settle(&second, delivered(SHORT)).await);
    bot.replies("a", "third").await;
    assert!((1..=SHORT).contains(&bot.waits().await));
    let third = bot.takes_later().await;
    assert!(third.now.millis() >= second.now.millis() + SHORT);
    // And it ends though nothing follows.
    assert!(bot.settle(&third, delivered(50)).await);
    eventually("nothing is left", || async { (bot.take(LONG).await == Taken::Nothing).then_some(()) }).await;
}

async fn a_reply_that_failed_makes_way_for_the_next(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let first = bot.replies("a", "first").await;
    let second = bot.replies("a", "second").await;
    let delivery = bot.takes().await;
    assert!(bot.settle(&delivery, failed("bot was blocked")).await);
    bot.has_status(&first, "failed", 1, Some("bot was blocked")).await;
    let next = bot.takes().await;
    assert_eq!((next.response, next.attempts), (second, 0));
    assert!(!bot.settle(&delivery, retry(0, "")).await);
    bot.delivers(&next).await;
    assert_eq!(bot.take(LONG).await, Taken::Nothing);
    bot.has_status(&first, "failed", 1, Some("bot was blocked")).await;
}

async fn the_status_tells_of_the_last_try(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let id = bot.replies("a", "x").await;
    let tries = [
        (retry(0, ""), "retrying", Some("try later")),
        (Settlement::Retry { wait: 0, error: "other".to_owned(), progress: String::new() }, "retrying", Some("other")),
        (delivered(0), "delivered", None),
    ];
    for (attempts, (settlement, status, error)) in (1..).zip(tries) {
        let delivery = bot.takes().await;
        assert!(bot.settle(&delivery, settlement).await);
        bot.has_status(&id, status, attempts, error).await;
    }
}

async fn replies_of_a_deleted_channel_fail(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let other = Bot::of(&bench.store, &bot.session).await;
    for bot in [&bot, &other] {
        bot.hears("a").await;
        bot.hears("b").await;
    }
    let arrived = bot.replies("a", "arrived").await;
    bot.delivers(&bot.takes().await).await;
    let gone_wrong = bot.replies("a", "gone wrong").await;
    assert!(bot.settle(&bot.takes().await, failed("bot was blocked")).await);
    let under_way = bot.replies("a", "under way").await;
    let delivery = bot.takes().await;
    let behind = bot.replies("a", "behind").await;
    let retried = bot.replies("b", "retried").await;
    let retrying = bot.takes().await;
    assert!(bot.settle(&retrying, retry(LONG, "half")).await);
    let elsewhere = other.replies("a", "elsewhere").await;
    bot.is_deleted().await;

    let why = Some("the channel was deleted");
    bot.has_status(&under_way, "failed", 0, why).await;
    bot.has_status(&behind, "failed", 0, why).await;
    bot.has_status(&retried, "failed", 1, why).await;
    bot.has_status(&arrived, "delivered", 1, None).await;
    bot.has_status(&gone_wrong, "failed", 1, Some("bot was blocked")).await;
    assert!(!bot.settle(&delivery, delivered(0)).await);
    assert!(!bot.settle(&delivery, retry(0, "")).await);
    assert_eq!(bot.take(LONG).await, Taken::Nothing);
    bot.has_status(&under_way, "failed", 0, why).await;
    // The list may name it still. Then there is nothing to do, and it leaves the list.
    for due in bench.store.claim_due(ChannelKind::Telegram, LONG, 10).await.unwrap() {
        if due.channel == bot.id {
            assert_eq!(bench.store.take_delivery(&due, LONG).await.unwrap(), Taken::Nothing);
        }
    }
    assert_eq!(other.takes().await.response, elsewhere);

    // Made anew, it begins with nothing.
    bot.put(&bot.channel()).await;
    bot.hears("a").await;
    assert_eq!(bot.take(LONG).await, Taken::Nothing);
    let id = bot.replies("a", "anew").await;
    assert_eq!(bot.takes().await.response, id);
}

async fn replies_of_a_deleted_session_are_gone(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    bot.replies("a", "under way").await;
    let delivery = bot.takes().await;
    bot.replies("a", "behind").await;
    let due = bench.store.claim_due(ChannelKind::Telegram, SHORT, 10).await.unwrap().remove(0);
    assert!(bench.store.delete_session(&bot.session.user).await.unwrap());
    assert!(!bot.settle(&delivery, delivered(0)).await);
    assert_eq!(bench.store.take_delivery(&due, LONG).await.unwrap(), Taken::Nothing);
    bench.store.release_due(&due, None).await.unwrap();
    assert_eq!(bot.finds(None).await, None);

    // The same user, with a new session and the same channel, begins with nothing.
    let again = bench.store.create_session(&new_session(&bot.session.user)).await.unwrap();
    let bot = Bot { store: bench.store.clone(), session: again, id: bot.id };
    bot.put(&bot.channel()).await;
    assert_eq!((bot.finds(None).await, bot.take(LONG).await), (None, Taken::Nothing));
    bot.hears("a").await;
    let id = bot.replies("a", "anew").await;
    assert_eq!(bot.takes().await.response, id);
}

async fn what_became_of_a_reply_is_published(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let user = bot.session.user;
    bot.hears("a").await;
    bot.replies("a", "x").await;
    bench.watcher.watch(&user).await.unwrap();
    let publish = |delivery: Delivery, settlement, frame: &'static str| {
        let store = bench.store.clone();
        async move { store.settle_delivery(&delivery, &settlement, Some(frame)).await.unwrap() }
    };
    let first = bot.takes().await;
    assert!(publish(first.clone(), retry(0, ""), r#"{"n":1,"text":"é\n"}"#).await);
    assert!(!publish(first, retry(0, ""), "refused").await);
    let second = bot.takes().await;
    assert!(bot.settle(&second, Settlement::Part { progress: String::new(), lease: LONG }).await);
    assert!(publish(second, delivered(0), r#"{"n":2}"#).await);
    let frames = [r#"{"n":1,"text":"é\n"}"#, r#"{"n":2}"#].map(|frame| Wake::Delivery(frame.to_owned()));
    assert_eq!(bench.heard(&user, 2).await, frames);
    bot.hears("a").await;
    let heard = bench.heard(&user, 3).await;
    assert!(matches!(heard[2], Wake::Message { .. }), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_is_forgotten_and_what_failed_can_be_sent_again_on_redis() {
    let bench = Bench::redis();
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let [arrived, deleted, lost] =
        [bot.replies("a", "1").await, bot.replies("a", "2").await, bot.replies("a", "3").await];
    let delivery = bot.takes().await;
    assert!(bot.settle(&delivery, retry(0, "half")).await);
    bot.delivers(&bot.takes().await).await;
    assert!(bot.settle(&bot.takes().await, retry(0, "half")).await);
    assert!(bot.settle(&bot.takes().await, failed("bot was blocked")).await);
    assert_eq!(bot.takes().await.response, lost);
    bot.is_deleted().await;
    let fields = |reply: &MessageId| {
        let key = format!("{{}}{{{}}}:reply:{reply}", bot.session.user);
        let fields = bench.redis_cli(&["HKEYS", &key]);
        let mut fields: Vec<_> = fields.lines().map(str::to_owned).collect();
        fields.sort();
        fields.concat()
    };
    assert_eq!(fields(&arrived), "acfs");
    assert_eq!(fields(&lost), "acfsx");
    assert_eq!(fields(&deleted), "abcfkmopqstx");
    let dead = bench.redis_cli(&["ZRANGE", "{}{outbox:telegram}:failed", "0", "-1"]);
    assert_eq!(dead, deleted.to_string(), "what went with its channel cannot be sent again");
}
