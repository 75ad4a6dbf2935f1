//! Somebody overwrites, plants or hides what a host wrote: the oldest version that verifies counts.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded, SystemClock};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::store::{Content, MemoryStore, StorageClass, Store};

use super::shelf::{Shelf, found};
use crate::support::sha256;

/// The code of what was put over something.
const OVERWRITTEN: &str = "object-overwritten";

fn shelf() -> Shelf {
    Shelf::new(StorageClass::Standard, None)
}

/// Does something to every object in turn, each in a bucket that is otherwise sound.
fn done_to_each(harm: impl Fn(&Shelf, &ObjectKey, &[u8]), code: &str) {
    let shelf = shelf();
    for key in shelf.keys() {
        let bytes = shelf.bytes(&key);
        harm(&shelf, &key, &bytes);
        shelf.assert_restores();
        for level in [Level::Stored, Level::Bytes] {
            let findings = found(&shelf.verify(level));
            assert_eq!(findings, [(code, key.to_string())], "{level:?}");
        }
        if key.pack().is_some() {
            let contents = shelf.vault.verify(Level::Contents);
            assert_eq!(found(&contents), [(code, key.to_string())]);
        }
        shelf.bucket.erase(&key.to_string());
        shelf.bucket.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    }
    assert_eq!(found(&shelf.verify(Level::Bytes)), []);
}

/// V-201
#[test]
fn what_was_overwritten_is_read_as_it_was() {
    done_to_each(|shelf, key, _| shelf.bucket.plant(&key.to_string(), b"x"), OVERWRITTEN);
}

/// V-201
#[test]
fn what_was_overwritten_by_something_of_its_length_is_read_as_it_was() {
    let flip = |shelf: &Shelf, key: &ObjectKey, bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        shelf.bucket.plant(&key.to_string(), &bytes);
    };
    done_to_each(flip, OVERWRITTEN);
}

/// V-202
#[test]
fn what_is_hidden_is_read_all_the_same() {
    done_to_each(|shelf, key, _| shelf.bucket.hide(&key.to_string()), "object-hidden");
}

/// V-201
#[test]
fn what_was_planted_before_the_sound_one_does_not_count() {
    let plant_first = |shelf: &Shelf, key: &ObjectKey, bytes: &[u8]| {
        let name = key.to_string();
        shelf.bucket.erase(&name);
        shelf.bucket.plant(&name, b"planted");
        shelf.bucket.plant(&name, bytes);
    };
    done_to_each(plant_first, OVERWRITTEN);
}

/// V-136
#[test]
fn an_archived_note_that_somebody_planted_is_a_finding_and_keeps_nobody_from_the_rest() {
    let shelf = shelf();
    let planted = "snapshots/20300101T000000Z-0badcafe.note";
    shelf.bucket.plant(planted, b"junk");
    shelf.bucket.move_to(planted, StorageClass::DeepArchive);
    for level in [Level::Ledger, Level::Stored, Level::Bytes] {
        let findings = found(&shelf.verify(level));
        assert_eq!(findings, [("object-unreadable", planted.to_owned())], "{level:?}");
    }
    shelf.assert_restores();
}

/// V-136, W-1
#[test]
fn an_archived_version_over_a_sound_one_keeps_nobody_from_the_rest() {
    done_to_each(|shelf, key, _| shelf.bucket.plant_cold(&key.to_string(), b"x"), OVERWRITTEN);
}

/// V-136, W-1
#[test]
fn whatever_is_archived_that_must_not_be_is_told_once_and_keeps_nobody_from_the_rest() {
    let shelf = shelf();
    let keys = shelf.keys();
    let is_root = |key: &ObjectKey| matches!(key, ObjectKey::Vault(_));
    for key in keys.iter().filter(|key| !is_root(key) && !matches!(key, ObjectKey::Pack(_))) {
        let bucket = shelf.bucket.copied();
        bucket.move_to(&key.to_string(), StorageClass::DeepArchive);
        let store: Arc<dyn Store> = Arc::new(bucket);
        for level in [Level::Ledger, Level::Stored, Level::Bytes] {
            let auditor = shelf.vault.auditor(&store);
            let events = shelf.vault.events.as_ref();
            let report = verify::verify(&auditor, None, level, None, events).unwrap();
            let told = found(&report).into_iter().filter(|(_, object)| *object == key.to_string());
            let told: Vec<_> = told.collect();
            let is_read = !matches!(key.folder(), Folder::Trees | Folder::Segments)
                && !matches!(key, ObjectKey::Body(_))
                || level == Level::Bytes;
            match (is_read, level) {
                (false, Level::Ledger) => assert_eq!(told, []),
                (false, _) => assert_eq!(told, [("class-wrong", key.to_string())], "{level:?}"),
                (true, _) => assert_eq!(told.len(), 1, "{key} at {level:?}: {told:?}"),
            }
        }
    }
}

/// V-201
#[test]
fn what_was_planted_under_an_object_is_found_also_of_a_snapshot_that_was_named() {
    let shelf = shelf();
    let pack = shelf.keys().into_iter().find(|key| matches!(key, ObjectKey::Pack(_))).unwrap();
    let (name, bytes) = (pack.to_string(), shelf.bytes(&pack));
    shelf.bucket.erase(&name);
    shelf.bucket.plant(&name, b"planted");
    shelf.bucket.plant(&name, &bytes);
    let all: Vec<_> = shelf.auditor().snapshots().unwrap().sound.into_keys().collect();
    let events = shelf.vault.events.as_ref();
    let report = verify::verify(&shelf.auditor(), None, Level::Stored, Some(&all), events).unwrap();
    assert_eq!(found(&report), [(OVERWRITTEN, name)]);
    assert!(report.not_covered.iter().any(|gap| gap == "packs that no snapshot names"));
}

/// V-201
#[test]
fn a_sound_object_of_another_name_in_its_place_does_not_count() {
    let shelf = shelf();
    let keys = shelf.keys();
    let packs: Vec<&ObjectKey> = keys.iter().filter(|key| key.pack().is_some()).collect();
    for pair in packs.windows(2) {
        shelf.bucket.plant(&pair[0].to_string(), &shelf.bytes(pair[1]));
    }
    shelf.assert_restores();
    assert_eq!(shelf.verify(Level::Bytes).findings.len(), packs.len() - 1);
}

/// V-201
#[test]
fn a_later_note_of_the_same_signer_does_not_count() {
    let shelf = shelf();
    let key = ObjectKey::Vault(1);
    let note = shelf.bytes(&key);
    // A second signature of the same key beneath: as sound as the first, and other bytes.
    let line = note.split_inclusive(|&byte| byte == b'\n').next_back().unwrap().to_vec();
    let again = [note.clone(), line].concat();
    shelf.bucket.plant(&key.to_string(), &again);
    assert_eq!(shelf.auditor().newest().sha256, sha256(&note));
}

/// V-203
#[test]
fn the_same_bytes_put_twice_are_no_finding() {
    let shelf = shelf();
    for key in shelf.keys() {
        let bytes = shelf.bytes(&key);
        shelf.bucket.plant(&key.to_string(), &bytes);
    }
    assert_eq!(found(&shelf.verify(Level::Bytes)), []);
    shelf.assert_restores();
}

#[test]
fn thousands_of_planted_versions_are_not_tried() {
    let shelf = shelf();
    let key = ObjectKey::Note(shelf.newest);
    for number in 0..3000_u32 {
        shelf.bucket.plant(&key.to_string(), &number.to_le_bytes());
    }
    assert!(shelf.auditor().snapshot(shelf.newest).is_ok());
    let bytes = shelf.bytes(&ObjectKey::Note(shelf.newest));
    shelf.bucket.erase(&key.to_string());
    for number in 0..3000_u32 {
        shelf.bucket.plant(&key.to_string(), &number.to_le_bytes());
    }
    shelf.bucket.plant(&key.to_string(), &bytes);
    shelf.bucket.forget_calls();
    shelf.auditor().snapshot(shelf.newest).unwrap_err();
    assert!(shelf.bucket.calls().len() < 60, "{}", shelf.bucket.calls().len());
}

#[test]
fn where_versions_may_not_be_listed_that_is_said() {
    let shelf = shelf();
    let denying = NoVersions(Arc::new(shelf.bucket.clone()));
    let auditor = shelf.vault.auditor(&(Arc::new(denying) as Arc<dyn Store>));
    let report = verify::verify(&auditor, None, Level::Stored, None, shelf.vault.events.as_ref());
    let report = report.unwrap();
    assert_eq!(found(&report), []);
    assert!(report.not_covered.iter().any(|gap| gap.contains("may not list versions")));
}

#[test]
fn without_versions_the_same_is_damage() {
    let shelf = shelf();
    let keys = shelf.keys();
    let copy = |wrong: &ObjectKey| -> Arc<dyn Store> {
        let memory = MemoryStore::new("memory", Arc::new(SystemClock));
        for key in &keys {
            let bytes = if key == wrong { b"x".to_vec() } else { shelf.bytes(key) };
            memory.put_new(key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
        }
        Arc::new(memory)
    };
    let pack = keys.iter().find(|key| key.pack().is_some()).unwrap();
    for (wrong, code) in [
        (*pack, Code::ObjectTruncated),
        (ObjectKey::Body(shelf.newest), Code::ObjectTruncated),
        (ObjectKey::Note(shelf.newest), Code::SignatureInvalid),
    ] {
        let auditor = shelf.vault.auditor(&copy(&wrong));
        let report =
            verify::verify(&auditor, None, Level::Stored, None, shelf.vault.events.as_ref());
        let findings = report.unwrap().findings;
        assert!(findings.iter().any(|one| one.code == code), "{wrong}: {findings:?}");
        assert!(findings.iter().all(|one| one.code != Code::ObjectOverwritten));
    }
    assert_eq!(shelf.auditor().snapshot(shelf.newest).err().map(|e| e.code()), None);
}

/// A bucket whose owner gave the right to read, and not the one to list versions.
struct NoVersions(Arc<dyn Store>);

mod no_versions;
