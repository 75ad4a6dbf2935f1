//! What an operation can fail with.

use thiserror::Error;

use super::snapshot::Closed;
use crate::base::{Code, Coded, SnapshotId};

/// A failure of an operation.
#[derive(Debug, Error)]
pub enum Error {
    /// The vault layer failed.
    #[error(transparent)]
    Vault(#[from] crate::vault::Error),
    /// A change of recipients or signers is refused.
    #[error(transparent)]
    Change(#[from] super::change::ChangeError),
    /// The engine or the stack cannot be used.
    #[error(transparent)]
    Docker(#[from] crate::source::docker::DockerError),
    /// A store cannot be used as it is configured.
    #[error("use store {store} as it is configured: {reason}")]
    StoreUnfit {
        /// The store's name.
        store: String,
        /// What it does not do, and what to do.
        reason: String,
    },
    /// A snapshot does not go into service.
    #[error(transparent)]
    Apply(#[from] super::apply::ApplyError),
    /// Nothing is forgotten.
    #[error(transparent)]
    Retain(#[from] super::retain::RetainError),
    /// Nothing is pruned.
    #[error(transparent)]
    Prune(#[from] super::prune::PruneError),
    /// A generation is not shredded.
    #[error(transparent)]
    Shred(#[from] super::shred::ShredError),
    /// Evidence for a verification cannot be used.
    #[error(transparent)]
    Evidence(#[from] super::verify::EvidenceError),
    /// A part cannot be looked at.
    #[error(transparent)]
    Part(#[from] super::verify::PartError),
    /// Packs are not thawed.
    #[error(transparent)]
    Thaw(#[from] super::thaw::ThawError),
    /// The escrow failed.
    #[error(transparent)]
    Escrow(#[from] super::escrow::EscrowError),
    /// The source command failed.
    #[error(transparent)]
    Stream(#[from] crate::source::stream::Error),
    /// Reading the source failed.
    #[error("read the database source")]
    Read(#[source] std::io::Error),
    /// The dump is not whole.
    #[error(transparent)]
    Dump(#[from] crate::source::DumpError),
    /// The dump holds commands for `psql`.
    #[error("load the dump: it has {count} backslash commands, which pg_dump does not write")]
    DumpCommands {
        /// How many.
        count: u64,
    },
    /// The uploads cannot be walked.
    #[error(transparent)]
    Walk(#[from] crate::source::walk::WalkError),
    /// The archive of the uploads cannot be read.
    #[error(transparent)]
    Tar(#[from] crate::source::tar_walk::TarError),
    /// An entry does not fit the format.
    #[error(transparent)]
    Tree(#[from] crate::format::tree::TreeError),
    /// The target failed.
    #[error(transparent)]
    Target(#[from] crate::source::target::TargetError),
    /// The policy in the vault note does not parse.
    #[error(transparent)]
    Policy(#[from] crate::policy::PolicyError),
    /// A structure breaks a limit.
    #[error(transparent)]
    Format(#[from] crate::format::FormatError),
    /// A stage of the pipeline ended early; the error that ended it is reported instead.
    #[error("go on: another stage of the pipeline ended")]
    Closed,
    /// A run took longer than prune waits for it.
    #[error("commit snapshot {snapshot}: the run took {hours} hours, at most {max} are allowed")]
    TooLong {
        /// The snapshot.
        snapshot: SnapshotId,
        /// How long the run took.
        hours: i64,
        /// How long it may take.
        max: i64,
    },
    /// A host that has state does not rejoin.
    #[error(
        "rejoin vault {name}: its state is in {}: if it is lost for good, move it away first",
        path.display()
    )]
    StateThere {
        /// The vault's name.
        name: String,
        /// Where its state is.
        path: std::path::PathBuf,
    },
    /// A sound manifest with objects on their way must not be thrown away.
    #[error(
        "rebuild the manifest {}: it can be read, and {count} objects in it wait for a store: \
         deliver them with `snapshot`, or move the file away if it is not to be trusted",
        path.display()
    )]
    NotDelivered {
        /// The manifest.
        path: std::path::PathBuf,
        /// Objects that wait, counted for each store.
        count: u64,
    },
    /// A checkpoint that was kept is not one of this vault's.
    #[error("accept the checkpoint: {reason}")]
    Checkpoint {
        /// Why not.
        reason: String,
    },
    /// The snapshot does not hold what was asked for.
    #[error("find {what} in snapshot {snapshot}")]
    NotInSnapshot {
        /// What.
        what: String,
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// A pattern does not parse.
    #[error("parse the pattern {text:?}: {reason}")]
    Pattern {
        /// The pattern.
        text: String,
        /// Why not.
        reason: String,
    },
    /// The recovery kit cannot be written there.
    #[error("write the recovery kit to {}: {reason}", path.display())]
    KitPlace {
        /// Where.
        path: std::path::PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// A file cannot be written or read.
    #[error("{action} {}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A drill has no database server to load into.
    #[error("start a scratch PostgreSQL: {reason}")]
    Scratch {
        /// Why not.
        reason: String,
    },
    /// Where the output goes cannot be written.
    #[error("write the output")]
    Output(#[source] std::io::Error),
}

impl Error {
    /// Makes the error of a file.
    pub fn file(
        action: &'static str,
        path: impl Into<std::path::PathBuf>,
        cause: std::io::Error,
    ) -> Self {
        Self::File { action, path: path.into(), cause }
    }
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Vault(error) => error.code(),
            Self::Change(error) => error.code(),
            Self::StoreUnfit { .. } => Code::StoreUnfit,
            Self::Docker(error) => error.code(),
            Self::Apply(error) => error.code(),
            Self::Retain(error) => error.code(),
            Self::Prune(error) => error.code(),
            Self::Shred(error) => error.code(),
            Self::Evidence(error) => error.code(),
            Self::Part(error) => error.code(),
            Self::Thaw(error) => error.code(),
            Self::Escrow(error) => error.code(),
            Self::Stream(error) => error.code(),
            Self::Read(_) => Code::SourceFailed,
            Self::Dump(error) => error.code(),
            Self::DumpCommands { .. } => Code::DumpCommands,
            Self::Walk(error) => error.code(),
            Self::Tar(error) => error.code(),
            Self::Tree(error) => error.code(),
            Self::Target(error) => error.code(),
            Self::Policy(error) => error.code(),
            Self::Format(error) => error.code(),
            Self::Closed | Self::Output(_) => Code::SystemFailed,
            Self::TooLong { .. } => Code::RunTooLong,
            Self::StateThere { .. } => Code::VaultExists,
            Self::Scratch { .. } => Code::ScratchUnavailable,
            Self::NotDelivered { .. } => Code::DeliveryPending,
            Self::Checkpoint { .. } => Code::CheckpointInvalid,
            Self::NotInSnapshot { .. } => Code::PathUnknown,
            Self::Pattern { .. } => Code::UsageInvalid,
            Self::KitPlace { .. } => Code::KitPlaceRefused,
            Self::File { cause, .. } => match cause.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    Code::StoreFull
                }
                _ => Code::TargetUnavailable,
            },
        }
    }
}

impl From<Closed> for Error {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl From<crate::store::Error> for Error {
    fn from(error: crate::store::Error) -> Self {
        Self::Vault(error.into())
    }
}

impl From<crate::manifest::Error> for Error {
    fn from(error: crate::manifest::Error) -> Self {
        Self::Vault(error.into())
    }
}

impl From<crate::crypto::Error> for Error {
    fn from(error: crate::crypto::Error) -> Self {
        Self::Vault(error.into())
    }
}

impl From<crate::crypto::signing::SigningError> for Error {
    fn from(error: crate::crypto::signing::SigningError) -> Self {
        Self::Vault(error.into())
    }
}
