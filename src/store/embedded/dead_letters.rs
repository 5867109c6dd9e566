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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::embedded::testing::Lab;
    use crate::store::embedded::writer::Timing;

    async fn fail(lab: &Lab, user: UserId, count: usize) -> MessageId {
        let listed = move |tx: &mut Tx<'_>| {
            let ids: Vec<_> = (0..count).map(|_| MessageId::random()).collect();
            ids.iter().try_for_each(|id| list(tx, &user, id))?;
            Ok(ids[count - 1])
        };
        lab.store.writer.run(listed).await.unwrap()
    }

    #[tokio::test]
    async fn the_newest_failures_are_listed_for_a_week() {
        // So many at once take their time on a slow machine.
        let lab = Lab::with_timing(Timing { answer: Duration::from_secs(60), ..Timing::default() });
        let user = UserId::random();
        fail(&lab, user, MAX_DEAD_LETTERS - 1).await;
        lab.advance(1);
        let last = fail(&lab, user, 3).await;
        let now = lab.store.shared.now();
        let letter = lab
            .store
            .read(|view| {
                let value = view.get(&keys::dead_letter(1))?.unwrap();
                let mut reader = Reader::new("a failed reply", value.value());
                Ok((reader.number()?, reader.number()?, reader.user()?, reader.parsed::<MessageId>()?))
            })
            .await
            .unwrap();
        assert_eq!(letter, (now + DEAD_LETTER_LIFE_MS, now, user, last), "it took the place of the second");
        assert_eq!(lab.rows().await.0, MAX_DEAD_LETTERS as u64 + 1);
        lab.advance(DEAD_LETTER_LIFE_MS - 1);
        assert_eq!(lab.sweep(100_000).await.0, 4, "the last three, and which is the newest");
        lab.advance(1);
        assert_eq!(lab.sweep(100_000).await, (0, 0));
    }
}
