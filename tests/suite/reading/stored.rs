//! Level `stored`: what a store says of its objects is enough, and no pack is read.

use idswyft_vault::base::SystemClock;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::verify::{self, Level};
use idswyft_vault::store::{Content, LockMode, MemoryStore, StorageClass, Store};
use std::sync::Arc;

use super::shelf::{Shelf, found};
use crate::support::{Call, sha256};

/// V-204
#[test]
fn cold_packs_are_verified_without_reading_or_thawing_one() {
    let shelf = Shelf::new(StorageClass::DeepArchive, Some(LockMode::Compliance));
    let report = shelf.verify(Level::Stored);
    assert_eq!(found(&report), []);
    let counts = report.stored.unwrap();
    let packs = shelf.keys().iter().filter(|key| matches!(key, ObjectKey::Pack(_))).count();
    assert_eq!(counts.classes[&StorageClass::DeepArchive], packs as u64);
    assert_eq!(counts.not_attested_count, 0);
    assert_eq!(counts.attested_count, counts.classes.values().sum::<u64>());
    for call in shelf.bucket.calls() {
        let is_pack = matches!(call.key(), Some(ObjectKey::Pack(_)));
        assert!(!matches!(call, Call::Thaw(_)));
        assert!(!is_pack || matches!(call, Call::Stat(_)), "{call:?}");
    }
}

/// V-204
#[test]
fn an_object_of_the_right_size_and_the_wrong_digest_is_found_without_reading_it() {
    let shelf = Shelf::new(StorageClass::DeepArchive, None);
    let keys = shelf.keys();
    let harmed = keys.iter().filter(|key| {
        matches!(key, ObjectKey::Pack(_) | ObjectKey::Tree(_))
            || [ObjectKey::Body(shelf.newest), ObjectKey::Segment(shelf.newest)].contains(key)
    });
    let harmed: Vec<&ObjectKey> = harmed.collect();
    for key in &harmed {
        let len = usize::try_from(shelf.bucket.stat(key).unwrap().unwrap().len).unwrap();
        shelf.bucket.erase(&key.to_string());
        shelf.bucket.plant(&key.to_string(), &vec![7; len]);
    }
    let report = shelf.verify(Level::Stored);
    let mut expected: Vec<(&str, String)> =
        harmed.iter().map(|key| ("object-altered", key.to_string())).collect();
    expected.sort();
    assert_eq!(found(&report), expected);
}

/// V-204
#[test]
fn what_a_store_does_not_attest_is_said_to_be_not_covered() {
    let shelf = Shelf::new(StorageClass::Standard, None);
    let memory = MemoryStore::new("memory", Arc::new(SystemClock));
    for key in shelf.keys() {
        let bytes = shelf.bytes(&key);
        memory.put_new(&key, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    }
    let auditor = shelf.vault.auditor(&(Arc::new(memory) as Arc<dyn Store>));
    let report = verify::verify(&auditor, None, Level::Stored, None, shelf.vault.events.as_ref());
    let report = report.unwrap();
    let counts = report.stored.unwrap();
    assert!(counts.attested_count == 0 && counts.not_attested_count > 0);
    let count = format!("more than the size of {} objects", counts.not_attested_count);
    assert!(report.not_covered.iter().any(|gap| gap.starts_with(&count)));
}
