//! A relay with mail, a session, and mailboxes of the relay that people may write to.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::support::client::{Client, expect};
use crate::support::eventually;
use crate::support::platforms::delivery::{self, Delivery};
use crate::support::platforms::deployment::Platforms;
use crate::support::platforms::resend::{Mail, Sent};
use crate::support::relay::{Replica, Setup};
use crate::support::secrets;

/// Whose mailbox it is in most tests.
pub const ANA: &str = "ana@example.com";

/// One replica and one session.
pub struct Scene {
    pub platforms: Platforms,
    pub relay: Replica,
    pub client: Client,
}

/// A channel of type `email` and the link that was mailed for it.
#[derive(Clone, Debug)]
pub struct Mailbox {
    pub id: String,
    pub address: String,
    pub token: String,
    pub link: String,
}

/// A page for people.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub headers: HeaderMap,
    pub html: String,
}

impl Scene {
    pub async fn set() -> Self {
        Self::set_with(|setup| setup).await
    }

    /// With other settings than usual.
    pub async fn set_with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let platforms = Platforms::start().await;
        let setup = change(platforms.on_redis());
        Self::on(platforms, &setup).await
    }

    /// With a replica of this setup.
    pub async fn on(platforms: Platforms, setup: &Setup) -> Self {
        let relay = setup.start().await;
        platforms.lead_to(&[&relay]);
        let client = Client::register_signed(&relay).await;
        Self { platforms, relay, client }
    }

    /// A mailbox whose link was not followed yet.
    pub async fn unverified(&self, user_email: &str) -> Mailbox {
        Mailbox::register(&self.platforms, &self.client, &self.relay, &json!({"userEmail": user_email})).await
    }

    /// A mailbox whose owner may write.
    pub async fn mailbox(&self, user_email: &str) -> Mailbox {
        self.named_mailbox(json!({"userEmail": user_email})).await
    }

    /// The same with settings.
    pub async fn named_mailbox(&self, body: Value) -> Mailbox {
        let mailbox = Mailbox::register(&self.platforms, &self.client, &self.relay, &body).await;
        let page = press(&self.relay.url(), &mailbox.token, &mailbox.id).await;
        assert_eq!(page.status, 200, "{}", page.html);
        mailbox
    }

    /// Lets others write to a mailbox.
    pub async fn allow(&self, mailbox: &Mailbox, senders: &[&str]) {
        self.change(mailbox, json!({"metadata": {"allowedSenders": senders}})).await;
    }

    pub async fn change(&self, mailbox: &Mailbox, change: Value) {
        let path = format!("/channels/{}", mailbox.id);
        expect(self.client.send(&self.relay, reqwest::Method::PATCH, &path, &change).await, 200).await;
    }

    /// The provider takes a mail in and tells the relay of it, once.
    pub async fn arrives(&self, mail: &Mail) -> Delivery {
        self.platforms.resend.receive(mail, &self.platforms.mail_url(), &[&self.platforms.mail_secret]).await
    }

    /// The same, and the relay must answer that all is well.
    pub async fn takes(&self, mail: &Mail) -> Delivery {
        let delivery = self.arrives(mail).await.accepted();
        assert_eq!(delivery.statuses(), [Some(200)]);
        delivery
    }

    /// Tells the relay of a mail in these words.
    pub async fn tell(&self, data: Value) -> Delivery {
        let (url, secret) = (self.platforms.mail_url(), self.platforms.mail_secret.as_str());
        self.platforms.resend.event("email.received", data, &url, &[secret]).await
    }

    /// Tells the relay of the same once more.
    pub async fn tell_again(&self, delivery: &mut Delivery) {
        self.platforms.resend.deliver_again(delivery, &[&self.platforms.mail_secret]).await;
    }

    /// How often the relay has asked for a mail.
    pub fn fetches(&self) -> usize {
        self.platforms.resend.calls_of("getReceivedEmail").len()
    }

    /// All that reached the client.
    pub async fn messages(&self) -> Vec<Value> {
        self.client.poll_all(&self.relay).await
    }

    /// The texts of all that reached the client, without their subjects.
    pub async fn texts(&self) -> Vec<String> {
        let text_of = |message: &Value| {
            let content = message["content"].as_str().unwrap();
            content.split_once("\n\n").unwrap_or_else(|| panic!("no subject in {content:?}")).1.to_owned()
        };
        self.messages().await.iter().map(text_of).collect()
    }

    /// The message that a mail becomes, which must be the next.
    pub async fn hears(&self, mail: &Mail) -> Value {
        let before = self.messages().await.len();
        self.takes(mail).await;
        let messages = self.messages().await;
        assert_eq!(messages.len(), before + 1, "{mail:?}");
        messages.into_iter().last().unwrap()
    }

    /// What the relay has logged of all that came before.
    pub async fn log(&self) -> String {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let request = self.client.request(&self.relay, reqwest::Method::GET, "/channels", b"");
        expect(request.header("X-Request-Id", &id).send().await.unwrap(), 200).await;
        logged(&self.relay, &id).await
    }

    /// The session's channels.
    pub async fn channels(&self) -> Vec<Value> {
        let answer = expect(self.client.get(&self.relay, "/channels").await, 200).await;
        answer["channels"].as_array().unwrap().clone()
    }

    /// What the owner of a mailbox sees of it.
    pub async fn metadata(&self, mailbox: &Mailbox) -> Value {
        let channels = self.channels().await;
        let found = channels.iter().find(|channel| channel["id"] == mailbox.id.as_str());
        found.unwrap_or_else(|| panic!("{} is not among {channels:?}", mailbox.id))["metadata"].clone()
    }

    /// Replies with this body; gives the response's id.
    pub async fn reply(&self, body: &Value) -> String {
        let answer = expect(self.client.post(&self.relay, "/reply", body).await, 200).await;
        answer["responseId"].as_str().unwrap().to_owned()
    }

    /// Replies to a message as clients do; gives the response's id.
    pub async fn answer(&self, message: &Value, content: &str) -> String {
        let body = json!({
            "channelId": message["channelId"], "content": content, "replyTo": message["id"],
            "metadata": message["metadata"],
        });
        self.reply(&body).await
    }

    /// The mail that such an answer becomes.
    pub async fn answered(&self, message: &Value, content: &str) -> Sent {
        let before = self.platforms.resend.sent().len();
        let response = self.answer(message, content).await;
        self.becomes(&response, "delivered").await;
        let sent = self.platforms.resend.sent();
        assert_eq!(sent.len(), before + 1, "{sent:?}");
        sent.into_iter().last().unwrap()
    }

    /// What has become of a reply.
    pub async fn status(&self, response: &str) -> Value {
        expect(self.client.get(&self.relay, &format!("/replies/{response}")).await, 200).await
    }

    /// Waits until a reply has this status.
    pub async fn becomes(&self, response: &str, status: &str) -> Value {
        let what = format!("the reply is {status}");
        eventually(&what, || async { Some(self.status(response).await).filter(|now| now["status"] == status) }).await
    }
}

impl Mailbox {
    /// Registers with this body; it must be taken.
    pub async fn register(platforms: &Platforms, client: &Client, relay: &Replica, body: &Value) -> Self {
        let answer = expect(client.post(relay, "/channels/email/register", body).await, 201).await;
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        let (id, address) = (text("channelId"), text("inboundAddress"));
        let sent = platforms.resend.sent();
        let is_it = |sent: &&Sent| sent.text.as_ref().is_some_and(|text| text.contains(&id));
        let mail = sent.iter().find(is_it).expect("a mail with a link to the channel");
        let link = link_in(mail.text.as_ref().unwrap());
        let token = token_of(&link);
        Self { id, address, token, link }
    }

    /// A mail from this person to the mailbox.
    pub fn mail(&self, from: &str, text: &str) -> Mail {
        Mail::new(from, &self.address, "hello", text)
    }
}

/// Waits until a replica has logged this, which takes its way through a pipe; gives the whole log.
pub async fn logged(relay: &Replica, what: &str) -> String {
    let message = format!("{what:?} is in the log");
    eventually(&message, || async { Some(relay.log()).filter(|log| log.contains(what)) }).await
}

/// The one link in a text.
pub fn link_in(text: &str) -> String {
    let links: Vec<_> = text.split_whitespace().filter(|word| word.contains("://")).collect();
    let [link] = links.as_slice() else { panic!("not one link in {text:?}") };
    (*link).to_owned()
}

/// The token in a link, noted as a secret.
pub fn token_of(link: &str) -> String {
    let query = link.split_once('?').unwrap().1;
    let mut parts = form_urlencoded::parse(query.as_bytes());
    let token = parts.find(|(name, _)| name == "token").unwrap().1.into_owned();
    secrets::note(&token);
    token
}

/// What an event says of a mail that the provider has under this id.
pub fn notice(id: &str, mail: &Mail) -> Value {
    json!({
        "email_id": id, "created_at": "2026-01-15T10:30:00.894719+00:00", "from": mail.from, "to": mail.to,
        "cc": mail.cc, "bcc": [], "received_for": mail.received_for, "message_id": mail.message_id,
        "subject": mail.subject, "attachments": [],
    })
}

/// Opens the page of a link.
pub async fn look(link: &str) -> Page {
    Page::read(delivery::client().get(link).send().await.unwrap()).await
}

/// Presses the button of a link's page, on the replica at this URL.
pub async fn press(base: &str, token: &str, channel: &str) -> Page {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("channelId", channel).append_pair("token", token);
    let request = delivery::client().post(format!("{base}/email/verify"));
    let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form.finish());
    Page::read(request.send().await.unwrap()).await
}

impl Page {
    pub async fn read(answer: reqwest::Response) -> Self {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Self { status, headers, html: answer.text().await.unwrap() }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
