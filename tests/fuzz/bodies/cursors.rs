//! Cursors, instants and other words of queries and headers.

use std::time::Duration;

use chaos_relay::domain::conversation::ConversationKey;
use chaos_relay::domain::ids::ChannelId;
use chaos_relay::domain::limit::Limit;
use chaos_relay::domain::retry::{LONGEST_ASKED, parse_retry_after};
use chaos_relay::domain::timestamp::Timestamp;
use chaos_relay::http::admin::cursors::{
    read_history, read_instant, read_list, write_history, write_instant, write_list,
};

pub fn check(input: &[u8]) {
    let [one, other] = super::parts(input);
    let (one, other) = (super::text(one), super::text(other));
    if let (Some(first), Some(second)) = (Timestamp::parse(&one), Timestamp::parse(&other)) {
        // Clients compare them as text.
        assert_eq!(first.to_string().cmp(&second.to_string()), first.cmp(&second));
    }
    for text in [&one, &other] {
        check_one(text);
    }
    let key = ConversationKey::new(&one, Some(&other));
    assert_eq!(ConversationKey::from_text(&key.to_text()), Some(key));
}

fn check_one(text: &str) {
    if let Some(at) = Timestamp::parse(text) {
        assert_eq!(at.to_string().len(), "2026-01-15T10:30:00.123Z".len());
        assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
        assert_eq!(Timestamp::from_millis(at.millis()), at);
        assert_eq!(read_instant(&write_instant(at)).expect("what was written is read"), at);
    }
    if let Ok(cursor) = read_list(text) {
        assert!(cursor.entry.len() <= 1024);
        assert_eq!(read_list(&write_list(&cursor)).expect("what was written is read"), cursor);
    }
    if let Ok(cursor) = read_history(text) {
        assert_eq!(read_history(&write_history(&cursor)).expect("what was written is read"), cursor);
    }
    if let Ok(id) = text.parse::<ChannelId>() {
        assert!((1..=64).contains(&id.as_str().len()) && id.as_str() == text);
    }
    if let Ok(limit) = text.parse::<Limit>() {
        assert!(limit.count() >= 1 && limit.window() >= Duration::from_secs(1));
        assert_eq!(limit.to_string().parse(), Ok(limit));
    }
    let now = Timestamp::from_millis(1_768_473_000_000);
    assert!(parse_retry_after(text, now).is_none_or(|wait| wait <= LONGEST_ASKED));
}
