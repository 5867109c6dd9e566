//! Conversations: which ones a channel has, where a reply goes, and which question it completes.

use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::conversation::Destination;
use chaos_relay::domain::digest::Digest;
use chaos_relay::domain::ids::MessageId;
use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::store::{
    CONVERSATION_LIFE_MS, IngestOutcome, MAX_CONVERSATIONS, MAX_QUESTIONS, QUESTION_LIFE_MS, ReplyOutcome, Settlement,
};
use futures_util::future::join_all;
use serde_json::json;

use super::bot::{Bot, exactly, origin, place};
use super::{Bench, on_both_stores};

on_both_stores! {
    a_place_is_found_among_the_channels_own_conversations,
    a_chat_is_itself_or_the_thread_that_was_heard_of_last,
    messages_of_webhooks_are_no_conversations,
    a_repeat_is_not_heard,
    what_is_wanted_only_from_known_conversations_starts_none,
    a_reply_goes_where_it_says,
    a_reply_that_says_nothing_goes_where_the_named_message_came_from,
    a_message_of_another_channel_cannot_be_named,
    a_place_outside_the_conversations_is_refused,
    a_new_conversation_takes_the_room_of_the_one_that_was_silent_longest,
    open_questions_are_completed_newest_first_and_once,
    a_reply_to_a_question_completes_that_one,
    questions_stay_in_their_conversations,
    a_bounded_number_of_questions_is_open,
    a_deleted_channel_forgets_its_conversations,
    a_channel_made_anew_keeps_its_conversations,
}

fn chat(chat: &str) -> Option<Destination> {
    Some(Destination::Chat(chat.to_owned()))
}

async fn a_place_is_found_among_the_channels_own_conversations(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    assert_eq!(bot.finds(None).await, None);
    assert_eq!(bot.finds(Some(exactly("a"))).await, None);
    bot.hears("a").await;
    bot.hears("a/1").await;
    bot.hears("b").await;
    bot.hears("a").await;
    assert_eq!(bot.finds(None).await, Some(place("a")));
    for known in ["a", "a/1", "b"] {
        assert_eq!(bot.finds(Some(exactly(known))).await, Some(place(known)));
    }
    for unknown in ["a/2", "b/1", "c", "", "/1"] {
        assert_eq!(bot.finds(Some(exactly(unknown))).await, None, "{unknown}");
    }
    // Neither another channel's nor another user's.
    assert_eq!(Bot::of(&bench.store, &bot.session).await.finds(None).await, None);
    assert_eq!(Bot::new(&bench.store).await.finds(Some(exactly("a"))).await, None);
}

async fn a_chat_is_itself_or_the_thread_that_was_heard_of_last(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    for heard in ["a/2", "a/1", "ab/9", "b/1", "b", "b/2"] {
        bot.hears(heard).await;
    }
    for (wanted, found) in [("a", Some("a/1")), ("ab", Some("ab/9")), ("b", Some("b")), ("c", None), ("", None)] {
        assert_eq!(bot.finds(chat(wanted)).await, found.map(place), "{wanted}");
    }
}

async fn messages_of_webhooks_are_no_conversations(bench: Bench) {
    let (session, id) = bench.session_with_channel().await;
    bench.append(&session.user, &id, "x").await;
    assert_eq!(bench.store.find_conversation(&session.user, &id, None).await.unwrap(), None);
}

async fn a_repeat_is_not_heard(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let (first, at) = bot.hears("a").await;
    let repeat = |ingest: &mut chaos_relay::store::Ingest<'_>| ingest.idempotency = Some(Digest::of(b"once"));
    let (id, accepted) = bot.ingest(&origin("b"), repeat).await;
    assert!(matches!(accepted, IngestOutcome::Accepted(..)));
    bot.hears("c").await;
    let (_, duplicate) = bot.ingest(&origin("d"), repeat).await;
    assert!(matches!(duplicate, IngestOutcome::Duplicate(first, _) if first == id), "{duplicate:?}");
    assert_eq!(bot.finds(None).await, Some(place("c")));
    assert!(!bot.knows("d").await);
    // What is refused is not heard either.
    let (_, refused) = bot.ingest(&origin("e"), |ingest| ingest.kind = ChannelKind::Slack).await;
    assert_eq!(refused, IngestOutcome::WrongKind(ChannelKind::Telegram));
    assert!(!bot.knows("e").await);
    let (_, outcome) = bot.reply_with("to the first", |delivery| delivery.reply_to = Some(first)).await;
    assert!(matches!(outcome, ReplyOutcome::Stored(_)));
    assert_eq!(bot.takes().await.asked_at, at);
}

async fn what_is_wanted_only_from_known_conversations_starts_none(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let once = |ingest: &mut chaos_relay::store::Ingest<'_>| {
        (ingest.only_known, ingest.idempotency) = (true, Some(Digest::of(b"once")));
    };
    let (_, outcome) = bot.ingest(&origin("a/1"), once).await;
    assert!(matches!(outcome, IngestOutcome::NotKnown(status) if status.used == 1), "{outcome:?}");
    assert!(!bot.knows("a/1").await);
    // The chat of a known thread is another conversation, and the other way round.
    bot.hears("a").await;
    assert!(matches!(bot.ingest(&origin("a/1"), once).await.1, IngestOutcome::NotKnown(_)));
    bot.hears("a/1").await;
    let (first, outcome) = bot.ingest(&origin("a/1"), once).await;
    assert!(matches!(outcome, IngestOutcome::Accepted(..)), "nothing was remembered of the refusals: {outcome:?}");
    // Whether it is known comes before whether it is a repeat.
    let (_, outcome) = bot.ingest(&origin("b"), once).await;
    assert!(matches!(outcome, IngestOutcome::NotKnown(_)));
    let (_, outcome) = bot.ingest(&origin("a/1"), once).await;
    assert!(matches!(outcome, IngestOutcome::Duplicate(id, _) if id == first));
}

async fn a_reply_goes_where_it_says(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let (first, asked) = bot.hears("a").await;
    let (_, in_thread) = bot.hears("a/1").await;
    let (_, in_b) = bot.hears("b").await;
    let cases = [
        (Some(exactly("a")), "a", asked),
        (Some(exactly("a/1")), "a/1", in_thread),
        (chat("a"), "a", asked),
        (None, "b", in_b),
    ];
    for (destination, goes_to, asked_at) in cases {
        let (id, outcome) = bot.reply_with("x", |delivery| delivery.destination = destination.clone()).await;
        assert!(matches!(outcome, ReplyOutcome::Stored(_)), "{outcome:?}");
        let delivery = bot.takes().await;
        bot.delivers(&delivery).await;
        assert_eq!((delivery.response, &delivery.conversation), (id, &place(goes_to)));
        // What is known of the newest message there.
        assert_eq!((delivery.details, delivery.asked_at), (json!({"said": goes_to}).to_string(), asked_at));
        assert!(!delivery.is_reply_to && !delivery.completes_question);
    }
    // The destination goes before the message that is named.
    let (_, outcome) = bot
        .reply_with("x", |delivery| {
            (delivery.destination, delivery.reply_to) = (Some(exactly("b")), Some(first));
        })
        .await;
    assert!(matches!(outcome, ReplyOutcome::Stored(_)));
    let delivery = bot.takes().await;
    assert_eq!((delivery.conversation.clone(), delivery.is_reply_to), (place("b"), false));
    assert_eq!(delivery.asked_at, in_b);
}

async fn a_reply_that_says_nothing_goes_where_the_named_message_came_from(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let (named, at) = bot.hears("a/1").await;
    bot.hears("a/1").await;
    let (_, newest) = bot.hears("b").await;
    let cases = [
        (Some(named), None, "a/1", at, true),
        (Some(named), Some(exactly("a/1")), "a/1", at, true),
        (Some(named), chat("a"), "a/1", at, true),
        (Some(MessageId::random()), None, "b", newest, false),
        (None, None, "b", newest, false),
    ];
    for (reply_to, destination, goes_to, asked_at, is_reply_to) in cases {
        let (_, outcome) = bot
            .reply_with("x", |delivery| {
                (delivery.reply_to, delivery.destination) = (reply_to, destination.clone());
            })
            .await;
        assert!(matches!(outcome, ReplyOutcome::Stored(_)), "{outcome:?}");
        let delivery = bot.takes().await;
        bot.delivers(&delivery).await;
        let seen = (delivery.conversation, delivery.asked_at, delivery.is_reply_to);
        assert_eq!(seen, (place(goes_to), asked_at, is_reply_to), "{destination:?}");
        assert_eq!(delivery.details, json!({"said": goes_to}).to_string());
    }
}

async fn a_message_of_another_channel_cannot_be_named(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let other = Bot::of(&bench.store, &bot.session).await;
    let (elsewhere, _) = other.hears("a").await;
    let named = |delivery: &mut chaos_relay::store::DeliveryRequest<'_>| delivery.reply_to = Some(elsewhere);
    assert_eq!(bot.reply_with("x", named).await.1, ReplyOutcome::NoConversation);
    bot.hears("b").await;
    assert!(matches!(bot.reply_with("x", named).await.1, ReplyOutcome::Stored(_)));
    let delivery = bot.takes().await;
    assert_eq!((delivery.conversation, delivery.is_reply_to), (place("b"), false));
}

async fn a_place_outside_the_conversations_is_refused(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let to = |destination: Option<Destination>| {
        let bot = &bot;
        async move {
            let (id, outcome) = bot.reply_with("x", |delivery| delivery.destination = destination).await;
            assert_eq!(bot.status(&id).await.is_some(), matches!(outcome, ReplyOutcome::Stored(_)));
            outcome
        }
    };
    assert_eq!(to(None).await, ReplyOutcome::NoConversation);
    assert_eq!(to(Some(exactly("a"))).await, ReplyOutcome::UnknownDestination);
    bot.hears("a/1").await;
    for unknown in [Some(exactly("a")), Some(exactly("b")), chat("b"), chat("a/1")] {
        assert_eq!(to(unknown).await, ReplyOutcome::UnknownDestination);
    }
    assert!(matches!(to(chat("a")).await, ReplyOutcome::Stored(_)));
}

async fn a_new_conversation_takes_the_room_of_the_one_that_was_silent_longest(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let (in_second, _) = {
        bot.hears("first").await;
        let second = bot.hears("second").await;
        bot.hears("third").await;
        bot.hears("first").await;
        second
    };
    let places: Vec<_> = (3..MAX_CONVERSATIONS).map(|n| n.to_string()).collect();
    for places in places.chunks(50) {
        join_all(places.iter().map(|place| bot.hears(place))).await;
    }
    assert!(bot.knows("second").await, "there is room for this many");
    bot.hears("one more").await;
    assert!(!bot.knows("second").await);
    for kept in ["first", "third", "3", "one more"] {
        assert!(bot.knows(kept).await, "{kept}");
    }
    // Its messages can still be named, but lead nowhere.
    let (_, outcome) = bot.reply_with("x", |delivery| delivery.reply_to = Some(in_second)).await;
    assert_eq!(outcome, ReplyOutcome::UnknownDestination);
}

async fn open_questions_are_completed_newest_first_and_once(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let (_, first) = bot.is_asked("a").await;
    let (_, second) = bot.is_asked("a").await;
    let (_, third) = bot.hears("a").await;
    for (asked_at, completes) in [(second, true), (first, true), (third, false), (third, false)] {
        bot.replies("a", "x").await;
        let delivery = bot.takes().await;
        bot.delivers(&delivery).await;
        assert_eq!((delivery.asked_at, delivery.completes_question), (asked_at, completes));
        assert!(!delivery.is_reply_to);
    }
}

async fn a_reply_to_a_question_completes_that_one(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let (first, first_at) = bot.is_asked("a").await;
    let (second, second_at) = bot.is_asked("a").await;
    let (plain, plain_at) = bot.hears("a").await;
    let cases = [
        (Some(plain), plain_at, false),
        (Some(first), first_at, true),
        (Some(first), first_at, false),
        (None, second_at, true),
        (Some(second), second_at, false),
        (None, plain_at, false),
    ];
    for (n, (reply_to, asked_at, completes)) in cases.into_iter().enumerate() {
        let (_, outcome) = bot.reply_with("x", |delivery| delivery.reply_to = reply_to).await;
        assert!(matches!(outcome, ReplyOutcome::Stored(_)));
        let delivery = bot.takes().await;
        bot.delivers(&delivery).await;
        let seen = (delivery.asked_at, delivery.completes_question, delivery.is_reply_to);
        assert_eq!(seen, (asked_at, completes, reply_to.is_some()), "reply {n}");
    }
}

async fn questions_stay_in_their_conversations(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let (_, in_a) = bot.is_asked("a").await;
    let (in_thread, _) = bot.is_asked("a/1").await;
    // A reply that names a question and goes elsewhere does not complete it.
    let (_, outcome) = bot
        .reply_with("x", |delivery| {
            (delivery.destination, delivery.reply_to) = (Some(exactly("a")), Some(in_thread));
        })
        .await;
    assert!(matches!(outcome, ReplyOutcome::Stored(_)));
    let delivery = bot.takes().await;
    let seen = (delivery.asked_at, delivery.completes_question, delivery.is_reply_to);
    assert_eq!(seen, (in_a, true, false));
    bot.replies("a/1", "y").await;
    let delivery = bot.takes().await;
    assert_eq!((delivery.conversation, delivery.completes_question), (place("a/1"), true));
}

async fn a_bounded_number_of_questions_is_open(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let (forgotten, _) = bot.is_asked("a").await;
    let (kept, _) = bot.is_asked("a").await;
    join_all((1..MAX_QUESTIONS).map(|_| bot.is_asked("b"))).await;
    for (reply_to, completes) in [(forgotten, false), (kept, true)] {
        bot.reply_with("x", |delivery| delivery.reply_to = Some(reply_to)).await;
        let delivery = bot.takes().await;
        bot.delivers(&delivery).await;
        assert_eq!((delivery.is_reply_to, delivery.completes_question), (true, completes));
    }
}

async fn a_deleted_channel_forgets_its_conversations(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    let other = Bot::of(&bench.store, &bot.session).await;
    other.hears("a").await;
    bot.is_asked("a").await;
    bot.is_deleted().await;
    assert_eq!(bot.finds(None).await, None);
    bot.put(&bot.channel()).await;
    assert_eq!(bot.finds(None).await, None);
    assert_eq!(bot.finds(Some(exactly("a"))).await, None);
    bot.hears("a").await;
    bot.replies("a", "x").await;
    assert!(!bot.takes().await.completes_question, "the question went too");
    assert!(other.knows("a").await);
}

async fn a_channel_made_anew_keeps_its_conversations(bench: Bench) {
    let bot = Bot::new(&bench.store).await;
    bot.is_asked("a").await;
    bot.replies("a", "x").await;
    bot.put(&bot.channel()).await;
    assert!(bot.knows("a").await);
    let delivery = bot.takes().await;
    assert_eq!((delivery.content.as_str(), delivery.record.revision), ("x", 2));
    assert!(bot.settle(&delivery, Settlement::Delivered { pause: 0 }).await);
}

/// Redis' clock cannot be moved, but what it noted can: `part` of the channel's records, to so long ago. The
/// embedded store's own tests move its clock.
fn age(bench: &Bench, bot: &Bot, part: &str, member: &str, ago: u64) {
    let key = format!("{{}}{{{}}}:{part}:{}", bot.session.user, bot.id);
    let time = (Timestamp::now().millis() - ago).to_string();
    assert_eq!(bench.redis_cli(&["ZADD", &key, "XX", "CH", &time, member]), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_was_silent_for_a_month_is_none_on_redis() {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    let bench = Bench::redis();
    let bot = Bot::new(&bench.store).await;
    let (named, _) = bot.hears("a").await;
    age(&bench, &bot, "conversations", &place("a").to_text(), CONVERSATION_LIFE_MS - DAY);
    assert!(bot.knows("a").await);
    age(&bench, &bot, "conversations", &place("a").to_text(), CONVERSATION_LIFE_MS + DAY);
    for destination in [None, Some(exactly("a")), chat("a")] {
        assert_eq!(bot.finds(destination).await, None);
    }
    let (_, outcome) = bot.reply_with("x", |delivery| delivery.reply_to = Some(named)).await;
    assert_eq!(outcome, ReplyOutcome::UnknownDestination);
    let (_, outcome) = bot.reply_with("x", |_| {}).await;
    assert_eq!(outcome, ReplyOutcome::NoConversation);
    let (_, outcome) = bot.ingest(&origin("a"), |ingest| ingest.only_known = true).await;
    assert!(matches!(outcome, IngestOutcome::NotKnown(_)));
    bot.hears("b").await;
    let heard = bench.redis_cli(&["ZCARD", &format!("{{}}{{{}}}:conversations:{}", bot.session.user, bot.id)]);
    assert_eq!(heard, "1", "it makes room when somebody else is heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_waited_too_long_is_not_completed_on_redis() {
    let bench = Bench::redis();
    let bot = Bot::new(&bench.store).await;
    let (named, _) = bot.is_asked("a").await;
    let key = format!("{{}}{{{}}}:questions:{}", bot.session.user, bot.id);
    let question = bench.redis_cli(&["ZRANGE", &key, "0", "-1"]);
    for reply_to in [None, Some(named)] {
        age(&bench, &bot, "questions", &question, QUESTION_LIFE_MS + 1000);
        bot.reply_with("x", |delivery| delivery.reply_to = reply_to).await;
        let delivery = bot.takes().await;
        bot.delivers(&delivery).await;
        assert_eq!((delivery.is_reply_to, delivery.completes_question), (reply_to.is_some(), false));
    }
}
