//! Layer 2: the SQLite index on the host. Spec: §10.
//!
//! The manifest is a cache (I7): everything in it can be rebuilt from a store, except what is still
//! on its way there, the outbox. So losing it costs time and, at worst, the snapshot under way.
//! What happens to the archive happens in one of its transactions first.

mod chunks;
mod claims;
mod coverage;
mod drawn;
mod error;
mod file_plan;
mod files;
mod floors;
mod inventory;
mod names;
mod needed;
mod outbox;
mod pack_places;
mod packs;
mod planned;
mod references;
mod scratch;
mod snapshots;
mod sweep;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

pub use chunks::{ChunkReader, Located};
pub use claims::{Claim, Claims};
pub use coverage::{Coverage, Look, Shelf};
pub use drawn::{Amount, Standing};
pub use error::Error;
pub use file_plan::FilePlan;
pub use files::{CachedFile, CachedKind, FileCache, FilePages, FileStamp};
pub use floors::Floor;
pub use inventory::Inventory;
pub use names::{NAME_LEN, Names};
pub use needed::Needed;
pub use outbox::{KeptReceipt, Outgoing, Payload, ReceiptRow};
pub use pack_places::PackPlace;
pub use packs::{NewPack, PackNumber, PackRow};
pub use planned::{Cause, Known, Mark, NewFile, PlannedFile};
pub use references::{Reference, ReferenceCursor, References};
pub use snapshots::{Commit, SnapshotRow};
pub use sweep::{Going, Named, Naming, Pick, Staging, Sweep};
pub use view::{ManifestView, OpenSpace, Waiting};

use crate::base::{Gate, Step};

/// The name under which a manifest keeps what tells its pack numbers from those of any other.
pub const IDENTITY: &str = "identity";

/// The schema, one step a version; `user_version` says how many were applied.
const MIGRATIONS: [&str; 2] = [include_str!("schema-1.sql"), include_str!("schema-2.sql")];

/// Makes a database for what does not fit in little memory: it has no name, and SQLite removes it.
fn in_passing(schemas: &[&str]) -> rusqlite::Result<Connection> {
    let connection = Connection::open("")?;
    for schema in schemas {
        connection.execute_batch(schema)?;
    }
    Ok(connection)
}

/// The manifest of one vault, open for writing.
pub struct Manifest {
    connection: Connection,
    path: PathBuf,
    gate: Arc<dyn Gate>,
}

impl Manifest {
    /// Opens the manifest, migrating it if need be.
    ///
    /// A manifest that was lost is not begun anew: an empty one would repeat what was signed.
    ///
    /// # Errors
    /// If the file is not there, cannot be opened, is damaged, or was made by a newer program.
    pub fn open(path: &Path, gate: &Arc<dyn Gate>) -> Result<Self, Error> {
        match path.try_exists() {
            Ok(true) => Self::create(path, gate),
            Ok(false) => Err(Error::Missing { path: path.to_owned() }),
            Err(cause) => Err(Error::File { path: path.to_owned(), action: "find", cause }),
        }
    }

    /// Opens the manifest, creating it if it is not there; each of its commits passes the gate.
    ///
    /// # Errors
    /// If the file cannot be made or opened, is damaged, or was made by a newer program.
    pub fn create(path: &Path, gate: &Arc<dyn Gate>) -> Result<Self, Error> {
        let wrap = |cause| Error::new(path, "open", cause);
        make_private(path)?;
        let connection = Connection::open(path).map_err(wrap)?;
        configure(&connection).map_err(wrap)?;
        let gate = Arc::clone(gate);
        let mut manifest = Self { connection, path: path.to_owned(), gate };
        manifest.migrate()?;
        Ok(manifest)
    }

    /// Puts this manifest in the place of another, which may be damaged or missing.
    ///
    /// A crash leaves either of them, or none; never one of them with the other's journal.
    ///
    /// # Errors
    /// If a file cannot be removed or renamed.
    pub fn replace(self, place: &Path) -> Result<(), Error> {
        let Self { connection, path, gate } = self;
        // Closing the last connection moves the write-ahead log into the file.
        connection.close().map_err(|(_, cause)| Error::new(&path, "close", cause))?;
        remove(place, &gate)?;
        let directory = place.parent().unwrap_or(Path::new("."));
        let sync = || std::fs::File::open(directory)?.sync_all();
        gate.pass(Step::Rename(place), || std::fs::rename(&path, place))
            .and_then(|()| gate.pass(Step::SyncDirectory(directory), sync))
            .map_err(|cause| Error::File { path: place.to_owned(), action: "replace", cause })
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

/// Removes a manifest and its journal, if they are there.
///
/// # Errors
/// If a file cannot be removed.
pub fn remove(path: &Path, gate: &Arc<dyn Gate>) -> Result<(), Error> {
    // The database itself first: without its log it would look whole and be older.
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let path = PathBuf::from(name);
        match gate.pass(Step::Remove(&path), || std::fs::remove_file(&path)) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::File { path, action: "remove", cause });
            }
            _ => {}
        }
    }
    Ok(())
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
