//! Levels `stored` and `bytes`: every object is there, at its size, with its bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::items::{Item, items};
use super::rewritten::{self, Sound};
use super::{Collector, Level, NOT_THERE, Scope, keeping, receipts};
use crate::base::{Code, Digest, SnapshotId};
use crate::format::list::ListEntry;
use crate::format::snapshot_note::{SignedObject, SnapshotNote};
use crate::format::{Folder, ObjectKey};
use crate::manifest::{self, Needed};
use crate::ops::Error;
use crate::ops::readers::read_each;
use crate::store::{self, Listed, Stat, Versioned};
use crate::vault::at_once::map_at_once;
use crate::vault::delivery::hash_stored;
use crate::vault::list_reader::{read_list, read_unproven_list};
use crate::vault::{self, Auditor};

/// Bytes of lists that are in memory at once; a longer one is read line by line.
const LISTS_LEN: u64 = 4 * 1024 * 1024;
/// Objects that are looked at before the next are taken from the disk.
const PAGE_COUNT: u32 = 4096;

/// Compares the size of every object that a list or a note names, and the SHA-256 that the store
/// attests of it.
pub fn check_sizes(
    auditor: &Auditor,
    scope: &Scope,
    collector: &Collector<'_>,
    whole: bool,
) -> Result<(), Error> {
    let at_once = auditor.store().calls_at_once();
    for_each_page(scope, |page| {
        let page = items(scope, page)?;
        let checked = map_at_once(at_once, &page, |item| check_size(auditor, item, collector));
        checked.into_iter().collect()
    })?;
    receipts::check_generations(scope, collector)?;
    keeping::check_records(auditor, scope, collector)?;
    find_unreferenced(auditor, scope, collector, whole)
}

/// Gives every object in scope that is to be looked at, with what is signed of it, to `work`, some
/// at a time.
pub(super) fn for_each_page(
    scope: &Scope,
    mut work: impl FnMut(&[(ObjectKey, SignedObject)]) -> Result<(), Error>,
) -> Result<(), Error> {
    let notes: Vec<&SnapshotNote> = scope.notes.values().collect();
    for notes in notes.chunks(PAGE_COUNT as usize) {
        let own = |note: &&SnapshotNote| {
            let id = note.snapshot;
            [(ObjectKey::Body(id), note.body), (ObjectKey::Segment(id), note.segment)]
        };
        let own = notes.iter().flat_map(own);
        let here = own.filter(|(_, signed)| scope.is_here(signed.sha256.as_bytes()));
        work(&here.collect::<Vec<_>>())?;
    }
    let mut after = None;
    loop {
        let page = scope.needed.page(after.as_ref(), PAGE_COUNT).map_err(vault::Error::from)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(*last);
        let mut signed = Vec::with_capacity(page.len());
        for (key, len) in page {
            let Some(id) = key.pack() else { continue };
            if scope.is_chosen(&key)? {
                let sha256 = Digest::from_bytes(*id.as_bytes());
                signed.push((key, SignedObject { sha256, len }));
            }
        }
        work(&signed)?;
    }
}

/// Reads the lists of the snapshots in scope: what they name is needed from then on.
pub fn read_lists(
    auditor: &Auditor,
    scope: &mut Scope,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    scope.lists = read_each_list(auditor, scope, collector)?;
    Ok(())
}

/// Reads lists, several at a time where they are short; returns those that fit in little memory.
fn read_each_list(
    auditor: &Auditor,
    scope: &Scope,
    collector: &Collector<'_>,
) -> Result<BTreeMap<SnapshotId, Vec<ListEntry>>, Error> {
    let notes: Vec<&SnapshotNote> = scope.notes.values().collect();
    let (mut rest, mut kept, mut kept_len) = (notes.as_slice(), BTreeMap::new(), 0);
    while let Some(first) = rest.first() {
        let mut len = 0;
        let fits = rest.iter().take_while(|note| {
            len += note.list.len;
            len <= LISTS_LEN
        });
        let count = fits.count();
        if count == 0 {
            note_list(first, read_long_list(auditor, first, scope), collector)?;
            collector.saw(1, first.list.len);
            rest = &rest[1..];
            continue;
        }
        let (some, others) = rest.split_at(count);
        let at_once = auditor.store().calls_at_once();
        let read = map_at_once(at_once, some, |note| auditor.list(note));
        for (note, list) in some.iter().zip(read) {
            let listed = list.and_then(|list| {
                scope.needed.attempt(|needed| {
                    list.iter().try_for_each(|entry| add(needed, note, entry, scope))
                })?;
                Ok(list)
            });
            kept_len += note.list.len;
            match listed {
                Ok(list) if kept_len <= LISTS_LEN => drop(kept.insert(note.snapshot, list)),
                other => note_list(note, other.map(drop), collector)?,
            }
            collector.saw(1, note.list.len);
        }
        rest = others;
    }
    Ok(kept)
}

/// Reads a list line by line.
fn read_long_list(
    auditor: &Auditor,
    note: &SnapshotNote,
    scope: &Scope,
) -> Result<(), vault::Error> {
    auditor.versions().named(ObjectKey::List(note.snapshot), |view| {
        scope.needed.attempt(|needed| {
            let mut add = |entry: ListEntry| Ok(add(needed, note, &entry, scope)?);
            read_list(view.as_ref(), note, &mut add)
        })
    })
}

/// Adds what a list names, with the floor of its snapshot.
fn add(
    needed: &Needed,
    note: &SnapshotNote,
    entry: &ListEntry,
    scope: &Scope,
) -> Result<(), manifest::Error> {
    needed.add(&entry.key, entry.stored_len)?;
    match scope.floors.get(&note.snapshot) {
        Some(floor) => needed.keep_floor(&entry.key, *floor),
        None => Ok(()),
    }
}

fn note_list(
    note: &SnapshotNote,
    listed: Result<(), vault::Error>,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    match listed {
        Ok(()) => Ok(()),
        // That there is no room for what lists name says nothing of a list.
        Err(error @ vault::Error::Manifest(_)) => Err(error.into()),
        Err(error) => collector.add_error(ObjectKey::List(note.snapshot), error),
    }
}

fn check_size(auditor: &Auditor, item: &Item, collector: &Collector<'_>) -> Result<(), Error> {
    let Item { key, signed, claim, .. } = item;
    let take_instead = || {
        collector.count_barred(key);
        receipts::take_instead(key, signed.sha256, claim.as_ref(), collector);
        Ok(())
    };
    if collector.barred.skips(key) {
        return take_instead();
    }
    collector.saw(1, 0);
    let stat = match auditor.store().stat(key).map_err(vault::Error::from) {
        Ok(stat) => {
            collector.barred.note_answer(key);
            stat
        }
        Err(error) if collector.is_barred(key, &error) => return take_instead(),
        Err(error) => return collector.add_error(key, error),
    };
    let wrong = match stat.map(|stat| judge(*key, &stat, signed)) {
        Some(Ok(())) => {
            return stat.iter().try_for_each(|stat| take_sound(item, stat, collector));
        }
        Some(Err(error)) => Some(error),
        None => None,
    };
    match rewritten::find_sound(auditor, *key, |stat| judge(*key, stat, signed).is_ok()) {
        Ok(Some(Sound { stat, rewritten })) => {
            take_sound(item, &stat, collector)?;
            rewritten::report(auditor, *key, rewritten, collector)
        }
        Ok(None) => match wrong {
            Some(error) => collector.add_error(key, error),
            None => {
                let detail = NOT_THERE;
                collector.add(Code::ObjectMissing, key, detail);
                Ok(())
            }
        },
        Err(error) => collector.add_error(key, error),
    }
}

/// Takes what the store says of the version of an object that counts.
fn take_sound(item: &Item, stat: &Stat, collector: &Collector<'_>) -> Result<(), Error> {
    collector.count_stored(stat);
    collector.keeping.judge(item.key, stat, item.until);
    receipts::is_other(&item.key, item.signed.sha256, item.claim.as_ref(), collector);
    collector.provided.as_ref().map_or(Ok(()), |provided| provided.meet(&item.key, stat))
}

/// Compares what a store says of an object with what is signed.
fn judge(key: ObjectKey, stat: &Stat, signed: &SignedObject) -> Result<(), vault::Error> {
    if stat.len != signed.len {
        return Err(vault::Error::Len { key, len: stat.len, need: signed.len });
    }
    match stat.checksum.filter(|checksum| *checksum != signed.sha256) {
        Some(found) => {
            let (found, expected) = (found.to_string(), signed.sha256.to_string());
            Err(vault::Error::Altered { key, found, expected })
        }
        None => Ok(()),
    }
}

/// Finds what was put over objects or hides them; and of a whole vault packs that nothing names:
/// leftovers of interrupted runs, or planted.
fn find_unreferenced(
    auditor: &Auditor,
    scope: &Scope,
    collector: &Collector<'_>,
    whole: bool,
) -> Result<(), Error> {
    let (mut count, mut len) = (0u64, 0u64);
    let waiting = if whole { waiting(auditor, scope)? } else { Needed::new()? };
    let waits = |key: &ObjectKey| waiting.contains(key).map_err(vault::Error::from);
    let contains = |key: &ObjectKey| scope.needed.contains(key).map_err(vault::Error::from);
    for folder in Folder::ALL {
        let listing = match listing(auditor, folder) {
            Err(Error::Vault(vault::Error::Store(store::Error::Denied { .. }))) => {
                let name = folder.name();
                collector.leave_out(format!(
                    "what else is in {name}/: these credentials may not list it"
                ));
                continue;
            }
            other => other?,
        };
        for listed in listing {
            let Versioned { listed, version_count, is_hidden } = match listed {
                Ok(versioned) => versioned,
                Err(error) => {
                    collector.add_error(folder.name(), error.into())?;
                    continue;
                }
            };
            match listed {
                Listed::Object(key @ (ObjectKey::Pack(_) | ObjectKey::Tree(_)), stat) => {
                    if contains(&key)? {
                        rewritten::report_any(auditor, key, version_count, is_hidden, collector)?;
                    } else if whole && !is_hidden && !waits(&key)? {
                        count += 1;
                        len += stat.len;
                    }
                }
                Listed::Object(key, stat) if scope.names(&key) => {
                    rewritten::report_any(auditor, key, version_count, is_hidden, collector)?;
                    // A listing does not tell every store's versions: what is asked for here is
                    // reported with all that was met.
                    auditor.versions().views(key)?;
                    // What is not read is judged by what is asked of it alone, and of several
                    // versions the one that was read is not known here.
                    let is_asked = matches!(key, ObjectKey::Body(_) | ObjectKey::Segment(_));
                    if !is_asked && !auditor.versions().is_rewritten(key) {
                        collector.keeping.judge_class(key, &stat);
                    }
                }
                // G-12: whoever holds an identity opens everything of it again.
                Listed::Object(key @ ObjectKey::Generation(id, _), _)
                    if scope.shredded.contains(&id) =>
                {
                    let detail = "a ledger says that it was destroyed, and it is there";
                    collector.add(Code::ShredWaiting, key, detail);
                }
                Listed::Object(..) => {}
                Listed::Foreign(_) if is_hidden => {}
                Listed::Foreign(name) => {
                    let detail = "its name is none that this program gives";
                    collector.add(Code::ObjectUnreferenced, name, detail);
                }
            }
        }
    }
    if count > 0 {
        let detail = format!("{count} packs of {len} bytes are named by no snapshot");
        collector.add(Code::ObjectUnreferenced, "packs and trees", detail);
    }
    Ok(())
}

/// Returns what forgotten snapshots named: until a prune may delete it (I9) it is there in order.
fn waiting(auditor: &Auditor, scope: &Scope) -> Result<Needed, Error> {
    let waiting = Needed::new().map_err(vault::Error::from)?;
    let forgotten = |id: &SnapshotId| scope.forgotten.contains(id);
    for key in auditor.versions().list(Folder::Snapshots)? {
        let ObjectKey::List(id) = key else { continue };
        if !forgotten(&id) || scope.notes.contains_key(&id) {
            continue;
        }
        let read = waiting.attempt(|waiting| {
            let mut add = |entry: ListEntry| Ok(waiting.add(&entry.key, entry.stored_len)?);
            read_unproven_list(auditor.store().as_ref(), auditor.vault(), id, &mut add)
        });
        match read {
            Err(error @ vault::Error::Manifest(_)) => return Err(error.into()),
            Err(error) if auditor.damage_of_signed(&error).is_none() => return Err(error.into()),
            // A prune or a janitor may have been here meanwhile; of what is damaged nothing waits.
            Ok(()) | Err(_) => {}
        }
    }
    Ok(waiting)
}

/// Lists a folder with versions where the store has them, else as it is.
fn listing(
    auditor: &Auditor,
    folder: Folder,
) -> Result<Box<dyn Iterator<Item = Result<Versioned, store::Error>> + '_>, Error> {
    match auditor.store().list_versions(folder) {
        Ok(Some(listing)) => return Ok(listing),
        Ok(None) => {}
        // The auditor knows of it, and the report says so.
        Err(store::Error::Denied { .. }) => {}
        Err(error) => return Err(vault::Error::from(error).into()),
    }
    let single = |listed| Versioned { listed, version_count: 1, is_hidden: false };
    let listing = auditor.store().list(folder).map_err(vault::Error::from)?;
    Ok(Box::new(listing.map(move |listed| listed.map(single))))
}

/// Reads every object in scope and compares its SHA-256; packs and trees only where that is all,
/// for level `contents` reads them once and does both.
pub fn check_bytes(
    auditor: &Auditor,
    scope: &Scope,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let is_meant = |key: &ObjectKey| collector.level < Level::Contents || key.pack().is_none();
    for_each_page(scope, |page| {
        read_each(page, |(key, signed)| match is_meant(key) {
            true => check_object(auditor, scope, key, signed, collector),
            false => Ok(()),
        })
    })
}

pub(super) fn check_object(
    auditor: &Auditor,
    scope: &Scope,
    key: &ObjectKey,
    signed: &SignedObject,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let check = |view: &Arc<dyn store::Store>| {
        let (found, len) = hash_stored(view.as_ref(), key)?;
        collector.saw(0, len);
        if len != signed.len {
            return Err(vault::Error::Len { key: *key, len, need: signed.len });
        }
        if found == signed.sha256 {
            return Ok(());
        }
        let (found, expected) = (found.to_string(), signed.sha256.to_string());
        Err(vault::Error::Altered { key: *key, found, expected })
    };
    let versions = auditor.versions();
    let read = match key.pack() {
        // What was put over a pack may be archived, and stay so (T-11).
        Some(id) => versions.of_pack(*key, id).and_then(|(view, _)| check(&view)),
        None => versions.named(*key, check),
    };
    match read {
        Ok(()) => Ok(scope.prove(key, Level::Bytes)?),
        Err(error) => collector.add_error(key, error),
    }
}
