use super::*;
use crate::channels::api::ApiAnswer;
use crate::channels::email::mail::Fetched;
use crate::channels::email::notice::Notice;
use proptest::prelude::*;

const TO: &str = "support-ab12cd34ef@in.example.net";

fn notice(data: &Value) -> ReceivedNotice {
    let mut event = json!({"type": "email.received", "data": {
        "email_id": "56761188-7520-42d8-8898-ff6fc54ce618", "from": "Ana Example <Ana@Example.com>",
        "received_for": [TO], "message_id": "<CAF2@mail.example.com>", "subject": "Re: hello",
    }});
    for (name, value) in data.as_object().unwrap() {
        event["data"][name] = value.clone();
    }
    match Notice::read(event.to_string().as_bytes(), "in.example.net") {
        Notice::Received(notice) => *notice,
        Notice::Other => panic!("{event}"),
    }
}

fn mail(fields: &Value) -> FetchedMail {
    let mut mail = json!({
        "from": "Ana Example <Ana@Example.com>", "subject": "Re: hello", "message_id": "<CAF2@mail.example.com>",
        "text": "Thanks\n\n> hello", "html": null, "attachments": [],
        "headers": {"in-reply-to": "<0100@eu-west-1.amazonses.com>",
                    "references": "<CAF1@mail.example.com>\r\n <0100@eu-west-1.amazonses.com>"},
    });
    for (name, value) in fields.as_object().unwrap() {
        mail[name] = value.clone();
    }
    match Fetched::read(&ApiAnswer { status: 200, headers: Vec::new(), body: mail.to_string().into() }) {
        Fetched::Mail(mail) => *mail,
        other => panic!("{other:?}"),
    }
}

fn inbound(data: &Value, fields: Option<&Value>) -> Inbound {
    let notice = notice(data);
    let sender = notice.from.clone().unwrap();
    to_inbound(&notice, &sender, fields.map(mail).as_ref(), TO)
}

/// The message of a mail with these fields.
fn of(fields: &Value) -> Inbound {
    inbound(&json!({}), Some(fields))
}

/// The message of a mail with these headers and no others.
fn with_headers(headers: &Value) -> Inbound {
    of(&json!({"headers": headers}))
}

fn names(metadata: &Map<String, Value>) -> Vec<&str> {
    metadata.keys().map(String::as_str).collect()
}

#[test]
fn a_mail_becomes_a_message_as_the_contract_says() {
    let inbound = of(&json!({}));
    assert_eq!(inbound.content, "Subject: Re: hello\n\nThanks\n\n> hello");
    assert_eq!(inbound.from, "ana@example.com");
    assert_eq!(inbound.sender, json!("ana@example.com"));
    assert_eq!(
        Value::Object(inbound.metadata),
        json!({
            "senderAddress": "ana@example.com", "subject": "Re: hello", "toAddress": TO,
            "threadId": "<0100@eu-west-1.amazonses.com>", "isReply": true, "emailMessageId": "<CAF2@mail.example.com>",
            "inReplyTo": "<0100@eu-west-1.amazonses.com>",
            "references": "<CAF1@mail.example.com> <0100@eu-west-1.amazonses.com>",
        })
    );
    assert_eq!(inbound.repeat_key, "56761188-7520-42d8-8898-ff6fc54ce618");
    assert_eq!(inbound.conversation, ConversationKey::new("ana@example.com", Some("<CAF1@mail.example.com>")));
    assert_eq!(
        inbound.details,
        json!({
            "messageId": "<CAF2@mail.example.com>",
            "references": "<CAF1@mail.example.com> <0100@eu-west-1.amazonses.com>",
            "subject": "Re: hello", "sender": "Ana@example.com",
        })
    );
    assert!(inbound.pairing.is_none() && inbound.answer_secret.is_none() && inbound.acknowledge.is_none());
    assert!(!inbound.is_group && !inbound.is_question && !inbound.answers_in_response);
}

#[test]
fn the_first_mail_of_a_thread_names_itself() {
    let inbound = with_headers(&json!(null));
    assert_eq!(inbound.metadata["threadId"], "<CAF2@mail.example.com>");
    assert_eq!(inbound.metadata["isReply"], false);
    assert_eq!(
        names(&inbound.metadata),
        ["senderAddress", "subject", "toAddress", "threadId", "isReply", "emailMessageId"]
    );
    assert_eq!(inbound.conversation.thread.as_deref(), Some("<CAF2@mail.example.com>"));
    assert_eq!(inbound.details["references"], "");
}

#[test]
fn the_providers_verdict_goes_with_the_message() {
    let inbound = with_headers(&json!({"Authentication-Results": "amazonses.com; spf=pass; dmarc=none"}));
    assert_eq!(inbound.metadata["authentication"], json!({"spf": "pass", "dmarc": "none"}));
    assert_eq!(inbound.metadata["isReply"], false);
}

#[test]
fn every_mail_of_a_thread_is_in_one_conversation() {
    let root = |headers: Value| with_headers(&headers).conversation.thread.unwrap();
    assert_eq!(root(json!({"references": "<a@x> <b@x>", "in-reply-to": "<b@x>"})), "<a@x>");
    assert_eq!(root(json!({"references": "<a@x>"})), "<a@x>");
    assert_eq!(root(json!({"in-reply-to": "<a@x>"})), "<a@x>");
    assert_eq!(root(json!({"references": "none", "in-reply-to": "none"})), "<CAF2@mail.example.com>");
    let long: Vec<String> = (0..500).map(|n| format!("<{n}@mail.example.com>")).collect();
    let inbound = with_headers(&json!({"references": long.join(" ")}));
    assert_eq!(inbound.conversation.thread.as_deref(), Some("<0@mail.example.com>"));
    let (kept, sent) =
        (inbound.metadata["references"].as_str().unwrap(), inbound.details["references"].as_str().unwrap());
    assert!(kept.len() <= 4096 && sent.len() <= 900);
    assert!(kept.starts_with("<0@mail.example.com> ") && kept.ends_with(" <499@mail.example.com>"));
    assert!(sent.starts_with("<0@mail.example.com> ") && sent.ends_with(" <499@mail.example.com>"));
}

#[test]
fn a_reply_with_the_metadata_of_a_message_finds_its_conversation() {
    for headers in [
        json!({"references": "<a@x> <b@x>", "in-reply-to": "<b@x>"}),
        json!({"in-reply-to": "<b@x> <c@x>"}),
        json!({"references": "garbage"}),
        json!(null),
    ] {
        let inbound = with_headers(&headers);
        assert_eq!(destination(&inbound.metadata), Some(Destination::Exactly(inbound.conversation)), "{headers}");
    }
    for id in [json!(null), json!(""), json!("no\nid at all"), json!("<no-at>"), json!("<a\n>"), json!("<b/1@x>")] {
        let inbound = inbound(&json!({"message_id": id}), Some(&json!({"headers": null, "message_id": id})));
        assert_eq!(destination(&inbound.metadata), Some(Destination::Exactly(inbound.conversation)), "{id}");
    }
}

#[test]
fn a_reply_that_names_only_the_sender_goes_to_the_newest_thread() {
    let of = |metadata: Value| destination(metadata.as_object().unwrap());
    let chat = |chat: &str| Some(Destination::Chat(chat.to_owned()));
    assert_eq!(of(json!({"senderAddress": "Ana@EXAMPLE.com"})), chat("ana@example.com"));
    assert_eq!(
        of(json!({"senderAddress": "Ana <ana@example.com>", "references": "", "inReplyTo": null})),
        chat("ana@example.com")
    );
    assert_eq!(of(json!({})), None);
    assert_eq!(of(json!({"senderAddress": null, "emailMessageId": "<a@x>"})), None);
    assert_eq!(of(json!({"emailMessageId": "<a@x>"})), None);
}

#[test]
fn a_sender_that_is_no_address_is_nobodys_conversation() {
    let of = |sender: Value| destination(json!({"senderAddress": sender}).as_object().unwrap());
    for sender in [json!("ana"), json!("a@example.com, b@example.com"), json!(5), json!(["ana@example.com"]), json!("")]
    {
        let Some(Destination::Chat(chat)) = of(sender.clone()) else { panic!("{sender}") };
        assert!(EmailAddress::parse_bare(&chat).is_err(), "{sender}");
    }
}

#[test]
fn a_mail_without_an_id_of_its_own_is_known_by_resends() {
    let nameless = |id: Value| inbound(&json!({"message_id": null}), Some(&json!({"headers": {}, "message_id": id})));
    let inbound = nameless(json!(null));
    assert_eq!(inbound.metadata["emailMessageId"], "56761188-7520-42d8-8898-ff6fc54ce618");
    assert_eq!(inbound.details["messageId"], Value::Null);
    let odd = nameless(json!(" <no at>\r\nBcc: x "));
    assert_eq!(odd.metadata["emailMessageId"], "<no at> Bcc: x");
    assert_eq!(odd.details["messageId"], Value::Null);
    assert_eq!(nameless(json!("x".repeat(5_000))).metadata["emailMessageId"].as_str().unwrap().len(), 400);
}

#[test]
fn a_mail_that_could_not_be_fetched_has_its_subject_and_a_note() {
    let inbound = inbound(&json!({}), None);
    assert_eq!(inbound.content, "Subject: Re: hello\n\n[The text of this mail could not be fetched.]");
    assert_eq!(inbound.metadata["threadId"], "<CAF2@mail.example.com>");
    assert_eq!(inbound.metadata["isReply"], false);
    assert!(!inbound.metadata.contains_key("authentication") && !inbound.metadata.contains_key("mediaType"));
    assert_eq!(inbound.details["sender"], "Ana@example.com");
}

#[test]
fn attachments_are_named_behind_the_text() {
    let files = json!([{"filename": "a.png"}, {"filename": "b.pdf"}]);
    let with_text = of(&json!({"attachments": files}));
    assert!(
        with_text.content.ends_with("> hello\n\n[attachment: a.png]\n[attachment: b.pdf]"),
        "{}",
        with_text.content
    );
    assert!(!with_text.metadata.contains_key("mediaType"));
    let without = of(&json!({"text": "", "attachments": files}));
    assert_eq!(without.content, "Subject: Re: hello\n\n[attachment: a.png]\n[attachment: b.pdf]");
    assert_eq!(without.metadata["mediaType"], "attachment");
    let many = of(&json!({"attachments": vec![json!({"filename": "a"}); 51]}));
    assert!(many.content.ends_with("[attachment: a]\n[1 more attachments]"));
    let empty = of(&json!({"text": null}));
    assert_eq!(empty.content, "Subject: Re: hello\n\n");
    assert!(!empty.metadata.contains_key("mediaType"));
}

#[test]
fn a_subject_cannot_break_out_of_its_line_nor_carry_markup_into_the_metadata() {
    let inbound = of(&json!({"subject": "a\r\nX: y\u{202E} <script>z</script>"}));
    assert!(inbound.content.starts_with("Subject: a X: y <script>z</script>\n\n"));
    assert_eq!(inbound.metadata["subject"], "a X: y ");
    assert_eq!(inbound.details["subject"], "a X: y <script>z</script>");
    assert_eq!(of(&json!({"subject": null})).metadata["subject"], "Re: hello");
    assert_eq!(of(&json!({"subject": ""})).metadata["subject"], "");
}

proptest! {
    #[test]
    fn whatever_the_headers_say_a_reply_finds_the_conversation(
        references in "[<>@a-c \r\n]{0,30}", in_reply_to in "[<>@a-c \r\n]{0,20}", id in "[<>@a-c \r\n]{0,20}",
    ) {
        let headers = json!({"references": references, "in-reply-to": in_reply_to});
        let inbound = of(&json!({"headers": headers, "message_id": id}));
        prop_assert_eq!(destination(&inbound.metadata), Some(Destination::Exactly(inbound.conversation.clone())));
        prop_assert!(!inbound.metadata["threadId"].as_str().unwrap().contains(['\r', '\n']));
        prop_assert!(!inbound.details.to_string().contains("\\n"));
    }
}
