//! What a janitor deleted while it was looked at is no damage. Spec: `vault-v1.md` §12.3.
//!
//! - Logs are read again only where something was missed.
//! - What a snapshot needs that still stands stays a finding, and so does what it may need.

use std::collections::BTreeSet;

use super::collector::Findings;
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
    let mut missed = missed(&held(&collector.findings));
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
    for (_, note) in scope.notes.iter().filter(|(id, _)| !meanwhile.contains(id)) {
        match scope.list_of(auditor, note) {
            Ok(list) => list.iter().for_each(|entry| {
                missed.remove(&entry.key);
            }),
            Err(error) if auditor.damage_of_signed(&error).is_none() => return Err(error.into()),
            // Any pack may be one that it names.
            Err(_) => missed.retain(|key| key.pack().is_none()),
        }
    }
    let is_withdrawn = |code: Code, object: &str| {
        code == Code::ObjectMissing && object.parse().is_ok_and(|key| missed.contains(&key))
    };
    held(&collector.findings).named.retain(|one| !is_withdrawn(one.code, &one.object));
    held(&collector.touched).retain(|id, _| !meanwhile.contains(id));
    Ok(())
}

/// Returns what was found missing; nothing, where not all of it is named: no other name stands for
/// what is only counted.
fn missed(findings: &Findings) -> BTreeSet<ObjectKey> {
    if findings.unnamed.contains(&Code::ObjectMissing) {
        return BTreeSet::new();
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PackId;
    use crate::base::limits::FINDINGS_MAX;
    use crate::crypto::digest::sha256;
    use crate::ops::report::Finding;

    /// V-216
    #[test]
    fn where_not_all_that_is_missing_is_named_nothing_of_it_is_withdrawn() {
        let mut findings = Findings::default();
        let miss = |findings: &mut Findings, number: usize| {
            let id = PackId::from_bytes(*sha256(&number.to_be_bytes()).as_bytes());
            let (code, object) = (Code::ObjectMissing, ObjectKey::Pack(id).to_string());
            findings.add(Finding { code, object, detail: String::new() });
        };
        (0..FINDINGS_MAX).for_each(|number| miss(&mut findings, number));
        assert_eq!(missed(&findings).len(), FINDINGS_MAX);
        miss(&mut findings, FINDINGS_MAX);
        assert_eq!(missed(&findings).len(), 0);
    }
}
