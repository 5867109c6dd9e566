//! The pictures in the README, drawn from the pages as they are: `tests/screenshots`.

mod demo;

use std::path::Path;

use serde_json::json;

use crate::support::browser::{Browser, Cookie, Options};
use demo::Demo;

/// Most that a picture may have, in bytes: the repository carries them.
const MAX_BYTES: usize = 80_000;
/// Quality of WebP that leaves letters sharp.
const QUALITY: u32 = 80;

/// The bottom of the last part of the page that fits into a height, and a margin.
const FOLD: &str = "
    const parts = [...document.querySelectorAll('main tr, main > *, main li')].map((part) => part.getBoundingClientRect());
    return Math.ceil(Math.max(...parts.map((part) => part.bottom).filter((bottom) => bottom <= arguments[0]))) + 1;
";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "draws the pictures of the README"]
async fn the_pictures_are_drawn() {
    let demo = Demo::set().await;
    let replica = &demo.replicas[0];
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/screenshots");
    let session = format!("/admin/sessions/{}", demo.ana.user_id);
    for (scheme, options) in [("light", Options::desktop()), ("dark", Options::desktop().dark())] {
        let browser = Browser::open(options).await;
        browser.goto(&format!("{}/admin/login", replica.url())).await;
        let (name, value) = demo.operator.cookie().split_once('=').unwrap();
        browser.set_cookie(Cookie::new(name, value)).await;
        for (name, path, most) in [("overview", "/admin", 1160), ("session", session.as_str(), 1250)] {
            browser.goto(&format!("{}{path}", replica.url())).await;
            let height = browser.script(FOLD, &[json!(most)]).await.as_u64().unwrap();
            let picture = browser.webp(height, QUALITY).await;
            assert!(picture.len() < MAX_BYTES, "{name} in {scheme} has {} bytes", picture.len());
            std::fs::write(dir.join(format!("{name}-{scheme}.webp")), picture).unwrap();
        }
        browser.assert_no_complaints().await;
    }
}
