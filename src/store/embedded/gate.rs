//! What a call must pass before its work: sessions, nonces and limits.

use super::keys::{self, Owned};
use super::tables::{Tx, View};
use super::values::{Reader, Session, Writing, expires};
use super::{Fault, session_lists};
use crate::domain::digest::Digest;
use crate::domain::ids::UserId;
use crate::domain::limit::{Limit, LimitStatus};
use crate::domain::signing::NONCE_LIFE_MS;
use crate::store::{Denied, Gate, TOUCH_AFTER_MS};
use std::time::Duration;

/// The user's session, unless it expired.
pub(super) fn live_session(view: &dyn View, user: &UserId) -> Result<Option<Session>, Fault> {
    let session = view.get(&keys::session(user))?.map(|value| Session::read(user, value.value())).transpose()?;
    Ok(session.filter(|session| session.expires() > view.now()))
}

/// The user's session, if it has this API key.
pub(super) fn session_with_key(view: &dyn View, user: &UserId, api_key: &Digest) -> Result<Option<Session>, Fault> {
    Ok(live_session(view, user)?.filter(|session| session.record.api_key == *api_key))
}

/// Whether the session's last recorded use is so old that it should be recorded again.
pub(super) fn is_touch_due(view: &dyn View, session: &Session) -> bool {
    view.now().saturating_sub(session.used) > TOUCH_AFTER_MS
}

/// Records that the session is used now. Its place on the sweep's schedule stays: the sweep looks at
/// the record when it comes there, and comes again later.
pub(super) fn touch(tx: &mut Tx<'_>, mut session: Session) -> Result<(), Fault> {
    session_lists::move_use(tx, &session.record.user, session.used, tx.now)?;
    session.used = tx.now;
    tx.put(&keys::session(&session.record.user), &session.write())
}

/// What the gate said to a call that passed.
pub(super) struct Passed {
    pub(super) owned: Owned,
    pub(super) limit: Option<LimitStatus>,
    pub(super) touch_due: bool,
}

/// Opens the gate.
pub(super) fn open(tx: &mut Tx<'_>, gate: &Gate) -> Result<Result<Passed, Denied>, Fault> {
    let Some(session) = session_with_key(tx, &gate.user, &gate.api_key)? else {
        return Ok(Err(Denied::UnknownSession));
    };
    let owned = Owned(session.number);
    if let Some(nonce) = &gate.nonce
        && !claim(tx, &owned.nonce(nonce.as_str()), NONCE_LIFE_MS)?
    {
        return Ok(Err(Denied::NonceUsed));
    }
    let limit = match &gate.limit {
        Some(used) => Some(count_use(tx, &owned.counter(&used.counter), used.limit)?),
        None => None,
    };
    if let Some(status) = limit.filter(LimitStatus::is_exceeded) {
        return Ok(Err(Denied::OverLimit(status)));
    }
    let touch_due = is_touch_due(tx, &session);
    if touch_due {
        touch(tx, session)?;
    }
    Ok(Ok(Passed { owned, limit, touch_due }))
}

/// Writes a record that says nothing but that it is there, for `life` milliseconds, unless it is.
fn claim(tx: &mut Tx<'_>, key: &[u8], life: u64) -> Result<bool, Fault> {
    let until = tx.get(key)?.map(|value| expires(value.value())).transpose()?;
    if until.is_some_and(|until| until > tx.now) {
        return Ok(false);
    }
    let until = tx.now.saturating_add(life);
    tx.put(key, &Writing::default().number(until).done())?;
    tx.schedule(until, key)?;
    Ok(true)
}

/// Counts one use in the window that runs, or starts one.
pub(super) fn count_use(tx: &mut Tx<'_>, key: &[u8], limit: Limit) -> Result<LimitStatus, Fault> {
    let running = tx
        .get(key)?
        .map(|value| {
            let mut reader = Reader::new("a counter", value.value());
            Ok::<_, Fault>((reader.number()?, reader.number()?))
        })
        .transpose()?
        .filter(|(ends, _)| *ends > tx.now);
    let (ends, used) = match running {
        Some((ends, used)) => (ends, used.saturating_add(1)),
        None => {
            let window = u64::try_from(limit.window().as_millis()).unwrap_or(u64::MAX);
            let ends = tx.now.saturating_add(window);
            tx.schedule(ends, key)?;
            (ends, 1)
        }
    };
    tx.put(key, &Writing::default().number(ends).number(used).done())?;
    Ok(LimitStatus { limit, used, reset: Duration::from_millis(ends - tx.now) })
}
