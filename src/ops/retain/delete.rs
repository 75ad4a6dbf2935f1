//! Deleting what ledgers say is forgotten: in each store the note, then the body. Spec:
//! `retention.md` §3.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::leftovers::leftovers;
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

/// Deletes what every store's logs say is forgotten and nothing keeps, of which the survey was made
/// after that was recorded: a hold that was placed meanwhile is in it.
///
/// # Errors
/// If a store cannot be listed.
pub fn delete(
    survey: &Survey,
    now: Timestamp,
    observer: &dyn Observer,
) -> Result<(Vec<Deleted>, Vec<Refusal>), Error> {
    let (mut going, mut refused) = (BTreeSet::new(), Vec::new());
    for one in leftovers(survey, now)? {
        let id = one.candidate.id;
        match survey.lacking(id) {
            _ if !one.goes() => {
                let reasons: Vec<String> = one.promises.iter().map(ToString::to_string).collect();
                let (signer, why) = (one.forgotten.signer, reasons.join(", "));
                let detail =
                    format!("{id} was forgotten by {signer} and is not deleted: it stays by {why}");
                observer.observe(Event::Warning { code: Code::SnapshotPromised, detail });
                refused.push((id, one.promises));
            }
            // It was forgotten by somebody after this run recorded what it found.
            Some(store) => {
                let detail = format!("{id} is not deleted: store {store} lacks the event");
                observer.observe(Event::Warning { code: Code::ForgetWaiting, detail });
            }
            None => drop(going.insert(id)),
        }
    }
    let numbers = 0..survey.auditors.len();
    let deleted = numbers.map(|number| delete_in(survey, number, &going, observer));
    Ok((deleted.collect::<Result<_, _>>()?, refused))
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
