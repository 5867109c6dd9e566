//! Mail that machines write: to answer it could go on for ever.

use super::scene::{ANA, Scene};
use crate::support::platforms::resend::Mail;

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_a_machine_wrote_is_dropped() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let signs = [
        ("Auto-Submitted", "auto-replied"),
        ("Auto-Submitted", "auto-generated"),
        ("AUTO-SUBMITTED", "Auto-Notified; owner-email=\"ana@example.com\""),
        ("Precedence", "bulk"),
        ("precedence", "List"),
        ("Precedence", "junk"),
        ("Precedence", "auto_reply"),
        ("List-Id", "News <news.example.com>"),
        ("List-Unsubscribe", "<https://example.com/unsubscribe>"),
        ("List-Post", "NO"),
        ("Return-Path", "<>"),
        ("Content-Type", "multipart/report; report-type=delivery-status; boundary=x"),
        ("X-Auto-Response-Suppress", "All"),
        ("X-Auto-Response-Suppress", "DR, OOF"),
        ("X-Autoreply", "yes"),
        ("X-Autorespond", "Out of office"),
        ("X-Loop", "support@in.example.net"),
    ];
    for (name, value) in signs {
        for lists_are_text in [false, true] {
            // Beside a harmless one of the same name, so that it comes in a list.
            let mail = mailbox.mail(ANA, "I am away.").header(name, "no").header(name, value);
            scene.takes(&Mail { lists_are_text, ..mail }).await;
        }
        scene.takes(&mailbox.mail(ANA, "I am away.").header(name, value)).await;
        assert!(scene.messages().await.is_empty(), "{name}: {value}");
    }
    assert_eq!(scene.fetches(), 3 * signs.len(), "each was looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_a_person_wrote_arrives_with_harmless_headers() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    for (name, value) in [
        ("Auto-Submitted", "no"),
        ("Auto-Submitted", "No (a person wrote this)"),
        ("Precedence", "first-class"),
        ("Return-Path", "<ana@example.com>"),
        ("Content-Type", "multipart/alternative; boundary=\"multipart/report\""),
        ("X-Auto-Response-Suppress", "DR, RN, NRN"),
        ("X-Mailing-List", "none"),
    ] {
        scene.hears(&mailbox.mail(ANA, "hello").header(name, value)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_systems_and_the_relay_itself_are_not_even_looked_at() {
    let scene = Scene::set().await;
    let (mailbox, other) = (scene.mailbox(ANA).await, scene.mailbox(ANA).await);
    let senders = [
        "MAILER-DAEMON@example.com",
        "Mail Delivery Subsystem <mailer-daemon@example.com>",
        "postmaster@example.com",
        "no-reply@in.example.net",
        "Anybody <anybody@IN.example.net>",
        other.address.as_str(),
        mailbox.address.as_str(),
        "<>",
        "",
    ];
    // Not even when the owner lets them in.
    let bare = senders.map(|sender| sender.rsplit(['<', ' ']).next().unwrap().trim_end_matches('>'));
    let addresses: Vec<_> = bare.into_iter().filter(|address| !address.is_empty()).collect();
    scene.allow(&mailbox, &addresses).await;
    for sender in senders {
        scene.takes(&Mail { from: sender.to_owned(), ..mailbox.mail(ANA, "returned") }).await;
        assert!(scene.messages().await.is_empty(), "{sender}");
    }
    assert_eq!(scene.fetches(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_relay_answers_would_be_dropped_by_another_relay_and_by_itself() {
    let scene = Scene::set().await;
    let (mailbox, other) = (scene.mailbox(ANA).await, scene.mailbox(ANA).await);
    let answer = scene.answered(&scene.hears(&mailbox.mail(ANA, "hello")).await, "Hello Ana.").await;
    let back = |from: &str| {
        let mail = Mail::new(from, &other.address, &answer.subject, answer.text.as_ref().unwrap());
        answer.headers.iter().fold(mail, |mail, (name, value)| mail.header(name, value))
    };
    scene.allow(&other, &[ANA, &mailbox.address]).await;
    scene.takes(&back(&answer.from)).await;
    // Another relay has another domain, and knows the answer by what stands in it.
    scene.takes(&back(ANA)).await;
    assert_eq!(scene.texts().await, ["hello"]);
    scene.hears(&Mail::new(ANA, &other.address, &answer.subject, "hello")).await;
}
