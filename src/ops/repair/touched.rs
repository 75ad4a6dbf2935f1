//! Which snapshots, and which files in them, what cannot be healed touches. Spec: `repair.md` §3.2.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::Repair;
use crate::base::limits::LISTED_COUNT_MAX;
use crate::base::{PackId, SnapshotId};
use crate::format::snapshot_note::SnapshotNote;
use crate::format::{Kind, ObjectKey};
use crate::ops::{Error, read};
use crate::vault::Unlocked;

/// A snapshot that cannot be read whole from this store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Touched {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Objects of it that are missing or damaged.
    pub object_count: u64,
    /// Files that lose bytes, and `db.sql` if the dump does; none, if no identity was given or
    /// what says so is itself damaged. At most the first thousand.
    pub files: Option<Vec<String>>,
    /// How many files there are.
    pub file_count: u64,
}

/// Finds them.
///
/// # Errors
/// If a store does not answer.
pub fn find(
    request: &Repair<'_>,
    unhealed: &BTreeSet<ObjectKey>,
    unlocked: Option<&Unlocked>,
) -> Result<Vec<Touched>, Error> {
    let mut all = Vec::new();
    if unhealed.is_empty() {
        return Ok(all);
    }
    let mut stores = vec![Arc::clone(request.target)];
    stores.extend(request.sources.iter().cloned());
    for snapshot in request.signed.snapshots() {
        let note = &snapshot.note;
        let own = [
            ObjectKey::Body(note.snapshot),
            ObjectKey::List(note.snapshot),
            ObjectKey::Note(note.snapshot),
        ];
        let mut lost: Vec<ObjectKey> =
            own.into_iter().filter(|key| unhealed.contains(key)).collect();
        let secrets = |key: &&ObjectKey| match key {
            ObjectKey::Generation(id, _) => *id == note.generation,
            _ => false,
        };
        lost.extend(unhealed.iter().filter(secrets));
        let list = request.signed.list(&stores, note)?.unwrap_or_default();
        lost.extend(list.iter().map(|entry| entry.key).filter(|key| unhealed.contains(key)));
        if lost.is_empty() {
            continue;
        }
        let packs: BTreeSet<PackId> = lost.iter().filter_map(ObjectKey::pack).collect();
        let (files, file_count) = match unlocked.and_then(|open| files_of(open, note, &packs)) {
            Some((files, count)) => (Some(files), count),
            None => (None, 0),
        };
        let object_count = lost.len() as u64;
        all.push(Touched { snapshot: note.snapshot, object_count, files, file_count });
    }
    Ok(all)
}

/// Returns the files whose bytes are in these packs; none, if that cannot be read.
fn files_of(
    unlocked: &Unlocked,
    note: &SnapshotNote,
    packs: &BTreeSet<PackId>,
) -> Option<(Vec<String>, u64)> {
    let body = unlocked.body(note).ok()?;
    let (mut files, mut count) = (Vec::new(), 0);
    let mut add = |name: String| {
        count += 1;
        if files.len() < LISTED_COUNT_MAX {
            files.push(name);
        }
    };
    let loses_dump = body.database.as_ref().is_some_and(|database| {
        let mut pieces = database.stream.recipe.pieces().iter();
        pieces.any(|piece| packs.contains(&body.packs[piece.pack as usize]))
    });
    if loses_dump {
        add("db.sql".to_owned());
    }
    if body.uploads.is_some() {
        let visited = read::visit_tree(unlocked, note.snapshot, |entry| {
            if let Kind::File(content) = &entry.kind
                && content.extents.iter().any(|extent| packs.contains(&extent.pack))
            {
                add(format!("uploads/{}", String::from_utf8_lossy(&entry.path)));
            }
            Ok(())
        });
        visited.ok()?;
    }
    Some((files, count))
}
