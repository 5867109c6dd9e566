//! Logging in and out.

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json as json_value;

use super::guard::wants_page;
use super::mutation::{Mutation, foreign, is_foreign};
use super::visit::{Visit, address, safe_back, see_other, token};
use super::{render, views};
use crate::http::client_ip::is_https;
use crate::http::request::{Query, body, header, json, json_object};
use crate::http::{HttpSettings, error};
use crate::services::Relay;
use crate::services::error::Error;
use crate::store::operator::ADMIN_SESSION_LIFE_MS;

/// Name of the cookie that holds a login. Part of the wire contract.
pub(super) const COOKIE: &str = "chaos_admin";

fn cookie(token: String, is_https: bool) -> Cookie<'static> {
    let life = i64::try_from(ADMIN_SESSION_LIFE_MS / 1000).unwrap_or(i64::MAX);
    Cookie::build(COOKIE, token)
        .path("/admin")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(is_https)
        .max_age(CookieDuration::seconds(life))
        .finish()
}

fn no_cookie(is_https: bool) -> Cookie<'static> {
    let mut cookie = cookie(String::new(), is_https);
    cookie.set_max_age(CookieDuration::ZERO);
    cookie
}

/// `GET /admin/login`
pub(super) async fn form(visit: Visit) -> HttpResponse {
    let query = visit.query();
    let next = query.get("next").and_then(safe_back);
    match visit.operator() {
        Ok(_) => see_other(next.unwrap_or("/admin")),
        Err(Error::Unauthorized { .. }) => render::bare(StatusCode::OK, views::login(next, None)),
        Err(refusal) => render::problem(refusal),
    }
}

/// The password that came along, and where to go with it.
struct Attempt {
    password: SecretString,
    next: Option<String>,
    is_form: bool,
}

async fn read_attempt(request: &HttpRequest, payload: web::Payload) -> Result<Attempt, Error> {
    let body = body(request, payload).await?;
    let kind = header(request.headers(), CONTENT_TYPE).unwrap_or_default();
    let is_form = kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded");
    if is_form {
        let field = |name: &str| form_urlencoded::parse(&body).find(|(known, _)| known == name).map(|(_, value)| value);
        let password = field("password").unwrap_or_default().into_owned().into();
        return Ok(Attempt { password, next: field("next").map(Into::into), is_form });
    }
    let object = json_object(&body)?;
    let password = object.get("password").and_then(serde_json::Value::as_str);
    let password = password.ok_or_else(|| Error::invalid("invalid_field", "password must be a string"))?;
    Ok(Attempt { password: password.to_owned().into(), next: None, is_form })
}

/// `POST /admin/login`, as a form or as JSON
pub(super) async fn log_in(
    request: HttpRequest,
    payload: web::Payload,
    relay: web::Data<Relay>,
    settings: web::Data<HttpSettings>,
) -> HttpResponse {
    let attempt = match read_attempt(&request, payload).await {
        Ok(attempt) => attempt,
        Err(refusal) if wants_page(request.headers()) => return render::problem(&refusal),
        Err(refusal) => return error::answer(&refusal),
    };
    let earlier = token(&request);
    let earlier = earlier.as_ref().map(Cookie::value);
    let logged_in = if is_foreign(&request, &settings) {
        Err(foreign())
    } else {
        relay.log_in(&attempt.password, &address(&request, &settings), earlier).await
    };
    let is_https = is_https(&request, &settings);
    match logged_in {
        Ok(token) => {
            let cookie = cookie(token.expose_secret().to_owned(), is_https);
            if attempt.is_form {
                let next = attempt.next.as_deref().and_then(safe_back).unwrap_or("/admin");
                return HttpResponse::SeeOther().cookie(cookie).insert_header((LOCATION, next)).finish();
            }
            let mut answer = HttpResponse::Ok();
            answer.cookie(cookie);
            json(answer, json_value!({"ok": true}).to_string(), None)
        }
        Err(refusal) if attempt.is_form => {
            refusal.log();
            let next = attempt.next.as_deref().and_then(safe_back);
            let page = views::login(next, Some(&sentence(&refusal)));
            let answer = render::bare(error::status(&refusal), page);
            render::with_retry(&refusal, answer)
        }
        Err(refusal) => error::answer(&refusal),
    }
}

/// What the form says.
fn sentence(refusal: &Error) -> String {
    match refusal {
        Error::Unauthorized { .. } => "The password is wrong.".to_owned(),
        Error::Limited(limit) => {
            let minutes = limit.reset_seconds().div_ceil(60);
            let unit = if minutes == 1 { "minute" } else { "minutes" };
            format!("Too many tries. Try again in {minutes} {unit}.")
        }
        other => other.sentence(),
    }
}

/// `POST /admin/logout`
pub(super) async fn log_out(mutation: Mutation, settings: web::Data<HttpSettings>) -> HttpResponse {
    let relay = mutation.visit.relay.clone();
    let all = mutation.field("everywhere").is_some();
    let mut answer = mutation
        .act("/admin/login", async |operator| {
            if all {
                relay.log_out_everybody(operator).await?
            } else {
                relay.log_out(operator).await?
            }
            Ok((None, json_value!({})))
        })
        .await;
    // Whoever logs out goes to the login, however the request was sent.
    if answer.status().is_success() || answer.status().is_redirection() {
        answer = HttpResponse::Found().insert_header((LOCATION, "/admin/login")).finish();
        let gone = no_cookie(is_https(&mutation.visit.request, &settings));
        if answer.add_cookie(&gone).is_err() {
            tracing::error!("the cookie of a login could not be taken back");
        }
    }
    answer
}

/// Whether a query asks for something at all.
pub(super) fn asked<'a>(query: &'a Query<'_>, name: &str) -> Option<&'a str> {
    query.get(name).map(str::trim).filter(|text| !text.is_empty())
}
