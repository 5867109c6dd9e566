//! Whatever strangers, agents and platforms wrote: the pages show it as text, and stay usable.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{count, log_in, open, refresh};
use crate::delivery::fate::becomes;
use crate::delivery::line::Line;
use crate::support::browser::{Browser, Options};
use crate::support::client::{Client, Webhook, expect};
use crate::support::operator::with_password;
use crate::support::platforms::deployment::{Platforms, register_bot};
use crate::support::platforms::{Misbehaviour, telegram};
use crate::support::relay::Replica;

/// What names may have; they lose what cannot be seen, and nothing else.
const NAME: &str =
    "\u{202e}<script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{ 7 * 7 }}</textarea>👩\u{200d}👩\u{200d}👧\0";
const NAME_SHOWN: &str =
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{ 7 * 7 }}</textarea>👩\u{200d}👩\u{200d}👧";

/// What is said, and what a reader sees of it: the relay takes markup out that is whole, and what cannot be seen.
const SAID: [(&str, &str); 8] = [
    ("<img src=x onerror=alert(3) ", "<img src=x onerror=alert(3) "),
    ("<x-y autofocus tabindex=1 onfocus=alert(4)>", "<x-y autofocus tabindex=1 onfocus=alert(4)>"),
    ("<script>alert(5)</script>after \"'><svg/onload=alert(6) ", "after \"'><svg/onload=alert(6) "),
    ("</textarea></script></title><!-- {{ 7 * 7 }}{% raw %}{# no #}", "<!-- {{ 7 * 7 }}{% raw %}{# no #}"),
    ("&lt;script&gt;alert(7)&lt;/script&gt;", "&lt;script&gt;alert(7)&lt;/script&gt;"),
    ("a\u{202e}b\u{200f}c\u{feff}d", "ab⟨U+200F⟩c⟨U+FEFF⟩d"),
    ("nul \0, escape \u{1b}[31m, delete \u{7f}, \u{85}.", "nul , escape [31m, delete , ."),
    ("🏳\u{fe0f}\u{200d}🌈 שלום 🦀", "🏳\u{fe0f}\u{200d}🌈 שלום 🦀"),
];

/// What a platform says when it refuses; nobody cleans it but the pages.
const REFUSAL: &str = "Bad Request: <img src=x onerror=alert(8)> \u{202e}{{ 7 * 7 }} \"'\u{1b}[31m";

/// What is on the page: names of elements, attributes that are code, scripts, texts, and how far it is too wide.
const LOOK: &str = "
    document.querySelectorAll('details').forEach(part => { part.open = true; });
    const all = [...document.querySelectorAll('*')];
    const code = all.flatMap(one => one.getAttributeNames().filter(name => name.startsWith('on') || name === 'style'));
    const links = [...document.links, ...document.scripts, ...document.images].map(one => one.href ?? one.src);
    return {
        names: all.map(one => one.localName),
        code,
        elsewhere: links.filter(link => !link.startsWith(`${location.origin}/admin`)),
        scripts: document.scripts.length,
        wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    };
";

/// The elements that the pages are made of. What strangers send has others.
const ELEMENTS: &str = "a article bdi body br button caption code dd desc details div dl dt figcaption figure footer form g h1 \
     h2 head header html img input label li line link main meta nav ol option p path q rect script section select span \
     strong summary svg table tbody td text th thead time title tr ul";

/// Makes sure that nothing on the page is more than text, and that it fits the screen.
async fn assert_harmless(browser: &Browser, page: &str) {
    let seen = browser.script(LOOK, &[]).await;
    let known: BTreeSet<_> = ELEMENTS.split_whitespace().collect();
    let names = seen["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let strange: BTreeSet<_> = names.filter(|name| !known.contains(name)).collect();
    assert!(strange.is_empty(), "{page} has {strange:?}");
    assert_eq!((&seen["code"], &seen["elsewhere"], &seen["scripts"]), (&json!([]), &json!([]), &json!(1)), "{page}");
    assert_eq!(seen["wider"], 0, "{page} is wider than the screen");
    browser.assert_no_complaints().await;
}

/// The texts of all elements that this CSS selector finds.
async fn texts(browser: &Browser, selector: &str) -> Vec<String> {
    let look = "return [...document.querySelectorAll(arguments[0])].map(one => one.textContent)";
    let Value::Array(texts) = browser.script(look, &[json!(selector)]).await else { panic!("a list") };
    texts.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Says everything to a webhook, with a source that is as bad.
async fn say_all(replica: &Replica, hook: &Webhook) {
    let http = reqwest::Client::new();
    let long = "W".repeat(64 * 1024);
    for said in SAID.iter().map(|(said, _)| *said).chain([long.as_str()]) {
        let request = http.post(format!("{}{}", replica.url(), hook.path())).header("Content-Type", "text/plain");
        let request = request.header("X-Webhook-Source", "<x-y onclick=alert(9)>\"'{{ 7 * 7 }}");
        expect(request.body(said.to_owned()).send().await.unwrap(), 200).await;
    }
    let metadata =
        json!({"<img src=x onerror=alert(10)>": {"</details><x-y>": "\u{202e}\0{{ 7 * 7 }}"}, "W".repeat(500): 1});
    let request = http.post(format!("{}{}", replica.url(), hook.path())).json(&metadata);
    expect(request.send().await.unwrap(), 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_is_text_on_every_page_and_fits_a_phone() {
    let platforms = Platforms::start().await;
    let [a, b] = with_password(platforms.on_redis()).start_many().await;
    platforms.lead_to(&[&a]);
    let client = Client::register(&a).await;
    let hook = client.make_webhook(&a, json!({"name": NAME, "agentId": format!("{}{NAME}", "W".repeat(100))})).await;
    client.make_webhook(&a, json!({"name": "W".repeat(200)})).await;
    register_bot(&client, &a, "discord", &platforms.discord.application(NAME).token).await;
    let line = Line::open(&platforms, &client, &a, "telegram", 1).await;
    say_all(&b, &hook).await;
    for (said, _) in SAID {
        client.reply(&b, &hook.id, said).await;
    }
    for description in [REFUSAL, String::leak("W".repeat(2000))] {
        let refusal = telegram::Refusal::Error { code: 400, description };
        platforms.telegram.misbehave_on("sendMessage", Misbehaviour::Refuse(refusal.clone()));
        platforms.telegram.misbehave_on("sendMessage", Misbehaviour::Refuse(refusal));
        let id = line.reply(&client, &a, 0, "<x-y onclick=alert(11)>").await;
        becomes(&client, &a, &id, "failed").await;
        platforms.telegram.behave();
    }

    let browser = Browser::open(Options::phone()).await;
    log_in(&browser, &a).await;
    let session = format!("/admin/sessions/{}", client.user_id);
    open(&browser, &a, &session).await;
    assert_harmless(&browser, &session).await;
    refresh(&browser).await;
    assert_harmless(&browser, "the refreshed session").await;
    let bodies = texts(&browser, "article > .text, article > details > .text").await;
    for (said, shown) in SAID {
        assert_eq!(bodies.iter().filter(|body| *body == shown).count(), 2, "{said:?} in {bodies:?}");
    }
    assert!(bodies.contains(&"W".repeat(64 * 1024)));
    assert!(texts(&browser, "bdi").await.contains(&"<x-y onclick=alert(9)>\"'{{ 7 * 7 }}".to_owned()));
    assert!(texts(&browser, "[data-live=channels] bdi").await.contains(&NAME_SHOWN.to_owned()));
    assert!(texts(&browser, "#channel option").await.iter().any(|choice| choice.contains(NAME_SHOWN)));
    assert_eq!(texts(&browser, "title").await, [format!("Session {} · CHAOS relay", &client.user_id[..8])]);

    let query = form_urlencoded::byte_serialize(NAME.as_bytes()).collect::<String>();
    let searched = format!("/admin/sessions?q={query}");
    let filtered = format!("{session}?direction=out&channel={}", line.id);
    for page in [
        "/admin",
        "/admin/sessions",
        "/admin/deliveries",
        &searched,
        &filtered,
        &format!("{session}/delete"),
        "/admin/audit",
    ] {
        open(&browser, &b, page).await;
        assert_harmless(&browser, page).await;
        if page == "/admin" {
            let contents = texts(&browser, ".recent .content bdi").await;
            assert!(
                SAID.iter().all(|(_, shown)| contents.iter().any(|content| content == shown.trim())),
                "{contents:?}"
            );
        }
        if page == "/admin/deliveries" {
            let errors = texts(&browser, "bdi.error").await;
            assert!(errors.iter().any(|error| error.contains("<img src=x onerror=alert(8)>")), "{errors:?}");
        }
        if page == searched {
            let typed = browser.script("return document.getElementById('q').value", &[]).await;
            assert!(typed.as_str().unwrap().contains(NAME_SHOWN), "{typed}");
        }
    }

    open(&browser, &a, "/admin/store").await;
    let links = "return [...document.querySelectorAll('tbody th a:not(.muted)')].map(link => link.href)";
    let kinds = browser.script(links, &[]).await;
    let mut keys = Vec::new();
    for kind in kinds.as_array().unwrap() {
        browser.goto(kind.as_str().unwrap()).await;
        assert_harmless(&browser, "the keys of a kind").await;
        keys.extend(browser.script(links, &[]).await.as_array().unwrap().iter().take(3).cloned());
    }
    assert!(keys.len() > 10, "{keys:?}");
    let mut values = String::new();
    for key in keys {
        browser.goto(key.as_str().unwrap()).await;
        assert_harmless(&browser, &key.to_string()).await;
        values += &texts(&browser, "main").await.concat();
    }
    assert!(values.contains("<x-y autofocus tabindex=1 onfocus=alert(4)>") && values.contains("onerror=alert(2)"));

    // What a made-up address says stays where it is.
    for path in [
        "/admin/sessions?order=%3Cimg%20src=x%20onerror=alert(12)%3E",
        "/admin/sessions/%3Cx-y%3E",
        "/admin?notice=%3Cx-y%3E",
    ] {
        browser.goto(&format!("{}{path}", a.url())).await;
        assert_harmless(&browser, path).await;
        assert_eq!(count(&browser, "#notice").await, 0);
    }
}
