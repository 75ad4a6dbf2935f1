//! What came of each snapshot that was named. Spec: `report.md` §4.
//!
//! - What a finding does not tell of one snapshot, it tells of all.
//! - Where not every finding is named, each of them concerns all.

use std::collections::{BTreeMap, BTreeSet};

use super::{Collector, Finding, Level, Scope, held};
use crate::base::SnapshotId;
use crate::format::ObjectKey;
use crate::format::list::ListEntry;
use crate::format::snapshot_note::SnapshotNote;
use crate::ops::Error;
use crate::ops::report::{Came, Verdict};
use crate::vault::Auditor;

/// Counts for each of these snapshots its objects that were looked at, and the findings that
/// concern it. One that is gone by now and of which nothing is wrong has nothing.
///
/// # Errors
/// If what was kept on disk cannot be read.
pub fn gather(
    auditor: &Auditor,
    scope: &Scope,
    named: &[SnapshotId],
    collector: &Collector<'_>,
) -> Result<BTreeMap<SnapshotId, Came>, Error> {
    let (mut each, level) = (BTreeMap::new(), collector.level);
    for id in named {
        let note = scope.notes.get(id);
        let list = note.map(|note| list_of(auditor, scope, note)).unwrap_or_default();
        let findings = concerning(*id, note, &list, collector);
        let verdict = Verdict::of(&findings);
        if note.is_some() || verdict > Verdict::Remarks {
            let object_count = note.map_or(Ok(0), |note| seen(scope, note, &list, level))?;
            let finding_count = findings.len() as u64;
            each.insert(*id, Came { verdict, object_count, finding_count });
        }
    }
    Ok(each)
}

/// Returns the list of a snapshot; that it cannot be read is a finding of its own.
fn list_of(auditor: &Auditor, scope: &Scope, note: &SnapshotNote) -> Vec<ListEntry> {
    let kept = scope.lists.get(&note.snapshot);
    kept.cloned().unwrap_or_else(|| auditor.list(note).unwrap_or_default())
}

/// Counts note and list, and what of the others was looked at.
fn seen(
    scope: &Scope,
    note: &SnapshotNote,
    list: &[ListEntry],
    level: Level,
) -> Result<u64, Error> {
    let mut count = 2;
    if level < Level::Stored {
        return Ok(count);
    }
    let id = note.snapshot;
    let own = [(ObjectKey::Body(id), note.body), (ObjectKey::Segment(id), note.segment)];
    let here = own.iter().filter(|(_, signed)| scope.is_here(signed.sha256.as_bytes()));
    let named: BTreeSet<ObjectKey> = list.iter().map(|entry| entry.key).collect();
    for key in here.map(|(key, _)| key).chain(&named) {
        count += u64::from(scope.is_chosen(key)?);
    }
    Ok(count)
}

fn concerning(
    id: SnapshotId,
    note: Option<&SnapshotNote>,
    list: &[ListEntry],
    collector: &Collector<'_>,
) -> Vec<Finding> {
    let findings = held(&collector.findings);
    let is_cut = !findings.unnamed_counts.is_empty();
    let named: BTreeSet<ObjectKey> = list.iter().map(|entry| entry.key).collect();
    let concerns = |finding: &&Finding| match object_of(finding) {
        _ if is_cut => true,
        Some(
            ObjectKey::Note(of)
            | ObjectKey::Body(of)
            | ObjectKey::List(of)
            | ObjectKey::Segment(of),
        ) => of == id,
        Some(ObjectKey::Generation(of, _)) => note.is_none_or(|note| note.generation == of),
        Some(key @ (ObjectKey::Pack(_) | ObjectKey::Tree(_))) => named.contains(&key),
        _ => true,
    };
    findings.named.iter().filter(concerns).cloned().collect()
}

/// Returns the object that a finding names, of a file in one that one.
fn object_of(finding: &Finding) -> Option<ObjectKey> {
    finding.object.split(' ').next()?.parse().ok()
}
