//! The pages follow what happens without being loaded anew, and nothing moves under the operator's hands.

use serde_json::{Value, json};

use super::{assert_not_reloaded, has, log_in, look_again, mark, open, refresh, refresh_until, two_replicas};
use crate::support::browser::{Browser, Options};
use crate::support::client::Client;
use crate::support::operator::with_password;
use crate::support::redis;
use crate::support::relay::Setup;

/// Where an element stands in the window, and which one has the focus, by its place in the document.
async fn places(browser: &Browser, selector: &str) -> Value {
    let look = "
        const active = document.activeElement;
        return [Math.round(document.querySelector(arguments[0]).getBoundingClientRect().top), active.outerHTML];
    ";
    browser.script(look, &[json!(selector)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_appears_on_the_page_of_its_session_and_all_stays_where_it_was() {
    let [a, b] = two_replicas().await;
    let client = Client::register(&a).await;
    let hook = client.make_webhook(&a, json!({})).await;
    for n in 0..20 {
        hook.deliver(&a, &format!("line {n}\n{}", "long ".repeat(100))).await;
    }
    let browser = Browser::open(Options::desktop()).await;
    log_in(&browser, &a).await;
    open(&browser, &a, &format!("/admin/sessions/{}", client.user_id)).await;
    mark(&browser).await;
    let unfolded = "li:nth-last-child(10) details.whole";
    browser.click(&format!("{unfolded} > summary")).await;
    let key = browser.script("return document.querySelector('details.whole[open]').dataset.key", &[]).await;
    let unfolded = format!("details[data-key='{}'][open]", key.as_str().unwrap());
    let before = places(&browser, &unfolded).await;
    assert!(browser.script("return scrollY", &[]).await.as_f64().unwrap() > 0.0);

    hook.deliver(&b, "brand new").await;
    refresh_until(&browser, ".entries > li:first-child", "brand new").await;
    let reply = client.reply(&b, &hook.id, "and its answer").await;
    refresh_until(&browser, &format!(".entries > li[data-key='{reply}']"), "and its answer").await;
    let socket = client.open(&b, "").await;
    refresh_until(&browser, "[data-live=about]", "1 on ").await;
    drop(socket);
    assert_eq!(places(&browser, &unfolded).await, before, "scrolled, focused and unfolded as before");
    assert!(has(&browser, &unfolded, "Show all").await);
    assert_not_reloaded(&browser).await;
    browser.assert_no_complaints().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_appears_on_the_overview_and_the_numbers_go_on() {
    let setup = with_password(Setup::on_redis());
    let [a, b] = setup.start_many().await;
    let client = Client::register(&a).await;
    let hook = client.make_webhook(&a, json!({})).await;
    let browser = Browser::open(Options::desktop()).await;
    log_in(&browser, &a).await;
    browser.shows("[data-live=recent]", "Nothing was said lately.").await;
    mark(&browser).await;
    browser.click("[data-key=chart-numbers] > summary").await;
    browser.script("document.querySelector('.scroll').scrollTop = 100", &[]).await;
    let before = places(&browser, ".scroll").await;

    hook.deliver(&b, "brand new").await;
    refresh_until(&browser, "[data-live=recent] tbody", "brand new").await;
    client.reply(&b, &hook.id, "and its answer").await;
    refresh_until(&browser, "[data-live=recent] tbody tr:first-child", "and its answer").await;
    refresh_until(&browser, "[data-live=numbers] dl > :nth-child(3)", "In\n1\n").await;
    refresh_until(&browser, "[data-live=numbers] dl > :nth-child(4)", "Out\n1\n").await;

    refresh_until(&browser, ".state", "2 replicas are alive").await;
    let _another = setup.start().await;
    refresh_until(&browser, "#said[role=status]", "3 replicas are alive").await;
    browser.script("document.getElementById('said').textContent = ''", &[]).await;
    refresh(&browser).await;
    assert_eq!(browser.text("#said").await, "", "what is not news is not said again");

    assert_eq!(places(&browser, ".scroll").await, before, "scrolled and focused as before");
    let table = "const part = document.querySelector('.scroll'); return [part.scrollTop, part.closest('details').open]";
    assert_eq!(browser.script(table, &[]).await, json!([100, true]));
    assert_not_reloaded(&browser).await;
    browser.assert_no_complaints().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_nobody_touches_is_brought_up_to_date_within_seconds() {
    let [a, b] = two_replicas().await;
    let client = Client::register(&a).await;
    let hook = client.make_webhook(&a, json!({})).await;
    let browser = Browser::open(Options::desktop()).await;
    log_in(&browser, &a).await;
    mark(&browser).await;
    hook.deliver(&b, "brand new").await;
    browser.shows("[data-live=recent] tbody", "brand new").await;
    assert_not_reloaded(&browser).await;
    browser.assert_no_complaints().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_sorted_anew_keeps_the_focus_where_it_was() {
    let setup = with_password(Setup::on_redis());
    let a = setup.start().await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(Client::register(&a).await);
    }
    let browser = Browser::open(Options::desktop()).await;
    log_in(&browser, &a).await;
    open(&browser, &a, "/admin/sessions").await;
    mark(&browser).await;
    // The uses of a session are noted minutes apart.
    let used = format!("{}{{directory}}:seen", setup.variable("CHAOS_REDIS_PREFIX").unwrap());
    let focused = "return document.activeElement.innerText";
    for client in &clients[..2] {
        browser
            .script("document.querySelector(`tr[data-key='${arguments[0]}'] a`).focus()", &[json!(client.user_id)])
            .await;
        assert_eq!(browser.script(focused, &[]).await, client.user_id);
        redis::shared().cli(&["ZINCRBY", &used, "60000", &client.user_id]);
        refresh_until(&browser, "tbody tr:first-child", &client.user_id).await;
        assert_eq!(browser.script(focused, &[]).await, client.user_id, "one can go on by the keyboard");
    }
    assert_not_reloaded(&browser).await;
    browser.assert_no_complaints().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_types_or_selects_stays_while_the_rest_is_brought_up_to_date() {
    let [a, b] = two_replicas().await;
    let client = Client::register(&a).await;
    let browser = Browser::open(Options::desktop()).await;
    log_in(&browser, &a).await;

    open(&browser, &a, "/admin/sessions").await;
    browser.type_into("#q", "half a na").await;
    browser.script("document.getElementById('q').setSelectionRange(2, 4)", &[]).await;
    browser.script("document.getElementById('order').value = 'created'", &[]).await;
    let other = Client::register(&b).await;
    refresh_until(&browser, "tbody", &other.user_id).await;
    let typed = "
        const field = document.activeElement;
        return [field.id, field.value, field.selectionStart, field.selectionEnd, document.getElementById('order').value];
    ";
    assert_eq!(browser.script(typed, &[]).await, json!(["q", "half a na", 2, 4, "created"]));

    // A selection holds back the part that it is in, and no other.
    let hook = client.make_webhook(&a, json!({})).await;
    hook.deliver(&a, "to be copied").await;
    open(&browser, &a, &format!("/admin/sessions/{}", client.user_id)).await;
    browser.script("getSelection().selectAllChildren(document.querySelector('.entries .text'))", &[]).await;
    hook.deliver(&b, "comes in between").await;
    client.make_webhook(&b, json!({"name": "Alarm"})).await;
    refresh_until(&browser, "[data-live=channels]", "Alarm").await;
    browser.shows("#updated", "except where you are at work").await;
    assert_eq!(browser.script("return getSelection().toString().trim()", &[]).await, "to be copied");
    assert!(!has(&browser, ".entries", "comes in between").await);
    browser.script("getSelection().removeAllRanges()", &[]).await;
    refresh_until(&browser, ".entries", "comes in between").await;
    assert!(!has(&browser, "#updated", "except").await);

    // The question whether to delete is about this session and nothing that changes: it is not asked anew.
    open(&browser, &a, &format!("/admin/sessions/{}/delete", client.user_id)).await;
    browser.type_into("#confirm", &client.user_id[..5]).await;
    look_again(&browser).await;
    let asked = "return performance.getEntriesByType('resource').filter(one => one.initiatorType === 'fetch').length";
    assert_eq!(browser.script(asked, &[]).await, 0);
    let typed = "return [document.activeElement.id, document.activeElement.value]";
    assert_eq!(browser.script(typed, &[]).await, json!(["confirm", client.user_id[..5]]));
    browser.assert_no_complaints().await;
}
