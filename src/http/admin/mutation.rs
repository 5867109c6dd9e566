//! A request that changes something: from an operator, and not from a page of somebody else.
//!
//! The cookie is `SameSite=Strict`, which modern browsers honour. Beside that a form has to carry a token that only
//! this operator's pages have; it is derived from the login, so any replica can check it. What is no form (which a
//! foreign page could not send without being asked about it first, and it is refused then) needs no token, but must not
//! be known to come from another site: programs may use it with the cookie alone.

use std::borrow::Cow;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_TYPE, HOST, HeaderMap};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value, json as json_value};

use super::notice::Done;
use super::render;
use super::visit::{Visit, safe_back, see_other};
use crate::http::client_ip::base_url;
use crate::http::request::{body, header, json};
use crate::http::{HttpError, HttpSettings, error};
use crate::services::error::Error;
use crate::services::operator::access::Operator;

/// A request that changes something.
pub(super) struct Mutation {
    /// Who wants it.
    pub(super) visit: Visit,
    is_form: bool,
    body: Bytes,
    is_foreign: bool,
}

/// Whether a body is of a type that a form of any page can send.
fn is_form(headers: &HeaderMap) -> bool {
    let kind = header(headers, CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
        .iter()
        .any(|form| kind.eq_ignore_ascii_case(form))
}

/// Whether the browser says that the request comes from another site. Programs say nothing of the kind.
pub(super) fn is_foreign(request: &HttpRequest, settings: &HttpSettings) -> bool {
    let headers = request.headers();
    if let Some(site) = headers.get("Sec-Fetch-Site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get("Origin") else { return false };
    let Some((_, origin)) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else { return true };
    let base = base_url(request, settings);
    let hosts = [header(headers, HOST), base.split_once("://").map(|(_, host)| host)];
    !hosts.into_iter().flatten().any(|host| host.eq_ignore_ascii_case(origin))
}

fn refuse(code: &'static str, message: &'static str) -> Error {
    Error::Forbidden { code, message }
}

/// The refusal of what another site sent.
pub(super) fn foreign() -> Error {
    refuse(
        "foreign_origin",
        "the request comes from a page of another site; if it does not, the proxy in front must pass the Host on, or \
         CHAOS_PUBLIC_URL must be set",
    )
}

impl Mutation {
    /// A field of the form or of the JSON object.
    pub(super) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        if self.is_form {
            let mut fields = form_urlencoded::parse(&self.body);
            return fields.find(|(known, _)| known == name).map(|(_, value)| value);
        }
        let object: Map<String, Value> = serde_json::from_slice(&self.body).ok()?;
        object.get(name).and_then(Value::as_str).map(|value| Cow::Owned(value.to_owned()))
    }

    fn check(&self, operator: &Operator) -> Result<(), Error> {
        let headers = self.visit.request.headers();
        let shown = header(headers, "X-CSRF-Token").map(Cow::Borrowed).or_else(|| self.field("csrf"));
        match shown {
            Some(token) if operator.is_csrf_token(&token) => Ok(()),
            Some(_) => Err(refuse("csrf", "the form is of an earlier login: load the page again")),
            None if self.is_form => Err(refuse("csrf", "a form must carry the field csrf of the page it is on")),
            None if self.is_foreign => Err(foreign()),
            None => Ok(()),
        }
    }

    /// Does the work for an operator. A form is led on to a page that says what was done: where it came from, or to
    /// `next`; programs get JSON.
    pub(super) async fn act(
        &self,
        next: &str,
        work: impl AsyncFnOnce(&Operator) -> Result<(Option<Done>, Value), Error>,
    ) -> HttpResponse {
        let operator = match self.visit.operator() {
            Ok(operator) => operator,
            Err(Error::Unauthorized { .. }) if self.is_form => return see_other("/admin/login"),
            Err(refusal) if self.is_form => return render::problem(refusal),
            Err(refusal) => return error::answer(refusal),
        };
        let done = match self.check(operator) {
            Ok(()) => work(operator).await,
            Err(refusal) => Err(refusal),
        };
        match done {
            Ok((done, _)) if self.is_form => {
                let back = self.field("back");
                let path = back.as_deref().and_then(safe_back).unwrap_or(next);
                see_other(&done.map_or_else(|| path.to_owned(), |done| done.after(path)))
            }
            Ok((_, mut answer)) => {
                answer["ok"] = json_value!(true);
                json(HttpResponse::Ok(), answer.to_string(), None)
            }
            Err(refusal) if self.is_form => render::problem_for(&self.visit, operator, &refusal),
            Err(refusal) => error::answer(&refusal),
        }
    }
}

impl FromRequest for Mutation {
    type Error = HttpError;
    type Future = LocalBoxFuture<'static, Result<Self, HttpError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = web::Payload::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let payload = payload.await.map_err(|error| Error::Internal(error.to_string()))?;
            let body = body(&request, payload).await?;
            let settings = request
                .app_data::<web::Data<HttpSettings>>()
                .ok_or_else(|| Error::Internal("a worker without settings".to_owned()))?;
            let (is_form, is_foreign) = (is_form(request.headers()), is_foreign(&request, settings));
            let visit = Visit::of(request).await?;
            Ok(Self { visit, is_form, body, is_foreign })
        })
    }
}
