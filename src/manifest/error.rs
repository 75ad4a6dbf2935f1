//! What the manifest can fail with.

use std::path::{Path, PathBuf};

use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use thiserror::Error;

use crate::base::{Code, Coded};

/// A failure of the manifest.
#[derive(Debug, Error)]
pub enum Error {
    /// SQLite failed.
    #[error("{action} the manifest {path}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// SQLite's reason.
        #[source]
        cause: rusqlite::Error,
    },
    /// The file is not there.
    #[error("open the manifest {path}: it is not there")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file holds nothing.
    #[error("open the manifest {path}: it knows nothing of this vault, so it was made anew")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be made or changed.
    #[error("{action} the manifest {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// SQLite failed on the memory of verifications.
    #[error("{action} the memory of verifications {path}")]
    Memory {
        /// The file.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// SQLite's reason.
        #[source]
        cause: rusqlite::Error,
    },
    /// The file of the memory cannot be made.
    #[error("create the memory of verifications {path}")]
    MemoryFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The file is no memory of verifications.
    #[error("open the memory of verifications {path}: it is a file of something else")]
    NotMemory {
        /// The file.
        path: PathBuf,
    },
    /// The manifest, or the memory, was made by a newer program.
    #[error("open {path}: it has version {version}, this program knows {known}")]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: usize,
        /// The latest version known.
        known: usize,
    },
}

impl Error {
    pub(super) fn new(path: &Path, action: &'static str, cause: rusqlite::Error) -> Self {
        Self::Sqlite { path: path.to_owned(), action, cause }
    }
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            // SQLite has a code of its own for a full disk, but not for its shared memory file.
            Self::Sqlite { cause, .. } if extended_code(cause) == Some(SQLITE_IOERR_SHMSIZE) => {
                Code::StoreFull
            }
            Self::Sqlite { cause, .. } => match cause.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DiskFull) => Code::StoreFull,
                Some(rusqlite::ErrorCode::DatabaseBusy) => Code::Locked,
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                    Code::ManifestDamaged
                }
                _ => Code::StateUnavailable,
            },
            Self::Memory { cause, .. } => match cause.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DiskFull) => Code::StoreFull,
                Some(rusqlite::ErrorCode::DatabaseBusy) => Code::Locked,
                _ => Code::StateUnavailable,
            },
            Self::NotMemory { .. } => Code::UsageInvalid,
            Self::Missing { .. } | Self::Empty { .. } => Code::ManifestDamaged,
            Self::File { cause, .. } | Self::MemoryFile { cause, .. } => match cause.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    Code::StoreFull
                }
                _ => Code::StateUnavailable,
            },
            Self::TooNew { .. } => Code::FormatTooNew,
        }
    }
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}
