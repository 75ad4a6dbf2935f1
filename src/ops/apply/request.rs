//! What is to be put into service, and what came of it. Spec: `apply.md`.

use std::path::PathBuf;
use std::time::Duration;

use super::journal::{Journal, Phase, Way};
use super::{ApplyError, InstallFile};
use crate::base::SnapshotId;
use crate::ops::escrow::proof::Proof;
use crate::ops::rows::{ErasedPerson, RowsCounts};

/// What to do about people who were erased after the snapshot was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erased {
    /// Tell who they are.
    Tell,
    /// Erase them again before anything serves.
    Again,
}

/// What to do about a key that fits what was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherKeys {
    /// Go back.
    Refuse,
    /// Go on with a warning.
    Accept,
}

/// What to put into service.
pub struct ApplyRequest {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The sealed files of the install, opened; none if they are to stay as they are.
    pub files: Vec<InstallFile>,
    /// What to do about erased people.
    pub erased: Erased,
    /// What to do about keys that do not fit.
    pub other_keys: OtherKeys,
}

impl ApplyRequest {
    /// Returns the journal if this request is the one that it was begun with.
    pub fn goes_on(&self, found: Journal) -> Result<Journal, ApplyError> {
        let otherwise = |how| ApplyError::Otherwise { snapshot: found.snapshot, how };
        let is_forward = found.way == Way::Forward && found.phase < Phase::Done;
        if found.snapshot != self.snapshot || !is_forward {
            return Err(found.under_way());
        }
        if found.keeps_env != self.files.is_empty() {
            return Err(otherwise("with another choice of --keep-env"));
        }
        if self.erased == Erased::Again && !found.erased_again {
            return Err(otherwise("without --erase-again"));
        }
        Ok(found)
    }
}

impl Journal {
    /// Makes the error of whoever wants something else.
    pub fn under_way(&self) -> ApplyError {
        ApplyError::UnderWay { snapshot: self.snapshot, phase: self.phase.name() }
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplyReport {
    /// The compose project.
    pub project: String,
    /// Rows of the database that serves now.
    pub row_count: u64,
    /// Regular files of the uploads that serve now.
    pub file_count: u64,
    /// Files of the install that were replaced.
    pub replaced: Vec<PathBuf>,
    /// How the files fit the rows, if rows name any.
    pub rows: Option<RowsCounts>,
    /// Who was erased after the snapshot was taken.
    pub erased: Vec<ErasedPerson>,
    /// What proves that the keys fit.
    pub proofs: Vec<Proof>,
    /// How long each phase took.
    pub durations: Vec<(&'static str, Duration)>,
}
