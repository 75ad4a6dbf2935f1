//! Which snapshots damage touches. Spec: `vault-v1.md` §12.3.

use std::collections::BTreeSet;

use super::collector::loses;
use super::{Collector, Scope, held};
use crate::format::ObjectKey;
use crate::format::snapshot_note::SnapshotNote;
use crate::ops::Error;
use crate::vault::Auditor;

/// Counts for every snapshot the objects that it needs and that are missing or damaged; of a part
/// of a verification those that are in it, so that joined each counts once.
///
/// # Errors
/// If the store does not answer.
pub fn gather(auditor: &Auditor, scope: &Scope, collector: &Collector<'_>) -> Result<(), Error> {
    let lost = lost(collector);
    if lost.is_empty() {
        return Ok(());
    }
    for note in scope.notes.values() {
        let id = note.snapshot;
        let own = lost.iter().filter(|key| is_of(note, key));
        let mut found: BTreeSet<ObjectKey> = own.copied().collect();
        match scope.list_of(auditor, note) {
            Ok(list) => found.extend(list.iter().map(|one| one.key).filter(|it| lost.contains(it))),
            Err(error) if auditor.damage_of_signed(&error).is_none() => return Err(error.into()),
            // One that cannot be read is counted above.
            Err(_) => {}
        }
        let count = found.iter().filter(|key| scope.is_here(part_of(note, key))).count() as u64;
        if !found.is_empty() {
            collector.touch(id, |touched| touched.object_count = count);
        }
    }
    Ok(())
}

/// Tells whether an object is a snapshot's own, or a key without which it does not open.
fn is_of(note: &SnapshotNote, key: &ObjectKey) -> bool {
    match key {
        ObjectKey::Note(id) | ObjectKey::Body(id) | ObjectKey::List(id) => *id == note.snapshot,
        ObjectKey::Generation(id, _) => *id == note.generation,
        _ => false,
    }
}

/// Returns what says in which part an object is; what every part looks at is in the first.
const fn part_of<'a>(note: &'a SnapshotNote, key: &'a ObjectKey) -> &'a [u8; 32] {
    match key {
        ObjectKey::Pack(id) | ObjectKey::Tree(id) => id.as_bytes(),
        ObjectKey::Body(_) => note.body.sha256.as_bytes(),
        _ => &[0; 32],
    }
}

/// Returns the objects that are not there, or are not what they were.
fn lost(collector: &Collector<'_>) -> BTreeSet<ObjectKey> {
    let findings = held(&collector.findings);
    let lost = findings.named.iter().filter(|one| loses(one.code));
    lost.filter_map(|one| one.object.parse().ok()).collect()
}
