//! What a janitor deleted while it was looked at is no damage. Spec: `vault-v1.md` §12.3.
//!
//! - Logs are read again only where something was missed.
//! - What a snapshot needs that still stands stays a finding.

use std::collections::BTreeSet;

use super::{Collector, Scope, held};
use crate::base::{Code, SnapshotId};
use crate::format::ObjectKey;
use crate::ops::Error;
use crate::vault::ledger::too_late::TooLate;
use crate::vault::{self, Auditor, ledger};

/// Withdraws what was found missing, where a ledger says by now that its snapshot is forgotten, its
/// note is gone and no other needs it (V-216).
///
/// # Errors
/// If the store cannot be read.
pub fn withdraw(auditor: &Auditor, scope: &Scope, collector: &Collector<'_>) -> Result<(), Error> {
    let mut missed = missed(collector);
    if missed.is_empty() {
        return Ok(());
    }
    let meanwhile = forgotten_meanwhile(auditor, scope, &missed)?;
    if meanwhile.is_empty() {
        return Ok(());
    }
    missed.retain(|key| match key {
        ObjectKey::Pack(_) | ObjectKey::Tree(_) => true,
        ObjectKey::Note(id)
        | ObjectKey::List(id)
        | ObjectKey::Body(id)
        | ObjectKey::Segment(id) => meanwhile.contains(id),
        _ => false,
    });
    for (id, note) in scope.notes.iter().filter(|(id, _)| !meanwhile.contains(id)) {
        let read;
        let entries = match scope.lists.get(id) {
            Some(entries) => entries,
            // One that cannot be read is a finding of its own.
            None => {
                read = auditor.list(note).unwrap_or_default();
                &read
            }
        };
        for entry in entries {
            missed.remove(&entry.key);
        }
    }
    let is_withdrawn = |code: Code, object: &str| {
        code == Code::ObjectMissing && object.parse().is_ok_and(|key| missed.contains(&key))
    };
    held(&collector.findings).named.retain(|one| !is_withdrawn(one.code, &one.object));
    Ok(())
}

/// Returns what was found missing.
fn missed(collector: &Collector<'_>) -> BTreeSet<ObjectKey> {
    let findings = held(&collector.findings);
    let missed = findings.named.iter().filter(|one| one.code == Code::ObjectMissing);
    missed.filter_map(|one| one.object.parse().ok()).collect()
}

/// Returns the snapshots of those looked at that a ledger says are forgotten, and whose notes are
/// gone: a note goes first (I3).
fn forgotten_meanwhile(
    auditor: &Auditor,
    scope: &Scope,
    missed: &BTreeSet<ObjectKey>,
) -> Result<BTreeSet<SnapshotId>, Error> {
    let looked_at =
        |id: &SnapshotId| scope.notes.contains_key(id) || missed.contains(&ObjectKey::Note(*id));
    let logs = ledger::read_all(auditor)?;
    let forgotten = TooLate::in_store(auditor, &logs)?.forgotten_in(&logs);
    let mut gone = BTreeSet::new();
    for id in forgotten.into_iter().filter(looked_at) {
        if auditor.store().stat(&ObjectKey::Note(id)).map_err(vault::Error::from)?.is_none() {
            gone.insert(id);
        }
    }
    Ok(gone)
}
