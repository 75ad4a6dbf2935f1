//! Deleting what ledgers say is forgotten: in each store the note, then the body. Spec:
//! `retention.md` §3.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::survey::Survey;
use crate::base::{Code, Event, Observer, SnapshotId, with_causes};
use crate::format::{Folder, ObjectKey};
use crate::ops::Error;
use crate::policy::KeepReason;
use crate::store;

/// What was deleted in one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// The store's name.
    pub store: String,
    /// The snapshots of which nothing is left in it.
    pub snapshots: Vec<SnapshotId>,
    /// The objects that were deleted.
    pub object_count: u64,
}

/// A snapshot that a ledger says is forgotten, and why it stays all the same.
pub type Refusal = (SnapshotId, Vec<KeepReason>);

/// Returns the notes and bodies of snapshots that are forgotten and that a store still has: by
/// snapshot, the numbers of the stores.
pub fn leftovers(survey: &Survey) -> Result<BTreeMap<SnapshotId, BTreeSet<usize>>, Error> {
    let mut found: BTreeMap<SnapshotId, BTreeSet<usize>> = BTreeMap::new();
    for (number, auditor) in survey.auditors.iter().enumerate() {
        for key in auditor.versions().list(Folder::Snapshots)? {
            if let Some(id) = snapshot_of(&key)
                && survey.forgotten.contains_key(&id)
            {
                found.entry(id).or_default().insert(number);
            }
        }
    }
    Ok(found)
}

/// Deletes what was recorded now, and of what was recorded earlier all that nothing keeps.
///
/// # Errors
/// If a store cannot be listed.
pub fn delete(
    survey: &Survey,
    forgotten: &[SnapshotId],
    now: Timestamp,
    observer: &dyn Observer,
) -> Result<(Vec<Deleted>, Vec<Refusal>), Error> {
    let earlier = leftovers(survey)?;
    let mut refused = Vec::new();
    let mut going: BTreeSet<SnapshotId> = forgotten.iter().copied().collect();
    for id in earlier.into_keys() {
        let reasons = survey.promises(id, now)?;
        if reasons.is_empty() {
            going.insert(id);
        } else {
            let told: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            let signer = survey.forgotten.get(&id).map(|said| said.signer.to_string());
            let detail = format!(
                "{id} was forgotten by {} and is not deleted: it stays by {}",
                signer.unwrap_or_default(),
                told.join(", ")
            );
            observer.observe(Event::Warning { code: Code::SnapshotPromised, detail });
            refused.push((id, reasons));
        }
    }
    let mut deleted = Vec::new();
    for number in 0..survey.auditors.len() {
        deleted.push(delete_in(survey, number, &going, observer)?);
    }
    Ok((deleted, refused))
}

/// Deletes in one store; what it does not let go is left for the next run.
fn delete_in(
    survey: &Survey,
    number: usize,
    going: &BTreeSet<SnapshotId>,
    observer: &dyn Observer,
) -> Result<Deleted, Error> {
    let auditor = &survey.auditors[number];
    let there = auditor.versions().list(Folder::Snapshots)?;
    let name = auditor.store().name().to_owned();
    let mut deleted = Deleted { store: name, snapshots: Vec::new(), object_count: 0 };
    for id in going {
        // I3: the note first, and nothing after one that stays. I9: the list is for prune.
        let keys = [ObjectKey::Note(*id), ObjectKey::Body(*id)];
        let mut count = 0;
        let gone = keys.iter().filter(|key| there.contains(key)).try_for_each(|key| {
            match auditor.store().delete(key) {
                Ok(()) => count += 1,
                Err(store::Error::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
            Ok(())
        });
        deleted.object_count += count;
        match gone {
            Ok(()) if count > 0 => deleted.snapshots.push(*id),
            Ok(()) => {}
            Err(error) => {
                let detail = format!("the next run deletes {id}: {}", with_causes(&error));
                observer.observe(Event::Warning { code: Code::ForgetWaiting, detail });
            }
        }
    }
    Ok(deleted)
}

const fn snapshot_of(key: &ObjectKey) -> Option<SnapshotId> {
    match key {
        ObjectKey::Note(id) | ObjectKey::Body(id) => Some(*id),
        _ => None,
    }
}
