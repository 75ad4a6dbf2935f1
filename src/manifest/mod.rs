//! Layer 2: the SQLite index on the host. Spec: §10.
//!
//! The manifest is a cache (I7): everything in it can be rebuilt from a store, except what is still
//! on its way there, the outbox. So losing it costs time and, at worst, the snapshot under way.
//! What happens to the archive happens in one of its transactions first.

mod chunks;
mod error;
mod files;
mod outbox;
mod packs;
mod snapshots;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

pub use chunks::{ChunkReader, Located};
pub use error::Error;
pub use files::{CachedFile, CachedKind, FileCache, FilePages, FileStamp};
pub use outbox::{Outgoing, Payload, ReceiptRow};
pub use packs::{NewPack, PackNumber, PackRow};
pub use snapshots::{Commit, SnapshotRow};

use crate::base::{Gate, Step};

/// The schema, one step a version; `user_version` says how many were applied.
const MIGRATIONS: [&str; 1] = [include_str!("schema-1.sql")];

/// The manifest of one vault, open for writing.
pub struct Manifest {
    connection: Connection,
    path: PathBuf,
    gate: Arc<dyn Gate>,
}

impl Manifest {
    /// Opens the manifest, creating or migrating it; each of its commits passes the gate.
    ///
    /// # Errors
    /// If the file cannot be opened, is damaged, or was made by a newer program.
    pub fn open(path: &Path, gate: &Arc<dyn Gate>) -> Result<Self, Error> {
        let wrap = |cause| Error::new(path, "open", cause);
        make_private(path)?;
        let connection = Connection::open(path).map_err(wrap)?;
        configure(&connection).map_err(wrap)?;
        let gate = Arc::clone(gate);
        let mut manifest = Self { connection, path: path.to_owned(), gate };
        manifest.migrate()?;
        Ok(manifest)
    }

    fn migrate(&mut self) -> Result<(), Error> {
        let applied: usize = self.run("read the version of", |connection| {
            connection.query_row("PRAGMA user_version", [], |row| row.get(0))
        })?;
        if applied > MIGRATIONS.len() {
            let known = MIGRATIONS.len();
            return Err(Error::TooNew { path: self.path.clone(), version: applied, known });
        }
        for (index, step) in MIGRATIONS.iter().enumerate().skip(applied) {
            self.write("migrate", |transaction| {
                transaction.execute_batch(step)?;
                transaction.pragma_update(None, "user_version", index + 1)
            })?;
        }
        Ok(())
    }

    /// Runs queries.
    fn run<T>(
        &self,
        action: &'static str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        query(&self.connection).map_err(|cause| Error::new(&self.path, action, cause))
    }

    /// Runs changes in one transaction: all of them last, or none.
    fn write<T>(
        &mut self,
        action: &'static str,
        change: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let path = &self.path;
        let wrap = |cause| Error::new(path, action, cause);
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(wrap)?;
        let value = change(&transaction).map_err(wrap)?;
        let refuse = |cause| Error::File { path: path.clone(), action, cause };
        self.gate.before(Step::Commit(path)).map_err(refuse)?;
        transaction.commit().map_err(wrap)?;
        self.gate.after(Step::Commit(path)).map_err(refuse)?;
        Ok(value)
    }

    /// Returns a value kept under a name.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn note(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        use rusqlite::OptionalExtension;
        self.run("read", |connection| {
            connection
                .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
                .query_row([name], |row| row.get(0))
                .optional()
        })
    }

    /// Keeps a value under a name.
    ///
    /// # Errors
    /// If the manifest cannot be written.
    pub fn set_note(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        self.write("write", |transaction| set_note(transaction, name, value))
    }

    /// Opens a second connection that only looks up chunks, for another thread.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn chunk_reader(&self) -> Result<ChunkReader, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)
            .map_err(|cause| Error::new(&self.path, "open", cause))?;
        Ok(ChunkReader::new(connection, self.path.clone()))
    }
}

fn set_note(connection: &Connection, name: &str, value: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?
        .execute(rusqlite::params![name, value])?;
    Ok(())
}

/// Makes the file readable by its owner only; SQLite gives its other files the same mode.
fn make_private(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::File::options();
    let made = options.write(true).create(true).truncate(false).mode(0o600).open(path);
    let failed = |cause| Error::File { path: path.to_owned(), action: "create", cause };
    made.map(drop).map_err(failed)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    Ok(())
}
