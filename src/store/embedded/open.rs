//! Opening the file, with a sentence for everything that can be wrong with it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase as _, StorageError, TableError};

use super::session_lists;
use super::tables::{EXPIRY, META, RECORDS};
use crate::store::format::{FIRST_FORMAT, FORMAT, FormatError, judge};

/// Name of the store's file in the data directory.
pub(super) const FILE_NAME: &str = "relay.redb";
/// Only the relay's own user may look into the directory and the file: they hold secrets.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Name of the format in the file.
const FORMAT_NAME: &str = "format";
/// Memory for pages of the file, in bytes. The system caches the file as well.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Why the embedded store could not be opened. The text is meant for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another store of this one, has the file.
    #[error("another relay is using the data directory {0}")]
    InUse(PathBuf),
    /// The directory cannot be made or used.
    #[error("the data directory {0} cannot be used: {1}")]
    Directory(PathBuf, #[source] io::Error),
    /// The file cannot be opened or written.
    #[error("the store's file {0} cannot be used: {1}")]
    File(PathBuf, #[source] io::Error),
    /// The file is no store, or a broken one.
    #[error("the store's file {0} is damaged ({1}); put a backup in its place, or move it away to start empty")]
    Damaged(PathBuf, String),
    /// The file's records are not for this relay.
    #[error("{1} ({0})")]
    Format(PathBuf, #[source] FormatError),
    /// The thread that writes could not be started.
    #[error("the store's writer could not be started: {0}")]
    Writer(#[source] io::Error),
}

/// Opens the database in the directory, making both if they are missing.
pub(super) fn open_database(directory: &Path) -> Result<Database, OpenError> {
    let unusable = |error| OpenError::Directory(directory.to_owned(), error);
    if !directory.is_dir() {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory).map_err(unusable)?;
        sync_parent(directory).map_err(unusable)?;
    }
    let path = directory.join(FILE_NAME);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
    let file = options.open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::IsADirectory => OpenError::File(path.clone(), error),
        _ => unusable(error),
    })?;
    // A new file survives a loss of power once its directory entry is on disk too.
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(unusable)?;
    let complaint = |error| database_error(directory, &path, error);
    let backend = FileBackend::new(file).map_err(complaint)?;
    // Without the check a file that something else wrote to may be noticed in the midst of a call.
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    let opened = catch_unwind(AssertUnwindSafe(|| builder.create_with_backend(backend)))
        .map_err(|_| OpenError::Damaged(path.clone(), "its structure makes no sense".to_owned()))?;
    let database = opened.map_err(complaint)?;
    check_format(&database, &path, FORMAT)?;
    session_lists::list_existing(&database).map_err(|error| storage_error(&path, error))?;
    Ok(database)
}

fn sync_parent(directory: &Path) -> io::Result<()> {
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn database_error(directory: &Path, path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::InUse(directory.to_owned())
        }
        DatabaseError::Storage(error) => storage_error(path, error),
        other => OpenError::Damaged(path.to_owned(), other.to_string()),
    }
}

fn storage_error(path: &Path, error: StorageError) -> OpenError {
    let is_content =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
    match error {
        StorageError::Io(error) if !is_content(&error) => OpenError::File(path.to_owned(), error),
        other => OpenError::Damaged(path.to_owned(), other.to_string()),
    }
}

/// Checks the format that the file names against the relay's own, which it is given if that is higher, and makes the
/// tables in a new file. There is one process, so nobody needs the lower number any more.
fn check_format(database: &Database, path: &Path, known: u64) -> Result<(), OpenError> {
    let damaged = |reason: &dyn std::fmt::Display| OpenError::Damaged(path.to_owned(), reason.to_string());
    let unwritable = |error| match error {
        redb::Error::Io(error) => OpenError::File(path.to_owned(), error),
        other => damaged(&other),
    };
    let read = database.begin_read().map_err(|error| damaged(&error))?;
    match read.open_table(META) {
        Ok(meta) => {
            let format = meta.get(FORMAT_NAME).map_err(|error| storage_error(path, error))?;
            let named = format.map(|format| format.value().parse()).transpose();
            let named: Option<u64> = named.map_err(|_| damaged(&"its format is no number"))?;
            judge(named.unwrap_or(FIRST_FORMAT), known).map_err(|error| OpenError::Format(path.to_owned(), error))?;
            if named == Some(known) { Ok(()) } else { name_format(database, known).map_err(unwritable) }
        }
        Err(TableError::TableDoesNotExist(_)) => {
            let mut tables = read.list_tables().map_err(|error| storage_error(path, error))?;
            if tables.next().is_some() {
                return Err(damaged(&"it belongs to another program"));
            }
            name_format(database, known).map_err(unwritable)
        }
        Err(error) => Err(damaged(&error)),
    }
}

/// Writes the format, and makes the tables if they are missing.
fn name_format(database: &Database, format: u64) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert(FORMAT_NAME, format.to_string().as_str())?;
    transaction.open_table(RECORDS)?;
    transaction.open_table(EXPIRY)?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::store::embedded::testing::Directory;

    fn refusal(directory: &Path) -> OpenError {
        open_database(directory).map(drop).unwrap_err()
    }

    #[test]
    fn a_missing_directory_is_made_and_nobody_else_may_look_into_it() {
        let directory = Directory::new();
        let inner = directory.path().join("a/b");
        open_database(&inner).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&inner), 0o700);
        assert_eq!(mode(&inner.join(FILE_NAME)), 0o600);
    }

    #[test]
    fn a_second_open_is_refused_at_once() {
        let directory = Directory::new();
        let first = open_database(directory.path()).unwrap();
        let error = refusal(directory.path());
        assert!(matches!(error, OpenError::InUse(_)));
        assert!(error.to_string().starts_with("another relay is using the data directory /"));
        drop(first);
        open_database(directory.path()).unwrap();
    }

    #[test]
    fn a_path_that_is_no_directory_is_named() {
        let directory = Directory::new();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(refusal(&file), OpenError::Directory(path, _) if path == file));
        std::fs::create_dir(directory.path().join(FILE_NAME)).unwrap();
        assert!(matches!(refusal(directory.path()), OpenError::File(..)));
    }

    #[test]
    fn a_file_that_is_no_store_is_called_damaged_and_left_alone() {
        let directory = Directory::new();
        let path = directory.path().join(FILE_NAME);
        for content in ["something else".to_owned(), "x".repeat(100_000)] {
            std::fs::write(&path, &content).unwrap();
            assert!(matches!(refusal(directory.path()), OpenError::Damaged(..)));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_file_with_a_damaged_page_is_never_opened_wrongly() {
        let directory = Directory::new();
        let path = directory.path().join(FILE_NAME);
        let database = open_database(directory.path()).unwrap();
        let transaction = database.begin_write().unwrap();
        for n in 0..200_u32 {
            let value = [7_u8; 500];
            transaction.open_table(RECORDS).unwrap().insert(&n.to_be_bytes()[..], &value[..]).unwrap();
        }
        transaction.commit().unwrap();
        drop(database);
        let whole = std::fs::read(&path).unwrap();
        let mut damaged = 0;
        for page in 0..whole.len() / 4096 {
            let mut bytes = whole.clone();
            bytes[page * 4096..(page + 1) * 4096].iter_mut().for_each(|byte| *byte ^= 0x55);
            std::fs::write(&path, bytes).unwrap();
            match open_database(directory.path()) {
                // A page that held nothing.
                Ok(database) => {
                    let read = database.begin_read().unwrap();
                    let records = read.open_table(RECORDS).unwrap();
                    assert_eq!(redb::ReadableTableMetadata::len(&records).unwrap(), 200);
                }
                Err(OpenError::Damaged(..)) => damaged += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(damaged >= 25, "{damaged}");
    }

    #[test]
    fn a_format_is_raised_by_one_and_a_file_that_names_none_has_the_first() {
        let directory = Directory::new();
        let path = directory.path().join(FILE_NAME);
        let database = open_database(directory.path()).unwrap();
        let named = || {
            let meta = database.begin_read().unwrap().open_table(META).unwrap();
            meta.get(FORMAT_NAME).unwrap().map(|named| named.value().to_owned())
        };
        assert_eq!(named(), Some(FORMAT.to_string()));
        check_format(&database, &path, FORMAT).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(META).unwrap().remove(FORMAT_NAME).unwrap();
        transaction.commit().unwrap();
        for known in [FIRST_FORMAT, FIRST_FORMAT + 1] {
            check_format(&database, &path, known).unwrap();
            assert_eq!(named(), Some(known.to_string()));
        }
        for known in [FIRST_FORMAT, FIRST_FORMAT + 3] {
            assert!(matches!(check_format(&database, &path, known), Err(OpenError::Format(..))), "{known}");
            assert_eq!(named(), Some((FIRST_FORMAT + 1).to_string()), "left alone");
        }
    }

    #[test]
    fn a_newer_format_and_a_stranger_are_refused_with_a_clear_sentence() {
        let directory = Directory::new();
        let database = open_database(directory.path()).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert(FORMAT_NAME, "2").unwrap();
        transaction.commit().unwrap();
        drop(database);
        let sentence = refusal(directory.path()).to_string();
        let beginning = "the store has format 2, from a newer relay; this one knows formats up to 1 (/";
        assert!(sentence.starts_with(beginning) && sentence.ends_with("/relay.redb)"), "{sentence}");

        let other = Directory::new();
        let database = Builder::new().create(other.path().join(FILE_NAME)).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(RECORDS).unwrap();
        transaction.commit().unwrap();
        drop(database);
        assert!(refusal(other.path()).to_string().contains("belongs to another program"));
    }
}
