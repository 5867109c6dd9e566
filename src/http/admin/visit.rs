//! Somebody at one of the pages, and whether that is an operator.

use actix_web::cookie::Cookie;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, REFERER};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use futures_util::future::LocalBoxFuture;

use super::access::COOKIE;
use super::notice::Notice;
use super::render;
use super::views::{Page, Section};
use crate::http::client_ip::client_ip;
use crate::http::request::{Query, header, json};
use crate::http::{HttpError, HttpSettings, error};
use crate::services::Relay;
use crate::services::error::Error;
use crate::services::operator::access::Operator;

/// Longest path that is remembered as the way back.
const MAX_BACK: usize = 2000;

/// A request to one of the pages.
pub(super) struct Visit {
    /// This worker's relay.
    pub(super) relay: web::Data<Relay>,
    /// The request.
    pub(super) request: HttpRequest,
    operator: Result<Operator, Error>,
}

/// The client's address as limits and the audit name it.
pub(super) fn address(request: &HttpRequest, settings: &HttpSettings) -> String {
    client_ip(request, settings).map_or_else(|| "unknown".to_owned(), |ip| ip.to_string())
}

/// The token that the browser keeps.
pub(super) fn token(request: &HttpRequest) -> Option<Cookie<'static>> {
    request.cookie(COOKIE)
}

/// A way back that leads to one of the pages and nowhere else.
pub(super) fn safe_back(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/admin")?;
    let goes_on = rest.is_empty() || rest.starts_with(['/', '?']);
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#');
    let is_dotless = !path.split(['/', '?']).any(|part| part == ".." || part == ".");
    (goes_on && is_plain && is_dotless && !path.contains("//") && path.len() <= MAX_BACK).then_some(path)
}

/// The answer that leads on to another page.
pub(super) fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
}

impl Visit {
    /// Parameters of the URL.
    pub(super) fn query(&self) -> Query<'_> {
        Query::of(&self.request)
    }

    /// Path and query of this page, without the notice that an earlier page left in it.
    pub(super) fn path(&self) -> String {
        let mut kept = form_urlencoded::Serializer::new(String::new());
        let pairs = form_urlencoded::parse(self.request.query_string().as_bytes());
        kept.extend_pairs(pairs.filter(|(name, _)| name != "notice" && name != "count"));
        let (path, kept) = (self.request.path(), kept.finish());
        if kept.is_empty() { path.to_owned() } else { format!("{path}?{kept}") }
    }

    /// The page that led here, if it is one of these. Browsers tell it, since the pages ask them to.
    pub(super) fn came_from(&self) -> Option<String> {
        let referrer = url::Url::parse(header(self.request.headers(), REFERER.as_str())?).ok()?;
        let path = match referrer.query() {
            Some(query) => format!("{}?{query}", referrer.path()),
            None => referrer.path().to_owned(),
        };
        Some(path).filter(|path| safe_back(path).is_some() && *path != "/admin")
    }

    /// What was done on the way here.
    pub(super) fn notice(&self) -> Option<Notice> {
        let query = self.query();
        Notice::read(query.get("notice")?, query.get("count"))
    }

    /// The operator, or why there is none.
    pub(super) fn operator(&self) -> Result<&Operator, &Error> {
        self.operator.as_ref()
    }

    /// Answers with a page of this part for an operator. Others are led to the login, and back from there.
    pub(super) async fn show(&self, section: Section, work: impl AsyncFnOnce() -> Result<Page, Error>) -> HttpResponse {
        let operator = match &self.operator {
            Ok(operator) => operator,
            Err(refusal) => return self.lead_to_login(refusal),
        };
        match work().await {
            Ok(page) => render::page(self, operator, section, page),
            Err(refusal) => render::problem_for(self, operator, &refusal),
        }
    }

    fn lead_to_login(&self, refusal: &Error) -> HttpResponse {
        if !matches!(refusal, Error::Unauthorized { .. }) {
            return render::problem(refusal);
        }
        let path = self.path();
        let next: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
        let way = if path == "/admin" { "/admin/login".to_owned() } else { format!("/admin/login?next={next}") };
        HttpResponse::build(StatusCode::FOUND).insert_header((LOCATION, way)).finish()
    }

    /// Answers with JSON for an operator.
    pub(super) async fn json(self, work: impl AsyncFnOnce(&Self) -> Result<String, Error>) -> HttpResponse {
        if let Err(refusal) = &self.operator {
            return error::answer(refusal);
        }
        match work(&self).await {
            Ok(body) => json(HttpResponse::Ok(), body, None),
            Err(refusal) => error::answer(&refusal),
        }
    }

    /// Finds out who is there.
    pub(super) async fn of(request: HttpRequest) -> Result<Self, HttpError> {
        let missing = || Error::Internal("a worker without a relay or settings".to_owned());
        let relay = request.app_data::<web::Data<Relay>>().ok_or_else(missing)?.clone();
        let settings = request.app_data::<web::Data<HttpSettings>>().ok_or_else(missing)?;
        let ip = address(&request, settings);
        let token = token(&request);
        let operator = relay.operator(token.as_ref().map(Cookie::value), ip).await;
        Ok(Self { relay, request, operator })
    }
}

impl FromRequest for Visit {
    type Error = HttpError;
    type Future = LocalBoxFuture<'static, Result<Self, HttpError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        Box::pin(Self::of(request.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_leads_to_the_pages_only() {
        for good in ["/admin", "/admin?a=b", "/admin/sessions?q=%2F%2Fx", "/admin/sessions/8c5a"] {
            assert_eq!(safe_back(good), Some(good));
        }
        let long = format!("/admin/{}", "a".repeat(MAX_BACK));
        for bad in [
            "",
            "/",
            "//evil.example",
            "/admins",
            "/admin//evil.example",
            "https://evil.example/admin",
            "/admin/../ws",
            "/admin/a b",
            "/admin/\\evil",
            "/admin\r\nX: y",
            "/admin#x",
            "/admin/ä",
            &long,
        ] {
            assert_eq!(safe_back(bad), None, "{bad:?}");
        }
    }
}
