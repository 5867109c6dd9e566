//! Streams: entries whose instants strictly increase, of which the newest are kept for a while.

use super::Fault;
use super::keys::Stream;
use super::tables::{Tx, View};
use super::values::Head;
use crate::domain::message::{Page, StoredRecord};
use crate::domain::timestamp::Timestamp;
use crate::store::{KEEP_MS, Since};

/// How many entries beyond its cap a stream may have before they are removed, all at once: to remove one
/// with each append would write another page each time. Readers see the cap only.
const TRIM_AT: u64 = 32;

fn head(view: &dyn View, stream: &Stream) -> Result<Option<Head>, Fault> {
    view.get(&stream.head)?.map(|value| Head::read(value.value())).transpose()
}

/// Appends an entry after all before it. Gives its instant and that of the one before, or the epoch.
pub(super) fn append(tx: &mut Tx<'_>, stream: &Stream, record: &str) -> Result<(Timestamp, Timestamp), Fault> {
    let Head { last, mut len } = head(tx, stream)?.unwrap_or_default();
    let at = tx.now.max(last + 1);
    tx.put(&stream.entry(at), record.as_bytes())?;
    // One look at a time is scheduled for a whole stream; the sweep schedules the next.
    if len == 0 {
        tx.schedule(at.saturating_add(KEEP_MS), &stream.head)?;
    }
    len += 1;
    let surplus = len.saturating_sub(stream.cap as u64);
    if surplus >= TRIM_AT {
        let first_kept = nth_oldest(tx, stream, surplus)?.unwrap_or(at);
        tx.remove_range(&stream.entry(0), &stream.entry(first_kept))?;
        len -= surplus;
    }
    tx.put(&stream.head, &Head { last: at, len }.write())?;
    Ok((Timestamp::from_millis(at), Timestamp::from_millis(last)))
}

/// The instant of the entry that has `n` older ones.
fn nth_oldest(view: &dyn View, stream: &Stream, n: u64) -> Result<Option<u64>, Fault> {
    let mut entries = view.range(&stream.entry(0), &stream.end())?;
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    let Some(entry) = entries.nth(n) else { return Ok(None) };
    let at = stream.instant(entry?.0.value());
    at.map(Some).ok_or(Fault::Record("the key of a stream's entry"))
}

/// Removes up to `budget` entries that are too old and schedules the next look; gives how many it removed.
pub(super) fn expire(tx: &mut Tx<'_>, stream: &Stream, budget: usize) -> Result<usize, Fault> {
    let Some(mut head) = head(tx, stream)? else { return Ok(0) };
    let mut removed = 0;
    while let Some(at) = nth_oldest(tx, stream, 0)? {
        let due = at.saturating_add(KEEP_MS);
        if due > tx.now || removed == budget {
            tx.schedule(due, &stream.head)?;
            break;
        }
        tx.remove(&stream.entry(at))?;
        removed += 1;
    }
    head.len = head.len.saturating_sub(removed as u64);
    tx.put(&stream.head, &head.write())?;
    Ok(removed)
}

/// Reads entries, oldest first, at most `count`.
pub(super) fn page(view: &dyn View, stream: &Stream, since: Since, count: usize) -> Result<Page, Fault> {
    let Head { last, len } = head(view, stream)?.unwrap_or_default();
    let after = match since {
        Since::After(at) => at.millis(),
        Since::Last(span) => view.now().saturating_sub(span),
    };
    let after = after.max(view.now().saturating_sub(KEEP_MS));
    let mut page = Page { records: Vec::new(), cursor: Timestamp::from_millis(last), more: false };
    // The usual answer of a poll: nothing new, and nothing to look for.
    if last <= after {
        return Ok(page);
    }
    let surplus = len.saturating_sub(stream.cap as u64);
    let shown_from = if surplus == 0 { None } else { nth_oldest(view, stream, surplus)? };
    let from = shown_from.unwrap_or(0).max(after + 1);
    for entry in view.range(&stream.entry(from), &stream.end())? {
        if page.records.len() >= count.max(1) {
            page.more = true;
            break;
        }
        let (key, value) = entry?;
        let record = String::from_utf8(value.value().to_vec())
            .ok()
            .zip(stream.instant(key.value()))
            .and_then(|(record, at)| StoredRecord::new(Timestamp::from_millis(at), record))
            .ok_or(Fault::Record("an entry of a stream"))?;
        page.cursor = record.at;
        page.records.push(record);
    }
    Ok(page)
}

/// The page of a stream that does not exist.
pub(super) fn empty_page() -> Page {
    Page { records: Vec::new(), cursor: Timestamp::EPOCH, more: false }
}
