//! The snapshot notes of all stores. Spec: `retention.md` §1.
//!
//! - Whoever may put can sign a second note for one id, and put it where it is read first.
//! - The one that its signer's ledger records counts; where none is recorded, all of them do.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Code, Coded, Digest, Event, Observer, SignerId, SnapshotId};
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::snapshot_note::SnapshotNote;
use crate::ops::Error;
use crate::vault::ledger::SignerLog;
use crate::vault::{self, Auditor};

/// Every note that counts for each snapshot: at least one.
pub type Notes = BTreeMap<SnapshotId, Vec<SnapshotNote>>;

/// Which notes ledgers record.
type Recorded = BTreeSet<(SnapshotId, SignerId, Digest)>;

/// Reads every note that verifies in any store, in any version. What does not is a warning.
///
/// # Errors
/// If a store does not answer.
pub fn gather(
    auditors: &[Auditor],
    logs: &[Vec<SignerLog>],
    observer: &dyn Observer,
) -> Result<Notes, Error> {
    let mut found: BTreeMap<SnapshotId, Vec<(SnapshotNote, Digest)>> = BTreeMap::new();
    let mut problems = BTreeMap::new();
    for auditor in auditors {
        let checked = auditor.signed_notes()?;
        for (id, notes) in checked.sound {
            let there = found.entry(id).or_default();
            for (note, sha256) in notes {
                if there.iter().all(|(_, other)| *other != sha256) {
                    there.push((note, sha256));
                }
            }
        }
        problems.extend(checked.problems);
    }
    warn_of(auditors, problems, &found, observer)?;
    let recorded = recorded_in(logs);
    let all = found.into_iter().map(|(id, notes)| (id, counting(id, notes, &recorded, observer)));
    Ok(all.collect())
}

/// Returns the notes of an id that count.
fn counting(
    id: SnapshotId,
    mut notes: Vec<(SnapshotNote, Digest)>,
    recorded: &Recorded,
    observer: &dyn Observer,
) -> Vec<SnapshotNote> {
    let is_recorded =
        |(note, sha256): &(SnapshotNote, Digest)| recorded.contains(&(id, note.signer, *sha256));
    if notes.iter().any(is_recorded) {
        notes.retain(is_recorded);
    }
    if notes.len() > 1 {
        let count = notes.len();
        let detail =
            format!("{id} has {count} notes that are signed: what any of them keeps stays");
        observer.observe(Event::Warning { code: Code::NoteMismatch, detail });
    }
    notes.into_iter().map(|(note, _)| note).collect()
}

fn recorded_in(logs: &[Vec<SignerLog>]) -> Recorded {
    let events = logs.iter().flatten().flat_map(|log| &log.events);
    let recorded = events.filter_map(|event| match &event.payload {
        EventPayload::SnapshotTaken(said) => Some((said.snapshot, event.signer, said.note_sha256)),
        _ => None,
    });
    recorded.collect()
}

/// Warns of notes that verify in no store: they are in no plan, and stay.
fn warn_of(
    auditors: &[Auditor],
    problems: BTreeMap<ObjectKey, vault::Error>,
    found: &BTreeMap<SnapshotId, Vec<(SnapshotNote, Digest)>>,
    observer: &dyn Observer,
) -> Result<(), Error> {
    for (key, error) in problems {
        if matches!(key, ObjectKey::Note(id) if found.contains_key(&id)) {
            continue;
        }
        if auditors.iter().all(|auditor| auditor.damage_of_signed(&error).is_none()) {
            return Err(error.into());
        }
        let detail = format!("{key} is in no plan, and stays: {error}");
        observer.observe(Event::Warning { code: error.code(), detail });
    }
    Ok(())
}
