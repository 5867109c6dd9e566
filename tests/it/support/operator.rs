//! An operator, as a program would be one: a cookie, and no page.

use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::client::expect;
use super::relay::{Replica, Setup};
use super::secrets;

/// The operator's password in all tests.
pub const PASSWORD: &str = "an operator's passphrase";

/// Whoever holds a login. Every call names the replica it goes to.
#[derive(Clone)]
pub struct Operator {
    http: reqwest::Client,
    cookie: String,
}

/// A client that follows nothing and keeps nothing.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder().redirect(Policy::none()).build().unwrap()
}

/// A setup with a password for the operator.
pub fn with_password(setup: Setup) -> Setup {
    secrets::note(PASSWORD);
    setup.with("CHAOS_ADMIN_KEY", PASSWORD).with("CHAOS_RATE_ADMIN_LOGIN", "100000/15m")
}

/// Logs in with JSON and gives the answer as it is.
pub async fn try_to_log_in(replica: &Replica, password: &str) -> Response {
    let request = http().post(format!("{}/admin/login", replica.url()));
    request.json(&json!({"password": password})).send().await.unwrap()
}

/// `name=value` of the login's cookie in an answer.
pub fn login_cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut ours = cookies.filter(|cookie| cookie.starts_with("chaos_admin="));
    let cookie = ours.next()?.split(';').next()?.to_owned();
    secrets::note(cookie.strip_prefix("chaos_admin=")?);
    Some(cookie)
}

/// Where an answer leads.
pub fn location(answer: &Response) -> &str {
    answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

impl Operator {
    /// Logs in.
    pub async fn log_in(replica: &Replica) -> Self {
        let answer = try_to_log_in(replica, PASSWORD).await;
        assert_eq!(answer.status(), 200);
        Self::holding(login_cookie(answer.headers()).expect("a login sets its cookie"))
    }

    /// With a cookie that came from somewhere.
    pub fn holding(cookie: String) -> Self {
        Self { http: http(), cookie }
    }

    /// The cookie as a browser sends it.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    pub fn request(&self, replica: &Replica, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", replica.url())).header("Cookie", &self.cookie)
    }

    pub async fn get(&self, replica: &Replica, path: &str) -> Response {
        self.request(replica, Method::GET, path).send().await.unwrap()
    }

    /// A page, which must be there.
    pub async fn page(&self, replica: &Replica, path: &str) -> String {
        let answer = self.get(replica, path).await;
        let status = answer.status();
        let page = answer.text().await.unwrap();
        assert_eq!(status, 200, "{path}: {page}");
        // Templates escape more than HTML needs.
        page.replace("&#x2F;", "/")
    }

    pub async fn status(&self, replica: &Replica) -> Value {
        expect(self.get(replica, "/admin/status").await, 200).await
    }

    /// The session of this user in the status; `None` if it is not there.
    pub async fn session(&self, replica: &Replica, user: &str) -> Option<Value> {
        let status = self.status(replica).await;
        status["sessions"].as_array().unwrap().iter().find(|session| session["userId"] == user).cloned()
    }

    /// What the pages put into their forms.
    pub async fn csrf(&self, replica: &Replica) -> String {
        let page = self.page(replica, "/admin").await;
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form of the page carries the token");
        rest.split('"').next().unwrap().to_owned()
    }

    /// Sends a form with the token of the pages.
    pub async fn send_form(&self, replica: &Replica, path: &str, fields: &[(&str, &str)]) -> Response {
        let csrf = self.csrf(replica).await;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf", &csrf).extend_pairs(fields);
        let request = self.request(replica, Method::POST, path);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        request.body(form.finish()).send().await.unwrap()
    }
}
