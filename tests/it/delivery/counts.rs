//! What the operator is told of deliveries: what arrived, what was tried again, what failed.

use chaos_relay::store::operator::Counter;

use super::fate::becomes;
use super::line::{Fault, Line};
use crate::pulse::{beats, counted, store_of};
use crate::support::client::Client;
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::{Misbehaviour, telegram};

#[tokio::test(flavor = "multi_thread")]
async fn every_end_of_a_delivery_and_every_try_that_is_repeated_is_counted() {
    let platforms = Platforms::start().await;
    let setup = platforms.on_redis();
    let store = store_of(&setup);
    let [a] = setup.start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    line.fault(Fault::Status(502), 1, None);
    for text in ["late", "at once"] {
        let id = line.reply(&agent, &a, 0, text).await;
        becomes(&agent, &a, &id, "delivered").await;
    }
    platforms.telegram.misbehave_on("sendMessage", Misbehaviour::Refuse(telegram::Refusal::Blocked));
    let refused = line.reply(&agent, &a, 0, "never").await;
    becomes(&agent, &a, &refused, "failed").await;
    let expected = [
        (Counter::MessagesIn, 1),
        (Counter::RepliesOut, 3),
        (Counter::Delivered, 2),
        (Counter::Retried, 1),
        (Counter::Failed, 1),
    ];
    let pulse = beats(&*store, "the counts", |pulse| {
        expected.iter().all(|(counter, count)| counted(pulse).get(*counter) >= *count)
    })
    .await;
    assert_eq!(expected.map(|(counter, _)| (counter, counted(&pulse).get(counter))), expected);
}
