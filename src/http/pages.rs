//! Pages for people: Tera templates that are part of the binary.

use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::{HttpResponse, HttpResponseBuilder};
use tera::{Context, Tera};

use super::admin::TEMPLATES as TEMPLATES_OF_OPERATOR;
use crate::services::error::Error;

/// Nothing is loaded from anywhere, and nobody may frame a page.
const POLICY: &str = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

static TEMPLATES: LazyLock<Tera> = LazyLock::new(|| {
    let mut tera = Tera::default();
    tera.add_raw_templates([
        ("page.html", include_str!("../../templates/page.html")),
        ("email/verify.html", include_str!("../../templates/email/verify.html")),
        ("email/verified.html", include_str!("../../templates/email/verified.html")),
        ("email/invalid.html", include_str!("../../templates/email/invalid.html")),
    ])
    .and_then(|()| tera.add_raw_templates(TEMPLATES_OF_OPERATOR.iter().copied()))
    .expect("the templates are part of the binary and parse, as a test shows");
    tera
});

/// What browsers are told about a page.
pub(super) struct Headers {
    /// The content security policy.
    pub(super) policy: &'static str,
    /// The referrer policy.
    pub(super) referrer: &'static str,
}

/// The URL of a page that a mail leads to holds a token.
const PLAIN: Headers = Headers { policy: POLICY, referrer: "no-referrer" };

/// Renders a page that stands on its own.
pub(super) fn page(status: StatusCode, template: &str, context: &Context) -> Result<HttpResponse, Error> {
    html(status, template, context, &PLAIN)
}

/// Renders a page.
pub(super) fn html(
    status: StatusCode,
    template: &str,
    context: &Context,
    headers: &Headers,
) -> Result<HttpResponse, Error> {
    let html = TEMPLATES
        .render(template, context)
        .map_err(|error| Error::Internal(format!("the page {template} cannot be rendered: {error:?}")))?;
    Ok(HttpResponseBuilder::new(status)
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, headers.policy))
        .insert_header((X_FRAME_OPTIONS, "DENY"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, headers.referrer))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(html))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses_and_what_people_wrote_is_escaped() {
        let mut context = Context::new();
        for name in ["user_email", "inbound_address", "channel", "token"] {
            context.insert(name, "<script>\"&'");
        }
        for template in TEMPLATES.get_template_names().filter(|name| name.starts_with("email/")) {
            let answer = page(StatusCode::OK, template, &context).unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            let html = TEMPLATES.render(template, &context).unwrap();
            assert!(!html.contains("<script"), "{template}");
        }
    }
}
