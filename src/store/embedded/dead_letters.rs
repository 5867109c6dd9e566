//! The list of replies that failed for good: a ring of places, so that it is bounded by construction.

use super::Fault;
use super::keys::{self, NEWEST_DEAD_LETTER};
use super::tables::{Tx, View as _};
use super::values::{Reader, Writing};
use crate::domain::ids::{MessageId, UserId};
use crate::store::{DEAD_LETTER_LIFE_MS, MAX_DEAD_LETTERS};

/// Lists a reply that failed now, in the place of the oldest when the list is full.
pub(super) fn list(tx: &mut Tx<'_>, user: &UserId, response: &MessageId) -> Result<(), Fault> {
    let newest = match tx.get(NEWEST_DEAD_LETTER)? {
        Some(value) => {
            let mut reader = Reader::new("the newest failed reply", value.value());
            reader.number()?;
            Some(reader.number()?)
        }
        None => None,
    };
    let number = newest.map_or(0, |newest| newest.wrapping_add(1));
    let until = tx.now.saturating_add(DEAD_LETTER_LIFE_MS);
    let place = keys::dead_letter(number % MAX_DEAD_LETTERS as u64);
    let letter = Writing::default().number(until).number(tx.now).text(&user.to_string()).text(&response.to_string());
    tx.put(&place, &letter.done())?;
    tx.schedule(until, &place)?;
    tx.put(NEWEST_DEAD_LETTER, &Writing::default().number(until).number(number).done())?;
    if newest.is_none() {
        tx.schedule(until, NEWEST_DEAD_LETTER)?;
    }
    Ok(())
}
