//! What keeps a snapshot from going into service.

use std::path::PathBuf;

use thiserror::Error;

use crate::base::{Code, Coded, SnapshotId};
use crate::ops;

/// Why a snapshot is not in service.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The journal is not one.
    #[error("read the journal {}: {reason}", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Something was begun or is kept.
    #[error(
        "put the snapshot into service: that of {snapshot} is in phase {phase}: go on with \
         `restore {snapshot} --apply`, back with `restore --undo`, or, where it is done, end it \
         with `restore --drop-previous`"
    )]
    UnderWay {
        /// The snapshot of the journal.
        snapshot: SnapshotId,
        /// Its phase.
        phase: &'static str,
    },
    /// It was begun with other options.
    #[error(
        "go on with the snapshot {snapshot}: it was begun {how}: bring it back with \
         `restore --undo`, then begin anew"
    )]
    Otherwise {
        /// The snapshot of the journal.
        snapshot: SnapshotId,
        /// What is different, in words.
        how: &'static str,
    },
    /// What is to be exchanged is not there.
    #[error("find {what}: somebody else has removed it, and nothing more was done")]
    Lost {
        /// What.
        what: String,
    },
    /// There is no journal.
    #[error("find what was put into service: there is no journal of this stack")]
    NothingThere,
    /// The snapshot cannot be restored whole.
    #[error(
        "restore the snapshot: {count} things in it are damaged, the first is {first}: nothing \
         was stopped"
    )]
    Damaged {
        /// How many.
        count: usize,
        /// The first, and why.
        first: String,
    },
    /// What was sealed of the install could not all be opened.
    #[error("open the sealed files: {}", lacking.join("; "))]
    Sealed {
        /// What could not be opened, each in words.
        lacking: Vec<String>,
    },
    /// The id of an erased person is none.
    #[error("erase again: {reason}")]
    Id {
        /// What is wrong.
        reason: String,
    },
    /// The loaded database is not what the snapshot counted.
    #[error("compare the rows: {}", differing.join(", "))]
    Rows {
        /// Each table, with both counts.
        differing: Vec<String>,
    },
    /// A file of the install would be put elsewhere.
    #[error("put the file {} into the install directory: it would leave it", path.display())]
    FileOutside {
        /// The path as it was sealed.
        path: PathBuf,
    },
    /// There is too little room.
    #[error("stage a second copy on {}: it needs {needed} bytes, {free} are free", path.display())]
    Room {
        /// A place on the disk.
        path: PathBuf,
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The volume is not a directory of this machine.
    #[error("use the volume of the uploads at {}: {reason}", path.display())]
    Volume {
        /// Where the engine says that it is.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key is not the one of what was restored.
    #[error("try the keys: {name} of the api is another one: {what}")]
    Key {
        /// The variable.
        name: &'static str,
        /// What it was tried on.
        what: String,
    },
    /// The api does not become healthy.
    #[error("wait for {container}: it is {state} after {seconds} s")]
    NotHealthy {
        /// The container's name.
        container: String,
        /// Its state.
        state: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// It failed, and everything is as it was.
    #[error("put the snapshot into service; everything is as it was")]
    TakenBack {
        /// Why.
        #[source]
        cause: Box<ops::Error>,
    },
    /// It failed, and not everything is as it was.
    #[error(
        "put the snapshot into service, and then to take it back ({back}): run the same command \
         or `restore --undo`"
    )]
    NotTakenBack {
        /// Why it was to be taken back.
        #[source]
        cause: Box<ops::Error>,
        /// Why that failed.
        back: Box<ops::Error>,
    },
}

impl Coded for ApplyError {
    fn code(&self) -> Code {
        match self {
            Self::Journal { .. } => Code::JournalUnusable,
            Self::UnderWay { .. } | Self::Otherwise { .. } => Code::ApplyUnderWay,
            Self::Lost { .. } => Code::JournalUnusable,
            Self::NothingThere => Code::UsageInvalid,
            Self::Damaged { .. } | Self::Rows { .. } => Code::ContentsAltered,
            Self::FileOutside { .. } | Self::Id { .. } => Code::FormatInvalid,
            Self::Sealed { .. } => Code::IdentityWrong,
            Self::Room { .. } => Code::RoomMissing,
            Self::Volume { .. } => Code::TargetUnavailable,
            Self::Key { .. } => Code::KeyDoesNotFit,
            Self::NotHealthy { .. } => Code::ApiNotHealthy,
            Self::TakenBack { cause } => cause.code(),
            Self::NotTakenBack { .. } => Code::ApplyUnderWay,
        }
    }
}
