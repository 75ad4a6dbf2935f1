//! The journal of putting a snapshot into service. Spec: `apply.md` §2.
//!
//! What it says is durable before it is done, so whoever finds it knows all that may have changed.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ApplyError;
use crate::base::{Gate, SnapshotId, Step};
use crate::ops::Error;
use crate::vault::directories::{make_dir, sync_dir};

/// The journal's own version.
const VERSION: u32 = 1;
const NAME: &str = "journal.json";
const STAGED_NAME: &str = ".journal.json.new";

/// How far it is; each phase may be done in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// What is restored is put beside what serves.
    Staging,
    /// The api is stopped.
    Stopping,
    /// The files of the install take their places.
    Files,
    /// The databases change names.
    Database,
    /// What is in the volume moves aside.
    UploadsOut,
    /// What was staged moves in.
    UploadsIn,
    /// The keys are tried.
    Checking,
    /// What was stopped is started.
    Starting,
    /// It serves.
    Done,
    /// What was there before serves again; what took its place is aside.
    Undone,
}

impl Phase {
    /// Returns the phase that follows, up to [`Phase::Done`].
    pub const fn next(self) -> Self {
        match self {
            Self::Staging => Self::Stopping,
            Self::Stopping => Self::Files,
            Self::Files => Self::Database,
            Self::Database => Self::UploadsOut,
            Self::UploadsOut => Self::UploadsIn,
            Self::UploadsIn => Self::Checking,
            Self::Checking => Self::Starting,
            Self::Starting | Self::Done => Self::Done,
            Self::Undone => Self::Undone,
        }
    }

    /// Returns the phase as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Stopping => "stopping",
            Self::Files => "files",
            Self::Database => "database",
            Self::UploadsOut => "uploads-out",
            Self::UploadsIn => "uploads-in",
            Self::Checking => "checking",
            Self::Starting => "starting",
            Self::Done => "done",
            Self::Undone => "undone",
        }
    }
}

/// Which way it goes. It never turns before it has come to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// What is staged comes into service.
    Forward,
    /// What was there before comes back.
    Back,
    /// What was staged is removed.
    Discarding,
    /// What does not serve any more is removed.
    Dropping,
}

/// The databases that change names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseNames {
    /// The role that owns them.
    pub user: String,
    /// The name that the stack uses.
    pub name: String,
    /// Whether there was one of that name.
    pub was_there: bool,
    /// The name of the restored one until it takes its place.
    pub staged: String,
    /// The name of the old one afterwards.
    pub previous: String,
}

/// The places within the volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadsPlaces {
    /// The volume's root on this machine.
    pub root: PathBuf,
    /// Where what is staged and what was there before are: on the same disk, beside the root,
    /// where the user of the api cannot touch them, if that can be.
    pub beside: PathBuf,
    /// The name of the directory with what was restored.
    pub staged: String,
    /// The name of the directory with what was there before.
    pub previous: String,
    /// Owner, group and mode that the root had.
    pub root_was: (u32, u32, u32),
}

/// A file of the install that takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallFileName {
    /// Its path below the install directory.
    pub path: PathBuf,
    /// Whether there was one before.
    pub was_there: bool,
}

/// All that must be known to go on or back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The journal's version.
    pub v: u32,
    /// The snapshot that is put into service.
    pub snapshot: SnapshotId,
    /// The compose project.
    pub project: String,
    /// The directory of the install.
    pub install_dir: Option<PathBuf>,
    /// How far it is.
    pub phase: Phase,
    /// Which way it goes.
    pub way: Way,
    /// Whether the api was started on what was restored: it may have written since.
    pub has_served: bool,
    /// Whether the files of the install are left as they are.
    pub keeps_env: bool,
    /// Whether people who were erased since were erased again.
    pub erased_again: bool,
    /// The databases, if the snapshot has one.
    pub database: Option<DatabaseNames>,
    /// The uploads, if the snapshot has any.
    pub uploads: Option<UploadsPlaces>,
    /// The files of the install.
    pub files: Vec<InstallFileName>,
    /// The services that are stopped, and started again.
    pub services: Vec<String>,
    /// Those of them that ran before.
    pub ran: Vec<String>,
}

/// Where the journal of a project is, and what it needs beside itself.
#[derive(Debug, Clone)]
pub struct JournalDir {
    path: PathBuf,
    gate: Arc<dyn Gate>,
}

impl JournalDir {
    /// Names the directory of a project's journal.
    pub fn new(state_dir: &Path, project: &str, gate: Arc<dyn Gate>) -> Self {
        Self { path: state_dir.join("apply").join(project), gate }
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where the restored dump is staged.
    pub fn dump(&self) -> PathBuf {
        self.path.join("dump")
    }

    /// Returns where files of the install wait for their places.
    pub fn staged_files(&self) -> PathBuf {
        self.path.join("files")
    }

    /// Returns where the files that were there before are kept.
    pub fn previous_files(&self) -> PathBuf {
        self.path.join("previous")
    }

    /// Makes the directory.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make(&self) -> Result<(), Error> {
        make_dir(&self.path, &self.gate).map_err(|cause| Error::file("create", &self.path, cause))
    }

    /// Reads the journal, if there is one.
    ///
    /// # Errors
    /// If it cannot be read or is not one.
    pub fn load(&self) -> Result<Option<Journal>, Error> {
        let path = self.path.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(Error::file("read", path, cause)),
        };
        let unusable = |reason: String| ApplyError::Journal { path: path.clone(), reason };
        let journal: Journal =
            serde_json::from_slice(&bytes).map_err(|error| unusable(error.to_string()))?;
        match journal.v == VERSION {
            true => Ok(Some(journal)),
            false => Err(unusable(format!("it is of version {}", journal.v)).into()),
        }
    }

    /// Writes the journal, whole and durably.
    ///
    /// # Errors
    /// If it cannot be written; then the one before stands.
    pub fn save(&self, journal: &Journal) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(journal).expect("a journal is plain data");
        let (path, staged) = (self.path.join(NAME), self.path.join(STAGED_NAME));
        self.write(&staged, &text, 0o600)
            .and_then(|()| self.gate.pass(Step::Rename(&path), || fs::rename(&staged, &path)))
            .and_then(|()| sync_dir(&self.path, &self.gate))
            .map_err(|cause| Error::file("write", &path, cause))
    }

    /// Writes a file of this directory anew, durably and with its name: what it stands for
    /// may be replaced next.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
        if let Some(dir) = path.parent() {
            make_dir(dir, &self.gate)?;
        }
        let open = || {
            let _ = fs::remove_file(path);
            File::options().write(true).create_new(true).mode(mode).open(path)
        };
        let mut file = self.gate.pass(Step::CreateFile(path), open)?;
        file.write_all(bytes)?;
        self.gate.pass(Step::SyncFile(path), || file.sync_all())?;
        path.parent().map_or(Ok(()), |dir| sync_dir(dir, &self.gate))
    }

    /// Removes the directory, the journal last of what matters.
    ///
    /// # Errors
    /// If something of it cannot be removed.
    pub fn remove(&self) -> Result<(), Error> {
        for place in [self.dump(), self.staged_files(), self.previous_files()] {
            remove_tree(&place)?;
        }
        let path = self.path.join(NAME);
        self.gate
            .pass(Step::Remove(&path), || fs::remove_file(&path))
            .and_then(|()| sync_dir(&self.path, &self.gate))
            .map_err(|cause| Error::file("remove", &path, cause))
    }
}

/// Removes a directory and all that is in it, if it is there.
///
/// # Errors
/// If it cannot be removed.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => {
            Err(Error::file("remove", path, cause))
        }
        _ => Ok(()),
    }
}
