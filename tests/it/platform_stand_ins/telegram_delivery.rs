//! How Telegram delivers updates.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::receiver::Receiver;
use crate::support::platforms::server::Answer;
use crate::support::platforms::telegram::Telegram;

#[tokio::test]
async fn an_update_comes_with_the_secret_and_is_tried_again_until_it_is_taken() {
    let receiver = Receiver::with_statuses(&[500, 401, 302, 429]).await;
    let telegram = Telegram::start().await;
    let (bot, ana) = (telegram.bot("helper_bot"), telegram.person(500_001, "Ana"));
    let url = format!("{}/bot{}/setWebhook", telegram.base_url(), bot.token);
    let settings = json!({"url": receiver.url, "secret_token": "s3cret_s3cret"});
    reqwest::Client::new().post(url).json(&settings).send().await.unwrap();

    let delivery = bot.hears(&ana, "/start ABCD2345").await;
    assert_eq!(delivery.statuses(), [Some(500), Some(401), Some(302), Some(429), Some(200)]);
    let requests = receiver.requests();
    assert!(requests.iter().all(|request| request.bytes == requests[0].bytes), "each attempt is the same");
    assert!(requests.iter().all(|request| request.header("X-Telegram-Bot-Api-Secret-Token") == Some("s3cret_s3cret")));
    let update = &receiver.bodies()[0];
    assert_eq!(update["update_id"], 900_000_001);
    assert_eq!(update["message"]["entities"], json!([{"type": "bot_command", "offset": 0, "length": 6}]));
    assert_eq!(update["message"]["chat"], json!({"id": 500_001, "type": "private", "first_name": "Ana"}));

    let again = bot.deliver(&delivery.event).await.accepted();
    assert_eq!(again.id, delivery.id, "what is delivered again keeps its number");
    let next = bot.hears(&ana, "more").await;
    assert_eq!(next.id, "900000002");
}

#[tokio::test]
async fn a_receiver_says_when_to_try_again() {
    let receiver = Receiver::answering(|number, _| match number {
        0 => Answer::empty(429).with("Retry-After", 1),
        1 => Answer::empty(200),
        _ => Answer::empty(503).with("Retry-After", 3600),
    })
    .await;
    let telegram = Telegram::start().await;
    let (bot, ana) = (telegram.bot("helper_bot"), telegram.person(500_001, "Ana"));
    bot.sets_webhook(&receiver.url).await;
    let began = Instant::now();
    bot.hears(&ana, "hello").await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    let given_up = bot.deliver(&ana.says(&ana.chat(), "more")).await;
    assert_eq!((given_up.statuses(), given_up.is_accepted()), (vec![Some(503)], false));
}

#[tokio::test(flavor = "multi_thread")]
async fn within_a_chat_one_update_waits_for_the_other_and_chats_do_not() {
    // The first update of Ana's chat is refused for a while.
    let receiver = Receiver::answering(|number, request| {
        let text = request.value()["message"]["text"].clone();
        if text == "first" && number < 4 { Answer::empty(503) } else { Answer::empty(200) }
    })
    .await;
    let telegram = Telegram::start().await;
    let bot = telegram.bot("helper_bot");
    let (ana, ben) = (telegram.person(500_001, "Ana"), telegram.person(500_002, "Ben"));
    bot.sets_webhook(&receiver.url).await;
    let first = ana.says(&ana.chat(), "first");
    let (second, other) = (ana.says(&ana.chat(), "second"), ben.says(&ben.chat(), "other"));
    tokio::join!(bot.deliver(&first), bot.deliver(&second), bot.deliver(&other));
    let texts: Vec<Value> = receiver.bodies().iter().map(|body| body["message"]["text"].clone()).collect();
    let at = |text: &str| texts.iter().rposition(|known| known == text).unwrap();
    assert!(at("first") < at("second"), "{texts:?}");
    assert!(at("other") < at("first"), "{texts:?}");
}

#[tokio::test]
async fn what_the_bot_is_not_to_see_is_withheld() {
    let receiver = Receiver::willing().await;
    let telegram = Telegram::start().await;
    let (bot, ana) = (telegram.bot("helper_bot"), telegram.person(500_001, "Ana"));
    let group = telegram.group(-400, "Friends");
    assert_eq!(bot.deliver(&ana.says(&ana.chat(), "hi")).await.withheld, Some("there is no webhook"));
    bot.sets_webhook(&receiver.url).await;

    let own = json!({"message_id": 7, "from": {"id": bot.id}});
    let foreign = json!({"message_id": 7, "from": {"id": 5}});
    let said = [
        (ana.says(&group, "@helper_bot hello"), false),
        (ana.says(&group, "/start@other_bot"), false),
        (ana.sends_photo(&group, Some("look")), false),
        (ana.replies(&group, &foreign, "yes"), false),
        (ana.replies(&group, &own, "yes"), true),
        (ana.says(&group, "/pair ABCD2345"), true),
        (ana.says(&group, "/start@Helper_Bot"), true),
        (ana.says(&ana.chat(), "plain"), true),
    ];
    for (update, is_shown) in &said {
        assert_eq!(bot.deliver(update).await.withheld.is_none(), *is_shown, "{update}");
    }
    bot.sees_all();
    assert!(bot.deliver(&said[0].0).await.is_accepted());

    let url = format!("{}/bot{}/setWebhook", telegram.base_url(), bot.token);
    let settings = json!({"url": receiver.url, "allowed_updates": ["message"]});
    reqwest::Client::new().post(url).json(&settings).send().await.unwrap();
    let edited = ana.edits(&said[7].0, "changed");
    assert_eq!(edited["edited_message"]["message_id"], said[7].0["message"]["message_id"]);
    let withheld = bot.deliver(&edited).await.withheld;
    assert_eq!(withheld, Some("the bot did not ask for updates of this kind"));
    assert_eq!(receiver.requests().len(), 5);
}

#[tokio::test]
async fn an_answer_that_holds_a_call_is_obeyed() {
    let call = json!({"method": "sendMessage", "chat_id": 500_001, "text": "from the answer"});
    let receiver = Receiver::answering(move |_, _| Answer::json(200, &call)).await;
    let telegram = Telegram::start().await;
    let (bot, ana) = (telegram.bot("helper_bot"), telegram.person(500_001, "Ana"));
    bot.sets_webhook(&receiver.url).await;
    bot.hears(&ana, "hello").await;
    assert_eq!(telegram.wait_for_sent(1).await[0].text, "from the answer");
}

#[tokio::test]
async fn a_forger_can_post_an_update_anywhere_once() {
    let receiver = Receiver::with_statuses(&[401, 401]).await;
    let telegram = Telegram::start().await;
    let (bot, ana) = (telegram.bot("helper_bot"), telegram.person(500_001, "Ana"));
    let update = ana.sends_photo(&ana.chat(), None);
    for secret in [None, Some("guessed")] {
        assert_eq!(bot.deliver_to(&receiver.url, secret, &update).await.status, Some(401));
        let header = receiver.requests().pop().unwrap();
        assert_eq!(header.header("X-Telegram-Bot-Api-Secret-Token"), secret);
    }
    assert_eq!(receiver.requests().len(), 2);
}
