//! Mail in forms that hardly anybody sends, and the provider's own odd forms.

use serde_json::json;

use super::scene::{ANA, Scene, notice};
use crate::support::platforms::resend::Mail;

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_of_which_next_to_nothing_is_known_arrives() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let bare = Mail { headers: None, text: None, received_for: None, ..mailbox.mail(ANA, "") };
    let message = scene.hears(&bare).await;
    assert_eq!(message["content"], "Subject: hello\n\n");
    for absent in ["authentication", "inReplyTo", "references", "mediaType"] {
        assert_eq!(message["metadata"].get(absent), None, "{absent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_without_an_id_has_the_providers() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    for (written, shown) in [("", None), ("  ", None), ("no-brackets@example.com", Some("no-brackets@example.com"))] {
        let mail = Mail { message_id: written.to_owned(), ..mailbox.mail(ANA, "x") };
        let delivery = scene.takes(&mail).await;
        let metadata = scene.messages().await.pop().unwrap()["metadata"].clone();
        let expected = shown.map_or(delivery.event["data"]["email_id"].clone(), |shown| json!(shown));
        assert_eq!((&metadata["emailMessageId"], &metadata["threadId"]), (&expected, &expected), "{written:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_there_several_times_are_read_in_both_forms() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    for lists_are_text in [false, true] {
        let mail = mailbox
            .mail(ANA, "x")
            .header("in-reply-to", "<first@mail.example.com>")
            .header("In-Reply-To", "<second@mail.example.com>")
            .header("REFERENCES", "<root@mail.example.com>")
            .header("Received", "from a")
            .header("Received", "from b");
        let metadata = scene.hears(&Mail { lists_are_text, ..mail }).await["metadata"].clone();
        assert_eq!(metadata["inReplyTo"], "<first@mail.example.com>", "{lists_are_text}");
        assert_eq!(metadata["references"], "<root@mail.example.com>");
        assert_eq!(metadata["threadId"], "<first@mail.example.com>");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn references_that_are_none_are_left_out_and_too_many_are_cut() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let mail = mailbox.mail(ANA, "x").header("References", "see below").header("In-Reply-To", "your mail of Monday");
    let metadata = scene.hears(&mail).await["metadata"].clone();
    assert_eq!((metadata.get("references"), metadata.get("inReplyTo")), (None, None));
    assert_eq!((&metadata["isReply"], &metadata["threadId"]), (&json!(false), &json!(mail.message_id)));

    let ids: Vec<String> = (0..5_000).map(|n| format!("<{n}@mail.example.com>")).collect();
    let metadata = scene.hears(&mailbox.mail(ANA, "x").header("References", &ids.join(" "))).await["metadata"].clone();
    let references = metadata["references"].as_str().unwrap();
    assert!(references.len() <= 4096, "{}", references.len());
    assert!(references.starts_with("<0@mail.example.com> <") && references.ends_with(" <4999@mail.example.com>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_mail_itself_says_counts_before_what_the_event_says() {
    let scene = Scene::set().await;
    let mailbox = scene.mailbox(ANA).await;
    let mail = Mail { subject: "the mail's".to_owned(), ..mailbox.mail(ANA, "x") };
    let mut data = notice(&scene.platforms.resend.store(&mail), &mail);
    (data["subject"], data["message_id"]) = (json!("the event's"), json!("<other@mail.example.com>"));
    scene.tell(data).await.accepted();
    let message = scene.messages().await.pop().unwrap();
    assert_eq!(message["content"], "Subject: the mail's\n\nx");
    assert_eq!(message["metadata"]["emailMessageId"], mail.message_id.as_str());
}
