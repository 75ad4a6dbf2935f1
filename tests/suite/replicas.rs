//! Mirrors: one store gets what another has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use idswyft_vault::base::{Clock, PackId, Silent};
use idswyft_vault::crypto::signing::VerificationKey;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::replicate::{self, Replicated, Replication};
use idswyft_vault::ops::verify::Level;
use idswyft_vault::policy::{Policy, PolicyFields};
use idswyft_vault::store::{Content, Listed, LockMode, MemoryStore, StorageClass, Store, ThawTier};
use idswyft_vault::vault::signed::Signed;
use idswyft_vault::vault::{Auditor, Unlocked};
use jiff::SignedDuration;

use crate::support::bucket::Bucket;
use crate::support::vault::{TestVault, local, noise};
use crate::support::{Call, names_in, sha256};

/// A vault in one store, with two snapshots.
pub fn vault() -> TestVault {
    let vault = TestVault::with_small_packs();
    vault.write("documents/a.jpg", &noise(1, 3_000_000));
    vault.write("documents/b.jpg", &noise(2, 3_000_000));
    vault.write_dump(&["1\tone".to_owned(), "2\ttwo".to_owned()]);
    vault.snapshot();
    vault.clock.pass_hours(24);
    vault.write("documents/c.jpg", &noise(3, 3_000_000));
    vault.snapshot();
    vault
}

pub fn key(vault: &TestVault) -> VerificationKey {
    vault.report.root_key.parse().unwrap()
}

pub fn copy(vault: &TestVault, source: &Arc<dyn Store>, target: &Arc<dyn Store>) -> Replicated {
    let signed = Signed::gather(&[source.clone(), target.clone()], &key(vault)).unwrap();
    let scratch = tempfile::tempdir_in(vault.dir.path()).unwrap();
    let request = Replication {
        source,
        target,
        signed: &signed,
        begun: &BTreeMap::new(),
        scratch: scratch.path(),
        now: vault.clock.now(),
        settle: &|_, _| Ok(()),
    };
    let report = replicate::replicate(&request, &Silent).unwrap();
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "scratch files were left");
    report
}

pub fn memory(vault: &TestVault, name: &str) -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new(name, vault.clock.clone()))
}

pub fn bytes_in(store: &dyn Store, key: &ObjectKey) -> Vec<u8> {
    store.get(key, u64::MAX).unwrap()
}

pub fn keys_in(store: &dyn Store, folder: Folder) -> Vec<ObjectKey> {
    let listed = store.list(folder).unwrap().map(Result::unwrap);
    let mut keys: Vec<ObjectKey> = listed
        .filter_map(|listed| match listed {
            Listed::Object(key, _) => Some(key),
            Listed::Foreign(_) => None,
        })
        .collect();
    keys.sort();
    keys
}

/// Asserts that a store alone proves and restores the vault.
pub fn assert_whole(vault: &TestVault, store: &Arc<dyn Store>) {
    let auditor = Auditor::open(store.clone(), key(vault)).unwrap();
    let unlocked = Unlocked::new(auditor, vault.identities()).unwrap();
    let auditor = unlocked.auditor();
    let report = idswyft_vault::ops::verify::verify(
        auditor,
        Some(&unlocked),
        Level::Contents,
        None,
        &Silent,
    )
    .unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(report.snapshot_count, 2);
}

/// H-4, H-6
#[test]
fn a_copy_is_whole_and_is_written_in_the_order_of_writing() {
    let vault = vault();
    let source = &vault.stores[0];
    let bucket = Bucket::new("b", vault.clock.clone(), StorageClass::Standard);
    let target: Arc<dyn Store> = Arc::new(bucket.clone());
    let report = copy(&vault, source, &target);
    assert_eq!(names_in(source.as_ref()), names_in(target.as_ref()));
    assert_eq!(report.object_count, names_in(source.as_ref()).len() as u64);
    assert!(report.damaged.is_empty() && report.held_back.is_empty());
    assert_whole(&vault, &target);
    let put: Vec<ObjectKey> = bucket
        .calls()
        .into_iter()
        .filter_map(|call| if let Call::PutNew(key) = call { Some(key) } else { None })
        .collect();
    let place = |wanted: &dyn Fn(&ObjectKey) -> bool| {
        let first = put.iter().position(wanted).unwrap();
        (first, put.iter().rposition(wanted).unwrap())
    };
    let packs = place(&|key| key.pack().is_some());
    let notes = place(&|key| matches!(key, ObjectKey::Note(_)));
    let lists = place(&|key| matches!(key, ObjectKey::List(_) | ObjectKey::Body(_)));
    let secrets = place(&|key| matches!(key, ObjectKey::Generation(..)));
    let ledger = place(&|key| key.folder() == Folder::Ledger);
    assert!(secrets.1 < packs.0 && packs.1 < lists.0 && lists.1 < notes.0 && notes.1 < ledger.0);
    bucket.forget_calls();
    assert_eq!(copy(&vault, source, &target).object_count, 0);
    assert!(!bucket.calls().iter().any(|call| matches!(call, Call::PutNew(_))));
}

/// H-5
#[test]
fn what_is_damaged_or_planted_in_one_store_never_gets_into_another() {
    let vault = vault();
    let (source, target) = (memory(&vault, "source"), memory(&vault, "target"));
    let (source_store, target_store): (Arc<dyn Store>, Arc<dyn Store>) =
        (source.clone(), target.clone());
    copy(&vault, &vault.stores[0], &source_store);
    let keys: Vec<ObjectKey> =
        Folder::ALL.into_iter().flat_map(|folder| keys_in(source.as_ref(), folder)).collect();
    let mut altered = BTreeSet::new();
    // One of each kind that the rest does not lean on.
    for key in &keys {
        let newest = matches!(key, ObjectKey::LedgerCheckpoint(_, seq) if *seq > 3);
        let chosen = match key {
            ObjectKey::Pack(_) | ObjectKey::Tree(_) | ObjectKey::Segment(_) => true,
            ObjectKey::Body(_) | ObjectKey::List(_) | ObjectKey::Generation(..) => true,
            _ => newest,
        };
        if chosen {
            let mut bytes = bytes_in(source.as_ref(), key);
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            source.plant(&key.to_string(), &bytes);
            altered.insert(*key);
        }
    }
    let planted = ObjectKey::Pack(PackId::from_bytes([7; 32]));
    source.plant(&planted.to_string(), b"planted");
    source.plant("generations/20261122T023000Z-0badc0de/1.age", b"planted");
    source.plant("snapshots/20261122T023000Z-0badc0de.note", b"planted");
    let report = copy(&vault, &source_store, &target_store);
    for key in altered.iter().chain([&planted]) {
        assert!(target.stat(key).unwrap().is_none(), "{key} went over");
    }
    for name in names_in(target.as_ref()) {
        let key: ObjectKey = name.parse().unwrap();
        assert_eq!(bytes_in(target.as_ref(), &key), bytes_in(vault.stores[0].as_ref(), &key));
    }
    assert!(report.damaged_count > 5 && report.unsigned_count >= 2, "{report:?}");
}

/// H-16
#[test]
fn what_a_list_names_and_neither_store_has_is_told_and_what_is_hidden_goes_over() {
    let vault = vault();
    let bucket = Bucket::new("source", vault.clock.clone(), StorageClass::Standard);
    let source: Arc<dyn Store> = Arc::new(bucket.clone());
    copy(&vault, &vault.stores[0], &source);
    let packs = keys_in(source.as_ref(), Folder::Packs);
    let segment = keys_in(source.as_ref(), Folder::Segments)[0];
    bucket.erase(&packs[0].to_string());
    bucket.erase(&segment.to_string());
    bucket.hide(&packs[1].to_string());
    let target: Arc<dyn Store> = memory(&vault, "target");
    for _ in 0..2 {
        let report = copy(&vault, &source, &target);
        let found: BTreeSet<_> =
            report.damaged.iter().map(|it| (it.code.text(), it.object.clone())).collect();
        let lost = [packs[0], segment].map(|key| ("object-missing", key.to_string()));
        assert_eq!((found, report.damaged_count), (BTreeSet::from(lost), 2));
        assert!(report.held_back.is_empty());
    }
    assert!(target.stat(&packs[1]).unwrap().is_some());
    // What the target has is not lacking, wherever else it is not.
    assert_eq!(copy(&vault, &source, &vault.stores[0]).damaged_count, 0);
}

/// H-7
#[test]
fn what_is_archived_waits_with_the_snapshots_that_need_it_and_goes_over_once_it_is_thawed() {
    let vault = vault();
    let bucket = Bucket::new("cold", vault.clock.clone(), StorageClass::DeepArchive);
    let cold: Arc<dyn Store> = Arc::new(bucket.clone());
    copy(&vault, &vault.stores[0], &cold);
    let target: Arc<dyn Store> = memory(&vault, "target");
    let report = copy(&vault, &cold, &target);
    assert_eq!(report.archived_count, keys_in(&bucket, Folder::Packs).len() as u64);
    assert_eq!(report.held_back.len(), 2);
    let kinds = [Folder::Segments, Folder::Snapshots, Folder::Packs];
    assert!(kinds.into_iter().all(|folder| keys_in(target.as_ref(), folder).is_empty()));
    // The log ends before the first snapshot that waits, and verifies.
    let auditor = Auditor::open(target.clone(), key(&vault)).unwrap();
    let found = idswyft_vault::ops::verify::verify(&auditor, None, Level::Bytes, None, &Silent);
    assert!(found.unwrap().is_sound());
    assert!(!bucket.calls().iter().any(|call| matches!(call, Call::Thaw(_))));
    for key in keys_in(&bucket, Folder::Packs) {
        bucket.thaw(&key, ThawTier::Standard, 7).unwrap();
    }
    vault.clock.pass_hours(13);
    let report = copy(&vault, &cold, &target);
    assert_eq!((report.archived_count, report.held_back.len()), (0, 0));
    assert_whole(&vault, &target);
}

/// H-8
#[test]
fn a_copy_is_locked_until_its_generations_last_day_and_the_floor() {
    let fields = PolicyFields { floor: Some("1y".parse().unwrap()), ..PolicyFields::default() };
    let policy = Policy::new(fields).unwrap();
    let parameters = Parameters::initial();
    let stores = |dir: &std::path::Path| vec![local(&dir.join("store"), "local")];
    let dir = tempfile::tempdir().unwrap();
    let vault = TestVault::governed(dir, stores, parameters.clone(), &policy);
    let opened = vault.clock.now();
    vault.write("a.jpg", &noise(1, 100_000));
    vault.snapshot();
    let class = StorageClass::Standard;
    let mode = Some(LockMode::Compliance);
    let bucket = Bucket::with_lock("b", vault.clock.clone(), class, mode);
    let target: Arc<dyn Store> = Arc::new(bucket.clone());
    copy(&vault, &vault.stores[0], &target);
    let days = i64::from(parameters.fields().generation_max_age_days.unwrap());
    let last = opened + SignedDuration::from_hours(24 * days);
    let until = policy.floor_at(last).unwrap();
    for folder in Folder::ALL {
        for key in keys_in(&bucket, folder) {
            let lock = bucket.stat(&key).unwrap().unwrap().lock.expect("everything is locked");
            let is_file = matches!(key, ObjectKey::Generation(..));
            let mode = if is_file { LockMode::Governance } else { LockMode::Compliance };
            assert_eq!((lock.mode, lock.until), (mode, until), "{key}");
        }
    }
}

/// H-18
#[test]
fn what_no_list_names_does_not_go_over_unless_a_list_cannot_be_read() {
    let vault = vault();
    let source = vault.stores[0].clone();
    let bytes = b"left by a run";
    let orphan = ObjectKey::Pack(PackId::from_bytes(*sha256(bytes).as_bytes()));
    source.put_new(&orphan, Content::Bytes(bytes), &sha256(bytes)).unwrap();
    let target: Arc<dyn Store> = memory(&vault, "mirror");
    let report = copy(&vault, &source, &target);
    assert_eq!((report.unsigned_count, report.damaged_count), (1, 0));
    assert!(target.stat(&orphan).unwrap().is_none());
    assert_whole(&vault, &target);
    // Nobody knows what this one needs, so nothing is left behind.
    let list = keys_in(source.as_ref(), Folder::Snapshots);
    let list = list.iter().find(|key| matches!(key, ObjectKey::List(_))).unwrap();
    source.delete(list).unwrap();
    let other: Arc<dyn Store> = memory(&vault, "other");
    assert!(copy(&vault, &source, &other).damaged_count > 0);
    assert!(other.stat(&orphan).unwrap().is_some());
}
