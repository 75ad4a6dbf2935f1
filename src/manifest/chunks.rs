//! Looking up chunks, on a connection of its own.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension};

use super::{Error, PackNumber};
use crate::base::ChunkId;

/// Where a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    /// The pack's number.
    pub pack: PackNumber,
    /// Offset in the pack's raw bytes.
    pub offset: u64,
    /// Length in bytes.
    pub raw_len: u32,
}

/// Looks up chunks while another thread writes.
pub struct ChunkReader {
    connection: Connection,
    path: PathBuf,
}

impl ChunkReader {
    pub(super) const fn new(connection: Connection, path: PathBuf) -> Self {
        Self { connection, path }
    }

    /// Returns where a chunk is, if it is in any pack.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn find(&self, id: &ChunkId) -> Result<Option<Located>, Error> {
        self.query(id).map_err(|cause| Error::new(&self.path, "look up a chunk in", cause))
    }

    fn query(&self, id: &ChunkId) -> rusqlite::Result<Option<Located>> {
        self.connection
            .prepare_cached("SELECT pack, offset, raw_len FROM chunk WHERE id = ?1")?
            .query_row([id.as_bytes().as_slice()], |row| {
                Ok(Located { pack: row.get(0)?, offset: row.get(1)?, raw_len: row.get(2)? })
            })
            .optional()
    }
}
