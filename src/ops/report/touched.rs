//! What damage touches: snapshots, and in them files and tables.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::base::SnapshotId;
use crate::base::limits::LISTED_COUNT_MAX;

/// What came of one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Came {
    /// What the findings that concern it come to.
    pub verdict: Verdict,
    /// Objects of it that were looked at.
    pub object_count: u64,
    /// Findings that concern it.
    pub finding_count: u64,
}

/// A snapshot that does not come back whole from this store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedRow {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Objects of it that are missing or damaged.
    pub object_count: u64,
    /// Files that lose bytes, and `db.sql` if the dump does; at most the first thousand, by name.
    /// Only level `contents` knows them.
    pub files: Vec<String>,
    /// How many files there are.
    pub file_count: u64,
    /// Whether all files of it could be told, its tree being sound.
    pub files_known: bool,
    /// Tables of the dump that are not known to be whole.
    pub tables: BTreeSet<String>,
}

impl TouchedRow {
    /// Makes the row of a snapshot that nothing touches yet.
    pub fn new(snapshot: SnapshotId) -> Self {
        let (files, tables) = (Vec::new(), BTreeSet::new());
        Self { snapshot, object_count: 0, files, file_count: 0, files_known: true, tables }
    }

    /// Adds a file.
    pub fn add_file(&mut self, name: String) {
        let Err(at) = self.files.binary_search(&name) else { return };
        self.file_count = self.file_count.saturating_add(1);
        self.files.insert(at, name);
        self.files.truncate(LISTED_COUNT_MAX);
    }
}
