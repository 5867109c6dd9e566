//! Lists on Redis lie beside the replies that they name, so they may say something else. Their readers notice.

use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::ids::MessageId;
use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::store::MAX_DEAD_LETTERS;
use chaos_relay::store::operator::DeliveryState;
use chaos_relay::store::operator::DeliveryState::{Failed, Pending, Retrying};

use super::Bench;
use super::bot::{Bot, LONG, delivered, failed, retry};
use super::desk::{counts, listed, page};

/// Long enough ago that no call can still be on its way, in milliseconds.
const SETTLED: u64 = 20_000;
const HOUR: u64 = 60 * 60 * 1000;

fn ago(millis: u64) -> u64 {
    Timestamp::now().millis() - millis
}

impl Bench {
    fn list_key(state: DeliveryState) -> String {
        format!("{{}}{{outbox:telegram}}:{}", state.as_str())
    }

    /// Lists a reply here and nowhere else, whatever it is in truth.
    fn lists(&self, bot: &Bot, response: &MessageId, state: DeliveryState, at: u64) {
        let (id, place) = (response.to_string(), format!("{} {}", bot.session.user, bot.id));
        for other in DeliveryState::ALL {
            self.redis_cli(&["ZREM", &Self::list_key(other), &id]);
        }
        self.redis_cli(&["ZADD", &Self::list_key(state), &at.to_string(), &id]);
        self.redis_cli(&["HSET", "{}{outbox:telegram}:places", &id, &place]);
    }

    fn has(&self, state: DeliveryState, response: &MessageId) -> bool {
        !self.redis_cli(&["ZSCORE", &Self::list_key(state), &response.to_string()]).is_empty()
    }

    /// How many replies have a place, which is as many as are listed.
    fn places(&self) -> String {
        self.redis_cli(&["HLEN", "{}{outbox:telegram}:places"])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_listed_in_a_wrong_state_is_put_where_it_belongs_on_redis() {
    let bench = Bench::redis();
    let bot = Bot::new(&bench.store).await;
    for place in ["a", "b", "c"] {
        bot.hears(place).await;
    }
    let lost = bot.ends("a", failed("x")).await;
    let retried = bot.ends("b", retry(LONG, "")).await;
    let waiting = bot.replies("c", "x").await;
    let replies = [(waiting, Pending), (retried, Retrying), (lost, Failed)];
    for (id, truth) in replies {
        for wrong in DeliveryState::ALL.into_iter().filter(|state| *state != truth) {
            // By a page of the wrong list, or by whoever looks for the reply.
            for by_page in [true, false] {
                bench.lists(&bot, &id, wrong, ago(SETTLED));
                if by_page {
                    assert!(!listed(&bench, wrong).await.contains(&id));
                } else {
                    let found = bench.store.find_delivery(&id).await.unwrap().unwrap();
                    assert_eq!(found.state.status, truth.as_str());
                }
                assert!(!bench.has(wrong, &id));
                assert_eq!(listed(&bench, truth).await, [id], "{truth:?} from {wrong:?}");
            }
        }
    }
    assert_eq!((counts(&bench).await, bench.places()), ((1, 1, 1), "3".to_owned()));
    let entry = bench.store.find_delivery(&retried).await.unwrap().unwrap();
    assert_eq!(Some(entry.at), entry.state.next_try);
    let entry = bench.store.find_delivery(&waiting).await.unwrap().unwrap();
    assert_eq!(Some(entry.at), entry.state.accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_or_gone_leaves_the_list_of_whoever_reads_it_on_redis() {
    let bench = Bench::redis();
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let arrived = bot.ends("a", delivered(0)).await;
    for state in DeliveryState::ALL {
        for id in [arrived, MessageId::random()] {
            for by_page in [true, false] {
                bench.lists(&bot, &id, state, ago(SETTLED));
                if by_page {
                    assert_eq!(listed(&bench, state).await, []);
                } else {
                    assert_eq!(bench.store.find_delivery(&id).await.unwrap(), None);
                }
                assert_eq!((counts(&bench).await, bench.places()), ((0, 0, 0), "0".to_owned()));
            }
        }
    }
    // One whose place was lost is of no use.
    let waiting = bot.replies("a", "x").await;
    bench.lists(&bot, &waiting, Pending, ago(SETTLED));
    bench.redis_cli(&["HDEL", "{}{outbox:telegram}:places", &waiting.to_string()]);
    assert_eq!((listed(&bench, Pending).await, counts(&bench).await), (vec![], (0, 0, 0)));
    // It is listed again by its next try.
    assert!(bot.settle(&bot.takes().await, retry(LONG, "")).await);
    assert_eq!(listed(&bench, Retrying).await, [waiting]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_just_being_stored_is_left_on_its_list_on_redis() {
    let bench = Bench::redis();
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    // Listed, and the reply itself not yet stored, or not yet noted as failed.
    let (coming, failing) = (MessageId::random(), bot.replies("a", "x").await);
    bench.lists(&bot, &coming, Pending, ago(0));
    bench.lists(&bot, &failing, Failed, ago(0));
    for _ in 0..2 {
        assert_eq!((listed(&bench, Pending).await, listed(&bench, Failed).await), (vec![], vec![]));
        assert_eq!(bench.store.find_delivery(&coming).await.unwrap(), None);
        let found = bench.store.find_delivery(&failing).await.unwrap().unwrap();
        assert_eq!(found.state.status, "pending");
    }
    assert!(bench.has(Pending, &coming) && bench.has(Failed, &failing));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_goes_on_behind_what_it_dropped_on_redis() {
    let bench = Bench::redis();
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let stays = [bot.replies("a", "1").await, bot.replies("a", "2").await];
    for n in 0..5 {
        bench.lists(&bot, &MessageId::random(), Pending, ago(SETTLED + n));
    }
    let mut seen = Vec::new();
    let mut after = None;
    for _ in 0..4 {
        let page = page(&bench, Pending, after.as_ref(), 2).await;
        seen.extend(page.entries.iter().map(|entry| entry.response));
        after = page.next;
    }
    assert_eq!((seen, after), (stays.to_vec(), None));
    assert_eq!(counts(&bench).await, (2, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_failures_are_listed_and_older_ones_make_room_on_redis() {
    let bench = Bench::redis();
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let keys = [Bench::list_key(Failed), "{}{outbox:telegram}:places".to_owned()];
    let fill = "for n = 1, ARGV[1] do local id = string.format('00000000-0000-4000-8000-%012d', n) \
                redis.call('ZADD', KEYS[1], ARGV[2] + n, id) redis.call('HSET', KEYS[2], id, 'x') end";
    let most = MAX_DEAD_LETTERS.to_string();
    bench.redis_cli(&["EVAL", fill, "2", &keys[0], &keys[1], &most, &ago(HOUR).to_string()]);
    let mut newest = Vec::new();
    for n in 1..=3 {
        newest.insert(0, bot.ends("a", failed("x")).await);
        assert_eq!((bench.places(), counts(&bench).await.2), (most.clone(), MAX_DEAD_LETTERS as u64));
        assert!(!bench.has(Failed, &format!("00000000-0000-4000-8000-{n:012}").parse().unwrap()));
    }
    let page = page(&bench, Failed, None, 3).await;
    assert_eq!(page.entries.iter().map(|entry| entry.response).collect::<Vec<_>>(), newest);
    let user = &bot.session.user;
    let mut of_channel = bench.store.failed_of_channel(ChannelKind::Telegram, user, &bot.id, 10).await.unwrap();
    of_channel.reverse();
    assert_eq!(of_channel, newest, "however many come before");
    // What is not listed any more can still be sent again by whoever knows it.
    bench.redis_cli(&["DEL", &keys[0], &keys[1]]);
    bot.redrives(&newest[0]).await;
    assert_eq!(listed(&bench, Pending).await, [newest[0]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_to_be_there_leaves_its_list_on_redis() {
    let bench = Bench::redis();
    let bot = Bot::new(&bench.store).await;
    bot.hears("a").await;
    let limits = [(Pending, 25 * HOUR), (Retrying, 25 * HOUR), (Failed, 7 * 24 * HOUR)];
    for (state, life) in limits {
        bench.lists(&bot, &MessageId::random(), state, ago(life + 1000));
        bench.lists(&bot, &MessageId::random(), state, ago(life - HOUR));
    }
    assert_eq!((counts(&bench).await, bench.places()), ((1, 1, 1), "3".to_owned()));
    // Without anybody who looks, by what is listed next.
    for (state, life) in limits {
        bench.lists(&bot, &MessageId::random(), state, ago(life + 1000));
    }
    bot.ends("a", failed("x")).await;
    bot.ends("a", retry(LONG, "")).await;
    bot.replies("a", "x").await;
    assert_eq!(bench.places(), "6");
}
