//! Looking at a manifest that another run may be writing.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use super::{Error, KeptReceipt, MIGRATIONS, Manifest, SnapshotRow};
use crate::base::{OpenGate, SnapshotId};
use crate::format::ObjectKey;

/// A manifest that is only read, without the lock of its state.
pub struct ManifestView(Manifest);

/// What waits for a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Objects.
    pub count: u64,
    /// Their bytes.
    pub len: u64,
}

/// What the open generation has stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct OpenSpace {
    /// Its packs and tree objects.
    pub pack_count: u64,
    /// Their stored bytes.
    pub stored_len: u64,
    /// Stored bytes of those that nothing leans on any more, because too little of them is used.
    pub retired_len: u64,
}

impl ManifestView {
    /// Opens a manifest for reading; nothing is migrated.
    ///
    /// # Errors
    /// If it is missing, damaged, or of another version than this program's.
    pub fn open(path: &Path) -> Result<Self, Error> {
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(Error::Missing { path: path.to_owned() }),
            Err(cause) => {
                return Err(Error::File { path: path.to_owned(), action: "find", cause });
            }
        }
        let wrap = |cause| Error::new(path, "open", cause);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(wrap)?;
        connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(wrap)?;
        let version: usize =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(wrap)?;
        let known = MIGRATIONS.len();
        if version > known {
            return Err(Error::TooNew { path: path.to_owned(), version, known });
        }
        let (path, gate) = (path.to_owned(), OpenGate::shared());
        Ok(Self(Manifest { connection, path, gate }))
    }

    /// Returns every snapshot, oldest first.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn snapshots(&self) -> Result<Vec<SnapshotRow>, Error> {
        self.0.snapshots()
    }

    /// Returns the snapshots whose notes `store` does not have yet.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn undelivered(&self, store: &str) -> Result<Vec<SnapshotId>, Error> {
        self.0.undelivered(store)
    }

    /// Returns a value kept under a name.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn note(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.note(name)
    }

    /// Returns when `store` last acknowledged an object, if it ever did.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn last_receipt(&self, store: &str) -> Result<Option<Timestamp>, Error> {
        let second: Option<i64> = self.0.run("read the receipts of", |connection| {
            connection
                .query_row("SELECT MAX(time) FROM receipt WHERE store = ?1", [store], |r| r.get(0))
        })?;
        Ok(second.and_then(|second| Timestamp::from_second(second).ok()))
    }

    /// Returns the snapshots whose events cover receipts of `store`, the oldest first.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn covered_snapshots(&self, store: &str) -> Result<Vec<SnapshotId>, Error> {
        let ids: Vec<String> = self.0.run("read the receipts of", |connection| {
            let text = "SELECT DISTINCT completed FROM receipt \
                        WHERE store = ?1 AND completed IS NOT NULL ORDER BY completed";
            connection.prepare_cached(text)?.query_map([store], |row| row.get(0))?.collect()
        })?;
        Ok(ids.into_iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Returns the receipts of a store that the event of a snapshot covers, by name.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn receipts_of(
        &self,
        store: &str,
        completed: SnapshotId,
    ) -> Result<Vec<KeptReceipt>, Error> {
        self.0.receipts_of(store, Some(completed))
    }

    /// Returns how much waits for `store`.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn waiting(&self, store: &str) -> Result<Waiting, Error> {
        self.0.run("read the outbox of", |connection| {
            let mut statement = connection
                .prepare_cached("SELECT length(bytes), path FROM outbox WHERE store = ?1")?;
            let rows = statement.query_map([store], |row| {
                let (len, path): (Option<u64>, Option<String>) = (row.get(0)?, row.get(1)?);
                // A spooled file that is gone was delivered since.
                let spooled = path.and_then(|path| std::fs::metadata(path).ok());
                Ok(len.or(spooled.map(|metadata| metadata.len())).unwrap_or(0))
            })?;
            let mut waiting = Waiting::default();
            for len in rows {
                waiting.count += 1;
                waiting.len += len?;
            }
            Ok(waiting)
        })
    }

    /// Returns the name of every object that waits for any store.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn waiting_keys(&self) -> Result<Vec<ObjectKey>, Error> {
        let keys: Vec<String> = self.0.run("read the outbox of", |connection| {
            let mut statement = connection.prepare_cached("SELECT DISTINCT key FROM outbox")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })?;
        // What does not parse is no name of an object: it is delivered by nobody.
        Ok(keys.into_iter().filter_map(|key| key.parse().ok()).collect())
    }

    /// Returns how much the open generation has stored.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn space(&self) -> Result<OpenSpace, Error> {
        self.0.run("count the packs of", |connection| {
            let text = "SELECT COUNT(*), COALESCE(SUM(stored_len), 0), \
                        COALESCE(SUM(CASE WHEN retired THEN stored_len ELSE 0 END), 0) FROM pack";
            connection.query_row(text, [], |row| {
                let (pack_count, stored_len, retired_len) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(OpenSpace { pack_count, stored_len, retired_len })
            })
        })
    }
}
