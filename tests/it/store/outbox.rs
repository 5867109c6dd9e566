//! Replies on their way: the order they go in, and the leases they go under.

use std::collections::HashSet;
use std::time::Duration;

use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::ids::ChannelId;
use chaos_relay::store::{Delivery, DeliveryRequest, MAX_QUEUED, ReplyOutcome, ReplyRecord, Settlement, Taken};
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::sleep;

use super::bot::{Bot, LONG, SHORT, delivered, exactly, failed, place, retry};
use super::{Bench, gate, message, on_both_stores};

on_both_stores! {
    a_reply_is_taken_as_it_was_accepted,
    a_reply_is_refused_before_it_is_stored,
    a_reply_to_a_webhook_is_not_queued,
    replies_of_a_conversation_go_in_order,
    takers_at_once_get_different_conversations,
    many_takers_deliver_everything_once_and_in_order,
    a_lease_that_lapsed_lets_another_take_the_reply,
    parts_renew_the_lease_and_keep_the_progress,
    a_conversation_holds_a_bounded_number_of_replies,
}

async fn a_reply_is_taken_as_it_was_accepted(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    assert_eq!(bot.take(LONG).await, Taken::Nothing);
    let (named, asked_at) = bot.is_asked("a/1").await;
    let content = "a\n\"b\" 🦊\n";
    let (id, outcome) = bot.reply_with(content, |delivery| delivery.reply_to = Some(named)).await;
    let record = bot.record().await;
    let ReplyOutcome::Stored(stored) = outcome else { panic!("{outcome:?}") };
    assert_eq!(stored.channel, record.channel);
    bot.has_status(&id, "pending", 0, None).await;
    let taken = bot.takes().await;
    assert!(!taken.lease.is_empty());
    assert!(asked_at <= taken.accepted && taken.accepted <= taken.now);
    assert_eq!(stored.at, taken.accepted, "the first response of its channel");
    let expected = Delivery {
        user: bot.session.user,
        response: id,
        lease: taken.lease.clone(),
        conversation: place("a/1"),
        details: json!({"said": "a/1"}).to_string(),
        is_reply_to: true,
        completes_question: true,
        asked_at,
        content: content.to_owned(),
        progress: String::new(),
        attempts: 0,
        earlier_attempts: 0,
        accepted: taken.accepted,
        now: taken.now,
        record,
        trace: None,
    };
    assert_eq!(taken, expected);
    bot.has_status(&id, "pending", 0, None).await;
}

async fn a_reply_is_refused_before_it_is_stored(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let missing = ChannelId::random();
    let record = message(&bot.session.user, &bot.id, "x");
    let request =
        DeliveryRequest { kind: ChannelKind::Telegram, destination: Some(exactly("a")), reply_to: None, content: "x" };
    let whole = ReplyRecord { channel: &bot.id, kind: None, record: &record, delivery: Some(request.clone()) };
    let elsewhere = ReplyRecord { channel: &missing, ..whole.clone() };
    assert_eq!(bot.reply_as(elsewhere).await.1, ReplyOutcome::NoChannel);
    let mistaken = ReplyRecord { kind: Some("slack"), delivery: None, ..whole.clone() };
    assert_eq!(bot.reply_as(mistaken).await.1, ReplyOutcome::WrongKind(ChannelKind::Telegram));
    for delivery in [None, Some(DeliveryRequest { kind: ChannelKind::Discord, ..request })] {
        let reply = ReplyRecord { delivery, ..whole.clone() };
        assert_eq!(bot.reply_as(reply).await.1, ReplyOutcome::NeedsDelivery(ChannelKind::Telegram));
    }
    let mut disabled = bot.channel();
    disabled.enabled = false;
    bot.put(&disabled).await;
    assert_eq!(bot.reply_as(whole.clone()).await.1, ReplyOutcome::Disabled(disabled));
    bot.put(&bot.channel()).await;
    assert_eq!(bot.reply_as(whole.clone()).await.1, ReplyOutcome::UnknownDestination);
    assert_eq!((bot.status(&record.id).await, bot.take(LONG).await), (None, Taken::Nothing));
    bot.hears("a").await;
    assert!(matches!(bot.reply_as(whole).await.1, ReplyOutcome::Stored(_)));
}

async fn a_reply_to_a_webhook_is_not_queued(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    let record = message(&session.user, &id, "x");
    let delivery =
        Some(DeliveryRequest { kind: ChannelKind::Telegram, destination: None, reply_to: None, content: "x" });
    let reply = ReplyRecord { channel: &id, kind: None, record: &record, delivery };
    let outcome = bench.store.append_reply(&gate(&session), &reply).await.unwrap().unwrap().value;
    assert!(matches!(outcome, ReplyOutcome::Stored(_)));
    let status = bench.store.reply_status(&gate(&session), &record.id).await.unwrap().unwrap().value.unwrap();
    assert_eq!(status.status, "stored");
    for due in bench.store.claim_due(ChannelKind::Telegram, LONG, 10).await.unwrap() {
        assert_eq!(bench.store.take_delivery(&due, LONG).await.unwrap(), Taken::Nothing);
    }
}

async fn replies_of_a_conversation_go_in_order(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let mut accepted = Vec::new();
    for n in 0..5 {
        accepted.push((bot.replies("a", &n.to_string()).await, n.to_string()));
    }
    let mut arrived = Vec::new();
    for _ in 0..5 {
        let delivery = bot.takes().await;
        assert!(bot.waits().await <= LONG, "the next one waits for the first");
        bot.delivers(&delivery).await;
        arrived.push((delivery.response, delivery.content));
    }
    assert_eq!(arrived, accepted);
    assert_eq!(bot.take(LONG).await, Taken::Nothing);
}

async fn takers_at_once_get_different_conversations(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    for chat in 0..8 {
        bot.hears(&chat.to_string()).await;
        bot.replies(&chat.to_string(), "first").await;
        bot.replies(&chat.to_string(), "second").await;
    }
    let takes = join_all((0..12).map(|_| bot.take(LONG))).await;
    let mut held = HashSet::new();
    let mut waiting = 0;
    for taken in takes {
        match taken {
            Taken::Delivery(delivery) => {
                assert_eq!(delivery.content, "first");
                assert!(
                    held.insert(delivery.conversation.chat.clone()),
                    "{} was taken twice",
                    delivery.conversation.chat
                );
            }
            Taken::Wait(_) => waiting += 1,
            Taken::Nothing => panic!("there is something to wait for"),
        }
    }
    assert_eq!((held.len(), waiting), (8, 4));
}

async fn many_takers_deliver_everything_once_and_in_order(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let chats = ["a", "a/1", "b"];
    for chat in chats {
        bot.hears(chat).await;
    }
    let writer = async {
        for n in 0..20 {
            for chat in chats {
                bot.replies(chat, &n.to_string()).await;
            }
        }
    };
    let arrived = std::sync::Mutex::new(Vec::new());
    let taker = || async {
        while arrived.lock().unwrap().len() < 60 {
            match bot.take(LONG).await {
                Taken::Delivery(delivery) => {
                    arrived.lock().unwrap().push((delivery.conversation.clone(), delivery.content.clone()));
                    tokio::task::yield_now().await;
                    bot.delivers(&delivery).await;
                }
                _ => sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::join!(writer, taker(), taker(), taker(), taker());
    let arrived = arrived.into_inner().unwrap();
    for chat in chats {
        let there: Vec<_> = arrived.iter().filter(|(at, _)| *at == place(chat)).map(|(_, n)| n.clone()).collect();
        assert_eq!(there, (0..20).map(|n| n.to_string()).collect::<Vec<_>>(), "{chat}");
    }
}

async fn a_lease_that_lapsed_lets_another_take_the_reply(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let id = bot.replies("a", "x").await;
    let Taken::Delivery(first) = bot.take(SHORT).await else { panic!("it is due") };
    assert!((1..=SHORT).contains(&bot.waits().await));
    let second = bot.takes_later().await;
    assert_eq!((second.response, second.attempts), (id, 0));
    assert_ne!(second.lease, first.lease);
    for settlement in [delivered(0), failed("x"), retry(0, ""), Settlement::Postponed { wait: 0 }] {
        assert!(!bot.settle(&first, settlement).await);
    }
    assert!(!bot.settle(&first, Settlement::Part { progress: "x".to_owned(), lease: 0 }).await);
    bot.has_status(&id, "pending", 0, None).await;
    assert!(bot.settle(&second, delivered(0)).await);
    bot.has_status(&id, "delivered", 1, None).await;
    assert!(!bot.settle(&second, delivered(0)).await, "it is settled once");

    // Whoever comes late, but first, has not lost it.
    bot.replies("a", "y").await;
    let Taken::Delivery(late) = bot.take(1).await else { panic!("it is due") };
    sleep(Duration::from_millis(30)).await;
    assert!(bot.settle(&late, delivered(0)).await);
}

async fn parts_renew_the_lease_and_keep_the_progress(bench: Bench) {
    let part = |progress: &str, lease| Settlement::Part { progress: progress.to_owned(), lease };
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let id = bot.replies("a", "x").await;
    let Taken::Delivery(first) = bot.take(SHORT).await else { panic!("it is due") };
    assert!(bot.settle(&first, part("one", LONG)).await);
    assert!(bot.waits().await > SHORT);
    assert!(bot.settle(&first, part("two", 1)).await, "the same lease goes on");
    bot.has_status(&id, "pending", 0, None).await;
    let second = bot.takes_later().await;
    assert_eq!((second.response, second.progress.as_str(), second.attempts), (id, "two", 0));
    assert!(bot.settle(&second, retry(0, "three")).await);
    let third = bot.takes().await;
    assert_eq!((third.progress.as_str(), third.attempts), ("three", 1));
    bot.delivers(&third).await;
    // The next reply begins at its beginning.
    bot.replies("a", "y").await;
    assert_eq!(bot.takes().await.progress, "");
}

async fn a_conversation_holds_a_bounded_number_of_replies(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("b").await;
    let (question, _) = bot.is_asked("a").await;
    bot.reply_with("the answer", |delivery| delivery.reply_to = Some(question)).await;
    join_all((1..MAX_QUEUED).map(|_| bot.replies("a", "x"))).await;
    let (open, _) = bot.is_asked("a").await;
    let (refused, outcome) = bot.reply_with("too much", |delivery| delivery.reply_to = Some(open)).await;
    assert_eq!((outcome, bot.status(&refused).await), (ReplyOutcome::QueueFull, None));
    let (_, outcome) = bot.reply_with("too much", |delivery| delivery.destination = Some(exactly("a"))).await;
    assert_eq!(outcome, ReplyOutcome::QueueFull);
    bot.replies("b", "elsewhere").await;
    let first = bot.takes().await;
    assert_eq!(first.content, "the answer");
    bot.delivers(&first).await;
    let (_, outcome) = bot.reply_with("now", |delivery| delivery.reply_to = Some(open)).await;
    assert!(matches!(outcome, ReplyOutcome::Stored(_)));
    loop {
        let delivery = bot.takes().await;
        bot.delivers(&delivery).await;
        if delivery.content == "now" {
            assert!(delivery.completes_question, "a refusal uses up no question");
            return;
        }
    }
}
