//! What the signed lists of snapshots name, kept on disk for as long as somebody asks. Spec: §12.3.
//!
//! It is a database without a name, which SQLite removes by itself: a million packs are looked at
//! in as little memory as a hundred.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Error, drawn};
use crate::base::PackId;
use crate::format::ObjectKey;

const SCHEMA: &str = "
    PRAGMA cache_size = -8192;
    CREATE TABLE needed (
        tree INTEGER NOT NULL,
        id BLOB NOT NULL,
        len INTEGER NOT NULL,
        PRIMARY KEY (tree, id, len)
    ) WITHOUT ROWID;
    CREATE TABLE floor (
        tree INTEGER NOT NULL,
        id BLOB NOT NULL,
        old INTEGER,
        young INTEGER,
        PRIMARY KEY (tree, id)
    ) WITHOUT ROWID;
";

/// The packs and tree objects that lists name, each with its signed lengths.
pub struct Needed {
    connection: Mutex<Connection>,
}

impl Needed {
    /// Makes an empty set, in the directory for temporary files.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn new() -> Result<Self, Error> {
        let made = super::in_passing(&[SCHEMA, drawn::SCHEMA]);
        let connection = made.map_err(|cause| wrap("make", cause))?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Does what may add objects; what a failed attempt added is gone.
    ///
    /// # Errors
    /// If it fails, or the set cannot be written.
    pub fn attempt<T, E: From<Error>>(
        &self,
        add: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let run = |sql| self.held().execute_batch(sql).map_err(|cause| wrap("write", cause));
        run("SAVEPOINT attempt")?;
        let result = add(self);
        if result.is_err() {
            run("ROLLBACK TO attempt")?;
        }
        run("RELEASE attempt")?;
        result
    }

    /// Adds a pack or tree object; what is neither, or is there, changes nothing.
    ///
    /// # Errors
    /// If the set cannot be written.
    pub fn add(&self, key: &ObjectKey, stored_len: u64) -> Result<(), Error> {
        let Some(id) = key.pack() else { return Ok(()) };
        let add = || {
            let sql = "INSERT OR IGNORE INTO needed VALUES (?1, ?2, ?3)";
            let connection = self.held();
            let mut insert = connection.prepare_cached(sql)?;
            insert.execute(params![is_tree(key), id.as_bytes(), stored_len])
        };
        add().map(drop).map_err(|cause| wrap("write", cause))
    }

    /// Tells whether a list names an object.
    ///
    /// # Errors
    /// If the set cannot be read.
    pub fn contains(&self, key: &ObjectKey) -> Result<bool, Error> {
        let Some(id) = key.pack() else { return Ok(false) };
        let find = || {
            let sql = "SELECT 1 FROM needed WHERE tree = ?1 AND id = ?2";
            let connection = self.held();
            let mut select = connection.prepare_cached(sql)?;
            select.exists(params![is_tree(key), id.as_bytes()])
        };
        find().map_err(|cause| wrap("read", cause))
    }

    /// Returns the stored length of an object, if a list names it.
    ///
    /// # Errors
    /// If the set cannot be read.
    pub fn len_of(&self, key: &ObjectKey) -> Result<Option<u64>, Error> {
        let Some(id) = key.pack() else { return Ok(None) };
        let find = || {
            let sql = "SELECT len FROM needed WHERE tree = ?1 AND id = ?2";
            let connection = self.held();
            let mut select = connection.prepare_cached(sql)?;
            select.query_row(params![is_tree(key), id.as_bytes()], |row| row.get(0)).optional()
        };
        find().map_err(|cause| wrap("read", cause))
    }

    /// Returns the objects after one, in the order of their names; at most `count`.
    ///
    /// # Errors
    /// If the set cannot be read.
    pub fn page(
        &self,
        after: Option<&(ObjectKey, u64)>,
        count: u32,
    ) -> Result<Vec<(ObjectKey, u64)>, Error> {
        let zero = [0; 32];
        let (tree, id, len) = match after {
            Some((key, len)) => (is_tree(key), key.pack().map_or(zero, |id| *id.as_bytes()), *len),
            None => (false, zero, 0),
        };
        let read = || {
            let sql = "SELECT tree, id, len FROM needed WHERE (tree, id, len) > (?1, ?2, ?3)
                       ORDER BY tree, id, len LIMIT ?4";
            let connection = self.held();
            let mut select = connection.prepare_cached(sql)?;
            let rows = select.query_map(params![tree, id, len, count], |row| {
                let id = PackId::from_bytes(row.get(1)?);
                let key = if row.get(0)? { ObjectKey::Tree(id) } else { ObjectKey::Pack(id) };
                Ok((key, row.get(2)?))
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|cause| wrap("read", cause))
    }

    /// Returns the connection, for as long as one statement runs.
    pub(super) fn held(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

pub(super) const fn is_tree(key: &ObjectKey) -> bool {
    matches!(key, ObjectKey::Tree(_))
}

pub(super) fn wrap(action: &'static str, cause: rusqlite::Error) -> Error {
    Error::new(Path::new("the list of needed objects"), action, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(byte: u8) -> ObjectKey {
        ObjectKey::Pack(PackId::from_bytes([byte; 32]))
    }

    #[test]
    fn pages_hold_every_object_once_and_a_failed_attempt_adds_none() {
        let needed = Needed::new().unwrap();
        let tree = ObjectKey::Tree(PackId::from_bytes([0; 32]));
        for (key, len) in [(tree, 3), (pack(2), 20), (pack(0), 5), (pack(2), 20), (pack(2), 21)] {
            needed.add(&key, len).unwrap();
        }
        let failed: Result<(), Error> = needed.attempt(|needed| {
            needed.add(&pack(9), 1)?;
            Err(wrap("read", rusqlite::Error::InvalidQuery))
        });
        failed.unwrap_err();
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = needed.page(after.as_ref(), 2).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(*last);
            all.extend(page);
        }
        assert_eq!(all, [(pack(0), 5), (pack(2), 20), (pack(2), 21), (tree, 3)]);
        assert!(needed.contains(&pack(2)).unwrap() && needed.contains(&tree).unwrap());
        assert!(!needed.contains(&pack(9)).unwrap());
    }
}
