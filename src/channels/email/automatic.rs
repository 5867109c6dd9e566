//! Mail that a machine wrote: answering it could go on for ever.

use super::address::EmailAddress;
use super::headers::Headers;

/// Why a mail with these headers is a machine's, if it is.
///
/// Sources: RFC 3834 §2 and §5 (`Auto-Submitted`, the null return path), RFC 3464 (`multipart/report`),
/// RFC 2919 and RFC 2369 (`List-*`); the others are conventions of Microsoft and of mailing-list software.
pub(super) fn by_headers(headers: &Headers) -> Option<&'static str> {
    let says =
        |name: &'static str, words: &[&str]| headers.all(name).flat_map(words_of).any(|word| is_one(word, words));
    if headers.all("auto-submitted").flat_map(words_of).any(|word| !is_one(word, &["no"])) {
        return Some("it was submitted automatically");
    }
    if headers.all("return-path").any(|path| path.split_whitespace().collect::<String>() == "<>") {
        return Some("it has an empty return path");
    }
    if headers.all("content-type").any(is_report) {
        return Some("it is a delivery report");
    }
    if headers.any_begins_with("list-") {
        return Some("it comes from a mailing list");
    }
    if says("precedence", &["bulk", "list", "junk", "auto_reply"]) {
        return Some("it is bulk mail");
    }
    if says("x-auto-response-suppress", &["all", "autoreply", "oof"]) {
        return Some("it asks for no automatic answer");
    }
    let marks = ["x-autoreply", "x-autorespond", "x-loop"];
    let is_marked = |name: &'static str| headers.all(name).any(|value| !value.trim().eq_ignore_ascii_case("no"));
    marks.into_iter().any(is_marked).then_some("it is an automatic answer")
}

/// Why mail from this address is a machine's, if it is. `own_domain` is where the relay's own addresses are.
pub(super) fn by_sender(sender: &EmailAddress, own_domain: &str) -> Option<&'static str> {
    if sender.domain() == own_domain {
        return Some("it comes from an address of the relay");
    }
    let is_system = matches!(sender.local(), "mailer-daemon" | "postmaster");
    is_system.then_some("it comes from a mail system")
}

/// The words of a value, without parameters and comments: `auto-replied; owner=x`, `no (none)`.
fn words_of(value: &str) -> impl Iterator<Item = &str> {
    let bare = value.split([';', '(']).next().unwrap_or_default();
    bare.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn is_one(word: &str, words: &[&str]) -> bool {
    words.iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn is_report(content_type: &str) -> bool {
    words_of(content_type).next().is_some_and(|media_type| is_one(media_type, &["multipart/report"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn reason(headers: &Value) -> Option<&'static str> {
        by_headers(&Headers::read(headers))
    }

    #[test]
    fn every_sign_of_a_machine_is_seen() {
        for headers in [
            json!({"auto-submitted": "auto-generated"}),
            json!({"Auto-Submitted": "Auto-Replied; owner-email=\"a@b.example\""}),
            json!({"AUTO-SUBMITTED": " auto-notified (by sieve)"}),
            json!({"auto-submitted": ["no", "auto-replied"]}),
            json!({"auto-submitted": "[\"no\", \"auto-replied\"]"}),
            json!({"return-path": "<>"}),
            json!({"Return-Path": " < > "}),
            json!({"content-type": "multipart/report; report-type=delivery-status; boundary=x"}),
            json!({"Content-Type": "Multipart/Report ;boundary=x"}),
            json!({"list-id": "<l.example.com>"}),
            json!({"List-Unsubscribe": "<https://example.com/u>"}),
            json!({"LIST-Post": "NO"}),
            json!({"precedence": "bulk"}),
            json!({"Precedence": " List"}),
            json!({"precedence": "junk"}),
            json!({"precedence": "auto_reply"}),
            json!({"x-auto-response-suppress": "All"}),
            json!({"X-Auto-Response-Suppress": "DR, RN, OOF"}),
            json!({"x-auto-response-suppress": "NRN,AutoReply"}),
            json!({"x-autoreply": "yes"}),
            json!({"X-Autorespond": ""}),
            json!({"x-loop": "ana@example.com"}),
        ] {
            assert!(reason(&headers).is_some(), "{headers}");
        }
    }

    #[test]
    fn what_people_write_passes() {
        for headers in [
            json!({}),
            json!(null),
            json!({"auto-submitted": "no"}),
            json!({"auto-submitted": "No (a person wrote this)"}),
            json!({"auto-submitted": ""}),
            json!({"auto-submitted": null}),
            json!({"return-path": "<ana@example.com>"}),
            json!({"content-type": "multipart/alternative; boundary=\"multipart/report\""}),
            json!({"content-type": "multipart/report-like"}),
            json!({"precedence": "first-class"}),
            json!({"x-auto-response-suppress": "DR, RN, NRN"}),
            json!({"x-autoreply": "no"}),
            json!({"listed": "x", "x-list-id": "y"}),
        ] {
            assert_eq!(reason(&headers), None, "{headers}");
        }
    }

    #[test]
    fn mail_systems_and_the_relay_itself_are_no_people() {
        let by = |address: &str| by_sender(&EmailAddress::parse(address).unwrap(), "in.example.net");
        for machine in ["MAILER-DAEMON@example.com", "Postmaster@Example.com", "x@IN.example.NET"] {
            assert!(by(machine).is_some(), "{machine}");
        }
        for person in ["ana@example.com", "postmaster.ana@example.com", "ana@sub.in.example.net", "a@example.net"] {
            assert_eq!(by(person), None, "{person}");
        }
    }
}
