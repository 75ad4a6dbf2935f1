//! Locks that go on for as long as something needs them, without a key. Spec: `generations.md` §2.
//!
//! - What a standing snapshot needs is locked until its floor, however early it was put.
//! - No lock is shortened, and one that cannot be extended is a warning.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Error;
use super::retain::Survey;
use crate::base::{Code, Coded, Event, Observer, SnapshotId, with_causes};
use crate::format::snapshot_note::SnapshotNote;
use crate::format::{Folder, ObjectKey};
use crate::store::Prolonged;
use crate::vault::at_once::map_at_once;
use crate::vault::{self, Auditor};

/// Objects whose locks are extended before what came of them is told.
const PAGE_COUNT: usize = 1000;

/// What became of the locks of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreProlonged {
    /// The store's name.
    pub store: String,
    /// Objects that must be locked for some time still.
    pub object_count: u64,
    /// Those whose lock was extended.
    pub extended_count: u64,
    /// Those whose lock could not be.
    pub short_count: u64,
}

/// Extends locks in every store that locks; one that locks nothing is left out. `gone` is what was
/// forgotten since the survey.
///
/// # Errors
/// If a store does not answer.
pub fn prolong(
    survey: &Survey,
    gone: &[SnapshotId],
    now: Timestamp,
    observer: &dyn Observer,
) -> Result<Vec<StoreProlonged>, Error> {
    let locks = |auditor: &&Auditor| auditor.store().locking(now).is_some();
    let mut report = Vec::new();
    for auditor in survey.auditors.iter().filter(locks) {
        let wanted = wanted(survey, gone, auditor, now, observer)?;
        report.push(prolong_in(auditor, &wanted, observer));
    }
    Ok(report)
}

/// Returns until when each object that a standing snapshot needs must be locked.
fn wanted(
    survey: &Survey,
    gone: &[SnapshotId],
    auditor: &Auditor,
    now: Timestamp,
    observer: &dyn Observer,
) -> Result<BTreeMap<ObjectKey, Timestamp>, Error> {
    let mut wanted: BTreeMap<ObjectKey, Timestamp> = BTreeMap::new();
    let mut want = |key: ObjectKey, until: Timestamp| {
        wanted.entry(key).and_modify(|there| *there = until.max(*there)).or_insert(until);
    };
    let mut generations = BTreeMap::new();
    let standing = survey.standing(now)?.into_iter();
    for note in standing.filter(|note| !gone.contains(&note.snapshot)) {
        let candidate = survey.candidate(note.snapshot);
        let floor = survey.history.floor_of(&candidate, now);
        let Some(until) = floor.filter(|until| *until > now) else { continue };
        match auditor.list(note) {
            Ok(entries) => entries.iter().for_each(|entry| want(entry.key, until)),
            Err(error) => warn(observer, auditor, ObjectKey::List(note.snapshot), &error),
        }
        own_objects(note).into_iter().for_each(|key| want(key, until));
        let latest = generations.entry(note.generation).or_insert(until);
        *latest = until.max(*latest);
    }
    for key in auditor.versions().list(Folder::Generations)? {
        if let ObjectKey::Generation(id, _) = key
            && let Some(until) = generations.get(&id)
        {
            want(key, *until);
        }
    }
    Ok(wanted)
}

/// Returns what a snapshot has for itself.
pub(super) const fn own_objects(note: &SnapshotNote) -> [ObjectKey; 4] {
    let id = note.snapshot;
    [ObjectKey::Note(id), ObjectKey::List(id), ObjectKey::Body(id), ObjectKey::Segment(id)]
}

fn prolong_in(
    auditor: &Auditor,
    wanted: &BTreeMap<ObjectKey, Timestamp>,
    observer: &dyn Observer,
) -> StoreProlonged {
    let (mut extended_count, mut short_count) = (0, 0);
    let (all, at_once): (Vec<_>, _) = (wanted.iter().collect(), auditor.store().calls_at_once());
    for page in all.chunks(PAGE_COUNT) {
        let answers = map_at_once(at_once, page, |(key, until)| prolong_one(auditor, key, **until));
        for ((key, _), answer) in page.iter().zip(answers) {
            match answer {
                Ok(Prolonged::Extended(_)) => extended_count += 1,
                Ok(Prolonged::Stood(_)) => {}
                Ok(Prolonged::Never) => short_count += 1,
                // It is damage, and nothing that a lock mends: `verify` tells it.
                Err(error) if error.code() == Code::ObjectMissing => {}
                Err(error) => {
                    warn(observer, auditor, **key, &error);
                    short_count += 1;
                }
            }
        }
    }
    let (store, object_count) = (auditor.store().name().to_owned(), wanted.len() as u64);
    StoreProlonged { store, object_count, extended_count, short_count }
}

/// Extends the lock of the version that counts.
fn prolong_one(
    auditor: &Auditor,
    key: &ObjectKey,
    until: Timestamp,
) -> Result<Prolonged, vault::Error> {
    let views = auditor.versions().known_views(*key)?;
    // Which of several is the right one is known when they are read: all of them are locked.
    let mut answer = auditor.store().prolong(key, until);
    for view in views {
        answer = view.prolong(key, until);
    }
    Ok(answer?)
}

fn warn(
    observer: &dyn Observer,
    auditor: &Auditor,
    key: ObjectKey,
    error: &(impl Coded + 'static),
) {
    let store = auditor.store().name();
    let detail = format!("{key} in store {store} is not locked for longer: {}", with_causes(error));
    observer.observe(Event::Warning { code: Code::LockShort, detail });
}
