//! The verification mail, its link, the page, and what the page's button does.

use reqwest::Method;
use serde_json::{Value, json};

use super::scene::{ANA, Mailbox, Page, Scene, link_in, look, press};
use crate::support::client::Client;
use crate::support::platforms::delivery;
use crate::support::platforms::deployment::{Platforms, register_bot};
use crate::support::platforms::resend::Mail;

/// Makes sure that nothing can put a page into a frame, keep it, or learn of its URL.
fn is_well_protected(page: &Page) {
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"), "{page:?}");
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{page:?}");
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(!page.html.contains("<script"), "{}", page.html);
}

/// Makes sure that a page says that a link is not good.
fn is_refusal(page: &Page, case: &str) {
    assert_eq!(page.status, 400, "{case}");
    assert!(page.html.contains("This link is not valid"), "{case}: {}", page.html);
    assert!(!page.html.contains("<form") && !page.html.contains('@'), "{case}: {}", page.html);
    is_well_protected(page);
}

async fn head(link: &str) -> Page {
    Page::read(delivery::client().head(link).send().await.unwrap()).await
}

/// The value of a hidden field of a page's form.
fn hidden_field<'a>(html: &'a str, name: &str) -> &'a str {
    let start = format!("<input type=\"hidden\" name=\"{name}\" value=\"");
    html.split_once(start.as_str()).unwrap_or_else(|| panic!("no {name} in {html}")).1.split_once('"').unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mail_asks_the_person_to_follow_one_link() {
    let scene = Scene::set().await;
    let body = json!({"userEmail": "Ana@Example.com", "channelName": "Support"});
    let mailbox = Mailbox::register(&scene.platforms, &scene.client, &scene.relay, &body).await;
    let [sent] = scene.platforms.resend.sent().try_into().unwrap();
    assert_eq!(sent.to, ["Ana@example.com"], "the spelling before the @ is the person's own");
    assert_eq!(sent.from, "CHAOS relay <no-reply@in.example.net>");
    assert_eq!(sent.headers["Auto-Submitted"], "auto-generated");
    let text = sent.text.unwrap();
    assert!(text.contains("\"Support\"") && text.contains(&mailbox.address), "{text}");

    let expected =
        format!("{}/email/verify?token={}&channelId={}", scene.platforms.public_url(), mailbox.token, mailbox.id);
    assert_eq!(link_in(&text), expected);
    assert!(mailbox.token.len() >= 22, "128 bits and more: {}", mailbox.token);
    let html = sent.html.unwrap();
    let links: Vec<_> = html.split("href=\"").skip(1).map(|rest| rest.split_once('"').unwrap().0).collect();
    assert_eq!(links, [expected.replace('&', "&amp;")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channels_name_puts_no_words_of_a_stranger_into_the_mail() {
    let scene = Scene::set().await;
    let name = "Your bank <b>https://evil.example/login</b>\r\nBcc: eve@evil.example";
    let body = json!({"userEmail": ANA, "channelName": name});
    Mailbox::register(&scene.platforms, &scene.client, &scene.relay, &body).await;
    let [sent] = scene.platforms.resend.sent().try_into().unwrap();
    assert_eq!((sent.to, sent.subject.as_str()), (vec![ANA.to_owned()], "Confirm your address"));
    for words in [sent.text.unwrap(), sent.html.unwrap()] {
        for harm in ["evil.example", "<b>", "eve@", "://e"] {
            assert!(!words.contains(harm), "{harm} in {words}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn to_look_at_the_page_spends_nothing_however_often() {
    let scene = Scene::set().await;
    let mailbox = scene.unverified(ANA).await;
    for _ in 0..5 {
        let page = look(&mailbox.link).await;
        assert_eq!(page.status, 200);
        is_well_protected(&page);
        let of_head = head(&mailbox.link).await;
        assert_eq!((of_head.status, of_head.html.as_str()), (200, ""));
        assert_eq!(of_head.header("content-length"), page.html.len().to_string());
        is_well_protected(&of_head);
        assert_eq!(scene.metadata(&mailbox).await["verified"], false);
    }
    scene.takes(&mailbox.mail(ANA, "too early")).await;
    assert!(scene.messages().await.is_empty());

    let html = look(&mailbox.link).await.html;
    assert_eq!((html.matches("<form").count(), html.matches("<button").count()), (1, 1), "{html}");
    // Where the page stands, which may be below a path of a proxy.
    assert!(html.contains("<form method=\"post\">"), "{html}");
    assert!(html.contains(ANA) && html.contains(&mailbox.address), "{html}");
    let confirmed = press(&scene.relay.url(), hidden_field(&html, "token"), hidden_field(&html, "channelId")).await;
    assert_eq!(confirmed.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_button_verifies_once() {
    let scene = Scene::set().await;
    let mailbox = scene.unverified("Ana@Example.COM").await;
    let confirmed = press(&scene.relay.url(), &mailbox.token, &mailbox.id).await;
    assert_eq!(confirmed.status, 200);
    is_well_protected(&confirmed);
    assert!(confirmed.html.contains(&format!("href=\"mailto:{}\"", mailbox.address)), "{}", confirmed.html);
    let expected = json!({
        "allowedSenders": ["ana@example.com"], "inboundAddress": mailbox.address, "userEmail": "ana@example.com",
        "verified": true,
    });
    assert_eq!(scene.metadata(&mailbox).await, expected);

    is_refusal(&press(&scene.relay.url(), &mailbox.token, &mailbox.id).await, "pressed again");
    is_refusal(&look(&mailbox.link).await, "looked at again");
    assert_eq!(head(&mailbox.link).await.status, 400);
    assert_eq!(scene.metadata(&mailbox).await, expected);
    scene.takes(&mailbox.mail(ANA, "hello")).await;
    assert_eq!(scene.texts().await, ["hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_press_at_once_on_two_replicas_one_verifies() {
    let platforms = Platforms::start().await;
    let [a, b] = platforms.on_redis().start_many().await;
    platforms.lead_to(&[&a, &b]);
    let client = Client::register(&a).await;
    let mailbox = Mailbox::register(&platforms, &client, &a, &json!({"userEmail": ANA})).await;
    let (a, b) = (a.url(), b.url());
    let presses = (0..12).map(|n| press(if n % 2 == 0 { &a } else { &b }, &mailbox.token, &mailbox.id));
    let pages = futures_util::future::join_all(presses).await;
    let statuses: Vec<_> = pages.iter().map(|page| page.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 11, "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_with_anything_wrong_is_not_valid_and_spends_nothing() {
    let scene = Scene::set().await;
    let (mailbox, other) = (scene.unverified(ANA).await, scene.unverified("bob@example.com").await);
    let webhook = scene.client.make_webhook(&scene.relay, json!({})).await;
    let bot = scene.platforms.telegram.bot("helper_bot");
    let bot = register_bot(&scene.client, &scene.relay, "telegram", &bot.token).await;
    let (token, id) = (mailbox.token.as_str(), mailbox.id.as_str());
    let upper = token.to_ascii_uppercase();
    let half = &token[..token.len() / 2];
    let padded = format!("{token} ");
    let huge = "x".repeat(10_000);
    for (token, channel) in [
        ("wrong", id),
        ("", id),
        (half, id),
        (&upper, id),
        (&padded, id),
        (&huge, id),
        ("\u{0}", id),
        (token, ""),
        (token, "none"),
        (token, "../channels"),
        (token, &huge),
        (token, other.id.as_str()),
        (other.token.as_str(), id),
        (token, webhook.id.as_str()),
        (webhook.secret.as_str(), webhook.id.as_str()),
        (bot.code.as_str(), bot.id.as_str()),
        ("", ""),
    ] {
        let case = format!("{:.40?} {:.40?}", token, channel);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("token", token).append_pair("channelId", channel);
        let url = format!("{}/email/verify?{}", scene.relay.url(), query.finish());
        let page = look(&url).await;
        // An address line that is too long is refused before anybody reads it.
        if page.status != 414 {
            is_refusal(&page, &case);
            assert_eq!(head(&url).await.status, 400, "{case}");
        }
        is_refusal(&press(&scene.relay.url(), token, channel).await, &case);
    }
    let bare = format!("{}/email/verify", scene.relay.url());
    is_refusal(&look(&bare).await, "no query");
    is_refusal(&Page::read(delivery::client().post(&bare).body("%%%\u{0}=&=").send().await.unwrap()).await, "no form");
    let deleted = delivery::client().delete(&mailbox.link).send().await.unwrap();
    assert_eq!((deleted.status().as_u16(), deleted.headers()["allow"].to_str().unwrap()), (405, "GET, HEAD, POST"));

    for mailbox in [&mailbox, &other] {
        assert_eq!(scene.metadata(mailbox).await["verified"], false);
        assert_eq!(press(&scene.relay.url(), &mailbox.token, &mailbox.id).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_post_the_link_itself() {
    let scene = Scene::set().await;
    let mailbox = scene.unverified(ANA).await;
    let page = Page::read(delivery::client().post(&mailbox.link).send().await.unwrap()).await;
    assert_eq!(page.status, 200, "{}", page.html);
    assert_eq!(scene.metadata(&mailbox).await["verified"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_address_is_made_of_does_not_become_part_of_a_page() {
    let scene = Scene::set().await;
    let mailbox = scene.unverified("o'hara&co@example.com").await;
    let page = look(&mailbox.link).await;
    let confirmed = press(&scene.relay.url(), &mailbox.token, &mailbox.id).await;
    for html in [&page.html, &confirmed.html] {
        assert!(!html.contains("o'hara") && !html.contains("a&co"), "{html}");
        assert!(html.contains("&#x27;hara&amp;co@example.com"), "{html}");
    }
    assert_eq!(scene.metadata(&mailbox).await["allowedSenders"], json!(["o'hara&co@example.com"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn until_the_button_is_pressed_nobody_is_heard() {
    let scene = Scene::set().await;
    let mailbox = scene.unverified(ANA).await;
    scene.takes(&mailbox.mail(ANA, "first")).await;
    // Not even who the session lets in: the address might be anybody's.
    scene.allow(&mailbox, &["bob@example.com"]).await;
    scene.takes(&mailbox.mail("bob@example.com", "second")).await;
    assert!(scene.messages().await.is_empty());
    assert_eq!(scene.fetches(), 0);

    press(&scene.relay.url(), &mailbox.token, &mailbox.id).await;
    assert_eq!(scene.metadata(&mailbox).await["allowedSenders"], json!(["bob@example.com", ANA]));
    scene.takes(&mailbox.mail(ANA, "third")).await;
    scene.takes(&mailbox.mail("bob@example.com", "fourth")).await;
    assert_eq!(scene.texts().await, ["third", "fourth"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_has_no_pairing_code_and_a_text_is_never_taken_for_one() {
    let scene = Scene::set().await;
    let mailbox = scene.unverified(ANA).await;
    let path = format!("/channels/{}/pairing-code", mailbox.id);
    let answer = scene.client.send(&scene.relay, Method::POST, &path, &json!({})).await;
    assert_eq!(answer.status(), 400);
    // The token in a mail is no link that was followed.
    scene.takes(&Mail::new(ANA, &mailbox.address, &mailbox.token, &format!("/pair {}", mailbox.token))).await;
    let metadata: Value = scene.metadata(&mailbox).await;
    assert_eq!((&metadata["verified"], metadata.get("allowedSenders")), (&json!(false), None));
}
