//! The operator's pages, for people who see little or nothing, use no mouse, or have a small screen.

mod scene;

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::browser::{Browser, Cookie, ENTER, Options, TAB, violations};
use crate::support::operator::{Operator, PASSWORD, with_password};
use crate::support::platforms::server::{Answer, Outcome, serve};
use crate::support::relay::{Replica, Setup, data_dir};
use scene::Scene;

/// Whether something sticks out of the page sideways.
const IS_WIDER: &str = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";

/// What is wrong with the order of the page: its headings in order and without gaps, its landmarks each once, its
/// title, and names for what is repeated.
const ORDER: &str = "
    const wrong = [];
    const all = (selector) => [...document.querySelectorAll(selector)];
    const expect = (is, what) => { if (!is) wrong.push(what); };
    expect(document.documentElement.lang === 'en', 'no language');
    expect(/^.+ · CHAOS relay$/.test(document.title), `title ${document.title}`);
    const levels = all('h1, h2, h3, h4, h5, h6').map((heading) => Number(heading.nodeName[1]));
    expect(levels[0] === 1 && levels.filter((level) => level === 1).length === 1, `headings ${levels}`);
    expect(levels.every((level, n) => n === 0 || level <= levels[n - 1] + 1), `headings ${levels}`);
    expect(all('h1, h2').every((heading) => heading.textContent.trim()), 'an empty heading');
    for (const mark of ['main', 'body > header', 'a.skip']) expect(all(mark).length === 1, `not one ${mark}`);
    expect(all('body > footer').length <= 1, 'more than one footer');
    expect(document.body.firstElementChild.matches('a.skip[href=\"#main\"]'), 'the skip link is not first');
    const named = (place) => place.ariaLabel || document.getElementById(place.getAttribute('aria-labelledby'))?.textContent;
    expect(all('nav, section, article').every(named), 'a place without a name');
    expect(all('table').every((table) => table.caption?.textContent && table.tHead?.rows.length === 1), 'a bare table');
    expect(all('a[href], button, summary').every((one) => one.textContent.trim() || one.ariaLabel), 'a nameless control');
    return wrong;
";

/// Watches which controls get the focus, and how they look then. Gives how many there are.
const WATCH: &str = "
    document.activeElement.blur();
    const look = (control) => {
        const style = getComputedStyle(control);
        return [style.outlineStyle, style.outlineWidth, style.outlineColor, style.boxShadow].join();
    };
    const all = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex=\"0\"]';
    const usable = (control) => !control.disabled && control.checkVisibility({visibilityProperty: true});
    const controls = [...document.querySelectorAll(all)].filter(usable);
    const before = new Map(controls.map((control) => [control, look(control)]));
    const missed = new Set(controls);
    const alike = [];
    document.addEventListener('focusin', ({target}) => {
        if (missed.delete(target) && look(target) === before.get(target)) alike.push(target.outerHTML);
    });
    window.watched = () => [[...missed].map((control) => control.outerHTML), alike];
    return controls.length;
";

/// Opens a browser with the operator's login.
async fn open(options: Options, replica: &Replica, operator: &Operator) -> Browser {
    let browser = Browser::open(options).await;
    browser.goto(&format!("{}/admin/login", replica.url())).await;
    let (name, value) = operator.cookie().split_once('=').unwrap();
    browser.set_cookie(Cookie::new(name, value)).await;
    browser
}

/// Unfolds everything: what is folded is looked at by nobody.
const UNFOLD: &str = "for (const details of document.querySelectorAll('details')) details.open = true";

/// What is wrong with the page that is open, with all that can be unfolded.
async fn faults(browser: &Browser) -> Vec<String> {
    let mut faults = browser.complaints().await;
    browser.script(UNFOLD, &[]).await;
    faults.extend(violations(browser).await);
    if browser.script(IS_WIDER, &[]).await == json!(true) {
        faults.push("the page is wider than the screen".to_owned());
    }
    let order = browser.script(ORDER, &[]).await;
    faults.extend(order.as_array().unwrap().iter().map(|fault| fault.as_str().unwrap().to_owned()));
    faults
}

/// The controls of the page that the tabulator key does not reach, and those that look there as they do elsewhere.
async fn faults_of_the_keyboard(browser: &Browser) -> Vec<String> {
    let controls = browser.script(WATCH, &[]).await.as_u64().unwrap();
    // Once around, wherever it begins, past what scrolls and past the ends of the page.
    browser.press(&TAB.repeat(usize::try_from(controls).unwrap() + 10)).await;
    let watched = browser.script("return watched()", &[]).await;
    let list = |n: usize, what: &str| -> Vec<String> {
        watched[n].as_array().unwrap().iter().map(|control| format!("{what}: {}", control.as_str().unwrap())).collect()
    };
    [list(0, "not reached"), list(1, "no visible focus")].concat()
}

/// Looks at each of these pages with each of these browsers, and says all that is wrong at the end.
async fn are_for_everybody(replica: &Replica, operator: &Operator, pages: &[String], options: &[Options]) {
    let mut wrong: Vec<(String, String, Vec<String>)> = Vec::new();
    for (n, options) in options.iter().enumerate() {
        let browser = open(*options, replica, operator).await;
        let mut titles = HashSet::new();
        for path in pages {
            browser.goto(&format!("{}{path}", replica.url())).await;
            let mut faults = faults(&browser).await;
            if n == 0 {
                faults.extend(faults_of_the_keyboard(&browser).await);
                titles.insert(browser.script("return document.title", &[]).await.to_string());
            }
            if !faults.is_empty() {
                wrong.push((path.clone(), format!("{options:?}"), faults));
            }
        }
        assert!(n > 0 || titles.len() > 5, "titles tell pages apart: {titles:?}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn desktop() -> [Options; 2] {
    [Options::desktop(), Options::desktop().dark()]
}

fn phone() -> [Options; 2] {
    [Options::phone(), Options::phone().dark()]
}

/// The first key of this kind in the store.
async fn key_of(replica: &Replica, operator: &Operator, kind: &str) -> String {
    let page = operator.page(replica, &format!("/admin/store/kinds/{kind}")).await;
    let (_, rest) =
        page.split_once("<th scope=\"row\"><a href=\"").unwrap_or_else(|| panic!("no key of {kind}: {page}"));
    rest.split('"').next().unwrap().replace("&amp;", "&")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_not_for_everybody_is_known_by_it() {
    let page = "<!doctype html><html lang=\"en\"><title>Bad</title><style>button { outline: none } pre { width: 200vw }</style>\
        <body><nav><a href=\"/\" tabindex=\"-1\">Unreachable</a></nav><main><h1>Bad</h1><h3>Deep</h3><table></table>\
        <button></button><details><summary>More</summary><img src=\"data:,\"><pre>Wide</pre></details></main></body></html>";
    let port = serve(move |_| async { Outcome::Answer(Answer::text(200, "text/html", page)) }).await;
    let browser = Browser::open(Options::desktop()).await;
    browser.goto(&format!("http://127.0.0.1:{port}/")).await;
    let faults = [faults(&browser).await, faults_of_the_keyboard(&browser).await].concat();
    for fault in [
        "image-alt",
        "the page is wider than the screen",
        "title Bad",
        "headings 1,3",
        "not one body > header",
        "the skip link is not first",
        "a place without a name",
        "a bare table",
        "a nameless control",
        "not reached: <a href",
        "no visible focus: <button>",
    ] {
        assert!(faults.iter().any(|found| found.starts_with(fault)), "{fault} in {faults:#?}");
    }
    assert!(!faults.iter().any(|found| found.contains("<summary>")), "{faults:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_busy_relay_is_for_everybody() {
    let scene = Scene::set().await;
    let (replica, operator) = (&scene.replica, &scene.operator);
    let session = format!("/admin/sessions/{}", scene.client.user_id);
    let main: Vec<String> = [
        "/admin",
        "/admin/sessions",
        &session,
        &format!("{session}/delete"),
        "/admin/deliveries?state=failed&notice=dropped",
        "/admin/store",
        "/admin/audit",
    ]
    .map(str::to_owned)
    .to_vec();
    let others = [
        "/admin/sessions?q=waiting",
        "/admin/sessions?q=nobody%20has%20this%20name",
        "/admin/sessions?order=created&first=old",
        &format!("{session}?direction=out"),
        &format!("{session}?channel={}", scene.channel),
        &format!("{session}?channel=gone"),
        "/admin/deliveries?state=pending",
        "/admin/deliveries?state=retrying",
        "/admin/deliveries?state=failed&platform=discord",
        "/admin/store/kinds/session",
        &key_of(replica, operator, "channel").await,
        &key_of(replica, operator, "messages").await,
        // 404, and 400
        "/admin/sessions/00000000-0000-4000-8000-000000000000",
        "/admin/sessions?order=age",
    ]
    .map(str::to_owned);
    are_for_everybody(replica, operator, &[main.clone(), others.to_vec()].concat(), &desktop()).await;
    are_for_everybody(replica, operator, &main, &phone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_an_empty_relay_is_for_everybody() {
    let dir = data_dir();
    let replica = with_password(Setup::embedded(dir.path())).start().await;
    let operator = Operator::log_in(&replica).await;
    let pages = [
        "/admin",
        "/admin/sessions",
        "/admin/deliveries",
        "/admin/store",
        "/admin/store/kinds/sessions",
        "/admin/audit",
    ]
    .map(str::to_owned);
    are_for_everybody(&replica, &operator, &pages, &desktop()).await;
    are_for_everybody(&replica, &operator, &pages, &phone()[..1]).await;
}

/// Makes sure that nothing is wrong with the page that is open, however it was come by.
async fn is_for_everybody(browser: &Browser, what: &str) {
    let faults = [faults(browser).await, faults_of_the_keyboard(browser).await].concat();
    assert!(faults.is_empty(), "{what}: {faults:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_is_for_everybody_and_says_what_was_wrong() {
    let replica = with_password(Setup::on_redis()).start().await;
    for options in [desktop(), phone()].concat() {
        let browser = Browser::open(options).await;
        browser.goto(&format!("{}/admin/audit", replica.url())).await;
        browser.arrives_at("/admin/login").await;
        is_for_everybody(&browser, "the login").await;
        browser.type_into("#password", "wrong").await;
        browser.press(ENTER).await;
        browser.shows("#password-error", "The password is wrong.").await;
        let field = browser.script(
            "const field = document.querySelector('#password'); return [field.ariaInvalid, field.getAttribute('aria-describedby'), \
             document.activeElement === field]",
            &[],
        );
        assert_eq!(field.await, json!(["true", "password-hint password-error", true]));
        is_for_everybody(&browser, "the login after a wrong password").await;
        browser.type_into("#password", PASSWORD).await;
        browser.press(ENTER).await;
        browser.arrives_at("/admin/audit").await;
    }
}

/// Submits the first form that this selector finds, with another token than the page's.
const FORGE: &str = "const form = document.querySelector(arguments[0]); form.elements.csrf.value = 'x'; form.submit()";

/// Submits a form to a path with the page's token.
const SUBMIT: &str = "
    const form = document.querySelector('form.logout').cloneNode(true);
    form.action = arguments[0];
    document.body.append(form);
    form.submit();
";

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_to_everybody() {
    let scene = Scene::set().await;
    let (replica, operator) = (&scene.replica, &scene.operator);
    for options in [Options::desktop(), Options::desktop().dark(), Options::phone()] {
        let browser = open(options, replica, operator).await;
        let overview = format!("{}/admin", replica.url());
        browser.goto(&format!("{overview}/sessions/{}", scene.client.user_id)).await;
        browser.script(FORGE, &[json!("form[action$=disconnect]")]).await;
        browser.shows("main", "earlier login").await;
        assert_eq!(browser.status().await, 403);
        is_for_everybody(&browser, "403").await;

        browser.goto(&overview).await;
        browser.script(SUBMIT, &[json!(format!("/admin/deliveries/{}/redrive", scene.undeliverable))]).await;
        browser.shows("main", "disabled").await;
        assert_eq!(browser.status().await, 409);
        is_for_everybody(&browser, "409").await;

        browser.goto(&overview).await;
        scene.proxy.cut();
        browser.script("document.dispatchEvent(new Event('visibilitychange'))", &[]).await;
        browser.shows("#stale", "Not updated since").await;
        let faults = violations(&browser).await;
        assert!(faults.is_empty(), "a page that is not up to date: {faults:#?}");
        browser.complaints().await;
        browser.goto(&overview).await;
        browser.shows("main", "cannot reach its store").await;
        assert_eq!(browser.status().await, 503);
        is_for_everybody(&browser, "503").await;
        scene.proxy.heal();
        crate::support::eventually("it is back", || async {
            (operator.get(replica, "/admin").await.status() == 200).then_some(())
        })
        .await;
    }
}

/// Where the focus is: whether in the main part, and the text there.
const FOCUS: &str = "
    const here = document.activeElement;
    const place = here.getBoundingClientRect();
    const inside = here.closest('main') !== null;
    return [inside, here.textContent.trim().slice(0, 20), place.left >= 0 && place.top >= 0 && place.width > 0];
";

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_leads_past_the_navigation() {
    let replica = with_password(Setup::on_redis()).start().await;
    let operator = Operator::log_in(&replica).await;
    for options in [Options::desktop(), Options::phone(), Options::desktop().without_javascript()] {
        let browser = open(options, &replica, &operator).await;
        for path in ["/admin", "/admin/sessions", "/admin/audit"] {
            browser.goto(&format!("{}{path}", replica.url())).await;
            browser.press(TAB).await;
            let focus: Value = browser.script(FOCUS, &[]).await;
            assert_eq!(focus, json!([false, "Skip to content", true]), "{path}");
            browser.press(ENTER).await;
            browser.press(TAB).await;
            let focus = browser.script(FOCUS, &[]).await;
            assert_eq!(focus, json!([true, "Refresh", true]), "{path}");
        }
    }
}
