//! Which packs something needs. Spec: `thaw.md` §1.

use std::collections::BTreeSet;

use crate::base::{PackId, SnapshotId};
use crate::format::body::{Body, Stream};
use crate::format::tree::FileContent;
use crate::format::{Kind, ObjectKey};
use crate::ops::restore::{Part, PathFilter};
use crate::ops::{Error, read};
use crate::vault::{Auditor, Unlocked};

/// The packs that hold what was asked for.
pub type Need = BTreeSet<ObjectKey>;

/// Returns the packs of a snapshot, of one part of it, or of the files that a filter chooses.
///
/// # Errors
/// If the snapshot does not open.
pub fn of_snapshot(
    unlocked: &Unlocked,
    snapshot: SnapshotId,
    only: Option<Part>,
    paths: Option<&PathFilter>,
) -> Result<Need, Error> {
    let body = unlocked.body(&unlocked.auditor().snapshot(snapshot)?)?;
    let dump = of_dump(&body);
    match (only, paths) {
        (Some(Part::Database), _) => Ok(dump),
        (_, Some(filter)) => {
            let mut need = if only.is_none() { dump } else { Need::new() };
            read::visit_tree(unlocked, snapshot, |entry| {
                if let Kind::File(content) = &entry.kind
                    && filter.matches(&entry.path)
                {
                    need.extend(of_content(content));
                }
                Ok(())
            })?;
            Ok(need)
        }
        (None, None) => Ok(of_all(&body)),
        // A pack has one profile, so none holds parts of both.
        (Some(Part::Uploads), None) => Ok(of_all(&body).difference(&dump).copied().collect()),
    }
}

/// Returns the packs of one file.
///
/// # Errors
/// If the snapshot does not open or has no such file.
pub fn of_file(unlocked: &Unlocked, snapshot: SnapshotId, path: &[u8]) -> Result<Need, Error> {
    Ok(of_content(&read::find_file(unlocked, snapshot, path)?).collect())
}

/// Returns the packs of every list of some snapshots, of all if none is named; what is wrong with a
/// note or list is for `verify` to say.
///
/// # Errors
/// If the notes cannot be listed.
pub fn of_lists(auditor: &Auditor, only: Option<&[SnapshotId]>) -> Result<Need, Error> {
    let mut need = Need::new();
    for (id, note) in auditor.snapshots()?.sound {
        if only.is_none_or(|only| only.contains(&id)) {
            let list = auditor.list(&note).unwrap_or_default();
            let keys = list.into_iter().map(|entry| entry.key);
            need.extend(keys.filter(|key| matches!(key, ObjectKey::Pack(_))));
        }
    }
    Ok(need)
}

/// Returns the packs of a body: what it names and its tree is not in.
fn of_all(body: &Body) -> Need {
    let trees: BTreeSet<PackId> =
        body.uploads.iter().flat_map(|uploads| ids_of(&uploads.tree, body)).collect();
    let packs = body.packs.iter().filter(|id| !trees.contains(id));
    packs.map(|id| ObjectKey::Pack(*id)).collect()
}

fn of_dump(body: &Body) -> Need {
    let streams = body.database.iter().map(|database| &database.stream);
    streams.flat_map(|stream| ids_of(stream, body)).map(ObjectKey::Pack).collect()
}

fn ids_of<'a>(stream: &'a Stream, body: &'a Body) -> impl Iterator<Item = PackId> {
    stream.recipe.pieces().iter().map(|piece| body.packs[piece.pack as usize])
}

fn of_content(content: &FileContent) -> impl Iterator<Item = ObjectKey> {
    content.extents.iter().map(|extent| ObjectKey::Pack(extent.pack))
}
