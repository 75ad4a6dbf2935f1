//! Giving one store what another has. Spec: `repair.md` §2.
//!
//! Objects go over in the order in which a writer would have put them, so I1 to I3 hold in the
//! copy at every moment; what is there already is left alone.
//!
//! - Listings are compared on disk, so memory stays bounded however many packs there are.
//! - Only what is proven goes over: packs and trees by their names, the rest by what signs it.
//! - What is archived at the source waits for a thaw, and the snapshots that need it wait too.

mod report;
mod settling;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

pub use report::Replicated;
pub use settling::Settling;

use self::report::Tally;
use super::Error;
use super::carrying::{Fetched, fetch, remove_scratch, scratch_file};
use super::locks::Locks;
use super::workers::{count_for, work_each};
use crate::base::{Code, Digest, Event, Observer, SignerId, SnapshotId};
use crate::format::{Folder, ObjectKey};
use crate::manifest::{Inventory, Needed};
use crate::store::{Content, Listed, Receipt, Store};
use crate::vault;
use crate::vault::delivery::put_or_recognise;
use crate::vault::signed::{Expected, Signed};

/// Told of every object that went over, with what the store said.
pub type Settle<'a> = &'a (dyn Fn(&ObjectKey, &Receipt) -> Result<(), Error> + Sync);

/// Which objects go where.
pub struct Replication<'a> {
    /// Where they are.
    pub source: &'a Arc<dyn Store>,
    /// Where they go.
    pub target: &'a Arc<dyn Store>,
    /// What they must be.
    pub signed: &'a Signed,
    /// What a host proves besides: objects that it had begun to record, and their SHA-256.
    pub begun: &'a BTreeMap<ObjectKey, Digest>,
    /// A directory for one object for each worker, and for the listings.
    pub scratch: &'a Path,
    /// The time, for locks.
    pub now: Timestamp,
    /// Told of every object.
    pub settle: Settle<'a>,
}

/// Copies every object that the target lacks.
///
/// # Errors
/// If a store cannot be listed, read or written. What was copied stays. What is damaged or
/// archived at the source is in the report.
pub fn replicate(request: &Replication<'_>, observer: &dyn Observer) -> Result<Replicated, Error> {
    observer.observe(Event::PhaseStarted { phase: "replicate", total_len: None });
    let run = Run {
        request,
        observer,
        locks: Locks::read(
            request.target,
            std::slice::from_ref(request.source),
            request.signed,
            request.scratch,
            request.now,
        )?,
        workers: count_for([request.source.as_ref(), request.target.as_ref()]),
        tally: Mutex::default(),
    };
    run.copy_all()?;
    observer.observe(Event::PhaseFinished { phase: "replicate" });
    let tally = run.tally.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    Ok(tally.into_report(request.target.name()))
}

/// One run.
struct Run<'a> {
    request: &'a Replication<'a>,
    observer: &'a dyn Observer,
    locks: Locks<'a>,
    workers: usize,
    tally: Mutex<Tally>,
}

impl Run<'_> {
    fn copy_all(&self) -> Result<(), Error> {
        self.copy_named(Folder::Vault, 1, |_| true)?;
        self.copy_named(Folder::Generations, self.workers, |_| true)?;
        let (mut seen, needed) = (Inventory::create(self.request.scratch)?, self.needed()?);
        self.copy_listed(Folder::Packs, needed.as_ref(), &mut seen)?;
        self.copy_listed(Folder::Trees, needed.as_ref(), &mut seen)?;
        drop(needed);
        self.copy_unlisted(&mut seen)?;
        drop(seen);
        let held = self.held_back()?;
        let free = |id: &SnapshotId| !held.contains(id);
        self.copy_named(Folder::Segments, self.workers, |key| match key {
            ObjectKey::Segment(id) => free(id),
            _ => false,
        })?;
        // I2, I3: a body and a list are durable before the note that makes the snapshot exist.
        let kinds: [fn(&ObjectKey) -> Option<SnapshotId>; 3] = [
            |key| if let ObjectKey::Body(id) = key { Some(*id) } else { None },
            |key| if let ObjectKey::List(id) = key { Some(*id) } else { None },
            |key| if let ObjectKey::Note(id) = key { Some(*id) } else { None },
        ];
        for of_kind in kinds {
            self.copy_named(Folder::Snapshots, self.workers, |key| {
                of_kind(key).is_some_and(|id| free(&id))
            })?;
        }
        let ends = self.ends_of_logs(&held);
        self.copy_named(Folder::Ledger, 1, |key| match key {
            ObjectKey::LedgerEvent(signer, seq) | ObjectKey::LedgerCheckpoint(signer, seq) => {
                ends.iter().all(|(other, end)| other != signer || seq < end)
            }
            _ => false,
        })
    }

    /// Copies what is lacking of a folder whose names fit into memory, in the order of writing.
    fn copy_named(
        &self,
        folder: Folder,
        workers: usize,
        wanted: impl Fn(&ObjectKey) -> bool,
    ) -> Result<(), Error> {
        let names = |store: &dyn Store| -> Result<BTreeSet<(ObjectKey, bool)>, Error> {
            let mut keys = BTreeSet::new();
            for listed in store.list(folder)? {
                if let Listed::Object(key, _) = listed?
                    && wanted(&key)
                {
                    keys.insert(written(&key));
                }
            }
            Ok(keys)
        };
        let there = names(self.request.target.as_ref())?;
        let mut meant = names(self.request.source.as_ref())?;
        // What is signed and not listed is told, or found where a delete marker hides it.
        let signed = self.request.signed.objects(folder).into_iter();
        meant.extend(signed.filter(&wanted).map(|key| written(&key)));
        let lacking: Vec<ObjectKey> =
            meant.difference(&there).map(|(key, last)| unwritten(*key, *last)).collect();
        self.copy_each(workers, lacking.into_iter().map(Ok))
    }

    /// Returns what the signed lists of snapshots that stand name; none, where one of them cannot
    /// be read: then it is not known what that one needs (H-18).
    fn needed(&self) -> Result<Option<Needed>, Error> {
        let both = [Arc::clone(self.request.source), Arc::clone(self.request.target)];
        let needed = Needed::new().map_err(vault::Error::from)?;
        for snapshot in self.request.signed.snapshots() {
            let Some(list) = self.request.signed.list(&both, &snapshot.note)? else {
                return Ok(None);
            };
            let mut entries = list.iter();
            let added = entries.try_for_each(|entry| needed.add(&entry.key, entry.stored_len));
            added.map_err(vault::Error::from)?;
        }
        Ok(Some(needed))
    }

    /// Copies what is lacking of a folder with any number of names; takes note of what is there.
    fn copy_listed(
        &self,
        folder: Folder,
        needed: Option<&Needed>,
        seen: &mut Inventory,
    ) -> Result<(), Error> {
        for listed in self.request.target.list(folder)? {
            if let Listed::Object(key, _) = listed? {
                seen.add(&key, 0)?;
            }
        }
        let lacking = self.request.source.list(folder)?.filter_map(|listed| match listed {
            Ok(Listed::Object(key, _)) => fresh(seen, key).filter(|_| self.is_meant(needed, &key)),
            Ok(Listed::Foreign(_)) => None,
            Err(error) => Some(Err(error.into())),
        });
        self.copy_each(self.workers, lacking)
    }

    /// Tells whether a pack goes over: not what a prune waits to delete, or a crash left.
    fn is_meant(&self, needed: Option<&Needed>, key: &ObjectKey) -> bool {
        // What cannot be looked up is copied.
        let is_meant = needed.is_none_or(|needed| needed.contains(key).unwrap_or(true));
        if !is_meant {
            self.tally().unsigned(key);
        }
        is_meant
    }

    /// Tries to copy the packs and trees that a list names and neither store shows (H-16).
    fn copy_unlisted(&self, seen: &mut Inventory) -> Result<(), Error> {
        let both = [Arc::clone(self.request.source), Arc::clone(self.request.target)];
        for snapshot in self.request.signed.snapshots() {
            let list = self.request.signed.list(&both, &snapshot.note)?.unwrap_or_default();
            let lacking = list.iter().filter_map(|entry| fresh(seen, entry.key));
            self.copy_each(self.workers, lacking)?;
        }
        Ok(())
    }

    fn copy_each(
        &self,
        workers: usize,
        keys: impl Iterator<Item = Result<ObjectKey, Error>>,
    ) -> Result<(), Error> {
        let done = work_each(workers, keys, |worker, key| self.copy(worker, &key));
        let removed = (0..workers)
            .try_for_each(|worker| remove_scratch(&scratch_file(self.request.scratch, worker)));
        done.and(removed)
    }

    fn copy(&self, worker: usize, key: &ObjectKey) -> Result<(), Error> {
        let begun = || {
            let sha256 = vec![*self.request.begun.get(key)?];
            Some(Expected { sha256, len: None })
        };
        // A run that was interrupted left the others, or somebody planted them.
        let Some(expected) = self.request.signed.expected(key).or_else(begun) else {
            self.tally().unsigned(key);
            return Ok(());
        };
        let path = scratch_file(self.request.scratch, worker);
        match fetch(self.request.source, key, &expected, &path)? {
            Fetched::Sound { sha256, len } => {
                let target = self.locks.store_for(key)?;
                let content = Content::File(&path);
                let receipt = put_or_recognise(target.as_ref(), key, content, &sha256)?;
                (self.request.settle)(key, &receipt)?;
                self.observer.observe(Event::Advanced { len });
                self.tally().copied(len);
            }
            Fetched::Missing => {
                self.tally().damaged(Code::ObjectMissing, key, "it is not there".to_owned());
            }
            Fetched::Damaged(detail) => self.tally().damaged(Code::ObjectAltered, key, detail),
            Fetched::Archived => self.tally().archived(key),
        }
        Ok(())
    }

    /// Returns the snapshots that need what is archived: no list may name it before it is there.
    fn held_back(&self) -> Result<BTreeSet<SnapshotId>, Error> {
        let archived = self.tally().archived.clone();
        let mut held = BTreeSet::new();
        if archived.is_empty() {
            return Ok(held);
        }
        for snapshot in self.request.signed.snapshots() {
            let source = std::slice::from_ref(self.request.source);
            let list = self.request.signed.list(source, &snapshot.note)?.unwrap_or_default();
            if list.iter().any(|entry| archived.contains(&entry.key)) {
                held.insert(snapshot.note.snapshot);
            }
        }
        self.tally().held_back = held.clone();
        Ok(held)
    }

    /// Returns where logs must end for now, because what follows records what is held back.
    fn ends_of_logs(&self, held: &BTreeSet<SnapshotId>) -> Vec<(SignerId, u64)> {
        held.iter().filter_map(|id| self.request.signed.taken(*id)).collect()
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Returns an object that was not seen yet.
fn fresh(seen: &mut Inventory, key: ObjectKey) -> Option<Result<ObjectKey, Error>> {
    match seen.add(&key, 0) {
        Ok(is_fresh) => is_fresh.then_some(Ok(key)),
        Err(error) => Some(Err(error.into())),
    }
}

/// Orders objects as a writer puts them: by kind, but an event and its checkpoint together.
const fn written(key: &ObjectKey) -> (ObjectKey, bool) {
    match *key {
        ObjectKey::LedgerCheckpoint(signer, seq) => (ObjectKey::LedgerEvent(signer, seq), true),
        other => (other, false),
    }
}

const fn unwritten(key: ObjectKey, last: bool) -> ObjectKey {
    match key {
        ObjectKey::LedgerEvent(signer, seq) if last => ObjectKey::LedgerCheckpoint(signer, seq),
        other => other,
    }
}
