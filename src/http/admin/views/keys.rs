//! The store's own keys.

use serde::Serialize;

use super::format::{bytes, duration, link, number};
use super::text::{Body, line, visible};
use super::{Page, page};
use crate::store::operator::{KeyInfo, KeyKind, KeyKinds, KeyPage, KeyView};

const PATH: &str = "/admin/store";

#[derive(Serialize)]
struct Kind {
    name: &'static str,
    href: String,
    pattern: &'static str,
    what: &'static str,
    life: &'static str,
    about: String,
    is_any: bool,
}

#[derive(Serialize)]
struct Key {
    shown: String,
    href: String,
    form: String,
    /// How long it still lives; `None` if it does not expire.
    ttl: Option<String>,
    bytes: String,
}

#[derive(Serialize)]
struct Field {
    name: String,
    value: Body,
    /// The size of the whole value, where only its beginning is here.
    whole: Option<String>,
}

fn kind_path(kind: &str) -> String {
    format!("{PATH}/kinds/{kind}")
}

fn kind(kind: &KeyKind, is_exact: bool) -> Kind {
    let about = number(kind.about);
    Kind {
        name: kind.name,
        href: kind_path(kind.name),
        pattern: kind.pattern,
        what: kind.what,
        life: kind.life,
        about: if is_exact || kind.about == 0 { about } else { format!("about {about}") },
        is_any: kind.about > 0,
    }
}

fn info(info: &KeyInfo) -> Key {
    Key {
        shown: visible(&info.shown),
        href: link(&format!("{PATH}/key"), &[("id", &info.id)]),
        form: line(&info.form),
        ttl: info.ttl.map(duration),
        bytes: bytes(info.bytes),
    }
}

/// The kinds of keys in the store.
pub(in crate::http::admin) fn key_kinds(kinds: &KeyKinds) -> Page {
    let is_exact = kinds.sampled >= kinds.total;
    let mut page = page("admin/store.html");
    page.context.insert("kinds", &kinds.kinds.iter().map(|known| kind(known, is_exact)).collect::<Vec<_>>());
    page.context.insert("total", &number(kinds.total));
    page.context.insert("sampled", &number(kinds.sampled));
    page.context.insert("is_exact", &is_exact);
    page.context.insert("bytes", &kinds.bytes.map(bytes));
    page
}

/// Some keys of a kind.
pub(in crate::http::admin) fn keys(kind: &str, found: &KeyPage) -> Page {
    let path = kind_path(kind);
    let mut page = page("admin/keys.html");
    page.context.insert("kind", &visible(kind));
    page.context.insert("keys", &found.keys.iter().map(info).collect::<Vec<_>>());
    page.context.insert("first", &path);
    page.context.insert("next", &found.next.as_ref().map(|next| link(&path, &[("from", next)])));
    page
}

/// A key and its value.
pub(in crate::http::admin) fn key(view: &KeyView) -> Page {
    let field = |field: &crate::store::operator::KeyField| Field {
        name: visible(&field.name),
        value: Body::new(&field.value),
        whole: (field.bytes > field.value.len() as u64).then(|| bytes(field.bytes)),
    };
    let shown = view.fields.len() as u64;
    let mut page = page("admin/key.html");
    page.context.insert("kind", view.kind);
    page.context.insert("kind_href", &kind_path(view.kind));
    page.context.insert("key", &info(&view.info));
    page.context.insert("fields", &view.fields.iter().map(field).collect::<Vec<_>>());
    page.context.insert("len", &number(view.len));
    page.context.insert("shown", &number(shown));
    page.context.insert("is_part", &(shown < view.len));
    page
}
