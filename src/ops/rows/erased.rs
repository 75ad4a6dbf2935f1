//! Who was erased since a snapshot: ids only, told by the rows that an erasure leaves behind.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::{NAMED_COUNT_MAX, scan};
use crate::base::{Code, SnapshotId};
use crate::manifest::References;
use crate::ops::{Error, read};
use crate::source::{Field, Row, Watch};
use crate::vault::Unlocked;

const VERIFICATIONS: &[Watch] = &[Watch {
    table: "verification_requests",
    columns: &["id", "user_id", "manual_review_reason"],
}];
const ID: usize = 0;
const USER: usize = 1;
const REASON: usize = 2;

/// What an erasure writes in place of a reason.
const ERASED: &[u8] = b"[GDPR deleted]";

/// Somebody who is in an older dump and was erased before a newer one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErasedPerson {
    /// The user's id.
    pub user_id: String,
    /// The verifications in the older dump, by id.
    pub verification_ids: Vec<String>,
}

/// Finds who was erased between two dumps, ordered by id.
///
/// An erasure keeps the verification and blanks its user. Who was removed with every row is not
/// found: nothing tells that from a row that never was. What it needs on disk is in `scratch`.
///
/// # Errors
/// If a dump cannot be written or is none, or nothing can be kept in `scratch`.
pub fn erased_since(
    older: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
    newer: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
    scratch: &Path,
) -> Result<Vec<ErasedPerson>, Error> {
    let mut ids = References::create(scratch)?;
    let (mut failure, mut count) = (None, 0u64);
    scan(VERIFICATIONS, newer, &mut |row| {
        if let Some(id) = erased_id(row).filter(|_| failure.is_none()) {
            count += 1;
            failure = ids.add_id(id).err();
        }
    })?;
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut people: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut failure = None;
    scan(VERIFICATIONS, older, &mut |row| {
        let (Field::Text(id), Field::Text(user)) = (row.field(ID), row.field(USER)) else { return };
        match ids.has_id(id) {
            Ok(true) => {
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                people.entry(text(user)).or_default().push(text(id));
            }
            Ok(false) => {}
            Err(error) => failure = Some(error),
        }
    })?;
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    let person = |(user_id, mut verification_ids): (String, Vec<String>)| {
        verification_ids.sort_unstable();
        ErasedPerson { user_id, verification_ids }
    };
    Ok(people.into_iter().map(person).collect())
}

/// Tells who was erased before a snapshot, one call a warning.
pub fn warn_of_erased(
    people: &[ErasedPerson],
    newest: SnapshotId,
    mut warn: impl FnMut(Code, String),
) {
    let mut rest = 0;
    for (number, ErasedPerson { user_id, verification_ids }) in (1..).zip(people) {
        if number <= NAMED_COUNT_MAX {
            let ids = verification_ids.join(", ");
            let detail = format!(
                "user {user_id} of this dump was erased before {newest}; verifications {ids}"
            );
            warn(Code::ErasedSince, detail);
        } else {
            rest += 1;
        }
    }
    if rest > 0 {
        let detail = format!("and {rest} more users, {} in all", people.len());
        warn(Code::ErasedSince, detail);
    }
}

fn erased_id<'a>(row: Row<'a>) -> Option<&'a [u8]> {
    let is_erased = row.field(REASON) == Field::Text(ERASED) && row.field(USER) == Field::Null;
    match row.field(ID) {
        Field::Text(id) if is_erased => Some(id),
        _ => None,
    }
}

/// Finds who was erased between a snapshot and the newest one that has a dump; with that one's id,
/// or nothing if there is none.
///
/// `older` writes the snapshot's dump, as it was restored. It costs reading the newest dump.
///
/// # Errors
/// If the newest snapshot cannot be read, and as [`erased_since`].
pub fn erased_in_newest(
    unlocked: &Unlocked,
    snapshot: SnapshotId,
    older: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
    scratch: &Path,
) -> Result<Option<(SnapshotId, Vec<ErasedPerson>)>, Error> {
    let notes = unlocked.auditor().sound_snapshots()?;
    for (id, note) in notes.range(snapshot..).rev().filter(|(id, _)| **id != snapshot) {
        if unlocked.body(note)?.database.is_none() {
            continue;
        }
        let newer = |out: &mut dyn Write| read::cat_database(unlocked, *id, out).map(drop);
        let people = erased_since(older, newer, scratch)?;
        return Ok(Some((*id, people)));
    }
    Ok(None)
}
