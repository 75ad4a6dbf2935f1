//! What sealing, opening and checking the stack's secrets can fail with.

use std::path::PathBuf;

use thiserror::Error;

use crate::base::{Code, Coded, Digest, SnapshotId};
use crate::format::ObjectKey;

/// A failure that is the escrow's own.
#[derive(Debug, Error)]
pub enum EscrowError {
    /// The store is where it may not be.
    #[error("use {place} as the escrow store: {reason}")]
    Place {
        /// The store's URL or directory.
        place: String,
        /// Why not.
        reason: String,
    },
    /// The installation cannot be read.
    #[error(transparent)]
    Install(#[from] crate::source::install::InstallError),
    /// There is nothing of that kind or name.
    #[error("find {what} in the escrow store {store}")]
    Unknown {
        /// What was looked for.
        what: String,
        /// The store's name.
        store: String,
    },
    /// A snapshot was taken without an escrow store.
    #[error("find the secrets of snapshot {snapshot}: it names none")]
    NoneNamed {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// What a snapshot says of its secrets does not parse.
    #[error("read which secrets snapshot {snapshot} needs: {reason}")]
    Named {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Why not.
        reason: String,
    },
    /// An object is not the one that a snapshot names.
    #[error("read {object}: its SHA-256 is {found}, the snapshot names {expected}")]
    Altered {
        /// The object.
        object: ObjectKey,
        /// Of the bytes read.
        found: Box<Digest>,
        /// As the snapshot names it.
        expected: Box<Digest>,
    },
    /// What was cut out does not fit what it was cut out of.
    #[error("put back what was cut out of {file}: {object} does not fit it")]
    CutsMisfit {
        /// The file.
        file: String,
        /// The object with the pieces.
        object: ObjectKey,
    },
    /// The directory to write to is not empty.
    #[error("open the secrets into {}: it has {count} entries", path.display())]
    TargetNotEmpty {
        /// The directory.
        path: PathBuf,
        /// Its entries.
        count: usize,
    },
}

impl Coded for EscrowError {
    fn code(&self) -> Code {
        match self {
            Self::Place { .. } => Code::EscrowPlaceRefused,
            Self::Install(error) => error.code(),
            Self::Unknown { .. } | Self::NoneNamed { .. } => Code::EscrowUnknown,
            Self::Named { .. } => Code::FormatInvalid,
            Self::Altered { .. } => Code::ObjectAltered,
            Self::CutsMisfit { .. } => Code::NoteMismatch,
            Self::TargetNotEmpty { .. } => Code::TargetNotEmpty,
        }
    }
}
