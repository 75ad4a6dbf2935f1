//! The memory of verifications: when each pack of each store was last found sound. Spec:
//! `sampling.md` §3.
//!
//! - It belongs to who verifies, proves nothing to anybody else, and losing it loses no archive:
//!   everything counts as never looked at again.
//! - A run is remembered as a whole or not at all.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, make_private};
use crate::base::PackId;

/// Tells such a file from any other that SQLite made: "IVVM".
const APPLICATION_ID: i64 = 0x4956_564d;
/// The version of the schema.
const VERSION: i64 = 1;
/// Seconds for which another run is waited for.
const BUSY_SECONDS: u64 = 30;

const SCHEMA: &str = "
    CREATE TABLE shelf (
        id    INTEGER PRIMARY KEY,
        vault TEXT    NOT NULL,
        store TEXT    NOT NULL,
        level TEXT    NOT NULL,
        run   INTEGER NOT NULL DEFAULT 0,
        UNIQUE (vault, store, level)
    );
    CREATE TABLE pack (
        shelf  INTEGER NOT NULL,
        id     BLOB    NOT NULL,
        second INTEGER,
        run    INTEGER NOT NULL,
        PRIMARY KEY (shelf, id)
    ) WITHOUT ROWID;
";

/// The packs of one vault in one store, at one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelf(i64);

/// What is remembered of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// When it was found sound; none, if it was only seen to be there.
    pub at: Option<Timestamp>,
    /// The rolling run from which its time counts: the one that looked at it, or the last one
    /// before the one that saw it first.
    pub run: u64,
}

/// The memory.
pub struct Coverage {
    connection: Connection,
    path: PathBuf,
}

impl Coverage {
    /// Opens a memory; makes an empty one if there is none.
    ///
    /// # Errors
    /// If the file cannot be made or read, is something else, or was made by a newer program.
    pub fn open(path: &Path) -> Result<Self, Error> {
        make_private(path).map_err(|error| match error {
            Error::File { path, cause, .. } => Error::MemoryFile { path, cause },
            other => other,
        })?;
        let wrap = |cause| Error::Memory { path: path.to_owned(), action: "open", cause };
        let mut connection = Connection::open(path).map_err(wrap)?;
        let busy = std::time::Duration::from_secs(BUSY_SECONDS);
        connection.busy_timeout(busy).map_err(wrap)?;
        let number = |connection: &Connection, pragma: &str| -> Result<i64, Error> {
            let read = connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0));
            read.map_err(|cause| match cause.sqlite_error_code() {
                Some(rusqlite::ErrorCode::NotADatabase) => {
                    Error::NotMemory { path: path.to_owned() }
                }
                _ => wrap(cause),
            })
        };
        if number(&connection, "page_count")? == 0 {
            make(&mut connection).map_err(wrap)?;
        }
        let (found, version) =
            (number(&connection, "application_id")?, number(&connection, "user_version")?);
        match (found, version) {
            (APPLICATION_ID, VERSION) => Ok(Self { connection, path: path.to_owned() }),
            (APPLICATION_ID, version) => {
                let (version, known) = (usize::try_from(version).unwrap_or(usize::MAX), 1);
                Err(Error::TooNew { path: path.to_owned(), version, known })
            }
            _ => Err(Error::NotMemory { path: path.to_owned() }),
        }
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the shelf of a vault in a store at a level, and makes it if need be.
    ///
    /// # Errors
    /// If the memory cannot be read or written.
    pub fn shelf(&self, vault: &str, store: &str, level: &str) -> Result<Shelf, Error> {
        let shelf = || {
            let sql = "INSERT OR IGNORE INTO shelf (vault, store, level) VALUES (?1, ?2, ?3)";
            self.connection.execute(sql, params![vault, store, level])?;
            let sql = "SELECT id FROM shelf WHERE vault = ?1 AND store = ?2 AND level = ?3";
            self.connection.query_row(sql, params![vault, store, level], |row| row.get(0))
        };
        shelf().map(Shelf).map_err(|cause| self.wrap("write", cause))
    }

    /// Returns how many rolling runs there were.
    ///
    /// # Errors
    /// If the memory cannot be read.
    pub fn run(&self, shelf: Shelf) -> Result<u64, Error> {
        let sql = "SELECT run FROM shelf WHERE id = ?1";
        let read = self.connection.query_row(sql, [shelf.0], |row| row.get(0));
        read.map_err(|cause| self.wrap("read", cause))
    }

    /// Returns what is remembered of a pack.
    ///
    /// # Errors
    /// If the memory cannot be read.
    pub fn look(&self, shelf: Shelf, id: &PackId) -> Result<Option<Look>, Error> {
        let read = || {
            let sql = "SELECT second, run FROM pack WHERE shelf = ?1 AND id = ?2";
            let mut select = self.connection.prepare_cached(sql)?;
            let row = select.query_row(params![shelf.0, id.as_bytes()], |row| {
                Ok((row.get::<_, Option<i64>>(0)?, row.get(1)?))
            });
            row.optional()
        };
        let row = read().map_err(|cause| self.wrap("read", cause))?;
        Ok(row.map(|(second, run)| {
            let at = second.and_then(|second| Timestamp::from_second(second).ok());
            Look { at, run }
        }))
    }

    /// Does what remembers a run: all of it lasts, or nothing.
    ///
    /// # Errors
    /// If it fails, or the memory cannot be written.
    pub fn remember<T, E: From<Error>>(
        &self,
        change: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction =
            self.connection.unchecked_transaction().map_err(|cause| self.wrap("write", cause))?;
        let value = change(self)?;
        transaction.commit().map_err(|cause| self.wrap("write", cause))?;
        Ok(value)
    }

    /// Sets how many rolling runs there were.
    ///
    /// # Errors
    /// If the memory cannot be written.
    pub fn set_run(&self, shelf: Shelf, run: u64) -> Result<(), Error> {
        self.write("UPDATE shelf SET run = ?2 WHERE id = ?1", params![shelf.0, run])
    }

    /// Sets what is remembered of a pack.
    ///
    /// # Errors
    /// If the memory cannot be written.
    pub fn set(&self, shelf: Shelf, id: &PackId, look: Look) -> Result<(), Error> {
        let second = look.at.map(Timestamp::as_second);
        let sql = "INSERT OR REPLACE INTO pack VALUES (?1, ?2, ?3, ?4)";
        self.write(sql, params![shelf.0, id.as_bytes(), second, look.run])
    }

    /// Forgets a pack.
    ///
    /// # Errors
    /// If the memory cannot be written.
    pub fn forget(&self, shelf: Shelf, id: &PackId) -> Result<(), Error> {
        let sql = "DELETE FROM pack WHERE shelf = ?1 AND id = ?2";
        self.write(sql, params![shelf.0, id.as_bytes()])
    }

    /// Returns the packs after one that are remembered, in the order of their names; at most
    /// `count`.
    ///
    /// # Errors
    /// If the memory cannot be read.
    pub fn page(
        &self,
        shelf: Shelf,
        after: Option<PackId>,
        count: u32,
    ) -> Result<Vec<PackId>, Error> {
        let after = after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
        let read = || {
            let sql = "SELECT id FROM pack WHERE shelf = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
            let mut select = self.connection.prepare_cached(sql)?;
            let rows = select.query_map(params![shelf.0, after, count], |row| {
                Ok(PackId::from_bytes(row.get(0)?))
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|cause| self.wrap("read", cause))
    }

    fn write(&self, sql: &str, params: impl rusqlite::Params) -> Result<(), Error> {
        let write = || self.connection.prepare_cached(sql)?.execute(params);
        write().map(drop).map_err(|cause| self.wrap("write", cause))
    }

    fn wrap(&self, action: &'static str, cause: rusqlite::Error) -> Error {
        Error::Memory { path: self.path.clone(), action, cause }
    }
}

/// Makes an empty memory, unless another run just did.
fn make(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> PackId {
        PackId::from_bytes([byte; 32])
    }

    fn at(second: i64) -> Look {
        Look { at: Timestamp::from_second(second).ok(), run: 0 }
    }

    #[test]
    fn a_memory_outlives_the_run_and_keeps_stores_and_levels_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory");
        let opened = || Coverage::open(&path).unwrap();
        let memory = opened();
        let shelves = [("v", "a", "bytes"), ("v", "b", "bytes"), ("v", "a", "contents")];
        let shelves =
            shelves.map(|(vault, store, level)| memory.shelf(vault, store, level).unwrap());
        memory.set(shelves[0], &id(1), at(5)).unwrap();
        memory.set_run(shelves[0], 3).unwrap();
        drop(memory);
        let memory = opened();
        let looks = shelves.map(|shelf| memory.look(shelf, &id(1)).unwrap());
        assert_eq!(looks, [Some(at(5)), None, None]);
        assert_eq!(shelves.map(|shelf| memory.run(shelf).unwrap()), [3, 0, 0]);
        assert_eq!(memory.page(shelves[0], None, 9).unwrap(), [id(1)]);
        memory.forget(shelves[0], &id(1)).unwrap();
        assert_eq!(memory.look(shelves[0], &id(1)).unwrap(), None);
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_run_that_fails_is_not_remembered_in_part() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Coverage::open(&dir.path().join("memory")).unwrap();
        let shelf = memory.shelf("v", "s", "bytes").unwrap();
        let failed: Result<(), Error> = memory.remember(|memory| {
            memory.set(shelf, &id(1), at(5))?;
            Err(Error::NotMemory { path: PathBuf::new() })
        });
        failed.unwrap_err();
        assert_eq!(memory.look(shelf, &id(1)).unwrap(), None);
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("other");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE chunk (id)").unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(Coverage::open(&path), Err(Error::NotMemory { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        std::fs::write(&path, "a text that is no database at all\n".repeat(50)).unwrap();
        assert!(matches!(Coverage::open(&path), Err(Error::NotMemory { .. })));
        let newer = dir.path().join("newer");
        drop(Coverage::open(&newer).unwrap());
        Connection::open(&newer).unwrap().pragma_update(None, "user_version", 2).unwrap();
        assert!(matches!(Coverage::open(&newer), Err(Error::TooNew { version: 2, .. })));
    }
}
