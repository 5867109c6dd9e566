//! Every misbehaviour, on every platform.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{header, read};
use crate::support::platforms::discord::{self, Discord};
use crate::support::platforms::resend::{self, Resend};
use crate::support::platforms::slack::{self, Slack};
use crate::support::platforms::telegram::{self, Telegram};
use crate::support::platforms::{Misbehaviour, Platform, Rule, StandIn};

/// A way to send a message that goes out when the stand-in behaves.
struct Sender<P: Platform> {
    here: StandIn<P>,
    method: &'static str,
    request: Box<dyn Fn(&reqwest::Client) -> RequestBuilder>,
    http: reqwest::Client,
}

impl<P: Platform> Sender<P> {
    fn new(
        here: &StandIn<P>,
        method: &'static str,
        request: impl Fn(&reqwest::Client) -> RequestBuilder + 'static,
    ) -> Self {
        Self { here: here.clone(), method, request: Box::new(request), http: reqwest::Client::new() }
    }

    async fn send(&self) -> Result<reqwest::Response, reqwest::Error> {
        (self.request)(&self.http).send().await
    }

    /// Sends with a misbehaviour; gives the answer and how many messages went out by that.
    async fn send_with(
        &self,
        behaviour: Misbehaviour<P::Refusal>,
    ) -> (Result<reqwest::Response, reqwest::Error>, usize) {
        let before = self.here.sent().len();
        self.here.misbehave_on(self.method, behaviour);
        let answer = self.send().await;
        assert_eq!(self.here.rules_left(), 0, "the rule is used up");
        (answer, self.here.sent().len() - before)
    }
}

async fn misbehaves_in_every_way<P: Platform>(sender: Sender<P>) {
    let wait = Duration::from_millis(1500);
    let (answer, sent) = sender.send_with(Misbehaviour::TooManyRequests { retry_after: wait }).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after"), sent), (429, Some("2"), 0));

    for status in [500, 502, 503] {
        let (answer, sent) = sender.send_with(Misbehaviour::ServerError(status)).await;
        assert_eq!((answer.unwrap().status().as_u16(), sent), (status, 0));
    }

    let (answer, sent) = sender.send_with(Misbehaviour::Garbage).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status().as_u16(), sent), (200, 0));
    answer.json::<serde_json::Value>().await.unwrap_err();

    let calls = sender.here.calls().len();
    let (answer, sent) = sender.send_with(Misbehaviour::Reset).await;
    assert!(answer.is_err_and(|error| !error.is_timeout()) && sent == 0);
    let (answer, sent) = sender.send_with(Misbehaviour::AnswerLost).await;
    assert!(answer.is_err_and(|error| !error.is_timeout()) && sent == 1);
    let cut: Vec<_> = sender.here.calls()[calls..].iter().map(|call| call.answered).collect();
    assert_eq!(cut, [None, None], "each was called once and not answered");

    let (before, began) = (sender.here.sent().len(), Instant::now());
    sender.here.misbehave(Misbehaviour::Slow(Duration::from_millis(300)));
    let (answer, _) = tokio::join!(sender.send(), sender.here.wait_for_sent(before + 1));
    assert!(answer.unwrap().status() == 200 && began.elapsed() >= Duration::from_millis(300));

    let sent = sender.here.sent().len();
    sender.here.misbehave(Misbehaviour::Hang);
    let answer = (sender.request)(&sender.http).timeout(Duration::from_millis(200)).send().await;
    assert!(answer.is_err_and(|error| error.is_timeout()) && sender.here.sent().len() == sent);

    assert_eq!(sender.send().await.unwrap().status(), 200, "it behaves when no rule is left");
    assert_eq!(sender.here.sent().len(), sent + 1);
}

#[tokio::test]
async fn telegram_misbehaves_in_every_way() {
    let telegram = Telegram::start().await;
    let bot = telegram.bot("helper_bot");
    let ana = telegram.person(500_001, "Ana");
    let url = format!("{}/bot{}/sendMessage", telegram.base_url(), bot.token);
    let message = move |http: &reqwest::Client| http.post(&url).json(&json!({"chat_id": 500_001, "text": "hi"}));
    let sender = Sender::new(&telegram, "sendMessage", message);
    assert_eq!(read(sender.send().await.unwrap()).await.0, 403, "nobody wrote to the bot");

    let receiver = super::receiver::Receiver::willing().await;
    bot.sets_webhook(&receiver.url).await;
    bot.hears(&ana, "hello").await;
    let (answer, sent) = sender.send_with(Misbehaviour::Refuse(telegram::Refusal::Blocked)).await;
    let refused = json!({"ok": false, "error_code": 403, "description": "Forbidden: bot was blocked by the user"});
    assert_eq!((read(answer.unwrap()).await, sent), ((403, refused), 0));
    let (answer, _) = sender.send_with(Misbehaviour::TooManyRequests { retry_after: Duration::from_secs(7) }).await;
    let answer = answer.unwrap();
    assert_eq!(header(&answer, "retry-after"), Some("7"));
    let limited = json!({
        "ok": false, "error_code": 429, "description": "Too Many Requests: retry after 7",
        "parameters": {"retry_after": 7},
    });
    assert_eq!(read(answer).await, (429, limited));
    misbehaves_in_every_way(sender).await;
}

#[tokio::test]
async fn discord_misbehaves_in_every_way() {
    let discord = Discord::start().await;
    let (app, channel) = (discord.application("helper"), discord.channel());
    app.joins(&channel);
    let url = format!("{}/channels/{}/messages", discord.base_url(), channel.id);
    let message = move |http: &reqwest::Client| {
        let request = http.post(&url).header("User-Agent", "DiscordBot (https://example.com, 1)");
        request.header("Authorization", format!("Bot {}", app.token)).json(&json!({"content": "hi"}))
    };
    let sender = Sender::new(&discord, "createMessage", message);

    let closed = discord::Refusal::Error { status: 403, code: 50007, message: "Cannot send messages to this user" };
    let (answer, _) = sender.send_with(Misbehaviour::Refuse(closed)).await;
    let refused = json!({"message": "Cannot send messages to this user", "code": 50007});
    assert_eq!(read(answer.unwrap()).await, (403, refused));

    let retry_after = Duration::from_millis(650);
    let (answer, _) = sender.send_with(Misbehaviour::TooManyRequests { retry_after }).await;
    let answer = answer.unwrap();
    let headers = ["via", "x-ratelimit-scope", "x-ratelimit-global"].map(|name| header(&answer, name).is_some());
    assert_eq!(headers, [true, true, false]);
    let limited = json!({"message": "You are being rate limited.", "retry_after": 0.65, "global": false});
    assert_eq!(read(answer).await, (429, limited));

    let (answer, _) = sender.send_with(Misbehaviour::Refuse(discord::Refusal::GlobalLimit { retry_after })).await;
    let answer = answer.unwrap();
    assert_eq!(header(&answer, "x-ratelimit-global"), Some("true"));
    assert_eq!(read(answer).await.1["global"], true);

    let ban = discord::Refusal::EdgeBan { retry_after: Duration::from_secs(600) };
    let (answer, _) = sender.send_with(Misbehaviour::Refuse(ban)).await;
    let answer = answer.unwrap();
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "via"), header(&answer, "retry-after")),
        (429, None, Some("600"))
    );
    misbehaves_in_every_way(sender).await;
}

#[tokio::test]
async fn slack_misbehaves_in_every_way() {
    let slack = Slack::start().await;
    let workspace = slack.workspace();
    let (channel, token) = (workspace.channel(), workspace.token.clone());
    let url = format!("{}/chat.postMessage", slack.base_url());
    let message = move |http: &reqwest::Client| {
        http.post(&url).bearer_auth(&token).json(&json!({"channel": channel, "text": "hi"}))
    };
    let sender = Sender::new(&slack, "chat.postMessage", message);

    let (answer, sent) = sender.send_with(Misbehaviour::Refuse(slack::Refusal::Error("is_archived"))).await;
    assert_eq!((read(answer.unwrap()).await, sent), ((200, json!({"ok": false, "error": "is_archived"})), 0));
    let (answer, _) = sender.send_with(Misbehaviour::Refuse(slack::Refusal::MissingScope("chat:write"))).await;
    let missing = json!({"ok": false, "error": "missing_scope", "needed": "chat:write", "provided": "users:read"});
    assert_eq!(read(answer.unwrap()).await, (200, missing));
    let (answer, _) = sender.send_with(Misbehaviour::TooManyRequests { retry_after: Duration::from_secs(30) }).await;
    assert_eq!(read(answer.unwrap()).await, (429, json!({"ok": false, "error": "ratelimited"})));
    misbehaves_in_every_way(sender).await;
}

#[tokio::test]
async fn resend_misbehaves_in_every_way() {
    let resend = Resend::start().await;
    resend.verify_domain("in.example.net");
    let (url, key) = (format!("{}/emails", resend.base_url()), resend.key().to_owned());
    let mail = json!({"from": "bot@in.example.net", "to": "ana@example.com", "subject": "Re: hello", "text": "done"});
    let message = move |http: &reqwest::Client| http.post(&url).header("User-Agent", "t").bearer_auth(&key).json(&mail);
    let sender = Sender::new(&resend, "sendEmail", message);

    let busy = resend::Refusal::Error { status: 409, name: "concurrent_idempotent_requests" };
    let (answer, _) = sender.send_with(Misbehaviour::Refuse(busy)).await;
    let (status, body) = read(answer.unwrap()).await;
    assert_eq!(
        (status, &body["statusCode"], &body["name"]),
        (409, &json!(409), &json!("concurrent_idempotent_requests"))
    );
    let (answer, _) = sender.send_with(Misbehaviour::Refuse(resend::Refusal::DailyQuota)).await;
    let (status, body) = read(answer.unwrap()).await;
    assert_eq!((status, &body["name"]), (429, &json!("daily_quota_exceeded")));
    let (answer, _) = sender.send_with(Misbehaviour::TooManyRequests { retry_after: Duration::from_secs(1) }).await;
    let answer = answer.unwrap();
    assert_eq!(header(&answer, "ratelimit-remaining"), Some("0"));
    assert_eq!(read(answer).await.1["name"], "rate_limit_exceeded");
    misbehaves_in_every_way(sender).await;
}

#[tokio::test]
async fn a_rule_befalls_the_calls_it_names_as_often_as_it_says() {
    let slack = Slack::start().await;
    let workspace = slack.workspace();
    let channels = [workspace.channel(), workspace.channel()];
    let http = reqwest::Client::new();
    let status = async |channel: usize| {
        let request = http.post(format!("{}/chat.postMessage", slack.base_url())).bearer_auth(&workspace.token);
        let body = json!({"channel": channels[channel], "text": "hi"});
        request.json(&body).send().await.unwrap().status().as_u16()
    };
    let first = channels[0].clone();
    let of_the_first = move |call: &crate::support::platforms::Call| call.body["channel"] == first.as_str();
    let broken = || Rule::new(Misbehaviour::ServerError(503));

    slack.rule(broken().on("auth.test"));
    assert_eq!(status(0).await, 200, "it is for another method");
    slack.behave();

    slack.rule(broken().when(of_the_first.clone()).always());
    assert_eq!([status(1).await, status(0).await, status(0).await, status(1).await], [200, 503, 503, 200]);
    slack.behave();
    assert_eq!((status(0).await, slack.rules_left()), (200, 0));

    slack.rule(broken().times(2).after(1));
    assert_eq!([status(0).await, status(0).await, status(0).await, status(0).await], [200, 503, 503, 200]);

    slack.rule(broken());
    slack.rule(Rule::new(Misbehaviour::ServerError(500)));
    assert_eq!([status(0).await, status(0).await, status(0).await], [503, 500, 200], "the oldest rule comes first");
    let answered: Vec<_> = slack.calls_of("chat.postMessage").iter().filter_map(|call| call.answered).collect();
    assert_eq!(answered.len(), 13);
}

#[tokio::test]
async fn a_reset_is_one_on_the_wire_and_a_kept_connection_is_used_again() {
    let slack = Slack::start().await;
    let address = slack.base_url().replace("http://", "").replace("/api", "");
    let call = b"POST /api/auth.test HTTP/1.1\r\nHost: slack\r\nContent-Length: 0\r\n\r\n";
    let mut connection = TcpStream::connect(address).await.unwrap();
    let mut bytes = vec![0; 4096];
    for _ in 0..2 {
        connection.write_all(call).await.unwrap();
        let read = connection.read(&mut bytes).await.unwrap();
        assert!(bytes[..read].starts_with(b"HTTP/1.1 200 OK"));
    }
    slack.misbehave(Misbehaviour::Reset);
    connection.write_all(call).await.unwrap();
    let error = connection.read(&mut bytes).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(slack.calls_of("auth.test").len(), 3);
}

#[tokio::test]
async fn waiting_ends_with_the_call_that_was_waited_for() {
    let slack = Slack::start().await;
    let url = format!("{}/auth.test", slack.base_url());
    let began = Instant::now();
    let call = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        reqwest::Client::new().post(url).header("X-Request", "1").json(&json!({"a": "b"})).send().await.unwrap()
    });
    let calls = slack.wait_for_calls("auth.test", 1).await;
    assert!(began.elapsed() >= Duration::from_millis(100) && calls[0].at > began);
    assert_eq!((calls[0].method.as_str(), calls[0].path.as_str()), ("POST", "/api/auth.test"));
    assert_eq!((calls[0].headers["x-request"].to_str().unwrap(), &calls[0].body), ("1", &json!({"a": "b"})));
    assert_eq!(call.await.unwrap().status(), 200);
}
