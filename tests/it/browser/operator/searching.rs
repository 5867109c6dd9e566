//! Finding a session, opening it, and looking through what was said in it.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{both_ways, count, has, leads_on, log_in, open};
use crate::support::browser::Browser;
use crate::support::client::{Client, Webhook};
use crate::support::eventually;
use crate::support::operator::with_password;
use crate::support::platforms::deployment::{Platforms, register_bot};
use crate::support::relay::Replica;

/// What comes in through each of two channels, and how much is answered: more than a page has, and less than a
/// session keeps.
const MESSAGES: usize = 40;
const REPLIES: usize = 30;
/// Entries of a page of the history.
const PAGE: u64 = 50;

/// A session with two webhooks and a history.
async fn talkative(a: &Replica, b: &Replica) -> (Client, [Webhook; 2]) {
    let client = Client::register_signed(a).await;
    let door = client.make_webhook(a, json!({"name": "Doorbell"})).await;
    let alarm = client.make_webhook(b, json!({"name": "Alarm"})).await;
    for n in 0..MESSAGES {
        door.deliver(a, &format!("door {n}")).await;
        alarm.deliver(b, &format!("alarm {n}")).await;
    }
    for n in 0..REPLIES {
        client.reply(b, &door.id, &format!("answer {n}")).await;
    }
    (client, [door, alarm])
}

/// What the entries of the page say, from the first to the last.
async fn entries(browser: &Browser) -> Vec<String> {
    let look = "return [...document.querySelectorAll('.entries article > .text')].map(text => text.innerText)";
    let Value::Array(texts) = browser.script(look, &[]).await else { panic!("a list") };
    texts.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Follows `Next` from the first page to the last; gives what all of them say.
async fn page_through(browser: &Browser) -> Vec<String> {
    let mut all = entries(browser).await;
    while count(browser, ".paging [rel=next]").await == 1 {
        assert_eq!(count(browser, ".entries > li").await, PAGE, "a page that another follows is full");
        leads_on(browser, browser.click(".paging [rel=next]")).await;
        assert_eq!(browser.status().await, 200);
        all.extend(entries(browser).await);
    }
    all
}

/// Searches in the list of sessions.
async fn search(browser: &Browser, text: &str) {
    browser.type_into("#q", text).await;
    browser.submit("[role=search]").await;
    let look = "return [new URLSearchParams(location.search).get('q'), document.getElementById('q').value]";
    eventually("what is found is shown", || async {
        (browser.script(look, &[]).await == json!([text, text])).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_found_opened_filtered_and_paged_through() {
    let platforms = Platforms::start().await;
    let [a, b] = with_password(platforms.on_redis()).start_many().await;
    platforms.lead_to(&[&a, &b]);
    let (client, [door, alarm]) = talkative(&a, &b).await;
    let bot = platforms.telegram.bot("Porter_bot");
    register_bot(&client, &a, "telegram", &bot.token).await;
    let other = Client::register(&b).await;
    let said: Vec<_> = (0..MESSAGES).flat_map(|n| [format!("door {n}"), format!("alarm {n}")]).collect();
    let answers: Vec<_> = (0..REPLIES).rev().map(|n| format!("answer {n}")).collect();

    for options in both_ways() {
        let browser = Browser::open(options).await;
        log_in(&browser, &a).await;
        open(&browser, &b, "/admin").await;
        browser.click("nav a[href='/admin/sessions']").await;
        browser.shows("tbody", &client.user_id).await;
        browser.shows("tbody", &other.user_id).await;
        for name in ["porter_", &client.user_id[..8], &alarm.id, "Doorb"] {
            search(&browser, name).await;
            assert_eq!(count(&browser, "tbody tr").await, 1, "{name}");
            assert!(
                has(&browser, "tbody", &client.user_id).await && has(&browser, "tbody", "Porter_bot").await,
                "{name}"
            );
        }
        search(&browser, "nobody's name").await;
        browser.shows(".empty", "No name starts with nobody's name.").await;
        browser.click("#q-hint a").await;
        browser.shows("tbody", &other.user_id).await;
        search(&browser, "porter_").await;
        browser.click("tbody a").await;
        browser.arrives_at(&format!("/admin/sessions/{}", client.user_id)).await;
        browser.shows("h1", &client.user_id).await;

        let all = page_through(&browser).await;
        assert_eq!(all[..REPLIES], answers, "the newest first");
        assert_eq!(all.len(), said.len() + answers.len(), "each once");
        let shown: HashSet<_> = all.iter().collect();
        assert!(said.iter().chain(&answers).all(|text| shown.contains(text)), "{all:?}");
        browser.click(".paging a:not([rel])").await;
        browser.shows(".entries", &answers[0]).await;

        browser.click("#direction option[value=out]").await;
        leads_on(&browser, browser.submit("form.filter")).await;
        assert_eq!(page_through(&browser).await, answers);
        browser.click("#direction option[value=in]").await;
        browser.click(&format!("#channel option[value='{}']", door.id)).await;
        leads_on(&browser, browser.submit("form.filter")).await;
        let doors: Vec<_> = (0..MESSAGES).rev().map(|n| format!("door {n}")).collect();
        assert_eq!(page_through(&browser).await, doors);
        assert_eq!(browser.script("return document.getElementById('direction').value", &[]).await, "in");
        browser.click("#direction option[value=out]").await;
        browser.click(&format!("#channel option[value='{}']", alarm.id)).await;
        leads_on(&browser, browser.submit("form.filter")).await;
        browser.shows(".empty", "Nothing fits this choice.").await;
        browser.click(".empty a").await;
        browser.shows(".entries", &answers[0]).await;
        browser.assert_no_complaints().await;
    }
}
