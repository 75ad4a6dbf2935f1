//! Until when an object that goes into a store that locks is locked. Spec: `repair.md` §2.

use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::Error;
use crate::base::{GenerationId, SnapshotId};
use crate::format::ObjectKey;
use crate::manifest::Inventory;
use crate::store::Store;
use crate::vault::signed::Signed;

/// A store, and where it locks, which generation every pack belongs to.
pub struct Locks<'a> {
    target: &'a Arc<dyn Store>,
    signed: &'a Signed,
    now: Timestamp,
    generations: Vec<GenerationId>,
    packs: Option<Mutex<Inventory>>,
}

impl<'a> Locks<'a> {
    /// Reads the lists in these stores, if the target locks what it gets.
    ///
    /// # Errors
    /// If a list cannot be read.
    pub fn read(
        target: &'a Arc<dyn Store>,
        stores: &[Arc<dyn Store>],
        signed: &'a Signed,
        scratch: &Path,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let mut locks = Self { target, signed, now, generations: Vec::new(), packs: None };
        if target.locking(now).is_none() {
            return Ok(locks);
        }
        let mut packs = Inventory::create(scratch)?;
        for snapshot in signed.snapshots() {
            let number = locks.number(snapshot.note.generation);
            for entry in signed.list(stores, &snapshot.note)?.unwrap_or_default() {
                packs.add(&entry.key, number)?;
            }
        }
        locks.packs = Some(Mutex::new(packs));
        Ok(locks)
    }

    fn number(&mut self, generation: GenerationId) -> u64 {
        let known = self.generations.iter().position(|id| *id == generation);
        let at = known.unwrap_or_else(|| {
            self.generations.push(generation);
            self.generations.len() - 1
        });
        at as u64
    }

    /// Returns the target as it locks what belongs to the object's generation; what belongs to
    /// none, as an event, is locked with the newest one.
    ///
    /// # Errors
    /// If the policy of the vault note does not parse.
    pub fn store_for(&self, key: &ObjectKey) -> Result<Arc<dyn Store>, Error> {
        let plain = || Ok(Arc::clone(self.target));
        let Some(packs) = &self.packs else { return plain() };
        let of_snapshot =
            |id: SnapshotId| self.signed.snapshot(id).map(|found| found.note.generation);
        let own = match *key {
            ObjectKey::Pack(_) | ObjectKey::Tree(_) => {
                let packs = packs.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                let number = packs.number(key)?.and_then(|number| usize::try_from(number).ok());
                number.and_then(|number| self.generations.get(number).copied())
            }
            ObjectKey::Generation(id, _) => Some(id),
            ObjectKey::Segment(id)
            | ObjectKey::Body(id)
            | ObjectKey::List(id)
            | ObjectKey::Note(id) => of_snapshot(id),
            _ => None,
        };
        let generation = own.or_else(|| self.signed.newest_generation());
        let Some(generation) = generation else { return plain() };
        let until = self.signed.locked_until(generation, self.now)?;
        match until.and_then(|until| self.target.locking(until)) {
            Some(locking) => Ok(locking),
            None => plain(),
        }
    }
}
