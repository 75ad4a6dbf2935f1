//! Bytes by snapshot and generation, from signed lists, keylessly. Spec: `generations.md` §3.

use std::collections::BTreeSet;

use super::Error;
use super::retain::Survey;
use crate::base::{Coded, Event, Observer, SnapshotId};
use crate::format::ObjectKey;
use crate::format::snapshot_note::SnapshotNote;
use crate::policy::RetentionPlan;
use crate::policy::space::{Space, SpaceCount};
use crate::vault::ledger::too_late::TooLate;
use crate::vault::{Auditor, ledger};

/// Counts what these snapshots need in a store.
///
/// A list that cannot be read is a warning, and its snapshot is left out.
pub fn count<'a>(
    auditor: &Auditor,
    notes: impl IntoIterator<Item = &'a SnapshotNote>,
    dropped: BTreeSet<SnapshotId>,
    observer: &dyn Observer,
) -> Space {
    let mut count = SpaceCount::new(dropped);
    for note in notes {
        match auditor.list(note) {
            Ok(entries) => {
                let packs =
                    entries.iter().filter_map(|one| Some((one.key.pack()?, one.stored_len)));
                count.add(note.snapshot, note.generation, packs);
            }
            Err(error) => {
                let key = ObjectKey::List(note.snapshot);
                let detail = format!("{} is not counted: {key}: {error}", note.snapshot);
                observer.observe(Event::Warning { code: error.code(), detail });
            }
        }
    }
    count.finish()
}

/// Counts what stands in one store: every snapshot whose note verifies and that no ledger forgot.
///
/// # Errors
/// If the store does not answer.
pub fn of_store(auditor: &Auditor, observer: &dyn Observer) -> Result<Space, Error> {
    let logs = ledger::read_answered(auditor)?;
    let forgotten = TooLate::in_store(auditor, &logs)?.forgotten_in(&logs);
    let notes = auditor.snapshots()?.sound;
    let standing = notes.values().filter(|note| !forgotten.contains(&note.snapshot));
    Ok(count(auditor, standing, BTreeSet::new(), observer))
}

/// Counts what stands, and what a plan would free of it.
///
/// # Errors
/// If a store does not answer.
pub fn of_plan(
    survey: &Survey,
    plan: &RetentionPlan,
    observer: &dyn Observer,
) -> Result<Option<Space>, Error> {
    let standing = survey.standing(plan.now())?;
    let dropped = plan.dropped().map(|(one, _)| one.id).collect();
    // Lists are the same in every store, and digests prove them in whichever has them.
    let primary = survey.auditors.first();
    Ok(primary.map(|auditor| count(auditor, standing, dropped, observer)))
}
