//! A real browser: headless Chromium, driven through its WebDriver.
//!
//! It opens pages of this machine only. A test has one browser at a time: it would wait for ever for a second one
//! when others wait for theirs.

mod axe;
mod driver;
mod keyboard;

pub use axe::{assert_accessible, violations};
pub use keyboard::{ENTER, TAB};
pub use thirtyfour::cookie::{Cookie, SameSite};

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::common::capabilities::desiredcapabilities::Capabilities;
use thirtyfour::{By, WebDriver, WebElement};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::eventually;

/// How many browsers are open at once. One takes ten processes and some 300 MB of memory.
const AT_ONCE: usize = 2;

/// How long a single step may take, the start included, on a machine that is slow and shared.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where Debian's package has it.
const CHROMIUM: &str = "/usr/bin/chromium";

/// Nothing is fetched but the pages, nothing is asked of the person, and nothing needs what containers lack: a
/// sandbox, a GPU, a large /dev/shm.
const ARGUMENTS: [&str; 12] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-breakpad",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

/// What a person has set in their browser.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    javascript: bool,
    dark: bool,
    phone: bool,
    time_zone: &'static str,
}

impl Options {
    /// A window of 1280 by 900 pixels, with JavaScript, light, in UTC.
    pub fn desktop() -> Self {
        Self { javascript: true, dark: false, phone: false, time_zone: "UTC" }
    }

    /// The same on a phone of 390 by 844 pixels.
    pub fn phone() -> Self {
        Self { phone: true, ..Self::desktop() }
    }

    /// No script of a page runs.
    pub fn without_javascript(self) -> Self {
        Self { javascript: false, ..self }
    }

    /// The person prefers dark pages.
    pub fn dark(self) -> Self {
        Self { dark: true, ..self }
    }

    /// The browser is in this time zone, as `Asia/Tokyo`.
    pub fn in_time_zone(self, time_zone: &'static str) -> Self {
        Self { time_zone, ..self }
    }

    fn capabilities(self, profile: &TempDir) -> Capabilities {
        let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        // 1 allows, 2 blocks.
        let scripts = if self.javascript { 1 } else { 2 };
        let wanted = json!({
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {
                "binary": CHROMIUM,
                "args": arguments,
                "prefs": {"profile.managed_default_content_settings.javascript": scripts},
            },
        });
        Capabilities::from(wanted.as_object().unwrap().clone())
    }
}

/// An open browser with a profile of its own. Closed when it is dropped.
pub struct Browser {
    // Fields are dropped in this order: first the browser ends, then its files go, then another may open.
    driver: WebDriver,
    profile: TempDir,
    _turn: SemaphorePermit<'static>,
    options: Options,
}

impl Browser {
    /// Opens one when it is its turn.
    pub async fn open(options: Options) -> Self {
        static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);
        let turn = TURNS.acquire().await.unwrap();
        let (url, profile) = (driver::url(), driver::fresh_profile());
        // No connection is kept: a browser ends while its thread waits, and a kept one may be served by that very thread.
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap();
        let driver = WebDriver::builder(url, options.capabilities(&profile)).client(client).await;
        let driver = driver.unwrap_or_else(|error| panic!("{CHROMIUM} is installed by tests/run: {error}"));
        let browser = Self { driver, profile, _turn: turn, options };
        browser.set(options).await;
        browser
    }

    /// What Chromium emulates, for all pages of the session.
    async fn set(&self, options: Options) {
        let cdp = self.driver.cdp();
        let emulation = cdp.emulation();
        let (width, height) = if options.phone { (390, 844) } else { (1280, 900) };
        emulation.set_device_metrics_override(width, height, 1.0, options.phone).await.unwrap();
        emulation.set_timezone_override(options.time_zone).await.unwrap();
        let scheme = if options.dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        cdp.send_raw("Emulation.setEmulatedMedia", media).await.unwrap();
    }

    /// Whether the scripts of its pages run.
    pub fn runs_scripts(&self) -> bool {
        self.options.javascript
    }

    /// The directory that its processes name on their command lines.
    pub fn profile(&self) -> &Path {
        self.profile.path()
    }

    /// Opens a page and waits until it is loaded.
    pub async fn goto(&self, url: &str) {
        self.driver.goto(url).await.unwrap_or_else(|error| panic!("{url} does not open: {error}"));
    }

    /// The path of the page, without its query.
    pub async fn path(&self) -> String {
        self.driver.current_url().await.unwrap().path().to_owned()
    }

    /// Waits until the page of this path is the one that is open.
    pub async fn arrives_at(&self, path: &str) {
        eventually(&format!("{path} is open"), || async { (self.path().await == path).then_some(()) }).await;
    }

    /// With which status the page came.
    pub async fn status(&self) -> u64 {
        let status = self.script("return performance.getEntriesByType('navigation')[0].responseStatus", &[]).await;
        status.as_u64().unwrap()
    }

    /// The text that a person sees of the first element that this CSS selector finds, once there is one.
    pub async fn text(&self, selector: &str) -> String {
        eventually(&format!("{selector} is on the page"), || self.seen(selector)).await
    }

    /// Waits until an element shows a text, among others.
    pub async fn shows(&self, selector: &str, text: &str) {
        eventually(&format!("{selector} shows {text:?}"), || async {
            self.seen(selector).await?.contains(text).then_some(())
        })
        .await;
    }

    /// Nothing where no element is found, or where a page is just making place for another. (What WebDriver takes
    /// for text leaves out `noscript`, though browsers without JavaScript show it.)
    async fn seen(&self, selector: &str) -> Option<String> {
        let look = "const found = document.querySelector(arguments[0]); \
                    return found && (found.checkVisibility({visibilityProperty: true}) ? found.innerText : '')";
        let seen = self.driver.execute(look, vec![selector.into()]).await.ok()?;
        seen.json().as_str().map(str::to_owned)
    }

    /// Clicks an element as a person would; nothing may cover it.
    pub async fn click(&self, selector: &str) {
        let clicked = self.find(selector).await.click().await;
        clicked.unwrap_or_else(|error| panic!("{selector} cannot be clicked: {error}"));
    }

    /// Types into a field, in place of what it has.
    pub async fn type_into(&self, selector: &str, text: &str) {
        let field = self.find(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses the button that submits a form.
    pub async fn submit(&self, form: &str) {
        self.click(&format!("{form} :is(button:not([type]), [type=submit])")).await;
    }

    async fn find(&self, selector: &str) -> WebElement {
        eventually(&format!("{selector} is on the page"), || async { self.driver.find(By::Css(selector)).await.ok() })
            .await
    }

    /// A cookie that the page's server gets, by its name.
    pub async fn cookie(&self, name: &str) -> Option<Cookie> {
        let cookies = self.driver.get_all_cookies().await.unwrap();
        cookies.into_iter().find(|cookie| cookie.name == name)
    }

    /// Sets a cookie for the server of the page that is open.
    pub async fn set_cookie(&self, cookie: Cookie) {
        self.driver.add_cookie(cookie).await.unwrap();
    }

    /// What a person sees of the page, as a PNG.
    pub async fn screenshot(&self) -> Vec<u8> {
        self.driver.screenshot_as_png().await.unwrap()
    }

    /// The page from its top down to this height in pixels, as a WebP of this quality (at most 100).
    pub async fn webp(&self, height: u64, quality: u32) -> Vec<u8> {
        let clip = json!({"x": 0, "y": 0, "width": 1280, "height": height, "scale": 1});
        let wanted = json!({"format": "webp", "quality": quality, "captureBeyondViewport": true, "clip": clip});
        let picture = self.driver.cdp().send_raw("Page.captureScreenshot", wanted).await.unwrap();
        STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// Runs the body of a function in the page and gives what it returns (or what the promise becomes that it
    /// returns). Neither the page's policy nor a browser without JavaScript stops it.
    pub async fn script(&self, body: &str, arguments: &[Value]) -> Value {
        self.driver.execute(body, arguments.to_vec()).await.unwrap().json().clone()
    }

    /// What the browser's console has complained of since this was asked last: errors, warnings, violations of a
    /// page's policy, and what could not be loaded. That the page itself came with an error status is none of it.
    pub async fn complaints(&self) -> Vec<String> {
        let page = self.driver.current_url().await.unwrap();
        let of_the_page = format!("{page} - Failed to load resource: the server responded with a status of ");
        let entries = self.driver.browser_log().await.unwrap();
        let complaints = entries.into_iter().filter(|entry| matches!(entry.level.as_str(), "SEVERE" | "WARNING"));
        complaints.map(|entry| entry.message).filter(|message| !message.starts_with(&of_the_page)).collect()
    }

    /// Makes sure that the console is quiet.
    pub async fn assert_no_complaints(&self) {
        let complaints = self.complaints().await;
        assert!(complaints.is_empty(), "the console says: {complaints:#?}");
    }
}
