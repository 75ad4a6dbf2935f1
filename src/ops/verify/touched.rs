//! Which snapshots damage touches. Spec: `vault-v1.md` §12.3.

use std::collections::BTreeSet;

use super::collector::loses;
use super::{Collector, Scope, held};
use crate::format::ObjectKey;
use crate::format::snapshot_note::SnapshotNote;
use crate::vault::Auditor;

/// Counts for every snapshot the objects that it needs and that are missing or damaged; of a part
/// of a verification those that are in it, so that joined each counts once.
pub fn gather(auditor: &Auditor, scope: &Scope, collector: &Collector<'_>) {
    let lost = lost(collector);
    if lost.is_empty() {
        return;
    }
    for note in scope.notes.values() {
        let id = note.snapshot;
        let own = lost.iter().filter(|key| is_of(note, key));
        let mut found: BTreeSet<ObjectKey> = own.copied().collect();
        let read;
        let list = match scope.lists.get(&id) {
            Some(list) => list,
            // One that cannot be read is counted above.
            None => {
                read = auditor.list(note).unwrap_or_default();
                &read
            }
        };
        found.extend(list.iter().map(|entry| entry.key).filter(|key| lost.contains(key)));
        let count = found.iter().filter(|key| scope.is_here(part_of(note, key))).count() as u64;
        if !found.is_empty() {
            collector.touch(id, |touched| touched.object_count = count);
        }
    }
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
