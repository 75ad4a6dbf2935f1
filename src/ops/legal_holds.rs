//! Legal holds of stores, put where the ledgers say that a hold stands. Spec: `retention.md` §5.1.
//!
//! - A note comes last: one that is as it must be says that all its snapshot needs is so.
//! - What a snapshot under a hold needs keeps its legal hold, whatever else is released.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::Error;
use super::prolong::own_objects;
use super::retain::{Survey, holds};
use crate::base::{Code, Coded, Event, Observer, SnapshotId, with_causes};
use crate::format::snapshot_note::SnapshotNote;
use crate::format::{Folder, ObjectKey};
use crate::vault::{self, Auditor};

/// What became of the legal holds of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreHeld {
    /// The store's name.
    pub store: String,
    /// Objects that got a legal hold.
    pub held_count: u64,
    /// Objects whose legal hold was taken off.
    pub released_count: u64,
    /// Snapshots whose objects are not as they must be.
    pub unsettled_count: u64,
}

/// Puts legal holds on what snapshots under a hold need, and takes them off what only others need,
/// in every store that locks; one that locks nothing is left out.
///
/// # Errors
/// If the folder of generations of a store cannot be listed.
pub fn settle(
    survey: &Survey,
    now: Timestamp,
    observer: &dyn Observer,
) -> Result<Vec<StoreHeld>, Error> {
    let locks = |auditor: &&Auditor| auditor.store().locking(now).is_some();
    let locking = survey.auditors.iter().filter(locks);
    locking.map(|auditor| settle_in(auditor, survey, now, observer)).collect()
}

/// Returns the snapshots that a hold covers, and those that one covered.
fn by_holds(survey: &Survey, now: Timestamp) -> (Vec<&SnapshotNote>, Vec<&SnapshotNote>) {
    let rows = holds::list(survey);
    let held: BTreeSet<SnapshotId> =
        rows.iter().filter(|row| row.counts(now)).map(|row| row.snapshot).collect();
    let ever: BTreeSet<SnapshotId> = rows.iter().map(|row| row.snapshot).collect();
    let notes = ever.iter().filter_map(|id| survey.notes.get(id)).flatten();
    notes.partition(|note| held.contains(&note.snapshot))
}

fn settle_in(
    auditor: &Auditor,
    survey: &Survey,
    now: Timestamp,
    observer: &dyn Observer,
) -> Result<StoreHeld, Error> {
    let (held, ended) = by_holds(survey, now);
    let mut work = Work::new(auditor, observer)?;
    for note in work.due(&held, true) {
        work.set(note, true, &BTreeSet::new());
    }
    let due = work.due(&ended, false);
    match work.needed_by(&held) {
        Some(needed) => due.into_iter().for_each(|note| work.set(note, false, &needed)),
        None => work.report.unsettled_count += due.len() as u64,
    }
    Ok(work.report)
}

/// Settling one store.
struct Work<'a> {
    auditor: &'a Auditor,
    observer: &'a dyn Observer,
    key_files: Vec<ObjectKey>,
    report: StoreHeld,
}

impl<'a> Work<'a> {
    fn new(auditor: &'a Auditor, observer: &'a dyn Observer) -> Result<Self, Error> {
        let key_files = auditor.versions().list(Folder::Generations)?.into_iter().collect();
        let store = auditor.store().name().to_owned();
        let report = StoreHeld { store, held_count: 0, released_count: 0, unsettled_count: 0 };
        Ok(Self { auditor, observer, key_files, report })
    }

    /// Returns the snapshots whose objects are not as they must be, by their notes.
    fn due<'n>(&self, notes: &[&'n SnapshotNote], is_held: bool) -> Vec<&'n SnapshotNote> {
        let is_due = |note: &&&SnapshotNote| {
            match self.auditor.store().is_held(&ObjectKey::Note(note.snapshot)) {
                Ok(there) => there != is_held,
                // Where the note is not, nothing of the snapshot is held by it.
                Err(error) => error.code() != Code::ObjectMissing,
            }
        };
        notes.iter().filter(is_due).copied().collect()
    }

    /// Returns what snapshots need; none, if a list of one cannot be read.
    fn needed_by(&self, notes: &[&SnapshotNote]) -> Option<BTreeSet<ObjectKey>> {
        let mut needed = BTreeSet::new();
        for note in notes {
            needed.extend(self.objects_of(note)?);
            needed.insert(ObjectKey::Note(note.snapshot));
        }
        Some(needed)
    }

    /// Returns all that a snapshot needs but its note; none, with a warning, if its list cannot be
    /// read.
    fn objects_of(&self, note: &SnapshotNote) -> Option<Vec<ObjectKey>> {
        let entries = match self.auditor.list(note) {
            Ok(entries) => entries,
            Err(error) => {
                self.warn(ObjectKey::List(note.snapshot), &error);
                return None;
            }
        };
        let generation = note.generation;
        let is_its =
            |key: &&ObjectKey| matches!(key, ObjectKey::Generation(id, _) if *id == generation);
        let own = own_objects(note).into_iter().filter(|key| !matches!(key, ObjectKey::Note(_)));
        let key_files = self.key_files.iter().filter(is_its).copied();
        Some(entries.iter().map(|entry| entry.key).chain(own).chain(key_files).collect())
    }

    /// Makes the objects of a snapshot as they must be, unless others need them as they are.
    fn set(&mut self, note: &SnapshotNote, is_held: bool, spared: &BTreeSet<ObjectKey>) {
        let Some(mut keys) = self.objects_of(note) else {
            self.report.unsettled_count += 1;
            return;
        };
        keys.retain(|key| !spared.contains(key));
        keys.push(ObjectKey::Note(note.snapshot));
        for key in keys {
            match self.set_one(&key, is_held) {
                Ok(()) if is_held => self.report.held_count += 1,
                Ok(()) => self.report.released_count += 1,
                // It is damage, and nothing that a hold mends: `verify` tells it.
                Err(error) if error.code() == Code::ObjectMissing => {}
                Err(error) => {
                    self.warn(key, &error);
                    self.report.unsettled_count += 1;
                    return;
                }
            }
        }
    }

    /// Sets the legal hold of every version that may be the right one.
    fn set_one(&self, key: &ObjectKey, is_held: bool) -> Result<(), vault::Error> {
        let views = self.auditor.versions().known_views(*key)?;
        views.iter().try_for_each(|view| view.set_held(key, is_held))?;
        Ok(self.auditor.store().set_held(key, is_held)?)
    }

    fn warn(&self, key: ObjectKey, error: &(impl Coded + 'static)) {
        let store = self.auditor.store().name();
        let detail =
            format!("the legal hold of {key} in store {store} is not set: {}", with_causes(error));
        self.observer.observe(Event::Warning { code: Code::LockShort, detail });
    }
}
