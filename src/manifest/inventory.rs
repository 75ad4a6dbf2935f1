//! Keys with a number each, on disk, while one operation runs: a million objects of a store.
//!
//! A file of its own without a name, so memory stays bounded however many keys there are, and
//! nothing of it outlives the program.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, scratch};
use crate::format::ObjectKey;

const SCHEMA: &str = "
    CREATE TABLE object (key TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
    BEGIN;
";
/// How its file begins until it has no name.
const PREFIX: &str = ".idswyft-vault-objects-";

/// Objects with a number each.
pub struct Inventory {
    connection: Connection,
    dir: PathBuf,
}

impl Inventory {
    /// Makes an empty one in a directory.
    ///
    /// # Errors
    /// If no file can be made there.
    pub fn create(dir: &Path) -> Result<Self, Error> {
        let connection = scratch::create(dir, PREFIX, 16 * 1024, SCHEMA)?;
        Ok(Self { connection, dir: dir.to_owned() })
    }

    /// Adds an object, unless it is there; tells whether it was new.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, key: &ObjectKey, number: u64) -> Result<bool, Error> {
        let added = self
            .connection
            .prepare_cached("INSERT OR IGNORE INTO object VALUES (?1, ?2)")
            .and_then(|mut statement| statement.execute(params![key.to_string(), number]));
        added.map(|count| count > 0).map_err(|cause| Error::new(&self.dir, "write", cause))
    }

    /// Returns the number of an object, if it is there.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn number(&self, key: &ObjectKey) -> Result<Option<u64>, Error> {
        self.connection
            .prepare_cached("SELECT number FROM object WHERE key = ?1")
            .and_then(|mut statement| {
                statement.query_row([key.to_string()], |row| row.get(0)).optional()
            })
            .map_err(|cause| Error::new(&self.dir, "read", cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_keeps_its_first_number_and_no_file_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let mut inventory = Inventory::create(dir.path()).unwrap();
        assert!(inventory.add(&ObjectKey::Vault(1), 7).unwrap());
        assert!(!inventory.add(&ObjectKey::Vault(1), 8).unwrap());
        assert_eq!(inventory.number(&ObjectKey::Vault(1)).unwrap(), Some(7));
        assert_eq!(inventory.number(&ObjectKey::Vault(2)).unwrap(), None);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
