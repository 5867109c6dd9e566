//! The tables of the file, and reading and writing them within a transaction.

use redb::{
    AccessGuard, Range, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata as _, StorageError, Table,
    TableDefinition, TableError, WriteTransaction,
};

use super::Fault;
use crate::domain::ids::UserId;
use crate::store::Wake;

type Bytes = &'static [u8];

/// What the file says about itself: the format of its records, see [`crate::store::FORMAT`].
pub(super) const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
/// All records. One table, so that what belongs together lies together and a commit writes few pages.
pub(super) const RECORDS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("records");
/// When to look at which key again: milliseconds, then the key.
pub(super) const EXPIRY: TableDefinition<'_, Bytes, ()> = TableDefinition::new("expiry");

/// Why a table did not open, as the storage's error.
pub(super) fn table_fault(error: TableError) -> StorageError {
    match error {
        TableError::Storage(error) => error,
        other => StorageError::Corrupted(other.to_string()),
    }
}

/// The records as one transaction sees them, and the time at which it looks.
pub(super) trait View {
    /// Milliseconds since the epoch.
    fn now(&self) -> u64;

    /// The record with this key.
    fn get(&self, key: &[u8]) -> Result<Option<AccessGuard<'_, Bytes>>, Fault>;

    /// The records from `from` on, before `to`.
    fn range(&self, from: &[u8], to: &[u8]) -> Result<Range<'_, Bytes, Bytes>, Fault>;
}

/// A read transaction.
pub(super) struct Snapshot {
    records: ReadOnlyTable<Bytes, Bytes>,
    now: u64,
}

impl Snapshot {
    pub(super) fn new(transaction: &ReadTransaction, now: u64) -> Result<Self, Fault> {
        Ok(Self { records: transaction.open_table(RECORDS).map_err(table_fault)?, now })
    }
}

impl Snapshot {
    /// Records there are. The table knows, without a look at them.
    pub(super) fn count(&self) -> Result<u64, Fault> {
        Ok(self.records.len()?)
    }
}

impl View for Snapshot {
    fn now(&self) -> u64 {
        self.now
    }

    fn get(&self, key: &[u8]) -> Result<Option<AccessGuard<'_, Bytes>>, Fault> {
        Ok(ReadableTable::get(&self.records, key)?)
    }

    fn range(&self, from: &[u8], to: &[u8]) -> Result<Range<'_, Bytes, Bytes>, Fault> {
        Ok(ReadableTable::range(&self.records, from..to)?)
    }
}

/// The write transaction of a batch.
pub(super) struct Tx<'t> {
    records: Table<'t, Bytes, Bytes>,
    expiry: Table<'t, Bytes, ()>,
    /// The time of the job at hand, in milliseconds.
    pub(super) now: u64,
    has_written: bool,
    wakes: Vec<(UserId, Wake)>,
}

/// What a batch leaves behind when its transaction is complete.
pub(super) struct Outcome {
    /// Whether there is anything to commit.
    pub(super) has_written: bool,
    /// Whom to wake after the commit, in order.
    pub(super) wakes: Vec<(UserId, Wake)>,
}

impl<'t> Tx<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction) -> Result<Self, StorageError> {
        Ok(Self {
            records: transaction.open_table(RECORDS).map_err(table_fault)?,
            expiry: transaction.open_table(EXPIRY).map_err(table_fault)?,
            now: 0,
            has_written: false,
            wakes: Vec::new(),
        })
    }

    pub(super) fn finish(self) -> Outcome {
        Outcome { has_written: self.has_written, wakes: self.wakes }
    }

    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.has_written = true;
        self.records.insert(key, value)?;
        Ok(())
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Result<bool, Fault> {
        let removed = self.records.remove(key)?.is_some();
        self.has_written |= removed;
        Ok(removed)
    }

    /// Removes the records from `from` on and before `to`, which are known to be few.
    pub(super) fn remove_range(&mut self, from: &[u8], to: &[u8]) -> Result<(), Fault> {
        self.has_written = true;
        self.records.retain_in(from..to, |_, _| false)?;
        Ok(())
    }

    /// Has the sweep look at `key` when the time is `due`.
    pub(super) fn schedule(&mut self, due: u64, key: &[u8]) -> Result<(), Fault> {
        self.has_written = true;
        self.expiry.insert([&due.to_be_bytes()[..], key].concat().as_slice(), ())?;
        Ok(())
    }

    /// Takes up to `count` keys that are due off the schedule.
    pub(super) fn take_due(&mut self, count: usize) -> Result<Vec<Vec<u8>>, Fault> {
        let end = self.now.saturating_add(1).to_be_bytes();
        let mut due = Vec::new();
        for entry in self.expiry.range::<&[u8]>(..&end[..])?.take(count) {
            due.push(entry?.0.value().to_vec());
        }
        for entry in &mut due {
            self.has_written = true;
            self.expiry.remove(entry.as_slice())?;
            entry.drain(..end.len());
        }
        Ok(due)
    }

    /// Wakes the user's watchers once the batch is committed.
    pub(super) fn wake(&mut self, user: &UserId, wake: Wake) {
        self.wakes.push((*user, wake));
    }

    /// Rows in the two tables.
    #[cfg(test)]
    pub(super) fn rows(&self) -> (u64, u64) {
        (self.records.len().unwrap(), self.expiry.len().unwrap())
    }
}

impl View for Tx<'_> {
    fn now(&self) -> u64 {
        self.now
    }

    fn get(&self, key: &[u8]) -> Result<Option<AccessGuard<'_, Bytes>>, Fault> {
        Ok(self.records.get(key)?)
    }

    fn range(&self, from: &[u8], to: &[u8]) -> Result<Range<'_, Bytes, Bytes>, Fault> {
        Ok(self.records.range(from..to)?)
    }
}
