//! Which snapshots must stay whole, for whoever deletes packs or keys. Spec: `retention.md` §3.
//!
//! That a ledger says a snapshot is forgotten is not enough: a hold that was placed since, a floor
//! or a lock keeps it, and then everything that it needs.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::survey::Survey;
use crate::base::{SignerId, SnapshotId};
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::snapshot_note::SnapshotNote;
use crate::ops::Error;
use crate::policy::KeepReason;
use crate::policy::plan::promises;
use crate::vault::ledger::SignerLog;

impl Survey {
    /// Returns until when any version of an object of a snapshot is locked in any store: what
    /// somebody put over one, or hid it with, has no lock, and the one below may have.
    ///
    /// # Errors
    /// If a store does not answer.
    pub fn locked_until(&self, id: SnapshotId) -> Result<Option<Timestamp>, Error> {
        let mut until = None;
        for auditor in &self.auditors {
            for key in [ObjectKey::Note(id), ObjectKey::List(id), ObjectKey::Body(id)] {
                until = until.max(auditor.versions().locked_until(key)?);
            }
        }
        Ok(until)
    }

    /// Returns the snapshots that a ledger says were taken, or of which a store has a note, and
    /// whose notes verify in no store: no rule sees them, and only who names one lets it go (F-43).
    pub fn lost(&self) -> BTreeSet<SnapshotId> {
        let taken = self.distinct_events().filter_map(|event| match &event.payload {
            EventPayload::SnapshotTaken(said) => Some(said.snapshot),
            _ => None,
        });
        let is_lost =
            |id: &SnapshotId| !self.notes.contains_key(id) && !self.forgotten.contains_key(id);
        taken.chain(self.noted()).filter(is_lost).collect()
    }

    /// Returns every snapshot that can be named, lost ones included.
    pub fn nameable(&self) -> Vec<SnapshotId> {
        self.candidates.iter().map(|one| one.id).chain(self.lost()).collect()
    }

    /// Tells whether a signer's log is not the same in every store: who brings it up to date must
    /// look again, for a survey says what each store had.
    pub fn is_uneven(&self, signer: SignerId) -> bool {
        let size = |logs: &Vec<SignerLog>| {
            let own = logs.iter().find(|log| log.signer == signer);
            own.map_or(0, |log| log.head.size)
        };
        let mut sizes = self.logs.iter().map(size);
        let first = sizes.next();
        sizes.any(|size| Some(size) != first)
    }

    /// Returns the first store whose own logs do not say that a snapshot is forgotten: while there
    /// is one, nothing of it may go in any (I4).
    pub fn lacking(&self, id: SnapshotId) -> Option<&str> {
        let said = self.forgotten.get(&id);
        let lacks = |number: &usize| said.is_none_or(|said| !said.stores.contains(number));
        let number = (0..self.auditors.len()).find(lacks)?;
        Some(self.auditors[number].store().name())
    }

    /// Returns why a snapshot must stay whatever a ledger says: hold, floor, lock.
    ///
    /// # Errors
    /// If a store does not answer.
    pub fn promises(&self, id: SnapshotId, now: Timestamp) -> Result<Vec<KeepReason>, Error> {
        let mut candidate = self.candidate(id);
        candidate.locked_until = self.locked_until(id)?;
        Ok(promises(&self.history, &candidate, now))
    }

    /// Returns every snapshot whose note verifies and that is not forgotten, or may not be: what
    /// these need must stay (I6).
    ///
    /// # Errors
    /// If a store does not answer.
    pub fn standing(&self, now: Timestamp) -> Result<Vec<&SnapshotNote>, Error> {
        let mut standing = Vec::new();
        for (id, notes) in &self.notes {
            if !self.forgotten.contains_key(id) || !self.promises(*id, now)?.is_empty() {
                standing.extend(notes);
            }
        }
        Ok(standing)
    }
}
