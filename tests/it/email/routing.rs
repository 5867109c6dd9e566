//! Whose mail it is.

use serde_json::{Value, json};

use super::scene::{ANA, Mailbox, Scene, notice, press};
use crate::support::client::Client;
use crate::support::platforms::resend::Mail;

/// To whom a mail goes: the fields of the event.
struct Envelope<'a> {
    received_for: Option<Vec<&'a str>>,
    to: Vec<&'a str>,
    cc: Vec<&'a str>,
    bcc: Vec<&'a str>,
}

impl Scene {
    /// A mail from Ana goes out with this envelope.
    async fn sent_with(&self, envelope: &Envelope<'_>, text: &str) {
        let mail = Mail::new(ANA, "somebody@example.org", "hello", text);
        let mut data = notice(&self.platforms.resend.store(&mail), &mail);
        (data["to"], data["cc"], data["bcc"]) = (json!(envelope.to), json!(envelope.cc), json!(envelope.bcc));
        match &envelope.received_for {
            Some(received_for) => data["received_for"] = json!(received_for),
            None => drop(data.as_object_mut().unwrap().remove("received_for")),
        }
        assert_eq!(self.tell(data).await.statuses(), [Some(200)], "{text}");
    }

    /// The mailboxes that have this text, each as often as it has.
    async fn got(&self, text: &str) -> Vec<String> {
        let messages = self.messages().await;
        let with_text = messages.iter().filter(|message| message["content"] == format!("Subject: hello\n\n{text}"));
        with_text.map(|message| message["channelId"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_received_a_mail_counts_before_whom_it_names() {
    let scene = Scene::set().await;
    let (one, two) = (scene.mailbox(ANA).await, scene.mailbox(ANA).await);
    let (first, second, list) = (one.address.as_str(), two.address.as_str(), "list@example.org");
    let cases: [(&str, Envelope<'_>, Vec<&Mailbox>); 9] = [
        (
            "received_for",
            Envelope { received_for: Some(vec![first]), to: vec![list], cc: vec![], bcc: vec![] },
            vec![&one],
        ),
        ("not to", Envelope { received_for: Some(vec![first]), to: vec![second], cc: vec![], bcc: vec![] }, vec![&one]),
        ("not cc", Envelope { received_for: Some(vec![first]), to: vec![], cc: vec![second], bcc: vec![] }, vec![&one]),
        (
            "elsewhere",
            Envelope { received_for: Some(vec![list]), to: vec![first], cc: vec![second], bcc: vec![] },
            vec![],
        ),
        ("to", Envelope { received_for: None, to: vec![list, first], cc: vec![list], bcc: vec![] }, vec![&one]),
        ("cc", Envelope { received_for: None, to: vec![list], cc: vec![second], bcc: vec![] }, vec![&two]),
        ("bcc", Envelope { received_for: None, to: vec![list], cc: vec![], bcc: vec![second] }, vec![&two]),
        ("empty", Envelope { received_for: Some(vec![]), to: vec![first], cc: vec![], bcc: vec![] }, vec![&one]),
        ("all", Envelope { received_for: None, to: vec![first], cc: vec![first], bcc: vec![second] }, vec![&one, &two]),
    ];
    for (case, envelope, expected) in &cases {
        scene.sent_with(envelope, case).await;
        let expected: Vec<_> = expected.iter().map(|mailbox| mailbox.id.clone()).collect();
        assert_eq!(scene.got(case).await, expected, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_found_in_every_spelling() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let (local, domain) = mailbox.address.split_once('@').unwrap();
    for spelling in [
        mailbox.address.to_ascii_uppercase(),
        format!("{local}+invoices@{domain}"),
        format!("{local}+a+b@{domain}"),
        format!("{}+Tag@{}", local.to_ascii_uppercase(), domain.to_ascii_uppercase()),
        format!("<{}>", mailbox.address),
        format!("Support <{}>", mailbox.address),
        format!("\"Support, Ltd.\" <{local}+x@{domain}>"),
        format!("=?utf-8?q?Caf=C3=A9?= <{}>", mailbox.address),
        format!("ana@example.com, {}", mailbox.address),
        format!("Team: bob@example.com, {};", mailbox.address),
    ] {
        for in_to in [false, true] {
            let (received_for, to) = match in_to {
                false => (Some(vec![spelling.as_str()]), vec!["list@example.org"]),
                true => (None, vec![spelling.as_str()]),
            };
            let case = format!("{spelling} {in_to}").replace(['<', '>'], "_");
            scene.sent_with(&Envelope { received_for, to, cc: vec![], bcc: vec![] }, &case).await;
            assert_eq!(scene.got(&case).await, std::slice::from_ref(&mailbox.id), "{case}");
        }
    }
    let messages = scene.messages().await;
    assert!(messages.iter().all(|message| message["metadata"]["toAddress"] == mailbox.address.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_to_two_mailboxes_is_in_each_once() {
    let scene = Scene::set().await;
    let (one, two) = (scene.mailbox(ANA).await, scene.mailbox(ANA).await);
    let other = Client::register(&scene.relay).await;
    let body = json!({"userEmail": ANA});
    let three = Mailbox::register(&scene.platforms, &other, &scene.relay, &body).await;
    press(&scene.relay.url(), &three.token, &three.id).await;
    let upper = one.address.to_ascii_uppercase();
    let tagged = one.address.replace('@', "+tag@");
    let everybody = vec![&*one.address, &*upper, &*tagged, &*two.address, &*three.address, "nobody@in.example.net"];
    let envelope = Envelope { received_for: None, to: everybody.clone(), cc: everybody.clone(), bcc: vec![] };
    scene.sent_with(&envelope, "to all").await;
    assert_eq!(scene.got("to all").await, [one.id.clone(), two.id.clone()]);
    assert_eq!(scene.fetches(), 1);

    let messages = scene.messages().await;
    let address_of = |message: &Value| message["metadata"]["toAddress"].as_str().unwrap().to_owned();
    assert_eq!(messages.iter().map(address_of).collect::<Vec<_>>(), [one.address, two.address]);
    let theirs = other.poll_all(&scene.relay).await;
    assert_eq!(theirs.iter().map(address_of).collect::<Vec<_>>(), [three.address]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_mail_to_two_mailboxes_each_judges_for_itself() {
    let scene = Scene::set().await;
    let (open, closed) = (scene.mailbox(ANA).await, scene.mailbox("bob@example.com").await);
    let unverified = scene.unverified(ANA).await;
    let all = vec![&*unverified.address, &*closed.address, &*open.address];
    scene.sent_with(&Envelope { received_for: Some(all), to: vec![], cc: vec![], bcc: vec![] }, "hello").await;
    assert_eq!(scene.got("hello").await, [open.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_to_addresses_that_nobody_has_is_answered_well_and_not_looked_at() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let (local, domain) = mailbox.address.split_once('@').unwrap();
    for nobodys in [
        "nobody@in.example.net".to_owned(),
        "no-reply@in.example.net".to_owned(),
        format!("{local}@example.net"),
        format!("{local}@sub.{domain}"),
        format!("{local}@{domain}.evil.example"),
        format!("x{local}@{domain}"),
        format!("{local}.x@{domain}"),
        format!("{local}-@{domain}"),
        format!("+{local}@{domain}"),
        format!("\"{local}\"@{domain}.x"),
        local.to_owned(),
        String::new(),
    ] {
        let envelope = Envelope { received_for: None, to: vec![&nobodys], cc: vec![&nobodys], bcc: vec![&nobodys] };
        scene.sent_with(&envelope, &nobodys).await;
    }
    assert_eq!(scene.fetches(), 0);
    assert!(scene.messages().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_others_got_a_mail_too_it_is_found() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let others: Vec<String> = (0..300).map(|n| format!("person{n}@example.org")).collect();
    let all: Vec<&str> = others.iter().map(String::as_str).chain([mailbox.address.as_str()]).collect();
    scene.sent_with(&Envelope { received_for: None, to: all.clone(), cc: vec![], bcc: vec![] }, "to").await;
    scene.sent_with(&Envelope { received_for: Some(all), to: vec![], cc: vec![], bcc: vec![] }, "received").await;
    assert_eq!(scene.texts().await, ["to", "received"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_mailbox_takes_nothing_until_it_is_enabled_again() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    scene.takes(&mailbox.mail(ANA, "before")).await;
    scene.change(&mailbox, json!({"enabled": false})).await;
    scene.takes(&mailbox.mail(ANA, "while")).await;
    assert_eq!(scene.fetches(), 1);
    scene.change(&mailbox, json!({"enabled": true})).await;
    scene.takes(&mailbox.mail(ANA, "after")).await;
    assert_eq!(scene.texts().await, ["before", "after"]);
}
