//! What ledgers say is forgotten and a store still has. Spec: `retention.md` §3.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::survey::{Forgotten, Survey};
use crate::base::{SignerId, SnapshotId};
use crate::format::{Folder, ObjectKey};
use crate::ops::Error;
use crate::policy::{Candidate, KeepReason};

/// A snapshot that a ledger says is forgotten, and of which a store has a note or a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The snapshot.
    pub candidate: Candidate,
    /// Who said so.
    pub forgotten: Forgotten,
    /// Why it stays all the same: hold, floor, lock.
    pub promises: Vec<KeepReason>,
    /// Whether its note verifies in a store, so that it is more than an orphan.
    pub has_note: bool,
}

impl Leftover {
    /// Tells whether what is left of it goes.
    pub const fn goes(&self) -> bool {
        self.promises.is_empty()
    }

    /// Tells whether a snapshot goes with it that a signer never said is forgotten.
    pub fn is_dropped_by_others(&self, own: Option<SignerId>) -> bool {
        let is_own = own.is_some_and(|own| self.forgotten.signers.contains(&own));
        self.goes() && self.has_note && !is_own
    }

    /// Returns who said so and under which rule, in words.
    pub fn told(&self) -> String {
        format!("forgotten by {}: {}", self.forgotten.signer, self.forgotten.rule)
    }
}

/// Returns what ledgers say is forgotten and a store still has, the oldest first.
///
/// # Errors
/// If a store does not answer.
pub fn leftovers(survey: &Survey, now: Timestamp) -> Result<Vec<Leftover>, Error> {
    let mut found = BTreeMap::new();
    for auditor in &survey.auditors {
        for key in auditor.versions().list(Folder::Snapshots)? {
            if let Some(id) = snapshot_of(&key)
                && let Some(forgotten) = survey.forgotten.get(&id)
            {
                found.insert(id, forgotten);
            }
        }
    }
    let leftover = |(id, forgotten): (SnapshotId, &Forgotten)| {
        let candidate = survey.candidate(id);
        let (forgotten, promises) = (forgotten.clone(), survey.promises(id, now)?);
        let has_note = survey.notes.contains_key(&id);
        Ok(Leftover { candidate, forgotten, promises, has_note })
    };
    found.into_iter().map(leftover).collect()
}

const fn snapshot_of(key: &ObjectKey) -> Option<SnapshotId> {
    match key {
        ObjectKey::Note(id) | ObjectKey::Body(id) => Some(*id),
        _ => None,
    }
}
