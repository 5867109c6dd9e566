//! Who may write: the list, the forms in which a sender is named, and what can be known of forgery.

use serde_json::{Value, json};

use super::scene::{ANA, Mailbox, Scene, notice};
use crate::support::platforms::resend::Mail;

/// A mail whose sender is written like this; otherwise it is Ana's.
fn from(mailbox: &Mailbox, written: &str) -> Mail {
    Mail { from: written.to_owned(), ..mailbox.mail(ANA, "hello") }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_on_the_list_is_heard() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    for stranger in [
        "eve@evil.example",
        "bob@example.com",
        "ana@example.com.evil.example",
        "ana@sub.example.com",
        "evil-ana@example.com",
        "ana@example.co",
        "ana+tag@example.com",
        "a.na@example.com",
        "ana@ex\u{430}mple.com",
        "\u{430}na@example.com",
        "\"ana@example.com\" <eve@evil.example>",
        "ana@example.com <eve@evil.example>",
        "<ana@example.com> <eve@evil.example>",
        "=?utf-8?q?ana=40example=2Ecom?= <eve@evil.example>",
        "eve@evil.example (ana@example.com)",
        "ana@example.com, eve@evil.example",
        "eve@evil.example, ana@example.com",
        "ana@example.com, ana@example.com",
        "Friends: ana@example.com;",
        "Friends: ana@example.com, eve@evil.example;",
        "<>",
        "ana",
        "\"ana@example.com\"",
        "ana@example.com\u{0}@evil.example",
        "ana@example.com\r\nFrom: eve@evil.example",
    ] {
        let mail = from(&mailbox, stranger);
        // What the mail itself says is not even looked at.
        let mut data = notice(&scene.platforms.resend.store(&mailbox.mail(ANA, "hello")), &mail);
        data["from"] = stranger.into();
        assert_eq!(scene.tell(data).await.statuses(), [Some(200)], "{stranger:?}");
        assert_eq!(scene.fetches(), 0, "{stranger:?}");
    }
    assert!(scene.messages().await.is_empty());
    scene.takes(&mailbox.mail(ANA, "hello")).await;
    assert_eq!(scene.texts().await, ["hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_is_known_however_the_name_is_written() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    for written in [
        "ana@example.com",
        "<ana@example.com>",
        "Ana Lopez <ana@example.com>",
        "\"Lopez, Ana\" <ana@example.com>",
        "Lopez, Ana <ana@example.com>",
        "\"eve@evil.example\" <ana@example.com>",
        "ANA@EXAMPLE.COM",
        "Ana <Ana@Example.com>",
        "=?utf-8?q?An=C3=A1?= <ana@example.com>",
        "Aná <ana@example.com>",
        "ana@example.com (Ana)",
        "\"Ana \\\"the boss\\\" <x>\" <ana@example.com>",
    ] {
        let message = scene.hears(&from(&mailbox, written)).await;
        assert_eq!(message["from"], ANA, "{written}");
        assert_eq!(message["metadata"]["senderAddress"], ANA, "{written}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_the_channel_decides_who_is_on_the_list() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    scene.takes(&mailbox.mail("bob@example.com", "before")).await;
    scene.allow(&mailbox, &["Bob@Example.COM", "Carol@B\u{dc}CHER.example"]).await;
    scene.takes(&mailbox.mail("bob@example.com", "bob")).await;
    scene.takes(&mailbox.mail("BOB@example.com", "bob in capitals")).await;
    scene.takes(&mailbox.mail("carol@xn--bcher-kva.example", "carol")).await;
    scene.takes(&mailbox.mail(ANA, "no longer")).await;
    scene.allow(&mailbox, &[]).await;
    scene.takes(&mailbox.mail("bob@example.com", "after")).await;
    assert_eq!(scene.texts().await, ["bob", "bob in capitals", "carol"]);
}

/// A mail with these verdicts on it, the topmost first.
fn judged(mailbox: &Mailbox, verdicts: &[&str]) -> Mail {
    let mail = mailbox.mail(ANA, &verdicts.join(" and ")).without_header("Authentication-Results");
    verdicts.iter().fold(mail, |mail, verdict| mail.header("Authentication-Results", verdict))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_fails_dmarc_is_dropped() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let pass = "amazonses.com; dmarc=pass header.from=example.com";
    for verdicts in [
        vec!["amazonses.com; spf=pass; dkim=pass; dmarc=fail header.from=example.com"],
        vec!["amazonses.com; dmarc=fail (p=REJECT) header.from=example.com"],
        vec!["amazonses.com; spf=fail smtp.mailfrom=evil.example; dkim=none; DMARC=FAIL"],
        vec!["AMAZONSES.COM; dmarc = fail"],
        vec!["amazonses.com; dmarc=pass header.from=evil.example"],
        vec!["amazonses.com; dmarc=pass header.from=ample.com"],
        // Whatever the sender puts above or below, the host's own verdict stands.
        vec!["mx.evil.example; dmarc=pass header.from=example.com", "amazonses.com; dmarc=fail"],
        vec![pass, "amazonses.com; dmarc=fail"],
        vec!["amazonses.com; dmarc=fail", pass],
    ] {
        for lists_are_text in [false, true] {
            scene.takes(&Mail { lists_are_text, ..judged(&mailbox, &verdicts) }).await;
            assert!(scene.messages().await.is_empty(), "{verdicts:?}");
        }
    }
    assert_eq!(scene.fetches(), 18, "each was looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_found_out_about_the_sender_stands_with_the_mail() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let all = json!({"spf": "pass", "dkim": "pass", "dmarc": "pass"});
    for (verdicts, expected) in [
        (
            vec!["amazonses.com; spf=pass; dkim=pass header.i=@example.com; dmarc=pass header.from=example.com"],
            all.clone(),
        ),
        (
            vec!["amazonses.com; spf=softfail (x; dmarc=fail) smtp.mailfrom=a@example.com; dkim=none"],
            json!({"spf": "softfail", "dkim": "none"}),
        ),
        (vec!["amazonses.com; dmarc=none header.from=example.com"], json!({"dmarc": "none"})),
        // Anybody can write such a header: only the host's own, on top, is believed.
        (vec!["mx.evil.example; spf=pass; dkim=pass; dmarc=pass header.from=example.com"], Value::Null),
        (vec!["amazonses.com.evil.example; dmarc=pass header.from=example.com"], Value::Null),
        (vec!["mx.evil.example; dmarc=none", "amazonses.com; dmarc=pass header.from=example.com"], Value::Null),
        (
            vec!["amazonses.com; spf=pass; dkim=pass; dmarc=pass header.from=example.com", "mx.evil.example; spf=fail"],
            all,
        ),
        (vec!["amazonses.com; none"], Value::Null),
        (vec!["garbage \"("], Value::Null),
        (vec![], Value::Null),
    ] {
        let message = scene.hears(&judged(&mailbox, &verdicts)).await;
        assert_eq!(message["metadata"]["authentication"], expected, "{verdicts:?}");
        assert_eq!(message["metadata"].get("authentication").is_some(), !expected.is_null(), "{verdicts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_names_another_sender_too_is_dropped() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    for froms in [
        vec!["eve@evil.example"],
        vec!["Ana <ana@example.com>", "eve@evil.example"],
        vec!["eve@evil.example", "Ana <ana@example.com>"],
        vec![ANA, ANA],
        vec!["ana@example.com, eve@evil.example"],
        vec!["Friends: ana@example.com;"],
    ] {
        for lists_are_text in [false, true] {
            let mail = froms.iter().fold(mailbox.mail(ANA, "hello"), |mail, from| mail.header("From", from));
            scene.takes(&Mail { lists_are_text, ..mail }).await;
            assert!(scene.messages().await.is_empty(), "{froms:?}");
        }
    }
    // The event says Ana, the mail says somebody else.
    let mail = mailbox.mail("eve@evil.example", "hello");
    let mut data = notice(&scene.platforms.resend.store(&mail), &mail);
    data["from"] = ANA.into();
    scene.tell(data).await.accepted();
    assert!(scene.messages().await.is_empty());
    assert_eq!(scene.fetches(), 13, "each was looked at");
    scene.hears(&mailbox.mail("Ana <ana@example.com>", "hello").header("From", "Ana <ana@example.com>")).await;
}
