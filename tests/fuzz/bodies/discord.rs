//! Events of Discord. A first byte of `!` makes it one that a gateway relay forwards, else Discord signed it.

use chaos_relay::channels::adapter::{Event, EventAdapter as _, RawEvent, Spoken};
use chaos_relay::domain::channel::ChannelKind;

use super::calls::{PLATFORMS, connection, secrets};

pub fn check(input: &[u8]) {
    let (is_forwarded, body) = match input {
        [b'!', body @ ..] => (true, body),
        body => (false, body),
    };
    let header = |name: &str| (!is_forwarded && name == "x-signature-ed25519").then_some("00");
    let event = RawEvent { header: &header, secret: None, body };
    let said = PLATFORMS.discord.parse(connection(ChannelKind::Discord), &secrets(), &event);
    if let Event::Said(inbound) = &said {
        assert_eq!(inbound.answers_in_response, !is_forwarded);
        assert!(!is_forwarded || inbound.answer_secret.is_none());
        assert!(inbound.details.as_object().is_some_and(|details| !details.contains_key("token")));
    }
    super::messages::check_event(ChannelKind::Discord, &PLATFORMS, &said);
    let words = super::text(body);
    let told = PLATFORMS.discord.response(Spoken::Privately(&words));
    assert!(told["data"]["content"].as_str().is_some_and(|content| content.encode_utf16().count() <= 2000));
}
