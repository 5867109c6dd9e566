//! What the pages look like to a browser, whatever they show.

mod html;
pub(super) mod samples;

use std::sync::LazyLock;

use tera::{Context, Tera};

use super::text::visible;
use super::{Section, TEMPLATES};
use crate::http::admin::assets;
use samples::Named;

static TERA: LazyLock<Tera> = LazyLock::new(|| {
    let mut tera = Tera::default();
    tera.add_raw_templates(TEMPLATES.iter().copied()).unwrap();
    tera
});

fn frame(section: Option<Section>) -> Context {
    let mut frame = Context::from_serialize(assets::urls()).unwrap();
    let Some(section) = section else { return frame };
    frame.insert("section", &format!("{section:?}").to_lowercase());
    frame.insert("csrf", "0123456789abcdef");
    frame.insert("path", "/admin/sessions?q=%3Cb%3E&order=seen");
    frame.insert("rendered_at", "2026-11-23T16:03:20.000Z");
    for (name, value) in [("version", "0.1.0"), ("store", "redis"), ("replica", "a8803e5d")] {
        frame.insert(name, value);
    }
    frame
}

fn render((name, section, page): &Named, notice: Option<&serde_json::Value>) -> String {
    let mut context = frame(*section);
    if let Some(notice) = notice {
        context.insert("notice", notice);
    }
    context.extend(page.context.clone());
    TERA.render(page.template, &context).unwrap_or_else(|error| panic!("{name}: {error:?}"))
}

#[test]
fn every_page_holds_together_whether_full_or_empty() {
    for (kind, pages) in [("full", samples::full()), ("empty", samples::empty())] {
        for page in &pages {
            let html = render(page, None);
            html::check(&html).unwrap_or_else(|error| panic!("{kind} {}: {error}\n{html}", page.0));
            assert!(html.contains(" · CHAOS relay</title>"));
        }
    }
}

#[test]
fn every_template_is_a_page_that_is_tested() {
    let shown: Vec<_> = samples::full().iter().map(|(_, _, page)| page.template).collect();
    let parts = ["admin/plain.html", "admin/frame.html", "admin/navigation.html", "admin/macros.html"];
    for (name, _) in TEMPLATES.iter().filter(|(name, _)| !parts.contains(name)) {
        assert!(shown.contains(name), "{name}");
    }
}

#[test]
fn what_others_wrote_is_text_and_nothing_else() {
    let text = samples::hostile();
    let notice = serde_json::json!({"kind": "refused", "text": visible(&text)});
    for page in &samples::written_by(&text) {
        let html = render(page, Some(&notice));
        let seen = html::check(&html).unwrap_or_else(|error| panic!("{}: {error}", page.0));
        assert!(seen.contains("<script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{ csrf }}"), "{}", page.0);
        if page.0 == "session" {
            assert!(seen.contains("␀␛[2J⟨U+202E⟩שלום"), "{}", page.0);
        }
    }
}

#[test]
fn a_page_of_somebody_who_is_not_logged_in_leads_nowhere() {
    for page in samples::empty().iter().filter(|(_, section, _)| section.is_none()) {
        let html = render(page, None);
        assert!(!html.contains("/admin/logout") && !html.contains("<nav"), "{}", page.0);
    }
}

#[test]
fn the_section_that_is_open_is_marked() {
    for page in &samples::full() {
        let Some(section) = page.1 else { continue };
        let html = render(page, None);
        let marked = html.split("<nav aria-label=\"Pages\">").nth(1).unwrap().split("</nav>").next().unwrap();
        assert_eq!(marked.matches("aria-current").count(), 1, "{}", page.0);
        assert!(marked.contains(&format!("aria-current=\"page\">{section:?}<")), "{}", page.0);
    }
}

#[test]
fn a_page_says_where_it_stands_in_its_list() {
    let pages: std::collections::HashMap<_, _> =
        samples::full().iter().map(|page| (page.0, render(page, None))).collect();
    assert!(pages["sessions"].contains("51–59 of 100,000"));
    assert!(pages["sessions"].contains("order=seen&amp;first=new&amp;cursor=1.x"));
    assert!(pages["search"].contains("9 found, more follow, of 100,000"));
    assert!(pages["search"].contains("q=supp&amp;order=seen"));
    assert!(pages["session"].contains("cursor=1795446000000.c5"));
    assert!(pages["deliveries"].contains("state=failed&amp;cursor=1.x"));
}
