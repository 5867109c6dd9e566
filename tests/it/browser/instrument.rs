//! The browser that the tests look through: it is set as they ask, and it sees what is wrong.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::browser::{Browser, Cookie, Options, SameSite, assert_accessible, violations};
use crate::support::platforms::server::{Answer, Outcome, Request, serve};
use crate::support::{DEADLINE, eventually};

/// Serves pages of this content by path, `not found` elsewhere; gives the base URL.
async fn serve_pages<const N: usize>(pages: [(&'static str, &'static str); N], policy: &'static str) -> String {
    let port = serve(move |request: Request| async move {
        let found = pages.iter().find(|(path, _)| *path == request.path);
        let (status, content) = found.map_or((404, "<h1>Not found</h1>"), |(_, content)| (200, *content));
        let said = request.form().get("said").and_then(Value::as_str).unwrap_or_default().to_owned();
        let cookies = request.header("cookie").unwrap_or_default();
        let content = content.replace("{said}", &said).replace("{cookies}", cookies);
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>A page</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"></head><body><main>{content}</main></body></html>"
        );
        let answer = Answer::text(status, "text/html", &html).with("content-security-policy", policy);
        let cookie = "__Host-kept=by the server; Path=/; Secure; HttpOnly; SameSite=Strict";
        Outcome::Answer(answer.with("set-cookie", cookie))
    })
    .await;
    format!("http://127.0.0.1:{port}")
}

/// How a page sees the browser: size, scheme, time zone.
async fn seen_by_the_page(browser: &Browser) -> Value {
    let look = "return [innerWidth, innerHeight, matchMedia('(prefers-color-scheme: dark)').matches, \
                Intl.DateTimeFormat().resolvedOptions().timeZone, arguments[0]]";
    browser.script(look, &[json!("said back")]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_set_as_a_test_asks_on_every_page() {
    let content = "<h1>Here</h1><noscript><a href=\"/next\">no script</a></noscript>\
                   <script>document.querySelector('h1').append(' too')</script>";
    let base = serve_pages([("/", content), ("/next", content)], "script-src 'unsafe-inline'").await;
    let elsewhere = base.replace("127.0.0.1", "localhost");

    let browser = Browser::open(Options::desktop()).await;
    browser.goto(&format!("{base}/")).await;
    assert_eq!(seen_by_the_page(&browser).await, json!([1280, 900, false, "UTC", "said back"]));
    assert_eq!(browser.text("main").await, "Here too");
    let screenshot = browser.screenshot().await;
    let size = |at: usize| u32::from_be_bytes(screenshot[at..at + 4].try_into().unwrap());
    assert_eq!((&screenshot[1..4], size(16), size(20)), (b"PNG".as_slice(), 1280, 900));
    drop(browser);

    let browser = Browser::open(Options::phone().dark().without_javascript().in_time_zone("Asia/Tokyo")).await;
    for page in [format!("{base}/"), format!("{base}/next"), format!("{elsewhere}/")] {
        browser.goto(&page).await;
        assert_eq!(seen_by_the_page(&browser).await, json!([390, 844, true, "Asia/Tokyo", "said back"]), "{page}");
        assert_eq!(browser.text("main").await, "Here\nno script", "{page}");
    }
    browser.click("a").await;
    browser.arrives_at("/next").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_types_and_submits_reaches_the_server() {
    let form = "<a href=\"#\">Back</a><form method=\"post\" action=\"/heard\">\
                <label>Say <input name=\"said\" value=\"old\"></label><button type=\"button\">Not this</button><button>Say it</button></form>";
    let pages = [("/", form), ("/heard", "<h1>Heard: {said}</h1>")];
    let base = serve_pages(pages, "default-src 'none'; form-action 'self'").await;
    for options in [Options::desktop(), Options::desktop().without_javascript()] {
        let browser = Browser::open(options).await;
        browser.goto(&format!("{base}/?a=b")).await;
        browser.click("a").await;
        assert_eq!((browser.path().await.as_str(), browser.status().await), ("/", 200));
        browser.type_into("[name=said]", "grüß dich 🙂").await;
        browser.submit("form").await;
        browser.shows("h1", "Heard: grüß dich 🙂").await;
        assert_eq!((browser.path().await.as_str(), browser.status().await), ("/heard", 200));
        browser.assert_no_complaints().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_are_seen_as_they_were_set_and_belong_to_one_browser() {
    let base = serve_pages([("/", "<h1>Cookies: {cookies}</h1>")], "default-src 'none'").await;
    let browser = Browser::open(Options::desktop()).await;
    browser.goto(&base).await;
    let cookie = browser.cookie("__Host-kept").await.unwrap();
    assert_eq!((cookie.value.as_str(), cookie.path.as_deref()), ("by the server", Some("/")));
    assert_eq!((cookie.secure, cookie.http_only, cookie.same_site), (Some(true), Some(true), Some(SameSite::Strict)));
    browser.set_cookie(Cookie::new("mine", "by the test")).await;
    browser.goto(&base).await;
    let shown = browser.text("h1").await;
    assert!(shown.contains("__Host-kept=by the server") && shown.contains("mine=by the test"), "{shown}");
    assert_eq!(browser.cookie("mine").await.unwrap().http_only, Some(false));
    drop(browser);

    let another = Browser::open(Options::desktop()).await;
    another.goto(&base).await;
    assert_eq!(another.text("h1").await, "Cookies:");
    assert!(another.cookie("mine").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_console_complains_of_is_seen_once() {
    let pages = [
        // Browsers look for it where the policy lets them.
        ("/favicon.ico", ""),
        ("/quiet", "<h1>Quiet</h1>"),
        ("/error", "<script>console.log('no complaint'); nobody.knows()</script>"),
        ("/image", "<img alt=\"none\" src=\"/missing.png\">"),
        ("/foreign", "<img alt=\"none\" src=\"http://localhost:1/a.png\">"),
        ("/style", "<p style=\"color: red\">Red</p>"),
    ];
    let policy = "default-src 'none'; script-src 'unsafe-inline'; img-src 'self'";
    let base = serve_pages(pages, policy).await;
    let browser = Browser::open(Options::desktop()).await;
    for (path, complaint) in [
        ("/error", "nobody is not defined"),
        ("/image", "/missing.png - Failed to load resource: the server responded with a status of 404"),
        ("/foreign", "violates the following Content Security Policy directive: \"img-src 'self'\""),
        ("/style", "violates the following Content Security Policy directive 'default-src 'none''"),
    ] {
        browser.goto(&format!("{base}{path}")).await;
        let complaints = browser.complaints().await;
        assert!(complaints.len() == 1 && complaints[0].contains(complaint), "{path}: {complaints:?}");
        browser.goto(&format!("{base}/quiet")).await;
        browser.assert_no_complaints().await;
    }
    browser.goto(&format!("{base}/nowhere")).await;
    assert_eq!(browser.status().await, 404);
    browser.assert_no_complaints().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_people_from_using_a_page_is_seen() {
    let bad = "<h1>A page</h1><img src=\"data:,\"><form><input name=\"unnamed\"></form>\
               <p><font color=\"#777777\">On white and on black alike this is hard to read.</font></p>";
    let good = "<h1>A page</h1><p>Words, and <a href=\"/bad\">a link</a>.</p><form><button>A button</button></form>";
    let pages = [("/bad", bad), ("/good", good)];
    let base = serve_pages(pages, "default-src 'none'; img-src data:").await;
    let (desktop, phone) = (Options::desktop(), Options::phone().without_javascript());
    for options in [desktop, desktop.dark(), phone, phone.dark()] {
        let browser = Browser::open(options).await;
        browser.goto(&format!("{base}/good")).await;
        assert_accessible(&browser).await;
        browser.goto(&format!("{base}/bad")).await;
        let violations = violations(&browser).await;
        let of = |rule: &str, place: &str| violations.iter().any(|line| line.starts_with(rule) && line.contains(place));
        assert!(of("image-alt (critical) at ", "img"), "{options:?}: {violations:#?}");
        assert!(of("label (critical) at ", "input"), "{options:?}: {violations:#?}");
        assert!(of("color-contrast (serious) at ", "font"), "{options:?}: {violations:#?}");
        assert_eq!(violations.len(), 3, "{options:?}: {violations:#?}");
    }
}

/// How many processes name this directory.
fn processes_with(profile: &Path) -> usize {
    let lines = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = std::fs::read(entry.unwrap().path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).into_owned())
    });
    lines.filter(|line| line.contains(profile.to_str().unwrap())).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_closes_at_once_when_its_test_fails_wherever_that_runs() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let failing = tokio::spawn(async {
        let browser = Browser::open(Options::desktop()).await;
        browser.goto("about:blank").await;
        let profile = browser.profile().to_owned();
        assert!(processes_with(&profile) > 0);
        tell.send((profile, Instant::now())).unwrap();
        panic!("the test fails");
    });
    assert!(failing.await.unwrap_err().is_panic());
    let (profile, failed) = told.await.unwrap();
    assert!(failed.elapsed() < DEADLINE, "{:?}", failed.elapsed());
    assert!(!profile.exists());
    eventually("its processes are gone", || async { (processes_with(&profile) == 0).then_some(()) }).await;
}
