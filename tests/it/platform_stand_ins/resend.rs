//! What Resend refuses, what a mail looks like when it was sent, and how mail comes in.

use chaos_relay::domain::event_signature::verify_svix;
use chaos_relay::domain::timestamp::Timestamp;
use reqwest::RequestBuilder;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::{header, read};
use crate::support::platforms::resend::{Mail, Resend, svix_signature};
use crate::support::platforms::server::Request;
use crate::support::secrets;

struct Scene {
    resend: Resend,
    http: reqwest::Client,
}

impl Scene {
    async fn set() -> Self {
        let resend = Resend::start().await;
        resend.verify_domain("in.example.net");
        let http = reqwest::Client::builder().user_agent("tests/1").build().unwrap();
        Self { resend, http }
    }

    fn request(&self, mail: &Value) -> RequestBuilder {
        self.http.post(format!("{}/emails", self.resend.base_url())).bearer_auth(self.resend.key()).json(mail)
    }

    async fn send(&self, mail: &Value) -> (u16, Value) {
        read(self.request(mail).send().await.unwrap()).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.http.get(format!("{}{path}", self.resend.base_url())).bearer_auth(self.resend.key());
        read(request.send().await.unwrap()).await
    }
}

fn mail() -> Value {
    json!({
        "from": "Helper <support@in.example.net>", "to": ["ana@example.com"], "subject": "Re: hello", "text": "done",
        "reply_to": "support@in.example.net", "headers": {"In-Reply-To": "<a@b.c>", "Auto-Submitted": "auto-replied"},
    })
}

/// The mail with some fields changed; null takes one away.
fn with(changes: Value) -> Value {
    let mut mail = mail();
    for (name, value) in changes.as_object().unwrap() {
        mail[name] = value.clone();
    }
    mail
}

/// Whether a request is signed with this secret.
fn is_signed(secret: &str, request: &Request) -> bool {
    let header = |name| request.header(name).unwrap_or_default();
    let (id, timestamp, signatures) = (header("svix-id"), header("svix-timestamp"), header("svix-signature"));
    let secrets = [SecretString::from(secret)];
    verify_svix(&secrets, id, timestamp, signatures, &request.bytes, Timestamp::now()).is_ok()
}

#[tokio::test]
async fn only_callers_with_a_name_and_a_key_are_let_in() {
    let scene = Scene::set().await;
    let url = format!("{}/emails", scene.resend.base_url());
    let nameless =
        reqwest::Client::new().post(&url).bearer_auth(scene.resend.key()).json(&mail()).send().await.unwrap();
    assert_eq!((nameless.status().as_u16(), nameless.text().await.unwrap().as_str()), (403, "error code: 1010"));
    let keyless = read(scene.http.post(&url).json(&mail()).send().await.unwrap()).await;
    assert_eq!(
        (keyless.0, &keyless.1["name"], &keyless.1["statusCode"]),
        (401, &json!("missing_api_key"), &json!(401))
    );
    let wrong = read(scene.http.post(&url).bearer_auth("re_wrong").json(&mail()).send().await.unwrap()).await;
    assert_eq!((wrong.0, &wrong.1["name"]), (403, &json!("invalid_api_key")));
    assert_eq!(scene.get("/emails/receiving/none").await.1["name"], "not_found");
    assert_eq!(scene.get("/nothing").await.0, 404);
    assert_eq!(scene.get("/emails").await.1["name"], "method_not_allowed");
    let answer = scene.request(&mail()).send().await.unwrap();
    for name in ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"] {
        assert!(header(&answer, name).is_some(), "{name}");
    }
    assert_eq!(scene.resend.sent().len(), 1);
    assert!(secrets::find_in(scene.resend.key()).is_some(), "the key is known as a secret");
}

#[tokio::test]
async fn a_mail_is_sent_as_it_was_written_and_has_an_id_of_the_providers() {
    let scene = Scene::set().await;
    let (status, body) = scene.send(&with(json!({"headers": {"Message-ID": "<own@in.example.net>"}}))).await;
    let sent = scene.resend.sent().pop().unwrap();
    assert_eq!((status, body["id"].as_str()), (200, Some(sent.id.as_str())));
    assert_ne!(sent.message_id, sent.headers["Message-ID"]);
    assert_eq!(scene.get(&format!("/emails/{}", sent.id)).await.1["message_id"], sent.message_id.as_str());
    assert_eq!((sent.to[0].as_str(), sent.reply_to[0].as_str()), ("ana@example.com", "support@in.example.net"));
    assert_eq!((sent.subject.as_str(), sent.text.as_deref(), sent.html), ("Re: hello", Some("done"), None));
    scene.send(&with(json!({"to": "Ana <ana@example.com>", "text": null, "html": "<p>done</p>"}))).await;
    assert_eq!(scene.resend.sent()[1].html.as_deref(), Some("<p>done</p>"));
}

#[tokio::test]
async fn a_mail_that_cannot_go_out_is_refused() {
    let scene = Scene::set().await;
    let many = vec!["ana@example.com"; 51];
    let refused = [
        (json!({"from": null}), 422, "missing_required_field"),
        (json!({"from": "support"}), 422, "invalid_from_address"),
        (json!({"from": "Helper, Inc <support@in.example.net>"}), 422, "invalid_from_address"),
        (json!({"from": "support@other.example"}), 403, "validation_error"),
        (json!({"from": "x\r\nBcc: <support@in.example.net>"}), 422, "invalid_parameter"),
        (json!({"to": null}), 422, "missing_required_field"),
        (json!({"to": []}), 422, "missing_required_field"),
        (json!({"to": "ana"}), 422, "invalid_parameter"),
        (json!({"to": many}), 422, "invalid_parameter"),
        (json!({"cc": ["x"]}), 422, "invalid_parameter"),
        (json!({"reply_to": 5}), 422, "invalid_parameter"),
        (json!({"subject": null}), 422, "missing_required_field"),
        (json!({"subject": "a\r\nBcc: all@example.com"}), 422, "invalid_parameter"),
        (json!({"text": null}), 422, "missing_required_field"),
        (json!({"text": 5}), 422, "invalid_parameter"),
        (json!({"headers": ["a"]}), 422, "invalid_parameter"),
        (json!({"headers": {"References": "<a>\r\n <b>"}}), 422, "invalid_parameter"),
        (json!({"headers": {"References": "x".repeat(999)}}), 422, "invalid_parameter"),
        (json!({"headers": {"X-Number": 5}}), 422, "invalid_parameter"),
        (json!({"headers": {"a b": "x"}}), 422, "invalid_parameter"),
        (json!({"replyTo": "ana@example.com"}), 422, "invalid_parameter"),
    ];
    for (changes, status, name) in refused {
        let (actual, body) = scene.send(&with(changes.clone())).await;
        assert_eq!((actual, body["name"].as_str().unwrap()), (status, name), "{changes}");
    }
    let text = scene.request(&json!({})).header("Content-Type", "text/plain").body("{").send().await.unwrap();
    assert_eq!(read(text).await.1["name"], "validation_error");
    assert!(scene.resend.sent().is_empty());
}

#[tokio::test]
async fn a_key_sends_once_and_belongs_to_its_body() {
    let scene = Scene::set().await;
    let send = async |key: &str, mail: Value| {
        read(scene.request(&mail).header("Idempotency-Key", key).send().await.unwrap()).await
    };
    let first = send("reply-1", mail()).await;
    assert_eq!(send("reply-1", mail()).await, first);
    let (status, other) = send("reply-1", with(json!({"text": "other"}))).await;
    assert_eq!((status, &other["name"]), (409, &json!("invalid_idempotent_request")));
    assert_ne!(send("reply-2", mail()).await, first);
    for wrong in [String::new(), "x".repeat(257)] {
        assert_eq!(send(&wrong, mail()).await.1["name"], "invalid_idempotency_key");
    }
    // A refused mail does not use its key up.
    assert_eq!(send("reply-3", with(json!({"to": "ana"}))).await.0, 422);
    assert_eq!(send("reply-3", mail()).await.0, 200);
    let keys: Vec<_> = scene.resend.sent().into_iter().map(|sent| sent.idempotency_key.unwrap()).collect();
    assert_eq!(keys, ["reply-1", "reply-2", "reply-3"]);
}

#[tokio::test]
async fn a_received_mail_is_told_of_without_its_text_and_has_to_be_fetched() {
    let scene = Scene::set().await;
    let (receiver, secret) = (Receiver::willing().await, Resend::webhook_secret());
    let received = Mail::new("Ana <ana@example.com>", "support@in.example.net", "hello", "Thanks")
        .header("Received", "from a")
        .header("received", "from b")
        .header("Auto-Submitted", "no")
        .attach("a.png");
    let delivery = scene.resend.receive(&received, &receiver.url, &[&secret]).await.accepted();
    let event = &receiver.bodies()[0];
    assert_eq!((event, event["type"].as_str()), (&delivery.event, Some("email.received")));
    let data = &event["data"];
    for absent in ["text", "html", "headers"] {
        assert_eq!(data.get(absent), None, "{absent}");
    }
    assert_eq!(data["received_for"], json!(["support@in.example.net"]));

    let (status, mail) = scene.get(&format!("/emails/receiving/{}", data["email_id"].as_str().unwrap())).await;
    assert_eq!((status, &mail["text"], &mail["from"]), (200, &json!("Thanks"), &json!("Ana <ana@example.com>")));
    for null in ["html", "cc", "bcc", "reply_to", "raw"] {
        assert_eq!(mail.get(null), Some(&Value::Null), "{null}");
    }
    let headers = &mail["headers"];
    assert_eq!((&headers["received"], &headers["auto-submitted"]), (&json!(["from a", "from b"]), &json!("no")));
    assert!(headers["authentication-results"].as_str().unwrap().contains("dmarc=pass header.from=example.com"));
    assert_eq!(mail["attachments"][0]["id"], data["attachments"][0]["id"]);
    assert_eq!(scene.resend.calls_of("getReceivedEmail").len(), 1);
}

#[tokio::test]
async fn a_received_mail_comes_in_the_odd_forms_there_are() {
    let scene = Scene::set().await;
    let fetch = async |mail: &Mail| {
        let id = scene.resend.store(mail);
        (id.clone(), scene.get(&format!("/emails/receiving/{id}")).await.1)
    };
    let plain = Mail::new("ana@example.com", "support@in.example.net", "hello", "Thanks");
    let text_list = Mail { lists_are_text: true, ..plain.clone().header("X-A", "1").header("x-a", "2") };
    assert_eq!(fetch(&text_list).await.1["headers"]["x-a"], "[\"1\",\"2\"]");
    let unsure = plain.clone().without_header("authentication-results");
    assert_eq!(fetch(&unsure).await.1["headers"], json!({}));
    let bare = Mail { headers: None, text: None, received_for: None, ..plain };
    let (id, shown) = fetch(&bare).await;
    assert_eq!((&shown["headers"], &shown["text"], shown.get("received_for")), (&Value::Null, &Value::Null, None));
    scene.resend.forget(&id);
    assert_eq!(scene.get(&format!("/emails/receiving/{id}")).await.0, 404);
}

#[tokio::test]
async fn an_event_keeps_its_id_and_can_have_several_signatures_or_none() {
    let scene = Scene::set().await;
    let receiver = Receiver::with_statuses(&[503]).await;
    let (old, new, wrong) = (Resend::webhook_secret(), Resend::webhook_secret(), Resend::webhook_secret());
    let data = json!({"email_id": "e1"});
    let mut delivery = scene.resend.event("email.delivered", data, &receiver.url, &[&old, &new]).await;
    scene.resend.deliver_again(&mut delivery, &[&new]).await;
    scene.resend.deliver_again(&mut delivery, &[]).await;
    assert_eq!(delivery.statuses(), [Some(503), Some(200), Some(200)]);
    let requests = receiver.requests();
    assert!(requests.iter().all(|request| request.header("svix-id") == Some(delivery.id.as_str())));
    let signed: Vec<_> =
        requests.iter().map(|request| [&old, &new, &wrong].map(|secret| is_signed(secret, request))).collect();
    assert_eq!(signed, [[true, true, false], [false, true, false], [false, false, false]]);
}

#[test]
fn svixs_own_example_is_signed_alike() {
    let body = r#"{"event_type":"ping","data":{"success":true}}"#;
    let signed = svix_signature("whsec_plJ3nmyCDGBKInavdOK15jsl", "msg_loFOjxBNrRLzqYUf", "1731705121", body);
    assert_eq!(signed, "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=");
}
