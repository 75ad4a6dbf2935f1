//! What a run gave a store, and what it could not.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::base::limits::LISTED_COUNT_MAX;
use crate::base::{Code, SnapshotId};
use crate::format::ObjectKey;
use crate::ops::verify::Finding;

/// What was copied, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Replicated {
    /// The store that got it.
    pub store: String,
    /// Objects.
    pub object_count: u64,
    /// Their stored bytes.
    pub stored_len: u64,
    /// Objects at the source that nothing signed names, and that stayed there.
    pub unsigned_count: u64,
    /// Objects that are not at the source as they were signed, or in neither store; at most the
    /// first thousand.
    pub damaged: Vec<Finding>,
    /// How many there are of them.
    pub damaged_count: u64,
    /// Packs that must be thawed at the source first.
    pub archived_count: u64,
    /// Snapshots that wait for them.
    pub held_back: Vec<SnapshotId>,
}

/// Counts while the workers run.
#[derive(Default)]
pub(super) struct Tally {
    report: Replicated,
    /// Packs that must be thawed first. Every one of them is kept: a store with a million of them
    /// costs some forty megabytes here, and only a store in an archive class has any.
    pub archived: BTreeSet<ObjectKey>,
    pub held_back: BTreeSet<SnapshotId>,
}

impl Tally {
    pub fn copied(&mut self, len: u64) {
        self.report.object_count += 1;
        self.report.stored_len += len;
    }

    pub fn unsigned(&mut self, _key: &ObjectKey) {
        self.report.unsigned_count += 1;
    }

    pub fn damaged(&mut self, code: Code, key: &ObjectKey, detail: String) {
        self.report.damaged_count += 1;
        if self.report.damaged.len() < LISTED_COUNT_MAX {
            self.report.damaged.push(Finding { code, object: key.to_string(), detail });
        }
    }

    pub fn archived(&mut self, key: &ObjectKey) {
        self.archived.insert(*key);
    }

    pub fn into_report(self, store: &str) -> Replicated {
        Replicated {
            store: store.to_owned(),
            archived_count: self.archived.len() as u64,
            held_back: self.held_back.into_iter().collect(),
            ..self.report
        }
    }
}
