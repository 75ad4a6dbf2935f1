//! The newest tree, path by path: what makes an unchanged file cost a `stat` and no read.
//!
//! A database of its own, because it changes while packs are being recorded, and because it may be
//! lost or thrown away at any time: files are then read again and found to be known.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::{Error, configure, make_private};
use crate::format::recipe::Piece;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS file (
        key    BLOB PRIMARY KEY,
        kind   INTEGER NOT NULL,
        stamp  BLOB NOT NULL,
        head   BLOB NOT NULL,
        pieces BLOB NOT NULL
    ) WITHOUT ROWID;
";
const PIECE_LEN: usize = 20;
const PAGE_COUNT: usize = 1024;

/// What tells a changed file from an unchanged one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    /// Size in bytes.
    pub size: u64,
    /// Modification time.
    pub mtime: (i64, u32),
    /// Change time, which no program can set back.
    pub ctime: (i64, u32),
    /// Inode number.
    pub inode: u64,
}

impl FileStamp {
    fn to_bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[..8].copy_from_slice(&self.size.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.mtime.0.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.mtime.1.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.ctime.0.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.ctime.1.to_le_bytes());
        bytes[32..].copy_from_slice(&self.inode.to_le_bytes());
        bytes
    }
}

/// What a cached entry counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachedKind {
    /// A regular file under its first name.
    File,
    /// A directory.
    Dir,
    /// Anything else.
    Other,
}

impl CachedKind {
    const ALL: [Self; 3] = [Self::File, Self::Dir, Self::Other];

    const fn code(self) -> u8 {
        match self {
            Self::File => 0,
            Self::Dir => 1,
            Self::Other => 2,
        }
    }
}

/// An entry of the newest tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedFile {
    /// Sort key of the path.
    pub key: Vec<u8>,
    /// What it counts as.
    pub kind: CachedKind,
    /// What tells whether it changed; nothing equals the stamp of what changed under the reader.
    pub stamp: Option<FileStamp>,
    /// The entry's JSON without its extents.
    pub head: Vec<u8>,
    /// The extents, by pack number; empty for what is not a regular file.
    pub pieces: Vec<Piece>,
}

fn row_to_file(row: &rusqlite::Row<'_>) -> rusqlite::Result<CachedFile> {
    let (code, stamp, pieces): (u8, Vec<u8>, Vec<u8>) = (row.get(1)?, row.get(2)?, row.get(4)?);
    let kind = CachedKind::ALL.into_iter().find(|kind| kind.code() == code);
    Ok(CachedFile {
        key: row.get(0)?,
        kind: kind.unwrap_or(CachedKind::Other),
        stamp: FileStamp::from_bytes(&stamp),
        head: row.get(3)?,
        pieces: bytes_to_pieces(&pieces),
    })
}

impl FileStamp {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 40] = bytes.try_into().ok()?;
        let mut reader = crate::format::wire::Reader::new(bytes);
        let signed = |value: u64| i64::from_le_bytes(value.to_le_bytes());
        Some(Self {
            size: reader.u64(),
            mtime: (signed(reader.u64()), reader.u32()),
            ctime: (signed(reader.u64()), reader.u32()),
            inode: reader.u64(),
        })
    }
}

fn pieces_to_bytes(pieces: &[Piece]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(pieces.len() * PIECE_LEN);
    for piece in pieces {
        bytes.extend_from_slice(&piece.pack.to_le_bytes());
        bytes.extend_from_slice(&piece.offset.to_le_bytes());
        bytes.extend_from_slice(&piece.len.to_le_bytes());
    }
    bytes
}

fn bytes_to_pieces(bytes: &[u8]) -> Vec<Piece> {
    let piece = |bytes: &[u8]| {
        let mut reader = crate::format::wire::Reader::new(bytes);
        Piece { pack: reader.u32(), offset: reader.u64(), len: reader.u64() }
    };
    bytes.chunks_exact(PIECE_LEN).map(piece).collect()
}

/// The cache, open for one run: nothing of it lasts before [`FileCache::commit`].
pub struct FileCache {
    connection: Connection,
    path: PathBuf,
}

impl FileCache {
    /// Opens the cache; one that belongs to another manifest or is damaged is emptied.
    ///
    /// # Errors
    /// If the file cannot be opened or made.
    pub fn open(path: &Path, owner: &[u8]) -> Result<Self, Error> {
        match Self::try_open(path, owner) {
            Err(Error::Sqlite { cause, .. })
                if cause.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase)
                    || cause.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt) =>
            {
                for suffix in ["", "-wal", "-shm"] {
                    let mut name = path.as_os_str().to_owned();
                    name.push(suffix);
                    // A file that is not there needs no removing; any other failure shows below.
                    let _ = std::fs::remove_file(name);
                }
                Self::try_open(path, owner)
            }
            other => other,
        }
    }

    fn try_open(path: &Path, owner: &[u8]) -> Result<Self, Error> {
        let wrap = |cause| Error::new(path, "open", cause);
        make_private(path)?;
        let connection = Connection::open(path).map_err(wrap)?;
        let prepare = || {
            configure(&connection)?;
            connection.execute_batch(SCHEMA)?;
            let known: bool = connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM meta WHERE name = 'owner' AND value = ?1)",
                [owner],
                |row| row.get(0),
            )?;
            if !known {
                connection.execute("DELETE FROM file", [])?;
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('owner', ?1)", [owner])?;
            }
            connection.execute_batch("BEGIN IMMEDIATE")
        };
        prepare().map_err(wrap)?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Opens a second connection that reads the entries of the last committed tree in order.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn pages(&self) -> Result<FilePages, Error> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(&self.path, flags)
            .map_err(|cause| Error::new(&self.path, "open", cause))?;
        Ok(FilePages::new(connection, self.path.clone()))
    }

    /// Puts an entry in, or in place of the one with its key.
    ///
    /// # Errors
    /// If the cache cannot be written.
    pub fn put(&self, file: &CachedFile) -> Result<(), Error> {
        self.run("write", || {
            self.connection
                .prepare_cached("INSERT OR REPLACE INTO file VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![
                    file.key,
                    file.kind.code(),
                    file.stamp.map_or(Vec::new(), |stamp| stamp.to_bytes().to_vec()),
                    file.head,
                    pieces_to_bytes(&file.pieces),
                ])
        })?;
        Ok(())
    }

    /// Takes the entry with that key out.
    ///
    /// # Errors
    /// If the cache cannot be written.
    pub fn remove(&self, key: &[u8]) -> Result<(), Error> {
        self.run("write", || {
            self.connection.prepare_cached("DELETE FROM file WHERE key = ?1")?.execute([key])
        })?;
        Ok(())
    }

    /// Visits every entry in order, with this run's changes.
    ///
    /// # Errors
    /// If the cache cannot be read, or the visitor fails.
    pub fn visit<E: From<Error>>(
        &self,
        mut visit: impl FnMut(CachedFile) -> Result<(), E>,
    ) -> Result<(), E> {
        let wrap = |cause| Error::new(&self.path, "read", cause);
        let mut statement = self
            .connection
            .prepare_cached("SELECT key, kind, stamp, head, pieces FROM file ORDER BY key")
            .map_err(wrap)?;
        let mut rows = statement.query([]).map_err(wrap)?;
        while let Some(row) = rows.next().map_err(wrap)? {
            visit(row_to_file(row).map_err(wrap)?)?;
        }
        Ok(())
    }

    /// Makes this run's changes last.
    ///
    /// # Errors
    /// If the cache cannot be written; the snapshot is not affected.
    pub fn commit(self) -> Result<(), Error> {
        self.run("commit", || self.connection.execute_batch("COMMIT"))
    }

    fn run<T>(
        &self,
        action: &'static str,
        query: impl FnOnce() -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        query().map_err(|cause| Error::new(&self.path, action, cause))
    }
}

/// Reads the last committed tree in order, a page at a time.
pub struct FilePages {
    connection: Connection,
    path: PathBuf,
    page: std::collections::VecDeque<CachedFile>,
    last: Option<Vec<u8>>,
    done: bool,
}

impl FilePages {
    fn new(connection: Connection, path: PathBuf) -> Self {
        Self { connection, path, page: std::collections::VecDeque::new(), last: None, done: false }
    }

    /// Returns the next entry without taking it.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn peek(&mut self) -> Result<Option<&CachedFile>, Error> {
        if self.page.is_empty() && !self.done {
            self.page = self.load().map_err(|e| Error::new(&self.path, "read", e))?;
            self.done = self.page.len() < PAGE_COUNT;
        }
        Ok(self.page.front())
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn advance(&mut self) -> Result<Option<CachedFile>, Error> {
        self.peek()?;
        let file = self.page.pop_front();
        if let Some(file) = &file {
            self.last = Some(file.key.clone());
        }
        Ok(file)
    }

    /// Tells whether the last committed tree has an entry with that key.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn contains(&self, key: &[u8]) -> Result<bool, Error> {
        self.connection
            .prepare_cached("SELECT 1 FROM file WHERE key = ?1")
            .and_then(|mut statement| statement.exists([key]))
            .map_err(|cause| Error::new(&self.path, "read", cause))
    }

    fn load(&self) -> rusqlite::Result<std::collections::VecDeque<CachedFile>> {
        // One query for both would not be looked up by the key, but run from the start each time.
        let after = if self.last.is_some() { "WHERE key > ?1" } else { "" };
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT key, kind, stamp, head, pieces FROM file {after} \
             ORDER BY key LIMIT {PAGE_COUNT}"
        ))?;
        match &self.last {
            Some(last) => statement.query_map([last], row_to_file),
            None => statement.query_map([], row_to_file),
        }?
        .collect()
    }
}
