//! The lists of replies that are not delivered.

use std::time::Duration;

use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::digest::Digest;
use chaos_relay::domain::ids::MessageId;
use chaos_relay::store::operator::{
    DeliveryCounts, DeliveryEntry, DeliveryPage, DeliveryQuery, DeliveryState, ListCursor, RedriveOutcome,
};
use chaos_relay::store::{DeliveryRequest, ReplyOutcome, ReplyRecord, Settlement, Taken};
use tokio::time::sleep;

use super::bot::{Bot, LONG, delivered, exactly, failed, retry};
use super::{Bench, gate, message, on_both_stores};

on_both_stores! {
    counts_follow_a_reply_through_its_life,
    what_is_not_queued_is_not_listed,
    an_entry_tells_how_far_its_reply_is,
    lists_are_in_order,
    pages_neither_skip_nor_repeat_what_stays,
    replies_of_one_moment_are_paged_one_by_one,
    a_reply_is_found_in_each_state,
    failed_replies_of_a_channel_come_oldest_first,
    a_failure_that_came_too_late_is_not_listed,
    what_went_with_its_channel_is_not_listed,
    what_went_with_its_session_is_not_listed,
}

const KIND: ChannelKind = ChannelKind::Telegram;
/// Enough for a later instant.
pub const A_MOMENT: Duration = Duration::from_millis(3);

pub async fn counts(bench: &Bench) -> (u64, u64, u64) {
    let DeliveryCounts { pending, retrying, failed, .. } = bench.store.delivery_counts(KIND).await.unwrap();
    (pending, retrying, failed)
}

pub async fn page(bench: &Bench, state: DeliveryState, after: Option<&ListCursor>, count: usize) -> DeliveryPage {
    let query = DeliveryQuery { state, kind: KIND, after, count };
    let page = bench.store.deliveries(&query).await.unwrap();
    assert!(page.entries.iter().all(|entry| entry.kind == KIND && entry.state.status == state.as_str()), "{page:?}");
    page
}

pub async fn listed(bench: &Bench, state: DeliveryState) -> Vec<MessageId> {
    let page = page(bench, state, None, 100).await;
    assert_eq!(page.next, None);
    page.entries.iter().map(|entry| entry.response).collect()
}

async fn found(bench: &Bench, response: &MessageId) -> DeliveryEntry {
    bench.store.find_delivery(response).await.unwrap().expect("it is listed")
}

impl Bot {
    /// A reply in this place whose first try ended so.
    pub async fn ends(&self, place: &str, settlement: Settlement) -> MessageId {
        let id = self.replies(place, "x").await;
        let delivery = self.takes().await;
        assert_eq!(delivery.response, id);
        assert!(self.settle(&delivery, settlement).await);
        id
    }

    pub async fn redrives(&self, response: &MessageId) -> RedriveOutcome {
        self.store.redrive(KIND, &self.session.user, &self.id, response).await.unwrap()
    }
}

async fn counts_follow_a_reply_through_its_life(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let id = bot.replies("a", "x").await;
    assert_eq!(counts(&bench).await, (1, 0, 0));
    let first = bot.takes().await;
    assert!(bot.settle(&first, Settlement::Part { progress: "half".to_owned(), lease: LONG }).await);
    assert_eq!(counts(&bench).await, (1, 0, 0));
    assert!(bot.settle(&first, Settlement::Postponed { wait: 0 }).await);
    assert_eq!(counts(&bench).await, (1, 0, 0));
    assert!(bot.settle(&bot.takes().await, retry(0, "")).await);
    assert_eq!(counts(&bench).await, (0, 1, 0));
    assert!(bot.settle(&bot.takes().await, retry(0, "")).await);
    assert_eq!(counts(&bench).await, (0, 1, 0));
    assert!(bot.settle(&bot.takes().await, failed("bot was blocked")).await);
    assert_eq!(counts(&bench).await, (0, 0, 1));
    assert_eq!(bot.redrives(&id).await, RedriveOutcome::Redriven);
    assert_eq!(counts(&bench).await, (1, 0, 0));
    assert_eq!(listed(&bench, DeliveryState::Pending).await, [id]);
    assert_eq!(listed(&bench, DeliveryState::Failed).await, []);
    bot.delivers(&bot.takes().await).await;
    assert_eq!(counts(&bench).await, (0, 0, 0));
}

async fn what_is_not_queued_is_not_listed(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let record = message(&bot.session.user, &bot.id, "x");
    let request = DeliveryRequest { kind: KIND, destination: Some(exactly("a")), reply_to: None, content: "x" };
    let reply = ReplyRecord { channel: &bot.id, kind: None, record: &record, delivery: Some(request.clone()) };
    assert_eq!(bot.reply_as(reply.clone()).await.1, ReplyOutcome::UnknownDestination);
    let mistaken = DeliveryRequest { kind: ChannelKind::Discord, ..request.clone() };
    let guessed = ReplyRecord { delivery: Some(mistaken), ..reply.clone() };
    assert_eq!(bot.reply_as(guessed).await.1, ReplyOutcome::NeedsDelivery(KIND));
    let mut stranger = gate(&bot.session);
    stranger.api_key = Digest::of(b"wrong");
    assert!(bench.store.append_reply(&stranger, &reply).await.unwrap().is_err());
    let (session, webhook) = bench.session_with_channel().await;
    let to_webhook = ReplyRecord { channel: &webhook, ..reply.clone() };
    let outcome = bench.store.append_reply(&gate(&session), &to_webhook).await.unwrap().unwrap().value;
    assert!(matches!(outcome, ReplyOutcome::Stored(_)));
    assert_eq!(counts(&bench).await, (0, 0, 0));
    // Refused once, it may still be accepted.
    bot.hears("a").await;
    assert!(matches!(bot.reply_as(reply).await.1, ReplyOutcome::Stored(_)));
    assert_eq!(counts(&bench).await, (1, 0, 0));
    assert_eq!(listed(&bench, DeliveryState::Pending).await, [record.id]);
}

async fn an_entry_tells_how_far_its_reply_is(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    for place in ["a", "b"] {
        bot.hears(place).await;
    }
    let first = bot.ends("a", failed("bot was blocked")).await;
    let second = bot.replies("a", "x").await;
    let delivery = bot.takes().await;
    let held = found(&bench, &second).await;
    assert_eq!((held.user, &held.channel, held.response), (bot.session.user, &bot.id, second));
    assert_eq!((held.state.status.as_str(), held.state.attempts, held.state.next_try), ("pending", 0, None));
    assert!(bot.settle(&delivery, retry(LONG, "half")).await);
    let behind = bot.replies("a", "x").await;

    let entry = found(&bench, &second).await;
    assert_eq!((entry.state.status.as_str(), entry.state.attempts), ("retrying", 1));
    assert_eq!(entry.state.error.as_deref(), Some("try later"));
    let next = entry.state.next_try.expect("it is the first of its conversation");
    assert!((LONG..LONG + 10_000).contains(&next.distance(delivery.now)));
    assert!(entry.at.millis().abs_diff(next.millis()) < 1000, "it is sorted by its next try");
    assert_eq!(entry.state.accepted, Some(delivery.accepted));
    let entry = found(&bench, &behind).await;
    assert_eq!((entry.state.status.as_str(), entry.state.next_try), ("pending", None), "it waits for the other");
    assert!(entry.at.millis().abs_diff(entry.state.accepted.unwrap().millis()) < 1000);
    let entry = found(&bench, &first).await;
    assert_eq!((entry.state.status.as_str(), entry.state.attempts, entry.state.next_try), ("failed", 1, None));
    assert_eq!(entry.state.error.as_deref(), Some("bot was blocked"));
    let alone = bot.replies("b", "x").await;
    let entry = found(&bench, &alone).await;
    assert!(entry.state.next_try.is_some(), "it is due");
    for id in [first, second, behind, alone] {
        let entry = found(&bench, &id).await;
        assert!(entry.state.has_content);
        assert_eq!(entry.state.channel, bot.id.as_str());
    }
}

async fn lists_are_in_order(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let places: Vec<_> = (0..9).map(|n| n.to_string()).collect();
    for place in &places {
        bot.hears(place).await;
    }
    let mut lost = Vec::new();
    for place in &places[..3] {
        lost.insert(0, bot.ends(place, failed("x")).await);
        sleep(A_MOMENT).await;
    }
    let mut retried = Vec::new();
    for (place, wait) in places[3..6].iter().zip([LONG, 3 * LONG, 2 * LONG]) {
        retried.push(bot.ends(place, retry(wait, "")).await);
    }
    retried.swap(1, 2);
    let mut waiting = Vec::new();
    for place in &places[6..] {
        waiting.push(bot.replies(place, "x").await);
        sleep(A_MOMENT).await;
    }
    assert_eq!(listed(&bench, DeliveryState::Failed).await, lost, "the newest first");
    assert_eq!(listed(&bench, DeliveryState::Retrying).await, retried, "what is due next first");
    assert_eq!(listed(&bench, DeliveryState::Pending).await, waiting, "the oldest first");
    for kind in ChannelKind::PLATFORMS.into_iter().filter(|kind| *kind != KIND) {
        for state in DeliveryState::ALL {
            let query = DeliveryQuery { state, kind, after: None, count: 10 };
            assert_eq!(bench.store.deliveries(&query).await.unwrap(), DeliveryPage { entries: vec![], next: None });
        }
    }
}

fn ids(page: &DeliveryPage) -> Vec<MessageId> {
    page.entries.iter().map(|entry| entry.response).collect()
}

async fn pages_neither_skip_nor_repeat_what_stays(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let mut lost = Vec::new();
    for place in ["1", "2", "3", "4", "5", "6"] {
        bot.hears(place).await;
        lost.insert(0, bot.ends(place, failed("x")).await);
        sleep(A_MOMENT).await;
    }
    let first = page(&bench, DeliveryState::Failed, None, 2).await;
    assert_eq!(ids(&first), lost[..2]);
    // One comes in front, and the one that ended the page goes.
    bot.ends("1", failed("x")).await;
    assert_eq!(bot.redrives(&lost[1]).await, RedriveOutcome::Redriven);
    let second = page(&bench, DeliveryState::Failed, first.next.as_ref(), 2).await;
    assert_eq!(ids(&second), lost[2..4]);
    let third = page(&bench, DeliveryState::Failed, second.next.as_ref(), 2).await;
    assert_eq!((ids(&third), third.next), (lost[4..].to_vec(), None));

    let mut waiting = vec![lost[1]];
    for place in ["2", "3", "4"] {
        sleep(A_MOMENT).await;
        waiting.push(bot.replies(place, "x").await);
    }
    let first = page(&bench, DeliveryState::Pending, None, 3).await;
    assert_eq!(ids(&first), waiting[..3]);
    for _ in 0..2 {
        bot.delivers(&bot.takes().await).await;
    }
    let second = page(&bench, DeliveryState::Pending, first.next.as_ref(), 3).await;
    assert_eq!((ids(&second), second.next), (waiting[3..].to_vec(), None));
}

async fn replies_of_one_moment_are_paged_one_by_one(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    for place in ["a", "b", "c", "d", "e"] {
        bot.hears(place).await;
        bot.ends(place, failed("x")).await;
    }
    bench.at_one_moment(DeliveryState::Failed).await;
    let mut seen = Vec::new();
    let mut after = None;
    for _ in 0..5 {
        let page = page(&bench, DeliveryState::Failed, after.as_ref(), 1).await;
        seen.extend(ids(&page));
        after = page.next;
    }
    assert_eq!(after, None);
    assert_eq!(seen.len(), 5);
    assert_eq!(seen, listed(&bench, DeliveryState::Failed).await);
}

impl Bench {
    /// Gives all replies of a list the same time, where that can be done from outside.
    async fn at_one_moment(&self, state: DeliveryState) {
        if self.prefix.is_empty() {
            return;
        }
        let at = page(self, state, None, 1).await.entries[0].at.millis().to_string();
        let key = format!("{{}}{{outbox:telegram}}:{}", state.as_str());
        for id in listed(self, state).await {
            self.redis_cli(&["ZADD", &key, &at, &id.to_string()]);
        }
    }
}

async fn a_reply_is_found_in_each_state(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let id = bot.replies("a", "x").await;
    let is = async |status: Option<&str>| {
        let found = bench.store.find_delivery(&id).await.unwrap();
        assert_eq!(found.map(|entry| entry.state.status).as_deref(), status);
    };
    is(Some("pending")).await;
    assert!(bot.settle(&bot.takes().await, retry(0, "")).await);
    is(Some("retrying")).await;
    assert!(bot.settle(&bot.takes().await, failed("x")).await);
    is(Some("failed")).await;
    assert_eq!(bot.redrives(&id).await, RedriveOutcome::Redriven);
    is(Some("pending")).await;
    bot.delivers(&bot.takes().await).await;
    is(None).await;
    assert_eq!(bench.store.find_delivery(&MessageId::random()).await.unwrap(), None);
}

async fn failed_replies_of_a_channel_come_oldest_first(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let other = Bot::of(&bench.store, &bot.session).await;
    let mut lost = Vec::new();
    for place in ["a", "b", "c", "d"] {
        for bot in [&bot, &other] {
            bot.hears(place).await;
        }
        lost.push(bot.ends(place, failed("x")).await);
        other.ends(place, failed("x")).await;
        sleep(A_MOMENT).await;
    }
    bot.ends("a", retry(LONG, "")).await;
    let user = &bot.session.user;
    let failed_of = async |kind, count| bench.store.failed_of_channel(kind, user, &bot.id, count).await.unwrap();
    assert_eq!(failed_of(KIND, 100).await, lost);
    assert_eq!(failed_of(KIND, 2).await, lost[..2]);
    assert_eq!(failed_of(ChannelKind::Slack, 100).await, []);
    assert_eq!(bot.redrives(&lost[0]).await, RedriveOutcome::Redriven);
    assert_eq!(failed_of(KIND, 2).await, lost[1..3]);
}

async fn a_failure_that_came_too_late_is_not_listed(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let id = bot.replies("a", "x").await;
    let Taken::Delivery(late) = bot.take(1).await else { panic!("it is due") };
    let other = bot.takes_later().await;
    assert!(!bot.settle(&late, failed("x")).await);
    assert_eq!((counts(&bench).await, listed(&bench, DeliveryState::Pending).await), ((1, 0, 0), vec![id]));
    assert!(bot.settle(&other, retry(LONG, "")).await);
    assert!(!bot.settle(&late, failed("x")).await);
    assert_eq!((counts(&bench).await, listed(&bench, DeliveryState::Retrying).await), ((0, 1, 0), vec![id]));
    assert!(!bot.settle(&late, delivered(0)).await);
    assert!(!bot.settle(&late, retry(0, "")).await);
    assert_eq!(counts(&bench).await, (0, 1, 0));
}

async fn what_went_with_its_channel_is_not_listed(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    for place in ["a", "b"] {
        bot.hears(place).await;
    }
    let lost = bot.ends("a", failed("x")).await;
    let retried = bot.ends("a", retry(LONG, "")).await;
    let behind = bot.replies("a", "x").await;
    let waiting = bot.replies("b", "x").await;
    bot.takes().await;
    bot.is_deleted().await;
    let (pending, retrying, _) = counts(&bench).await;
    assert_eq!((pending, retrying), (0, 0));
    for state in DeliveryState::ALL {
        assert_eq!(listed(&bench, state).await, []);
    }
    for id in [lost, retried, behind, waiting] {
        assert_eq!(bench.store.find_delivery(&id).await.unwrap(), None);
    }
    let user = &bot.session.user;
    assert_eq!(bench.store.failed_of_channel(KIND, user, &bot.id, 10).await.unwrap(), []);
}

async fn what_went_with_its_session_is_not_listed(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let lost = bot.ends("a", failed("x")).await;
    let retried = bot.ends("a", retry(LONG, "")).await;
    let behind = bot.replies("a", "x").await;
    assert!(bench.store.delete_session(&bot.session.user).await.unwrap());
    for state in DeliveryState::ALL {
        assert_eq!(listed(&bench, state).await, []);
    }
    for id in [lost, retried, behind] {
        assert_eq!(bench.store.find_delivery(&id).await.unwrap(), None);
        let outcome = bot.redrives(&id).await;
        assert!(matches!(outcome, RedriveOutcome::Unknown | RedriveOutcome::NothingToSend | RedriveOutcome::NoChannel));
    }
}
