//! What is in an escrow store, and which snapshots need it. Spec: `escrow.md`.

use std::collections::BTreeMap;

use super::{Error, open};
use crate::base::{Event, Observer, SnapshotId, with_causes};
use crate::format::{Folder, ObjectKey};
use crate::store::{Listed, Stat, Store};
use crate::vault::Unlocked;

/// What is in an escrow store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The objects, by name.
    pub objects: BTreeMap<ObjectKey, Stat>,
    /// Names that are none of ours.
    pub foreign: Vec<String>,
}

/// Lists an escrow store; it needs no key.
///
/// # Errors
/// If the store does not answer.
pub fn list(store: &dyn Store) -> Result<Listing, Error> {
    let (mut objects, mut foreign) = (BTreeMap::new(), Vec::new());
    for listed in store.list(Folder::Escrow)? {
        match listed? {
            Listed::Object(key, stat) => {
                objects.insert(key, stat);
            }
            Listed::Foreign(name) => foreign.push(name),
        }
    }
    foreign.sort_unstable();
    Ok(Listing { objects, foreign })
}

/// Returns which snapshots of a vault need which objects; a snapshot that cannot be read is a
/// warning, because others can.
///
/// # Errors
/// If the vault cannot be read at all.
pub fn needed_by(
    unlocked: &Unlocked,
    observer: &dyn Observer,
) -> Result<BTreeMap<ObjectKey, Vec<SnapshotId>>, Error> {
    let mut needed: BTreeMap<ObjectKey, Vec<SnapshotId>> = BTreeMap::new();
    for (snapshot, note) in unlocked.auditor().snapshots()?.sound {
        let body = match unlocked.body(&note) {
            Ok(body) => body,
            Err(error) => {
                use crate::base::Coded;
                let detail = format!("snapshot {snapshot}: {}", with_causes(&error));
                observer.observe(Event::Warning { code: error.code(), detail });
                continue;
            }
        };
        for one in open::named(&body).unwrap_or_default() {
            needed.entry(one.object).or_default().push(snapshot);
        }
    }
    Ok(needed)
}
