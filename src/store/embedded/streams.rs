//! Streams: entries whose instants strictly increase, of which the newest are kept for a while.

use redb::{AccessGuard, Range};

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
    let from = shown_from(view, stream, len)?.max(after + 1);
    for entry in view.range(&stream.entry(from), &stream.end())? {
        if page.records.len() >= count.max(1) {
            page.more = true;
            break;
        }
        let (at, text) = read_entry(stream, entry?)?;
        let record = record(Timestamp::from_millis(at), text)?;
        page.cursor = record.at;
        page.records.push(record);
    }
    Ok(page)
}

/// The instant of the first entry that is shown of a stream of this length.
fn shown_from(view: &dyn View, stream: &Stream, len: u64) -> Result<u64, Fault> {
    match len.saturating_sub(stream.cap as u64) {
        0 => Ok(0),
        surplus => Ok(nth_oldest(view, stream, surplus)?.unwrap_or(0)),
    }
}

/// A row of the table as an instant and the text of its entry.
fn read_entry(
    stream: &Stream,
    (key, value): (AccessGuard<'_, &'static [u8]>, AccessGuard<'_, &'static [u8]>),
) -> Result<(u64, String), Fault> {
    let text = String::from_utf8(value.value().to_vec()).ok();
    stream.instant(key.value()).zip(text).ok_or(Fault::Record("an entry of a stream"))
}

/// An entry as a record.
pub(super) fn record(at: Timestamp, text: String) -> Result<StoredRecord, Fault> {
    StoredRecord::new(at, text).ok_or(Fault::Record("an entry of a stream"))
}

/// The entries of a stream from the newest on.
pub(super) struct Newest<'v> {
    stream: Stream,
    entries: Range<'v, &'static [u8], &'static [u8]>,
}

impl Newest<'_> {
    /// The next entry with its instant.
    pub(super) fn next(&mut self) -> Result<Option<(u64, String)>, Fault> {
        match self.entries.next_back() {
            Some(entry) => read_entry(&self.stream, entry?).map(Some),
            None => Ok(None),
        }
    }
}

/// Reads what is shown of a stream backwards, from before the instant `until`, in milliseconds, if there is one.
pub(super) fn newest(view: &dyn View, stream: Stream, until: Option<u64>) -> Result<Newest<'_>, Fault> {
    let Head { len, .. } = head(view, &stream)?.unwrap_or_default();
    let oldest = view.now().saturating_sub(KEEP_MS) + 1;
    let from = stream.entry(shown_from(view, &stream, len)?.max(oldest));
    let until = until.map_or_else(|| stream.end(), |until| stream.entry(until)).max(from.clone());
    Ok(Newest { entries: view.range(&from, &until)?, stream })
}

/// The entry of this instant, if it is still to be shown.
pub(super) fn entry(view: &dyn View, stream: &Stream, at: Timestamp) -> Result<Option<StoredRecord>, Fault> {
    if at.millis() <= view.now().saturating_sub(KEEP_MS) {
        return Ok(None);
    }
    let Some(value) = view.get(&stream.entry(at.millis()))? else { return Ok(None) };
    let text = String::from_utf8(value.value().to_vec()).map_err(|_| Fault::Record("an entry of a stream"))?;
    record(at, text).map(Some)
}

/// The page of a stream that does not exist.
pub(super) fn empty_page() -> Page {
    Page { records: Vec::new(), cursor: Timestamp::EPOCH, more: false }
}
