//! Files that rows name, and ids: sorted on disk, while one operation runs. Spec: `rows.md`.
//!
//! A file of its own without a name, so memory stays bounded however many rows there are, and
//! nothing of it outlives the program.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::{Error, scratch};

const SCHEMA: &str = "
    CREATE TABLE reference (
        key    BLOB NOT NULL,
        number INTEGER NOT NULL,
        form   INTEGER NOT NULL,
        size   INTEGER,
        PRIMARY KEY (key, number)
    ) WITHOUT ROWID;
    CREATE TABLE id (id BLOB PRIMARY KEY) WITHOUT ROWID;
    BEGIN;
";
/// How its file begins until it has no name.
const PREFIX: &str = ".idswyft-vault-rows-";
const PAGE_COUNT: usize = 1024;
/// Bytes of keys that are sorted in memory before they are written: rows come in no order, and
/// pages that are written in theirs are written once a batch.
const BATCH_LEN: usize = 16 * 1024 * 1024;

/// A file that a row names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Sort key of its path in the tree.
    pub key: Vec<u8>,
    /// How the row spells it; a number of the caller's.
    pub form: u8,
    /// How long the row says it is.
    pub size: Option<u64>,
}

/// References in the order of the tree, and a set of ids.
pub struct References {
    connection: Connection,
    dir: PathBuf,
    count: u64,
    batch: Vec<(u64, Reference)>,
    batch_len: usize,
}

impl References {
    /// Makes an empty one in a directory.
    ///
    /// # Errors
    /// If no file can be made there.
    pub fn create(dir: &Path) -> Result<Self, Error> {
        let connection = scratch::create(dir, PREFIX, 32 * 1024, SCHEMA)?;
        let dir = dir.to_owned();
        Ok(Self { connection, dir, count: 0, batch: Vec::new(), batch_len: 0 })
    }

    /// Adds a reference; the same one may come several times.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, reference: Reference) -> Result<(), Error> {
        self.count += 1;
        self.batch_len += reference.key.len() + size_of::<(u64, Reference)>();
        self.batch.push((self.count, reference));
        if self.batch_len > BATCH_LEN { self.finish() } else { Ok(()) }
    }

    /// Writes what was added; only then a cursor comes to all of it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.batch_len = 0;
        let mut batch = std::mem::take(&mut self.batch);
        batch.sort_unstable_by(|a, b| (&a.1.key, a.0).cmp(&(&b.1.key, b.0)));
        let write = || {
            let insert = "INSERT INTO reference VALUES (?1, ?2, ?3, ?4)";
            let mut statement = self.connection.prepare_cached(insert)?;
            batch.iter().try_for_each(|(number, Reference { key, form, size })| {
                statement.execute(params![key, number, form, size]).map(drop)
            })
        };
        write().map_err(|cause| Error::new(&self.dir, "write", cause))
    }

    /// Adds an id to the set.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add_id(&mut self, id: &[u8]) -> Result<(), Error> {
        let added = self
            .connection
            .prepare_cached("INSERT OR IGNORE INTO id VALUES (?1)")
            .and_then(|mut statement| statement.execute([id]));
        added.map(drop).map_err(|cause| Error::new(&self.dir, "write", cause))
    }

    /// Tells whether an id is in the set.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn has_id(&self, id: &[u8]) -> Result<bool, Error> {
        self.connection
            .prepare_cached("SELECT 1 FROM id WHERE id = ?1")
            .and_then(|mut statement| statement.exists([id]))
            .map_err(|cause| Error::new(&self.dir, "read", cause))
    }

    /// Starts to read the references in order; those of one file in the order of their rows.
    pub fn cursor(&self) -> ReferenceCursor<'_> {
        ReferenceCursor { references: self, page: VecDeque::new(), last: None, done: false }
    }
}

/// Reads references in order, a page at a time.
pub struct ReferenceCursor<'a> {
    references: &'a References,
    page: VecDeque<(i64, Reference)>,
    last: Option<(Vec<u8>, i64)>,
    done: bool,
}

impl ReferenceCursor<'_> {
    /// Returns the next reference without taking it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn peek(&mut self) -> Result<Option<&Reference>, Error> {
        if self.page.is_empty() && !self.done {
            let wrap = |cause| Error::new(&self.references.dir, "read", cause);
            self.page = self.load().map_err(wrap)?;
            self.done = self.page.len() < PAGE_COUNT;
            self.last = self.page.back().map(|(number, last)| (last.key.clone(), *number));
        }
        Ok(self.page.front().map(|(_, reference)| reference))
    }

    /// Takes the next reference, if it comes before `key`, or is of `key` itself.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn next_up_to(&mut self, key: &[u8]) -> Result<Option<Reference>, Error> {
        let is_next = self.peek()?.is_some_and(|reference| reference.key.as_slice() <= key);
        Ok(if is_next { self.page.pop_front().map(|(_, reference)| reference) } else { None })
    }

    /// Takes the next reference.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn advance(&mut self) -> Result<Option<Reference>, Error> {
        self.peek()?;
        Ok(self.page.pop_front().map(|(_, reference)| reference))
    }

    fn load(&self) -> rusqlite::Result<VecDeque<(i64, Reference)>> {
        // One query for both would not be looked up by the key, but run from the start each time.
        let after = if self.last.is_some() { "WHERE (key, number) > (?1, ?2)" } else { "" };
        let query = format!(
            "SELECT key, number, form, size FROM reference {after} ORDER BY key, number \
             LIMIT {PAGE_COUNT}"
        );
        let mut statement = self.references.connection.prepare_cached(&query)?;
        let row_to_reference = |row: &rusqlite::Row<'_>| {
            let (key, form, size) = (row.get(0)?, row.get(2)?, row.get(3)?);
            Ok((row.get(1)?, Reference { key, form, size }))
        };
        match &self.last {
            Some((key, number)) => statement.query_map(params![key, number], row_to_reference),
            None => statement.query_map([], row_to_reference),
        }?
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_come_in_order_over_many_pages_and_leave_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut references = References::create(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let total = 5 * PAGE_COUNT as u64;
        for number in 0..total {
            let key = blake3::hash(&(number / 2).to_le_bytes()).as_bytes()[..4].to_vec();
            references.add(Reference { key, form: 1, size: Some(number) }).unwrap();
            if number % 1000 == 0 {
                references.finish().unwrap();
            }
        }
        references.finish().unwrap();
        let (mut cursor, mut found) = (references.cursor(), Vec::new());
        while let Some(reference) = cursor.advance().unwrap() {
            found.push((reference.key, reference.size.unwrap()));
        }
        assert_eq!(found.len() as u64, total);
        assert!(found.is_sorted());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn only_what_comes_up_to_a_key_is_taken_and_ids_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let mut references = References::create(dir.path()).unwrap();
        for key in ["b", "a", "c"] {
            let reference = Reference { key: key.into(), form: 0, size: None };
            references.add(reference).unwrap();
        }
        references.finish().unwrap();
        references.add_id(b"x").unwrap();
        references.add_id(b"x").unwrap();
        assert!(references.has_id(b"x").unwrap() && !references.has_id(b"y").unwrap());
        let mut cursor = references.cursor();
        assert_eq!(cursor.next_up_to(b"b").unwrap().unwrap().key, b"a");
        assert_eq!(cursor.next_up_to(b"b").unwrap().unwrap().key, b"b");
        assert_eq!(cursor.next_up_to(b"bb").unwrap(), None);
        assert_eq!(cursor.advance().unwrap().unwrap().key, b"c");
        assert_eq!(cursor.advance().unwrap(), None);
    }
}
