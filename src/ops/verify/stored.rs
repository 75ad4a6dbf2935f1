//! Levels `stored` and `bytes`: every object is there, at its size, with its bytes.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::{Collector, Scope};
use crate::base::Code;
use crate::format::snapshot_note::SignedObject;
use crate::format::{Folder, ObjectKey};
use crate::ops::Error;
use crate::store::{self, Listed};
use crate::vault::delivery::hash_stored;
use crate::vault::{self, Auditor};

/// Reads each list and compares the size of every object that it, or its note, names.
pub fn check_sizes(
    auditor: &Auditor,
    scope: &mut Scope,
    collector: &Collector<'_>,
    whole: bool,
) -> Result<(), Error> {
    for (id, note) in &scope.notes {
        match auditor.list(note) {
            Ok(list) => {
                scope.objects.extend(list.iter().map(|entry| (entry.key, entry.stored_len)));
                scope.lists.insert(*id, list);
            }
            Err(error) => collector.add_error(ObjectKey::List(*id), error)?,
        }
        scope.objects.insert(ObjectKey::Body(*id), note.body.len);
        scope.objects.insert(ObjectKey::Segment(*id), note.segment.len);
        collector.saw(1, note.list.len);
    }
    scope
        .objects
        .par_iter()
        .try_for_each(|(key, need)| check_size(auditor, key, *need, collector))?;
    if whole { find_unreferenced(auditor, scope, collector) } else { Ok(()) }
}

fn check_size(
    auditor: &Auditor,
    key: &ObjectKey,
    need: u64,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    collector.saw(1, 0);
    match auditor.store().stat(key) {
        Ok(Some(stat)) if stat.len == need => Ok(()),
        Ok(Some(stat)) => {
            collector.add_error(key, vault::Error::Len { key: *key, len: stat.len, need })
        }
        Ok(None) => {
            collector.add(Code::ObjectMissing, key, "it is named by a signed list, and not there");
            Ok(())
        }
        Err(error) => collector.add_error(key, error.into()),
    }
}

/// Finds packs that nothing names: leftovers of interrupted runs, or planted.
fn find_unreferenced(
    auditor: &Auditor,
    scope: &Scope,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let (mut count, mut len) = (0u64, 0u64);
    let mut foreign = BTreeSet::new();
    for folder in Folder::ALL {
        for listed in auditor.store().list(folder)? {
            match listed {
                Ok(Listed::Object(key @ (ObjectKey::Pack(_) | ObjectKey::Tree(_)), stat)) => {
                    if !scope.objects.contains_key(&key) {
                        count += 1;
                        len += stat.len;
                    }
                }
                Ok(Listed::Object(..)) => {}
                Ok(Listed::Foreign(name)) => {
                    foreign.insert(name);
                }
                Err(error) => collector.add_error(folder.name(), error.into())?,
            }
        }
    }
    if count > 0 {
        let detail = format!("{count} packs of {len} bytes are named by no snapshot");
        collector.add(Code::ObjectUnreferenced, "packs and trees", detail);
    }
    for name in foreign {
        let detail = "its name is none that this program gives";
        collector.add(Code::ObjectUnreferenced, name, detail);
    }
    Ok(())
}

/// Reads every object in scope and compares its SHA-256.
pub fn check_bytes(
    auditor: &Auditor,
    scope: &Scope,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    scope.objects.par_iter().try_for_each(|(key, need)| {
        let expected = match key {
            ObjectKey::Pack(id) | ObjectKey::Tree(id) => *id.as_bytes(),
            ObjectKey::Body(id) => *scope.notes[id].body.sha256.as_bytes(),
            ObjectKey::Segment(id) => *scope.notes[id].segment.sha256.as_bytes(),
            _ => return Ok(()),
        };
        let signed = SignedObject { sha256: crate::base::Digest::from_bytes(expected), len: *need };
        check_object(auditor, key, &signed, collector)
    })
}

fn check_object(
    auditor: &Auditor,
    key: &ObjectKey,
    signed: &SignedObject,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let (found, len) = match hash_stored(auditor.store().as_ref(), key) {
        Ok(hashed) => hashed,
        Err(store::Error::Missing { .. }) => return Ok(()), // found by its size already
        Err(error) => return collector.add_error(key, error.into()),
    };
    collector.saw(0, len);
    if found != signed.sha256 {
        let (found, expected) = (found.to_string(), signed.sha256.to_string());
        collector.add_error(key, vault::Error::Altered { key: *key, found, expected })?;
    }
    Ok(())
}
