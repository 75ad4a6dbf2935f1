//! What came of each snapshot that was named. Spec: `report.md` §4.
//!
//! - What a finding does not tell of one snapshot, it tells of all.
//! - Where not every finding is named, each of them concerns all.

use std::borrow::Cow;
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
/// If the store does not answer, or what was kept on disk cannot be read.
pub fn gather(
    auditor: &Auditor,
    scope: &Scope,
    named: &[SnapshotId],
    collector: &Collector<'_>,
) -> Result<BTreeMap<SnapshotId, Came>, Error> {
    let (mut each, level) = (BTreeMap::new(), collector.level);
    for id in named {
        let note = scope.notes.get(id);
        let list = match note.map(|note| scope.list_of(auditor, note)) {
            Some(Err(error)) if auditor.damage_of_signed(&error).is_none() => {
                return Err(error.into());
            }
            // One that cannot be read is a finding of its own.
            Some(Ok(list)) => list,
            Some(Err(_)) | None => Cow::default(),
        };
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
    let is_cut = !findings.unnamed.is_empty();
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
