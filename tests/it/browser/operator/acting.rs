//! What an operator does to sessions and to replies, by the buttons of the pages.

use super::{ENTER, both_ways, count, has, leads_on, log_in, open, refresh, refresh_until, two_replicas};
use crate::delivery::fate::becomes;
use crate::delivery::line::Line;
use crate::support::browser::Browser;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::operator::with_password;
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::{Misbehaviour, telegram};
use crate::support::relay::Replica;

/// A reply that Telegram refused for good.
async fn failed(platforms: &Platforms, agent: &Client, replica: &Replica, line: &Line, text: &str) -> String {
    platforms.telegram.misbehave_on("sendMessage", Misbehaviour::Refuse(telegram::Refusal::Blocked));
    let id = line.reply(agent, replica, 0, text).await;
    becomes(agent, replica, &id, "failed").await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_reply_is_sent_again_by_its_button_and_another_is_dropped() {
    let platforms = Platforms::start().await;
    let [a, b] = with_password(platforms.on_redis()).start_many().await;
    platforms.lead_to(&[&a]);
    let agent = Client::register(&a).await;
    let line = Line::open(&platforms, &agent, &a, "telegram", 1).await;
    let mut arrived = Vec::new();
    for (n, options) in both_ways().into_iter().enumerate() {
        let again = failed(&platforms, &agent, &a, &line, &format!("again {n}")).await;
        let never = failed(&platforms, &agent, &a, &line, &format!("never {n}")).await;
        let third = failed(&platforms, &agent, &a, &line, &format!("third {n}")).await;
        let row = |id: &str| format!("tr[data-key='{id}']");
        let browser = Browser::open(options).await;
        log_in(&browser, &b).await;
        browser.click("nav a[href='/admin/deliveries']").await;
        browser.shows(&row(&again), "bot was blocked by the user").await;
        assert_eq!(count(&browser, "tbody tr").await, 3);

        leads_on(&browser, browser.submit(&format!("{} form[action$='{again}/redrive']", row(&again)))).await;
        browser.shows("#notice", "The reply is on its way again.").await;
        assert_eq!(browser.path().await, "/admin/deliveries");
        arrived.push(format!("again {n}"));
        assert_eq!(line.was_sent(0, arrived.len()).await, arrived);
        becomes(&agent, &a, &again, "delivered").await;
        eventually("the list has it no more", || async {
            refresh(&browser).await;
            (count(&browser, &row(&again)).await == 0).then_some(())
        })
        .await;

        browser.click(&format!("{} summary", row(&never))).await;
        leads_on(&browser, browser.submit(&format!("{} form[action$='/drop']", row(&never)))).await;
        browser.shows("#notice", "The reply was given up.").await;
        assert_eq!((count(&browser, &row(&never)).await, count(&browser, &row(&third)).await), (0, 1));

        // The page of the session has the button too.
        open(&browser, &a, &format!("/admin/sessions/{}", agent.user_id)).await;
        browser.shows(&format!("li[data-key='{never}'] .delivery"), "failed").await;
        assert_eq!(count(&browser, &format!("li[data-key='{never}'] form")).await, 0, "nothing is left to send");
        leads_on(&browser, browser.submit(&format!("li[data-key='{third}'] form[action$='/redrive']"))).await;
        browser.shows("#notice", "The reply is on its way again.").await;
        assert_eq!(browser.path().await, format!("/admin/sessions/{}", agent.user_id));
        refresh_until(&browser, &format!("li[data-key='{third}']"), "delivered").await;
        arrived.push(format!("third {n}"));
        assert_eq!(line.sent(0), arrived, "each arrives once, and what is dropped never");
        browser.assert_no_complaints().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_disconnected_and_deleted_while_its_socket_is_open_elsewhere() {
    let [a, b] = two_replicas().await;
    for options in both_ways() {
        let client = Client::register(&a).await;
        let page = format!("/admin/sessions/{}", client.user_id);
        let browser = Browser::open(options).await;
        log_in(&browser, &a).await;
        let mut socket = client.open(&b, "").await;
        open(&browser, &a, &page).await;
        refresh_until(&browser, "[data-live=about]", "1 on ").await;
        browser.submit("form[action$='/disconnect']").await;
        browser.shows("#notice", "1 socket was closed.").await;
        assert_eq!((browser.path().await, socket.closed().await), (page.clone(), 1012));

        let mut socket = client.open(&b, "").await;
        browser.click("a.danger").await;
        browser.arrives_at(&format!("{page}/delete")).await;
        for wrong in [&"0".repeat(8), &client.user_id[..7]] {
            browser.type_into("#confirm", &format!("{wrong}{ENTER}")).await;
            if browser.runs_scripts() {
                let disabled = "return document.querySelector('button.danger').disabled";
                assert_eq!(browser.script(disabled, &[]).await, true);
                assert_eq!(browser.status().await, 200, "nothing was sent");
            } else {
                browser.shows("h1", "Not understood").await;
                assert_eq!(browser.status().await, 400);
                browser.assert_no_complaints().await;
                open(&browser, &a, &format!("{page}/delete")).await;
            }
        }
        socket.nothing_more().await;

        browser.type_into("#confirm", &client.user_id[..8]).await;
        browser.click("button.danger").await;
        browser.shows("#notice", "The session was deleted with all it had.").await;
        assert_eq!(socket.closed().await, 1008);
        for replica in [&a, &b] {
            open(&browser, replica, "/admin/sessions").await;
            assert!(!has(&browser, "main", &client.user_id).await);
            browser.goto(&format!("{}{page}", replica.url())).await;
            browser.shows("h1", "Not found").await;
            assert_eq!(browser.status().await, 404);
            browser.assert_no_complaints().await;
        }
    }
}
