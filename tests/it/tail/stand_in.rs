//! What stands in for the platforms' APIs: it notes every call and says yes to it, unless it was told otherwise.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use crate::support::eventually;

/// A call, as it came.
struct Call {
    /// The end of its path: the method of Telegram's and Slack's APIs.
    method: String,
    body: Value,
}

#[derive(Default)]
struct Talk {
    calls: Vec<Call>,
    answers: VecDeque<(&'static str, u16, Value)>,
    slow: Option<(&'static str, Duration)>,
}

/// A server on a port of its own, until the process ends.
pub struct StandIn {
    pub url: String,
    talk: Arc<Mutex<Talk>>,
}

impl Talk {
    /// Notes a call; gives its answer and when that is due.
    fn hear(&mut self, call: Call) -> (u16, Value, Duration) {
        let told = self.answers.iter().position(|(about, _, _)| *about == call.method);
        let (status, said) = match told.and_then(|at| self.answers.remove(at)) {
            Some((_, status, said)) => (status, said),
            None => (200, usual(&call.method)),
        };
        let wait = self.slow.filter(|(about, _)| *about == call.method).map_or(Duration::ZERO, |(_, wait)| wait);
        self.calls.push(call);
        (status, said, wait)
    }
}

async fn answer(request: HttpRequest, body: web::Bytes, talk: web::Data<Mutex<Talk>>) -> HttpResponse {
    let method = request.path().rsplit('/').next().unwrap().to_owned();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let (status, said, wait) = talk.lock().unwrap().hear(Call { method, body });
    actix_web::rt::time::sleep(wait).await;
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).json(said)
}

/// What a platform says when nothing is wrong.
pub fn usual(method: &str) -> Value {
    match method {
        "getMe" => json!({"ok": true, "result": {"id": 7_000_000_001_i64, "is_bot": true, "username": "helper_bot"}}),
        "auth.test" => json!({"ok": true, "user": "helper", "user_id": "U1", "team": "Team", "team_id": "T1"}),
        // Discord's application. Its key is the first of RFC 8032, section 7.1.
        "@me" => json!({"id": "100000000000000001", "bot": {"id": "100000000000000002", "username": "helper"},
            "verify_key": "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"}),
        _ => json!({"ok": true, "id": "1", "result": {"message_id": 1, "date": 0, "chat": {"id": 1}}}),
    }
}

impl StandIn {
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let talk = Arc::new(Mutex::new(Talk::default()));
        let shared = web::Data::from(talk.clone());
        std::thread::spawn(move || {
            let app = move || App::new().app_data(shared.clone()).default_service(web::to(answer));
            let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap();
            actix_web::rt::System::new().block_on(server.run()).unwrap();
        });
        Self { url, talk }
    }

    /// Has the next call of this method that has no other answer yet answered like this.
    pub fn answer(&self, method: &'static str, status: u16, said: Value) {
        self.talk.lock().unwrap().answers.push_back((method, status, said));
    }

    /// Has every call of this method answered after so long.
    pub fn slow_down(&self, method: &'static str, wait: Duration) {
        self.talk.lock().unwrap().slow = Some((method, wait));
    }

    /// The bodies of all calls of a method so far.
    pub fn bodies(&self, method: &str) -> Vec<Value> {
        let talk = self.talk.lock().unwrap();
        talk.calls.iter().filter(|call| call.method == method).map(|call| call.body.clone()).collect()
    }

    /// Waits for the call of this method whose body is of interest.
    pub async fn wait_for(&self, method: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        eventually(method, || async { self.bodies(method).into_iter().find(|body| is_it(body)) }).await
    }
}
