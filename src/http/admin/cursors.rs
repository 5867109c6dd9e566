//! Places in lists, as the pages' links and the JSON answers carry them.

use crate::domain::timestamp::Timestamp;
use crate::services::error::Error;
use crate::store::operator::{HistoryCursor, ListCursor};

fn invalid() -> Error {
    Error::invalid("invalid_query", "cursor must be one that an earlier answer gave")
}

/// Writes the end of a page of a list: when, a point, and which entry.
pub fn write_list(cursor: &ListCursor) -> String {
    format!("{}.{}", cursor.at, cursor.entry)
}

/// Reads it.
pub fn read_list(text: &str) -> Result<ListCursor, Error> {
    let (at, entry) = text.split_once('.').ok_or_else(invalid)?;
    // No entry of any list is longer: the longest is a name that was found with its user.
    const MAX_ENTRY: usize = 1024;
    if entry.len() > MAX_ENTRY {
        return Err(invalid());
    }
    Ok(ListCursor { at: number(at)?, entry: entry.to_owned() })
}

/// Writes a place in a history: when, and for a response a point and its channel.
pub fn write_history(cursor: &HistoryCursor) -> String {
    match &cursor.response_on {
        Some(channel) => format!("{}.{channel}", cursor.at.millis()),
        None => cursor.at.millis().to_string(),
    }
}

/// Reads it.
pub fn read_history(text: &str) -> Result<HistoryCursor, Error> {
    let (at, channel) = match text.split_once('.') {
        Some((at, channel)) => (at, Some(channel.parse().map_err(|_| invalid())?)),
        None => (text, None),
    };
    Ok(HistoryCursor { at: Timestamp::from_millis(number(at)?), response_on: channel })
}

/// Writes a place in the audit.
pub fn write_instant(at: Timestamp) -> String {
    at.millis().to_string()
}

/// Reads it.
pub fn read_instant(text: &str) -> Result<Timestamp, Error> {
    number(text).map(Timestamp::from_millis)
}

fn number(text: &str) -> Result<u64, Error> {
    // `parse` alone would take a sign as well.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_cursor_reads_back_as_it_was_written() {
        for entry in ["", "a", "name.with.points\u{0}8c5a", "ä"] {
            let cursor = ListCursor { at: 7, entry: entry.to_owned() };
            assert_eq!(read_list(&write_list(&cursor)).unwrap(), cursor);
        }
        for response_on in [None, Some("c_1-x".parse().unwrap())] {
            let cursor = HistoryCursor { at: Timestamp::from_millis(9), response_on };
            assert_eq!(read_history(&write_history(&cursor)).unwrap(), cursor);
        }
        let at = Timestamp::from_millis(3);
        assert_eq!(read_instant(&write_instant(at)).unwrap(), at);
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "x", ".", "+1.a", "-1.a", "1", "99999999999999999999.a", &format!("1.{}", "a".repeat(2000))] {
            assert!(read_list(bad).is_err(), "{bad}");
        }
        for bad in ["", "x", "1.", "1.a b", "1.a.b", "+1", " 1"] {
            assert!(read_history(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_cursor_reads_back(at: u64, entry in ".{0,80}", millis in 0_u64..253_402_300_799_999, id in "[A-Za-z0-9_-]{1,64}") {
            let cursor = ListCursor { at, entry };
            prop_assert_eq!(read_list(&write_list(&cursor)).unwrap(), cursor);
            let at = Timestamp::from_millis(millis);
            for response_on in [None, Some(id.parse().unwrap())] {
                let cursor = HistoryCursor { at, response_on };
                prop_assert_eq!(read_history(&write_history(&cursor)).unwrap(), cursor);
            }
            prop_assert_eq!(read_instant(&write_instant(at)).unwrap(), at);
        }

        #[test]
        fn any_text_is_a_cursor_that_reads_back_or_none(text in "[0-9]{0,22}[.]?.{0,40}") {
            if let Ok(cursor) = read_list(&text) {
                prop_assert_eq!(read_list(&write_list(&cursor)).unwrap(), cursor);
            }
            if let Ok(cursor) = read_history(&text) {
                prop_assert_eq!(read_history(&write_history(&cursor)).unwrap(), cursor);
            }
        }
    }
}
