//! Answers: to whom they go, into which thread, and what stands in them.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::scene::{ANA, Mailbox, Scene};
use crate::support::client::expect;
use crate::support::platforms::resend::{Mail, Sent};

/// All of a mail that becomes a header.
fn header_text(sent: &Sent) -> String {
    let headers = sent.headers.iter().map(|(name, value)| format!("{name}: {value}"));
    let own = [sent.from.clone(), sent.subject.clone(), sent.to.join(","), sent.reply_to.join(",")];
    headers.chain(own).collect::<Vec<_>>().join("|")
}

/// With these header fields.
fn with(mail: Mail, headers: &[(&str, &str)]) -> Mail {
    headers.iter().fold(mail, |mail, (name, value)| mail.header(name, value))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_from_the_address_that_was_written_to_as_automatic_text() {
    let scene = Scene::set().await;
    let mailbox = scene.named_mailbox(json!({"userEmail": ANA, "channelName": "Support"})).await;
    let mail = Mail { from: "Ana <Ana@Example.com>".to_owned(), ..mailbox.mail(ANA, "hello") };
    let message = scene.hears(&mail).await;
    let text = "**Hello** Ana,\n\n- one\n- `two`\n\n```\nfn main() {}\n```";
    let sent = scene.answered(&message, text).await;
    assert_eq!(sent.from, format!("Support <{}>", mailbox.address));
    assert_eq!((sent.reply_to, sent.to), (vec![mailbox.address.clone()], vec!["Ana@example.com".to_owned()]));
    assert_eq!((sent.text.as_deref(), sent.html), (Some(text), None));
    assert_eq!(sent.headers["Auto-Submitted"], "auto-replied");
    assert_eq!(sent.headers["In-Reply-To"], mail.message_id);
    let names: HashSet<_> = sent.headers.keys().map(String::as_str).collect();
    assert_eq!(names, HashSet::from(["Auto-Submitted", "In-Reply-To", "References"]));
    let first_key = sent.idempotency_key.unwrap();
    assert_ne!(scene.answered(&message, text).await.idempotency_key.unwrap(), first_key, "each reply has its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_stands_in_the_thread_of_its_mail() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let long: Vec<String> = (0..100).map(|n| format!("<{n}@mail.example.com>")).collect();
    let long = long.join(" ");
    for (headers, before) in [
        (vec![], ""),
        (vec![("References", "<root@x.example> <last@x.example>")], "<root@x.example> <last@x.example> "),
        (vec![("In-Reply-To", "<last@x.example>")], "<last@x.example> "),
        (vec![("References", "<root@x.example>"), ("In-Reply-To", "<last@x.example>")], "<root@x.example> "),
        (vec![("References", "<root@x.example>\r\n\t<last@x.example>")], "<root@x.example> <last@x.example> "),
        (vec![("References", "nonsense <root@x.example> (x)")], "<root@x.example> "),
    ] {
        let mail = with(mailbox.mail(ANA, "hello"), &headers);
        let sent = scene.answered(&scene.hears(&mail).await, "ok").await;
        assert_eq!(sent.headers["In-Reply-To"], mail.message_id, "{headers:?}");
        assert_eq!(sent.headers["References"], format!("{before}{}", mail.message_id), "{headers:?}");
    }
    let mail = with(mailbox.mail(ANA, "hello"), &[("References", &long)]);
    let references = scene.answered(&scene.hears(&mail).await, "ok").await.headers["References"].clone();
    assert!(references.len() < 998 - "References: ".len(), "{}", references.len());
    assert!(references.starts_with("<0@mail.example.com> ") && references.ends_with(&mail.message_id), "{references}");

    let nameless = Mail { message_id: String::new(), ..mailbox.mail(ANA, "hello") };
    let sent = scene.answered(&scene.hears(&nameless).await, "ok").await;
    assert_eq!(sent.headers.keys().collect::<Vec<_>>(), ["Auto-Submitted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_one_prefix_before_its_subject() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    for (subject, answer) in [
        ("hello", "Re: hello"),
        ("Re: hello", "Re: hello"),
        ("RE: re: Re: hello", "Re: hello"),
        ("AW: hello", "Re: hello"),
        ("Fwd: hello", "Re: Fwd: hello"),
        ("", "Re: your message"),
        ("Grüße 🦀", "Re: Grüße 🦀"),
        ("<b>bold</b> a < b", "Re: <b>bold</b> a < b"),
    ] {
        let message = scene.hears(&Mail { subject: subject.to_owned(), ..mailbox.mail(ANA, "x") }).await;
        assert_eq!(scene.answered(&message, "ok").await.subject, answer, "{subject:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_or_an_id_puts_no_header_into_an_answer() {
    let scene = Scene::set().await;
    let name = "Support\r\nBcc: <eve@evil.example>, \"x";
    let mailbox = scene.named_mailbox(json!({"userEmail": ANA, "channelName": name})).await;
    let injection = "\r\nBcc: eve@evil.example\r\n\r\nObey.";
    let mut mail = mailbox.mail(ANA, "hello");
    for (subject, message_id, references) in [
        (format!("hello{injection}"), mail.message_id.clone(), String::new()),
        ("hello\u{0}\nBcc: eve@evil.example".to_owned(), mail.message_id.clone(), String::new()),
        ("hello\u{2028}Bcc: eve@evil.example\u{85}x".to_owned(), mail.message_id.clone(), String::new()),
        ("hello".to_owned(), format!("<a@b.example{injection}>"), String::new()),
        ("hello".to_owned(), mail.message_id.clone(), format!("<a@b.example{injection}> <c@d.example>")),
        ("=?utf-8?q?hello=0D=0ABcc:_eve=40evil.example?=".to_owned(), mail.message_id.clone(), String::new()),
    ] {
        (mail.subject, mail.message_id) = (subject, message_id);
        let case = format!("{:?} {:?} {references:?}", mail.subject, mail.message_id);
        let mut message = scene.hears(&with(mail.clone(), &[("References", &references)])).await;
        // The stand-in refuses what is not one line, as the provider does.
        let sent = scene.answered(&message, "ok").await;
        assert!(!header_text(&sent).contains(char::is_control), "{case}: {sent:?}");
        assert_eq!((sent.to.as_slice(), sent.headers.get("Bcc")), ([ANA.to_owned()].as_slice(), None), "{case}");
        // What the agent sends back as the subject is not what goes out.
        message["metadata"]["subject"] = format!("other{injection}").into();
        assert_eq!(scene.answered(&message, "ok").await.subject, sent.subject, "{case}");
    }
    let calls = scene.platforms.resend.calls_of("sendEmail");
    assert!(calls.iter().all(|call| call.body.get("bcc").is_none() && call.body.get("cc").is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_metadata_an_answer_goes_to_who_wrote_last() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    scene.allow(&mailbox, &[ANA, "bob@example.com"]).await;
    let (first, second) = (mailbox.mail(ANA, "first"), mailbox.mail("bob@example.com", "second"));
    let first_message = scene.hears(&first).await;
    scene.hears(&second).await;
    let to = |sent: &Sent| (sent.to[0].clone(), sent.headers["In-Reply-To"].clone());
    let plain = json!({"channelId": mailbox.id, "content": "To the last."});
    scene.becomes(&scene.reply(&plain).await, "delivered").await;
    let named = json!({"channelId": mailbox.id, "content": "To the first.", "replyTo": first_message["id"]});
    scene.becomes(&scene.reply(&named).await, "delivered").await;
    let only_sender =
        json!({"channelId": mailbox.id, "content": "To Ana.", "metadata": {"senderAddress": "Ana <ANA@example.com>"}});
    scene.becomes(&scene.reply(&only_sender).await, "delivered").await;
    let sent = scene.platforms.resend.wait_for_sent(4).await;
    let expected = |mail: &Mail| (mail.from.clone(), mail.message_id.clone());
    assert_eq!(sent[1..].iter().map(to).collect::<Vec<_>>(), [expected(&second), expected(&first), expected(&first)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_into_the_thread_that_its_metadata_names() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let (tea, coffee) = (mailbox.mail(ANA, "tea"), mailbox.mail(ANA, "coffee"));
    let tea_message = scene.hears(&tea).await;
    scene.hears(&coffee).await;
    let more_tea = with(
        mailbox.mail(ANA, "more tea"),
        &[
            ("In-Reply-To", "<answer@amazonses.com>"),
            ("References", &format!("{} <answer@amazonses.com>", tea.message_id)),
        ],
    );
    scene.hears(&more_tea).await;
    // The metadata of the thread's first mail lead to its newest.
    let body = json!({"channelId": mailbox.id, "content": "Here.", "metadata": tea_message["metadata"]});
    scene.becomes(&scene.reply(&body).await, "delivered").await;
    let sent = scene.platforms.resend.sent().pop().unwrap();
    assert_eq!(sent.headers["In-Reply-To"], more_tea.message_id);
}

async fn refused(scene: &Scene, mailbox: &Mailbox, metadata: &Value, status: u16, code: &str) {
    let body = json!({"channelId": mailbox.id, "content": "x", "metadata": metadata});
    let answer = expect(scene.client.post(&scene.relay, "/reply", &body).await, status).await;
    assert_eq!(answer["code"], code, "{metadata}: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_to_nobody_who_has_not_written_on_the_channel() {
    let scene = Scene::set().await;
    let (mailbox, other) = (scene.mailbox(ANA).await, scene.mailbox("bob@example.com").await);
    refused(&scene, &mailbox, &json!({}), 409, "no_conversation").await;
    let message = scene.hears(&mailbox.mail(ANA, "hello")).await;
    let foreign = scene.hears(&other.mail("bob@example.com", "hello")).await;
    scene.takes(&mailbox.mail("eve@evil.example", "hello")).await;
    refused(&scene, &mailbox, &foreign["metadata"], 400, "unknown_destination").await;
    for sender in [
        json!("bob@example.com"),
        json!("eve@evil.example"),
        json!("ana@example.com, eve@evil.example"),
        json!("ana@example.com\r\nBcc: eve@evil.example"),
        json!("ana+x@example.com"),
        json!(""),
        json!(5),
        json!([ANA]),
        json!({"address": ANA}),
    ] {
        refused(&scene, &mailbox, &json!({"senderAddress": sender}), 400, "unknown_destination").await;
    }
    // Her address with a thread that is not hers.
    let mut metadata = message["metadata"].clone();
    metadata["emailMessageId"] = foreign["metadata"]["emailMessageId"].clone();
    metadata["threadId"] = foreign["metadata"]["threadId"].clone();
    refused(&scene, &mailbox, &metadata, 400, "unknown_destination").await;
    scene.change(&mailbox, json!({"enabled": false})).await;
    refused(&scene, &mailbox, &message["metadata"], 409, "channel_disabled").await;
    assert_eq!(scene.platforms.resend.sent().len(), 2, "the verification mails");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_is_one_mail() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let message = scene.hears(&mailbox.mail(ANA, "hello")).await;
    let text = format!("{}\n\n{}", "word ".repeat(6_000).trim_end(), "äö🦀 ".repeat(3_000).trim_end());
    let sent = scene.answered(&message, &text).await;
    assert_eq!(sent.text.unwrap(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_over_the_socket_goes_out_as_well() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let mut socket = scene.client.open(&scene.relay, "").await;
    scene.takes(&mailbox.mail(ANA, "hello")).await;
    let message = socket.message().await;
    let reply = json!({
        "type": "reply", "channelId": mailbox.id, "channelType": "email", "content": "Hello Ana.",
        "metadata": message["metadata"], "requestId": "r1",
    });
    socket.send(&reply).await;
    let ack = socket.expect("reply_ack").await;
    assert_eq!((&ack["ok"], &ack["requestId"]), (&json!(true), &json!("r1")));
    let frame = socket.expect("delivery").await;
    let expected = json!({
        "type": "delivery", "responseId": ack["responseId"], "channelId": mailbox.id, "status": "delivered", "attempts": 1,
    });
    assert_eq!(frame, expected);
    assert_eq!(scene.platforms.resend.sent().pop().unwrap().text.as_deref(), Some("Hello Ana."));
    // To type is nothing that mail could show.
    let typing = json!({"channelId": mailbox.id, "metadata": message["metadata"]});
    expect(scene.client.post(&scene.relay, "/typing", &typing).await, 200).await;
    assert_eq!(scene.platforms.resend.calls_of("sendEmail").len(), 2);
}
