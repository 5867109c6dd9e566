//! What the pages load: a stylesheet, a script and an icon, under names that change with their content, so that a
//! browser may keep each for ever.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::domain::digest::Digest;
use crate::http::error;

/// Where the files are.
const ROOT: &str = "/admin/assets/";
/// Hex digits of the content's digest in a name: 64 bits, enough to tell versions apart.
const HASH_DIGITS: usize = 16;

const STYLE: &[u8] = include_bytes!("../../../templates/assets/style.css");
const SCRIPT: &[u8] = include_bytes!("../../../templates/assets/live.js");
const ICON: &[u8] = include_bytes!("../../../templates/assets/icon.svg");

/// Where each file is, as the templates know them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Urls {
    /// The stylesheet.
    pub(super) style: String,
    /// The script.
    pub(super) script: String,
    /// The icon.
    pub(super) icon: String,
}

static URLS: LazyLock<Urls> = LazyLock::new(|| Urls {
    style: url("style", STYLE, "css"),
    script: url("live", SCRIPT, "js"),
    icon: url("icon", ICON, "svg"),
});

fn url(stem: &str, content: &[u8], ending: &str) -> String {
    let hash = &Digest::of(content).to_hex()[..HASH_DIGITS];
    format!("{ROOT}{stem}.{hash}.{ending}")
}

/// Where the files are, as the templates know them.
pub(super) fn urls() -> &'static Urls {
    &URLS
}

/// `GET /admin/assets/{name}`
pub(super) async fn get(name: web::Path<String>) -> HttpResponse {
    let Some((kind, content)) = find(&name) else { return error::unknown_path(&format!("{ROOT}{name}")) };
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(content)
}

/// The type and the content of the file of this name; `None` for any other, also for that of another version.
fn find(name: &str) -> Option<(&'static str, &'static [u8])> {
    let Urls { style, script, icon } = urls();
    let files = [
        (style, "text/css; charset=utf-8", STYLE),
        (script, "text/javascript; charset=utf-8", SCRIPT),
        (icon, "image/svg+xml", ICON),
    ];
    let file = files.into_iter().find(|(url, _, _)| url.strip_prefix(ROOT) == Some(name));
    file.map(|(_, kind, content)| (kind, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_under_the_name_of_its_content_only() {
        let Urls { style, script, icon } = urls();
        for (url, kind, content) in
            [(style, "text/css", STYLE), (script, "text/javascript", SCRIPT), (icon, "image/", ICON)]
        {
            let name = url.strip_prefix(ROOT).unwrap();
            let (found_kind, found) = find(name).unwrap();
            assert!(found_kind.starts_with(kind));
            assert_eq!(found, content);
        }
        for other in ["", "style.css", "style.0123456789abcdef.css", "../style.css"] {
            assert!(find(other).is_none(), "{other}");
        }
    }

    #[test]
    fn the_files_are_small_and_load_nothing() {
        assert!(STYLE.len() < 12 * 1024, "{}", STYLE.len());
        assert!(SCRIPT.len() < 6 * 1024, "{}", SCRIPT.len());
        assert!(ICON.len() < 1024, "{}", ICON.len());
        for content in [STYLE, SCRIPT, ICON] {
            let text = std::str::from_utf8(content).unwrap().replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http") && !text.contains("@import") && !text.contains("url("));
        }
    }
}
