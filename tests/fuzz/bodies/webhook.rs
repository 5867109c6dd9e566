//! Generic webhooks: content type, source, body.

use std::borrow::Cow;

use chaos_relay::channels::webhook;
use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::text;
use serde_json::{Map, Value};

/// Largest `raw` and `form` of a message, in bytes.
const MAX_RAW: usize = 16 * 1024;

pub fn check(input: &[u8]) {
    let [content_type, source, body] = super::parts(input);
    let from = webhook::sender(Some(&super::text(source)));
    assert!(!from.is_empty() && from.chars().count() <= 200 && from == text::single_line(&from));

    let inbound = webhook::parse(&super::text(content_type), body);
    assert!(inbound.content.len() <= text::MAX_CONTENT_BYTES);
    assert!(matches!(text::strip_hidden(&inbound.content), Cow::Borrowed(_)));
    let metadata: Map<String, Value> =
        serde_json::from_str(&format!("{{{}}}", inbound.extra)).expect("members of the metadata are JSON");
    let is_cut = metadata.contains_key("truncated");
    assert_eq!(metadata.contains_key("originalContentBytes"), is_cut);
    let kept = metadata.get("raw").or_else(|| metadata.get("form"));
    assert_eq!(kept.is_none(), metadata.contains_key("rawOmitted"));
    if let Some(kept) = kept {
        assert!(kept.to_string().len() <= MAX_RAW);
        assert_eq!(&text::sanitise_json(kept.clone()), kept);
        match kept.as_str() {
            Some(said) => assert_eq!(said, inbound.content),
            None => assert_eq!(kept.to_string(), inbound.content),
        }
    }
    super::messages::check_record(ChannelKind::Webhook, &from, &inbound.content, &metadata);
}
