//! Which snapshots damage touches. Spec: `vault-v1.md` §12.3.

use std::collections::BTreeSet;

use super::{Collector, Scope, held};
use crate::base::Family;
use crate::format::ObjectKey;
use crate::vault::Auditor;

/// Counts for every snapshot the objects that it needs and that are missing or damaged.
pub fn gather(auditor: &Auditor, scope: &Scope, collector: &Collector<'_>) {
    let damaged = damaged(collector);
    if damaged.is_empty() {
        return;
    }
    for (id, note) in &scope.notes {
        let own = [ObjectKey::Note(*id), ObjectKey::Body(*id), ObjectKey::List(*id)];
        let mut count = own.iter().filter(|key| damaged.contains(*key)).count();
        let of = |key: &ObjectKey| match key {
            ObjectKey::Generation(of, _) => Some(*of),
            _ => None,
        };
        count += damaged.iter().filter(|key| of(key) == Some(note.generation)).count();
        let is_damaged = |key: &ObjectKey| damaged.contains(key);
        count += match scope.lists.get(id) {
            Some(list) => list.iter().filter(|entry| is_damaged(&entry.key)).count(),
            // One that cannot be read is counted above.
            None => {
                let list = auditor.list(note).unwrap_or_default();
                list.iter().filter(|entry| is_damaged(&entry.key)).count()
            }
        };
        if count > 0 {
            collector.touch(*id, |touched| touched.object_count = count as u64);
        }
    }
}

/// Returns the objects that have a finding that is damage.
fn damaged(collector: &Collector<'_>) -> BTreeSet<ObjectKey> {
    let findings = held(&collector.findings);
    let is_damage = |code: crate::base::Code| code.family() == Family::Damaged && code.exit() == 1;
    let damage = findings.named.iter().filter(|one| is_damage(one.code));
    damage.filter_map(|one| one.object.parse().ok()).collect()
}
