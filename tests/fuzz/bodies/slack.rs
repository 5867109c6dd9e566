//! Events of Slack.

use chaos_relay::channels::adapter::{EventAdapter as _, RawEvent};
use chaos_relay::domain::channel::ChannelKind;

use super::calls::{PLATFORMS, connection, secrets};

pub fn check(input: &[u8]) {
    let event = RawEvent { header: &|_| None, secret: None, body: input };
    let said = PLATFORMS.slack.parse(connection(ChannelKind::Slack), &secrets(), &event);
    super::messages::check_event(ChannelKind::Slack, &PLATFORMS, &said);
}
